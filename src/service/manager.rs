//! The sessions of a replica: beginning, lookup, use, eviction and end.
//!
//! Invariants:
//!
//! * Whether a session is over by time is checked at every use, independently of the timers.
//! * Nothing extends a session's absolute end.
//! * Idle expiry is computed from the latest known use, and a running query is use.
//! * Counts are computed from the live set instead of being maintained.
//! * A limit is exact with respect to what this replica knows.
//! * A session in use is not evicted. An evicted session loses nothing: its token restores it.

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

/// The most sessions that are remembered after their end.
const OVER_MAX: usize = 256;
/// How many sessions in use an eviction skips, at most, to find an unused one.
const PASSED_MAX: usize = 24;

/// The least set-back of the clock, in milliseconds, for which the idle ends of sessions are moved as well.
const SET_BACK_MIN: Millis = 1_000;

/// The limits on a replica's sessions.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// Sessions of this replica.
    pub sessions: u64,
    /// Sessions of one user.
    pub user: u64,
    /// Sessions of one user from one address.
    pub address: u64,
    /// Sessions kept in memory; beyond that the least recently used one that has no handle is evicted.
    pub cached: u64,
    /// Bytes that the sessions in memory may take.
    pub bytes: u64,
    /// How long a session may stay unused, in milliseconds.
    pub idle: Option<Millis>,
}

impl SessionLimits {
    /// Whether some limit needs sessions to be counted by user.
    #[must_use]
    pub const fn by_user(&self) -> bool {
        self.user < u64::MAX || self.address < u64::MAX
    }
}

/// An exceeded limit.
#[derive(Clone, Copy, Debug)]
pub struct Limited {
    /// Its name.
    pub limit: &'static str,
    /// What it allows.
    pub allowed: u64,
}

impl Limited {
    /// The limit of a user's sessions.
    #[must_use]
    pub const fn user(limits: &SessionLimits) -> Self {
        Self { limit: "sessionsPerUser", allowed: limits.user }
    }

    /// The limit of a user's sessions from one address.
    #[must_use]
    pub const fn address(limits: &SessionLimits) -> Self {
        Self { limit: "sessionsPerAddress", allowed: limits.address }
    }

    /// The refusal of another session for `user`. It tells how long the least recently used session has been idle. Only
    /// its own user and God learn which session that is.
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

/// The sessions known to this replica.
#[derive(Debug, Default)]
pub struct SessionManager {
    limits: SessionLimits,
    cache: SessionCache,
    timers: TimerQueue,
    /// Slots by user, maintained only if a limit needs it.
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

    /// How many sessions are known, computed from the live set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cache.len()
    }

