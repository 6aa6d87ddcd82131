//! The timer queue: when which slot is to be looked at, the earliest first.
//!
//! Invariant: a slot is in the queue at most once, and the queue is a heap; adding, moving and removing cost O(log n), the
//! earliest is at hand. A time in the queue may be too early (a touch does not move it), never too late: whoever takes a
//! slot out asks when it is really due, and puts it back.

use alloc::vec::Vec;

use crate::time::Millis;

/// A slot that is not in the queue.
const NOWHERE: u32 = u32::MAX;
/// How many stand below one in the heap: with four there are half as many steps as with two, and four lie side by side.
const WIDTH: usize = 4;

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

    /// Moves what is at `from` to `to`.
    fn shift(&mut self, from: usize, to: usize) {
        if let Some(moved) = self.heap.get(from).copied()
            && let Some(place) = self.heap.get_mut(to)
        {
            *place = moved;
            self.note(to);
        }
    }

    fn put(&mut self, place: usize, own: (Millis, u32)) {
        if let Some(there) = self.heap.get_mut(place) {
            *there = own;
            self.note(place);
        }
    }

    /// What is at `place` goes up to where nothing above it is later.
    fn rise(&mut self, mut place: usize) {
        let Some(own) = self.heap.get(place).copied() else { return };
        while place > 0 && self.heap.get((place - 1) / WIDTH).is_some_and(|above| own < *above) {
            self.shift((place - 1) / WIDTH, place);
            place = (place - 1) / WIDTH;
        }
        self.put(place, own);
    }

    /// What is at `place` goes down to where nothing below it is earlier.
    fn sink(&mut self, mut place: usize) {
        let Some(own) = self.heap.get(place).copied() else { return };
        loop {
            let first = WIDTH * place + 1;
            let below = self.heap.get(first..self.heap.len().min(first + WIDTH)).unwrap_or_default();
            match below.iter().enumerate().min_by_key(|(_, held)| **held) {
                Some((at, least)) if *least < own => {
                    self.shift(first + at, place);
                    place = first + at;
                }
                _ => return self.put(place, own),
            }
        }
    }
}
