//! Information about a session in use for inspection: its role, what it has done, and the history of its status.
//!
//! Only counts are kept for this. A session changes its status once, so its history is its beginning and, if it is
//! over, its end.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Replica;
use crate::id::SessionId;
use crate::io::{Policy, SessionHandle};
use crate::service::access::Actor;
use crate::service::record::{SessionInfo, SessionStats, SessionStatus};
use crate::service::role::RoleType;
use crate::store::fence::Fence;
use crate::time::Millis;

/// A status that a session has reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateChange {
    /// The status.
    pub status: SessionStatus,
    /// When.
    pub at: Millis,
    /// Who caused it, if somebody did.
    pub by: Option<String>,
    /// Why, if a reason was given.
    pub why: Option<String>,
}

/// A session in use, as its holder may inspect it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionProfile {
    /// Its role in its space, as far as this replica knows.
    pub role: Option<RoleType>,
    /// What it does by default when the replica is behind.
    pub on_stale: Policy,
    /// The default timeout of its operations, in milliseconds.
    pub timeout: Millis,
    /// When it was last used, as far as this replica knows.
    pub active: Option<Millis>,
    /// The number of running queries.
    pub queries: u32,
    /// What it has done here.
    pub stats: SessionStats,
    /// Its statuses, the current one last.
    pub history: Vec<StateChange>,
}

impl Replica {
    /// What is known of a session beside [`Replica::session`].
    #[must_use]
    pub fn profile(&self, handle: SessionHandle) -> Option<SessionProfile> {
        let state = self.sessions.get(&handle)?;
        let manager = &self.service.manager;
        let over = manager.over().rev().find(|over| over.session.id == state.id);
        let known = manager.get(&state.id).or_else(|| over.map(|over| &over.session));
        let begun = StateChange { status: SessionStatus::Active, at: state.id.created(), by: None, why: None };
        let ended = over.map(|over| StateChange {
            status: over.status,
            at: over.at,
            by: over.by.clone(),
            why: over.why.clone(),
        });
        // The manager remembers only recently ended sessions, and the session may have been ended elsewhere.
        let ended = ended.or_else(|| self.store.fences().get(&state.id).map(fenced));
        let begun_in = state.begun.to_string();
        let actor = Actor::begun_in(&begun_in, state.user.as_deref());
        Some(SessionProfile {
            role: actor.role(&self.roles(), &state.space.to_string()),
            on_stale: state.on_stale,
            timeout: state.timeout,
            active: known.map(|session| session.active),
            queries: known.map_or(0, |session| session.queries),
            stats: known.map(|session| session.stats).unwrap_or_default(),
            history: core::iter::once(begun).chain(ended).collect(),
        })
    }

    /// The role of a listed session in its space, as far as this replica knows.
    #[must_use]
    pub fn role_of(&self, session: &SessionInfo) -> Option<RoleType> {
        let space = session.space.to_string();
        Actor::begun_in(&space, session.user.as_deref()).role(&self.roles(), &space)
    }

    /// Counts an answered read of `bytes`.
    pub(super) fn tally_read(&mut self, session: SessionId, bytes: usize, stale: bool) {
        self.service.manager.update(&session, |SessionInfo { stats, .. }| {
            stats.reads = stats.reads.saturating_add(1);
            stats.stale = stats.stale.saturating_add(u32::from(stale));
            stats.bytes = stats.bytes.saturating_add(bytes as u64);
        });
    }

    /// Counts an accepted write of `bytes`.
    pub(super) fn tally_write(&mut self, session: SessionId, bytes: usize) {
        self.service.manager.update(&session, |SessionInfo { stats, .. }| {
            stats.writes = stats.writes.saturating_add(1);
            stats.bytes = stats.bytes.saturating_add(bytes as u64);
        });
    }
}

/// The status that a fence has given to a session.
fn fenced(fence: &Fence) -> StateChange {
    let status = if fence.ended { SessionStatus::Ended } else { SessionStatus::Killed };
    let text = |text: &Option<Arc<str>>| text.as_deref().map(String::from);
    StateChange { status, at: fence.at, by: text(&fence.by), why: text(&fence.why) }
}
