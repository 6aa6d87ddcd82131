//! Fences: the sessions that are over by somebody's word. They stand beside the spaces, outside of their dots.
//!
//! A grow-only map, joined session by session. Invariants: nothing takes a fence back before its time has passed, neither a
//! later word nor a replica that was retired or lost its state; the join is commutative, associative and idempotent; what
//! has changed is numbered, so that a peer and the journal are told no more than they lack.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::id::SessionId;
use crate::mutant::{Mutant, Service, off};
use crate::store::numbered::Numbered;
use crate::time::Millis;

/// The longest text that a fence keeps, in bytes.
pub const FENCE_TEXT_MAX: usize = 256;

/// A kill, or a logout.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Fence {
    /// Whether it was a logout. Of a kill and a logout the kill counts, whichever came first.
    pub ended: bool,
    /// When. Of two kills the earlier one tells by whom.
    pub at: Millis,
    /// By whom; none: the host, or the session itself.
    pub by: Option<Arc<str>>,
    /// Why.
    pub why: Option<Arc<str>>,
    /// When the session would have ended: until then nobody lets it in.
    pub until: Millis,
}

impl Fence {
    fn join(self, other: Self) -> Self {
        if off(Mutant::Service(Service::Fence)) {
            return other;
        }
        let until = self.until.max(other.until);
        Self { until, ..self.min(other) }
    }

    /// A hash of the fence of a session, by which two replicas find out that they hold the same.
    fn digest(&self, session: &SessionId) -> u64 {
        let text = |text: &Option<Arc<str>>| text.as_ref().map_or((0_u8, Arc::from("")), |text| (1, text.clone()));
        let ((by_is, by), (why_is, why)) = (text(&self.by), text(&self.why));
        let head = [u8::from(self.ended), by_is, why_is];
        let bytes = session.as_bytes().iter().chain(&head).copied();
        let bytes = bytes.chain(self.at.to_le_bytes()).chain(self.until.to_le_bytes());
        let bytes = bytes.chain((by.len() as u64).to_le_bytes()).chain(by.bytes()).chain(why.bytes());
        // FNV-1a, and a last stirring, for these are joined by XOR.
        let hash =
            bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^ (hash >> 33)
    }
}

/// A text that a fence can keep.
#[must_use]
pub fn shortened(text: &str) -> Arc<str> {
    let end = (0..=text.len().min(FENCE_TEXT_MAX)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default().into()
}

/// All fences that a replica knows.
#[derive(Clone, Debug, Default)]
pub struct Fences {
    known: Numbered<Fence>,
    digest: u64,
    /// Whether peers are told of them, and believed: between replicas with a key alone.
    shared: bool,
}

impl Fences {
    /// None yet.
    #[must_use]
    pub const fn new(shared: bool) -> Self {
        Self { known: Numbered::new(), digest: 0, shared }
    }

    /// As [`Numbered::number_from`].
    pub const fn number_from(&mut self, least: u64) {
        self.known.number_from(least);
    }

    /// Whether peers are told of them, and believed.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.shared
    }

    /// The fence of a session.
    #[must_use]
    pub fn get(&self, session: &SessionId) -> Option<&Fence> {
        self.known.get(session)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The number of the latest change.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.known.last()
    }

    /// What two replicas compare: the same for the same fences, however they came.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    /// Takes a fence in; tells whether that changed anything.
    pub fn join(&mut self, session: SessionId, fence: Fence) -> bool {
        let held = self.known.get(&session).cloned();
        let joined = held.clone().map_or_else(|| fence.clone(), |held| held.join(fence.clone()));
        if held.as_ref() == Some(&joined) {
            return false;
        }
        self.digest ^= held.map_or(0, |held| held.digest(&session)) ^ joined.digest(&session);
        self.known.put(session, joined);
        true
    }

    /// The fences that have changed after the number `after`, at most [`TOLD_MAX`]; and the number up to which these go.
    ///
    /// [`TOLD_MAX`]: crate::store::numbered::TOLD_MAX
    #[must_use]
    pub fn since(&self, after: u64) -> (Vec<(SessionId, Fence)>, u64) {
        self.known.since(after)
    }

    /// Lets go of the fences of sessions whose time had passed by `now`.
    pub fn prune(&mut self, now: Millis) {
        let now = if off(Mutant::Service(Service::Stay)) { Millis::MAX } else { now };
        let over = |(session, fence): (&SessionId, &Fence)| (fence.until <= now).then(|| fence.digest(session));
        let (digest, count) = self.known.iter().filter_map(over).fold((0, 0), |(all, n), one| (all ^ one, n + 1));
        if count > 0 {
            self.digest ^= digest;
            self.known.retain(|_, fence| fence.until > now);
        }
    }
}
