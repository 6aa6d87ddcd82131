//! Clients: replicas that belong to somebody else and join with a session's token.
//!
//! Invariants:
//!
//! * What a client may see and do is decided by the token, which a key of this replica has signed, and by what the host
//!   adds. Its link ends with its token or session, with the reason.
//! * Nothing that a client says makes this replica doubt its own past, fold onto a dot, or name the client to others.
//!
//! What a client may send is judged in [`crate::sync::admit`]; what it may see, in [`crate::sync::gate`].

use alloc::string::String;
use alloc::vec::Vec;

use super::Replica;
use crate::error::{Details, ErrorCode, SessionError};
use crate::id::{ReplicaId, SessionId, Space};
use crate::identity::Secret;
use crate::io::{Effect, Event, LinkId};
use crate::mutant::{Mutant, Trust, off};
use crate::session::claims::Claims;
use crate::session::vector::Dependencies;
use crate::sync::gate::{Gate, Right};
use crate::sync::message::{Frame, Message, NAMED_MAX};
use crate::sync::peer::Peer;
use crate::time::Millis;
use crate::vector::VersionVector;

/// The least pause between forwarding requests for unknown ids to other tabs, in milliseconds.
const PASS_ON: Millis = 500;

fn keyless() -> SessionError {
    let cause =
        "a replica without a secret can neither tell who comes nor show who it is; give it the cluster's secret";
    SessionError::new(ErrorCode::ArgumentInvalid, cause)
}

/// What a client shows in order to join.
#[derive(Clone, Debug, Default)]
pub struct Pass {
    /// The token, or a listing of tokens; see [`crate::session::listing`].
    pub token: String,
    /// Rights beside those for its own space, which the session may write. Spaces whose names begin with `$` are never
    /// granted.
    pub spaces: Vec<(Space, Right)>,
}

/// The client at the other end of a link.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) session: SessionId,
    pub(super) user: Option<String>,
    /// The rights according to the token and the host; the user's role may allow less.
    pub(super) spaces: Vec<(Space, Right)>,
    /// The fleet's records that the token has seen. Until they are here, the client's rights are unknown.
    pub(super) seen: VersionVector,
    /// When its session was last used, according to its tokens.
    pub(super) used: Millis,
    /// When its token ends, including the leeway.
    pub(super) until: Millis,
}

impl Replica {
    /// A channel to a client has opened, which shows `pass`. The client gets the spaces that its session may read, and
    /// what it sends is judged; see [`crate::sync::admit`]. When the token or the session ends, [`Effect::Close`] gives
    /// the reason.
    ///
    /// # Errors
    /// `TOKEN_INVALID`, `TOKEN_EXPIRED`, `TOKEN_TOO_LARGE`, and `RATE_LIMITED` if its session has too many links. The
    /// channel is then not open.
    pub fn link_admit(&mut self, link: LinkId, pass: &Pass, now: Millis) -> Result<(), SessionError> {
        self.input(now);
        let (client, gate) = self.examine(pass, now)?;
        let own = self.links.clients.iter().filter(|(other, known)| **other != link && known.session == client.session);
        let most = self.client_limits.links;
        if own.count() >= most && !off(Mutant::Trust(Trust::Links)) {
            let cause = "the session has as many links here as it may; close some, or come again later";
            let details = Details::Limit { limit: "clientLinks", allowed: most as u64 };
            return Err(SessionError::new(ErrorCode::RateLimited, cause).with(details));
        }
        self.links.open.insert(link, Peer::new(self.links.timing, now).behind_gate(gate));
        self.take_client(link, client);
        Ok(())
    }

    /// As [`Replica::link_resume`], for a channel to a client: the pass is checked again.
    ///
    /// # Errors
    /// As [`Replica::link_admit`] and [`Replica::link_resume`].
    pub fn link_resume_as(&mut self, link: LinkId, pass: &Pass, note: &[u8], now: Millis) -> Result<(), SessionError> {
        self.input(now);
        let (client, mut gate) = self.examine(pass, now)?;
        let frame = Frame::decode(note)?;
        let mut holds = Vec::new();
        for message in frame.messages {
            if let Message::Hello { vectors, .. } = message {
                holds = vectors;
            } else if let Message::Ask { ids, .. } = message {
                ids.into_iter().for_each(|id| gate.bind(id, now));
            }
        }
        let peer = Peer::resumed(self.links.timing, frame.from, holds, now).behind_gate(gate);
        self.links.open.insert(link, peer);
        self.take_client(link, client);
        self.fresh.push(Effect::Event(Event::Peers(self.links.known())));
        Ok(())
    }

