//! Operations from beginning to end: they complete at once, or wait for missing writes and for storage, with a
//! deadline.
//!
//! Invariants: no operation waits without a deadline. Waiting operations are retried in the order in which they began.
//! A retry drops no guarantee.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use litemap::LiteMap;

use super::Replica;
use super::answer::{Attempt, Blocked};
use super::sessions::unknown;
use crate::error::{Details, ErrorCode, SessionError};
use crate::guarantee::Guarantees;
use crate::id::{Dot, Space};
use crate::io::{Answer, Operation, Outcome, Policy, Progress, SessionHandle, Terms, WaitId};
use crate::mutant::{Mutant, off};
use crate::time::Millis;
use crate::vector::Gap;

/// The most operations of one session that may wait at a time.
const WAITS_MAX: u32 = 1024;

/// An operation that has not completed.
#[derive(Debug)]
struct Wait {
    session: Option<SessionHandle>,
    deadline: Millis,
    phase: Phase,
}

/// What an operation waits for.
#[derive(Debug)]
enum Phase {
    /// The writes that its session depends on. The operation stays in the space in which the session was when it began.
    Fresh { operation: Operation, space: Space, guarantees: Guarantees, serve: bool },
    /// The record of what it did.
    Durable { gate: u64, answer: Answer },
    /// The record of everything that the token will cover; then, if the token is too long, an anchor to fold it onto.
    Seal { gate: u64 },
    /// The fleet's records that its session has seen; then the statements run.
    Statements { text: String, hashes: Vec<String> },
    /// The answer of the replica that was called.
    Reply,
    /// Acknowledgements by peers that they hold these writes.
    Acknowledged { writes: Vec<(Space, Dot)> },
}

/// The waiting operations, and the answers of those that have completed.
#[derive(Debug, Default)]
pub(super) struct Waits {
    last: u32,
    waiting: LiteMap<WaitId, Wait>,
    settled: LiteMap<WaitId, Result<Answer, SessionError>>,
}

impl Waits {
    /// Whether anything waits.
    pub(super) fn any(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.waiting.values().map(|wait| wait.deadline).min().filter(|_| !off(Mutant::Deadline))
    }

    /// The clock was set back by `back`.
    pub(super) fn set_back(&mut self, back: Millis) {
        self.waiting.iter_mut().for_each(|(_, wait)| wait.deadline = wait.deadline.saturating_sub(back));
    }

    /// The waiting sessions, each with the space of its operation if that has one.
    pub(super) fn sessions(&self) -> impl Iterator<Item = (SessionHandle, Option<&Space>)> {
        self.waiting.values().filter_map(|wait| {
            let space = if let Phase::Fresh { space, .. } = &wait.phase { Some(space) } else { None };
            wait.session.map(|session| (session, space))
        })
    }

    /// The waiting statements with their sessions.
    pub(super) fn texts(&self) -> impl Iterator<Item = (Option<SessionHandle>, &str)> {
        self.waiting.values().filter_map(|wait| match &wait.phase {
            Phase::Statements { text, .. } => Some((wait.session, text.as_str())),
            Phase::Fresh { .. }
            | Phase::Durable { .. }
            | Phase::Seal { .. }
            | Phase::Reply
            | Phase::Acknowledged { .. } => None,
        })
    }

    pub(super) fn forget(&mut self, session: SessionHandle) {
        self.waiting.retain(|_, wait| wait.session != Some(session));
    }
}

impl Replica {
    /// Begins an operation of a session.
    ///
    /// # Errors
    /// The reason why the session is refused; `STALE_REPLICA`, `DEPENDENCY_LOST` as the policy says; for a write
    /// `CONFLICT`, `KEY_INVALID`, `VALUE_TOO_LARGE`, `QUOTA_EXCEEDED`, `ARGUMENT_INVALID`. State is unchanged.
    pub fn begin(
        &mut self,
        session: SessionHandle,
        operation: Operation,
        terms: Terms,
        now: Millis,
    ) -> Result<Progress, SessionError> {
        self.do_what_is_due(now);
        if matches!(operation, Operation::Seal) {
            self.sessions.get(&session).ok_or_else(unknown)?.admit(now)?;
        } else {
            self.use_session(session)?;
        }
        let state = self.sessions.get(&session).ok_or_else(unknown)?;
        let guarantees = terms.guarantees.unwrap_or(state.guarantees);
        let policy = terms.on_stale.unwrap_or(state.on_stale);
        let deadline = now.saturating_add(terms.timeout.unwrap_or(state.timeout));
        if matches!(operation, Operation::Seal) {
            return self.seal(session, deadline);
        }
        let writes = matches!(operation, Operation::Write { .. });
        let serve = policy == Policy::Serve && !writes;
        let served = writes && policy == Policy::Serve && off(Mutant::ServeThrow);
        let guarantees = if served { Guarantees::NONE } else { guarantees };
        // If a write would have to wait for storage but no more waits are allowed, it is not applied either.
        if writes && !terms.sync && self.journal.has_storage() {
            self.check_waits(Some(session))?;
        }
        match self.attempt(session, &operation, guarantees, serve)? {
            Attempt::Done(answer) if writes && !terms.sync => self.once_durable(session, answer, deadline),
            Attempt::Done(answer) => Ok(Progress::Done(answer)),
            Attempt::Blocked(blocked) => {
                let waits = !blocked.lost && !terms.sync && (policy == Policy::Wait || serve);
                if waits {
                    let own = self.sessions.get(&session).ok_or_else(unknown)?.space.clone();
                    let phase = Phase::Fresh { operation, space: own, guarantees, serve };
                    return self.wait(Some(session), deadline, phase);
                }
                self.refusal(&operation, blocked).map(Progress::Done)
            }
        }
    }

