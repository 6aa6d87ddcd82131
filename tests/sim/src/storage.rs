//! A replica's storage: records arrive in order, become durable late, and what was not durable is lost in a crash.
//!
//! It knows the order of what it was given and nothing of what it means, except for the vectors that a record reaches,
//! which the checker is told when the record is durable. It can also break its word: an old state of it comes back.

use std::collections::{BTreeMap, VecDeque};

use edge_session::id::{ReplicaId, Space};
use edge_session::sync::message::{Frame, Message};
use edge_session::time::Millis;

/// What a record or snapshot reaches.
pub type Covers = BTreeMap<(Space, ReplicaId), u64>;

/// A record or a snapshot.
#[derive(Clone, Debug)]
struct Item {
    position: u64,
    /// The record's number in this run; the number that a snapshot stands for.
    n: u64,
    bytes: Vec<u8>,
    snapshot: bool,
    covers: Covers,
}

/// The storage of one node.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    items: VecDeque<Item>,
    last: u64,
    done: u64,
    told: u64,
    busy_until: Millis,
    reaches: Covers,
    /// What was kept before the last snapshot took its place.
    backup: Vec<Item>,
}

impl Storage {
    /// Takes a record or snapshot; tells its position and when it will be durable.
    pub fn take(&mut self, n: u64, bytes: Vec<u8>, snapshot: bool, now: Millis, latency: Millis) -> (u64, Millis) {
        self.last += 1;
        self.busy_until = self.busy_until.max(now) + latency;
        join(&mut self.reaches, &covers(&bytes));
        let covers = self.reaches.clone();
        self.items.push_back(Item { position: self.last, n, bytes, snapshot, covers });
        (self.last, self.busy_until)
    }

    /// Everything up to `position` is durable; a snapshot stands for all before it.
    pub fn finish(&mut self, position: u64) {
        self.done = self.done.max(position);
        let snapshot = self.items.iter().rev().find(|item| item.snapshot && item.position <= self.done);
        if let Some(position) = snapshot.map(|item| item.position).filter(|at| self.items[0].position < *at) {
            self.backup = self.items.iter().filter(|item| item.position < position).cloned().collect();
            self.items.retain(|item| item.position >= position);
        }
    }

    /// The replica is told up to `position`; answers the record's number and what is then known to be durable.
    pub fn tell(&mut self, position: u64) -> Option<(u64, Covers)> {
        if position <= self.told {
            return None;
        }
        self.told = position;
        self.items.iter().find(|item| item.position == position).map(|item| (item.n, item.covers.clone()))
    }

    /// The positions at which a crash can cut: from what is durable to everything that was taken.
    #[must_use]
    pub const fn cuts(&self) -> (u64, u64) {
        (self.done, self.last)
    }

    /// A crash: what lies above `position` is lost. Answers what is kept.
    pub fn cut(&mut self, position: u64) -> Covers {
        self.finish(position);
        self.items.retain(|item| item.position <= position);
        self.restart(position);
        self.reaches.clone()
    }

    /// An old state comes back, as if a disk or a virtual machine was set back: the first `keep` of what is kept, or of
    /// what was kept before the last snapshot (`older`). Answers what is kept; `None` if there is no such state.
    pub fn roll_back(&mut self, keep: usize, older: bool) -> Option<Covers> {
        if older && self.backup.is_empty() {
            return None;
        }
        if older {
            self.items = std::mem::take(&mut self.backup).into();
        }
        self.items.truncate(keep.max(1));
        self.restart(self.items.back()?.position);
        Some(self.reaches.clone())
    }

    /// The id under which a replica would be opened.
    #[must_use]
    pub fn id(&self) -> Option<ReplicaId> {
        self.frames().last().and_then(|frame| Frame::decode(frame).ok()).map(|frame| frame.from)
    }

    /// Whether a replica that crashes now may come back under this id: a new id that is not durable is forgotten.
    #[must_use]
    pub fn may_bring_back(&self, id: ReplicaId) -> bool {
        let durable = self.items.iter().rposition(|item| item.position <= self.done).unwrap_or(0);
        let from = |item: &Item| Frame::decode(&item.bytes).ok().map(|frame| frame.from);
        self.items.iter().skip(durable).any(|item| from(item) == Some(id))
    }

    /// How far what was taken reaches.
    #[must_use]
    pub fn reaches(&self, space: &Space, id: ReplicaId) -> u64 {
        self.reaches.get(&(space.clone(), id)).copied().unwrap_or(0)
    }

    /// How many records and snapshots are kept, now and before the last snapshot.
    #[must_use]
    pub fn kept(&self) -> (usize, usize) {
        (self.items.len(), self.backup.len())
    }

    fn restart(&mut self, position: u64) {
        (self.last, self.done, self.told, self.busy_until) = (position, position, position, 0);
        self.reaches = self.items.back().map_or_else(Covers::new, |item| item.covers.clone());
    }

    /// Everything is lost.
    pub fn wipe(&mut self) {
        *self = Self::default();
    }

    /// What is kept, in order.
    pub fn frames(&self) -> impl Iterator<Item = &[u8]> {
        self.items.iter().map(|item| item.bytes.as_slice())
    }

    /// Whether everything is durable and told.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.told == self.last
    }
}

fn join(all: &mut Covers, more: &Covers) {
    for (place, last) in more {
        let own = all.entry(place.clone()).or_default();
        *own = (*own).max(*last);
    }
}

/// A record may hold nothing but a new id.
fn covers(bytes: &[u8]) -> Covers {
    let mut covers = Covers::new();
    for message in Frame::decode(bytes).map_or_else(|_| Vec::new(), |frame| frame.messages) {
        if let Message::Delta(delta) = message {
            covers.extend(delta.to.iter().map(|(id, last)| ((delta.space.clone(), id), last)));
        }
    }
    covers
}
