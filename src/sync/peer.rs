//! Anti-entropy with one peer, as a state machine.
//!
//! Stop and wait: in each space one delta is under way, starting at what the peer is *known* to hold. The next follows
//! when the peer has acknowledged it. A large delta travels in slices, a bounded window at a time. So a slow peer costs
//! no memory.
//!
//! Invariants:
//!
//! * `holds` is never more than what the peer has said that it holds.
//! * Lost, repeated and reordered messages cost only time.
//! * A [`Peer`] sends nothing itself: each call returns the messages to send.

mod clock;
mod speak;
mod take;

use alloc::boxed::Box;
use alloc::vec::Vec;

use litemap::LiteMap;

use self::clock::Clock;
use crate::error::ErrorCode;
use crate::id::{ReplicaId, Space};
use crate::store::SessionConsistentStore;
use crate::store::space::SpaceState;
use crate::sync::gate::{Gate, Screened};
use crate::sync::incoming::Incoming;
use crate::sync::message::Message;
use crate::sync::owed::Owed;
use crate::sync::progress::{Progress, RETRY_MAX};
use crate::sync::requests::Requests;
use crate::sync::run::Run;
use crate::sync::step::Step;
use crate::sync::telling::Tellings;
use crate::sync::under::{Under, overtakes};
use crate::time::Millis;
use crate::vector::VersionVector;

/// A delta of more bytes than this travels in slices of about this size.
pub const SLICE_BYTES: u64 = 256 << 10;

/// A peer that was silent for this long, and for two heartbeats of its link, is asked to answer.
const SILENCE: Millis = 15_000;

/// The least pause before a delta counts as lost, whatever the heartbeat: the peer may be busy.
const RETRY_MIN: Millis = 250;

/// The intervals of the conversation, in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// Between two hellos, that is, how long lost messages go unnoticed.
    pub heartbeat: Millis,
    /// Before an unanswered delta is sent again; doubles with each attempt.
    pub retry: Millis,
    /// How long an acknowledgement may wait for a delta to travel with, if the two replicas answer each other.
    pub pause: Millis,
}

impl Default for Timing {
    fn default() -> Self {
        Self { heartbeat: 2_000, retry: 1_000, pause: 0 }
    }
}

impl Timing {
    /// The same with another heartbeat. A shorter one shortens the retry as well.
    #[must_use]
    pub fn beating(self, heartbeat: Millis) -> Self {
        Self { heartbeat, retry: (heartbeat / 2).max(RETRY_MIN).min(self.retry), ..self }
    }
}

/// One peer, as this replica sees it.
#[derive(Debug)]
pub struct Peer {
    timing: Timing,
    remote: Option<ReplicaId>,
    spaces: LiteMap<Space, Progress>,
    incoming: LiteMap<Space, Incoming>,
    owed: Owed,
    hello_at: Millis,
    heard_at: Millis,
    /// The other end takes this replica for another one: the next frame has no addressee.
    doubted: bool,
    /// The space whose news filled the last message; the next message begins after it.
    turn: Option<Space>,
    /// What a client may see and do; `None` for a trusted peer. Boxed, as most peers have none.
    gate: Option<Box<Gate>>,
    /// The peer is an edge that asks who writes under an id.
    asks: bool,
    requests: Requests,
    told: Tellings,
    /// The records of the fleet that the deltas of this frame rest on.
    under: Under,
    /// How the clock of a trusted peer compares with the own one.
    clock: Clock,
}

impl Peer {
    /// A peer of which nothing is known yet. The first hello is due at once.
    #[must_use]
    pub fn new(timing: Timing, now: Millis) -> Self {
        Self {
            // Two replicas with a heartbeat of 0 would exchange hellos without end.
            timing: Timing { heartbeat: timing.heartbeat.max(1), ..timing },
            remote: None,
            spaces: LiteMap::new(),
            incoming: LiteMap::new(),
            owed: Owed::new(),
            hello_at: now,
            heard_at: now,
            doubted: false,
            turn: None,
            gate: None,
            asks: false,
            requests: Requests::new(false),
            told: Tellings::NEW,
            under: None,
            clock: Clock::Agrees,
        }
    }

    /// The same peer as a client, behind a gate.
    #[must_use]
    pub fn behind_gate(mut self, gate: Gate) -> Self {
        self.put_behind(gate);
        self
    }

