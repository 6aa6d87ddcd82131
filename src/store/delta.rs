//! The delta: what a replica sends, journals and snapshots, and its bytes.
//!
//! A delta since `from` names, for each key touched by a dot not in `from`, the key's *full* live set; entries that
//! the receiver knows come as bare dots. Invariant: a delta that was read from bytes is well formed in itself (keys
//! ascend, full entries lie in `to`, bare dots in `from`); whether it applies is the space's to decide.
//! Source: delta-state CRDTs, Almeida et al., 2018; the optimized OR-set, Bieniusa et al., 2012.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;

use crate::codec::{Reader, Writer};
use crate::error::SessionError;
use crate::id::{Dot, Space};
use crate::store::entry::{Author, Authors, Content, DataEntry, ENTRY_OVERHEAD, LiveSet};
use crate::store::keys::{Decoded, decode_keys, encode_held, encode_keys};
pub use crate::store::parts::Keys;
use crate::store::slots::Held;
use crate::store::space::SpaceState;
use crate::time::{Hlc, MILLIS_MAX};
use crate::vector::{Near, VersionVector};

/// One member of a key's live set, as a delta lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Listed {
    /// An entry that the receiver may lack.
    Entry(DataEntry),
    /// An entry whose dot is in `from`: the receiver has it, or has seen it go.
    Known(Bare),
}

/// A dot by itself, in no more room than an entry has beside its value: what keys hold while they are read becomes a block of the table
/// where it lies.
#[derive(Clone, Debug)]
pub struct Bare {
    author: Arc<Author>,
    sequence: u64,
}

impl Bare {
    /// The write of this sequence that the author's replica accepted.
    pub(crate) const fn by(author: Arc<Author>, sequence: u64) -> Self {
        Self { author, sequence }
    }

    /// The dot of an entry.
    pub(crate) fn of(entry: &DataEntry) -> Self {
        Self::by(Arc::clone(entry.author()), entry.sequence())
    }

    /// The dot.
    #[must_use]
    pub fn dot(&self) -> Dot {
        Dot::new(self.author.replica, self.sequence)
    }

    /// Whether it is the dot of this entry.
    #[inline(always)]
    pub(crate) fn is_of(&self, entry: &DataEntry) -> bool {
        self.sequence == entry.sequence() && self.author.replica == *entry.origin()
    }
}

impl From<Dot> for Bare {
    fn from(Dot { replica, sequence }: Dot) -> Self {
        Self::by(Arc::new(Author::new(replica, None)), sequence)
    }
}

impl PartialEq for Bare {
    /// Whether both are one dot, whoever wrote it.
    fn eq(&self, other: &Self) -> bool {
        self.dot() == other.dot()
    }
}

impl Eq for Bare {}

impl Listed {
    /// The dot of the entry.
    #[must_use]
    pub fn dot(&self) -> Dot {
        match self {
            Self::Entry(entry) => entry.dot(),
            Self::Known(bare) => bare.dot(),
        }
    }

    /// Whether it is this entry, or stands for it.
    pub(crate) fn is(&self, entry: &DataEntry) -> bool {
        match self {
            Self::Entry(listed) => listed.sequence() == entry.sequence() && listed.origin() == entry.origin(),
            Self::Known(bare) => bare.is_of(entry),
        }
    }

    /// The entry, where it came in full.
    pub(crate) fn entry(self) -> Option<DataEntry> {
        match self {
            Self::Entry(entry) => Some(entry),
            Self::Known(_) => None,
        }
    }

    /// The entry, where it came in full.
    pub(crate) const fn full(&self) -> Option<&DataEntry> {
        match self {
            Self::Entry(entry) => Some(entry),
            Self::Known(_) => None,
        }
    }

    /// Bytes of the value, for the limits.
    pub(crate) fn bytes(&self) -> u64 {
        self.content().map_or(0, Content::len) as u64 + ENTRY_OVERHEAD
    }

    /// What the entry holds, where it came in full.
    #[must_use]
    pub const fn content(&self) -> Option<&Content> {
        match self {
            Self::Entry(entry) => Some(&entry.content),
            Self::Known(_) => None,
        }
    }
}

/// The full live set of a key, as a delta lists it. One member is the rule, and needs no list of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedSet(Members);

/// Invariant: a list never has one member.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Members {
    One(Listed),
    Several(Vec<Listed>),
}

impl ListedSet {
    /// The set of this member alone.
    pub(crate) const fn of(listed: Listed) -> Self {
        Self(Members::One(listed))
    }

    /// Its entry, where it has one member, which came in full.
    #[inline(always)]
    pub(crate) const fn only(&self) -> Option<&DataEntry> {
        if let Members::One(Listed::Entry(entry)) = &self.0 { Some(entry) } else { None }
    }

    /// The set of an entry that came in full, and maybe of a bare dot before it.
    #[inline(always)]
    pub(crate) fn of_one(entry: DataEntry, known: Option<Bare>) -> Self {
        let entry = Listed::Entry(entry);
        match known {
            None => Self::of(entry),
            Some(known) => Self(Members::Several(alloc::vec![Listed::Known(known), entry])),
        }
    }

