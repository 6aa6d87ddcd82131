//! Encodes keys and their live sets, from a list or directly from the table's runs.

use alloc::vec::Vec;

use super::column::Column;
use super::{
    BYTES, HAS_EXPIRY, HAS_KNOWN, HAS_SESSION, HEADS, JSON, KNOWN, Origins, RUN_KEYS, TEXT, TOMBSTONE, difference,
    is_edge, run_text,
};
use crate::codec::Writer;
use crate::codec::cbor::Head;
use crate::id::{Dot, ReplicaId};
use crate::store::delta::{Keys, Lacks, Listed};
use crate::store::entry::piece::{BLOCK_MAX, Piece};
use crate::store::entry::{Content, DataEntry, Key, LiveSet, Text};
use crate::store::order::Walk;
use crate::store::slots::Held;
use crate::time::Hlc;

/// Writes keys, ascending, and their live sets; `hlc` is the delta's.
#[inline(never)]
pub(crate) fn encode_keys(writer: &mut Writer, keys: &Keys, hlc: Hlc) {
    writer.sequence_about(keys.room(), |writer| {
        let mut encoding = Encoding::new(hlc);
        let many = keys.len() >= RUN_KEYS;
        for (key, set) in keys {
            if many {
                if let Some(entry) = set.only() {
                    encoding.one_of_list(writer, key, entry);
                    continue;
                }
                if let [Listed::Known(dot), Listed::Entry(entry)] = &**set {
                    let Dot { replica, sequence } = dot.dot();
                    encoding.beside_known(writer, key, entry, (&replica, sequence));
                    continue;
                }
            }
            encoding.flush(writer);
            encoding.key_of(writer, key, set.len());
            for listed in set {
                match listed {
                    Listed::Entry(entry) => encoding.entry(writer, entry),
                    Listed::Known(dot) => encoding.known(writer, dot.dot()),
                }
            }
        }
        encoding.flush(writer);
    });
}