    /// As [`Peer::behind_gate`], for a peer that exists already.
    pub fn put_behind(&mut self, gate: Gate) {
        self.gate = Some(Box::new(gate));
    }

    /// Whether the peer is an edge that asks who writes under an id.
    #[must_use]
    pub const fn asks(&self) -> bool {
        self.asks
    }

    /// The gate of a client; `None` for a trusted peer.
    #[must_use]
    pub fn gate(&self) -> Option<&Gate> {
        self.gate.as_deref()
    }

    /// As [`Peer::gate`], to record what the client has proved or sent.
    pub fn gate_mut(&mut self) -> Option<&mut Gate> {
        self.gate.as_deref_mut()
    }

    /// What this replica holds, in all spaces that the peer may see.
    pub(crate) fn hello(&self, store: &SessionConsistentStore, answer: bool) -> Message {
        let told = |(space, state): (&Space, &SpaceState)| (space.clone(), state.vector().clone());
        // A client sees few spaces, however many there are.
        let vectors = match self.gate.as_deref().and_then(Gate::spaces) {
            Some(seen) => seen.filter_map(|space| Some(told((space, store.space(space)?)))).collect(),
            None => store.spaces().map(told).collect(),
        };
        Message::hello(vectors, answer)
    }

    /// Forgets what the peer holds and what is under way, and sends a hello that asks for an answer. Everything will be
    /// sent again.
    pub fn begin_anew(&mut self, now: Millis) {
        self.spaces.clear();
        self.incoming.clear();
        self.told = Tellings::NEW;
        self.owed.clear();
        self.hello_at = now;
        self.doubted = true;
    }

    /// The peer has asked who writes, and was answered: what it did not accept is due again at once.
    pub fn was_answered(&mut self) {
        self.asks = true;
        self.resend();
    }

    /// Makes what is under way due again at once.
    pub fn resend(&mut self) {
        self.spaces.iter_mut().for_each(|(_, progress)| progress.under_way = None);
    }

    /// A peer that is reached by requests, one at a time, each of which it answers.
    #[must_use]
    pub fn polled(timing: Timing, now: Millis) -> Self {
        Self { requests: Requests::new(true), ..Self::new(timing, now) }
    }

    /// Whether the peer is reached by requests.
    #[must_use]
    pub const fn is_polled(&self) -> bool {
        self.requests.is_polled()
    }

    /// A peer on a channel that stayed open while this replica was not in memory. What the peer holds was stored, so it
    /// needs no hello. What it lacks is due at once.
    #[must_use]
    pub fn resumed(timing: Timing, remote: ReplicaId, holds: Vec<(Space, VersionVector)>, now: Millis) -> Self {
        let hello_at = now.saturating_add(timing.heartbeat);
        let mut peer = Self { remote: Some(remote), hello_at, ..Self::new(timing, now) };
        for (space, holds) in holds {
            peer.spaces.insert(space, Progress { holds, ..Progress::default() });
        }
        peer
    }

    /// The peer's id, once it has said it.
    #[must_use]
    pub const fn remote(&self) -> Option<ReplicaId> {
        self.remote
    }

    /// The addressee of the next frame; `None` if the peer is unknown or in doubt.
    #[must_use]
    pub const fn addressee(&self) -> Option<ReplicaId> {
        if self.doubted { None } else { self.remote }
    }

    /// Records that the other end takes this replica for another one. The next hello goes without an addressee: if both
    /// ends took new ids at once and addressed each other by the old ones, they would never hear each other again.
    pub const fn doubt(&mut self) {
        self.doubted = true;
    }

    /// What the peer is known to hold of a space.
    #[must_use]
    pub fn holds(&self, space: &Space) -> Option<&VersionVector> {
        self.spaces.get(space).map(|progress| &progress.holds)
    }

    /// Whether a peer that comes by request may still be expected: it last came no longer ago than the heartbeat and
    /// the longest pause.
    #[must_use]
    pub const fn is_awaited(&self, now: Millis) -> bool {
        now <= self.hello_at.saturating_add(RETRY_MAX)
    }

    /// What the peer is known to hold, in every space that it has mentioned.
    pub fn held(&self) -> impl Iterator<Item = (&Space, &VersionVector)> {
        self.spaces.iter().map(|(space, progress)| (space, &progress.holds))
    }

