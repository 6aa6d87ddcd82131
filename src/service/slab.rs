//! A list that grows in pieces: what it holds is never moved, and never copied to grow.
//!
//! A vector that doubles copies itself, and for a while holds itself twice; linear memory never shrinks. Invariant: places are
//! numbered from 0 without a gap, and an item keeps its place.

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
