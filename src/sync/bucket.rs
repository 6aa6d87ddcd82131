//! A token bucket: a burst is available at once, and what was taken comes back with time.
//!
//! Invariant: a bucket that has refilled equals an untouched one, so it need not be remembered. The rate is an
//! argument, so a changed limit applies at once.

use crate::time::Millis;

/// A burst, in seconds' worth of the rate.
const BURST_SECONDS: u64 = 10;

/// The capacity of a bucket and its refill rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    /// Parts that come back per millisecond.
    back: u64,
    /// Parts in one counted unit.
    parts: u64,
    /// The capacity, in parts.
    most: u64,
}

impl Flow {
    /// `rate` per second on average, with a burst of [`BURST_SECONDS`].
    pub(crate) const fn a_second(rate: u64) -> Self {
        Self { back: rate, parts: 1_000, most: rate.saturating_mul(1_000 * BURST_SECONDS) }
    }

    /// `most` at once, and one more after each `pause`.
    pub(crate) const fn at_once(most: u64, pause: Millis) -> Self {
        Self { back: 1, parts: pause, most: most.saturating_mul(pause) }
    }

    /// The same, `factor` times as much.
    pub(crate) const fn times(self, factor: u64) -> Self {
        let (back, most) = (self.back.saturating_mul(factor), self.most.saturating_mul(factor));
        Self { back, most, ..self }
    }
}

/// What was taken recently.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bucket {
    /// In parts, as of `at`; more than the capacity if the bucket is in debt.
    taken: u64,
    at: Millis,
}

impl Bucket {
    fn taken(&self, flow: Flow, now: Millis) -> u64 {
        self.taken.saturating_sub(flow.back.saturating_mul(now.saturating_sub(self.at)))
    }

    /// Whether anything is left.
    pub(crate) fn has(&self, flow: Flow, now: Millis) -> bool {
        self.taken(flow, now) < flow.most
    }

    /// Whether a whole unit is left.
    pub(crate) fn has_one(&self, flow: Flow, now: Millis) -> bool {
        self.taken(flow, now).saturating_add(flow.parts) <= flow.most
    }

    /// Takes `amount` if anything is left. It may overdraw; the debt must be refilled before the next take.
    pub(crate) fn take(&mut self, flow: Flow, amount: u64, now: Millis) -> bool {
        let has = self.has(flow, now);
        if has {
            self.owe(flow, amount, now);
        }
        has
    }

    /// Takes `amount`, whether it is left or not.
    pub(crate) fn owe(&mut self, flow: Flow, amount: u64, now: Millis) {
        self.taken = self.taken(flow, now).saturating_add(amount.saturating_mul(flow.parts));
        self.at = now;
    }

    /// For how many milliseconds the bucket stays empty; 0 if something is left.
    pub(crate) fn dry(&self, flow: Flow, now: Millis) -> Millis {
        let beyond = (self.taken(flow, now).saturating_add(1)).saturating_sub(flow.most);
        beyond.div_ceil(flow.back.max(1))
    }

    /// The clock was set back by `back`. What was taken comes back as it would have.
    pub(crate) const fn set_back(&mut self, back: Millis) {
        self.at = self.at.saturating_sub(back);
    }

    /// The taken part of the capacity, in thousandths.
    pub(crate) fn share(&self, flow: Flow, now: Millis) -> u64 {
        self.taken(flow, now).saturating_mul(1_000).div_ceil(flow.most.max(1))
    }
}
