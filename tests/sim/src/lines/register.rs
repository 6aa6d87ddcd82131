//! The writes of a history, and the versions and values by which others name them.

use std::collections::BTreeMap;

use edge_session::id::ReplicaId;
use edge_session::time::Hlc;
use serde_json::Value;

use super::{Line, Seen, Write};
use crate::checker::alarm::{Alarm, Kind};
use crate::checker::set::{Set, WriteId};
use crate::checker::writes::Rank;

/// A write, and what it follows.
#[derive(Debug, Default)]
pub struct Known {
    /// The line.
    pub write: Write,
    /// Its place in arbitration, if anybody was told it.
    pub rank: Option<Rank>,
    /// Whether its own answer told it, so that its session is bound by it.
    pub answered: bool,
    /// What its session had written, if that was promised.
    pub after_writes: Set,
    /// What its session had read, if that was promised.
    pub after_reads: Set,
    /// All that it follows.
    pub past: Set,
    /// Whether what it follows is known.
    pub placed: bool,
    /// The write whose value a replica has written once more, to relieve a key of its siblings.
    pub again: Option<WriteId>,
}

/// All writes of one space.
#[derive(Debug, Default)]
pub struct Register {
    /// Each by its number.
    pub all: Vec<Known>,
    ranks: BTreeMap<Rank, WriteId>,
    /// The writes of each key, the greatest rank first.
    by_key: BTreeMap<String, Vec<WriteId>>,
    /// The write of each line.
    lines: BTreeMap<usize, WriteId>,
}

impl Register {
    /// The writes of `space` in `lines`, each given its version by its own answer or by who has read its value.
    pub fn new(lines: &[Line], space: &str) -> Result<Self, Alarm> {
        let mut register = Self::default();
        let mut dots = BTreeMap::new();
        for (at, line) in lines.iter().enumerate() {
            let Line::Write(write) = line else { continue };
            if write.space != space {
                continue;
            }
            let rank = write.version.as_deref().map(one).transpose()?;
            let known = Known { write: write.clone(), rank, answered: rank.is_some(), ..Known::default() };
            let id = register.add(known)?;
            register.lines.insert(at, id);
            if let Some(dot) = write.dot.as_ref().filter(|_| write.durable)
                && let Some(other) = dots.insert(dot.clone(), id)
            {
                return Alarm::raise(Kind::DotReused, format!("{dot} is w{other} and w{id}"));
            }
        }
        for line in lines {
            if let Line::Read(read) = line
                && read.space == space
            {
                read.seen.iter().try_for_each(|seen| register.learn(seen))?;
            }
        }
        register.sort();
        Ok(register)
    }

    fn add(&mut self, known: Known) -> Result<WriteId, Alarm> {
        let id = self.all.len();
        if let Some(rank) = known.rank
            && let Some(other) = self.ranks.insert(rank, id)
        {
            return Alarm::raise(Kind::DotReused, format!("w{other} and w{id} have the same version"));
        }
        for key in known.write.keys.keys() {
            self.by_key.entry(key.clone()).or_default().push(id);
        }
        self.all.push(known);
        Ok(id)
    }

    /// A value tells whose version it has.
    fn learn(&mut self, seen: &Seen) -> Result<(), Alarm> {
        let (Some(version), Some(value)) = (&seen.version, &seen.value) else { return Ok(()) };
        let rank = one(version.split('+').next().unwrap_or_default())?;
        if self.ranks.contains_key(&rank) {
            return Ok(());
        }
        let writers = self.by_key.get(&seen.key).cloned().unwrap_or_default();
        let wrote = |id: &&WriteId| self.all[**id].write.keys.get(&seen.key) == Some(value);
        let Some(writer) = writers.iter().find(wrote).copied() else {
            let text = format!("{} of {} has a value that nobody wrote", version, seen.key);
            return Alarm::raise(Kind::Answer, text);
        };
        if self.all[writer].rank.is_none() {
            self.all[writer].rank = Some(rank);
            self.ranks.insert(rank, writer);
            return Ok(());
        }
        let mut write = Write { keys: [(seen.key.clone(), value.clone())].into(), ..Write::default() };
        write.ends.extend(self.ends(writer, &seen.key).then(|| seen.key.clone()));
        self.add(Known { write, rank: Some(rank), again: Some(writer), ..Known::default() }).map(drop)
    }

    fn sort(&mut self) {
        for writes in self.by_key.values_mut() {
            writes.sort_by_key(|id| std::cmp::Reverse(self.all[*id].rank));
        }
    }

    /// The write of a line.
    #[must_use]
    pub fn of_line(&self, line: usize) -> Option<WriteId> {
        self.lines.get(&line).copied()
    }

    /// The writes that a version names, as far as they are known; the winner, which comes first, must be.
    pub fn named(&self, version: &str) -> Result<Vec<WriteId>, Alarm> {
        let ranks = version.split('+').map(one).collect::<Result<Vec<_>, _>>()?;
        let known: Vec<_> = ranks.iter().filter_map(|rank| self.ranks.get(rank).copied()).collect();
        match ranks.first().is_some_and(|first| self.ranks.contains_key(first)) {
            true => Ok(known),
            false => Alarm::raise(Kind::Answer, format!("the version {version} names no known write")),
        }
    }

    /// Of the writes in `set`, the one of a key that arbitration puts first.
    #[must_use]
    pub fn greatest(&self, key: &str, set: &Set) -> Option<WriteId> {
        let ranked = |id: &&WriteId| set.contains(**id) && self.all[**id].rank.is_some();
        self.by_key.get(key)?.iter().find(ranked).copied()
    }

    /// Whether a write may leave a key without a value.
    #[must_use]
    pub fn may_hide(&self, id: WriteId, key: &str) -> bool {
        self.all[id].write.keys.get(key).is_none_or(Value::is_null) || self.ends(id, key)
    }

    fn ends(&self, id: WriteId, key: &str) -> bool {
        self.all[id].write.ends.iter().any(|end| end == key)
    }

    /// Whether a key may show nothing where a write of `rank` is held: it, or a later one, may have taken the value away.
    #[must_use]
    pub fn may_be_gone(&self, key: &str, rank: Option<Rank>) -> bool {
        let later = |id: &WriteId| self.all[*id].rank.is_none() || self.all[*id].rank >= rank;
        let writes = self.by_key.get(key).map_or(&[][..], Vec::as_slice);
        rank.is_none() || writes.iter().any(|id| later(id) && self.may_hide(*id, key))
    }

    /// Adds to `past` a write and all that it follows.
    pub fn follow(&self, past: &mut Set, writes: &Set) {
        past.join(writes);
        writes.iter().for_each(|id| past.join(&self.all[id].past));
    }
}

/// The place of one write, from its version.
fn one(version: &str) -> Result<Rank, Alarm> {
    let parts = || {
        let (clock, replica) = version.split_once('.')?;
        let hlc = Hlc::from_bits(u64::from_str_radix(clock, 16).ok()?);
        Some((hlc, replica.parse::<ReplicaId>().ok()?))
    };
    parts().map_or_else(|| Alarm::raise(Kind::Answer, format!("{version} is no version")), Ok)
}
