//! The lists of the console: sessions, queries, accounts, roles and spaces, each as far as the asker may see them.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::Replica;
use super::asker::Asker;
use super::console::missing;
use super::kills::id_of;
use crate::error::{ErrorCode, SessionError};
use crate::id::{ReplicaId, Space};
use crate::io::SessionHandle;
use crate::service::access::{Right, Roles, denied};
use crate::service::query::QueryPlan;
use crate::service::record::{SessionInfo, SessionStatus};
use crate::service::role::{ROOT, RoleType};
use crate::service::statement::Show;
use crate::service::table::{Cell, Table};
use crate::time::{Millis, iso};

const SESSIONS: [&str; 11] = [
    "SessionId",
    "UserName",
    "SpaceName",
    "CreateTime",
    "UpdateTime",
    "GraphAddr",
    "Timezone",
    "ClientIp",
    "State",
    "ActiveQueries",
    "AgeInMs",
];
const QUERIES: [&str; 9] =
    ["SessionID", "ExecutionPlanID", "User", "Host", "StartTime", "DurationInUSec", "Status", "Query", "AgeInMs"];
/// The columns of a list.
pub(super) fn columns(show: &Show) -> &'static [&'static str] {
    match show {
        Show::Sessions { .. } | Show::Session(_) => &SESSIONS,
        Show::Queries { .. } => &QUERIES,
        Show::Users => &["Account"],
        Show::Spaces => &["Name"],
        Show::Grants => &["role", "space"],
        Show::Roles(_) => &["Account", "Role Type"],
    }
}

impl Replica {
    pub(super) fn show(&self, asker: &Asker, show: &Show) -> Result<Table, SessionError> {
        let roles = self.roles();
        let space = asker.space.to_string();
        let mut table = Table::new(columns(show));
        match show {
            Show::Sessions { local } => {
                let seen =
                    self.service.manager.iter().filter(|session| asker.sees(Right::ShowSessions, &roles, session));
                let idle = self.service.manager.limits().idle;
                table.rows = seen.map(|session| session_row(session, session.status(idle, self.now), 0)).collect();
                for (session, age) in self.sessions_elsewhere().filter(|_| !local) {
                    let status = session.status(idle, self.now);
                    if status == SessionStatus::Active && asker.sees(Right::ShowSessions, &roles, &session) {
                        table.rows.push(session_row(&session, status, age));
                    }
                }
                // The oldest first, since ids begin with the time.
                table.order(0, false);
            }
            Show::Session(id) => {
                let id = id_of(&table.value(&[], id)?)?;
                let none = || missing(ErrorCode::SessionNotFound);
                let id = id.ok_or_else(none)?;
                let over = self.service.manager.over().rev().find(|over| over.session.id == id);
                let idle = self.service.manager.limits().idle;
                let live = self.find_session(&id).map(|(session, age)| {
                    let status = session.status(idle, self.now);
                    (session, status, age)
                });
                let over = || over.map(|over| (over.session.clone(), over.status, self.now.saturating_sub(over.at)));
                let (session, status, age) = live.or_else(over).ok_or_else(none)?;
                if !asker.sees(Right::ShowSessions, &roles, &session) {
                    return Err(denied(Right::ShowSessions));
                }
                table.rows.push(session_row(&session, status, age));
            }
            Show::Queries { local } => {
                let all = self.queries_seen(asker, *local);
                table.rows = all.iter().map(|(query, home, age)| self.query_row(query, *home, *age)).collect();
            }
            Show::Users => {
                asker.actor().check(Right::ShowUsers, &roles, &space, false)?;
                table.rows = roles.directory.users().into_iter().map(|user| alloc::vec![Cell::Text(user)]).collect();
            }
            Show::Spaces => {
                let names = self.spaces().into_iter();
                let seen = names.filter(|space| {
                    let space = space.to_string();
                    asker.actor().role(&roles, &space).is_some()
                        && asker.actor().may(Right::ShowSpaces, &roles, &space, false)
                });
                table.rows = seen.map(|space| alloc::vec![space.name().into()]).collect();
            }
            Show::Grants => {
                table.rows = asker.user.as_deref().map(|user| self.grants(user).rows).unwrap_or_default();
            }
            Show::Roles(name) => {
                let space = self.find_space(name).map_or_else(|_| name.clone(), |space| space.to_string());
                asker.actor().check(Right::ShowRoles, &roles, &space, false)?;
                self.find_space(name)?;
                let users = roles.directory.users().into_iter().filter(|user| user != ROOT);
                let held = users.filter_map(|user| roles.role(Some(&user), &space).map(|role| (user, role)));
                table.rows = held.map(|(user, role)| alloc::vec![Cell::Text(user), role.keyword().into()]).collect();
            }
        }
        Ok(table)
    }

