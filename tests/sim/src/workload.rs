//! What clients do: read and write under their promises, roam, and hand tokens over.

use std::collections::BTreeMap;

use edge_session::guarantee::Guarantees;
use edge_session::io::{Operation, Policy, Progress, Range, Scope, SessionHandle, Terms};
use edge_session::store::entry::{Content, Key};
use edge_session::store::{Check, Mutation};

use crate::checker::Proposal;
use crate::checker::alarm::{Alarm, Kind};
use crate::checker::writes::{Fate, Part, value};
use crate::client::{Asked, Pending};
use crate::profile::Act;
use crate::trace;
use crate::world::World;

/// After so many failures in a row a client gives its session up: what it depends on may be lost for good.
pub const PATIENCE: u32 = 12;

impl World {
    /// A client does something, if it is not waiting.
    pub fn client_acts(&mut self, act: Act) -> Result<(), Alarm> {
        if self.clients.is_empty() {
            return Ok(());
        }
        let client = self.rng.index(self.clients.len());
        if let Some(pending) = &self.clients[client].pending {
            let wait = pending.wait;
            if let (Act::Cancel, Some((node, _))) = (act, self.clients[client].place) {
                self.give_up(client);
                self.nodes[node].waits.remove(&wait);
                self.step(node, |replica| replica.cancel(wait))?;
                return self.carry_out(node);
            }
            return Ok(());
        }
        match act {
            Act::Anew => return self.leave(client, true),
            Act::Fork => return self.fork(client),
            _ => {}
        }
        let Some((node, handle)) = self.attend(client)? else { return Ok(()) };
        match act {
            Act::Watch => self.follow(client, node, handle),
            Act::Merge => self.join_tokens(client, node, handle),
            Act::Write | Act::Batch | Act::Checked | Act::Delete | Act::Expiring => self.write(client, act),
            Act::Seal => {
                let timeout = Some(self.rng.within(1..=2_000));
                let terms = Terms { timeout, ..Terms::default() };
                self.begin_operation(client, Operation::Seal, Asked::Seal, terms, self.clients[client].judged)
            }
            _ => self.read(client, act),
        }
    }

    /// Where a client's session is in use: where it was, or at another replica. `None`: nobody is there.
    fn attend(&mut self, client: usize) -> Result<Option<(usize, SessionHandle)>, Alarm> {
        if self.clients[client].failures > PATIENCE {
            self.leave(client, true)?;
        }
        let roams = self.rng.chance(self.profile.roaming);
        if let Some(place) = self.clients[client].place.filter(|_| !roams) {
            return Ok(Some(place));
        }
        let up: Vec<usize> = (0..self.nodes.len()).filter(|node| self.nodes[*node].is_up()).collect();
        if up.is_empty() {
            return Ok(None);
        }
        let node = *self.rng.pick(&up);
        self.leave(client, false)?;
        self.arrive_at(client, node).map(Some)
    }

    fn follow(&mut self, client: usize, node: usize, handle: SessionHandle) -> Result<(), Alarm> {
        if let Some(watch) = self.clients[client].watch.take() {
            self.nodes[node].watches.remove(&watch);
            self.step(node, |replica| replica.unwatch(watch))?;
            return self.carry_out(node);
        }
        let scope = if self.rng.chance(500) { Scope::Prefix("k".into()) } else { Scope::Key(self.key()) };
        let watched = self.call(node, |replica, now| replica.watch(handle, scope, Terms::default(), now))?;
        match watched {
            Some(Ok(watch)) => {
                self.clients[client].watch = Some(watch);
                self.nodes[node].watches.insert(watch, client);
            }
            Some(Err(error)) => return Alarm::raise(Kind::Contract, format!("n{node} does not watch: {error}")),
            None => {}
        }
        self.carry_out(node)
    }

    /// A key, the first ones more often.
    fn key(&mut self) -> Key {
        let most = self.rng.below(self.profile.keys) + 1;
        format!("k{:02}", self.rng.below(most)).into()
    }

    fn terms(&mut self, judged: Guarantees) -> (Terms, Guarantees) {
        let mut terms = Terms::default();
        let mut asked = judged;
        if self.rng.chance(self.profile.narrow) {
            asked = Guarantees::from_bits(self.rng.below(16) as u8).unwrap_or_default();
            terms.guarantees = Some(asked);
        }
        terms.sync = self.rng.chance(self.profile.hasty / 2);
        if self.rng.chance(self.profile.hasty) {
            terms.on_stale = Some(*self.rng.pick(&[Policy::Throw, Policy::Serve]));
        }
        if self.rng.chance(200) {
            terms.timeout = Some(self.rng.below(3_000));
        }
        (terms, asked)
    }

    fn read(&mut self, client: usize, act: Act) -> Result<(), Alarm> {
        let (mut terms, judged) = self.terms(self.clients[client].judged);
        let key = self.key();
        let in_front = act == Act::Read && self.in_front(client);
        if in_front {
            return self.read_in_front(client, key, judged);
        }
        let (operation, asked) = match act {
            Act::Conflicts => (Operation::Conflicts(key.clone()), Asked::Conflicts(key)),
            Act::List => {
                let range = Range {
                    start: self.rng.chance(300).then(|| self.key().to_string()),
                    end: self.rng.chance(300).then(|| self.key().to_string()),
                    prefix: self.rng.chance(300).then(|| "k0".into()),
                    limit: self.rng.chance(300).then(|| self.rng.within(1..=5)),
                    reverse: self.rng.chance(300),
                };
                (Operation::List(range.clone()), Asked::List(range))
            }
            _ if terms.on_stale == Some(Policy::Serve) || self.rng.chance(300) => {
                (Operation::Read(key.clone()), Asked::Read(key))
            }
            _ => (Operation::Get(key.clone()), Asked::Read(key)),
        };
        // Only the outcome of `Read` says that it is stale.
        if !matches!(operation, Operation::Read(_)) && terms.on_stale == Some(Policy::Serve) {
            terms.on_stale = Some(Policy::Throw);
        }
        self.begin_operation(client, operation, asked, terms, judged)
    }

