//! The read and write vectors of a session, per space: the state that the four guarantees are checked with.
//!
//! Invariant: vectors only grow, except by [`SessionVector::cap`]; merging is a lossless join. Knows nothing of the
//! store or of tokens.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use litemap::LiteMap;

use crate::guarantee::{Access, Dependency, Guarantees};
use crate::id::{Dot, Space};
use crate::vector::{Gap, VersionVector};

/// What a session has read and written in one space.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dependencies {
    /// `r`: the dots of the entries that decided its answers.
    pub reads: VersionVector,
    /// `w`: the dots of its writes.
    pub writes: VersionVector,
}

impl Dependencies {
    /// Whether there are no dependencies.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.reads.is_empty() && self.writes.is_empty()
    }

    /// The replicas that either vector names, each with the greater sequence.
    #[must_use]
    pub fn replicas(&self) -> VersionVector {
        let mut both = self.reads.clone();
        both.join(&self.writes);
        both
    }
}

/// What a session has read and written, in every space that it used.
///
/// ```
/// use edge_session::guarantee::{Access, Guarantees};
/// use edge_session::id::{Dot, ReplicaId, Space};
/// use edge_session::session::vector::SessionVector;
/// use edge_session::vector::VersionVector;
/// let (space, a) = (Space::first("default")?, ReplicaId::new("a", [0; 10])?);
/// let mut session = SessionVector::default();
/// session.record_write(&space, Dot::new(a, 1));
/// // A replica that lacks the write may not serve a read: Read Your Writes.
/// let missing = session.missing(&space, Guarantees::ALL, Access::Read, &VersionVector::new());
/// assert_eq!((missing[0].replica, missing[0].have, missing[0].need), (a, 0, 1));
/// # Ok::<(), edge_session::error::SessionError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SessionVector {
    /// Copy-on-write: a session, its token and the signed part of that are usually equal. `None` if there is no space.
    spaces: Option<Arc<Spaces>>,
}

type Map = LiteMap<Space, Dependencies>;

/// Dependencies by their spaces.
#[derive(Default)]
struct Spaces {
    map: Map,
    /// The text of the token's claim that they arrived in, if they have not changed since; sealing them again copies
    /// it. Empty otherwise.
    claim: Vec<u8>,
}

impl Clone for Spaces {
    /// Drops the claim, because a copy is made only to be changed.
    fn clone(&self) -> Self {
        Self { map: self.map.clone(), claim: Vec::new() }
    }
}

impl PartialEq for Spaces {
    fn eq(&self, other: &Self) -> bool {
        self.map == other.map
    }
}

impl Eq for Spaces {}

impl fmt::Debug for Spaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.map.fmt(f)
    }
}

/// The dependencies of a session that has done nothing yet.
static NOWHERE: Map = LiteMap::new();

impl SessionVector {
    /// Records a write: `w[o] := max(w[o], n)`.
    pub fn record_write(&mut self, space: &Space, dot: Dot) {
        self.dependencies(space).writes.advance(dot);
    }

    /// Records an entry that decided an answer. One dot stands for its whole causal past (invariant I2), so nothing
    /// else of the replica's vector is recorded.
    pub fn record_read(&mut self, space: &Space, dot: Dot) {
        self.dependencies(space).reads.advance(dot);
    }

    /// Records an absence that no entry proves: `floor` is the join of the dots that the replica has collected.
    pub fn record_absence(&mut self, space: &Space, floor: &VersionVector) {
        if !floor.is_empty() {
            self.dependencies(space).reads.join(floor);
        }
    }

    /// What `vector` lacks before it may serve an `access` in `space` under `guarantees`, ordered by id; empty if it
    /// lacks nothing. This applies the table of [`crate::guarantee`].
    #[must_use]
    pub fn missing(&self, space: &Space, guarantees: Guarantees, access: Access, vector: &VersionVector) -> Vec<Gap> {
        let Some(own) = self.get(space) else { return Vec::new() };
        let reads = guarantees.checks(access, Dependency::Reads).then_some(&own.reads);
        let writes = guarantees.checks(access, Dependency::Writes).then_some(&own.writes);
        match (reads, writes) {
            (None, None) => Vec::new(),
            (Some(one), None) | (None, Some(one)) => vector.gaps(one).collect(),
            // Almost always nothing is missing; the joined vector is built only if something is.
            (Some(r), Some(w)) if vector.dominates(r) && vector.dominates(w) => Vec::new(),
            (Some(r), Some(w)) => {
                let mut both = r.clone();
                both.join(w);
                vector.gaps(&both).collect()
            }
        }
    }

