//! A replica's own clock: what it shows at each moment of virtual time.
//!
//! It may run fast or slow, stand still, and be set. Timers do not follow it: like a host's timers they count the time
//! that really passes.

use edge_session::time::Millis;

/// The rate of a clock that is right.
pub const RIGHT: u64 = 1_000_000;

/// A clock that shows `shown` at the virtual time `since` and goes on from there at `rate` millionths.
#[derive(Clone, Debug)]
pub struct Clock {
    since: Millis,
    shown: Millis,
    rate: u64,
}

impl Clock {
    /// A clock that is right.
    #[must_use]
    pub const fn right(now: Millis) -> Self {
        Self { since: now, shown: now, rate: RIGHT }
    }

    /// What it shows at the virtual time `now`.
    #[must_use]
    pub const fn at(&self, now: Millis) -> Millis {
        self.shown + (now - self.since) * self.rate / RIGHT
    }

    /// From `now` on it runs at `rate` millionths.
    pub const fn run(&mut self, rate: u64, now: Millis) {
        *self = Self { since: now, shown: self.at(now), rate };
    }

    /// It is set to `shown` at `now`, and keeps its rate.
    pub const fn set(&mut self, shown: Millis, now: Millis) {
        *self = Self { since: now, shown, rate: self.rate };
    }
}
