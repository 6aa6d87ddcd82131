//! Judges a history that was kept from outside: what clients asked for, and what they were told, by replicas that nobody
//! could look into while they ran (real browsers, real workers, real networks).
//!
//! It is the checker of the simulation without its mirrors: the same account of what a session depends on, the same
//! arbitration, the same names for what was broken. Nothing that a replica says of itself is believed, but for the place of
//! each write in arbitration, of which it is held to say the same to everybody. Invariant: a clean run raises no alarm,
//! whatever was asked for and never answered; such a write may have happened or not.
//!
//! What can be judged from outside: by I2 who holds a write holds what it follows, and by I3 and the rule of supersession
//! the winner of a key is none older than any write that is held. So a read is wrong whose winner is older than a write of
//! that key which the session depends on, directly or through what those writes followed.

use std::collections::BTreeMap;
use std::fmt;

use edge_session::guarantee::{Guarantee, Guarantees};
use edge_session::id::{Dot, ReplicaId};

use crate::checker::alarm::{Alarm, Kind};
use crate::checker::set::Set;
use crate::checker::writes::Rank;

mod line;

pub use line::Line;

/// A history, as far as it has been judged.
#[derive(Debug, Default)]
pub struct History {
    writes: BTreeMap<usize, Write>,
    /// The writes of each key.
    of_key: BTreeMap<String, Set>,
    clients: BTreeMap<String, Bearer>,
    tokens: BTreeMap<String, Bearer>,
    ranks: BTreeMap<Rank, usize>,
    dots: BTreeMap<Dot, usize>,
    states: Vec<State>,
    reads: usize,
    acknowledged: usize,
}

/// What a session depends on.
#[derive(Clone, Debug, Default)]
struct Bearer {
    reads: Set,
    writes: Set,
}

#[derive(Debug, Default)]
struct Write {
    /// Its keys; true where it deletes.
    keys: BTreeMap<String, bool>,
    /// Its place in arbitration, once somebody was told.
    rank: Option<Rank>,
    /// Its dot, once it was acknowledged.
    dot: Option<Dot>,
    /// What its session had written before, and what that followed, where Monotonic Writes was promised.
    after_writes: Set,
    /// What its session had read before, and what that followed, where Writes Follow Reads was promised.
    after_reads: Set,
}

/// What a replica holds in the end.
#[derive(Debug)]
struct State {
    place: String,
    vector: BTreeMap<String, u64>,
    entries: Vec<(String, u64, String)>,
}

/// What was judged.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (clients, reads, writes) = (self.clients.len(), self.reads, self.writes.len());
        let (acknowledged, states) = (self.acknowledged, self.states.len());
        write!(f, "{clients} clients, {reads} reads, {writes} writes ({acknowledged} acknowledged), {states} replicas")
    }
}

/// Judges a whole history, one line each.
///
/// # Errors
/// The first alarm, with the number of its line; what cannot be read is one of `Kind::Contract`.
pub fn judge(text: &str) -> Result<History, (usize, Alarm)> {
    let mut history = History::default();
    let mut last = 0;
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        last = at + 1;
        let parsed =
            serde_json::from_str(line).map_err(|error| Alarm { kind: Kind::Contract, text: error.to_string() });
        parsed.and_then(|line| history.take(line)).map_err(|alarm| (last, alarm))?;
    }
    history.end().map_err(|alarm| (last, alarm))?;
    Ok(history)
}

impl History {
    fn take(&mut self, line: Line) -> Result<(), Alarm> {
        match line {
            Line::Begin { write, client, sets, deletes, under } => {
                let keys = sets.into_iter().map(|key| (key, false)).chain(deletes.into_iter().map(|key| (key, true)));
                self.begin(number(write)?, client, keys.collect(), promised(under.as_deref())?)
            }
            Line::Wrote { write, client, version, sequence } => self.wrote(number(write)?, client, &version, sequence),
            Line::Read { client, key, write, version, under } => {
                let told = match (write, version) {
                    (Some(write), Some(version)) => Some((number(write)?, version)),
                    (None, None) => None,
                    _ => return Alarm::raise(Kind::Contract, "a value has a version, and a version a value"),
                };
                self.read(client, &key, told, promised(under.as_deref())?)
            }
            Line::Token { client, name } => {
                let bearer = self.clients.entry(client).or_default().clone();
                self.tokens.insert(name, bearer);
                Ok(())
            }
            Line::Merge { client, name } => {
                let Some(token) = self.tokens.get(&name) else {
                    return Alarm::raise(Kind::Contract, format!("no token is called {name}"));
                };
                let bearer = self.clients.entry(client).or_default();
                bearer.reads.join(&token.reads);
                bearer.writes.join(&token.writes);
                Ok(())
            }
            Line::State { place, vector, entries } => {
                self.states.push(State { place, vector, entries });
                Ok(())
            }
        }
    }

