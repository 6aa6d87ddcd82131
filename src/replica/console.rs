//! Statements run: one implementation for the console, for `session.run`, and for the host's own calls.
//!
//! Invariants: a whole sequence is read and checked before any of it runs; checks come in the order grammar, types and
//! names, permission, existence; several kills are all permitted before the first of them is done; what changed the
//! fleet's records is answered once it is durable. No password reaches the log or a list.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Replica;
use super::lists::columns;
use super::login::wrong;
use super::service::Held;
use super::sessions::unknown;
use crate::error::{ErrorCode, SessionError};
use crate::id::{Dot, SessionId, Space};
use crate::io::{Answer, Progress, SessionHandle, Terms};
use crate::service::access::{Actor, Right, RoleChange, check_account, check_role_change, denied};
use crate::service::audit::LoggedOperation;
use crate::service::query::{self, QueryStatus};
use crate::service::record::SessionInfo;
use crate::service::role::{ROOT, RoleType};
use crate::service::statement::{Show, Stage, Statement, Term, parse};
use crate::service::system::Directory;
use crate::service::table::{Cell, KILLED, Table, check, semantic};
use crate::store::Mutation;
use crate::store::fence::{Fence, shortened};
use crate::time::Millis;

/// The longest name of an account or a space, in bytes.
const NAME_MAX: usize = 64;

/// What a statement needs done with a password before it runs, where hashing has its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hashing {
    /// Hash this one.
    Hash(crate::service::statement::Password),
    /// Compare this one with the hash of an account, or with none at all.
    Check(crate::service::statement::Password, Option<String>),
}

/// Who asks.
pub(super) struct Asker {
    pub(super) handle: Option<SessionHandle>,
    pub(super) session: Option<SessionId>,
    pub(super) user: Option<String>,
    pub(super) god: bool,
    pub(super) space: Space,
}

impl Asker {
    pub(super) fn actor(&self) -> Actor<'_> {
        Actor { user: self.user.as_deref(), god: self.god }
    }

    /// Whether something is the asker's own: of the same account, or of the very session.
    pub(super) fn owns(&self, session: &SessionId, user: Option<&str>) -> bool {
        self.session == Some(*session) || (user.is_some() && self.user.as_deref() == user)
    }

    pub(super) fn sees(&self, right: Right, roles: &Held<'_>, session: &SessionInfo) -> bool {
        let own = self.owns(&session.id, session.user.as_deref());
        self.actor().may(right, roles, &session.space.to_string(), own)
    }
}

fn check_name(name: &str) -> Result<(), SessionError> {
    if name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(semantic("a name has 1 to 64 bytes and no control characters"));
    }
    Ok(())
}

/// Types and names, before anything runs.
fn check_statement(statement: &Statement) -> Result<(), SessionError> {
    let plain = |term: &Term| match term {
        Term::Column(_) => Err(semantic("a column is known only behind a pipe")),
        Term::Text(_) | Term::Number(_) => Ok(()),
    };
    match statement {
        Statement::Show(show, stages) => {
            if let Show::Session(id) = show {
                plain(id)?;
            }
            check(columns(show), stages)
        }
        Statement::KillSession(id) => plain(id),
        Statement::KillQuery { session, plan } => {
            session.as_ref().map_or(Ok(()), plain)?;
            if matches!(plan, Term::Number(_)) { plain(plan) } else { Err(semantic("a plan is an integer")) }
        }
        Statement::CreateUser { name, .. }
        | Statement::AlterUser { name, .. }
        | Statement::DropUser { name, .. }
        | Statement::ChangePassword { name, .. }
        | Statement::DescribeUser(name)
        | Statement::Use(name)
        | Statement::DropSpace { name, .. } => check_name(name),
        Statement::CreateSpace { name, .. } => {
            Space::first(name).map(drop).map_err(|error| semantic(error.cause().to_string()))
        }
        Statement::Grant { space, user, .. } | Statement::Revoke { space, user, .. } => {
            check_name(space)?;
            check_name(user)
        }
    }
}

pub(super) fn id_of(cell: &Cell) -> Result<Option<SessionId>, SessionError> {
    match cell {
        // What is no session's id is the id of no session.
        Cell::Text(text) => Ok(text.parse().ok()),
        Cell::Number(_) => Ok(None),
        Cell::Null => Err(semantic("a session is named by a string or an integer")),
    }
}

