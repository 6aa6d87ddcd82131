//! The fleet's service among the other operations: what its operators do, at any replica and at two at once.
//!
//! Accounts, roles, spaces, kills, passwords; what users do with their sessions is [`seats`](crate::seats). The replicas, their
//! network, their storage and what goes wrong are those of every run; [`Ledger`] judges. Invariant: what is done at two
//! replicas at once is done with no time between, so that neither has heard of the other.

use edge_session::error::{ErrorCode, SessionError};
use edge_session::id::{SYSTEM, SessionId, Space};
use edge_session::io::{Answer, Progress, SessionHandle, Terms, WaitId};
use edge_session::service::table::Table;

use crate::checker::alarm::{Alarm, Kind};
use crate::checker::ledger::Ledger;
use crate::checker::records::Standing;
use crate::profile::fleet::{Deed, FleetProfile};
use crate::seats::{Seat, Ticket};
use crate::world::World;

/// The users of the fleet's spaces.
pub const USERS: [&str; 3] = ["ann", "bob", "eve"];
/// The fleet's spaces; the second comes and goes.
pub const SPACES: [&str; 2] = ["shop", "yard"];
const ROLES: [&str; 4] = ["GUEST", "USER", "DBA", "ADMIN"];

/// A statement that is answered once storage has what it did.
#[derive(Clone, Copy, Debug)]
struct Promise {
    node: usize,
    run: u64,
    wait: WaitId,
    /// The place of the last record that was handed over.
    record: u64,
}

/// What a run with a fleet has beside the rest.
#[derive(Debug)]
pub struct Fleet {
    /// The account of it.
    pub ledger: Ledger,
    /// Sessions in use.
    pub seats: Vec<Seat>,
    /// Tokens that anybody may come back with.
    pub tickets: Vec<Ticket>,
    /// How many values were written.
    pub written: u64,
    promises: Vec<Promise>,
}

impl Fleet {
    /// A fleet that nobody uses yet.
    #[must_use]
    pub fn new(profile: &FleetProfile, nodes: usize) -> Self {
        let system = Space::first(SYSTEM).expect("a well-formed name");
        Self {
            ledger: Ledger::new(system, nodes, profile.idle, profile.limit),
            seats: Vec::new(),
            tickets: Vec::new(),
            written: 0,
            promises: Vec::new(),
        }
    }
}

impl World {
    /// The fleet of a run that has one.
    pub fn fleet(&mut self) -> &mut Fleet {
        self.fleet.as_mut().expect("a deed of a fleet")
    }

    /// What is there at the beginning.
    pub fn found(&mut self) -> Result<(), Alarm> {
        if self.fleet.is_none() {
            return Ok(());
        }
        let mut text = String::from("CREATE SPACE shop; CREATE SPACE yard");
        for user in USERS {
            text += &format!(
                "; CREATE USER {user} WITH PASSWORD 'p'; GRANT USER ON shop TO {user}; GRANT USER ON yard TO {user}"
            );
        }
        self.say(0, &text)?;
        Ok(())
    }

    /// One deed at a node that is up.
    pub fn deed(&mut self) -> Result<(), Alarm> {
        let deed = self.profile.fleet.as_ref().map_or(Deed::Use, |fleet| fleet.deed(&mut self.rng));
        let up: Vec<usize> = (0..self.nodes.len()).filter(|node| self.nodes[*node].is_up()).collect();
        if up.is_empty() {
            return Ok(());
        }
        let node = *self.rng.pick(&up);
        let other = *self.rng.pick(&up);
        self.tell(|| format!("  {deed:?} at n{node}"));
        self.redeem()?;
        let done = match deed {
            Deed::Enter => self.enter(node),
            Deed::Return => self.return_to(node),
            Deed::Use => self.use_any(),
            Deed::Depart => self.depart(),
            Deed::Query => self.query(),
            Deed::Kill => self.kill(node, other),
            Deed::Logout => self.log_out(),
            Deed::Role => self.change_role(node, other),
            Deed::Account => self.change_account(node, other),
            Deed::Space => self.change_space(node, other),
            Deed::Login => self.guess(node, other),
            Deed::Enemy => self.revoke_and_write(node),
            Deed::Look => self.look(node),
        };
        done.and_then(|()| self.tally())
    }

