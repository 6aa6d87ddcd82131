//! A bucket: so much at once, and what was taken comes back with time.
//!
//! Invariant: an untouched bucket, and one that has had time to fill up again, are the same value, so that nobody has to
//! remember it. How fast it fills is not its own affair: a limit that is changed holds at once.

use crate::time::Millis;

/// How many seconds' worth of a rate may come at once.
const BURST_SECONDS: u64 = 10;

/// How much a bucket holds, and how fast it fills.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    /// What comes back in a millisecond, in parts.
    back: u64,
    /// How many parts one of what is counted has.
    parts: u64,
    /// How many parts a full bucket holds.
    most: u64,
}

impl Flow {
    /// So many a second, in the long run.
    pub(crate) const fn a_second(rate: u64) -> Self {
        Self { back: rate, parts: 1_000, most: rate.saturating_mul(1_000 * BURST_SECONDS) }
    }

    /// So many at once, and one more after each `pause`.
    pub(crate) const fn at_once(most: u64, pause: Millis) -> Self {
        Self { back: 1, parts: pause, most: most.saturating_mul(pause) }
    }

    /// So many times as much.
    pub(crate) const fn times(self, factor: u64) -> Self {
        let (back, most) = (self.back.saturating_mul(factor), self.most.saturating_mul(factor));
        Self { back, most, ..self }
    }
}

/// What was taken of late.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bucket {
    /// In parts; above what the bucket holds, what was taken beyond it.
    taken: u64,
    at: Millis,
}

impl Bucket {
    fn taken(&self, flow: Flow, now: Millis) -> u64 {
        self.taken.saturating_sub(flow.back.saturating_mul(now.saturating_sub(self.at)))
    }

    /// Whether there is any left.
    pub(crate) fn has(&self, flow: Flow, now: Millis) -> bool {
        self.taken(flow, now) < flow.most
    }

    /// Whether there is a whole one left.
    pub(crate) fn has_one(&self, flow: Flow, now: Millis) -> bool {
        self.taken(flow, now).saturating_add(flow.parts) <= flow.most
    }

    /// Takes `amount`, if there is any left: the last one may go beyond, and is paid for before the next.
    pub(crate) fn take(&mut self, flow: Flow, amount: u64, now: Millis) -> bool {
        let has = self.has(flow, now);
        if has {
            self.owe(flow, amount, now);
        }
        has
    }

    /// Takes `amount`, whether it is there or not.
    pub(crate) fn owe(&mut self, flow: Flow, amount: u64, now: Millis) {
        self.taken = self.taken(flow, now).saturating_add(amount.saturating_mul(flow.parts));
        self.at = now;
    }

    /// For how many milliseconds there is nothing left yet; none where there is.
    pub(crate) fn dry(&self, flow: Flow, now: Millis) -> Millis {
        let beyond = (self.taken(flow, now).saturating_add(1)).saturating_sub(flow.most);
        beyond.div_ceil(flow.back.max(1))
    }

    /// Which part of a thousand is taken, of what it holds.
    pub(crate) fn share(&self, flow: Flow, now: Millis) -> u64 {
        self.taken(flow, now).saturating_mul(1_000).div_ceil(flow.most.max(1))
    }
}
