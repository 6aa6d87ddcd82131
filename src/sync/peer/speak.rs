//! What a replica sends to a peer unasked or in answer to a request: news, retries, the heartbeat.
//!
//! Invariants:
//!
//! * One delta is under way per space.
//! * A message holds about as much news as one slice; the spaces take turns.
//! * While a request is open, nothing is sent unasked to a peer that is reached by requests.

use alloc::vec::Vec;

use super::{Peer, SILENCE, SLICE_BYTES};
use crate::id::Space;
use crate::store::SessionConsistentStore;
use crate::store::space::SpaceState;
use crate::sync::gate::Gate;
use crate::sync::incoming::Incoming;
use crate::sync::message::Message;
use crate::sync::progress::{UnderWay, backoff};
use crate::sync::run::Run;
use crate::sync::under::name_records;
use crate::time::Millis;

impl Peer {
    /// The messages to send unasked at `now`: news, retries, the heartbeat.
    pub fn speak(&mut self, store: &SessionConsistentStore, now: Millis) -> Vec<Message> {
        if store.has_ended() {
            // There is nothing to send or expect for a space that has ended.
            self.spaces.retain(|space, _| !store.is_over(space));
            self.incoming.retain(|space, _| !store.is_over(space));
        }
        let mut messages = Vec::new();
        if self.requests.is_waiting(now) {
            return messages;
        }
        if self.hello_at <= now {
            self.hello_at = now.saturating_add(self.timing.heartbeat);
            // Some peers never speak first, such as objects that sleep between requests. Asking tells the living from
            // the dead.
            let silent = now.saturating_sub(self.heard_at) >= SILENCE.max(self.timing.heartbeat.saturating_mul(2));
            messages.push(self.hello(store, silent || self.addressee().is_none()));
            self.doubted = false;
        }
        for (space, incoming) in &mut self.incoming {
            messages.extend(incoming.want_again(space, self.timing.retry, now));
        }
        if self.remote.is_some() {
            self.tell(store, now, &mut messages);
            self.all_news(None, store, now, &mut messages);
        }
        if let Some(gate) = &self.gate {
            for (space, progress) in &mut self.spaces {
                if progress.lacks_no_more(store.vector(space)) && gate.right(space).is_some() {
                    self.owed.owe(space.clone(), now);
                }
            }
        }
        let waits = self.waits();
        let mut owed = self.owed.due(&messages, store, (waits, self.timing.pause), now);
        if owed.is_empty() {
            return messages;
        }
        owed.append(&mut messages);
        owed
    }

    /// Whether an acknowledgement is expected.
    fn waits(&self) -> bool {
        self.spaces.values().any(|progress| progress.under_way.is_some())
    }

    /// Takes the messages of the next frame out of `messages`. On a link each slice has a frame of its own, so that the
    /// peer takes it while the next one travels.
    pub fn next_frame(
        &mut self,
        messages: &mut Vec<Message>,
        store: &SessionConsistentStore,
        now: Millis,
    ) -> Vec<Message> {
        let slices = self.requests.made(now);
        let is_slice = |(_, message): &(usize, &Message)| matches!(message, Message::Cut(_));
        let end = messages.iter().enumerate().filter(is_slice).nth(slices).map(|(at, _)| at);
        let others = end.map(|end| messages.split_off(end)).unwrap_or_default();
        let mut frame = core::mem::replace(messages, others);
        self.name_records(&mut frame, store);
        frame
    }

    /// The answer to a request: what this replica holds, and its news in all spaces except those that the peer is
    /// fetching in slices.
    pub fn answer(&mut self, fetching: &[Space], store: &SessionConsistentStore, now: Millis) -> Vec<Message> {
        self.hello_at = now.saturating_add(self.timing.heartbeat);
        self.spaces.iter_mut().for_each(|(_, progress)| progress.under_way = None);
        self.owed.clear();
        let mut messages = Vec::with_capacity(2);
        messages.push(self.hello(store, false));
        self.told.ask_anew();
        self.tell(store, now, &mut messages);
        self.all_news(Some(fetching), store, now, &mut messages);
        self.name_records(&mut messages, store);
        messages
    }

    /// Adds the fences and rows that a trusted peer lacks.
    fn tell(&mut self, store: &SessionConsistentStore, now: Millis, messages: &mut Vec<Message>) {
        if self.gate.is_none() && store.fences().is_shared() {
            let pause = |attempts| backoff(self.timing.retry, attempts);
            messages.extend(self.told.tell(store, now, pause).into_iter().flatten());
        }
    }

