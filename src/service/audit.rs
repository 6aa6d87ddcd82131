//! The operation log: who did what to whom, when, from where, with which result.
//!
//! Invariant: bounded; it holds what changed something and what was refused, not every look; it holds names, codes and
//! times, and never a password, a token or a value.

use alloc::collections::VecDeque;
use alloc::string::String;

use crate::id::SessionId;
use crate::time::Millis;

/// The most operations that are remembered.
const OPERATIONS_MAX: usize = 1024;

/// One operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoggedOperation {
    /// When.
    pub at: Millis,
    /// Who; none: the host itself, or an anonymous session.
    pub user: Option<String>,
    /// In which session; none: the host itself.
    pub session: Option<SessionId>,
    /// In which space.
    pub space: String,
    /// What, without passwords.
    pub action: String,
    /// `OK`, or the error's code.
    pub outcome: &'static str,
}

/// The latest operations.
#[derive(Debug, Default)]
pub struct OperationLog {
    operations: VecDeque<LoggedOperation>,
}

impl OperationLog {
    /// Writes an operation down.
    pub fn note(&mut self, operation: LoggedOperation) {
        if self.operations.len() == OPERATIONS_MAX {
            self.operations.pop_front();
        }
        self.operations.push_back(operation);
    }

    /// What was written down, the latest last.
    pub fn iter(&self) -> impl Iterator<Item = &LoggedOperation> {
        self.operations.iter()
    }
}
