//! Histories for other people's checkers of causal consistency: lines of `r(key,value,session,txn)` and
//! `w(key,value,session,txn)`, all of them integers, in the order of completion.
//!
//! A batch is one transaction, and so is what one operation has read; no key is read twice in one. A deletion writes a
//! value like any other, and whoever finds the key absent because of it has read that value; values are unique per key.
//! Transaction 0 of session 0 writes every key, with the value 0, and every session reads of it first. What a token takes
//! from session A to session B is a fresh key of its own, which A writes when the token is made and B reads when it goes on
//! with it or joins it; a token that leaves out something of A takes nothing. A session that goes on with its own last
//! token stays one session. Sessions with fewer than all guarantees have no place in such a history: a write under fewer is
//! a session of its own, a read is left out. Of several spaces, one follows the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use edge_session::guarantee::Guarantees;

use super::Line;
use super::register::Register;
use crate::checker::alarm::Alarm;
use crate::checker::set::WriteId;

/// Writes a history for other checkers.
///
/// # Errors
/// A version that names two writes, or none.
pub fn export(lines: &[Line]) -> Result<String, Alarm> {
    let space = |line: &Line| match line {
        Line::Write(write) => Some(write.space.clone()),
        Line::Read(read) => Some(read.space.clone()),
        _ => None,
    };
    let spaces: BTreeSet<String> = lines.iter().filter_map(space).collect();
    let mut export = Export::default();
    for space in &spaces {
        export.tokens(lines, space);
        let keys = lines.iter().filter_map(|line| match line {
            Line::Write(write) if write.space == *space => Some(write.keys.keys().cloned().collect::<Vec<_>>()),
            Line::Read(read) if read.space == *space => Some(read.seen.iter().map(|seen| seen.key.clone()).collect()),
            _ => None,
        });
        for key in keys.flatten().collect::<BTreeSet<_>>() {
            export.key((space.clone(), key));
        }
        for token in export.marked.clone() {
            export.key((space.clone(), format!("token {token}")));
        }
    }
    export.genesis();
    for space in &spaces {
        let register = Register::new(lines, space)?;
        export.tokens(lines, space);
        export.begin(space);
        for (at, line) in lines.iter().enumerate() {
            export.line(at, line, &register)?;
        }
        export.values += register.all.len() as u64;
    }
    Ok(export.text)
}

/// A key, in its space.
type Place = (String, String);

#[derive(Debug, Default)]
struct Export {
    text: String,
    keys: BTreeMap<Place, u64>,
    txn: u64,
    count: u64,
    /// What the values of the present space begin after.
    values: u64,
    space: String,
    /// The session that a session goes on with, by its own last token.
    goes_on: BTreeMap<String, String>,
    /// The tokens that take something to another session.
    marked: BTreeSet<String>,
    /// The numbers of the sessions that have begun.
    sessions: BTreeMap<String, u64>,
    /// Writes of replicas that are known by who has read them.
    written: BTreeSet<WriteId>,
}

impl Export {
    /// Which tokens go from session to session, and which stay within one.
    fn tokens(&mut self, lines: &[Line], space: &str) {
        (self.goes_on, self.marked) = (BTreeMap::new(), BTreeSet::new());
        let mut last = BTreeMap::new();
        let mut made = BTreeMap::new();
        for (at, line) in lines.iter().enumerate() {
            match line {
                Line::Token(token) if token.lacks.is_empty() => {
                    made.insert(token.token.as_str(), (at, token.session.as_str()));
                }
                Line::Merge(merge) => _ = last.insert(merge.session.as_str(), at),
                Line::Read(read) if read.space == space => _ = last.insert(read.session.as_str(), at),
                Line::Write(write) if write.space == space => {
                    write.session.iter().for_each(|session| _ = last.insert(session, at));
                }
                _ => {}
            }
        }
        let mut taken = BTreeSet::new();
        for line in lines {
            match line {
                Line::Open(open) => {
                    let one = <&[String; 1]>::try_from(open.tokens.as_slice()).ok();
                    let end = one.and_then(|[token]| made.get(token.as_str()));
                    let ends = end.filter(|(at, session)| last.get(session).is_none_or(|last| last < at));
                    match ends {
                        Some((_, session)) if taken.insert(*session) => {
                            let root = self.goes_on.get(*session).cloned().unwrap_or_else(|| (*session).into());
                            self.goes_on.insert(open.session.clone(), root);
                        }
                        _ => self.mark(&open.tokens, &made),
                    }
                }
                Line::Merge(merge) => self.mark(std::slice::from_ref(&merge.token), &made),
                _ => {}
            }
        }
    }

