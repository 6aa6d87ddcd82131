//! A column of a run, one number an entry: `count, number` for equal neighbours, `−count, number, number, …` for others.
//!
//! A received column is checked once, stretch by stretch, and then read in place.

use alloc::vec::Vec;

use crate::codec::cbor::{Input, Output};

/// Fewer than so many are not worth a stretch of their own.
const ALIKE: usize = 3;

/// A column that is being made: each number, and how many of it follow each other, of which the last ones are not counted yet.
#[derive(Default)]
pub(super) struct Column {
    number: i64,
    /// Where the first of the last ones stands.
    since: usize,
    stretches: Vec<(i64, usize)>,
}

impl Column {
    /// Adds a number, behind so many others.
    #[inline(always)]
    pub(super) fn add(&mut self, at: usize, number: i64) {
        if number != self.number {
            self.turn(at, number);
        }
    }

    #[inline(never)]
    fn turn(&mut self, at: usize, number: i64) {
        if at > self.since {
            self.stretches.push((self.number, at - self.since));
        }
        (self.number, self.since) = (number, at);
    }

    /// Writes the column, which has so many numbers, and begins anew.
    #[inline(never)]
    pub(super) fn write(&mut self, count: usize, output: &mut Output) {
        self.turn(count, 0);
        let mut left = self.stretches.as_slice();
        while let [(number, times), behind @ ..] = left {
            if *times >= ALIKE || behind.is_empty() {
                output.u64(*times as u64);
                output.i64(*number);
                left = behind;
                continue;
            }
            let others = left.iter().take_while(|(_, times)| *times < ALIKE).count();
            let (others, behind) = left.split_at_checked(others).unwrap_or_default();
            output.i64(-(others.iter().map(|(_, times)| *times as i64).sum::<i64>()));
            for (number, times) in others {
                (0..*times).for_each(|_| output.i64(*number));
            }
            left = behind;
        }
        self.stretches.clear();
        self.since = 0;
    }
}

/// Passes over a column of so many numbers, and tells each, and how many of it follow each other.
#[inline(always)]
pub(super) fn check(input: &mut Input<'_>, count: usize, mut each: impl FnMut(i64, usize) -> bool) -> Option<()> {
    let mut left = count;
    while left > 0 {
        let stretch = input.i64()?;
        let some = usize::try_from(stretch.unsigned_abs()).ok().filter(|some| (1..=left).contains(some))?;
        let (numbers, times) = if stretch > 0 { (1, some) } else { (some, 1) };
        for _ in 0..numbers {
            each(input.near_i64()?, times).then_some(())?;
        }
        left -= some;
    }
    Some(())
}

/// The next number of a column, which was checked: of what was not it tells something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    /// What stands next, and whether that is alike.
    at: usize,
    number: i64,
    alike: bool,
    left: usize,
}

impl Numbers {
    /// Those of the column that begins there.
    pub(super) const fn new(at: usize) -> Self {
        Self { at, number: 0, alike: true, left: 0 }
    }

    /// The next one.
    #[inline(always)]
    pub(super) fn next(&mut self, columns: &[u8]) -> i64 {
        if self.left == 0 || !self.alike {
            *self = self.turned(columns);
        }
        self.left -= 1;
        self.number
    }

    /// How many behind the last one are the same, as far as is known.
    #[inline(always)]
    pub(super) const fn alike(&self) -> usize {
        if self.alike { self.left } else { 0 }
    }

    /// Passes over so many that are the same.
    #[inline(always)]
    pub(super) const fn pass(&mut self, alike: usize) {
        self.left -= alike;
    }

    /// The next one, and how many of it follow each other, of so many.
    pub(super) fn next_alike(&mut self, columns: &[u8], most: usize) -> (i64, usize) {
        let number = self.next(columns);
        let more = self.alike().min(most.saturating_sub(1));
        self.pass(more);
        (number, 1 + more)
    }

    /// Passes over so many; what they are together, which wraps at 64 bits.
    #[inline(never)]
    pub(super) fn pass_over(&mut self, columns: &[u8], count: usize) -> i64 {
        let Self { at, mut number, mut alike, mut left } = *self;
        let (mut sum, mut count, mut input) = (0_i64, count, Input::new(columns.get(at..).unwrap_or_default()));
        while count > 0 {
            if left == 0 {
                let stretch = input.near_i64().unwrap_or_default();
                (left, alike) = (stretch.unsigned_abs().max(1) as usize, stretch > 0);
                if alike {
                    number = input.near_i64().unwrap_or_default();
                }
            }
            let some = left.min(count);
            if alike {
                sum = sum.wrapping_add(number.wrapping_mul(some as i64));
            } else {
                for _ in 0..some {
                    number = input.near_i64().unwrap_or_default();
                    sum = sum.wrapping_add(number);
                }
            }
            (left, count) = (left - some, count - some);
        }
        *self = Self { at: columns.len() - input.left(), number, alike, left };
        sum
    }

