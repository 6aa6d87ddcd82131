//! Who makes a request: a session, or the host itself, which is God.
//!
//! Invariant: the asker is determined at each statement; what counts as its own is defined here and nowhere else.

use alloc::string::{String, ToString};
use alloc::sync::Arc;

use super::Replica;
use super::roles::Held;
use super::sessions::unknown;
use crate::error::SessionError;
use crate::id::{SessionId, Space};
use crate::io::SessionHandle;
use crate::service::access::{Actor, Right};
use crate::service::query::QueryPlan;
use crate::service::record::SessionInfo;
use crate::service::role::{ROOT, RoleType};

/// Who makes a request.
pub(super) struct Asker {
    pub(super) handle: Option<SessionHandle>,
    pub(super) session: Option<SessionId>,
    pub(super) user: Option<Arc<str>>,
    pub(super) god: bool,
    pub(super) space: Space,
    /// The space in which the session was begun, as text.
    pub(super) begun: Option<String>,
}

impl Asker {
    pub(super) fn actor(&self) -> Actor<'_> {
        Actor { user: self.user.as_deref(), god: self.god, begun: self.begun.as_deref() }
    }

    /// Whether something is the asker's own: of the same account, or of the same session.
    pub(super) fn owns(&self, session: &SessionId, user: Option<&str>) -> bool {
        self.session == Some(*session) || (user.is_some() && self.user.as_deref() == user)
    }

    /// A query belongs to the space in which it began, wherever its session is now.
    pub(super) fn sees_query(&self, right: Right, roles: &Held<'_>, query: &QueryPlan) -> bool {
        let own = self.owns(&query.session, query.user.as_deref());
        self.actor().may(right, roles, &query.space, own)
    }

    pub(super) fn sees(&self, right: Right, roles: &Held<'_>, session: &SessionInfo) -> bool {
        let own = self.owns(&session.id, session.user.as_deref());
        self.actor().may(right, roles, &session.space.to_string(), own)
    }
}

impl Replica {
    pub(super) fn asker(&self, handle: Option<SessionHandle>) -> Result<Asker, SessionError> {
        let Some(handle) = handle else {
            return Ok(Asker {
                handle: None,
                session: None,
                user: None,
                god: true,
                space: self.space.clone(),
                begun: None,
            });
        };
        let state = self.sessions.get(&handle).ok_or_else(unknown)?;
        self.alive(state)?;
        let user = state.user.clone();
        // The host is God and may make others God, in all spaces at once.
        let hosted = || self.service.hosted.role(user.as_deref(), state.space.name()) == Some(RoleType::God);
        let god = self.keyring.is_some() && (user.as_deref() == Some(ROOT) || hosted());
        let (space, begun) = (state.space.clone(), Some(state.begun.to_string()));
        Ok(Asker { handle: Some(handle), session: Some(state.id), user, god, space, begun })
    }
}