    /// Makes the next hello due at once, because this replica has news (a new id).
    pub const fn greet(&mut self) {
        self.hello_at = 0;
    }

    /// The clock was set back by `back`. Pauses keep their length.
    pub fn set_back(&mut self, back: Millis) {
        self.hello_at = self.hello_at.saturating_sub(back);
        self.told.set_back(back);
        self.heard_at = self.heard_at.saturating_sub(back);
        self.owed.set_back(back);
        self.requests.set_back(back);
        self.spaces.iter_mut().for_each(|(_, progress)| progress.set_back(back));
        self.incoming.iter_mut().for_each(|(_, incoming)| incoming.set_back(back));
        self.gate.iter_mut().for_each(|gate| gate.set_back(back));
    }

    /// Acts on the messages of one frame from `from`.
    pub fn receive(
        &mut self,
        from: ReplicaId,
        mut messages: Vec<Message>,
        store: &mut SessionConsistentStore,
        now: Millis,
    ) -> Step {
        let mut step = Step::default();
        self.heard_at = now;
        self.requests.answered();
        if self.remote != Some(from) {
            // Another replica is at this end of the link; what was known of the previous one does not apply to it.
            self.remote = Some(from);
            self.spaces.clear();
            self.incoming.clear();
            self.told = Tellings::NEW;
            self.owed.clear();
            if !messages.iter().any(|message| matches!(message, Message::Hello { .. })) {
                step.replies.push(self.hello(store, true));
            }
        }
        self.under = None;
        if self.gate.is_some() {
            Gate::thin(&mut messages);
        }
        for message in messages {
            let Some(gate) = &self.gate else {
                self.act(message, store, now, &mut step);
                continue;
            };
            match gate.screen(message, store) {
                Screened::Pass(message) => self.act(message, store, now, &mut step),
                Screened::Refuse(space, error, dots) => step.refuse(space, error, dots),
                Screened::Drop => {}
            }
        }
        self.name_records(&mut step.replies, store);
        step
    }

    fn act(&mut self, message: Message, store: &mut SessionConsistentStore, now: Millis, step: &mut Step) {
        match message {
            Message::Hello { protocol: _, answer, vectors } => {
                self.believe(vectors, store);
                if answer {
                    step.replies.push(self.hello(store, false));
                }
            }
            Message::Ack { space, vector } => self.learn(&space, &vector, store),
            Message::Delta(delta) if overtakes(&self.under, &delta.space, store) => {}
            Message::Delta(delta) => self.take(delta, store, now, step),
            rare @ (Message::Behind { .. }
            | Message::Slice(_)
            | Message::Cut(_)
            | Message::Want { .. }
            | Message::TopUp { .. }
            | Message::Refused { .. }
            | Message::Reset
            | Message::Ask { .. }
            | Message::Bind { .. }
            | Message::Fence { .. }
            | Message::Under { .. }
            | Message::Call(_)
            | Message::Reply(_)
            | Message::Challenge { .. }
            | Message::Proof(_)
            | Message::Roster { .. }
            | Message::Unknown { .. }
            | Message::Foreign { .. }) => self.act_rarely(rare, store, now, step),
        }
    }

