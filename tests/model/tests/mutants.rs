//! The test of the test: each check that is in the modelled functions, switched off, breaks what it is there for.

use edge_session::guarantee::Guarantee;
use edge_session::mutant::Mutant;
use edge_session_model::bound::{Bound, Script, is_modelled};
use edge_session_model::run::hunt;

/// The promises that a mutant may break first.
fn broken_by(mutant: Mutant) -> &'static [&'static str] {
    const STATE: &str = "a replica holds what follows from its writes";
    match mutant {
        Mutant::Guarantee(Guarantee::ReadYourWrites) => &["read your writes"],
        Mutant::Guarantee(Guarantee::MonotonicReads) => &["monotonic reads"],
        Mutant::Guarantee(Guarantee::MonotonicWrites) => &["monotonic writes"],
        Mutant::Guarantee(Guarantee::WritesFollowReads) => &["writes follow reads"],
        Mutant::HlcReceive => &["arbitration extends causality"],
        _ => &[STATE],
    }
}

#[test]
fn every_mutant_breaks_its_promise_within_three_operations() {
    let script = Script::parse("?? ?? / ??").unwrap();
    let bound = Bound { script, crash: true, late: true };
    for mutant in Mutant::ALL.into_iter().filter(|mutant| is_modelled(*mutant)) {
        let report = hunt(bound.clone(), mutant);
        let broken: Vec<&str> = report.broken.keys().copied().collect();
        let (first, actions) = report.broken.iter().next().unwrap_or_else(|| panic!("{} escapes", mutant.name()));
        assert!(broken.iter().all(|one| broken_by(mutant).contains(one)), "{} breaks {broken:?}", mutant.name());
        println!("{:24} breaks '{first}' in {} steps: {actions:?}", mutant.name(), actions.len());
    }
}
