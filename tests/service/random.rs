//! The service by chance: edges over a network that loses, delays and parts; accounts, roles, kills, logins, reads and writes in
//! any order. A small simulation with invariants of its own.
//!
//! 1. A fence is never crossed where it is known, and never undone.
//! 2. No session answers as another's.
//! 3. Counts are those of the live set.
//! 4. What was written where a user's role was known to be revoked is never shown to that user.
//! 5. Once everything has arrived all replicas agree: accounts, roles, spaces, fences, and who is in.

use std::collections::BTreeMap;

use edge_session::error::ErrorCode;
use edge_session::id::{SessionId, Space};
use edge_session::io::SessionHandle;
use edge_session::replica::SessionInit;

use super::common::edge;
use super::common::host::{Host, SYNC};
use super::common::net::{Dice, Net, reliable};
use super::{column, run};

const EDGES: usize = 3;
const USERS: [&str; 3] = ["ann", "bob", "eve"];

fn shop() -> Space {
    Space::first("shop").unwrap()
}

/// A session, as its user sees it.
struct Seat {
    at: usize,
    handle: SessionHandle,
    id: SessionId,
    user: &'static str,
}

struct World {
    net: Net,
    dice: Dice,
    seats: Vec<Seat>,
    tokens: Vec<(String, SessionId, &'static str)>,
    written: u32,
    /// Fences that a host has known.
    known: BTreeMap<(usize, SessionId), bool>,
}

impl World {
    fn new(seed: u64) -> Self {
        let hosts = (0..EDGES).map(|at| {
            let mut config = edge(["fra1", "nrt1", "gru1"][at]);
            config.publish = Some(500);
            Host::new(config)
        });
        let mut net = Net::new(hosts.collect());
        (1..EDGES).for_each(|at| net.connect(at - 1, at));
        net.with(0, |host| {
            let text = "CREATE SPACE shop; CREATE USER ann; CREATE USER bob; CREATE USER eve; GRANT USER ON shop TO ann; \
                        GRANT USER ON shop TO bob; GRANT USER ON shop TO eve";
            run(host, None, text).unwrap();
        });
        net.run(3_000);
        let mut dice = Dice(seed);
        let mut fates = Dice(dice.below(1 << 40));
        net.fate = Box::new(
            move |flight| {
                if fates.percent(30) { Vec::new() } else { vec![(fates.below(400), flight.clone())] }
            },
        );
        Self { net, dice, seats: Vec::new(), tokens: Vec::new(), written: 0, known: BTreeMap::new() }
    }

    fn step(&mut self) {
        let at = self.dice.below(EDGES as u64) as usize;
        match self.dice.below(12) {
            0 | 1 => {
                let user = USERS[self.dice.below(3) as usize];
                let init = SessionInit { user: Some(user.into()), space: Some(shop()), ..SessionInit::default() };
                let handle = self.net.with(at, |host| host.open(init));
                self.sit(at, handle, user, None);
            }
            2 if !self.tokens.is_empty() => {
                let (token, id, user) = self.tokens[self.dice.below(self.tokens.len() as u64) as usize].clone();
                let handle = self.net.with(at, |host| host.resume(&token));
                self.sit(at, handle, user, Some(id));
            }
            3 if !self.seats.is_empty() => {
                let id = self.seats[self.dice.below(self.seats.len() as u64) as usize].id;
                self.net.with(at, |host| run(host, None, &format!("KILL SESSION '{id}'")).unwrap());
            }
            4 if !self.seats.is_empty() => {
                let seat = &self.seats[self.dice.below(self.seats.len() as u64) as usize];
                let handle = seat.handle;
                self.net.with(seat.at, |host| host.replica.end_session(handle, host.now).ok());
            }
            // Ann's role is revoked, and never granted again: what is written from then on is not hers to see.
            5 if self.dice.percent(20) => {
                self.net.with(at, |host| run(host, None, "REVOKE USER ON shop FROM ann").ok());
                self.net.run(20);
                // Somebody there writes at once, and ann looks everywhere.
                let others = |seat: &&Seat| seat.at == at && seat.user != "ann";
                let writer = self.seats.iter().find(others).map(|seat| seat.handle);
                if let Some(writer) = writer {
                    self.net.with(at, |host| host.try_set(writer, "k", "hidden", SYNC).ok());
                }
                for _ in 0..4 {
                    self.net.run(150);
                    (0..self.seats.len())
                        .filter(|seat| self.seats[*seat].user == "ann")
                        .collect::<Vec<_>>()
                        .into_iter()
                        .for_each(|seat| self.use_seat(seat, false));
                }
            }
            6 => {
                let role = ["GUEST", "USER", "DBA", "ADMIN"][self.dice.below(4) as usize];
                self.net.with(at, |host| run(host, None, &format!("GRANT {role} ON shop TO eve")).ok());
            }
            7 if self.dice.percent(30) => {
                let text = ["DROP USER eve", "CREATE USER eve; GRANT USER ON shop TO eve"][self.dice.below(2) as usize];
                self.net.with(at, |host| run(host, None, text).ok());
            }
            8 => {
                let pair = self.dice.below(EDGES as u64 - 1) as usize;
                self.net.disconnect(pair, pair + 1);
                self.net.run(self.dice.below(2_000));
                self.net.connect(pair, pair + 1);
            }
            _ if self.seats.is_empty() => {}
            _ => {
                let seat = self.dice.below(self.seats.len() as u64) as usize;
                let writes = self.dice.percent(50);
                self.use_seat(seat, writes);
            }
        }
        let millis = self.dice.below(300);
        self.net.run(millis);
        self.check();
    }