    fn begin(
        &mut self,
        write: usize,
        client: String,
        keys: BTreeMap<String, bool>,
        under: Guarantees,
    ) -> Result<(), Alarm> {
        let bearer = self.clients.entry(client).or_default().clone();
        for key in keys.keys() {
            self.of_key.entry(key.clone()).or_default().insert(write);
        }
        let mut own = Write { keys, ..Write::default() };
        if under.has(Guarantee::MonotonicWrites) {
            own.after_writes = self.with_past(&bearer.writes);
        }
        if under.has(Guarantee::WritesFollowReads) {
            own.after_reads = self.with_past(&bearer.reads);
        }
        match self.writes.insert(write, own) {
            None => Ok(()),
            Some(_) => Alarm::raise(Kind::Contract, format!("w{write} is begun twice")),
        }
    }

    fn wrote(&mut self, write: usize, client: String, version: &str, sequence: u64) -> Result<(), Alarm> {
        let rank = winner(version)?;
        self.rank(write, rank)?;
        let dot = Dot::new(rank.1, sequence);
        if let Some(other) = self.dots.insert(dot, write) {
            return Alarm::raise(Kind::DotReused, format!("{dot} is w{other} and w{write}"));
        }
        self.writes.entry(write).or_default().dot = Some(dot);
        self.clients.entry(client).or_default().writes.insert(write);
        self.acknowledged += 1;
        Ok(())
    }

    fn read(
        &mut self,
        client: String,
        key: &str,
        told: Option<(usize, String)>,
        under: Guarantees,
    ) -> Result<(), Alarm> {
        self.reads += 1;
        let found = match told {
            None => None,
            Some((write, version)) => {
                self.shows(write, key)?;
                let rank = winner(&version)?;
                self.rank(write, rank)?;
                Some((write, rank))
            }
        };
        let bearer = self.clients.entry(client.clone()).or_default().clone();
        // Pasts are closed, so a read meets most writes many times, and nearly all of them are of other keys.
        let none = Set::default();
        let of_key = self.of_key.get(key).unwrap_or(&none);
        for (guarantee, known) in
            [(Guarantee::ReadYourWrites, &bearer.writes), (Guarantee::MonotonicReads, &bearer.reads)]
        {
            if !under.has(guarantee) {
                continue;
            }
            for write in known.iter() {
                if of_key.contains(write) {
                    self.none_older(&client, key, found, write, Kind::of(guarantee))?;
                }
                let own = &self.writes[&write];
                let rows = [(&own.after_writes, Kind::MonotonicWrites), (&own.after_reads, Kind::WritesFollowReads)];
                for (past, kind) in rows {
                    past.common(of_key).try_for_each(|earlier| self.none_older(&client, key, found, earlier, kind))?;
                }
            }
        }
        if let Some((write, _)) = found {
            self.clients.entry(client).or_default().reads.insert(write);
        }
        Ok(())
    }

    /// An answer is none older than a write of its key that is held. Absent is what a deletion shows: one that may be there.
    fn none_older(
        &self,
        client: &str,
        key: &str,
        found: Option<(usize, Rank)>,
        needed: usize,
        kind: Kind,
    ) -> Result<(), Alarm> {
        let own = &self.writes[&needed];
        let (Some(rank), Some(deletes)) = (own.rank, own.keys.get(key)) else { return Ok(()) };
        let fits = match found {
            Some((_, answered)) => answered >= rank,
            None => *deletes || self.deletions(key).any(|other| other.rank.is_none_or(|other| other > rank)),
        };
        if fits {
            return Ok(());
        }
        let answer = found.map_or_else(|| "absent".into(), |(write, _)| format!("w{write}"));
        Alarm::raise(kind, format!("{client} was answered {answer} on {key}, and w{needed} is newer"))
    }

    fn deletions<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Write> {
        let writes = self.of_key.get(key).into_iter().flat_map(Set::iter).map(|write| &self.writes[&write]);
        writes.filter(move |write| write.keys.get(key) == Some(&true))
    }

    /// What was answered on a key is what somebody asked to write there.
    fn shows(&self, write: usize, key: &str) -> Result<(), Alarm> {
        if self.writes.get(&write).is_some_and(|own| own.keys.get(key) == Some(&false)) {
            return Ok(());
        }
        Alarm::raise(Kind::Answer, format!("{key} shows w{write}, which nobody wrote there"))
    }

