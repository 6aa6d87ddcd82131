//! Laws over random histories: deltas since any vector that ever was, old ones, snapshots, from anybody to anybody.

use super::*;
use edge_session::error::ErrorCode;
use edge_session::store::delta::Listed;

/// What a site holds is what is true at its vector: nothing is lost, nothing that was superseded comes back.
fn assert_true(history: &History) {
    for site in &history.sites {
        let live: BTreeMap<String, Vec<DataEntry>> =
            site.live().into_iter().map(|(key, set)| (key, set.entries().to_vec())).collect();
        assert_eq!(live, history.truth.live(&site.vector()), "{} at {:?}", site.id, site.vector());
    }
}

/// Applies deltas in this order; all of them apply, because vectors only grow.
fn after(site: &Site, deltas: &[&Delta]) -> Site {
    let mut site = site.clone();
    deltas.iter().for_each(|delta| site.apply(delta));
    site
}

fn assert_same(left: &Site, right: &Site, law: &str) {
    let state = |site: &Site| site.store.space(&space()).cloned().unwrap_or_default();
    assert_eq!(state(left), state(right), "{law}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_site_holds_what_is_true_at_its_vector_after_every_step((sites, steps) in any_history()) {
        let mut history = History::new(sites);
        for step in &steps {
            history.step(step);
            assert_true(&history);
        }
        history.settle();
        assert_true(&history);
        for site in &history.sites {
            prop_assert_eq!(site.vector(), history.sites[0].vector());
            prop_assert_eq!(site.live(), history.sites[0].live());
        }
    }

    #[test]
    fn applying_a_delta_again_changes_nothing((sites, steps) in any_history()) {
        let history = History::of(sites, &steps);
        for site in &history.sites {
            for delta in history.deltas.iter().filter(|delta| site.takes(delta)) {
                let once = after(site, &[delta]);
                let mut twice = once.clone();
                prop_assert!(twice.store.apply(delta.clone()).unwrap().is_empty(), "and tells of no change");
                assert_same(&once, &twice, "idempotent");
            }
        }
    }

    #[test]
    fn the_order_of_deltas_that_apply_does_not_matter(
        (sites, steps) in any_history(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 3),
    ) {
        let history = History::of(sites, &steps);
        for site in &history.sites {
            let applicable: Vec<&Delta> = history.deltas.iter().filter(|delta| site.takes(delta)).collect();
            if applicable.is_empty() {
                continue;
            }
            let [x, y, z] = [0, 1, 2].map(|at: usize| *picks[at].get(&applicable));
            let expected = after(site, &[x, y, z]);
            for order in [[x, z, y], [y, x, z], [y, z, x], [z, x, y], [z, y, x]] {
                assert_same(&expected, &after(site, &order), "commutative and associative");
            }
        }
    }

    #[test]
    fn a_delta_of_the_past_changes_nothing((sites, steps) in any_history()) {
        let history = History::of(sites, &steps);
        for site in &history.sites {
            for delta in history.deltas.iter().filter(|delta| site.takes(delta) && site.vector().dominates(&delta.to)) {
                assert_same(site, &after(site, &[delta]), "no news");
            }
        }
    }

    #[test]
    fn a_delta_since_what_the_receiver_lacks_is_refused_and_changes_nothing((sites, steps) in any_history()) {
        let history = History::of(sites, &steps);
        for site in &history.sites {
            for delta in history.deltas.iter().filter(|delta| !site.takes(delta)) {
                let mut other = site.clone();
                prop_assert_eq!(common::code(other.store.apply(delta.clone())), ErrorCode::StaleReplica);
                assert_same(site, &other, "refused");
                prop_assert_eq!(site.store.clock(), other.store.clock());
            }
        }
    }

    #[test]
    fn a_delta_since_less_than_the_receiver_has_comes_to_the_same((sites, steps) in any_history()) {
        let history = History::of(sites, &steps);
        for from in &history.sites {
            for to in &history.sites {
                let exact = after(to, &[&from.since(&to.vector())]);
                for past in history.vectors.iter().filter(|past| to.vector().dominates(past)) {
                    assert_same(&exact, &after(to, &[&from.since(past)]), "an exceeded from");
                }
            }
        }
    }

    #[test]
    fn two_peers_at_once_come_to_the_same_as_one_after_the_other((sites, steps) in any_history()) {
        let history = History::of(sites, &steps);
        let [me, one, other] = [&history.sites[0], &history.sites[1], &history.sites[2]];
        // Both deltas are made for what this site holds now; the second arrives when it holds more.
        let (first, second) = (one.since(&me.vector()), other.since(&me.vector()));
        let crossed = after(me, &[&first, &second]);
        let mut in_turn = after(me, &[&first]);
        in_turn.pull(other);
        assert_same(&crossed, &in_turn, "two peers");
    }

    #[test]
    fn a_delta_lists_the_keys_that_changed_and_no_others((sites, steps) in any_history()) {
        let history = History::of(sites, &steps);
        for site in &history.sites {
            for past in &history.vectors {
                let delta = site.since(past);
                let touched = |set: &LiveSet| set.entries().iter().any(|entry| !past.contains(entry.dot()));
                let expected: Vec<String> =
                    site.live().into_iter().filter(|(_, set)| touched(set)).map(|(key, _)| key).collect();
                let keys: Vec<String> = delta.keys.iter().map(|(key, _)| key.to_string()).collect();
                prop_assert_eq!(keys, expected, "the index is a scan");
                for (key, set) in &delta.keys {
                    let known = set.iter().all(|listed| match listed {
                        Listed::Known(dot) => past.contains(dot.dot()),
                        Listed::Entry(entry) => !past.contains(entry.dot()),
                    });
                    prop_assert!(known, "what is known comes as a bare dot");
                    prop_assert_eq!(set.len(), site.live()[&**key].entries().len(), "the full live set");
                }
            }
        }
    }

    #[test]
    fn counts_and_index_are_those_of_a_state_built_anew((sites, steps) in any_history()) {
        let history = History::of(sites, &steps);
        for site in &history.sites {
            let mut anew = Site { id: site.id, store: SessionConsistentStore::new(Limits::default()) };
            anew.apply(&site.snapshot());
            // Compares keys, vector, index and counts.
            if !site.vector().is_empty() {
                assert_same(site, &anew, "rebuilt");
            }
            let bytes = |(key, set): (String, LiveSet)| {
                let entries = set.entries().iter().map(|entry| entry.content.len() as u64 + 64);
                key.len() as u64 + entries.sum::<u64>()
            };
            prop_assert_eq!(site.store.bytes(), site.live().into_iter().map(bytes).sum::<u64>());
            prop_assert_eq!(site.store.len(), site.live().len());
        }
    }

    #[test]
    fn what_a_step_changed_is_told((sites, steps) in any_history()) {
        let mut history = History::new(sites);
        for step in &steps {
            if let Some((to, delta)) = history.delta(step).filter(|(to, delta)| history.sites[*to].takes(delta)) {
                let mut site = history.sites[to].clone();
                let before = site.live();
                let mut told: Vec<String> =
                    site.store.apply(delta).unwrap().into_iter().map(|changed| changed.key.to_string()).collect();
                let now = site.live();
                let keys = before.keys().chain(now.keys().filter(|key| !before.contains_key(*key)));
                let mut changed: Vec<String> = keys.filter(|key| before.get(*key) != now.get(*key)).cloned().collect();
                told.sort();
                changed.sort();
                prop_assert_eq!(told, changed);
            }
            history.step(step);
        }
    }

    #[test]
    fn a_write_is_above_everything_that_its_writer_had_seen((sites, steps) in any_history()) {
        let history = History::of(sites, &steps);
        for write in &history.truth.writes {
            for earlier in history.truth.writes.iter().filter(|earlier| write.past.contains(earlier.dot)) {
                for (entry, older) in write.entries.values().flat_map(|e| earlier.entries.values().map(move |o| (e, o))) {
                    prop_assert!(entry.rank() > older.rank(), "arbitration follows causality (I3)");
                }
            }
        }
    }
}
