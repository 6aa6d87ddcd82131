//! The clocks of trusted peers. Deltas of a replica of the cluster are accepted whatever its clock shows, and its clock
//! with them, unless it is ahead by more than a day.
//!
//! Invariant: no stamp from more than a day ahead enters the fleet through a replica whose own clock is right. A
//! replica without a key judges nobody: a tab's own clock may be wrong, and the edge's is the better one.

use super::Peer;
use crate::error::{Details, ErrorCode, SessionError};
use crate::id::Space;
use crate::mutant::{Mutant, Trust, off};
use crate::store::SessionConsistentStore;
use crate::sync::admit::DRIFT_MAX;
use crate::sync::message::Message;
use crate::sync::step::Step;
use crate::time::{Hlc, Millis};

/// A clock that is further ahead is not accepted.
const AHEAD_MAX: Millis = 24 * 3_600_000;

/// How a peer's clock compares with the own one, as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Clock {
    /// It is no more than a minute ahead.
    Agrees,
    /// It is ahead by at most a day.
    Ahead,
    /// It is ahead by more than a day: nothing is accepted from the peer.
    Held,
}

impl Peer {
    /// Whether a trusted peer's delta must not be applied because of its clock. Reports each change of the comparison
    /// once.
    #[inline(never)]
    pub(super) fn is_held(
        &mut self,
        space: &Space,
        hlc: Hlc,
        store: &SessionConsistentStore,
        now: Millis,
        step: &mut Step,
    ) -> bool {
        if self.gate.is_some() || !store.fences().is_shared() || off(Mutant::Trust(Trust::Quarantine)) {
            return false;
        }
        let ahead = hlc.millis().saturating_sub(now);
        let (clock, allowed) = match ahead {
            0..=DRIFT_MAX => (Clock::Agrees, DRIFT_MAX),
            _ if ahead <= AHEAD_MAX => (Clock::Ahead, DRIFT_MAX),
            _ => (Clock::Held, AHEAD_MAX),
        };
        let news = core::mem::replace(&mut self.clock, clock) != clock;
        if clock == Clock::Held {
            let code = ErrorCode::ClockDrift.as_str().into();
            step.replies.push(Message::Refused { space: space.clone(), code, dots: alloc::vec::Vec::new() });
        }
        if !news || clock == Clock::Agrees {
            return clock == Clock::Held;
        }
        let seconds = ahead / 1_000;
        let cause = if clock == Clock::Held {
            alloc::format!(
                "a replica of the cluster stamps {seconds} s ahead of this one's clock, more than a day: nothing is taken from it until the clocks agree; set the one that is wrong"
            )
        } else {
            alloc::format!(
                "a replica of the cluster stamps {seconds} s ahead of this one's clock; set the one that is wrong"
            )
        };
        let error = SessionError::new(ErrorCode::ClockDrift, cause);
        let error = error.with(Details::Limit { limit: "maxDrift", allowed });
        if clock == Clock::Held {
            step.refused.push(error);
        } else {
            step.drifts = Some(error);
        }
        clock == Clock::Held
    }
}
