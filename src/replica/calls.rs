//! Calls: what a client asks a replica of the cluster to do in its place, and the answer.
//!
//! Invariants:
//!
//! * A call runs under the session of the token that it carries; a login runs under none. The host carries it out as
//!   for that session, so rights are checked where they always are.
//! * It runs at most once here. It is identified by its id; repeating it returns the remembered answer, if the session
//!   is the same.
//! * The number of running calls and the memory for answers are bounded.
//!
//! The caller repeats a call until it is answered or its time is over.

use alloc::string::String;
use alloc::vec::Vec;

use litemap::LiteMap;

use super::Replica;
use crate::error::{Details, ErrorCode, SessionError};
use crate::id::SessionId;
use crate::io::{Answer, CallId, Effect, LinkId, WaitId};
use crate::mutant::{Mutant, Trust, off};
use crate::sync::message::{Call, Message, NONCE_LEN, Reply};
use crate::time::Millis;

/// The first pause before a call is repeated; it doubles up to the last one.
const REPEAT_FIRST: Millis = 1_000;
const REPEAT_LAST: Millis = 16_000;
/// The most calls, of one session and in total, that run or are remembered.
const SESSION_CALLS_MAX: usize = 64;
const CALLS_MAX: usize = 512;
/// The most calls in one frame, since an edge reads only frames of few messages.
const FRAME_CALLS_MAX: usize = 16;
/// How long an answer is remembered after its caller has stopped waiting for it, in milliseconds.
const REMEMBERED: Millis = 60_000;
/// The longest time that a call may take, in milliseconds.
const CALL_MAX: Millis = 10 * 60_000;
/// The longest answer, and the most bytes of answers that are remembered.
const ANSWER_BYTES_MAX: usize = 256 << 10;
const ANSWERS_BYTES_MAX: usize = 4 << 20;
/// The longest details of a refusal, in bytes; longer ones are omitted.
const DETAILS_BYTES_MAX: usize = 16 << 10;
/// The method that needs no session: anybody who may join may call it.
const LOGIN: &str = "login";

/// The id of a call: random, so that nobody can guess another's.
type Id = [u8; NONCE_LEN];

/// A call of this replica that is not answered yet.
#[derive(Debug)]
struct Asked {
    call: Call,
    wait: WaitId,
    until: Millis,
    /// When it is sent again; `None` before it was sent.
    due: Option<Millis>,
    pause: Millis,
}

/// A call that runs here, or has run.
#[derive(Debug)]
struct Taken {
    id: Id,
    number: CallId,
    session: Option<SessionId>,
    link: Option<LinkId>,
    until: Millis,
    answer: Option<Reply>,
}

/// The calls that this replica has made, and those that it carries out.
#[derive(Debug, Default)]
pub(super) struct Calls {
    asked: LiteMap<Id, Asked>,
    /// Calls that nobody waits for any more, to be reported to the callee.
    over: Vec<Call>,
    last: u32,
    /// In the order of arrival.
    taken: Vec<Taken>,
}

impl Calls {
    /// Whether nothing is waited for, to be sent, or remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.over.is_empty() && self.taken.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        let again = self.asked.values().filter_map(|asked| asked.due);
        again.chain(self.taken.iter().map(|taken| taken.until)).min()
    }

    /// The clock was set back by `back`.
    pub(super) fn set_back(&mut self, back: Millis) {
        for (_, asked) in self.asked.iter_mut() {
            asked.until = asked.until.saturating_sub(back);
            asked.due = asked.due.map(|due| due.saturating_sub(back));
        }
        self.taken.iter_mut().for_each(|taken| taken.until = taken.until.saturating_sub(back));
    }

    /// A link is gone: unanswered calls are sent on the next one at once.
    pub(super) fn link_down(&mut self, link: LinkId) {
        self.asked.iter_mut().for_each(|(_, asked)| asked.due = None);
        self.taken.iter_mut().filter(|taken| taken.link == Some(link)).for_each(|taken| taken.link = None);
    }

    fn has_room(&self, session: Option<SessionId>) -> bool {
        let own = self.taken.iter().filter(|taken| taken.session == session).count();
        own < SESSION_CALLS_MAX && self.taken.len() < CALLS_MAX
    }

    /// Discards the oldest answers while all answers together are too long. That the calls were answered is remembered.
    fn make_room(&mut self) {
        let answers = || self.taken.iter().filter_map(|taken| taken.answer.as_ref());
        let mut bytes: usize = answers().map(|answer| answer.text.len() + answer.details.len()).sum();
        for answer in self.taken.iter_mut().filter_map(|taken| taken.answer.as_mut()) {
            if bytes <= ANSWERS_BYTES_MAX {
                return;
            }
            bytes = bytes.saturating_sub(answer.text.len() + answer.details.len());
            *answer = refused(answer.id, ErrorCode::QuotaExceeded, "it was done, and what came of it is forgotten");
        }
    }
}

