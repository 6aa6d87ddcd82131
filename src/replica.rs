//! The replica: one state machine with inputs and effects. It composes the parts and routes between them.
//!
//! **The calling contract:** call any input. Then drain [`Replica::poll`] until it returns `None` and carry out the
//! effects in order. Call [`Replica::tick`] at the time of the last [`Effect::Timeout`]. Every input takes the current
//! time.
//!
//! Invariant I5: nothing that an undurable write decided leaves through an effect or an answer before
//! [`Replica::persisted`] has named its record. The machine does no I/O and never calls back.

mod accounts;
mod answer;
mod asker;
mod bonds;
mod calls;
mod clients;
mod config;
mod console;
mod exchange;
mod fleet;
mod fold;
mod front;
mod journal;
mod kills;
mod late;
mod limits;
mod links;
mod lists;
mod login;
mod open;
mod operate;
mod operations;
mod profile;
mod recover;
mod roles;
mod service;
mod session;
mod sessions;
mod storage;
mod tokens;
mod upstream;
mod watches;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub use self::bonds::End;
pub use self::clients::Pass;
pub use self::config::Config;
pub use self::console::Hashing;
pub use self::front::{Ahead, Glance, Kept};
pub use self::links::PeerView;
pub use self::profile::{SessionProfile, StateChange};
pub use self::roles::Asking;
pub use self::session::{Identity, SessionInit, SessionView};
pub use self::upstream::Standing;

use self::calls::Calls;
use self::fold::Folds;
use self::front::Front;
use self::journal::Journal;
use self::links::Links;
use self::operate::Waits;
use self::recover::Recovery;
use self::service::Service;
use self::session::SessionState;
use self::upstream::Upstream;
use self::watches::Watches;
use crate::codec::Rope;
use crate::entropy::Entropy;
use crate::error::{ErrorCode, SessionError};
use crate::id::{ReplicaId, SYSTEM, SessionId, Space};
use crate::identity::{Identities, Secret};
use crate::io::{Effect, Event, Interest, SessionHandle, WaitId};
use crate::mutant::{Mutant, off};
pub use crate::service::failures::{FAILURES_MAX, LOCK_MS};
use crate::session::seal::Keyring;
use crate::session::token::check_limit;
use crate::store::SessionConsistentStore;
use crate::store::entry::{Key, LiveSet};
use crate::store::space::{Changed, Changes};
use crate::sync::gate::ClientLimits;
use crate::time::Millis;
use crate::vector::VersionVector;
use litemap::LiteMap;

/// An effect in the outbox.
#[derive(Debug)]
struct Waiting {
    /// The record that must be durable first.
    gate: u64,
    /// The client's session that receives it and its length, if it waits for storage.
    hearer: Option<(SessionId, usize)>,
    effect: Effect,
}

/// A replica of a session-consistent store, with its sessions and peers.
#[derive(Debug)]
pub struct Replica {
    id: ReplicaId,
    issuer: Arc<str>,
    space: Space,
    timeout: Millis,
    expires_in: Millis,
    token_life: Millis,
    leeway: Millis,
    token_bytes: usize,
    keyring: Option<Keyring>,
    client_limits: ClientLimits,
    /// The ids that this replica has written under, with the secrets that prove them.
    identities: Identities,
    /// Ids of other tabs that share a link with this one.
    siblings: Identities,
    /// When a request for an id was last forwarded.
    passed_on: Millis,
    /// How far the clock of an edge is ahead of the own one, as last reported.
    skew: i64,
    /// The state that is being fetched anew because own writes were refused.
    recovery: Option<Recovery>,
    service: Service,
    entropy: Entropy,
    store: SessionConsistentStore,
    journal: Journal,
    sessions: LiteMap<SessionHandle, SessionState>,
    handles: u32,
    waits: Waits,
    watches: Watches,
    links: Links,
    calls: Calls,
    upstream: Upstream,
    front: Front,
    folds: Folds,
    /// Replica ids that the host knows by number, in the order of their numbers.
    origins: Vec<ReplicaId>,
    /// Others know own writes that this replica does not know: it takes a new id before anything else.
    amnesia: bool,
    /// Another replica may be writing under this id: this one takes a new id before its next write.
    suspect: bool,
    /// Keys with more siblings than the limit.
    crowded: LiteMap<(Space, Key), ()>,
    /// The optional events that the host wants.
    interest: Interest,
    now: Millis,
    /// An input has arrived since the last drain.
    stirred: bool,
    timeout_told: Option<Millis>,
    /// Records for storage.
    records: VecDeque<(u64, Rope)>,
    /// Waits whose answers are ready: decided by durable entries or by the session's own writes.
    settled: VecDeque<WaitId>,
    /// Queries to abort. This reveals nothing, so it waits for no record.
    aborts: VecDeque<(u64, ErrorCode)>,
    /// All other effects, in order, each with the record that must be durable first.
    outbox: VecDeque<Waiting>,
    /// Effects of the current call. They get their gate once the record of their cause exists.
    fresh: Vec<Effect>,
}

