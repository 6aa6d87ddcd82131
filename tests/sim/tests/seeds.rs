//! Clean seeds raise no alarm.

use edge_session_sim::run::{Options, explain, run};
use edge_session_sim::world::Boundary;

/// Together more than 100,000 operations.
const SEEDS: u64 = 400;
const OPS: u64 = 300;

fn clean(seeds: impl Iterator<Item = u64>) {
    seeds.for_each(|seed| clean_of(&Options { seed, ops: OPS, ..Options::default() }));
}

fn clean_of(options: &Options) {
    if run(options).alarm.is_some() {
        panic!("{}", explain(options));
    }
}

// Two tests, because there are two cores at least.

#[test]
fn even_seeds_raise_no_alarm() {
    clean((0..SEEDS).step_by(2));
}

#[test]
fn odd_seeds_raise_no_alarm() {
    clean((1..SEEDS).step_by(2));
}

/// A session is over at a node, and its handle there; somebody else comes back with a later token of it, and has no seat of his own.
#[test]
fn a_handle_that_was_over_stays_so_whoever_comes_back() {
    clean_of(&Options { seed: 70_525, ops: 33, skip: [27, 28].into(), ..Options::default() });
}

/// A word about the latest logout alone is taken by a replica that has lost its state; its answer comes when it is told the others.
#[test]
fn who_has_heard_of_the_last_logout_alone_is_told_of_the_others() {
    clean_of(&Options { seed: 213_547, ops: OPS, ..Options::default() });
}

/// A crash at every boundary of what is handed to storage, with the record in question and without it.
#[test]
fn a_crash_with_any_record_raises_no_alarm() {
    let mut crashes = 0;
    for seed in 0..8 {
        let options = Options { seed, ops: 50, ..Options::default() };
        let records = run(&options).persists;
        for (record, kept) in (1..=records).flat_map(|record| [(record, false), (record, true)]) {
            let options = Options { boundary: Some(Boundary { record, kept }), ..options.clone() };
            clean_of(&options);
            crashes += 1;
        }
    }
    assert!(crashes > 100, "{crashes}");
}
