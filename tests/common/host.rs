//! A host: what carries out the effects of one replica, with a storage that is as late as the test wants.

use edge_session::error::{ErrorCode, SessionError};
use edge_session::id::{ReplicaId, Space};
use edge_session::io::{
    Answer, CallId, Change, Effect, Event, Item, LinkId, Operation, Outcome, Policy, Progress, Range, SessionHandle,
    Terms, WaitId, WatchId,
};
use edge_session::replica::{Config, Replica, SessionInit};
use edge_session::vector::VersionVector;

use super::{START, batch, erase, put, string};

/// The link on which [`Host::exchange`] takes its replies.
const REPLY: LinkId = LinkId(u32::MAX);

/// The answer at once, or not at all.
pub const THROW: Terms = Terms { guarantees: None, on_stale: Some(Policy::Throw), timeout: None, sync: false };
/// As `session.sync` operates: nothing is waited for, not even storage.
pub const SYNC: Terms = Terms { guarantees: None, on_stale: None, timeout: None, sync: true };
/// The session's own settings.
pub const PLAIN: Terms = Terms { guarantees: None, on_stale: None, timeout: None, sync: false };

/// A replica and what it has asked for.
pub struct Host {
    pub replica: Replica,
    pub now: u64,
    /// Records handed to storage since the start of this run, durable or not.
    pub records: Vec<(u64, Vec<u8>)>,
    /// What storage holds of earlier runs.
    pub disk: Vec<Vec<u8>>,
    /// Whether storage confirms at once.
    pub prompt: bool,
    pub confirmed: u64,
    pub sent: Vec<(LinkId, Vec<u8>)>,
    pub settled: Vec<WaitId>,
    pub watched: Vec<WatchId>,
    /// What was told of own writes that no peer has acknowledged.
    pub unsynced: Vec<bool>,
    /// Queries to be stopped, and why.
    pub aborted: Vec<(u64, ErrorCode)>,
    pub events: Vec<Event>,
    /// Links that the replica has closed, and why.
    pub closed: Vec<(LinkId, SessionError)>,
    /// Calls of clients that are to be carried out: number, method, arguments, token.
    pub calls: Vec<(CallId, String, String, String)>,
    /// Calls that nobody waits for any more.
    pub over: Vec<CallId>,
    pub timeout: Option<u64>,
    config: Config,
    runs: u8,
}

impl Host {
    pub fn new(config: Config) -> Self {
        let replica = Replica::open(config.clone(), START).unwrap();
        let mut host = Self {
            replica,
            now: START,
            records: Vec::new(),
            disk: Vec::new(),
            prompt: false,
            confirmed: 0,
            sent: Vec::new(),
            settled: Vec::new(),
            watched: Vec::new(),
            unsynced: Vec::new(),
            aborted: Vec::new(),
            events: Vec::new(),
            closed: Vec::new(),
            calls: Vec::new(),
            over: Vec::new(),
            timeout: None,
            config,
            runs: 0,
        };
        host.drain();
        host
    }

    pub fn id(&self) -> ReplicaId {
        self.replica.id()
    }

    pub fn space(&self) -> Space {
        Space::first("default").unwrap()
    }

    /// The vector of what is held, durable or not.
    pub fn vector(&self) -> VersionVector {
        self.replica.store().vector(&self.space()).clone()
    }

    /// The vector, as text: `<a:3, b:1>`.
    pub fn holds(&self) -> String {
        self.vector().to_string()
    }

