//! The fast path as a JavaScript host drives it: copies of values and a log of writes in front of a replica without
//! storage, so that a read of a copy and a write call nothing.
//!
//! Before the replica is asked anything, by anyone, it is handed every write of the log in order and then told every
//! read (`settle_front`). A session reads and writes here only after the replica has answered it under the same
//! guarantees, until a token is merged. Where somebody follows changes, writes go straight to the replica.

use std::collections::BTreeMap;

use edge_session::guarantee::Guarantees;
use edge_session::id::{Dot, Space};
use edge_session::io::{Answer, Operation, SessionHandle, Terms};
use edge_session::store::Mutation;
use edge_session::store::entry::{Content, Key};
use edge_session::time::Millis;

use crate::checker::Proposal;
use crate::checker::alarm::{Alarm, Kind};
use crate::checker::set::WriteId;
use crate::checker::writes::{Fate, Part};
use crate::client::Asked;
use crate::mutant::Mutant;
use crate::world::World;

/// At so many writes the log is handed over.
const LOG: usize = 6;
/// So many neighbours are asked for with a read that crosses.
const AHEAD: usize = 3;

/// What a host keeps in front of one replica.
#[derive(Debug, Default)]
pub struct Front {
    copies: BTreeMap<(usize, Key), Copy>,
    log: Option<Log>,
    /// Reads of copies that the replica was not told of.
    owed: Vec<(SessionHandle, Mark)>,
}

/// A value that may be answered until it is to be forgotten.
#[derive(Clone, Debug)]
struct Copy {
    content: Content,
    write: WriteId,
    mark: Mark,
}

/// Whose write a copy is.
#[derive(Clone, Copy, Debug)]
enum Mark {
    Known(Dot),
    /// Of the write that is in the log.
    InLog,
}

/// Writes that were accepted in front, which will be one atomic write.
#[derive(Debug)]
struct Log {
    client: usize,
    space: usize,
    handle: SessionHandle,
    guarantees: Guarantees,
    write: WriteId,
    batch: Vec<Mutation>,
    /// How many writes were accepted: of a key that is written again the last one stands in the place of the first.
    writes: usize,
    at: Millis,
}

impl World {
    /// A client reads a key in front of the replica, or the replica, and keeps a copy where it may.
    pub fn read_in_front(&mut self, client: usize, key: Key, judged: Guarantees) -> Result<(), Alarm> {
        let Some((node, handle)) = self.clients[client].place else { return Ok(()) };
        let place = (self.clients[client].space, key.clone());
        let copy = self.nodes[node].front.copies.get(&place).cloned();
        if let Some(copy) = copy.filter(|_| self.clients[client].may.read.contains(&judged.bits())) {
            self.tell(|| format!("   c{client}@n{node} reads the copy of {key}, of w{}", copy.write));
            let reader = self.reader(client, node, judged);
            let log = self.nodes[node].front.log.as_ref().filter(|log| log.space == place.0).map(|log| log.write);
            self.nodes[node].front.owed.push((handle, copy.mark));
            return self.judge(client).read_copy(reader, &key, copy.write, &copy.content, log);
        }
        let terms = Terms { guarantees: Some(judged), ..Terms::default() };
        let seen = self.call(node, |replica, now| replica.glance(handle, key.clone(), terms, AHEAD, now))?;
        let Some(seen) = seen else { return Ok(()) };
        if let Ok((glance, _, ahead)) = &seen {
            self.clients[client].may.read.insert(judged.bits());
            if let (Some(kept), Some(content)) = (glance.keep, &glance.content) {
                self.keep(client, node, place.1, content, kept.dot)?;
            }
            for copy in ahead {
                if !self.nodes[node].front.copies.contains_key(&(place.0, copy.key.clone())) {
                    self.keep(client, node, copy.key.clone(), &copy.content, copy.dot)?;
                }
            }
        }
        let answer = seen.map(|(_, item, _)| Answer::Item(item));
        self.answered(client, node, &Asked::Read(key), judged, answer, true)?;
        self.carry_out(node)
    }

    /// Keeps the copy of a write that the replica has told.
    fn keep(&mut self, client: usize, node: usize, key: Key, content: &Content, dot: Dot) -> Result<(), Alarm> {
        let Some(write) = self.judge(client).writes.of_dot(dot) else {
            return Alarm::raise(Kind::Answer, format!("n{node} lets {dot} be copied, which nobody wrote"));
        };
        let copy = Copy { content: content.clone(), write, mark: Mark::Known(dot) };
        self.nodes[node].front.copies.insert((self.clients[client].space, key), copy);
        Ok(())
    }

