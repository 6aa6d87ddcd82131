//! The operation log: who did what, when, in which session and space, with which result.
//!
//! Invariants:
//!
//! * It is bounded.
//! * It contains operations that changed something and those that were refused, not every read.
//! * It contains names, codes and times, and never a password, a token or a value.
//!
//! Operations that changed the fleet are also among the fleet's records and survive the replica; the others are in
//! memory only.

use alloc::borrow::Cow;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;

use crate::id::SessionId;
use crate::time::Millis;

/// The most operations that are kept.
const OPERATIONS_MAX: usize = 1024;

/// One operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoggedOperation {
    /// When.
    pub at: Millis,
    /// The user; `None`: the host itself, or an anonymous session.
    pub user: Option<String>,
    /// The session; `None`: the host itself.
    pub session: Option<SessionId>,
    /// The space.
    pub space: String,
    /// The operation, without passwords.
    pub action: String,
    /// `OK`, or the error's code.
    pub outcome: Cow<'static, str>,
}

impl LoggedOperation {
    /// The operation as lines of text, for the fleet's records.
    #[must_use]
    pub fn to_record(&self) -> String {
        let session = self.session.map(|session| session.to_text()).unwrap_or_default();
        let (user, action) = (self.user.as_deref().unwrap_or_default(), self.action.replace('\n', " "));
        format!("{}\n{user}\n{session}\n{}\n{}\n{action}", self.at, self.space, self.outcome)
    }

    /// Parses the output of [`LoggedOperation::to_record`].
    #[must_use]
    pub fn from_record(text: &str) -> Option<Self> {
        let mut lines = text.splitn(6, '\n');
        let at = lines.next()?.parse().ok()?;
        let user = lines.next().filter(|user| !user.is_empty()).map(String::from);
        let session = lines.next()?.parse().ok();
        let (space, outcome, action) = (lines.next()?.into(), lines.next()?, lines.next()?.into());
        Some(Self { at, user, session, space, action, outcome: Cow::Owned(outcome.into()) })
    }
}

/// The latest operations.
#[derive(Debug, Default)]
pub struct OperationLog {
    operations: VecDeque<LoggedOperation>,
}

impl OperationLog {
    /// Appends an operation; drops the oldest if the log is full.
    pub fn note(&mut self, operation: LoggedOperation) {
        if self.operations.len() == OPERATIONS_MAX {
            self.operations.pop_front();
        }
        self.operations.push_back(operation);
    }

    /// The operations, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &LoggedOperation> {
        self.operations.iter()
    }
}