fn refused(id: Id, code: ErrorCode, text: &str) -> Reply {
    Reply { id, code: code.as_str().into(), text: text.into(), details: String::new() }
}

/// The details of a refusal for the caller. A refused login reveals none.
fn told(error: &SessionError) -> String {
    let Details::Told(json) = error.details() else { return String::new() };
    let tells = json.len() <= DETAILS_BYTES_MAX && error.code() != ErrorCode::BadCredentials;
    if tells { json.clone() } else { String::new() }
}

impl Replica {
    /// Asks a replica of the cluster to carry out `method` with `args`, under the session of `token`; an empty token is
    /// for logging in. Returns a wait, whose answer is [`Answer::Reply`].
    ///
    /// # Errors
    /// When the wait is taken: `TIMEOUT`, `QUOTA_EXCEEDED`, and any refusal of the other replica.
    pub fn call(
        &mut self,
        method: &str,
        args: &str,
        token: &str,
        timeout: Option<Millis>,
        now: Millis,
    ) -> Result<WaitId, SessionError> {
        self.input(now);
        let timeout = timeout.unwrap_or(self.timeout).min(CALL_MAX);
        let id = self.entropy.draw();
        let call = Call { id, method: method.into(), args: args.into(), token: token.into(), timeout };
        call.check()?;
        let until = now.saturating_add(timeout);
        let wait = self.await_reply(until)?;
        self.calls.asked.insert(id, Asked { call, wait, until, due: None, pause: REPEAT_FIRST });
        Ok(wait)
    }

    /// Drops a wait, because nobody needs its answer any more.
    pub(super) fn forget_call(&mut self, wait: WaitId) {
        let id = self.calls.asked.iter().find(|(_, asked)| asked.wait == wait).map(|(id, _)| *id);
        let Some(asked) = id.and_then(|id| self.calls.asked.remove(&id)) else { return };
        if asked.due.is_some() {
            self.end_call(&asked.call);
        }
    }

    /// Tells the callee that it may stop, or forget the answer.
    fn end_call(&mut self, call: &Call) {
        self.stirred = true;
        let nothing = String::new;
        self.calls.over.push(Call { id: call.id, method: nothing(), args: nothing(), token: nothing(), timeout: 0 });
    }

    /// The links to replicas that treat this one as a client.
    fn edges(&self) -> Vec<LinkId> {
        self.links.open.iter().filter(|(_, peer)| peer.asks()).map(|(link, _)| *link).collect()
    }

    /// Sends new calls, repeats unanswered ones, and drops those that are over.
    #[inline(never)]
    pub(super) fn tend_calls(&mut self) {
        let now = self.now;
        for (number, running) in
            self.calls.taken.iter().filter(|t| t.until <= now).map(|t| (t.number, t.answer.is_none()))
        {
            if running {
                self.fresh.push(Effect::CallOver(number));
            }
        }
        self.calls.taken.retain(|taken| taken.until > now);
        if self.calls.asked.is_empty() && self.calls.over.is_empty() {
            return;
        }
        // Without a link to an edge, another tab may have one.
        let edges = self.edges();
        let links = if edges.is_empty() { self.links.open.keys().copied().collect() } else { edges };
        if links.is_empty() {
            return;
        }
        let mut said = core::mem::take(&mut self.calls.over);
        for (_, asked) in self.calls.asked.iter_mut().filter(|(_, asked)| asked.due.is_none_or(|due| due <= now)) {
            asked.due = Some(now.saturating_add(asked.pause));
            asked.pause = asked.pause.saturating_mul(2).min(REPEAT_LAST);
            let timeout = asked.until.saturating_sub(now);
            said.push(Call { timeout, ..asked.call.clone() });
        }
        for (link, few) in links.iter().flat_map(|link| said.chunks(FRAME_CALLS_MAX).map(move |few| (*link, few))) {
            self.transmit(link, None, few.iter().cloned().map(Message::Call).collect());
        }
    }

    /// Takes calls and replies; returns the immediate replies.
    #[inline(never)]
    pub(super) fn hear_calls(
        &mut self,
        link: Option<LinkId>,
        client: Option<SessionId>,
        edge: bool,
        messages: &[Message],
    ) -> Vec<Message> {
        let mut replies = Vec::new();
        for message in messages {
            if let Message::Call(call) = message {
                if self.keyring.is_some() {
                    replies.extend(self.take_call(link, client, call).map(Message::Reply));
                } else if !edge {
                    // Tabs that share a link call through the one that holds it.
                    for link in self.edges() {
                        self.transmit(link, None, alloc::vec![Message::Call(call.clone())]);
                    }
                }
            } else if let Message::Reply(reply) = message
                && edge
            {
                self.hear_reply(reply);
            } else if let Message::Reply(reply) = message
                && self.calls.asked.contains_key(&reply.id)
            {
                self.hear_reply(reply);
            }
        }
        replies
    }