    pub(super) fn name_records(&self, messages: &mut Vec<Message>, store: &SessionConsistentStore) {
        if self.gate.is_none() && store.fences().is_shared() {
            name_records(messages, store, |records| self.holds(records));
        }
    }

    /// Adds the news of every space (in an answer: except those in `fetching`) until the message is full. The other
    /// spaces follow after an acknowledgement and then come first, so a busy space delays nobody.
    fn all_news(
        &mut self,
        fetching: Option<&[Space]>,
        store: &SessionConsistentStore,
        now: Millis,
        messages: &mut Vec<Message>,
    ) {
        let (mut weight, asked) = (0, fetching.is_some());
        let fetching = fetching.unwrap_or_default();
        if self.gate.as_mut().is_some_and(|gate| gate.is_quiet(now)) {
            return;
        }
        let (turn, gate) = (self.turn.take(), self.gate.take());
        let mut tell = |(space, state): (&Space, &SpaceState)| {
            let news = if fetching.contains(space) { None } else { self.news(space, state, store, asked, now) };
            let Some((message, bytes)) = news else { return false };
            messages.push(message);
            weight += bytes;
            let full = weight >= SLICE_BYTES;
            if full {
                self.turn = Some(space.clone());
            }
            full
        };
        // The fleet's own spaces always come first, because deltas that rest on them are not accepted before.
        let is_next = |space: &Space| space.is_reserved() || turn.as_ref().is_none_or(|turn| space > turn);
        let rounds: &[bool] = if turn.is_some() { &[true, false] } else { &[true] };
        for next in rounds {
            let full = match gate.as_deref().and_then(Gate::spaces) {
                // A client sees few spaces, however many there are.
                Some(seen) => seen
                    .filter(|space| is_next(space) == *next)
                    .filter_map(|space| Some((space, store.space(space)?)))
                    .any(&mut tell),
                None => store.spaces().filter(|(space, _)| is_next(space) == *next).any(&mut tell),
            };
            if full {
                break;
            }
        }
        self.gate = gate;
    }

    /// The next delta of a space and its approximate length, if the peer lacks something and none is under way.
    fn news(
        &mut self,
        space: &Space,
        state: &SpaceState,
        store: &SessionConsistentStore,
        asked: bool,
        now: Millis,
    ) -> Option<(Message, u64)> {
        let retry = self.timing.retry;
        let growing = self.incoming.get(space).is_some_and(|incoming| incoming.is_growing(retry, now));
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
        let hlc = store.clock().last();
        let from = &progress.holds;
        let small = state.extract_below(space, from, hlc, SLICE_BYTES);
        if growing && small.is_none() && progress.under_way.is_none() {
            // Two replicas that have much for each other take turns: a run begun now would have to name the entries
            // that are arriving once more, behind its slices.
            return None;
        }
        // Each request gets a new answer, whether the last one has arrived or not.
        if !asked || small.is_none() {
            progress.under_way = Some(UnderWay { to: state.vector().clone(), since: now });
            progress.lacked.clear();
        }
        if let Some((delta, weight)) = small {
            return Some((Message::Delta(delta), weight));
        }
        let run = progress.run.insert(Run::new(from.clone(), state.vector().clone()));
        Some((run.first(space, state), SLICE_BYTES))
    }

    /// When [`Peer::speak`] has something to send next, if nothing changes until then.
    #[must_use]
    pub fn deadline(&self) -> Millis {
        if let Some(at) = self.requests.deadline() {
            return at;
        }
        let retry = self.timing.retry;
        let quiet_until = self.gate().map_or(0, Gate::quiet_until);
        let outgoing = self.spaces.values().filter_map(|progress| {
            let under_way = progress.under_way.as_ref()?;
            Some(progress.repeat_at(under_way, retry).max(quiet_until))
        });
        let hushed = (quiet_until > 0).then_some(quiet_until);
        let incoming = self.incoming.values().map(Incoming::deadline);
        let owed = self.owed.deadline(self.waits(), self.timing.pause);
        let told = self.told.deadline(|attempts| backoff(retry, attempts));
        let all = outgoing.chain(hushed).chain(incoming).chain(owed).chain(told);
        all.fold(self.hello_at, Millis::min)
    }
}
