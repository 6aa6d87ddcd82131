//! A session in use at this replica: its identity, its guarantees, its dependencies.
//!
//! Invariants: an expired or forged token gives a *refused* session, whose operations all fail with the reason. The
//! identity comes from a verified JWS or from the host, never from a token's suffix.

use alloc::string::String;
use alloc::sync::Arc;

use crate::error::{ErrorCode, SessionError};
use crate::guarantee::Guarantees;
use crate::id::{SessionId, Space};
use crate::io::Policy;
use crate::mutant::{Mutant, Service, off};
use crate::service::manager::expired;
use crate::service::record::SessionStatus;
use crate::session::claims::Stated;
use crate::session::token::SessionToken;
use crate::session::vector::SessionVector;
use crate::time::Millis;

/// The options for opening a session.
#[derive(Clone, Debug, Default)]
pub struct SessionInit {
    /// The token to continue from, or a listing of tokens (see [`crate::session::listing`]); without one a new session
    /// begins.
    pub token: Option<String>,
    /// The current space, in its open generation unless one later than the first is given. Default: that of the token,
    /// otherwise of the replica.
    pub space: Option<Space>,
    /// A space that the bearer requests instead of the one above. It grants nothing: the session has only the rights of
    /// its role there.
    pub visit: Option<Space>,
    /// The guarantees. Default: those of the token, otherwise all four.
    pub guarantees: Option<Guarantees>,
    /// The user, as asserted by the host. The user in a verified token takes precedence.
    pub user: Option<String>,
    /// The client application's name.
    pub client: Option<String>,
    /// The client's address, as stated by the host.
    pub address: Option<String>,
    /// What to do when the replica is behind. Default: wait.
    pub on_stale: Option<Policy>,
    /// The timeout of operations, in milliseconds. Default: that of the replica.
    pub timeout: Option<Millis>,
    /// The life of a new session, in milliseconds. Default: that of the replica.
    pub expires_in: Option<Millis>,
    /// Whether an expired or forged token gives a new anonymous session instead of a refused one.
    pub anonymous_if_refused: bool,
}

/// What the replica keeps of a session in use.
#[derive(Debug)]
pub(crate) struct SessionState {
    pub(crate) id: SessionId,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) client: Option<Arc<str>>,
    pub(crate) space: Space,
    /// The space in which the session was begun, by the host or by the signer of the token.
    pub(crate) begun: Space,
    pub(crate) guarantees: Guarantees,
    pub(crate) on_stale: Policy,
    pub(crate) timeout: Millis,
    pub(crate) vector: SessionVector,
    /// The token that the session arrived with; a replica without a key sends it out again.
    pub(crate) token: SessionToken,
    /// Until when it may operate here. On a replica that mints tokens this is the session's end; on others it is the
    /// token's, which other replicas renew.
    pub(crate) expires_at: Millis,
    /// Its absolute end, which nothing extends.
    pub(crate) ends_at: Millis,
    /// How long after `expires_at` it is still accepted, for clocks that differ; 0 for a session that began here.
    pub(crate) leeway: Millis,
    pub(crate) resumed: bool,
    pub(crate) refused: Option<SessionError>,
    pub(crate) waits: u32,
}

impl SessionState {
    /// The time at which entries are judged expired: no earlier than its tokens state, so that a slow clock revives
    /// nothing.
    pub(crate) fn at(&self, now: Millis) -> Millis {
        now.max(self.token.told_at())
    }

    /// Checks whether the session may operate at `now`.
    pub(crate) fn admit(&self, now: Millis) -> Result<(), SessionError> {
        if let Some(reason) = &self.refused {
            return Err(reason.clone());
        }
        if now >= self.ends_at.saturating_add(self.leeway) && !off(Mutant::Service(Service::Ends)) {
            return Err(expired(SessionStatus::Expired));
        }
        if now >= self.expires_at.saturating_add(self.leeway) && !off(Mutant::Service(Service::Ends)) {
            return Err(SessionError::new(
                ErrorCode::TokenExpired,
                "the token's time is over; merge a later one of the session",
            ));
        }
        Ok(())
    }

    /// The claims of a token minted at `now` by the cluster `issuer`. It lives for `life` from then on, but never
    /// beyond the session's end.
    pub(crate) fn claims<'s>(&'s self, issuer: &'s str, life: Millis, now: Millis) -> Stated<'s> {
        Stated {
            issuer,
            subject: self.user.as_deref(),
            session: self.id,
            client: self.client.as_deref(),
            space: &self.space,
            guarantees: self.guarantees,
            issued_at: self.at(now),
            expires_at: self.at(now).saturating_add(life).min(self.ends_at),
            ends_at: self.ends_at,
        }
    }
}

/// The identity of a session, without its vectors, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'r> {
    /// The session's id.
    pub id: SessionId,
    /// The user, if it has one.
    pub user: Option<&'r str>,
    /// The client application, if it is named.
    pub client: Option<&'r str>,
    /// The current space.
    pub space: &'r Space,
    /// Its guarantees.
    pub guarantees: Guarantees,
    /// When it ends, in milliseconds since 1970.
    pub expires_at: Millis,
    /// Whether a token was accepted.
    pub resumed: bool,
    /// Whether the token has claims, that is, is not anonymous.
    pub claimed: bool,
    /// Why all its operations are refused, if they are.
    pub refused: Option<&'r SessionError>,
}

/// A session, as an application may see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionView {
    /// The session's id.
    pub id: SessionId,
    /// The user, if it has one.
    pub user: Option<String>,
    /// The client application, if it is named.
    pub client: Option<String>,
    /// The current space.
    pub space: Space,
    /// Its guarantees.
    pub guarantees: Guarantees,
    /// When it ends, in milliseconds since 1970.
    pub expires_at: Millis,
    /// Whether a token was accepted.
    pub resumed: bool,
    /// Why all its operations are refused, if they are.
    pub refused: Option<SessionError>,
    /// What it has read and written, as far as that may leave the replica.
    pub vector: SessionVector,
}
