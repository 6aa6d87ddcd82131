//! The gate that a client's messages pass before anything acts on them. It holds the client's rights in spaces, its
//! proved ids and its limits.
//!
//! Invariants:
//!
//! * A space that the client may not read is answered like one that does not exist, before anything looks at the space.
//! * What a client claims to hold is cut to what this replica holds itself, so its claims never make this replica grow.

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
    /// Receive it and write to it.
    Write,
}

/// How many messages that concern no space a frame may contain.
const MESSAGES_BASE: u64 = 256;

/// If the debt of sent bytes takes longer than this to refill, in milliseconds, the client's messages are dropped.
const DEBT_MAX: Millis = 60_000;

/// How often a bound id may be replaced by another, in milliseconds.
const ROOM_MS: Millis = 1_000;

/// Once the answers to the requests of one frame exceed this many bytes, further requests are refused; the last answer
/// may overshoot.
const ANSWERED_BYTES: u64 = 1 << 20;

/// What one client may see and do over its link.
#[derive(Clone, Debug)]
pub struct Gate {
    spaces: Vec<(Space, Right)>,
    /// The client's rights are not known yet. Until then nothing is accepted, sent or refused.
    undecided: bool,
    bound: Vec<ReplicaId>,
    /// When the oldest bound id may be replaced.
    room_at: Millis,
    limits: ClientLimits,
    /// The account of its session, while one of its messages is handled.
    account: Account,
    /// The bytes that its session has staged over other links, likewise.
    staged_elsewhere: u64,
    /// The bytes of answers to the requests of the current frame.
    answered: u64,
    /// Until when nothing long is sent to it; 0: it may be sent.
    quiet_until: Millis,
    /// The current rate limiting was already reported.
    told: bool,
}

/// The decision about a message.
#[allow(clippy::large_enum_variant, reason = "mostly it goes on: a box would be memory asked for with each message")]
pub(super) enum Screened {
    /// Act on it.
    Pass(Message),
    /// Refuse it.
    Refuse(Space, SessionError, Vec<Dot>),
    /// Ignore it.
    Drop,
}

impl Gate {
    /// The gate of a client that has these rights, and none in other spaces. `None`: the rights are not known yet.
    #[must_use]
    pub fn new(spaces: Option<Vec<(Space, Right)>>, limits: ClientLimits, now: Millis) -> Self {
        let undecided = spaces.is_none();
        let spaces = sorted(spaces);
        let room_at = now.saturating_add(ROOM_MS);
        let account = Account::default();
        let (bound, staged_elsewhere, answered, quiet_until, told) = (Vec::new(), 0, 0, 0, false);
        Self { spaces, undecided, bound, room_at, limits, account, staged_elsewhere, answered, quiet_until, told }
    }

    /// Sets the account of the client's session.
    pub fn open(&mut self, account: Account, now: Millis) {
        (self.account, self.answered) = (account, 0);
        let dry = account.dry(&self.limits, now);
        if dry > 0 {
            self.hush(now.saturating_add(dry));
        }
    }

    /// Sets how many bytes the session has staged over other links.
    pub const fn note_staged(&mut self, elsewhere: u64) {
        self.staged_elsewhere = elsewhere;
    }

    /// The account as it is now.
    #[must_use]
    pub const fn account(&self) -> Account {
        self.account
    }

    /// Replaces the client's rights. Returns whether they were unknown before, so that there is now something to send
    /// to it.
    pub fn allow(&mut self, spaces: Option<Vec<(Space, Right)>>) -> bool {
        let waited = self.undecided && spaces.is_some();
        self.undecided = spaces.is_none();
        self.spaces = sorted(spaces);
        waited
    }

    /// The client's right in a space.
    #[must_use]
    pub fn right(&self, space: &Space) -> Option<Right> {
        if off(Mutant::Trust(Trust::Space)) {
            return Some(Right::Write);
        }
        self.spaces.iter().find(|(known, _)| known == space).map(|(_, right)| *right)
    }

    /// The spaces that the client may see, ordered by name; `None` if it sees all.
    pub(super) fn spaces(&self) -> Option<impl Iterator<Item = &Space>> {
        (!off(Mutant::Trust(Trust::Space))).then(|| self.spaces.iter().map(|(space, _)| space))
    }

    /// Records that an id is the client's, as its secret has proved. If the list is full, the oldest id is dropped for
    /// it, at most once a second: tabs come and go on a link that stays.
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

    /// Whether another id can be bound now; if not, asking for its secret is useless.
    #[must_use]
    pub const fn has_room(&self, now: Millis) -> bool {
        self.bound.len() < self.limits.ids || self.room_at <= now
    }

    /// The ids that the client has proved.
    #[must_use]
    pub fn bound(&self) -> &[ReplicaId] {
        &self.bound
    }

    /// Counts a message of `bytes` at `now`. Returns false if the client is over its rate, or if storage is `late` and
    /// so many answers wait for it that no more are queued. The first such message in a row is an error, so that it is
    /// reported once.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub fn count(&mut self, bytes: usize, late: bool, now: Millis) -> Result<bool, SessionError> {
        let rated = self.account.hear(bytes, &self.limits, now) || off(Mutant::Trust(Trust::Rate));
        // Hellos are answered even in debt, but not without end.
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

