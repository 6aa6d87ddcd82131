//! The sessions of the fleet: each home replica publishes rows about its own sessions, and lists show what others have
//! published.
//!
//! Invariants:
//!
//! * A row contains the last use that its home knew of, so idle expiry is computed from the latest known use. Uses are
//!   never written to the store.
//! * A row is published when it has changed, at most once per interval. A mere use is published in time for the idle
//!   expiry elsewhere. Unchanged rows are repeated only because they are valid for a lease.
//! * A session that was handed over belongs to its new home, and no timer of the old one ends it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Replica;
use crate::error::SessionError;
use crate::id::{ReplicaId, SessionId};
use crate::mutant::{Mutant, Service, off};
use crate::service::query::{QueryPlan, QueryStatus};
use crate::service::record::{SessionInfo, SessionStats, Told};
use crate::service::system::shared;
use crate::session::token::SessionToken;
use crate::store::roster::{LEASE, RUNNING_MAX, RUNNING_TEXT_MAX, Row, Running};
use crate::time::Millis;

/// How often rows are repeated, in milliseconds, since they are valid for a lease only.
const RENEW: Millis = LEASE / 3;

/// What remains to be published.
#[derive(Debug)]
pub(super) struct Fleet {
    /// The least interval between publications; `None`: never.
    interval: Option<Millis>,
    /// How soon a use of a session must be published; `None`: with the next repetition of all rows.
    patience: Option<Millis>,
    /// Sessions that have changed since they were published.
    changed: Vec<SessionId>,
    /// Sessions that were used since they were published.
    touched: Vec<SessionId>,
    /// When to publish changes: an interval after the first one, so that what is over by then is never published.
    next: Millis,
    /// When to publish uses.
    touched_at: Millis,
    /// When to repeat all rows.
    renew: Millis,
    /// Whether any peer receives rows.
    heard: bool,
}

impl Fleet {
    pub(super) fn new(interval: Option<Millis>, idle: Option<Millis>) -> Self {
        let patience = idle.map(|idle| (idle / 3).max(interval.unwrap_or(0))).filter(|patience| *patience < RENEW);
        let (changed, touched) = (Vec::new(), Vec::new());
        Self { interval, patience, changed, touched, next: 0, touched_at: 0, renew: 0, heard: false }
    }

    /// The clock was set back by `back`.
    pub(super) const fn set_back(&mut self, back: Millis) {
        self.next = self.next.saturating_sub(back);
        self.touched_at = self.touched_at.saturating_sub(back);
        self.renew = self.renew.saturating_sub(back);
    }

    pub(super) fn deadline(&self, sessions: bool) -> Option<Millis> {
        if !self.heard || self.interval.is_none() {
            return None;
        }
        let next = (!self.changed.is_empty()).then_some(self.next);
        let touched = (!self.touched.is_empty()).then_some(self.touched_at);
        let renew = sessions.then_some(self.renew);
        [next, touched, renew].into_iter().flatten().min()
    }
}

impl Replica {
    /// A session may have changed: schedules its publication. Does nothing while no peer receives rows.
    pub(super) fn stir(&mut self, id: SessionId) {
        if !self.service.fleet.heard {
            return;
        }
        let Some(session) = self.service.manager.get(&id) else { return };
        let told = session.told;
        if told == Told::Elsewhere || !self.is_as_told(session) {
            if self.service.manager.note_told(&id, Told::Changed).is_some() {
                let fleet = &mut self.service.fleet;
                if fleet.changed.is_empty() {
                    fleet.next = self.now.saturating_add(fleet.interval.unwrap_or(0));
                }
                fleet.changed.push(id);
            }
        } else if told == Told::Current {
            self.touched(id, told);
        } else if told == Told::Changed && self.service.fleet.changed.pop_if(|last| *last == id).is_some() {
            // Nearly every query is over before its start was published; then neither is.
            self.as_told(id);
        }
    }

    /// A session was used.
    pub(super) fn used(&mut self, id: &SessionId) {
        if self.service.fleet.heard
            && let Some(told) = self.service.manager.get(id).map(|session| session.told)
        {
            self.touched(*id, told);
        }
    }

    /// A session was used; `told` is what the others know of it.
    fn touched(&mut self, id: SessionId, told: Told) {
        let fleet = &mut self.service.fleet;
        if told == Told::Elsewhere {
            self.stir(id);
        } else if told == Told::Current
            && let Some(patience) = fleet.patience.filter(|_| fleet.heard)
        {
            self.service.manager.note_told(&id, Told::Touched);
            if fleet.touched.is_empty() {
                fleet.touched_at = self.now.saturating_add(patience);
            }
            fleet.touched.push(id);
        }
    }

