//! The sync protocol as request and response, and what is remembered of peers that use it.
//!
//! Invariants:
//!
//! * One message in, one out; a request that changes nothing is answered as well.
//! * A peer that comes both by request and on a link counts as two, but nothing is sent to it twice.
//! * A client shows its pass, and proves its ids, with each request.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Replica;
use super::clients::Client;
use super::links::{Known, Links};
use crate::error::SessionError;
use crate::id::{ReplicaId, SessionId, Space};
use crate::io::LinkId;
use crate::mutant::{Mutant, Trust, off};
use crate::sync::gate::Gate;
use crate::sync::message::{Frame, Message};
use crate::sync::peer::Peer;
use crate::time::Millis;

/// The most peers that are remembered between requests of `exchange`.
const EXCHANGES_MAX: usize = 64;
/// The most of them under one client's session.
const CLIENT_EXCHANGES_MAX: usize = 8;

/// A request; `None` asks for a hello.
pub(super) type Request = Option<Frame>;

/// The receiver and the messages of an answer.
type Said = (Option<ReplicaId>, Vec<Message>);

impl Links {
    /// Takes out what is known of a peer that comes by request; the caller appends it again. The peer that has not come
    /// for longest is forgotten first, which costs one delta when it returns.
    fn recall(&mut self, client: Option<SessionId>, id: ReplicaId, now: Millis) -> Box<Peer> {
        let known = |(owner, known, _): &Known| *known == id && *owner == client;
        if let Some(at) = self.exchanges.iter().position(known) {
            return self.exchanges.remove(at).2;
        }
        // A peer that has only asked for a hello so far has a name now.
        self.exchanges.retain(|(owner, _, peer)| owner.is_none() || *owner != client || peer.remote().is_some());
        // A client gets few places, whatever ids it uses, so that it cannot displace the others.
        let own = |(owner, _, _): &Known| client.is_some() && *owner == client;
        if self.exchanges.iter().filter(|known| own(known)).count() >= CLIENT_EXCHANGES_MAX {
            self.exchanges.iter().position(own).map(|at| self.exchanges.remove(at));
        } else if self.exchanges.len() >= EXCHANGES_MAX {
            self.exchanges.remove(0);
        }
        Box::new(Peer::new(self.timing, now))
    }
}

impl Replica {
    /// The sync protocol as request and response: takes one message (an empty one asks for a hello) and answers with
    /// one, as a single [`crate::io::Effect::Transmit`] on the link number `reply`, which is not otherwise used.
    ///
    /// # Errors
    /// As [`Replica::receive`]; there is then no reply.
    pub fn exchange(&mut self, reply: LinkId, bytes: impl AsRef<[u8]>, now: Millis) -> Result<(), SessionError> {
        self.input(now);
        let frame = self.read_request(bytes.as_ref(), u64::MAX)?;
        // Frees the message's memory for its decoded content and the reply.
        drop(bytes);
        match self.answer_proof(reply, frame)? {
            Some(frame) => self.answer_exchange(reply, frame),
            None => Ok(()),
        }
    }

    /// Answers a request of a trusted peer.
    pub(super) fn answer_exchange(&mut self, reply: LinkId, frame: Request) -> Result<(), SessionError> {
        let (to, messages) = self.answer_request(frame, None, &mut None)?;
        self.transmit(reply, to, messages);
        Ok(())
    }

    /// Answers a request of a client behind its gate.
    pub(super) fn answer_client(
        &mut self,
        reply: LinkId,
        bytes: &[u8],
        client: &Client,
        mut gate: Gate,
    ) -> Result<(), SessionError> {
        self.links.open_account(client, &mut gate, self.now);
        self.links.asking.push((reply, client.session));
        let late = self.links.late.is_full(client.session);
        let admitted = gate.admit_bytes(bytes.len(), late, self.now);
        let most = gate.most_messages();
        let mut gate = Some(gate);
        let frame = admitted.and_then(|()| self.read_request(bytes, most));
        let answered = frame.and_then(|frame| self.answer_request(frame, Some(client.session), &mut gate));
        if let Some(gate) = gate {
            self.links.close_account(client, gate.account(), self.now);
        }
        let (to, messages) = answered?;
        self.transmit(reply, to, messages);
        Ok(())
    }

    /// Decodes a request of at most `most` messages.
    pub(super) fn read_request(&self, bytes: &[u8], most: u64) -> Result<Request, SessionError> {
        let known = self.store.vector(&self.space);
        if bytes.is_empty() {
            Ok(None)
        } else {
            Frame::receive_beside(bytes, most, Some((&self.space, known))).map(Some)
        }
    }

    /// The answer to a request and its receiver. Returns a client's gate in `gate`, with what was spent.
    fn answer_request(
        &mut self,
        frame: Request,
        client: Option<SessionId>,
        gate: &mut Option<Gate>,
    ) -> Result<Said, SessionError> {
        let now = self.now;
        let Some(mut frame) = frame else { return Ok(self.greet_anybody(gate)) };
        if client.is_none() {
            self.look_for_amnesia(&frame.messages);
        }
        if !self.is_for_me(&frame) {
            return Ok(self.greet_anybody(gate));
        }
        let from = frame.from;
        if client.is_none() {
            self.links.hear_of(from, &frame.messages, &self.store);
        }
        // Every answer begins with a hello, so a hello that asks for one needs no second.
        for message in &mut frame.messages {
            if let Message::Hello { answer, .. } = message {
                *answer = false;
            }
        }
        let fetching: Vec<Space> = frame.messages.iter().filter_map(wanted).collect();
        let mut peer = self.links.recall(client, from, now);
        if let Some(gate) = gate.take() {
            // Proofs of ids hold for this request alone: the next may come from a thief who has only the token.
            let gate = if off(Mutant::Trust(Trust::EachRequest)) { gate.bound_as(peer.gate()) } else { gate };
            peer.put_behind(gate);
        }
        let (mut messages, _) = self.act_on(None, client, &mut peer, frame);
        messages.retain(|message| !matches!(message, Message::Hello { .. }));
        let answer = peer.answer(&fetching, &self.store, now);
        if messages.is_empty() {
            messages = answer;
        } else {
            messages.extend(answer);
        }
        if peer.asks() {
            messages.splice(0..0, self.proofs(&messages, true));
        }
        *gate = peer.gate().cloned();
        self.links.exchanges.push((client, from, peer));
        Ok((Some(from), messages))
    }

    /// A hello for an unknown asker, with what may be seen through the gate.
    fn greet_anybody(&self, gate: &mut Option<Gate>) -> Said {
        let peer = Peer::new(self.links.timing, self.now);
        let Some(own) = gate.take() else { return (None, alloc::vec![peer.hello(&self.store, true)]) };
        let peer = peer.behind_gate(own);
        let hello = peer.hello(&self.store, true);
        *gate = peer.gate().cloned();
        (None, alloc::vec![hello])
    }
}

fn wanted(message: &Message) -> Option<Space> {
    if let Message::Want { space, .. } = message { Some(space.clone()) } else { None }
}