    /// Carries out every effect.
    pub fn drain(&mut self) {
        while let Some(effect) = self.replica.poll() {
            match effect {
                Effect::Persist { n, bytes } => {
                    self.records.push((n, bytes.into_vec()));
                    if self.prompt {
                        self.confirmed = n;
                        self.replica.persisted(n, self.now);
                    }
                }
                Effect::Transmit { link, bytes } => self.sent.push((link, bytes.into_vec())),
                Effect::Settled(wait) => self.settled.push(wait),
                Effect::Watch(watch) => self.watched.push(watch),
                Effect::Abort { plan, reason } => self.aborted.push((plan, reason)),
                Effect::Unsynced(unsynced) => self.unsynced.push(unsynced),
                Effect::Timeout(at) => self.timeout = at,
                Effect::Event(event) => self.events.push(event),
                Effect::Call { call, method, args, token, timeout: _ } => self.calls.push((call, method, args, token)),
                Effect::CallOver(call) => self.over.push(call),
                Effect::Close { link, error } => self.closed.push((link, error)),
                // Orders that are only for hosts with copies of their own.
                _ => {}
            }
        }
    }

    /// Storage confirms every record up to `n`.
    pub fn confirm(&mut self, n: u64) {
        self.confirmed = self.confirmed.max(n);
        self.replica.persisted(n, self.now);
        self.drain();
    }

    /// Storage confirms every record that it was handed.
    pub fn confirm_all(&mut self) {
        let last = self.records.last().map_or(0, |(n, _)| *n);
        self.confirm(last);
    }

    /// The process ends; what storage had not confirmed is lost. A new one takes back the rest.
    pub fn crash(&mut self) {
        let confirmed = self.confirmed;
        self.crash_with(confirmed);
    }

    /// As [`Host::crash`], but the first `kept` records of this run are what storage has.
    pub fn crash_with(&mut self, kept: u64) {
        self.disk.extend(self.records.drain(..).filter(|(n, _)| *n <= kept).map(|(_, bytes)| bytes));
        self.reopen();
    }

    /// A new process, from what is on the disk.
    pub fn reopen(&mut self) {
        self.runs += 1;
        let mut config = self.config.clone();
        config.seed[31] = self.runs;
        self.replica = Replica::open(config, self.now).unwrap();
        for bytes in &self.disk {
            self.replica.load(bytes, self.now).unwrap();
        }
        self.confirmed = 0;
        self.sent.clear();
        self.records.clear();
        self.settled.clear();
        self.watched.clear();
        self.unsynced.clear();
        self.events.clear();
        self.timeout = None;
        self.drain();
    }

    /// Time goes on, and the timer rings if it was set for no later.
    pub fn at(&mut self, now: u64) {
        self.now = now;
        if self.timeout.is_some_and(|at| at <= now) {
            self.replica.tick(now);
        }
        self.drain();
    }

    pub fn session(&mut self) -> SessionHandle {
        self.open(SessionInit::default())
    }

    pub fn resume(&mut self, token: &str) -> SessionHandle {
        self.open(SessionInit { token: Some(token.into()), ..SessionInit::default() })
    }

    pub fn open(&mut self, init: SessionInit) -> SessionHandle {
        let handle = self.replica.open_session(init, self.now);
        self.drain();
        handle
    }

    pub fn token(&mut self, session: SessionHandle) -> String {
        let token = self.replica.token(session, self.now);
        self.drain();
        token.unwrap()
    }

    pub fn begin(
        &mut self,
        session: SessionHandle,
        operation: Operation,
        terms: Terms,
    ) -> Result<Progress, SessionError> {
        let progress = self.replica.begin(session, operation, terms, self.now);
        self.drain();
        progress
    }

    /// Begins an operation that must have to wait.
    pub fn wait(&mut self, session: SessionHandle, operation: Operation, terms: Terms) -> WaitId {
        match self.begin(session, operation, terms).unwrap() {
            Progress::Waiting(wait) => wait,
            Progress::Done(answer) => panic!("did not wait, but answered {answer:?}"),
        }
    }

    /// The answer of a wait, if it has settled.
    pub fn taken(&mut self, wait: WaitId) -> Option<Result<Answer, SessionError>> {
        let at = self.settled.iter().position(|settled| *settled == wait)?;
        self.settled.remove(at);
        Some(self.replica.take(wait))
    }