    /// The host of a node runs statements: as God. What is answered later is redeemed later.
    fn say(&mut self, node: usize, text: &str) -> Result<Option<Result<Table, SessionError>>, Alarm> {
        let hashes = vec![String::from("hash"); USERS.len()];
        let begun =
            self.call(node, |replica, now| replica.core_mut().run(None, text, &hashes, Terms::default(), now))?;
        self.tell(|| format!("   n{node}: {text}: {}", told(&begun)));
        let answer = match begun {
            None => return Ok(None),
            Some(Err(error)) => Some(Err(error)),
            Some(Ok(Progress::Done(Answer::Table(table)))) => Some(Ok(table)),
            Some(Ok(Progress::Done(other))) => return Alarm::raise(Kind::Contract, format!("{text}: {other:?}")),
            Some(Ok(Progress::Waiting(wait))) => {
                let (run, record) = (self.nodes[node].run, self.nodes[node].storage.cuts().1);
                let handed = self.nodes[node]
                    .effects
                    .iter()
                    .filter(|effect| matches!(effect, edge_session::io::Effect::Persist { .. }));
                let record = record + handed.count() as u64;
                self.fleet().promises.push(Promise { node, run, wait, record });
                None
            }
        };
        self.carry_out(node)?;
        Ok(answer)
    }