impl Replica {
    /// What a text's statements need done with passwords, in the order in which they need it.
    ///
    /// # Errors
    /// `SYNTAX`.
    pub fn secrets(&self, text: &str) -> Result<Vec<Hashing>, SessionError> {
        let mut secrets = Vec::new();
        for statement in parse(text)? {
            match statement {
                Statement::CreateUser { password: Some(password), .. } | Statement::AlterUser { password, .. } => {
                    secrets.push(Hashing::Hash(password));
                }
                Statement::ChangePassword { name, from, to } => {
                    let hash =
                        self.directory().account(&name).filter(|known| !known.locked).and_then(|known| known.hash);
                    secrets.push(Hashing::Check(from, hash));
                    secrets.push(Hashing::Hash(to));
                }
                Statement::Show(..)
                | Statement::KillSession(_)
                | Statement::KillQuery { .. }
                | Statement::CreateUser { password: None, .. }
                | Statement::DropUser { .. }
                | Statement::DescribeUser(_)
                | Statement::Grant { .. }
                | Statement::Revoke { .. }
                | Statement::CreateSpace { .. }
                | Statement::DropSpace { .. }
                | Statement::Use(_) => {}
            }
        }
        Ok(secrets)
    }

    /// Runs statements under a session's role, or as God without one: the host itself. `hashes` answers what
    /// [`Replica::secrets`] asked for: a hash, or `true` where a password was the right one. Answers the last table.
    ///
    /// # Errors
    /// `SYNTAX`, `SEMANTIC`: nothing has run. `PERMISSION_DENIED` and the others of `src/docs/service.md`: the statements
    /// before the one that failed have run. The reason of a refused session.
    pub fn run(
        &mut self,
        handle: Option<SessionHandle>,
        text: &str,
        hashes: &[String],
        terms: Terms,
        now: Millis,
    ) -> Result<Progress, SessionError> {
        self.input(now);
        self.work();
        self.stirred = true;
        self.asker(handle)?;
        parse(text)?.iter().try_for_each(check_statement)?;
        let state = handle.and_then(|handle| self.sessions.get(&handle));
        let deadline = now.saturating_add(terms.timeout.unwrap_or(state.map_or(self.timeout, |state| state.timeout)));
        // A session that has seen more of the fleet's records than this replica is judged once they are here.
        if let (Some(handle), true) = (handle, state.is_some_and(|state| self.unsure(state).is_some())) {
            return self.run_later(handle, text, hashes, deadline);
        }
        let table = self.run_now(handle, text, hashes, terms)?;
        self.answer_once_durable(handle, Answer::Table(table), deadline)
    }

    /// [`Replica::run`], with all that it may have waited for at hand.
    pub(super) fn run_now(
        &mut self,
        handle: Option<SessionHandle>,
        text: &str,
        hashes: &[String],
        terms: Terms,
    ) -> Result<Table, SessionError> {
        let now = self.now;
        let mut asker = self.asker(handle)?;
        let statements = parse(text)?;
        let mut hashes = hashes.iter();
        let mut table = Table::default();
        for statement in &statements {
            // One of those before may have ended the session.
            self.asker(handle)?;
            let plan = self.plan(&asker, statement, terms);
            let before = self.own_records();
            let result = self.execute(&mut asker, statement, &mut hashes);
            self.remember_records(handle, before);
            self.log(&asker, statement, result.as_ref().err());
            let told = result.as_ref().map(|table| table.rows.len() as u64).map_err(|error| error.cause().to_string());
            if let Some(plan) = plan {
                // A statement that kills its own session has ended its own query.
                let _ = self.end_query(plan, told, now);
            }
            table = result?;
        }
        Ok(table)
    }

    fn own_records(&self) -> u64 {
        self.store.vector(&self.service.system).get(self.id)
    }

    /// What a session has changed of the fleet's records it has written: its token asks for it.
    fn remember_records(&mut self, handle: Option<SessionHandle>, before: u64) {
        let now = self.own_records();
        let state = handle.filter(|_| now > before).and_then(|handle| self.sessions.get_mut(&handle));
        if let Some(state) = state {
            state.vector.record_write(&self.service.system, Dot::new(self.id, now));
        }
    }

