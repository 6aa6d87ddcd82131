//! The replica's channels: frames in, frames out, and the detection of its own id in what others say (amnesia).
//!
//! Invariants: a damaged frame, or one for another replica, changes nothing. A message waits in the outbox for the
//! record of the state that it reveals.

use alloc::boxed::Box;
use alloc::vec::Vec;

use litemap::LiteMap;

use super::Replica;
use super::accounts::Accounts;
use super::bonds::{Bonds, Unsealed};
use super::clients::Client;
use super::late::Late;
use super::open::Open;
use crate::codec::Desk;
use crate::error::SessionError;
use crate::id::{Dot, ReplicaId, SessionId, Space};
use crate::io::{Effect, Event, LinkId};
use crate::mutant::{Mutant, Trust, off};
use crate::store::SessionConsistentStore;
use crate::sync::account::Account;
use crate::sync::gate::{ClientLimits, Gate};
use crate::sync::message::{Frame, Message};
use crate::sync::peer::{Peer, Timing};
use crate::sync::step::Step;
use crate::time::Millis;
use crate::vector::VersionVector;

/// A peer that comes by request: the session of a client, the id, and what is known of it.
pub(super) type Known = (Option<SessionId>, ReplicaId, Box<Peer>);

/// The peers: those on a link, and those that come by request and response.
#[derive(Debug)]
pub(super) struct Links {
    pub(super) timing: Timing,
    pub(super) open: Open,
    /// The store's count of changes up to which all peers were visited.
    told: u64,
    /// Replies for links, which go together with whatever else is sent.
    replies: LiteMap<LinkId, Vec<Message>>,
    /// The clients at the other ends of links.
    pub(super) clients: LiteMap<LinkId, Client>,
    /// Proofs under way, and conversations in which each message needs one.
    pub(super) bonds: Bonds,
    /// The peer heard last comes last. A client is identified by its session as well, since it may use any id.
    pub(super) exchanges: Vec<Known>,
    /// What the sessions of clients have spent.
    accounts: Accounts,
    /// Answers that wait for storage.
    pub(super) late: Late,
    /// The sessions whose requests are being answered on these links, until the answers are in the outbox.
    pub(super) asking: Vec<(LinkId, SessionId)>,
    /// The buffers for encoding messages.
    desk: Desk,
}

impl Links {
    pub(super) fn new(timing: Timing, limits: ClientLimits) -> Self {
        let (open, clients) = (Open::default(), LiteMap::new());
        let (replies, bonds, exchanges) = (LiteMap::new(), Bonds::default(), Vec::new());
        let (accounts, late, asking, desk) = (Accounts::new(limits), Late::default(), Vec::new(), Desk::default());
        Self { timing, open, told: 0, replies, clients, bonds, exchanges, accounts, late, asking, desk }
    }

    /// Gives a client's account to its gate.
    pub(super) fn open_account(&self, client: &Client, gate: &mut Gate, now: Millis) {
        gate.open(self.accounts.take(&client.session, client.user.as_deref()), now);
    }

    /// How many bytes of incomplete deltas a session has staged, over all its links and requests.
    fn staged(&self, session: SessionId) -> u64 {
        let linked = self.clients.iter().filter(|(_, client)| client.session == session);
        let linked = linked.filter_map(|(link, _)| self.open.get(link));
        let asked = self.exchanges.iter().filter(|(owner, ..)| *owner == Some(session));
        linked.chain(asked.map(|(_, _, peer)| &**peer)).map(Peer::staged).sum()
    }

    /// Stores what a client has spent.
    pub(super) fn close_account(&mut self, client: &Client, account: Account, now: Millis) {
        self.accounts.put(client.session, client.user.as_deref(), account, now);
    }

    /// The session that receives what is sent over a link; `None` for a trusted peer.
    pub(super) fn hearer(&self, link: LinkId) -> Option<SessionId> {
        let asks = |(reply, session): &(LinkId, SessionId)| (*reply == link).then_some(*session);
        self.clients.get(&link).map(|client| client.session).or_else(|| self.asking.iter().rev().find_map(asks))
    }

    /// Charges a client for `bytes` sent over its link.
    fn count_sent(&mut self, link: LinkId, bytes: usize, now: Millis) {
        let Some(session) = self.hearer(link) else { return };
        let dry = self.accounts.send(session, bytes, now);
        let gate = self.open.get_mut(&link).filter(|_| dry > 0).and_then(Peer::gate_mut);
        gate.into_iter().for_each(|gate| gate.hush(now.saturating_add(dry)));
    }

