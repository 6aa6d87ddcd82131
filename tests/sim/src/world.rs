//! The world: nodes, clients and the network in virtual time, and the checker that watches them.
//!
//! Invariant: nothing here reads a clock or draws randomness that the seed does not decide; the same seed, number of
//! operations and omissions give the same run to the letter.

use std::collections::{BTreeMap, BTreeSet};

use edge_session::id::{ReplicaId, Space};
use edge_session::session::seal::Keyring;
use edge_session::sync::message::Frame;
use edge_session::time::Millis;

use crate::checker::Checker;
use crate::checker::alarm::{Alarm, Kind};
use crate::client::Client;
use crate::fleet::Fleet;
use crate::lines::recorder::Recorder;
use crate::mutant::Mutant;
use crate::network::{Network, Parcel};
use crate::node::Node;
use crate::profile::{Act, Profile};
use crate::rng::Rng;

/// The cluster's key, its name and its issuer.
pub const KEY: (&str, [u8; 32], &str) = ("k1", [7; 32], "sim");
/// The names of the spaces; most runs have the first only.
pub const SPACES: [&str; 3] = ["default", "other", "third"];
/// When virtual time begins.
const BEGINNING: Millis = 1_700_000_000_000;
/// How often one moment may call a replica before it is said to run in circles.
pub const CIRCLES: u32 = 10_000;

/// Something that will happen.
#[derive(Debug)]
pub enum Happening {
    /// A message arrives.
    Arrival(Parcel),
    /// A record is durable.
    Stored {
        /// Where.
        node: usize,
        /// In which run.
        run: u64,
        /// Which one.
        position: u64,
    },
    /// The replica is told of a durable record.
    Told {
        /// Where.
        node: usize,
        /// In which run.
        run: u64,
        /// Which one.
        position: u64,
    },
    /// A replica crashes with a record on its way to storage.
    Crash {
        /// Where.
        node: usize,
        /// In which run.
        run: u64,
    },
    /// A crashed replica comes back.
    Return(usize),
    /// Two replicas that have no link exchange.
    Exchange(usize),
}

/// A replica crashes just after it has handed over a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Boundary {
    /// Which one, in the order of the run, from 1.
    pub record: u64,
    /// Whether storage has it after the crash; else it has what it had confirmed.
    pub kept: bool,
}

/// A run.
#[derive(Debug)]
pub struct World {
    /// The seed.
    pub seed: u64,
    /// What the run is like.
    pub profile: Profile,
    /// What is broken on purpose.
    pub mutant: Option<Mutant>,
    /// Virtual time.
    pub now: Millis,
    /// The present operation's randomness.
    pub rng: Rng,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The clients.
    pub clients: Vec<Client>,
    /// The network.
    pub network: Network,
    /// The checkers, one a space.
    pub checkers: Vec<Checker>,
    /// The keys that verify tokens.
    pub keyring: Keyring,
    /// The ids that replicas have had: each makes every vector longer.
    pub ids: BTreeSet<ReplicaId>,
    /// The retirement records: an id, and its last sequence in each space.
    pub retired: BTreeMap<ReplicaId, Vec<u64>>,
    /// A record with which a replica is made to crash.
    pub boundary: Option<Boundary>,
    /// How many records and snapshots were handed to storage.
    pub persists: u64,
    /// Whether the run is over and everything is to come to rest.
    pub calm: bool,
    /// What happened, in words, if anybody wants to know.
    pub history: Option<Vec<String>>,
    /// The service, in a run that has one.
    pub fleet: Option<Fleet>,
    /// What clients have asked and were answered, if a history is kept.
    pub recorder: Option<Recorder>,
    happenings: BTreeMap<(Millis, u64), Happening>,
    happened: u64,
}

impl World {
    /// The world of `profile`, whose every chance is drawn from `seed`.
    ///
    /// # Panics
    /// Never: the names and keys are well formed.
    #[must_use]
    pub fn new(seed: u64, profile: Profile, mutant: Option<Mutant>, tell: bool) -> Self {
        let keyring = Keyring::new([(KEY.0, &KEY.1[..])]).expect("a well-formed key");
        let space = |name: &str| Space::first(name).expect("a well-formed name");
        let spaces = SPACES[..profile.spaces].iter().map(|name| space(name));
        Self {
            seed,
            mutant,
            now: BEGINNING,
            rng: Rng::new(seed, 1),
            nodes: (0..profile.nodes).map(|_| Node::new(BEGINNING)).collect(),
            clients: profile.guarantees.iter().map(|judged| Client::new(*judged)).collect(),
            network: Network::new(profile.edges.clone(), profile.weather.clone()),
            checkers: spaces.map(|space| Checker::new(space, profile.nodes, profile.clients)).collect(),
            keyring,
            ids: BTreeSet::new(),
            retired: BTreeMap::new(),
            boundary: None,
            persists: 0,
            calm: false,
            history: tell.then(Vec::new),
            fleet: profile.fleet.as_ref().map(|fleet| Fleet::new(fleet, profile.nodes)),
            recorder: None,
            happenings: BTreeMap::new(),
            happened: 0,
            profile,
        }
    }

