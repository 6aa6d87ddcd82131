//! Writing keys and their live sets: from a list of them, or from what is held as it lies there.

use super::{BYTES, HAS_EXPIRY, HAS_SESSION, HEADS, JSON, KNOWN, Origins, TEXT, TOMBSTONE, difference, is_edge};
use crate::codec::Writer;
use crate::codec::cbor::{Head, Lead};
use crate::id::ReplicaId;
use crate::store::delta::{Keys, Listed};
use crate::store::entry::{Content, DataEntry, Key};
use crate::store::order::Walk;
use crate::time::Hlc;
use crate::vector::Near;

/// Writes keys, ascending, and their live sets; `hlc` is the delta's.
#[inline(never)]
pub(crate) fn encode_keys(writer: &mut Writer, keys: &Keys, hlc: Hlc) {
    writer.sequence_about(keys.room(), |writer| {
        let mut encoding = Encoding::new(hlc);
        for (key, set) in keys {
            encoding.key_of(writer, key, set.len());
            for listed in set {
                match listed {
                    Listed::Entry(entry) => encoding.one_of_several(writer, entry),
                    Listed::Known(dot) => encoding.known(writer, &dot.replica, dot.sequence),
                }
            }
        }
        encoding.end(writer);
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
                        encoding.key(writer, key);
                        encoding.entry(writer, entry);
                    }
                }
                several => encoding.several(writer, key, several, &mut from),
            }
        }
        encoding.end(writer);
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
    /// The place of its session, as it stands behind an entry.
    session: Lead,
    /// What is not written yet of the entry before.
    lead: Lead,
}

impl<'a> Encoding<'a> {
    fn new(hlc: Hlc) -> Self {
        let (clock, session, lead) = (hlc.to_bits(), Lead::NONE, Lead::NONE);
        Self { before: &[], origins: Origins::default(), clock, last: None, head: 0, sequence: 0, session, lead }
    }

    /// The head of a key with one entry, which is the rule: then the count is left out, and the sign of `shared` says so.
    #[inline(always)]
    fn key(&mut self, writer: &mut Writer, key: &'a Key) {
        let (text, behind) = key.piece.near_bytes_before();
        let shared = shared_prefix(self.before, text);
        let suffix = text.get(shared..).unwrap_or_default();
        writer.cbor.heads_behind(self.lead, [Head::signed(shared as i64), Head::text(suffix.len())]);
        writer.cbor.short_items(suffix, behind.get(shared..).unwrap_or_default());
        (self.before, self.lead) = (text, Lead::NONE);
    }

    /// The head of a key with so many entries.
    #[inline(never)]
    fn key_of(&mut self, writer: &mut Writer, key: &'a Key, entries: usize) {
        self.end(writer);
        let text = key.as_bytes();
        let shared = shared_prefix(self.before, text);
        let suffix = text.get(shared..).unwrap_or_default();
        if entries == 1 {
            writer.i64(shared as i64);
        } else {
            writer.i64(-1 - shared as i64);
            writer.u64(entries as u64);
        }
        writer.cbor.heads([Head::text(suffix.len())]);
        writer.cbor.items(suffix);
        self.before = text;
    }

    /// A key with entries that did not see each other, if the receiver may lack one.
    #[inline(never)]
    fn several(&mut self, writer: &mut Writer, key: &'a Key, entries: &'a [DataEntry], from: &mut Near<'_>) {
        if entries.iter().all(|entry| from.has(entry.origin(), entry.sequence())) {
            return;
        }
        self.key_of(writer, key, entries.len());
        for entry in entries {
            if from.has(entry.origin(), entry.sequence()) {
                self.known(writer, entry.origin(), entry.sequence());
            } else {
                self.one_of_several(writer, entry);
            }
        }
    }

    fn one_of_several(&mut self, writer: &mut Writer, entry: &'a DataEntry) {
        self.end(writer);
        self.entry(writer, entry);
    }

    /// Writes an entry but for the place of its session. Nothing is left of the entry before.
    #[inline(never)]
    fn entry(&mut self, writer: &mut Writer, entry: &'a DataEntry) {
        if !self.last.is_some_and(|last| entry.has_author_of(last)) {
            self.look_up(writer, entry);
        }
        let (sequence, clock) = (entry.sequence(), entry.hlc.to_bits());
        let (ahead, since) = (difference(sequence, self.sequence), difference(clock, self.clock));
        (self.sequence, self.clock, self.lead) = (sequence, clock, self.session);
        let (ahead, since) = (Head::signed(ahead), Head::signed(since));
        match &entry.content {
            Content::Text(text) if entry.is_endless() => {
                let text = text.piece.near_bytes();
                writer.cbor.heads([Head::unsigned(self.head + TEXT * 4), ahead, since, Head::text(text.len())]);
                writer.cbor.items(text);
            }
            Content::Text(_) | Content::Json(_) | Content::Tombstone | Content::Bytes(_) => {
                self.rare(writer, [ahead, since], entry);
            }
        }
    }

    /// What ends, or is no plain text.
    #[inline(never)]
    fn rare(&mut self, writer: &mut Writer, [ahead, since]: [Head; 2], entry: &DataEntry) {
        let (kind, end) = match &entry.content {
            Content::Tombstone => (TOMBSTONE, entry.expires_at()),
            Content::Text(_) => (TEXT, entry.expires_at()),
            Content::Json(_) => (JSON, entry.expires_at()),
            Content::Bytes(_) => (BYTES, entry.expires_at()),
        };
        let flag = if end.is_some() { HAS_EXPIRY } else { 0 };
        writer.cbor.heads([Head::unsigned(self.head + kind * 4 + flag), ahead, since]);
        match &entry.content {
            Content::Tombstone => {}
            Content::Text(text) | Content::Json(text) => writer.text(text),
            Content::Bytes(bytes) => writer.bytes(bytes),
        }
        if let Some(end) = end {
            self.end(writer);
            writer.i64(difference(end, entry.hlc.millis()));
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
        self.session = session.map_or(Lead::NONE, Lead::unsigned);
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
        self.end(writer);
        self.keep();
        let Some(origin) = self.origins.at(origin, || writer.replica_index(*origin)) else { return };
        let ahead = difference(sequence, origin.sequence);
        origin.sequence = sequence;
        writer.cbor.heads([Head::unsigned(origin.place * HEADS + KNOWN * 4), Head::signed(ahead)]);
    }

    /// Writes what is left of the entry before.
    #[inline(never)]
    fn end(&mut self, writer: &mut Writer) {
        writer.cbor.heads_behind(core::mem::replace(&mut self.lead, Lead::NONE), []);
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
