//! A place for a replica: its storage, its clock, its timer, and who waits there. The replica itself comes and goes.

use std::collections::{BTreeMap, VecDeque};

use edge_session::error::SessionError;
use edge_session::id::ReplicaId;
use edge_session::io::{Answer, Effect, WaitId, WatchId};
use edge_session::time::Millis;

use crate::clock::Clock;
use crate::front::Front;
use crate::replica::Replica;
use crate::storage::{Covers, Storage};
use crate::upheaval::Word;

/// One node.
#[derive(Debug)]
pub struct Node {
    /// The replica, unless it has crashed or has not joined yet.
    pub replica: Option<Replica>,
    /// Whether it has ever been opened.
    pub joined: bool,
    /// How often it was opened.
    pub run: u64,
    /// Its storage, which outlives a crash.
    pub storage: Storage,
    /// What storage had said to hold before the last crash.
    pub promised: Covers,
    /// Its clock.
    pub clock: Clock,
    /// When the host's timer rings, in virtual time, and the time that the replica asked for, on its own clock.
    pub timer: Option<(Millis, Millis)>,
    /// What the clock showed when the replica was last told the time.
    pub shown: Millis,
    /// How much time the replica has seen pass: what its clock went forward, whatever it was set back in between.
    pub elapsed: Millis,
    /// Effects that are not carried out yet.
    pub effects: VecDeque<Effect>,
    /// What has settled in the call that began it, before anybody could wait for it.
    pub early: BTreeMap<WaitId, Result<Answer, SessionError>>,
    /// Who waits for what.
    pub waits: BTreeMap<WaitId, usize>,
    /// Who follows what.
    pub watches: BTreeMap<WatchId, usize>,
    /// Whether its storage was ever lost, wholly or in part.
    pub amnesiac: bool,
    /// What its host keeps in front of the replica.
    pub front: Front,
    /// What a replica whose storage was set back hears of its past before anything else, whenever it opens under one of
    /// these ids.
    pub words: BTreeMap<ReplicaId, Word>,
    /// The id that the replica has, or had when it was last seen.
    pub id: Option<ReplicaId>,
}

impl Node {
    /// A node that nobody has opened.
    #[must_use]
    pub fn new(now: Millis) -> Self {
        Self {
            replica: None,
            joined: false,
            run: 0,
            storage: Storage::default(),
            promised: Covers::new(),
            clock: Clock::right(now),
            timer: None,
            shown: now,
            elapsed: 0,
            effects: VecDeque::new(),
            early: BTreeMap::new(),
            waits: BTreeMap::new(),
            watches: BTreeMap::new(),
            amnesiac: false,
            front: Front::default(),
            words: BTreeMap::new(),
            id: None,
        }
    }

    /// Whether a replica is here.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.replica.is_some()
    }

    /// Sets the host's timer for `at` on the replica's clock. It counts time that passes, not what clocks show.
    pub fn arm(&mut self, at: Option<Millis>, now: Millis) {
        self.timer = at.map(|at| (now + at.saturating_sub(self.clock.at(now)), at));
    }

    /// The replica is told the time; answers what its clock shows.
    pub const fn look(&mut self, now: Millis) -> Millis {
        let shows = self.clock.at(now);
        self.elapsed += shows.saturating_sub(self.shown);
        self.shown = shows;
        shows
    }

    /// The replica is gone, with all that was in its memory.
    pub fn stop(&mut self) {
        self.replica = None;
        self.timer = None;
        self.effects.clear();
        self.early.clear();
        self.waits.clear();
        self.watches.clear();
        self.front = Front::default();
    }
}
