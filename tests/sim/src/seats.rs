//! The fleet's users: sessions that are begun, used, handed over, queried by, left, and come back to with their token.
//!
//! Invariant: whatever a replica answers to a session goes to the ledger, with what the session's token has named.

use std::collections::BTreeMap;

use edge_session::error::{ErrorCode, SessionError};
use edge_session::id::{Dot, SessionId, Space};
use edge_session::io::{Answer, Operation, Progress, SessionHandle, Terms};
use edge_session::replica::{SessionInit, SessionView};
use edge_session::store::Mutation;
use edge_session::store::entry::Content;
use edge_session::time::Millis;

use crate::checker::alarm::{Alarm, Kind};
use crate::checker::ledger::{Life, Use};
use crate::fleet::{SPACES, USERS, named};
use crate::world::World;

/// The most sessions in use, and tokens that are kept: a run is about what happens to few.
const MOST: usize = 12;
/// An operation that waits for nothing.
const SYNC: Terms = Terms { guarantees: None, on_stale: None, timeout: None, sync: true };

/// A session in use at a node.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Where.
    pub node: usize,
    /// In which run of it.
    pub run: u64,
    /// As what.
    pub handle: SessionHandle,
    /// Which session.
    pub id: SessionId,
    /// Whose.
    pub user: &'static str,
    /// In which space.
    pub space: Space,
    /// The records that its token has named.
    pub seen: Vec<Dot>,
    /// What it runs: the number, until when, and whether it was killed.
    pub queries: Vec<(u64, Option<Millis>, bool)>,
    /// Whether its session was over here, and it was shut out: for good, whoever comes back with a later token.
    pub over: bool,
}

/// A token that was given.
#[derive(Clone, Debug)]
pub struct Ticket {
    text: String,
    id: SessionId,
    user: &'static str,
    minted: Millis,
    ends: Millis,
    seen: Vec<Dot>,
}

impl World {
    /// How long a session of the fleet lives.
    #[must_use]
    pub fn expires_in(&self) -> Millis {
        self.profile.fleet.as_ref().map_or(0, |fleet| fleet.expires)
    }

    /// A user begins a session: the host has asserted who it is.
    pub fn enter(&mut self, node: usize) -> Result<(), Alarm> {
        let user = *self.rng.pick(&USERS);
        let name = SPACES[usize::from(self.rng.chance(300))];
        let Some(space) = self.space_at(node, name) else { return Ok(()) };
        let init = SessionInit { user: Some(user.into()), space: Some(space), ..SessionInit::default() };
        let opened = self.call(node, |replica, now| {
            let handle = replica.core_mut().open_session(init, now);
            (handle, replica.session(handle))
        })?;
        if let Some((handle, Some(view))) = opened {
            let ends = self.now + self.expires_in();
            self.sit(node, handle, view, user, ends, None)?;
        }
        self.carry_out(node)
    }

    /// A user comes back with a token.
    pub fn return_to(&mut self, node: usize) -> Result<(), Alarm> {
        match self.fleet().tickets.len() {
            0 => self.enter(node),
            tickets => {
                let ticket = self.rng.index(tickets);
                self.resume(node, ticket)
            }
        }
    }

    /// A token is taken in, or not.
    pub fn resume(&mut self, node: usize, ticket: usize) -> Result<(), Alarm> {
        let ticket = self.fleet().tickets[ticket].clone();
        let opened = self.call(node, |replica, now| {
            let init = SessionInit { token: Some(ticket.text.clone()), ..SessionInit::default() };
            let handle = replica.core_mut().open_session(init, now);
            (handle, replica.session(handle))
        })?;
        if let Some((handle, Some(view))) = opened {
            self.sit(node, handle, view, ticket.user, ticket.ends, Some(&ticket))?;
        }
        self.carry_out(node)
    }

