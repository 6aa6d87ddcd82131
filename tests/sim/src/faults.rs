//! What goes wrong: crashes, lost storage, bad networks, wrong clocks. And what is done about it: joining, restoring.

use edge_session::id::Space;
use edge_session::io::LinkId;
use edge_session::replica::{Config, Replica};
use edge_session::store::limits::Limits;

use crate::checker::alarm::{Alarm, Kind};
use crate::clock::RIGHT;
use crate::mutant::Mutant;
use crate::profile::Act;
use crate::rng::Rng;
use crate::world::{Happening, KEY, World};

/// How many ids replicas may have had in one run: each makes every token longer, and a token has a limit.
const IDS: usize = 12;
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
        let empty = own.storage.frames().next().is_none();
        let mut replica = Replica::open(config, now).map_err(|error| contract(node, "does not open", &error))?;
        for frame in own.storage.frames() {
            replica.load(frame, now).map_err(|error| contract(node, "does not take its own record back", &error))?;
        }
        own.run += 1;
        own.joined = true;
        self.ids += usize::from(empty && self.mutant != Some(Mutant::SameId));
        self.checker.opened(node, storage);
        let kept = own.storage.cut(own.storage.cuts().1);
        self.checker.stored(node, &kept);
        let promised = std::mem::take(&mut own.promised);
        self.checker.reopened(node, &promised, &replica)?;
        own.replica = Some(replica);
        let held = holds(&self.nodes[node].replica, &self.checker.space);
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
            ..Config::default()
        }
    }

    /// Opens a link at one end, in place of what was there.
    fn link(&mut self, node: usize, edge: usize) -> Result<(), Alarm> {
        let link = LinkId(edge as u32);
        self.call(node, |replica, now| {
            replica.link_down(link, now);
            replica.link_up(link, now);
        })?;
        self.carry_out(node)
    }

    /// A replica comes or goes.
    pub fn upheaval(&mut self, act: Act) -> Result<(), Alarm> {
        let node = self.rng.index(self.nodes.len());
        match act {
            Act::Crash => self.crash(node, false),
            Act::Amnesia if self.ids < IDS => self.crash(node, true),
            Act::Restore if self.ids < IDS => self.restore(node),
            Act::Compact => self.compact(node),
            Act::Join => match self.nodes.iter().position(|node| !node.joined) {
                Some(node) => self.open(node),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn crash(&mut self, node: usize, amnesia: bool) -> Result<(), Alarm> {
        // Without storage every crash is amnesia.
        let amnesia = amnesia || !self.profile.storage[node];
        if !self.nodes[node].is_up() || (amnesia && self.ids >= IDS) {
            return Ok(());
        }
        let own = &mut self.nodes[node];
        own.promised = self.checker.mirrors[node].durable.clone();
        if amnesia {
            own.storage.wipe();
            own.amnesiac = true;
            if self.profile.storage[node] {
                let kept = std::mem::take(&mut own.promised);
                self.checker.crashed(node, &kept);
            }
        } else {
            let (done, last) = own.storage.cuts();
            let at = if self.rng.chance(500) { done } else { self.rng.within(done..=last) };
            let kept = own.storage.cut(at);
            self.checker.crashed(node, &kept);
        }
        self.nodes[node].stop();
        self.tell(|| format!("   n{node} is down{}", if amnesia { " and forgets" } else { "" }));
        for client in 0..self.clients.len() {
            if self.clients[client].place.is_some_and(|(at, _)| at == node) {
                self.give_up(client);
                self.clients[client].detach();
            }
        }
        self.notice(node)?;
        let away = self.rng.below(self.profile.pause * 10 + 1);
        self.later(away, Happening::Return(node));
        Ok(())
    }

    /// The neighbours of a node that is down may notice, and open their links anew.
    fn notice(&mut self, node: usize) -> Result<(), Alarm> {
        let edges: Vec<(usize, [usize; 2])> =
            self.network.at(node).filter(|(_, edge)| !edge.exchange).map(|(at, edge)| (at, edge.ends)).collect();
        for (edge, ends) in edges {
            if self.rng.chance(400) {
                let other = if ends[0] == node { ends[1] } else { ends[0] };
                self.link(other, edge)?;
            }
        }
        Ok(())
    }

    fn restore(&mut self, node: usize) -> Result<(), Alarm> {
        let from = self.rng.index(self.nodes.len());
        let Some(Ok(bytes)) = self.step(from, Replica::snapshot)? else { return self.carry_out(from) };
        self.carry_out(from)?;
        self.tell(|| format!("   n{node} restores a snapshot of n{from}"));
        if let Some(Err(error)) = self.call(node, |replica, now| replica.restore(&bytes, now))? {
            return Err(contract(node, "does not take a snapshot", &error));
        }
        self.carry_out(node)
    }

    fn compact(&mut self, node: usize) -> Result<(), Alarm> {
        if !self.profile.storage[node] {
            return Ok(());
        }
        if let Some((n, bytes)) = self.step(node, Replica::compaction)? {
            self.persist(node, n, bytes, true)?;
        }
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

fn contract(node: usize, what: &str, error: &edge_session::error::SessionError) -> Alarm {
    Alarm { kind: Kind::Contract, text: format!("n{node} {what}: {error}") }
}

/// What a replica holds, in words.
pub fn holds(replica: &Option<Replica>, space: &Space) -> String {
    replica.as_ref().map_or_else(String::new, |replica| replica.store().vector(space).to_string())
}
