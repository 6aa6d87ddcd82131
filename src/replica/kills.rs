//! Kills of sessions and queries: one implementation for statements and calls.
//!
//! Invariants: of several kills, all are permitted before the first one is done. Unknown sessions are not counted and
//! are no error.

use alloc::format;
use alloc::vec::Vec;

use super::Replica;
use super::asker::Asker;
use crate::error::{ErrorCode, SessionError};
use crate::id::SessionId;
use crate::io::SessionHandle;
use crate::service::access::{Right, denied};
use crate::service::query::{self, QueryStatus};
use crate::service::statement::{Statement, Term};
use crate::service::table::{Cell, KILLED, Table, semantic};
use crate::store::fence::{Fence, shortened};
use crate::time::Millis;

pub(super) fn id_of(cell: &Cell) -> Result<Option<SessionId>, SessionError> {
    match cell {
        // A text that is no session id names no session.
        Cell::Text(text) => Ok(text.parse().ok()),
        Cell::Number(_) => Ok(None),
        Cell::Null => Err(semantic("a session is named by a string or an integer")),
    }
}

impl Replica {
    /// Kills sessions, each once. Unknown ones are not counted and are no error.
    pub(super) fn kill_sessions_of(
        &mut self,
        ids: &[SessionId],
        by: Option<&str>,
        why: Option<&str>,
    ) -> Result<u64, SessionError> {
        let mut killed = 0;
        for id in ids {
            let known = self.find_session(id).is_some();
            let text = |text: Option<&str>| text.map(shortened);
            self.fence(id, Fence { at: self.now, by: text(by), why: text(why), ..Fence::default() });
            killed += u64::from(known);
        }
        Ok(killed)
    }

    /// Kills a session wherever it is, under a session's role, or as the host without one. Returns whether it was
    /// known.
    ///
    /// # Errors
    /// The reason why the session is refused; `PERMISSION_DENIED`.
    pub fn kill_session(
        &mut self,
        handle: Option<SessionHandle>,
        id: &SessionId,
        why: Option<&str>,
        now: Millis,
    ) -> Result<bool, SessionError> {
        self.do_what_is_due(now);
        let asker = self.asker(handle)?;
        let statement = Statement::KillSession(Term::Text(id.to_text()));
        let killed = self.kill_sessions(&asker, &[Cell::Text(id.to_text())], why);
        self.log(&asker, &statement, killed.as_ref().err());
        Ok(killed?.rows.first().and_then(|row| row.first()) != Some(&Cell::Number(0)))
    }

    pub(super) fn kill_sessions(
        &mut self,
        asker: &Asker,
        ids: &[Cell],
        why: Option<&str>,
    ) -> Result<Table, SessionError> {
        let mut found: Vec<SessionId> = Vec::new();
        for cell in ids {
            let Some(id) = id_of(cell)? else { continue };
            let Some((session, _)) = self.find_session(&id) else {
                // God may kill a session that is not known here: the fence takes effect wherever it is.
                if asker.god && self.keyring.is_some() && self.store.fences().get(&id).is_none() && !found.contains(&id)
                {
                    found.push(id);
                }
                continue;
            };
            if !asker.sees(Right::KillSession, &self.roles(), &session) {
                return Err(denied(Right::KillSession));
            }
            if !found.contains(&id) {
                found.push(id);
            }
        }
        let killed = self.kill_sessions_of(&found, asker.user.as_deref(), why)?;
        let mut table = Table::new(&[KILLED]);
        table.rows.push(alloc::vec![killed.into()]);
        Ok(table)
    }

    pub(super) fn kill_queries(
        &mut self,
        asker: &Asker,
        pairs: &[(Option<Cell>, Cell)],
    ) -> Result<Table, SessionError> {
        let mut plans: Vec<(Option<SessionId>, u64)> = Vec::new();
        for (session, plan) in pairs {
            let Cell::Number(number) = plan else { return Err(semantic("a plan is an integer")) };
            let plan = u64::try_from(*number).unwrap_or(0);
            let of = match session {
                None => asker.session,
                Some(cell) => {
                    let id = id_of(cell)?;
                    let known = id.filter(|id| self.find_session(id).is_some());
                    let none =
                        || SessionError::new(ErrorCode::QueryNotFound, format!("SessionId[{cell}] does not exist"));
                    Some(known.ok_or_else(none)?)
                }
            };
            let here = self.service.queries.get(plan).filter(|query| of.is_none_or(|of| query.session == of));
            let permitted = match (here, of.and_then(|id| self.find_session(&id))) {
                (Some(query), _) => asker.sees_query(Right::KillQuery, &self.roles(), query),
                (None, Some((target, _))) => asker.sees(Right::KillQuery, &self.roles(), &target),
                (None, None) => true,
            };
            if !permitted {
                return Err(denied(Right::KillQuery));
            }
            // The query may run at its home, which is then to stop it.
            let row = of.and_then(|id| self.store.roster().get(&id)).filter(|row| row.home != self.id);
            let there = row.is_some_and(|row| row.running.iter().any(|query| query.plan == plan));
            if here.is_some() {
                plans.push((None, plan));
            } else if there {
                plans.push((of, plan));
            } else {
                return Err(match session {
                    None => query::unknown(plan),
                    Some(cell) => {
                        let cause = format!("ExecutionPlanId[{plan}] does not exist in Session[{cell}].");
                        SessionError::new(ErrorCode::QueryNotFound, cause)
                    }
                });
            }
        }
        for (elsewhere, plan) in plans {
            match elsewhere {
                Some(session) => {
                    self.store.roster_mut().stop(&session, plan);
                }
                None => {
                    self.stop_query(plan, QueryStatus::Killed);
                }
            }
        }
        Ok(Table::default())
    }
}