    /// Where in the columns what is next stands.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// With the number that is next.
    #[inline(never)]
    fn turned(self, columns: &[u8]) -> Self {
        let mut input = Input::new(columns.get(self.at..).unwrap_or_default());
        let (mut left, mut alike) = (self.left, self.alike);
        if left == 0 {
            let stretch = input.i64().unwrap_or_default();
            (left, alike) = (stretch.unsigned_abs().max(1) as usize, stretch > 0);
        }
        let number = input.near_i64().unwrap_or_default();
        Self { at: columns.len() - input.left(), number, alike, left }
    }
}

/// Passes over a column of so many numbers.
pub(super) fn skim(input: &mut Input<'_>, count: u64) -> Option<()> {
    let mut left = count;
    while left > 0 {
        let stretch = input.i64()?;
        let some = stretch.unsigned_abs();
        left = left.checked_sub(some).filter(|_| some > 0)?;
        (0..if stretch > 0 { 1 } else { some }).try_for_each(|_| input.skip())?;
    }
    Some(())
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All numbers of a column.
    fn read(input: &mut Input<'_>, count: usize, column: &mut Vec<i64>) -> Option<()> {
        column.clear();
        check(input, count, |number, times| {
            column.resize(column.len() + times, number);
            true
        })
    }

    /// Numbers of which some that follow each other are alike.
    fn numbers() -> impl Strategy<Value = Vec<i64>> {
        let number = prop_oneof![-3..3_i64, any::<i64>()];
        let stretches = prop::collection::vec((number, 1..6_usize), 0..12);
        stretches
            .prop_map(|all| all.into_iter().flat_map(|(number, times)| core::iter::repeat_n(number, times)).collect())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(column in numbers()) {
            let mut output = Output::default();
            let mut written = Column::default();
            column.iter().enumerate().for_each(|(at, number)| written.add(at, *number));
            written.write(column.len(), &mut output);
            prop_assert!(written.stretches.is_empty() && written.since == 0);
            output.u64(7);
            let (bytes, mut read_back) = (output.into_bytes(), alloc::vec![1, 2, 3]);
            let mut input = Input::new(&bytes);
            prop_assert_eq!(read(&mut input, column.len(), &mut read_back), Some(()));
            prop_assert_eq!(&read_back, &column);
            prop_assert_eq!((input.u64(), input.left()), (Some(7), 0), "and nothing behind it");
            // Each that is like no other takes its own bytes; and a few for those who are.
            prop_assert!(bytes.len() <= 1 + 10 * column.len());
            if !column.is_empty() {
                prop_assert_eq!(read(&mut Input::new(&bytes[..bytes.len() - 2]), column.len() + 1, &mut read_back), None);
            }
        }

        /// In whatever steps one goes through them, and whatever was passed over.
        #[test]
        fn what_is_passed_over_is_what_they_are_together(column in numbers(), steps in prop::collection::vec((any::<bool>(), 0..9_usize), 0..12)) {
            let (mut output, mut written) = (Output::default(), Column::default());
            column.iter().enumerate().for_each(|(at, number)| written.add(at, *number));
            written.write(column.len(), &mut output);
            let bytes = output.into_bytes();
            let (mut numbers, mut left) = (Numbers::new(0), &column[..]);
            for (pass, most) in steps {
                let (some, rest) = left.split_at(most.min(left.len()));
                if pass {
                    prop_assert_eq!(numbers.pass_over(&bytes, some.len()), some.iter().fold(0_i64, |sum, number| sum.wrapping_add(*number)));
                } else {
                    let read: Vec<_> = some.iter().map(|_| numbers.next(&bytes)).collect();
                    prop_assert_eq!(&read[..], some);
                }
                left = rest;
            }
            prop_assert_eq!(numbers.pass_over(&bytes, left.len()), left.iter().fold(0_i64, |sum, number| sum.wrapping_add(*number)));
            prop_assert_eq!(numbers.at(), bytes.len());
        }

        #[test]
        fn whatever_stands_there_it_has_no_more_numbers_than_asked(bytes in prop::collection::vec(any::<u8>(), 0..40), count in 0..100_usize) {
            let mut column = Vec::new();
            if read(&mut Input::new(&bytes), count, &mut column).is_some() {
                prop_assert_eq!(column.len(), count);
            }
            prop_assert!(column.capacity() <= 2 * count.max(8));
        }
    }

    #[test]
    fn stretches_that_are_empty_or_too_long_are_none() {
        for bytes in [
            &[0x00, 0x01][..],
            &[0x03, 0x01],
            &[0x22, 1, 1, 1],
            &[0x01, 0x01, 0x02, 0x01],
            &[0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ] {
            assert_eq!(read(&mut Input::new(bytes), 2, &mut Vec::new()), None, "{bytes:?}");
        }
    }
}