    /// Whether no session is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cache.is_empty()
    }

    /// The counts of the cache, the bytes that it holds, and the bytes that it may hold.
    #[must_use]
    pub fn cache(&self) -> (CacheStats, u64, u64) {
        (self.cache.stats, self.cache.bytes() as u64, self.limits.bytes)
    }

    /// All known sessions, most recently used first.
    pub fn iter(&self) -> impl Iterator<Item = &SessionInfo> {
        self.cache.iter()
    }

    /// Ended sessions, the latest last.
    pub fn over(&self) -> impl DoubleEndedIterator<Item = &Over> {
        self.over.iter()
    }

    /// A session, without counting this as use.
    #[must_use]
    pub fn get(&self, id: &SessionId) -> Option<&SessionInfo> {
        self.cache.get(self.cache.find(id)?)
    }

    /// When [`SessionManager::expire`] has work to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.timers.earliest()
    }

    /// Whether the limit of sessions is reached. The caller should first end those whose time is over.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() as u64 >= self.limits.sessions
    }

    /// Adds a handle to a session: a new one, or one that arrives with its token.
    ///
    /// # Errors
    /// `SESSION_EXPIRED` if it is over; `MAX_CONNECTIONS_EXCEEDED`, which names the limit. On the latter nothing has
    /// changed.
    pub fn enter(&mut self, mut new: SessionInfo, now: Millis) -> Result<(), SessionError> {
        if let Some(at) = self.cache.find(&new.id) {
            self.cache.stats.hits += 1;
            // With a leeway, a token may be accepted a little longer than its session lives. A token also reports use
            // elsewhere.
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

    /// Checks whether a known session is over by time, given that it was also used at `used`. Does not count as use.
    ///
    /// # Errors
    /// `SESSION_EXPIRED`.
    pub fn check(&self, id: &SessionId, used: Millis, now: Millis) -> Result<(), SessionError> {
        match self.get(id).map(|known| known.status_used(used, self.limits.idle, now)) {
            Some(status) if status != SessionStatus::Active => Err(expired(status)),
            Some(_) | None => Ok(()),
        }
    }

    /// Records that a session was used elsewhere at `used`.
    pub fn learn(&mut self, id: &SessionId, used: Millis) {
        self.update(id, |known| known.active = known.active.max(used));
    }

    /// The clock was set back by `back`: sessions stay idle for as long as they were. Set-backs below a second are
    /// ignored, since there may be many sessions.
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

    /// Removes a handle from a session, which lives on.
    pub fn leave(&mut self, id: &SessionId) {
        if let Some(known) = self.find_mut(id) {
            known.handles = known.handles.saturating_sub(1);
        }
    }

    /// Records a use of a session, which must not be over.
    ///
    /// # Errors
    /// `SESSION_EXPIRED`. A session that was evicted but is still in use passes: its token decides.
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

    /// Changes the record of a session.
    pub fn update(&mut self, id: &SessionId, change: impl FnOnce(&mut SessionInfo)) {
        if let Some(known) = self.find_mut(id) {
            change(known);
        }
    }

    /// Records that a query of the session has begun or ended. Both count as use.
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

    /// Sets what the other replicas know of a session. Returns the previous value if it differs.
    pub fn note_told(&mut self, id: &SessionId, told: Told) -> Option<Told> {
        let known = self.find_mut(id)?;
        Some(core::mem::replace(&mut known.told, told)).filter(|before| *before != told)
    }

    /// Drops a session that another replica serves now.
    pub fn forget(&mut self, id: &SessionId) {
        if let Some(at) = self.cache.find(id) {
            self.drop_at(at);
        }
    }

    /// Ends a session. Its last state is remembered for a while.
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

    /// Ends sessions whose time is over, at most `most`, and passes each to `tell`. O(1) per session, never a scan. If
    /// more are over, [`SessionManager::deadline`] stays in the past.
    pub fn expire(&mut self, now: Millis, most: usize, mut tell: impl FnMut(&SessionInfo, SessionStatus)) {
        for _ in 0..most {
            let Some(at) = self.timers.pop(now) else { return };
            let Some(known) = self.cache.get(at) else { continue };
            let (status, due) = (known.status(self.limits.idle, now), known.due(self.limits.idle));
            if status == SessionStatus::Active {
                // It was used since, so the timer was too early.
                self.timers.set(at, due.max(now.saturating_add(1)));
            } else if let Some(session) = self.end_at(at, status, None, None, now) {
                tell(session, status);
            }
        }
    }

    /// Ends the session in a slot. Its last state is remembered for a while.
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

    /// How many live sessions of a user satisfy `so`.
    fn count_live(&self, user: &Arc<str>, so: impl Fn(&SessionInfo) -> bool, now: Millis) -> u64 {
        let live = |held: &&SessionInfo| so(held) && held.status(self.limits.idle, now) == SessionStatus::Active;
        self.of_user(user).filter(live).count() as u64
    }

    /// The sessions of a user, live or not; none if no limit needs them by user.
    pub fn of_user(&self, user: &Arc<str>) -> impl Iterator<Item = &SessionInfo> {
        let found = self.by_user.iter_hash(hash(Some(user))).filter_map(|at| self.cache.get(*at));
        found.filter(move |held| held.user.as_ref() == Some(user))
    }

    /// Evicts the least recently used sessions that are not in use, until there is room for another.
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
                // In use, although untouched for long: moves to the head of the list, and the next one is examined.
                self.cache.touch(at);
                kept += 1;
            }
        }
    }
}

/// FNV-1a. Suffices because user names come from the host or from an account.
pub(crate) fn hash(user: Option<&str>) -> u64 {
    user.unwrap_or_default()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The refusal for a session that is over by time.
#[must_use]
pub fn expired(status: SessionStatus) -> SessionError {
    let cause = if status == SessionStatus::IdleExpired {
        "nobody has used the session for too long; begin a new one"
    } else {
        "the session's time is over; begin a new one"
    };
    SessionError::new(ErrorCode::SessionExpired, cause)
}
