//! Keeps the history of a run. What was written and read is noted by the checkers' numbers, and named by versions only at
//! the end, when it is known which writes were ever given one and which were acknowledged.

use edge_session::guarantee::Guarantees;
use edge_session::store::entry::{Content, LiveSet};
use serde_json::Value;

use super::{Forgets, Line, Merge, Open, Read, Seen, State, Token, Write};
use crate::checker::bearer::Promise;
use crate::checker::set::WriteId;
use crate::checker::writes::Fate;
use crate::checker::{Checker, Sight};
use crate::world::{SPACES, World};

/// Something that will be a line.
#[derive(Debug)]
enum Event {
    Line(Line),
    Token { session: String, token: String, lacks: Vec<(usize, WriteId)> },
    Write { space: usize, write: WriteId, session: Option<String>, guarantees: Option<Vec<String>> },
    Read { space: usize, read: Read, sights: Vec<Sight> },
}

/// The history of a run so far.
#[derive(Debug, Default)]
pub struct Recorder {
    events: Vec<Event>,
    /// The present session of each client, and what it is promised.
    sessions: Vec<(String, Guarantees)>,
    counted: u64,
    /// Whether a promise was broken, and the state that shows it is noted.
    broken: bool,
}

impl Recorder {
    /// A recorder of so many clients.
    #[must_use]
    pub fn new(clients: usize) -> Self {
        let nobody = (0..clients).map(|_| (String::new(), Guarantees::ALL)).collect();
        Self { sessions: nobody, ..Self::default() }
    }

    fn name(&mut self, what: &str) -> String {
        self.counted += 1;
        format!("{what}{}", self.counted)
    }

    /// A client opens its session somewhere.
    pub fn open(&mut self, client: usize, token: Option<String>, guarantees: Guarantees) {
        let session = self.name(&format!("c{client}."));
        let promised = Some(names(guarantees)).filter(|_| guarantees != Guarantees::ALL);
        let open = Open { session: session.clone(), tokens: token.into_iter().collect(), guarantees: promised };
        self.events.push(Event::Line(Line::Open(open)));
        self.sessions[client] = (session, guarantees);
    }

    /// A client joins a token.
    pub fn merge(&mut self, client: usize, token: String) {
        let session = self.sessions[client].0.clone();
        self.events.push(Event::Line(Line::Merge(Merge { session, token })));
    }

    fn own(&self, client: usize, judged: Guarantees) -> Option<Vec<String>> {
        (self.sessions[client].1 != judged).then(|| names(judged))
    }
}

fn names(guarantees: Guarantees) -> Vec<String> {
    guarantees.names().into_iter().map(str::to_owned).collect()
}

impl World {
    /// Keeps a history from now on.
    pub fn record(&mut self) {
        self.recorder = Some(Recorder::new(self.clients.len()));
        self.checkers.iter_mut().for_each(|checker| checker.sights = Some(Vec::new()));
    }

    /// A client was given a token; answers its name.
    pub fn record_token(&mut self, client: usize, promises: &[Promise]) -> String {
        let Some(recorder) = &mut self.recorder else { return String::new() };
        let token = recorder.name("t");
        let session = recorder.sessions[client].0.clone();
        let mut lacks = Vec::new();
        for (space, (checker, promise)) in self.checkers.iter().zip(promises).enumerate() {
            let bearer = &checker.bearers[client];
            let lacked = |write: &WriteId| !promise.reads.contains(*write) && !promise.writes.contains(*write);
            lacks.extend(bearer.reads.iter().chain(bearer.writes.iter()).filter(lacked).map(|write| (space, write)));
        }
        recorder.events.push(Event::Token { session, token: token.clone(), lacks });
        token
    }

    /// A replica's storage was lost, wholly or in part.
    pub fn record_loss(&mut self, node: usize) {
        if let Some(recorder) = &mut self.recorder {
            recorder.events.push(Event::Line(Line::Forgets(Forgets { node: format!("n{node}") })));
        }
    }

    /// Notes what was accepted in a space since the last time; and what a replica holds, if that breaks a promise.
    pub fn record_writes(&mut self, space: usize, node: usize) {
        if self.recorder.as_ref().is_some_and(|recorder| !recorder.broken)
            && self.checkers[space].noted.borrow().is_some()
        {
            let state = self.state(node, space, false);
            if let Some(recorder) = &mut self.recorder {
                recorder.broken = true;
                recorder.events.extend(state.map(Event::Line));
            }
        }
        let (Some(recorder), checker) = (&mut self.recorder, &mut self.checkers[space]) else { return };
        for write in std::mem::take(&mut checker.accepted) {
            let own = checker.writes.get(write);
            let client = own.client.filter(|client| checker.bearers[*client].session == own.session);
            let session = client.map(|client| recorder.sessions[client].0.clone());
            let judged = client.and_then(|client| recorder.own(client, checker.judged(write)));
            recorder.events.push(Event::Write { space, write, session, guarantees: judged });
        }
    }

