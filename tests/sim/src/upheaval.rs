//! Replicas that come and go: crashes, storage that is lost or set back, snapshots, late joiners, retirement.

use edge_session::id::ReplicaId;
use edge_session::io::LinkId;
use edge_session::replica::SessionInit;
use edge_session::sync::message::{Frame, Message};

use crate::checker::Checker;
use crate::checker::alarm::Alarm;
use crate::faults::contract;
use crate::mutant::Mutant;
use crate::profile::Act;
use crate::replica::Replica;
use crate::storage::Covers;
use crate::trace;
use crate::world::{Happening, KEY, World};

/// How many ids replicas may have had in one run: each makes every token longer, and a token has a limit.
const IDS: usize = 12;

/// How a replica hears that more was written under its id than it knows of.
#[derive(Clone, Debug)]
pub enum Word {
    /// In a message of another replica.
    Message(Vec<u8>),
    /// In the token of a client.
    Token(String),
}

impl World {
    /// A replica comes or goes.
    pub fn upheaval(&mut self, act: Act) -> Result<(), Alarm> {
        let node = self.rng.index(self.nodes.len());
        match act {
            Act::Crash => self.crash(node, false),
            Act::Amnesia if self.ids.len() < IDS => self.crash(node, true),
            Act::Rollback => self.roll_back(node),
            Act::Restore if self.ids.len() < IDS => self.restore(node),
            Act::Compact => self.compact(node),
            Act::Retire if !trace::is_on() => self.retire(),
            Act::Join => match self.nodes.iter().position(|node| !node.joined) {
                Some(node) => self.open(node),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// A replica stops and comes back: with what was durable, or with nothing.
    pub fn crash(&mut self, node: usize, amnesia: bool) -> Result<(), Alarm> {
        // Without storage every crash is amnesia.
        let amnesia = amnesia || !self.profile.storage[node];
        if !self.nodes[node].is_up() || (amnesia && self.ids.len() >= IDS) {
            return Ok(());
        }
        if amnesia {
            self.record_loss(node);
        }
        let own = &mut self.nodes[node];
        own.promised = self.checkers.iter().flat_map(|checker| checker.durable(node)).collect();
        if amnesia {
            own.storage.wipe();
            (own.amnesiac, own.id) = (true, None);
            if self.profile.storage[node] {
                let kept = std::mem::take(&mut own.promised);
                self.checkers.iter_mut().for_each(|checker| checker.crashed(node, &kept));
            }
        } else {
            let (done, last) = own.storage.cuts();
            let at = match self.boundary.filter(|boundary| boundary.record == self.persists) {
                Some(boundary) if boundary.kept => last,
                Some(_) => done,
                None if self.rng.chance(500) => done,
                None => self.rng.within(done..=last),
            };
            let kept = own.storage.cut(at);
            // A new id that storage does not have was never taken.
            own.id = own.storage.id();
            self.checkers.iter_mut().for_each(|checker| checker.crashed(node, &kept));
        }
        self.everybody_stands_up(node, !amnesia);
        self.go_down(node, if amnesia { " and forgets" } else { "" })
    }

    /// A replica stops, and an old state of its storage comes back. Where its own writes are missing then and others
    /// know them, it hears of that before anything is written to it: a message or a token is all that can tell it.
    fn roll_back(&mut self, node: usize) -> Result<(), Alarm> {
        if !self.nodes[node].is_up() || !self.profile.storage[node] {
            return self.crash(node, false);
        }
        let mut storage = self.nodes[node].storage.clone();
        let had = storage.cut(storage.cuts().0);
        let (kept, before) = storage.kept();
        let older = self.rng.chance(300);
        let least = kept.saturating_sub(self.profile.setback as usize).max(1);
        let keep = if older { before } else { self.rng.within(least as u64..=kept.max(1) as u64) as usize };
        let Some(has) = storage.roll_back(keep, older) else { return self.crash(node, false) };
        let Some(id) = storage.id().filter(|id| !self.retired.contains_key(id)) else { return self.crash(node, false) };
        let sequence =
            |covers: &Covers, checker: &Checker| covers.get(&(checker.space.clone(), id)).copied().unwrap_or(0);
        let mut word = None;
        for number in 0..self.checkers.len() {
            let (before, after) = (sequence(&had, &self.checkers[number]), sequence(&has, &self.checkers[number]));
            if after < before && word.is_none() {
                word = self.word(node, number, id, after);
                if word.is_none() || self.ids.len() >= IDS {
                    // Nobody could tell it, and its next write would be the second one of a dot: see the documents.
                    return self.crash(node, false);
                }
            }
        }
        self.checkers.iter_mut().for_each(|checker| checker.crashed(node, &had));
        self.record_loss(node);
        let own = &mut self.nodes[node];
        (own.storage, own.promised) = (storage, has);
        // Who is set back twice, and has written nothing in between, must hear the same again.
        own.words.extend(word.map(|word| (id, word)));
        (own.amnesiac, own.id) = (true, Some(id));
        self.go_down(node, &format!(" and is set back to {keep} records"))
    }

    /// Where somebody has heard of more than `last` writes of `id`.
    fn word(&self, node: usize, space: usize, id: ReplicaId, last: u64) -> Option<Word> {
        let name = &self.checkers[space].space;
        let others = self.nodes.iter().enumerate().filter(|(number, _)| *number != node);
        let mut knows = others.filter_map(|(_, other)| other.replica.as_ref());
        if let Some(other) = knows.find(|replica| replica.durable(name).get(id) > last) {
            let vectors = self.checkers.iter().map(|checker| {
                let vector = other.durable(&checker.space).clone();
                (checker.space.clone(), vector)
            });
            let messages = vec![Message::hello(vectors.collect(), false)];
            return Some(Word::Message(Frame { from: other.id(), to: None, messages }.encode()));
        }
        // What a token says without a signature is not believed: anybody could have written it.
        let signed = |text: &&String| {
            let token = self.keyring.open(text, self.now, KEY.2, 0).ok()?;
            let asks = token.signed().get(name)?;
            Some(asks.reads.get(id).max(asks.writes.get(id)))
        };
        let mut tokens = self.clients.iter().filter_map(|client| Some(&client.tokens[0].as_ref()?.text));
        tokens.find(|text| signed(text).is_some_and(|named| named > last)).cloned().map(Word::Token)
    }

    /// A replica that was set back hears of its past.
    pub fn tell_of_its_past(&mut self, node: usize) -> Result<(), Alarm> {
        let own = &self.nodes[node];
        let Some(word) = own.id.and_then(|id| own.words.get(&id)).cloned() else { return Ok(()) };
        self.tell(|| format!("   n{node} hears of its past"));
        let told = self.call(node, |replica, now| match &word {
            Word::Message(bytes) => {
                // A link that lasts for one message: nothing is believed of who is on none.
                replica.link_up(LinkId(u32::MAX), now);
                let heard = replica.receive(LinkId(u32::MAX), bytes, now);
                replica.link_down(LinkId(u32::MAX), now);
                heard
            }
            Word::Token(text) => {
                let init = SessionInit { token: Some(text.clone()), ..SessionInit::default() };
                let session = replica.open_session(init, now);
                replica.close_session(session);
                Ok(())
            }
        })?;
        match told {
            Some(Err(error)) => Err(contract(node, "does not take a hello", &error)),
            _ => self.carry_out(node),
        }
    }

    /// Sometimes somebody who depends on nothing waits for a replica to open, and writes.
    pub fn first_at_the_door(&mut self, node: usize) -> Result<(), Alarm> {
        if self.clients.is_empty() {
            return Ok(());
        }
        let client = self.rng.index(self.clients.len());
        if !self.rng.chance(self.profile.door) || !self.nodes[node].is_up() || self.clients[client].pending.is_some() {
            return Ok(());
        }
        self.leave(client, true)?;
        self.arrive_at(client, node)?;
        self.write(client, Act::Write)
    }

    fn go_down(&mut self, node: usize, how: &str) -> Result<(), Alarm> {
        self.lose_log(node);
        self.nodes[node].stop();
        self.tell(|| format!("   n{node} is down{how}"));
        for client in 0..self.clients.len() {
            if self.clients[client].place.is_some_and(|(at, _)| at == node) {
                self.give_up(client);
                self.clients[client].detach();
            }
        }
        self.notice(node)?;
        let away = self.rng.below(self.profile.away + 1);
        self.later(away, Happening::Return(node));
        Ok(())
    }

    /// The neighbours of a node that is down may notice, and open their links anew.
    fn notice(&mut self, node: usize) -> Result<(), Alarm> {
        let edges: Vec<(usize, [usize; 2])> =
            self.network.at(node).filter(|(_, edge)| !edge.exchange).map(|(at, edge)| (at, edge.ends)).collect();
        for (edge, ends) in edges {
            if self.rng.chance(self.profile.notice) {
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

    /// An id that no replica has any more is retired: the cluster agrees on the last of its writes that anybody holds.
    fn retire(&mut self) -> Result<(), Alarm> {
        let lives =
            |id: &&ReplicaId| self.nodes.iter().any(|node| node.id == Some(**id) || node.storage.may_bring_back(**id));
        let dead: Vec<ReplicaId> =
            self.ids.iter().filter(|id| !lives(id) && !self.retired.contains_key(id)).copied().collect();
        if dead.is_empty() || self.mutant == Some(Mutant::SameId) {
            return Ok(());
        }
        let id = *self.rng.pick(&dead);
        let mut lasts = Vec::new();
        for checker in &mut self.checkers {
            let held = self.nodes.iter().map(|node| match &node.replica {
                Some(replica) => replica.store().vector(&checker.space).get(id),
                None => node.storage.reaches(&checker.space, id),
            });
            let last = held.max().unwrap_or(0);
            checker.retired.insert(id, last);
            lasts.push((checker.space.clone(), last));
        }
        self.retired.insert(id, lasts.iter().map(|(_, last)| *last).collect());
        self.tell(|| format!("   {id} is retired at {lasts:?}"));
        for node in 0..self.nodes.len() {
            self.call(node, |replica, now| {
                lasts.iter().for_each(|(space, last)| replica.retire(space, id, *last, now));
            })?;
            self.carry_out(node)?;
        }
        Ok(())
    }
}
