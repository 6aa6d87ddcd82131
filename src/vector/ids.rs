//! The replicas that a vector names, in order, and their bytes in a frame.
//!
//! Vectors of one fleet mostly name the same replicas, so they share one list: to copy, join, compare, write and read
//! such vectors takes their sequences alone. A long list that came in a frame stays the bytes that it was until somebody asks for
//! an id of it, and one that came otherwise, as in a token, has bytes once it is written. Invariant: the list ascends, and the bytes,
//! of a long one, are those of each id in turn; one of the two is there.
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
    wire: Once<Vec<u8>>,
}

impl IdList {
    /// Takes ids, which must ascend; nothing if they do not, or if there is none.
    #[inline(never)]
    pub(crate) fn new(list: Vec<ReplicaId>) -> Option<Self> {
        if ascend(&list) { Self::ascending(list) } else { None }
    }

    /// Takes ids that are known to ascend; nothing if there is none.
    pub(crate) fn ascending(list: Vec<ReplicaId>) -> Option<Self> {
        if list.is_empty() { None } else { Some(Self { len: list.len(), list: Once::from(list), wire: Once::new() }) }
    }

    /// The ids of these bytes, so many that it is a long list, which ascend: [`rising`] has found them so.
    pub(crate) fn of_wire(wire: &[u8], len: usize) -> Self {
        Self { len, list: Once::new(), wire: Once::from(wire.to_vec()) }
    }

    /// Whether there are enough of them to be written in one piece. Of fewer the bytes are not kept.
    pub(crate) const fn is_long(&self) -> bool {
        self.len >= LONG
    }

    #[inline(never)]
    fn written(&self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(self.list().iter().map(ReplicaId::wire_len).sum());
        self.list().iter().for_each(|id| id.append_wire(&mut wire));
        wire
    }

    /// What the bytes say, where there are some.
    fn read(&self) -> Vec<ReplicaId> {
        self.wire.get().map_or_else(Vec::new, |wire| read(wire, self.len))
    }

    /// How many ids there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The ids.
    #[inline]
    pub(crate) fn list(&self) -> &[ReplicaId] {
        self.list.get_or_init(|| self.read())
    }

    /// Their bytes, each a CBOR byte string; empty where they are few.
    #[inline]
    pub(crate) fn wire(&self) -> &[u8] {
        if self.is_long() { self.wire.get_or_init(|| self.written()) } else { &[] }
    }

    /// Where an id stands. Few are looked through: that they are the same takes less to see than which of them comes first.
    #[inline]
    pub(super) fn place(&self, id: ReplicaId) -> Option<usize> {
        let list = self.list();
        if list.len() <= LONG { list.iter().position(|known| known.near_eq(&id)) } else { list.binary_search(&id).ok() }
    }

    /// Where an id stands, or would.
    pub(crate) fn find(&self, id: ReplicaId) -> Result<usize, usize> {
        self.list().binary_search(&id)
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<ReplicaId>)) {
        let mut list = self.list.take().unwrap_or_else(|| self.read());
        change(&mut list);
        self.len = list.len();
        self.list = Once::from(list);
    }

    /// Puts an id where [`IdList::find`] says that it would stand.
    #[inline(never)]
    pub(super) fn insert(&mut self, at: usize, id: ReplicaId) {
        self.change(|list| list.insert(at, id));
        if let Some(wire) = self.wire.get_mut() {
            let (from, mut bytes) = (extent(wire, at).unwrap_or(wire.len()), Vec::new());
            id.append_wire(&mut bytes);
            wire.splice(from..from, bytes);
        }
    }

    /// Takes out the id at a place where one stands.
    #[inline(never)]
    pub(super) fn remove(&mut self, at: usize) {
        self.change(|list| _ = list.remove(at));
        let place = |wire: &Vec<u8>| Some((extent(wire, at)?, extent(wire, at + 1)?));
        match self.wire.get_mut() {
            Some(wire) if self.len >= LONG => {
                if let Some((from, to)) = place(wire) {
                    wire.drain(from..to);
                }
            }
            Some(_) | None => _ = self.wire.take(),
        }
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
        match (self.wire.get(), other.wire.get()) {
            (Some(own), Some(others)) => own == others,
            (Some(_), None) | (None, _) => self.list() == other.list(),
        }
    }
}

impl Eq for IdList {}

impl Hash for IdList {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.list().hash(state);
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::RANDOM_LEN;

    proptest! {
        /// Whether the bytes are there when the list changes, or are made afterwards, or came first.
        #[test]
        fn a_list_that_changes_has_the_bytes_of_its_ids(
            steps in prop::collection::vec((0..16u8, any::<bool>(), any::<bool>()), 0..60), from_wire: bool,
        ) {
            let id = |at: u8| ReplicaId::new(if at < 8 { "a" } else { "b-longer" }, [at; RANDOM_LEN]).unwrap();
            let mut ids = IdList::new((0..10).map(id).collect()).unwrap();
            if from_wire {
                ids = IdList::of_wire(ids.wire(), ids.len());
            }
            for (at, write, again) in steps {
                match ids.find(id(at)) {
                    Ok(place) if ids.len() > 1 => ids.remove(place),
                    Ok(_) => {}
                    Err(place) => ids.insert(place, id(at)),
                }
                let fresh = IdList::new(ids.list().to_vec()).unwrap();
                prop_assert!(ids == fresh && fresh.len() == ids.list().len());
                if write {
                    prop_assert_eq!(ids.wire(), fresh.wire());
                    prop_assert!(ids == fresh);
                }
                if again && ids.is_long() {
                    ids = IdList::of_wire(ids.wire(), ids.len());
                }
            }
        }
    }
}
