//! Writing keys and their live sets: from a list of them, or from what is held as it lies there.

use alloc::vec::Vec;

use super::column::Column;
use super::{
    BYTES, HAS_EXPIRY, HAS_SESSION, HEADS, JSON, KNOWN, Origins, RUN_KEYS, RUN_TEXT, TEXT, TOMBSTONE, difference,
    is_edge,
};
use crate::codec::Writer;
use crate::codec::cbor::Head;
use crate::id::ReplicaId;
use crate::store::delta::{Keys, Listed};
use crate::store::entry::piece::Piece;
use crate::store::entry::{Content, DataEntry, Key};
use crate::store::order::Walk;
use crate::time::Hlc;
use crate::vector::Near;

/// Writes keys, ascending, and their live sets; `hlc` is the delta's.
#[inline(never)]
pub(crate) fn encode_keys(writer: &mut Writer, keys: &Keys, hlc: Hlc) {
    writer.sequence_about(keys.room(), |writer| {
        let mut encoding = Encoding::new(hlc);
        let many = keys.len() >= RUN_KEYS;
        for (key, set) in keys {
            if let Some(entry) = set.only().filter(|_| many) {
                encoding.one_of_list(writer, key, entry);
                continue;
            }
            encoding.flush(writer);
            encoding.key_of(writer, key, set.len());
            for listed in set {
                match listed {
                    Listed::Entry(entry) => encoding.entry(writer, entry),
                    Listed::Known(dot) => encoding.known(writer, &dot.replica, dot.sequence),
                }
            }
        }
        encoding.flush(writer);
    });
}

/// Writes those of the keys, ascending, that are touched by a dot not in `from`, with their live sets, about `room` bytes.
#[inline(never)]
pub(crate) fn encode_held(writer: &mut Writer, mut keys: Walk<'_>, mut from: Near<'_>, hlc: Hlc, room: usize) {
    writer.sequence_about(room, |writer| {
        let mut encoding = Encoding::new(hlc);
        while let Some((key, set)) = keys.near_next() {
            match set.entries() {
                [entry] => {
                    if !from.near_has(entry.origin(), entry.sequence()) {
                        encoding.one(writer, key, entry);
                    }
                }
                several => encoding.several(writer, key, several, &mut from),
            }
        }
        encoding.flush(writer);
    });
}

/// Keys that are being written.
struct Encoding<'a> {
    /// The key before.
    before: &'a [u8],
    origins: Origins,
    /// The clock of the entry before.
    clock: u64,
    /// An entry of the author of the last one: runs of entries have one.
    last: Option<&'a DataEntry>,
    /// What the heads of its entries have in common, and the last sequence of its origin.
    head: u64,
    sequence: u64,
    /// The place of its session.
    session: Option<u64>,
    /// Keys that are not written yet: each has one entry, of one author and kind, and their texts follow each other in one block.
    run: Vec<(&'a Key, &'a DataEntry)>,
    /// Room for the columns of a run.
    columns: [Column; 4],
}

/// The kind and the text of an entry that may be told in a run.
#[inline(always)]
const fn plain(entry: &DataEntry) -> Option<(u64, &Piece)> {
    match &entry.content {
        Content::Text(text) if entry.is_endless() => Some((TEXT, &text.piece)),
        Content::Json(text) if entry.is_endless() => Some((JSON, &text.piece)),
        Content::Text(_) | Content::Json(_) | Content::Tombstone | Content::Bytes(_) => None,
    }
}

impl<'a> Encoding<'a> {
    fn new(hlc: Hlc) -> Self {
        let (clock, origins, run, columns) = (hlc.to_bits(), Origins::default(), Vec::new(), Default::default());
        Self { before: &[], origins, clock, last: None, head: 0, sequence: 0, session: None, run, columns }
    }

    /// Writes a key with one entry, now or in a run.
    #[inline(always)]
    fn one(&mut self, writer: &mut Writer, key: &'a Key, entry: &'a DataEntry) {
        let text = plain(entry).filter(|(_, text)| key.piece.is_before(text));
        let follows = match (text, self.run.last()) {
            (Some((kind, _)), Some((_, last))) => {
                let before = plain(last).filter(|(of, before)| *of == kind && before.is_before(&key.piece));
                before.is_some() && entry.has_author_of(last)
            }
            (Some(_), None) => true,
            (None, _) => false,
        };
        if !follows {
            self.flush(writer);
        }
        if text.is_some() {
            self.run.push((key, entry));
        } else {
            self.by_itself(writer, key, entry);
        }
    }

