//! Proofs between edges: a replica that joins without a token proves that it holds a key of the cluster, and gets the
//! same proof.
//!
//! Invariants:
//!
//! * Nothing is believed on an unproved link, and nothing is sent on it except nonces and MACs.
//! * A proof covers the ids of prover and verifier, both nonces, and which end has called. So it is valid once, on this
//!   link and for this replica, and never as its own answer. What a replica learns from those that it calls cannot be
//!   passed to those that call it.
//! * If messages are requests, each carries its own proof and is accepted once.

use alloc::vec::Vec;

use litemap::LiteMap;

use super::Replica;
use super::exchange::Request;
use crate::error::{ErrorCode, SessionError};
use crate::id::ReplicaId;
use crate::io::{Effect, Event, LinkId};
use crate::mutant::{Mutant, Trust, off};
use crate::session::seal::Keyring;
use crate::sync::message::{CHALLENGE, Frame, MAC_LEN, Message, NONCE_LEN, Proof};
use crate::sync::peer::{Peer, Timing};
use crate::time::Millis;

/// How long the other end may take to prove itself, in milliseconds.
const PATIENCE: Millis = 10_000;
/// The longest message that is read on an unproved link, in bytes, and the most of them.
const UNPROVED_BYTES: usize = 4096;
const UNPROVED_MESSAGES: u8 = 8;
/// The most unproved links that others have opened; the one that has waited longest is closed first.
const UNPROVED_MAX: usize = 64;
/// The most conversations by request that are remembered. One that was forgotten begins again with the proof.
const CONVERSATIONS_MAX: usize = 64;
/// How often in a row the other end may forget a conversation before the link is given up.
const LAPSES_MAX: u8 = 3;

type Nonce = [u8; NONCE_LEN];

/// Which end of a link this replica is, if the other end must prove itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It has called, over a channel that is one conversation.
    Caller,
    /// It was called.
    Callee,
    /// It calls with each message, which is a request; what arrives are the responses.
    Requester,
}

/// A link whose other end must prove itself.
#[derive(Debug)]
struct Bond {
    end: End,
    timing: Timing,
    /// This end's nonce.
    nonce: Nonce,
    /// The deadline for the proof; `None` once it has arrived.
    until: Option<Millis>,
    heard: u8,
    lapses: u8,
    /// For requests: the other end of the conversation, and its nonce.
    with: Option<(ReplicaId, Nonce)>,
    /// The numbers of the last request and the last response.
    sent: u64,
    answered: u64,
}

/// A conversation by request, as the callee remembers it.
#[derive(Debug)]
struct Conversation {
    with: ReplicaId,
    theirs: Nonce,
    ours: Nonce,
    heard: u64,
}

/// The proofs under way, and the conversations in which each message needs one.
#[derive(Debug, Default)]
pub(super) struct Bonds {
    links: LiteMap<LinkId, Bond>,
    /// The challenge for whoever begins a conversation by request; replaced once it was used.
    nonce: Option<Nonce>,
    conversations: Vec<Conversation>,
    /// The response being made: its link, its receiver and the conversation.
    reply: Option<(LinkId, ReplicaId, Nonce, Nonce, u64)>,
}

impl Bonds {
    /// Whether no link is concerned with proofs.
    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Whether no message needs a proof.
    pub(super) fn is_idle(&self) -> bool {
        self.is_empty() && self.reply.is_none()
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.links.values().filter_map(|bond| bond.until).min()
    }

    /// The clock was set back by `back`.
    pub(super) fn set_back(&mut self, back: Millis) {
        let due = self.links.iter_mut().filter_map(|(_, bond)| bond.until.as_mut());
        due.for_each(|until| *until = until.saturating_sub(back));
    }

    pub(super) fn forget(&mut self, link: LinkId) {
        self.links.remove(&link);
    }
}

/// The proved text, except the frame: which end gives the proof, the prover and the verifier, the nonce of the verifier
/// and that of the prover, and the number of the message.
fn claim(calls: bool, prover: ReplicaId, verifier: ReplicaId, asked: &Nonce, own: &Nonce, count: u64) -> Vec<u8> {
    let (prover, verifier) = (prover.to_bytes(), verifier.to_bytes());
    let mut bytes = alloc::vec![u8::from(calls), prover.len() as u8, verifier.len() as u8];
    for part in [&prover[..], &verifier, asked, own, &count.to_be_bytes()] {
        bytes.extend_from_slice(part);
    }
    bytes
}

