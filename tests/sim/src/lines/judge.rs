//! Judging a history by nothing but what its clients were answered, promise by promise.
//!
//! Every session carries two sets, what it has read and what it has written, and every write the sets that its session
//! was promised to take along (Monotonic Writes, Writes Follow Reads). A read of a key must show the greatest write of
//! that key among all of these, or a greater one; so must every state of a replica, for each write that it shows.

use std::collections::{BTreeMap, BTreeSet};

use edge_session::guarantee::{Guarantee, Guarantees};

use super::register::{Known, Register};
use super::{Line, Open, Read, Seen, State};
use crate::checker::alarm::{Alarm, Kind};
use crate::checker::set::{Set, WriteId};
use crate::checker::writes::Rank;

/// What was judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Judged {
    /// Sessions.
    pub sessions: usize,
    /// Reads of a key.
    pub reads: usize,
    /// Writes that are known to have been accepted.
    pub writes: usize,
    /// States of replicas.
    pub states: usize,
}

/// A broken promise, and the number of the line (from 1) that shows it; 0 if no single one does.
pub type Broken = (usize, Alarm);

/// Judges a history, one space after the other.
///
/// # Errors
/// The first broken promise.
pub fn judge(lines: &[Line]) -> Result<Judged, Broken> {
    let spaces: BTreeSet<&str> = lines.iter().filter_map(space).collect();
    let mut all = Judged::default();
    for space in spaces {
        let register = Register::new(lines, space).map_err(|alarm| (0, alarm))?;
        let mut court = Court { lines, space, register, ..Court::empty(lines) };
        court.in_order()?;
        court.rest()?;
        all.sessions = all.sessions.max(court.sessions.len());
        all.reads += court.judged.reads;
        all.states += court.judged.states;
        all.writes += court.register.all.iter().filter(|known| known.rank.is_some()).count();
    }
    Ok(all)
}

fn space(line: &Line) -> Option<&str> {
    match line {
        Line::Write(write) => Some(&write.space),
        Line::Read(read) => Some(&read.space),
        Line::State(state) => Some(&state.space),
        Line::Open(_) | Line::Token(_) | Line::Merge(_) | Line::Forgets(_) => None,
    }
}

/// What a session, or a token, depends on.
#[derive(Clone, Debug, Default)]
struct Bearer {
    guarantees: Guarantees,
    reads: Set,
    writes: Set,
}

struct Court<'a> {
    lines: &'a [Line],
    space: &'a str,
    register: Register,
    sessions: BTreeMap<&'a str, Bearer>,
    tokens: BTreeMap<&'a str, Bearer>,
    judged: Judged,
}

impl<'a> Court<'a> {
    fn empty(lines: &'a [Line]) -> Self {
        let (register, sessions, tokens) = Default::default();
        Self { lines, space: "", register, sessions, tokens, judged: Judged::default() }
    }

    /// Goes through the sessions' lines. Several clients may have written them, so that a line can stand before one that
    /// it depends on; then its session waits for that one.
    fn in_order(&mut self) -> Result<(), Broken> {
        let mut left: Vec<usize> = (0..self.lines.len()).collect();
        while !left.is_empty() {
            let before = left.len();
            let (mut blocked, mut stay) = (BTreeSet::new(), Vec::new());
            for at in left {
                let session = session(&self.lines[at]);
                let ready = !blocked.contains(&session) && self.is_ready(at);
                if !ready {
                    blocked.extend(session.map(Some));
                    stay.push(at);
                    continue;
                }
                self.take(at).map_err(|alarm| (at + 1, alarm))?;
            }
            if stay.len() == before {
                let text = "what this line depends on never happens, or only because of it";
                return Alarm::raise(Kind::Arbitration, text).map_err(|alarm| (stay[0] + 1, alarm));
            }
            left = stay;
        }
        Ok(())
    }

