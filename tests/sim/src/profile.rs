//! The profile of a run: each seed draws its own mix (swarm testing: Groce et al., ISSTA 2012).
//!
//! A run that does everything at once hides what shows when something is left out: dense gossip hides missing
//! causality, frequent writes hide stale reads. So each seed leaves much out, and does much of the rest.

use edge_session::guarantee::Guarantees;
use edge_session::sync::peer::Timing;
use edge_session::time::Millis;

use self::fleet::FleetProfile;
use crate::network::{Edge, Weather};
use crate::rng::Rng;
use crate::trace;

/// What an operation of a run can be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Act {
    /// A client reads a key.
    Read,
    /// A client lists a range.
    List,
    /// A client asks for a key's siblings.
    Conflicts,
    /// A client writes one key.
    Write,
    /// A client writes several keys at once.
    Batch,
    /// A client writes under a check.
    Checked,
    /// A client deletes keys.
    Delete,
    /// A client writes a value that ends.
    Expiring,
    /// A client asks for its sealed token.
    Seal,
    /// A client joins another's token.
    Merge,
    /// A client goes on with a copy of another's token.
    Fork,
    /// A client begins a new session.
    Anew,
    /// A client follows keys.
    Watch,
    /// A client gives up what it waits for.
    Cancel,
    /// A replica crashes and comes back with what was durable.
    Crash,
    /// A replica loses its storage and comes back with a new id.
    Amnesia,
    /// A replica's storage is set back to an old state.
    Rollback,
    /// A replica takes another's snapshot.
    Restore,
    /// A replica's storage is compacted.
    Compact,
    /// Directions of edges are cut.
    Partition,
    /// All edges are mended.
    Heal,
    /// A link goes down and up again.
    Bounce,
    /// Two replicas exchange.
    Exchange,
    /// An old message comes once more.
    Replay,
    /// A message comes out at the wrong end.
    Astray,
    /// A clock is set, runs fast or slow, or stands still.
    Clock,
    /// A replica that was not there yet joins.
    Join,
    /// An id that no replica has any more is retired.
    Retire,
    /// Somebody uses the fleet's service, or rules it.
    Deed,
}

/// How often each act is done in an average run.
const WEIGHTS: [(Act, u64); 28] = [
    (Act::Read, 60),
    (Act::List, 10),
    (Act::Conflicts, 6),
    (Act::Write, 60),
    (Act::Batch, 14),
    (Act::Checked, 10),
    (Act::Delete, 10),
    (Act::Expiring, 8),
    (Act::Seal, 8),
    (Act::Merge, 8),
    (Act::Fork, 4),
    (Act::Anew, 2),
    (Act::Watch, 4),
    (Act::Cancel, 4),
    (Act::Crash, 5),
    (Act::Amnesia, 1),
    (Act::Rollback, 3),
    (Act::Restore, 1),
    (Act::Compact, 4),
    (Act::Partition, 4),
    (Act::Heal, 3),
    (Act::Bounce, 4),
    (Act::Exchange, 4),
    (Act::Replay, 6),
    (Act::Astray, 4),
    (Act::Clock, 4),
    (Act::Join, 3),
    (Act::Retire, 1),
];

/// What a run is like.
#[derive(Clone, Debug)]
pub struct Profile {
    /// How many replicas there are in the end.
    pub nodes: usize,
    /// How many of them join late.
    pub late: usize,
    /// Which of them have a storage.
    pub storage: Vec<bool>,
    /// The greatest time that storage takes for a record.
    pub latency: Millis,
    /// How many clients there are.
    pub clients: usize,
    /// Under which promises each client's sessions run.
    pub guarantees: Vec<Guarantees>,
    /// How many spaces there are.
    pub spaces: usize,
    /// How many keys there are.
    pub keys: u64,
    /// How often a client goes to another replica before an operation, in a thousand.
    pub roaming: u64,
    /// How often an operation must not wait, in a thousand.
    pub hasty: u64,
    /// How often an operation has guarantees of its own, in a thousand.
    pub narrow: u64,
    /// How often a read or a write of one key is done in front of a replica without storage, in a thousand.
    pub front: u64,
    /// How often a write is asked to be served where the replica is behind, in a thousand.
    pub served: u64,
    /// How often a replica crashes with a record on its way to storage, in a thousand.
    pub fragile: u64,
    /// How often a new session writes as soon as a replica is back, in a thousand.
    pub door: u64,
    /// How long a replica that crashed is away at most.
    pub away: Millis,
    /// How many records storage loses at most when it is set back.
    pub setback: u64,
    /// How often a neighbour notices that a replica was away, in a thousand.
    pub notice: u64,
    /// The longest token that a replica mints, in bytes; above half of it tokens are folded.
    pub token_bytes: usize,
    /// How long values are at least.
    pub value: usize,
    /// The most siblings.
    pub siblings: u64,
    /// The greatest pause between two operations.
    pub pause: Millis,
    /// How long an operation waits.
    pub timeout: Millis,
    /// How often replicas speak.
    pub timing: Timing,
    /// Who is joined to whom.
    pub edges: Vec<Edge>,
    /// How bad the network is.
    pub weather: Weather,
    /// The fleet's service, in a run that has one.
    pub fleet: Option<FleetProfile>,
    weights: Vec<(Act, u64)>,
}

pub mod fleet;
mod hard;
mod ruled;

impl Profile {
    /// The profile that `seed` draws.
    #[must_use]
    pub fn swarm(seed: u64) -> Self {
        Self::drawn(seed).ruled(FleetProfile::swarm(seed).filter(|_| !trace::is_on()))
    }

