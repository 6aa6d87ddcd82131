//! Inputs and outputs of the machine: the vocabulary between [`crate::replica::Replica`] and its host.
//!
//! Invariant: these are plain values. An effect is an order that the host carries out after the call has returned.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use crate::codec::Rope;
use crate::error::{ErrorCode, Missing, SessionError};
use crate::guarantee::Guarantees;
use crate::id::{ReplicaId, Space};
use crate::service::query::QueryPlan;
use crate::service::record::{SessionInfo, SessionStatus};
use crate::service::table::Table;
use crate::store::entry::{Content, Key};
use crate::store::{Check, Mutation};
use crate::time::Millis;

/// A channel to one peer; the host chooses the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct LinkId(pub u32);

/// A waiting operation; the replica chooses the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct WaitId(pub u32);

/// A subscription to changes; the replica chooses the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct WatchId(pub u32);

/// A call that this replica carries out for a client; the replica chooses the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct CallId(pub u32);

/// A session in use at this replica; the replica chooses the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct SessionHandle(pub u32);

/// An order for the host. After every call, drain [`crate::replica::Replica::poll`] until it returns `None`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Append this record to storage. Once it and all earlier records are durable, call `persisted(n)`.
    Persist {
        /// The record's number, from 1 in each run.
        n: u64,
        /// A frame.
        bytes: Rope,
    },
    /// Send this message over the link. It may be lost, repeated or reordered.
    Transmit {
        /// The link.
        link: LinkId,
        /// A frame.
        bytes: Rope,
    },
    /// The operation has completed; `take` its answer.
    Settled(WaitId),
    /// Drop the copies of these keys, which are no longer true; without a list, all copies. See
    /// [`crate::replica::Replica::glance`].
    Forget(Option<Vec<(Space, Key)>>),
    /// The subscription has something to fetch.
    Watch(WatchId),
    /// Stop the work of this query: nobody needs its result any more.
    Abort {
        /// Its plan.
        plan: u64,
        /// `QUERY_KILLED` or `QUERY_TIMEOUT`.
        reason: ErrorCode,
    },
    /// Whether there are own writes that no peer has acknowledged; sent when this has changed. See
    /// [`crate::replica::Replica::standing`].
    Unsynced(bool),
    /// Call `tick` at this time; replaces the previous request. `None`: no call is needed.
    Timeout(Option<Millis>),
    /// Close this link, and give the reason to the other end.
    Close {
        /// The link; the replica has forgotten it.
        link: LinkId,
        /// The reason.
        error: SessionError,
    },
    /// Carry this out for a client, and report the result by [`crate::replica::Replica::replied`].
    Call {
        /// Its number.
        call: CallId,
        /// The method.
        method: String,
        /// The arguments, as JSON.
        args: String,
        /// The token of the session that makes the call; empty for a login.
        token: String,
        /// How long the client waits, in milliseconds.
        timeout: Millis,
    },
    /// Nobody waits for this call any more.
    CallOver(CallId),
    /// Something that an application may want to know.
    Event(Event),
}

/// The optional events that the host wants. These are frequent and have a cost each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Interest {
    /// [`Event::Change`].
    pub changes: bool,
    /// [`Event::Conflict`].
    pub conflicts: bool,
    /// [`Event::Session`].
    pub sessions: bool,
}

/// Something that an application may want to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A key shows something else than before. Only if the host asked for changes.
    Change {
        /// In this space.
        space: Space,
        /// What the key shows now.
        change: Change,
    },
    /// A key has concurrent entries. Only if the host asked for conflicts.
    Conflict {
        /// In this space.
        space: Space,
        /// The key.
        key: Key,
        /// The version that shows.
        kept: String,
        /// A version that it masks.
        dropped: String,
    },
    /// The replica took a new id, because its old one was seen with writes that it does not know, or because its state
    /// was restored or may be shared.
    Renamed {
        /// The previous id.
        old: ReplicaId,
        /// The new id.
        new: ReplicaId,
    },
    /// A session has ended. Only if the host asked for sessions.
    Session {
        /// How it ended.
        status: SessionStatus,
        /// Its last state.
        session: SessionInfo,
    },
    /// A query has taken long.
    Slow(QueryPlan),
    /// The number of peers that have said their id.
    Peers(u32),
    /// A peer's message was refused; state is unchanged by it.
    Refused(SessionError),
    /// A trusted peer's clock is more than a minute ahead of this replica's: `CLOCK_DRIFT`. Its deltas are applied all
    /// the same. Reported once, until the clocks agree again.
    Drift(SessionError),
    /// Own writes were refused by the edge that this replica joins, and are undone here. The other writes were made
    /// again.
    Rejected {
        /// In this space.
        space: Space,
        /// The stable code, such as `CLOCK_DRIFT`.
        code: String,
        /// The refused writes.
        writes: Vec<RejectedWrite>,
    },
}

