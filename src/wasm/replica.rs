//! The replica's handle.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell, RefMut};

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;

use super::convert::{answer, change, duration, millis, progress};
use super::effects::{Sink, hand_over, joined};
use super::error::argument;
use super::password::needs;
use super::shape::object;
use super::told::Told;
use super::{Session, Shared, inspect, memory, options};
use crate::codec::Source;
use crate::error::{Details, ErrorCode, SessionError};
use crate::io::{CallId, Interest, LinkId, Progress, Terms, WaitId, WatchId};
use crate::replica::{Asking, End, Pass, SessionInit};

/// One replica, in this instance's memory. Drain `poll` after every call.
#[wasm_bindgen]
pub struct Replica {
    core: Shared,
    /// Who collects effects.
    sink: Cell<Option<Sink>>,
}

/// Whose role, and in which space.
pub(super) fn pairs(wanted: &[(Option<String>, String)]) -> Array {
    let pair = |(user, space): &(Option<String>, String)| {
        Array::of2(&user.as_deref().map_or(JsValue::NULL, JsValue::from_str), &space.as_str().into())
    };
    wanted.iter().map(pair).collect()
}

/// Borrows the core for one call. Only a call that trapped leaves a borrow behind.
pub(super) fn borrow(core: Shared) -> Result<RefMut<'static, crate::replica::Replica>, SessionError> {
    memory::tend();
    core.try_borrow_mut().map_err(|_| SessionError::new(ErrorCode::ReplicaCrashed, "the instance trapped earlier"))
}