    /// Whether everything that a line builds on was taken.
    fn is_ready(&self, at: usize) -> bool {
        let placed = |version: &String| {
            let writes = self.register.named(version).unwrap_or_default();
            writes.iter().all(|id| self.is_placed(*id))
        };
        match &self.lines[at] {
            Line::Open(open) => open.tokens.iter().all(|token| self.tokens.contains_key(token.as_str())),
            Line::Merge(merge) => self.tokens.contains_key(merge.token.as_str()),
            Line::Read(read) => {
                read.space != self.space || read.seen.iter().filter_map(|seen| seen.version.as_ref()).all(placed)
            }
            Line::Write(write) => write.space != self.space || write.checks.values().all(placed),
            Line::Token(_) | Line::State(_) | Line::Forgets(_) => true,
        }
    }

    fn is_placed(&self, id: WriteId) -> bool {
        let known = &self.register.all[id];
        known.placed || known.again.is_some_and(|source| self.is_placed(source))
    }

    fn take(&mut self, at: usize) -> Result<(), Alarm> {
        match &self.lines[at] {
            Line::Open(open) => self.open(open),
            Line::Token(token) => {
                let mut bearer = self.bearer(&token.session).clone();
                for version in &token.lacks {
                    // A version of another space is not known here.
                    for id in self.register.named(version).unwrap_or_default() {
                        bearer.reads.remove(id);
                        bearer.writes.remove(id);
                    }
                }
                self.tokens.insert(&token.token, bearer);
                Ok(())
            }
            Line::Merge(merge) => {
                let token = self.tokens.get(merge.token.as_str()).cloned().unwrap_or_default();
                let own = self.bearer(&merge.session);
                own.reads.join(&token.reads);
                own.writes.join(&token.writes);
                Ok(())
            }
            Line::Write(write) if write.space == self.space => self.write(at),
            Line::Read(read) if read.space == self.space => self.read(read),
            Line::Write(_) | Line::Read(_) | Line::State(_) | Line::Forgets(_) => Ok(()),
        }
    }

    fn bearer(&mut self, session: &'a str) -> &mut Bearer {
        self.sessions.entry(session).or_default()
    }

    fn open(&mut self, open: &'a Open) -> Result<(), Alarm> {
        let mut bearer = Bearer::default();
        for token in &open.tokens {
            let token = self.tokens.get(token.as_str()).cloned().unwrap_or_default();
            bearer.guarantees = token.guarantees;
            bearer.reads.join(&token.reads);
            bearer.writes.join(&token.writes);
        }
        if let Some(names) = &open.guarantees {
            bearer.guarantees = promised(names)?;
        }
        if self.sessions.insert(&open.session, bearer).is_some() {
            return Alarm::raise(Kind::Contract, format!("the session {} is opened twice", open.session));
        }
        Ok(())
    }

    fn write(&mut self, at: usize) -> Result<(), Alarm> {
        let Some(id) = self.register.of_line(at) else { return Ok(()) };
        let mut checked = Set::default();
        for version in self.register.all[id].write.checks.values() {
            self.register.named(version)?.iter().for_each(|write| checked.insert(*write));
        }
        let (mut after_writes, mut after_reads, mut past) = Default::default();
        let Line::Write(line) = &self.lines[at] else { return Ok(()) };
        if let Some(session) = &line.session {
            let own = self.bearer(session).clone();
            let judged = line.guarantees.as_ref().map_or(Ok(own.guarantees), |names| promised(names))?;
            if judged.has(Guarantee::MonotonicWrites) {
                after_writes = own.writes;
            }
            if judged.has(Guarantee::WritesFollowReads) {
                after_reads = own.reads;
            }
            self.register.follow(&mut past, &after_writes);
            self.register.follow(&mut past, &after_reads);
        }
        let rank = self.register.all[id].rank;
        let not_less = |earlier: &WriteId| rank.is_some() && self.register.all[*earlier].rank >= rank;
        if let Some(earlier) = past.iter().find(not_less) {
            return Alarm::raise(Kind::Arbitration, format!("w{id} is not greater than w{earlier}, which it follows"));
        }
        let known = &mut self.register.all[id];
        let answered = known.answered;
        *known = Known { after_writes, after_reads, past, placed: true, ..std::mem::take(known) };
        if let Some(session) = line.session.as_ref().filter(|_| answered) {
            let own = self.bearer(session);
            own.writes.insert(id);
            own.reads.join(&checked);
        }
        Ok(())
    }

