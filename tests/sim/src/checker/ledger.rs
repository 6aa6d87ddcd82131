//! The account of the fleet's sessions: who was killed where it is known, who was used when, who is where.
//!
//! It notes what was said and done itself, and judges every answer to a session by that: of the core it uses the ids of
//! sessions, the vectors that replicas hold, and that a replica knows a fence, which it may never unlearn. What records mean is
//! [`records`](super::records).

use std::collections::{BTreeMap, BTreeSet};

use edge_session::error::{ErrorCode, SessionError};
use edge_session::id::{Dot, SessionId, Space};
use edge_session::replica::Replica;
use edge_session::store::fence::Fence;
use edge_session::time::Millis;
use edge_session::vector::VersionVector;

use super::alarm::{Alarm, Kind};
use super::records::Records;

/// A session, as its user knows it.
#[derive(Clone, Debug)]
pub struct Life {
    /// Whose it is.
    pub user: &'static str,
    /// When it ends whatever happens.
    pub ends: Millis,
    /// When it was used last, anywhere.
    pub used: Millis,
    /// Whether anybody has said that it is to end: by a kill, by a logout.
    pub said: [bool; 2],
}

/// What is known of a node's present replica.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The fences that it knows.
    known: BTreeMap<SessionId, Fence>,
    /// Those of which it has told its storage, and storage has confirmed.
    durable: BTreeSet<SessionId>,
    /// The sessions that were let in, and when they were used here last.
    pub entered: BTreeMap<SessionId, Millis>,
    /// How many handles each has there.
    pub handles: BTreeMap<SessionId, u32>,
    /// How often each name was guessed at there, and until when it is locked there for that.
    pub guesses: BTreeMap<&'static str, (u64, Millis)>,
    /// The queries that each runs there, and until when at most: of those that were stopped the host hears later.
    pub queries: BTreeMap<SessionId, BTreeMap<u64, Option<Millis>>>,
}

/// A use of a session that is to be judged.
#[derive(Clone, Debug)]
pub struct Use<'a> {
    /// Where.
    pub node: usize,
    /// Which session.
    pub id: SessionId,
    /// In which space.
    pub space: &'a Space,
    /// Whether it writes.
    pub writes: bool,
    /// The records that its token has named.
    pub seen: &'a [Dot],
    /// Whether its handle was shut out before.
    pub over: bool,
    /// When.
    pub now: Millis,
}

/// A value that was written.
#[derive(Clone, Debug)]
struct Written {
    space: Space,
    /// What its writer's replica held of the fleet's records.
    under: VersionVector,
}

/// The account.
#[derive(Debug)]
pub struct Ledger {
    /// The space of the fleet's records.
    pub system: Space,
    /// What they mean.
    pub records: Records,
    /// Every session.
    pub lives: BTreeMap<SessionId, Life>,
    /// Every node.
    pub places: Vec<Place>,
    /// How long a session may stay unused.
    pub idle: Option<Millis>,
    /// How many sessions a user may have at a replica.
    pub limit: Option<u64>,
    written: BTreeMap<u64, Written>,
}

/// Whether a session was ended by nobody, for a reason that begins so.
fn ended_for(fence: &Fence, reason: &str) -> bool {
    !fence.ended && fence.by.is_none() && fence.why.as_ref().is_some_and(|why| why.starts_with(reason))
}

/// Whether a session was ended because its user had more than the limit allows, here and beyond a partition.
fn surplus(fence: &Fence) -> bool {
    ended_for(fence, "the limit sessionsPerUser")
}

/// Whether it was ended because it had begun with a password that was an old one elsewhere.
fn outdated(fence: &Fence) -> bool {
    ended_for(fence, "the account was dropped")
}

fn raise(kind: Kind, text: String) -> Result<(), Alarm> {
    Alarm::raise(kind, text)
}

impl Ledger {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(system: Space, nodes: usize, idle: Option<Millis>, limit: Option<u64>) -> Self {
        Self {
            system,
            records: Records::default(),
            lives: BTreeMap::new(),
            places: vec![Place::default(); nodes],
            idle,
            limit,
            written: BTreeMap::new(),
        }
    }

    /// A replica has gone; `kept`: what its storage had confirmed comes back.
    pub fn went(&mut self, node: usize, kept: bool) {
        let durable = std::mem::take(&mut self.places[node].durable);
        self.places[node] = Place { durable: if kept { durable } else { BTreeSet::new() }, ..Place::default() };
    }

