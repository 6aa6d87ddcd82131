//! Queries: what sessions have run and are running, with deadline and result.
//!
//! Invariants:
//!
//! * A plan's status changes once, from running to a final status. A late result gets that status as its answer and
//!   changes nothing.
//! * A killed query is over at once, whatever its host does.
//! * Finished plans stay in a bounded history.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use litemap::LiteMap;

use crate::error::{ErrorCode, SessionError};
use crate::id::SessionId;
use crate::mutant::{Mutant, Service, off};
use crate::time::Millis;

/// The most finished plans that are kept.
const HISTORY_MAX: usize = 256;
/// The most bytes of a statement, or of a failure, that are kept.
const TEXT_MAX: usize = 2_048;

/// The status of a query.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QueryStatus {
    /// It is running.
    Running,
    /// It has succeeded.
    Completed,
    /// It has failed, with this cause.
    Failed(String),
    /// It was killed.
    Killed,
    /// Its deadline has passed.
    Timeout,
}

impl QueryStatus {
    /// Its name in lists.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Completed => "Completed",
            Self::Failed(_) => "Failed",
            Self::Killed => "Killed",
            Self::Timeout => "Timeout",
        }
    }
}

/// One run of a statement, or of any other work of the host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueryPlan {
    /// Its number at this replica, from 1.
    pub plan: u64,
    /// The session that runs it.
    pub session: SessionId,
    /// The user of that session.
    pub user: Option<Arc<str>>,
    /// The space in which it runs.
    pub space: Arc<str>,
    /// The statement, without passwords.
    pub statement: String,
    /// When it began.
    pub started: Millis,
    /// When it must have ended.
    pub deadline: Option<Millis>,
    /// When it ended.
    pub ended: Option<Millis>,
    /// Its status.
    pub status: QueryStatus,
    /// How many rows it returned.
    pub rows: u64,
    /// It only reads lists, like a console that refreshes every second.
    pub looks: bool,
}

impl QueryPlan {
    /// How long it has taken by `now`, in milliseconds.
    #[must_use]
    pub fn duration(&self, now: Millis) -> Millis {
        self.ended.unwrap_or(now).saturating_sub(self.started)
    }
}

/// Counts of this replica's queries by result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueryStats {
    /// Begun.
    pub begun: u64,
    /// Succeeded.
    pub completed: u64,
    /// Failed.
    pub failed: u64,
    /// Killed.
    pub killed: u64,
    /// Timed out.
    pub timeout: u64,
}

/// The queries of a replica.
#[derive(Debug, Default)]
pub struct Queries {
    last: u64,
    running: LiteMap<u64, QueryPlan>,
    history: VecDeque<QueryPlan>,
    /// Counts by result.
    pub stats: QueryStats,
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_MAX {
        let end = (0..=TEXT_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

impl Queries {
    /// Begins a query; returns its plan number. Sets everything except `session`, `user`, `space`, `statement`,
    /// `started`, `deadline` and `looks`.
    pub fn begin(&mut self, query: QueryPlan) -> u64 {
        self.last += 1;
        self.stats.begun += 1;
        let plan = self.last;
        let statement = cut(query.statement);
        let status = QueryStatus::Running;
        self.running.insert(plan, QueryPlan { plan, statement, status, ended: None, rows: 0, ..query });
        plan
    }

    /// Ends a query with its result; returns the plan as it is now.
    ///
    /// # Errors
    /// `QUERY_KILLED` or `QUERY_TIMEOUT` if it was already over: the late result is discarded. `QUERY_NOT_FOUND`.
    pub fn end(&mut self, plan: u64, result: Result<u64, String>, now: Millis) -> Result<QueryPlan, SessionError> {
        let (status, rows) = match result {
            Ok(rows) => (QueryStatus::Completed, rows),
            Err(failure) => (QueryStatus::Failed(cut(failure)), 0),
        };
        if let Some(over) = self.close(plan, status, rows, now) {
            return Ok(over);
        }
        let over = self.history.iter().rev().find(|over| over.plan == plan);
        if let Some(late) = over.filter(|_| off(Mutant::Service(Service::Late))) {
            return Ok(late.clone());
        }
        match over.map(|over| &over.status) {
            Some(QueryStatus::Killed) => Err(killed()),
            Some(QueryStatus::Timeout) => Err(timeout()),
            Some(QueryStatus::Running | QueryStatus::Completed | QueryStatus::Failed(_)) | None => Err(unknown(plan)),
        }
    }

    /// Ends a running query from outside; returns the plan as it is now, or `None` if it is not running.
    pub fn stop(&mut self, plan: u64, status: QueryStatus, now: Millis) -> Option<QueryPlan> {
        self.close(plan, status, 0, now)
    }

    /// The running queries whose deadline has passed.
    pub fn due(&self, now: Millis) -> Vec<u64> {
        let due = |query: &&QueryPlan| query.deadline.is_some_and(|at| at <= now);
        self.running.values().filter(due).map(|query| query.plan).collect()
    }

    /// The clock was set back by `back`: deadlines move with it, so that no query gets more time.
    pub fn set_back(&mut self, back: Millis) {
        for (_, query) in self.running.iter_mut() {
            query.deadline = query.deadline.map(|at| at.saturating_sub(back));
        }
    }

    /// The next deadline.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.running.values().filter_map(|query| query.deadline).min()
    }

    /// The running queries, in the order in which they began.
    pub fn running(&self) -> impl Iterator<Item = &QueryPlan> {
        self.running.values()
    }

    /// The ended queries, the latest last, except those that only read lists and succeeded.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = &QueryPlan> {
        self.history.iter()
    }

    /// A running query.
    #[must_use]
    pub fn get(&self, plan: u64) -> Option<&QueryPlan> {
        self.running.get(&plan)
    }

    fn close(&mut self, plan: u64, status: QueryStatus, rows: u64, now: Millis) -> Option<QueryPlan> {
        let mut over = self.running.remove(&plan)?;
        let count = match &status {
            QueryStatus::Running | QueryStatus::Completed => &mut self.stats.completed,
            QueryStatus::Failed(_) => &mut self.stats.failed,
            QueryStatus::Killed => &mut self.stats.killed,
            QueryStatus::Timeout => &mut self.stats.timeout,
        };
        *count += 1;
        over.status = status;
        over.rows = rows;
        over.ended = Some(now);
        // Queries that only read lists would displace everything else from the history within minutes.
        if over.looks && over.status == QueryStatus::Completed && !off(Mutant::Service(Service::Looks)) {
            return Some(over);
        }
        if self.history.len() == HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back(over.clone());
        Some(over)
    }
}

/// The answer of a killed query.
#[must_use]
pub fn killed() -> SessionError {
    SessionError::new(ErrorCode::QueryKilled, "Execution had been killed")
}

/// The answer of a query whose deadline has passed.
#[must_use]
pub fn timeout() -> SessionError {
    SessionError::new(ErrorCode::QueryTimeout, "the query's deadline has passed; give it more time")
}

/// The answer for a plan that does not exist.
#[must_use]
pub fn unknown(plan: u64) -> SessionError {
    let cause = format!("ExecutionPlanId[{plan}] does not exist in current Session.");
    SessionError::new(ErrorCode::QueryNotFound, cause)
}
