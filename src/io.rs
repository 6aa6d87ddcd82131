//! What goes into the machine and what comes out: the vocabulary between [`crate::replica::Replica`] and its host.
//!
//! Invariant: these are plain values; an effect is an order that the host carries out after the call has returned.

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

/// An operation that waits; the replica chooses the number.
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

/// What the host is to do. Drain [`crate::replica::Replica::poll`] until it answers `None` after every call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Append this record to storage. Once it and all before it are durable, say so with `persisted(n)`.
    Persist {
        /// The record's number, from 1 in each run.
        n: u64,
        /// A frame.
        bytes: Rope,
    },
    /// Send this message over the link. It may be lost, repeated or overtaken.
    Transmit {
        /// The link.
        link: LinkId,
        /// A frame.
        bytes: Rope,
    },
    /// The operation has ended; `take` its answer.
    Settled(WaitId),
    /// Forget the copies of these keys, which are no longer true; without a list, all copies. See
    /// [`crate::replica::Replica::glance`].
    Forget(Option<Vec<(Space, Key)>>),
    /// The subscription has something to fetch.
    Watch(WatchId),
    /// Stop the work of this query: its result is nobody's any more.
    Abort {
        /// Its plan.
        plan: u64,
        /// `QUERY_KILLED` or `QUERY_TIMEOUT`.
        reason: ErrorCode,
    },
    /// Whether own writes are there that no peer has acknowledged has changed; see
    /// [`crate::replica::Replica::standing`].
    Unsynced(bool),
    /// Call `tick` at this time; replaces what was asked before. `None`: no call is needed.
    Timeout(Option<Millis>),
    /// Close this link, and tell the other end why: its time is over here.
    Close {
        /// The link, of which nothing is known any more.
        link: LinkId,
        /// The reason.
        error: SessionError,
    },
    /// Carry this out for a client, and say what came of it by [`crate::replica::Replica::replied`].
    Call {
        /// Its number.
        call: CallId,
        /// What is to be done.
        method: String,
        /// With what, as JSON.
        args: String,
        /// The session under which it is done; empty for a login.
        token: String,
        /// For how many milliseconds the client waits.
        timeout: Millis,
    },
    /// Nobody waits for this call any more.
    CallOver(CallId),
    /// Something that an application may want to know.
    Event(Event),
}

/// Which events the host wants of those that are many and cost something each.
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
    /// A key shows something else than before. Told only if the host asked for changes.
    Change {
        /// In this space.
        space: Space,
        /// What the key shows now.
        change: Change,
    },
    /// A key has entries that did not see each other. Told only if the host asked for conflicts.
    Conflict {
        /// In this space.
        space: Space,
        /// The key.
        key: Key,
        /// The version that shows.
        kept: String,
        /// The version that it masks.
        dropped: String,
    },
    /// The replica took a new id, because its old one was seen with writes that it does not know, or on `restore`.
    Renamed {
        /// The id until now.
        old: ReplicaId,
        /// The id from now on.
        new: ReplicaId,
    },
    /// A session is over. Told only if the host asked for sessions.
    Session {
        /// How it ended.
        status: SessionStatus,
        /// The session as it was last.
        session: SessionInfo,
    },
    /// A query has taken long.
    Slow(QueryPlan),
    /// The number of peers that have said who they are.
    Peers(u32),
    /// Something from a peer was refused; state is unchanged by it.
    Refused(SessionError),
    /// A trusted peer's clock is more than a minute ahead of this replica's: `CLOCK_DRIFT`. What it brings is taken all the
    /// same; it is told once, until the clocks agree again.
    Drift(SessionError),
    /// Own writes were refused by the edge that this replica joins, and are undone here. The others were made again.
    Rejected {
        /// In this space.
        space: Space,
        /// The stable code, such as `CLOCK_DRIFT`.
        code: String,
        /// What was to be written.
        writes: Vec<RejectedWrite>,
    },
}

/// A write of one key that was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RejectedWrite {
    /// The key.
    pub key: Key,
    /// What was to be written; a tombstone for a deletion.
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
    /// When it ends, in milliseconds since 1970.
    pub expires_at: Option<Millis>,
}

/// How a key changed: it shows an item, or nothing any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The key.
    pub key: Key,
    /// What it shows; `None`: it was deleted or has expired.
    pub item: Option<Item>,
    /// The version of its live set.
    pub version: String,
}

/// Keys in order. Without bounds, all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Range {
    /// From this key on, included.
    pub start: Option<String>,
    /// Up to this key, excluded.
    pub end: Option<String>,
    /// Only keys that begin so.
    pub prefix: Option<String>,
    /// At most so many that show something.
    pub limit: Option<u64>,
    /// From the last to the first.
    pub reverse: bool,
}

/// What a session asks of the replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    /// What a key shows. *Behind* and *lost* are errors.
    Get(Key),
    /// What a key shows, as the whole outcome: *behind* (where the policy does not wait) and *lost* are answers.
    Read(Key),
    /// Every entry of a key that shows, the winner first.
    Conflicts(Key),
    /// The keys of a range that show something.
    List(Range),
    /// An atomic batch.
    Write {
        /// At least one.
        batch: Vec<Mutation>,
        /// All must hold.
        checks: Vec<Check>,
    },
    /// The session's token, once everything in it is durable.
    Seal,
}

/// What to do when the replica lacks what a session depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Policy {
    /// Wait for the missing writes, until the deadline.
    #[default]
    Wait,
    /// Refuse at once.
    Throw,
    /// Answer all the same, and say that the answer is stale. On a write it is `Throw`.
    Serve,
}

/// How one operation departs from its session's settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Terms {
    /// Other guarantees than the session's.
    pub guarantees: Option<Guarantees>,
    /// Another policy than the session's.
    pub on_stale: Option<Policy>,
    /// Another deadline than the session's, in milliseconds from now.
    pub timeout: Option<Millis>,
    /// Never wait, not for durability either: what cannot be answered at once is refused at once.
    pub sync: bool,
}

/// The outcome of reading a key: never a bare nothing.
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
    /// Nobody will ever hold these writes.
    Lost(Vec<Missing>),
}

/// What an operation answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// To `Get`.
    Item(Option<Item>),
    /// To `Read`.
    Outcome(Outcome),
    /// To `List` and `Conflicts`.
    Items(Vec<Item>),
    /// To `Write`: the version of each key that was written.
    Version(String),
    /// To `Seal`.
    Token(String),
    /// To statements: the table of the last one.
    Table(Table),
    /// To a call: what the other replica has answered, as JSON.
    Reply(String),
    /// To a flush, and to `synced`.
    Done,
}

/// Where an operation stands after `begin`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It has ended with this answer.
    Done(Answer),
    /// It waits; [`Effect::Settled`] tells when it has ended.
    Waiting(WaitId),
}

/// The keys that a subscription follows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// One key.
    Key(Key),
    /// Every key that begins so.
    Prefix(String),
}

impl Scope {
    /// Whether `key` is followed.
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
