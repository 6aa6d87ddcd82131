//! The state of the whole and its transitions, for stateright.
//!
//! Network: a replica may be brought up to another at any time (a delta since what it is known to hold, or a whole
//! snapshot), or never; and one delta may be *late*: it was made earlier, and comes now, to whomever, as often as it
//! likes. Storage: one replica, any, confirms late and may crash once; the others confirm at once, which they may
//! as well, since nobody sees the difference before a crash.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use edge_session::mutant::{Mutant, without};
use edge_session::store::delta::Delta;
use stateright::{Model, Property};

use crate::bound::{Bound, KEYS, REPLICAS, SESSIONS};
use crate::node::Node;
use crate::session::{Place, Session};
use crate::truth::{Set, Truth};

/// What a run explores, and what is broken in it.
#[derive(Clone, Debug)]
pub struct World {
    /// How much is explored.
    pub bound: Bound,
    /// The check that is switched off.
    pub mutant: Option<Mutant>,
}

/// Everything, at one moment.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    /// The replicas.
    pub nodes: [Arc<Node>; REPLICAS],
    /// The replica that may crash, until it has, and what its storage has.
    pub slow: Option<(usize, Arc<Node>)>,
    /// The sessions.
    pub sessions: [Arc<Session>; SESSIONS],
    /// The late delta.
    pub late: Option<Arc<Late>>,
    /// The writes.
    pub truth: Truth,
    /// What was seen to be broken. Nothing follows a state with an alarm.
    pub alarm: Option<Alarm>,
    /// What the step to this state is an example of.
    pub met: Met,
}

/// A delta that comes later than it was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Late {
    /// The delta.
    pub delta: Delta,
    /// What its sender held.
    pub held: Set,
}

impl Hash for Late {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // What was held tells the keys; the clock and the vectors tell the rest.
        (self.held, self.delta.hlc, &self.delta.from, &self.delta.to).hash(state);
    }
}

/// A promise that was broken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Alarm {
    /// A read did not show a state with the session's own writes.
    ReadYourWrites,
    /// A read showed a state without what an earlier one was decided by.
    MonotonicReads,
    /// A replica holds a write and not one that its session had made before.
    MonotonicWrites,
    /// A replica holds a write and not one that its session had read before.
    WritesFollowReads,
    /// A write is not above everything that its replica held.
    Arbitration,
    /// A replica's live sets or vector are not what follows from the writes that it holds.
    State,
    /// Equal vectors, and unequal states; or replicas that have nothing more to say to each other are not equal.
    Convergence,
    /// A dot was given twice.
    DotTwice,
    /// A crash has lost what somebody depends on.
    Durability,
}

/// What the exploration must have met, or it has proved nothing. It is no part of the state: it tells of the last step.
#[derive(Clone, Copy, Debug)]
pub enum Met {
    /// Nothing in particular.
    Nothing,
    /// A crash that lost a write.
    Loss,
    /// A late delta that brought news.
    Lateness,
    /// Two entries of one key.
    Siblings,
}

impl PartialEq for Met {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Met {}

impl Hash for Met {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// One transition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// A session reads a key at a replica.
    Read {
        /// Which session.
        session: usize,
        /// Where.
        at: usize,
        /// Which key.
        key: usize,
    },
    /// A session writes a key at a replica.
    Write {
        /// Which session.
        session: usize,
        /// Where.
        at: usize,
        /// Which key.
        key: usize,
    },
    /// A delta goes from one replica to another.
    Sync {
        /// Who sends.
        from: usize,
        /// Who receives.
        to: usize,
        /// Since nothing, instead of since what the receiver's storage has.
        whole: bool,
    },
    /// A delta is made, and is late.
    Delay {
        /// Who sends.
        from: usize,
        /// Since what this one's storage has.
        to: usize,
    },
    /// The late delta comes to a replica.
    Arrive {
        /// To whom.
        to: usize,
    },
    /// Storage confirms everything.
    Persist,
    /// The replica with the slow storage restarts from it.
    Crash,
}

impl State {
    fn start(slow: Option<usize>) -> Self {
        let node = Arc::new(Node::default());
        Self {
            nodes: std::array::from_fn(|_| Arc::clone(&node)),
            slow: slow.map(|at| (at, Arc::clone(&node))),
            sessions: Default::default(),
            late: None,
            truth: Truth::default(),
            alarm: None,
            met: Met::Nothing,
        }
    }

