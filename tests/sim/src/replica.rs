//! The replica under simulation: the core's own, and a recorder of what it is asked where a trace is wanted.
//!
//! Invariant: every input of the core that the simulator gives passes through here, because what is not listed here
//! only lends the core unchanged. Without a recording each method is the core's. A recorded run leaves out what the
//! classes of the wasm module cannot be asked: retirement, the deadline of a question for siblings, and, here, another
//! pause between two attempts to send. Should it ask all the same, its trace is unplayable.

use std::ops::Deref;

use edge_session::error::SessionError;
use edge_session::id::{Dot, ReplicaId, Space};
use edge_session::io::{
    Answer, Change, Effect, Interest, Item, LinkId, Operation, Progress, Scope, SessionHandle, Terms, WaitId, WatchId,
};
use edge_session::replica::{Ahead, Config, Glance, Replica as Core, SessionInit};
use edge_session::store::Mutation;
use edge_session::store::entry::{Content, DataEntry, Key};
use edge_session::sync::peer::Timing;
use edge_session::time::Millis;
use serde_json::{Value, json};

use crate::shown;
use crate::trace::{self, blob};

/// The core's replica.
#[derive(Debug)]
pub struct Replica {
    core: Core,
    /// Its number in the recording, if there is one.
    number: Option<usize>,
}

impl Deref for Replica {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

impl Drop for Replica {
    /// The last that is asked is what it holds.
    fn drop(&mut self) {
        if self.number.is_some() && !std::thread::panicking() {
            let snapshot = self.core.snapshot();
            self.note("snapshot", Vec::new, || shown::result(&snapshot, |bytes| blob(bytes)));
            self.note("free", Vec::new, || Value::Null);
        }
    }
}

fn done<T>(result: &Result<T, SessionError>) -> Value {
    shown::result(result, |_| Value::Null)
}

impl Replica {
    fn note(&self, method: &str, arguments: impl FnOnce() -> Vec<Value>, result: impl FnOnce() -> Value) {
        if let Some(number) = self.number {
            trace::note(number, method, &arguments(), &result());
        }
    }

    /// See [`Core::open`].
    pub fn open(mut config: Config, now: Millis) -> Result<Self, SessionError> {
        let number = trace::replica();
        if number.is_some() {
            let usual = Timing { pause: config.timing.pause, ..Timing::default() };
            config.timing = usual.beating(config.timing.heartbeat);
        }
        let given = number.map(|_| (shown::config(&config), blob(&config.seed)));
        let replica = Self { core: Core::open(config, now)?, number };
        let id = replica.core.id().to_string();
        replica.note(
            "open",
            || given.map_or_else(Vec::new, |(config, seed)| vec![config, seed, json!(now)]),
            || json!(id),
        );
        Ok(replica)
    }

    /// The core itself, for what no recording knows: the fleet's service.
    pub fn core_mut(&mut self) -> &mut Core {
        trace::unplayable("the service of the fleet is used");
        &mut self.core
    }

    /// See [`Core::is_settled`].
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.core.is_settled()
    }

    /// See [`Core::load`].
    pub fn load(&mut self, bytes: &[u8], now: Millis) -> Result<(), SessionError> {
        let result = self.core.load(bytes, now);
        self.note("load", || vec![blob(bytes), json!(now)], || done(&result));
        result
    }

    /// See [`Core::restore`].
    pub fn restore(&mut self, bytes: &[u8], now: Millis) -> Result<(), SessionError> {
        let result = self.core.restore(bytes, now);
        self.note("restore", || vec![blob(bytes), json!(now)], || done(&result));
        result
    }

    /// See [`Core::snapshot`].
    pub fn snapshot(&mut self) -> Result<Vec<u8>, SessionError> {
        let result = self.core.snapshot();
        self.note("snapshot", Vec::new, || shown::result(&result, |bytes| blob(bytes)));
        result
    }

    /// See [`Core::compaction`].
    pub fn compaction(&mut self) -> (u64, Vec<u8>) {
        let (n, bytes) = self.core.compaction();
        let bytes = bytes.into_vec();
        self.note("compaction", Vec::new, || json!({ "n": n, "bytes": blob(&bytes) }));
        (n, bytes)
    }

