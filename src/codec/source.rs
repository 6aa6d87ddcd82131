//! A frame that lies elsewhere, as in the memory of a host, and is read through a window: what is long in it, the keys of a
//! snapshot, is never in memory as a whole.
//!
//! Invariant: what is read so is what would be read of the whole. Where anything is not as it must be, or does not lie in the window
//! in which it is to, there is no answer, and the whole is to be read.

use alloc::vec;
use alloc::vec::Vec;
use core::cell::OnceCell;

use crate::codec::cbor::Input;

/// Bytes that lie elsewhere, and do not change while they are read.
pub trait Source {
    /// How many they are.
    fn size(&self) -> usize;

    /// Copies those from `from` on, as many as `into` has room for. There are as many.
    fn copy(&self, from: usize, into: &mut [u8]);

    /// How many of them are looked at at a time, unless more have to be.
    fn window(&self) -> usize {
        WINDOW
    }

    /// All of them, where they lie in memory.
    fn whole(&self) -> Option<&[u8]> {
        None
    }
}

impl Source for &[u8] {
    fn size(&self) -> usize {
        <[u8]>::len(self)
    }

    fn copy(&self, from: usize, into: &mut [u8]) {
        if let Some(bytes) = from.checked_add(into.len()).and_then(|until| self.get(from..until)) {
            into.copy_from_slice(bytes);
        }
    }

    fn whole(&self) -> Option<&[u8]> {
        Some(self)
    }
}

/// Some of the bytes of a source.
pub(crate) fn part(source: &dyn Source, from: usize, until: usize) -> Vec<u8> {
    let mut bytes = vec![0; until.saturating_sub(from)];
    source.copy(from, &mut bytes);
    bytes
}

/// How many bytes a window has: of the one before it what was not read, mostly some of a run, is copied once more.
const WINDOW: usize = 128 << 10;

/// A source whose first bytes are in memory, and, once they were asked for, its last.
pub(crate) struct Beyond<'b> {
    source: &'b dyn Source,
    /// How many of the first are in memory.
    first: usize,
    last: OnceCell<Vec<u8>>,
}

impl<'b> Beyond<'b> {
    pub(crate) const fn new(source: &'b dyn Source, first: usize) -> Self {
        Self { source, first, last: OnceCell::new() }
    }

    /// The section of so many bytes that begins with the last of those in memory, and what follows it.
    pub(crate) fn section(&'b self, first: Input<'b>, len: u64) -> Option<(Section<'b>, Input<'b>)> {
        let until = usize::try_from(len).ok()?.checked_add(self.first - first.left())?;
        if until > self.source.size() {
            return None;
        }
        let last = self.last.get_or_init(|| part(self.source, until, self.source.size()));
        Some((Section { first, beyond: Some((self.source, self.first..until)) }, Input::new(last)))
    }
}

/// A byte string that holds a sequence of items.
pub(crate) struct Section<'b> {
    first: Input<'b>,
    /// Where those lie that are not in memory.
    beyond: Option<(&'b dyn Source, core::ops::Range<usize>)>,
}

impl<'b> Section<'b> {
    /// One that is in memory.
    pub(crate) const fn of(bytes: &'b [u8]) -> Self {
        Self { first: Input::new(bytes), beyond: None }
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.first.left() + self.beyond.as_ref().map_or(0, |(_, beyond)| beyond.len())
    }

    /// Has all of it read, by portions: `read` is told how many bytes follow a portion, and tells how many it has left, because they
    /// are the beginning of what goes on there. Of the last it leaves none.
    pub(crate) fn each<E>(self, mut read: impl FnMut(Input<'_>, usize) -> Result<usize, E>) -> Result<(), E> {
        let Some((source, mut beyond)) = self.beyond else { return read(self.first, 0).map(drop) };
        let mut left = read(self.first, beyond.len())?;
        let (mut window, mut size) = (Vec::new(), source.window());
        while left + beyond.len() > 0 {
            if left == window.len() && left > 0 {
                size *= 2;
            }
            beyond.start -= left;
            window.resize(beyond.len().min(size), 0);
            source.copy(beyond.start, &mut window);
            beyond.start += window.len();
            left = read(Input::new(&window), beyond.len())?;
        }
        Ok(())
    }
}
