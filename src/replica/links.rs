//! The replica's channels: frames in, frames out, and the watch for its own id in what others say.
//!
//! Invariant: a frame that is damaged, or meant for somebody else, changes nothing. What is sent waits in the outbox
//! for the record of the state that it tells.

use alloc::vec::Vec;

use litemap::LiteMap;

use super::Replica;
use crate::error::SessionError;
use crate::id::{Dot, ReplicaId, Space};
use crate::io::{Effect, Event, LinkId};
use crate::store::SessionConsistentStore;
use crate::store::space::Changed;
use crate::sync::message::{Frame, Message};
use crate::sync::peer::{Peer, Step, Timing, hello};
use crate::time::Millis;
use crate::vector::VersionVector;

/// The most peers that are remembered between requests of `exchange`.
const EXCHANGES_MAX: usize = 64;

/// The peers: those on a link, and those that come by request and response.
#[derive(Debug)]
pub(super) struct Links {
    timing: Timing,
    open: LiteMap<LinkId, Peer>,
    /// The one that was heard last stands last.
    exchanges: Vec<(ReplicaId, Peer)>,
}

impl Links {
    pub(super) const fn new(timing: Timing) -> Self {
        Self { timing, open: LiteMap::new(), exchanges: Vec::new() }
    }

    pub(super) fn greet(&mut self) {
        self.open.iter_mut().for_each(|(_, peer)| peer.greet());
    }

    /// The clock was set back by so much.
    pub(super) fn set_back(&mut self, back: Millis) {
        self.open.iter_mut().for_each(|(_, peer)| peer.set_back(back));
        self.exchanges.iter_mut().for_each(|(_, peer)| peer.set_back(back));
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.open.values().map(Peer::deadline).min()
    }

    /// Peers known to hold `need` of `replica`.
    pub(super) fn holders(&self, space: &Space, replica: ReplicaId, need: u64) -> Vec<ReplicaId> {
        let holds = |peer: &Peer| peer.holds(space).is_some_and(|vector| vector.get(replica) >= need);
        let known = self.peers().filter(|peer| holds(peer)).filter_map(Peer::remote);
        // One and the same replica may be met on several links.
        let mut holders = LiteMap::<ReplicaId, ()>::new();
        known.for_each(|id| _ = holders.insert(id, ()));
        holders.keys().copied().collect()
    }

    /// Whether a peer holds a dot of this replica; or nobody is there who could.
    pub(super) fn has_passed_on(&self, space: &Space, dot: Dot, now: Millis) -> bool {
        let holds = |peer: &Peer| peer.holds(space).is_some_and(|vector| vector.contains(dot));
        let linked = self.open.values().any(|peer| peer.remote().is_some());
        let lone = || !linked && !self.exchanges.iter().any(|(_, peer)| peer.is_awaited(now));
        self.peers().any(holds) || lone()
    }

    fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.open.values().chain(self.exchanges.iter().map(|(_, peer)| peer))
    }

    /// Takes out what is known of a peer that comes by request; it is put back last. Who has not come for longest is
    /// forgotten first, and costs one delta when it comes again.
    fn recall(&mut self, id: ReplicaId, now: Millis) -> Peer {
        if let Some(at) = self.exchanges.iter().position(|(known, _)| *known == id) {
            return self.exchanges.remove(at).1;
        }
        if self.exchanges.len() >= EXCHANGES_MAX {
            self.exchanges.remove(0);
        }
        Peer::new(self.timing, now)
    }

    /// Who comes by request may be on a link as well, as two replicas are that send each other requests: what it holds is
    /// not sent to it once more.
    fn hear_of(&mut self, from: ReplicaId, messages: &[Message], store: &SessionConsistentStore) {
        let held = || messages.iter().flat_map(Message::held);
        let same = self.open.iter_mut().filter(|(_, peer)| peer.remote() == Some(from));
        same.for_each(|(_, peer)| held().for_each(|(space, vector)| peer.learn(space, vector, store)));
    }

    fn known(&self) -> u32 {
        self.open.values().filter(|peer| peer.remote().is_some()).count() as u32
    }
}

