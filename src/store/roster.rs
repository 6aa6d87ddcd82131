//! The roster: which sessions are in use where in the fleet, as their homes have told.
//!
//! Not state but hearsay: nothing of it is durable, and nothing but lists and hand-overs is decided by it. Invariants: of a session the
//! latest word counts; a row that its home has not told anew for a lease is swept by everybody, so that the sessions of a
//! replica that never returns are not listed for ever; it holds a bounded number of rows.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::id::{ReplicaId, SessionId, Space};
use crate::store::numbered::Numbered;
use crate::time::Millis;

/// How long a row stands that is not told anew, in milliseconds.
pub const LEASE: Millis = 600_000;
/// The most rows that are held; what is more is not listed.
pub const ROWS_MAX: usize = 100_000;
/// The longest text of a row that is read, in bytes.
pub const ROW_TEXT_MAX: usize = 1_024;

/// A session, as its home has told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The replica that serves it.
    pub home: ReplicaId,
    /// Its user.
    pub user: Option<Arc<str>>,
    /// The client application.
    pub client: Option<Arc<str>>,
    /// The client's address.
    pub address: Option<Arc<str>>,
    /// Its space.
    pub space: Space,
    /// When it was last used.
    pub active: Millis,
    /// Its absolute end.
    pub expires: Millis,
    /// Queries that run.
    pub queries: u32,
    /// When its home said so, by the home's clock.
    pub told: Millis,
}

/// All rows that a replica knows.
#[derive(Clone, Debug, Default)]
pub struct Roster(Numbered<Row>);

impl Roster {
    /// The row of a session.
    #[must_use]
    pub fn get(&self, session: &SessionId) -> Option<&Row> {
        self.0.get(session)
    }

    /// All rows, the one told last at the end.
    pub fn iter(&self) -> impl Iterator<Item = (&SessionId, &Row)> {
        self.0.iter()
    }

    /// The number of the latest change.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.0.last()
    }

    /// As [`Numbered::since`].
    #[must_use]
    pub fn since(&self, after: u64) -> (Vec<(SessionId, Row)>, u64) {
        self.0.since(after)
    }

    /// Takes a row in, if it is later than what is known; tells whether it is.
    pub fn put(&mut self, session: SessionId, row: Row) -> bool {
        let later = match self.0.get(&session) {
            Some(known) => (row.told, row.home) > (known.told, known.home),
            None => self.0.len() < ROWS_MAX,
        };
        if later {
            self.0.put(session, row);
        }
        later
    }

    /// Sweeps the rows whose lease or whose session was over by `now`.
    pub fn sweep(&mut self, now: Millis) {
        let stands = |row: &Row| row.expires > now && row.told.saturating_add(LEASE) > now;
        if self.0.iter().any(|(_, row)| !stands(row)) {
            self.0.retain(|_, row| stands(row));
        }
    }
}