/// A refused write of one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RejectedWrite {
    /// The key.
    pub key: Key,
    /// The content of the write; a tombstone for a deletion.
    pub content: Content,
}

/// A key and what it shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// The key.
    pub key: Key,
    /// Its value; never a tombstone.
    pub content: Content,
    /// The version of its whole live set.
    pub version: String,
    /// When it expires, in milliseconds since 1970.
    pub expires_at: Option<Millis>,
}

/// A change of a key: it shows an item, or nothing any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The key.
    pub key: Key,
    /// What it shows; `None`: it was deleted or has expired.
    pub item: Option<Item>,
    /// The version of its live set.
    pub version: String,
}

/// A range of keys, in order. Without bounds, all keys.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Range {
    /// From this key on, inclusive.
    pub start: Option<String>,
    /// Up to this key, exclusive.
    pub end: Option<String>,
    /// Only keys with this prefix.
    pub prefix: Option<String>,
    /// At most this many that show something.
    pub limit: Option<u64>,
    /// In descending order.
    pub reverse: bool,
}

/// An operation of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    /// What a key shows. *Behind* and *lost* are errors.
    Get(Key),
    /// What a key shows, as the whole outcome: *behind* (if the policy does not wait) and *lost* are answers.
    Read(Key),
    /// All visible entries of a key, the winner first.
    Conflicts(Key),
    /// The keys of a range that show something.
    List(Range),
    /// An atomic batch.
    Write {
        /// At least one mutation.
        batch: Vec<Mutation>,
        /// All checks must hold.
        checks: Vec<Check>,
    },
    /// The session's token, once everything in it is durable.
    Seal,
}

/// What to do when the replica lacks writes that a session depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Policy {
    /// Wait for the missing writes, until the deadline.
    #[default]
    Wait,
    /// Refuse at once.
    Throw,
    /// Answer all the same, and say that the answer is stale. For a write this is `Throw`.
    Serve,
}

/// Deviations of one operation from its session's settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Terms {
    /// Other guarantees than the session's.
    pub guarantees: Option<Guarantees>,
    /// Another policy than the session's.
    pub on_stale: Option<Policy>,
    /// Another deadline than the session's, in milliseconds from now.
    pub timeout: Option<Millis>,
    /// Never wait, not even for durability: what cannot be answered at once is refused at once.
    pub sync: bool,
}

/// The outcome of reading a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The key shows this.
    Value {
        /// The winner.
        item: Item,
        /// How many entries it masks.
        conflicts: u32,
        /// Whether the replica was behind and the policy said to serve.
        stale: bool,
    },
    /// The key shows nothing, and the replica's vector proves it.
    Absent {
        /// Whether the replica was behind and the policy said to serve.
        stale: bool,
    },
    /// The replica lacks these writes.
    Behind(Vec<Missing>),
    /// These writes are lost: no replica will ever hold them.
    Lost(Vec<Missing>),
}

/// The answer of an operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Of `Get`.
    Item(Option<Item>),
    /// Of `Read`.
    Outcome(Outcome),
    /// Of `List` and `Conflicts`.
    Items(Vec<Item>),
    /// Of `Write`: the version of each written key.
    Version(String),
    /// Of `Seal`.
    Token(String),
    /// Of statements: the table of the last one.
    Table(Table),
    /// Of a call: the other replica's answer, as JSON.
    Reply(String),
    /// Of a flush, and of `synced`.
    Done,
}

/// The state of an operation after `begin`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It has completed with this answer.
    Done(Answer),
    /// It waits; [`Effect::Settled`] reports its completion.
    Waiting(WaitId),
}

/// The keys of a subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// One key.
    Key(Key),
    /// Every key with this prefix.
    Prefix(String),
}

impl Scope {
    /// Whether `key` is in the scope.
    #[must_use]
    pub fn covers(&self, key: &str) -> bool {
        match self {
            Self::Key(own) => **own == *key,
            Self::Prefix(prefix) => key.starts_with(prefix.as_str()),
        }
    }
}

/// Keys that have changed and were not fetched yet.
pub(crate) type Dirty = BTreeSet<Key>;
