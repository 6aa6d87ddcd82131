//! Each clause of the apply rule is needed: what goes wrong without it, in the smallest history and in random ones.

use super::reference::{ALL, Reference, Rules};
use super::*;
use proptest::strategy::ValueTree;

/// What the key shows at `site` after `delta`: by the store, by the reference, and by the reference without a clause.
fn values(site: &Site, delta: &Delta, key: &str, without: Rules) -> [Vec<String>; 3] {
    let shown = |reference: &Reference| -> Vec<String> {
        let entries = reference.keys.get(key).into_iter().flatten();
        let value = |entry: &DataEntry| match &entry.content {
            Content::Tombstone => "-".into(),
            content => common::string(content),
        };
        entries.map(value).collect()
    };
    let apply = |rules: Rules| {
        let mut reference = Reference::of(site);
        reference.apply(delta, rules);
        shown(&reference)
    };
    let mut store = site.clone();
    // An error leaves the store as it was, which is what is looked at.
    let _ = store.store.apply(delta.clone());
    [store.values(key), apply(ALL), apply(without)]
}

#[test]
fn without_clause_1_for_listed_keys_what_was_superseded_stays() {
    let (mut a, mut b) = (Site::new(0), Site::new(1));
    a.set("k", "old");
    b.pull(&a);
    a.set("k", "new");
    let delta = a.since(&b.vector());
    // The old entry is in `from`, so the second half of the clause says nothing of it.
    let [store, reference, without] = values(&b, &delta, "k", Rules { listed: false, ..ALL });
    assert_eq!((store, reference), (vec!["new".into()], vec!["new".to_string()]));
    assert_eq!(without, ["new", "old"]);
}

#[test]
fn without_clause_1_for_unlisted_keys_what_was_collected_stays() {
    let (mut a, mut b) = (Site::new(0), Site::new(1));
    a.set("k", "v");
    let early = a.snapshot();
    a.erase("k");
    // Once everybody has the tombstone, it is collected: the snapshot does not list the key any more.
    let late = Delta { keys: Keys::new(), ..a.snapshot() };
    // A newcomer that has begun with an early snapshot.
    b.apply(&early);
    assert_eq!(b.values("k"), ["v"]);
    let [store, reference, without] = values(&b, &late, "k", Rules { unlisted: false, ..ALL });
    assert_eq!((store, reference), (vec![], Vec::<String>::new()));
    assert_eq!(without, ["v"], "for ever");
}

#[test]
fn without_the_condition_on_unlisted_keys_what_did_not_change_goes() {
    let (mut a, mut b) = (Site::new(0), Site::new(1));
    a.set("k", "v");
    b.pull(&a);
    a.set("other", "v");
    let delta = a.since(&b.vector());
    let [store, reference, without] = values(&b, &delta, "k", Rules { stays: false, ..ALL });
    assert_eq!((store, reference), (vec!["v".into()], vec!["v".to_string()]));
    assert_eq!(without, Vec::<String>::new());
}

#[test]
fn without_clause_2_an_old_delta_brings_back_what_was_superseded() {
    let (mut a, mut b) = (Site::new(0), Site::new(1));
    a.set("k", "old");
    let old = a.snapshot();
    a.set("k", "new");
    b.pull(&a);
    let [store, reference, without] = values(&b, &old, "k", Rules { seen: false, ..ALL });
    assert_eq!((store, reference), (vec!["new".into()], vec!["new".to_string()]));
    assert_eq!(without, ["new", "old"]);
}

#[test]
fn without_the_condition_on_from_a_vector_claims_what_is_not_there() {
    let (mut a, b) = (Site::new(0), Site::new(1));
    a.set("k", "v");
    let past = a.vector();
    a.set("other", "v");
    let delta = a.since(&past);
    let mut without = Reference::of(&b);
    without.apply(&delta, Rules { from: false, ..ALL });
    assert!(without.vector.contains(Dot::new(a.id, 1)) && !without.keys.contains_key("k"), "a hole: I1 is broken");
    let [store, reference, _] = values(&b, &delta, "other", ALL);
    assert_eq!((store, reference), (vec![], Vec::<String>::new()), "refused as a whole");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_store_does_what_the_rule_says((sites, steps) in any_history()) {
        let mut history = History::new(sites);
        for step in &steps {
            if let Some((to, delta)) = history.delta(step) {
                let mut reference = Reference::of(&history.sites[to]);
                reference.apply(&delta, ALL);
                history.step(step);
                prop_assert_eq!(Reference::of(&history.sites[to]), reference);
            } else {
                history.step(step);
            }
        }
    }
}

/// The laws would notice: in random histories, each weakened rule soon leads to a state that is not true.
///
/// The second half of clause 1 is not among them: as long as tombstones are kept, whatever went was superseded by
/// something that is listed. Its history is above.
#[test]
fn random_histories_tell_every_weakened_rule_from_the_whole() {
    let weakened = [
        Rules { from: false, ..ALL },
        Rules { listed: false, ..ALL },
        Rules { stays: false, ..ALL },
        Rules { seen: false, ..ALL },
    ];
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut noticed = [0; 4];
    for _ in 0..200 {
        let (sites, steps) = any_history().new_tree(&mut runner).unwrap().current();
        for (at, rules) in weakened.iter().enumerate() {
            let mut history = History::new(sites);
            for step in &steps {
                let weak = history.delta(step).map(|(to, delta)| {
                    let mut reference = Reference::of(&history.sites[to]);
                    reference.apply(&delta, *rules);
                    reference
                });
                if weak.is_some_and(|weak| history.truth.live(&weak.vector) != weak.keys) {
                    noticed[at] += 1;
                    break;
                }
                history.step(step);
            }
        }
    }
    assert!(noticed.iter().all(|times| *times >= 20), "{noticed:?} of 200");
}
