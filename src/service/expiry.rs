//! The timer queue: when which slot is to be looked at. Wheels within wheels (Varghese and Lauck, 1987).
//!
//! A wheel has 64 buckets. Those of the first hold a millisecond each, those of the next as much as the wheel before in all. A slot
//! waits in the wheel of the highest digit in which its time differs from the queue's, in the bucket of that digit; when that bucket
//! has its turn, its slots come down into the wheels below.
//!
//! Invariants: a slot is in the queue at most once, under its own time; adding, moving and removing cost O(1), and so does taking
//! out, beside at most one step a wheel; no slot is given out before its time, and none is kept back after it. A time in the queue may
//! be too early (a touch does not move it), never too late: whoever takes a slot out asks when it is really due, and puts it back.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::slab::Slab;
use crate::time::Millis;

/// The bits of a time that one wheel tells apart.
const BITS: u32 = 6;
const BUCKETS: usize = 1 << BITS;
/// The end of a list.
const NONE: u32 = u32::MAX;
/// What stands before a slot that is not in the queue.
const NOWHERE: u32 = u32::MAX - 1;
/// With so few in a bucket its earliest time is looked for anew when one goes.
const FEW: u32 = 8;
/// The queue's time is set back to a multiple of this, so that it is seldom set back twice: four hours and a half.
const BACK: Millis = 1 << (4 * BITS);

/// A slot that waits, in the list of its bucket.
#[derive(Debug)]
struct Waiting {
    at: Millis,
    next: u32,
    before: u32,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// No slot in it is due before.
    least: Millis,
    first: u32,
    len: u32,
}

const EMPTY: Bucket = Bucket { least: Millis::MAX, first: NONE, len: 0 };

#[derive(Debug)]
struct Wheel {
    /// A bit for each bucket that is not empty.
    filled: u64,
    buckets: [Bucket; BUCKETS],
}

/// Slots by the time at which they are due.
#[derive(Debug, Default)]
pub struct TimerQueue {
    /// The queue's time: no slot in it is due before.
    start: Millis,
    len: usize,
    /// A bit for each wheel that is not empty.
    filled: u16,
    /// Those that were ever needed.
    wheels: Vec<Option<Box<Wheel>>>,
    slots: Slab<Waiting>,
}

impl TimerQueue {
    /// The time at which to look at the queue next: never after the earliest in it. It is that time itself, unless from among more
    /// than eight slots, which come due far from now within what one bucket holds, the earliest was removed: then it may be earlier by
    /// as much as the bucket holds. Who looks then, and finds nothing due, is told a later time.
    #[must_use]
    pub fn earliest(&self) -> Option<Millis> {
        self.foremost().map(|(.., bucket)| bucket.least)
    }

    /// How many slots wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts a slot into the queue, or moves it.
    pub fn set(&mut self, slot: u32, at: Millis) {
        self.remove(slot);
        while self.slots.len() <= slot as usize {
            self.slots.push(Waiting { at: 0, next: NONE, before: NOWHERE });
        }
        if self.len == 0 {
            self.start = at - at % BACK;
        } else if at < self.start {
            self.set_back(at - at % BACK);
        }
        self.len += 1;
        self.put(slot, at);
    }

    /// Takes a slot out of the queue, if it is there.
    pub fn remove(&mut self, slot: u32) {
        let Some(own) = self.slots.get_mut(slot).filter(|own| own.before != NOWHERE) else { return };
        let Waiting { at, next, before } = *own;
        own.before = NOWHERE;
        if let Some(next) = self.slots.get_mut(next) {
            next.before = before;
        }
        if let Some(before) = self.slots.get_mut(before) {
            before.next = next;
        }
        self.len -= 1;
        let (wheel, place) = self.place(at);
        let Some(bucket) = self.bucket_mut(wheel, place) else { return };
        if before == NONE {
            bucket.first = next;
        }
        bucket.len -= 1;
        let Bucket { first, len, .. } = *bucket;
        if len == 0 {
            self.clear(wheel, place);
        } else if len <= FEW {
            let held = core::iter::successors(self.slots.get(first), |held| self.slots.get(held.next));
            let least = held.map(|held| held.at).min().unwrap_or(at);
            if let Some(bucket) = self.bucket_mut(wheel, place) {
                bucket.least = least;
            }
        }
    }

