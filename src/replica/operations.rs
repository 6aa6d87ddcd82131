//! The operation log: what is logged where, and who may read it.
//!
//! Invariants: what changed the fleet is among the fleet's records, and only operations by God, Admins and changes of
//! passwords can add to those. Refusals are kept on this replica only. No password reaches the log.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Replica;
use super::asker::Asker;
use crate::error::{ErrorCode, SessionError};
use crate::io::SessionHandle;
use crate::service::access::{Right, denied};
use crate::service::audit::LoggedOperation;
use crate::service::cache::CacheStats;
use crate::service::role::RoleType;
use crate::service::statement::Statement;
use crate::service::system::Directory;

impl Replica {
    /// Logs an operation. What changed the fleet goes to the fleet's records; other operations and refusals are kept on
    /// this replica, so that they cannot fill the records.
    pub(super) fn log(&mut self, asker: &Asker, statement: &Statement, error: Option<&SessionError>) {
        // A console that refreshes its lists every second would displace everything else from the log within minutes.
        if error.is_none() && statement.looks() {
            return;
        }
        // What users may do with what is their own could fill the fleet's records as well.
        let ruled = asker.god || asker.actor().role(&self.roles(), &asker.space.to_string()) == Some(RoleType::Admin);
        let changes = match statement {
            Statement::Use(_) | Statement::KillQuery { .. } => false,
            Statement::ChangePassword { .. } => true,
            Statement::Show(..)
            | Statement::KillSession(_)
            | Statement::CreateUser { .. }
            | Statement::AlterUser { .. }
            | Statement::DropUser { .. }
            | Statement::DescribeUser(_)
            | Statement::Grant { .. }
            | Statement::Revoke { .. }
            | Statement::CreateSpace { .. }
            | Statement::DropSpace { .. } => ruled && !statement.looks(),
        };
        let outcome = Cow::Borrowed(error.map_or("OK", |error| error.code().as_str()));
        let (at, user, session) = (self.now, asker.user.as_deref().map(Into::into), asker.session);
        let (space, action) = (asker.space.to_string(), statement.to_string());
        self.note_operation(LoggedOperation { at, user, session, space, action, outcome }, changes && error.is_none());
    }

    fn note_operation(&mut self, operation: LoggedOperation, changes: bool) {
        if changes && self.keyring.is_some() {
            let own = self.id.to_string();
            let number = match self.service.logged {
                Some((id, number)) if id == self.id => number + 1,
                _ => self.directory().last_logged(&own).map_or(0, |number| number + 1),
            };
            self.service.logged = Some((self.id, number));
            let record = Directory::set_log(&own, number, &operation);
            if self.write_system(alloc::vec![record]).is_ok() {
                return;
            }
        }
        self.service.log.note(operation);
    }

    /// The part of the operation log that a session may read, or the host without one; each operation with the replica
    /// where it was done, in no particular order.
    ///
    /// # Errors
    /// The reason why the session is refused; `PERMISSION_DENIED` if it may read the log of no space.
    pub fn log_of(&self, handle: Option<SessionHandle>) -> Result<Vec<(String, LoggedOperation)>, SessionError> {
        let asker = self.asker(handle)?;
        let roles = self.roles();
        // A session that may read it for no space gets an error, as with every other list of what is not its own.
        let reads = |space: &str| asker.actor().may(Right::ReadLog, &roles, space, false);
        if !asker.god && !self.spaces().iter().any(|space| reads(&space.to_string())) {
            return Err(denied(Right::ReadLog));
        }
        let (directory, own) = (self.directory(), self.id.to_string());
        let here = self.service.log.iter().map(|operation| (own.clone(), operation.clone()));
        let all = directory.log().map(|(replica, operation)| (replica.to_string(), operation)).chain(here);
        Ok(all.filter(|(_, operation)| reads(&operation.space)).collect())
    }

    /// The statistics of the session cache, for God only, since they count everybody's sessions.
    ///
    /// # Errors
    /// The reason why the session is refused; `PERMISSION_DENIED`.
    pub fn cache_of(&self, handle: Option<SessionHandle>) -> Result<(CacheStats, u64, u64), SessionError> {
        if !self.asker(handle)?.god {
            let cause = "this is for God: the counts are of everybody's sessions";
            return Err(SessionError::new(ErrorCode::PermissionDenied, cause));
        }
        Ok(self.service.manager.cache())
    }
}