    fn hear_reply(&mut self, reply: &Reply) {
        if let Some(asked) = self.calls.asked.remove(&reply.id) {
            self.end_call(&asked.call);
            let code = ErrorCode::ALL.iter().find(|code| code.as_str() == reply.code);
            let result = match code {
                _ if reply.code.is_empty() => Ok(Answer::Reply(reply.text.clone())),
                // A failure of the other replica is reported as another code, because a host would take it for this
                // replica's own and close it.
                Some(ErrorCode::ReplicaCrashed | ErrorCode::ReplicaClosed) => {
                    Err(SessionError::new(ErrorCode::TransportFailed, reply.text.clone()))
                }
                Some(code) if reply.details.is_empty() => Err(SessionError::new(*code, reply.text.clone())),
                Some(code) => {
                    Err(SessionError::new(*code, reply.text.clone()).with(Details::Told(reply.details.clone())))
                }
                None => Err(SessionError::new(
                    ErrorCode::ProtocolMismatch,
                    "the other replica refuses for a reason that this one does not know",
                )),
            };
            self.settle_reply(asked.wait, result);
            return;
        }
        // It may be for another tab, which called through this one.
        let others: Vec<LinkId> =
            self.links.open.iter().filter(|(_, peer)| !peer.asks()).map(|(link, _)| *link).collect();
        others.into_iter().for_each(|link| self.transmit(link, None, alloc::vec![Message::Reply(reply.clone())]));
    }

    /// Takes a call of a client; returns the immediate reply, if any.
    fn take_call(&mut self, link: Option<LinkId>, client: Option<SessionId>, call: &Call) -> Option<Reply> {
        let id = call.id;
        let at = self.calls.taken.iter().position(|taken| taken.id == id);
        if call.method.is_empty() {
            let over = at.map(|at| self.calls.taken.remove(at)).filter(|taken| taken.answer.is_none());
            self.fresh.extend(over.map(|over| Effect::CallOver(over.number)));
            return None;
        }
        let session = if call.method == LOGIN && call.token.is_empty() {
            // A login needs a client, because failures are counted against one.
            if client.is_none() {
                return Some(refused(id, ErrorCode::PermissionDenied, "log in over a link that came with a token"));
            }
            client
        } else {
            match self.caller(&call.token) {
                Ok(session) => Some(session),
                Err(error) => return Some(refused(id, error.code(), error.cause())),
            }
        };
        if let Some(taken) =
            at.and_then(|at| self.calls.taken.get_mut(at)).filter(|_| !off(Mutant::Trust(Trust::CallOnce)))
        {
            if taken.session != session && !off(Mutant::Trust(Trust::Caller)) {
                return Some(refused(id, ErrorCode::PermissionDenied, "the call is another session's"));
            }
            taken.link = link;
            return taken.answer.clone();
        }
        if !self.calls.has_room(session) {
            return Some(refused(id, ErrorCode::RateLimited, "too many calls at a time; wait for the answers of some"));
        }
        self.calls.last += 1;
        let (number, timeout) = (CallId(self.calls.last), call.timeout.min(CALL_MAX));
        let until = self.now.saturating_add(timeout).saturating_add(REMEMBERED);
        self.calls.taken.push(Taken { id, number, session, link, until, answer: None });
        let Call { method, args, token, .. } = call.clone();
        self.fresh.push(Effect::Call { call: number, method, args, token, timeout });
        None
    }

    /// The session of a token, if it may call.
    fn caller(&self, token: &str) -> Result<SessionId, SessionError> {
        let token = self.open_token(token, self.now)?;
        let unsigned =
            || SessionError::new(ErrorCode::TokenInvalid, "a call takes a token that the cluster has signed");
        let claims = token.identity().ok_or_else(unsigned)?;
        self.judge(&claims.session, claims.subject.as_deref())?;
        self.check_idle(&token, self.now)?;
        Ok(claims.session)
    }

    /// The host has carried out a call; `answer` is the result.
    pub fn replied(&mut self, call: CallId, answer: Result<String, SessionError>, now: Millis) {
        self.input(now);
        let Some(taken) = self.calls.taken.iter_mut().find(|taken| taken.number == call && taken.answer.is_none())
        else {
            return;
        };
        let reply = match answer {
            Ok(text) if text.len() <= ANSWER_BYTES_MAX => {
                Reply { id: taken.id, code: String::new(), text, details: String::new() }
            }
            Ok(_) => {
                refused(taken.id, ErrorCode::QuotaExceeded, "the answer is longer than an answer may be; ask for less")
            }
            Err(error) => Reply { details: told(&error), ..refused(taken.id, error.code(), error.cause()) },
        };
        taken.answer = Some(reply.clone());
        if let Some(link) = taken.link {
            self.transmit(link, None, alloc::vec![Message::Reply(reply)]);
        }
        self.calls.make_room();
    }
}
