//! The replicas that a vector names, in order, and their bytes in a frame.
//!
//! Vectors of one fleet mostly name the same replicas, so they share one list: to copy, join, compare, write and read
//! such vectors takes their sequences alone. A long list that came in a frame stays the bytes that it was until somebody asks for
//! an id of it. Invariant: the list ascends, and the bytes, of a long one, are those of each id in turn.
//! Knows nothing of sequences.

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use self::once::Once;
use crate::id::ReplicaId;

/// As elsewhere in the core, what is shared between threads must be so where there are some.
mod once {
    extern crate std;
    pub(super) use std::sync::OnceLock as Once;
}

/// So many ids are worth keeping their bytes.
pub(crate) const LONG: usize = 8;

/// Ids in ascending order.
#[derive(Clone, Default)]
pub(crate) struct IdList {
    len: usize,
    /// The ids; those that came as bytes are taken apart when somebody asks for them.
    list: Once<Vec<ReplicaId>>,
    wire: Vec<u8>,
}

impl IdList {
    /// Takes ids, which must ascend; nothing if they do not, or if there is none.
    #[inline(never)]
    pub(crate) fn new(list: Vec<ReplicaId>) -> Option<Self> {
        if list.is_empty() || !ascend(&list) {
            return None;
        }
        let mut ids = Self { len: list.len(), list: Once::from(list), wire: Vec::new() };
        ids.write();
        Some(ids)
    }

    /// The ids of these bytes, so many that it is a long list, which ascend: [`rising`] has found them so.
    pub(crate) fn of_wire(wire: &[u8], len: usize) -> Self {
        Self { len, list: Once::new(), wire: wire.to_vec() }
    }

    /// Whether there are enough of them to be written in one piece. Of fewer the bytes are not kept.
    pub(crate) const fn is_long(&self) -> bool {
        self.len >= LONG
    }

    fn write(&mut self) {
        if self.is_long() && self.wire.is_empty() {
            let mut wire = Vec::with_capacity(self.list().iter().map(ReplicaId::wire_len).sum());
            self.list().iter().for_each(|id| id.append_wire(&mut wire));
            self.wire = wire;
        }
    }

    /// How many ids there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The ids.
    #[inline]
    pub(crate) fn list(&self) -> &[ReplicaId] {
        self.list.get_or_init(|| read(&self.wire, self.len))
    }

    /// Their bytes, each a CBOR byte string; empty where they are few.
    pub(crate) fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// Where an id stands, or would.
    pub(crate) fn find(&self, id: ReplicaId) -> Result<usize, usize> {
        self.list().binary_search(&id)
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<ReplicaId>)) {
        let mut list = self.list.take().unwrap_or_else(|| read(&self.wire, self.len));
        change(&mut list);
        self.len = list.len();
        self.list = Once::from(list);
    }

    /// Puts an id where [`IdList::find`] says that it would stand.
    #[inline(never)]
    pub(super) fn insert(&mut self, at: usize, id: ReplicaId) {
        if self.is_long() {
            let (from, mut bytes) = (self.offset(at), Vec::new());
            id.append_wire(&mut bytes);
            self.wire.splice(from..from, bytes);
        }
        self.change(|list| list.insert(at, id));
        self.write();
    }

    /// Takes out the id at a place where one stands.
    #[inline(never)]
    pub(super) fn remove(&mut self, at: usize) {
        if self.is_long() {
            let (from, to) = (self.offset(at), self.offset(at + 1));
            self.wire.drain(from..to);
        }
        self.change(|list| _ = list.remove(at));
        if !self.is_long() {
            self.wire.clear();
        }
    }

    fn offset(&self, at: usize) -> usize {
        extent(&self.wire, at).unwrap_or(self.wire.len())
    }
}

/// How many of so many ids, from the beginning of bytes on, ascend and have the form that is written, and how many bytes these are.
/// Nothing is taken apart that is like the id before.
#[inline(never)]
pub(crate) fn rising(bytes: &[u8], count: usize) -> (usize, usize) {
    let (mut found, mut at) = (0, 0);
    let mut last = None;
    while found < count {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some((id, len)) = ReplicaId::read_strict(rest).filter(|(id, _)| last.is_none_or(|last| last < *id)) else {
            break;
        };
        let (more, passed) = id.run(rest, count - found);
        found += more;
        at += passed;
        if found < count {
            let behind = rest.get(passed - len..).filter(|_| more > 1);
            last = behind.map_or(Some(id), |last| Some(ReplicaId::read_strict(last)?.0));
        }
    }
    (found, at)
}

/// How many bytes so many ids have, of which the bytes are known to be.
pub(crate) fn extent(bytes: &[u8], count: usize) -> Option<usize> {
    let mut at = 0;
    for _ in 0..count {
        at += ReplicaId::wire_extent(bytes.get(at..)?)?;
    }
    Some(at)
}

/// The id at a place among bytes that are known to be ids.
pub(crate) fn nth(bytes: &[u8], at: usize) -> Option<ReplicaId> {
    Some(ReplicaId::read_strict(bytes.get(extent(bytes, at)?..)?)?.0)
}

/// So many ids, of which the bytes are known to be.
pub(crate) fn read(bytes: &[u8], count: usize) -> Vec<ReplicaId> {
    let mut list = Vec::with_capacity(count.min(bytes.len()));
    let mut at = 0;
    while list.len() < count {
        let Some((id, len)) = bytes.get(at..).and_then(ReplicaId::read_strict) else { break };
        list.push(id);
        at += len;
    }
    list
}

/// Whether ids ascend, so that none stands twice.
pub(crate) fn ascend(list: &[ReplicaId]) -> bool {
    list.windows(2).all(|pair| matches!(pair, [one, next] if one < next))
}

impl PartialEq for IdList {
    fn eq(&self, other: &Self) -> bool {
        if self.is_long() { self.wire == other.wire } else { self.list() == other.list() }
    }
}

impl Eq for IdList {}

impl Hash for IdList {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.list().hash(state);
    }
}
