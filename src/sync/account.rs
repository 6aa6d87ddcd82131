//! Limits on what a client may send and be sent, and the account of what it has spent. The account belongs to the
//! client's session, whichever link it uses.
//!
//! Invariant: an account with nothing spent equals no account. The module knows neither links nor spaces.

use crate::sync::bucket::{Bucket, Flow};
use crate::time::Millis;

/// Limits for one client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientLimits {
    /// The most ids under which it may write over one link.
    pub ids: usize,
    /// The most new ids (ids without a write in the space so far) that its session may bring at once. One more is
    /// allowed each minute.
    pub births: u64,
    /// The most sequences by which a delta may advance one id, overwritten writes included.
    pub sequences: u64,
    /// The most staged bytes (slices of deltas that are not complete), over all links of its session.
    pub staged_bytes: u64,
    /// Messages per second of its session on average; a burst may be ten seconds' worth.
    pub messages: u64,
    /// Bytes per second received from its session on average; a burst may be ten seconds' worth.
    pub bytes: u64,
    /// Bytes per second sent to its session on average; a burst may be ten seconds' worth.
    pub sent_bytes: u64,
    /// The most links that its session may have at a time.
    pub links: usize,
    /// The most sessions, and the most users, whose accounts are remembered.
    pub accounts: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            ids: 16,
            births: 64,
            sequences: 1 << 24,
            staged_bytes: 16 << 20,
            messages: 100,
            bytes: 1 << 20,
            sent_bytes: 8 << 20,
            links: 32,
            accounts: 16_384,
        }
    }
}

/// The rate, in milliseconds per second, at which a client may advance the fleet's stamps ahead of the time; see
/// [`Gate::note_stamp`](crate::sync::gate::Gate).
const STAMPS_AHEAD: u64 = 1;

/// The interval after which one more new id is allowed, in milliseconds.
const BIRTH_MS: Millis = 60_000;
/// The new ids that a user may bring, as a multiple of the limit of one session: anybody can begin another session.
const USER_BIRTHS: u64 = 16;

impl ClientLimits {
    const fn births(&self) -> Flow {
        Flow::at_once(self.births, BIRTH_MS)
    }

    const fn user_births(&self) -> Flow {
        self.births().times(USER_BIRTHS)
    }

    const fn sent(&self) -> Flow {
        Flow::a_second(self.sent_bytes)
    }
}

/// What a session has spent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Account {
    messages: Bucket,
    bytes: Bucket,
    stamps: Bucket,
    births: Bucket,
    sent: Bucket,
    /// The births of all sessions of its user, if it has one.
    pub(crate) user: Option<Births>,
}

/// How many new ids a user has brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Births(Bucket);

impl Births {
    /// The spent part of the allowance, in thousandths.
    pub(crate) fn share(&self, limits: &ClientLimits, now: Millis) -> u64 {
        self.0.share(limits.user_births(), now)
    }

    /// The clock was set back by `back`.
    pub(crate) const fn set_back(&mut self, back: Millis) {
        self.0.set_back(back);
    }
}

impl Account {
    /// The same account with the births of its user.
    pub(crate) const fn of_user(self, user: Option<Births>) -> Self {
        Self { user, ..self }
    }

    /// The clock was set back by `back`.
    pub(crate) fn set_back(&mut self, back: Millis) {
        let own = [&mut self.messages, &mut self.bytes, &mut self.stamps, &mut self.births, &mut self.sent];
        own.into_iter().for_each(|bucket| bucket.set_back(back));
        self.user.iter_mut().for_each(|user| user.set_back(back));
    }

    /// Counts a message of `bytes` bytes. Returns whether it may be read.
    pub(crate) fn hear(&mut self, bytes: usize, limits: &ClientLimits, now: Millis) -> bool {
        self.messages.take(Flow::a_second(limits.messages), 1, now)
            && self.bytes.take(Flow::a_second(limits.bytes), bytes as u64, now)
    }

    /// Whether it may stamp a millisecond later than the greatest stamp.
    pub(crate) fn may_stamp(&self, now: Millis) -> bool {
        self.stamps.has(Flow::a_second(STAMPS_AHEAD), now)
    }

    pub(crate) fn stamp(&mut self, steps: Millis, now: Millis) {
        self.stamps.owe(Flow::a_second(STAMPS_AHEAD), steps, now);
    }

    /// Whether it may bring one more new id.
    pub(crate) fn may_bear(&self, limits: &ClientLimits, now: Millis) -> bool {
        let user = self.user.is_none_or(|user| user.0.has_one(limits.user_births(), now));
        user && self.births.has_one(limits.births(), now)
    }

    pub(crate) fn bear(&mut self, ids: u64, limits: &ClientLimits, now: Millis) {
        self.births.owe(limits.births(), ids, now);
        self.user.iter_mut().for_each(|user| user.0.owe(limits.user_births(), ids, now));
    }

    /// Counts `bytes` sent to it.
    pub(crate) fn send(&mut self, bytes: usize, limits: &ClientLimits, now: Millis) {
        self.sent.owe(limits.sent(), bytes as u64, now);
    }

    /// For how many milliseconds it must not be sent anything long; 0: it may be.
    pub(crate) fn dry(&self, limits: &ClientLimits, now: Millis) -> Millis {
        self.sent.dry(limits.sent(), now)
    }

    /// The spent part, in thousandths, of the allowance that is most used; 0 if the account is as good as new.
    pub(crate) fn share(&self, limits: &ClientLimits, now: Millis) -> u64 {
        let seconds = [(self.messages, limits.messages), (self.bytes, limits.bytes), (self.stamps, STAMPS_AHEAD)];
        let seconds = seconds.map(|(bucket, rate)| (bucket, Flow::a_second(rate)));
        let others = [(self.births, limits.births()), (self.sent, limits.sent())];
        let shares = seconds.iter().chain(&others).map(|(bucket, flow)| bucket.share(*flow, now));
        shares.max().unwrap_or(0)
    }
}