impl Replica {
    /// Opens an empty replica with a new id.
    ///
    /// # Errors
    /// `ARGUMENT_INVALID` if the label, a key or the space's name is malformed, if the space is reserved for the fleet,
    /// or if the leeway or the token limit is out of bounds.
    pub fn open(config: Config, now: Millis) -> Result<Self, SessionError> {
        let mut entropy = Entropy::new(config.seed);
        let hidden = entropy.hidden();
        let secret = Secret::from_bytes(entropy.draw());
        let id = secret.id(&config.label)?;
        let mut identities = Identities::default();
        identities.keep(id, secret);
        let keys = config.keys.iter().map(|(kid, key)| (kid.as_str(), key.as_slice()));
        let service = Service::new(&config, Space::first(SYSTEM)?);
        let (issuer, space) = (Arc::from(config.issuer.as_str()), config.space()?);
        Ok(Self {
            id,
            keyring: if config.keys.is_empty() { None } else { Some(Keyring::new(keys)?.of_cluster(&issuer, &space)) },
            issuer,
            space,
            timeout: config.timeout,
            expires_in: config.expires_in,
            token_life: config.token_life,
            leeway: config.leeway()?,
            token_bytes: check_limit(config.token_bytes)?,
            client_limits: config.client_limits,
            identities,
            siblings: Identities::default(),
            passed_on: 0,
            skew: 0,
            recovery: None,
            service,
            entropy,
            store: SessionConsistentStore::new(config.limits).of_fleet(!config.keys.is_empty(), now).seeded(hidden),
            journal: Journal::new(config.storage),
            sessions: LiteMap::new(),
            handles: 0,
            waits: Waits::default(),
            watches: Watches::default(),
            links: Links::new(config.timing, config.client_limits),
            calls: Calls::default(),
            upstream: Upstream::default(),
            front: Front::default(),
            // Half of the default timeout, so that a `sealed()` that needs a checkpoint gets it within its deadline.
            folds: Folds::new(config.timing.heartbeat.min(config.timeout / 2)),
            origins: Vec::new(),
            amnesia: false,
            suspect: false,
            crowded: LiteMap::new(),
            interest: Interest::default(),
            now,
            stirred: true,
            timeout_told: None,
            records: VecDeque::new(),
            settled: VecDeque::new(),
            aborts: VecDeque::new(),
            outbox: VecDeque::new(),
            fresh: Vec::new(),
        })
    }

    /// The time of [`Effect::Timeout`] has come. The next timeout is always reported again, since the timer may have
    /// rung early or before a clock was set.
    pub fn tick(&mut self, now: Millis) {
        self.input(now);
        self.timeout_told = None;
    }

    /// Selects the optional events, which cost one or two versions each and some a value. None are selected at first.
    pub const fn interest(&mut self, interest: Interest) {
        self.interest = interest;
    }

    /// Applies a retirement record: no more than `last` of `replica` will ever exist in `space`.
    pub fn retire(&mut self, space: &Space, replica: ReplicaId, last: u64, now: Millis) {
        self.input(now);
        self.store.retire(space, replica, last);
    }

    /// The id under which this replica writes now.
    #[must_use]
    pub const fn id(&self) -> ReplicaId {
        self.id
    }

    /// The space in which new sessions begin.
    #[must_use]
    pub const fn space(&self) -> &Space {
        &self.space
    }

    /// Whether the replica holds a key of the cluster.
    #[must_use]
    pub const fn is_trusted(&self) -> bool {
        self.keyring.is_some()
    }

