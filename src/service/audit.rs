//! The operation log: who did what to whom, when, from where, with which result.
//!
//! Invariant: bounded; it holds what changed something and what was refused, not every look; it holds names, codes and
//! times, and never a password, a token or a value. What has changed the fleet is among its records, and survives the
//! replica; the rest is memory.

use alloc::borrow::Cow;
use alloc::collections::VecDeque;
use alloc::format;
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
    pub outcome: Cow<'static, str>,
}

impl LoggedOperation {
    /// The operation as a text of lines, for the records of the fleet.
    #[must_use]
    pub fn to_record(&self) -> String {
        let session = self.session.map(|session| session.to_text()).unwrap_or_default();
        let (user, action) = (self.user.as_deref().unwrap_or_default(), self.action.replace('\n', " "));
        format!("{}\n{user}\n{session}\n{}\n{}\n{action}", self.at, self.space, self.outcome)
    }

    /// What [`LoggedOperation::to_record`] has written.
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