    /// As [`Gate::count`], with an error each time.
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

    /// The sender of a delta in a space; `None` if the space may not be read.
    pub(super) fn sender(&self, space: &Space, now: Millis) -> Option<Sender<'_>> {
        let steps = self.account.may_stamp(now) || off(Mutant::Trust(Trust::Steps));
        let births = self.account.may_bear(&self.limits, now) || off(Mutant::Trust(Trust::Births));
        Some(Sender { bound: &self.bound, right: self.right(space)?, steps, births, limits: &self.limits })
    }

    /// Charges an admitted delta for its greatest stamp. A client may advance the fleet's stamps ahead of the time only
    /// slowly: otherwise an edge that has not seen these stamps would soon refuse what honest clients stamp after them.
    pub(super) fn note_stamp(&mut self, stamp: Hlc, last: Hlc, now: Millis) {
        let steps = stamp.millis().saturating_sub(last.millis().max(now.saturating_add(DRIFT_MAX)));
        if steps > 0 {
            self.account.stamp(steps, now);
        }
    }

    /// Charges for the new ids of an admitted delta.
    pub(super) fn note_births(&mut self, ids: u64, now: Millis) {
        if ids > 0 {
            self.account.bear(ids, &self.limits, now);
        }
    }

    /// Whether a request with a possibly long answer is answered.
    pub(super) fn may_ask(&self, now: Millis) -> bool {
        let spent = self.answered >= ANSWERED_BYTES || self.account.dry(&self.limits, now) > 0;
        !spent || off(Mutant::Trust(Trust::Sent))
    }

    /// Counts an answer of `bytes`. The bytes really sent are charged when they are sent.
    pub(super) const fn note_answer(&mut self, bytes: u64) {
        self.answered = self.answered.saturating_add(bytes);
    }

    /// Sends nothing long to the client before `until`, because its session is over its limit of sent bytes.
    pub fn hush(&mut self, until: Millis) {
        if !off(Mutant::Trust(Trust::Sent)) {
            self.quiet_until = until;
        }
    }

    /// The clock was set back by `back`.
    pub(super) fn set_back(&mut self, back: Millis) {
        self.room_at = self.room_at.saturating_sub(back);
        self.quiet_until = self.quiet_until.saturating_sub(back);
        self.account.set_back(back);
    }

    /// Whether nothing long is sent to the client at `now`.
    pub(super) const fn is_quiet(&mut self, now: Millis) -> bool {
        if self.quiet_until <= now {
            self.quiet_until = 0;
        }
        self.quiet_until > 0
    }

    /// Until when nothing long is sent to the client; 0: it may be sent.
    pub(super) const fn quiet_until(&self) -> Millis {
        self.quiet_until
    }

    /// The most bytes that may be staged over this link.
    pub(super) fn staged_bytes(&self) -> u64 {
        let elsewhere = if off(Mutant::Trust(Trust::Staged)) { 0 } else { self.staged_elsewhere };
        self.limits.staged_bytes.saturating_sub(elsewhere)
    }

    /// The most messages in one frame: what each space may need, and some that concern no space.
    #[must_use]
    pub const fn most_messages(&self) -> u64 {
        MESSAGES_BASE + 4 * self.spaces.len() as u64
    }

    /// Drops repeated requests for the same answer from a frame, since an answer may be much longer than its request.
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

    /// Removes from a message what the client may not say.
    pub(super) fn screen(&self, message: Message, store: &SessionConsistentStore) -> Screened {
        let hidden = |space: &Space| self.right(space).is_none();
        match message {
            Message::Hello { protocol, answer, mut vectors } => {
                vectors.retain(|(space, _)| !hidden(space));
                vectors.iter_mut().for_each(|(space, vector)| *vector = believable(vector, store.vector(space)));
                Screened::Pass(Message::Hello { protocol, answer, vectors })
            }
            Message::Ack { space, .. } | Message::Behind { space, .. } if hidden(&space) => Screened::Drop,
            // A refusal would be final, and the client would give up its writes.
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
            // These concern the fleet, and clients have no say in them.
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
            // Clients take no part in the proofs between edges; calls were handled earlier; a cut is never decoded.
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

/// Sorted by name, each once. Of duplicates the first one counts.
fn sorted(spaces: Option<Vec<(Space, Right)>>) -> Vec<(Space, Right)> {
    let mut sorted: Vec<(Space, Right)> = Vec::new();
    for (space, right) in spaces.unwrap_or_default() {
        if let Err(place) = sorted.binary_search_by(|(known, _)| known.cmp(&space)) {
            sorted.insert(place, (space, right));
        }
    }
    sorted
}

/// The part of a claimed vector that this replica holds as well.
fn believable(told: &VersionVector, held: &VersionVector) -> VersionVector {
    held.iter().map(|(id, sequence)| (id, sequence.min(told.get(id)))).filter(|(_, sequence)| *sequence > 0).collect()
}

/// The answer for a space that the client may not read: the same as for a space that does not exist.
fn absent() -> SessionError {
    SessionError::new(ErrorCode::SpaceNotFound, "the space is not open here")
}
