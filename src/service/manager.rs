//! The sessions of a replica: begun, found, touched, evicted, over.
//!
//! Invariants: whether a session is over by time is asked at every use, whatever the timers have done; its absolute end is
//! extended by nothing; idle expiry is computed from the greatest last use that is known, and a running query is use;
//! counts are those of the live set, kept by nobody; a limit is exact for what this replica knows; a session in use is not
//! evicted, and an evicted one is as good as ever: its token rebuilds it.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use hashbrown::HashTable;

use super::cache::{CacheStats, SessionCache};
use super::expiry::TimerQueue;
use super::record::{Over, SessionInfo, SessionStatus, Told};
use super::role::ROOT;
use crate::error::{Details, ErrorCode, SessionError};
use crate::id::SessionId;
use crate::mutant::{Mutant, Service as Rule, off};
use crate::time::Millis;

/// The most sessions that are over and remembered.
const OVER_MAX: usize = 256;
/// How many sessions in use are passed over, at most, to find one that nobody uses.
const PASSED_MAX: usize = 24;

/// By how much a clock is set back, at least, for the idle ends of sessions to be set back with it, in milliseconds.
const SET_BACK_MIN: Millis = 1_000;

/// What a replica's sessions are bounded by.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// Sessions of this replica.
    pub sessions: u64,
    /// Sessions of one user.
    pub user: u64,
    /// Sessions of one user from one address.
    pub address: u64,
    /// Sessions that are kept in memory; the least used that nobody uses is dropped.
    pub cached: u64,
    /// Bytes that these may take.
    pub bytes: u64,
    /// How long a session may stay unused, in milliseconds.
    pub idle: Option<Millis>,
}

impl SessionLimits {
    /// Whether the sessions of a user are counted.
    #[must_use]
    pub const fn by_user(&self) -> bool {
        self.user < u64::MAX || self.address < u64::MAX
    }
}

/// One of the limits.
#[derive(Clone, Copy, Debug)]
pub struct Limited {
    /// Its name.
    pub limit: &'static str,
    /// What it allows.
    pub allowed: u64,
}

impl Limited {
    /// That of a user's sessions.
    #[must_use]
    pub const fn user(limits: &SessionLimits) -> Self {
        Self { limit: "sessionsPerUser", allowed: limits.user }
    }

    /// That of a user's sessions from one address.
    #[must_use]
    pub const fn address(limits: &SessionLimits) -> Self {
        Self { limit: "sessionsPerAddress", allowed: limits.address }
    }

    /// The refusal of one more, for a session of `user`. Of the one that was used longest ago it tells for how long; which one it
    /// is, to its own user and to God alone.
    #[must_use]
    pub fn exceeded(self, oldest: Option<&SessionInfo>, user: Option<&Arc<str>>, now: Millis) -> SessionError {
        let Self { limit, allowed } = self;
        let idle = oldest.map(|held| now.saturating_sub(held.active));
        let own = |held: &&SessionInfo| user.is_some_and(|user| held.user.as_ref() == Some(user) || &**user == ROOT);
        let named = oldest.filter(|held| own(held) || off(Mutant::Service(Rule::Named)));
        let which = named.map_or_else(String::new, |held| format!(": {}", held.id.to_text()));
        let which =
            idle.map_or(which.clone(), |idle| format!("; the one used longest ago has been idle for {idle} ms{which}"));
        let cause = format!("the limit {limit} allows {allowed}; end a session first, or come again later{which}");
        let details = Details::Crowded { limit, allowed, idle, oldest: named.map(|held| held.id) };
        SessionError::new(ErrorCode::MaxConnectionsExceeded, cause).with(details)
    }
}

impl Default for SessionLimits {
    fn default() -> Self {
        let none = u64::MAX;
        Self { sessions: none, user: none, address: none, cached: 1 << 20, bytes: 256 << 20, idle: None }
    }
}

/// The sessions that this replica knows.
#[derive(Debug, Default)]
pub struct SessionManager {
    limits: SessionLimits,
    cache: SessionCache,
    timers: TimerQueue,
    /// Places by user: kept only where a limit asks for it.
    by_user: HashTable<u32>,
    over: VecDeque<Over>,
}