    fn take_client(&mut self, link: LinkId, client: Client) {
        self.service.manager.learn(&client.session, client.used.min(self.now));
        self.links.clients.insert(link, client);
    }

    /// [`Replica::exchange`] with a client, which shows `pass` with each request.
    ///
    /// # Errors
    /// As [`Replica::link_admit`] and [`Replica::exchange`]; `RATE_LIMITED`. There is then no reply.
    pub fn exchange_as(&mut self, reply: LinkId, pass: &Pass, bytes: &[u8], now: Millis) -> Result<(), SessionError> {
        self.input(now);
        let (client, gate) = self.examine(pass, now)?;
        self.service.manager.learn(&client.session, client.used.min(now));
        self.answer_client(reply, bytes, &client, gate)
    }

    /// Whether a client with this token, or listing of tokens, may join; `None` if this replica holds no key and cannot
    /// tell. Changes nothing.
    #[must_use]
    pub fn admits(&self, tokens: &str, now: Millis) -> Option<bool> {
        self.keyring.as_ref()?;
        Some(self.examine(&Pass { token: tokens.into(), spaces: Vec::new() }, now).is_ok())
    }

    /// The session has ended, or has lost rights: closes its clients' links, with `reason`.
    pub fn end_links(&mut self, session: SessionId, reason: &SessionError, now: Millis) {
        self.input(now);
        self.close_clients(|client| (client.session == session).then(|| reason.clone()));
    }

    /// Closes the links of clients whose time is over.
    #[inline(never)]
    pub(super) fn dismiss_clients(&mut self) {
        let (now, clients) = (self.now, &self.links.clients);
        let over = |link: &&LinkId| clients.get(link).is_some_and(|client| client.until <= now);
        // `wake` marks links whose client's time is over.
        self.links.open.wake(now);
        let over: Vec<LinkId> = self.links.open.stirred().iter().filter(over).copied().collect();
        for link in over {
            let cause = "the token has expired; come again with a later one";
            self.close_client(link, SessionError::new(ErrorCode::TokenExpired, cause));
        }
    }

    pub(super) fn close_clients(&mut self, over: impl Fn(&Client) -> Option<SessionError>) {
        let ended = self.links.clients.iter().filter_map(|(link, client)| Some((*link, over(client)?)));
        for (link, error) in ended.collect::<Vec<_>>() {
            self.close_client(link, error);
        }
    }

    #[cold]
    #[inline(never)]
    fn close_client(&mut self, link: LinkId, error: SessionError) {
        self.links.clients.remove(&link);
        self.links.open.remove(&link);
        self.fresh.push(Effect::Event(Event::Peers(self.links.known())));
        self.fresh.push(Effect::Close { link, error });
    }

    /// Checks a pass: who the client is, and its gate.
    fn examine(&self, pass: &Pass, now: Millis) -> Result<(Client, Gate), SessionError> {
        if self.keyring.is_none() {
            return Err(keyless());
        }
        let token = self.open_token(&pass.token, now)?;
        let unsigned =
            || SessionError::new(ErrorCode::TokenInvalid, "joining takes a token that the cluster has signed");
        let claims = token.identity().ok_or_else(unsigned)?;
        // Sessions that were killed, logged out or idle for too long may not join either.
        self.judge(&claims.session, claims.subject.as_deref())?;
        self.check_idle(&token, now)?;
        let seen = token.signed().get(&self.service.system).map(Dependencies::replicas).unwrap_or_default();
        Ok(self.client(claims, token.used_at(), pass, seen, now))
    }

    fn client(&self, claims: &Claims, used: Millis, pass: &Pass, seen: VersionVector, now: Millis) -> (Client, Gate) {
        let given = pass.spaces.iter().filter(|(space, _)| *space != claims.space).cloned();
        let mut spaces: Vec<(Space, Right)> = given.collect();
        spaces.push((claims.space.clone(), Right::Write));
        spaces.retain(|(space, _)| !space.name().starts_with('$'));
        let until = claims.expires_at.saturating_add(self.leeway);
        let session = claims.session;
        let user = claims.subject.as_deref().map(Into::into);
        let client = Client { session, user, spaces, seen, used, until };
        let gate = Gate::new(self.allowed(&client), self.client_limits, now);
        (client, gate)
    }

    /// The rights of a client: those that it asks for, limited by its user's current role. `None` while this replica
    /// lacks records that the token has seen.
    fn allowed(&self, client: &Client) -> Option<Vec<(Space, Right)>> {
        if !self.store.vector(&self.service.system).dominates(&client.seen) {
            return None;
        }
        let least = |(space, right): &(Space, Right)| {
            Some((space.clone(), self.allowance(client.user.as_deref(), space)?.min(*right)))
        };
        Some(client.spaces.iter().filter_map(least).collect())
    }