    /// A client writes a key in front of the replica, or to the replica at once.
    pub fn write_in_front(&mut self, client: usize, key: Key, gone: bool, judged: Guarantees) -> Result<(), Alarm> {
        let Some((node, handle)) = self.clients[client].place else { return Ok(()) };
        let Some(session) = self.clients[client].session else { return Ok(()) };
        let (space, bits) = (self.clients[client].space, judged.bits());
        let may = self.clients[client].may.write.contains(&bits) && self.nodes[node].watches.is_empty();
        let held = self.nodes[node].front.copies.get(&(space, key.clone()));
        let again = !gone && held.is_some_and(|copy| matches!(copy.mark, Mark::InLog));
        let own = |log: &Log| log.client == client && log.guarantees == judged && (again || log.batch.len() < LOG);
        if !may || !self.nodes[node].front.log.as_ref().is_some_and(own) {
            self.step(node, |_| ())?;
            self.carry_out(node)?;
        }
        let write = match &self.nodes[node].front.log {
            Some(log) => log.write,
            None => self.judge(client).writes.next(),
        };
        let number = self.nodes[node].front.log.as_ref().map_or(0, |log| log.writes);
        let content = if gone { Content::Tombstone } else { Content::Text(format!("w{write}|{number}").into()) };
        let part = Part { content: content.clone(), expires_at: None };
        let mutation = Mutation { key: key.clone(), content: content.clone(), expires_at: None };
        self.tell(|| {
            format!("   c{client}@n{node} writes w{write} to {key}, {}", if may { "in front" } else { "at once" })
        });
        if let Some(log) = &mut self.nodes[node].front.log {
            log.writes += 1;
            // The last one: a key that was deleted in between stands in the log twice.
            match log.batch.iter_mut().rfind(|held| again && held.key == key) {
                Some(held) => *held = mutation,
                None => log.batch.push(mutation),
            }
            self.judge(client).writes.get_mut(write).parts.insert(key.clone(), part);
        } else {
            let parts = [(key.clone(), part)].into();
            self.judge(client).propose(Proposal { client, node, session, judged, parts, checks: Vec::new() });
            if !may {
                let terms = Terms { guarantees: Some(judged), sync: true, ..Terms::default() };
                let operation = Operation::Write { batch: vec![mutation], checks: Vec::new() };
                self.begin_operation(client, operation, Asked::Write(write, false), terms, judged)?;
                if self.checkers[space].writes.get(write).fate == Fate::Accepted {
                    self.clients[client].may.write.insert(bits);
                }
                return Ok(());
            }
            let at = self.nodes[node].look(self.now);
            let log = Log { client, space, handle, guarantees: judged, write, batch: vec![mutation], writes: 1, at };
            self.nodes[node].front.log = Some(log);
        }
        let copies = &mut self.nodes[node].front.copies;
        match gone {
            true => copies.remove(&(space, key)),
            false => copies.insert((space, key), Copy { content, write, mark: Mark::InLog }),
        };
        Ok(())
    }

    /// Hands the log over and tells the replica what was read. Before any other call of it.
    pub fn settle_front(&mut self, node: usize) -> Result<(), Alarm> {
        let own = &mut self.nodes[node];
        let Some(replica) = &mut own.replica else { return Ok(()) };
        let mut written = None;
        if let Some(log) = own.front.log.take() {
            let terms = Terms { guarantees: Some(log.guarantees), ..Terms::default() };
            let handed = replica.hand_over(log.handle, log.batch, terms, log.at);
            let dot = match handed {
                Ok(dot) => dot,
                Err(error) => {
                    let text = format!("n{node} does not take w{} that was written in front: {error}", log.write);
                    return Alarm::raise(Kind::Contract, text);
                }
            };
            for copy in own.front.copies.values_mut().filter(|copy| matches!(copy.mark, Mark::InLog)) {
                copy.mark = Mark::Known(dot);
            }
            written = Some(dot);
            self.observe(node)?;
        }
        let own = &mut self.nodes[node];
        let Some(replica) = &mut own.replica else { return Ok(()) };
        for (handle, mark) in std::mem::take(&mut own.front.owed) {
            let dot = match mark {
                Mark::Known(dot) => Some(dot),
                Mark::InLog => written,
            };
            let Some(dot) = dot.filter(|_| self.mutant != Some(Mutant::ForgetfulFront)) else { continue };
            if let Err(error) = replica.record_reads(handle, &[dot]) {
                return Alarm::raise(Kind::Contract, format!("n{node} does not take note of a read: {error}"));
            }
        }
        Ok(())
    }

    /// Copies that are no longer true; all of them without a list.
    pub fn forget(&mut self, node: usize, keys: Option<Vec<(Space, Key)>>) {
        let copies = &mut self.nodes[node].front.copies;
        let Some(keys) = keys else {
            copies.clear();
            return;
        };
        for (space, key) in keys {
            if let Some(number) = self.checkers.iter().position(|checker| checker.space == space) {
                copies.remove(&(number, key));
            }
        }
    }

    /// The log is lost with its replica.
    pub fn lose_log(&mut self, node: usize) {
        if let Some(log) = self.nodes[node].front.log.take() {
            self.checkers[log.space].withdraw(log.write);
        }
    }
}
