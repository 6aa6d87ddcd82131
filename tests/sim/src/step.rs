//! One step: a call of a replica, a look at what it did, and its effects carried out as a host does.

use edge_session::error::{ErrorCode, SessionError};
use edge_session::io::{Change, Effect, Event, LinkId, WatchId};
use edge_session::sync::message::Frame;
use edge_session::time::Millis;

use crate::checker::alarm::{Alarm, Kind};
use crate::checker::reads::Reader;
use crate::mutant::Mutant;
use crate::network::Parcel;
use crate::replica::Replica;
use crate::world::{CIRCLES, Happening, World};

impl World {
    /// Calls the replica of a node and tells it the time. It is drained, the checker looks at it, and the operations
    /// that have settled are judged; its effects are carried out by [`World::carry_out`], which the caller does next.
    /// `None`: no replica is there.
    pub fn call<T>(&mut self, node: usize, run: impl FnOnce(&mut Replica, Millis) -> T) -> Result<Option<T>, Alarm> {
        let now = self.nodes[node].look(self.now);
        self.step(node, |replica| run(replica, now))
    }

    /// Calls the replica of a node by a function that tells it no time.
    pub fn step<T>(&mut self, node: usize, run: impl FnOnce(&mut Replica) -> T) -> Result<Option<T>, Alarm> {
        self.settle_front(node)?;
        let own = &mut self.nodes[node];
        let Some(replica) = &mut own.replica else { return Ok(None) };
        let answer = run(replica);
        let (mut settled, mut stopped) = (Vec::new(), Vec::new());
        while let Some(effect) = replica.poll() {
            match effect {
                Effect::Settled(wait) => settled.push((wait, replica.take(wait))),
                Effect::Abort { plan, .. } => stopped.push(plan),
                effect => own.effects.push_back(effect),
            }
        }
        stopped.into_iter().for_each(|plan| self.aborted(node, plan));
        self.observe(node)?;
        for (wait, result) in settled {
            let Some(client) = self.nodes[node].waits.remove(&wait) else {
                self.nodes[node].early.insert(wait, result);
                continue;
            };
            if let Some(pending) = self.clients[client].pending.take() {
                self.answered(client, node, &pending.asked, pending.judged, result, false)?;
            }
        }
        Ok(Some(answer))
    }

    /// The checkers look at the replica of a node.
    pub fn observe(&mut self, node: usize) -> Result<(), Alarm> {
        let own = &mut self.nodes[node];
        let Some(replica) = &own.replica else { return Ok(()) };
        own.id = Some(replica.id());
        if let Some(fleet) = &mut self.fleet {
            fleet.ledger.observe(node, replica, self.now)?;
            for seat in fleet.seats.iter_mut().filter(|seat| seat.node == node && !seat.over) {
                let reason = replica.identity(seat.handle).and_then(|identity| identity.refused);
                seat.over = reason.is_some();
                reason.map_or(Ok(()), |reason| fleet.ledger.shut_out(node, seat.id, reason, replica, self.now))?;
            }
        }
        for space in 0..self.checkers.len() {
            let Some(replica) = &self.nodes[node].replica else { continue };
            let accepted = self.checkers[space].observe(node, replica);
            self.record_writes(space, node);
            for dot in accepted? {
                let write = self.checkers[space].writes.of_dot(dot);
                self.tell(|| format!("   n{node} accepts {write:?} as number {}", dot.sequence));
            }
        }
        Ok(())
    }

