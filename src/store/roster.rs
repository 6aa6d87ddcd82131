//! The roster: which sessions are in use where in the fleet, as their homes have told.
//!
//! Not state but hearsay: nothing of it is durable, and nothing but lists and hand-overs is decided by it. Invariants: of a session the
//! latest word counts; a row that its home has not told anew for a lease is swept by everybody, so that the sessions of a
//! replica that never returns are not listed for ever; it holds a bounded number of rows.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::id::{ReplicaId, SessionId, Space};
use crate::mutant::{Mutant, Service, off};
use crate::store::numbered::Numbered;
use crate::time::Millis;

/// How long a row stands that is not told anew, in milliseconds.
pub const LEASE: Millis = 600_000;
/// The most rows that are held; what is more is not listed.
pub const ROWS_MAX: usize = 100_000;
/// The longest text of a row that is read, in bytes.
pub const ROW_TEXT_MAX: usize = 1_024;

/// The most running queries of a session that are told, and the longest text of one, in bytes.
pub const RUNNING_MAX: usize = 8;
/// The longest text of a running query that is told, in bytes.
pub const RUNNING_TEXT_MAX: usize = 160;

/// A query that runs, as its home has told. What names it is its number and its beginning: numbers begin anew with each run
/// of a replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Running {
    /// Its number at its home.
    pub plan: u64,
    /// When it began, by the clock of its home.
    pub started: Millis,
    /// What was asked, or the beginning of it.
    pub statement: Arc<str>,
    /// Somebody has ordered that it stops. Nobody takes that back.
    pub stop: bool,
}

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
    /// Those of them that are told of.
    pub running: Vec<Running>,
    /// When its home said so, by the home's clock.
    pub told: Millis,
}

/// All rows that a replica knows.
#[derive(Clone, Debug, Default)]
pub struct Roster(Numbered<Row>);

impl Roster {
    /// As [`Numbered::number_from`].
    pub const fn number_from(&mut self, least: u64) {
        self.0.number_from(least);
    }

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

    /// Takes a row in, if it is later than what is known; tells whether anything has changed by it. That a query is to stop
    /// stays said, in whatever order words come.
    pub fn put(&mut self, session: SessionId, row: Row) -> bool {
        let Some(known) = self.0.get(&session) else {
            let room = self.0.len() < ROWS_MAX;
            if room {
                self.0.put(session, row);
            }
            return room;
        };
        let later = (row.told, row.home) > (known.told, known.home);
        let (mut kept, other) = if later { (row, known.clone()) } else { (known.clone(), row) };
        let mut changed = later;
        for query in kept.running.iter_mut().filter(|query| !query.stop) {
            let same = |one: &&Running| one.stop && (one.plan, one.started) == (query.plan, query.started);
            if other.running.iter().any(|one| same(&one)) && !off(Mutant::Service(Service::Stop)) {
                (query.stop, changed) = (true, true);
            }
        }
        if changed {
            self.0.put(session, kept);
        }
        changed
    }

    /// Orders that a query stops; tells whether it is known to run.
    pub fn stop(&mut self, session: &SessionId, plan: u64) -> bool {
        let Some(mut row) = self.0.get(session).cloned() else { return false };
        let Some(query) = row.running.iter_mut().find(|query| query.plan == plan) else { return false };
        query.stop = true;
        self.0.put(*session, row);
        true
    }

    /// Sweeps the rows whose lease or whose session was over by `now`.
    pub fn sweep(&mut self, now: Millis) {
        let stands = |row: &Row| row.expires > now && row.told.saturating_add(LEASE) > now;
        if self.0.iter().any(|(_, row)| !stands(row)) {
            self.0.retain(|_, row| stands(row));
        }
    }
}
