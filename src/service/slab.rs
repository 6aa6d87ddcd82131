//! A list that grows in pieces: what it holds is never moved, and never copied to grow.
//!
//! A vector that doubles copies itself, and for a while holds itself twice; linear memory never shrinks. Invariant: places are
//! numbered from 0 without a gap, and an item keeps its place. [`ask_ahead`] is how the memory comes for many pieces at once.

use alloc::vec::Vec;

/// Items a piece: the first item pays for all of its piece, and most replicas hold few.
const PIECE: usize = 32;

/// Items by their place.
#[derive(Debug)]
pub struct Slab<T>(Vec<Vec<T>>);

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Slab<T> {
    /// How many places there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * PIECE + last.len())
    }

    /// Whether there is no place.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is at a place.
    #[must_use]
    #[inline]
    pub fn get(&self, at: u32) -> Option<&T> {
        self.0.get(at as usize / PIECE)?.get(at as usize % PIECE)
    }

    /// What is at a place, to be changed.
    #[inline]
    pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.0.get_mut(at as usize / PIECE)?.get_mut(at as usize % PIECE)
    }

    /// Adds an item behind the others; its place.
    pub fn push(&mut self, item: T) -> u32 {
        let at = self.len() as u32;
        if self.0.last().is_none_or(|piece| piece.len() == PIECE) {
            self.0.push(Vec::with_capacity(PIECE));
        }
        if let Some(piece) = self.0.last_mut() {
            piece.push(item);
        }
        at
    }
}

/// Where linear memory has grown since it had `seen` pages, has it grow by a sixteenth more, which the allocator holds from then
/// on; answers the pages that there are.
///
/// An allocator asks for a page of 64 KiB at a time. To an engine each time is a new buffer of the whole length, which it enters in
/// its books, and collects garbage for: of beginning a million sessions seven tenths were that.
#[cfg(target_arch = "wasm32")]
#[must_use]
pub fn ask_ahead(seen: usize) -> usize {
    let pages = core::arch::wasm32::memory_size::<0>();
    if pages == seen {
        return pages;
    }
    let mut step: Vec<u8> = Vec::new();
    // Where there is not so much, it comes page by page.
    if step.try_reserve_exact((pages / 16) << 16).is_ok() {
        drop(core::hint::black_box(step));
    }
    core::arch::wasm32::memory_size::<0>()
}

/// Elsewhere memory comes as it is used.
#[cfg(not(target_arch = "wasm32"))]
#[must_use]
pub const fn ask_ahead(seen: usize) -> usize {
    seen
}