    pub(super) fn greet(&mut self) {
        self.open.for_each(Peer::greet);
    }

    /// The clock was set back by `back`.
    pub(super) fn set_back(&mut self, back: Millis) {
        self.open.for_each(|peer| peer.set_back(back));
        self.exchanges.iter_mut().for_each(|(_, _, peer)| peer.set_back(back));
        self.bonds.set_back(back);
        self.accounts.set_back(back);
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.open.deadline().into_iter().chain(self.bonds.deadline()).min()
    }

    /// Trusted peers known to hold `need` of `replica`. Clients are never named.
    pub(super) fn holders(&self, space: &Space, replica: ReplicaId, need: u64) -> Vec<ReplicaId> {
        let holds = |peer: &Peer| peer.holds(space).is_some_and(|vector| vector.get(replica) >= need);
        let known = self.trusted().filter(|peer| holds(peer)).filter_map(Peer::remote);
        // The same replica may be on several links.
        let mut holders = LiteMap::<ReplicaId, ()>::new();
        known.for_each(|id| _ = holders.insert(id, ()));
        holders.keys().copied().collect()
    }

    /// Whether a trusted peer holds a dot of this replica, or there is no trusted peer that could.
    pub(super) fn has_passed_on(&self, space: &Space, dot: Dot, now: Millis) -> bool {
        let holds = |peer: &Peer| peer.holds(space).is_some_and(|vector| vector.contains(dot));
        let linked = self.open.values().any(|peer| peer.gate().is_none() && peer.remote().is_some());
        let awaited = |(client, _, peer): &Known| client.is_none() && peer.is_awaited(now);
        let lone = || !linked && !self.exchanges.iter().any(awaited);
        self.trusted().any(holds) || lone()
    }

    /// Whether there is a trusted peer.
    pub(super) fn has_trusted(&self) -> bool {
        self.open.has_trusted()
            || self.exchanges.iter().any(|(_, _, peer)| peer.gate().is_none() && peer.remote().is_some())
    }

    fn trusted(&self) -> impl Iterator<Item = &Peer> {
        let all = self.open.values().chain(self.exchanges.iter().map(|(_, _, peer)| &**peer));
        all.filter(|peer| peer.gate().is_none())
    }

    /// A peer that comes by request may be on a link as well, as two replicas are that send each other requests. What
    /// it holds is not sent to it again.
    pub(super) fn hear_of(&mut self, from: ReplicaId, messages: &[Message], store: &SessionConsistentStore) {
        let held = || messages.iter().flat_map(Message::held);
        let same: Vec<LinkId> =
            self.open.iter().filter(|(_, peer)| peer.remote() == Some(from)).map(|(link, _)| *link).collect();
        for link in same {
            let Some(peer) = self.open.get_mut(&link) else { continue };
            held().for_each(|(space, vector)| peer.learn(space, vector, store));
        }
    }

    pub(super) const fn known(&self) -> u32 {
        self.open.known()
    }
}

/// A peer, as an application may see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerView {
    /// The channel.
    pub link: LinkId,
    /// Its id, once it has said it.
    pub replica: Option<ReplicaId>,
    /// What it is known to hold, per space.
    pub holds: Vec<(Space, VersionVector)>,
}

impl Replica {
    /// A channel to a peer has opened.
    pub fn link_up(&mut self, link: LinkId, now: Millis) {
        self.input(now);
        self.links.open.insert(link, Peer::new(self.links.timing, now));
    }

    /// As [`Replica::link_up`], for a channel on which every message is a request with a response. A quiet peer gets a
    /// message once per `heartbeat` and not more often, and none before the last request is answered.
    pub fn link_up_every(&mut self, link: LinkId, heartbeat: Millis, now: Millis) {
        self.input(now);
        let timing = Timing { heartbeat, ..self.links.timing };
        self.links.open.insert(link, Peer::polled(timing, now));
    }

    /// A channel has closed.
    pub fn link_down(&mut self, link: LinkId, now: Millis) {
        self.input(now);
        self.links.clients.remove(&link);
        self.links.bonds.forget(link);
        self.calls.link_down(link);
        self.recovery.take_if(|recovery| recovery.link == link);
        if self.links.open.remove(&link) {
            self.fresh.push(Effect::Event(Event::Peers(self.links.known())));
        }
    }

