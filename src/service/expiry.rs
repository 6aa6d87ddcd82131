//! The timer queue: when each slot must be examined. Hierarchical timing wheels (Varghese and Lauck, 1987).
//!
//! A wheel has 64 buckets. A bucket of the first wheel spans one millisecond; a bucket of each next wheel spans as much
//! as the whole wheel before. A slot waits in the wheel of the highest digit (base 64) in which its time differs from
//! the queue's, in the bucket of that digit. When the bucket's turn comes, its slots move down into the wheels below.
//!
//! Invariants:
//!
//! * A slot is in the queue at most once, under its own time.
//! * Adding, moving and removing take O(1). So does popping, apart from at most one step per wheel.
//! * No slot is returned before its time, and none is kept back after it.
//! * A time in the queue may be too early (a touch does not move it), never too late. The caller that pops a slot
//!   checks when it is really due and puts it back if necessary.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::slab::Slab;
use crate::time::Millis;

/// The bits of a time that one wheel covers.
const BITS: u32 = 6;
const BUCKETS: usize = 1 << BITS;
/// The end of a list.
const NONE: u32 = u32::MAX;
/// The predecessor of a slot that is not in the queue.
const NOWHERE: u32 = u32::MAX - 1;
/// In a bucket with so few slots, the earliest time is recomputed when one is removed.
const FEW: u32 = 8;
/// The queue's time is set back to a multiple of this, about four and a half hours, so that it is seldom set back
/// twice.
const BACK: Millis = 1 << (4 * BITS);

/// A waiting slot, in the list of its bucket.
#[derive(Debug)]
struct Waiting {
    at: Millis,
    next: u32,
    before: u32,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// No slot in the bucket is due earlier.
    least: Millis,
    first: u32,
    len: u32,
}

const EMPTY: Bucket = Bucket { least: Millis::MAX, first: NONE, len: 0 };

#[derive(Debug)]
struct Wheel {
    /// One bit per bucket, set if it is not empty.
    filled: u64,
    buckets: [Bucket; BUCKETS],
}

/// Slots by the time at which they are due.
#[derive(Debug, Default)]
pub struct TimerQueue {
    /// The queue's time: no slot is due earlier.
    start: Millis,
    len: usize,
    /// One bit per wheel, set if it is not empty.
    filled: u16,
    /// Allocated when first needed.
    wheels: Vec<Option<Box<Wheel>>>,
    slots: Slab<Waiting>,
}

impl TimerQueue {
    /// When to examine the queue next: never later than its earliest time. It is exactly that time, with one exception:
    /// if the earliest of more than eight slots in one bucket of an upper wheel was removed, it may be earlier by up to
    /// the span of the bucket. A caller that then finds nothing due gets a later time.
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

    /// Removes a slot, if it is in the queue.
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

    /// Removes and returns any slot that is due.
    pub fn pop(&mut self, now: Millis) -> Option<u32> {
        loop {
            let (wheel, place, bucket) = self.foremost()?;
            if bucket.least > now {
                return None;
            }
            // The first and the last millisecond of the bucket.
            let span = (1_u64 << (wheel as u32 * BITS)) - 1;
            let begins = bucket.least & !span;
            if begins | span <= now {
                return self.take(wheel, place, bucket);
            }
            // Only part of the bucket is due, and no bucket comes before it: the queue's time advances to it, and its
            // slots move down.
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

    /// Removes the first slot of a bucket in which all slots are due.
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

    /// The wheel and the bucket for a time.
    const fn place(&self, at: Millis) -> (usize, usize) {
        let wheel = (63 - ((at ^ self.start) | 1).leading_zeros()) / BITS;
        (wheel as usize, (at >> (wheel * BITS)) as usize % BUCKETS)
    }

    /// The first bucket in time: the slots of a wheel are due before those of the next.
    fn foremost(&self) -> Option<(usize, usize, Bucket)> {
        let wheel = self.filled.trailing_zeros() as usize;
        let turning = self.wheels.get(wheel)?.as_ref()?;
        let place = turning.filled.trailing_zeros() as usize;
        Some((wheel, place, *turning.buckets.get(place)?))
    }

    fn bucket_mut(&mut self, wheel: usize, place: usize) -> Option<&mut Bucket> {
        self.wheels.get_mut(wheel)?.as_mut()?.buckets.get_mut(place)
    }

    /// Marks the bucket as empty.
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

    /// Inserts a slot that is in no list into the bucket of its time.
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

    /// The clock was set back: inserts every slot again.
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
