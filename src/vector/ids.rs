//! The replicas that a vector names, in order, and their bytes in a frame.
//!
//! Vectors of one fleet mostly name the same replicas, so they share one list: to copy, join, compare, write and read
//! such vectors takes their sequences alone. A long list that came in a frame stays the bytes that it was until somebody asks for
//! an id of it, and one that came otherwise, as in a token, has bytes once it is written. Invariant: the list ascends, and the bytes,
//! of a long one, are those of each id in turn; one of the two is there.
//! Knows nothing of sequences.

use alloc::sync::Arc;
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
/// So many bytes that came are kept beside the rest, if they and what follows them are as many.
const NEAR: usize = 128;

/// Ids in ascending order.
pub(crate) struct IdList<N: ?Sized = [u8]> {
    len: usize,
    form: Form,
    /// The bytes of few that came so; nothing elsewhere.
    near: N,
}

/// How the ids came, and what was made of them since.
enum Form {
    /// As ids, which are bytes once they were written.
    Ids { list: Vec<ReplicaId>, wire: Once<Vec<u8>> },
    /// As bytes, which are taken apart when somebody asks for the ids.
    Wire { wire: Wire, list: Once<Vec<ReplicaId>> },
}

/// Where bytes are that came.
enum Wire {
    /// So many, near.
    Near(usize),
    Far(Vec<u8>),
}

impl IdList {
    /// Takes ids, which must ascend; nothing if they do not, or if there is none.
    #[inline(never)]
    pub(crate) fn new(list: Vec<ReplicaId>) -> Option<Arc<Self>> {
        if ascend(&list) { Self::ascending(list) } else { None }
    }

    /// Takes ids that are known to ascend; nothing if there is none.
    pub(crate) fn ascending(list: Vec<ReplicaId>) -> Option<Arc<Self>> {
        let form = |list| Form::Ids { list, wire: Once::new() };
        if list.is_empty() { None } else { Some(Arc::new(IdList { len: list.len(), form: form(list), near: [] })) }
    }

    /// The ids with which these bytes begin, so many that it is a long list, which ascend: [`rising`] has found them so.
    pub(crate) fn of_wire(bytes: &[u8], extent: usize, len: usize) -> Option<Arc<Self>> {
        let form = |wire| Form::Wire { wire, list: Once::new() };
        let wire = bytes.get(..extent)?;
        Some(match bytes.first_chunk::<NEAR>() {
            // What stands behind them is copied, too: a length that is known is a few instructions, another one a call.
            Some(near) if extent <= NEAR => Arc::new(IdList { len, form: form(Wire::Near(extent)), near: *near }),
            Some(_) | None => Arc::new(IdList { len, form: form(Wire::Far(wire.to_vec())), near: [] }),
        })
    }

    /// Whether there are enough of them to be written in one piece. Of fewer the bytes are not kept.
    pub(crate) const fn is_long(&self) -> bool {
        self.len >= LONG
    }

    /// How many ids there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The ids.
    #[inline]
    pub(crate) fn list(&self) -> &[ReplicaId] {
        match &self.form {
            Form::Ids { list, .. } => list,
            Form::Wire { wire, list } => self.taken_apart(wire, list),
        }
    }

