//! Limits on a user's sessions in the whole fleet, as far as it is known.
//!
//! Invariants:
//!
//! * A new session is counted together with those of its user that others have published.
//! * If two sides of a partition together have admitted more than a limit allows, the surplus is ended once they learn
//!   of each other: the sessions idle for longest first, each by its home alone. A home knows the exact last use of its
//!   own sessions and at most the last use of others, so none of the most recently used is ended.

use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Replica;
use crate::error::SessionError;
use crate::id::SessionId;
use crate::mutant::{Mutant, Service as Rule, off};
use crate::service::audit::LoggedOperation;
use crate::service::manager::Limited;
use crate::service::record::{SessionInfo, SessionStatus};
use crate::store::fence::Fence;
use crate::time::Millis;

/// A user's session, for ordering by use: whether it runs a query, its last use, and its id to break ties.
type Used = (bool, Millis, SessionId);

fn used(session: &SessionInfo) -> Used {
    (session.queries > 0, session.active, session.id)
}

impl Replica {
    /// Checks whether a user may begin another session, as far as the fleet is known. The manager checks limits on this
    /// replica alone.
    pub(super) fn check_fleet_limits(&self, new: &SessionInfo) -> Result<(), SessionError> {
        let limits = self.service.manager.limits();
        let Some(user) = new.user.as_ref().filter(|_| limits.by_user()) else { return Ok(()) };
        if self.service.manager.get(&new.id).is_some()
            || off(Mutant::Service(Rule::Fleet))
            || off(Mutant::Service(Rule::Limit))
        {
            return Ok(());
        }
        let mut known = self.sessions_of_user(user);
        known.retain(|session| session.id != new.id);
        let at_address = known.iter().filter(|session| session.address == new.address);
        let exceeded =
            |limit: Limited, oldest: Option<&SessionInfo>| limit.exceeded(oldest, new.user.as_ref(), self.now);
        if known.len() as u64 >= limits.user {
            return Err(exceeded(Limited::user(limits), known.iter().min_by_key(|session| used(session))));
        }
        if at_address.clone().count() as u64 >= limits.address {
            return Err(exceeded(Limited::address(limits), at_address.min_by_key(|session| used(session))));
        }
        Ok(())
    }

    /// The live sessions of a user, here and as others have published.
    fn sessions_of_user(&self, user: &Arc<str>) -> Vec<SessionInfo> {
        let idle = self.service.manager.limits().idle;
        let here = self.service.manager.of_user(user).cloned();
        let told = self.service.crowd.of(user).filter_map(|id| self.elsewhere(&id, self.store.roster().get(&id)?));
        let all = here.chain(told.map(|(session, _)| session));
        let live = |session: &SessionInfo| {
            session.user.as_ref() == Some(user) && session.status(idle, self.now) == SessionStatus::Active
        };
        all.filter(live).collect()
    }

    /// Others have published these sessions: ends own sessions of users that now exceed a limit.
    pub(super) fn heed_limits(&mut self, told: &[SessionId]) {
        if !self.service.manager.limits().by_user() {
            return;
        }
        let mut users: Vec<Arc<str>> = Vec::new();
        for id in told {
            let Some(user) = self.store.roster().get(id).and_then(|row| row.user.clone()) else { continue };
            self.service.crowd.note(&user, *id);
            if !users.contains(&user) {
                users.push(user);
            }
        }
        for user in users {
            self.end_surplus(&user);
        }
    }

    fn end_surplus(&mut self, user: &Arc<str>) {
        if off(Mutant::Service(Rule::Surplus)) {
            return;
        }
        let limits = *self.service.manager.limits();
        let mut known = self.sessions_of_user(user);
        let mut kept: Vec<SessionInfo> = Vec::new();
        // The most recently used are kept, as far as the limits allow. A quadratic loop suffices, as a user has few
        // sessions.
        while let Some((last, _)) = known.iter().enumerate().max_by_key(|(_, session)| used(session)) {
            let session = known.swap_remove(last);
            let at_address = kept.iter().filter(|one| one.address == session.address).count() as u64;
            let limit = if kept.len() as u64 >= limits.user {
                Limited::user(&limits)
            } else if at_address >= limits.address {
                Limited::address(&limits)
            } else {
                kept.push(session);
                continue;
            };
            if session.home == self.id {
                self.end_as_surplus(&session, limit);
            }
        }
    }

    fn end_as_surplus(&mut self, session: &SessionInfo, Limited { limit, allowed }: Limited) {
        let why = format!("the limit {limit} allows {allowed}, and this one was idle for longest");
        let action = format!("KILL SESSION \"{}\" -- {why}", session.id.to_text());
        self.fence(&session.id, Fence { at: self.now, why: Some(why.as_str().into()), ..Fence::default() });
        let space = session.space.to_string();
        self.service.log.note(LoggedOperation {
            at: self.now,
            user: None,
            session: None,
            space,
            action,
            outcome: "OK".into(),
        });
    }
}
