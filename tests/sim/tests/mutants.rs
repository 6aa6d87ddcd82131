//! The test of the test: what is broken on purpose is caught, and a failing run can be repeated and shortened.

use edge_session::guarantee::Guarantee;
use edge_session::mutant::{Mutant as Core, Service};
use edge_session_sim::mutant::Mutant;
use edge_session_sim::run::{Options, Report, caught, run, shorten};

const OPS: u64 = 300;

/// The run of a mutant that is caught.
fn failing(tell: bool) -> Options {
    let mutant = Some(Mutant::Core(Core::Guarantee(Guarantee::WritesFollowReads)));
    Options { seed: 0, ops: OPS, mutant, hard: true, tell, ..Options::default() }
}

#[test]
fn every_mutant_is_caught() {
    for mutant in Mutant::all() {
        let seeds = caught(mutant, true, 0..20, OPS);
        // Data overtakes its records only where a frame is lost at the right moment: more than half of the runs have one.
        // What else concerns the service needs two that meet at the right moment, which most runs have.
        let least = match mutant {
            Mutant::Core(Core::Service(Service::Under)) => 8,
            Mutant::Core(Core::Service(_)) => 12,
            _ => 17,
        };
        assert!(seeds.len() >= least, "{} is caught by {seeds:?} of 20 seeds only", mutant.name());
    }
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    let options = Options { seed: 7, ops: OPS, tell: true, ..Options::default() };
    let (first, second) = (run(&options), run(&options));
    assert!(first.history.len() > OPS as usize);
    assert_eq!(first.history, second.history);
}

#[test]
fn a_failing_run_is_shortened_to_one_that_fails_alike() {
    let options = failing(false);
    let kind = |report: Report| report.alarm.map(|alarm| alarm.kind);
    let short = shorten(&options).expect("the run fails");
    assert!(short.ops - (short.skip.len() as u64) < run(&options).begun / 2, "{}", short.command());
    assert_eq!(kind(run(&short)), kind(run(&options)));
}

/// What is printed is what is read: the operations that a shortened run leaves out survive the command line.
#[test]
fn the_command_of_a_run_names_what_it_leaves_out() {
    let skip = [0, 1, 2, 5, 8, 9].into();
    let options = Options { skip, ..failing(false) };
    let command = options.command();
    let printed = command.split_once("--skip ").and_then(|(_, rest)| rest.split(' ').next());
    assert_eq!(printed, Some("0-2,5,8-9"));
    assert_eq!(printed.and_then(Options::parse_skip), Some(options.skip));
    assert!(command.ends_with("--mutant no-writes-follow-reads --hard"));
}

/// A switch is its own thread's, and ends with what ran under it, even where that panics.
#[test]
fn a_switch_reaches_nobody_else() {
    use edge_session::mutant::{off, without};
    for mutant in Core::ALL {
        assert_eq!(Core::named(mutant.name()), Some(mutant), "{mutant:?} has a name of its own");
        let elsewhere = without(mutant, || {
            assert!(off(mutant));
            assert_eq!(Core::ALL.into_iter().filter(|other| off(*other)).count(), 1);
            std::thread::spawn(move || off(mutant)).join().unwrap()
        });
        assert!(!elsewhere && !off(mutant));
        let panicked = std::panic::catch_unwind(|| without(mutant, || panic!("on purpose")));
        assert!(panicked.is_err() && !off(mutant));
    }
}