    #[inline(never)]
    fn taken_apart<'a>(&self, wire: &Wire, list: &'a Once<Vec<ReplicaId>>) -> &'a [ReplicaId] {
        list.get_or_init(|| read(self.came(wire), self.len))
    }

    /// Their bytes, each a CBOR byte string; empty where they are few.
    #[inline]
    pub(crate) fn wire(&self) -> &[u8] {
        match &self.form {
            Form::Wire { wire, .. } => self.came(wire),
            Form::Ids { list, wire } if self.is_long() => wire.get_or_init(|| written(list)),
            Form::Ids { .. } => &[],
        }
    }

    /// Their bytes, if there are some already.
    fn known_wire(&self) -> Option<&[u8]> {
        match &self.form {
            Form::Wire { wire, .. } => Some(self.came(wire)),
            Form::Ids { wire, .. } => wire.get().map(Vec::as_slice),
        }
    }

    /// The bytes that came.
    #[inline]
    fn came<'a>(&'a self, wire: &'a Wire) -> &'a [u8] {
        match wire {
            Wire::Near(len) => self.near.get(..*len).unwrap_or_default(),
            Wire::Far(bytes) => bytes,
        }
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

    /// Puts an id where [`IdList::find`] says that it would stand.
    pub(super) fn insert(ids: &mut Arc<Self>, at: usize, id: ReplicaId) {
        Self::change(ids, at, Some(id));
    }

    /// Takes out the id at a place where one stands.
    pub(super) fn remove(ids: &mut Arc<Self>, at: usize) {
        Self::change(ids, at, None);
    }

    /// Puts an id at a place, or takes out the one that stands there; alike among the bytes, where there are some. Unless others share
    /// the list nothing is copied.
    #[inline(never)]
    fn change(ids: &mut Arc<Self>, at: usize, new: Option<ReplicaId>) {
        let (mut list, mut wire) = match Arc::get_mut(ids) {
            Some(own) => own.take(),
            None => (ids.list().to_vec(), ids.known_wire().map(<[u8]>::to_vec)),
        };
        if let Some(wire) = &mut wire {
            let from = extent(wire, at).unwrap_or(wire.len());
            let to = if new.is_some() { from } else { extent(wire, at + 1).unwrap_or(wire.len()) };
            let mut bytes = Vec::new();
            new.iter().for_each(|id| id.append_wire(&mut bytes));
            wire.splice(from..to, bytes);
        }
        match new {
            Some(id) => list.insert(at, id),
            None => _ = list.remove(at),
        }
        let len = list.len();
        let form = Form::Ids { list, wire: wire.filter(|_| len >= LONG).map_or_else(Once::new, Once::from) };
        match Arc::get_mut(ids) {
            Some(own) => (own.len, own.form) = (len, form),
            None => *ids = Arc::new(IdList { len, form, near: [] }),
        }
    }

    /// The ids, and their bytes if there are some; nothing stays.
    fn take(&mut self) -> (Vec<ReplicaId>, Option<Vec<u8>>) {
        match core::mem::replace(&mut self.form, Form::Ids { list: Vec::new(), wire: Once::new() }) {
            Form::Ids { list, wire } => (list, wire.into_inner()),
            Form::Wire { wire, list } => {
                let wire = match wire {
                    Wire::Near(len) => self.near.get(..len).unwrap_or_default().to_vec(),
                    Wire::Far(bytes) => bytes,
                };
                (list.into_inner().unwrap_or_else(|| read(&wire, self.len)), Some(wire))
            }
        }
    }
}

/// The bytes of ids, each a CBOR byte string.
#[inline(never)]
fn written(list: &[ReplicaId]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(list.iter().map(ReplicaId::wire_len).sum());
    list.iter().for_each(|id| id.append_wire(&mut wire));
    wire
}

/// How many of so many ids, from the beginning of bytes on, ascend and have the form that is written, and how many bytes these are.
/// Nothing is taken apart but where labels change.
#[inline(never)]
pub(crate) fn rising(bytes: &[u8], count: usize) -> (usize, usize) {
    let (mut found, mut at) = (0, 0);
    // Where the one before begins.
    let mut last = None;
    while found < count {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(len) = ReplicaId::sound(rest) else { break };
        if last.is_some_and(|last| !is_below(bytes.get(last..).unwrap_or_default(), rest)) {
            break;
        }
        let more = ReplicaId::run(rest, len, count - found);
        found += more;
        last = Some(at + len * (more - 1));
        at += len * more;
    }
    (found, at)
}

/// Whether the first of two ids, with which these bytes begin, stands before the second.
#[inline(never)]
fn is_below(one: &[u8], next: &[u8]) -> bool {
    matches!((ReplicaId::read_strict(one), ReplicaId::read_strict(next)), (Some((one, _)), Some((next, _))) if one < next)
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
        match (self.known_wire(), other.known_wire()) {
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
            steps in prop::collection::vec((0..16u8, any::<bool>(), any::<bool>()), 0..60), from_wire: bool, behind in 0..100_usize,
        ) {
            let id = |at: u8| ReplicaId::new(if at < 8 { "a" } else { "b-longer" }, [at; RANDOM_LEN]).unwrap();
            let mut ids = IdList::new((0..10).map(id).collect()).unwrap();
            if from_wire {
                ids = IdList::of_wire(&[ids.wire(), &[7; 200]].concat()[..ids.wire().len() + behind], ids.wire().len(), ids.len()).unwrap();
            }
            for (at, write, again) in steps {
                match ids.find(id(at)) {
                    Ok(place) if ids.len() > 1 => IdList::remove(&mut ids, place),
                    Ok(_) => {}
                    Err(place) => IdList::insert(&mut ids, place, id(at)),
                }
                let fresh = IdList::new(ids.list().to_vec()).unwrap();
                prop_assert!(ids == fresh && fresh.len() == ids.list().len());
                if write {
                    prop_assert_eq!(ids.wire(), fresh.wire());
                    prop_assert!(ids == fresh);
                }
                if again && ids.is_long() {
                    ids = IdList::of_wire(&[ids.wire(), &[7; 200]].concat()[..ids.wire().len() + behind], ids.wire().len(), ids.len()).unwrap();
                }
            }
        }
    }
}