    /// The rare messages. They are apart so that an engine which compiles hot code has little to compile.
    #[cold]
    #[inline(never)]
    fn act_rarely(&mut self, message: Message, store: &mut SessionConsistentStore, now: Millis, step: &mut Step) {
        match message {
            // See `act`.
            Message::Hello { .. } | Message::Ack { .. } | Message::Delta(_) | Message::Cut(_) => {}
            Message::Behind { space, vector } if self.has_room(&space, store) => {
                let progress = self.spaces.entry(space).or_default();
                progress.holds = vector;
                progress.under_way = None;
            }
            Message::Behind { .. } => {}
            Message::Slice(slice) => self.take_slice(slice, store, now, step),
            Message::TopUp { delta, .. } if overtakes(&self.under, &delta.space, store) => {}
            Message::TopUp { base, delta } => {
                // A top-up that was made before a slice was cut again does not fit and is ignored; another one will be
                // requested.
                let whole =
                    |Incoming { stage, .. }: &Incoming| stage.is_of(&delta.from, &base) && stage.is_whole_with(&delta);
                let whole = self.incoming.get(&delta.space).is_some_and(whole);
                if let Some(incoming) = whole.then(|| self.incoming.remove(&delta.space)).flatten() {
                    self.take(incoming.stage.finish(delta), store, now, step);
                }
            }
            Message::Want { space, from, base, after } => {
                let Some(state) = store.space(&space).filter(|state| state.vector().dominates(&base)) else {
                    // The slices were cut before this replica lost its state: start over.
                    return step.greet(|| self.hello(store, true));
                };
                if self.gate.as_ref().is_some_and(|gate| !gate.may_ask(now)) {
                    // The peer will ask again, with a growing pause.
                    let code = ErrorCode::RateLimited.as_str().into();
                    step.replies.push(Message::Refused { space, code, dots: Vec::new() });
                    return;
                }
                let progress = self.spaces.entry(space.clone()).or_default();
                if let Some(under_way) = &mut progress.under_way {
                    under_way.since = now;
                }
                let run = match &mut progress.run {
                    Some(run) if run.is_of(&from, &base) => run,
                    other => other.insert(Run::new(from, base)),
                };
                run.asked(after.as_ref());
                let answer = step.replies.len();
                run.fill(&space, state, store.clock().last(), &mut step.replies);
                if let Some(gate) = &mut self.gate {
                    step.replies.iter().skip(answer).for_each(|said| gate.note_answer(weight(said)));
                }
            }
            Message::Foreign { kind } => step.replies.push(Message::Unknown { kind }),
            // The other side reports this to its operator. This side tries again, unless it is a client that can do
            // better.
            Message::Refused { space, code, dots } if code == ErrorCode::StaleReplica.as_str() => {
                if let Some(progress) = self.spaces.get_mut(&space) {
                    progress.lacked = dots;
                }
            }
            Message::Refused { space, code, dots } => step.denied.push((space, code, dots)),
            Message::Fence { told, heard, digest, fences } if store.fences().is_shared() => {
                let known = store.fences_mut();
                let answer = self.told.fences.hear_fences((told, heard, digest), fences, known, &mut step.fenced);
                step.replies.extend(answer);
            }
            Message::Under { space, vector } => self.under = Some((space, vector)),
            Message::Roster { told, heard, rows } if store.fences().is_shared() => {
                let answer = self.told.rows.hear_rows((told, heard), rows, store.roster_mut(), &mut step.rows);
                step.replies.extend(answer);
            }
            // The replica that owns the link has already handled ids, proofs and calls.
            Message::Fence { .. } | Message::Roster { .. } | Message::Unknown { .. } => {}
            Message::Reset
            | Message::Ask { .. }
            | Message::Bind { .. }
            | Message::Call(_)
            | Message::Reply(_)
            | Message::Challenge { .. }
            | Message::Proof(_) => {}
        }
    }

    /// Replaces what the peer is believed to hold. Unlike an acknowledgement this can lower it, so that a peer whose
    /// state was set back is brought up to date again. An old hello that arrives late costs one delta.
    fn believe(&mut self, vectors: Vec<(Space, VersionVector)>, store: &SessionConsistentStore) {
        self.spaces.retain(|space, progress| store.space(space).is_some() || !progress.lacks.is_empty());
        self.spaces.iter_mut().for_each(|(_, progress)| progress.holds = VersionVector::new());
        for (space, vector) in vectors {
            match self.spaces.get_mut(&space) {
                Some(progress) => progress.hold(vector),
                None => self.learn(&space, &vector, store),
            }
        }
    }

    /// Whether something about a space may be remembered: always for spaces that this replica holds, for others no more
    /// than it could hold.
    fn has_room(&self, space: &Space, store: &SessionConsistentStore) -> bool {
        let known = self.spaces.contains_key(space) || store.space(space).is_some();
        known || (self.spaces.len() as u64) < store.limits().spaces
    }

    /// Records that the peer holds at least `vector`.
    pub fn learn(&mut self, space: &Space, vector: &VersionVector, store: &SessionConsistentStore) {
        if !self.has_room(space, store) {
            return;
        }
        let progress = self.spaces.entry(space.clone()).or_default();
        progress.holds.join(vector);
        progress.settle();
    }
}

/// About how many bytes the entries of a message take.
fn weight(message: &Message) -> u64 {
    if let Message::Cut(cut) = message {
        cut.weight
    } else if let Message::TopUp { delta, .. } = message {
        delta.keys.weight()
    } else {
        0
    }
}
