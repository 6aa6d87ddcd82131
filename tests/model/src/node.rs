//! One replica's store, and what it holds in truth.
//!
//! Invariant: the digest names everything that the store's later answers can depend on, so states with equal digests
//! are one state. It is computed once a change, and a state shares the nodes that a step left alone.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use edge_session::id::{Dot, ReplicaId, SessionId, Space};
use edge_session::store::delta::Delta;
use edge_session::store::entry::{Key, LiveSet};
use edge_session::store::limits::Limits;
use edge_session::store::{Mutation, SessionConsistentStore};
use edge_session::vector::VersionVector;

use crate::bound::{KEYS, REPLICAS, SESSIONS};
use crate::truth::{Set, Slot, content};

/// The one space.
pub static SPACE: LazyLock<Space> = LazyLock::new(|| Space::first("default").expect("a legal name"));
/// The ids of the replicas.
pub static IDS: LazyLock<[ReplicaId; REPLICAS]> =
    LazyLock::new(|| ["a", "b", "c"].map(|label| ReplicaId::new(label, [0; 10]).expect("a legal label")));
/// The ids of the sessions.
pub static SESSION_IDS: LazyLock<[SessionId; SESSIONS]> =
    LazyLock::new(|| [0, 1].map(|at| SessionId::new(0, [at; 10])));
static KEY_TEXTS: LazyLock<[Key; KEYS.len()]> = LazyLock::new(|| KEYS.map(Key::from));

/// The replicas' clocks, in milliseconds. They stand still and are a second apart, so that stamps follow causality only
/// because clocks are received.
const CLOCKS: [u64; REPLICAS] = [12_000, 11_000, 10_000];

/// A store and the writes that it holds in truth.
#[derive(Clone, Debug)]
pub struct Node {
    store: SessionConsistentStore,
    held: Set,
    digest: u64,
}

impl Default for Node {
    fn default() -> Self {
        Self { store: SessionConsistentStore::new(Limits::default()), held: 0, digest: 0 }
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        (self.held, self.digest) == (other.held, other.digest)
    }
}

impl Eq for Node {}

impl Hash for Node {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.held.hash(state);
        self.digest.hash(state);
    }
}

impl Node {
    /// The store.
    #[must_use]
    pub const fn store(&self) -> &SessionConsistentStore {
        &self.store
    }

    /// What the store's vector says that it holds.
    #[must_use]
    pub fn vector(&self) -> &VersionVector {
        self.store.vector(&SPACE)
    }

    /// What it holds in truth.
    #[must_use]
    pub const fn held(&self) -> Set {
        self.held
    }

    /// The live set of a key.
    #[must_use]
    pub fn live(&self, key: usize) -> Option<&LiveSet> {
        self.store.live(&SPACE, &KEY_TEXTS[key])
    }

    /// The delta since `from`, if anything was ever held here.
    #[must_use]
    pub fn extract(&self, from: &VersionVector) -> Option<Delta> {
        self.store.extract(&SPACE, from)
    }

    /// The node after the write of a slot, and the dot that it got.
    #[must_use]
    pub fn write(&self, replica: usize, session: usize, key: usize, slot: Slot) -> (Self, Dot) {
        let mut next = self.clone();
        let batch = vec![Mutation { key: KEY_TEXTS[key].clone(), content: content(slot), expires_at: None }];
        let written = next.store.write(&SPACE, IDS[replica], Some(SESSION_IDS[session]), batch, &[], CLOCKS[replica]);
        let dot = written.expect("a write within the limits is accepted");
        next.held |= 1 << slot;
        next.digest = next.compute();
        (next, dot)
    }

    /// The node after a delta from somebody who held `held`; nothing if it does not apply or brings no news.
    #[must_use]
    pub fn apply(&self, delta: &Delta, held: Set) -> Option<Self> {
        let mut next = self.clone();
        next.store.apply(delta.clone()).ok()?;
        next.held |= held;
        next.digest = next.compute();
        (next != *self).then_some(next)
    }

    /// Whether two stores hold the same: live sets, vector, index and counts.
    #[must_use]
    pub fn is_equal(&self, other: &Self) -> bool {
        self.store.space(&SPACE) == other.store.space(&SPACE)
    }

    fn compute(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.store.clock().last().hash(&mut hasher);
        self.vector().hash(&mut hasher);
        for (key, set) in self.store.space(&SPACE).into_iter().flat_map(|space| space.iter()) {
            key.hash(&mut hasher);
            for entry in set.entries() {
                (entry.dot(), entry.hlc, entry.session()).hash(&mut hasher);
            }
        }
        hasher.finish()
    }
}