    /// A replica, and what of it storage has.
    #[must_use]
    pub fn place(&self, at: usize) -> Place<'_> {
        Place { at, node: &self.nodes[at], durable: self.durable(at) }
    }

    /// What of a replica storage has.
    #[must_use]
    pub fn durable(&self, at: usize) -> &Arc<Node> {
        self.slow.as_ref().filter(|(slow, _)| *slow == at).map_or(&self.nodes[at], |(_, durable)| durable)
    }

    /// Whether nobody has anything to tell to anybody, and no operation is left.
    #[must_use]
    pub fn is_quiet(&self, bound: &Bound) -> bool {
        let done = self.sessions.iter().zip(&bound.script.sessions).all(|(session, plans)| session.done == plans.len());
        let [a, b, c] = &self.nodes;
        let settled = (0..REPLICAS).all(|at| self.durable(at) == &self.nodes[at]);
        done && settled && a.vector() == b.vector() && b.vector() == c.vector()
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        if self.bound.crash {
            (0..REPLICAS).map(|at| State::start(Some(at))).collect()
        } else {
            vec![State::start(None)]
        }
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.alarm.is_some() {
            return;
        }
        let script = &self.bound.script;
        // Where sessions are alike, or keys: whichever comes first is called the first.
        let first = state.sessions.iter().all(|session| session.done == 0);
        let sessions = if first && script.has_equal_sessions() { 1 } else { SESSIONS };
        let keys = if first && script.has_equal_keys() { 1 } else { KEYS.len() };
        for session in 0..sessions {
            let Some(plan) = script.plan(session, state.sessions[session].done) else { continue };
            for (key, at) in (0..keys).flat_map(|key| (0..REPLICAS).map(move |at| (key, at))) {
                if plan.allows(true, key) {
                    actions.push(Action::Read { session, at, key });
                }
                if plan.allows(false, key) {
                    actions.push(Action::Write { session, at, key });
                }
            }
        }
        for to in 0..REPLICAS {
            for from in (0..REPLICAS).filter(|from| *from != to) {
                actions.push(Action::Sync { from, to, whole: false });
                actions.push(Action::Sync { from, to, whole: true });
                if self.bound.late && state.late.is_none() {
                    actions.push(Action::Delay { from, to });
                }
            }
            actions.push(Action::Arrive { to });
        }
        if state.slow.is_some() {
            actions.push(Action::Persist);
            actions.push(Action::Crash);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        // The switch belongs to a thread, and the checker has several: it is set anew for every step.
        without(self.mutant, || state.step(action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("read your writes", |_, state: &State| state.alarm != Some(Alarm::ReadYourWrites)),
            Property::always("monotonic reads", |_, state: &State| state.alarm != Some(Alarm::MonotonicReads)),
            Property::always("monotonic writes", |_, state: &State| state.alarm != Some(Alarm::MonotonicWrites)),
            Property::always("writes follow reads", |_, state: &State| state.alarm != Some(Alarm::WritesFollowReads)),
            Property::always("arbitration extends causality", |_, state: &State| {
                state.alarm != Some(Alarm::Arbitration)
            }),
            Property::always("a replica holds what follows from its writes", |_, state: &State| {
                state.alarm != Some(Alarm::State)
            }),
            Property::always("convergence", |world: &Self, state: &State| {
                let [a, b, c] = &state.nodes;
                let equal = || a.is_equal(b) && b.is_equal(c);
                state.alarm != Some(Alarm::Convergence) && (!state.is_quiet(&world.bound) || equal())
            }),
            Property::always("no dot twice", |_, state: &State| state.alarm != Some(Alarm::DotTwice)),
            Property::always("nothing is lost that somebody depends on", |_, state: &State| {
                state.alarm != Some(Alarm::Durability)
            }),
            Property::sometimes("a crash loses a write", |_, state: &State| matches!(state.met, Met::Loss)),
            Property::sometimes("a late delta brings news", |_, state: &State| matches!(state.met, Met::Lateness)),
            Property::sometimes("siblings", |_, state: &State| matches!(state.met, Met::Siblings)),
            Property::sometimes("all is said and done", |world: &Self, state: &State| state.is_quiet(&world.bound)),
        ]
    }
}
