//! Everything within the bound holds every promise; and the bound is not empty.

use edge_session_model::bound::tested;
use edge_session_model::run::{Report, explore};

/// Two threads, because there are two cores at least.
const THREADS: usize = 2;
/// How many different states the test command explores at the least.
const UNIQUE_MIN: usize = 1_000_000;

#[test]
fn every_state_within_the_bound_keeps_every_promise() {
    let reports: Vec<Report> = tested().into_iter().map(|bound| explore(bound, THREADS)).collect();
    for report in &reports {
        println!("{report}");
        assert!(report.broken.is_empty());
    }
    // What no run meets, none has proved anything about.
    let met = |what: &&str| reports.iter().any(|report| !report.unmet.contains(what));
    let unmet: Vec<&str> = reports.iter().flat_map(|report| report.unmet.iter().copied()).filter(|u| !met(u)).collect();
    assert_eq!(unmet, Vec::<&str>::new());
    let (unique, took) = reports.iter().fold((0, std::time::Duration::ZERO), |(n, t), r| (n + r.unique, t + r.took));
    println!("{} bounds, {unique} unique states, in {took:.1?}", reports.len());
    assert!(unique >= UNIQUE_MIN, "{unique} states are too few");
}
