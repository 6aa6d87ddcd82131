//! What one replica holds, by the checker's own account: the model that its state is compared with at every step.
//!
//! A replica's vector is a claim: "I hold these writes". From the claim and from the checker's own record of what every
//! write saw when it was accepted follows, for every key, exactly which entries must be live: those that no other held
//! write saw. The comparison with the entries that are really there judges the claim by values, so that the vectors of
//! the code under test are believed in nothing.

use std::collections::{BTreeMap, BTreeSet};

use edge_session::id::{Dot, ReplicaId};
use edge_session::store::entry::{DataEntry, Key};
use edge_session::store::space::SpaceState;
use edge_session::vector::VersionVector;

use super::alarm::{Alarm, Kind};
use super::set::{Set, WriteId};
use super::writes::{Rank, Writes, number, same};

/// The model of one replica.
#[derive(Debug, Default)]
pub struct Mirror {
    /// The ids that the replica has had since it was opened.
    ids: BTreeSet<ReplicaId>,
    /// Whether it has a storage.
    pub storage: bool,
    /// What storage has said to hold.
    pub durable: BTreeMap<ReplicaId, u64>,
    /// The writes that it holds.
    pub has: Set,
    accepted: Vec<Dot>,
    /// Whether the last step made a write that it superseded itself.
    pub unseen: bool,
    vector: BTreeMap<ReplicaId, u64>,
    live: BTreeMap<Key, Vec<WriteId>>,
    /// What was live before and during the last step, for the keys that it changed.
    before: BTreeMap<Key, Vec<Vec<WriteId>>>,
    /// The keys that the present part of the step has changed.
    touched: BTreeSet<Key>,
    top: Option<Rank>,
}

impl Mirror {
    /// The model of a replica that holds nothing yet.
    #[must_use]
    pub fn new(storage: bool) -> Self {
        Self { storage, ..Self::default() }
    }

    /// The writes that must be live for a key, the winner first.
    #[must_use]
    pub fn live(&self, key: &str) -> &[WriteId] {
        self.live.get(key).map_or(&[], Vec::as_slice)
    }

    /// Every live set that the key has had since the last step began, the present one first.
    pub fn states(&self, key: &str) -> impl Iterator<Item = &[WriteId]> {
        std::iter::once(self.live(key)).chain(self.before.get(key).into_iter().flatten().map(Vec::as_slice))
    }

    /// Whether storage has said to hold a write, or there is no storage.
    #[must_use]
    pub fn is_durable(&self, dot: Dot) -> bool {
        !self.storage || self.durable.get(&dot.replica).is_some_and(|last| *last >= dot.sequence)
    }

    /// What the replica has accepted since it was opened.
    #[must_use]
    pub fn accepted(&self) -> &[Dot] {
        &self.accepted
    }

    /// A step begins, under this id.
    pub fn begin_step(&mut self, id: ReplicaId) {
        self.ids.insert(id);
        self.unseen = false;
        self.before.clear();
        self.touched.clear();
    }

    /// What is held from now on comes later in the step: answers may have come in between.
    pub fn part(&mut self) {
        self.touched.clear();
    }

    /// The dots by which the vector has grown since the last step: those that the register knows, as writes, and own
    /// new ones.
    pub fn news(&mut self, vector: &VersionVector, writes: &Writes) -> Result<(Vec<WriteId>, Vec<Dot>), Alarm> {
        for (id, last) in &self.vector {
            if vector.get(*id) < *last {
                return Alarm::raise(Kind::State, format!("the vector went back for {id}"));
            }
        }
        let (mut known, mut own) = (Vec::new(), Vec::new());
        for (id, last) in vector.iter() {
            let first = self.vector.insert(id, last).unwrap_or(0) + 1;
            for dot in (first..=last).map(|sequence| Dot::new(id, sequence)) {
                match writes.of_dot(dot) {
                    Some(write) => known.push(write),
                    None if self.ids.contains(&id) => {
                        self.accepted.push(dot);
                        own.push(dot);
                    }
                    None => return Alarm::raise(Kind::Escape, format!("{dot} is here, which nobody has any more")),
                }
            }
        }
        Ok((known, own))
    }

    /// Holds a write from now on; its keys' live sets follow.
    pub fn hold(&mut self, write: WriteId, writes: &Writes) {
        self.has.insert(write);
        let own = writes.get(write);
        self.top = self.top.max(own.rank);
        for key in own.parts.keys() {
            let live = self.live.entry(key.clone()).or_default();
            if self.touched.insert(key.clone()) {
                self.before.entry(key.clone()).or_default().push(live.clone());
            }
            if live.iter().any(|other| writes.follows(*other, write)) {
                continue;
            }
            live.retain(|other| !writes.follows(write, *other));
            live.push(write);
            live.sort_by_key(|write| std::cmp::Reverse(writes.get(*write).rank));
        }
    }

    /// The greatest rank held.
    #[must_use]
    pub const fn top(&self) -> Option<Rank> {
        self.top
    }

    /// Compares the replica's entries with what must be live.
    pub fn compare(&self, state: Option<&SpaceState>, writes: &Writes) -> Result<(), Alarm> {
        let mut keys = 0;
        for (key, set) in state.into_iter().flat_map(SpaceState::iter) {
            keys += 1;
            for entry in set.entries() {
                content(key, entry, writes)?;
            }
            let live: Vec<_> = set.entries().iter().filter_map(|entry| writes.of_dot(entry.dot())).collect();
            if live != self.live(key) {
                return Alarm::raise(Kind::State, format!("{key} has {live:?} and must have {:?}", self.live(key)));
            }
        }
        if keys != self.live.len() {
            let lacks = self.live.keys().find(|key| state.is_none_or(|state| state.live(key).is_none()));
            return Alarm::raise(Kind::State, format!("the key {lacks:?} is not there at all"));
        }
        Ok(())
    }
}

/// An entry is exactly what the write of its dot wrote: a dot never stands for two writes.
pub fn content(key: &Key, entry: &DataEntry, writes: &Writes) -> Result<(), Alarm> {
    let Some(write) = writes.of_dot(entry.dot()) else {
        return Alarm::raise(Kind::State, format!("{key} has the entry {}, which nobody wrote", entry.dot()));
    };
    let own = writes.get(write);
    let fits = own.rank == Some(entry.rank())
        && own.session == entry.session()
        && own
            .parts
            .get(key)
            .is_some_and(|part| same(&part.content, &entry.content) && part.expires_at == entry.expires_at());
    if fits {
        return Ok(());
    }
    let (dot, other) = (entry.dot(), number(&entry.content));
    Alarm::raise(Kind::DotReused, format!("{key} has {dot} with the value of {other:?}, and that dot is w{write}"))
}
