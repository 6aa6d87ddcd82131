//! What a replica knows of a session: whose it is, where, since when, what it has done.
//!
//! Invariant: small, because there are many: texts are shared, what few sessions have is boxed. Whether a session is over
//! by time is computed from it, never written into it.

use alloc::string::String;
use alloc::sync::Arc;

use crate::id::{ReplicaId, SessionId, Space};
use crate::mutant::{Mutant, Service, off};
use crate::time::Millis;

/// How a session stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionStatus {
    /// It can be used.
    Active,
    /// Nobody has used it for too long.
    IdleExpired,
    /// Its absolute end has come.
    Expired,
    /// It was logged out.
    Ended,
    /// It was killed.
    Killed,
}

impl SessionStatus {
    /// The word of lists and histories.
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
    /// Answers that were served stale.
    pub stale: u32,
    /// Bytes of values read and written, those aside that were read from the host's copies.
    pub bytes: u64,
}

/// What other replicas know of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Told {
    /// How it stands, or when it was used is all that they do not.
    #[default]
    Current,
    /// It was used since, and they are told in good time.
    Touched,
    /// It has changed since.
    Changed,
    /// They take it for another's. If it is used here, that is a change.
    Elsewhere,
}

/// A session, as a replica keeps it. The words of the mission: `SessionInfo`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionInfo {
    /// Its id.
    pub id: SessionId,
    /// Its user; none: anonymous.
    pub user: Option<Arc<str>>,
    /// The client application.
    pub client: Option<Arc<str>>,
    /// The client's address, as the host knows it.
    pub address: Option<Arc<str>>,
    /// Its current space.
    pub space: Space,
    /// The replica that serves it.
    pub home: ReplicaId,
    /// When it began.
    pub created: Millis,
    /// When it was last used, as far as is known here.
    pub active: Millis,
    /// Its absolute end, which nothing extends.
    pub expires: Millis,
    /// What it has done here.
    pub stats: SessionStats,
    /// Queries that run. A running query is activity.
    pub queries: u32,
    /// Handles in use: a session in use is not evicted.
    pub handles: u32,
    /// What the others know of it.
    pub told: Told,
}

impl SessionInfo {
    /// How the session stands at `now`, where nobody may leave it unused for longer than `idle`.
    #[must_use]
    pub fn status(&self, idle: Option<Millis>, now: Millis) -> SessionStatus {
        self.status_used(self.active, idle, now)
    }

    /// As [`SessionInfo::status`], where it was used at `used` as well.
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

    /// When the session is over if nothing happens.
    #[must_use]
    pub fn due(&self, idle: Option<Millis>) -> Millis {
        match idle {
            Some(idle) if self.queries == 0 => self.expires.min(self.active.saturating_add(idle)),
            _ => self.expires,
        }
    }

    /// The bytes of texts that it holds beside itself.
    #[must_use]
    pub fn extra(&self) -> usize {
        let text = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len() + 2 * size_of::<usize>());
        text(&self.user) + text(&self.client) + text(&self.address)
    }
}

/// A session that is over, for lists and histories.
#[derive(Clone, Debug)]
pub struct Over {
    /// The session as it was last.
    pub session: SessionInfo,
    /// How it ended.
    pub status: SessionStatus,
    /// When.
    pub at: Millis,
    /// By whom, if somebody did it.
    pub by: Option<String>,
    /// Why, if a reason was given.
    pub why: Option<String>,
}
