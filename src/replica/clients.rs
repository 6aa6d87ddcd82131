//! Clients: replicas that belong to somebody else, and join with a session's token.
//!
//! Invariants: what a client may see and do is decided by the token alone, which a key of this replica has signed, and
//! by what the host adds to it; its link ends with its token or its session, and is told why. Nothing that a client says
//! makes this replica doubt its own past, fold onto a dot, or name the client to others. What a client may bring is
//! judged in [`crate::sync::admit`]; what it may see, in [`crate::sync::gate`].

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

/// A question that cannot be answered here is passed on to other tabs no more often.
const PASS_ON: Millis = 500;

fn keyless() -> SessionError {
    let cause =
        "a replica without a secret can neither tell who comes nor show who it is; give it the cluster's secret";
    SessionError::new(ErrorCode::ArgumentInvalid, cause)
}

/// By what a client joins.
#[derive(Clone, Debug, Default)]
pub struct Pass {
    /// The token, or a listing of tokens; see [`crate::session::listing`].
    pub token: String,
    /// What the session may do beside its own space, which it may write. Names that begin with `$` are never given.
    pub spaces: Vec<(Space, Right)>,
}

/// Who is at the other end of a link.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) session: SessionId,
    pub(super) user: Option<String>,
    /// What the token and the host would have it do; the user's role may allow less.
    pub(super) spaces: Vec<(Space, Right)>,
    /// What of the fleet's records it has seen: before that is here nobody knows what it may do.
    pub(super) seen: VersionVector,
    /// When the session was used, by its tokens.
    pub(super) used: Millis,
    /// When its token ends, leeway included.
    pub(super) until: Millis,
}

impl Replica {
    /// A channel to a client has opened, which shows `pass`. It gets the spaces that its session may read, and what it
    /// sends is judged; see [`crate::sync::admit`]. When the token or the session ends, [`Effect::Close`] tells why.
    ///
    /// # Errors
    /// `TOKEN_INVALID`, `TOKEN_EXPIRED`, `TOKEN_TOO_LARGE`, and `RATE_LIMITED` where its session has enough of them: the
    /// channel is not open.
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

    /// As [`Replica::link_resume`], for a channel to a client: the pass is looked at again.
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
    /// As [`Replica::link_admit`] and [`Replica::exchange`]; `RATE_LIMITED`. Then there is no reply.
    pub fn exchange_as(&mut self, reply: LinkId, pass: &Pass, bytes: &[u8], now: Millis) -> Result<(), SessionError> {
        self.input(now);
        let (client, gate) = self.examine(pass, now)?;
        self.service.manager.learn(&client.session, client.used.min(now));
        self.answer_client(reply, bytes, &client, gate)
    }

    /// Whether who comes with this token, or listing of tokens, may join; `None` where this replica holds no key, and cannot
    /// tell. Nothing is begun by asking.
    #[must_use]
    pub fn admits(&self, tokens: &str, now: Millis) -> Option<bool> {
        self.keyring.as_ref()?;
        Some(self.examine(&Pass { token: tokens.into(), spaces: Vec::new() }, now).is_ok())
    }

    /// The session has ended, or may no longer do what it could: its clients' links close, and are told `reason`.
    pub fn end_links(&mut self, session: SessionId, reason: &SessionError, now: Millis) {
        self.input(now);
        self.close_clients(|client| (client.session == session).then(|| reason.clone()));
    }

    /// Closes the links of clients whose time is over.
    #[inline(never)]
    pub(super) fn dismiss_clients(&mut self) {
        let (now, clients) = (self.now, &self.links.clients);
        let over = |link: &&LinkId| clients.get(link).is_some_and(|client| client.until <= now);
        // A link is looked at when its client's time is over.
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

    /// Who comes with a pass, and what they may do.
    fn examine(&self, pass: &Pass, now: Millis) -> Result<(Client, Gate), SessionError> {
        if self.keyring.is_none() {
            return Err(keyless());
        }
        let token = self.open_token(&pass.token, now)?;
        let unsigned =
            || SessionError::new(ErrorCode::TokenInvalid, "joining takes a token that the cluster has signed");
        let claims = token.identity().ok_or_else(unsigned)?;
        // Whoever was killed, logged out, or idle for too long does not join either.
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

    /// The spaces that a client gets: those that it asks for, as far as its user's role allows now. `None` while this
    /// replica lacks records that its token has seen.
    fn allowed(&self, client: &Client) -> Option<Vec<(Space, Right)>> {
        if !self.store.vector(&self.service.system).dominates(&client.seen) {
            return None;
        }
        let least = |(space, right): &(Space, Right)| {
            Some((space.clone(), self.allowance(client.user.as_deref(), space)?.min(*right)))
        };
        Some(client.spaces.iter().filter_map(least).collect())
    }

    /// Looks up anew what the clients on links may do.
    #[inline(never)]
    pub(super) fn judge_clients(&mut self) {
        let allowed: Vec<_> = self.links.clients.iter().map(|(link, client)| (*link, self.allowed(client))).collect();
        for (link, spaces) in allowed {
            let Some(peer) = self.links.open.get_mut(&link) else { continue };
            if peer.gate_mut().is_some_and(|gate| gate.allow(spaces)) {
                // It hears at once what is here; what it has said in vain it says again.
                peer.greet();
            }
        }
    }

    /// Takes what a peer says of ids: a client proves them to an edge, and an edge asks a client for them. What is to be
    /// answered at once.
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

    /// The proofs that go along with a message to an edge that asks for them anyway: of the present id with each greeting, for
    /// a new id must not cost a refusal; and `by_request`, where a proof holds for the request alone, of the ids whose writes
    /// it brings.
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

    /// Tabs that share a link answer for each other: the question for an id goes on to the others, now and then.
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

    /// The question for ids that a client has not proved to be its own.
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