    /// A session was opened, or refused: the ledger judges that it is this one, and rightly so.
    pub fn sit(
        &mut self,
        node: usize,
        handle: SessionHandle,
        view: SessionView,
        user: &'static str,
        ends: Millis,
        ticket: Option<&Ticket>,
    ) -> Result<(), Alarm> {
        let (now, run) = (self.now, self.nodes[node].run);
        self.tell(|| {
            format!(
                "   {user} sits down as {}: {:?}",
                named(node, handle),
                view.refused.as_ref().map(SessionError::code)
            )
        });
        let refused = view.refused;
        // A token that is over names nobody any more.
        let id = ticket.map_or(view.id, |ticket| ticket.id);
        if refused.is_none() && (view.id != id || view.user.as_deref() != Some(user)) {
            let text = format!("n{node} takes {id} of {user} for {} of {:?}", view.id, view.user);
            return Alarm::raise(Kind::Identity, text);
        }
        let Some(fleet) = &mut self.fleet else { return Ok(()) };
        let life = Life { user, ends, used: now, said: [false; 2] };
        fleet.ledger.lives.entry(id).or_insert(life);
        let Some(replica) = &self.nodes[node].replica else { return Ok(()) };
        let minted = ticket.map(|ticket| ticket.minted);
        fleet.ledger.entered(node, id, minted, refused.as_ref(), replica, now)?;
        if refused.is_none() && fleet.seats.len() < MOST {
            let seen = ticket.map_or_else(Vec::new, |ticket| ticket.seen.clone());
            let (space, queries) = (view.space, Vec::new());
            fleet.seats.push(Seat { node, run, handle, id, user, space, seen, queries, over: false });
            return self.observe(node);
        }
        if refused.is_none() {
            let handles = &mut fleet.ledger.places[node].handles;
            handles.entry(id).and_modify(|handles| *handles -= 1);
        }
        self.step_aside(node, handle)
    }

    fn step_aside(&mut self, node: usize, handle: SessionHandle) -> Result<(), Alarm> {
        self.step(node, |replica| replica.core_mut().close_session(handle))?;
        self.observe(node)
    }

    /// One of the sessions in use reads or writes.
    pub fn use_any(&mut self) -> Result<(), Alarm> {
        if self.fleet().seats.is_empty() {
            return Ok(());
        }
        let seat = self.rng.index(self.fleet.as_ref().map_or(1, |fleet| fleet.seats.len()));
        let writes = self.rng.chance(500);
        self.use_seat(seat, writes)
    }

    /// A session reads, or writes a value that has a number of its own.
    pub fn use_seat(&mut self, seat: usize, writes: bool) -> Result<(), Alarm> {
        let Seat { node, handle, id, space, seen, .. } = self.fleet().seats[seat].clone();
        self.fleet().written += 1;
        let (number, now) = (self.fleet().written, self.now);
        let key = format!("f{}", number % 3);
        let operation = match writes {
            true => {
                let content = Content::Text(number.to_string().into());
                let batch = vec![Mutation { key: key.as_str().into(), content, expires_at: None }];
                Operation::Write { batch, checks: Vec::new() }
            }
            false => Operation::Get(key.as_str().into()),
        };
        let asked = self.call(node, |replica, now| replica.core_mut().begin(handle, operation, SYNC, now))?;
        let Some(asked) = asked else { return Ok(()) };
        self.tell(|| {
            format!(
                "   {} {}: {:?}",
                named(node, handle),
                if writes { "writes" } else { "reads" },
                asked.as_ref().err().map(SessionError::code)
            )
        });
        let (Some(fleet), Some(replica)) = (&mut self.fleet, &self.nodes[node].replica) else { return Ok(()) };
        let over = fleet.seats[seat].over;
        let used = Use { node, id, space: &space, writes, seen: &seen, over, now };
        fleet.ledger.answered(&used, replica, asked.as_ref().err())?;
        match asked {
            Ok(Progress::Done(Answer::Version(_))) => fleet.ledger.wrote(number, &space, replica),
            Ok(Progress::Done(Answer::Item(Some(item)))) => {
                let Content::Text(text) = &item.content else {
                    return Alarm::raise(Kind::Answer, format!("{item:?}"));
                };
                fleet.ledger.shown(node, text.parse().unwrap_or(0), &space, replica)?;
            }
            Ok(Progress::Done(Answer::Item(None))) => {}
            Ok(other) => return Alarm::raise(Kind::Contract, format!("{other:?}")),
            // Over for good, or shut out: nobody sits there any more.
            Err(error) if matches!(error.code(), ErrorCode::SessionKilled | ErrorCode::SessionExpired) => {
                self.carry_out(node)?;
                return self.stand_up(seat);
            }
            Err(_) => {}
        }
        self.carry_out(node)
    }