#[wasm_bindgen]
impl Replica {
    /// Opens an empty replica. `seed` is 32 random bytes; without it they come from the platform.
    ///
    /// # Errors
    /// `ARGUMENT_INVALID`.
    #[wasm_bindgen(constructor)]
    pub fn new(config: JsValue, seed: Option<Vec<u8>>, now: f64) -> Result<Self, SessionError> {
        let seed = match seed {
            Some(bytes) => bytes.try_into().map_err(|_| argument("a seed is 32 bytes"))?,
            None => {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed).map_err(|_| argument("this platform has no randomness; hand in a seed"))?;
                seed
            }
        };
        let core = crate::replica::Replica::open(options::config(config, seed)?, millis(now))?;
        Ok(Self { core: Box::leak(Box::new(RefCell::new(core))), sink: Cell::new(None) })
    }

    /// Takes back what storage has: the snapshot, then each record, in order.
    ///
    /// # Errors
    /// As the core's `load`.
    pub fn load(&self, bytes: &Uint8Array, now: f64) -> Result<(), SessionError> {
        let bytes = Told::of(bytes);
        memory::expect(bytes.size());
        borrow(self.core)?.load_from(&bytes, millis(now))
    }

    /// The id under which the replica writes now.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    #[wasm_bindgen(getter)]
    pub fn id(&self) -> Result<String, SessionError> {
        Ok(borrow(self.core)?.id().to_string())
    }

    /// A channel to a peer has opened.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    #[wasm_bindgen(js_name = linkUp)]
    pub fn link_up(&self, link: u32, now: f64) -> Result<(), SessionError> {
        borrow(self.core)?.link_up(LinkId(link), millis(now));
        Ok(())
    }

    /// A channel to a peer has opened, on which each message costs a request: a quiet one is refreshed every
    /// `heartbeat` milliseconds.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    #[wasm_bindgen(js_name = linkUpEvery)]
    pub fn link_up_every(&self, link: u32, heartbeat: f64, now: f64) -> Result<(), SessionError> {
        borrow(self.core)?.link_up_every(LinkId(link), millis(heartbeat), millis(now));
        Ok(())
    }

    /// A channel has closed.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    #[wasm_bindgen(js_name = linkDown)]
    pub fn link_down(&self, link: u32, now: f64) -> Result<(), SessionError> {
        borrow(self.core)?.link_down(LinkId(link), millis(now));
        Ok(())
    }

    /// What is known of the peer on a channel, for [`Self::link_resume`]; nothing while it has not said who it is.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    #[wasm_bindgen(js_name = linkNote)]
    pub fn link_note(&self, link: u32) -> Result<Option<Uint8Array>, SessionError> {
        Ok(borrow(self.core)?.link_note(LinkId(link)).map(|note| Uint8Array::from(note.as_slice())))
    }

    /// A channel to a peer is open still, though the replica was not in memory; `note` was written down before.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`, `PROTOCOL_MISMATCH`; then `linkUp` begins it anew.
    #[wasm_bindgen(js_name = linkResume)]
    pub fn link_resume(&self, link: u32, note: &[u8], now: f64) -> Result<(), SessionError> {
        borrow(self.core)?.link_resume(LinkId(link), note, millis(now))
    }

    /// A channel has opened to who comes with `token`, or with one of several: a client, whose messages are judged, or
    /// another replica of the cluster. A `close` effect tells when its time is over.
    ///
    /// # Errors
    /// `TOKEN_INVALID`, `TOKEN_EXPIRED`, `TOKEN_TOO_LARGE`; `RATE_LIMITED` where its session has enough of them.
    #[wasm_bindgen(js_name = linkAdmit)]
    pub fn link_admit(&self, link: u32, token: String, note: Option<Vec<u8>>, now: f64) -> Result<(), SessionError> {
        let (pass, now) = (pass(token), millis(now));
        match note {
            Some(note) => borrow(self.core)?.link_resume_as(LinkId(link), &pass, &note, now),
            None => borrow(self.core)?.link_admit(LinkId(link), &pass, now),
        }
    }

    /// Whether who comes with these tokens may join; nothing where there is no secret to tell by.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn admits(&self, tokens: String, now: f64) -> Result<Option<bool>, SessionError> {
        Ok(borrow(self.core)?.admits(&tokens, millis(now)))
    }

    /// `exchange` with who comes with `token`.
    ///
    /// # Errors
    /// As `linkAdmit` and `exchange`; `RATE_LIMITED`.
    #[wasm_bindgen(js_name = exchangeAs)]
    pub fn exchange_as(&self, reply: u32, token: String, bytes: &[u8], now: f64) -> Result<(), SessionError> {
        memory::hear(bytes.len());
        borrow(self.core)?.exchange_as(LinkId(reply), &pass(token), bytes, millis(now))
    }

    /// A channel has opened to who has shown no token: with a secret, the other end must prove that it has one too.
    /// `end` says which this one is: 0 has called, 1 was called, 2 calls with each message.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    #[wasm_bindgen(js_name = linkProve)]
    pub fn link_prove(&self, link: u32, end: u8, heartbeat: Option<f64>, now: f64) -> Result<(), SessionError> {
        let end = match end {
            0 => End::Caller,
            1 => End::Callee,
            _ => End::Requester,
        };
        borrow(self.core)?.link_prove(LinkId(link), end, heartbeat.map(millis), millis(now));
        Ok(())
    }

    /// `exchange` with who has shown no token: with a secret, each message proves where it comes from.
    ///
    /// # Errors
    /// `TOKEN_INVALID`; else as `exchange`.
    #[wasm_bindgen(js_name = exchangeProved)]
    pub fn exchange_proved(&self, reply: u32, bytes: &[u8], now: f64) -> Result<(), SessionError> {
        memory::hear(bytes.len());
        borrow(self.core)?.exchange_proved(LinkId(reply), bytes, millis(now))
    }

    /// Asks a replica of the cluster to carry out `method` under the session of `token`. The number of the wait.
    ///
    /// # Errors
    /// `QUOTA_EXCEEDED`; the others come with the answer.
    pub fn call(&self, method: &str, args: &str, token: &str, timeout: f64, now: f64) -> Result<u32, SessionError> {
        let timeout = Some(timeout).filter(|timeout| *timeout >= 0.0).map(millis);
        Ok(borrow(self.core)?.call(method, args, token, timeout, millis(now))?.0)
    }

    /// What came of a client's call: an answer, or with a `code` the cause of its refusal and its details, as JSON.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn replied(
        &self,
        call: u32,
        code: Option<String>,
        text: String,
        details: Option<String>,
        now: f64,
    ) -> Result<(), SessionError> {
        let known = |code: &str| ErrorCode::ALL.iter().copied().find(|known| known.as_str() == code);
        let answer = match code {
            None => Ok(text),
            Some(code) => {
                let error = SessionError::new(known(&code).unwrap_or(ErrorCode::ArgumentInvalid), text);
                Err(error.with(details.map_or(Details::None, Details::Told)))
            }
        };
        borrow(self.core)?.replied(CallId(call), answer, millis(now));
        Ok(())
    }

    /// A message has come over a link.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`, `PROTOCOL_MISMATCH`.
    pub fn receive(&self, link: u32, bytes: &[u8], now: f64) -> Result<(), SessionError> {
        memory::hear(bytes.len());
        borrow(self.core)?.receive(LinkId(link), bytes, millis(now))
    }

    /// The sync protocol as request and response; the reply is one `transmit` effect on the link number `reply`.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`, `PROTOCOL_MISMATCH`.
    pub fn exchange(&self, reply: u32, bytes: Vec<u8>, now: f64) -> Result<(), SessionError> {
        memory::hear(bytes.len());
        borrow(self.core)?.exchange(LinkId(reply), bytes, millis(now))
    }

    /// The time of the last `timeout` effect has come.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn tick(&self, now: f64) -> Result<(), SessionError> {
        borrow(self.core)?.tick(millis(now));
        Ok(())
    }

    /// Storage has all records up to `n`.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn persisted(&self, n: f64, now: f64) -> Result<(), SessionError> {
        borrow(self.core)?.persisted(n as u64, millis(now));
        Ok(())
    }

    /// Who collects effects from now on. Told once, for an object that crosses with every [`Self::poll`] takes longer than one that
    /// hands over nothing.
    pub fn attend(&self, sink: Sink) {
        self.sink.set(Some(sink));
    }

    /// Hands over every effect, each after the borrow was given back; false where the instance has trapped earlier. It is called
    /// after every call, and an answer that may be an error crosses as a list. Effects wait as long as nobody collects them.
    pub fn poll(&self) -> bool {
        let sink = self.sink.take();
        let whole = loop {
            let Ok(mut core) = borrow(self.core) else { break false };
            let Some(sink) = &sink else { break true };
            let Some(effect) = core.poll() else { break true };
            drop(core);
            hand_over(&effect, sink);
        };
        self.sink.set(sink);
        whole
    }

    /// How many keys and bytes the store has place for, and the limits: bytes of a key, bytes of a value, keys of a
    /// batch, bytes of a batch.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn room(&self) -> Result<Vec<f64>, SessionError> {
        let core = borrow(self.core)?;
        let ((keys, bytes), limits) = (core.room(), core.store().limits());
        let numbers = [keys, bytes, limits.key_bytes, limits.value_bytes, limits.batch_keys, limits.batch_bytes];
        Ok(numbers.iter().map(|number| *number as f64).collect())
    }

    /// Says whether `change`, `conflict` and `session` events are wanted.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn interest(&self, changes: bool, conflicts: bool, sessions: bool) -> Result<(), SessionError> {
        borrow(self.core)?.interest(Interest { changes, conflicts, sessions });
        Ok(())
    }

    /// Begins a session or goes on with a token's.
    ///
    /// # Errors
    /// `ARGUMENT_INVALID`.
    pub fn session(&self, init: JsValue, now: f64) -> Result<Session, SessionError> {
        let init = options::session_init(init)?;
        let handle = borrow(self.core)?.open_session(init, millis(now));
        Ok(Session::new(self.core, handle))
    }

    /// As `session` with nothing but a token, or with nothing: no object crosses.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn resume(&self, token: Option<String>, now: f64) -> Result<Session, SessionError> {
        let init = SessionInit { token, ..SessionInit::default() };
        let handle = borrow(self.core)?.open_session(init, millis(now));
        Ok(Session::new(self.core, handle))
    }

    /// The hash that a login's password is to be compared with.
    ///
    /// # Errors
    /// `BAD_CREDENTIALS` while the account is locked.
    #[wasm_bindgen(js_name = loginHash)]
    pub fn login_hash(&self, user: &str, now: f64) -> Result<Option<String>, SessionError> {
        borrow(self.core)?.login_hash(user, millis(now))
    }

    /// Begins a session of a user whose password was right, or counts the failure.
    ///
    /// # Errors
    /// `BAD_CREDENTIALS`, `PERMISSION_DENIED`, `ARGUMENT_INVALID`.
    pub fn login(&self, user: &str, right: bool, init: JsValue, now: f64) -> Result<Session, SessionError> {
        let init = options::session_init(init)?;
        let handle = borrow(self.core)?.login(user, right, init, millis(now))?;
        Ok(Session::new(self.core, handle))
    }

    /// Whose roles the host is to say before the next input: `[user | null, space]`, for `sayRoles`. `token` is the one by
    /// which somebody comes.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    #[wasm_bindgen(js_name = wantedRoles)]
    pub fn wanted_roles(&self, token: Option<String>) -> Result<Array, SessionError> {
        let asking = Asking { token: token.as_deref(), ..Asking::default() };
        Ok(pairs(&borrow(self.core)?.wanted_roles(asking)))
    }

    /// What the host has said of the roles that were asked for: `[user | null, space, role | null]`.
    ///
    /// # Errors
    /// `ARGUMENT_INVALID`.
    #[wasm_bindgen(js_name = sayRoles)]
    pub fn say_roles(&self, said: &Array) -> Result<(), SessionError> {
        let role = |one: JsValue| -> Result<_, SessionError> {
            let one: Array = one.unchecked_into();
            let space = one.get(1).as_string().ok_or_else(|| argument("a space is a string"))?;
            let role = one.get(2).as_string().map(|role| role.parse()).transpose()?;
            Ok(((one.get(0).as_string(), space), role))
        };
        let said: Result<Vec<_>, _> = said.iter().map(role).collect();
        borrow(self.core)?.say_roles(said?);
        Ok(())
    }

    /// Runs statements as the host itself, which is God: `[columns, rows, text]`.
    ///
    /// # Errors
    /// As the core's `run`.
    pub fn run(&self, text: &str, hashes: Vec<String>, timeout: f64, now: f64) -> Result<JsValue, SessionError> {
        let terms = Terms { timeout: duration(timeout), ..Terms::default() };
        Ok(progress(&borrow(self.core)?.run(None, text, &hashes, terms, millis(now))?))
    }

    /// Whether a text begins as one of the core's own statements.
    #[wasm_bindgen(js_name = isOurs)]
    #[must_use]
    pub fn is_ours(&self, text: &str) -> bool {
        crate::service::statement::is_ours(text)
    }

    /// Kills a session wherever it is, as the host; whether it was known here.
    ///
    /// # Errors
    /// `ARGUMENT_INVALID`.
    #[wasm_bindgen(js_name = killSession)]
    pub fn kill_session(&self, id: &str, reason: Option<String>, now: f64) -> Result<bool, SessionError> {
        borrow(self.core)?.kill_session(None, &id.parse()?, reason.as_deref(), millis(now))
    }

    /// What the statements of a text need done with passwords: `[password]` to hash it, `[password, hash | null]` to
    /// compare it.
    ///
    /// # Errors
    /// `SYNTAX`.
    pub fn secrets(&self, text: &str) -> Result<Array, SessionError> {
        Ok(needs(&borrow(self.core)?.secrets(None, text)?))
    }

    /// A query's work is done, with so many rows, or has failed.
    ///
    /// # Errors
    /// `QUERY_KILLED`, `QUERY_TIMEOUT`: its result is to be dropped.
    #[wasm_bindgen(js_name = endQuery)]
    pub fn end_query(&self, plan: f64, rows: f64, failure: Option<String>, now: f64) -> Result<(), SessionError> {
        let result = failure.map_or(Ok(rows as u64), Err);
        borrow(self.core)?.end_query(plan as u64, result, millis(now))
    }

    /// What the host sees of the service: 0 sessions, 1 queries that run, 2 those that have ended, 3 operations, 4 the cache.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn service(&self, what: u32, now: f64) -> Result<JsValue, SessionError> {
        let core = borrow(self.core)?;
        inspect::service(&core, None, what, millis(now))
    }

    /// Waits until everything written so far is durable: 0 if it is, else the number of the wait.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn flush(&self, timeout: f64, now: f64) -> Result<u32, SessionError> {
        Ok(match borrow(self.core)?.flush(duration(timeout), millis(now))? {
            Progress::Done(_) => 0,
            Progress::Waiting(wait) => wait.0,
        })
    }

    /// Waits until peers have acknowledged everything written so far: 0 if they have, else the number of the wait.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn synced(&self, timeout: f64, now: f64) -> Result<u32, SessionError> {
        Ok(match borrow(self.core)?.synced(duration(timeout), millis(now))? {
            Progress::Done(_) => 0,
            Progress::Waiting(wait) => wait.0,
        })
    }

    /// How the replica stands to its peers: own writes that none has acknowledged, and the milliseconds since it held
    /// all that they told of, or -1.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn standing(&self, now: f64) -> Result<Vec<f64>, SessionError> {
        let standing = borrow(self.core)?.standing(millis(now));
        Ok(alloc::vec![standing.unsynced as f64, standing.lag.map_or(-1.0, |lag| lag as f64)])
    }

    /// The answer of an operation that has settled.
    ///
    /// # Errors
    /// The operation's.
    pub fn take(&self, wait: u32) -> Result<JsValue, SessionError> {
        Ok(answer(&borrow(self.core)?.take(WaitId(wait))?))
    }

    /// Gives up an operation that waits.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn cancel(&self, wait: u32) -> Result<(), SessionError> {
        borrow(self.core)?.cancel(WaitId(wait));
        Ok(())
    }

    /// What a subscription has to tell.
    ///
    /// # Errors
    /// `STALE_REPLICA`, `SESSION_NOT_FOUND`; the subscription is over then.
    pub fn next(&self, watch: u32, now: f64) -> Result<Array, SessionError> {
        Ok(borrow(self.core)?.next(WatchId(watch), millis(now))?.iter().map(change).collect())
    }

    /// Ends a subscription.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn unwatch(&self, watch: u32) -> Result<(), SessionError> {
        borrow(self.core)?.unwatch(WatchId(watch));
        Ok(())
    }

    /// What a token says, unverified.
    ///
    /// # Errors
    /// `TOKEN_INVALID`, `TOKEN_TOO_LARGE`.
    #[wasm_bindgen(js_name = inspectToken)]
    pub fn inspect_token(&self, text: &str) -> Result<JsValue, SessionError> {
        let token = crate::session::token::SessionToken::open_unverified(text)?;
        inspect::token(text, &token, &borrow(self.core)?.space().to_string())
    }

    /// A token as a listing: who it is, and apart from it what it depends on.
    ///
    /// # Errors
    /// `TOKEN_INVALID`, `TOKEN_TOO_LARGE`.
    pub fn detached(&self, text: &str) -> Result<String, SessionError> {
        crate::session::token::SessionToken::open_unverified(text)?.to_detached_text()
    }

    /// The replica as a plain object.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn inspect(&self) -> Result<JsValue, SessionError> {
        inspect::replica(&*borrow(self.core)?)
    }

    /// The whole state as bytes.
    ///
    /// # Errors
    /// `STALE_REPLICA` while something is not durable.
    pub fn snapshot(&self) -> Result<Uint8Array, SessionError> {
        Ok(joined(&borrow(self.core)?.snapshot_in_parts()?))
    }

    /// A snapshot for this replica's own storage: `{ n, bytes }`.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn compaction(&self) -> Result<JsValue, SessionError> {
        let (n, bytes) = borrow(self.core)?.compaction();
        Ok(object([("n", JsValue::from_f64(n as f64)), ("bytes", joined(&bytes).into())]))
    }

    /// Joins a snapshot and takes a new id.
    ///
    /// # Errors
    /// As the core's `restore`; state is unchanged.
    pub fn restore(&self, bytes: &Uint8Array, now: f64) -> Result<(), SessionError> {
        let bytes = Told::of(bytes);
        memory::expect(bytes.size());
        borrow(self.core)?.restore_from(&bytes, millis(now))
    }

    /// Joins what a replica of the same place has left behind, under the own id.
    ///
    /// # Errors
    /// As the core's `absorb`; state is unchanged.
    pub fn absorb(&self, bytes: &Uint8Array, now: f64) -> Result<(), SessionError> {
        let bytes = Told::of(bytes);
        memory::expect(bytes.size());
        borrow(self.core)?.absorb_from(&bytes, millis(now))
    }

    /// Takes a new id and keeps everything else.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn renew(&self, now: f64) -> Result<(), SessionError> {
        borrow(self.core)?.renew(millis(now));
        Ok(())
    }

    /// Says whether somebody else might write under this id just now: then the next write takes a new one first.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn suspect(&self, suspect: bool) -> Result<(), SessionError> {
        borrow(self.core)?.suspect(suspect);
        Ok(())
    }
}

fn pass(token: String) -> Pass {
    Pass { token, spaces: Vec::new() }
}