    /// A replica has come back with what its storage has.
    pub fn came(&mut self, node: usize, replica: &Replica, now: Millis) -> Result<(), Alarm> {
        // Before it writes anew under the numbers that a crash took back.
        self.records.observe(replica, &self.system);
        let ends = |id: &SessionId| self.lives.get(id).map_or(Millis::MAX, |life| life.ends);
        let gone = self.places[node].durable.iter().filter(|id| ends(id) > now);
        match gone.clone().find(|id| replica.store().fences().get(id).is_none()) {
            Some(id) => {
                raise(Kind::Fence, format!("n{node} comes back without the fence of {id}, which it had stored"))
            }
            None => Ok(()),
        }
    }

    /// Looks at a replica after each step: what it has written, which fences it knows, whom it counts.
    pub fn observe(&mut self, node: usize, replica: &Replica, now: Millis) -> Result<(), Alarm> {
        self.records.observe(replica, &self.system);
        let settled = replica.is_settled();
        let own = &mut self.places[node];
        for (id, life) in &self.lives {
            let (before, fence) = (own.known.get(id), replica.store().fences().get(id));
            match (before, fence) {
                (Some(_), None) if life.ends > now => {
                    return raise(Kind::Fence, format!("n{node} forgets the fence of {id}"));
                }
                // After its end a session may be forgotten, and killed anew.
                (Some(before), Some(fence))
                    if (fence.ended, fence.at) > (before.ended, before.at) && life.ends > now =>
                {
                    return raise(Kind::Fence, format!("n{node} lets a later word undo the fence of {id}"));
                }
                (_, Some(fence))
                    if !(life.said[usize::from(fence.ended)]
                        || self.limit.is_some() && surplus(fence)
                        || outdated(fence)) =>
                {
                    return raise(Kind::Fence, format!("n{node} has a fence of {id} that nobody has said"));
                }
                (_, Some(fence)) if before != Some(fence) => drop(own.known.insert(*id, fence.clone())),
                _ => {}
            }
            if settled && fence.is_some() {
                own.durable.insert(*id);
            }
        }
        Ok(())
    }

    /// Counts are those of the live set.
    pub fn count(&self, node: usize, replica: &Replica, now: Millis) -> Result<(), Alarm> {
        let (manager, queries, _) = replica.service();
        let own = &self.places[node];
        let mut seen = BTreeSet::new();
        for session in manager.iter().filter(|session| self.lives.contains_key(&session.id)) {
            let id = session.id;
            if !seen.insert(id) || session.user.as_deref() != Some(self.lives[&id].user) {
                return raise(Kind::Identity, format!("n{node} lists {id} as a session of {:?}", session.user));
            }
            if own.known.contains_key(&id) {
                return raise(Kind::Fence, format!("n{node} lists {id}, whose fence it knows"));
            }
            let running = queries.running().filter(|query| query.session == id).count();
            if session.queries as usize != running {
                return raise(
                    Kind::Count,
                    format!("n{node} counts {} queries of {id}, and runs {running}", session.queries),
                );
            }
            let handles = own.handles.get(&id).copied().unwrap_or(0);
            if session.handles != handles {
                return raise(
                    Kind::Count,
                    format!("n{node} counts {} handles of {id}, which has {handles}", session.handles),
                );
            }
        }
        let mut missing = own.handles.iter().filter(|(id, handles)| **handles > 0 && self.lives_surely(node, id, now));
        match missing.find(|(id, _)| !seen.contains(*id)) {
            Some((id, _)) => raise(Kind::Count, format!("n{node} does not know {id}, which is in use there")),
            None if manager.len() != manager.iter().count() => raise(Kind::Count, format!("n{node} counts wrong")),
            None => Ok(()),
        }
    }

    fn created(id: &SessionId) -> Millis {
        id.as_bytes()[..6].iter().fold(0, |time, byte| (time << 8) | u64::from(*byte))
    }

    /// Whether a node knows that a session was killed or logged out, or that its user's sessions were ended.
    fn shut(&self, node: usize, id: &SessionId, held: &VersionVector) -> bool {
        let user = self.lives[id].user;
        self.places[node].known.contains_key(id) || self.records.since(user, held) > Self::created(id)
    }

    /// Whether a query of the session runs there: surely, or perhaps.
    fn queried(&self, node: usize, id: &SessionId, since: Millis) -> bool {
        let runs = |plans: &BTreeMap<u64, Option<Millis>>| plans.values().any(|end| end.is_none_or(|end| end > since));
        self.places[node].queries.get(id).is_some_and(runs)
    }

