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
    /// Collects effects.
    sink: Cell<Option<Sink>>,
}

/// Users and spaces whose roles are wanted, as an array of pairs.
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

    /// Loads what storage has: the snapshot, then each record, in order.
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

    /// A channel to a peer has opened, on which each message costs a request. A quiet peer gets a message every
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

    /// What is known of the peer on a channel, for [`Self::link_resume`]; `undefined` while it has not said its id.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    #[wasm_bindgen(js_name = linkNote)]
    pub fn link_note(&self, link: u32) -> Result<Option<Uint8Array>, SessionError> {
        Ok(borrow(self.core)?.link_note(LinkId(link)).map(|note| Uint8Array::from(note.as_slice())))
    }

    /// A channel to a peer is still open from before the replica was in memory; `note` was stored then.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`, `PROTOCOL_MISMATCH`; `linkUp` then opens it anew.
    #[wasm_bindgen(js_name = linkResume)]
    pub fn link_resume(&self, link: u32, note: &[u8], now: f64) -> Result<(), SessionError> {
        borrow(self.core)?.link_resume(LinkId(link), note, millis(now))
    }

    /// A channel has opened to a client that shows `token`, which may be a listing; what it sends is judged. With a
    /// `note`, resumes such a channel. A `close` effect reports the end of its time.
    ///
    /// # Errors
    /// `TOKEN_INVALID`, `TOKEN_EXPIRED`, `TOKEN_TOO_LARGE`; `RATE_LIMITED` if its session has too many links.
    #[wasm_bindgen(js_name = linkAdmit)]
    pub fn link_admit(&self, link: u32, token: String, note: Option<Vec<u8>>, now: f64) -> Result<(), SessionError> {
        let (pass, now) = (pass(token), millis(now));
        match note {
            Some(note) => borrow(self.core)?.link_resume_as(LinkId(link), &pass, &note, now),
            None => borrow(self.core)?.link_admit(LinkId(link), &pass, now),
        }
    }

    /// Whether a client with these tokens may join; `undefined` without a secret to verify them with.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn admits(&self, tokens: String, now: f64) -> Result<Option<bool>, SessionError> {
        Ok(borrow(self.core)?.admits(&tokens, millis(now)))
    }

    /// `exchange` with a client that shows `token`.
    ///
    /// # Errors
    /// As `linkAdmit` and `exchange`; `RATE_LIMITED`.
    #[wasm_bindgen(js_name = exchangeAs)]
    pub fn exchange_as(&self, reply: u32, token: String, bytes: &[u8], now: f64) -> Result<(), SessionError> {
        memory::hear(bytes.len());
        borrow(self.core)?.exchange_as(LinkId(reply), &pass(token), bytes, millis(now))
    }

    /// A channel has opened to a replica that has shown no token: with a secret, the other end must prove that it has
    /// one too. `end` is this end's part: 0 has called, 1 was called, 2 calls with each message.
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

    /// `exchange` with a replica that has shown no token: with a secret, each message must prove its origin.
    ///
    /// # Errors
    /// `TOKEN_INVALID`; otherwise as `exchange`.
    #[wasm_bindgen(js_name = exchangeProved)]
    pub fn exchange_proved(&self, reply: u32, bytes: &[u8], now: f64) -> Result<(), SessionError> {
        memory::hear(bytes.len());
        borrow(self.core)?.exchange_proved(LinkId(reply), bytes, millis(now))
    }

    /// Asks a replica of the cluster to carry out `method` under the session of `token`; returns the number of the
    /// wait.
    ///
    /// # Errors
    /// `QUOTA_EXCEEDED`; other errors come with the answer.
    pub fn call(&self, method: &str, args: &str, token: &str, timeout: f64, now: f64) -> Result<u32, SessionError> {
        let timeout = Some(timeout).filter(|timeout| *timeout >= 0.0).map(millis);
        Ok(borrow(self.core)?.call(method, args, token, timeout, millis(now))?.0)
    }

    /// The result of a client's call: an answer, or with a `code` the cause of its refusal and its details, as JSON.
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

    /// A message has arrived on a link.
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

    /// Sets the collector of effects. Set once, because passing an object with every [`Self::poll`] would take longer
    /// than a poll without effects.
    pub fn attend(&self, sink: Sink) {
        self.sink.set(Some(sink));
    }

    /// Hands over every effect, each after the borrow has ended; returns false if the instance has trapped earlier.
    /// Does not return an error, because it is called after every call and a fallible result crosses as a list. Effects
    /// wait while there is no collector.
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

    /// How many more keys and bytes the store may take, and the limits: bytes of a key, bytes of a value, keys of a
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

    /// Sets whether `change`, `conflict` and `session` events are wanted.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn interest(&self, changes: bool, conflicts: bool, sessions: bool) -> Result<(), SessionError> {
        borrow(self.core)?.interest(Interest { changes, conflicts, sessions });
        Ok(())
    }

    /// Begins a session, or continues that of a token.
    ///
    /// # Errors
    /// `ARGUMENT_INVALID`.
    pub fn session(&self, init: JsValue, now: f64) -> Result<Session, SessionError> {
        let init = options::session_init(init)?;
        let handle = borrow(self.core)?.open_session(init, millis(now));
        Ok(Session::new(self.core, handle))
    }

    /// As `session` with only a token, or with nothing: no object crosses.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn resume(&self, token: Option<String>, now: f64) -> Result<Session, SessionError> {
        let init = SessionInit { token, ..SessionInit::default() };
        let handle = borrow(self.core)?.open_session(init, millis(now));
        Ok(Session::new(self.core, handle))
    }

    /// The hash to compare a login's password with.
    ///
    /// # Errors
    /// `BAD_CREDENTIALS` while the account is locked.
    #[wasm_bindgen(js_name = loginHash)]
    pub fn login_hash(&self, user: &str, now: f64) -> Result<Option<String>, SessionError> {
        borrow(self.core)?.login_hash(user, millis(now))
    }

    /// Begins a session for a user whose password was right, or counts the failure.
    ///
    /// # Errors
    /// `BAD_CREDENTIALS`, `PERMISSION_DENIED`, `ARGUMENT_INVALID`.
    pub fn login(&self, user: &str, right: bool, init: JsValue, now: f64) -> Result<Session, SessionError> {
        let init = options::session_init(init)?;
        let handle = borrow(self.core)?.login(user, right, init, millis(now))?;
        Ok(Session::new(self.core, handle))
    }

    /// The roles that the host must state before the next input: `[user | null, space]`, for `sayRoles`. `token` is
    /// that of a client that is about to join.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    #[wasm_bindgen(js_name = wantedRoles)]
    pub fn wanted_roles(&self, token: Option<String>) -> Result<Array, SessionError> {
        let asking = Asking { token: token.as_deref(), ..Asking::default() };
        Ok(pairs(&borrow(self.core)?.wanted_roles(asking)))
    }

    /// Stores the roles that the host states: `[user | null, space, role | null]`.
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

    /// Whether a text begins like one of the core's own statements.
    #[wasm_bindgen(js_name = isOurs)]
    #[must_use]
    pub fn is_ours(&self, text: &str) -> bool {
        crate::service::statement::is_ours(text)
    }

    /// Kills a session wherever it is, as the host; returns whether it was known here.
    ///
    /// # Errors
    /// `ARGUMENT_INVALID`.
    #[wasm_bindgen(js_name = killSession)]
    pub fn kill_session(&self, id: &str, reason: Option<String>, now: f64) -> Result<bool, SessionError> {
        borrow(self.core)?.kill_session(None, &id.parse()?, reason.as_deref(), millis(now))
    }

    /// The work on passwords that a text's statements need: `[password]` to hash it, `[password, hash | null]` to
    /// compare it.
    ///
    /// # Errors
    /// `SYNTAX`.
    pub fn secrets(&self, text: &str) -> Result<Array, SessionError> {
        Ok(needs(&borrow(self.core)?.secrets(None, text)?))
    }

    /// Ends a query: done, with the number of rows, or failed.
    ///
    /// # Errors
    /// `QUERY_KILLED`, `QUERY_TIMEOUT`: its result must be discarded.
    #[wasm_bindgen(js_name = endQuery)]
    pub fn end_query(&self, plan: f64, rows: f64, failure: Option<String>, now: f64) -> Result<(), SessionError> {
        let result = failure.map_or(Ok(rows as u64), Err);
        borrow(self.core)?.end_query(plan as u64, result, millis(now))
    }

    /// What the host may see of the service: 0 sessions, 1 running queries, 2 ended queries, 3 operations, 4 the cache.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn service(&self, what: u32, now: f64) -> Result<JsValue, SessionError> {
        let core = borrow(self.core)?;
        inspect::service(&core, None, what, millis(now))
    }

    /// Waits until everything written so far is durable: returns 0 if it is, otherwise the number of the wait.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn flush(&self, timeout: f64, now: f64) -> Result<u32, SessionError> {
        Ok(match borrow(self.core)?.flush(duration(timeout), millis(now))? {
            Progress::Done(_) => 0,
            Progress::Waiting(wait) => wait.0,
        })
    }

    /// Waits until peers have acknowledged everything written so far: returns 0 if they have, otherwise the number of
    /// the wait.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn synced(&self, timeout: f64, now: f64) -> Result<u32, SessionError> {
        Ok(match borrow(self.core)?.synced(duration(timeout), millis(now))? {
            Progress::Done(_) => 0,
            Progress::Waiting(wait) => wait.0,
        })
    }

    /// The number of own writes that no peer has acknowledged, and the milliseconds since the replica last held
    /// everything that peers had reported, or -1.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn standing(&self, now: f64) -> Result<Vec<f64>, SessionError> {
        let standing = borrow(self.core)?.standing(millis(now));
        Ok(alloc::vec![standing.unsynced as f64, standing.lag.map_or(-1.0, |lag| lag as f64)])
    }

    /// The answer of an operation that has completed.
    ///
    /// # Errors
    /// Those of the operation.
    pub fn take(&self, wait: u32) -> Result<JsValue, SessionError> {
        Ok(answer(&borrow(self.core)?.take(WaitId(wait))?))
    }

    /// Gives up a waiting operation.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn cancel(&self, wait: u32) -> Result<(), SessionError> {
        borrow(self.core)?.cancel(WaitId(wait));
        Ok(())
    }

    /// The changes of a subscription since the last call.
    ///
    /// # Errors
    /// `STALE_REPLICA`, `SESSION_NOT_FOUND`; the subscription has then ended.
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

    /// The contents of a token, unverified.
    ///
    /// # Errors
    /// `TOKEN_INVALID`, `TOKEN_TOO_LARGE`.
    #[wasm_bindgen(js_name = inspectToken)]
    pub fn inspect_token(&self, text: &str) -> Result<JsValue, SessionError> {
        let token = crate::session::token::SessionToken::open_unverified(text)?;
        inspect::token(text, &token, &borrow(self.core)?.space().to_string())
    }

    /// A token as a listing: its identity, and separately its dependencies.
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

    /// Joins what another replica of the same place has left behind, and keeps the own id.
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

    /// Sets whether another replica may be writing under this id now; if so, the next write takes a new id first.
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
