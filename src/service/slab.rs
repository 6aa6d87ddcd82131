//! A list that grows in pieces: its items are never moved or copied when it grows.
//!
//! A vector that doubles copies its contents and for a while holds them twice, and linear memory never shrinks.
//!
//! Invariant: indices start at 0 without a gap, and an item keeps its index.

use alloc::vec::Vec;

/// Items per piece. The first item pays for a whole piece, and most replicas hold few.
const PIECE: usize = 32;

/// Items by index.
#[derive(Debug)]
pub struct Slab<T>(Vec<Vec<T>>);

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Slab<T> {
    /// The number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * PIECE + last.len())
    }

    /// Whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The item at an index.
    #[must_use]
    #[inline]
    pub fn get(&self, at: u32) -> Option<&T> {
        self.0.get(at as usize / PIECE)?.get(at as usize % PIECE)
    }

    /// The item at an index, mutable.
    #[inline]
    pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.0.get_mut(at as usize / PIECE)?.get_mut(at as usize % PIECE)
    }

    /// Appends an item; returns its index.
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
