//! Clean seeds raise no alarm.

use edge_session_sim::run::{Options, explain, run};

const SEEDS: u64 = 200;
const OPS: u64 = 300;

fn clean(seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        let options = Options { seed, ops: OPS, ..Options::default() };
        if run(&options).alarm.is_some() {
            panic!("{}", explain(&options));
        }
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