    /// A write has one place in arbitration, and a place one write.
    fn rank(&mut self, write: usize, rank: Rank) -> Result<(), Alarm> {
        let Some(own) = self.writes.get_mut(&write) else {
            return Alarm::raise(Kind::Contract, format!("w{write} was never begun"));
        };
        let before = own.rank.replace(rank);
        let other = self.ranks.insert(rank, write);
        if before.is_some_and(|before| before != rank) || other.is_some_and(|other| other != write) {
            let text = format!("w{write} is at two places in arbitration, or shares one with {other:?}");
            return Alarm::raise(Kind::DotReused, text);
        }
        // What it follows is older, wherever that is known (I3).
        let own = &self.writes[&write];
        let newer = |earlier: &usize| self.writes[earlier].rank.is_some_and(|earlier| earlier >= rank);
        match own.after_writes.iter().chain(own.after_reads.iter()).find(newer) {
            None => Ok(()),
            Some(earlier) => {
                Alarm::raise(Kind::Arbitration, format!("w{write} is not newer than w{earlier}, which it follows"))
            }
        }
    }

    /// The writes and what they follow.
    fn with_past(&self, writes: &Set) -> Set {
        let mut all = writes.clone();
        for write in writes.iter() {
            all.join(&self.writes[&write].after_writes);
            all.join(&self.writes[&write].after_reads);
        }
        all
    }

    /// In the end all replicas hold the same, nothing acknowledged is missing, and no session is owed anything.
    fn end(&mut self) -> Result<(), Alarm> {
        let states = std::mem::take(&mut self.states);
        for state in &states {
            self.holds_all(state)?;
            let first = &states[0];
            if state.vector != first.vector {
                return Alarm::raise(
                    Kind::Convergence,
                    format!("{} and {} have different vectors", first.place, state.place),
                );
            }
            if let Some((key, ..)) = state.entries.iter().zip(&first.entries).find_map(|(a, b)| (a != b).then_some(a)) {
                let text = format!("{} and {} have equal vectors, and differ at {key}", first.place, state.place);
                return Alarm::raise(Kind::State, text);
            }
            if state.entries.len() != first.entries.len() {
                let text = format!("{} and {} have equal vectors, and not as many entries", first.place, state.place);
                return Alarm::raise(Kind::State, text);
            }
        }
        self.states = states;
        Ok(())
    }

    fn holds_all(&mut self, state: &State) -> Result<(), Alarm> {
        let place = &state.place;
        let mut vector: BTreeMap<ReplicaId, u64> = BTreeMap::new();
        for (id, last) in &state.vector {
            let Ok(id) = id.parse() else { return Alarm::raise(Kind::Contract, format!("{id} is no replica id")) };
            vector.insert(id, *last);
        }
        let missing = |(dot, _): &(&Dot, &usize)| vector.get(&dot.replica).is_none_or(|last| *last < dot.sequence);
        if let Some((dot, write)) = self.dots.iter().find(missing) {
            return Alarm::raise(Kind::Durability, format!("{place} lacks {dot}: w{write} was acknowledged"));
        }
        let mut winners = BTreeMap::new();
        for (key, write, version) in &state.entries {
            let write = number(*write)?;
            self.shows(write, key)?;
            let rank = winner(version)?;
            self.rank(write, rank)?;
            winners.insert(key.as_str(), (write, rank));
        }
        for write in self.dots.values() {
            for key in self.writes[write].keys.keys() {
                self.none_older(place, key, winners.get(key.as_str()).copied(), *write, Kind::Durability)?;
            }
        }
        Ok(())
    }
}

fn promised(under: Option<&[String]>) -> Result<Guarantees, Alarm> {
    line::guarantees(under).map_or_else(|| Alarm::raise(Kind::Contract, "a guarantee has an unknown name"), Ok)
}

fn winner(version: &str) -> Result<Rank, Alarm> {
    let first = line::ranks(version).and_then(|ranks| ranks.first().copied());
    first.map_or_else(|| Alarm::raise(Kind::Contract, format!("{version} is no version")), Ok)
}

/// Numbers index sets of bits; one beyond this would be a mistake, not a history.
fn number(write: u64) -> Result<usize, Alarm> {
    let small = usize::try_from(write).ok().filter(|write| *write < 1 << 20);
    small.map_or_else(|| Alarm::raise(Kind::Contract, format!("w{write} is too great a number")), Ok)
}