    /// The current store, durable or not: for checkers and tests, never for an answer.
    #[must_use]
    pub const fn store(&self) -> &SessionConsistentStore {
        &self.store
    }

    /// What of a space is durable, that is, the vector that others may learn.
    #[must_use]
    pub fn durable(&self, space: &Space) -> &VersionVector {
        self.journal.durable(space, &self.store)
    }

    /// Whether everything written is durable.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.journal.settled()
    }

    /// The next effect; `None` when all are drained.
    #[inline(never)]
    pub fn poll(&mut self) -> Option<Effect> {
        self.work();
        if let Some((plan, reason)) = self.aborts.pop_front() {
            return Some(Effect::Abort { plan, reason });
        }
        if let Some((n, bytes)) = self.records.pop_front() {
            return Some(Effect::Persist { n, bytes });
        }
        if let Some(order) = self.front.order() {
            return Some(order);
        }
        if let Some(wait) = self.settled.pop_front() {
            return Some(Effect::Settled(wait));
        }
        if let Some(unsynced) = self.upstream.news() {
            return Some(Effect::Unsynced(unsynced));
        }
        if !self.is_blocked()
            && let Some(Waiting { hearer, effect, .. }) = self.outbox.pop_front()
        {
            if let Some((hearer, bytes)) = hearer {
                self.links.late.remove(hearer, bytes);
            }
            return Some(effect);
        }
        let timeout = self.next_timeout();
        if timeout != self.timeout_told {
            self.timeout_told = timeout;
            return Some(Effect::Timeout(timeout));
        }
        None
    }

    /// Records that something has arrived at `now`. If the clock was set back, all deadlines move with it, so that a
    /// wait of a second does not become one of an hour because a clock was wrong by an hour.
    fn input(&mut self, now: Millis) {
        self.look_at_clock(now);
        self.stirred = true;
    }

    /// As [`Replica::input`], for calls that have no consequences by themselves.
    fn look_at_clock(&mut self, now: Millis) {
        let back = self.now.saturating_sub(now);
        if back > 0 {
            self.stirred = true;
            self.waits.set_back(back);
            self.watches.set_back(back);
            self.links.set_back(back);
            self.calls.set_back(back);
            self.folds.set_back(back);
            self.upstream.set_back(back);
            self.service.set_back(back);
            self.passed_on = self.passed_on.saturating_sub(back);
        }
        self.now = now;
    }

    /// Does the work that follows from the inputs since the last drain: waits, watches, siblings, the record, news for
    /// peers.
    ///
    /// Its parts are separate functions, skipped if they have nothing to do: an engine recompiles hot code, and that
    /// takes many times as long for one large function as for those of its parts that really run.
    fn work(&mut self) {
        if !core::mem::take(&mut self.stirred) {
            return;
        }
        // At once instead of at the next write: a crash between the two must not bring the old id back.
        if self.amnesia && !off(Mutant::NewId) {
            self.rename();
        }
        self.dismiss_clients();
        if !self.links.bonds.is_empty() {
            self.dismiss_unproved();
        }
        if self.recovery.is_some() {
            self.tend_recovery();
        }
        self.tend_service();
        if !self.crowded.is_empty() {
            self.relieve_crowds();
        }
        if self.folds.is_busy() {
            self.tend_folds();
        }
        self.make_record();
        // An operation that settles may write, and a write may let others settle.
        while self.waits.any() && self.settle() {
            self.make_record();
        }
        if !self.calls.is_empty() {
            self.tend_calls();
        }
        if !self.watches.is_empty() {
            self.notify_watches();
        }
        self.judge_standing();
        // While storage is late, unasked messages are not queued; they are made anew later.
        self.speak(self.is_blocked());
        self.fill_outbox();
    }

    /// Moves the effects of the current call to the outbox. Messages that wait for storage are charged to the session
    /// that receives them.
    #[inline(never)]
    fn fill_outbox(&mut self) {
        if self.fresh.is_empty() {
            return self.links.asking.clear();
        }
        let gate = self.journal.gate();
        let late = self.is_blocked() || !self.journal.open(gate);
        for effect in self.fresh.drain(..) {
            let hearer = if let Effect::Transmit { link, bytes } = &effect
                && late
            {
                self.links.hearer(*link).map(|hearer| (hearer, bytes.len()))
            } else {
                None
            };
            if let Some((hearer, bytes)) = hearer {
                self.links.late.add(hearer, bytes);
            }
            // The number of peers is reported once, however often it has changed in between.
            let counts = |effect: &Effect| matches!(effect, Effect::Event(Event::Peers(_)));
            if late && counts(&effect) && self.outbox.back().is_some_and(|last| counts(&last.effect)) {
                self.outbox.pop_back();
            }
            self.outbox.push_back(Waiting { gate, hearer, effect });
        }
        self.links.asking.clear();
    }

    fn make_record(&mut self) {
        if !self.journal.has_storage() {
            return;
        }
        // A replica with a key needs no secrets to prove its ids.
        let secrets = if self.keyring.is_some() { None } else { Some(&self.identities) };
        self.records.extend(self.journal.record(self.id, secrets, &self.store));
    }

    /// Whether the first effect in the outbox still waits for storage.
    fn is_blocked(&self) -> bool {
        self.outbox.front().is_some_and(|waiting| !self.journal.open(waiting.gate))
    }

    #[inline(never)]
    fn next_timeout(&self) -> Option<Millis> {
        let links = if self.is_blocked() { None } else { self.links.deadline() };
        let own = [self.waits.deadline(), self.service.deadline(), self.watches.deadline(), self.folds.deadline()];
        [self.calls.deadline(), links].into_iter().chain(own).fold(None, sooner)
    }

    /// Whether anybody needs to know which keys of a space have changed.
    fn heeds(&self, space: &Space) -> bool {
        self.interest.changes || self.front.heeds() || !self.watches.is_empty() || *space == self.service.system
    }

    /// Reports what a step changed: to watches, events and the limit on siblings.
    fn note(&mut self, space: &Space, changes: Changes) {
        let limit = self.store.limits().siblings;
        // A replica that only forwards the writes of others has nobody to report to.
        if changes.are_all() && !self.heeds(space) {
            return;
        }
        let state = self.store.space(space);
        self.front.forget_many(changes.len(state));
        let (told, conflicts) = (self.heeds(space), self.interest.conflicts);
        let is_noted = |siblings: usize| siblings > 0 && (conflicts || siblings as u64 > limit);
        for Changed { key, siblings } in changes.keys(state, &|siblings| told || is_noted(siblings)) {
            self.watches.touch(space, &key);
            self.front.forget(space, &key);
            if *space == self.service.system {
                self.heed_system(&key);
            }
            if self.interest.changes {
                let change = self.change(space, &key, self.now);
                self.fresh.push(Effect::Event(Event::Change { space: space.clone(), change }));
            }
            if is_noted(siblings) {
                self.note_conflict(space, &key, limit);
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn note_conflict(&mut self, space: &Space, key: &Key, limit: u64) {
        let entries = self.store.live(space, key).map(LiveSet::entries).unwrap_or_default();
        let [winner, loser, ..] = entries else { return };
        let told = self.interest.conflicts.then(|| (winner.version(), loser.version()));
        // The fleet's records keep all siblings: the last writer must not undo the others.
        if entries.len() as u64 > limit && *space != self.service.system {
            self.crowded.insert((space.clone(), key.clone()), ());
        }
        if let Some((kept, dropped)) = told {
            let (space, key) = (space.clone(), key.clone());
            self.fresh.push(Effect::Event(Event::Conflict { space, key, kept, dropped }));
        }
    }

    /// Takes a new id, because the history of the old one may continue elsewhere.
    #[cold]
    #[inline(never)]
    fn rename(&mut self) {
        let old = self.id;
        // The label was valid once, so it is again; if it were not, keeping the id would be the lesser evil.
        let secret = Secret::from_bytes(self.entropy.draw());
        if let Ok(new) = secret.id(&old.label()) {
            self.id = new;
            self.identities.keep(new, secret);
            self.upstream.renamed(old);
            self.amnesia = false;
            self.folds.clear();
            self.links.greet();
            self.fresh.push(Effect::Event(Event::Renamed { old, new }));
        }
    }
}

/// The earlier of two times, if there are any.
fn sooner(one: Option<Millis>, other: Option<Millis>) -> Option<Millis> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