    /// Carries out what a replica has ordered, in order.
    pub fn carry_out(&mut self, node: usize) -> Result<(), Alarm> {
        let mut circles = 0;
        while let Some(effect) = self.nodes[node].effects.pop_front() {
            circles += 1;
            if circles > CIRCLES {
                return Alarm::raise(Kind::Contract, format!("n{node} never stops giving orders"));
            }
            match effect {
                Effect::Persist { n, bytes } => self.persist(node, n, bytes.into_vec(), false)?,
                Effect::Transmit { link, bytes } => self.transmit(node, link, bytes.into_vec())?,
                Effect::Watch(watch) => self.fetch(node, watch)?,
                Effect::Timeout(at) => self.nodes[node].arm(at, self.now),
                Effect::Event(event) => self.event(node, event)?,
                Effect::Forget(keys) => self.forget(node, keys),
                // Nobody here is a client.
                Effect::Call { .. } | Effect::CallOver(_) => {
                    return Alarm::raise(Kind::Contract, format!("n{node} carries out a call of nobody"));
                }
                Effect::Close { error, .. } => {
                    return Alarm::raise(Kind::Contract, format!("n{node} closes a trusted link: {error}"));
                }
                // Judged already, in the step in which it settled.
                Effect::Settled(_) => {}
                // For hosts that show whether everything has arrived.
                Effect::Unsynced(_) | Effect::Abort { .. } => {}
            }
        }
        self.deadlines(node)
    }

    /// A message arrives, if anybody is there.
    pub fn arrive(&mut self, parcel: &Parcel) -> Result<(), Alarm> {
        let (node, link) = (parcel.to, LinkId(parcel.edge as u32));
        let exchange = self.network.edges[parcel.edge].exchange;
        let result = self.call(node, |replica, now| match exchange {
            true => replica.exchange(link, &parcel.bytes, now),
            false => replica.receive(link, &parcel.bytes, now),
        })?;
        if let Some(Err(error)) = result {
            return Alarm::raise(Kind::Contract, format!("n{node} does not take a message that was sent: {error}"));
        }
        self.carry_out(node)
    }

    /// Begins an exchange over an edge.
    pub fn exchange(&mut self, edge: usize) -> Result<(), Alarm> {
        let side = self.rng.index(2);
        self.network.edges[edge].rounds = 8;
        let node = self.network.edges[edge].ends[side];
        self.call(node, |replica, now| replica.exchange(LinkId(edge as u32), &[], now))?;
        self.carry_out(node)
    }

    /// Hands a record or a snapshot to a node's storage.
    pub fn persist(&mut self, node: usize, n: u64, bytes: Vec<u8>, snapshot: bool) -> Result<(), Alarm> {
        let slowest = if self.calm { 0 } else { self.profile.latency };
        let latency = self.rng.below(slowest + 1);
        let own = &mut self.nodes[node];
        let (run, (position, at)) = (own.run, own.storage.take(n, bytes, snapshot, self.now, latency));
        self.later(at.saturating_sub(self.now), Happening::Stored { node, run, position });
        self.persists += 1;
        let boundary = self.boundary.is_some_and(|boundary| boundary.record == self.persists);
        if boundary || (!self.calm && self.rng.chance(self.profile.fragile)) {
            self.later(0, Happening::Crash { node, run });
        }
        if self.mutant == Some(Mutant::EagerStorage) {
            return self.told(node, run, position);
        }
        Ok(())
    }

    /// A record is durable. The replica hears of it now or later; what it hears stands for all records before.
    pub fn stored(&mut self, node: usize, run: u64, position: u64) -> Result<(), Alarm> {
        if self.nodes[node].run != run || !self.nodes[node].is_up() {
            return Ok(());
        }
        self.nodes[node].storage.finish(position);
        if self.calm || self.rng.chance(700) {
            return self.told(node, run, position);
        }
        let late = self.rng.below(self.profile.latency * 2 + 2);
        self.later(late, Happening::Told { node, run, position });
        Ok(())
    }

    /// The replica is told what is durable.
    pub fn told(&mut self, node: usize, run: u64, position: u64) -> Result<(), Alarm> {
        if self.nodes[node].run != run || !self.nodes[node].is_up() {
            return Ok(());
        }
        let Some((n, covers)) = self.nodes[node].storage.tell(position) else { return Ok(()) };
        self.tell(|| format!("   the storage of n{node} has record {n} {covers:?}"));
        self.checkers.iter_mut().for_each(|checker| checker.stored(node, &covers));
        self.call(node, |replica, now| replica.persisted(n, now))?;
        self.carry_out(node)
    }