    /// Whether a host does the next thing in front of the replica.
    fn in_front(&mut self, client: usize) -> bool {
        let memory = self.clients[client].place.is_some_and(|(node, _)| !self.profile.storage[node]);
        memory && self.rng.chance(self.profile.front)
    }

    /// A client writes.
    pub fn write(&mut self, client: usize, act: Act) -> Result<(), Alarm> {
        let Some((node, _)) = self.clients[client].place else { return Ok(()) };
        let Some(session) = self.clients[client].session else { return Ok(()) };
        let (mut terms, judged) = self.terms(self.clients[client].judged);
        let count = if act == Act::Batch { self.rng.within(2..=4) } else { 1 };
        let mut keys: Vec<Key> = (0..count).map(|_| self.key()).collect();
        let taken = self.taken(node, self.clients[client].space);
        keys.retain(|key| !taken.contains(key));
        if keys.is_empty() {
            return Ok(());
        }
        if let ([key], Act::Write | Act::Delete) = (keys.as_slice(), act)
            && self.in_front(client)
        {
            return self.write_in_front(client, key.clone(), act == Act::Delete, judged);
        }
        if self.rng.chance(self.profile.served) {
            terms.on_stale = Some(Policy::Serve);
        }
        let write = self.judge(client).writes.next();
        let mut parts = BTreeMap::new();
        for key in keys {
            let gone = act == Act::Delete || (act == Act::Batch && self.rng.chance(200));
            let content = if gone { Content::Tombstone } else { value(write, self.profile.value) };
            let ends = act == Act::Expiring || (act == Act::Batch && self.rng.chance(100));
            let after = self.rng.within(20..=3_000);
            let expires_at = (ends && !gone).then(|| self.nodes[node].clock.at(self.now) + after);
            parts.insert(key, Part { content, expires_at });
        }
        if parts.values().all(|part| part.content == Content::Tombstone) {
            // A tombstone does not carry its write's number, so it must not be mistaken for a relieved sibling.
            terms.on_stale = Some(Policy::Throw);
        }
        let (mut checks, mut found) = (Vec::new(), Vec::new());
        if act == Act::Checked {
            for key in parts.keys() {
                let (version, named) = self.clients[client].versions.get(key).cloned().unzip();
                checks.push(Check { key: key.clone(), version });
                found.push((key.clone(), named));
            }
        }
        let batch = parts
            .iter()
            .map(|(key, part)| Mutation {
                key: key.clone(),
                content: part.content.clone(),
                expires_at: part.expires_at,
            })
            .collect();
        self.tell(|| format!("   c{client}@n{node} writes w{write} to {:?}", parts.keys().collect::<Vec<_>>()));
        self.judge(client).propose(Proposal { client, node, session, judged, parts, checks: found });
        let asked = Asked::Write(write, !terms.sync);
        self.begin_operation(client, Operation::Write { batch, checks }, asked, terms, judged)
    }

    /// The keys that are being written at a node, in one space, by writes that still wait: two of them accepted in one
    /// step could not be told apart afterwards.
    fn taken(&self, node: usize, space: usize) -> Vec<Key> {
        let here = |client: &&usize| self.clients[**client].space == space;
        let asked = self.nodes[node].waits.values().filter(here);
        let waits = asked.filter_map(|client| match self.clients[*client].pending.as_ref()?.asked {
            Asked::Write(write, _) => Some(self.checkers[space].writes.get(write)),
            _ => None,
        });
        waits.filter(|own| own.fate == Fate::Proposed).flat_map(|write| write.parts.keys().cloned()).collect()
    }

    /// Begins an operation; what is answered at once is judged at once.
    pub fn begin_operation(
        &mut self,
        client: usize,
        operation: Operation,
        asked: Asked,
        mut terms: Terms,
        judged: Guarantees,
    ) -> Result<(), Alarm> {
        if trace::is_on() && matches!(operation, Operation::Conflicts(_)) {
            terms.timeout = None;
        }
        let Some((node, handle)) = self.clients[client].place else { return Ok(()) };
        let begun = self.call(node, |replica, now| replica.begin(handle, operation, terms, now))?;
        let Some(begun) = begun else { return Ok(()) };
        match begun {
            Ok(Progress::Waiting(wait)) => {
                if let Some(result) = self.nodes[node].early.remove(&wait) {
                    self.answered(client, node, &asked, judged, result, false)?;
                    return self.carry_out(node);
                }
                let deadline = self.nodes[node].elapsed + terms.timeout.unwrap_or(self.profile.timeout);
                self.clients[client].pending = Some(Pending { wait, asked, judged, deadline });
                self.nodes[node].waits.insert(wait, client);
            }
            Ok(Progress::Done(answer)) => self.answered(client, node, &asked, judged, Ok(answer), terms.sync)?,
            Err(error) => self.answered(client, node, &asked, judged, Err(error), terms.sync)?,
        }
        self.carry_out(node)
    }

    /// A client waits no more. What it wanted to write was accepted already, or never will be.
    pub fn give_up(&mut self, client: usize) {
        if let Some(Pending { asked: Asked::Write(write, _), .. }) = self.clients[client].pending.take() {
            self.judge(client).withdraw(write);
        }
    }
}
