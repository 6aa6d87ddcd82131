//! The register of writes: every write of the run, with the checker's own account of its causal past.
//!
//! Invariant: a write is known by its number, which its values carry as text; a dot and a rank `(clock, replica)` are
//! names that it was given, each once. A write that a crash took back loses its names again.

use std::collections::BTreeMap;

use edge_session::id::{Dot, ReplicaId, SessionId};
use edge_session::store::entry::{Content, Key};
use edge_session::time::{Hlc, Millis};

use super::alarm::{Alarm, Kind};
use super::set::{Set, WriteId};

/// The place of a write in arbitration.
pub type Rank = (Hlc, ReplicaId);

/// One key's part of a write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// The value or tombstone.
    pub content: Content,
    /// When it ends.
    pub expires_at: Option<Millis>,
}

/// What a checked write found: per key the entries that its check named, `None` for "shows nothing".
pub type Checked = Vec<(Key, Option<Vec<WriteId>>)>;

/// What has become of a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Asked for.
    Proposed,
    /// Accepted by a replica.
    Accepted,
    /// Taken back by a crash before it was durable.
    Lost,
}

/// One atomic write.
#[derive(Clone, Debug)]
pub struct Write {
    /// The client that made it; `None`: the replica itself, relieving a crowd of siblings.
    pub client: Option<usize>,
    /// Where it was made.
    pub node: usize,
    /// The session that made it.
    pub session: Option<SessionId>,
    /// Its keys.
    pub parts: BTreeMap<Key, Part>,
    /// What its checks named.
    pub checks: Checked,
    /// What has become of it.
    pub fate: Fate,
    /// Its dot, once accepted.
    pub dot: Option<Dot>,
    /// Its place in arbitration, once accepted and seen.
    pub rank: Option<Rank>,
    /// Everything that the accepting replica held.
    pub past: Set,
    /// Earlier writes of its session, if it was promised Monotonic Writes.
    pub after_writes: Set,
    /// What its session had read, if it was promised Writes Follow Reads.
    pub after_reads: Set,
    /// Whether its client was told that it is durable.
    pub acknowledged: bool,
}

/// All writes of the run.
#[derive(Debug, Default)]
pub struct Writes {
    all: Vec<Write>,
    dots: BTreeMap<ReplicaId, BTreeMap<u64, WriteId>>,
    ranks: BTreeMap<Rank, WriteId>,
}

impl Writes {
    /// Takes a write in and numbers it.
    pub fn add(&mut self, write: Write) -> WriteId {
        self.all.push(write);
        self.all.len() - 1
    }

    /// The number that the next write will have.
    #[must_use]
    pub fn next(&self) -> WriteId {
        self.all.len()
    }

    /// A write.
    #[must_use]
    pub fn get(&self, write: WriteId) -> &Write {
        &self.all[write]
    }

    /// A write, to change.
    pub fn get_mut(&mut self, write: WriteId) -> &mut Write {
        &mut self.all[write]
    }

    /// Every write with its number.
    pub fn iter(&self) -> impl Iterator<Item = (WriteId, &Write)> {
        self.all.iter().enumerate()
    }

    /// The write of a dot.
    #[must_use]
    pub fn of_dot(&self, dot: Dot) -> Option<WriteId> {
        self.dots.get(&dot.replica)?.get(&dot.sequence).copied()
    }

    /// Gives a write its names.
    pub fn accept(&mut self, write: WriteId, dot: Dot, hlc: Option<Hlc>) -> Result<(), Alarm> {
        let held = self.dots.entry(dot.replica).or_default().insert(dot.sequence, write);
        if let Some(other) = held {
            return Alarm::raise(Kind::DotReused, format!("{dot} is w{other} and w{write}"));
        }
        let rank = hlc.map(|hlc| (hlc, dot.replica));
        if let Some(other) = rank.and_then(|rank| self.ranks.insert(rank, write)) {
            return Alarm::raise(Kind::DotReused, format!("w{other} and w{write} have the same clock and replica"));
        }
        let own = &mut self.all[write];
        (own.fate, own.dot, own.rank) = (Fate::Accepted, Some(dot), rank);
        Ok(())
    }

    /// Takes back the write of a dot: a crash has lost it before it was durable.
    pub fn lose(&mut self, dot: Dot) {
        let Some(write) = self.dots.get_mut(&dot.replica).and_then(|dots| dots.remove(&dot.sequence)) else { return };
        let own = &mut self.all[write];
        own.fate = Fate::Lost;
        if let Some(rank) = own.rank {
            self.ranks.remove(&rank);
        }
    }

    /// The writes that a version names, the winner first.
    ///
    /// # Errors
    /// The version, if it names something that nobody wrote.
    pub fn named(&self, version: &str) -> Result<Vec<WriteId>, Alarm> {
        let one = |text: &str| {
            let (clock, replica) = text.split_once('.')?;
            let hlc = Hlc::from_bits(u64::from_str_radix(clock, 16).ok()?);
            self.ranks.get(&(hlc, replica.parse().ok()?)).copied()
        };
        let named = version.split('+').map(one).collect::<Option<Vec<_>>>();
        named.map_or_else(|| Alarm::raise(Kind::Answer, format!("the version {version} names no known write")), Ok)
    }

    /// Whether a part of a write shows nothing at `at`.
    #[must_use]
    pub fn is_gone(&self, write: WriteId, key: &str, at: Millis) -> bool {
        let part = self.all[write].parts.get(key);
        part.is_none_or(|part| part.content == Content::Tombstone || part.expires_at.is_some_and(|end| end <= at))
    }

    /// Whether `later` saw `earlier`.
    #[must_use]
    pub fn follows(&self, later: WriteId, earlier: WriteId) -> bool {
        self.all[later].past.contains(earlier)
    }
}

/// Whether an entry holds what a part wrote. Long values are told apart by their beginning, which has the number.
#[must_use]
pub fn same(a: &Content, b: &Content) -> bool {
    match (a, b) {
        (Content::Text(a), Content::Text(b)) => {
            a.len() == b.len() && a.get(..a.len().min(24)) == b.get(..b.len().min(24))
        }
        _ => a == b,
    }
}

/// The number of the write that a value carries.
#[must_use]
pub fn number(content: &Content) -> Option<WriteId> {
    let Content::Text(text) = content else { return None };
    text.strip_prefix('w')?.split('|').next()?.parse().ok()
}

/// The value that carries `write`'s number for a key, at least `len` bytes long.
#[must_use]
pub fn value(write: WriteId, len: usize) -> Content {
    let mut text = format!("w{write}|");
    while text.len() < len {
        text.push(char::from(b'a' + (text.len() % 26) as u8));
    }
    Content::Text(text.into())
}
