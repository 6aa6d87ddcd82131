//! Sessions on their way: clients leave with a token, arrive with it elsewhere, copy and join tokens, change the space.

use edge_session::io::SessionHandle;
use edge_session::replica::SessionInit;

use crate::checker::alarm::{Alarm, Kind};
use crate::checker::bearer::{Bearer, Promise};
use crate::checker::laws;
use crate::client::{May, Token};
use crate::mutant::Mutant;
use crate::world::World;

impl World {
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
        let space = self.rng.index(self.checkers.len());
        let text = older.filter(|older| Some(older.session) == token.as_ref().map(|t| t.session)).or(token.as_ref());
        let init = SessionInit {
            token: text.map(|token| token.text.clone()),
            guarantees: token.is_none().then_some(judged),
            space: Some(self.checkers[space].space.clone()),
            // Where there are accounts these clients are God: what others may is not their story.
            user: Some(if self.fleet.is_some() { "root" } else { "user" }.into()),
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
        for (number, checker) in self.checkers.iter_mut().enumerate() {
            let promise = token.as_ref().map_or_else(Promise::default, |token| token.promises[number].clone());
            checker.bearers[client] = Bearer::resumed(view.id, &promise);
        }
        let own = &mut self.clients[client];
        own.space = space;
        own.judged = token.as_ref().map_or(judged, |token| token.judged);
        own.met = token.as_ref().map_or(0, |token| token.met);
        own.session = Some(view.id);
        own.place = Some((node, handle));
        let judged = own.judged;
        if let Some(recorder) = &mut self.recorder {
            recorder.open(client, token.as_ref().map(|token| token.name.clone()), judged);
        }
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
        laws::exact(&text, &opened, &self.keyring)?;
        let asks = opened.dependencies();
        let others = self.clients.iter().flat_map(|client| &client.tokens).flatten().map(|token| &token.asks);
        let others: Vec<_> = others.take(4).collect();
        others.windows(2).try_for_each(|pair| laws::semilattice(asks, pair[0], pair[1]))?;
        let mut promises = Vec::new();
        for checker in &self.checkers {
            let asks = asks.get(&checker.space).cloned().unwrap_or_default();
            promises.push(checker.token(client, node, &asks, sealed)?);
        }
        let name = self.record_token(client, &promises);
        let own = &mut self.clients[client];
        let Some(session) = own.session else { return Ok(()) };
        own.met = own.met.max(now);
        let asks = opened.dependencies().clone();
        own.keep(Token { text, name, asks, session, promises, judged: own.judged, met: own.met });
        Ok(())
    }

    /// A client goes on with a copy of another's token.
    pub fn fork(&mut self, client: usize) -> Result<(), Alarm> {
        let other = self.rng.index(self.clients.len());
        let Some(token) = self.clients[other].tokens[0].clone() else { return Ok(()) };
        self.leave(client, true)?;
        self.tell(|| format!("   c{client} goes on with the token of c{other}"));
        self.clients[client].tokens = [Some(token), None];
        Ok(())
    }

    /// A client joins what another's token depends on.
    pub fn join_tokens(&mut self, client: usize, node: usize, handle: SessionHandle) -> Result<(), Alarm> {
        let other = self.rng.index(self.clients.len());
        let Some(token) = self.clients[other].tokens[0].clone() else { return Ok(()) };
        self.tell(|| format!("   c{client}@n{node} joins the token of c{other}"));
        if self.mutant == Some(Mutant::LossyMerge) {
            let before: Vec<Bearer> = self.checkers.iter().map(|checker| checker.bearers[client].clone()).collect();
            let judged = self.clients[client].judged;
            let everything = before.iter().map(|bearer| Promise {
                reads: bearer.reads.clone(),
                writes: bearer.writes.clone(),
                ..Promise::default()
            });
            let name = self.record_token(client, &everything.collect::<Vec<_>>());
            self.leave(client, true)?;
            self.clients[client].tokens = [Some(token), None];
            self.arrive_at(client, node)?;
            if let Some(recorder) = &mut self.recorder {
                recorder.merge(client, name);
            }
            self.clients[client].judged = judged;
            for (checker, before) in self.checkers.iter_mut().zip(&before) {
                checker.bearers[client].reads.join(&before.reads);
                checker.bearers[client].writes.join(&before.writes);
            }
            return Ok(());
        }
        if let Some(Err(error)) = self.call(node, |replica, now| replica.merge(handle, &token.text, now))? {
            return Alarm::raise(Kind::Contract, format!("n{node} does not join a token: {error}"));
        }
        for (checker, promise) in self.checkers.iter_mut().zip(&token.promises) {
            checker.bearers[client].merge(promise);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.merge(client, token.name.clone());
        }
        // What its host may do in front of the replica, it was allowed before it knew these.
        self.clients[client].may = May::default();
        self.clients[client].met = self.clients[client].met.max(token.met);
        self.carry_out(node)
    }
}