    pub(super) fn asker(&self, handle: Option<SessionHandle>) -> Result<Asker, SessionError> {
        let Some(handle) = handle else {
            return Ok(Asker { handle: None, session: None, user: None, god: true, space: self.space.clone() });
        };
        let state = self.sessions.get(&handle).ok_or_else(unknown)?;
        state.admit(self.now)?;
        let god = state.user.as_deref() == Some(ROOT) && self.keyring.is_some();
        let (user, space) = (state.user.clone(), state.space.clone());
        Ok(Asker { handle: Some(handle), session: Some(state.id), user, god, space })
    }

    fn plan(&mut self, asker: &Asker, statement: &Statement, terms: Terms) -> Option<u64> {
        let now = self.now;
        self.begin_query(asker.handle?, &statement.to_string(), terms, now).ok().map(|(plan, _)| plan)
    }

    /// Writes down what was done. What has changed the fleet is one of its records: nobody else is to be able to fill
    /// those, so refusals are remembered here alone.
    fn log(&mut self, asker: &Asker, statement: &Statement, error: Option<&SessionError>) {
        // A console refreshes its lists every second: what was done would be out of the log within minutes.
        if error.is_none() && statement.looks() {
            return;
        }
        // What anybody may do with their own would fill the fleet's records as well.
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
        let (at, user, session) = (self.now, asker.user.clone(), asker.session);
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

    fn execute<'h>(
        &mut self,
        asker: &mut Asker,
        statement: &Statement,
        hashes: &mut impl Iterator<Item = &'h String>,
    ) -> Result<Table, SessionError> {
        let mut hash = || hashes.next().cloned().ok_or_else(|| semantic("a password was not hashed"));
        match statement {
            Statement::Show(show, stages) => {
                let mut table = self.show(asker, show)?;
                for stage in stages {
                    table = self.stage(asker, table, stage)?;
                }
                return Ok(table);
            }
            Statement::KillSession(id) => {
                let id = Table::default().value(&[], id)?;
                return self.kill_sessions(asker, &[id], None);
            }
            Statement::KillQuery { session, plan } => {
                let value = |term: &Term| Table::default().value(&[], term);
                let pair = (session.as_ref().map(value).transpose()?, value(plan)?);
                return self.kill_queries(asker, &[pair]);
            }
            Statement::CreateUser { name, lenient, password } => {
                check_account(&asker.actor(), name, false)?;
                let hash = password.as_ref().map(|_| hash()).transpose()?;
                if name == ROOT || self.directory().account(name).is_some() {
                    return if *lenient { Ok(Table::default()) } else { Err(existed(ErrorCode::UserExisted)) };
                }
                let batch = self.directory().set_account(name, hash, self.next_creation());
                self.write_system(batch)?;
            }
            Statement::AlterUser { name, .. } => {
                check_account(&asker.actor(), name, false)?;
                let hash = hash()?;
                self.check_user(name)?;
                self.set_password(name, hash)?;
            }
            Statement::DropUser { name, lenient } => {
                check_account(&asker.actor(), name, true)?;
                if self.directory().account(name).is_none() {
                    return if *lenient { Ok(Table::default()) } else { Err(missing(ErrorCode::UserNotFound)) };
                }
                let mut batch = self.directory().drop_account(name);
                batch.push(self.directory().fence_before(name, self.now.saturating_add(1)));
                self.write_system(batch)?;
            }
            Statement::ChangePassword { name, .. } => {
                let own = asker.user.as_deref() == Some(name);
                asker.actor().check(Right::ChangePassword, &self.roles(), &asker.space.to_string(), own)?;
                let (right, hash) = (hash()?, hash()?);
                self.check_lock(name)?;
                let known = self.directory().account(name).is_some_and(|account| !account.locked);
                if right != "true" || !known {
                    return Err(self.count_failure(name, known).err().unwrap_or_else(wrong));
                }
                self.set_password(name, hash)?;
            }
            Statement::DescribeUser(name) => {
                let own = asker.user.as_deref() == Some(name);
                asker.actor().check(Right::DescribeUser, &self.roles(), &asker.space.to_string(), own)?;
                if !own {
                    self.check_user(name)?;
                }
                return Ok(self.grants(name));
            }
            Statement::Grant { role, space, user } => {
                let space = self.change_roles(asker, *role, space, user)?;
                let grant = self.directory().grant(user, *role, &space.to_string());
                self.write_system(grant.into_iter().collect())?;
            }
            Statement::Revoke { role, space, user } => {
                let space = self.change_roles(asker, *role, space, user)?.to_string();
                match self.directory().role(user, &space) {
                    None => return Err(missing(ErrorCode::RoleNotFound)),
                    Some(held) if held != *role => {
                        let cause = format!("the user holds another role in the space: {held}");
                        return Err(SessionError::new(ErrorCode::ImproperRole, cause));
                    }
                    Some(_) => {}
                }
                let revoke = self.directory().revoke(user, &space);
                self.write_system(alloc::vec![revoke])?;
            }
            Statement::CreateSpace { name, lenient } => {
                self.manage_spaces(asker, name)?;
                if self.find_space(name).is_ok() {
                    return if *lenient { Ok(Table::default()) } else { Err(existed(ErrorCode::SpaceExisted)) };
                }
                self.set_space(name, false)?;
            }
            Statement::DropSpace { name, lenient } => {
                self.manage_spaces(asker, name)?;
                if name == self.space.name() {
                    return Err(SessionError::new(
                        ErrorCode::PermissionDenied,
                        "the space that sessions begin in stays",
                    ));
                }
                match self.find_space(name) {
                    Err(_) if *lenient => return Ok(Table::default()),
                    Err(error) => return Err(error),
                    Ok(_) => self.set_space(name, true)?,
                }
            }
            Statement::Use(name) => self.use_space(asker, name)?,
        }
        Ok(Table::default())
    }

