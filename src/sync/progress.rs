//! What is known of a peer in one space, and what is under way to it.

use alloc::vec::Vec;

use crate::id::Dot;
use crate::sync::run::Run;
use crate::time::Millis;
use crate::vector::VersionVector;

/// The longest pause between two attempts at the same delta.
pub(super) const RETRY_MAX: Millis = 30_000;

/// How long to wait after `attempts` repetitions before the next one: `retry`, doubled with each, up to [`RETRY_MAX`].
pub(super) fn backoff(retry: Millis, attempts: u32) -> Millis {
    retry.saturating_mul(1 << attempts.min(5)).min(RETRY_MAX.max(retry))
}

#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) holds: VersionVector,
    pub(super) under_way: Option<UnderWay>,
    pub(super) attempts: u32,
    /// Writes of others that the delta under way depends on and that the peer has said it lacks.
    pub(super) lacked: Vec<Dot>,
    /// Writes of others that this replica lacks and a delta of the peer depends on. The peer repeats that delta with a
    /// growing pause, unless it hears that the writes have arrived. No delta tells it, because it is known to hold
    /// them.
    pub(super) lacks: Vec<Dot>,
    /// The slices of the delta under way, if it is large.
    pub(super) run: Option<Run>,
}

/// A delta that was sent and is not acknowledged yet.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) to: VersionVector,
    pub(super) since: Millis,
}

impl Progress {
    /// The clock was set back by `back`.
    pub(super) fn set_back(&mut self, back: Millis) {
        if let Some(under_way) = &mut self.under_way {
            under_way.since = under_way.since.saturating_sub(back);
        }
    }

    /// Records that the peer holds this as well.
    pub(super) fn hold(&mut self, vector: VersionVector) {
        if self.holds.is_empty() {
            self.holds = vector;
        } else {
            self.holds.join(&vector);
        }
        self.settle();
    }

    /// What the peer holds has grown. If it holds all that is under way, nothing is under way any more. If it now holds
    /// everything that it was said to lack, however long the pause has become, the delta is due again at once.
    pub(super) fn settle(&mut self) {
        let arrived = self.under_way.as_ref().is_some_and(|under_way| self.holds.dominates(&under_way.to));
        if arrived || are_here(&self.lacked, &self.holds) {
            self.under_way = None;
            self.lacked.clear();
            self.attempts = 0;
            self.run = None;
        }
    }

    /// Whether this replica now holds everything that a delta of the peer waited for. True once.
    pub(super) fn lacks_no_more(&mut self, held: &VersionVector) -> bool {
        let over = are_here(&self.lacks, held);
        if over {
            self.lacks.clear();
        }
        over
    }

    /// When to repeat what is under way. A peer that fetches slices asks for missing ones itself, so it gets the
    /// longest pause.
    pub(super) fn repeat_at(&self, under_way: &UnderWay, retry: Millis) -> Millis {
        let attempts = if self.run.as_ref().is_some_and(Run::is_heard) { u32::MAX } else { self.attempts };
        under_way.since.saturating_add(backoff(retry, attempts))
    }
}

/// Whether the list is not empty and the vector contains all of it.
#[inline(never)]
fn are_here(dots: &[Dot], vector: &VersionVector) -> bool {
    !dots.is_empty() && dots.iter().all(|dot| vector.contains(*dot))
}