    /// Whether a session's time is over, whatever a replica may have heard of it.
    fn surely_over(&self, id: &SessionId, now: Millis) -> bool {
        let life = &self.lives[id];
        let unused = self.idle.is_some_and(|idle| now >= life.used + idle);
        now >= life.ends || (unused && (0..self.places.len()).all(|node| !self.queried(node, id, 0)))
    }

    /// Whether a session's time is not over, by what was done at this node alone.
    fn lives_surely(&self, node: usize, id: &SessionId, now: Millis) -> bool {
        let used = self.places[node].entered.get(id).copied();
        let fresh =
            used.is_some_and(|used| self.idle.is_none_or(|idle| now < used + idle)) || self.queried(node, id, now);
        let open = !self.places[node].known.contains_key(id);
        // Who came with a token ends by its seconds.
        open && fresh && now < self.lives[id].ends - self.lives[id].ends % 1_000
    }

    /// A session was used somewhere, or may have been.
    pub fn used(&mut self, node: usize, id: SessionId, now: Millis) {
        if let Some(life) = self.lives.get_mut(&id) {
            life.used = life.used.max(now);
        }
        if let Some(used) = self.places[node].entered.get_mut(&id) {
            *used = (*used).max(now);
        }
    }

    /// Judges that a session was given a token: it is used by that, and was not over.
    pub fn minted(&mut self, node: usize, id: SessionId, now: Millis) -> Result<(), Alarm> {
        if self.surely_over(&id, now) {
            return raise(Kind::Expiry, format!("n{node} gives a token to {id}, whose time is over"));
        }
        self.used(node, id, now);
        Ok(())
    }

    /// Judges whether a session was let in, with the token that it was given at `minted`.
    pub fn entered(
        &mut self,
        node: usize,
        id: SessionId,
        minted: Option<Millis>,
        refused: Option<&SessionError>,
        replica: &Replica,
        now: Millis,
    ) -> Result<(), Alarm> {
        let held = replica.store().vector(&self.system);
        let (user, shut) = (self.lives[&id].user, self.shut(node, &id, held));
        let Some(reason) = refused else {
            if shut || self.surely_over(&id, now) {
                let kind = if shut { Kind::Fence } else { Kind::Expiry };
                return raise(kind, format!("n{node} lets {id} in, which is over there"));
            }
            let new = !self.places[node].entered.contains_key(&id);
            let others = self.places[node].handles.iter().filter(|(other, n)| {
                **n > 0
                    && **other != id
                    && self.lives[*other].user == user
                    && !self.shut(node, other, held)
                    && self.lives_surely(node, other, now)
            });
            if new && self.limit.is_some_and(|limit| others.count() as u64 >= limit) {
                return raise(
                    Kind::Limit,
                    format!("n{node} lets {id} in, and {user} has as many sessions as anybody may"),
                );
            }
            self.places[node].entered.insert(id, now);
            *self.places[node].handles.entry(id).or_default() += 1;
            self.used(node, id, now);
            return Ok(());
        };
        match reason.code() {
            ErrorCode::SessionKilled | ErrorCode::SessionExpired | ErrorCode::TokenExpired if shut => Ok(()),
            ErrorCode::SessionExpired | ErrorCode::TokenExpired => {
                // Tokens count seconds, and round down.
                let seconds = |time: Millis| time - time % 1_000;
                let alive =
                    |at: Millis| now < seconds(self.lives[&id].ends) && self.idle.is_none_or(|idle| now < at + idle);
                let used = self.places[node]
                    .entered
                    .get(&id)
                    .copied()
                    .filter(|_| self.places[node].handles.get(&id).is_some_and(|n| *n > 0));
                match minted.map(seconds).max(used).is_some_and(alive) || minted.is_none() {
                    true => raise(Kind::Expiry, format!("n{node} refuses {id}, whose time is not over: {reason}")),
                    false => Ok(()),
                }
            }
            ErrorCode::MaxConnectionsExceeded => {
                // What others have told of counts as well, for as long as nothing else is heard of it.
                let of = |(other, life): &(&SessionId, &Life)| life.user == user && **other != id && now < life.ends;
                let perhaps = self.lives.iter().filter(of).filter(|(other, _)| !self.shut(node, other, held));
                match self.limit.is_some_and(|limit| perhaps.count() as u64 >= limit) {
                    true => Ok(()),
                    false => {
                        raise(Kind::Limit, format!("n{node} refuses {id}, though {user} may have one more: {reason}"))
                    }
                }
            }
            _ => raise(Kind::Fence, format!("n{node} refuses {id}: {reason}")),
        }
    }

