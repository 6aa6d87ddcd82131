//! A run as it arrived: text and columns, from which entries are decoded on demand.
//!
//! Invariant: the run was checked. Texts begin and end at character boundaries, keys ascend, sequences are in range. So
//! decoding an entry cannot fail and may wait.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::{Range, RangeInclusive};

use super::column::{self, Numbers};
use super::guess::Guess;
use super::{TEXT, apply, is_edge};
use crate::codec::cbor::Input;
use crate::id::Dot;
use crate::store::delta::Bare;
use crate::store::entry::key::near_cmp;
use crate::store::entry::piece::{PIECE_MAX, Piece};
use crate::store::entry::{Author, Content, DataEntry, Key, Text};
use crate::store::part::Row;
use crate::store::parts::PART;
use crate::time::Hlc;

/// Fewer keys are made at once: a part of its own for them would weigh too much.
pub(super) const BUNDLE: usize = PART / 4;

/// Passes over a column of lengths of texts; the greatest of them, if each may be one.
#[inline(never)]
pub(super) fn longest_of(input: &mut Input<'_>, count: usize) -> Result<usize, &'static str> {
    let mut longest = 1;
    let checked = column::check(input, count, |len, _| {
        longest = longest.max(len);
        (1..=PIECE_MAX as i64).contains(&len)
    });
    checked.map(|()| longest as usize).ok_or("the length of a text")
}

/// Passes over a column of stamps, each of which is told against the one before: between which they lie.
#[inline(never)]
pub(super) fn check_stamps(input: &mut Input<'_>, count: usize, before: u64) -> Option<RangeInclusive<u64>> {
    let (mut stamp, mut least, mut greatest) = (before, u64::MAX, 0);
    column::check(input, count, |number, times| {
        for _ in 0..if number == 0 { 1 } else { times } {
            stamp = apply(stamp, number);
            (least, greatest) = (least.min(stamp), greatest.max(stamp));
        }
        true
    })?;
    Some(least..=greatest)
}

/// Where one of a run stands: what its lengths, sequence and clock are told against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// Those of keys and values, sequences and clocks, and of bare dots, where there are any.
    pub(super) numbers: [Numbers; 5],
    /// Where in the text it begins.
    pub(super) at: usize,
    pub(super) sequence: u64,
    pub(super) clock: u64,
    /// The sequence of the bare dot.
    pub(super) dot: u64,
}

/// Where the texts of one stand, and its stamps.
struct Place {
    at: usize,
    key: usize,
    value: usize,
    sequence: u64,
    clock: u64,
    /// The sequence of the bare dot, where there is one.
    dot: u64,
}

impl Cursor {
    /// The next one; `known`: and the bare dot beside it.
    #[inline(always)]
    fn next(&mut self, columns: &[u8], known: bool) -> Place {
        let at = self.at;
        let [keys, values, ahead, since, dots] = &mut self.numbers;
        let (key, value) = (keys.next(columns) as usize, values.next(columns) as usize);
        self.at += key + value;
        self.sequence = apply(self.sequence, ahead.next(columns));
        self.clock = apply(self.clock, since.next(columns));
        if known {
            self.dot = apply(self.dot, dots.next(columns));
        }
        Place { at, key, value, sequence: self.sequence, clock: self.clock, dot: self.dot }
    }

    /// Passes over the texts of so many, if all begin with a character and keys rise from the one `before` them; where the last key
    /// stands.
    #[inline(never)]
    pub(super) fn pass_texts<'a>(
        &mut self,
        [area, columns]: [&'a [u8]; 2],
        count: usize,
        mut before: &'a [u8],
    ) -> Result<Range<usize>, &'static str> {
        let ([mut keys, mut values, ..], mut left, mut last) = (self.numbers, count, 0);
        while left > 0 {
            let (key, value) = (keys.next(columns) as usize, values.next(columns) as usize);
            // What is of the same lengths is looked at in a loop without a branch for them.
            let more = keys.alike().min(values.alike()).min(left - 1);
            keys.pass(more);
            values.pass(more);
            let (size, some) = (key + value, more + 1);
            let texts = area.get(self.at..self.at + some * size).ok_or("a run of another length")?;
            for text in texts.chunks_exact(size.max(1)) {
                let (name, value) = text.split_at_checked(key).unwrap_or_default();
                if !is_edge(name) || !is_edge(value) {
                    return Err("texts that end within a character");
                }
                if near_cmp(name, before).is_le() {
                    return Err("keys out of order");
                }
                before = name;
            }
            self.at += texts.len();
            last = self.at - size;
            left -= some;
        }
        let [of_keys, of_values, ..] = &mut self.numbers;
        (*of_keys, *of_values) = (keys, values);
        Ok(last..last + before.len())
    }

    /// Passes over the stamps of so many, and over their bare dots if they have any.
    pub(super) fn pass_stamps(&mut self, columns: &[u8], count: usize, known: bool) {
        let [.., ahead, since, dots] = &mut self.numbers;
        let stamps = [(ahead, &mut self.sequence), (since, &mut self.clock), (dots, &mut self.dot)];
        for (numbers, stamp) in stamps.into_iter().take(if known { 3 } else { 2 }) {
            *stamp = apply(*stamp, numbers.pass_over(columns, count));
        }
    }

    /// Passes over the texts of so many, which were checked.
    fn pass_lengths(&mut self, columns: &[u8], count: usize) {
        let [keys, values, ..] = &mut self.numbers;
        self.at += (keys.pass_over(columns, count) + values.pass_over(columns, count)) as usize;
    }

    /// How many bytes of the columns have been read since another one was here.
    fn read_since(&self, other: &Self) -> usize {
        let read = self.numbers.iter().zip(&other.numbers).map(|(here, before)| here.at() - before.at());
        read.sum()
    }
}