impl SessionManager {
    /// No sessions yet.
    #[must_use]
    pub fn new(limits: SessionLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The limits.
    #[must_use]
    pub const fn limits(&self) -> &SessionLimits {
        &self.limits
    }

    /// How many sessions are known: the live set, not a counter.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cache.len()
    }

    /// Whether no session is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cache.is_empty()
    }

    /// What the cache counted, the bytes that it holds, and those that it may hold.
    #[must_use]
    pub fn cache(&self) -> (CacheStats, u64, u64) {
        (self.cache.stats, self.cache.bytes() as u64, self.limits.bytes)
    }

    /// Every session that is known, the one used last first.
    pub fn iter(&self) -> impl Iterator<Item = &SessionInfo> {
        self.cache.iter()
    }

    /// Sessions that are over, the latest last.
    pub fn over(&self) -> impl DoubleEndedIterator<Item = &Over> {
        self.over.iter()
    }

    /// A session, without touching it.
    #[must_use]
    pub fn get(&self, id: &SessionId) -> Option<&SessionInfo> {
        self.cache.get(self.cache.find(id)?)
    }

    /// When [`SessionManager::expire`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.timers.earliest()
    }

    /// Whether no session more may begin here, until some are over: those whose time is over are to be ended first.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() as u64 >= self.limits.sessions
    }

    /// Takes a session in: a new one, or one that comes with its token. One handle more uses it.
    ///
    /// # Errors
    /// `SESSION_EXPIRED` for one that is over; `MAX_CONNECTIONS_EXCEEDED`, which names the limit. Nothing has changed.
    pub fn enter(&mut self, mut new: SessionInfo, now: Millis) -> Result<(), SessionError> {
        if let Some(at) = self.cache.find(&new.id) {
            self.cache.stats.hits += 1;
            // A token is taken a little longer than its session lives, where clocks differ. It also tells of uses elsewhere.
            if let Some(known) = self.cache.get_mut(at) {
                known.expires = known.expires.max(new.expires);
                known.active = known.active.max(new.active);
            }
            let status = self.cache.get(at).map(|known| known.status(self.limits.idle, now));
            if let Some(status) = status.filter(|status| *status != SessionStatus::Active) {
                self.finish(&new.id, status, None, None, now);
                return Err(expired(status));
            }
            if let Some(known) = self.cache.get_mut(at) {
                known.handles += 1;
                known.home = new.home;
                known.space = new.space;
            }
            self.cache.touch(at);
            return Ok(());
        }
        self.cache.stats.misses += 1;
        let status = new.status(self.limits.idle, now);
        if status != SessionStatus::Active {
            return Err(expired(status));
        }
        self.check_limits(&new, now)?;
        self.make_room();
        let (due, key) = (new.due(self.limits.idle), self.key(&new));
        new.handles = 1;
        let at = self.cache.insert(new);
        if let Some(key) = key {
            let cache = &self.cache;
            let hash_of: &dyn Fn(&u32) -> u64 = &|at| cache.get(*at).map_or(0, |held| hash(held.user.as_deref()));
            self.by_user.insert_unique(key, at, hash_of); // any function, as in store/numbered.rs
        }
        self.timers.set(at, due);
        Ok(())
    }

    /// Whether a session, if it is known, is over by time, where it was used at `used` as well; it is not touched.
    ///
    /// # Errors
    /// `SESSION_EXPIRED`.
    pub fn check(&self, id: &SessionId, used: Millis, now: Millis) -> Result<(), SessionError> {
        match self.get(id).map(|known| known.status_used(used, self.limits.idle, now)) {
            Some(status) if status != SessionStatus::Active => Err(expired(status)),
            Some(_) | None => Ok(()),
        }
    }

    /// A session was used elsewhere, at this time.
    pub fn learn(&mut self, id: &SessionId, used: Millis) {
        self.update(id, |known| known.active = known.active.max(used));
    }

    /// The clock was set back by so much: who was not used for so long was not, still. Not by less than a second, for there may
    /// be many.
    pub fn set_back(&mut self, back: Millis) {
        if self.limits.idle.is_none() || back < SET_BACK_MIN {
            return;
        }
        let places: Vec<u32> = self.cache.oldest().collect();
        for at in places {
            let Some(known) = self.cache.get_mut(at) else { continue };
            known.active = known.active.saturating_sub(back);
            let due = known.due(self.limits.idle);
            self.timers.set(at, due);
        }
    }

    /// One handle less uses a session. It lives on.
    pub fn leave(&mut self, id: &SessionId) {
        if let Some(known) = self.find_mut(id) {
            known.handles = known.handles.saturating_sub(1);
        }
    }

    /// Uses a session: it must not be over.
    ///
    /// # Errors
    /// `SESSION_EXPIRED`. A session that was evicted and is in use nevertheless is none of this replica's business: it
    /// is let pass, for its token decides.
    pub fn touch(&mut self, id: &SessionId, now: Millis) -> Result<(), SessionError> {
        let Some(at) = self.cache.find(id) else { return Ok(()) };
        let Some(known) = self.cache.get_mut(at) else { return Ok(()) };
        let status = known.status(self.limits.idle, now);
        if status == SessionStatus::Active {
            known.active = known.active.max(now);
            self.cache.touch(at);
            return Ok(());
        }
        self.finish(id, status, None, None, now);
        Err(expired(status))
    }

    /// Changes what a session has done, or where it is.
    pub fn update(&mut self, id: &SessionId, change: impl FnOnce(&mut SessionInfo)) {
        if let Some(known) = self.find_mut(id) {
            change(known);
        }
    }

    /// A query of the session has begun, or ended: both are use.
    pub fn count_query(&mut self, id: &SessionId, begins: bool, now: Millis) {
        let idle = self.limits.idle;
        let Some(at) = self.cache.find(id) else { return };
        let Some(known) = self.cache.get_mut(at) else { return };
        known.active = known.active.max(now);
        known.queries = if begins {
            known.queries + 1
        } else {
            known.queries.saturating_sub(u32::from(!off(Mutant::Service(Rule::Count))))
        };
        known.stats.queries += u32::from(begins);
        let due = known.due(idle);
        self.timers.set(at, due);
    }

    /// Notes what the others know of a session; what it was before, if that is another.
    pub fn note_told(&mut self, id: &SessionId, told: Told) -> Option<Told> {
        let known = self.find_mut(id)?;
        Some(core::mem::replace(&mut known.told, told)).filter(|before| *before != told)
    }

    /// Lets go of a session that is another replica's now.
    pub fn forget(&mut self, id: &SessionId) {
        if let Some(at) = self.cache.find(id) {
            self.drop_at(at);
        }
    }

    /// Ends a session for a reason. Its last state is remembered for a while.
    pub fn finish(
        &mut self,
        id: &SessionId,
        status: SessionStatus,
        by: Option<&str>,
        why: Option<&str>,
        now: Millis,
    ) -> Option<SessionInfo> {
        let at = self.cache.find(id)?;
        let text = |text: Option<&str>| text.map(String::from);
        self.end_at(at, status, text(by), text(why), now).cloned()
    }

    /// Ends sessions whose time is over, at most so many, and tells of each; O(1) each, never a scan. Where more are over,
    /// [`SessionManager::deadline`] has passed still.
    pub fn expire(&mut self, now: Millis, most: usize, mut tell: impl FnMut(&SessionInfo, SessionStatus)) {
        for _ in 0..most {
            let Some(at) = self.timers.pop(now) else { return };
            let Some(known) = self.cache.get(at) else { continue };
            let (status, due) = (known.status(self.limits.idle, now), known.due(self.limits.idle));
            if status == SessionStatus::Active {
                // It was used since: the timer was too early.
                self.timers.set(at, due.max(now.saturating_add(1)));
            } else if let Some(session) = self.end_at(at, status, None, None, now) {
                tell(session, status);
            }
        }
    }

    /// The session at a place is over; its last state is remembered for a while.
    fn end_at(
        &mut self,
        at: u32,
        status: SessionStatus,
        by: Option<String>,
        why: Option<String>,
        now: Millis,
    ) -> Option<&SessionInfo> {
        let session = self.drop_at(at)?;
        if self.over.len() == OVER_MAX {
            self.over.pop_front();
        }
        self.over.push_back(Over { session, status, at: now, by, why });
        self.over.back().map(|over| &over.session)
    }

    fn find_mut(&mut self, id: &SessionId) -> Option<&mut SessionInfo> {
        let at = self.cache.find(id)?;
        self.cache.get_mut(at)
    }

    fn drop_at(&mut self, at: u32) -> Option<SessionInfo> {
        self.timers.remove(at);
        if let Some(key) = self.cache.get(at).and_then(|held| self.key(held))
            && let Ok(entry) = self.by_user.find_entry(key, |held| *held == at)
        {
            entry.remove();
        }
        self.cache.remove(at)
    }

    fn key(&self, session: &SessionInfo) -> Option<u64> {
        session.user.as_deref().filter(|_| self.limits.by_user()).map(|user| hash(Some(user)))
    }

    fn check_limits(&self, new: &SessionInfo, now: Millis) -> Result<(), SessionError> {
        if off(Mutant::Service(Rule::Limit)) {
            return Ok(());
        }
        let SessionLimits { sessions, user, address, .. } = self.limits;
        let refuse = |limit: Limited, of: &dyn Fn(&SessionInfo) -> bool| {
            let oldest = self.cache.oldest().filter_map(|at| self.cache.get(at)).find(|held| of(held));
            Err(limit.exceeded(oldest, new.user.as_ref(), now))
        };
        if self.is_full() {
            return refuse(Limited { limit: "sessions", allowed: sessions }, &|_| true);
        }
        let Some(name) = &new.user else { return Ok(()) };
        let same_user = |held: &SessionInfo| held.user == new.user;
        if user < u64::MAX && self.count_live(name, same_user, now) >= user {
            return refuse(Limited::user(&self.limits), &same_user);
        }
        let same_address = |held: &SessionInfo| held.user == new.user && held.address == new.address;
        if address < u64::MAX && self.count_live(name, same_address, now) >= address {
            return refuse(Limited::address(&self.limits), &same_address);
        }
        Ok(())
    }

    /// How many live sessions of a user are so.
    fn count_live(&self, user: &Arc<str>, so: impl Fn(&SessionInfo) -> bool, now: Millis) -> u64 {
        let live = |held: &&SessionInfo| so(held) && held.status(self.limits.idle, now) == SessionStatus::Active;
        self.of_user(user).filter(live).count() as u64
    }

    /// The sessions of a user, live or not; none where no limit asks for them.
    pub fn of_user(&self, user: &Arc<str>) -> impl Iterator<Item = &SessionInfo> {
        let found = self.by_user.iter_hash(hash(Some(user))).filter_map(|at| self.cache.get(*at));
        found.filter(move |held| held.user.as_ref() == Some(user))
    }

    /// Drops the sessions that were used longest ago and that nobody uses, until one more has place.
    fn make_room(&mut self) {
        let full = |cache: &SessionCache, limits: &SessionLimits| {
            cache.len() as u64 >= limits.cached || cache.bytes() as u64 >= limits.bytes
        };
        let mut kept = 0;
        while full(&self.cache, &self.limits) && kept < PASSED_MAX {
            let Some(at) = self.cache.oldest().next() else { return };
            if self.cache.get(at).is_some_and(|held| held.handles == 0 && held.queries == 0) {
                self.drop_at(at);
                self.cache.stats.evictions += 1;
            } else {
                // In use, though untouched for long: it goes to the back, and the next is looked at.
                self.cache.touch(at);
                kept += 1;
            }
        }
    }
}

/// FNV-1a: the names of users are the host's word, or an account's.
pub(crate) fn hash(user: Option<&str>) -> u64 {
    user.unwrap_or_default()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The refusal of a session that is over by time.
#[must_use]
pub fn expired(status: SessionStatus) -> SessionError {
    let cause = if status == SessionStatus::IdleExpired {
        "nobody has used the session for too long; begin a new one"
    } else {
        "the session's time is over; begin a new one"
    };
    SessionError::new(ErrorCode::SessionExpired, cause)
}
