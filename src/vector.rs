//! Version vectors: what a replica holds, what a session depends on.
//!
//! Invariant: entries are sorted by replica id, one an id, none is zero. So equal vectors are equal values and have equal
//! bytes. Vectors that name the same ids share one list of them (`ids`).
//!
//! Sources: Parker et al., *Detection of Mutual Inconsistency*, 1983; Preguiça et al., *Dotted Version Vectors*, 2012.

pub(crate) mod ids;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use self::ids::IdList;
use crate::id::{Dot, ReplicaId};

/// So many entries are joined one by one: to walk through a long vector for them would cost more.
const FEW: usize = 4;

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
    /// Whose the sequences are; nothing where there is none.
    ids: Option<Arc<IdList>>,
    sequences: Vec<u64>,
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
        Self { ids: None, sequences: Vec::new() }
    }

    /// Of ids that ascend and as many sequences, none of which may be 0; nothing if they are not as many.
    pub(crate) fn of(ids: Option<Arc<IdList>>, sequences: Vec<u64>) -> Option<Self> {
        let count = ids.as_ref().map_or(0, |ids| ids.len());
        (count == sequences.len()).then_some(Self { ids, sequences })
    }

    /// The same of sequences that were counted as they were read. Nothing is asked of it, so that it is made where it goes.
    pub(crate) const fn of_as_many(ids: Arc<IdList>, sequences: Vec<u64>) -> Self {
        Self { ids: Some(ids), sequences }
    }

    /// The ids, where there is one, for who writes or reads them in one piece.
    pub(crate) const fn ids(&self) -> Option<&Arc<IdList>> {
        self.ids.as_ref()
    }

    /// The sequences in the order of ids.
    pub(crate) fn sequences(&self) -> &[u64] {
        &self.sequences
    }

    fn list(&self) -> &[ReplicaId] {
        self.ids.as_ref().map_or(&[], |ids| ids.list())
    }

    /// Whether both name the same replicas, as far as that is seen at a glance.
    fn is_beside(&self, other: &Self) -> bool {
        matches!((&self.ids, &other.ids), (Some(ids), Some(others)) if Arc::ptr_eq(ids, others))
    }

    /// The sequence of `replica`, 0 if none.
    #[must_use]
    pub fn get(&self, replica: ReplicaId) -> u64 {
        let place = self.ids.as_ref().and_then(|ids| ids.place(replica));
        place.and_then(|at| self.sequences.get(at)).copied().unwrap_or(0)
    }

    /// Whether the write `dot` is in the past that this vector names.
    #[must_use]
    pub fn contains(&self, dot: Dot) -> bool {
        self.get(dot.replica) >= dot.sequence
    }

    /// Raises the entry of the dot's replica to the dot's sequence; never lowers it.
    #[inline(never)]
    pub fn advance(&mut self, dot: Dot) {
        if dot.sequence == 0 {
            return;
        }
        match self.find(dot.replica) {
            Ok(at) => self.raise(at, dot.sequence),
            Err(at) => {
                match &mut self.ids {
                    Some(ids) => IdList::insert(ids, at, dot.replica),
                    none => *none = IdList::new(alloc::vec![dot.replica]),
                }
                self.sequences.insert(at, dot.sequence);
            }
        }
    }

    fn raise(&mut self, at: usize, sequence: u64) {
        if let Some(held) = self.sequences.get_mut(at) {
            *held = (*held).max(sequence);
        }
    }

    /// Lowers the entry of `replica` to at most `sequence`; at 0 it goes.
    pub fn cap(&mut self, replica: ReplicaId, sequence: u64) {
        let Ok(at) = self.find(replica) else { return };
        if sequence > 0 {
            self.sequences.iter_mut().skip(at).take(1).for_each(|held| *held = (*held).min(sequence));
            return;
        }
        self.sequences.remove(at);
        if self.sequences.is_empty() {
            self.ids = None;
        } else if let Some(ids) = &mut self.ids {
            IdList::remove(ids, at);
        }
    }

    /// Joins `other` into this vector: the pointwise maximum, in time linear in both.
    #[inline(never)]
    pub fn join(&mut self, other: &Self) {
        if self.is_empty() {
            self.clone_from(other);
        } else if self.is_beside(other) {
            self.sequences.iter_mut().zip(&other.sequences).for_each(|(held, theirs)| *held = (*held).max(*theirs));
        } else if other.len() <= FEW {
            other.iter().for_each(|(replica, sequence)| self.advance(Dot::new(replica, sequence)));
        } else {
            let strangers = self.join_known(other);
            if !strangers.is_empty() {
                self.add(&strangers);
            }
        }
    }

    /// Joins what `other` says of the replicas that are named here, and answers the rest of it.
    fn join_known(&mut self, other: &Self) -> Vec<(ReplicaId, u64)> {
        let mut strangers = Vec::new();
        let ids = self.ids.as_ref().map_or(&[][..], |ids| ids.list());
        let mut own = ids.iter().zip(&mut self.sequences);
        let mut next = own.next();
        for (replica, theirs) in other.list().iter().zip(&other.sequences) {
            loop {
                match next {
                    Some((id, held)) if id.near_eq(replica) => {
                        *held = (*held).max(*theirs);
                        next = own.next();
                    }
                    Some((id, _)) if id < replica => {
                        next = own.next();
                        continue;
                    }
                    stands => {
                        next = stands;
                        strangers.push((*replica, *theirs));
                    }
                }
                break;
            }
        }
        strangers
    }

    /// Adds entries that ascend, of replicas that are not named here.
    #[inline(never)]
    fn add(&mut self, strangers: &[(ReplicaId, u64)]) {
        let count = self.len() + strangers.len();
        let (mut ids, mut sequences) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut strangers = strangers.iter().copied().peekable();
        for (replica, sequence) in self.iter() {
            while let Some((stranger, theirs)) = strangers.next_if(|(stranger, _)| *stranger < replica) {
                ids.push(stranger);
                sequences.push(theirs);
            }
            ids.push(replica);
            sequences.push(sequence);
        }
        for (stranger, theirs) in strangers {
            ids.push(stranger);
            sequences.push(theirs);
        }
        (self.ids, self.sequences) = (IdList::new(ids), sequences);
    }

    /// Whether everything in `other` is in this vector: `self ≥ other`.
    #[must_use]
    pub fn dominates(&self, other: &Self) -> bool {
        if self.is_beside(other) {
            return self.sequences.iter().zip(&other.sequences).all(|(held, theirs)| held >= theirs);
        }
        self.len() >= other.len() && self.gaps(other).next().is_none()
    }

    /// What this vector lacks of `needed`, in the order of ids. Linear in both.
    pub fn gaps<'a>(&'a self, needed: &'a Self) -> impl Iterator<Item = Gap> + 'a {
        let mut mine = self.iter().peekable();
        needed.iter().filter_map(move |(replica, need)| {
            while mine.next_if(|(id, _)| *id < replica).is_some() {}
            let have = mine.peek().filter(|(id, _)| id.near_eq(&replica)).map_or(0, |(_, sequence)| *sequence);
            (have < need).then_some(Gap { replica, have, need })
        })
    }

    /// The entries in the order of ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (ReplicaId, u64)> + '_ {
        self.list().iter().copied().zip(self.sequences.iter().copied())
    }

    /// The number of replicas named.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.sequences.len()
    }

    /// Whether no replica is named.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    fn find(&self, replica: ReplicaId) -> Result<usize, usize> {
        self.list().binary_search(&replica)
    }
}

