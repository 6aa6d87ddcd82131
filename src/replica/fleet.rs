//! The sessions of the fleet: each home tells the others of its own, and lists show what they have told.
//!
//! Invariants: a row tells when its session was last used as its home knew it, so that idle expiry is computed from the
//! greatest last use that is known, and is never written; a row is told when it has changed, at most once an interval, and
//! that a session was used, which changes nothing else, in time for its idle expiry elsewhere; what nobody changes is
//! told again only because rows stand for a lease; a session that was handed over is its new home's, and no timer of the old
//! one ends it.

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

/// Rows are told again so often, in milliseconds, because they stand for a lease only.
const RENEW: Millis = LEASE / 3;

/// What the others are to be told.
#[derive(Debug)]
pub(super) struct Fleet {
    /// How often; none: never.
    interval: Option<Millis>,
    /// How soon the others are told that a session was used; none: when everything is told again is soon enough.
    patience: Option<Millis>,
    /// Sessions that have changed since they were told of.
    changed: Vec<SessionId>,
    /// Sessions that were used since they were told of.
    touched: Vec<SessionId>,
    /// What has changed is told then: an interval after the first change, so that what is over by then is not told of.
    next: Millis,
    /// What was used is told then.
    touched_at: Millis,
    /// When everything is told again.
    renew: Millis,
    /// Whether somebody is there to be told.
    heard: bool,
}

impl Fleet {
    pub(super) fn new(interval: Option<Millis>, idle: Option<Millis>) -> Self {
        let patience = idle.map(|idle| (idle / 3).max(interval.unwrap_or(0))).filter(|patience| *patience < RENEW);
        let (changed, touched) = (Vec::new(), Vec::new());
        Self { interval, patience, changed, touched, next: 0, touched_at: 0, renew: 0, heard: false }
    }

    /// The clock was set back by so much.
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
    /// A session may have changed: then the others are told, when it is time. As long as nobody is there nothing is noted.
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
            // Nearly every query is over before anybody was told that it runs: then nobody is.
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

    /// A session was used, of which the others know so much.
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

    /// A session stands as the others were told, but for its use.
    fn as_told(&mut self, id: SessionId) {
        self.service.manager.note_told(&id, Told::Current);
        self.touched(id, Told::Current);
    }

    /// Whether the others know how a session stands, but for when it was used.
    fn is_as_told(&self, session: &SessionInfo) -> bool {
        let Some(row) = self.store.roster().get(&session.id) else { return false };
        let Row { home, user, client, address, space, expires, queries, running, .. } = row;
        (*home, *expires, *queries) == (self.id, session.expires, session.queries)
            && (user, client, address, space) == (&session.user, &session.client, &session.address, &session.space)
            // What runs may be others than those that were told, as many.
            && ((*queries == 0 && running.is_empty()) || *running == self.running(&session.id))
    }

    /// Whether somebody is there to be told. Whoever has just come may have missed anything.
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

    /// Tells the others of sessions, where it is time to.
    #[inline(never)]
    pub(super) fn tell_fleet(&mut self) {
        if self.service.fleet.interval.is_none() || self.keyring.is_none() || !self.has_hearers() {
            return;
        }
        let now = self.now;
        if self.service.fleet.renew <= now {
            self.service.fleet.renew = now.saturating_add(RENEW);
            // What was told of late stands until the next time, and what is used elsewhere is told from there.
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
        // It is the latest word, whoever's clock was ahead when the one before was said.
        let before = self.store.roster().get(id).map_or(0, |row| row.told);
        let (home, told, running) = (self.id, self.now.max(before.saturating_add(1)), self.running(id));
        let row = Row { home, user, client, address, space, active, expires, queries, running, told };
        self.store.roster_mut().put(*id, row);
    }

    /// What a session runs here, as it is told.
    fn running(&self, session: &SessionId) -> Vec<Running> {
        let own = self.service.queries.running().filter(|query| query.session == *session && !query.looks);
        let told = own.map(|query| {
            let upto = (0..=RUNNING_TEXT_MAX).rev().find(|at| query.statement.is_char_boundary(*at)).unwrap_or(0);
            let statement = query.statement.get(..upto).unwrap_or(&query.statement);
            Running { plan: query.plan, started: query.started, statement: statement.into(), stop: false }
        });
        told.take(RUNNING_MAX).collect()
    }

    /// Stops what others have ordered to stop.
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

    /// The queries that run elsewhere, as others have told: each with its home and the age of the word.
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

    /// Another replica has told of sessions: those that are known here may be its now.
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

    /// When a session was last used, as its home has told.
    pub(super) fn told_use(&self, id: &SessionId) -> Millis {
        self.store.roster().get(id).map_or(0, |row| last_use(row, self.now))
    }

    /// Whether the session of a token is over by what is known here, its last use elsewhere included.
    pub(super) fn check_idle(&self, token: &SessionToken, now: Millis) -> Result<(), SessionError> {
        let Some(claims) = token.claims() else { return Ok(()) };
        let used = token.used_at().min(now).max(self.told_use(&claims.session));
        self.service.manager.check(&claims.session, used, now)
    }

    /// A session, as it is known here or as its home has told, and how old that word is; unless it was killed or ended.
    pub(super) fn find_session(&self, id: &SessionId) -> Option<(SessionInfo, Millis)> {
        let here = self.service.manager.get(id).map(|session| (session.clone(), 0));
        here.or_else(|| self.elsewhere(id, self.store.roster().get(id)?))
    }

    /// The sessions of other replicas, as they have told, with the age of each word.
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

/// When a session was last used as far as its home has told: what runs is use, and nobody's clock is ahead of the own one.
fn last_use(row: &Row, now: Millis) -> Millis {
    let used = if row.queries > 0 { row.active.max(row.told) } else { row.active };
    used.min(now)
}