    /// Its entry that came in full and the bare dot before it, if there is one; or all that it is, where it has others.
    #[inline(always)]
    pub(crate) fn into_one(self) -> Result<(DataEntry, Option<Bare>), Self> {
        match self.0 {
            Members::One(Listed::Entry(entry)) => Ok((entry, None)),
            Members::Several(mut several) if matches!(several.as_slice(), [Listed::Known(_), Listed::Entry(_)]) => {
                match (several.pop(), several.pop()) {
                    (Some(Listed::Entry(entry)), Some(Listed::Known(known))) => Ok((entry, Some(known))),
                    _ => Err(Self(Members::Several(several))),
                }
            }
            others @ (Members::One(_) | Members::Several(_)) => Err(Self(others)),
        }
    }

    /// The live set of the full entries that `comes` names.
    pub(crate) fn live(self, mut comes: impl FnMut(&DataEntry) -> bool) -> LiveSet {
        match self.0 {
            Members::One(Listed::Entry(entry)) if comes(&entry) => LiveSet::of(entry),
            Members::One(_) => LiveSet::default(),
            Members::Several(several) => {
                let mut live = LiveSet::default();
                let full = several.into_iter().filter_map(Listed::entry).filter(comes);
                full.for_each(|entry| live.insert(entry));
                live
            }
        }
    }

    /// The live set of all full entries.
    #[inline]
    pub(crate) fn all(self) -> LiveSet {
        if let Members::One(Listed::Entry(entry)) = self.0 { LiveSet::of(entry) } else { self.live(|_| true) }
    }

    /// The full entries, to be changed.
    pub(crate) fn entries_mut(&mut self) -> impl Iterator<Item = &mut DataEntry> {
        let members = match &mut self.0 {
            Members::One(listed) => core::slice::from_mut(listed),
            Members::Several(several) => several,
        };
        members.iter_mut().filter_map(|listed| match listed {
            Listed::Entry(entry) => Some(entry),
            Listed::Known(_) => None,
        })
    }

    /// Hands over the members, in their order.
    pub(crate) fn each(self, mut take: impl FnMut(Listed)) {
        match self.0 {
            Members::One(listed) => take(listed),
            Members::Several(several) => several.into_iter().for_each(take),
        }
    }
}

impl Deref for ListedSet {
    type Target = [Listed];

    fn deref(&self) -> &[Listed] {
        match &self.0 {
            Members::One(listed) => core::slice::from_ref(listed),
            Members::Several(several) => several,
        }
    }
}

impl From<Vec<Listed>> for ListedSet {
    fn from(mut several: Vec<Listed>) -> Self {
        let one = if several.len() == 1 { several.pop() } else { None };
        Self(one.map_or(Members::Several(several), Members::One))
    }
}

impl FromIterator<Listed> for ListedSet {
    fn from_iter<I: IntoIterator<Item = Listed>>(listed: I) -> Self {
        let mut listed = listed.into_iter();
        match (listed.next(), listed.next()) {
            (Some(one), None) => Self::of(one),
            (one, other) => Self(Members::Several(one.into_iter().chain(other).chain(listed).collect())),
        }
    }
}

impl<'a> IntoIterator for &'a ListedSet {
    type Item = &'a Listed;
    type IntoIter = core::slice::Iter<'a, Listed>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Everything that changed in a space between two vectors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delta {
    /// The space and its generation.
    pub space: Space,
    /// The vector since which this is; the receiver must dominate it.
    pub from: VersionVector,
    /// The sender's vector.
    pub to: VersionVector,
    /// The sender's clock, at least as great as every entry's.
    pub hlc: Hlc,
    /// The touched keys.
    pub keys: Keys,
}

impl Delta {
    /// Writes the delta: `space, generation, from, to, hlc, keys` (six items).
    pub fn encode(&self, writer: &mut Writer) {
        head(writer, &self.space, [&self.from, &self.to], self.hlc);
        encode_keys(writer, &self.keys, self.hlc);
    }

    /// Writes the delta since nothing as [`Delta::encode`] does, out of what is held: a snapshot need not be in memory twice.
    pub(crate) fn encode_all(writer: &mut Writer, space: &Space, state: &SpaceState, hlc: Hlc) {
        // Beside key and value an entry takes less than a third of what the limits count for it.
        let overhead = ENTRY_OVERHEAD * state.len() as u64 * 2 / 3;
        let room = state.bytes().saturating_sub(overhead) as usize;
        head(writer, space, [&VersionVector::new(), state.vector()], hlc);
        encode_held(writer, state.between_keys(None, None, 0..0), Lacks::new(&VersionVector::new()), hlc, room);
    }

    /// Reads what [`Delta::encode`] wrote.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED` if the bytes are damaged or contradict each other.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, SessionError> {
        let space = reader.space()?;
        let (from, to) = (reader.vector()?, reader.vector()?);
        let hlc = Hlc::from_bits(reader.u64()?);
        let decoded = decode_keys(reader, hlc)?;
        let keys = decoded.within(&from, &to, hlc)?;
        Ok(Self { space, from, to, hlc, keys })
    }
}