    fn transmit(&mut self, node: usize, link: LinkId, bytes: Vec<u8>) -> Result<(), Alarm> {
        let frame = match Frame::decode(&bytes) {
            Ok(frame) => frame,
            Err(error) => return Alarm::raise(Kind::Contract, format!("n{node} sends what does not decode: {error}")),
        };
        self.checkers.iter().try_for_each(|checker| checker.sent(node, &frame))?;
        for (delay, parcel) in self.network.send(node, link, bytes, &mut self.rng) {
            self.later(delay, Happening::Arrival(parcel));
        }
        Ok(())
    }

    /// Fetches what a watch has for its client, and judges each change as the read that it is.
    fn fetch(&mut self, node: usize, watch: WatchId) -> Result<(), Alarm> {
        let Some(client) = self.nodes[node].watches.get(&watch).copied() else { return Ok(()) };
        let Some(result) = self.call(node, |replica, now| replica.next(watch, now))? else { return Ok(()) };
        let changes: Vec<Change> = match result {
            Ok(changes) => changes,
            Err(error) => {
                self.nodes[node].watches.remove(&watch);
                self.clients[client].watch = None;
                return tolerable(&error);
            }
        };
        let reader = self.reader(client, node, self.clients[client].judged);
        for change in changes {
            let item = change.item.as_ref();
            self.tell(|| format!("   c{client}@n{node} hears of {} {:?}", change.key, item.map(|item| &item.version)));
            let said = change.item.as_ref().map(|item| (item.version.as_str(), &item.content, item.expires_at));
            let judged = self.judge(client).read(reader, &change.key, said, false);
            self.record_read(client, node, reader.judged, false, false);
            judged?;
        }
        Ok(())
    }

    /// Who reads, for the checker.
    pub fn reader(&self, client: usize, node: usize, judged: edge_session::guarantee::Guarantees) -> Reader {
        let at = self.nodes[node].clock.at(self.now);
        Reader { client, node, judged, stale: false, at, at_most: at.max(self.clients[client].met) }
    }

    fn event(&mut self, node: usize, event: Event) -> Result<(), Alarm> {
        match event {
            // An old message with dots of a retired id above its last.
            // Clocks are off by an hour here, never by a day.
            Event::Drift(_) => Ok(()),
            Event::Refused(error) if error.code() == ErrorCode::DependencyLost && !self.retired.is_empty() => Ok(()),
            // What a peer sends that has not heard of the drop yet.
            Event::Refused(error) if error.code() == ErrorCode::SpaceNotFound && self.fleet.is_some() => Ok(()),
            Event::Refused(error) => Alarm::raise(Kind::Contract, format!("n{node} refuses a peer's delta: {error}")),
            Event::Renamed { old, new } => {
                self.ids.insert(new);
                self.tell(|| format!("   n{node} was {old} and is {new}"));
                Ok(())
            }
            Event::Rejected { code, .. } => {
                Alarm::raise(Kind::Contract, format!("n{node} has lost writes of its own: {code}"))
            }
            Event::Change { .. }
            | Event::Conflict { .. }
            | Event::Peers(_)
            | Event::Session { .. }
            | Event::Slow(_) => Ok(()),
        }
    }

    /// No wait outlives its deadline, and the replica has asked to be called in time. A clock that was set forward
    /// since the replica was last told the time is not the replica's fault.
    fn deadlines(&self, node: usize) -> Result<(), Alarm> {
        let own = &self.nodes[node];
        for client in own.waits.values() {
            let Some(pending) = &self.clients[*client].pending else { continue };
            let left = pending.deadline.saturating_sub(own.elapsed);
            let asked = own.timer.map(|(_, at)| at.saturating_sub(own.shown));
            if left == 0 || asked.is_none_or(|asked| asked > left) {
                let text = format!("c{client} waits at n{node} and has {left} ms left; called in {asked:?}");
                return Alarm::raise(Kind::Deadline, text);
            }
        }
        Ok(())
    }
}

/// The errors that a sound replica answers in bad times; everything else is an alarm.
pub fn tolerable(error: &SessionError) -> Result<(), Alarm> {
    match error.code() {
        ErrorCode::StaleReplica | ErrorCode::Timeout | ErrorCode::Conflict | ErrorCode::TokenTooLarge => Ok(()),
        _ => Alarm::raise(Kind::Contract, format!("an unexpected error: {error}")),
    }
}
