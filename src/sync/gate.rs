//! The gate that a client's messages pass before anything acts on them: its spaces, its ids, how much and how often.
//!
//! Invariants: a space that the client may not read is answered as one that does not exist, before anything of it is
//! looked at; what a client says that it holds is believed no further than what there is to hold, so that its words
//! never make this replica grow.

use alloc::vec::Vec;

use crate::error::{ErrorCode, SessionError};
use crate::id::{Dot, ReplicaId, Space};
use crate::mutant::{Mutant, Trust, off};
use crate::store::SessionConsistentStore;
use crate::store::delta::{Keys, Listed};
use crate::sync::account::Account;
pub use crate::sync::account::ClientLimits;
use crate::sync::admit::{DRIFT_MAX, Sender};
use crate::sync::message::{Message, NAMED_MAX};
use crate::time::{Hlc, Millis};
use crate::vector::VersionVector;

/// What a client may do in a space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Right {
    /// Receive it.
    Read,
    /// And write to it.
    Write,
}

/// How many messages that concern no space a frame may hold.
const MESSAGES_BASE: u64 = 256;

/// Who has been sent so much more than it may be is not listened to: how long it takes to come back, in milliseconds.
const DEBT_MAX: Millis = 60_000;

/// How often an id makes room for another, in milliseconds.
const ROOM_MS: Millis = 1_000;

/// The most bytes that the answers to the questions of one frame have, and one answer beyond that.
const ANSWERED_BYTES: u64 = 1 << 20;

/// What one client may see and do over its link.
#[derive(Clone, Debug)]
pub struct Gate {
    spaces: Vec<(Space, Right)>,
    /// What the client may do cannot be told yet: until then nothing is taken or given, and nothing refused.
    undecided: bool,
    bound: Vec<ReplicaId>,
    /// When the id that was proved first may make room for another.
    room_at: Millis,
    limits: ClientLimits,
    /// What its session has spent, while a message of it is acted on.
    account: Account,
    /// What its session has staged elsewhere, meanwhile.
    staged_elsewhere: u64,
    /// What the answers to the questions of the present frame have, in bytes.
    answered: u64,
    /// Until when it is told nothing long; 0: it may be told.
    quiet_until: Millis,
    /// The present drought has been told of.
    told: bool,
}

/// What becomes of a message at the gate.
#[allow(clippy::large_enum_variant, reason = "mostly it goes on: a box would be memory asked for with each message")]
pub(super) enum Screened {
    /// It goes on.
    Pass(Message),
    /// It is refused.
    Refuse(Space, SessionError, Vec<Dot>),
    /// It says nothing that matters.
    Drop,
}

impl Gate {
    /// The gate of a client that may do this in these spaces, and nothing in others; `None`: that cannot be told yet.
    #[must_use]
    pub fn new(spaces: Option<Vec<(Space, Right)>>, limits: ClientLimits, now: Millis) -> Self {
        let undecided = spaces.is_none();
        let spaces = sorted(spaces);
        let room_at = now.saturating_add(ROOM_MS);
        let account = Account::default();
        let (bound, staged_elsewhere, answered, quiet_until, told) = (Vec::new(), 0, 0, 0, false);
        Self { spaces, undecided, bound, room_at, limits, account, staged_elsewhere, answered, quiet_until, told }
    }

    /// Opens the account of the client's session.
    pub fn open(&mut self, account: Account, now: Millis) {
        (self.account, self.answered) = (account, 0);
        let dry = account.dry(&self.limits, now);
        if dry > 0 {
            self.hush(now.saturating_add(dry));
        }
    }

    /// Takes note that the session has staged so many bytes over other links.
    pub const fn note_staged(&mut self, elsewhere: u64) {
        self.staged_elsewhere = elsewhere;
    }

    /// What the session has spent by now.
    #[must_use]
    pub const fn account(&self) -> Account {
        self.account
    }

    /// What the client may do has changed. Whether there is more to say to it than before: it has waited to be told.
    pub fn allow(&mut self, spaces: Option<Vec<(Space, Right)>>) -> bool {
        let waited = self.undecided && spaces.is_some();
        self.undecided = spaces.is_none();
        self.spaces = sorted(spaces);
        waited
    }

    /// What the client may do in a space.
    #[must_use]
    pub fn right(&self, space: &Space) -> Option<Right> {
        if off(Mutant::Trust(Trust::Space)) {
            return Some(Right::Write);
        }
        self.spaces.iter().find(|(known, _)| known == space).map(|(_, right)| *right)
    }

    /// The spaces that the client may see, in the order of their names; none where it sees all.
    pub(super) fn spaces(&self) -> Option<impl Iterator<Item = &Space>> {
        (!off(Mutant::Trust(Trust::Space))).then(|| self.spaces.iter().map(|(space, _)| space))
    }

