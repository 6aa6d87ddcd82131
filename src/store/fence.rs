//! Fences: the sessions that are over by somebody's word. They stand beside the spaces, outside of their dots.
//!
//! A grow-only map, joined session by session. Invariants: nothing takes a fence back before its time has passed, neither a
//! later word nor a replica that was retired or lost its state; the join is commutative, associative and idempotent; what
//! has changed is numbered, so that a peer and the journal are told no more than they lack.

use alloc::sync::Arc;
use alloc::vec::Vec;

use hashbrown::HashTable;

use crate::id::SessionId;
use crate::mutant::{Mutant, Service, off};
use crate::time::Millis;

/// The most fences that are told at once.
pub const FENCES_MAX: usize = 1_000;
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

/// A fence, and the number of its last change.
#[derive(Clone, Debug)]
struct Known {
    number: u64,
    session: SessionId,
    /// None: it has changed since, and stands further on.
    fence: Option<Fence>,
}

/// All fences that a replica knows.
#[derive(Clone, Debug, Default)]
pub struct Fences {
    /// In the order of their numbers.
    known: Vec<Known>,
    /// Places in `known`.
    places: HashTable<u32>,
    last: u64,
    digest: u64,
    /// Whether peers are told of them, and believed: between replicas with a key alone.
    shared: bool,
}

/// Where a session is looked for: the last bytes of its id are random.
fn spot(session: &SessionId) -> u64 {
    let [.., a, b, c, d, e, f, g] = *session.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, a])
}

impl Fences {
    /// None yet.
    #[must_use]
    pub const fn new(shared: bool) -> Self {
        Self { known: Vec::new(), places: HashTable::new(), last: 0, digest: 0, shared }
    }

    /// Whether peers are told of them, and believed.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.shared
    }

    /// The fence of a session.
    #[must_use]
    pub fn get(&self, session: &SessionId) -> Option<&Fence> {
        self.known.get(self.place(session)?)?.fence.as_ref()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The number of the latest change.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// What two replicas compare: the same for the same fences, however they came.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    fn place(&self, session: &SessionId) -> Option<usize> {
        let is = |at: &u32| self.known.get(*at as usize).is_some_and(|known| known.session == *session);
        self.places.find(spot(session), is).map(|at| *at as usize)
    }

    /// Takes a fence in; tells whether that changed anything.
    pub fn join(&mut self, session: SessionId, fence: Fence) -> bool {
        let at = self.place(&session);
        let held = at.and_then(|at| self.known.get(at)?.fence.clone());
        let joined = held.clone().map_or_else(|| fence.clone(), |held| held.join(fence.clone()));
        if held.as_ref() == Some(&joined) {
            return false;
        }
        self.digest ^= held.map_or(0, |held| held.digest(&session)) ^ joined.digest(&session);
        self.last += 1;
        let place = self.known.len() as u32;
        self.known.push(Known { number: self.last, session, fence: Some(joined) });
        match at {
            Some(old) => {
                let was = self.places.find_mut(spot(&session), |at| *at as usize == old);
                was.into_iter().for_each(|at| *at = place);
                self.known.get_mut(old).into_iter().for_each(|known| known.fence = None);
            }
            None => self.put(place, &session),
        }
        // What has changed often takes no more room than what there is.
        if self.known.len() > 2 * self.places.len() + 64 {
            self.retain(|_| true);
        }
        true
    }

    fn put(&mut self, place: u32, session: &SessionId) {
        let known = &self.known;
        let spot_of = |at: &u32| known.get(*at as usize).map_or(0, |known| spot(&known.session));
        self.places.insert_unique(spot(session), place, spot_of);
    }

    /// The fences that have changed after the number `after`, at most [`FENCES_MAX`]; and the number up to which these go.
    #[must_use]
    pub fn since(&self, after: u64) -> (Vec<(SessionId, Fence)>, u64) {
        let first = self.known.partition_point(|known| known.number <= after);
        let mut changed = self.known.iter().skip(first).filter_map(|known| Some((known, known.fence.clone()?)));
        let (mut told, mut upto) = (Vec::new(), after);
        for (known, fence) in changed.by_ref().take(FENCES_MAX) {
            told.push((known.session, fence));
            upto = known.number;
        }
        let more = told.len() == FENCES_MAX && changed.next().is_some();
        (told, if more { upto } else { self.last })
    }

    /// Lets go of the fences of sessions whose time had passed by `now`.
    pub fn prune(&mut self, now: Millis) {
        let over = |known: &Known| known.fence.as_ref().is_some_and(|fence| fence.until <= now);
        let gone = self.known.iter().filter(|known| over(known));
        let digest = gone.filter_map(|known| Some(known.fence.as_ref()?.digest(&known.session)));
        let (digest, count) = digest.fold((0, 0), |(all, count), one| (all ^ one, count + 1));
        if count > 0 {
            self.digest ^= digest;
            self.retain(|fence| fence.until > now);
        }
    }

    fn retain(&mut self, stays: impl Fn(&Fence) -> bool) {
        self.known.retain(|known| known.fence.as_ref().is_some_and(&stays));
        self.places.clear();
        for place in 0..self.known.len() {
            let session = self.known.get(place).map(|known| known.session);
            session.into_iter().for_each(|session| self.put(place as u32, &session));
        }
    }
}