/// The result of checking a message on a link.
pub(super) enum Unsealed {
    /// The message itself: the link needs no proof, or is proved already.
    Plain,
    /// The frame that the proved message carries.
    Frame(Vec<u8>),
    /// Nothing to act on: the message was about the proof, or is ignored.
    Spent,
}

/// The refusal of a joiner without token and proof.
fn unproved() -> SessionError {
    SessionError::new(ErrorCode::TokenInvalid, "joining takes a token that the cluster has signed, or one of its keys")
}

impl Replica {
    /// A channel has opened to a replica that has shown no token. If this replica holds a key, the other end must prove
    /// that it holds one of the same cluster. Until then nothing is sent to it except the proof's own messages, and
    /// nothing of it is believed. A late or wrong proof leads to [`Effect::Close`]. Without a key this is
    /// [`Replica::link_up`].
    pub fn link_prove(&mut self, link: LinkId, end: End, heartbeat: Option<Millis>, now: Millis) {
        self.input(now);
        let timing = Timing { heartbeat: heartbeat.unwrap_or(self.links.timing.heartbeat), ..self.links.timing };
        if self.keyring.is_none() {
            self.links.open.insert(link, Peer::new(timing, now));
            return;
        }
        let waiting: Vec<(Option<Millis>, LinkId)> = self
            .links
            .bonds
            .links
            .iter()
            .filter(|(_, bond)| bond.end == End::Callee)
            .map(|(link, bond)| (bond.until, *link))
            .collect();
        if end == End::Callee && waiting.len() >= UNPROVED_MAX {
            waiting.into_iter().min().into_iter().for_each(|(_, link)| self.break_bond(link, unproved()));
        }
        let (nonce, until) = (self.entropy.draw(), Some(now.saturating_add(PATIENCE)));
        let bond = Bond { end, timing, nonce, until, heard: 0, lapses: 0, with: None, sent: 0, answered: 0 };
        self.links.bonds.links.insert(link, bond);
        if end != End::Callee {
            self.transmit(link, None, alloc::vec![Message::Challenge { nonce }]);
        }
    }

    /// Closes the links that should have been proved by now.
    #[inline(never)]
    pub(super) fn dismiss_unproved(&mut self) {
        let now = self.now;
        let late = |(_, bond): &(&LinkId, &Bond)| bond.until.is_some_and(|until| until <= now);
        let late: Vec<(LinkId, End)> =
            self.links.bonds.links.iter().filter(late).map(|(link, bond)| (*link, bond.end)).collect();
        for (link, end) in late {
            let silent = || SessionError::new(ErrorCode::Timeout, "the other end has not proved itself in time");
            self.break_bond(link, if end == End::Callee { unproved() } else { silent() });
        }
    }

    fn break_bond(&mut self, link: LinkId, error: SessionError) {
        self.links.bonds.forget(link);
        if self.links.open.remove(&link) {
            self.fresh.push(Effect::Event(Event::Peers(self.links.known())));
        }
        self.fresh.push(Effect::Close { link, error });
    }