    /// See [`Core::persisted`].
    pub fn persisted(&mut self, n: u64, now: Millis) {
        self.core.persisted(n, now);
        self.note("persisted", || vec![json!(n), json!(now)], || Value::Null);
    }

    /// See [`Core::tick`].
    pub fn tick(&mut self, now: Millis) {
        self.core.tick(now);
        self.note("tick", || vec![json!(now)], || Value::Null);
    }

    /// See [`Core::interest`].
    pub fn interest(&mut self, interest: Interest) {
        self.core.interest(interest);
        self.note(
            "interest",
            || vec![json!(interest.changes), json!(interest.conflicts), json!(interest.sessions)],
            || Value::Null,
        );
    }

    /// See [`Core::retire`].
    pub fn retire(&mut self, space: &Space, replica: ReplicaId, last: u64, now: Millis) {
        trace::unplayable("a replica is retired");
        self.core.retire(space, replica, last, now);
    }

    /// See [`Core::link_up`].
    pub fn link_up(&mut self, link: LinkId, now: Millis) {
        self.core.link_up(link, now);
        self.note("linkUp", || vec![json!(link.0), json!(now)], || Value::Null);
    }

    /// See [`Core::link_down`].
    pub fn link_down(&mut self, link: LinkId, now: Millis) {
        self.core.link_down(link, now);
        self.note("linkDown", || vec![json!(link.0), json!(now)], || Value::Null);
    }

    /// See [`Core::receive`].
    pub fn receive(&mut self, link: LinkId, bytes: &[u8], now: Millis) -> Result<(), SessionError> {
        let result = self.core.receive(link, bytes, now);
        self.note("receive", || vec![json!(link.0), blob(bytes), json!(now)], || done(&result));
        result
    }

    /// See [`Core::exchange`].
    pub fn exchange(&mut self, reply: LinkId, bytes: &[u8], now: Millis) -> Result<(), SessionError> {
        let result = self.core.exchange(reply, bytes, now);
        self.note("exchange", || vec![json!(reply.0), blob(bytes), json!(now)], || done(&result));
        result
    }

    /// See [`Core::poll`].
    pub fn poll(&mut self) -> Option<Effect> {
        let effect = self.core.poll();
        self.note("poll", Vec::new, || effect.as_ref().map_or(Value::Null, shown::effect));
        effect
    }

    /// See [`Core::open_session`].
    pub fn open_session(&mut self, init: SessionInit, now: Millis) -> SessionHandle {
        let given = self.number.map(|_| shown::init(&init));
        let handle = self.core.open_session(init, now);
        let view = self.core.session(handle);
        self.note(
            "session",
            || vec![json!(handle.0), given.unwrap_or_default(), json!(now)],
            || shown::view(view.as_ref()),
        );
        handle
    }

    /// See [`Core::close_session`].
    pub fn close_session(&mut self, handle: SessionHandle) {
        self.core.close_session(handle);
        self.note("close", || vec![json!(handle.0)], || Value::Null);
    }

    /// See [`Core::begin`].
    pub fn begin(
        &mut self,
        handle: SessionHandle,
        operation: Operation,
        terms: Terms,
        now: Millis,
    ) -> Result<Progress, SessionError> {
        let given = self.number.map(|_| operation.clone());
        let result = self.core.begin(handle, operation, terms, now);
        if let Some((method, arguments)) = given.map(|operation| question(operation, terms, now)) {
            let arguments = [vec![json!(handle.0)], arguments].concat();
            self.note(method, || arguments, || shown::result(&result, shown::progress));
        }
        result
    }

    /// See [`Core::take`].
    pub fn take(&mut self, wait: WaitId) -> Result<Answer, SessionError> {
        let result = self.core.take(wait);
        self.note("take", || vec![json!(wait.0)], || shown::result(&result, shown::answer));
        result
    }

    /// See [`Core::cancel`].
    pub fn cancel(&mut self, wait: WaitId) {
        self.core.cancel(wait);
        self.note("cancel", || vec![json!(wait.0)], || Value::Null);
    }

    /// See [`Core::token`].
    pub fn token(&mut self, handle: SessionHandle, now: Millis) -> Result<String, SessionError> {
        let result = self.core.token(handle, now);
        self.note("token", || vec![json!(handle.0), json!(now)], || shown::result(&result, |text| json!(text)));
        result
    }

