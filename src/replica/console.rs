//! Runs statements: one implementation for the console, for `session.run`, and for the host's own calls.
//!
//! Invariants:
//!
//! * A sequence is parsed and checked as a whole before any of it runs.
//! * The checks come in this order: grammar, types and names, permission, existence.
//! * Of several kills, all are permitted before the first one is done.
//! * A change of the fleet's records is answered once it is durable.
//! * No password reaches the log or a list.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Replica;
use super::asker::Asker;
use super::lists::columns;
use super::login::wrong;
use crate::error::{ErrorCode, SessionError};
use crate::id::{Dot, Space};
use crate::io::{Answer, Progress, SessionHandle, Terms};
use crate::service::access::{Right, RoleChange, check_account, check_role_change, denied};
use crate::service::role::{ROOT, RoleType};
use crate::service::statement::{Show, Stage, Statement, Term, parse};
use crate::service::table::{Cell, Table, check, semantic};
use crate::store::Mutation;
use crate::time::Millis;

/// The longest name of an account or a space, in bytes.
const NAME_MAX: usize = 64;

/// The most passwords in one text of a user who is not God.
const PASSWORDS_MAX: usize = 4;

/// Work on a password that the host must do before a statement runs, because hashing is slow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hashing {
    /// Hash this one.
    Hash(crate::service::statement::Password),
    /// Compare this one with the hash of an account, or with none at all. The answer is that hash, prefixed by `!` if
    /// the password does not match it.
    Check(crate::service::statement::Password, Option<String>),
}

fn check_name(name: &str) -> Result<(), SessionError> {
    if name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(semantic("a name has 1 to 64 bytes and no control characters"));
    }
    Ok(())
}

/// Checks types and names, before anything runs.
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