    fn read(&mut self, read: &'a Read) -> Result<(), Alarm> {
        let own = self.bearer(&read.session).clone();
        let judged = read.guarantees.as_ref().map_or(Ok(own.guarantees), |names| promised(names))?;
        let (mut view, mut has_read) = (BTreeMap::new(), Set::default());
        for seen in &read.seen {
            self.judged.reads += 1;
            let named = self.shown(seen)?;
            let shown = if read.whole { named.len() } else { 1 };
            named.iter().take(shown).for_each(|id| has_read.insert(*id));
            view.insert(seen.key.as_str(), Shown { winner: named.first().copied(), sure: !seen.absent || seen.never });
        }
        for (key, shown) in &view {
            for (guarantee, needed) in
                [(Guarantee::ReadYourWrites, &own.writes), (Guarantee::MonotonicReads, &own.reads)]
            {
                if judged.has(guarantee) && !read.stale {
                    let mut all = Set::default();
                    self.register.follow(&mut all, needed);
                    let kind =
                        |older| if needed.contains(older) { Kind::of(guarantee) } else { self.between(older, &all) };
                    self.is_not_older(key, *shown, &all, kind, &read.session)?;
                }
            }
        }
        self.is_closed(&view, &read.session)?;
        self.bearer(&read.session).reads.join(&has_read);
        Ok(())
    }

    /// The writes that an answer names, the winner first, and that it says what the winner wrote.
    fn shown(&mut self, seen: &Seen) -> Result<Vec<WriteId>, Alarm> {
        let Some(version) = &seen.version else { return Ok(Vec::new()) };
        let named = self.register.named(version)?;
        for id in &named {
            if let Some(source) = self.register.all[*id].again.filter(|_| !self.register.all[*id].placed) {
                let mut past = self.register.all[source].past.clone();
                past.insert(source);
                let known = &mut self.register.all[*id];
                (known.after_reads, known.past, known.placed) = (past.clone(), past, true);
            }
        }
        let winner = named[0];
        let wrote = self.register.all[winner].write.keys.get(&seen.key);
        let fits = match &seen.value {
            _ if seen.absent => self.register.may_hide(winner, &seen.key),
            Some(value) => wrote == Some(value),
            None => wrote.is_some_and(|value| !value.is_null()),
        };
        match fits {
            true => Ok(named),
            false => Alarm::raise(Kind::Answer, format!("{} shows what w{winner} did not write", seen.key)),
        }
    }

    /// A key shows nothing older than the greatest of `needed`.
    fn is_not_older(
        &self,
        key: &str,
        shown: Shown,
        needed: &Set,
        kind: impl Fn(WriteId) -> Kind,
        who: &str,
    ) -> Result<(), Alarm> {
        let Some(most) = self.register.greatest(key, needed) else { return Ok(()) };
        let (rank, shows) = (self.register.all[most].rank, self.rank(shown.winner));
        let fits = match shown.winner {
            None if !shown.sure => self.register.may_be_gone(key, rank),
            _ => shows >= rank,
        };
        match fits {
            true => Ok(()),
            false => {
                Alarm::raise(kind(most), format!("{who}: {key} shows {:?}, which is older than w{most}", shown.winner))
            }
        }
    }

    fn rank(&self, id: Option<WriteId>) -> Option<Rank> {
        self.register.all[id?].rank
    }

    /// The promise that takes `older` along: whichever write of `all` was to follow it.
    fn between(&self, older: WriteId, all: &Set) -> Kind {
        let follows = |set: fn(&Known) -> &Set| all.iter().any(|id| set(&self.register.all[id]).contains(older));
        if follows(|known| &known.after_writes) {
            Kind::MonotonicWrites
        } else if follows(|known| &known.after_reads) {
            Kind::WritesFollowReads
        } else {
            Kind::Closure
        }
    }