    /// Determines the rights of all clients on links again.
    #[inline(never)]
    pub(super) fn judge_clients(&mut self) {
        let allowed: Vec<_> = self.links.clients.iter().map(|(link, client)| (*link, self.allowed(client))).collect();
        for (link, spaces) in allowed {
            let Some(peer) = self.links.open.get_mut(&link) else { continue };
            if peer.gate_mut().is_some_and(|gate| gate.allow(spaces)) {
                // It gets what is here at once, and repeats what was dropped before.
                peer.greet();
            }
        }
    }

    /// Handles messages about ids: a client proves its ids to an edge, and an edge asks a client for proofs. Returns
    /// the immediate replies.
    #[inline(never)]
    pub(super) fn hear_of_ids(
        &mut self,
        link: Option<LinkId>,
        gate: Option<&mut Gate>,
        messages: &[Message],
    ) -> Vec<Message> {
        let mut replies = Vec::new();
        match gate {
            Some(gate) => {
                let bound =
                    messages.iter().filter_map(|m| if let Message::Bind { ids } = m { Some(ids) } else { None });
                let now = self.now;
                bound.flatten().filter(|(id, secret)| secret.proves(*id)).for_each(|(id, _)| gate.bind(*id, now));
            }
            None if self.keyring.is_none() => {
                for message in messages {
                    if let Message::Ask { now, ids } = message {
                        self.skew = now.cast_signed().saturating_sub(self.now.cast_signed());
                        let secret = |id| self.identities.secret(id).or_else(|| self.siblings.secret(id));
                        let known = |id: &ReplicaId| Some((*id, secret(*id)?.clone()));
                        let known: Vec<(ReplicaId, Secret)> = ids.iter().filter_map(known).collect();
                        self.pass_on(link, *now, &self.siblings.unknown(&self.identities.unknown(ids)));
                        if !known.is_empty() {
                            replies.push(Message::Bind { ids: known });
                        }
                    } else if let Message::Bind { ids } = message {
                        ids.iter().for_each(|(id, secret)| self.siblings.keep(*id, secret.clone()));
                    }
                }
            }
            None => {}
        }
        replies
    }

    /// The proofs that go along with a message to an edge that asks for them: of the current id with each hello, so
    /// that a new id does not cost a refusal; and `by_request`, where a proof holds for one request only, of the ids
    /// whose writes it brings.
    #[inline(never)]
    pub(super) fn proofs(&self, messages: &[Message], by_request: bool) -> Option<Message> {
        let greets = messages.iter().any(|message| matches!(message, Message::Hello { .. }));
        let mut ids: Vec<ReplicaId> = greets.then_some(self.id).into_iter().collect();
        let deltas = messages.iter().filter(|_| by_request).filter_map(|message| {
            if let Message::Delta(delta) | Message::TopUp { delta, .. } = message { Some(delta) } else { None }
        });
        for (id, _) in deltas.flat_map(|delta| delta.to.iter().filter(|(id, last)| *last > delta.from.get(*id))) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let secret = |id| self.identities.secret(id).or_else(|| self.siblings.secret(id)).cloned();
        let ids: Vec<_> = ids.into_iter().filter_map(|id| Some((id, secret(id)?))).take(NAMED_MAX).collect();
        (!ids.is_empty()).then_some(Message::Bind { ids })
    }

    /// Tabs that share a link answer for each other: forwards a request for ids to the others, at a limited rate.
    fn pass_on(&mut self, from: Option<LinkId>, now: Millis, ids: &[ReplicaId]) {
        if ids.is_empty() || self.now < self.passed_on.saturating_add(PASS_ON) {
            return;
        }
        self.passed_on = self.now;
        let others: Vec<LinkId> = self.links.open.keys().copied().filter(|link| Some(*link) != from).collect();
        for link in others {
            self.transmit(link, None, alloc::vec![Message::Ask { now, ids: ids.to_vec() }]);
        }
    }

    /// The request for ids that a client has not proved.
    #[inline(never)]
    pub(super) fn ask(
        &self,
        gate: &Gate,
        from: ReplicaId,
        greets: bool,
        mut unbound: Vec<ReplicaId>,
    ) -> Option<Message> {
        if greets {
            unbound.push(from);
        }
        unbound.retain(|id| *id != self.id && !gate.bound().contains(id));
        unbound.truncate(NAMED_MAX);
        (!unbound.is_empty() && gate.has_room(self.now)).then_some(Message::Ask { now: self.now, ids: unbound })
    }
}
