//! The anchors that this replica can fold long tokens onto: own dots whose past it knows, and checkpoints if none of
//! these will do.
//!
//! Invariants:
//!
//! * Tokens are folded only onto a *settled* anchor: one that storage has (I5) and a peer holds, so that one lost
//!   replica does not take with it what others still have. A replica without peers waits for none.
//! * Per space, at most two anchors are kept (the settled one and a pending one) and the past of the last own dot: as
//!   much memory as three vectors.

use alloc::vec::Vec;

use litemap::LiteMap;

use super::Replica;
use crate::id::{Dot, ReplicaId, Space};
use crate::session::fold::{Anchor, fold};
use crate::session::vector::SessionVector;
use crate::store::SessionConsistentStore;
use crate::time::Millis;
use crate::vector::VersionVector;

/// A space with this many dependencies counts as short: a write that leaves no more makes a checkpoint unnecessary.
const FEW: usize = 4;

/// The anchors of all spaces. Empty on a replica without a key, which folds nothing.
#[derive(Debug)]
pub(super) struct Folds {
    /// The sync interval: the least time between two checkpoints of a space.
    interval: Millis,
    spaces: LiteMap<Space, Folding>,
    /// Whether a checkpoint may be wanted, or an anchor pending.
    busy: bool,
}

/// The anchors of one space.
#[derive(Debug, Default)]
struct Folding {
    /// The sequence of the last own dot of this run. Its past is `past`; or, while nothing else was applied since,
    /// everything that is held, so that a write costs nothing.
    last: Option<u64>,
    past: Option<VersionVector>,
    /// The anchor that tokens are folded onto.
    settled: Option<Anchor>,
    /// The next anchor, until it is durable and acknowledged.
    pending: Option<Anchor>,
    /// When the last checkpoint was made.
    checkpoint: Option<Millis>,
    /// Whether to make a checkpoint as soon as the interval is over.
    wanted: bool,
}

impl Folds {
    pub(super) const fn new(interval: Millis) -> Self {
        Self { interval, spaces: LiteMap::new(), busy: false }
    }

    /// Whether a checkpoint may be wanted, or an anchor pending.
    pub(super) const fn is_busy(&self) -> bool {
        self.busy
    }

    /// When the next checkpoint is due, if one is wanted.
    pub(super) fn deadline(&self) -> Option<Millis> {
        let folding = self.spaces.values().filter(|_| self.busy);
        folding.filter(|folding| folding.wanted).map(|folding| folding.due(self.interval)).min()
    }

    /// The clock was set back by `back`.
    pub(super) fn set_back(&mut self, back: Millis) {
        for (_, folding) in self.spaces.iter_mut() {
            folding.checkpoint = folding.checkpoint.map(|at| at.saturating_sub(back));
        }
    }

    /// Forgets everything, because the replica continues under another id or from another state.
    pub(super) fn clear(&mut self) {
        self.spaces.clear();
    }

    /// Writes of others are about to be applied to `store`: keeps what is held now as the past of the last own dots.
    #[inline(never)]
    pub(super) fn keep_pasts(&mut self, store: &SessionConsistentStore) {
        for (space, folding) in self.spaces.iter_mut() {
            if folding.last.is_some() && folding.past.is_none() {
                folding.past = Some(store.vector(space).clone());
            }
        }
    }

    fn settled(&self, space: &Space) -> Option<&Anchor> {
        self.spaces.get(space)?.settled.as_ref()
    }

    fn folding(&mut self, space: &Space) -> &mut Folding {
        self.spaces.entry(space.clone()).or_default()
    }
}

impl Folding {
    fn due(&self, interval: Millis) -> Millis {
        self.checkpoint.map_or(0, |at| at.saturating_add(interval))
    }

    /// The last own dot as an anchor; `held` is what is held now.
    fn last(&self, id: ReplicaId, held: &VersionVector) -> Option<Anchor> {
        let past = self.past.as_ref().unwrap_or(held);
        self.last.map(|sequence| Anchor { dot: Dot::new(id, sequence), past: past.clone() })
    }
}

impl Replica {
    /// Records an own write, whose past is known from here on.
    pub(super) fn note_own(&mut self, space: &Space, dot: Dot) {
        if self.keyring.is_some() {
            let folding = self.folds.folding(space);
            (folding.last, folding.past) = (Some(dot.sequence), None);
        }
    }