    /// The same without a fleet.
    fn drawn(seed: u64) -> Self {
        let rng = &mut Rng::new(seed, 0);
        let nodes = rng.within(3..=5) as usize;
        let clients = rng.within(2..=6) as usize;
        let subsets = rng.chance(300);
        let memory = *rng.pick(&[100, 100, 400, 1_000]);
        let large = rng.chance(120);
        let pause = *rng.pick(&[2, 20, 100, 600]);
        let weather = Weather {
            drop: *rng.pick(&[0, 0, 30, 200]),
            duplicate: *rng.pick(&[0, 0, 50, 300]),
            jitter: *rng.pick(&[0, 5, 50, 500, 2_000]),
        };
        Self {
            nodes,
            late: if rng.chance(300) { rng.within(1..=nodes as u64 - 2) as usize } else { 0 },
            storage: (0..nodes).map(|_| !rng.chance(memory)).collect(),
            latency: *rng.pick(&[0, 5, 50, 400]),
            clients,
            guarantees: (0..clients).map(|_| if subsets { subset(rng) } else { Guarantees::ALL }).collect(),
            spaces: *rng.pick(&[1, 1, 1, 2, 3]),
            keys: *rng.pick(&[1, 3, 8, 30]) + if large { 10 } else { 0 },
            roaming: *rng.pick(&[20, 200, 600, 1000]),
            hasty: *rng.pick(&[0, 100, 500]),
            narrow: 30,
            front: *rng.pick(&[0, 300, 900]),
            served: *rng.pick(&[0, 50, 300]),
            fragile: *rng.pick(&[0, 0, 0, 20]),
            door: *rng.pick(&[0, 200, 700]),
            setback: *rng.pick(&[1, 1, 3, 1_000]),
            notice: *rng.pick(&[0, 400, 1_000]),
            token_bytes: *rng.pick(&[1024, 1024, 560]),
            value: if large { 40 << 10 } else { *rng.pick(&[0, 0, 200]) },
            siblings: *rng.pick(&[32, 32, 5, 3]),
            pause,
            away: pause * *rng.pick(&[1, 10, 10]),
            timeout: *rng.pick(&[20, 200, 1_000, 5_000]),
            timing: Timing {
                heartbeat: *rng.pick(&[100, 500, 2_000]),
                retry: *rng.pick(&[50, 300, 1_000]),
                pause: [0, 2, 20][(seed % 3) as usize],
            },
            edges: topology(nodes, rng),
            weather,
            fleet: None,
            weights: WEIGHTS.iter().map(|(act, weight)| (*act, weight * emphasis(*act, rng))).collect(),
        }
    }

    /// The same without the fast path, whose reads may show what is only later given a version; `foreign`: and for
    /// checkers that know one causal order and no subsets of guarantees.
    #[must_use]
    pub fn recorded(mut self, foreign: bool) -> Self {
        (self.front, self.fleet) = (0, None);
        if foreign {
            (self.spaces, self.narrow) = (1, 0);
            self.guarantees.fill(Guarantees::ALL);
        }
        self
    }

    fn emphasise(&mut self, act: Act, weight: u64) {
        self.weights.iter_mut().filter(|own| own.0 == act).for_each(|own| own.1 = weight);
    }

    /// What the next operation is.
    pub fn act(&self, rng: &mut Rng) -> Act {
        // Without clients there is nothing else to do for most of the time.
        if self.fleet.as_ref().is_some_and(|fleet| rng.chance(fleet.share) || self.clients == 0 && rng.chance(800)) {
            return Act::Deed;
        }
        let mut at = rng.below(self.weights.iter().map(|(_, weight)| weight).sum());
        for (act, weight) in &self.weights {
            if at < *weight {
                return *act;
            }
            at -= weight;
        }
        Act::Read
    }
}

/// How much of an act this run does: often nothing. Without reads and writes there is nothing to judge.
fn emphasis(act: Act, rng: &mut Rng) -> u64 {
    let drawn = *rng.pick(&[0, 1, 1, 4]);
    match act {
        Act::Read | Act::Write | Act::Join => drawn.max(1),
        _ => drawn,
    }
}

fn subset(rng: &mut Rng) -> Guarantees {
    Guarantees::from_bits(rng.below(16) as u8).unwrap_or_default()
}

/// A line, a ring, a star, a tree, or everybody with everybody; slow here and there.
fn topology(nodes: usize, rng: &mut Rng) -> Vec<Edge> {
    let shape = rng.below(5);
    let pairs: Vec<[usize; 2]> = match shape {
        0 => (1..nodes).map(|to| [to - 1, to]).collect(),
        1 => (0..nodes).map(|to| [to, (to + 1) % nodes]).collect(),
        2 => (1..nodes).map(|to| [0, to]).collect(),
        3 => (1..nodes).map(|to| [rng.index(to), to]).collect(),
        _ => (0..nodes).flat_map(|to| (0..to).map(move |from| [from, to])).collect(),
    };
    let (slow, exchanging) = (*rng.pick(&[0, 300]), *rng.pick(&[0, 0, 300]));
    let edge = |ends: [usize; 2], rng: &mut Rng| Edge {
        ends,
        cut: [false; 2],
        delay: if rng.chance(slow) { rng.within(200..=3_000) } else { rng.within(0..=20) },
        exchange: rng.chance(exchanging),
        rounds: 0,
    };
    pairs.into_iter().map(|ends| edge(ends, rng)).collect()
}
