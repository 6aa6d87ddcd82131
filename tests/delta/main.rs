//! The delta: three clauses, one condition, and the laws that follow from them.
//!
//! Here is what the tests have in common: bare stores, and histories of writes and deltas between them.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm
)]

#[path = "../common/mod.rs"]
mod common;

mod bytes;
mod clauses;
mod crowds;
mod laws;
mod reference;
mod runs;
mod slices;

use std::collections::BTreeMap;

use common::{START, put};
use edge_session::id::{Dot, ReplicaId, Space};
use edge_session::store::delta::{Delta, Keys};
use edge_session::store::entry::{Content, DataEntry, LiveSet};
use edge_session::store::limits::Limits;
use edge_session::store::{Mutation, SessionConsistentStore};
use edge_session::vector::VersionVector;
use proptest::prelude::*;

const KEYS: [&str; 5] = ["a", "ab", "abc", "b", "z"];

fn space() -> Space {
    Space::first("default").unwrap()
}

fn replica(at: usize) -> ReplicaId {
    ReplicaId::new(["a", "b", "c", "d"][at], [at as u8; 10]).unwrap()
}

/// A bare store and whose it is.
#[derive(Clone, Debug)]
struct Site {
    id: ReplicaId,
    store: SessionConsistentStore,
}

impl Site {
    fn new(at: usize) -> Self {
        Self { id: replica(at), store: SessionConsistentStore::new(Limits::default()) }
    }

    fn vector(&self) -> VersionVector {
        self.store.vector(&space()).clone()
    }

    fn write(&mut self, mutations: Vec<Mutation>, now: u64) -> Dot {
        self.store.write(&space(), self.id, None, mutations, &[], now).unwrap()
    }

    fn set(&mut self, key: &str, value: &str) -> Dot {
        self.write(vec![put(key, value)], START)
    }

    fn erase(&mut self, key: &str) -> Dot {
        self.write(vec![common::erase(key)], START)
    }

    /// The delta since `from`; of a space that nobody has written to, the empty one.
    fn since(&self, from: &VersionVector) -> Delta {
        self.store.extract(&space(), from).unwrap_or_else(|| Delta {
            space: space(),
            from: VersionVector::new(),
            to: VersionVector::new(),
            hlc: self.store.clock().last(),
            keys: Keys::new(),
        })
    }

    fn snapshot(&self) -> Delta {
        self.since(&VersionVector::new())
    }

    fn takes(&self, delta: &Delta) -> bool {
        self.vector().dominates(&delta.from)
    }

    fn apply(&mut self, delta: &Delta) {
        self.store.apply(delta.clone()).unwrap();
    }

    /// Brings this store up to another.
    fn pull(&mut self, other: &Self) {
        self.apply(&other.since(&self.vector()));
    }

    fn live(&self) -> BTreeMap<String, LiveSet> {
        let keys = self.store.space(&space()).into_iter().flat_map(|state| state.iter());
        keys.map(|(key, set)| (key.to_string(), set.clone())).collect()
    }

    /// The values of a key, the winner first; `-` is a tombstone.
    fn values(&self, key: &str) -> Vec<String> {
        let entries = self.store.live(&space(), key).map_or(&[][..], LiveSet::entries);
        let value = |entry: &DataEntry| match &entry.content {
            Content::Tombstone => "-".into(),
            content => common::string(content),
        };
        entries.iter().map(value).collect()
    }
}

/// One step of a history of several sites.
#[derive(Clone, Debug)]
enum Step {
    /// A write of some keys; of a key without value, its deletion.
    Write { at: usize, keys: Vec<(usize, bool)>, late: u64 },
    /// The delta since the receiver's vector.
    Pull { to: usize, from: usize },
    /// A delta since a vector that some site has had once.
    Since { to: usize, from: usize, past: prop::sample::Index },
    /// The delta since nothing.
    Snapshot { to: usize, from: usize },
    /// A delta of long ago.
    Old { to: usize, which: prop::sample::Index },
}

fn any_step(sites: usize) -> impl Strategy<Value = Step> {
    let at = move || 0..sites;
    let keys = prop::collection::vec((0..KEYS.len(), prop::bool::weighted(0.75)), 1..3);
    prop_oneof![
        5 => (at(), keys, 0..3u64).prop_map(|(at, keys, late)| Step::Write { at, keys, late }),
        3 => (at(), at()).prop_map(|(to, from)| Step::Pull { to, from }),
        3 => (at(), at(), any::<prop::sample::Index>()).prop_map(|(to, from, past)| Step::Since { to, from, past }),
        1 => (at(), at()).prop_map(|(to, from)| Step::Snapshot { to, from }),
        3 => (at(), any::<prop::sample::Index>()).prop_map(|(to, which)| Step::Old { to, which }),
    ]
}

