//! Durability (invariant I5): what storage has, and what may therefore leave.
//!
//! A record is the delta since the previous record, so all writes between two drains share one. It carries the id of
//! the replica. After an id was replaced, a record of the new id follows, an empty one if necessary, so that no crash
//! brings the old id back. `Persisted(n)` is cumulative. With memory as storage nothing is recorded, and everything
//! counts as durable.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use litemap::LiteMap;

use crate::codec::{Desk, Rope};
use crate::id::{ReplicaId, Space};
use crate::identity::Identities;
use crate::mutant::{Mutant, Service, off};
use crate::store::SessionConsistentStore;
use crate::sync::message::{Frame, Message};
use crate::vector::VersionVector;

type Vectors = LiteMap<Space, VersionVector>;

/// What was handed to storage, and what of it is durable.
#[derive(Debug)]
pub(crate) struct Journal {
    /// Whether there is storage to wait for.
    storage: bool,
    /// The id under which storage would open this replica again.
    id: Option<ReplicaId>,
    written: u64,
    persisted: u64,
    journaled: Vectors,
    durable: Vectors,
    pending: VecDeque<(u64, Vectors)>,
    /// Whether the next record replaces all earlier ones.
    anew: bool,
    /// The number of the last fence that was handed to storage.
    fenced: u64,
}

impl Journal {
    pub(crate) fn new(storage: bool) -> Self {
        let (journaled, durable) = (Vectors::new(), Vectors::new());
        let pending = VecDeque::new();
        Self { storage, id: None, written: 0, persisted: 0, journaled, durable, pending, anew: false, fenced: 0 }
    }

    /// Everything in `store` came from storage, last under `id`.
    pub(crate) fn loaded(&mut self, id: ReplicaId, store: &SessionConsistentStore) {
        self.id = Some(id);
        self.journaled = vectors(store);
        self.durable = self.journaled.clone();
        self.fenced = store.fences().last();
    }

    /// The record of what has changed since the last one, if anything has or the id has. `secrets` are included with an
    /// id that is new to storage.
    pub(crate) fn record(
        &mut self,
        id: ReplicaId,
        secrets: Option<&Identities>,
        store: &SessionConsistentStore,
    ) -> Option<(u64, Rope)> {
        if !self.storage {
            return None;
        }
        let empty = VersionVector::new();
        let since = |space: &Space| self.journaled.get(space).unwrap_or(&empty);
        let deltas = store
            .spaces()
            .filter(|(space, state)| since(space) != state.vector())
            .map(|(space, state)| Message::Delta(state.extract(space, since(space), store.clock().last())));
        let mut messages = Vec::new();
        if core::mem::take(&mut self.anew) {
            messages.push(Message::Reset);
        }
        if self.id != Some(id) {
            messages.extend(secrets.map(bind));
        }
        if !off(Mutant::Service(Service::Record)) {
            messages.extend(fences(store, &mut self.fenced));
        }
        messages.extend(deltas);
        let written = messages.iter().any(|message| !matches!(message, Message::Bind { .. }));
        if !written && self.id.is_none_or(|known| known == id) {
            return None;
        }
        self.id = Some(id);
        self.written += 1;
        self.journaled = vectors(store);
        self.pending.push_back((self.written, self.journaled.clone()));
        Some((self.written, Frame { from: id, to: None, messages }.encode_from(store, &mut Desk::default())))
    }

    /// The state was replaced instead of extended: the next record replaces all earlier ones.
    pub(crate) fn begin_anew(&mut self) {
        self.anew = true;
        self.journaled = Vectors::new();
        self.fenced = 0;
    }

    /// Storage has all records up to `n`. Returns whether that is new.
    pub(crate) fn persisted(&mut self, n: u64) -> bool {
        let n = n.min(self.written);
        let news = n > self.persisted;
        self.persisted = self.persisted.max(n);
        while self.pending.front().is_some_and(|(record, _)| *record <= n) {
            if let Some((_, vectors)) = self.pending.pop_front() {
                self.durable = vectors;
            }
        }
        news
    }

    /// The record that must be durable before anything that the current state decided may leave. Call it after
    /// [`Journal::record`].
    pub(crate) const fn gate(&self) -> u64 {
        self.written
    }

    /// Whether there is storage to wait for.
    pub(crate) const fn has_storage(&self) -> bool {
        self.storage
    }

    /// Whether an effect that waits for `gate` may leave.
    pub(crate) fn open(&self, gate: u64) -> bool {
        gate <= self.persisted || off(Mutant::PersistBeforeEscape)
    }

    /// Whether everything handed to storage is durable.
    pub(crate) const fn settled(&self) -> bool {
        self.persisted == self.written
    }

    /// What of a space is durable.
    pub(crate) fn durable<'a>(&'a self, space: &Space, store: &'a SessionConsistentStore) -> &'a VersionVector {
        static EMPTY: VersionVector = VersionVector::new();
        let waits = self.storage && !off(Mutant::PersistBeforeEscape);
        if waits { self.durable.get(space).unwrap_or(&EMPTY) } else { store.vector(space) }
    }
}

fn vectors(store: &SessionConsistentStore) -> Vectors {
    let vectors = store.spaces().map(|(space, state)| (space.clone(), state.vector().clone()));
    LiteMap::from_sorted_store_unchecked(vectors.collect())
}

/// The secrets of own ids, in the form for storage.
fn bind(secrets: &Identities) -> Message {
    Message::Bind { ids: secrets.iter().cloned().collect() }
}

/// The fences that have changed after the number `after`, which is advanced to the last one.
fn fences(store: &SessionConsistentStore, after: &mut u64) -> Vec<Message> {
    let mut messages = Vec::new();
    while *after < store.fences().last() {
        let (fences, told) = store.fences().since(*after);
        *after = told;
        if !fences.is_empty() {
            messages.push(Message::Fence { told: 0, heard: 0, digest: 0, fences });
        }
    }
    messages
}

/// The snapshot: the fences, and for each space its delta since nothing. The same form as a message or a record.
/// `secrets` are for the replica's own storage only.
pub(crate) fn snapshot(id: ReplicaId, secrets: Option<&Identities>, store: &SessionConsistentStore) -> Rope {
    let messages: Vec<Message> = secrets.map(bind).into_iter().chain(fences(store, &mut 0)).collect();
    Frame::encode_all(id, &messages, store)
}