    #[inline(never)]
    fn one_of_list(&mut self, writer: &mut Writer, key: &'a Key, entry: &'a DataEntry) {
        self.one(writer, key, entry);
    }

    #[inline(never)]
    fn by_itself(&mut self, writer: &mut Writer, key: &'a Key, entry: &'a DataEntry) {
        self.key_of(writer, key, 1);
        self.entry(writer, entry);
    }

    /// Writes what is not written yet: as a run, unless its keys are few, short, or begin so much alike that it is dearer by a third.
    #[inline(never)]
    fn flush(&mut self, writer: &mut Writer) {
        if self.run.is_empty() {
            return;
        }
        let mut run = core::mem::take(&mut self.run);
        if let [(first, _), .., (last, end)] = run.as_slice()
            && run.len() >= RUN_KEYS
            && let Some((kind, text)) = plain(end)
        {
            let area = first.piece.through(text);
            // Of the first and the last, which all have, and of each and the one before: keys of groups have more in common. Beside
            // long values that is little, whatever it is.
            let common = shared_prefix(first.as_bytes(), last.as_bytes());
            let keys: usize = run.iter().map(|(key, _)| key.len()).sum();
            let shared =
                run.array_windows().map(|[(one, _), (next, _)]| shared_prefix(one.as_bytes(), next.as_bytes()));
            if area.len() >= run.len() * RUN_TEXT.max(4 * common)
                && (area.len() >= 4 * keys || area.len() >= 4 * shared.sum::<usize>())
            {
                self.run(writer, &run, area, kind);
                run.clear();
            }
        }
        run.drain(..).for_each(|(key, entry)| self.by_itself(writer, key, entry));
        self.run = run;
    }

    /// Writes a run, which is not empty: its text, then as an entry is written, but that of lengths, sequences and clocks there are
    /// as many as entries.
    fn run(&mut self, writer: &mut Writer, run: &[(&'a Key, &'a DataEntry)], area: &[u8], kind: u64) {
        let Some(&(key, entry)) = run.last() else { return };
        if !self.last.is_some_and(|last| entry.has_author_of(last)) {
            self.look_up(writer, entry);
        }
        writer.cbor.text_bytes(area);
        writer.u64(self.head + kind * 4);
        self.session(writer);
        writer.u64(run.len() as u64);
        let (mut sequence, mut clock) = (self.sequence, self.clock);
        let [of_keys, of_values, ahead, since] = &mut self.columns;
        for (key, entry) in run {
            let (stamp, text) = (entry.hlc.to_bits(), entry.content.len());
            of_keys.add(key.len() as i64);
            of_values.add(text as i64);
            ahead.add(difference(entry.sequence(), sequence));
            since.add(difference(stamp, clock));
            (sequence, clock) = (entry.sequence(), stamp);
        }
        self.columns.iter_mut().for_each(|column| column.write(&mut writer.cbor));
        (self.before, self.last, self.sequence, self.clock) = (key.as_bytes(), Some(entry), sequence, clock);
    }

    /// The head of a key with so many entries.
    #[inline(never)]
    fn key_of(&mut self, writer: &mut Writer, key: &'a Key, entries: usize) {
        let text = key.as_bytes();
        let shared = shared_prefix(self.before, text);
        let suffix = text.get(shared..).unwrap_or_default();
        if entries == 1 {
            writer.i64(shared as i64);
        } else {
            writer.i64(-1 - shared as i64);
            writer.u64(entries as u64);
        }
        writer.cbor.text_bytes(suffix);
        self.before = text;
    }

    /// A key with entries that did not see each other, if the receiver may lack one.
    #[inline(never)]
    fn several(&mut self, writer: &mut Writer, key: &'a Key, entries: &'a [DataEntry], from: &mut Near<'_>) {
        if entries.iter().all(|entry| from.has(entry.origin(), entry.sequence())) {
            return;
        }
        self.flush(writer);
        self.key_of(writer, key, entries.len());
        for entry in entries {
            if from.has(entry.origin(), entry.sequence()) {
                self.known(writer, entry.origin(), entry.sequence());
            } else {
                self.entry(writer, entry);
            }
        }
    }

