//! What peers have acknowledged of this replica's own writes, and how old the state it holds may be.
//!
//! Invariants: a write counts as acknowledged once any peer has said that it holds it, and stays so, whatever becomes
//! of that peer. Since nothing leaves before storage has it, such a write is durable here as well. By causal closure a
//! peer that holds a write holds its whole past, so the last own sequence of each space stands for all before it.

use alloc::vec::Vec;

use litemap::LiteMap;

use super::Replica;
use crate::id::{Dot, ReplicaId, Space};
use crate::store::SessionConsistentStore;
use crate::sync::peer::Peer;
use crate::time::Millis;
use crate::vector::VersionVector;

/// How up to date a replica and its peers are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Own writes that no peer has acknowledged.
    pub unsynced: u64,
    /// The time since this replica last held everything that a peer had reported; `None` if it never did.
    pub lag: Option<Millis>,
}

#[derive(Debug, Default)]
pub(super) struct Upstream {
    /// Ids that were replaced in this run. Writes under them must be acknowledged as well.
    former: Vec<ReplicaId>,
    acknowledged: LiteMap<Space, VersionVector>,
    caught_up: Option<Millis>,
    /// Whether anything is unsynced, as last reported to the host, and whether that must be reported again.
    unsynced: bool,
    news: bool,
    /// Acknowledgements or own ids have changed since the last check; and the store's count of changes at that check.
    stirred: bool,
    judged: u64,
}

impl Upstream {
    pub(super) fn renamed(&mut self, old: ReplicaId) {
        self.former.push(old);
        self.stirred = true;
    }

    /// The clock was set back by `back`.
    pub(super) fn set_back(&mut self, back: Millis) {
        self.caught_up = self.caught_up.map(|at| at.saturating_sub(back));
    }

    /// Records what `peer` is known to hold, after a message of it.
    #[inline(never)]
    pub(super) fn hear(&mut self, own: ReplicaId, peer: &Peer, store: &SessionConsistentStore, now: Millis) {
        let mut caught_up = true;
        for (space, holds) in peer.held() {
            let vector = store.vector(space);
            caught_up &= vector.dominates(holds);
            for id in self.former.iter().chain([&own]) {
                let held = holds.get(*id);
                let sequence = if held > 0 { held.min(vector.get(*id)) } else { 0 };
                if sequence == 0 {
                    continue;
                }
                let known = match self.acknowledged.get_mut(space) {
                    Some(known) => known,
                    None => self.acknowledged.entry(space.clone()).or_default(),
                };
                if sequence > known.get(*id) {
                    known.advance(Dot::new(*id, sequence));
                    self.stirred = true;
                }
            }
        }
        if caught_up {
            self.caught_up = Some(now);
        }
    }

    fn covers(&self, space: &Space, dot: Dot) -> bool {
        self.acknowledged.get(space).is_some_and(|vector| vector.contains(dot))
    }

    /// Whether anything is unsynced, if that has changed since the last call.
    pub(super) fn news(&mut self) -> Option<bool> {
        core::mem::take(&mut self.news).then_some(self.unsynced)
    }
}

impl Replica {
    /// How up to date this replica and its peers are at `now`.
    #[must_use]
    pub fn standing(&self, now: Millis) -> Standing {
        let acknowledged = |space: &Space, id| self.upstream.acknowledged.get(space).map_or(0, |vector| vector.get(id));
        let left = |(space, dot): (&Space, Dot)| dot.sequence.saturating_sub(acknowledged(space, dot.replica));
        let unsynced = self.own_dots().map(left).sum();
        Standing { unsynced, lag: self.upstream.caught_up.map(|at| now.saturating_sub(at)) }
    }

    /// The last own write of each space, under each own id.
    fn own_dots(&self) -> impl Iterator<Item = (&Space, Dot)> {
        let dots = self.store.spaces().flat_map(|(space, state)| {
            let ids = self.upstream.former.iter().chain([&self.id]);
            ids.map(move |id| (space, Dot::new(*id, state.vector().get(*id))))
        });
        dots.filter(|(_, dot)| dot.sequence > 0)
    }

    /// What must be acknowledged: the last own write of each space, under each own id.
    pub(super) fn own_writes(&self) -> Vec<(Space, Dot)> {
        self.own_dots().map(|(space, dot)| (space.clone(), dot)).collect()
    }

    /// Whether peers have acknowledged all of these.
    pub(super) fn acknowledged(&self, writes: &[(Space, Dot)]) -> bool {
        writes.iter().all(|(space, dot)| self.upstream.covers(space, *dot))
    }

    /// Checks whether `unsynced` has changed.
    #[inline(never)]
    pub(super) fn judge_standing(&mut self) {
        let changes = self.store.changes();
        let same = core::mem::replace(&mut self.upstream.judged, changes) == changes;
        if !core::mem::take(&mut self.upstream.stirred) && same {
            return;
        }
        let mut unsynced = false;
        for (space, state) in self.store.spaces() {
            for id in self.upstream.former.iter().chain([&self.id]) {
                let dot = Dot::new(*id, state.vector().get(*id));
                unsynced |= dot.sequence > 0 && !self.upstream.covers(space, dot);
            }
        }
        self.upstream.news |= unsynced != self.upstream.unsynced;
        self.upstream.unsynced = unsynced;
    }
}