    /// What statements have answered since: not before storage has what they did.
    fn redeem(&mut self) -> Result<(), Alarm> {
        for promise in std::mem::take(&mut self.fleet().promises) {
            let Promise { node, run, wait, record } = promise;
            if self.nodes[node].run != run || !self.nodes[node].is_up() {
                continue;
            }
            match self.nodes[node].early.remove(&wait) {
                None => self.fleet().promises.push(promise),
                Some(Ok(Answer::Table(_))) if self.nodes[node].storage.cuts().0 < record => {
                    return Alarm::raise(
                        Kind::Durability,
                        format!("n{node} answers a statement before storage has it"),
                    );
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn kill(&mut self, node: usize, other: usize) -> Result<(), Alarm> {
        let ids: Vec<SessionId> = self.fleet().ledger.lives.keys().copied().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let id = *self.rng.pick(&ids);
        let twice = self.rng.chance(300);
        self.fence(id, false);
        self.say(node, &format!("KILL SESSION '{id}'"))?;
        if twice && other != node {
            self.say(other, &format!("KILL SESSION '{id}'"))?;
        }
        Ok(())
    }

    /// Somebody has said that a session is to end.
    pub fn fence(&mut self, id: SessionId, ended: bool) {
        if let Some(life) = self.fleet().ledger.lives.get_mut(&id) {
            life.said[usize::from(ended)] = true;
        }
    }

    fn change_role(&mut self, node: usize, other: usize) -> Result<(), Alarm> {
        let (user, space) = (*self.rng.pick(&USERS), *self.rng.pick(&SPACES));
        for at in
            [Some(node), self.rng.chance(500).then_some(other).filter(|other| *other != node)].into_iter().flatten()
        {
            let (role, revokes) = (*self.rng.pick(&ROLES), self.rng.chance(300));
            let text = match revokes {
                // What is held there is what can be taken.
                true => format!("REVOKE {} ON {space} FROM {user}", self.held_at(at, user, space).unwrap_or(role)),
                false => format!("GRANT {role} ON {space} TO {user}"),
            };
            self.say(at, &text)?;
        }
        Ok(())
    }

    fn held_at(&mut self, node: usize, user: &str, space: &str) -> Option<&'static str> {
        let space = self.space_at(node, space)?;
        let held = self.held(node)?;
        let rank = self.fleet().ledger.records.rank(user, &space, &held);
        (rank > 0).then(|| ROLES[usize::from(rank) - 1])
    }

    /// What a node holds of the fleet's records.
    pub fn held(&self, node: usize) -> Option<edge_session::vector::VersionVector> {
        let system = &self.fleet.as_ref()?.ledger.system;
        Some(self.nodes[node].replica.as_ref()?.store().vector(system).clone())
    }

    /// A space as a node knows it; the first generation where it knows none.
    pub fn space_at(&mut self, node: usize, name: &str) -> Option<Space> {
        let held = self.held(node)?;
        let (generation, _) = self.fleet().ledger.records.generation(name, &held).unwrap_or((1, false));
        Space::new(name, generation).ok()
    }

    fn change_account(&mut self, node: usize, other: usize) -> Result<(), Alarm> {
        let user = *self.rng.pick(&USERS);
        let texts = [
            format!("CREATE USER {user} WITH PASSWORD 'p'; GRANT USER ON shop TO {user}"),
            format!("DROP USER {user}"),
            format!("ALTER USER {user} WITH PASSWORD 'q'"),
        ];
        // What was dropped is created again, or there would soon be nobody.
        let gone =
            self.held(node).is_some_and(|held| self.fleet().ledger.records.account(user, &held) == Standing::None);
        let at = if gone { 0 } else { self.rng.within(1..=2) as usize };
        self.say(node, &texts[at])?;
        if other != node && self.rng.chance(600) {
            let at = if gone { 0 } else { self.rng.index(3) };
            self.say(other, &texts[at])?;
        }
        Ok(())
    }

    fn change_space(&mut self, node: usize, other: usize) -> Result<(), Alarm> {
        let over = self.held(node).and_then(|held| self.fleet().ledger.records.generation("yard", &held));
        let create = over.is_none_or(|(_, over)| over);
        let text = if create { "CREATE SPACE yard; GRANT USER ON yard TO ann" } else { "DROP SPACE yard" };
        self.say(node, text)?;
        if other != node && self.rng.chance(400) {
            let text = *self.rng.pick(&["CREATE SPACE yard", "DROP SPACE yard"]);
            self.say(other, text)?;
        }
        Ok(())
    }

    /// The new enemy: a role is revoked, and who knows that writes at once what its holder is not to see.
    fn revoke_and_write(&mut self, node: usize) -> Result<(), Alarm> {
        let (user, space) = (*self.rng.pick(&USERS[..2]), *self.rng.pick(&SPACES));
        let Some(role) = self.held_at(node, user, space) else { return self.change_role(node, node) };
        self.say(node, &format!("REVOKE {role} ON {space} FROM {user}"))?;
        let here = |seat: &Seat| seat.node == node && seat.user != user && seat.space.name() == space;
        if let Some(writer) = self.fleet().seats.iter().position(here) {
            self.use_seat(writer, true)?;
        }
        for _ in 0..3 {
            self.pass(self.profile.pause / 2 + 20)?;
            for seat in 0..self.fleet().seats.len() {
                if self.fleet().seats.get(seat).is_some_and(|seat| seat.user == user && seat.space.name() == space) {
                    self.use_seat(seat, false)?;
                }
            }
        }
        Ok(())
    }

    /// What a node's host is shown is what the records that it holds mean.
    pub fn look(&mut self, node: usize) -> Result<(), Alarm> {
        let Some(held) = self.held(node) else { return Ok(()) };
        let column = |table: &Table| table.rows.iter().map(|row| row[0].to_string()).collect::<Vec<_>>();
        let shown = |world: &mut Self, text: &str| -> Result<Option<Result<Table, SessionError>>, Alarm> {
            let answer = world.call(node, |replica, now| {
                replica.core_mut().run(None, text, &[], Terms { sync: true, ..Terms::default() }, now)
            })?;
            world.carry_out(node)?;
            Ok(answer.map(|answer| {
                answer.map(|progress| match progress {
                    Progress::Done(Answer::Table(table)) => table,
                    _ => Table::default(),
                })
            }))
        };
        let Some(Ok(users)) = shown(self, "SHOW USERS")? else { return Ok(()) };
        self.look_at_locks(node, &held)?;
        let records = &self.fleet().ledger.records;
        let mut there: Vec<&str> =
            USERS.into_iter().filter(|user| records.account(user, &held) != Standing::None).collect();
        there.push("root");
        if self.nodes[node].waits.is_empty() && !users.rows.is_empty() && column(&users) != there {
            return Alarm::raise(
                Kind::Role,
                format!("n{node} shows the users {:?}, and there are {there:?}", column(&users)),
            );
        }
        for name in SPACES {
            let told = self.fleet().ledger.records.generation(name, &held);
            let answer = shown(self, &format!("SHOW ROLES IN {name}"))?;
            match (told, answer) {
                (Some((generation, false)), Some(Ok(table))) => {
                    let space = Space::new(name, generation).expect("a well-formed name");
                    let ledger = &self.fleet().ledger;
                    let rank = |user: &&str| ledger.records.rank(user, &space, &held);
                    let holders: Vec<String> = USERS
                        .iter()
                        .filter(|user| rank(user) > 0)
                        .map(|user| format!("{user} {}", ROLES[usize::from(rank(user)) - 1]))
                        .collect();
                    let shown: Vec<String> = table.rows.iter().map(|row| format!("{} {}", row[0], row[1])).collect();
                    if !table.columns.is_empty() && shown != holders {
                        return Alarm::raise(Kind::Role, {
                            let words: Vec<String> =
                                USERS.iter().map(|user| ledger.records.words(user, &space, &held)).collect();
                            format!(
                                "n{node} shows the roles {shown:?} in {space}, and there are {holders:?}: {}",
                                words.join("; ")
                            )
                        });
                    }
                }
                (None | Some((_, true)), Some(Err(error))) if error.code() == ErrorCode::SpaceNotFound => {}
                (_, None) => {}
                (told, Some(answer)) => {
                    return Alarm::raise(
                        Kind::Space,
                        format!("n{node}: {name} is {told:?}, and it answers {answer:?}"),
                    );
                }
            }
        }
        Ok(())
    }

    /// Whether all replicas have the same records and fences, and the same of the fleet's spaces.
    #[must_use]
    pub fn fleet_agrees(&self) -> bool {
        let Some(fleet) = &self.fleet else { return true };
        let replicas = || self.nodes.iter().filter_map(|node| node.replica.as_ref());
        let shop = Space::first(SPACES[0]).expect("a well-formed name");
        let state = |space: &Space| {
            let mut vectors = replicas().map(|replica| replica.store().vector(space));
            let first = vectors.next();
            vectors.all(|vector| Some(vector) == first)
        };
        let mut digests = replicas().map(|replica| replica.store().fences().digest());
        let first = digests.next();
        state(&fleet.ledger.system) && state(&shop) && digests.all(|digest| Some(digest) == first)
    }

    /// Everything is mended, and all agree: they show the same, and let in nobody who was shut out.
    pub fn fleet_comes_to_rest(&mut self) -> Result<(), Alarm> {
        if self.fleet.is_none() {
            return Ok(());
        }
        self.redeem()?;
        for node in 0..self.nodes.len() {
            self.look(node)?;
        }
        for seat in 0..self.fleet().seats.len() {
            if seat < self.fleet().seats.len() {
                self.use_seat(seat, false)?;
            }
        }
        for ticket in 0..self.fleet().tickets.len() {
            let node = self.rng.index(self.nodes.len());
            self.resume(node, ticket)?;
        }
        Ok(())
    }
}

fn told(begun: &Option<Result<Progress, SessionError>>) -> String {
    match begun {
        None => "nobody is there".into(),
        Some(Ok(Progress::Waiting(_))) => "later".into(),
        Some(Ok(_)) => "done".into(),
        Some(Err(error)) => error.code().as_str().into(),
    }
}

/// What a session's handle is called in words.
#[must_use]
pub fn named(node: usize, handle: SessionHandle) -> String {
    format!("s{}@n{node}", handle.0)
}