    /// A session is again as it was published, except for its last use.
    fn as_told(&mut self, id: SessionId) {
        self.service.manager.note_told(&id, Told::Current);
        self.touched(id, Told::Current);
    }

    /// Whether the published row is still right, except for the last use.
    fn is_as_told(&self, session: &SessionInfo) -> bool {
        let Some(row) = self.store.roster().get(&session.id) else { return false };
        let Row { home, user, client, address, space, expires, queries, running, .. } = row;
        (*home, *expires, *queries) == (self.id, session.expires, session.queries)
            && (user, client, address, space) == (&session.user, &session.client, &session.address, &session.space)
            // The running queries may be others than those published, although as many.
            && ((*queries == 0 && running.is_empty()) || *running == self.running(&session.id))
    }

    /// Whether any peer receives rows. If one has just arrived, publishes everything that it may have missed.
    fn has_hearers(&mut self) -> bool {
        let was = core::mem::replace(&mut self.service.fleet.heard, self.links.has_trusted());
        let fleet = &mut self.service.fleet;
        if !fleet.heard {
            (fleet.changed, fleet.touched) = (Vec::new(), Vec::new());
        } else if !was {
            let known = self.service.manager.iter();
            let missed = known.filter(|session| {
                let row = self.store.roster().get(&session.id);
                let noted = matches!(session.told, Told::Touched | Told::Changed);
                noted || row.is_none_or(|row| row.active < session.active) || !self.is_as_told(session)
            });
            let missed: Vec<SessionId> = missed.map(|session| session.id).collect();
            missed.iter().for_each(|id| self.tell_session(id));
        }
        self.service.fleet.heard
    }

    /// Publishes the sessions that are due.
    #[inline(never)]
    pub(super) fn tell_fleet(&mut self) {
        if self.service.fleet.interval.is_none() || self.keyring.is_none() || !self.has_hearers() {
            return;
        }
        let now = self.now;
        if self.service.fleet.renew <= now {
            self.service.fleet.renew = now.saturating_add(RENEW);
            // Recently published rows wait for the next time, and sessions that are used elsewhere are published there.
            let fresh = |session: &&SessionInfo| {
                let row = self.store.roster().get(&session.id).filter(|row| row.home == self.id);
                session.told == Told::Elsewhere || row.is_some_and(|row| row.told.saturating_add(RENEW) > now)
            };
            let old = self.service.manager.iter().filter(|session| !fresh(session)).map(|session| session.id);
            let old: Vec<SessionId> = old.collect();
            old.iter().for_each(|id| self.tell_session(id));
        }
        let stands = |of: &Self, id: &SessionId| of.service.manager.get(id).map(|session| session.told);
        if !self.service.fleet.touched.is_empty() && self.service.fleet.touched_at <= now {
            for id in core::mem::take(&mut self.service.fleet.touched) {
                if stands(self, &id) == Some(Told::Touched) {
                    self.tell_session(&id);
                }
            }
        }
        if !self.service.fleet.changed.is_empty() && self.service.fleet.next <= now {
            for id in core::mem::take(&mut self.service.fleet.changed) {
                match stands(self, &id) {
                    Some(Told::Changed)
                        if self.service.manager.get(&id).is_some_and(|known| self.is_as_told(known)) =>
                    {
                        self.as_told(id);
                    }
                    Some(Told::Changed) => self.tell_session(&id),
                    _ => {}
                }
            }
        }
    }

    fn tell_session(&mut self, id: &SessionId) {
        self.service.manager.note_told(id, Told::Current);
        let Some(session) = self.service.manager.get(id) else { return };
        let SessionInfo { user, client, address, space, active, expires, queries, .. } = session.clone();
        // It must win over earlier rows, whoever's clock was ahead when those were published.
        let before = self.store.roster().get(id).map_or(0, |row| row.told);
        let (home, told, running) = (self.id, self.now.max(before.saturating_add(1)), self.running(id));
        let row = Row { home, user, client, address, space, active, expires, queries, running, told };
        self.store.roster_mut().put(*id, row);
    }

    /// The running queries of a session, as published.
    fn running(&self, session: &SessionId) -> Vec<Running> {
        let own = self.service.queries.running().filter(|query| query.session == *session && !query.looks);
        let told = own.map(|query| {
            let upto = (0..=RUNNING_TEXT_MAX).rev().find(|at| query.statement.is_char_boundary(*at)).unwrap_or(0);
            let statement = query.statement.get(..upto).unwrap_or(&query.statement);
            Running { plan: query.plan, started: query.started, statement: statement.into(), stop: false }
        });
        told.take(RUNNING_MAX).collect()
    }