    /// What is shown at one moment has all that it follows: batches all or nothing, and the two promises to everybody.
    fn is_closed(&self, view: &BTreeMap<&str, Shown>, who: &str) -> Result<(), Alarm> {
        let shown: Set = view.values().filter_map(|shown| shown.winner).collect();
        let mut all = Set::default();
        self.register.follow(&mut all, &shown);
        let kind = |older| if shown.contains(older) { Kind::State } else { self.between(older, &all) };
        view.iter().try_for_each(|(key, shown)| self.is_not_older(key, *shown, &all, kind, who))
    }

    /// Judges the states, and what must hold in the end.
    fn rest(&mut self) -> Result<(), Broken> {
        let mut forgetful = BTreeSet::new();
        let mut last: Option<&State> = None;
        for line in self.lines {
            if let Line::Forgets(forgets) = line {
                forgetful.insert(forgets.node.as_str());
            }
        }
        let lines = self.lines;
        for (at, line) in lines.iter().enumerate() {
            let Line::State(state) = line else { continue };
            if state.space != self.space {
                continue;
            }
            self.judged.states += 1;
            self.state(state, &forgetful).map_err(|alarm| (at + 1, alarm))?;
            if state.last {
                if let Some(other) = last.filter(|other| other.keys != state.keys) {
                    let text = format!("{} and {} hold other entries in the end", other.node, state.node);
                    return Alarm::raise(Kind::Convergence, text).map_err(|alarm| (at + 1, alarm));
                }
                last = Some(state);
            }
        }
        Ok(())
    }

    fn state(&self, state: &State, forgetful: &BTreeSet<&str>) -> Result<(), Alarm> {
        let mut view = BTreeMap::new();
        for (key, version) in &state.keys {
            // A replica's own rewrite of siblings may have been read by nobody.
            let Ok(named) = self.register.named(version) else { continue };
            view.insert(key.as_str(), Shown { winner: named.first().copied(), sure: true });
        }
        for key in self.register.all.iter().flat_map(|known| known.write.keys.keys()) {
            if !state.keys.contains_key(key) {
                view.insert(key, Shown { winner: None, sure: false });
            }
        }
        self.is_closed(&view, &state.node)?;
        if let Some(vector) = &state.vector {
            let held = self.numbered(|known| {
                let (replica, sequence) = known.write.dot.as_ref()?.split_once(':')?;
                Some(known.write.durable && *vector.get(replica)? >= sequence.parse().ok()?)
            });
            view.iter()
                .try_for_each(|(key, shown)| self.is_not_older(key, *shown, &held, |_| Kind::State, &state.node))?;
        }
        if state.last {
            let kept = self.numbered(|known| {
                let lost = known.write.node.as_ref().is_some_and(|node| forgetful.contains(node.as_str()));
                Some(known.write.durable && !lost)
            });
            view.iter().try_for_each(|(key, shown)| {
                self.is_not_older(key, *shown, &kept, |_| Kind::Durability, &state.node)
            })?;
        }
        Ok(())
    }

    fn numbered(&self, is: impl Fn(&Known) -> Option<bool>) -> Set {
        self.register.all.iter().enumerate().filter(|(_, known)| is(known) == Some(true)).map(|(id, _)| id).collect()
    }
}

/// What a key shows.
#[derive(Clone, Copy, Debug)]
struct Shown {
    winner: Option<WriteId>,
    /// Whether the winner is known; without, something may be there that shows nothing.
    sure: bool,
}

fn session(line: &Line) -> Option<&str> {
    match line {
        Line::Open(open) => Some(&open.session),
        Line::Token(token) => Some(&token.session),
        Line::Merge(merge) => Some(&merge.session),
        Line::Write(write) => write.session.as_deref(),
        Line::Read(read) => Some(&read.session),
        Line::State(_) | Line::Forgets(_) => None,
    }
}

fn promised(names: &[String]) -> Result<Guarantees, Alarm> {
    let set = Guarantees::from_names(names.iter().map(String::as_str));
    set.or_else(|error| Alarm::raise(Kind::Contract, error.to_string()))
}
