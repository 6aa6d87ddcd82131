//! A session in use at this replica: who it is, what it is promised, what it depends on.
//!
//! Invariant: a dead or forged token gives a *refused* session, of which every operation answers the reason; its
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

/// How a session begins.
#[derive(Clone, Debug, Default)]
pub struct SessionInit {
    /// The token to go on from, or a listing of tokens (see [`crate::session::listing`]); without one a new session
    /// begins.
    pub token: Option<String>,
    /// The current space, in the generation that is open unless a later one than the first is said; default: the token's, else the replica's.
    pub space: Option<Space>,
    /// A space that the bearer asks for, beside the one of the token: the session is in it only as far as its role goes.
    pub visit: Option<Space>,
    /// The guarantees; default: the token's, else all four.
    pub guarantees: Option<Guarantees>,
    /// The user, as the host asserts it. A verified token's user stands above it.
    pub user: Option<String>,
    /// The client application's name.
    pub client: Option<String>,
    /// The client's address, as the host knows it.
    pub address: Option<String>,
    /// What to do when the replica is behind; default: wait.
    pub on_stale: Option<Policy>,
    /// How long to wait, in milliseconds; default: the replica's.
    pub timeout: Option<Millis>,
    /// How long a new session lives, in milliseconds; default: the replica's.
    pub expires_in: Option<Millis>,
    /// Whether a dead or forged token gives a fresh anonymous session instead of a refused one.
    pub anonymous_if_refused: bool,
}

/// What the replica keeps of a session in use.
#[derive(Debug)]
pub(crate) struct SessionState {
    pub(crate) id: SessionId,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) client: Option<Arc<str>>,
    pub(crate) space: Space,
    /// The space in which the host, or who has signed the token, began it.
    pub(crate) begun: Space,
    pub(crate) guarantees: Guarantees,
    pub(crate) on_stale: Policy,
    pub(crate) timeout: Millis,
    pub(crate) vector: SessionVector,
    /// The token that the session came with: who holds no key prints it again.
    pub(crate) token: SessionToken,
    /// Until when it operates here. Where tokens are minted that is its end; elsewhere its token's, which others renew.
    pub(crate) expires_at: Millis,
    /// Its absolute end: nothing renews it.
    pub(crate) ends_at: Millis,
    /// How much longer `expires_at` is believed, for clocks that differ: nothing for a session that began here.
    pub(crate) leeway: Millis,
    pub(crate) resumed: bool,
    pub(crate) refused: Option<SessionError>,
    pub(crate) waits: u32,
}

impl SessionState {
    /// The time at which entries are judged expired: no earlier than its tokens tell, so that a slow clock resurrects nothing.
    pub(crate) fn at(&self, now: Millis) -> Millis {
        now.max(self.token.told_at())
    }

    /// Whether the session may operate at `now`.
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

    /// The claims of a token minted at `now` by the cluster `issuer`, which lives for `life` from now on, but never
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

/// Who a session is, without what it has read and written, and without a copy of anything.
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
    /// What it is promised.
    pub guarantees: Guarantees,
    /// When it ends, in milliseconds since 1970.
    pub expires_at: Millis,
    /// Whether a token was accepted.
    pub resumed: bool,
    /// Whether the token says who it is: it is not an anonymous one.
    pub claimed: bool,
    /// Why every operation of it is refused, if it is.
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
    /// What it is promised.
    pub guarantees: Guarantees,
    /// When it ends, in milliseconds since 1970.
    pub expires_at: Millis,
    /// Whether a token was accepted.
    pub resumed: bool,
    /// Why every operation of it is refused, if it is.
    pub refused: Option<SessionError>,
    /// What it has read and written, as far as that may leave the replica.
    pub vector: SessionVector,
}
