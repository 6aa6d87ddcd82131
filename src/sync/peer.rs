//! Anti-entropy with one peer, as a state machine.
//!
//! Stop and wait: a space's delta is sent since what the peer is *known* to hold, and the next one only after the
//! peer has acknowledged it, so one delta is under way a space, in a bounded window of slices where it is large, and a
//! slow peer costs no memory. Invariant: `holds` is never more than what the peer has said that it holds; losing,
//! repeating or reordering messages costs time only. Sends nothing itself: every call answers what to say.

use alloc::vec::Vec;

use litemap::LiteMap;

use crate::error::ErrorCode;
use crate::id::{Dot, ReplicaId, Space};
use crate::store::SessionConsistentStore;
use crate::store::delta::{Delta, Listed, check_keys};
use crate::store::space::SpaceState;
use crate::sync::admit::{Refusal, Verdict, judge};
use crate::sync::gate::{Gate, Screened};
use crate::sync::incoming::Incoming;
use crate::sync::message::{Message, NAMED_MAX, Slice};
use crate::sync::owed::Owed;
use crate::sync::progress::{Progress, RETRY_MAX, UnderWay, backoff};
use crate::sync::requests::Requests;
use crate::sync::run::Run;
use crate::sync::step::Step;
use crate::sync::telling::Tellings;
use crate::sync::under::{Under, name_records, overtakes};
use crate::time::Millis;
use crate::vector::VersionVector;

/// A delta of more bytes than this travels in slices of about this size.
pub const SLICE_BYTES: u64 = 256 << 10;

/// A peer that has said nothing for so long, and for two of its link's heartbeats, is asked to answer.
const SILENCE: Millis = 15_000;

/// How often a peer is spoken to, in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// Between two hellos: how long lost messages stay unnoticed.
    pub heartbeat: Millis,
    /// Before an unanswered delta is sent again; doubles with each attempt.
    pub retry: Millis,
    /// How long an acknowledgement may wait for a delta to go with, where the two ends answer each other.
    pub pause: Millis,
}

impl Default for Timing {
    fn default() -> Self {
        Self { heartbeat: 2_000, retry: 1_000, pause: 0 }
    }
}

/// One peer, seen from this replica.
#[derive(Debug)]
pub struct Peer {
    timing: Timing,
    remote: Option<ReplicaId>,
    spaces: LiteMap<Space, Progress>,
    incoming: LiteMap<Space, Incoming>,
    owed: Owed,
    hello_at: Millis,
    heard_at: Millis,
    /// The other end speaks to somebody else: the next words are for whoever is there.
    doubted: bool,
    /// The space whose news filled the last message: the next one begins with those after it.
    turn: Option<Space>,
    /// What a client may see and do; a trusted peer has no gate.
    gate: Option<Gate>,
    /// The peer is an edge that asks who writes.
    asks: bool,
    requests: Requests,
    told: Tellings,
    /// What of the fleet's records this frame's deltas rest on.
    under: Under,
}

impl Peer {
    /// A peer of which nothing is known yet; the first hello is due at once.
    #[must_use]
    pub const fn new(timing: Timing, now: Millis) -> Self {
        Self {
            timing,
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
        }
    }

    /// The same peer as a client: behind a gate.
    #[must_use]
    pub fn behind_gate(mut self, gate: Gate) -> Self {
        self.gate = Some(gate);
        self
    }

    /// Whether the peer is an edge that asks who writes.
    #[must_use]
    pub const fn asks(&self) -> bool {
        self.asks
    }

    /// The gate of a client; `None` for a trusted peer.
    #[must_use]
    pub const fn gate(&self) -> Option<&Gate> {
        self.gate.as_ref()
    }

    /// As [`Peer::gate`], to take note of what the client has proved or sent.
    pub const fn gate_mut(&mut self) -> Option<&mut Gate> {
        self.gate.as_mut()
    }

    fn sees(&self, space: &Space) -> bool {
        self.gate.as_ref().is_none_or(|gate| gate.right(space).is_some())
    }

    /// What this replica holds, in all spaces that the peer may see.
    pub(crate) fn hello(&self, store: &SessionConsistentStore, answer: bool) -> Message {
        let seen = store.spaces().filter(|(space, _)| self.sees(space));
        Message::hello(seen.map(|(space, state)| (space.clone(), state.vector().clone())).collect(), answer)
    }