    /// Checks a message on a link for its proof.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`, `PROTOCOL_MISMATCH`.
    #[inline(never)]
    pub(super) fn unseal(&mut self, link: LinkId, bytes: &[u8]) -> Result<Unsealed, SessionError> {
        let (own, keyring) = (self.id, self.keyring.as_ref());
        let bonds = &mut self.links.bonds.links;
        let Some((keyring, bond)) = keyring.zip(bonds.get_mut(&link)) else { return Ok(Unsealed::Plain) };
        if bond.until.is_some() {
            bond.heard = bond.heard.saturating_add(1);
            if bytes.len() > UNPROVED_BYTES || bond.heard > UNPROVED_MESSAGES {
                self.break_bond(link, unproved());
                return Ok(Unsealed::Spent);
            }
        }
        if off(Mutant::Trust(Trust::Unproved)) {
            self.trust(link);
            return Ok(Unsealed::Plain);
        }
        let frame = match Frame::receive(bytes) {
            Err(_) if bond.end == End::Callee => {
                self.break_bond(link, unproved());
                return Ok(Unsealed::Spent);
            }
            frame => frame?,
        };
        let Frame { from, to, messages } = frame;
        if from == own || to.is_some_and(|to| to != own) {
            return Ok(Unsealed::Spent);
        }
        let (mut asked, mut proof, mut keyless) = (None, None, false);
        for message in messages {
            if let Message::Challenge { nonce } = message {
                asked = Some(nonce);
            } else if let Message::Proof(given) = message {
                proof = Some(given);
            } else if let Message::Unknown { kind } = message {
                keyless |= kind == CHALLENGE;
            }
        }
        let (calls, ours) = (bond.end != End::Callee, bond.nonce);
        let genuine = proof.as_ref().is_some_and(|proof| proves(keyring, !calls, from, own, &ours, proof));
        // Whether this proves that the other end holds a key, and nothing else.
        let alone =
            genuine && proof.as_ref().is_some_and(|p| p.count == 0 && (!calls || asked.is_none_or(|n| n == p.nonce)));
        match (bond.end, asked, proof) {
            (End::Callee, _, Some(_)) if alone => self.trust(link),
            // The called end answers at once and asks in return.
            (End::Callee, Some(asked), None) => {
                self.answer_challenge(link, from, &asked, ours);
            }
            (End::Caller, asked, Some(_)) if alone => {
                if let Some(asked) = asked {
                    let proof = self.prove(true, from, &asked, ours, 0, Vec::new());
                    self.transmit(link, Some(from), proof.into_iter().collect());
                }
                self.trust(link);
            }
            // Either the conversation begins, or the callee has forgotten it.
            (End::Requester, Some(theirs), Some(_)) if alone => {
                (bond.with, bond.sent, bond.answered) = (Some((from, theirs)), 0, 0);
                let (timing, begins) = (bond.timing, bond.until.take().is_some());
                match self.links.open.get_mut(&link) {
                    Some(peer) if !begins => {
                        peer.resend();
                        peer.greet();
                        self.lapse(link);
                    }
                    _ => self.links.open.insert(link, Peer::new(timing, self.now)),
                }
            }
            (End::Requester, _, Some(proof)) if bond.with == Some((from, proof.nonce)) => {
                let expected = proof.count > bond.answered && proof.count <= bond.sent;
                if (expected || off(Mutant::Trust(Trust::Once))) && genuine {
                    (bond.answered, bond.lapses) = (proof.count, 0);
                    return Ok(Unsealed::Frame(proof.frame));
                }
                self.lapse(link);
            }
            // A replica with a key begins with nothing else, and one that does not know challenges has no key.
            (end, _, proof) if end == End::Callee || (bond.until.is_some() && (keyless || proof.is_some())) => {
                self.break_bond(link, unproved());
            }
            (End::Requester, ..) => self.lapse(link),
            // The other end needs no proof from this one and speaks early.
            _ => {}
        }
        Ok(Unsealed::Spent)
    }

    /// Counts that the other end has forgotten the conversation or does not keep to it.
    fn lapse(&mut self, link: LinkId) {
        let Some(bond) = self.links.bonds.links.get_mut(&link) else { return };
        bond.lapses += 1;
        if bond.lapses > LAPSES_MAX {
            let cause = "the other end does not keep to the conversation";
            self.break_bond(link, SessionError::new(ErrorCode::Timeout, cause));
        }
    }

    /// The other end has proved itself; from now on the channel is trusted.
    fn trust(&mut self, link: LinkId) {
        if let Some(bond) = self.links.bonds.links.remove(&link) {
            self.links.open.insert(link, Peer::new(bond.timing, self.now));
        }
    }

    /// Adds the proof to a frame, if the link's conversation by request needs one for each message.
    #[inline(never)]
    pub(super) fn sealed(&mut self, link: LinkId, frame: Vec<u8>) -> Vec<u8> {
        let (own, bonds) = (self.id, &mut self.links.bonds);
        let (calls, (to, theirs, ours, count)) = match (&bonds.reply, bonds.links.get_mut(&link)) {
            (Some((reply, to, theirs, ours, count)), _) if *reply == link => (false, (*to, *theirs, *ours, *count)),
            (_, Some(Bond { with: Some((to, theirs)), nonce, sent, .. })) => {
                *sent += 1;
                (true, (*to, *theirs, *nonce, *sent))
            }
            _ => return frame,
        };
        let proof = self.prove(calls, to, &theirs, ours, count, frame);
        Frame { from: own, to: Some(to), messages: proof.into_iter().collect() }.encode()
    }

    /// Proves to `to` that this replica holds a key; `None` without one.
    fn prove(
        &self,
        calls: bool,
        to: ReplicaId,
        asked: &Nonce,
        own: Nonce,
        count: u64,
        frame: Vec<u8>,
    ) -> Option<Message> {
        let claim = claim(calls, self.id, to, asked, &own, count);
        let (kid, mac): (_, [u8; MAC_LEN]) = self.keyring.as_ref()?.vouch(&claim, &frame);
        Some(Message::Proof(Proof { kid, nonce: own, count, mac, frame }))
    }

