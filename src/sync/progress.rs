//! What is known of a peer in one space, and what is on its way to it.

use alloc::vec::Vec;

use crate::id::Dot;
use crate::sync::run::Run;
use crate::time::Millis;
use crate::vector::VersionVector;

/// The longest pause between two attempts at the same delta.
pub(super) const RETRY_MAX: Millis = 30_000;

/// The pause before attempt number `attempts` + 1 is given up.
pub(super) fn backoff(retry: Millis, attempts: u32) -> Millis {
    retry.saturating_mul(1 << attempts.min(5)).min(RETRY_MAX.max(retry))
}

#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) holds: VersionVector,
    pub(super) under_way: Option<UnderWay>,
    pub(super) attempts: u32,
    /// Writes of others that what is under way rests on, and that the peer has answered to lack.
    pub(super) lacked: Vec<Dot>,
    /// Writes of others that this replica lacks, for which a delta of the peer waits. It is said again ever more seldom, unless the peer
    /// hears that they are here; and no other word may tell it, as it is known to hold them when they come.
    pub(super) lacks: Vec<Dot>,
    /// The slices of the delta under way, where it is large.
    pub(super) run: Option<Run>,
}

/// A delta that was sent and is not yet acknowledged.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) to: VersionVector,
    pub(super) since: Millis,
}

impl Progress {
    /// The clock was set back by so much.
    pub(super) fn set_back(&mut self, back: Millis) {
        if let Some(under_way) = &mut self.under_way {
            under_way.since = under_way.since.saturating_sub(back);
        }
    }

    /// The peer holds this as well.
    pub(super) fn hold(&mut self, vector: VersionVector) {
        if self.holds.is_empty() {
            self.holds = vector;
        } else {
            self.holds.join(&vector);
        }
        self.settle();
    }

    /// What the peer holds has grown. Nothing is under way any more if that was all of it; and what was refused for what the peer
    /// lacked is told again at once when it lacks nothing of that any more, however long the pause has become.
    pub(super) fn settle(&mut self) {
        let arrived = self.under_way.as_ref().is_some_and(|under_way| self.holds.dominates(&under_way.to));
        if arrived || are_here(&self.lacked, &self.holds) {
            self.under_way = None;
            self.lacked.clear();
            self.attempts = 0;
            self.run = None;
        }
    }

    /// Whether all is here now that a delta of the peer has waited for; once.
    pub(super) fn lacks_no_more(&mut self, held: &VersionVector) -> bool {
        let over = are_here(&self.lacks, held);
        if over {
            self.lacks.clear();
        }
        over
    }

    /// When what is under way is sent again. Whoever fetches slices asks again for what it lacks.
    pub(super) fn repeat_at(&self, under_way: &UnderWay, retry: Millis) -> Millis {
        let attempts = if self.run.as_ref().is_some_and(Run::is_heard) { u32::MAX } else { self.attempts };
        under_way.since.saturating_add(backoff(retry, attempts))
    }
}

/// Whether there are such writes, and a replica of this vector has them all.
#[inline(never)]
fn are_here(dots: &[Dot], vector: &VersionVector) -> bool {
    !dots.is_empty() && dots.iter().all(|dot| vector.contains(*dot))
}