    /// Called when an operation is about to begin. Does due work first, so that no operation overtakes an earlier one.
    #[inline(never)]
    pub(super) fn do_what_is_due(&mut self, now: Millis) {
        self.input(now);
        self.work();
        self.stirred = true;
    }

    /// Waits until everything written so far is durable.
    ///
    /// # Errors
    /// None now; `TIMEOUT` when the wait is taken after its deadline.
    pub fn flush(&mut self, timeout: Option<Millis>, now: Millis) -> Result<Progress, SessionError> {
        self.input(now);
        self.make_record();
        let gate = self.journal.gate();
        if self.journal.open(gate) {
            return Ok(Progress::Done(Answer::Done));
        }
        let deadline = now.saturating_add(timeout.unwrap_or(self.timeout));
        self.wait(None, deadline, Phase::Durable { gate, answer: Answer::Done })
    }

    /// Waits until peers have acknowledged everything written here so far. Any peer counts: a write that one of them
    /// holds outlives this replica.
    ///
    /// # Errors
    /// As [`Replica::flush`].
    pub fn synced(&mut self, timeout: Option<Millis>, now: Millis) -> Result<Progress, SessionError> {
        self.input(now);
        let writes = self.own_writes();
        if self.acknowledged(&writes) {
            return Ok(Progress::Done(Answer::Done));
        }
        let deadline = now.saturating_add(timeout.unwrap_or(self.timeout));
        self.wait(None, deadline, Phase::Acknowledged { writes })
    }

    /// The answer of an operation that has completed.
    ///
    /// # Errors
    /// Those of the operation; `ARGUMENT_INVALID` if it has not completed or was taken already.
    pub fn take(&mut self, wait: WaitId) -> Result<Answer, SessionError> {
        let unsettled = || SessionError::new(ErrorCode::ArgumentInvalid, "no settled operation has this number");
        self.waits.settled.remove(&wait).unwrap_or_else(|| Err(unsettled()))
    }

    /// Gives up a waiting operation. A write that was already applied stays applied.
    pub fn cancel(&mut self, wait: WaitId) {
        let waited = self.waits.waiting.remove(&wait);
        if waited.as_ref().is_some_and(|wait| matches!(wait.phase, Phase::Reply)) {
            self.forget_call(wait);
        }
        self.count_wait(waited.and_then(|wait| wait.session), false);
        self.waits.settled.remove(&wait);
    }

    /// Creates a wait for the answer to a call.
    pub(super) fn await_reply(&mut self, deadline: Millis) -> Result<WaitId, SessionError> {
        match self.wait(None, deadline, Phase::Reply)? {
            Progress::Waiting(wait) => Ok(wait),
            Progress::Done(_) => Err(SessionError::new(ErrorCode::ArgumentInvalid, "a call waits")),
        }
    }

    /// Settles the wait for a call with its answer.
    pub(super) fn settle_reply(&mut self, wait: WaitId, result: Result<Answer, SessionError>) {
        if self.waits.waiting.remove(&wait).is_some() {
            self.waits.settled.insert(wait, result);
            self.settled.push_back(wait);
        }
    }

    /// Moves a session to a space; returns the space in which it was.
    fn in_space(&mut self, session: SessionHandle, space: Space) -> Option<Space> {
        self.sessions.get_mut(&session).map(|state| core::mem::replace(&mut state.space, space))
    }

    fn attempt(
        &mut self,
        session: SessionHandle,
        operation: &Operation,
        guarantees: Guarantees,
        serve: bool,
    ) -> Result<Attempt, SessionError> {
        match operation {
            Operation::Write { batch, checks } => {
                self.attempt_write(session, Cow::Borrowed(batch), checks, guarantees, self.now)
            }
            Operation::Get(_) | Operation::Read(_) | Operation::Conflicts(_) | Operation::List(_) | Operation::Seal => {
                self.attempt_read(session, operation, guarantees, serve, self.now)
            }
        }
    }