    fn mark(&mut self, tokens: &[String], made: &BTreeMap<&str, (usize, &str)>) {
        self.marked.extend(tokens.iter().filter(|token| made.contains_key(token.as_str())).cloned());
    }

    fn key(&mut self, place: Place) -> u64 {
        let next = self.keys.len() as u64;
        *self.keys.entry(place).or_insert(next)
    }

    fn of(&mut self, key: &str) -> u64 {
        let place = (self.space.clone(), key.into());
        self.key(place)
    }

    fn genesis(&mut self) {
        for key in 0..self.keys.len() as u64 {
            self.put('w', key, 0, 0);
        }
    }

    fn begin(&mut self, space: &str) {
        self.space = space.into();
        self.sessions.clear();
        self.written.clear();
    }

    fn put(&mut self, what: char, key: u64, value: u64, session: u64) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{what}({key},{value},{session},{})", self.txn);
    }

    /// A new session: it reads the first key, as the genesis wrote it.
    fn fresh(&mut self) -> u64 {
        self.count += 1;
        let (session, first) = (self.count, self.keys.iter().find(|(place, _)| place.0 == self.space));
        if let Some(key) = first.map(|(_, key)| *key) {
            self.txn += 1;
            self.put('r', key, 0, session);
        }
        session
    }

    fn session(&mut self, name: &str) -> u64 {
        let root = self.goes_on.get(name).cloned().unwrap_or_else(|| name.into());
        if let Some(session) = self.sessions.get(&root) {
            return *session;
        }
        let session = self.fresh();
        self.sessions.insert(root, session);
        session
    }

    fn marker(&mut self, what: char, token: &str, session: &str) {
        if self.marked.contains(token) {
            let (session, key) = (self.session(session), self.of(&format!("token {token}")));
            self.txn += 1;
            self.put(what, key, 1, session);
        }
    }

    fn value(&self, write: WriteId) -> u64 {
        self.values + write as u64 + 1
    }

    fn line(&mut self, at: usize, line: &Line, register: &Register) -> Result<(), Alarm> {
        let all = |names: &Option<Vec<String>>| {
            names.as_ref().is_none_or(|names| names.len() == Guarantees::ALL.names().len())
        };
        match line {
            Line::Open(open) if !self.goes_on.contains_key(&open.session) => {
                open.tokens.iter().for_each(|token| self.marker('r', token, &open.session));
            }
            Line::Merge(merge) => self.marker('r', &merge.token, &merge.session),
            Line::Token(token) => self.marker('w', &token.token, &token.session),
            Line::Write(write) if write.space == self.space => {
                let Some(id) = register.of_line(at).filter(|id| register.all[*id].rank.is_some()) else {
                    return Ok(());
                };
                let mut reads = Vec::new();
                for (key, version) in &write.checks {
                    reads.push((key, register.named(version)?[0]));
                }
                let session = write.session.as_ref().filter(|_| all(&write.guarantees));
                let session = match session {
                    Some(session) => self.session(session),
                    None => self.fresh(),
                };
                self.txn += 1;
                for (key, read) in reads {
                    let (key, value) = (self.of(key), self.value(read));
                    self.put('r', key, value, session);
                }
                for key in write.keys.keys() {
                    let (key, value) = (self.of(key), self.value(id));
                    self.put('w', key, value, session);
                }
            }
            Line::Read(read) if read.space == self.space && !read.stale && all(&read.guarantees) => {
                let mut shown = BTreeMap::new();
                for seen in &read.seen {
                    match &seen.version {
                        Some(version) => _ = shown.insert(&seen.key, Some(register.named(version)?[0])),
                        None if seen.never => _ = shown.insert(&seen.key, None),
                        None => {}
                    }
                }
                for id in shown.values().flatten() {
                    self.again(*id, register);
                }
                if shown.is_empty() {
                    return Ok(());
                }
                let session = self.session(&read.session);
                self.txn += 1;
                for (key, id) in shown {
                    let (key, value) = (self.of(key), id.map_or(0, |id| self.value(id)));
                    self.put('r', key, value, session);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What a replica wrote by itself is a session of its own.
    fn again(&mut self, id: WriteId, register: &Register) {
        if register.all[id].again.is_some() && self.written.insert(id) {
            let session = self.fresh();
            self.txn += 1;
            for key in register.all[id].write.keys.keys() {
                let (key, value) = (self.of(key), self.value(id));
                self.put('w', key, value, session);
            }
        }
    }
}