    /// See [`Core::merge`].
    pub fn merge(&mut self, handle: SessionHandle, text: &str, now: Millis) -> Result<(), SessionError> {
        let result = self.core.merge(handle, text, now);
        self.note("merge", || vec![json!(handle.0), json!(text), json!(now)], || done(&result));
        result
    }

    /// See [`Core::missing`].
    pub fn missing(
        &mut self,
        handle: SessionHandle,
        token: Option<&str>,
        now: Millis,
    ) -> Result<Vec<edge_session::error::Missing>, SessionError> {
        let result = self.core.missing(handle, token, now);
        let arguments = || vec![json!(handle.0), json!(token), json!(now)];
        self.note("missing", arguments, || shown::result(&result, |list| shown::missing(list)));
        result
    }

    /// See [`Core::watch`].
    pub fn watch(
        &mut self,
        handle: SessionHandle,
        scope: Scope,
        terms: Terms,
        now: Millis,
    ) -> Result<WatchId, SessionError> {
        let given = match &scope {
            Scope::Key(key) => json!({ "key": **key }),
            Scope::Prefix(prefix) => json!({ "prefix": prefix }),
        };
        let result = self.core.watch(handle, scope, terms, now);
        let arguments = || vec![json!(handle.0), given, shown::bits(terms), shown::timeout(terms), json!(now)];
        self.note("watch", arguments, || shown::result(&result, |watch| json!(watch.0)));
        result
    }

    /// See [`Core::next`].
    pub fn next(&mut self, watch: WatchId, now: Millis) -> Result<Vec<Change>, SessionError> {
        let result = self.core.next(watch, now);
        let changes = |list: &Vec<Change>| list.iter().map(shown::change).collect();
        self.note("next", || vec![json!(watch.0), json!(now)], || shown::result(&result, changes));
        result
    }

    /// See [`Core::unwatch`].
    pub fn unwatch(&mut self, watch: WatchId) {
        self.core.unwatch(watch);
        self.note("unwatch", || vec![json!(watch.0)], || Value::Null);
    }

    /// See [`Core::glance`], and [`Core::ahead`] where the copy of it may be kept. What is shown is told with the version and the end
    /// that it has in the store.
    pub fn glance(
        &mut self,
        handle: SessionHandle,
        key: Key,
        terms: Terms,
        most: usize,
        now: Millis,
    ) -> Result<(Glance, Option<Item>, Vec<Ahead>), SessionError> {
        let result = self.core.glance(handle, &key, terms, now).map(|seen| {
            let ahead = if seen.keep.is_some() { self.core.ahead(handle, &key, most) } else { Vec::new() };
            let space = self.core.identity(handle).map(|who| who.space);
            let set = space.and_then(|space| self.core.store().live(space, &key));
            let item = seen.content.clone().zip(set).map(|(content, set)| {
                let expires_at = set.winner().and_then(DataEntry::expires_at);
                Item { key: key.clone(), content, version: set.version(), expires_at }
            });
            (seen, item, ahead)
        });
        if self.number.is_some() {
            let mut origin = |dot: Dot| [json!(self.core.origin(dot.replica)), json!(dot.sequence)];
            let (keep, ahead) = result.as_ref().map_or((None, &[][..]), |(seen, _, ahead)| (seen.keep, ahead));
            let (keep, dots) = (keep.map(|kept| origin(kept.dot)), ahead.iter().map(|copy| origin(copy.dot)).collect());
            let seen = |(seen, _, ahead): &(Glance, Option<Item>, Vec<Ahead>)| shown::glance(seen, keep, ahead, dots);
            no_deadline(terms);
            let arguments = vec![json!(handle.0), json!(*key), shown::bits(terms), json!(most), json!(now)];
            self.note("glance", || arguments, || shown::result(&result, seen));
        }
        result
    }

    /// See [`Core::hand_over`].
    pub fn hand_over(
        &mut self,
        handle: SessionHandle,
        batch: Vec<Mutation>,
        terms: Terms,
        now: Millis,
    ) -> Result<Dot, SessionError> {
        let given = self.number.map(|_| log(&batch));
        let result = self.core.hand_over(handle, batch, terms, now);
        if let Some((text, lengths)) = given {
            no_deadline(terms);
            let origin = result.as_ref().ok().map(|dot| self.core.origin(dot.replica));
            let arguments = vec![json!(handle.0), json!(text), json!(lengths), shown::bits(terms), json!(now)];
            self.note("handOver", || arguments, || shown::result(&result, |dot| json!([origin, dot.sequence])));
        }
        result
    }