    /// An operation that must end within the call.
    pub fn ask(&mut self, session: SessionHandle, operation: Operation, terms: Terms) -> Result<Answer, SessionError> {
        match self.begin(session, operation, terms)? {
            Progress::Done(answer) => Ok(answer),
            Progress::Waiting(wait) => self.taken(wait).expect("the operation waits"),
        }
    }

    pub fn get(&mut self, session: SessionHandle, key: &str, terms: Terms) -> Result<Option<String>, SessionError> {
        match self.ask(session, Operation::Get(key.into()), terms)? {
            Answer::Item(item) => Ok(item.map(|item| string(&item.content))),
            other => panic!("{other:?}"),
        }
    }

    pub fn read(&mut self, session: SessionHandle, key: &str, terms: Terms) -> Result<Outcome, SessionError> {
        match self.ask(session, Operation::Read(key.into()), terms)? {
            Answer::Outcome(outcome) => Ok(outcome),
            other => panic!("{other:?}"),
        }
    }

    pub fn list(&mut self, session: SessionHandle, range: Range) -> Vec<Item> {
        items(self.ask(session, Operation::List(range), THROW).unwrap())
    }

    pub fn conflicts(&mut self, session: SessionHandle, key: &str) -> Vec<Item> {
        items(self.ask(session, Operation::Conflicts(key.into()), THROW).unwrap())
    }

    pub fn try_set(
        &mut self,
        session: SessionHandle,
        key: &str,
        value: &str,
        terms: Terms,
    ) -> Result<String, SessionError> {
        match self.ask(session, batch([put(key, value)]), terms)? {
            Answer::Version(version) => Ok(version),
            other => panic!("{other:?}"),
        }
    }

    /// Writes without waiting for storage, and tells the version.
    pub fn set(&mut self, session: SessionHandle, key: &str, value: &str) -> String {
        self.try_set(session, key, value, SYNC).unwrap()
    }

    pub fn delete(&mut self, session: SessionHandle, key: &str) {
        self.ask(session, batch([erase(key)]), SYNC).unwrap();
    }

    pub fn next(&mut self, watch: WatchId) -> Result<Vec<Change>, SessionError> {
        let changes = self.replica.next(watch, self.now);
        self.drain();
        changes
    }

    /// One message of the exchange in, its reply out; `None` while storage is late.
    pub fn try_exchange(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, SessionError> {
        let result = self.replica.exchange(REPLY, message, self.now);
        self.drain();
        result?;
        let at = self.sent.iter().position(|(link, _)| *link == REPLY);
        Ok(at.map(|at| self.sent.remove(at).1))
    }

    pub fn exchange(&mut self, message: &[u8]) -> Vec<u8> {
        self.try_exchange(message).unwrap().expect("the reply waits for storage")
    }

    pub fn receive(&mut self, link: LinkId, bytes: &[u8]) -> Result<(), SessionError> {
        let result = self.replica.receive(link, bytes, self.now);
        self.drain();
        result
    }

    /// The whole state as bytes: what two replicas that hold the same have alike, apart from who they are.
    pub fn snapshot(&mut self) -> Vec<u8> {
        let (_, snapshot) = self.replica.compaction();
        self.drain();
        snapshot.into_vec()
    }

    /// Takes what `other` holds, and gives nothing: the answer to one's vectors is the delta.
    pub fn pull(&mut self, other: &mut Self) {
        let hello = self.exchange(&[]);
        let delta = other.exchange(&hello);
        self.exchange(&delta);
    }
}

/// Both give and take until they hold the same.
pub fn sync(a: &mut Host, b: &mut Host) {
    for _ in 0..64 {
        a.pull(b);
        b.pull(a);
        if a.vector() == b.vector() {
            return;
        }
    }
    panic!("{} and {} do not meet", a.holds(), b.holds());
}

fn items(answer: Answer) -> Vec<Item> {
    match answer {
        Answer::Items(items) => items,
        other => panic!("{other:?}"),
    }
}
