//! One transition, and its judgement: what the sessions were shown, and what the replicas hold now.

use std::sync::Arc;

use edge_session::guarantee::Access;
use edge_session::store::entry::LiveSet;
use edge_session::vector::VersionVector;

use crate::bound::{KEYS, REPLICAS};
use crate::node::{IDS, Node};
use crate::session::Session;
use crate::truth::{Set, Write, slot, slots};
use crate::world::{Action, Alarm, Late, Met, State};

impl State {
    /// The state after an action; nothing if it is not possible or changes nothing.
    pub(crate) fn step(&self, action: Action) -> Option<Self> {
        let mut next = match action {
            Action::Read { session, at, key } => self.read(session, at, key),
            Action::Write { session, at, key } => self.write(session, at, key),
            Action::Sync { from, to, whole } => self.sync(from, to, whole),
            Action::Delay { from, to } => self.delay(from, to),
            Action::Arrive { to } => self.arrive(to),
            Action::Persist => self.persist(),
            Action::Crash => self.crash(),
        }?;
        if let Action::Write { at, .. } | Action::Sync { to: at, .. } | Action::Arrive { to: at } = action {
            next.judge_node(at);
        }
        Some(next)
    }

    /// A session as it comes to a replica: its token tells what is durable where it was.
    fn arriving(&self, session: usize, at: usize) -> Session {
        let own = &self.sessions[session];
        match &self.slow {
            Some((slow, durable)) if *slow != at => own.ashore(*slow, durable),
            Some(_) | None => Session::clone(own),
        }
    }

    fn read(&self, number: usize, at: usize, key: usize) -> Option<Self> {
        let mut session = self.arriving(number, at);
        let place = self.place(at);
        if session.is_behind(place, Access::Read) {
            return None;
        }
        let entries = place.node.live(key).map(LiveSet::entries).unwrap_or_default();
        if !entries.iter().all(|entry| session.may_see(number, place, entry)) {
            return None;
        }
        let mut alarm = None;
        if session.wrote & !place.node.held() != 0 {
            alarm = Some(Alarm::ReadYourWrites);
        } else if session.read & !place.node.held() != 0 {
            alarm = Some(Alarm::MonotonicReads);
        }
        if let Some(winner) = entries.first() {
            session.vector.record_read(&crate::node::SPACE, winner.dot());
            session.unsettled |= !place.durable.vector().contains(winner.dot());
            match self.truth.of(winner.dot()) {
                Some(slot) => session.read |= 1 << slot,
                None => alarm = Some(Alarm::State),
            }
        }
        session.done += 1;
        let mut next = self.clone();
        next.sessions[number] = Arc::new(session);
        next.alarm = alarm;
        next.met = if entries.len() > 1 { Met::Siblings } else { Met::Nothing };
        Some(next)
    }

    fn write(&self, number: usize, at: usize, key: usize) -> Option<Self> {
        let mut session = self.arriving(number, at);
        let place = self.place(at);
        if session.is_behind(place, Access::Write) {
            return None;
        }
        let slot = slot(number, session.done);
        let (node, dot) = place.node.write(at, number, key, slot);
        let hlc = node.live(key)?.winner()?.hlc;
        let past = place.node.held();
        let write = Write { key: key as u8, dot, hlc, past, wrote: session.wrote, read: session.read };
        let alarm = if self.truth.of(dot).is_some() {
            Some(Alarm::DotTwice)
        } else if !self.truth.is_above(&write) {
            Some(Alarm::Arbitration)
        } else {
            None
        };
        session.vector.record_write(&crate::node::SPACE, dot);
        session.wrote |= 1 << slot;
        session.done += 1;
        session.unsettled = self.slow.as_ref().is_some_and(|(slow, _)| *slow == at);
        let mut next = self.clone();
        next.sessions[number] = Arc::new(session);
        next.nodes[at] = Arc::new(node);
        next.truth.put(slot, write);
        next.alarm = alarm;
        next.met = Met::Nothing;
        Some(next)
    }

    /// What one replica says to another: only what its storage has, since what the other's has, or since nothing.
    fn said(&self, from: usize, to: usize, whole: bool) -> Option<Late> {
        let (sender, empty) = (self.durable(from), VersionVector::new());
        let since = if whole { &empty } else { self.durable(to).vector() };
        // To somebody who is known to hold nothing both are the same.
        if !whole && since.is_empty() {
            return None;
        }
        Some(Late { delta: sender.extract(since)?, held: sender.held() })
    }

