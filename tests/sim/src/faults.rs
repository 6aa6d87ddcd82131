//! Opening replicas, and what goes wrong around them: bad networks, wrong clocks.

use edge_session::id::Space;
use edge_session::io::{Interest, LinkId};
use edge_session::replica::Config;
use edge_session::store::limits::Limits;

use crate::checker::alarm::{Alarm, Kind};
use crate::clock::RIGHT;
use crate::mutant::Mutant;
use crate::profile::Act;
use crate::profile::fleet::FleetProfile;
use crate::replica::Replica;
use crate::rng::Rng;
use crate::world::{KEY, World};

/// How far a clock is set wrong.
const HOUR: u64 = 3_600_000;

impl World {
    /// Opens the replica of a node with what its storage has.
    pub fn open(&mut self, node: usize) -> Result<(), Alarm> {
        if self.nodes[node].is_up() {
            return Ok(());
        }
        let storage = self.profile.storage[node];
        let config = self.config(node, storage);
        let own = &mut self.nodes[node];
        let now = own.look(self.now);
        let mut replica = Replica::open(config, now).map_err(|error| contract(node, "does not open", &error))?;
        replica.interest(Interest { changes: false, conflicts: true, sessions: true });
        for frame in own.storage.frames() {
            replica.load(frame, now).map_err(|error| contract(node, "does not take its own record back", &error))?;
        }
        own.run += 1;
        own.joined = true;
        self.ids.insert(replica.id());
        own.id = Some(replica.id());
        self.checkers.iter_mut().for_each(|checker| checker.opened(node, storage));
        let kept = own.storage.cut(own.storage.cuts().1);
        let promised = std::mem::take(&mut own.promised);
        for checker in &mut self.checkers {
            checker.stored(node, &kept);
            checker.reopened(node, &promised, &replica)?;
        }
        // A retirement record is the cluster's, and the host tells it to whoever starts.
        for (id, lasts) in &self.retired {
            for (checker, last) in self.checkers.iter().zip(lasts) {
                replica.retire(&checker.space, *id, *last, now);
            }
        }
        if let Some(fleet) = &mut self.fleet {
            fleet.ledger.came(node, &replica, now)?;
        }
        own.replica = Some(replica);
        self.tell_of_its_past(node)?;
        let held = holds(&self.nodes[node].replica, &self.checkers[0].space);
        self.tell(|| format!("   n{node} opens and holds {held}"));
        let ends: Vec<usize> = self.network.at(node).filter(|(_, edge)| !edge.exchange).map(|(edge, _)| edge).collect();
        for edge in ends {
            self.link(node, edge)?;
        }
        Ok(())
    }

    fn config(&self, node: usize, storage: bool) -> Config {
        let own = &self.nodes[node];
        // The mutant draws the id of the first opening again.
        let run = if self.mutant == Some(Mutant::SameId) { 0 } else { own.run };
        Config {
            label: format!("n{node}"),
            seed: Rng::new(self.seed, (1 << 48) | ((node as u64) << 32) | run).seed(),
            storage,
            issuer: KEY.2.into(),
            keys: vec![(KEY.0.into(), KEY.1.to_vec())],
            limits: Limits { siblings: self.profile.siblings, ..Limits::default() },
            timing: self.profile.timing,
            timeout: self.profile.timeout,
            token_bytes: self.profile.token_bytes,
            ..self.profile.fleet.as_ref().map_or_else(Config::default, FleetProfile::config)
        }
    }

    /// Opens a link at one end, in place of what was there.
    pub fn link(&mut self, node: usize, edge: usize) -> Result<(), Alarm> {
        let link = LinkId(edge as u32);
        self.call(node, |replica, now| {
            replica.link_down(link, now);
            replica.link_up(link, now);
        })?;
        self.carry_out(node)
    }

    /// The network or a clock does something.
    pub fn trouble(&mut self, act: Act) -> Result<(), Alarm> {
        let (node, now) = (self.rng.index(self.nodes.len()), self.now);
        match act {
            Act::Partition => self.network.partition(&mut self.rng),
            Act::Heal => self.network.heal(),
            Act::Bounce => return self.bounce(),
            Act::Exchange => {
                let edges: Vec<usize> =
                    (0..self.network.edges.len()).filter(|at| self.network.edges[*at].exchange).collect();
                if !edges.is_empty() {
                    let edge = *self.rng.pick(&edges);
                    return self.exchange(edge);
                }
            }
            Act::Replay | Act::Astray => {
                if let Some(parcel) = self.network.old(act == Act::Astray, self.nodes.len(), &mut self.rng) {
                    return self.arrive(&parcel);
                }
            }
            _ => {
                let clock = &mut self.nodes[node].clock;
                match self.rng.below(4) {
                    0 => clock.run(*self.rng.pick(&[RIGHT, RIGHT + 1_000, RIGHT * 2, RIGHT / 2]), now),
                    1 => clock.run(if self.rng.chance(500) { 0 } else { RIGHT }, now),
                    2 => clock.set(*self.rng.pick(&[now - HOUR, now, now + HOUR]), now),
                    _ => clock.set(now, now),
                }
                let shows = clock.at(now);
                self.tell(|| format!("   the clock of n{node} is off by {}", shows.cast_signed() - now.cast_signed()));
            }
        }
        Ok(())
    }

    fn bounce(&mut self) -> Result<(), Alarm> {
        let number = self.rng.index(self.network.edges.len());
        let edge = &self.network.edges[number];
        if edge.exchange {
            return Ok(());
        }
        let ends = edge.ends;
        let which = self.rng.below(3);
        if which != 1 {
            self.link(ends[0], number)?;
        }
        if which != 0 {
            self.link(ends[1], number)?;
        }
        Ok(())
    }
}

/// An alarm: a replica does not do what its contract says.
pub fn contract(node: usize, what: &str, error: &edge_session::error::SessionError) -> Alarm {
    Alarm { kind: Kind::Contract, text: format!("n{node} {what}: {error}") }
}

/// What a replica holds, in words.
pub fn holds(replica: &Option<Replica>, space: &Space) -> String {
    replica.as_ref().map_or_else(String::new, |replica| replica.store().vector(space).to_string())
}
