//! What a client's session depends on, by the checker's own account: what it read, what it wrote, what came in with
//! tokens. Two sets instead of two vectors, so that a fold or a cap that loses something is seen.

use std::collections::BTreeMap;

use edge_session::id::{Dot, ReplicaId, SessionId};
use edge_session::session::vector::Dependencies;

use super::Checker;
use super::alarm::{Alarm, Kind};
use super::set::{Set, WriteId};

/// A session as its client has lived it.
#[derive(Clone, Debug, Default)]
pub struct Bearer {
    /// Its id.
    pub session: Option<SessionId>,
    /// What decided the answers that it got.
    pub reads: Set,
    /// What it wrote.
    pub writes: Set,
    /// What came in with tokens: that may leave again, durable here or not.
    brought: Set,
    /// What the tokens ask for.
    pub brought_dots: BTreeMap<ReplicaId, u64>,
}

/// What a token stands for.
#[derive(Clone, Debug, Default)]
pub struct Promise {
    /// What its bearer had read.
    pub reads: Set,
    /// What its bearer had written.
    pub writes: Set,
    /// What it asks for, as the token says it.
    pub dots: BTreeMap<ReplicaId, u64>,
}

impl Bearer {
    /// The session of `promise`, taken up anew.
    #[must_use]
    pub fn resumed(session: SessionId, promise: &Promise) -> Self {
        let mut bearer = Self { session: Some(session), ..Self::default() };
        bearer.merge(promise);
        bearer
    }

    /// Depends on what a token depends on, too.
    pub fn merge(&mut self, promise: &Promise) {
        self.reads.join(&promise.reads);
        self.writes.join(&promise.writes);
        self.brought.join(&promise.reads);
        self.brought.join(&promise.writes);
        for (id, last) in &promise.dots {
            let own = self.brought_dots.entry(*id).or_default();
            *own = (*own).max(*last);
        }
    }
}

impl Checker {
    /// Judges the dependencies of a token that `client` was given at `node`: it asks for everything that the client
    /// has read and written, as far as that is durable there or had come in with a token; and for nothing else that
    /// is not durable. `sealed`: all of the client's own writes are in it.
    pub fn token(&self, client: usize, node: usize, asks: &Dependencies, sealed: bool) -> Result<Promise, Alarm> {
        let (bearer, mirror) = (&self.bearers[client], &self.mirrors[node]);
        let leaves = |write: &WriteId| {
            let dot = self.writes.get(*write).dot;
            bearer.brought.contains(*write) || dot.is_some_and(|dot| mirror.is_durable(dot))
        };
        let reads: Set = bearer.reads.iter().filter(leaves).collect();
        let writes: Set = bearer.writes.iter().filter(leaves).collect();
        if let Some(write) = writes.lacks(&bearer.writes).filter(|_| sealed) {
            return Alarm::raise(Kind::Token, format!("c{client} has a sealed token before w{write} is durable"));
        }
        for (set, vector, what) in [(&reads, &asks.reads, "read"), (&writes, &asks.writes, "wrote")] {
            let named = |write: &WriteId| self.writes.get(*write).dot.is_some_and(|dot| vector.contains(dot));
            // Folded: a write that the vector names saw it.
            let folded = |write: &WriteId| {
                let names = vector.iter().filter_map(|(id, last)| self.writes.of_dot(Dot::new(id, last)));
                names.into_iter().any(|name| self.writes.follows(name, *write))
            };
            if let Some(write) = set.iter().find(|write| !named(write) && !folded(write)) {
                return Alarm::raise(Kind::Token, format!("the token of c{client} forgets that it {what} w{write}"));
            }
        }
        let mut dots = BTreeMap::new();
        for (id, last) in asks.reads.iter().chain(asks.writes.iter()) {
            let brought = bearer.brought_dots.get(&id).is_some_and(|held| *held >= last);
            if !brought && !mirror.is_durable(Dot::new(id, last)) {
                let text = format!("the token of c{client} at n{node} names {id}:{last}, which storage does not have");
                return Alarm::raise(Kind::Escape, text);
            }
            let most = dots.entry(id).or_insert(0);
            *most = last.max(*most);
        }
        Ok(Promise { reads, writes, dots })
    }
}