    fn seal(&mut self, session: SessionHandle, deadline: Millis) -> Result<Progress, SessionError> {
        self.make_record();
        let gate = self.journal.gate();
        let sealed = if self.journal.open(gate) { self.try_seal(session, false) } else { None };
        match sealed {
            Some(result) => result.map(Progress::Done),
            None => self.wait(Some(session), deadline, Phase::Seal { gate }),
        }
    }

    /// The session's token; `None` if it is too long until a pending fold. If `late`, that is an error.
    fn try_seal(&mut self, session: SessionHandle, late: bool) -> Option<Result<Answer, SessionError>> {
        match self.mint(session) {
            Err(error) if error.code() == ErrorCode::TokenTooLarge && self.will_fold(session) => late.then(|| {
                let cause = "no peer has taken in time what the token is to be folded onto; try again, or wait longer";
                Err(SessionError::new(ErrorCode::Timeout, cause))
            }),
            result => Some(result.map(Answer::Token)),
        }
    }

    /// Makes statements wait for the fleet's records that their session has seen.
    pub(super) fn run_later(
        &mut self,
        session: SessionHandle,
        text: &str,
        hashes: &[String],
        deadline: Millis,
    ) -> Result<Progress, SessionError> {
        self.wait(Some(session), deadline, Phase::Statements { text: text.into(), hashes: hashes.to_vec() })
    }

    /// Answers once everything written so far is durable.
    pub(super) fn answer_once_durable(
        &mut self,
        session: Option<SessionHandle>,
        answer: Answer,
        deadline: Millis,
    ) -> Result<Progress, SessionError> {
        self.make_record();
        let gate = self.journal.gate();
        if self.journal.open(gate) {
            return Ok(Progress::Done(answer));
        }
        self.wait(session, deadline, Phase::Durable { gate, answer })
    }

    fn once_durable(
        &mut self,
        session: SessionHandle,
        answer: Answer,
        deadline: Millis,
    ) -> Result<Progress, SessionError> {
        self.answer_once_durable(Some(session), answer, deadline)
    }

    fn wait(
        &mut self,
        session: Option<SessionHandle>,
        deadline: Millis,
        phase: Phase,
    ) -> Result<Progress, SessionError> {
        self.check_waits(session)?;
        self.count_wait(session, true);
        self.waits.last += 1;
        let id = WaitId(self.waits.last);
        self.waits.waiting.insert(id, Wait { session, deadline, phase });
        Ok(Progress::Waiting(id))
    }

    fn check_waits(&self, session: Option<SessionHandle>) -> Result<(), SessionError> {
        let state = session.and_then(|session| self.sessions.get(&session));
        // A session may have several handles, for example one per request. The limit is per session.
        let waits = |id| self.sessions.values().filter(|state| state.id == id).map(|state| state.waits).sum::<u32>();
        let many = self.waits.waiting.len() as u64 >= u64::from(WAITS_MAX);
        if many && state.is_some_and(|state| waits(state.id) >= WAITS_MAX) {
            return Err(SessionError::bound(ErrorCode::QuotaExceeded, "waits", u64::from(WAITS_MAX)));
        }
        Ok(())
    }

    fn count_wait(&mut self, session: Option<SessionHandle>, more: bool) {
        if let Some(state) = session.and_then(|session| self.sessions.get_mut(&session)) {
            state.waits = if more { state.waits + 1 } else { state.waits.saturating_sub(1) };
        }
    }

    /// Retries waiting operations in order. Returns whether something was written. Operations that wait only for
    /// storage are skipped until storage has confirmed; otherwise each call would retry a thousand writes that are
    /// under way.
    #[inline(never)]
    pub(super) fn settle(&mut self) -> bool {
        let may = |wait: &Wait| match &wait.phase {
            Phase::Durable { gate, .. } | Phase::Seal { gate } => self.journal.open(*gate) || wait.deadline <= self.now,
            Phase::Fresh { .. } | Phase::Statements { .. } | Phase::Reply | Phase::Acknowledged { .. } => true,
        };
        let waiting: Vec<WaitId> = self.waits.waiting.iter().filter(|(_, wait)| may(wait)).map(|(id, _)| *id).collect();
        let mut wrote = false;
        for id in waiting {
            let Some(mut wait) = self.waits.waiting.remove(&id) else { continue };
            let result = self.try_wait(&mut wait, &mut wrote);
            if result.is_some() && matches!(wait.phase, Phase::Reply) {
                self.forget_call(id);
            }
            match result {
                None => {
                    self.waits.waiting.insert(id, wait);
                }
                Some(result) => {
                    self.count_wait(wait.session, false);
                    self.waits.settled.insert(id, result);
                    self.settled.push_back(id);
                }
            }
        }
        wrote
    }