    /// Writes an entry.
    #[inline(never)]
    fn entry(&mut self, writer: &mut Writer, entry: &'a DataEntry) {
        if !self.last.is_some_and(|last| entry.has_author_of(last)) {
            self.look_up(writer, entry);
        }
        let (sequence, clock) = (entry.sequence(), entry.hlc.to_bits());
        let (ahead, since) = (difference(sequence, self.sequence), difference(clock, self.clock));
        (self.sequence, self.clock) = (sequence, clock);
        match &entry.content {
            Content::Text(text) if entry.is_endless() => {
                let text = text.piece.near_bytes();
                let [head, ahead, since] =
                    [Head::unsigned(self.head + TEXT * 4), Head::signed(ahead), Head::signed(since)];
                writer.cbor.heads([head, ahead, since, Head::text(text.len())]);
                writer.cbor.items(text);
                self.session(writer);
            }
            Content::Text(_) | Content::Json(_) | Content::Tombstone | Content::Bytes(_) => {
                self.rare(writer, [ahead, since], entry);
            }
        }
    }

    /// What ends, or is no plain text.
    #[inline(never)]
    fn rare(&mut self, writer: &mut Writer, [ahead, since]: [i64; 2], entry: &DataEntry) {
        let (kind, end) = match &entry.content {
            Content::Tombstone => (TOMBSTONE, entry.expires_at()),
            Content::Text(_) => (TEXT, entry.expires_at()),
            Content::Json(_) => (JSON, entry.expires_at()),
            Content::Bytes(_) => (BYTES, entry.expires_at()),
        };
        let flag = if end.is_some() { HAS_EXPIRY } else { 0 };
        writer.u64(self.head + kind * 4 + flag);
        writer.i64(ahead);
        writer.i64(since);
        match &entry.content {
            Content::Tombstone => {}
            Content::Text(text) | Content::Json(text) => writer.text(text),
            Content::Bytes(bytes) => writer.bytes(bytes),
        }
        self.session(writer);
        if let Some(end) = end {
            writer.i64(difference(end, entry.hlc.millis()));
        }
    }

    fn session(&self, writer: &mut Writer) {
        if let Some(place) = self.session {
            writer.u64(place);
        }
    }

    /// Turns to the author of an entry.
    #[inline(never)]
    fn look_up(&mut self, writer: &mut Writer, entry: &'a DataEntry) {
        self.keep();
        let origin = self.origins.at(entry.origin(), || writer.replica_index(*entry.origin()));
        let (place, sequence) = origin.map_or((0, 0), |origin| (origin.place, origin.sequence));
        let session = entry.session().map(|session| writer.session_index(session));
        self.head = place * HEADS + if session.is_some() { HAS_SESSION } else { 0 };
        self.session = session;
        (self.last, self.sequence) = (Some(entry), sequence);
    }

    /// Keeps what is remembered of the last origin with the others.
    fn keep(&mut self) {
        let (last, sequence) = (self.last.take(), self.sequence);
        let origin = last.and_then(|_| self.origins.known.get_mut(self.origins.last));
        origin.into_iter().for_each(|origin| origin.sequence = sequence);
    }

    #[inline(never)]
    fn known(&mut self, writer: &mut Writer, origin: &ReplicaId, sequence: u64) {
        self.keep();
        let Some(origin) = self.origins.at(origin, || writer.replica_index(*origin)) else { return };
        let ahead = difference(sequence, origin.sequence);
        origin.sequence = sequence;
        writer.u64(origin.place * HEADS + KNOWN * 4);
        writer.i64(ahead);
    }
}

/// The length of the beginning that both keys share, cut back to a character's edge. Eight bytes at a time, as keys are
/// compared.
fn shared_prefix(a: &[u8], b: &[u8]) -> usize {
    let ((words, _), (others, _)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut same = 0;
    for (word, other) in words.iter().zip(others) {
        let differs = u64::from_le_bytes(*word) ^ u64::from_le_bytes(*other);
        if differs != 0 {
            return edge(b, same + differs.trailing_zeros() as usize / 8);
        }
        same += 8;
    }
    let (rest, other) = (a.iter().skip(same), b.iter().skip(same));
    same += rest.zip(other).take_while(|(x, y)| x == y).count();
    edge(b, same)
}

/// The last place at or before `at` at which a character begins.
fn edge(text: &[u8], mut at: usize) -> usize {
    while !is_edge(text.get(at..).unwrap_or_default()) {
        at -= 1;
    }
    at
}
