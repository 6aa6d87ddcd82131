//! The replica's sessions as a service: admission, refusal, queries, and time limits.
//!
//! Invariants:
//!
//! * A session that was killed, logged out or has expired is refused from that moment with the reason, in every handle,
//!   every subscription and the host's copies, and its queries are stopped. A replica that knows of a kill never admits
//!   the session again.
//! * Roles are looked up at every operation. [`crate::service`] decides what an actor may do.

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use litemap::LiteMap;

use super::console::reserved;
use super::fleet::Fleet;
use super::login::{Login, OLD_PASSWORD};
use super::session::SessionState;
use super::sessions::unknown;
use super::{Config, Replica};
use crate::error::{Details, ErrorCode, SessionError};
use crate::id::{Dot, ReplicaId, SessionId, Space};
use crate::io::{Effect, Event, SessionHandle, Terms};
use crate::mutant::{Mutant, Service as Rule, off};
use crate::service::access::{Actor, Right, Roles};
use crate::service::audit::OperationLog;
use crate::service::crowd::Crowd;
use crate::service::hosted::Hosted;
use crate::service::manager::{SessionManager, expired};
use crate::service::query::{Queries, QueryPlan, QueryStatus};
use crate::service::record::{SessionInfo, SessionStats, SessionStatus, Told};
use crate::service::role::ROOT;
use crate::service::system::{Directory, shared};
use crate::session::seal::LEEWAY_MAX;
use crate::store::Mutation;
use crate::store::entry::Key;
use crate::store::fence::Fence;
use crate::store::sort::sort;
use crate::sync::gate;
use crate::time::{MILLIS_MAX, Millis};

/// How often fences that are no longer needed are dropped, in milliseconds.
const PRUNE_MS: Millis = 60_000;
/// The most overdue sessions that are ended at once, so that other work proceeds even if a million are overdue.
const EXPIRED_MAX: usize = 4_096;

/// Sessions, queries and logged operations.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) manager: SessionManager,
    pub(super) queries: Queries,
    pub(super) log: OperationLog,
    /// Failed logins here, for names with and without an account: the count, and until when the name is locked here.
    pub(super) guessed: LiteMap<String, (u64, Millis)>,
    /// The latest logins here, oldest first.
    pub(super) logins: VecDeque<Login>,
    /// The roles stated by the host.
    pub(super) hosted: Hosted,
    /// The space of the fleet's records.
    pub(super) system: Space,
    /// The sessions of each user at other replicas, if limits count them.
    pub(super) crowd: Crowd,
    /// What remains to be published to other replicas.
    pub(super) fleet: Fleet,
    /// The replica id and number of the last operation in the fleet's log.
    pub(super) logged: Option<(ReplicaId, u64)>,
    /// When fences are pruned next.
    prune_at: Millis,
    /// The fleet's records have changed, so the rights of clients must be determined again.
    pub(super) stirred: bool,
    /// Queries that take this long are reported.
    slow: Millis,
    /// The default timeout of queries.
    query_timeout: Option<Millis>,
}

impl Service {
    pub(super) fn new(config: &Config, system: Space) -> Self {
        Self {
            manager: SessionManager::new(config.sessions),
            queries: Queries::default(),
            log: OperationLog::default(),
            guessed: LiteMap::new(),
            logins: VecDeque::new(),
            hosted: Hosted::new(config.host_roles),
            system,
            crowd: Crowd::default(),
            fleet: Fleet::new(config.publish, config.sessions.idle),
            logged: None,
            prune_at: 0,
            stirred: false,
            slow: config.slow,
            query_timeout: config.query_timeout,
        }
    }

    /// The clock was set back by `back`.
    pub(super) fn set_back(&mut self, back: Millis) {
        self.manager.set_back(back);
        self.queries.set_back(back);
        self.fleet.set_back(back);
        self.prune_at = self.prune_at.saturating_sub(back);
    }

    /// When something is due. The absolute end of a session needs no timer while it runs no query, since it is checked
    /// at every use.
    pub(super) fn deadline(&self) -> Option<Millis> {
        let timed = || self.manager.limits().idle.is_some() || self.queries.running().next().is_some();
        let ends = self.manager.deadline().filter(|_| timed());
        [ends, self.queries.deadline(), self.fleet.deadline(!self.manager.is_empty())].into_iter().flatten().min()
    }
}

