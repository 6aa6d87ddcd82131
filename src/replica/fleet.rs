//! The sessions of the fleet: each home tells the others of its own, and lists show what they have told.
//!
//! Invariants: a row tells when its session was last used as its home knew it, so that idle expiry is computed from the
//! greatest last use that is known, and is never written; of no session more is told than once an interval, however often
//! it is used; a session that was handed over is its new home's, and no timer of the old one ends it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Replica;
use crate::id::{ReplicaId, SessionId};
use crate::mutant::{Mutant, Service, off};
use crate::service::query::{QueryPlan, QueryStatus};
use crate::service::record::{SessionInfo, SessionStats};
use crate::service::system::shared;
use crate::store::roster::{LEASE, RUNNING_MAX, RUNNING_TEXT_MAX, Row, Running};
use crate::time::Millis;

/// What the others are to be told.
#[derive(Debug)]
pub(super) struct Fleet {
    /// How often; none: never.
    interval: Option<Millis>,
    /// Sessions that were used since they were told of.
    stirred: Vec<SessionId>,
    /// Not before then.
    next: Millis,
    /// When everything is told again, because rows stand for a lease only.
    renew: Millis,
    /// Whether somebody is there to be told.
    heard: bool,
}

impl Fleet {
    pub(super) const fn new(interval: Option<Millis>) -> Self {
        Self { interval, stirred: Vec::new(), next: 0, renew: 0, heard: false }
    }

    /// The clock was set back by so much.
    pub(super) const fn set_back(&mut self, back: Millis) {
        self.next = self.next.saturating_sub(back);
        self.renew = self.renew.saturating_sub(back);
    }

    pub(super) fn deadline(&self, sessions: bool) -> Option<Millis> {
        let next = (!self.stirred.is_empty()).then_some(self.next);
        let renew = sessions.then_some(self.renew);
        [next, renew].into_iter().flatten().min().filter(|_| self.heard && self.interval.is_some())
    }
}

impl Replica {
    /// A session was used: the others are told, when it is time.
    pub(super) fn stir(&mut self, id: SessionId) {
        if self.service.fleet.interval.is_some() && self.service.manager.stir(&id) {
            self.service.fleet.stirred.push(id);
        }
    }

    /// Tells the others of sessions, where it is time to.
    #[inline(never)]
    pub(super) fn tell_fleet(&mut self) {
        let Some(interval) = self.service.fleet.interval.filter(|_| self.keyring.is_some()) else { return };
        self.service.fleet.heard = self.links.has_trusted();
        if !self.service.fleet.heard {
            return;
        }
        if self.service.fleet.renew <= self.now {
            self.service.fleet.renew = self.now.saturating_add(LEASE / 3);
            let known: Vec<SessionId> = self.service.manager.iter().map(|session| session.id).collect();
            known.into_iter().for_each(|id| self.stir(id));
        }
        if self.service.fleet.stirred.is_empty() || self.service.fleet.next > self.now {
            return;
        }
        self.service.fleet.next = self.now.saturating_add(interval);
        for id in core::mem::take(&mut self.service.fleet.stirred) {
            self.service.manager.update(&id, |session| session.stirred = false);
            let Some(session) = self.service.manager.get(&id) else { continue };
            let SessionInfo { user, client, address, space, active, expires, queries, .. } = session.clone();
            let (home, told, running) = (self.id, self.now, self.running(&id));
            let row = Row { home, user, client, address, space, active, expires, queries, running, told };
            self.store.roster_mut().put(id, row);
        }
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
            let active = row.active;
            let in_use = |known: &SessionInfo| known.handles > 0 || known.queries > 0 || known.active > active;
            let idle = |known: &SessionInfo| !in_use(known) || off(Mutant::Service(Service::Handover));
            if self.service.manager.get(id).is_some_and(idle) {
                self.service.manager.forget(id);
            } else {
                self.service.manager.update(id, |known| known.active = known.active.max(active));
            }
        }
        self.heed_limits(sessions);
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
            stirred: false,
        };
        Some((session, age))
    }
}