    /// Takes out a slot that is due, if there is one; of several any.
    pub fn pop(&mut self, now: Millis) -> Option<u32> {
        loop {
            let (wheel, place, bucket) = self.foremost()?;
            if bucket.least > now {
                return None;
            }
            // Where the bucket begins, and its last millisecond.
            let span = (1_u64 << (wheel as u32 * BITS)) - 1;
            let begins = bucket.least & !span;
            if begins | span <= now {
                return self.take(wheel, place, bucket);
            }
            // Only some of it is due, and it is the first: the queue's time comes to it, and its slots come down.
            self.clear(wheel, place);
            self.start = self.start.max(begins);
            let mut slot = bucket.first;
            while let Some(Waiting { at, next, .. }) = self.slots.get(slot) {
                let (at, next) = (*at, *next);
                self.put(slot, at);
                slot = next;
            }
        }
    }

    /// Takes the first slot out of a bucket of which every slot is due.
    fn take(&mut self, wheel: usize, place: usize, bucket: Bucket) -> Option<u32> {
        let own = self.slots.get_mut(bucket.first)?;
        own.before = NOWHERE;
        let next = own.next;
        self.len -= 1;
        match self.slots.get_mut(next) {
            Some(held) => held.before = NONE,
            None => self.clear(wheel, place),
        }
        if let Some(left) = self.bucket_mut(wheel, place).filter(|left| left.len > 0) {
            (left.first, left.len) = (next, left.len - 1);
        }
        Some(bucket.first)
    }

    /// The wheel and the bucket of a time.
    const fn place(&self, at: Millis) -> (usize, usize) {
        let wheel = (63 - ((at ^ self.start) | 1).leading_zeros()) / BITS;
        (wheel as usize, (at >> (wheel * BITS)) as usize % BUCKETS)
    }

    /// The bucket that has its turn first: the slots of a wheel are due before those of the next.
    fn foremost(&self) -> Option<(usize, usize, Bucket)> {
        let wheel = self.filled.trailing_zeros() as usize;
        let turning = self.wheels.get(wheel)?.as_ref()?;
        let place = turning.filled.trailing_zeros() as usize;
        Some((wheel, place, *turning.buckets.get(place)?))
    }

    fn bucket_mut(&mut self, wheel: usize, place: usize) -> Option<&mut Bucket> {
        self.wheels.get_mut(wheel)?.as_mut()?.buckets.get_mut(place)
    }

    /// Nothing is in the bucket any more.
    fn clear(&mut self, wheel: usize, place: usize) {
        let Some(turning) = self.wheels.get_mut(wheel).and_then(Option::as_mut) else { return };
        if let Some(bucket) = turning.buckets.get_mut(place) {
            *bucket = EMPTY;
        }
        turning.filled &= !(1 << place);
        if turning.filled == 0 {
            self.filled &= !(1 << wheel);
        }
    }

    /// Puts a slot that is in no list into that of its time.
    fn put(&mut self, slot: u32, at: Millis) {
        let (wheel, place) = self.place(at);
        if wheel >= self.wheels.len() {
            self.wheels.resize_with(wheel + 1, || None);
        }
        let Some(turning) = self.wheels.get_mut(wheel) else { return };
        let turning = turning.get_or_insert_with(|| Box::new(Wheel { filled: 0, buckets: [EMPTY; BUCKETS] }));
        let Some(bucket) = turning.buckets.get_mut(place) else { return };
        let next = core::mem::replace(&mut bucket.first, slot);
        bucket.least = bucket.least.min(at);
        bucket.len += 1;
        turning.filled |= 1 << place;
        self.filled |= 1 << wheel;
        if let Some(own) = self.slots.get_mut(slot) {
            *own = Waiting { at, next, before: NONE };
        }
        if let Some(next) = self.slots.get_mut(next) {
            next.before = slot;
        }
    }

    /// A clock was set back: everything finds its place anew.
    fn set_back(&mut self, start: Millis) {
        self.start = start;
        self.filled = 0;
        self.wheels.clear();
        for slot in 0..self.slots.len() as u32 {
            if let Some(at) = self.slots.get(slot).filter(|held| held.before != NOWHERE).map(|held| held.at) {
                self.put(slot, at);
            }
        }
    }
}
