//! Keys are found by a hash, and put in order when somebody asks: whoever lists, and whoever asks what has changed, finds
//! what a scan would find, however writes, deletions, listings and deltas alternate.

use std::collections::BTreeMap;

use crate::common::{START, put};
use edge_session::id::{ReplicaId, Space};
use edge_session::store::SessionConsistentStore;
use edge_session::store::delta::Delta;
use edge_session::store::limits::Limits;
use edge_session::vector::VersionVector;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// One write of these keys, by one of two origins; a key may come twice.
    Write(bool, Vec<String>),
    /// A peer has seen these keys go, and holds nothing in their place.
    Vanish(Vec<String>),
    /// A listing of what lies between.
    List(String, String),
    /// What has changed since the step with this number.
    Since(usize),
}

struct Site {
    store: SessionConsistentStore,
    /// Another replica, which is told of everything, by deltas: it notes dots in the order of keys.
    mirror: SessionConsistentStore,
    space: Space,
    origins: [ReplicaId; 3],
    /// What a scan would find: each key with the origin and sequence of its last write.
    held: BTreeMap<String, (ReplicaId, u64)>,
    vectors: Vec<VersionVector>,
}

impl Site {
    fn new() -> Self {
        let [store, mirror] = [7, 8].map(|seed| SessionConsistentStore::new(Limits::default()).seeded(seed));
        let space = Space::first("default").unwrap();
        let origins = ["a", "b", "c"].map(|label| ReplicaId::new(label, [7; 10]).unwrap());
        Self { store, mirror, space, origins, held: BTreeMap::new(), vectors: vec![VersionVector::new()] }
    }

    fn write(&mut self, origin: ReplicaId, keys: &[String]) {
        let batch = keys.iter().map(|key| put(key, "value")).collect();
        let dot = self.store.write(&self.space, origin, None, batch, &[], START).unwrap();
        self.held.extend(keys.iter().map(|key| (key.clone(), (origin, dot.sequence))));
    }

    fn vanish(&mut self, keys: &[String]) {
        self.reflect();
        let from = self.store.vector(&self.space).clone();
        let mut to = from.clone();
        to.advance(edge_session::id::Dot::new(self.origins[2], from.get(self.origins[2]) + 1));
        let gone: BTreeMap<_, _> = keys.iter().map(|key| (key.clone(), ())).collect();
        let keys = gone.keys().map(|key| (key.as_str().into(), vec![].into())).collect();
        let hlc = self.store.clock().last();
        let delta = Delta { space: self.space.clone(), from, to, hlc, keys };
        self.store.apply(delta.clone()).unwrap();
        self.mirror.apply(delta).unwrap();
        self.held.retain(|key, _| !gone.contains_key(key));
    }

    fn list(&self, start: &str, end: &str) -> [Vec<String>; 2] {
        let Some(state) = self.store.space(&self.space) else { return [vec![], vec![]] };
        let range = || state.range(Some(start), Some(end)).map(|(key, _)| key.to_string());
        let state = state.range(Some(start), Some(end)).rev().map(|(key, _)| key.to_string());
        [range().collect(), state.collect()]
    }

    fn since(&self, from: &VersionVector) -> Vec<String> {
        let changed = |store: &SessionConsistentStore| -> Vec<String> {
            let delta = store.extract(&self.space, from);
            delta.into_iter().flat_map(|delta| delta.keys).map(|(key, _)| key.to_string()).collect()
        };
        let [own, mirrored] = [changed(&self.store), changed(&self.mirror)];
        assert_eq!(own, mirrored);
        own
    }

    fn reflect(&mut self) {
        let Some(delta) = self.store.extract(&self.space, self.mirror.vector(&self.space)) else { return };
        self.mirror.apply(delta).unwrap();
        assert_eq!(self.mirror.space(&self.space), self.store.space(&self.space));
    }

    fn check(&mut self, step: &Step) {
        match step {
            Step::Write(first, keys) => self.write(self.origins[usize::from(*first)], keys),
            Step::Vanish(keys) => self.vanish(keys),
            Step::List(start, end) => {
                let inside = |key: &&String| *key >= start && *key < end;
                let expected: Vec<String> = self.held.keys().filter(inside).cloned().collect();
                let [forwards, mut backwards] = self.list(start, end);
                backwards.reverse();
                assert_eq!([&forwards, &backwards], [&expected, &expected]);
            }
            Step::Since(step) => {
                self.reflect();
                let from = &self.vectors[step % self.vectors.len()].clone();
                let new = |(origin, sequence): &(ReplicaId, u64)| from.get(*origin) < *sequence;
                let expected: Vec<_> =
                    self.held.iter().filter(|(_, dot)| new(dot)).map(|(key, _)| key.clone()).collect();
                assert_eq!(self.since(from), expected);
            }
        }
        self.vectors.push(self.store.vector(&self.space).clone());
        let held = self.store.space(&self.space).map_or(0, |state| state.len());
        assert_eq!(held, self.held.len());
        let bytes: u64 = self.held.keys().map(|key| (key.len() + "value".len()) as u64 + 64).sum();
        assert_eq!(self.store.bytes(), bytes);
    }
}

fn any_key() -> impl Strategy<Value = String> {
    prop_oneof!["[a-d]{1,3}", "long enough for words, [a-z]{1,3}"]
}

fn any_step() -> impl Strategy<Value = Step> {
    let keys = |most| prop::collection::vec(any_key(), 1..most);
    prop_oneof![
        4 => (any::<bool>(), keys(40)).prop_map(|(first, keys)| Step::Write(first, keys)),
        1 => keys(80).prop_map(Step::Vanish),
        3 => (any_key(), any_key()).prop_map(|(one, other)| Step::List(one, other)),
        2 => any::<usize>().prop_map(Step::Since),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whoever_asks_finds_what_a_scan_would(steps in prop::collection::vec(any_step(), 1..60)) {
        let mut site = Site::new();
        steps.iter().for_each(|step| site.check(step));
    }
}

#[test]
fn keys_that_come_and_go_leave_nothing_behind_that_is_told() {
    let mut site = Site::new();
    site.check(&Step::Write(true, vec!["stays".into()]));
    for round in 0..40 {
        let keys: Vec<String> = (0..20).map(|at| format!("{round} {at}")).collect();
        site.check(&Step::Write(true, keys.clone()));
        site.check(&Step::List(String::new(), "~".into()));
        site.check(&Step::Vanish(keys));
        site.check(&Step::Since(0));
    }
    site.reflect();
    let from = VersionVector::from_iter([(site.origins[2], 1)]);
    assert_eq!([site.since(&VersionVector::new()), site.since(&from)], [["stays"], ["stays"]]);
}

#[test]
fn a_hot_key_is_one_change_however_often_it_is_written() {
    let mut site = Site::new();
    site.check(&Step::Write(false, vec!["cold".into()]));
    let before = site.vectors.len() - 1;
    for _ in 0..1_000 {
        site.check(&Step::Write(true, vec!["hot".into()]));
        site.check(&Step::Since(before));
    }
    site.reflect();
    assert_eq!(site.since(&VersionVector::new()), ["cold", "hot"]);
}