    /// What is known of the peer on a channel, encoded as a frame of that peer, for a host that keeps channels open
    /// while the replica is not in memory. `None` while the peer has not said its id.
    #[must_use]
    pub fn link_note(&self, link: LinkId) -> Option<Vec<u8>> {
        let peer = self.links.open.get(&link)?;
        let holds = |(space, _): (&Space, _)| Some((space.clone(), peer.holds(space)?.clone()));
        let vectors = self.store.spaces().filter_map(holds).collect();
        let mut messages = alloc::vec![Message::hello(vectors, false)];
        // The ids that a client has proved are stored as a request for them.
        messages.extend(peer.gate().map(|gate| Message::Ask { now: 0, ids: gate.bound().to_vec() }));
        Some(Frame { from: peer.remote()?, to: None, messages }.encode())
    }

    /// A channel to a peer is still open from an earlier instance of this replica, which stored `note`.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`, `PROTOCOL_MISMATCH`: the channel is not open; [`Replica::link_up`] opens it anew.
    pub fn link_resume(&mut self, link: LinkId, note: &[u8], now: Millis) -> Result<(), SessionError> {
        self.input(now);
        let frame = Frame::decode(note)?;
        // The peer may know more of this replica's writes than its storage does.
        self.look_for_amnesia(&frame.messages);
        let mut holds = Vec::new();
        for message in frame.messages {
            if let Message::Hello { vectors, .. } = message {
                holds = vectors;
            }
        }
        self.links.open.insert(link, Peer::resumed(self.links.timing, frame.from, holds, now));
        self.fresh.push(Effect::Event(Event::Peers(self.links.known())));
        Ok(())
    }

    /// The peers on links.
    pub fn peers(&self) -> impl Iterator<Item = PeerView> {
        self.links.open.iter().map(|(link, peer)| {
            let holds = self.store.spaces().filter_map(|(space, _)| Some((space.clone(), peer.holds(space)?.clone())));
            PeerView { link: *link, replica: peer.remote(), holds: holds.collect() }
        })
    }

    /// A message has arrived on a link. It may be repeated, late, or for another replica without harm.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`, `PROTOCOL_MISMATCH`: the message was dropped, state is unchanged.
    pub fn receive(&mut self, link: LinkId, bytes: &[u8], now: Millis) -> Result<(), SessionError> {
        self.input(now);
        let inner;
        let unsealed = if self.links.bonds.is_empty() { Unsealed::Plain } else { self.unseal(link, bytes)? };
        let bytes = match unsealed {
            Unsealed::Plain => bytes,
            Unsealed::Spent => return Ok(()),
            Unsealed::Frame(frame) => {
                inner = frame;
                &inner
            }
        };
        self.end_run_out(link);
        // Messages on a closed link are not read, since they would not be counted.
        let Some(mut peer) = self.links.open.take(link) else {
            return if off(Mutant::Trust(Trust::Closed)) { Frame::receive(bytes).map(drop) } else { Ok(()) };
        };
        let before = peer.remote();
        if let Some((client, gate)) = self.links.clients.get(&link).zip(peer.gate_mut()) {
            self.links.open_account(client, gate, now);
        }
        let heard = self.hear(link, &mut peer, bytes);
        if let Some((client, gate)) = self.links.clients.get(&link).zip(peer.gate()) {
            self.links.accounts.put(client.session, client.user.as_deref(), gate.account(), now);
        }
        let changed = before != peer.remote();
        self.links.open.put_back(link, peer);
        if changed {
            self.fresh.push(Effect::Event(Event::Peers(self.links.known())));
        }
        let (replies, denied) = heard?;
        if !replies.is_empty() {
            self.links.replies.entry(link).or_default().extend(replies);
        }
        if !denied.is_empty() {
            self.hear_denials(link, denied);
        }
        Ok(())
    }

    /// Ends the session of a link's client if its time is over, and the link with it, independently of the timers.
    fn end_run_out(&mut self, link: LinkId) {
        let Some(session) = self.links.clients.get(&link).map(|client| client.session) else { return };
        let manager = &self.service.manager;
        if manager.limits().idle.is_some() && manager.check(&session, 0, self.now).is_err() {
            let _ = self.touch(&session);
        }
    }

