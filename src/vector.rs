//! Version vectors: what a replica holds, what a session depends on.
//!
//! Invariant: entries are sorted by replica id, one an id, none is zero; so equal vectors are equal values and give
//! equal bytes. Sources: Parker et al., *Detection of Mutual Inconsistency*, 1983; Preguiça et al., *Dotted Version
//! Vectors*, 2012.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use crate::id::{Dot, ReplicaId};

/// A map from replica id to the highest contiguous sequence applied; an id that is not listed stands at 0.
///
/// `PartialOrd` is the causal order: `a <= b` exactly if everything in `a` is in `b`, and concurrent vectors do not
/// compare. Prints as `<a:3, b:1>`.
///
/// ```
/// use edge_session::{id::{Dot, ReplicaId}, vector::VersionVector};
/// let a = ReplicaId::new("a", [0; 10])?;
/// let b = ReplicaId::new("b", [0; 10])?;
/// let mut left = VersionVector::from_iter([(a, 3)]);
/// let right = VersionVector::from_iter([(a, 1), (b, 1)]);
/// assert_eq!(left.partial_cmp(&right), None); // concurrent
/// left.join(&right);
/// assert!(left.dominates(&right) && left.contains(Dot::new(a, 2)));
/// # Ok::<(), edge_session::error::SessionError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default, Hash)]
pub struct VersionVector {
    entries: Vec<(ReplicaId, u64)>,
}

/// One thing that a vector lacks: it stands at `have` for `replica`, and `need` is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gap {
    /// Whose writes are missing.
    pub replica: ReplicaId,
    /// The sequence up to which they are held.
    pub have: u64,
    /// The sequence up to which they are needed.
    pub need: u64,
}

impl VersionVector {
    /// The empty vector: nothing is held, nothing is asked for.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// An empty vector with room for so many entries.
    pub(crate) fn with_capacity(entries: usize) -> Self {
        Self { entries: Vec::with_capacity(entries) }
    }

    /// Adds an entry behind all others; false, and nothing is done, if its place is not there or its sequence is 0.
    pub(crate) fn append(&mut self, dot: Dot) -> bool {
        let follows = dot.sequence > 0 && self.entries.last().is_none_or(|(last, _)| *last < dot.replica);
        if follows {
            self.entries.push((dot.replica, dot.sequence));
        }
        follows
    }

    /// The sequence of `replica`, 0 if none.
    #[must_use]
    pub fn get(&self, replica: ReplicaId) -> u64 {
        match self.find(replica) {
            Ok(at) => self.entries.get(at).map_or(0, |(_, sequence)| *sequence),
            Err(_) => 0,
        }
    }

    /// Whether the write `dot` is in the past that this vector names.
    #[must_use]
    pub fn contains(&self, dot: Dot) -> bool {
        self.get(dot.replica) >= dot.sequence
    }

    /// Raises the entry of the dot's replica to the dot's sequence; never lowers it.
    pub fn advance(&mut self, dot: Dot) {
        if dot.sequence == 0 {
            return;
        }
        match self.find(dot.replica) {
            Ok(at) => {
                if let Some((_, sequence)) = self.entries.get_mut(at) {
                    *sequence = (*sequence).max(dot.sequence);
                }
            }
            Err(at) => self.entries.insert(at, (dot.replica, dot.sequence)),
        }
    }

    /// Lowers the entry of `replica` to at most `sequence`; at 0 it goes.
    pub fn cap(&mut self, replica: ReplicaId, sequence: u64) {
        if let Ok(at) = self.find(replica) {
            if sequence == 0 {
                self.entries.remove(at);
            } else if let Some((_, held)) = self.entries.get_mut(at) {
                *held = (*held).min(sequence);
            }
        }
    }

    /// Joins `other` into this vector: the pointwise maximum, in time linear in both.
    pub fn join(&mut self, other: &Self) {
        if other.entries.len() <= 4 {
            for (replica, sequence) in other.iter() {
                self.advance(Dot::new(replica, sequence));
            }
            return;
        }
        let mine = core::mem::take(&mut self.entries);
        self.entries.reserve(mine.len().max(other.entries.len()));
        let mut left = mine.into_iter().peekable();
        let mut right = other.entries.iter().copied().peekable();
        while let (Some(l), Some(r)) = (left.peek().copied(), right.peek().copied()) {
            let least = l.0.min(r.0);
            let mut sequence = 0;
            if l.0 == least {
                sequence = l.1;
                left.next();
            }
            if r.0 == least {
                sequence = sequence.max(r.1);
                right.next();
            }
            self.entries.push((least, sequence));
        }
        self.entries.extend(left);
        self.entries.extend(right);
    }

    /// Whether everything in `other` is in this vector: `self ≥ other`.
    #[must_use]
    pub fn dominates(&self, other: &Self) -> bool {
        self.gaps(other).next().is_none()
    }

    /// What this vector lacks of `needed`, in the order of ids. Linear in both.
    pub fn gaps<'a>(&'a self, needed: &'a Self) -> impl Iterator<Item = Gap> + 'a {
        let mut mine = self.entries.iter().copied().peekable();
        needed.entries.iter().filter_map(move |&(replica, need)| {
            while mine.next_if(|(id, _)| *id < replica).is_some() {}
            let have = mine.peek().filter(|(id, _)| *id == replica).map_or(0, |(_, sequence)| *sequence);
            (have < need).then_some(Gap { replica, have, need })
        })
    }

    /// The entries in the order of ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (ReplicaId, u64)> + '_ {
        self.entries.iter().copied()
    }

    /// The number of replicas named.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no replica is named.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn find(&self, replica: ReplicaId) -> Result<usize, usize> {
        self.entries.binary_search_by(|(id, _)| id.cmp(&replica))
    }
}

/// A vector that is asked for dots of which many in a row have one origin: it is looked for when it changes.
#[derive(Debug)]
pub(crate) struct Near<'a> {
    vector: &'a VersionVector,
    last: Option<(ReplicaId, u64)>,
}

impl<'a> Near<'a> {
    pub(crate) const fn new(vector: &'a VersionVector) -> Self {
        Self { vector, last: None }
    }

    /// As [`VersionVector::contains`].
    pub(crate) fn contains(&mut self, dot: Dot) -> bool {
        let held = match self.last {
            Some((replica, held)) if replica == dot.replica => held,
            Some(_) | None => {
                let held = self.vector.get(dot.replica);
                self.last = Some((dot.replica, held));
                held
            }
        };
        held >= dot.sequence
    }
}

impl FromIterator<(ReplicaId, u64)> for VersionVector {
    fn from_iter<I: IntoIterator<Item = (ReplicaId, u64)>>(entries: I) -> Self {
        let mut vector = Self::new();
        for (replica, sequence) in entries {
            // Mostly in order already; and sorting code is the largest part of a small module.
            match vector.entries.last() {
                Some((last, _)) if *last >= replica => vector.advance(Dot::new(replica, sequence)),
                Some(_) | None if sequence > 0 => vector.entries.push((replica, sequence)),
                Some(_) | None => {}
            }
        }
        vector
    }
}

impl PartialOrd for VersionVector {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.dominates(other), other.dominates(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }
}

impl fmt::Display for VersionVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<")?;
        for (at, (replica, sequence)) in self.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{}:{sequence}", replica.label())?;
        }
        f.write_str(">")
    }
}

impl fmt::Debug for VersionVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