    /// See [`Core::record_reads`].
    pub fn record_reads(&mut self, handle: SessionHandle, dots: &[Dot]) -> Result<(), SessionError> {
        let result = self.core.record_reads(handle, dots);
        if self.number.is_some() {
            let reads: Vec<u64> =
                dots.iter().flat_map(|dot| [u64::from(self.core.origin(dot.replica)), dot.sequence]).collect();
            self.note("recordReads", || vec![json!(handle.0), json!(reads)], || done(&result));
        }
        result
    }
}

/// An operation as the module's classes are asked for it: the method, and the arguments after the session.
fn question(operation: Operation, terms: Terms, now: Millis) -> (&'static str, Vec<Value>) {
    let (bits, timeout, now_text) = (shown::bits(terms), shown::timeout(terms), json!(now));
    match operation {
        Operation::Get(key) => ("get", vec![json!(*key), bits, timeout, now_text]),
        Operation::Read(key) => ("read", vec![json!(*key), bits, timeout, now_text]),
        Operation::Conflicts(key) => {
            no_deadline(terms);
            ("conflicts", vec![json!(*key), bits, now_text])
        }
        Operation::List(range) => ("list", vec![shown::range(&range), bits, timeout, now_text]),
        Operation::Seal => {
            if terms != (Terms { timeout: terms.timeout, ..Terms::default() }) {
                trace::unplayable("a seal has terms other than a deadline");
            }
            ("sealed", vec![timeout, now_text])
        }
        Operation::Write { batch, checks } => match (batch.as_slice(), checks.as_slice()) {
            ([only], []) => single(only, bits, timeout, now),
            _ => {
                let checks = checks.iter().map(|check| json!([0, *check.key, check.version]));
                let steps: Vec<Value> = checks.chain(batch.iter().map(|mutation| step(mutation, now))).collect();
                ("batch", vec![json!(steps), bits, timeout, now_text])
            }
        },
    }
}

fn no_deadline(terms: Terms) {
    if terms.timeout.is_some() {
        trace::unplayable("a question that takes no deadline has one");
    }
}

fn single(mutation: &Mutation, bits: Value, timeout: Value, now: Millis) -> (&'static str, Vec<Value>) {
    let key = json!(*mutation.key);
    match shown::content(&mutation.content) {
        None => ("delete", vec![key, bits, timeout, json!(now)]),
        Some((kind, value)) => {
            ("set", vec![key, json!(kind), value, time_to_live(mutation, now), bits, timeout, json!(now)])
        }
    }
}

fn step(mutation: &Mutation, now: Millis) -> Value {
    match shown::content(&mutation.content) {
        None => json!([2, *mutation.key]),
        Some((kind, value)) => json!([1, *mutation.key, kind, value, time_to_live(mutation, now)]),
    }
}

/// How long a value lives from now on; −1: for ever.
fn time_to_live(mutation: &Mutation, now: Millis) -> Value {
    let Some(ends) = mutation.expires_at else { return json!(-1) };
    if ends < now {
        trace::unplayable("a value has ended before it is written");
    }
    json!(ends.saturating_sub(now))
}

/// Writes that were accepted in front: keys and values joined, and their lengths in UTF-16 units with the kinds.
fn log(batch: &[Mutation]) -> (String, Vec<usize>) {
    let (mut text, mut lengths) = (String::new(), Vec::new());
    for mutation in batch {
        let (kind, value) = match &mutation.content {
            Content::Text(value) => (0, &**value),
            Content::Json(value) => (1, &**value),
            Content::Tombstone => (3, ""),
            Content::Bytes(_) => {
                trace::unplayable("bytes are written in front");
                (0, "")
            }
        };
        text.push_str(&mutation.key);
        text.push_str(value);
        lengths.extend([mutation.key.encode_utf16().count(), value.encode_utf16().count() << 2 | kind]);
    }
    (text, lengths)
}