    /// Forgets what the peer holds and what is under way, and greets it so that it answers: it will send everything.
    pub fn begin_anew(&mut self, now: Millis) {
        self.spaces.clear();
        self.incoming.clear();
        self.told = Tellings::NEW;
        self.owed.clear();
        self.hello_at = now;
        self.doubted = true;
    }

    /// The peer has asked who writes, and was answered: what it did not take is due again at once.
    pub fn was_answered(&mut self) {
        self.asks = true;
        self.resend();
    }

    /// What is under way is due again at once.
    pub fn resend(&mut self) {
        self.spaces.iter_mut().for_each(|(_, progress)| progress.under_way = None);
    }

    /// A peer that is spoken to in requests, one at a time, each of which it answers.
    #[must_use]
    pub fn polled(timing: Timing, now: Millis) -> Self {
        Self { requests: Requests::new(true), ..Self::new(timing, now) }
    }

    /// A peer on a channel that has stayed open while this replica was not in memory: what it holds was written down,
    /// and it needs no greeting. What it lacks is due at once.
    #[must_use]
    pub fn resumed(timing: Timing, remote: ReplicaId, holds: Vec<(Space, VersionVector)>, now: Millis) -> Self {
        let hello_at = now.saturating_add(timing.heartbeat);
        let mut peer = Self { remote: Some(remote), hello_at, ..Self::new(timing, now) };
        for (space, holds) in holds {
            peer.spaces.insert(space, Progress { holds, ..Progress::default() });
        }
        peer
    }

    /// Who the peer is, once it has said so.
    #[must_use]
    pub const fn remote(&self) -> Option<ReplicaId> {
        self.remote
    }

    /// To whom the next words go: nobody by name where the peer is not known, or in doubt.
    #[must_use]
    pub const fn addressee(&self) -> Option<ReplicaId> {
        if self.doubted { None } else { self.remote }
    }

    /// Takes note that the other end takes this one for somebody else. Were the hellos of both ends addressed by what
    /// they believe, two that took new ids at once would never hear each other again.
    pub const fn doubt(&mut self) {
        self.doubted = true;
    }

    /// What the peer is known to hold of a space.
    #[must_use]
    pub fn holds(&self, space: &Space) -> Option<&VersionVector> {
        self.spaces.get(space).map(|progress| &progress.holds)
    }

    /// Whether a peer that comes by request may be expected again: it last came no longer ago than the longest pause.
    #[must_use]
    pub const fn is_awaited(&self, now: Millis) -> bool {
        now <= self.hello_at.saturating_add(RETRY_MAX)
    }

    /// What the peer is known to hold, in every space that it has told of.
    pub fn held(&self) -> impl Iterator<Item = (&Space, &VersionVector)> {
        self.spaces.iter().map(|(space, progress)| (space, &progress.holds))
    }

    /// Makes the next hello due at once, because this replica has something to tell (a new id).
    pub const fn greet(&mut self) {
        self.hello_at = 0;
    }