/// A peer, as an application may see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerView {
    /// The channel.
    pub link: LinkId,
    /// Who it is, once it has said so.
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

    /// As [`Replica::link_up`], for a channel on which a quiet peer is spoken to once in `heartbeat` and not more often,
    /// because every time costs a request.
    pub fn link_up_every(&mut self, link: LinkId, heartbeat: Millis, now: Millis) {
        self.input(now);
        let timing = Timing { heartbeat, ..self.links.timing };
        self.links.open.insert(link, Peer::new(timing, now));
    }

    /// A channel has closed.
    pub fn link_down(&mut self, link: LinkId, now: Millis) {
        self.input(now);
        if self.links.open.remove(&link).is_some() {
            self.fresh.push(Effect::Event(Event::Peers(self.links.known())));
        }
    }

    /// What is known of the peer on a channel, as a frame of its own words, for a host that keeps channels open while the
    /// replica is not in memory. `None` while the peer has not said who it is.
    #[must_use]
    pub fn link_note(&self, link: LinkId) -> Option<Vec<u8>> {
        let peer = self.links.open.get(&link)?;
        let holds = |(space, _): (&Space, _)| Some((space.clone(), peer.holds(space)?.clone()));
        let vectors = self.store.spaces().filter_map(holds).collect();
        Some(Frame { from: peer.remote()?, to: None, messages: alloc::vec![Message::hello(vectors, false)] }.encode())
    }

    /// A channel to a peer is open still, from a time when another instance of this replica has had it, which wrote down
    /// `note`.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`, `PROTOCOL_MISMATCH`: nothing is known of the channel; [`Replica::link_up`] begins it anew.
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

    /// A message has come over a link. It may be lost, repeated, late or meant for somebody else: no harm is done.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`, `PROTOCOL_MISMATCH`: the message was dropped, state is unchanged.
    pub fn receive(&mut self, link: LinkId, bytes: &[u8], now: Millis) -> Result<(), SessionError> {
        self.input(now);
        let frame = Frame::receive(bytes)?;
        self.look_for_amnesia(&frame.messages);
        let (own, for_me) = (frame.from == self.id, self.is_for_me(&frame));
        let Some(peer) = self.links.open.get_mut(&link) else { return Ok(()) };
        if !for_me {
            if !own {
                peer.doubt();
            }
            return Ok(());
        }
        let before = peer.remote();
        if frame.messages.iter().any(applies) {
            self.folds.keep_pasts(&self.store);
        }
        let step = peer.receive(frame.from, frame.messages, &mut self.store, now);
        self.upstream.hear(self.id, peer, &self.store, now);
        let remote = peer.remote();
        let replies = self.take_step(step);
        if before != remote {
            self.fresh.push(Effect::Event(Event::Peers(self.links.known())));
        }
        self.transmit(link, remote, replies);
        Ok(())
    }

    /// The sync protocol as request and response: takes one message (an empty one asks for a hello) and answers with
    /// one, as a single [`Effect::Transmit`] on the link number `reply`, which is not otherwise used.
    ///
    /// # Errors
    /// As [`Replica::receive`]; then there is no reply.
    pub fn exchange(&mut self, reply: LinkId, bytes: &[u8], now: Millis) -> Result<(), SessionError> {
        self.input(now);
        if bytes.is_empty() {
            self.transmit(reply, None, alloc::vec![hello(&self.store, true)]);
            return Ok(());
        }
        let frame = Frame::receive(bytes)?;
        self.look_for_amnesia(&frame.messages);
        if !self.is_for_me(&frame) {
            self.transmit(reply, None, alloc::vec![hello(&self.store, true)]);
            return Ok(());
        }
        let from = frame.from;
        self.links.hear_of(from, &frame.messages, &self.store);
        let fetching: Vec<Space> = frame.messages.iter().filter_map(wanted).collect();
        if frame.messages.iter().any(applies) {
            self.folds.keep_pasts(&self.store);
        }
        let mut peer = self.links.recall(from, now);
        let step = peer.receive(from, frame.messages, &mut self.store, now);
        self.upstream.hear(self.id, &peer, &self.store, now);
        let mut messages = self.take_step(step);
        messages.retain(|message| !matches!(message, Message::Hello { .. }));
        messages.extend(peer.answer(&fetching, &self.store, now));
        self.links.exchanges.push((from, peer));
        self.transmit(reply, Some(from), messages);
        Ok(())
    }

    /// A frame of one's own that comes back, or one for somebody else, is not acted on.
    fn is_for_me(&self, frame: &Frame) -> bool {
        frame.from != self.id && frame.to.is_none_or(|to| to == self.id)
    }

    /// Own writes that others know and this replica does not: its state was lost, and its id must not be used again.
    /// Whoever the frame is for, and even if it is one's own: then somebody else lives under this id.
    pub(super) fn look_for_amnesia(&mut self, messages: &[Message]) {
        let ahead =
            |(space, vector): (&Space, &VersionVector)| vector.get(self.id) > self.store.vector(space).get(self.id);
        self.amnesia |= messages.iter().flat_map(Message::vectors).any(ahead);
    }

    fn take_step(&mut self, step: Step) -> Vec<Message> {
        let Step { replies, applied, refused } = step;
        for (space, changed) in applied {
            self.note(&space, changed);
        }
        self.fresh.extend(refused.into_iter().map(|error| Effect::Event(Event::Refused(error))));
        replies
    }

    /// Says what is to be said of this replica's own accord.
    pub(super) fn speak(&mut self) {
        let mut spoken = Vec::new();
        for (link, peer) in self.links.open.iter_mut() {
            let to = peer.addressee();
            spoken.push((*link, to, peer.speak(&self.store, self.now)));
        }
        for (link, to, messages) in spoken {
            self.transmit(link, to, messages);
        }
    }

    fn transmit(&mut self, link: LinkId, to: Option<ReplicaId>, messages: Vec<Message>) {
        if !messages.is_empty() {
            let bytes = Frame { from: self.id, to, messages }.encode();
            self.fresh.push(Effect::Transmit { link, bytes });
        }
    }

    /// Writes the winner of each key with too many siblings anew, so that its live set is one entry again. Only a
    /// trusted replica does: a client's rewriting would be one sibling more.
    pub(super) fn relieve_crowds(&mut self) {
        let crowded = core::mem::take(&mut self.crowded);
        if self.keyring.is_none() {
            return;
        }
        for ((space, key), ()) in crowded {
            let winner = self.store.live(&space, &key).and_then(|set| set.winner().cloned());
            let Some(winner) = winner else { continue };
            let mutation = crate::store::Mutation { key, content: winner.content, expires_at: winner.expires_at };
            // A store that is full keeps its siblings; nothing is lost by that.
            if let Ok((_, changed)) = self.write(&space, winner.session, alloc::vec![mutation]) {
                self.note(&space, changed);
            }
        }
    }
}

/// Whether acting on the message may change what is held.
const fn applies(message: &Message) -> bool {
    matches!(message, Message::Delta(_) | Message::TopUp { .. })
}

fn wanted(message: &Message) -> Option<Space> {
    if let Message::Want { space, .. } = message { Some(space.clone()) } else { None }
}

/// The changed keys of a local write.
pub(super) fn written(keys: impl Iterator<Item = crate::store::entry::Key>) -> Vec<Changed> {
    keys.map(|key| Changed { key, conflict: false }).collect()
}