/// What is the same for all of a run.
#[derive(Debug)]
pub(super) struct Run<T = Box<[u8]>> {
    pub(super) author: Arc<Author>,
    /// Whose the bare dot beside each entry is, where there is one.
    pub(super) known: Option<Arc<Author>>,
    pub(super) kind: u64,
    pub(super) columns: T,
}

impl Run<&[u8]> {
    /// The same by itself.
    pub(super) fn kept(&self) -> Run {
        let (author, known) = (Arc::clone(&self.author), self.known.clone());
        Run { author, known, kind: self.kind, columns: self.columns.into() }
    }
}

impl<T: AsRef<[u8]>> Run<T> {
    /// The entry that stands there. `piece`: of its text.
    #[inline(always)]
    fn entry(&self, place: &Place, piece: impl Fn(usize, usize) -> Piece) -> DataEntry {
        let text = Text { piece: piece(place.at + place.key, place.value) };
        let content = if self.kind == TEXT { Content::Text(text) } else { Content::Json(text) };
        DataEntry::by(Arc::clone(&self.author), place.sequence, Hlc::from_bits(place.clock), content)
    }

    /// The bare dot beside it, if there is one.
    #[inline(always)]
    fn known(&self, place: &Place) -> Option<Bare> {
        self.known.as_ref().map(|known| Bare::by(Arc::clone(known), place.dot))
    }
}

/// What is next of a run: keys with one entry each, and with the bare dots beside these. `piece`: of its text.
#[inline(always)]
pub(super) fn entries<'a, T: AsRef<[u8]>>(
    run: &'a Run<T>,
    cursor: &'a mut Cursor,
    piece: impl Fn(usize, usize) -> Piece + 'a,
) -> impl Iterator<Item = (Key, DataEntry, Option<Bare>)> + 'a {
    let columns = run.columns.as_ref();
    core::iter::repeat_with(move || {
        let place = cursor.next(columns, run.known.is_some());
        (Key { piece: piece(place.at, place.key) }, run.entry(&place, &piece), run.known(&place))
    })
}

/// Which of so many texts that ascend is looked for: from where it may be in ever longer steps, then by halves.
#[inline(always)]
fn search<'a>(count: usize, guess: usize, key: &[u8], name: impl Fn(usize) -> &'a [u8]) -> Option<usize> {
    let (mut from, mut until, mut at, mut step) = (0, count, guess, 0);
    while from < until {
        match near_cmp(name(at), key) {
            Ordering::Less => {
                from = at + 1;
                at = usize::midpoint(from, until).min(from + step);
            }
            Ordering::Equal => return Some(at),
            Ordering::Greater => {
                until = at;
                at = usize::midpoint(from, until).max(until.saturating_sub(step + 1));
            }
        }
        step = 4 * step + 1;
    }
    None
}

/// Some of a run that follow each other.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    run: Arc<Run>,
    /// All of their text.
    text: Piece,
    first: Cursor,
    keys: usize,
    /// Where in the text the last key stands.
    last: Range<u16>,
    guess: Guess,
}

impl Bundle {
    /// So many of a run from one on, with all of their text. `last`: where in the text of the run the last key stands.
    pub(super) fn of(run: Arc<Run>, text: Piece, first: Cursor, keys: usize, last: &Range<usize>) -> Self {
        let last = (last.start - first.at) as u16..(last.end - first.at) as u16;
        let mut bundle = Self { run, text, first, keys, last, guess: Guess::default() };
        bundle.guess = Guess::of(bundle.first().as_bytes(), bundle.last().as_bytes());
        bundle
    }