    fn stage(&mut self, asker: &Asker, table: Table, stage: &Stage) -> Result<Table, SessionError> {
        match stage {
            Stage::KillSession(id) => {
                let ids: Result<Vec<Cell>, _> = table.rows.iter().map(|row| table.value(row, id)).collect();
                self.kill_sessions(asker, &ids?, None)
            }
            Stage::KillQuery { session, plan } => {
                let mut pairs = Vec::new();
                for row in &table.rows {
                    let session = session.as_ref().map(|session| table.value(row, session)).transpose()?;
                    pairs.push((session, table.value(row, plan)?));
                }
                self.kill_queries(asker, &pairs)
            }
            Stage::Yield { .. } | Stage::OrderBy { .. } | Stage::Limit(_) => table.through(stage),
        }
    }

    pub(super) fn find_space(&self, name: &str) -> Result<Space, SessionError> {
        if let Some((generation, false)) = self.directory().generation(name) {
            return Space::new(name, generation);
        }
        if name == self.space.name() { Ok(self.space.clone()) } else { Err(missing(ErrorCode::SpaceNotFound)) }
    }

    fn check_user(&self, name: &str) -> Result<(), SessionError> {
        let known = name == ROOT || self.directory().account(name).is_some();
        if known { Ok(()) } else { Err(missing(ErrorCode::UserNotFound)) }
    }

    /// What names the account that the next write creates.
    fn next_creation(&self) -> String {
        format!("{}:{}", self.id, self.store.vector(&self.service.system).get(self.id) + 1)
    }

    fn set_password(&mut self, name: &str, hash: String) -> Result<(), SessionError> {
        let mut batch = self.directory().set_account(name, Some(hash), self.next_creation());
        batch.push(self.directory().fence_before(name, self.now.saturating_add(1)));
        self.write_system(batch)
    }

    fn manage_spaces(&self, asker: &Asker, name: &str) -> Result<(), SessionError> {
        let reserved = name.starts_with('$');
        if asker.god && !reserved { Ok(()) } else { Err(denied(Right::ManageSpaces)) }
    }

    fn set_space(&mut self, name: &str, over: bool) -> Result<(), SessionError> {
        let record: Mutation = self.directory().set_space(name, over);
        self.write_system(alloc::vec![record])
    }

    /// Whether the asker may change a role; the space then.
    fn change_roles(&self, asker: &Asker, role: RoleType, space: &str, user: &str) -> Result<Space, SessionError> {
        let found = self.find_space(space);
        let name = found.as_ref().map_or_else(|_| space.to_string(), Space::to_string);
        check_role_change(&asker.actor(), &RoleChange { role, space: &name, user }, &self.roles())?;
        let found = found?;
        self.check_user(user)?;
        Ok(found)
    }

