//! What a replica knows of a session: its user, space and times, and what it has done.
//!
//! Invariants: the record is small, because there are many; its texts are shared. Whether a session is over by time is
//! computed from it and never stored in it.

use alloc::string::String;
use alloc::sync::Arc;

use crate::id::{ReplicaId, SessionId, Space};
use crate::mutant::{Mutant, Service, off};
use crate::time::Millis;

/// The status of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionStatus {
    /// It can be used.
    Active,
    /// It was not used for too long.
    IdleExpired,
    /// It has reached its absolute end.
    Expired,
    /// It was logged out.
    Ended,
    /// It was killed.
    Killed,
}

impl SessionStatus {
    /// Its name in lists and histories.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::IdleExpired => "idle-expired",
            Self::Expired => "expired",
            Self::Ended => "ended",
            Self::Killed => "killed",
        }
    }
}

/// What a session has done here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SessionStats {
    /// Queries begun.
    pub queries: u32,
    /// Reads answered.
    pub reads: u32,
    /// Writes accepted.
    pub writes: u32,
    /// Answers served stale.
    pub stale: u32,
    /// Bytes of values read and written, except those that were read from the host's copies.
    pub bytes: u64,
}

/// What other replicas know of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Told {
    /// They know its current state, except possibly when it was last used.
    #[default]
    Current,
    /// It was used since; they will be told in good time.
    Touched,
    /// It has changed since.
    Changed,
    /// They believe that another replica serves it. If it is used here, that is a change.
    Elsewhere,
}

/// A session, as a replica keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionInfo {
    /// Its id.
    pub id: SessionId,
    /// Its user; `None`: anonymous.
    pub user: Option<Arc<str>>,
    /// The client application.
    pub client: Option<Arc<str>>,
    /// The client's address, as stated by the host.
    pub address: Option<Arc<str>>,
    /// Its current space.
    pub space: Space,
    /// The replica that serves it.
    pub home: ReplicaId,
    /// When it began.
    pub created: Millis,
    /// When it was last used, as far as this replica knows.
    pub active: Millis,
    /// Its absolute end, which nothing extends.
    pub expires: Millis,
    /// What it has done here.
    pub stats: SessionStats,
    /// The number of running queries. A running query is use.
    pub queries: u32,
    /// The number of open handles: a session in use is not evicted.
    pub handles: u32,
    /// What other replicas know of it.
    pub told: Told,
}

impl SessionInfo {
    /// The session's status at `now`, if it may stay unused for at most `idle`.
    #[must_use]
    pub fn status(&self, idle: Option<Millis>, now: Millis) -> SessionStatus {
        self.status_used(self.active, idle, now)
    }

    /// As [`SessionInfo::status`], given that it was also used at `used`.
    #[must_use]
    pub fn status_used(&self, used: Millis, idle: Option<Millis>, now: Millis) -> SessionStatus {
        let active = self.active.max(used);
        if now >= self.expires && !off(Mutant::Service(Service::Ends)) {
            return SessionStatus::Expired;
        }
        match idle {
            Some(_) if off(Mutant::Service(Service::Idle)) => SessionStatus::Active,
            Some(idle) if self.queries == 0 && now >= active.saturating_add(idle) => SessionStatus::IdleExpired,
            _ => SessionStatus::Active,
        }
    }

    /// When the session will be over if it is not used.
    #[must_use]
    pub fn due(&self, idle: Option<Millis>) -> Millis {
        match idle {
            Some(idle) if self.queries == 0 => self.expires.min(self.active.saturating_add(idle)),
            _ => self.expires,
        }
    }

    /// The bytes of its texts, which are allocated separately.
    #[must_use]
    pub fn extra(&self) -> usize {
        let text = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len() + 2 * size_of::<usize>());
        text(&self.user) + text(&self.client) + text(&self.address)
    }
}

/// An ended session, for lists and histories.
#[derive(Clone, Debug)]
pub struct Over {
    /// Its last state.
    pub session: SessionInfo,
    /// How it ended.
    pub status: SessionStatus,
    /// When.
    pub at: Millis,
    /// Who ended it, if somebody did.
    pub by: Option<String>,
    /// Why, if a reason was given.
    pub why: Option<String>,
}