    /// The sessions that a session may see, or the host without one. Those known here come first, most recently used
    /// first; each with its status and the age of the information.
    ///
    /// # Errors
    /// The reason why the session is refused.
    pub fn sessions_of(
        &self,
        handle: Option<SessionHandle>,
    ) -> Result<Vec<(SessionInfo, SessionStatus, Millis)>, SessionError> {
        let asker = self.asker(handle)?;
        let (roles, idle) = (self.roles(), self.service.manager.limits().idle);
        let here = self.service.manager.iter().map(|session| (session.clone(), 0));
        let seen = here.chain(self.sessions_elsewhere()).map(|(session, age)| {
            let status = session.status(idle, self.now);
            (session, status, age)
        });
        let live = |(session, status, age): &(SessionInfo, SessionStatus, Millis)| {
            (*age == 0 || *status == SessionStatus::Active) && asker.sees(Right::ShowSessions, &roles, session)
        };
        Ok(seen.filter(live).collect())
    }

    /// The running queries that the asker may see, those of this replica first.
    fn queries_seen(&self, asker: &Asker, local: bool) -> Vec<(QueryPlan, ReplicaId, Millis)> {
        let roles = self.roles();
        let here = self.service.queries.running().map(|query| (query.clone(), self.id, 0));
        let all = here.chain(self.queries_elsewhere().filter(|_| !local));
        all.filter(|(query, ..)| asker.sees_query(Right::ShowQueries, &roles, query)).collect()
    }

    /// The queries that a session may see, or the host without one: those running in the fleet, each with its home and
    /// the age of the information; or those that have ended here.
    ///
    /// # Errors
    /// The reason why the session is refused.
    pub fn queries_of(
        &self,
        handle: Option<SessionHandle>,
        ended: bool,
    ) -> Result<Vec<(QueryPlan, ReplicaId, Millis)>, SessionError> {
        let asker = self.asker(handle)?;
        if !ended {
            return Ok(self.queries_seen(&asker, false));
        }
        let roles = self.roles();
        let over = self.service.queries.history().filter(|query| asker.sees_query(Right::ShowQueries, &roles, query));
        Ok(over.map(|query| (query.clone(), self.id, 0)).collect())
    }

    /// The spaces that exist: the default one and those that were created.
    pub(super) fn spaces(&self) -> Vec<Space> {
        let created = self.directory().spaces().into_iter();
        let mut spaces: Vec<Space> =
            created.filter_map(|(name, generation)| Space::new(&name, generation).ok()).collect();
        // They are ordered by name, and the default one is inserted in order.
        let default = self.space.name();
        if self.is_default(default) {
            let at = spaces.iter().position(|space| space.name() > default).unwrap_or(spaces.len());
            spaces.insert(at, self.space.clone());
        }
        spaces
    }

    pub(super) fn grants(&self, user: &str) -> Table {
        let mut table = Table::new(columns(&Show::Grants));
        if user == ROOT {
            table.rows.push(alloc::vec![RoleType::God.keyword().into(), Cell::Null]);
            return table;
        }
        let roles = self.roles();
        let held =
            self.spaces().into_iter().filter_map(|space| Some((roles.role(Some(user), &space.to_string())?, space)));
        table.rows = held.map(|(role, space)| alloc::vec![role.keyword().into(), space.name().into()]).collect();
        table
    }

    fn query_row(&self, query: &QueryPlan, home: ReplicaId, age: Millis) -> Vec<Cell> {
        alloc::vec![
            Cell::Text(query.session.to_text()),
            query.plan.into(),
            query.user.as_deref().into(),
            Cell::Text(home.to_string()),
            Cell::Text(iso(query.started)),
            query.duration(self.now).saturating_mul(1_000).into(),
            query.status.name().into(),
            query.statement.as_str().into(),
            age.into(),
        ]
    }
}

fn session_row(session: &SessionInfo, status: SessionStatus, age: Millis) -> Vec<Cell> {
    alloc::vec![
        Cell::Text(session.id.to_text()),
        session.user.as_deref().into(),
        session.space.name().into(),
        Cell::Text(iso(session.created)),
        Cell::Text(iso(session.active)),
        Cell::Text(session.home.to_string()),
        Cell::Number(0),
        session.address.as_deref().into(),
        status.name().into(),
        u64::from(session.queries).into(),
        age.into(),
    ]
}