    /// The dependencies, folded onto the settled anchors.
    pub(super) fn folded(&self, vector: &SessionVector) -> SessionVector {
        let mut folded = vector.clone();
        for (space, own) in vector.iter() {
            if let Some(shorter) = self.folds.settled(space).and_then(|anchor| fold(own, anchor)) {
                *folded.dependencies(space) = shorter;
            }
        }
        folded
    }

    /// The dependencies, folded as far as this replica can ever fold them with what it holds now.
    pub(super) fn foldable(&self, vector: &SessionVector) -> SessionVector {
        let mut folded = vector.clone();
        for (space, own) in vector.iter() {
            if let Some(shorter) = fold(own, &self.everything(space)) {
                *folded.dependencies(space) = shorter;
            }
        }
        folded
    }

    /// Prepares an anchor for what this replica holds of `vector`: the last own dot if that suffices, a checkpoint
    /// otherwise.
    pub(super) fn prepare_fold(&mut self, vector: &SessionVector) {
        // An id that is about to be replaced must not be built on.
        if self.amnesia {
            return;
        }
        for (space, own) in vector.iter() {
            self.settle_anchor(space);
            let anchor = self.folds.settled(space);
            let current = anchor.and_then(|anchor| fold(own, anchor)).unwrap_or_else(|| own.clone());
            let pending = self.folds.spaces.get(space).is_some_and(|folding| folding.pending.is_some());
            let Some(best) = fold(&current, &self.everything(space)).filter(|_| !pending) else { continue };
            let held = self.store.vector(space);
            let most = best.replicas().len().max(FEW);
            let suffices = |anchor: &Anchor| fold(&current, anchor).is_some_and(|own| own.replicas().len() <= most);
            let last = self.folds.spaces.get(space).and_then(|folding| folding.last(self.id, held)).filter(suffices);
            self.folds.busy = true;
            let folding = self.folds.folding(space);
            match last {
                Some(last) => (folding.pending, folding.wanted) = (Some(last), false),
                None => folding.wanted = true,
            }
            self.tend_fold(space);
        }
    }

    /// Settles anchors that storage and peers have confirmed, and makes checkpoints that are due.
    #[inline(never)]
    pub(super) fn tend_folds(&mut self) {
        let busy = |(_, folding): &(&Space, &Folding)| folding.wanted || folding.pending.is_some();
        let spaces: Vec<Space> = self.folds.spaces.iter().filter(busy).map(|(space, _)| space.clone()).collect();
        spaces.iter().for_each(|space| self.tend_fold(space));
        self.folds.busy = self.folds.spaces.iter().any(|folding| busy(&folding));
    }

    fn tend_fold(&mut self, space: &Space) {
        self.settle_anchor(space);
        let (now, interval) = (self.now, self.folds.interval);
        let due = |folding: &Folding| folding.wanted && folding.pending.is_none() && folding.due(interval) <= now;
        if self.folds.spaces.get(space).is_some_and(due) {
            self.checkpoint(space);
            self.settle_anchor(space);
        }
    }

    /// Makes a checkpoint, unless nothing was applied since the last own dot, which then serves as well.
    fn checkpoint(&mut self, space: &Space) {
        // A checkpoint is a write. Under the new id there is nothing to fold onto yet; a session that still needs it
        // asks again.
        if core::mem::take(&mut self.suspect) {
            self.rename();
            return;
        }
        let folding = self.folds.folding(space);
        folding.wanted = false;
        let current = folding.last.filter(|_| folding.past.is_none()).map(|sequence| Dot::new(self.id, sequence));
        let made = || self.store.checkpoint(space, self.id).ok();
        let Some(dot) = current.or_else(made) else { return };
        if current.is_none() {
            folding.checkpoint = Some(self.now);
            (folding.last, folding.past) = (Some(dot.sequence), None);
        }
        folding.pending = Some(Anchor { dot, past: self.store.vector(space).clone() });
        self.make_record();
    }

    fn settle_anchor(&mut self, space: &Space) {
        let pending = self.folds.spaces.get(space).and_then(|folding| folding.pending.as_ref());
        let Some(dot) = pending.map(|anchor| anchor.dot) else { return };
        if self.durable(space).contains(dot) && self.links.has_passed_on(space, dot, self.now) {
            let folding = self.folds.folding(space);
            folding.settled = folding.pending.take();
        }
    }

    /// The checkpoint that would be made now.
    fn everything(&self, space: &Space) -> Anchor {
        let held = self.store.vector(space);
        Anchor { dot: Dot::new(self.id, held.get(self.id).saturating_add(1)), past: held.clone() }
    }
}