impl Replica {
    /// The work on passwords that a text's statements need, in order. It ends before the first such statement that the
    /// session may not run, because hashing takes longer than anything else that a text can ask for.
    ///
    /// # Errors
    /// `SYNTAX`; `QUOTA_EXCEEDED` if a session that is not God's needs too many; the reason why the session is refused.
    pub fn secrets(&self, handle: Option<SessionHandle>, text: &str) -> Result<Vec<Hashing>, SessionError> {
        let asker = self.asker(handle)?;
        let mut secrets = Vec::new();
        for statement in parse(text)? {
            match statement {
                Statement::CreateUser { password: Some(_), .. } | Statement::AlterUser { .. } if !asker.god => break,
                Statement::CreateUser { password: Some(password), .. } | Statement::AlterUser { password, .. } => {
                    secrets.push(Hashing::Hash(password));
                }
                Statement::ChangePassword { name, .. } if !asker.god && asker.user.as_deref() != Some(&name) => break,
                Statement::ChangePassword { name, from, to } => {
                    if !asker.god && secrets.len() >= PASSWORDS_MAX {
                        return Err(SessionError::bound(ErrorCode::QuotaExceeded, "passwords", PASSWORDS_MAX as u64));
                    }
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

    /// Runs statements under a session's role, or without a session as God, the host itself. `hashes` are the answers
    /// to [`Replica::secrets`], in its order. Returns the last table.
    ///
    /// # Errors
    /// `SYNTAX`, `SEMANTIC`: nothing has run. `PERMISSION_DENIED` and the others in `src/docs/service.md`: the
    /// statements before the failed one have run. The reason why the session is refused.
    pub fn run(
        &mut self,
        handle: Option<SessionHandle>,
        text: &str,
        hashes: &[String],
        terms: Terms,
        now: Millis,
    ) -> Result<Progress, SessionError> {
        self.do_what_is_due(now);
        self.asker(handle)?;
        parse(text)?.iter().try_for_each(check_statement)?;
        let state = handle.and_then(|handle| self.sessions.get(&handle));
        let deadline = now.saturating_add(terms.timeout.unwrap_or(state.map_or(self.timeout, |state| state.timeout)));
        // A session that has seen more of the fleet's records than this replica is judged once they have arrived.
        if let (Some(handle), true) = (handle, state.is_some_and(|state| self.unsure(state).is_some())) {
            return self.run_later(handle, text, hashes, deadline);
        }
        let table = self.run_now(handle, text, hashes, terms)?;
        self.answer_once_durable(handle, Answer::Table(table), deadline)
    }

    /// [`Replica::run`], when everything that it may wait for is there.
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
            // An earlier statement may have ended the session.
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

    /// Records the session's changes of the fleet's records as its writes, so that its token depends on them.
    fn remember_records(&mut self, handle: Option<SessionHandle>, before: u64) {
        let now = self.own_records();
        let state = handle.filter(|_| now > before).and_then(|handle| self.sessions.get_mut(&handle));
        if let Some(state) = state {
            state.vector.record_write(&self.service.system, Dot::new(self.id, now));
        }
    }

    fn plan(&mut self, asker: &Asker, statement: &Statement, terms: Terms) -> Option<u64> {
        let begun = self.begin_plan(asker.handle?, &statement.to_string(), terms, statement.looks());
        begun.ok().map(|(plan, _)| plan)
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
                let (looked, hash) = (hash()?, hash()?);
                self.check_lock(name)?;
                let (right, compared) = looked.strip_prefix('!').map_or((true, looked.as_str()), |hash| (false, hash));
                let account = self.directory().account(name).filter(|account| !account.locked);
                let known = account.is_some();
                let held = account.and_then(|account| account.hash);
                // The password was compared with a hash that is no longer current. This reveals nothing and does not
                // count as a guess.
                if compared != held.as_deref().unwrap_or_default() {
                    return Err(wrong());
                }
                if !right || held.is_none() || self.is_locked(name) {
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
        if self.is_default(name) { Ok(self.space.clone()) } else { Err(missing(ErrorCode::SpaceNotFound)) }
    }

    /// Whether a space is the one in which sessions begin here and exists without having been created. An edge with
    /// another default may have dropped it.
    pub(super) fn is_default(&self, name: &str) -> bool {
        name == self.space.name() && self.directory().generation(name).is_none()
    }

    fn check_user(&self, name: &str) -> Result<(), SessionError> {
        let known = name == ROOT || self.directory().account(name).is_some();
        if known { Ok(()) } else { Err(missing(ErrorCode::UserNotFound)) }
    }

    /// The name of the creation, if the next write creates an account.
    fn next_creation(&self) -> String {
        format!("{}:{}", self.id, self.store.vector(&self.service.system).get(self.id) + 1)
    }

    fn set_password(&mut self, name: &str, hash: String) -> Result<(), SessionError> {
        let mut batch = self.directory().set_account(name, Some(hash), self.next_creation());
        batch.push(self.directory().fence_before(name, self.now.saturating_add(1)));
        self.write_system(batch)
    }

    fn manage_spaces(&self, asker: &Asker, name: &str) -> Result<(), SessionError> {
        if asker.god && name.starts_with('$') {
            return Err(reserved());
        }
        if asker.god { Ok(()) } else { Err(denied(Right::ManageSpaces)) }
    }

    fn set_space(&mut self, name: &str, over: bool) -> Result<(), SessionError> {
        let record: Mutation = self.directory().set_space(name, over);
        self.write_system(alloc::vec![record])
    }

    /// Checks whether the asker may change a role; returns the space.
    fn change_roles(&self, asker: &Asker, role: RoleType, space: &str, user: &str) -> Result<Space, SessionError> {
        let found = self.find_space(space);
        let name = found.as_ref().map_or_else(|_| space.to_string(), Space::to_string);
        if self.asks_roles() {
            let cause =
                "nobody grants or revokes here: the host answers roles itself (roleOf); change them where it looks";
            return Err(SessionError::new(ErrorCode::PermissionDenied, cause));
        }
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
}

/// The refusal of a space that is reserved for the fleet.
pub(super) fn reserved() -> SessionError {
    SessionError::new(ErrorCode::PermissionDenied, "no session uses a space whose name begins with $")
}

/// The refusal of a name or id that does not exist.
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
