//! The open requests to a peer that is reached by requests, one after another, each of which it answers.
//!
//! Invariant: while a request is open, nothing is sent unasked. It stays here instead of in a queue, which slow answers
//! would only lengthen. On other links nothing is counted.

use crate::sync::run::SLICES_MAX;
use crate::time::Millis;

/// How long to wait for an answer; transports give up earlier.
const PATIENCE: Millis = 60_000;

#[derive(Debug)]
pub(crate) struct Requests {
    polled: bool,
    /// How many are not answered.
    open: u32,
    /// When the last one was made.
    made_at: Millis,
}

impl Requests {
    pub(crate) const fn new(polled: bool) -> Self {
        Self { polled, open: 0, made_at: 0 }
    }

    pub(crate) const fn is_polled(&self) -> bool {
        self.polled
    }

    /// Counts a message that is sent, and returns how many slices it may hold. On a link that is one, so that the peer
    /// takes a slice while the next one travels. A request costs more than that gains, so it holds as many as may be
    /// under way.
    pub(crate) const fn made(&mut self, now: Millis) -> usize {
        if !self.polled {
            return 1;
        }
        self.open = self.open.saturating_add(1);
        self.made_at = now;
        SLICES_MAX
    }

    /// A message of the peer has arrived.
    pub(crate) const fn answered(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// Whether an answer is still expected.
    pub(crate) fn is_waiting(&mut self, now: Millis) -> bool {
        let waiting = self.deadline().is_some_and(|at| now < at);
        if !waiting {
            self.open = 0;
        }
        waiting
    }

    /// When to give up on the answer.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        (self.open > 0).then(|| self.made_at.saturating_add(PATIENCE))
    }

    /// The clock was set back by `back`.
    pub(crate) const fn set_back(&mut self, back: Millis) {
        self.made_at = self.made_at.saturating_sub(back);
    }
}