    fn use_space(&mut self, asker: &mut Asker, name: &str) -> Result<(), SessionError> {
        let handle = asker.handle.ok_or_else(|| semantic("Space was not chosen: the host itself is in none"))?;
        let found = self.find_space(name);
        let space = found.as_ref().map_or_else(|_| name.to_string(), Space::to_string);
        if name.starts_with('$') {
            return Err(denied(Right::Read));
        }
        asker.actor().check(Right::Read, &self.roles(), &space, true)?;
        let found = found?;
        if let Some(state) = self.sessions.get_mut(&handle) {
            state.space = found.clone();
            self.service.manager.update(&state.id, |session| session.space = found.clone());
        }
        asker.space = found;
        Ok(())
    }

    /// Kills sessions, each once. Those that are not known are not counted, and are no error.
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

    /// Kills a session wherever it is, under a session's role, or as the host without one; whether it was known.
    ///
    /// # Errors
    /// The reason of a refused session; `PERMISSION_DENIED`.
    pub fn kill_session(
        &mut self,
        handle: Option<SessionHandle>,
        id: &SessionId,
        why: Option<&str>,
        now: Millis,
    ) -> Result<bool, SessionError> {
        self.input(now);
        self.work();
        self.stirred = true;
        let asker = self.asker(handle)?;
        let statement = Statement::KillSession(Term::Text(id.to_text()));
        let killed = self.kill_sessions(&asker, &[Cell::Text(id.to_text())], why);
        self.log(&asker, &statement, killed.as_ref().err());
        Ok(killed?.rows.first().and_then(|row| row.first()) != Some(&Cell::Number(0)))
    }

    fn kill_sessions(&mut self, asker: &Asker, ids: &[Cell], why: Option<&str>) -> Result<Table, SessionError> {
        let mut found: Vec<SessionId> = Vec::new();
        for cell in ids {
            let Some(id) = id_of(cell)? else { continue };
            let Some((session, _)) = self.find_session(&id) else {
                // God's word holds wherever the session is, also where it is not known.
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

    fn kill_queries(&mut self, asker: &Asker, pairs: &[(Option<Cell>, Cell)]) -> Result<Table, SessionError> {
        let mut plans = Vec::new();
        for (session, plan) in pairs {
            let Cell::Number(number) = plan else { return Err(semantic("a plan is an integer")) };
            let plan = u64::try_from(*number).unwrap_or(0);
            let query = self.service.queries.get(plan);
            let of = match session {
                None => asker.session,
                Some(cell) => {
                    let id = id_of(cell)?;
                    let known = id.filter(|id| self.service.manager.get(id).is_some());
                    let none =
                        || SessionError::new(ErrorCode::QueryNotFound, format!("SessionId[{cell}] does not exist"));
                    Some(known.ok_or_else(none)?)
                }
            };
            if let Some(target) = of.and_then(|id| self.service.manager.get(&id))
                && !asker.sees(Right::KillQuery, &self.roles(), target)
            {
                return Err(denied(Right::KillQuery));
            }
            let missing = || match session {
                None => query::unknown(plan),
                Some(cell) => {
                    let cause = format!("ExecutionPlanId[{plan}] does not exist in Session[{cell}].");
                    SessionError::new(ErrorCode::QueryNotFound, cause)
                }
            };
            let query = query.filter(|query| of.is_none_or(|of| query.session == of)).ok_or_else(missing)?;
            plans.push(query.plan);
        }
        for plan in plans {
            self.stop_query(plan, QueryStatus::Killed);
        }
        Ok(Table::default())
    }
}

/// The refusal of what does not exist.
pub(super) fn missing(code: ErrorCode) -> SessionError {
    let causes = [
        (ErrorCode::UserNotFound, "no account has this name"),
        (ErrorCode::RoleNotFound, "the user holds no role in the space"),
        (ErrorCode::SessionNotFound, "no session has this id here"),
        (ErrorCode::SpaceNotFound, "no space has this name; CREATE SPACE makes one"),
    ];
    let cause = causes.iter().find(|(of, _)| *of == code).map_or("it does not exist", |(_, cause)| *cause);
    SessionError::new(code, cause)
}

fn existed(code: ErrorCode) -> SessionError {
    let cause = if code == ErrorCode::UserExisted { "an account has this name" } else { "a space has this name" };
    SessionError::new(code, cause)
}