    /// Notes what the answer to a client has shown.
    pub fn record_read(&mut self, client: usize, node: usize, judged: Guarantees, whole: bool, stale: bool) {
        let space = self.clients[client].space;
        let Some(recorder) = &mut self.recorder else { return };
        let Some(sights) = self.checkers[space].sights.replace(Vec::new()).filter(|sights| !sights.is_empty()) else {
            return;
        };
        let (session, guarantees) = (recorder.sessions[client].0.clone(), recorder.own(client, judged));
        let read = Read { session, node: Some(format!("n{node}")), whole, stale, guarantees, ..Read::default() };
        recorder.events.push(Event::Read { space, read, sights });
    }

    /// The history of the run. `last`: everything has come to rest.
    #[must_use]
    pub fn recorded(&self, last: bool) -> Vec<Line> {
        let Some(recorder) = &self.recorder else { return Vec::new() };
        let mut lines: Vec<Line> = recorder.events.iter().filter_map(|event| self.line(event)).collect();
        for node in 0..self.nodes.len() {
            lines.extend((0..self.checkers.len()).filter_map(|space| self.state(node, space, last)));
        }
        lines
    }

    fn state(&self, node: usize, space: usize, last: bool) -> Option<Line> {
        let (replica, checker) = (self.nodes[node].replica.as_ref()?, &self.checkers[space]);
        let entries = replica.store().space(&checker.space).into_iter().flat_map(|state| state.iter());
        let vector = replica.store().vector(&checker.space);
        Some(Line::State(State {
            node: format!("n{node}"),
            space: name(space),
            keys: entries.map(|(key, set)| (key.to_string(), LiveSet::version(set))).collect(),
            vector: Some(vector.iter().map(|(id, held)| (id.to_string(), held)).collect()),
            last,
        }))
    }

    /// `None`: nobody but a session whose replica has crashed has seen it, and its names may stand for something else now.
    fn line(&self, event: &Event) -> Option<Line> {
        Some(match event {
            Event::Line(line) => line.clone(),
            Event::Token { session, token, lacks } => {
                let versions = lacks.iter().filter_map(|(space, write)| version(&self.checkers[*space], *write));
                Line::Token(Token { session: session.clone(), token: token.clone(), lacks: versions.collect() })
            }
            Event::Write { space, write, session, guarantees } => {
                let checker = &self.checkers[*space];
                let own = checker.writes.get(*write);
                if own.fate == Fate::Lost {
                    return None;
                }
                let checks = own.checks.iter().filter_map(|(key, found)| {
                    let all: Option<Vec<_>> = found.as_ref()?.iter().map(|write| version(checker, *write)).collect();
                    Some((key.to_string(), all?.join("+")))
                });
                let ends = own.parts.iter().filter(|(_, part)| part.expires_at.is_some());
                Line::Write(Write {
                    session: session.clone(),
                    node: Some(format!("n{}", own.node)),
                    space: name(*space),
                    keys: own.parts.iter().map(|(key, part)| (key.to_string(), value(&part.content))).collect(),
                    version: version(checker, *write),
                    dot: own.dot.map(|dot| format!("{}:{}", dot.replica, dot.sequence)),
                    durable: own.acknowledged,
                    ends: ends.map(|(key, _)| key.to_string()).collect(),
                    checks: checks.collect(),
                    guarantees: guarantees.clone(),
                })
            }
            Event::Read { space, read, sights } => {
                let checker = &self.checkers[*space];
                let there = |sight: &&Sight| sight.named.iter().all(|write| version(checker, *write).is_some());
                let seen: Vec<Seen> = sights.iter().filter(there).map(|sight| seen(checker, sight)).collect();
                if seen.is_empty() {
                    return None;
                }
                Line::Read(Read { space: name(*space), seen, ..read.clone() })
            }
        })
    }
}

fn seen(checker: &Checker, sight: &Sight) -> Seen {
    let versions: Vec<_> = sight.named.iter().filter_map(|write| version(checker, *write)).collect();
    let part = sight.named.first().and_then(|write| checker.writes.get(*write).parts.get(&sight.key));
    Seen {
        key: sight.key.to_string(),
        version: (sight.sure && !versions.is_empty()).then(|| versions.join("+")),
        value: part.filter(|_| sight.shows).map(|part| value(&part.content)),
        absent: !sight.shows,
        never: !sight.shows && sight.sure && sight.named.is_empty(),
    }
}

/// The default space has no name in a history.
fn name(space: usize) -> String {
    if space == 0 { String::new() } else { SPACES[space].into() }
}

fn version(checker: &Checker, write: WriteId) -> Option<String> {
    let own = checker.writes.get(write);
    own.rank.filter(|_| own.fate != Fate::Lost).map(|(hlc, id)| format!("{:016x}.{id}", hlc.to_bits()))
}

/// Values are told apart by the write's number, with which they begin.
fn value(content: &Content) -> Value {
    match content {
        Content::Text(text) => text.split('|').next().unwrap_or_default().into(),
        Content::Tombstone => Value::Null,
        other => format!("{other:?}").into(),
    }
}