    /// Acts on a frame from a link. Returns the replies, and what the other end has refused.
    fn hear(&mut self, link: LinkId, peer: &mut Peer, bytes: &[u8]) -> Result<(Vec<Message>, Denied), SessionError> {
        if let Some(gate) = peer.gate_mut() {
            let late = self.links.hearer(link).is_some_and(|session| self.links.late.is_full(session));
            if !gate.count(bytes.len(), late, self.now)? {
                return Ok((Vec::new(), Denied::new()));
            }
        }
        let most = peer.gate().map_or(u64::MAX, Gate::most_messages);
        let frame = Frame::receive_beside(bytes, most, Some((&self.space, self.store.vector(&self.space))))?;
        // A client must not make this replica doubt its past.
        if peer.gate().is_none() {
            self.look_for_amnesia(&frame.messages);
        }
        if !self.is_for_me(&frame) {
            if frame.from != self.id {
                peer.doubt();
            }
            return Ok((Vec::new(), Denied::new()));
        }
        if self.recovery.is_some() {
            self.hear_snapshot(link, &frame.messages);
        }
        let client = self.links.clients.get(&link).map(|client| client.session);
        Ok(self.act_on(Some(link), client, peer, frame))
    }

    /// Acts on a frame of `client`, or of a trusted peer. There is no link if it came by request.
    pub(super) fn act_on(
        &mut self,
        link: Option<LinkId>,
        client: Option<SessionId>,
        peer: &mut Peer,
        frame: Frame,
    ) -> (Vec<Message>, Denied) {
        let rare = frame.messages.iter().any(|message| !talks(message));
        let mut replies = if rare { self.hear_rare(link, client, peer, &frame) } else { Vec::new() };
        if frame.messages.iter().any(applies) {
            self.folds.keep_pasts(&self.store);
        }
        let greets = frame.messages.iter().any(|message| matches!(message, Message::Hello { .. }));
        if let Some(recovery) = self.recovery.as_mut().filter(|recovery| Some(recovery.link) == link) {
            // The messages belong to the snapshot that is being fetched, which nobody sees before it is complete.
            let step = peer.receive(frame.from, frame.messages, &mut recovery.store, self.now);
            replies.extend(step.replies);
            return (replies, step.denied);
        }
        let mut step = peer.receive(frame.from, frame.messages, &mut self.store, self.now);
        if peer.gate().is_none() {
            self.upstream.hear(self.id, peer, &self.store, self.now);
        }
        let unbound = core::mem::take(&mut step.unbound);
        let denied = core::mem::take(&mut step.denied);
        if let Some(session) = client.filter(|_| !step.applied.is_empty()) {
            // Writing is use of the session. If the session is over, nothing was applied.
            let _ = self.touch(&session);
        }
        replies.extend(self.take_step(&mut step));
        if greets || !unbound.is_empty() {
            replies.extend(peer.gate().and_then(|gate| self.ask(gate, frame.from, greets, unbound)));
        }
        (replies, denied)
    }

    /// Handles messages about ids, proofs, calls and slices. Returns the replies.
    #[cold]
    #[inline(never)]
    fn hear_rare(
        &mut self,
        link: Option<LinkId>,
        client: Option<SessionId>,
        peer: &mut Peer,
        frame: &Frame,
    ) -> Vec<Message> {
        if let Some((client, gate)) = client.zip(peer.gate_mut())
            && frame.messages.iter().any(|message| matches!(message, Message::Slice(_)))
        {
            gate.note_staged(self.links.staged(client));
        }
        let mut replies = self.hear_of_ids(link, peer.gate_mut(), &frame.messages);
        if !replies.is_empty() {
            peer.was_answered();
        }
        if peer.gate().is_none() {
            replies.extend(self.prove_unasked(frame.from, &frame.messages));
        }
        replies.extend(self.hear_calls(link, client, peer.asks(), &frame.messages));
        replies
    }

    /// Whether to act on a frame: not if it is an own one that came back, or for another replica.
    pub(super) fn is_for_me(&self, frame: &Frame) -> bool {
        frame.from != self.id && frame.to.is_none_or(|to| to == self.id)
    }

    /// Detects own writes that others know and this replica does not: its state was lost, and its id must not be used
    /// again. Applies whoever the frame is for, and even to a frame from this id, since then another replica uses it.
    pub(super) fn look_for_amnesia(&mut self, messages: &[Message]) {
        // Spaces that are over are exempt, since nothing of them is held any more.
        for message in messages {
            let (list, one) = message.told();
            for (space, vector) in list.iter().map(|(space, vector)| (space, vector)).chain(one) {
                let told = vector.get(self.id);
                self.amnesia |= told > 0 && told > self.store.vector(space).get(self.id) && !self.store.is_over(space);
            }
        }
    }

