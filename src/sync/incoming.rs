//! A large delta that is coming in from one peer, and how long its next slice is waited for.
//!
//! Invariant: a slice that does not come is asked for again, ever more slowly; a slow link is not made slower by asking.

use crate::id::Space;
use crate::store::stage::{Part, Stage};
use crate::sync::message::Message;
use crate::sync::progress::RETRY_MAX;
use crate::time::Millis;
use crate::vector::VersionVector;

#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) stage: Stage,
    /// When a slice of it was heard last, or asked for.
    since: Millis,
    /// When the last slice was taken.
    grown_at: Millis,
    /// How long the next slice may take.
    patience: Millis,
}

impl Incoming {
    /// The delta since `from` whose first slice was cut at `base`; its slices are asked for again after `retry` at first.
    pub(crate) const fn new(from: VersionVector, base: VersionVector, retry: Millis, now: Millis) -> Self {
        Self { stage: Stage::new(from, base), since: now, grown_at: now, patience: retry }
    }

    /// Takes a slice; tells whether it was the one expected.
    pub(crate) fn take(&mut self, part: Part, retry: Millis, now: Millis) -> bool {
        self.since = now;
        if !self.stage.take(part) {
            return false;
        }
        // Twice as long as the last one took.
        let took = now.saturating_sub(self.grown_at);
        self.patience = took.saturating_mul(2).clamp(retry, RETRY_MAX.max(retry));
        self.grown_at = now;
        true
    }

    /// Whether nothing of it was heard for so long.
    pub(crate) const fn is_silent(&self, pause: Millis, now: Millis) -> bool {
        now.saturating_sub(self.since) >= pause
    }

    /// Whether a slice of it has come within the pause: it is being fetched, and will soon be whole.
    pub(crate) const fn is_growing(&self, pause: Millis, now: Millis) -> bool {
        now.saturating_sub(self.grown_at) < pause
    }

    /// Asks for what follows.
    pub(crate) fn want(&self, space: &Space) -> Message {
        let (from, base, after) = (self.stage.from().clone(), self.stage.base().clone(), self.stage.after().cloned());
        Message::Want { space: space.clone(), from, base, after }
    }

    /// Asks for what follows once more, if it is time.
    pub(crate) fn want_again(&mut self, space: &Space, retry: Millis, now: Millis) -> Option<Message> {
        if !self.is_silent(self.patience, now) {
            return None;
        }
        self.since = now;
        self.patience = self.patience.saturating_mul(2).min(RETRY_MAX.max(retry));
        Some(self.want(space))
    }

    /// When it is time to ask once more.
    pub(crate) const fn deadline(&self) -> Millis {
        self.since.saturating_add(self.patience)
    }

    /// The clock was set back by so much.
    pub(crate) const fn set_back(&mut self, back: Millis) {
        self.since = self.since.saturating_sub(back);
        self.grown_at = self.grown_at.saturating_sub(back);
    }
}
