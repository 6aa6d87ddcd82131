//! What clients do: read and write under their promises, roam, and hand tokens over.

use std::collections::BTreeMap;

use edge_session::guarantee::Guarantees;
use edge_session::io::{Operation, Policy, Progress, Range, Scope, SessionHandle, Terms};
use edge_session::replica::SessionInit;
use edge_session::store::entry::{Content, Key};
use edge_session::store::{Check, Mutation};

use crate::checker::Proposal;
use crate::checker::alarm::{Alarm, Kind};
use crate::checker::bearer::{Bearer, Promise};
use crate::checker::writes::{Fate, Part, value};
use crate::client::{Asked, Pending, Token};
use crate::mutant::Mutant;
use crate::profile::Act;
use crate::world::World;

/// After so many failures in a row a client gives its session up: what it depends on may be lost for good.
pub const PATIENCE: u32 = 12;

impl World {
    /// A client does something, if it is not waiting.
    pub fn client_acts(&mut self, act: Act) -> Result<(), Alarm> {
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

    /// A client leaves its replica: with a token of what is durable there, or with the one that it has; or for good.
    pub fn leave(&mut self, client: usize, for_good: bool) -> Result<(), Alarm> {
        if let Some((node, handle)) = self.clients[client].place {
            if !for_good && self.rng.chance(900) {
                let now = self.nodes[node].clock.at(self.now);
                if let Some(Ok(text)) = self.step(node, |replica| replica.token(handle, now))? {
                    self.given(client, node, text, false)?;
                }
            }
            self.step(node, |replica| replica.close_session(handle))?;
            self.nodes[node].watches.retain(|_, watcher| *watcher != client);
            self.give_up(client);
            self.clients[client].detach();
            self.carry_out(node)?;
        }
        if for_good {
            self.clients[client].tokens = [None, None];
            self.clients[client].failures = 0;
        }
        Ok(())
    }

    /// A client opens its session at a node: with its token, or a new one.
    pub fn arrive_at(&mut self, client: usize, node: usize) -> Result<(usize, SessionHandle), Alarm> {
        let token = self.clients[client].tokens[0].clone();
        let older = self.clients[client].tokens[1].as_ref().filter(|_| self.mutant == Some(Mutant::StaleToken));
        let judged = self.profile.guarantees[client];
        let text = older.filter(|older| Some(older.session) == token.as_ref().map(|t| t.session)).or(token.as_ref());
        let init = SessionInit {
            token: text.map(|token| token.text.clone()),
            guarantees: token.is_none().then_some(judged),
            user: Some("user".into()),
            ..SessionInit::default()
        };
        let opened = self.call(node, |replica, now| {
            let handle = replica.open_session(init, now);
            (handle, replica.session(handle))
        })?;
        let Some((handle, Some(view))) = opened else {
            return Alarm::raise(Kind::Contract, format!("n{node} does not know the session that it has opened"));
        };
        if let Some(reason) = view.refused {
            return Alarm::raise(Kind::Contract, format!("n{node} refuses the token of c{client}: {reason}"));
        }
        let promise = token.as_ref().map_or_else(Promise::default, |token| token.promise.clone());
        self.checker.bearers[client] = Bearer::resumed(view.id, &promise);
        let own = &mut self.clients[client];
        own.judged = token.as_ref().map_or(judged, |token| token.judged);
        own.met = token.as_ref().map_or(0, |token| token.met);
        own.session = Some(view.id);
        own.place = Some((node, handle));
        self.tell(|| format!("   c{client} opens {} at n{node}", if token.is_some() { "its token" } else { "anew" }));
        self.carry_out(node)?;
        Ok((node, handle))
    }

    /// A client is given a token: judges it, and notes what it stands for.
    pub fn given(&mut self, client: usize, node: usize, text: String, sealed: bool) -> Result<(), Alarm> {
        let now = self.nodes[node].clock.at(self.now);
        let opened = match self.keyring.open(&text, now, crate::world::KEY.2, 0) {
            Ok(token) => token,
            Err(error) => return Alarm::raise(Kind::Token, format!("a new token does not open: {error}")),
        };
        let asks = opened.dependencies().get(&self.checker.space).cloned().unwrap_or_default();
        let promise = self.checker.token(client, node, &asks, sealed)?;
        let own = &mut self.clients[client];
        let Some(session) = own.session else { return Ok(()) };
        own.met = own.met.max(now);
        own.keep(Token { text, session, promise, judged: own.judged, met: own.met });
        Ok(())
    }

    /// A client goes on with a copy of another's token.
    fn fork(&mut self, client: usize) -> Result<(), Alarm> {
        let other = self.rng.index(self.clients.len());
        let Some(token) = self.clients[other].tokens[0].clone() else { return Ok(()) };
        self.leave(client, true)?;
        self.tell(|| format!("   c{client} goes on with the token of c{other}"));
        self.clients[client].tokens = [Some(token), None];
        Ok(())
    }

    /// A client joins what another's token depends on.
    fn join_tokens(&mut self, client: usize, node: usize, handle: SessionHandle) -> Result<(), Alarm> {
        let other = self.rng.index(self.clients.len());
        let Some(token) = self.clients[other].tokens[0].clone() else { return Ok(()) };
        self.tell(|| format!("   c{client}@n{node} joins the token of c{other}"));
        if self.mutant == Some(Mutant::LossyMerge) {
            let (before, judged) = (self.checker.bearers[client].clone(), self.clients[client].judged);
            self.leave(client, true)?;
            self.clients[client].tokens = [Some(token), None];
            self.arrive_at(client, node)?;
            self.clients[client].judged = judged;
            self.checker.bearers[client].reads.join(&before.reads);
            self.checker.bearers[client].writes.join(&before.writes);
            return Ok(());
        }
        if let Some(Err(error)) = self.call(node, |replica, now| replica.merge(handle, &token.text, now))? {
            return Alarm::raise(Kind::Contract, format!("n{node} does not join a token: {error}"));
        }
        self.checker.bearers[client].merge(&token.promise);
        self.clients[client].met = self.clients[client].met.max(token.met);
        self.carry_out(node)
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
        if self.rng.chance(30) {
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

    fn write(&mut self, client: usize, act: Act) -> Result<(), Alarm> {
        let Some((node, _)) = self.clients[client].place else { return Ok(()) };
        let Some(session) = self.clients[client].session else { return Ok(()) };
        let (mut terms, judged) = self.terms(self.clients[client].judged);
        let count = if act == Act::Batch { self.rng.within(2..=4) } else { 1 };
        let mut keys: Vec<Key> = (0..count).map(|_| self.key()).collect();
        let taken = self.taken(node);
        keys.retain(|key| !taken.contains(key));
        if keys.is_empty() {
            return Ok(());
        }
        let write = self.checker.writes.next();
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
        self.checker.propose(Proposal { client, node, session, judged, parts, checks: found });
        let asked = Asked::Write(write, !terms.sync);
        self.begin_operation(client, Operation::Write { batch, checks }, asked, terms, judged)
    }

    /// The keys that are being written at a node by writes that still wait: two of them accepted in one step could not
    /// be told apart afterwards.
    fn taken(&self, node: usize) -> Vec<Key> {
        let asked = self.nodes[node].waits.values().filter_map(|client| self.clients[*client].pending.as_ref());
        let waits = asked.filter_map(|pending| match pending.asked {
            Asked::Write(write, _) => Some(self.checker.writes.get(write)).filter(|own| own.fate == Fate::Proposed),
            _ => None,
        });
        waits.flat_map(|write| write.parts.keys().cloned()).collect()
    }

    /// Begins an operation; what is answered at once is judged at once.
    pub fn begin_operation(
        &mut self,
        client: usize,
        operation: Operation,
        asked: Asked,
        terms: Terms,
        judged: Guarantees,
    ) -> Result<(), Alarm> {
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
            self.checker.withdraw(write);
        }
    }
}
