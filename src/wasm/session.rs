//! A session's handle. An operation returns its value, or a number: the wait that will bring it.

use alloc::string::String;
use alloc::vec::Vec;

use js_sys::Array;
use wasm_bindgen::prelude::*;

use super::convert::{batch, brief, content, duration, ends, glance, item, log, millis, progress, terms};
use super::error::{argument, missing};
use super::page::Page;
use super::password::needs;
use super::replica::{borrow, pairs};
use super::{Shared, inspect, options};
use crate::error::SessionError;
use crate::id::Dot;
use crate::io::{Operation, SessionHandle, Terms};
use crate::replica::Asking;
use crate::store::entry::{Content, Key};
use crate::store::{Log, Mutation};

/// A session in use. `free` closes the handle; the session lives on in its token.
#[wasm_bindgen]
pub struct Session {
    core: Shared,
    handle: SessionHandle,
    /// The first part of the log that the next `handOver` completes.
    log: Log,
}

impl Session {
    pub(super) fn new(core: Shared, handle: SessionHandle) -> Self {
        Self { core, handle, log: Log::default() }
    }

    fn begin(&self, operation: Operation, terms: Terms, now: f64) -> Result<JsValue, SessionError> {
        let begun = borrow(self.core)?.begin(self.handle, operation, terms, millis(now))?;
        Ok(progress(&begun))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // After a trap the instance is not used any more.
        if let Ok(mut core) = self.core.try_borrow_mut() {
            core.close_session(self.handle);
        }
    }
}