    /// The clock was set back by so much: pauses stay as long as they were.
    pub fn set_back(&mut self, back: Millis) {
        self.hello_at = self.hello_at.saturating_sub(back);
        self.told.set_back(back);
        self.heard_at = self.heard_at.saturating_sub(back);
        self.owed.set_back(back);
        self.requests.set_back(back);
        for (_, progress) in self.spaces.iter_mut() {
            if let Some(under_way) = &mut progress.under_way {
                under_way.since = under_way.since.saturating_sub(back);
            }
        }
        self.incoming.iter_mut().for_each(|(_, incoming)| incoming.set_back(back));
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
            // Another replica at this end of the link: what was known of the last one says nothing of it.
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
            let screened = match &self.gate {
                Some(gate) => gate.screen(message, store),
                None => Screened::Pass(message),
            };
            match screened {
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
            Message::Behind { space, vector } if self.has_room(&space, store) => {
                let progress = self.spaces.entry(space).or_default();
                progress.holds = vector;
                progress.under_way = None;
            }
            Message::Behind { .. } => {}
            Message::Delta(delta) if overtakes(&self.under, &delta.space, store) => {}
            Message::Delta(delta) => self.take(delta, store, now, step),
            Message::Slice(slice) => self.take_slice(slice, store, now, step),
            Message::TopUp { delta, .. } if overtakes(&self.under, &delta.space, store) => {}
            Message::TopUp { base, delta } => {
                let complete =
                    |incoming: &Incoming| incoming.stage.is_of(&delta.from, &base) && incoming.stage.is_complete();
                let whole = self.incoming.get(&delta.space).is_some_and(complete);
                if let Some(incoming) = whole.then(|| self.incoming.remove(&delta.space)).flatten() {
                    let whole = incoming.stage.finish(delta);
                    // Each part was sound in itself; only now is it known which vector all of them must lie in.
                    match check_keys(&whole.keys, &whole.from, Some(&whole.to), whole.hlc) {
                        Ok(()) => self.take(whole, store, now, step),
                        Err(error) => step.refuse(whole.space, error, Vec::new()),
                    }
                }
            }
            Message::Want { space, from, base, after } => {
                let Some(state) = store.space(&space).filter(|state| state.vector().dominates(&base)) else {
                    // The slices were cut before this replica lost its state: start over.
                    step.replies.push(self.hello(store, true));
                    return;
                };
                let progress = self.spaces.entry(space.clone()).or_default();
                if let Some(under_way) = &mut progress.under_way {
                    under_way.since = now;
                }
                let run = match &mut progress.run {
                    Some(run) if run.is_of(&from, &base) => run,
                    other => other.insert(Run::new(from, base)),
                };
                run.asked(after.as_ref());
                run.fill(&space, state, store.clock().last(), &mut step.replies);
            }
            Message::Foreign { kind } => step.replies.push(Message::Unknown { kind }),
            // The other side tells its own operator; this one tries again, unless it is a client that can do better.
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
            // Of ids, proofs and calls, the replica that owns the link has taken note before.
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

    /// The peer holds this and no more. Unlike an acknowledgement it lowers what is believed, so that a peer whose state
    /// was set back is brought up again; an old hello that comes late costs one delta.
    fn believe(&mut self, vectors: Vec<(Space, VersionVector)>, store: &SessionConsistentStore) {
        self.spaces.retain(|space, _| store.space(space).is_some());
        self.spaces.iter_mut().for_each(|(_, progress)| progress.holds = VersionVector::new());
        for (space, vector) in vectors {
            self.learn(&space, &vector, store);
        }
    }

    /// Whether something of a space may be remembered: of those that this replica holds always, of others no more than it
    /// could hold.
    fn has_room(&self, space: &Space, store: &SessionConsistentStore) -> bool {
        let known = self.spaces.contains_key(space) || store.space(space).is_some();
        known || (self.spaces.len() as u64) < store.limits().spaces
    }

    /// The peer holds at least `vector`.
    pub fn learn(&mut self, space: &Space, vector: &VersionVector, store: &SessionConsistentStore) {
        if !self.has_room(space, store) {
            return;
        }
        let progress = self.spaces.entry(space.clone()).or_default();
        progress.holds.join(vector);
        if progress.under_way.as_ref().is_some_and(|under_way| progress.holds.dominates(&under_way.to)) {
            progress.under_way = None;
            progress.attempts = 0;
            progress.run = None;
        }
    }

    fn take(&mut self, mut delta: Delta, store: &mut SessionConsistentStore, now: Millis, step: &mut Step) {
        let mut news = Vec::new();
        if let Some(sender) = self.gate.as_ref().and_then(|gate| gate.sender(&delta.space, now)) {
            match judge(&delta, store, sender, now) {
                Verdict::Admit(hlc) => delta.hlc = hlc,
                Verdict::Wait(foreign) if foreign.is_empty() => {}
                Verdict::Wait(dots) => {
                    step.unbound.extend(dots.iter().map(|dot| dot.replica));
                    // No fault, and no event: whose these are is asked.
                    let code = ErrorCode::StaleReplica.as_str().into();
                    return step.replies.push(Message::Refused { space: delta.space, code, dots });
                }
                Verdict::Refuse(Refusal { error, dots }) => return step.refuse(delta.space, error, dots),
            }
            let own = |dot: &Dot| sender.bound.contains(&dot.replica);
            news = delta.keys.iter().flat_map(|(_, set)| set).map(Listed::dot).filter(own).take(NAMED_MAX).collect();
        }
        self.gate.iter_mut().for_each(|gate| gate.note_stamp(delta.hlc, store.clock().last(), now));
        let space = delta.space.clone();
        match store.apply(&delta) {
            Ok(changed) => {
                self.learn(&space, &delta.to, store);
                self.owed.put(space.clone(), self.heard_at);
                step.applied.push((space, changed));
            }
            Err(error) if error.code() == ErrorCode::StaleReplica => {
                // What cannot be taken yet tells as well what its sender holds.
                self.learn(&space, &delta.to, store);
                let vector = store.vector(&space).clone();
                step.replies.push(Message::Behind { space, vector });
            }
            Err(error) => step.refuse(space, error, news),
        }
    }

    fn take_slice(&mut self, slice: Slice, store: &SessionConsistentStore, now: Millis, step: &mut Step) {
        let Slice { space, from, base, after, last, keys, .. } = slice;
        if !store.vector(&space).dominates(&from) {
            let vector = store.vector(&space).clone();
            step.replies.push(Message::Behind { space, vector });
            return;
        }
        let retry = self.timing.retry;
        let same = |incoming: &Incoming| incoming.stage.is_of(&from, &base);
        let current = self.incoming.get(&space);
        if !current.is_some_and(same) {
            // Another run of slices: it starts at its beginning, and never disturbs one that is going on.
            if after.is_some() || current.is_some_and(|incoming| !incoming.is_silent(retry, now)) {
                return;
            }
            self.incoming.insert(space.clone(), Incoming::new(from, base, retry, now));
        }
        let Some(incoming) = self.incoming.get_mut(&space) else { return };
        let taken = incoming.take(after.as_ref(), keys, last, retry, now);
        let want = incoming.want(&space);
        if !taken {
            // A sender that begins again has not heard from here, and is told how far this side is. Where the ends talk
            // in requests and responses nobody else would say it, and a run that was cut off would never end.
            step.replies.extend(after.is_none().then_some(want));
            return;
        }
        let staged = self.incoming.values().map(|incoming| incoming.stage.bytes()).sum();
        let (limits, spaces) = (store.limits(), self.incoming.len() as u64);
        let most = self.gate.as_ref().map_or(u64::MAX, Gate::staged_bytes);
        if staged > most || limits.check_bytes(staged).is_err() || spaces > limits.spaces {
            self.incoming.remove(&space);
            let code = ErrorCode::QuotaExceeded.as_str().into();
            step.replies.push(Message::Refused { space, code, dots: Vec::new() });
        } else if !last {
            // Of the slices of one frame the last one is asked after.
            let earlier = |reply: &Message| matches!(reply, Message::Want { space: other, .. } if *other == space);
            step.replies.retain(|reply| !earlier(reply));
            step.replies.push(want);
        }
    }

    /// What to say of this replica's own accord at `now`: news, retries, the heartbeat.
    pub fn speak(&mut self, store: &SessionConsistentStore, now: Millis) -> Vec<Message> {
        let mut messages = Vec::new();
        if self.requests.is_waiting(now) {
            return messages;
        }
        if self.hello_at <= now {
            self.hello_at = now.saturating_add(self.timing.heartbeat);
            // Some peers never speak first: what sleeps between requests. Whoever lives answers, and a dead one is found out.
            let silent = now.saturating_sub(self.heard_at) >= SILENCE.max(self.timing.heartbeat.saturating_mul(2));
            messages.push(self.hello(store, silent || self.addressee().is_none()));
            self.doubted = false;
        }
        for (space, incoming) in &mut self.incoming {
            messages.extend(incoming.want_again(space, self.timing.retry, now));
        }
        if self.remote.is_some() {
            messages.extend(self.tell(store, now).into_iter().flatten());
            messages.extend(self.all_news(&[], store, now));
        }
        let waits = self.waits();
        let mut owed = self.owed.due(&messages, store, (waits, self.timing.pause), now);
        owed.append(&mut messages);
        owed
    }

    /// Whether an acknowledgement is waited for.
    fn waits(&self) -> bool {
        self.spaces.values().any(|progress| progress.under_way.is_some())
    }

    /// Takes the messages of the next frame to the peer out of `messages`. On a link each slice has a frame of its own, so
    /// that it is taken while the next one is on its way.
    pub fn next_frame(
        &mut self,
        messages: &mut Vec<Message>,
        store: &SessionConsistentStore,
        now: Millis,
    ) -> Vec<Message> {
        let slices = self.requests.made(now);
        let is_slice = |(_, message): &(usize, &Message)| matches!(message, Message::Slice(_));
        let end = messages.iter().enumerate().filter(is_slice).nth(slices).map(|(at, _)| at);
        let others = messages.split_off(end.unwrap_or(messages.len()));
        let mut frame = core::mem::replace(messages, others);
        self.name_records(&mut frame, store);
        frame
    }

    /// What to say in return in request and response: what this replica holds, and its news in every space but those
    /// that the peer is fetching in slices.
    pub fn answer(&mut self, fetching: &[Space], store: &SessionConsistentStore, now: Millis) -> Vec<Message> {
        self.hello_at = now.saturating_add(self.timing.heartbeat);
        self.spaces.iter_mut().for_each(|(_, progress)| progress.under_way = None);
        self.owed.clear();
        let mut messages = alloc::vec![self.hello(store, false)];
        self.told.ask_anew();
        messages.extend(self.tell(store, now).into_iter().flatten());
        messages.extend(self.all_news(fetching, store, now));
        self.name_records(&mut messages, store);
        messages
    }

    /// The fences and rows that a trusted peer lacks.
    fn tell(&mut self, store: &SessionConsistentStore, now: Millis) -> [Option<Message>; 2] {
        if self.gate.is_some() || !store.fences().is_shared() {
            return [None, None];
        }
        let pause = |attempts| backoff(self.timing.retry, attempts);
        self.told.tell(store, now, pause)
    }

    fn name_records(&self, messages: &mut Vec<Message>, store: &SessionConsistentStore) {
        if self.gate.is_none() {
            name_records(messages, store, |records| self.holds(records));
        }
    }

    /// The news of every space but those in `fetching`, as far as one message takes them: the others follow when something
    /// of these was acknowledged, and come first then, so that a busy space keeps nobody waiting.
    fn all_news(&mut self, fetching: &[Space], store: &SessionConsistentStore, now: Millis) -> Vec<Message> {
        let (mut messages, mut weight) = (Vec::new(), 0);
        let turn = self.turn.take();
        // The fleet's own spaces come first, whoever's turn it is: what rests on them is not taken before.
        let is_next = |space: &Space| space.is_reserved() || turn.as_ref().is_none_or(|turn| space > turn);
        let (next, later) = (store.spaces().filter(|s| is_next(s.0)), store.spaces().filter(|s| !is_next(s.0)));
        for (space, state) in next.chain(later).filter(|(space, _)| !fetching.contains(space)) {
            if !self.sees(space) {
                continue;
            }
            let Some((message, bytes)) = self.news(space, state, store, now) else { continue };
            messages.push(message);
            weight += bytes;
            if weight >= SLICE_BYTES {
                self.turn = Some(space.clone());
                break;
            }
        }
        messages
    }

    /// The next delta of a space and about how long it is, if the peer lacks something and none is under way.
    fn news(
        &mut self,
        space: &Space,
        state: &SpaceState,
        store: &SessionConsistentStore,
        now: Millis,
    ) -> Option<(Message, u64)> {
        let retry = self.timing.retry;
        let progress = match self.spaces.get_mut(space) {
            Some(progress) => progress,
            None => self.spaces.entry(space.clone()).or_default(),
        };
        if progress.holds.dominates(state.vector()) {
            return None;
        }
        if let Some(under_way) = &progress.under_way {
            if now < progress.repeat_at(under_way, retry) {
                return None;
            }
            progress.attempts = progress.attempts.saturating_add(1);
        }
        progress.under_way = Some(UnderWay { to: state.vector().clone(), since: now });
        let hlc = store.clock().last();
        let from = &progress.holds;
        let weight = state.weight(from, SLICE_BYTES);
        if weight < SLICE_BYTES {
            return Some((Message::Delta(state.extract(space, from, hlc)), weight));
        }
        let run = progress.run.insert(Run::new(from.clone(), state.vector().clone()));
        Some((run.first(space, state, hlc), weight))
    }

    /// When [`Peer::speak`] has something to say next, if nothing changes until then.
    #[must_use]
    pub fn deadline(&self) -> Millis {
        if let Some(at) = self.requests.deadline() {
            return at;
        }
        let retry = self.timing.retry;
        let outgoing = self.spaces.values().filter_map(|progress| {
            let under_way = progress.under_way.as_ref()?;
            Some(progress.repeat_at(under_way, retry))
        });
        let incoming = self.incoming.values().map(Incoming::deadline);
        let owed = self.owed.deadline(self.waits(), self.timing.pause);
        let told = self.told.deadline(|attempts| backoff(retry, attempts));
        let all = outgoing.chain(incoming).chain(owed).chain(told);
        all.fold(self.hello_at, Millis::min)
    }
}
