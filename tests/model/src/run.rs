//! Running the model: everything within a bound, or until the first failure.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use edge_session::mutant::Mutant;
use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::bound::Bound;
use crate::world::{Action, World};

/// What a run has found.
#[derive(Debug)]
pub struct Report {
    /// What was explored.
    pub bound: Bound,
    /// How many different states.
    pub unique: usize,
    /// How many transitions led to them.
    pub steps: usize,
    /// The most steps from the start to a state, as the search went.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// The properties that do not hold, each with the actions that show it.
    pub broken: BTreeMap<&'static str, Vec<Action>>,
    /// What had to be met and was not.
    pub unmet: Vec<&'static str>,
}

/// Explores every state within the bound, on so many threads.
#[must_use]
pub fn explore(bound: Bound, threads: usize) -> Report {
    let (world, started) = (World { bound, mutant: None }, Instant::now());
    let checker = world.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_dfs().join();
    report(&checker, started)
}

/// Explores, breadth first and in one thread, until a failure is found: one of the shortest.
#[must_use]
pub fn hunt(bound: Bound, mutant: Mutant) -> Report {
    let (world, started) = (World { bound, mutant: Some(mutant) }, Instant::now());
    let checker = world.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    report(&checker, started)
}

fn report(checker: &impl Checker<World>, started: Instant) -> Report {
    let (took, mut found) = (started.elapsed(), checker.discoveries());
    let (mut broken, mut unmet) = (BTreeMap::new(), Vec::new());
    for property in checker.model().properties() {
        match (property.expectation, found.remove(property.name)) {
            (Expectation::Sometimes, None) => unmet.push(property.name),
            (Expectation::Sometimes, Some(_)) | (Expectation::Always | Expectation::Eventually, None) => {}
            (Expectation::Always | Expectation::Eventually, Some(path)) => {
                broken.insert(property.name, path.into_actions());
            }
        }
    }
    let (unique, steps, depth) = (checker.unique_state_count(), checker.state_count(), checker.max_depth());
    Report { bound: checker.model().bound.clone(), unique, steps, depth, took, broken, unmet }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bound, unique, steps, depth, took, .. } = self;
        write!(f, "{bound}: {unique} unique states, {steps} steps, depth {depth}, in {took:.1?}")?;
        for (property, actions) in &self.broken {
            write!(f, "\n  BROKEN: {property}")?;
            actions.iter().try_for_each(|action| write!(f, "\n    {action:?}"))?;
        }
        self.unmet.iter().try_for_each(|unmet| write!(f, "\n  never met: {unmet}"))
    }
}