/// A vector that is asked for dots of which many in a row have one origin: it is looked for when it changes.
#[derive(Debug)]
pub(crate) struct Near<'a> {
    vector: &'a VersionVector,
    /// What was looked up last, and before that: where two write the same keys their dots take turns.
    last: Option<(ReplicaId, u64)>,
    before: Option<(ReplicaId, u64)>,
}

impl<'a> Near<'a> {
    pub(crate) const fn new(vector: &'a VersionVector) -> Self {
        Self { vector, last: None, before: None }
    }

    /// As [`VersionVector::contains`], of an origin's write of this sequence.
    #[inline(never)]
    pub(crate) fn has(&mut self, origin: &ReplicaId, sequence: u64) -> bool {
        self.reach(origin) >= sequence
    }

    /// Up to which sequence of an origin it is.
    #[inline]
    pub(crate) fn reach(&mut self, origin: &ReplicaId) -> u64 {
        match &self.last {
            Some((replica, held)) if replica.near_eq(origin) => *held,
            Some(_) | None => self.look_up(origin),
        }
    }

    #[inline(never)]
    fn look_up(&mut self, origin: &ReplicaId) -> u64 {
        match &self.before {
            Some((replica, held)) if replica == origin => *held,
            Some(_) | None => {
                let held = self.vector.get(*origin);
                self.before = self.last.replace((*origin, held));
                held
            }
        }
    }
}

/// A vector in the making. Apart from whatever iterator brings the entries, so that the module has it once.
#[derive(Default)]
struct Making {
    ids: Vec<ReplicaId>,
    sequences: Vec<u64>,
    /// Those that did not come in order.
    others: Vec<Dot>,
}

impl Making {
    #[inline(never)]
    fn put(&mut self, replica: ReplicaId, sequence: u64) {
        // Mostly in order already; and sorting code is the largest part of a small module.
        if self.ids.last().is_some_and(|last| *last >= replica) {
            self.others.push(Dot::new(replica, sequence));
        } else if sequence > 0 {
            self.ids.push(replica);
            self.sequences.push(sequence);
        }
    }

    #[inline(never)]
    fn finish(self) -> VersionVector {
        let ids = IdList::new(self.ids);
        let mut vector = VersionVector { ids, sequences: self.sequences };
        self.others.into_iter().for_each(|dot| vector.advance(dot));
        vector
    }
}

impl FromIterator<(ReplicaId, u64)> for VersionVector {
    fn from_iter<I: IntoIterator<Item = (ReplicaId, u64)>>(entries: I) -> Self {
        let mut making = Making::default();
        entries.into_iter().for_each(|(replica, sequence)| making.put(replica, sequence));
        making.finish()
    }
}

impl PartialOrd for VersionVector {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let (mut ahead, mut behind) = (false, false);
        let mut own = self.list().iter().zip(&self.sequences);
        let mut others = other.list().iter().zip(&other.sequences);
        let (mut one, mut two) = (own.next(), others.next());
        // Once each has what the other lacks, the rest need not be looked at.
        while !(ahead && behind) {
            match (one, two) {
                (Some((left, held)), Some((right, theirs))) if left.near_eq(right) => {
                    ahead |= held > theirs;
                    behind |= held < theirs;
                    (one, two) = (own.next(), others.next());
                }
                (Some((left, _)), right) if right.is_none_or(|(right, _)| left < right) => {
                    ahead = true;
                    one = own.next();
                }
                (_, Some(_)) => {
                    behind = true;
                    two = others.next();
                }
                (_, None) => break,
            }
        }
        match (ahead, behind) {
            (false, false) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (true, true) => None,
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