    /// Proves itself to a caller and asks for the same.
    fn answer_challenge(&mut self, link: LinkId, to: ReplicaId, asked: &Nonce, nonce: Nonce) {
        let mut said = alloc::vec![Message::Challenge { nonce }];
        said.extend(self.prove(false, to, asked, nonce, 0, Vec::new()));
        self.transmit(link, Some(to), said);
    }

    /// As [`Replica::exchange`], with a peer that has shown no token. If this replica holds a key, it accepts a message
    /// only if that proves to come from a replica with a key and was not accepted before. A request for a proof of this
    /// replica is answered. Without a key this is `exchange`.
    ///
    /// # Errors
    /// `TOKEN_INVALID` if the request neither proves anything nor asks for a proof; otherwise as [`Replica::exchange`].
    pub fn exchange_proved(&mut self, reply: LinkId, bytes: &[u8], now: Millis) -> Result<(), SessionError> {
        self.input(now);
        let most = if self.keyring.is_some() { UNPROVED_MESSAGES.into() } else { u64::MAX };
        let frame = self.read_request(bytes, most)?;
        match self.answer_proof(reply, frame)? {
            None => Ok(()),
            Some(frame) if self.keyring.is_none() => self.answer_exchange(reply, frame),
            Some(_) => Err(unproved()),
        }
    }

    /// Answers a request that contains a proof or asks for one; returns any other.
    pub(super) fn answer_proof(&mut self, reply: LinkId, request: Request) -> Result<Option<Request>, SessionError> {
        let Some((keyring, frame)) = self.keyring.as_ref().zip(request.as_ref()) else { return Ok(Some(request)) };
        let (own, from) = (self.id, frame.from);
        let asked = frame.messages.iter().find_map(|message| {
            if let Message::Challenge { nonce } = message {
                return Some(Err(*nonce));
            }
            if let Message::Proof(proof) = message { Some(Ok(proof)) } else { None }
        });
        let Some(asked) = asked.filter(|_| from != own) else { return Ok(Some(request)) };
        let bonds = &mut self.links.bonds;
        let asked = match asked {
            Err(nonce) => nonce,
            Ok(proof) => {
                let known = bonds.conversations.iter().find(|known| known.with == from && known.theirs == proof.nonce);
                let again = |known: &&Conversation| proof.count <= known.heard && !off(Mutant::Trust(Trust::Once));
                let proves = |ours: &Nonce| proof.count > 0 && proves(keyring, true, from, own, ours, proof);
                let known = known.filter(|known| !again(known)).map(|known| known.ours).filter(proves);
                if let Some(ours) = known.or(bonds.nonce.filter(proves)) {
                    if known.is_none() {
                        // The challenge was used: repeating the first message begins no conversation.
                        bonds.nonce = None;
                    }
                    bonds.conversations.retain(|known| known.with != from);
                    if bonds.conversations.len() >= CONVERSATIONS_MAX {
                        bonds.conversations.remove(0);
                    }
                    let (theirs, heard) = (proof.nonce, proof.count);
                    bonds.conversations.push(Conversation { with: from, theirs, ours, heard });
                    bonds.reply = Some((reply, from, theirs, ours, heard));
                    let inner = self.read_request(&proof.frame, u64::MAX);
                    let answered = inner.and_then(|frame| self.answer_exchange(reply, frame));
                    self.links.bonds.reply = None;
                    return answered.map(|()| None);
                }
                proof.nonce
            }
        };
        let nonce = *bonds.nonce.get_or_insert_with(|| self.entropy.draw());
        self.answer_challenge(reply, from, &asked, nonce);
        Ok(None)
    }

    /// The answer to a challenge from a peer on a link that the host trusts without proof.
    #[inline(never)]
    pub(super) fn prove_unasked(&mut self, to: ReplicaId, messages: &[Message]) -> Option<Message> {
        let asked =
            messages.iter().find_map(|m| if let Message::Challenge { nonce } = m { Some(nonce) } else { None })?;
        let own = if self.keyring.is_some() { self.entropy.draw() } else { Nonce::default() };
        self.prove(false, to, asked, own, 0, Vec::new()).or(Some(Message::Unknown { kind: CHALLENGE }))
    }
}

/// Whether `proof` was made by `from`.
fn proves(keyring: &Keyring, calls: bool, from: ReplicaId, own: ReplicaId, asked: &Nonce, proof: &Proof) -> bool {
    let claim = claim(calls, from, own, asked, &proof.nonce, proof.count);
    off(Mutant::Trust(Trust::Proof)) || keyring.vouches(&proof.kid, &claim, &proof.frame, &proof.mac)
}