    fn sit(&mut self, at: usize, handle: SessionHandle, user: &'static str, came: Option<SessionId>) {
        let host = &mut self.net.hosts[at];
        let view = host.replica.session(handle).unwrap();
        if view.refused.is_some() {
            return;
        }
        assert_eq!(view.user.as_deref(), Some(user), "a session of another's");
        assert!(came.is_none_or(|id| id == view.id));
        assert!(came.is_some() || self.seats.iter().all(|seat| seat.id != view.id), "an id that was given twice");
        if let Ok(token) = host.replica.token(handle, host.now) {
            self.tokens.push((token, view.id, user));
        }
        self.seats.push(Seat { at, handle, id: view.id, user });
    }

    fn use_seat(&mut self, seat: usize, writes: bool) {
        let Seat { at, handle, id, user } = self.seats[seat];
        self.written += 1;
        let number = self.written;
        self.net.with(at, |host| {
            let fenced = host.replica.store().fences().get(&id).is_some();
            // Whether this host knows that ann has no role, when the write is made.
            let hidden =
                !column(&run(host, None, "SHOW ROLES IN shop").unwrap(), "Account").contains(&"ann".to_string());
            let value = format!("{} {number}", if hidden { "hidden" } else { "open" });
            let done = if writes {
                host.try_set(handle, "k", &value, SYNC).map(|_| None)
            } else {
                host.get(handle, "k", SYNC)
            };
            match done {
                Ok(shown) => {
                    assert!(!fenced, "a fence was crossed where it was known");
                    let leaked = user == "ann" && shown.is_some_and(|value| value.starts_with("hidden"));
                    assert!(!leaked, "the new enemy: what was written after the revocation was shown");
                }
                Err(error) => {
                    let over = matches!(error.code(), ErrorCode::SessionKilled | ErrorCode::SessionExpired);
                    assert!(over || !fenced, "{error:?}");
                }
            }
        });
    }

    fn check(&mut self) {
        for (at, host) in self.net.hosts.iter().enumerate() {
            for seat in &self.seats {
                let fenced = host.replica.store().fences().get(&seat.id).is_some();
                let ever = self.known.entry((at, seat.id)).or_default();
                assert!(fenced || !*ever, "a fence was undone");
                *ever = fenced;
                if seat.at == at {
                    let view = host.replica.session(seat.handle).unwrap();
                    assert_eq!((view.id, view.user.as_deref()), (seat.id, Some(seat.user)));
                    assert!(!fenced || view.refused.is_some(), "a handle that works behind its fence");
                }
            }
            let (manager, queries, _) = host.replica.service();
            assert_eq!(manager.iter().count(), manager.len());
            let running: u32 = manager.iter().map(|session| session.queries).sum();
            assert_eq!(running as usize, queries.running().count());
            assert!(manager.iter().all(|session| host.replica.store().fences().get(&session.id).is_none()));
        }
    }

    /// Everything arrives; then all agree.
    fn settle(mut self) {
        self.net.fate = reliable(5);
        (1..EDGES).for_each(|at| {
            self.net.disconnect(at - 1, at);
            self.net.connect(at - 1, at);
        });
        self.net.run(120_000);
        self.check();
        let shown = |host: &mut Host| {
            let texts = ["SHOW USERS", "SHOW SPACES", "SHOW ROLES IN shop"];
            let tables: Vec<String> = texts.iter().map(|text| run(host, None, text).unwrap().to_string()).collect();
            let mut sessions = column(&run(host, None, "SHOW SESSIONS").unwrap(), "SessionId");
            sessions.sort();
            (tables, sessions, host.replica.store().fences().digest(), host.replica.store().vector(&shop()).to_string())
        };
        let all: Vec<_> = (0..EDGES).map(|at| self.net.with(at, shown)).collect();
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:#?}");
    }
}

fn play(seed: u64) {
    let mut world = World::new(seed);
    (0..120).for_each(|_| world.step());
    world.settle();
}

pub(super) fn some_seeds() {
    (0..40).for_each(play);
}

#[test]
fn the_invariants_of_the_service_hold_whatever_happens() {
    some_seeds();
}