    /// How many keys they are.
    pub(crate) const fn len(&self) -> usize {
        self.keys
    }

    /// What they are.
    pub(crate) fn make<T>(&self, one: impl Fn(Key, DataEntry, Option<Bare>) -> T) -> Vec<T> {
        // Of the right size at once.
        let mut list = Vec::with_capacity(self.keys);
        self.each(&mut |coming| list.push(one(coming.key(), coming.entry(), coming.known())));
        list
    }

    /// Hands over each of them, of which nothing is made yet. By a call for each: so the module has this once.
    #[inline(never)]
    pub(crate) fn each(&self, take: &mut dyn FnMut(&Coming<'_>)) {
        let mut cursor = self.first;
        (0..self.keys).for_each(|_| take(&self.coming(&mut cursor)));
    }

    #[inline(always)]
    fn coming(&self, cursor: &mut Cursor) -> Coming<'_> {
        let run = &*self.run;
        Coming { bundle: self, place: cursor.next(&run.columns, run.known.is_some()) }
    }

    /// Who wrote the entries, and whose the bare dots beside them are, where there are any.
    pub(crate) fn authors(&self) -> (&Author, Option<&Author>) {
        (&self.run.author, self.run.known.as_deref())
    }

    /// The one of this number, by itself, and how many bytes of the columns were read for it.
    #[inline(never)]
    pub(crate) fn one(&self, number: usize) -> Option<(Key, DataEntry, Option<Bare>, usize)> {
        let mut cursor = self.first;
        self.pass(&mut cursor, number);
        let read = cursor.read_since(&self.first);
        let coming = self.coming(&mut cursor);
        Some((coming.key(), coming.entry(), coming.known(), read))
    }

    /// Passes over so many.
    fn pass(&self, cursor: &mut Cursor, count: usize) {
        let Run { columns, known, .. } = &*self.run;
        cursor.pass_lengths(columns, count);
        cursor.pass_stamps(columns, count, known.is_some());
    }

    /// The lengths of each key and value, where all have the same.
    pub(crate) fn alike(&self) -> Option<(usize, usize)> {
        let (columns, Cursor { numbers: [mut keys, mut values, ..], .. }) = (&*self.run.columns, self.first);
        let lengths = (keys.next(columns) as usize, values.next(columns) as usize);
        (keys.alike().min(values.alike()) + 1 >= self.keys).then_some(lengths)
    }

    /// The number of a key, if it is one of them, and how many bytes of the columns were read.
    #[inline(never)]
    pub(crate) fn seek(&self, key: &[u8]) -> (Option<usize>, usize) {
        let (columns, text, alike) = (&*self.run.columns, self.text.near_bytes(), self.alike());
        // Where each key begins and ends: a text has fewer bytes than these numbers go to.
        let (mut names, mut at, mut read) = ([(0_u16, 0_u16); PART], 0, 0);
        if alike.is_none() {
            let Cursor { numbers: [mut keys, mut values, ..], .. } = self.first;
            let before = keys.at() + values.at();
            for place in names.iter_mut().take(self.keys) {
                let until = at + keys.next(columns) as usize;
                *place = (at as u16, until as u16);
                at = until + values.next(columns) as usize;
            }
            read = keys.at() + values.at() - before;
        }
        let name = |at: usize| {
            let (from, until) = match alike {
                Some((name, value)) => (at * (name + value), at * (name + value) + name),
                None => names.get(at).map_or((0, 0), |(from, until)| (usize::from(*from), usize::from(*until))),
            };
            text.get(from..until).unwrap_or_default()
        };
        (search(self.keys, self.guess.about(key, self.keys), key, name), read)
    }

    /// Whether the one of this number has this key.
    #[inline(never)]
    pub(crate) fn has(&self, number: usize, key: &[u8]) -> bool {
        if number >= self.keys {
            return false;
        }
        let columns = &*self.run.columns;
        let mut cursor = self.first;
        cursor.pass_lengths(columns, number);
        let [mut keys, ..] = cursor.numbers;
        let from = cursor.at - self.first.at;
        self.text.near_bytes().get(from..from + keys.next(columns) as usize) == Some(key)
    }