    /// Opens the first replicas.
    pub fn begin(&mut self) -> Result<(), Alarm> {
        for node in 0..self.profile.nodes - self.profile.late {
            self.open(node)?;
        }
        for edge in 0..self.network.edges.len() {
            if self.network.edges[edge].exchange {
                self.later(self.profile.timing.heartbeat, Happening::Exchange(edge));
            }
        }
        self.found()
    }

    /// The checker of the space that a client's session is in.
    pub fn judge(&mut self, client: usize) -> &mut Checker {
        &mut self.checkers[self.clients[client].space]
    }

    /// Does operation number `number`, after a pause in which time passes.
    pub fn operation(&mut self, number: u64) -> Result<(), Alarm> {
        self.rng = Rng::new(self.seed, number + 2);
        let pause = self.rng.below(self.profile.pause + 1);
        self.pass(pause)?;
        let act = self.profile.act(&mut self.rng);
        self.tell(|| format!("#{number} {act:?}"));
        match act {
            Act::Crash | Act::Amnesia | Act::Rollback | Act::Restore | Act::Compact | Act::Join | Act::Retire => {
                self.upheaval(act)
            }
            Act::Partition | Act::Heal | Act::Bounce | Act::Exchange | Act::Replay | Act::Astray | Act::Clock => {
                self.trouble(act)
            }
            Act::Deed => self.deed(),
            _ => self.client_acts(act),
        }
    }

    /// Lets time pass; everything that is due happens, in order.
    pub fn pass(&mut self, time: Millis) -> Result<(), Alarm> {
        let end = self.now + time;
        let mut circles = 0;
        loop {
            let happening = self.happenings.first_key_value().map(|((at, _), _)| *at).unwrap_or(Millis::MAX);
            let timers = self.nodes.iter().enumerate().filter_map(|(node, own)| Some((own.timer?.0, node)));
            let timer = timers.min().unwrap_or((Millis::MAX, 0));
            let due = happening.min(timer.0);
            if due > end {
                self.now = end;
                return Ok(());
            }
            circles = if due > self.now { 0 } else { circles + 1 };
            if circles > CIRCLES {
                let who = match timer.0 <= happening {
                    true => format!("n{} asks for its timer", timer.1),
                    false => match self.happenings.first_key_value() {
                        Some((_, Happening::Arrival(parcel))) => {
                            let messages = Frame::decode(&parcel.bytes).map(|frame| frame.messages);
                            format!("to n{}: {messages:?}", parcel.to)
                        }
                        other => format!("{other:?}"),
                    },
                };
                let who: String = who.chars().take(1_000).collect();
                let text = format!("time stands still: replicas call each other, or themselves, forever; {who}");
                return Alarm::raise(Kind::Contract, text);
            }
            self.now = self.now.max(due);
            if timer.0 <= happening {
                self.ring(timer.1)?;
            } else if let Some((_, happening)) = self.happenings.pop_first() {
                self.happen(happening)?;
            }
        }
    }

    /// Something will happen after `time`.
    pub fn later(&mut self, time: Millis, happening: Happening) {
        self.happened += 1;
        self.happenings.insert((self.now + time, self.happened), happening);
    }

    /// Notes what happens, if anybody wants to know.
    pub fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(history) = &mut self.history {
            history.push(format!("{:>7} {}", self.now - BEGINNING, what()));
        }
    }

    /// The host's timer rings. What the clock shows then may be less than the time that was asked for.
    fn ring(&mut self, node: usize) -> Result<(), Alarm> {
        self.nodes[node].timer = None;
        self.call(node, |replica, now| replica.tick(now))?;
        self.carry_out(node)
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Alarm> {
        match happening {
            Happening::Arrival(parcel) => self.arrive(&parcel),
            Happening::Stored { node, run, position } => self.stored(node, run, position),
            Happening::Told { node, run, position } => self.told(node, run, position),
            Happening::Crash { node, run } if self.nodes[node].run == run => self.crash(node, false),
            Happening::Crash { .. } => Ok(()),
            Happening::Return(node) => {
                self.open(node)?;
                self.first_at_the_door(node)
            }
            Happening::Exchange(edge) => {
                self.later(self.profile.timing.heartbeat * 2, Happening::Exchange(edge));
                self.exchange(edge)
            }
        }
    }
}