    /// Joins the dependencies of `other`; nothing is lost, and the order of merges does not matter.
    pub fn merge(&mut self, other: &Self) {
        if self.is_copy_of(other) {
            return;
        }
        if self.spaces.is_none() && other.iter().all(|(_, theirs)| !theirs.is_empty()) {
            self.spaces.clone_from(&other.spaces);
            return;
        }
        for (space, theirs) in other.iter().filter(|(_, theirs)| !theirs.is_empty()) {
            let own = self.dependencies(space);
            own.reads.join(&theirs.reads);
            own.writes.join(&theirs.writes);
        }
    }

    /// What `other` does not cover: the least vector that, merged with `other`, gives the join of both.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> Self {
        let rest = |own: &VersionVector, theirs: &VersionVector| {
            theirs.gaps(own).map(|gap| (gap.replica, gap.need)).collect::<VersionVector>()
        };
        let none = Dependencies::default();
        let spaces = self.iter().map(|(space, own)| {
            let theirs = other.get(space).unwrap_or(&none);
            let reads = rest(&own.reads, &theirs.reads);
            (space.clone(), Dependencies { reads, writes: rest(&own.writes, &theirs.writes) })
        });
        Self::of(LiteMap::from_sorted_store_unchecked(spaces.filter(|(_, own)| !own.is_empty()).collect()))
    }

    /// Lowers the dependency on `replica` in `space` to at most `sequence`. Only for dots that are not in storage yet
    /// and therefore must not leave in a token (invariant I5).
    pub fn cap(&mut self, space: &Space, replica: crate::id::ReplicaId, sequence: u64) {
        let Some(spaces) = self.spaces_mut() else { return };
        if let Some(own) = spaces.get_mut(space) {
            own.reads.cap(replica, sequence);
            own.writes.cap(replica, sequence);
        }
        spaces.retain(|_, own| !own.is_empty());
        if spaces.is_empty() {
            self.spaces = None;
        }
    }

    fn of(map: Map) -> Self {
        Self { spaces: if map.is_empty() { None } else { Some(Arc::new(Spaces { map, claim: Vec::new() })) } }
    }

    fn spaces(&self) -> &Map {
        self.spaces.as_deref().map_or(&NOWHERE, |spaces| &spaces.map)
    }

    /// The spaces, for changing: drops the claim that they arrived in.
    fn spaces_mut(&mut self) -> Option<&mut Map> {
        let spaces = Arc::make_mut(self.spaces.as_mut()?);
        spaces.claim = Vec::new();
        Some(&mut spaces.map)
    }

    /// The text of the claim that it arrived in, if it has not changed since; otherwise empty.
    pub(super) fn claim(&self) -> &[u8] {
        self.spaces.as_deref().map_or(&[], |spaces| &spaces.claim)
    }

    /// Records the claim that it arrived in, which must be what would be written for it.
    pub(super) fn came_in(&mut self, claim: &[u8]) {
        if let Some(spaces) = self.spaces.as_mut().and_then(Arc::get_mut) {
            spaces.claim = claim.to_vec();
        }
    }

    /// Whether one is an unchanged copy of the other. Compares pointers only, so equal values may differ.
    pub(crate) fn is_copy_of(&self, other: &Self) -> bool {
        match (&self.spaces, &other.spaces) {
            (Some(own), Some(others)) => Arc::ptr_eq(own, others),
            (_, others) => others.is_none() && self.spaces.is_none(),
        }
    }

    /// The dependencies in `space`, if there are any.
    #[must_use]
    pub fn get(&self, space: &Space) -> Option<&Dependencies> {
        self.spaces().get(space)
    }

    /// Every space with its dependencies, in the order of spaces.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Space, &Dependencies)> {
        self.spaces().iter()
    }

    /// Whether there are no dependencies.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spaces.is_none()
    }

    /// The dependencies in `space`, created empty if there are none.
    pub fn dependencies(&mut self, space: &Space) -> &mut Dependencies {
        // Usually there is one space: the default capacity of four would exceed a small block of memory.
        let spaces =
            self.spaces.get_or_insert_with(|| Arc::new(Spaces { map: LiteMap::with_capacity(1), claim: Vec::new() }));
        let spaces = Arc::make_mut(spaces);
        spaces.claim = Vec::new();
        spaces.map.entry(space.clone()).or_default()
    }
}