    fn sync(&self, from: usize, to: usize, whole: bool) -> Option<Self> {
        let said = self.said(from, to, whole)?;
        self.taken(&said, to, Met::Nothing)
    }

    fn delay(&self, from: usize, to: usize) -> Option<Self> {
        let known = !self.durable(to).vector().is_empty();
        let late = self.said(from, to, !known)?;
        // What nobody lacks is no news to anybody, however late.
        if self.nodes.iter().all(|node| late.held & !node.held() == 0) {
            return None;
        }
        let late = Some(Arc::new(late));
        Some(Self { late, met: Met::Nothing, ..self.clone() })
    }

    fn arrive(&self, to: usize) -> Option<Self> {
        self.taken(self.late.as_ref()?, to, Met::Lateness)
    }

    fn taken(&self, said: &Late, to: usize, met: Met) -> Option<Self> {
        let node = Arc::new(self.nodes[to].apply(&said.delta, said.held)?);
        let mut next = self.clone();
        next.nodes[to] = node;
        next.met = met;
        Some(next)
    }

    fn persist(&self) -> Option<Self> {
        let (slow, durable) = self.slow.as_ref()?;
        if *durable == self.nodes[*slow] {
            return None;
        }
        let mut next = self.clone();
        next.slow = Some((*slow, Arc::clone(&self.nodes[*slow])));
        next.met = Met::Nothing;
        for session in next.sessions.iter_mut().filter(|session| session.unsettled) {
            Arc::make_mut(session).unsettled = false;
        }
        Some(next)
    }

    /// The replica goes on from what its storage has. Sessions that were there go on from their tokens.
    fn crash(&self) -> Option<Self> {
        let (slow, durable) = self.slow.as_ref()?;
        let lost = self.nodes[*slow].held() & !durable.held();
        let mut next = self.clone();
        next.slow = None;
        next.nodes[*slow] = Arc::clone(durable);
        for session in next.sessions.iter_mut().filter(|session| session.unsettled) {
            *session = Arc::new(session.ashore(*slow, durable));
        }
        // What came from elsewhere is elsewhere still; what was written here is nowhere.
        let lost = slots(lost).filter(|slot| self.truth.get(*slot).is_some_and(|w| w.dot.replica == IDS[*slow]));
        let lost: Set = lost.fold(0, |set, slot| set | 1 << slot);
        next.met = if lost == 0 { Met::Nothing } else { Met::Loss };
        if next.depends_on(lost) {
            next.alarm = Some(Alarm::Durability);
        }
        next.truth.lose(lost);
        Some(next)
    }

    fn depends_on(&self, writes: Set) -> bool {
        let sessions = self.sessions.iter().map(|session| session.wrote | session.read);
        let nodes = self.nodes.iter().map(|node| node.held());
        let late = self.late.iter().map(|late| late.held);
        sessions.chain(nodes).chain(late).any(|held| held & writes != 0)
    }

    /// What a replica holds now, judged by itself and beside the others.
    fn judge_node(&mut self, at: usize) {
        if self.alarm.is_some() {
            return;
        }
        let (node, truth) = (&self.nodes[at], &self.truth);
        let others = (0..REPLICAS).filter(|other| *other != at).map(|other| &self.nodes[other]);
        self.alarm = if !truth.is_closed(node.held(), |write| write.wrote) {
            Some(Alarm::MonotonicWrites)
        } else if !truth.is_closed(node.held(), |write| write.read) {
            Some(Alarm::WritesFollowReads)
        } else if !self.is_true(node) {
            Some(Alarm::State)
        } else if others.filter(|other| other.vector() == node.vector()).any(|other| !other.is_equal(node)) {
            Some(Alarm::Convergence)
        } else {
            None
        };
    }

    /// Whether a replica's live sets and vector are those of the writes that it holds in truth.
    fn is_true(&self, node: &Node) -> bool {
        let shown = |key: usize| node.live(key).map(LiveSet::entries).unwrap_or_default();
        let all = slots(node.held()).filter_map(|slot| self.truth.get(slot)).map(|w| (w.dot.replica, w.dot.sequence));
        let vector: VersionVector = all.collect();
        *node.vector() == vector && (0..KEYS.len()).all(|key| self.truth.shows(node.held(), key, shown(key)))
    }
}