    fn stand_up(&mut self, seat: usize) -> Result<(), Alarm> {
        let Seat { node, handle, id, queries, .. } = self.fleet().seats.remove(seat);
        let place = &mut self.fleet().ledger.places[node];
        place.handles.entry(id).and_modify(|handles| *handles = handles.saturating_sub(1));
        if let Some(running) = place.queries.get_mut(&id) {
            running.retain(|plan, _| queries.iter().all(|(own, ..)| own != plan));
        }
        for (plan, ..) in queries {
            self.call(node, |replica, now| replica.core_mut().end_query(plan, Ok(0), now).is_ok())?;
        }
        self.step(node, |replica| replica.core_mut().close_session(handle))?;
        self.carry_out(node)
    }

    /// A session is let go of; who was given its token may come back with it.
    pub fn depart(&mut self) -> Result<(), Alarm> {
        if self.fleet().seats.is_empty() {
            return Ok(());
        }
        let at = self.rng.index(self.fleet.as_ref().map_or(1, |fleet| fleet.seats.len()));
        let Seat { node, handle, id, user, space, seen, .. } = self.fleet().seats[at].clone();
        let token = self.call(node, |replica, now| replica.core_mut().token(handle, now))?;
        let now = self.now;
        if let (Some(Ok(text)), Some(fleet), Some(replica)) = (token, &mut self.fleet, &self.nodes[node].replica) {
            let system = &fleet.ledger.system;
            // What storage does not have is not named: a crash may take it back.
            let held = replica.durable(system);
            let decisive = fleet.ledger.records.decisive(user, &space, replica.store().vector(system));
            let decisive = decisive.into_iter().filter(|dot| held.contains(*dot));
            let seen = seen.into_iter().chain(decisive).collect();
            let ends = fleet.ledger.lives.get(&id).map_or(0, |life| life.ends);
            // Who mints a token uses the session.
            fleet.ledger.minted(node, id, now)?;
            let ticket = Ticket { text, id, user, minted: now, ends, seen };
            if fleet.tickets.len() < MOST {
                fleet.tickets.push(ticket);
            } else {
                let place = fleet.written as usize % MOST;
                fleet.tickets[place] = ticket;
            }
        }
        self.carry_out(node)?;
        if self.rng.chance(700) { self.stand_up(at) } else { Ok(()) }
    }

    /// A user logs out.
    pub fn log_out(&mut self) -> Result<(), Alarm> {
        if self.fleet().seats.is_empty() {
            return Ok(());
        }
        let at = self.rng.index(self.fleet.as_ref().map_or(1, |fleet| fleet.seats.len()));
        let Seat { node, handle, id, .. } = self.fleet().seats[at].clone();
        self.fence(id, true);
        let ended = self.call(node, |replica, now| replica.core_mut().end_session(handle, now))?;
        self.tell(|| format!("   {} logs out: {ended:?}", named(node, handle)));
        self.carry_out(node)
    }

