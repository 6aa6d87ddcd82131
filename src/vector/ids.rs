//! The replicas that a vector names, in order, and their bytes in a frame.
//!
//! Vectors of one fleet mostly name the same replicas, so they share one list: to copy, join, compare, write and read
//! such vectors takes their sequences alone. Invariant: the list ascends, and the bytes, of a long one, are those of each id
//! in turn.
//! Knows nothing of sequences.

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use crate::id::ReplicaId;

/// So many ids are worth keeping their bytes.
const LONG: usize = 8;

/// Ids in ascending order.
#[derive(Clone)]
pub(crate) struct IdList {
    list: Vec<ReplicaId>,
    wire: Vec<u8>,
}

impl IdList {
    /// Takes ids, which must ascend; nothing if they do not, or if there is none.
    pub(crate) fn new(list: Vec<ReplicaId>) -> Option<Self> {
        Self::read(list, &[])
    }

    /// As [`IdList::new`], with their bytes, where those are at hand.
    #[inline(never)]
    pub(crate) fn read(list: Vec<ReplicaId>, wire: &[u8]) -> Option<Self> {
        if list.is_empty() || !ascend(&list) {
            return None;
        }
        let mut ids = Self { list, wire: Vec::new() };
        if ids.is_long() {
            ids.wire = wire.to_vec();
        }
        ids.write();
        Some(ids)
    }

    /// Whether there are enough of them to be written in one piece. Of fewer the bytes are not kept.
    pub(crate) const fn is_long(&self) -> bool {
        self.list.len() >= LONG
    }

    fn write(&mut self) {
        if self.is_long() && self.wire.is_empty() {
            self.wire.reserve(self.list.iter().map(ReplicaId::wire_len).sum());
            self.list.iter().for_each(|id| id.append_wire(&mut self.wire));
        }
    }

    /// The ids.
    pub(crate) fn list(&self) -> &[ReplicaId] {
        &self.list
    }

    /// Their bytes, each a CBOR byte string; empty where they are few.
    pub(crate) fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// Where an id stands, or would.
    pub(crate) fn find(&self, id: ReplicaId) -> Result<usize, usize> {
        self.list.binary_search(&id)
    }

    /// Puts an id where [`IdList::find`] says that it would stand.
    #[inline(never)]
    pub(super) fn insert(&mut self, at: usize, id: ReplicaId) {
        if self.is_long() {
            let (from, mut bytes) = (self.offset(at), Vec::new());
            id.append_wire(&mut bytes);
            self.wire.splice(from..from, bytes);
        }
        self.list.insert(at, id);
        self.write();
    }

    /// Takes out the id at a place where one stands.
    #[inline(never)]
    pub(super) fn remove(&mut self, at: usize) {
        if self.is_long() {
            let (from, to) = (self.offset(at), self.offset(at + 1));
            self.wire.drain(from..to);
        }
        self.list.remove(at);
        if !self.is_long() {
            self.wire.clear();
        }
    }

    fn offset(&self, at: usize) -> usize {
        self.list.iter().take(at).map(ReplicaId::wire_len).sum()
    }
}

/// Whether ids ascend, so that none stands twice.
pub(crate) fn ascend(list: &[ReplicaId]) -> bool {
    list.windows(2).all(|pair| matches!(pair, [one, next] if one < next))
}

impl PartialEq for IdList {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Eq for IdList {}

impl Hash for IdList {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.list.hash(state);
    }
}