/// What somebody lacks who stands at a vector, for loops over entries: those of one author mostly follow each other.
pub(crate) struct Lacks<'v, 'a> {
    from: Near<'v>,
    last: Option<&'a DataEntry>,
    /// Up to which of the last one's origin he has all.
    held: u64,
}

impl<'v, 'a> Lacks<'v, 'a> {
    pub(crate) const fn new(from: &'v VersionVector) -> Self {
        Self { from: Near::new(from), last: None, held: 0 }
    }

    /// Whether he lacks this entry.
    #[inline(always)]
    pub(crate) fn lacks(&mut self, entry: &'a DataEntry) -> bool {
        entry.sequence() > self.held_by(entry)
    }

    /// Up to which sequence he has all of whom this entry is by.
    #[inline(always)]
    pub(crate) fn held_by(&mut self, entry: &'a DataEntry) -> u64 {
        if !self.last.is_some_and(|last| entry.has_author_of(last)) {
            self.turn_to(entry);
        }
        self.held
    }

    /// How many keys he lacks, one behind the other, until they weigh so much, of those that have one short text of one author, or two
    /// of two; and what they weigh.
    #[inline(never)]
    pub(crate) fn light(&mut self, held: &'a [Held], enough: u64) -> (usize, u64) {
        let first = match held.first().map(|held| held.set.entries()) {
            Some([only]) => only,
            Some([one, other]) => return self.light_pairs([one, other], held, enough),
            Some(_) | None => return (0, 0),
        };
        let (known, mut count, mut weight) = (self.held_by(first), 0, 0);
        for Held { key, set } in held {
            let Some(entry) = set.only().filter(|entry| entry.has_author_of(first) && entry.sequence() > known) else {
                break;
            };
            let (Some(name), Some(text)) = (key.piece.short_len(), entry.content.short_len()) else { break };
            if weight >= enough {
                break;
            }
            weight += (name + text) as u64 + ENTRY_OVERHEAD;
            count += 1;
        }
        (count, weight)
    }

    #[inline(never)]
    fn light_pairs(&mut self, authors: [&'a DataEntry; 2], held: &'a [Held], enough: u64) -> (usize, u64) {
        let (known, mut count, mut weight) = (authors.map(|author| self.held_by(author)), 0, 0);
        for Held { key, set } in held {
            let Some([one, other]) = set.pair_of(authors) else { break };
            let [first, second] = known;
            let lengths = (key.piece.short_len(), one.content.short_len(), other.content.short_len());
            let (Some(name), Some(text), Some(beside)) = lengths else { break };
            if weight >= enough || (one.sequence() <= first && other.sequence() <= second) {
                break;
            }
            weight += (name + text + beside) as u64 + 2 * ENTRY_OVERHEAD;
            count += 1;
        }
        (count, weight)
    }

    #[inline(never)]
    fn turn_to(&mut self, entry: &'a DataEntry) {
        (self.last, self.held) = (Some(entry), self.from.reach(entry.origin()));
    }

    /// Whether he lacks one of these.
    #[inline(never)]
    pub(crate) fn lacks_of(&mut self, entries: &'a [DataEntry]) -> bool {
        entries.iter().any(|entry| self.lacks(entry))
    }
}

/// A delta of fewer keys is one of many; of a larger one each author has been read once.
const FEW_KEYS: usize = 64;

impl Delta {
    /// Lets the entries of a small delta share their authors with those of others.
    pub(crate) fn share_authors(&mut self, authors: &mut Authors) {
        if self.keys.len() < FEW_KEYS {
            let entries = self.keys.sets_mut().flat_map(ListedSet::entries_mut);
            entries.for_each(|entry| entry.share_author(authors));
        }
    }
}

fn head(writer: &mut Writer, space: &Space, vectors: [&VersionVector; 2], hlc: Hlc) {
    writer.space(space);
    vectors.into_iter().for_each(|vector| writer.vector(vector));
    writer.u64(hlc.to_bits());
}

/// The greatest clock that is believed, and written with: bytes that hold a greater one are not read.
pub(crate) const HLC_MAX: Hlc = Hlc::from_bits((MILLIS_MAX - 86_400_000) << 16);

/// That an entry is not where its delta says that all are.
fn outside() -> SessionError {
    SessionError::malformed("an entry outside of its delta's vectors or clock")
}

impl Decoded {
    /// The keys, if full entries lie in `to` and at or below the clock, bare dots in `from`; or the
    /// bytes contradict each other.
    pub(crate) fn within(self, from: &VersionVector, to: &VersionVector, hlc: Hlc) -> Result<Keys, SessionError> {
        let lies = to.dominates(&self.full) && from.dominates(&self.known);
        if hlc <= HLC_MAX && self.latest <= hlc && lies { Ok(self.keys) } else { Err(outside()) }
    }
}