    fn take_step(&mut self, step: &mut Step) -> Vec<Message> {
        let Step { replies, applied, refused, drifts, denied: _, unbound: _, fenced, rows } = step;
        if !fenced.is_empty() {
            self.heed_fences(fenced);
        }
        if !rows.is_empty() {
            self.heed_rows(rows);
        }
        for (space, changed) in applied.drain(..) {
            // Also if no key has changed: somebody may have waited for the vector.
            self.service.stirred |= space == self.service.system;
            self.note(&space, changed);
        }
        self.fresh.extend(drifts.take().map(|error| Effect::Event(Event::Drift(error))));
        self.fresh.extend(refused.drain(..).map(|error| Effect::Event(Event::Refused(error))));
        core::mem::take(replies)
    }

    /// Sends replies and, unless `hushed`, what is due unasked.
    #[inline(never)]
    pub(super) fn speak(&mut self, hushed: bool) {
        let mut spoken = Vec::new();
        let mut replies = core::mem::take(&mut self.links.replies);
        if !hushed && core::mem::replace(&mut self.links.told, self.store.changes()) != self.store.changes() {
            self.links.open.stir_all();
        }
        let stirred = self.links.open.take_stirred();
        for link in &stirred {
            let Some(peer) = self.links.open.visit(*link) else { continue };
            let (to, mut messages) = (peer.addressee(), replies.remove(link).unwrap_or_default());
            if !hushed {
                let fetching = self.recovery.as_ref().filter(|recovery| recovery.link == *link);
                let store = fetching.map_or(&self.store, |recovery| &recovery.store);
                messages.extend(peer.speak(store, self.now));
            }
            while !messages.is_empty() {
                let frame = peer.next_frame(&mut messages, &self.store, self.now);
                spoken.push((*link, to, peer.asks().then(|| peer.is_polled()), frame));
            }
        }
        for (link, to, asked, mut messages) in spoken {
            if let Some(proofs) = asked.and_then(|by_request| self.proofs(&messages, by_request)) {
                messages.insert(0, proofs);
            }
            self.transmit(link, to, messages);
        }
        if hushed {
            self.links.open.wait(stirred);
        } else {
            let clients = &self.links.clients;
            self.links.open.rest(stirred, |link| clients.get(&link).map(|client| client.until));
        }
    }

    #[inline(never)]
    pub(super) fn transmit(&mut self, link: LinkId, to: Option<ReplicaId>, messages: Vec<Message>) {
        if !messages.is_empty() {
            let fetching = self.recovery.as_ref().filter(|recovery| recovery.link == link);
            let store = fetching.map_or(&self.store, |recovery| &recovery.store);
            let bytes = Frame { from: self.id, to, messages }.encode_from(store, &mut self.links.desk);
            let bytes = if self.links.bonds.is_idle() { bytes } else { self.sealed(link, bytes.into_vec()).into() };
            self.links.count_sent(link, bytes.len(), self.now);
            self.fresh.push(Effect::Transmit { link, bytes });
        }
    }

    /// Rewrites the winner of each key with too many siblings, so that its live set is one entry again. Only a trusted
    /// replica does this; a client's rewriting would add another sibling.
    #[cold]
    #[inline(never)]
    pub(super) fn relieve_crowds(&mut self) {
        let crowded = core::mem::take(&mut self.crowded);
        if self.keyring.is_none() {
            return;
        }
        for ((space, key), ()) in crowded {
            let winner = self.store.live(&space, &key).and_then(|set| set.winner().cloned());
            let Some(winner) = winner else { continue };
            let (session, expires_at) = (winner.session(), winner.expires_at());
            let mutation = crate::store::Mutation { key, content: winner.content, expires_at };
            // If the store is full, the siblings stay; nothing is lost by that.
            if let Ok((_, changed)) = self.write(&space, session, alloc::vec![mutation]) {
                self.note(&space, changed);
            }
        }
    }
}

/// What the other end has refused: the space, the code, and the writes that are the reason.
type Denied = Vec<(Space, alloc::string::String, Vec<Dot>)>;

/// Whether acting on the message may change what is held.
const fn applies(message: &Message) -> bool {
    matches!(message, Message::Delta(_) | Message::TopUp { .. })
}

/// Whether a message is one of the frequent ones, which contain nothing about ids, proofs, calls and slices.
const fn talks(message: &Message) -> bool {
    matches!(message, Message::Hello { .. } | Message::Delta(_) | Message::Ack { .. })
}