    fn try_wait(&mut self, wait: &mut Wait, wrote: &mut bool) -> Option<Result<Answer, SessionError>> {
        let late = wait.deadline <= self.now && !off(Mutant::Deadline);
        match &wait.phase {
            Phase::Durable { gate, answer } if self.journal.open(*gate) => Some(Ok(answer.clone())),
            Phase::Seal { gate } if self.journal.open(*gate) => {
                let session = wait.session?;
                self.try_seal(session, late)
            }
            Phase::Acknowledged { writes } if self.acknowledged(writes) => Some(Ok(Answer::Done)),
            Phase::Acknowledged { .. } => late.then(|| {
                let cause =
                    "no peer has acknowledged every write in time; synchronisation goes on where there is a link";
                Err(SessionError::new(ErrorCode::Timeout, cause))
            }),
            Phase::Reply => late.then(|| {
                let cause = "no replica of the cluster has answered the call in time; it may have been carried out";
                Err(SessionError::new(ErrorCode::Timeout, cause))
            }),
            Phase::Durable { .. } | Phase::Seal { .. } => late.then(|| {
                let cause = "storage has not confirmed in time; what was written stays and may become durable later";
                Err(SessionError::new(ErrorCode::Timeout, cause))
            }),
            Phase::Statements { text, hashes } => {
                let session = wait.session?;
                let state = self.sessions.get(&session)?;
                if let Some(Blocked { space, gaps, .. }) = self.unsure(state) {
                    return late.then(|| Err(self.stale(&space, gaps)));
                }
                let (text, hashes) = (text.clone(), hashes.clone());
                match self.run_now(Some(session), &text, &hashes, Terms::default()) {
                    Err(error) => Some(Err(error)),
                    Ok(table) => {
                        *wrote = true;
                        self.make_record();
                        wait.phase = Phase::Durable { gate: self.journal.gate(), answer: Answer::Table(table) };
                        self.try_wait(wait, wrote)
                    }
                }
            }
            Phase::Fresh { operation, space, guarantees, serve } => {
                let session = wait.session?;
                let writes = matches!(operation, Operation::Write { .. });
                // The session may have moved to another space since.
                let now = self.in_space(session, space.clone());
                let attempt = self.attempt(session, operation, *guarantees, *serve);
                if let Some(now) = now {
                    self.in_space(session, now);
                }
                match attempt {
                    Err(error) => Some(Err(error)),
                    Ok(Attempt::Done(answer)) if writes => {
                        *wrote = true;
                        self.make_record();
                        wait.phase = Phase::Durable { gate: self.journal.gate(), answer };
                        self.try_wait(wait, wrote)
                    }
                    Ok(Attempt::Done(answer)) => Some(Ok(answer)),
                    Ok(Attempt::Blocked(blocked)) if blocked.lost => Some(self.refusal(operation, blocked)),
                    Ok(Attempt::Blocked(blocked)) => late.then(|| Err(self.lacks(blocked))),
                }
            }
        }
    }

    /// The answer of an operation that the replica cannot serve: `Read` reports the outcome, the others fail.
    fn refusal(&self, operation: &Operation, blocked: Blocked) -> Result<Answer, SessionError> {
        if !matches!(operation, Operation::Read(_)) {
            return Err(self.lacks(blocked));
        }
        let Blocked { space, gaps, lost } = blocked;
        let missing = self.explain(&space, gaps);
        Ok(Answer::Outcome(if lost { Outcome::Lost(missing) } else { Outcome::Behind(missing) }))
    }

    /// The error of an operation that the replica cannot serve.
    #[inline(never)]
    pub(super) fn lacks(&self, Blocked { space, gaps, lost }: Blocked) -> SessionError {
        if lost { self.lost(&space, gaps) } else { self.stale(&space, gaps) }
    }

    pub(super) fn stale(&self, space: &Space, gaps: Vec<Gap>) -> SessionError {
        let cause = "this replica lacks writes that the session depends on; try again, or ask a holder";
        SessionError::new(ErrorCode::StaleReplica, cause).with(Details::Missing(self.explain(space, gaps)))
    }

    fn lost(&self, space: &Space, gaps: Vec<Gap>) -> SessionError {
        let cause = "the session depends on writes that were lost with their replica; begin a new session";
        SessionError::new(ErrorCode::DependencyLost, cause).with(Details::Missing(self.explain(space, gaps)))
    }
}
