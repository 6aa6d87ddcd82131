//! A large delta that is arriving from one peer in slices, and how long to wait for the next slice.
//!
//! Invariant: a missing slice is requested again with a growing pause, at least twice as long as the last slice took,
//! so that repetitions do not fill a slow link.

use crate::id::Space;
use crate::store::stage::{Part, Stage};
use crate::sync::message::Message;
use crate::sync::progress::RETRY_MAX;
use crate::time::Millis;
use crate::vector::VersionVector;

#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) stage: Stage,
    /// When a slice was last received or requested.
    since: Millis,
    /// When the last slice was accepted.
    grown_at: Millis,
    /// How long to wait for the next slice.
    patience: Millis,
}

impl Incoming {
    /// The delta since `from` whose first slice was cut at `base`. Its slices are requested again after `retry` at
    /// first.
    pub(crate) const fn new(from: VersionVector, base: VersionVector, retry: Millis, now: Millis) -> Self {
        Self { stage: Stage::new(from, base), since: now, grown_at: now, patience: retry }
    }

    /// Takes a slice. Returns whether it was the expected one.
    pub(crate) fn take(&mut self, part: Part, retry: Millis, now: Millis) -> bool {
        self.since = now;
        if !self.stage.take(part) {
            return false;
        }
        // Twice as long as this slice took.
        let took = now.saturating_sub(self.grown_at);
        self.patience = took.saturating_mul(2).clamp(retry, RETRY_MAX.max(retry));
        self.grown_at = now;
        true
    }

    /// Whether no slice of it was received for `pause`.
    pub(crate) const fn is_silent(&self, pause: Millis, now: Millis) -> bool {
        now.saturating_sub(self.since) >= pause
    }

    /// Whether a slice was accepted within `pause`, so the delta is likely to be complete soon.
    pub(crate) const fn is_growing(&self, pause: Millis, now: Millis) -> bool {
        now.saturating_sub(self.grown_at) < pause
    }

    /// The request for the next slice.
    pub(crate) fn want(&self, space: &Space) -> Message {
        let (from, base, after) = (self.stage.from().clone(), self.stage.base().clone(), self.stage.after().cloned());
        Message::Want { space: space.clone(), from, base, after }
    }

    /// The repeated request for the next slice, if it is due.
    pub(crate) fn want_again(&mut self, space: &Space, retry: Millis, now: Millis) -> Option<Message> {
        if !self.is_silent(self.patience, now) {
            return None;
        }
        self.since = now;
        self.patience = self.patience.saturating_mul(2).min(RETRY_MAX.max(retry));
        Some(self.want(space))
    }

    /// When the repeated request is due.
    pub(crate) const fn deadline(&self) -> Millis {
        self.since.saturating_add(self.patience)
    }

    /// The clock was set back by `back`.
    pub(crate) const fn set_back(&mut self, back: Millis) {
        self.since = self.since.saturating_sub(back);
        self.grown_at = self.grown_at.saturating_sub(back);
    }
}
