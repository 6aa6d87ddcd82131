//! Queries: what sessions have run and are running, until when, and how it ended.
//!
//! Invariants: a plan's status changes once, from running to something final, and whoever comes late is told that and
//! nothing else; a killed query is over when it is killed, whatever its host does; finished plans stay in a bounded
//! history.

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

/// The most finished plans that are remembered.
const HISTORY_MAX: usize = 256;
/// The most characters of a statement, or of a failure, that are remembered.
const TEXT_MAX: usize = 2_048;

/// How a query stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QueryStatus {
    /// It runs.
    Running,
    /// It has ended well.
    Completed,
    /// It has failed, for this reason.
    Failed(String),
    /// It was killed.
    Killed,
    /// Its deadline has passed.
    Timeout,
}

impl QueryStatus {
    /// The word of lists.
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

/// One run of a statement, or of any work of the host's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueryPlan {
    /// Its number at this replica, from 1.
    pub plan: u64,
    /// Whose it is.
    pub session: SessionId,
    /// The user of that session.
    pub user: Option<Arc<str>>,
    /// The space in which it runs.
    pub space: Arc<str>,
    /// What was asked, without passwords.
    pub statement: String,
    /// When it began.
    pub started: Millis,
    /// When it must have ended.
    pub deadline: Option<Millis>,
    /// When it ended.
    pub ended: Option<Millis>,
    /// How it stands.
    pub status: QueryStatus,
    /// How many rows it gave.
    pub rows: u64,
    /// It only looks at lists: a console's, which refreshes every second.
    pub looks: bool,
}

impl QueryPlan {
    /// How long it has taken by `now`, in milliseconds.
    #[must_use]
    pub fn duration(&self, now: Millis) -> Millis {
        self.ended.unwrap_or(now).saturating_sub(self.started)
    }
}

/// How queries of this replica have ended so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueryStats {
    /// Begun.
    pub begun: u64,
    /// Ended well.
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
    /// How they have ended.
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
    /// A query begins; its plan's number. Everything but `session`, `user`, `space`, `statement`, `started`, `deadline` and
    /// `looks` is set here.
    pub fn begin(&mut self, query: QueryPlan) -> u64 {
        self.last += 1;
        self.stats.begun += 1;
        let plan = self.last;
        let statement = cut(query.statement);
        let status = QueryStatus::Running;
        self.running.insert(plan, QueryPlan { plan, statement, status, ended: None, rows: 0, ..query });
        plan
    }

    /// A query's work is done, or has failed. The plan as it stands now.
    ///
    /// # Errors
    /// `QUERY_KILLED`, `QUERY_TIMEOUT` if it was over before: its result is late, and nobody's. `QUERY_NOT_FOUND`.
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

    /// Ends a running query from outside. The plan as it stands now; nothing if it does not run.
    pub fn stop(&mut self, plan: u64, status: QueryStatus, now: Millis) -> Option<QueryPlan> {
        self.close(plan, status, 0, now)
    }

    /// The queries whose deadline has come.
    pub fn due(&self, now: Millis) -> Vec<u64> {
        let due = |query: &&QueryPlan| query.deadline.is_some_and(|at| at <= now);
        self.running.values().filter(due).map(|query| query.plan).collect()
    }

    /// The clock was set back by so much: nobody gets more time by that.
    pub fn set_back(&mut self, back: Millis) {
        for (_, query) in self.running.iter_mut() {
            query.deadline = query.deadline.map(|at| at.saturating_sub(back));
        }
    }

    /// When the next deadline comes.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.running.values().filter_map(|query| query.deadline).min()
    }

    /// What runs, in the order of its beginning.
    pub fn running(&self) -> impl Iterator<Item = &QueryPlan> {
        self.running.values()
    }

    /// What has ended, the latest last; but for what has looked at lists and done nothing else.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = &QueryPlan> {
        self.history.iter()
    }

    /// A query that runs.
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
        // What has only looked would have everything else forgotten within minutes.
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

/// What a killed query answers.
#[must_use]
pub fn killed() -> SessionError {
    SessionError::new(ErrorCode::QueryKilled, "Execution had been killed")
}

/// What a query answers whose deadline has passed.
#[must_use]
pub fn timeout() -> SessionError {
    SessionError::new(ErrorCode::QueryTimeout, "the query's deadline has passed; give it more time")
}

/// What is answered for a plan that is not there.
#[must_use]
pub fn unknown(plan: u64) -> SessionError {
    let cause = format!("ExecutionPlanId[{plan}] does not exist in current Session.");
    SessionError::new(ErrorCode::QueryNotFound, cause)
}
