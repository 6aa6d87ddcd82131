//! The requests under way to a peer that is spoken to in requests, one after another, each of which it answers.
//!
//! Invariant: while one is under way, nothing is said of one's own accord: it waits here and not in a queue, which slow
//! answers would only make longer. A link that is no such thing has no requests.

use crate::sync::run::SLICES_MAX;
use crate::time::Millis;

/// How long an answer is waited for: transports give up before.
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

    /// A message goes; tells how many slices it may hold. A request costs more than is gained where the peer takes one slice
    /// while the next is on its way.
    pub(crate) const fn made(&mut self, now: Millis) -> usize {
        if !self.polled {
            return 1;
        }
        self.open = self.open.saturating_add(1);
        self.made_at = now;
        SLICES_MAX
    }

    /// The peer was heard.
    pub(crate) const fn answered(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// Whether an answer is waited for still.
    pub(crate) fn is_waiting(&mut self, now: Millis) -> bool {
        let waiting = self.deadline().is_some_and(|at| now < at);
        if !waiting {
            self.open = 0;
        }
        waiting
    }

    /// When the answer is given up.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        (self.open > 0).then(|| self.made_at.saturating_add(PATIENCE))
    }

    /// The clock was set back by so much.
    pub(crate) const fn set_back(&mut self, back: Millis) {
        self.made_at = self.made_at.saturating_sub(back);
    }
}