    /// A query begins, ends, or is killed. What comes after it was stopped is dropped.
    pub fn query(&mut self) -> Result<(), Alarm> {
        if self.fleet().seats.is_empty() {
            return Ok(());
        }
        let at = self.rng.index(self.fleet.as_ref().map_or(1, |fleet| fleet.seats.len()));
        let Seat { node, handle, id, queries, .. } = self.fleet().seats[at].clone();
        let now = self.now;
        if queries.is_empty() || self.rng.chance(300) {
            let begun =
                self.call(node, |replica, now| replica.core_mut().begin_query(handle, "work", Terms::default(), now))?;
            if let Some(Ok((plan, deadline))) = begun {
                let fleet = self.fleet();
                fleet.seats[at].queries.push((plan, deadline, false));
                fleet.ledger.used(node, id, now);
                fleet.ledger.places[node].queries.entry(id).or_default().insert(plan, deadline);
            }
            return self.carry_out(node);
        }
        let which = self.rng.index(queries.len());
        let (plan, deadline, killed) = queries[which];
        if !killed && self.rng.chance(300) {
            let text = format!("KILL QUERY (SESSION = '{id}', PLAN = {plan})");
            let done = self.call(node, |replica, now| replica.core_mut().run(None, &text, &[], SYNC, now).is_ok())?;
            self.fleet().seats[at].queries[which].2 = done == Some(true);
            self.fleet().ledger.places[node].queries.entry(id).or_default().remove(&plan);
            if done == Some(true) {
                self.fleet().ledger.used(node, id, now);
            }
            return self.carry_out(node);
        }
        let ended = self.call(node, |replica, now| replica.core_mut().end_query(plan, Ok(1), now))?;
        self.fleet().seats[at].queries.remove(which);
        self.fleet().ledger.places[node].queries.entry(id).or_default().remove(&plan);
        if matches!(ended, Some(Ok(()))) {
            self.fleet().ledger.used(node, id, now);
        }
        let late = deadline.is_some_and(|at| now >= at);
        match ended {
            Some(Ok(())) if killed || late => Alarm::raise(
                Kind::Late,
                format!("n{node} takes the result of plan {plan}: killed {killed}, late {late}"),
            ),
            Some(Err(error)) if !killed && !late && error.code() == ErrorCode::QueryTimeout => {
                Alarm::raise(Kind::Late, format!("n{node} stops plan {plan} before its time"))
            }
            _ => self.carry_out(node),
        }
    }

    /// A replica has gone down: nobody sits there any more.
    pub fn everybody_stands_up(&mut self, node: usize, kept: bool) {
        if let Some(fleet) = &mut self.fleet {
            fleet.seats.retain(|seat| seat.node != node);
            fleet.ledger.went(node, kept);
        }
    }

    /// A query was stopped: by its deadline, by somebody, or with its session.
    pub fn aborted(&mut self, node: usize, plan: u64) {
        let now = self.now;
        let Some(fleet) = &mut self.fleet else { return };
        let running = fleet.ledger.places[node].queries.iter_mut();
        let of: Vec<SessionId> = running.filter_map(|(id, plans)| plans.remove(&plan).map(|_| *id)).collect();
        // The session was used when it was stopped; its host may hear of that later.
        for id in of {
            fleet.ledger.lives.entry(id).and_modify(|life| life.used = life.used.max(now));
        }
    }

    /// After each deed everybody counts.
    pub fn tally(&mut self) -> Result<(), Alarm> {
        let Some(fleet) = &mut self.fleet else { return Ok(()) };
        for (node, own) in self.nodes.iter().enumerate() {
            let Some(replica) = &own.replica else { continue };
            let mut handles = BTreeMap::new();
            for seat in fleet.seats.iter().filter(|seat| seat.node == node) {
                // A handle that was shut out uses nothing.
                if replica.identity(seat.handle).is_some_and(|view| view.refused.is_none()) {
                    *handles.entry(seat.id).or_default() += 1;
                }
            }
            fleet.ledger.places[node].handles = handles;
            fleet.ledger.count(node, replica, self.now)?;
        }
        Ok(())
    }
}
