//! A session on its way between replicas: what the core knows of it, and what the judge does.
//!
//! What a replica composes around a session's vectors is repeated here in small: which of its own writes a session
//! sees before storage has them, and what of its vectors may leave with a token (invariant I5).

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use edge_session::guarantee::{Access, Guarantees};
use edge_session::id::Dot;
use edge_session::session::vector::SessionVector;
use edge_session::store::entry::DataEntry;
use edge_session::vector::VersionVector;

use crate::node::{IDS, Node, SESSION_IDS, SPACE};
use crate::truth::Set;

/// One session.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Session {
    /// The core's two vectors.
    pub vector: SessionVector,
    /// The operations that it has done.
    pub done: usize,
    /// What it has written and, unless that is its replica still, been told to be durable.
    pub wrote: Set,
    /// The writes that decided its reads.
    pub read: Set,
    /// It stands at the replica with slow storage and has written there what is not durable yet.
    pub unsettled: bool,
}

/// A replica as an operation finds it: its state, and what of it storage has.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Which replica.
    pub at: usize,
    /// Its state.
    pub node: &'a Node,
    /// What its storage has.
    pub durable: &'a Node,
}

impl Hash for Session {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.done, self.wrote, self.read, self.unsettled).hash(state);
        if let Some(own) = self.vector.get(&SPACE) {
            own.reads.hash(state);
            own.writes.hash(state);
        }
    }
}

impl Session {
    /// Whether the core would answer "behind" at this place.
    #[must_use]
    pub fn is_behind(&self, place: Place<'_>, access: Access) -> bool {
        !self.vector.missing(&SPACE, Guarantees::ALL, access, &self.visible(place)).is_empty()
    }

    /// The vector that the guarantees are checked against: what is durable, and the session's own writes before.
    fn visible<'a>(&self, place: Place<'a>) -> Cow<'a, VersionVector> {
        let durable = place.durable.vector();
        let own = IDS[place.at];
        let written = self.vector.get(&SPACE).map_or(0, |seen| seen.writes.get(own));
        if written <= durable.get(own) || written > place.node.vector().get(own) {
            return Cow::Borrowed(durable);
        }
        let mut vector = durable.clone();
        vector.advance(Dot::new(own, written));
        Cow::Owned(vector)
    }

    /// Whether an entry may decide an answer to this session: it is durable, or the session's own.
    #[must_use]
    pub fn may_see(&self, number: usize, place: Place<'_>, entry: &DataEntry) -> bool {
        place.durable.vector().contains(entry.dot()) || entry.session() == Some(SESSION_IDS[number])
    }

    /// The session as its token tells of it elsewhere: without what the storage of `slow` does not have yet.
    #[must_use]
    pub fn ashore(&self, slow: usize, durable: &Node) -> Self {
        let mut session = self.clone();
        if self.unsettled {
            session.vector.cap(&SPACE, IDS[slow], durable.vector().get(IDS[slow]));
            session.wrote &= durable.held();
            session.read &= durable.held();
            session.unsettled = false;
        }
        session
    }
}