    /// Those of these numbers, as far as there are so many, and as long as `each` takes them; whether it has taken all.
    #[inline(never)]
    pub(crate) fn rows(&self, numbers: Range<usize>, each: &mut dyn FnMut(Row<'_>) -> bool) -> bool {
        let Run { author, kind, columns, .. } = &*self.run;
        let (text, mut cursor) = (self.text.near_bytes(), self.first);
        let (from, until) = (numbers.start.min(self.keys), numbers.end.min(self.keys));
        self.pass(&mut cursor, from);
        (from..until).all(|_| {
            let Place { at, key, value, sequence, .. } = cursor.next(columns, false);
            let text = text.get(at - self.first.at..).unwrap_or_default();
            let (key, rest) = text.split_at_checked(key).unwrap_or_default();
            let value = rest.get(..value).unwrap_or_default();
            each(Row { key, value, json: *kind != TEXT, origin: &author.replica, sequence })
        })
    }

    /// The first key.
    pub(crate) fn first(&self) -> &str {
        let Cursor { numbers: [mut keys, ..], .. } = self.first;
        self.text.as_str().get(..keys.next(&self.run.columns) as usize).unwrap_or_default()
    }

    /// The last key.
    pub(crate) fn last(&self) -> &str {
        let (from, until) = (usize::from(self.last.start), usize::from(self.last.end));
        self.text.as_str().get(from..until).unwrap_or_default()
    }

    /// The bytes of each key.
    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        let (columns, text) = (&*self.run.columns, self.text.near_bytes());
        let ([mut keys, mut values, ..], mut at) = (self.first.numbers, 0);
        let names = core::iter::repeat_with(move || {
            let from = at;
            let until = from + keys.next(columns) as usize;
            at = until + values.next(columns) as usize;
            text.get(from..until).unwrap_or_default()
        });
        names.take(self.keys)
    }

    /// Their dots, by stretches: the first one, by how much each is above the one before, and how many they are.
    pub(crate) fn dots(&self, mut each: impl FnMut(Dot, u64, usize)) {
        let (columns, mut sequence, mut left) = (&*self.run.columns, self.first.sequence, self.keys);
        let [_, _, mut ahead, ..] = self.first.numbers;
        while left > 0 {
            let (number, times) = ahead.next_alike(columns, left);
            each(Dot::new(self.run.author.replica, apply(sequence, number)), number.cast_unsigned(), times);
            sequence = apply(sequence, number.wrapping_mul(times as i64));
            left -= times;
        }
    }
}

/// One of a bundle, of which nothing is made yet.
pub(crate) struct Coming<'a> {
    bundle: &'a Bundle,
    place: Place,
}