#[wasm_bindgen]
impl Session {
    /// The identity of the session as one text, since a text crosses in a fraction of an object's time: its id; 1 or 0
    /// for whether a token was accepted; the bits of its guarantees as one hexadecimal digit; then, each followed by a
    /// space and `-` if there is none, why it is refused, when it ends, and the lengths of user and client in UTF-16
    /// code units; then user, client and current space.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn info(&self) -> Result<String, SessionError> {
        Ok(borrow(self.core)?.identity(self.handle).as_ref().map_or_else(String::new, brief))
    }

    /// Whether an accepted token states the session's identity, so that nothing needs to cross for it.
    pub fn claimed(&self) -> bool {
        borrow(self.core).is_ok_and(|core| core.identity(self.handle).is_some_and(|who| who.claimed))
    }

    /// The session with its vectors as a plain object.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    pub fn inspect(&self) -> Result<JsValue, SessionError> {
        inspect::session(&*borrow(self.core)?, self.handle)
    }

    /// What a key shows.
    ///
    /// # Errors
    /// `STALE_REPLICA`, `DEPENDENCY_LOST`, `KEY_INVALID`, the reason of a refused session.
    pub fn get(&self, key: &str, bits: u32, timeout: f64, now: f64) -> Result<JsValue, SessionError> {
        self.begin(Operation::Get(key.into()), terms(bits, timeout)?, now)
    }

    /// What a key shows, and whether it may be copied: `[kind, value, origin, sequence]`. With it come copies of at
    /// most `ahead` other keys, since neighbours are often read next.
    ///
    /// # Errors
    /// As `get`.
    pub fn glance(&self, key: &str, bits: u32, ahead: u32, now: f64) -> Result<JsValue, SessionError> {
        let mut core = borrow(self.core)?;
        let seen = core.glance(self.handle, key, terms(bits, -1.0)?, millis(now))?;
        let (mut page, mut keep) = (Page::default(), None);
        if let Some(kept) = seen.keep {
            core.neighbours(self.handle, kept.place, ahead as usize, &mut |place, row| page.add(place, row));
            page.number(|replica| core.origin(replica));
            keep = Some((core.origin(kept.dot.replica), kept.dot.sequence));
        }
        Ok(glance(seen.content.as_ref(), keep, &page))
    }

    /// Takes the first part of a long log: the next `handOver` brings the last part, and all become one write. Returns
    /// false and takes nothing if the host must call again with `sure`: see [`Log::take`].
    ///
    /// # Errors
    /// `ARGUMENT_INVALID`; nothing of the log is then taken, now or later.
    pub fn log(&mut self, text: String, lengths: &[u32], sure: bool) -> Result<bool, SessionError> {
        log(&mut self.log, text, lengths, sure)
    }

    /// Applies the writes of the host's log: keys and values joined, and their lengths. Returns the dot as origin and
    /// sequence, or nothing where `log` would return false.
    ///
    /// # Errors
    /// As `set`.
    #[wasm_bindgen(js_name = handOver)]
    pub fn hand_over(
        &mut self,
        text: String,
        lengths: &[u32],
        bits: u32,
        now: f64,
        sure: bool,
    ) -> Result<Vec<f64>, SessionError> {
        if !log(&mut self.log, text, lengths, sure)? {
            return Ok(Vec::new());
        }
        let batch = core::mem::take(&mut self.log);
        let mut core = borrow(self.core)?;
        let dot = core.hand_over(self.handle, batch.finish(), terms(bits, -1.0)?, millis(now))?;
        let origin = core.origin(dot.replica);
        Ok(alloc::vec![f64::from(origin), dot.sequence as f64])
    }

    /// Records reads that copies have answered: origin, sequence, origin, sequence, ….
    ///
    /// # Errors
    /// `ARGUMENT_INVALID`, `SESSION_NOT_FOUND`.
    #[wasm_bindgen(js_name = recordReads)]
    pub fn record_reads(&self, reads: &[f64]) -> Result<(), SessionError> {
        let mut core = borrow(self.core)?;
        let dot = |pair: &[f64]| {
            let [origin, sequence] = pair else { return None };
            Some(Dot::new(core.origin_at(*origin as u32)?, *sequence as u64))
        };
        let dots: Option<Vec<Dot>> = reads.chunks(2).map(dot).collect();
        core.record_reads(self.handle, &dots.ok_or_else(|| argument("an origin that was never told"))?)
    }

    /// Records that the session was used at `now`, because the host has answered it from copies.
    #[wasm_bindgen(js_name = noteUse)]
    pub fn note_use(&self, now: f64) {
        // A session that is over or closed gets the error at its next operation.
        if let Ok(mut core) = borrow(self.core) {
            let _ = core.note_use(self.handle, millis(now));
        }
    }

    /// What a key shows, as the whole outcome.
    ///
    /// # Errors
    /// `STALE_REPLICA` when a wait expires, `KEY_INVALID`, the reason of a refused session.
    pub fn read(&self, key: &str, bits: u32, timeout: f64, now: f64) -> Result<JsValue, SessionError> {
        self.begin(Operation::Read(key.into()), terms(bits, timeout)?, now)
    }

    /// The keys of a range that show something.
    ///
    /// # Errors
    /// As `get`.
    pub fn list(&self, range: JsValue, bits: u32, timeout: f64, now: f64) -> Result<JsValue, SessionError> {
        self.begin(Operation::List(options::range(range)?), terms(bits, timeout)?, now)
    }

    /// All visible entries of a key.
    ///
    /// # Errors
    /// As `get`.
    pub fn conflicts(&self, key: &str, bits: u32, now: f64) -> Result<JsValue, SessionError> {
        self.begin(Operation::Conflicts(key.into()), terms(bits, -1.0)?, now)
    }

    /// What a key shows, without checking guarantees or recording a read.
    ///
    /// # Errors
    /// `STALE_REPLICA` while it is not durable; the reason why the session is refused.
    pub fn peek(&self, key: &str, now: f64) -> Result<JsValue, SessionError> {
        let shown = borrow(self.core)?.peek(self.handle, key, millis(now))?;
        Ok(shown.as_ref().map_or(JsValue::UNDEFINED, item))
    }

    /// Writes a value.
    ///
    /// # Errors
    /// `STALE_REPLICA`, `DEPENDENCY_LOST`, `KEY_INVALID`, `VALUE_TOO_LARGE`, `QUOTA_EXCEEDED`, the reason of a refused
    /// session.
    #[allow(clippy::too_many_arguments, reason = "one argument is cheaper across the boundary than one property")]
    pub fn set(
        &self,
        key: &str,
        kind: u32,
        value: &JsValue,
        ttl: f64,
        bits: u32,
        timeout: f64,
        now: f64,
    ) -> Result<JsValue, SessionError> {
        let mutation = Mutation { key: key.into(), content: content(kind, value)?, expires_at: ends(ttl, now) };
        let operation = Operation::Write { batch: alloc::vec![mutation], checks: alloc::vec![] };
        self.begin(operation, terms(bits, timeout)?, now)
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// As `set`.
    pub fn delete(&self, key: &str, bits: u32, timeout: f64, now: f64) -> Result<JsValue, SessionError> {
        let mutation = Mutation { key: Key::from(key), content: Content::Tombstone, expires_at: None };
        let operation = Operation::Write { batch: alloc::vec![mutation], checks: alloc::vec![] };
        self.begin(operation, terms(bits, timeout)?, now)
    }

    /// Writes several keys, or none of them.
    ///
    /// # Errors
    /// As `set`; `CONFLICT`.
    pub fn batch(&self, steps: &Array, bits: u32, timeout: f64, now: f64) -> Result<JsValue, SessionError> {
        let (batch, checks) = batch(steps, now)?;
        self.begin(Operation::Write { batch, checks }, terms(bits, timeout)?, now)
    }

    /// Subscribes to keys from now on; returns the number of the subscription.
    ///
    /// # Errors
    /// `KEY_INVALID`, the reason of a refused session.
    pub fn watch(&self, scope: JsValue, bits: u32, timeout: f64, now: f64) -> Result<u32, SessionError> {
        let (scope, terms) = (options::scope(scope)?, terms(bits, timeout)?);
        Ok(borrow(self.core)?.watch(self.handle, scope, terms, millis(now))?.0)
    }

    /// Joins the dependencies of another token of the same user.
    ///
    /// # Errors
    /// `TOKEN_INVALID`, `TOKEN_EXPIRED`, `TOKEN_TOO_LARGE`.
    pub fn merge(&self, token: &str, now: f64) -> Result<(), SessionError> {
        borrow(self.core)?.merge(self.handle, token, millis(now))
    }

    /// What the replica lacks before it can serve the session, or the bearer of `token`.
    ///
    /// # Errors
    /// Those of the token; the reason why the session is refused.
    pub fn missing(&self, token: Option<String>, now: f64) -> Result<JsValue, SessionError> {
        Ok(missing(&borrow(self.core)?.missing(self.handle, token.as_deref(), millis(now))?))
    }

    /// The work on passwords that a text's statements need, as far as the session may run them: as the replica's
    /// `secrets`.
    ///
    /// # Errors
    /// `SYNTAX`, `QUOTA_EXCEEDED`, the reason of a refused session.
    pub fn secrets(&self, text: &str) -> Result<Array, SessionError> {
        Ok(needs(&borrow(self.core)?.secrets(Some(self.handle), text)?))
    }

    /// Runs statements under the session's role: `[columns, rows, text]`. `hashes` are the answers to `secrets`.
    ///
    /// # Errors
    /// As the core's `run`.
    pub fn run(&self, text: &str, hashes: Vec<String>, timeout: f64, now: f64) -> Result<JsValue, SessionError> {
        let terms = Terms { timeout: duration(timeout), ..Terms::default() };
        let begun = borrow(self.core)?.run(Some(self.handle), text, &hashes, terms, millis(now))?;
        Ok(progress(&begun))
    }

    /// As the replica's `wantedRoles`, for what this session is about to do: with a `text`, for lists and these
    /// statements.
    ///
    /// # Errors
    /// `REPLICA_CRASHED`.
    #[wasm_bindgen(js_name = wantedRoles)]
    pub fn wanted_roles(&self, text: Option<String>) -> Result<Array, SessionError> {
        let asking = Asking { session: Some(self.handle), text: text.as_deref(), token: None };
        Ok(pairs(&borrow(self.core)?.wanted_roles(asking)))
    }

    /// Begins a query of the host: `[plan, deadline]`; the deadline is negative if there is none.
    ///
    /// # Errors
    /// The reason why the session is refused.
    #[wasm_bindgen(js_name = beginQuery)]
    pub fn begin_query(&self, statement: &str, timeout: f64, now: f64) -> Result<Vec<f64>, SessionError> {
        let terms = Terms { timeout: duration(timeout), ..Terms::default() };
        let (plan, deadline) = borrow(self.core)?.begin_query(self.handle, statement, terms, millis(now))?;
        Ok(alloc::vec![plan as f64, deadline.map_or(-1.0, |at| at as f64)])
    }

    /// Kills a session under this one's role; returns whether it was known.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`, `ARGUMENT_INVALID`.
    #[wasm_bindgen(js_name = killSession)]
    pub fn kill_session(&self, id: &str, reason: Option<String>, now: f64) -> Result<bool, SessionError> {
        borrow(self.core)?.kill_session(Some(self.handle), &id.parse()?, reason.as_deref(), millis(now))
    }

    /// What this session may see of the service, as the replica's `service`.
    ///
    /// # Errors
    /// The reason why the session is refused.
    pub fn service(&self, what: u32, now: f64) -> Result<JsValue, SessionError> {
        let core = borrow(self.core)?;
        super::inspect::service(&core, Some(self.handle), what, millis(now))
    }

    /// Logs the session out, everywhere.
    ///
    /// # Errors
    /// The reason why the session is refused.
    pub fn end(&self, now: f64) -> Result<(), SessionError> {
        borrow(self.core)?.end_session(self.handle, millis(now))
    }

    /// The session's token, over what is durable now.
    ///
    /// # Errors
    /// `TOKEN_TOO_LARGE`, the reason of a refused session.
    pub fn token(&self, now: f64) -> Result<String, SessionError> {
        borrow(self.core)?.token(self.handle, millis(now))
    }

    /// The session's token, once everything that it has written is durable.
    ///
    /// # Errors
    /// `TIMEOUT`, `TOKEN_TOO_LARGE`, the reason of a refused session.
    pub fn sealed(&self, timeout: f64, now: f64) -> Result<JsValue, SessionError> {
        let terms = Terms { timeout: duration(timeout), ..Terms::default() };
        self.begin(Operation::Seal, terms, now)
    }
}