fn any_history() -> impl Strategy<Value = (usize, Vec<Step>)> {
    (3..=4usize).prop_flat_map(|sites| (Just(sites), prop::collection::vec(any_step(sites), 1..40)))
}

/// What was written, and what each write had seen: enough to say what any site must hold.
#[derive(Clone, Debug, Default)]
struct Truth {
    writes: Vec<Written>,
}

#[derive(Clone, Debug)]
struct Written {
    dot: Dot,
    past: VersionVector,
    entries: BTreeMap<String, DataEntry>,
}

impl Truth {
    /// What whoever stands at `vector` must hold: of each key the entries that no other write of it had seen.
    fn live(&self, vector: &VersionVector) -> BTreeMap<String, Vec<DataEntry>> {
        let mut live: BTreeMap<String, Vec<DataEntry>> = BTreeMap::new();
        let held = || self.writes.iter().filter(|write| vector.contains(write.dot));
        for write in held() {
            for (key, entry) in &write.entries {
                let seen = |other: &Written| other.entries.contains_key(key) && other.past.contains(write.dot);
                if !held().any(seen) {
                    live.entry(key.clone()).or_default().push(entry.clone());
                }
            }
        }
        for set in live.values_mut() {
            set.sort_by_key(|entry| std::cmp::Reverse(entry.rank()));
        }
        live
    }
}

/// Sites with a history behind them: what they hold, what is true, every vector and delta that ever was.
#[derive(Clone, Debug)]
struct History {
    sites: Vec<Site>,
    truth: Truth,
    vectors: Vec<VersionVector>,
    deltas: Vec<Delta>,
    /// How many values have been written: each is another.
    values: usize,
}

impl History {
    fn new(sites: usize) -> Self {
        Self {
            sites: (0..sites).map(Site::new).collect(),
            truth: Truth::default(),
            vectors: vec![VersionVector::new()],
            deltas: Vec::new(),
            values: 0,
        }
    }

    fn of(sites: usize, steps: &[Step]) -> Self {
        let mut history = Self::new(sites);
        steps.iter().for_each(|step| history.step(step));
        history
    }

    /// The delta that a step carries, and to whom.
    fn delta(&self, step: &Step) -> Option<(usize, Delta)> {
        Some(match step {
            Step::Write { .. } => return None,
            Step::Pull { to, from } => (*to, self.sites[*from].since(&self.sites[*to].vector())),
            Step::Since { to, from, past } => (*to, self.sites[*from].since(past.get(&self.vectors))),
            Step::Snapshot { to, from } => (*to, self.sites[*from].snapshot()),
            Step::Old { to, which } if !self.deltas.is_empty() => (*to, which.get(&self.deltas).clone()),
            Step::Old { .. } => return None,
        })
    }

    fn step(&mut self, step: &Step) {
        if let Step::Write { at, keys, late } = step {
            self.values += 1;
            let value = self.values.to_string();
            let mutation = |&(key, live): &(usize, bool)| match live {
                true => put(KEYS[key], &value),
                false => common::erase(KEYS[key]),
            };
            let site = &mut self.sites[*at];
            let past = site.vector();
            let dot = site.write(keys.iter().map(mutation).collect(), START + late);
            let mine = |set: &LiveSet| set.entries().iter().find(|entry| entry.dot() == dot).cloned();
            let entries = site.live().into_iter().filter_map(|(key, set)| Some((key, mine(&set)?))).collect();
            self.truth.writes.push(Written { dot, past, entries });
            self.vectors.push(site.vector());
        } else if let Some((to, delta)) = self.delta(step) {
            if self.sites[to].takes(&delta) {
                self.sites[to].apply(&delta);
            }
            self.vectors.push(self.sites[to].vector());
            self.deltas.push(delta);
        }
    }

    /// Every site pulls from every other until all hold the same.
    fn settle(&mut self) {
        for _ in 0..2 {
            for to in 0..self.sites.len() {
                for from in 0..self.sites.len() {
                    let other = self.sites[from].clone();
                    self.sites[to].pull(&other);
                }
            }
        }
    }
}