impl Coming<'_> {
    /// The bytes of its key.
    #[inline(always)]
    pub(crate) fn name(&self) -> &[u8] {
        let from = self.place.at - self.bundle.first.at;
        self.bundle.text.near_bytes().get(from..from + self.place.key).unwrap_or_default()
    }

    /// The sequence of the entry.
    #[inline(always)]
    pub(crate) const fn sequence(&self) -> u64 {
        self.place.sequence
    }

    /// The sequence of the bare dot, where there is one.
    #[inline(always)]
    pub(crate) const fn dot(&self) -> u64 {
        self.place.dot
    }

    /// Its key.
    #[inline(never)]
    pub(crate) fn key(&self) -> Key {
        Key { piece: self.piece(self.place.at, self.place.key) }
    }

    /// Its entry.
    #[inline(always)]
    pub(crate) fn entry(&self) -> DataEntry {
        self.bundle.run.entry(&self.place, |at, len| self.piece(at, len))
    }

    /// The bare dot beside that, if there is one.
    pub(crate) fn known(&self) -> Option<Bare> {
        self.bundle.run.known(&self.place)
    }

    #[inline(always)]
    fn piece(&self, at: usize, len: usize) -> Piece {
        self.bundle.text.part(at - self.bundle.first.at, len)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use proptest::prelude::*;

    use super::*;
    use crate::codec::{Reader, Writer};
    use crate::id::{ReplicaId, SessionId, Space};
    use crate::store::delta::Delta;
    use crate::store::limits::Limits;
    use crate::store::{Log, SessionConsistentStore, Written};
    use crate::vector::VersionVector;

    /// What is written one after the other: for which session, when, and of each key its number, whether it is JSON, and how long the
    /// value is.
    type Batch = (Option<u8>, u64, Vec<(usize, bool, usize)>);

    fn batches() -> impl Strategy<Value = Vec<Batch>> {
        let len = || prop_oneof![Just(30_usize), 1..200_usize];
        // Beside what keys have in common long enough for a run.
        let all = (prop::option::of(0..2_u8), len().prop_map(|len| len.max(20)), any::<bool>());
        // All of one length and kind, as the first ones are, with others among them.
        let all = all.prop_map(|(session, len, json)| (session, 0, (0..900).map(|n| (n, json, len)).collect()));
        let rows = prop::collection::vec((0..900_usize, prop::bool::weighted(0.05), len()), 1..200);
        let others = prop::collection::vec((prop::option::of(0..2_u8), 0..5_000_u64, rows), 0..4);
        (all, others).prop_map(|(all, others)| [alloc::vec![all], others].concat())
    }

    /// Those of them that come in runs, as they are read from bytes. `wide`: keys have several lengths.
    fn bundles(batches: &[Batch], wide: bool) -> Option<Vec<Bundle>> {
        let (space, id) = (Space::first("s").ok()?, ReplicaId::new("a", [0; 10]).ok()?);
        let mut store = SessionConsistentStore::new(Limits { batch_keys: 4_000, ..Limits::default() });
        for (session, later, rows) in batches {
            let mut log = Log::default();
            for (n, json, len) in rows {
                let (key, value) = (if wide { format!("ä{n}") } else { format!("ä{n:05}") }, format!("{n:.>len$}"));
                log.put(&key, if *json { Written::Json(&value) } else { Written::Text(&value) });
            }
            let session = session.map(|session| SessionId::from_bytes([session; 16]));
            store.write(&space, id, session, log.finish(), &[], 5_000 + later).ok()?;
        }
        let mut writer = Writer::new();
        store.extract(&space, &VersionVector::new())?.encode(&mut writer);
        let delta = Delta::decode(&mut Reader::open(&writer.finish()).ok()?).ok()?;
        Some(delta.keys.into_parts().iter().filter_map(|part| part.bundle().cloned()).collect())
    }

    /// A row as it is told: its key, value and kind, and the write that made it.
    fn told(row: Row<'_>) -> (Vec<u8>, Vec<u8>, bool, Dot) {
        (row.key.to_vec(), row.value.to_vec(), row.json, Dot::new(*row.origin, row.sequence))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Whoever looks at one, finds one or is told of some is told what the list has that is made of all.
        #[test]
        fn one_by_itself_is_what_it_is_among_all(batches in batches(), wide in any::<bool>(), cut in (0..300_usize, 0..300_usize)) {
            let all = batches.get(..1).and_then(|all| bundles(all, wide));
            prop_assert!(all.is_some_and(|bundles| !bundles.is_empty()), "nothing comes in a run");
            let Some(bundles) = bundles(&batches, wide) else { panic!("no bundles") };
            for bundle in bundles {
                let live = bundle.text.live();
                let made = bundle.make(|key, entry, known| (key, entry, known));
                prop_assert_eq!(made.len(), bundle.len());
                let rows: Vec<_> = made.iter().map(|(key, entry, _)| {
                    let (json, text) = match &entry.content {
                        Content::Json(text) => (true, text),
                        Content::Text(text) => (false, text),
                        Content::Tombstone | Content::Bytes(_) => panic!("no text"),
                    };
                    (key.as_bytes().to_vec(), text.piece.as_bytes().to_vec(), json, entry.dot())
                }).collect();
                for (at, (key, entry, known)) in made.iter().enumerate() {
                    let Some((one, alone, beside, _)) = bundle.one(at) else { panic!("it is one of them") };
                    prop_assert_eq!((&one, &alone, &beside), (key, entry, known));
                    prop_assert_eq!(bundle.seek(key.as_bytes()).0, Some(at));
                    prop_assert!(bundle.has(at, key.as_bytes()) && !bundle.has(at + 1, key.as_bytes()));
                    for other in [String::from(&**key) + "\0", String::from(&key[..key.len() - 1]) + "/"] {
                        prop_assert_eq!(bundle.seek(other.as_bytes()).0, None);
                        prop_assert!(!bundle.has(at, other.as_bytes()));
                    }
                }
                for absent in ["", "a", "\u{e4}", "\u{10ffff}"] {
                    prop_assert_eq!(bundle.seek(absent.as_bytes()).0, None);
                }
                let (from, until) = (cut.0.min(made.len()), cut.1.min(made.len()));
                let mut some = Vec::new();
                let all = bundle.rows(cut.0..cut.1, &mut |row| { some.push(told(row)); true });
                prop_assert!(all);
                prop_assert_eq!(&some[..], rows.get(from..until).unwrap_or_default());
                let mut first = Vec::new();
                let all = bundle.rows(0..made.len(), &mut |row| { first.push(told(row)); first.len() < 7 });
                prop_assert!(!all);
                prop_assert_eq!(&first[..], &rows[..made.len().min(7)]);
                // What was looked at and let go of is held no longer.
                drop(made);
                prop_assert_eq!(bundle.text.live(), live);
            }
        }
    }
}
