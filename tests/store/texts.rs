//! Texts that come together stand together, and are moved when most of what they came with has gone: whatever the sizes, and
//! however writes, deletions, expiries and deltas alternate, each key says what was written last.

use std::collections::BTreeMap;

use crate::common::{START, string};
use edge_session::id::{ReplicaId, Space};
use edge_session::store::delta::Delta;
use edge_session::store::entry::Content;
use edge_session::store::limits::Limits;
use edge_session::store::{Log, Mutation, SessionConsistentStore, Written};
use edge_session::sync::message::{Frame, Message};
use edge_session::vector::VersionVector;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// A log: keys by their numbers, and how long their values are; none: the key is deleted. At one of two replicas.
    Log(bool, Vec<(u16, Option<usize>)>),
    /// The same keys as writes with texts of their own.
    Single(bool, Vec<(u16, usize)>),
    /// Each tells the other all that it lacks, in bytes.
    Exchange,
    /// A new replica takes a snapshot's place.
    Restore(bool),
}

fn key(number: u16) -> String {
    match number % 50 {
        7 => format!("{number:05}{}", "long ".repeat(160)),
        9 => format!("{number:05} ключ"),
        _ => format!("{number:05}"),
    }
}

fn value(key: u16, step: usize, len: usize) -> String {
    let mark = format!("{key} {step} ");
    let filler = if len.is_multiple_of(5) { "é" } else { "." };
    mark.chars().chain(filler.chars().cycle()).take(len).collect()
}

struct Site {
    stores: [SessionConsistentStore; 2],
    space: Space,
    origins: [ReplicaId; 2],
    held: [BTreeMap<String, String>; 2],
}

impl Site {
    fn new() -> Self {
        let stores = [7, 8].map(|seed| SessionConsistentStore::new(Limits::default()).seeded(seed));
        let origins = ["a", "b"].map(|label| ReplicaId::new(label, [7; 10]).unwrap());
        Self { stores, space: Space::first("default").unwrap(), origins, held: Default::default() }
    }

    fn write(&mut self, at: usize, batch: Vec<Mutation>) {
        if batch.is_empty() {
            return;
        }
        for Mutation { key, content, .. } in &batch {
            match content {
                Content::Tombstone => drop(self.held[at].remove(&**key)),
                content => drop(self.held[at].insert(key.to_string(), string(content))),
            }
        }
        self.stores[at].write(&self.space, self.origins[at], None, batch, &[], START).unwrap();
    }

    /// What one holds since a vector, through its bytes.
    fn told(&self, at: usize, from: &VersionVector) -> Option<Delta> {
        let messages = vec![Message::Delta(self.stores[at].extract(&self.space, from)?)];
        let bytes = Frame { from: self.origins[at], to: None, messages }.encode();
        match Frame::decode(&bytes).unwrap().messages.pop() {
            Some(Message::Delta(delta)) => Some(delta),
            other => panic!("{other:?} is no delta"),
        }
    }

    fn exchange(&mut self) {
        for (from, to) in [(0, 1), (1, 0)] {
            let known = self.stores[to].vector(&self.space).clone();
            if let Some(delta) = self.told(from, &known) {
                self.stores[to].apply(delta).unwrap();
            }
        }
        // What each shows now is what both do: the model takes it from one, and the other is compared.
        let shown = self.shown(0);
        self.held = [shown.clone(), shown];
    }

    fn restore(&mut self, at: usize) {
        let Some(all) = self.told(at, &VersionVector::new()) else { return };
        let mut store = SessionConsistentStore::new(Limits::default()).seeded(9);
        store.apply(all).unwrap();
        self.stores[at] = store;
    }

    fn shown(&self, at: usize) -> BTreeMap<String, String> {
        let state = self.stores[at].space(&self.space).into_iter().flat_map(|state| state.iter());
        let shown = state.filter_map(|(key, set)| Some((key.to_string(), string(&set.shown(START)?.content))));
        shown.collect()
    }

    fn check(&self) {
        for at in [0, 1] {
            assert_eq!(self.shown(at), self.held[at]);
            for (key, value) in &self.held[at] {
                let set = self.stores[at].live(&self.space, key).unwrap();
                assert_eq!(string(&set.shown(START).unwrap().content), *value);
            }
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let len = || prop_oneof![3 => 0..100_usize, 3 => 300..2_000_usize, 1 => 4_000..4_200_usize, 1 => Just(70_000)];
    let writes = proptest::collection::vec((0..400_u16, proptest::option::weighted(0.9, len())), 0..120);
    prop_oneof![
        6 => (any::<bool>(), writes).prop_map(|(at, writes)| Step::Log(at, writes)),
        2 => (any::<bool>(), proptest::collection::vec((0..400_u16, len()), 0..8)).prop_map(|(at, writes)| Step::Single(at, writes)),
        2 => Just(Step::Exchange),
        1 => any::<bool>().prop_map(Step::Restore),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn each_key_says_what_was_written_last(steps in proptest::collection::vec(step(), 1..30)) {
        let mut site = Site::new();
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Log(which, writes) => {
                    let mut log = Log::default();
                    for (number, len) in writes {
                        let text = len.map(|len| value(number, at, len));
                        log.put(&key(number), text.as_deref().map_or(Written::Tombstone, Written::Json));
                    }
                    site.write(which.into(), log.finish());
                }
                Step::Single(which, writes) => {
                    let one = |(number, len): (u16, usize)| {
                        let content = Content::Text(value(number, at, len).into());
                        Mutation { key: key(number).into(), content, expires_at: None }
                    };
                    site.write(which.into(), writes.into_iter().map(one).collect());
                }
                Step::Exchange => site.exchange(),
                Step::Restore(which) => site.restore(which.into()),
            }
            site.check();
        }
        site.exchange();
        prop_assert_eq!(site.shown(0), site.shown(1));
    }
}

/// Long values that lie beside each other, of one write: no run of them is longer than a reader takes.
#[test]
fn what_is_told_on_from_where_it_lies_can_be_read() {
    let mut hosts =
        ["paris", "tokyo", "lima", "quito"].map(|label| crate::common::host::Host::new(crate::common::edge(label)));
    let [from, others @ ..] = &mut hosts;
    let session = from.session();
    let write = |n: usize| crate::common::put(&format!("{n:04}"), &"v".repeat(900 + n));
    from.ask(session, crate::common::batch((0..600).map(write)), crate::common::host::SYNC).unwrap();
    let mut told = from.replica.snapshot().unwrap();
    for other in others {
        other.replica.restore(&told, crate::common::START).unwrap();
        other.drain();
        let (one, all) = (from.replica.store(), other.replica.store());
        assert_eq!((all.space(&from.space()), all.bytes()), (one.space(&from.space()), one.bytes()));
        told = other.replica.snapshot().unwrap();
    }
}