    /// Takes note that an id is the client's, as its secret has proved. Where there are enough, the one that was proved
    /// first makes room for it, once in a while: tabs come and go on a link that stays.
    pub fn bind(&mut self, id: ReplicaId, now: Millis) {
        if self.bound.contains(&id) {
            return;
        }
        if self.bound.len() >= self.limits.ids {
            if !self.has_room(now) || self.bound.is_empty() {
                return;
            }
            self.bound.remove(0);
            self.room_at = now.saturating_add(ROOM_MS);
        }
        self.bound.push(id);
    }

    /// Whether one more id can be the client's now: if not, asking for it is in vain.
    #[must_use]
    pub const fn has_room(&self, now: Millis) -> bool {
        self.bound.len() < self.limits.ids || self.room_at <= now
    }

    /// The ids that are proved to be the client's.
    #[must_use]
    pub fn bound(&self) -> &[ReplicaId] {
        &self.bound
    }

    /// Counts a message of `bytes` that has come at `now`; false where there have been too many, or where enough waits for
    /// a `late` storage that it would be answered. The first of those in a row is an error, so that it is told once.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub fn count(&mut self, bytes: usize, late: bool, now: Millis) -> Result<bool, SessionError> {
        let rated = self.account.hear(bytes, &self.limits, now) || off(Mutant::Trust(Trust::Rate));
        // Greetings are answered beyond what is to be sent, but not for ever.
        let drawn = self.account.dry(&self.limits, now) > DEBT_MAX && !off(Mutant::Trust(Trust::Sent));
        let cause = match (rated && !drawn, late) {
            (true, false) => {
                self.told = false;
                return Ok(true);
            }
            (true, true) => {
                "storage is late, and answers wait for it; a client's messages are dropped until it has caught up"
            }
            (false, _) => {
                "a client sends or asks for more than it may; its messages are dropped until it has slowed down"
            }
        };
        if core::mem::replace(&mut self.told, true) {
            return Ok(false);
        }
        Err(SessionError::new(ErrorCode::RateLimited, cause))
    }

    /// As [`Gate::count`], where nobody is told twice anyway.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub fn admit_bytes(&mut self, bytes: usize, late: bool, now: Millis) -> Result<(), SessionError> {
        self.told = false;
        self.count(bytes, late, now).map(drop)
    }

    /// This gate, with the ids that the client has proved at an earlier one.
    #[must_use]
    pub fn bound_as(self, earlier: Option<&Self>) -> Self {
        let Some(earlier) = earlier else { return self };
        Self { bound: earlier.bound.clone(), room_at: earlier.room_at, ..self }
    }

    /// Who sends a delta of a space that may be read.
    pub(super) fn sender(&self, space: &Space, now: Millis) -> Option<Sender<'_>> {
        let steps = self.account.may_stamp(now) || off(Mutant::Trust(Trust::Steps));
        let births = self.account.may_bear(&self.limits, now) || off(Mutant::Trust(Trust::Births));
        Some(Sender { bound: &self.bound, right: self.right(space)?, steps, births, limits: &self.limits })
    }

    /// Takes note of the greatest stamp of a delta that is admitted: who moves the fleet's stamps ahead of the time does so
    /// slowly, or an edge that has not heard of them would soon refuse what honest clients stamp after them.
    pub(super) fn note_stamp(&mut self, stamp: Hlc, last: Hlc, now: Millis) {
        let steps = stamp.millis().saturating_sub(last.millis().max(now.saturating_add(DRIFT_MAX)));
        if steps > 0 {
            self.account.stamp(steps, now);
        }
    }

    /// Takes note of ids of a delta that was admitted, under which nobody has written before.
    pub(super) fn note_births(&mut self, ids: u64, now: Millis) {
        if ids > 0 {
            self.account.bear(ids, &self.limits, now);
        }
    }

    /// Whether a question is answered that may have a long answer.
    pub(super) fn may_ask(&self, now: Millis) -> bool {
        let spent = self.answered >= ANSWERED_BYTES || self.account.dry(&self.limits, now) > 0;
        !spent || off(Mutant::Trust(Trust::Sent))
    }

    /// Takes note of an answer of so many bytes. What is really sent is counted when it is.
    pub(super) const fn note_answer(&mut self, bytes: u64) {
        self.answered = self.answered.saturating_add(bytes);
    }

    /// The session has been sent more than it may, and is told nothing long until then.
    pub fn hush(&mut self, until: Millis) {
        if !off(Mutant::Trust(Trust::Sent)) {
            self.quiet_until = until;
        }
    }

    /// Whether the client is told nothing long at `now`.
    pub(super) const fn is_quiet(&mut self, now: Millis) -> bool {
        if self.quiet_until <= now {
            self.quiet_until = 0;
        }
        self.quiet_until > 0
    }

    /// Until when the client is told nothing long; 0: it may be told.
    pub(super) const fn quiet_until(&self) -> Millis {
        self.quiet_until
    }

    /// The most bytes that may be staged over its link.
    pub(super) fn staged_bytes(&self) -> u64 {
        let elsewhere = if off(Mutant::Trust(Trust::Staged)) { 0 } else { self.staged_elsewhere };
        self.limits.staged_bytes.saturating_sub(elsewhere)
    }

    /// The most messages of one frame: what each space may need, and some that concern none.
    #[must_use]
    pub const fn most_messages(&self) -> u64 {
        MESSAGES_BASE + 4 * self.spaces.len() as u64
    }

    /// Takes out of a frame what asks for the same answer again: each may be much longer than the question.
    pub(super) fn thin(messages: &mut Vec<Message>) {
        let mut greeted = false;
        let mut wanted: Vec<Space> = Vec::new();
        messages.retain(|message| {
            if let Message::Want { space, .. } = message {
                let again = wanted.contains(space);
                wanted.push(space.clone());
                return !again;
            }
            !(matches!(message, Message::Hello { .. }) && core::mem::replace(&mut greeted, true))
        });
    }

    /// Takes out of a message what the client may not say.
    pub(super) fn screen(&self, message: Message, store: &SessionConsistentStore) -> Screened {
        let hidden = |space: &Space| self.right(space).is_none();
        match message {
            Message::Hello { protocol, answer, mut vectors } => {
                vectors.retain(|(space, _)| !hidden(space));
                vectors.iter_mut().for_each(|(space, vector)| *vector = believable(vector, store.vector(space)));
                Screened::Pass(Message::Hello { protocol, answer, vectors })
            }
            Message::Ack { space, .. } | Message::Behind { space, .. } if hidden(&space) => Screened::Drop,
            // A refusal would be for good, and the client would give its writes up.
            Message::Delta(_) | Message::TopUp { .. } | Message::Slice(_) | Message::Want { .. } if self.undecided => {
                Screened::Drop
            }
            Message::Ack { space, vector } => {
                let vector = believable(&vector, store.vector(&space));
                Screened::Pass(Message::Ack { space, vector })
            }
            Message::Behind { space, vector } => {
                let vector = believable(&vector, store.vector(&space));
                Screened::Pass(Message::Behind { space, vector })
            }
            Message::Delta(delta) | Message::TopUp { delta, .. } if hidden(&delta.space) => {
                Screened::Refuse(delta.space, absent(), self.dots(&delta.keys))
            }
            Message::Slice(slice) if hidden(&slice.space) => {
                Screened::Refuse(slice.space, absent(), self.dots(&slice.keys))
            }
            Message::Slice(slice) if self.right(&slice.space) != Some(Right::Write) => {
                let cause = "the session may read this space, not write it";
                let error = SessionError::new(ErrorCode::PermissionDenied, cause);
                Screened::Refuse(slice.space, error, self.dots(&slice.keys))
            }
            Message::Want { space, .. } if hidden(&space) => Screened::Refuse(space, absent(), Vec::new()),
            // The fleet's own affairs: no client tells of them.
            Message::Fence { .. } | Message::Under { .. } | Message::Roster { .. } => Screened::Drop,
            other @ (Message::Delta(_)
            | Message::TopUp { .. }
            | Message::Slice(_)
            | Message::Want { .. }
            | Message::Refused { .. }
            | Message::Unknown { .. }
            | Message::Foreign { .. }
            | Message::Reset
            | Message::Ask { .. }
            | Message::Bind { .. }) => Screened::Pass(other),
            // A client has no part in what edges prove to each other, its calls are taken before, and a cut is never read.
            Message::Cut(_) | Message::Call(_) | Message::Reply(_) | Message::Challenge { .. } | Message::Proof(_) => {
                Screened::Drop
            }
        }
    }

    /// The client's own writes among these.
    fn dots(&self, keys: &Keys) -> Vec<Dot> {
        let dots = keys.iter().flat_map(|(_, set)| set).map(Listed::dot);
        dots.filter(|dot| self.bound.contains(&dot.replica)).take(NAMED_MAX).collect()
    }
}

/// In the order of their names, each once: what is said first of one holds.
fn sorted(spaces: Option<Vec<(Space, Right)>>) -> Vec<(Space, Right)> {
    let mut sorted: Vec<(Space, Right)> = Vec::new();
    for (space, right) in spaces.unwrap_or_default() {
        if let Err(place) = sorted.binary_search_by(|(known, _)| known.cmp(&space)) {
            sorted.insert(place, (space, right));
        }
    }
    sorted
}

/// What of a told vector matters: what this replica holds as well.
fn believable(told: &VersionVector, held: &VersionVector) -> VersionVector {
    held.iter().map(|(id, sequence)| (id, sequence.min(told.get(id)))).filter(|(_, sequence)| *sequence > 0).collect()
}

/// The answer to whatever concerns a space that the client may not read: that of a space that does not exist.
fn absent() -> SessionError {
    SessionError::new(ErrorCode::SpaceNotFound, "the space is not open here")
}
