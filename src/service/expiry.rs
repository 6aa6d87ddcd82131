//! The timer queue: when which slot is to be looked at, the earliest first.
//!
//! Invariant: a slot is in the queue at most once, and the queue is a heap; adding, moving and removing cost O(log n), the
//! earliest is at hand. A time in the queue may be too early (a touch does not move it), never too late: whoever takes a
//! slot out asks when it is really due, and puts it back.

use alloc::vec::Vec;

use crate::time::Millis;

/// A slot that is not in the queue.
const NOWHERE: u32 = u32::MAX;

/// Slots by the time at which they are due.
#[derive(Debug, Default)]
pub struct TimerQueue {
    heap: Vec<(Millis, u32)>,
    /// For each slot its place in the heap.
    places: Vec<u32>,
}

impl TimerQueue {
    /// The earliest time in the queue.
    #[must_use]
    pub fn earliest(&self) -> Option<Millis> {
        self.heap.first().map(|(at, _)| *at)
    }

    /// How many slots wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The bytes of memory that the queue has taken.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.heap.capacity() * size_of::<(Millis, u32)>() + self.places.capacity() * size_of::<u32>()
    }

    /// Puts a slot into the queue, or moves it.
    pub fn set(&mut self, slot: u32, at: Millis) {
        self.remove(slot);
        let place = self.heap.len();
        self.heap.push((at, slot));
        self.note(place);
        self.rise(place);
    }

    /// Takes a slot out of the queue, if it is there.
    pub fn remove(&mut self, slot: u32) {
        let Some(place) = self.places.get_mut(slot as usize).filter(|place| **place != NOWHERE) else { return };
        let place = core::mem::replace(place, NOWHERE) as usize;
        let last = self.heap.len() - 1;
        self.heap.swap(place, last);
        self.heap.truncate(last);
        if place < last {
            self.note(place);
            self.sink(place);
            self.rise(place);
        }
    }

    /// Takes out the earliest slot, if it is due.
    pub fn pop(&mut self, now: Millis) -> Option<u32> {
        let (_, slot) = *self.heap.first().filter(|(at, _)| *at <= now)?;
        self.remove(slot);
        Some(slot)
    }

    /// Writes down where the slot at `place` is.
    fn note(&mut self, place: usize) {
        let Some((_, slot)) = self.heap.get(place) else { return };
        let slot = *slot as usize;
        if slot >= self.places.len() {
            self.places.resize(slot + 1, NOWHERE);
        }
        if let Some(own) = self.places.get_mut(slot) {
            *own = place as u32;
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        self.note(one);
        self.note(other);
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 && self.heap.get(place) < self.heap.get((place - 1) / 2) {
            self.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let children = [2 * place + 1, 2 * place + 2];
            let least = children.into_iter().filter(|child| *child < self.heap.len()).min_by_key(|c| self.heap.get(*c));
            match least {
                Some(child) if self.heap.get(child) < self.heap.get(place) => {
                    self.swap(place, child);
                    place = child;
                }
                _ => return,
            }
        }
    }
}
