//! A client: a user's session that roams between the replicas, and does one thing at a time.

use std::collections::{BTreeMap, BTreeSet};

use edge_session::guarantee::Guarantees;
use edge_session::id::SessionId;
use edge_session::io::{Range, SessionHandle, WaitId, WatchId};
use edge_session::session::vector::SessionVector;
use edge_session::store::entry::Key;
use edge_session::time::Millis;

use crate::checker::bearer::Promise;
use crate::checker::set::WriteId;

/// A token that a client holds, and what it stands for.
#[derive(Clone, Debug)]
pub struct Token {
    /// The string.
    pub text: String,
    /// Its name in the history.
    pub name: String,
    /// What it asks for.
    pub asks: SessionVector,
    /// Its session.
    pub session: SessionId,
    /// What it stands for in each space, by the checkers' account.
    pub promises: Vec<Promise>,
    /// Under which promises its session runs.
    pub judged: Guarantees,
    /// The latest clock that its session has met.
    pub met: Millis,
}

/// What a client has asked for.
#[derive(Clone, Debug)]
pub enum Asked {
    /// A key, in short or as an outcome.
    Read(Key),
    /// A key's siblings.
    Conflicts(Key),
    /// A range.
    List(Range),
    /// A write, and whether it waits for storage.
    Write(WriteId, bool),
    /// The sealed token.
    Seal,
}

/// An operation that has not ended.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Its number at the replica.
    pub wait: WaitId,
    /// What it is.
    pub asked: Asked,
    /// Under which promises.
    pub judged: Guarantees,
    /// By when, in the time that the replica has seen pass.
    pub deadline: Millis,
}

/// A version that an answer gave: the text, and the writes that it named.
pub type Version = (String, Vec<WriteId>);

/// A client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Under which promises its session runs, as they are judged.
    pub judged: Guarantees,
    /// Its session's id.
    pub session: Option<SessionId>,
    /// The number of the space that its session is in.
    pub space: usize,
    /// Where its session is in use.
    pub place: Option<(usize, SessionHandle)>,
    /// The last token that it was given, and the one before.
    pub tokens: [Option<Token>; 2],
    /// What it waits for.
    pub pending: Option<Pending>,
    /// The keys that it follows.
    pub watch: Option<WatchId>,
    /// The versions that its answers gave.
    pub versions: BTreeMap<Key, Version>,
    /// How often in a row it could not be served.
    pub failures: u32,
    /// The latest clock that its session has met.
    pub met: Millis,
    /// Under which guarantees the replica has let its session read, and write, so that its host may do it in front.
    pub may: May,
}

/// What a host does in front of the replica, by the bits of the guarantees.
#[derive(Clone, Debug, Default)]
pub struct May {
    /// Reads of copies.
    pub read: BTreeSet<u8>,
    /// Writes into the log.
    pub write: BTreeSet<u8>,
}

impl Client {
    /// A client that has done nothing yet.
    #[must_use]
    pub fn new(judged: Guarantees) -> Self {
        Self {
            judged,
            session: None,
            space: 0,
            place: None,
            tokens: [None, None],
            pending: None,
            watch: None,
            versions: BTreeMap::new(),
            failures: 0,
            met: 0,
            may: May::default(),
        }
    }

    /// Is given a token.
    pub fn keep(&mut self, token: Token) {
        let before = self.tokens[0].replace(token);
        self.tokens[1] = before;
    }

    /// Its handle is no more: let go of, or gone with the replica.
    pub fn detach(&mut self) {
        self.place = None;
        self.pending = None;
        self.watch = None;
        self.versions.clear();
        self.may = May::default();
    }
}