/// The refusal of a session that was killed or logged out.
pub(super) fn shut_out(fence: &Fence) -> SessionError {
    if fence.ended {
        return SessionError::new(ErrorCode::SessionExpired, "the session was logged out; begin a new one");
    }
    let text = |text: &Option<Arc<str>>| text.as_deref().map(String::from);
    let details = Details::Killed { by: text(&fence.by), why: text(&fence.why) };
    SessionError::new(ErrorCode::SessionKilled, "the session was killed; the details tell by whom and why")
        .with(details)
}

impl Replica {
    pub(super) fn directory(&self) -> Directory<'_> {
        Directory::new(&self.store, &self.service.system)
    }

    /// Checks that a session was not killed, and did not begin before its user's sessions were ended, as far as this
    /// replica knows.
    pub(super) fn judge(&self, id: &SessionId, user: Option<&str>) -> Result<(), SessionError> {
        if off(Mutant::Service(Rule::Judge)) {
            return Ok(());
        }
        if let Some(fence) = self.store.fences().get(id) {
            return Err(shut_out(fence));
        }
        let directory = self.directory();
        match user.and_then(|user| directory.since(user)).filter(|since| id.created() < *since) {
            Some(_) => {
                let why = Some(OLD_PASSWORD.into());
                Err(shut_out(&Fence { why, ..Fence::default() }))
            }
            None => Ok(()),
        }
    }

    /// Admits a session that was just opened.
    pub(super) fn enter(&mut self, state: &SessionState, address: Option<&str>) -> Result<(), SessionError> {
        if state.space.name().starts_with('$') {
            return Err(reserved());
        }
        // The session of a token was judged when the token was opened.
        if state.token.claims().is_none() {
            self.judge(&state.id, state.user.as_deref())?;
        }
        let info = SessionInfo {
            id: state.id,
            user: state.user.clone(),
            client: state.client.clone(),
            address: address.map(shared),
            space: state.space.clone(),
            home: self.id,
            created: state.id.created(),
            // Minting a token is use of the session, at a time that is not in the future. A new session is used now.
            active: if state.resumed { state.token.used_at().min(self.now) } else { self.now },
            expires: state.ends_at.saturating_add(state.leeway),
            stats: SessionStats::default(),
            queries: 0,
            handles: 0,
            told: Told::default(),
        };
        let told = self.told_use(&state.id);
        self.check_fleet_limits(&info)?;
        let known = self.service.manager.get(&state.id).is_some();
        if !known && self.service.manager.is_full() {
            self.end_overdue(usize::MAX);
        }
        if let Err(error) = self.service.manager.enter(SessionInfo { active: info.active.max(told), ..info }, self.now)
        {
            // It turned out to be over; that applies to its other handles too.
            if known && self.service.manager.get(&state.id).is_none() {
                self.run_out(&state.id, &error);
            }
            return Err(error);
        }
        self.service.manager.touch(&state.id, self.now)?;
        self.stir(state.id);
        Ok(())
    }

    /// Checks whether a session's role permits this in its space now. Called at every attempt, also of waiting
    /// operations.
    pub(super) fn permit(&self, state: &SessionState, right: Right) -> Result<(), SessionError> {
        self.permit_in(&state.space, state, right)
    }

    /// [`Replica::permit`], in a space in which the session was.
    pub(super) fn permit_in(&self, space: &Space, state: &SessionState, right: Right) -> Result<(), SessionError> {
        if off(Mutant::Service(Rule::Permit)) {
            return Ok(());
        }
        // A replica without a key holds nobody else's data.
        if self.keyring.is_none() && !self.asks_roles() {
            return Ok(());
        }
        let roles = self.roles();
        // Most servers keep no accounts; this saves them lookups and allocations at each read.
        if roles.open() && state.begun == *space && self.store.space(&self.service.system).is_none() {
            return Ok(());
        }
        let generation = roles.directory.generation(space.name());
        let gone = generation.is_some_and(|(generation, over)| over || generation != space.generation());
        if gone && !off(Mutant::Service(Rule::Generation)) {
            let cause = "the space was dropped; use another, or create it again";
            return Err(SessionError::new(ErrorCode::SpaceNotFound, cause));
        }
        let begun = state.begun.to_string();
        let actor = Actor::begun_in(&begun, state.user.as_deref());
        actor.check(right, &roles, &space.to_string(), true)
    }

    /// The right of a user in a space, for the links of clients.
    pub(super) fn allowance(&self, user: Option<&str>, space: &Space) -> Option<gate::Right> {
        if space.is_reserved() || self.store.is_over(space) {
            return None;
        }
        let roles = self.roles();
        if roles.directory.generation(space.name()).is_some_and(|(generation, _)| generation != space.generation()) {
            return None;
        }
        let name = space.to_string();
        // The token or the host has named the space; without accounts that suffices.
        let actor = Actor::begun_in(&name, user);
        let may = |right| actor.may(right, &roles, &name, true);
        if may(Right::Write) { Some(gate::Right::Write) } else { may(Right::Read).then_some(gate::Right::Read) }
    }

    /// The writes that decide what a session may do; its token depends on them.
    pub(super) fn authority(&self, state: &SessionState) -> Vec<Dot> {
        let user = state.user.as_deref();
        if self.keyring.is_none() || user == Some(ROOT) {
            return Vec::new();
        }
        // If the host decides roles, no record is needed for them.
        self.directory().authority(user, &state.space, !self.asks_roles())
    }

    /// Records a use of a session, if it is not over. What it does is counted when it is done; see `profile.rs`.
    #[inline(never)]
    pub(super) fn use_session(&mut self, handle: SessionHandle) -> Result<(), SessionError> {
        let state = self.sessions.get(&handle).ok_or_else(unknown)?;
        state.admit(self.now)?;
        let id = state.id;
        self.touch(&id)
    }

    /// Records a use of a session, if it is known here. If its time is over, ends it for all its handles.
    pub(super) fn touch(&mut self, id: &SessionId) -> Result<(), SessionError> {
        if let Err(error) = self.service.manager.touch(id, self.now) {
            self.run_out(id, &error);
            return Err(error);
        }
        self.used(id);
        Ok(())
    }

    /// Checks whether a session may operate, independently of the timers. Does not count as use.
    pub(super) fn alive(&self, state: &SessionState) -> Result<(), SessionError> {
        state.admit(self.now)?;
        if self.service.manager.limits().idle.is_none() {
            return Ok(());
        }
        self.service.manager.check(&state.id, 0, self.now)
    }

    /// A session turned out to be over, and was ended by that: reports it as for one that a timer ends.
    #[cold]
    #[inline(never)]
    fn run_out(&mut self, id: &SessionId, error: &SessionError) {
        self.stirred = true;
        let over = self.service.manager.over().next_back().filter(|over| over.session.id == *id);
        if let Some(over) = over.filter(|_| self.interest.sessions) {
            let (status, session) = (over.status, over.session.clone());
            self.fresh.push(Effect::Event(Event::Session { status, session }));
        }
        self.shut(id, error);
    }

    /// Writes the fleet's records. Only a replica with a key may.
    pub(super) fn write_system(&mut self, batch: Vec<Mutation>) -> Result<(), SessionError> {
        if self.keyring.is_none() {
            let cause = "only a replica that holds a secret keeps accounts, roles and spaces";
            return Err(SessionError::new(ErrorCode::PermissionDenied, cause));
        }
        let system = self.service.system.clone();
        let (_, changed) = self.write(&system, None, batch)?;
        self.note(&system, changed);
        Ok(())
    }

    /// Kills a session or logs it out, wherever it is, known here or not. The fence stays until the session would have
    /// ended; if that is not known, for ever.
    pub(super) fn fence(&mut self, id: &SessionId, fence: Fence) {
        let here = self.sessions.values().filter(|state| state.id == *id).map(|state| state.ends_at).max();
        let known = self.find_session(id).map(|(session, _)| session.expires).max(here);
        // With a leeway, a token may be accepted a little longer than it states.
        let until = known.map_or(MILLIS_MAX, |end| end.saturating_add(LEEWAY_MAX).min(MILLIS_MAX));
        if self.store.fences_mut().join(*id, Fence { until, ..fence }) {
            self.heed_fences(&[*id]);
        }
    }

    /// Ends sessions for which there are new fences.
    #[cold]
    #[inline(never)]
    pub(super) fn heed_fences(&mut self, sessions: &[SessionId]) {
        for id in sessions {
            if let Some(fence) = self.store.fences().get(id).cloned() {
                self.shut_by(id, &fence);
            }
        }
    }

    /// Logs a session out, everywhere.
    ///
    /// # Errors
    /// The reason why the session is refused already; the errors of a write.
    pub fn end_session(&mut self, handle: SessionHandle, now: Millis) -> Result<(), SessionError> {
        self.do_what_is_due(now);
        let state = self.sessions.get(&handle).ok_or_else(unknown)?;
        state.admit(now)?;
        let id = state.id;
        self.fence(&id, Fence { at: now, ended: true, ..Fence::default() });
        Ok(())
    }

    /// Acts on a record of the fleet that has arrived or was written here.
    #[inline(never)]
    pub(super) fn heed_system(&mut self, key: &Key) {
        if let Some(user) = key.strip_prefix("since/") {
            let held = |state: &&SessionState| state.user.as_deref() == Some(user);
            let mut ids: Vec<SessionId> = self.sessions.values().filter(held).map(|state| state.id).collect();
            let known = self.service.manager.iter().filter(|session| session.user.as_deref() == Some(user));
            ids.extend(known.map(|session| session.id));
            // A client's session need not have been opened here.
            let joined = self.links.clients.values().filter(|client| client.user.as_deref() == Some(user));
            ids.extend(joined.map(|client| client.session));
            for id in ids {
                if let Err(reason) = self.judge(&id, Some(user)) {
                    self.close_down(&id, SessionStatus::Killed, None, reason.cause());
                    self.shut(&id, &reason);
                }
            }
        } else if let Some(user) = key.strip_prefix("account/") {
            self.shut_outdated(user);
        } else if let Some(name) = key.strip_prefix("space/") {
            // Drops the content of a dropped space, and refuses to take it again from replicas that do not know of the
            // drop.
            if let Some((generation, over)) = self.directory().generation(name) {
                let last = if over { generation } else { generation.saturating_sub(1) };
                self.store.end_space(name, last);
                self.watches.end_space(name, last);
            }
        }
        if key.starts_with("fail/") || key.starts_with("log/") {
            return;
        }
        self.service.stirred = true;
        // Anybody's rights may have changed, so the host must ask again.
        self.front.forget_all();
    }

    fn shut_by(&mut self, id: &SessionId, fence: &Fence) {
        let status = if fence.ended { SessionStatus::Ended } else { SessionStatus::Killed };
        self.close_down(id, status, fence.by.as_deref(), fence.why.as_deref().unwrap_or_default());
        self.shut(id, &shut_out(fence));
    }

    fn close_down(&mut self, id: &SessionId, status: SessionStatus, by: Option<&str>, why: &str) {
        let why = Some(why).filter(|why| !why.is_empty());
        if let Some(session) = self.service.manager.finish(id, status, by, why, self.now)
            && self.interest.sessions
        {
            self.fresh.push(Effect::Event(Event::Session { status, session }));
        }
    }

    /// Refuses every handle of a session from now on, and stops its queries.
    fn shut(&mut self, id: &SessionId, reason: &SessionError) {
        self.shut_all(alloc::vec![(*id, reason.clone())]);
    }

    /// The same for several sessions, each with its reason, in one pass over everything that is open.
    fn shut_all(&mut self, ids: Vec<(SessionId, SessionError)>) {
        if ids.is_empty() {
            return;
        }
        let mut reasons: Vec<_> = ids.iter().collect();
        sort(&mut reasons, |(one, _), (other, _)| one < other);
        let reason = |id: &SessionId| {
            let at = reasons.binary_search_by_key(&id, |(id, _)| id).ok()?;
            reasons.get(at).map(|(_, reason)| reason)
        };
        for (handle, state) in self.sessions.iter_mut().filter(|(_, state)| state.refused.is_none()) {
            if let Some(reason) = reason(&state.id).filter(|_| !off(Mutant::Service(Rule::Over))) {
                state.refused = Some(reason.clone());
                self.watches.tell(*handle);
            }
        }
        self.front.forget_all();
        self.close_clients(|client| reason(&client.session).cloned());
        let running = self.service.queries.running().filter(|query| reason(&query.session).is_some());
        for plan in running.map(|query| query.plan).collect::<Vec<u64>>() {
            self.stop_query(plan, QueryStatus::Killed);
        }
    }

    /// Ends whatever is over by the clock.
    #[inline(never)]
    pub(super) fn tend_service(&mut self) {
        if core::mem::take(&mut self.service.stirred) {
            self.judge_clients();
        }
        if self.service.prune_at <= self.now {
            self.prune();
        }
        self.tell_fleet();
        for plan in self.service.queries.due(self.now) {
            self.stop_query(plan, QueryStatus::Timeout);
        }
        if self.service.manager.deadline().is_some_and(|at| at <= self.now) {
            self.end_overdue(EXPIRED_MAX);
        }
    }

    /// Drops what is no longer needed of the fleet's fences and rows.
    #[cold]
    #[inline(never)]
    fn prune(&mut self) {
        self.service.prune_at = self.now.saturating_add(PRUNE_MS);
        self.store.fences_mut().prune(self.now);
        self.store.roster_mut().sweep(self.now);
        let roster = self.store.roster();
        self.service.crowd.retain(|id| roster.get(id).is_some());
    }

    /// Ends sessions whose time is over, at most `most`.
    #[cold]
    #[inline(never)]
    fn end_overdue(&mut self, most: usize) {
        let mut shut: Vec<(SessionId, SessionError)> = Vec::new();
        self.service.manager.expire(self.now, most, |session, status| {
            shut.push((session.id, expired(status)));
            if self.interest.sessions {
                self.fresh.push(Effect::Event(Event::Session { status, session: session.clone() }));
            }
        });
        self.shut_all(shut);
    }

    /// Begins a query of a session, which may be any work of the host. [`Effect::Abort`] tells when to stop it.
    ///
    /// # Errors
    /// The reason why the session is refused.
    pub fn begin_query(
        &mut self,
        handle: SessionHandle,
        statement: &str,
        terms: Terms,
        now: Millis,
    ) -> Result<(u64, Option<Millis>), SessionError> {
        self.do_what_is_due(now);
        self.begin_plan(handle, statement, terms, false)
    }

    /// [`Replica::begin_query`], also for statements that only read lists.
    pub(super) fn begin_plan(
        &mut self,
        handle: SessionHandle,
        statement: &str,
        terms: Terms,
        looks: bool,
    ) -> Result<(u64, Option<Millis>), SessionError> {
        let now = self.now;
        let state = self.sessions.get(&handle).ok_or_else(unknown)?;
        state.admit(now)?;
        let (session, user, space) = (state.id, state.user.as_deref().map(shared), shared(&state.space.to_string()));
        self.touch(&session)?;
        let deadline = terms.timeout.or(self.service.query_timeout).map(|timeout| now.saturating_add(timeout));
        let query = QueryPlan {
            plan: 0,
            session,
            user,
            space,
            statement: statement.into(),
            started: now,
            deadline,
            ended: None,
            status: QueryStatus::Running,
            rows: 0,
            looks,
        };
        let plan = self.service.queries.begin(query);
        self.service.manager.count_query(&session, true, now);
        self.stir(session);
        Ok((plan, deadline))
    }

    /// Ends a query: done, with the number of rows, or failed.
    ///
    /// # Errors
    /// `QUERY_KILLED`, `QUERY_TIMEOUT` if it was stopped before: the result is late and must be discarded.
    /// `QUERY_NOT_FOUND`.
    pub fn end_query(&mut self, plan: u64, result: Result<u64, String>, now: Millis) -> Result<(), SessionError> {
        self.input(now);
        self.tend_service();
        let over = self.service.queries.end(plan, result, now)?;
        self.query_over(over);
        Ok(())
    }

    /// Stops a query; returns false if it is not running.
    #[cold]
    #[inline(never)]
    pub(super) fn stop_query(&mut self, plan: u64, status: QueryStatus) -> bool {
        let reason = if status == QueryStatus::Timeout { ErrorCode::QueryTimeout } else { ErrorCode::QueryKilled };
        let Some(over) = self.service.queries.stop(plan, status, self.now) else { return false };
        self.query_over(over);
        self.aborts.push_back((plan, reason));
        true
    }

    fn query_over(&mut self, over: QueryPlan) {
        self.service.manager.count_query(&over.session, false, self.now);
        self.stir(over.session);
        if over.duration(self.now) >= self.service.slow {
            self.fresh.push(Effect::Event(Event::Slow(over)));
        }
    }

    /// The sessions, queries and operations of this replica.
    #[must_use]
    pub const fn service(&self) -> (&SessionManager, &Queries, &OperationLog) {
        (&self.service.manager, &self.service.queries, &self.service.log)
    }
}
