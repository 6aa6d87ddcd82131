//! Where the ids of a frame stand in its tables: what a writer gives them, and what a reader finds.
//!
//! Invariant: an id has one place. Most frames name few ids, mostly in the order of the vector before; a frame about a long
//! vector begins with its list, which is not looked through at all. Knows of bytes no more than how an id stands there.

use alloc::sync::Arc;
use alloc::vec::Vec;

use litemap::LiteMap;

use crate::codec::cbor::Input;
use crate::id::{ReplicaId, SessionId};
use crate::vector::ids::IdList;

/// Ids in the order of their first use, and the place of each.
pub(super) struct Table<T> {
    pub(super) ids: Vec<T>,
    /// Only where there are many: to look through a few takes less.
    places: LiteMap<T, u64>,
    /// The place that was asked for last.
    last: usize,
}

/// So many ids are looked through one by one.
const FEW_IDS: usize = 8;

impl<T: Copy + Ord> Table<T> {
    /// None, in memory that is at hand.
    pub(super) const fn on(ids: Vec<T>) -> Self {
        Self { ids, places: LiteMap::new(), last: 0 }
    }

    pub(super) fn place(&mut self, id: T) -> u64 {
        // Entries often have the origin of the one before, and vectors name the same ids in the same order.
        for near in [self.last, self.last + 1] {
            if self.ids.get(near) == Some(&id) {
                self.last = near;
                return near as u64;
            }
        }
        let next = self.ids.len();
        let place = if next < FEW_IDS {
            self.ids.iter().position(|known| *known == id).unwrap_or(next)
        } else {
            self.look_up(id)
        };
        if place == next {
            self.ids.push(id);
        }
        self.last = place;
        place as u64
    }

    #[inline(never)]
    fn look_up(&mut self, id: T) -> usize {
        if self.places.is_empty() {
            // They are few: to collect them would bring a sort into the module.
            for (id, place) in self.ids.iter().zip(0..) {
                self.places.entry(*id).or_insert(place);
            }
        }
        let next = self.ids.len() as u64;
        let place = match self.places.try_append(id, next) {
            None => next,
            Some((id, next)) => *self.places.entry(id).or_insert(next),
        };
        place as usize
    }
}

/// The replicas that a frame names: the list of a vector first, if it begins with one, then others as they come.
pub(super) struct Replicas {
    pub(super) first: Option<Arc<IdList>>,
    pub(super) others: Table<ReplicaId>,
    /// The place in the list that was asked for last.
    last: usize,
}

impl Replicas {
    /// With a list first, or without.
    pub(super) const fn new(first: Option<Arc<IdList>>, others: Vec<ReplicaId>) -> Self {
        Self { first, others: Table::on(others), last: 0 }
    }

    /// The place of an id, which is put behind all others if it has none.
    pub(super) fn place(&mut self, id: ReplicaId) -> u64 {
        let Some(first) = &self.first else { return self.others.place(id) };
        for near in [self.last, self.last + 1] {
            if first.list().get(near) == Some(&id) {
                self.last = near;
                return near as u64;
            }
        }
        match first.find(id) {
            Ok(at) => {
                self.last = at;
                at as u64
            }
            Err(_) => first.len() as u64 + self.others.place(id),
        }
    }
}

/// The ids of a frame, by their places.
#[derive(Default)]
pub(crate) struct Ids {
    /// The list of a vector that the frame's ids begin with, and the others.
    pub(super) first: Option<Arc<IdList>>,
    pub(super) replicas: Vec<ReplicaId>,
    pub(super) sessions: Vec<SessionId>,
}

impl Ids {
    /// The replica id at a place, if there is one.
    pub(crate) fn replica(&self, at: u64) -> Option<ReplicaId> {
        let at = usize::try_from(at).ok()?;
        let first = self.first.as_ref().map_or(&[][..], |ids| ids.list());
        first.get(at).or_else(|| self.replicas.get(at - first.len())).copied()
    }

    /// The session id at a place, if there is one.
    pub(crate) fn session(&self, at: u64) -> Option<SessionId> {
        self.sessions.get(usize::try_from(at).ok()?).copied()
    }

    /// Reads so many replica ids, one by one.
    #[inline(never)]
    pub(super) fn read_replicas(&mut self, cbor: &mut Input<'_>, count: usize) -> Option<()> {
        // Each of them has eleven bytes at least, so that a claim cannot make room for more than there are.
        self.replicas.reserve(count.min(cbor.left() / 11));
        for _ in 0..count {
            let id = match ReplicaId::read_wire(cbor.rest()) {
                Some((id, len)) => {
                    cbor.pass(len);
                    id
                }
                None => ReplicaId::from_bytes(cbor.bytes()?).ok()?,
            };
            self.replicas.push(id);
        }
        Some(())
    }
}