    /// Stops queries that others have ordered to stop.
    fn heed_stops(&mut self, session: &SessionId) {
        let Some(row) = self.store.roster().get(session).filter(|row| row.home == self.id) else { return };
        let ordered: Vec<(u64, Millis)> =
            row.running.iter().filter(|query| query.stop).map(|query| (query.plan, query.started)).collect();
        for (plan, started) in ordered {
            let known = self.service.queries.get(plan);
            if known.is_some_and(|query| query.session == *session && query.started == started) {
                self.stop_query(plan, QueryStatus::Killed);
            }
        }
    }

    /// The queries running on other replicas, as published, each with its home and the age of the row.
    pub(super) fn queries_elsewhere(&self) -> impl Iterator<Item = (QueryPlan, ReplicaId, Millis)> {
        let rows = self.store.roster().iter().filter(|(_, row)| row.home != self.id);
        let told =
            rows.filter(|(id, row)| self.now.saturating_sub(row.told) < LEASE && self.store.fences().get(id).is_none());
        told.flat_map(move |(id, row)| {
            let space = shared(&row.space.to_string());
            row.running.iter().map(move |query| {
                let plan = QueryPlan {
                    plan: query.plan,
                    session: *id,
                    user: row.user.clone(),
                    space: space.clone(),
                    statement: String::from(&*query.statement),
                    started: query.started,
                    deadline: None,
                    ended: None,
                    status: QueryStatus::Running,
                    rows: 0,
                    looks: false,
                };
                (plan, row.home, self.now.saturating_sub(row.told))
            })
        })
    }

    /// Another replica has published rows: it may now be the home of sessions known here.
    #[inline(never)]
    pub(super) fn heed_rows(&mut self, sessions: &[SessionId]) {
        for id in sessions {
            self.heed_stops(id);
            let Some(row) = self.store.roster().get(id).filter(|row| row.home != self.id) else { continue };
            let active = last_use(row, self.now);
            let in_use = |known: &SessionInfo| known.handles > 0 || known.queries > 0 || known.active > active;
            let idle = |known: &SessionInfo| !in_use(known) || off(Mutant::Service(Service::Handover));
            if self.service.manager.get(id).is_some_and(idle) {
                self.service.manager.forget(id);
            } else {
                let later = self.service.manager.get(id).is_some_and(|known| known.active > active);
                self.service.manager.update(id, |known| {
                    (known.active, known.told) = (known.active.max(active), Told::Elsewhere);
                });
                if later {
                    self.stir(*id);
                }
            }
        }
        self.heed_limits(sessions);
    }

    /// When a session was last used, according to its home.
    pub(super) fn told_use(&self, id: &SessionId) -> Millis {
        self.store.roster().get(id).map_or(0, |row| last_use(row, self.now))
    }

    /// Checks whether the session of a token is over by what is known here, including its last published use.
    pub(super) fn check_idle(&self, token: &SessionToken, now: Millis) -> Result<(), SessionError> {
        let Some(claims) = token.claims() else { return Ok(()) };
        let used = token.used_at().min(now).max(self.told_use(&claims.session));
        self.service.manager.check(&claims.session, used, now)
    }

    /// A session as known here or as its home has published it, with the age of the row; `None` if it was killed or
    /// ended.
    pub(super) fn find_session(&self, id: &SessionId) -> Option<(SessionInfo, Millis)> {
        let here = self.service.manager.get(id).map(|session| (session.clone(), 0));
        here.or_else(|| self.elsewhere(id, self.store.roster().get(id)?))
    }

    /// The sessions of other replicas as published, with the age of each row.
    pub fn sessions_elsewhere(&self) -> impl Iterator<Item = (SessionInfo, Millis)> {
        self.store.roster().iter().filter_map(|(id, row)| self.elsewhere(id, row))
    }

    pub(super) fn elsewhere(&self, id: &SessionId, row: &Row) -> Option<(SessionInfo, Millis)> {
        let age = self.now.saturating_sub(row.told);
        let known = self.service.manager.get(id).is_some() || self.store.fences().get(id).is_some();
        if known || age >= LEASE || self.judge(id, row.user.as_deref()).is_err() {
            return None;
        }
        let Row { home, user, client, address, space, active, expires, queries, .. } = row.clone();
        let session = SessionInfo {
            id: *id,
            user,
            client,
            address,
            space,
            home,
            created: id.created(),
            active,
            expires,
            stats: SessionStats::default(),
            queries,
            handles: 0,
            told: Told::default(),
        };
        Some((session, age))
    }
}

/// The last use according to the home's row. A running query is use. Limited to `now`, so that a clock that is ahead
/// has no effect.
fn last_use(row: &Row, now: Millis) -> Millis {
    let used = if row.queries > 0 { row.active.max(row.told) } else { row.active };
    used.min(now)
}
