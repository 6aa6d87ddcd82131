//! What a client may bring, and what it has spent of that: its account, which is its session's, whatever link it comes by.
//!
//! Invariant: an account of which nothing is spent is the same as none. It knows neither links nor spaces.

use crate::sync::bucket::{Bucket, Flow};
use crate::time::Millis;

/// Bounds of what one client may bring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientLimits {
    /// The most ids under which it writes over one link.
    pub ids: usize,
    /// The most ids under which this replica has not seen a write in their space, that its session brings at once; another one
    /// each minute.
    pub births: u64,
    /// The most writes of one id that come at once, those included that have been written over since.
    pub sequences: u64,
    /// The most bytes of deltas that come in slices, over all links of its session.
    pub staged_bytes: u64,
    /// Messages a second of its session, in the long run; ten seconds' worth may come at once.
    pub messages: u64,
    /// Bytes a second of its session, in the long run; ten seconds' worth may come at once.
    pub bytes: u64,
    /// Bytes a second that its session is sent, in the long run; ten seconds' worth may go at once.
    pub sent_bytes: u64,
    /// The most links of its session at a time.
    pub links: usize,
    /// The most sessions, and the most users, of which it is remembered what they have spent.
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

/// By how many milliseconds a second a client may move the fleet's stamps ahead of the time; see
/// [`Gate::note_stamp`](crate::sync::gate::Gate).
const STAMPS_AHEAD: u64 = 1;

/// How often one more id may be born, in milliseconds.
const BIRTH_MS: Millis = 60_000;
/// How many sessions' worth of ids a user may bring: sessions are had for the asking.
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
    /// The births of all sessions of its user, where it has one.
    pub(crate) user: Option<Births>,
}

/// How many ids a user has brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Births(Bucket);

impl Births {
    /// Which part of a thousand of what it may is spent.
    pub(crate) fn share(&self, limits: &ClientLimits, now: Millis) -> u64 {
        self.0.share(limits.user_births(), now)
    }
}

impl Account {
    /// The same account, with what its user has brought.
    pub(crate) const fn of_user(self, user: Option<Births>) -> Self {
        Self { user, ..self }
    }

    /// Counts a message of so many bytes; whether it may be read.
    pub(crate) fn hear(&mut self, bytes: usize, limits: &ClientLimits, now: Millis) -> bool {
        self.messages.take(Flow::a_second(limits.messages), 1, now)
            && self.bytes.take(Flow::a_second(limits.bytes), bytes as u64, now)
    }

    /// Whether it may stamp ahead of the greatest stamp, by a millisecond.
    pub(crate) fn may_stamp(&self, now: Millis) -> bool {
        self.stamps.has(Flow::a_second(STAMPS_AHEAD), now)
    }

    pub(crate) fn stamp(&mut self, steps: Millis, now: Millis) {
        self.stamps.owe(Flow::a_second(STAMPS_AHEAD), steps, now);
    }

    /// Whether one more id may be born.
    pub(crate) fn may_bear(&self, limits: &ClientLimits, now: Millis) -> bool {
        let user = self.user.is_none_or(|user| user.0.has_one(limits.user_births(), now));
        user && self.births.has_one(limits.births(), now)
    }

    pub(crate) fn bear(&mut self, ids: u64, limits: &ClientLimits, now: Millis) {
        self.births.owe(limits.births(), ids, now);
        self.user.iter_mut().for_each(|user| user.0.owe(limits.user_births(), ids, now));
    }

    /// Takes note that so many bytes go to it.
    pub(crate) fn send(&mut self, bytes: usize, limits: &ClientLimits, now: Millis) {
        self.sent.owe(limits.sent(), bytes as u64, now);
    }

    /// For how many milliseconds it is to be told nothing long; none: it may be told.
    pub(crate) fn dry(&self, limits: &ClientLimits, now: Millis) -> Millis {
        self.sent.dry(limits.sent(), now)
    }

    /// Which part of a thousand is spent, of that of which least is left; none where it is as good as new.
    pub(crate) fn share(&self, limits: &ClientLimits, now: Millis) -> u64 {
        let seconds = [(self.messages, limits.messages), (self.bytes, limits.bytes), (self.stamps, STAMPS_AHEAD)];
        let seconds = seconds.map(|(bucket, rate)| (bucket, Flow::a_second(rate)));
        let others = [(self.births, limits.births()), (self.sent, limits.sent())];
        let shares = seconds.iter().chain(&others).map(|(bucket, flow)| bucket.share(*flow, now));
        shares.max().unwrap_or(0)
    }
}
