//! Subscriptions: which keys have changed since a session last fetched. A change that is handed out counts as read.
//!
//! Invariants: a subscription holds keys instead of values, so a slow reader costs no more than its keys. A change is
//! reported only under the session's guarantees. If that is not possible within the timeout, the subscription ends.

use alloc::vec::Vec;

use litemap::LiteMap;

use super::Replica;
use super::sessions::unknown;
use crate::error::{ErrorCode, SessionError};
use crate::guarantee::{Access, Guarantees};
use crate::id::Space;
use crate::io::{Change, Dirty, Effect, Scope, SessionHandle, Terms, WatchId};
use crate::service::access::Right;
use crate::store::entry::Key;
use crate::time::Millis;
use crate::vector::Gap;

/// One subscription.
#[derive(Debug)]
struct Watch {
    session: SessionHandle,
    space: Space,
    scope: Scope,
    guarantees: Guarantees,
    timeout: Millis,
    dirty: Dirty,
    /// The host was told that there is something to fetch.
    told: bool,
    blocked_since: Option<Millis>,
    /// Its session or its space has ended, which must be reported.
    over: bool,
}

/// All subscriptions.
#[derive(Debug, Default)]
pub(super) struct Watches {
    last: u32,
    open: LiteMap<WatchId, Watch>,
}

impl Watches {
    /// Whether there are no subscriptions.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Records that a key has changed.
    pub(super) fn touch(&mut self, space: &Space, key: &Key) {
        let mut own = None;
        for (_, watch) in self.open.iter_mut() {
            if watch.space == *space && watch.scope.covers(key) && !watch.dirty.contains(key) {
                // A copy of its own, since it may wait for long.
                watch.dirty.insert(own.get_or_insert_with(|| key.apart()).clone());
            }
        }
    }

    /// The clock was set back by `back`.
    pub(super) fn set_back(&mut self, back: Millis) {
        for (_, watch) in self.open.iter_mut() {
            watch.blocked_since = watch.blocked_since.map(|since| since.saturating_sub(back));
        }
    }

    /// A session is refused from now on: its subscriptions must fetch the reason.
    pub(super) fn tell(&mut self, session: SessionHandle) {
        self.open.iter_mut().filter(|(_, watch)| watch.session == session).for_each(|(_, watch)| watch.over = true);
    }

    /// A space has ended, up to this generation: no further change in it would end its subscriptions.
    pub(super) fn end_space(&mut self, name: &str, generation: u32) {
        let ends = |space: &Space| space.name() == name && space.generation() <= generation;
        self.open.iter_mut().filter(|(_, watch)| ends(&watch.space)).for_each(|(_, watch)| watch.over = true);
    }

    /// The sessions with subscriptions, and their spaces.
    pub(super) fn sessions(&self) -> impl Iterator<Item = (SessionHandle, &Space)> {
        self.open.values().map(|watch| (watch.session, &watch.space))
    }

    pub(super) fn forget(&mut self, session: SessionHandle) {
        self.open.retain(|_, watch| watch.session != session);
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        let due = |watch: &Watch| {
            watch.blocked_since.filter(|_| !watch.told).map(|since| since.saturating_add(watch.timeout))
        };
        self.open.values().filter_map(due).min()
    }
}

impl Replica {
    /// Subscribes to the keys of `scope` from now on, in the session's current space.
    ///
    /// # Errors
    /// The reason why the session is refused; `KEY_INVALID`.
    pub fn watch(
        &mut self,
        session: SessionHandle,
        scope: Scope,
        terms: Terms,
        now: Millis,
    ) -> Result<WatchId, SessionError> {
        self.input(now);
        self.use_session(session)?;
        let state = self.sessions.get(&session).ok_or_else(unknown)?;
        self.permit(state, Right::Read)?;
        if let Scope::Key(key) = &scope {
            self.store.limits().check_key(key)?;
        }
        self.watches.last += 1;
        let id = WatchId(self.watches.last);
        let watch = Watch {
            session,
            space: state.space.clone(),
            scope,
            guarantees: terms.guarantees.unwrap_or(state.guarantees),
            timeout: terms.timeout.unwrap_or(state.timeout),
            dirty: Dirty::new(),
            told: false,
            blocked_since: None,
            over: false,
        };
        self.watches.open.insert(id, watch);
        Ok(id)
    }

    /// Ends a subscription.
    pub fn unwatch(&mut self, watch: WatchId) {
        self.watches.open.remove(&watch);
    }

    /// The changes since the last call, ordered by key: what each key shows now. They count as read by the session.
    ///
    /// # Errors
    /// `STALE_REPLICA` if changes could not be reported within the timeout; the reason why the session has ended;
    /// `SESSION_NOT_FOUND` if the subscription has ended. The subscription has then ended.
    pub fn next(&mut self, watch: WatchId, now: Millis) -> Result<Vec<Change>, SessionError> {
        self.input(now);
        let gaps = match self.watch_gaps(watch) {
            Ok(gaps) => gaps,
            Err(error) => {
                self.unwatch(watch);
                return Err(error);
            }
        };
        let Some(open) = self.watches.open.get_mut(&watch) else { return Err(unknown()) };
        (open.told, open.over) = (false, false);
        let (session, space) = (open.session, open.space.clone());
        if !gaps.is_empty() {
            let late = open.blocked_since.is_some_and(|since| since.saturating_add(open.timeout) <= now);
            if late {
                self.unwatch(watch);
                return Err(self.stale(&space, gaps));
            }
            return Ok(Vec::new());
        }
        open.blocked_since = None;
        let dirty = core::mem::take(&mut open.dirty);
        let mut changes = Vec::new();
        let mut kept = Dirty::new();
        for key in dirty {
            match self.read_change(session, &space, &key) {
                Some(change) => changes.push(change),
                // Not durable yet: reported once it is.
                None => drop(kept.insert(key)),
            }
        }
        if let Some(open) = self.watches.open.get_mut(&watch) {
            open.dirty.append(&mut kept);
        }
        Ok(changes)
    }

    /// What the replica lacks before it may report a subscription's changes.
    fn watch_gaps(&self, watch: WatchId) -> Result<Vec<Gap>, SessionError> {
        let open = self.watches.open.get(&watch);
        let over = || SessionError::new(ErrorCode::SessionNotFound, "the subscription is over");
        let open = open.ok_or_else(over)?;
        let state = self.sessions.get(&open.session).ok_or_else(unknown)?;
        self.alive(state)?;
        // The session may be in another space now.
        self.permit_in(&open.space, state, Right::Read)?;
        let visible = self.visible(state, &open.space);
        Ok(state.vector.missing(&open.space, open.guarantees, Access::Read, &visible))
    }

    /// Tells the host of subscriptions that have something to fetch, or have waited too long.
    #[inline(never)]
    pub(super) fn notify_watches(&mut self) {
        let due: Vec<WatchId> = self
            .watches
            .open
            .iter()
            .filter(|(_, w)| (w.over || !w.dirty.is_empty()) && !w.told)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let ready = self.watch_gaps(id).map_or(true, |gaps| gaps.is_empty());
            let now = self.now;
            let Some(watch) = self.watches.open.get_mut(&id) else { continue };
            // A subscription that is ready cannot time out; the host may fetch whenever it likes.
            let since = if ready { None } else { Some(*watch.blocked_since.get_or_insert(now)) };
            watch.blocked_since = since;
            if since.is_none_or(|since| since.saturating_add(watch.timeout) <= now) {
                watch.told = true;
                self.fresh.push(Effect::Watch(id));
            }
        }
    }
}
