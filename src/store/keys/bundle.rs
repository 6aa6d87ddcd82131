//! Keys of a run as they came, text and columns, of which entries are made when somebody looks at them.
//!
//! Invariant: what is here was checked: texts begin and end where characters do, keys ascend, sequences are in range. So to make
//! entries refuses nothing, and may wait.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::{Range, RangeInclusive};

use super::column::{self, Numbers};
use super::{TEXT, apply, is_edge};
use crate::codec::cbor::Input;
use crate::id::Dot;
use crate::store::delta::Bare;
use crate::store::entry::key::near_cmp;
use crate::store::entry::piece::{PIECE_MAX, Piece};
use crate::store::entry::{Author, Content, DataEntry, Key, Text};
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
}

impl Cursor {
    /// The next one.
    #[inline(always)]
    fn next(&mut self, columns: &[u8]) -> Place {
        let at = self.at;
        let [keys, values, ahead, since, _] = &mut self.numbers;
        let (key, value) = (keys.next(columns) as usize, values.next(columns) as usize);
        self.at += key + value;
        self.sequence = apply(self.sequence, ahead.next(columns));
        self.clock = apply(self.clock, since.next(columns));
        Place { at, key, value, sequence: self.sequence, clock: self.clock }
    }

    /// The sequence of the next bare dot.
    #[inline(always)]
    fn next_dot(&mut self, columns: &[u8]) -> u64 {
        let [.., dots] = &mut self.numbers;
        self.dot = apply(self.dot, dots.next(columns));
        self.dot
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
            let mut left = count;
            while left > 0 {
                let (number, times) = numbers.next_alike(columns, left);
                *stamp = apply(*stamp, number.wrapping_mul(times as i64));
                left -= times;
            }
        }
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

/// What is next of a run: keys with one entry each, and with the bare dots beside these. `piece`: of its text.
#[inline(always)]
pub(super) fn entries<'a, T: AsRef<[u8]>>(
    run: &'a Run<T>,
    cursor: &'a mut Cursor,
    piece: impl Fn(usize, usize) -> Piece + 'a,
) -> impl Iterator<Item = (Key, DataEntry, Option<Bare>)> + 'a {
    let Run { author, known, kind, columns } = run;
    let columns = columns.as_ref();
    core::iter::repeat_with(move || {
        let Place { at, key, value, sequence, clock } = cursor.next(columns);
        let (key, text) = (Key { piece: piece(at, key) }, Text { piece: piece(at + key, value) });
        let content = if *kind == TEXT { Content::Text(text) } else { Content::Json(text) };
        let known = known.as_ref().map(|known| Bare::by(Arc::clone(known), cursor.next_dot(columns)));
        (key, DataEntry::by(Arc::clone(author), sequence, Hlc::from_bits(clock), content), known)
    })
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
}

impl Bundle {
    /// So many of a run from one on, with all of their text. `last`: where in the text of the run the last key stands.
    pub(super) fn of(run: Arc<Run>, text: Piece, first: Cursor, keys: usize, last: &Range<usize>) -> Self {
        let last = (last.start - first.at) as u16..(last.end - first.at) as u16;
        Self { run, text, first, keys, last }
    }

    /// How many keys they are.
    pub(crate) const fn len(&self) -> usize {
        self.keys
    }

    /// What they are.
    #[inline(never)]
    pub(crate) fn make<T>(&self, one: impl Fn(Key, DataEntry, Option<Bare>) -> T) -> Vec<T> {
        let Some((block, from)) = self.text.divided() else { return Vec::new() };
        let mut cursor = Cursor { at: from, ..self.first };
        let entries = entries(&self.run, &mut cursor, |at, len| block.counted(at, len));
        // Of the right size at once.
        (0..self.keys).zip(entries).map(|(_, (key, entry, known))| one(key, entry, known)).collect()
    }

    /// Hands over each of them.
    #[inline(always)]
    pub(crate) fn each(&self, mut take: impl FnMut(Key, DataEntry, Option<Bare>)) {
        let Some((block, from)) = self.text.divided() else { return };
        let mut cursor = Cursor { at: from, ..self.first };
        let entries = entries(&self.run, &mut cursor, |at, len| block.counted(at, len));
        entries.take(self.keys).for_each(|(key, entry, known)| take(key, entry, known));
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