    /// Judges that a session is over at a node, and a handle of it refused: for what it answers from then on.
    pub fn shut_out(
        &self,
        node: usize,
        id: SessionId,
        reason: &SessionError,
        replica: &Replica,
        now: Millis,
    ) -> Result<(), Alarm> {
        match reason.code() {
            ErrorCode::SessionKilled | ErrorCode::SessionExpired
                if self.shut(node, &id, replica.store().vector(&self.system)) =>
            {
                Ok(())
            }
            ErrorCode::SessionKilled => raise(Kind::Fence, format!("n{node} says that {id} was killed; nobody did")),
            _ if self.lives_surely(node, &id, now) => raise(
                Kind::Expiry,
                format!("n{node} ends {id} at {now}, whose time is not over: {:?}", self.lives[&id]),
            ),
            _ => Ok(()),
        }
    }

    /// Judges the answer to a use of a session: what was let through, and what was refused.
    pub fn answered(&mut self, of: &Use<'_>, replica: &Replica, refused: Option<&SessionError>) -> Result<(), Alarm> {
        let Use { node, id, space, writes, seen, over, now } = of.clone();
        let held = replica.store().vector(&self.system);
        let code = refused.map(SessionError::code);
        let shut = self.shut(node, &id, held);
        match (code, refused) {
            // It was judged when it was shut out; who has come back since has another handle.
            (Some(ErrorCode::SessionKilled | ErrorCode::SessionExpired), _) if over => return Ok(()),
            _ if over => {
                return raise(Kind::Expiry, format!("n{node} answers {id} by a handle that was over: {code:?}"));
            }
            (Some(ErrorCode::SessionKilled | ErrorCode::SessionExpired), Some(reason)) => {
                return self.shut_out(node, id, reason, replica, now);
            }
            _ if shut => return raise(Kind::Fence, format!("n{node} answers {id} {code:?}, whose fence it knows")),
            _ if self.surely_over(&id, now) => {
                return raise(Kind::Expiry, format!("n{node} answers {id}, whose time is over"));
            }
            _ => {}
        }
        let user = self.lives[&id].user;
        let (rank, told) = (self.records.rank(user, space, held), self.records.generation(space.name(), held));
        let gone = told.is_some_and(|(generation, over)| over || generation != space.generation());
        let may = rank >= if writes { 2 } else { 1 };
        self.used(node, id, now);
        match code {
            Some(ErrorCode::StaleReplica) => Ok(()),
            _ if seen.iter().any(|dot| !held.contains(*dot)) => {
                raise(Kind::Role, format!("n{node} judges {id} by older records than its token names"))
            }
            Some(ErrorCode::SpaceNotFound) if gone => Ok(()),
            _ if gone => raise(Kind::Space, format!("n{node} answers {id} {code:?} in {space}, which is over")),
            // As long as nobody has an account there, nobody is held to a role.
            _ if !self.records.has_accounts(held) => Ok(()),
            None if may => Ok(()),
            Some(ErrorCode::PermissionDenied) if !may => Ok(()),
            _ => raise(Kind::Role, format!("n{node} answers {id} of {user}, rank {rank} in {space}: {code:?}")),
        }
    }

    /// A value was written; answers nothing, and judges nothing.
    pub fn wrote(&mut self, number: u64, space: &Space, replica: &Replica) {
        let under = replica.store().vector(&self.system).clone();
        self.written.insert(number, Written { space: space.clone(), under });
    }

    /// Judges a value that was shown: of this space and generation, and with the records under which it was written.
    pub fn shown(&self, node: usize, number: u64, space: &Space, replica: &Replica) -> Result<(), Alarm> {
        let Some(written) = self.written.get(&number) else {
            return raise(Kind::Space, format!("n{node} shows {number}, which nobody has written"));
        };
        if written.space != *space {
            return raise(Kind::Space, format!("n{node} shows {number} of {} in {space}", written.space));
        }
        if !replica.store().vector(&self.system).dominates(&written.under) {
            return raise(
                Kind::Overtaken,
                format!("n{node} shows {number} without the records under which it was written"),
            );
        }
        Ok(())
    }
}