/// Writes those of the keys, ascending, that are touched by a dot not in `from`, with their live sets, about `room` bytes.
#[inline(never)]
pub(crate) fn encode_held<'a>(writer: &mut Writer, mut keys: Walk<'a>, mut from: Lacks<'_, 'a>, hlc: Hlc, room: usize) {
    writer.sequence_about(room, |writer| {
        let mut encoding = Encoding::new(hlc);
        while let Some(together) = keys.next_together() {
            let mut left = together;
            while let Some((Held { key, set }, behind)) = left.split_first() {
                match set.only() {
                    Some(entry) if from.lacks(entry) => {
                        encoding.one(writer, key, entry);
                        left = encoding.go_on(behind, &mut from);
                        continue;
                    }
                    Some(_) => {}
                    None => {
                        encoding.several(writer, key, set.entries(), &mut from);
                        left = encoding.go_on_beside(set, behind, &mut from);
                        continue;
                    }
                }
                left = behind;
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
    /// Keys that are not written yet: each has one entry, of one author and kind.
    run: Vec<(&'a Key, &'a DataEntry)>,
    kind: u64,
    /// How many bytes of text they are, and how many of these are keys.
    area: usize,
    names: usize,
    /// Who wrote what the receiver knows beside each of these entries, if it knows one, and the sequences of that.
    known: Option<ReplicaId>,
    dots: Vec<u64>,
    /// Room for the columns of a run.
    columns: [Column; 5],
}

/// The kind and the text of an entry that may be told in a run.
#[inline(always)]
fn plain(entry: &DataEntry) -> Option<(u64, &Piece)> {
    match &entry.content {
        Content::Text(text) if entry.is_endless() => Some((TEXT, &text.piece)),
        Content::Json(text) if entry.is_endless() => Some((JSON, &text.piece)),
        Content::Text(_) | Content::Json(_) | Content::Tombstone | Content::Bytes(_) => None,
    }
}

/// How many bytes of text a key and its entry are in a run, if they may be told in one.
#[inline(always)]
fn room(key: &Key, text: &Piece) -> Option<usize> {
    Some(key.piece.short_len()? + text.short_len()?)
}

impl<'a> Encoding<'a> {
    fn new(hlc: Hlc) -> Self {
        Self {
            before: &[],
            origins: Origins::default(),
            clock: hlc.to_bits(),
            last: None,
            head: 0,
            sequence: 0,
            session: None,
            run: Vec::new(),
            kind: TEXT,
            area: 0,
            names: 0,
            known: None,
            dots: Vec::new(),
            columns: Default::default(),
        }
    }

    /// Writes a key with one entry, now or in a run.
    #[inline(always)]
    fn one(&mut self, writer: &mut Writer, key: &'a Key, entry: &'a DataEntry) {
        if self.known.is_some() || !self.follows(key, entry) {
            self.begin(writer, key, entry, None);
        }
    }

    #[inline(never)]
    fn one_of_list(&mut self, writer: &mut Writer, key: &'a Key, entry: &'a DataEntry) {
        self.one(writer, key, entry);
    }

    /// Writes a key with an entry that did not see another one, which the receiver knows; now or in a run.
    #[inline(never)]
    fn beside_known(&mut self, writer: &mut Writer, key: &'a Key, entry: &'a DataEntry, known: (&ReplicaId, u64)) {
        let (replica, sequence) = known;
        if self.known.as_ref() == Some(replica) && self.follows(key, entry) {
            self.dots.push(sequence);
        } else {
            self.begin(writer, key, entry, Some(Dot::new(*replica, sequence)));
        }
    }

    /// Takes a key and its entry into the run, if they go on with it.
    #[inline(always)]
    fn follows(&mut self, key: &'a Key, entry: &'a DataEntry) -> bool {
        let (Some((kind, text)), Some((_, last))) = (plain(entry), self.run.last()) else { return false };
        let alike = kind == self.kind && entry.has_author_of(last);
        let Some(more) = room(key, text).filter(|more| alike && self.area + more <= BLOCK_MAX) else { return false };
        self.run.push((key, entry));
        (self.area, self.names) = (self.area + more, self.names + key.len());
        true
    }

    /// Takes into the run what goes on with it where it is held, and answers what is left.
    #[inline(always)]
    fn go_on(&mut self, held: &'a [Held], from: &mut Lacks<'_, 'a>) -> &'a [Held] {
        let (None, Some((_, last))) = (self.known, self.run.last()) else { return held };
        let (last, known, kind, mut area, mut names) = (*last, from.held_by(last), self.kind, self.area, self.names);
        let mut left = held;
        while let Some((Held { key, set }, behind)) = left.split_first() {
            let Some(entry) = set.only().filter(|entry| entry.has_author_of(last) && entry.sequence() > known) else {
                break;
            };
            let Some((_, text)) = plain(entry).filter(|(other, _)| *other == kind) else { break };
            let (Some(name), Some(value)) = (key.piece.short_len(), text.short_len()) else { break };
            if area + name + value > BLOCK_MAX {
                break;
            }
            self.run.push((key, entry));
            (area, names, left) = (area + name + value, names + name, behind);
        }
        (self.area, self.names) = (area, names);
        left
    }

    /// The same where beside each there is an entry that the receiver knows, as there is in the set of the last one.
    #[inline(never)]
    fn go_on_beside(&mut self, last: &'a LiveSet, held: &'a [Held], from: &mut Lacks<'_, 'a>) -> &'a [Held] {
        let (Some(_), Some((_, told)), [one, other]) = (self.known, self.run.last(), last.entries()) else {
            return held;
        };
        // Where both were known the run ends with an earlier key, whose entries may lie the other way about.
        let authors = match [one, other].map(|entry| core::ptr::eq(*told, entry)) {
            [true, _] => [one, other],
            [_, true] => [other, one],
            [false, false] => return held,
        };
        let [lacks, knows] = authors.map(|author| from.held_by(author));
        let mut left = held;
        while let Some((Held { key, set }, behind)) = left.split_first() {
            let pair = set.pair_of(authors).filter(|[entry, _]| entry.sequence() > lacks);
            let Some([entry, beside]) = pair.filter(|[_, beside]| beside.sequence() <= knows) else { break };
            let Some((_, text)) = plain(entry).filter(|(kind, _)| *kind == self.kind) else { break };
            let Some(more) = room(key, text).filter(|more| self.area + more <= BLOCK_MAX) else { break };
            self.run.push((key, entry));
            self.dots.push(beside.sequence());
            (self.area, self.names, left) = (self.area + more, self.names + key.len(), behind);
        }
        left
    }

    /// Begins a run, or writes what no run tells.
    #[inline(never)]
    fn begin(&mut self, writer: &mut Writer, key: &'a Key, entry: &'a DataEntry, known: Option<Dot>) {
        self.flush(writer);
        match plain(entry).and_then(|(kind, text)| Some((kind, room(key, text)?))) {
            Some((kind, area)) => {
                self.run.push((key, entry));
                self.kind = kind;
                (self.area, self.names, self.known) = (area, key.len(), known.map(|dot| dot.replica));
                self.dots.extend(known.map(|dot| dot.sequence));
            }
            None => self.by_itself(writer, key, entry, known),
        }
    }

    #[inline(never)]
    fn by_itself(&mut self, writer: &mut Writer, key: &'a Key, entry: &'a DataEntry, known: Option<Dot>) {
        self.key_of(writer, key, if known.is_some() { 2 } else { 1 });
        known.into_iter().for_each(|dot| self.known(writer, dot));
        self.entry(writer, entry);
    }

    /// Writes what is not written yet: as a run, unless its keys are few, short, or begin so much alike that it is dearer by a fourth.
    #[inline(never)]
    fn flush(&mut self, writer: &mut Writer) {
        if self.run.is_empty() {
            return;
        }
        let (mut run, mut dots) = (core::mem::take(&mut self.run), core::mem::take(&mut self.dots));
        if self.is_run(&run) {
            self.run(writer, &run, &dots);
        } else {
            let mut dots = dots.iter();
            for (key, entry) in &run {
                let known = self.known.zip(dots.next()).map(|(replica, sequence)| Dot::new(replica, *sequence));
                self.by_itself(writer, key, entry, known);
            }
        }
        run.clear();
        dots.clear();
        (self.run, self.dots, self.known) = (run, dots, None);
    }

    /// Whether keys are told in a run.
    fn is_run(&self, run: &[(&'a Key, &'a DataEntry)]) -> bool {
        let ([(first, _), .., (last, _)], area) = (run, self.area) else { return false };
        // Of the first and the last, which all have, and of each and the one before: keys of groups have more in common. Beside
        // long values that is little, whatever it is.
        let common = || shared_prefix(first.as_bytes(), last.as_bytes());
        let shared = || {
            let pairs = run.array_windows();
            pairs.map(|[(one, _), (next, _)]| shared_prefix(one.as_bytes(), next.as_bytes())).sum::<usize>()
        };
        run.len() >= RUN_KEYS
            && area >= run.len() * run_text(self.known.is_some())
            && (area >= 4 * self.names || (area >= 4 * common() * run.len() && area >= 4 * shared()))
    }

    /// Writes a run, which is not empty: its text, then as an entry is written, but that of lengths, sequences and clocks there are
    /// as many as entries.
    fn run(&mut self, writer: &mut Writer, run: &[(&'a Key, &'a DataEntry)], dots: &[u64]) {
        let Some(&(key, entry)) = run.last() else { return };
        self.turn_to(writer, entry);
        let known = self.known.and_then(|known| {
            let place = self.column_of(writer, known, dots);
            self.turn_to(writer, entry);
            place
        });
        writer.cbor.text_head(self.area);
        let (mut sequence, mut clock) = (self.sequence, self.clock);
        let [of_keys, of_values, ahead, since, _] = &mut self.columns;
        // What follows each other where it lies is copied in one go.
        let mut lies = Span::default();
        for (at, (key, entry)) in run.iter().enumerate() {
            let (Content::Text(Text { piece: text }) | Content::Json(Text { piece: text })) = &entry.content else {
                return;
            };
            lies.go_on(&key.piece, writer);
            lies.go_on(text, writer);
            let stamp = entry.hlc.to_bits();
            of_keys.add(at, key.piece.short_len().unwrap_or_default() as i64);
            of_values.add(at, text.short_len().unwrap_or_default() as i64);
            ahead.add(at, difference(entry.sequence(), sequence));
            since.add(at, difference(stamp, clock));
            (sequence, clock) = (entry.sequence(), stamp);
        }
        lies.end(writer);
        writer.u64(self.head + self.kind * 4 + if known.is_some() { HAS_KNOWN } else { 0 });
        self.session(writer);
        known.into_iter().for_each(|place| writer.u64(place));
        writer.u64(run.len() as u64);
        let columns = if known.is_some() { 5 } else { 4 };
        self.columns.iter_mut().take(columns).for_each(|column| column.write(run.len(), &mut writer.cbor));
        (self.before, self.last, self.sequence, self.clock) = (key.as_bytes(), Some(entry), sequence, clock);
    }

    /// Makes the column of the bare dots of an origin; its place.
    fn column_of(&mut self, writer: &mut Writer, origin: ReplicaId, dots: &[u64]) -> Option<u64> {
        self.keep();
        let [.., column] = &mut self.columns;
        let origin = self.origins.at(&origin, || writer.replica_index(origin))?;
        for (at, sequence) in dots.iter().enumerate() {
            column.add(at, difference(*sequence, origin.sequence));
            origin.sequence = *sequence;
        }
        Some(origin.place)
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
    fn several(&mut self, writer: &mut Writer, key: &'a Key, entries: &'a [DataEntry], from: &mut Lacks<'_, 'a>) {
        let mut is_known = |entry: &'a DataEntry| !from.lacks(entry);
        if let [one, other] = entries {
            match (is_known(one), is_known(other)) {
                (true, true) => return,
                (true, false) => return self.beside_known(writer, key, other, (one.origin(), one.sequence())),
                (false, true) => return self.beside_known(writer, key, one, (other.origin(), other.sequence())),
                (false, false) => {}
            }
        } else if entries.iter().all(&mut is_known) {
            return;
        }
        self.flush(writer);
        self.key_of(writer, key, entries.len());
        // Bare dots first, as a list of them has it.
        for first in [true, false] {
            for entry in entries.iter().filter(|entry| is_known(entry) == first) {
                if first {
                    self.known(writer, entry.dot());
                } else {
                    self.entry(writer, entry);
                }
            }
        }
    }

    /// Writes an entry.
    #[inline(never)]
    fn entry(&mut self, writer: &mut Writer, entry: &'a DataEntry) {
        self.turn_to(writer, entry);
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
    #[inline(always)]
    fn turn_to(&mut self, writer: &mut Writer, entry: &'a DataEntry) {
        if !self.last.is_some_and(|last| entry.has_author_of(last)) {
            self.look_up(writer, entry);
        }
    }

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
    fn known(&mut self, writer: &mut Writer, Dot { replica, sequence }: Dot) {
        self.keep();
        let Some(origin) = self.origins.at(&replica, || writer.replica_index(replica)) else { return };
        let ahead = difference(sequence, origin.sequence);
        origin.sequence = sequence;
        writer.u64(origin.place * HEADS + KNOWN * 4);
        writer.i64(ahead);
    }
}

/// Texts that follow each other in one block, as far as they have been seen.
#[derive(Default)]
struct Span<'a> {
    ends: Option<(&'a Piece, &'a Piece)>,
}

impl<'a> Span<'a> {
    /// Goes on to the next text, behind what was seen, or elsewhere.
    #[inline(always)]
    fn go_on(&mut self, next: &'a Piece, writer: &mut Writer) {
        match &mut self.ends {
            Some((_, last)) if last.is_before(next) => *last = next,
            _ => {
                self.end(writer);
                self.ends = Some((next, next));
            }
        }
    }

    /// Writes what was seen.
    #[inline(never)]
    fn end(&self, writer: &mut Writer) {
        if let Some((block, range)) = self.ends.and_then(|(first, last)| first.through(last)) {
            writer.held(block, range);
        }
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
