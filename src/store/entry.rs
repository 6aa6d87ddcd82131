//! What a key holds: entries, their values, and the live set in arbitration order.
//!
//! Invariant: a live set has no two entries of one dot and lists its winner first; entries are ordered by
//! `(hlc, replica id)`, which is total, so that equal sets are equal lists. Knows nothing of vectors or spaces.

mod author;
pub(crate) mod key;
pub(crate) mod piece;
mod text;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub(crate) use self::author::{Author, Authors, Ending};
pub use self::key::Key;
use self::piece::Piece;
pub use self::text::Text;
use crate::id::{Dot, ReplicaId, SessionId, TEXT_MAX};
use crate::mutant::{Mutant, off};
use crate::time::{Hlc, Millis};

/// The hexadecimal digits of a clock in a version.
const CLOCK_DIGITS: usize = 16;

/// What an entry holds. The core never looks into a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// Nothing: the key was deleted.
    Tombstone,
    /// A plain string.
    Text(Text),
    /// A JSON text (RFC 8259), as the host serialized it.
    Json(Text),
    /// Bytes.
    Bytes(Arc<[u8]>),
}

impl Content {
    /// The length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Tombstone => 0,
            Self::Text(text) | Self::Json(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// The length of a text, where it is not empty and may be a piece of a block that has others.
    #[inline(always)]
    pub(crate) const fn short_len(&self) -> Option<usize> {
        match self {
            Self::Text(text) | Self::Json(text) => text.piece.short_len(),
            Self::Tombstone | Self::Bytes(_) => None,
        }
    }

    /// Whether the content has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The piece that its text is.
    pub(crate) const fn piece_mut(&mut self) -> Option<&mut Piece> {
        match self {
            Self::Text(text) | Self::Json(text) => Some(&mut text.piece),
            Self::Tombstone | Self::Bytes(_) => None,
        }
    }
}

/// One write of one key, as replicas hold it. The key itself is the map's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataEntry {
    /// The value, or the mark of its deletion.
    pub content: Content,
    /// When it was made; decides between siblings.
    pub hlc: Hlc,
    sequence: u64,
    /// Who made it, and when it ends.
    author: Arc<Author>,
}

impl DataEntry {
    /// The entry of the write `dot`, which `session` made, if one did. From `expires_at` on, in milliseconds since 1970 (cut to
    /// [`MILLIS_MAX`](crate::time::MILLIS_MAX)), it is a tombstone that keeps its dot and clock.
    #[must_use]
    pub fn new(content: Content, dot: Dot, hlc: Hlc, session: Option<SessionId>, expires_at: Option<Millis>) -> Self {
        let author = Author::new(dot.replica, session);
        let author = if let Some(end) = expires_at { author.until(end) } else { author };
        Self::by(Arc::new(author), dot.sequence, hlc, content)
    }

    /// As [`DataEntry::new`], of an author who may have made others, and tells when it ends.
    pub(crate) const fn by(author: Arc<Author>, sequence: u64, hlc: Hlc, content: Content) -> Self {
        Self { content, hlc, sequence, author }
    }

    /// The same, made by another write.
    #[must_use]
    pub fn with_dot(self, dot: Dot) -> Self {
        let author = Arc::new(self.author.at(dot.replica));
        Self { author, sequence: dot.sequence, ..self }
    }

    /// The write that made it.
    #[must_use]
    pub fn dot(&self) -> Dot {
        Dot::new(self.author.replica, self.sequence)
    }

    /// Who accepted the write that made it.
    pub(crate) fn origin(&self) -> &ReplicaId {
        &self.author.replica
    }

    /// Which one of its origin's writes made it.
    pub(crate) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether this is the write that made it.
    pub(crate) fn is_of(&self, dot: Dot) -> bool {
        self.sequence == dot.sequence && self.author.replica == dot.replica
    }

    /// The session that wrote it, if one did.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        self.author.session
    }

    /// When it ends, in milliseconds since 1970; from then on it is a tombstone that keeps its dot and clock.
    #[must_use]
    pub fn expires_at(&self) -> Option<Millis> {
        self.author.ends()
    }

    /// Whether it does not end.
    pub(crate) fn is_endless(&self) -> bool {
        self.author.is_endless()
    }

    /// Whether both have one author, for sure: two authors may be alike.
    pub(crate) fn has_author_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.author, &other.author)
    }

    /// Who made it.
    pub(crate) const fn author(&self) -> &Arc<Author> {
        &self.author
    }

    /// Whether this is its author, for sure.
    pub(crate) fn is_by(&self, author: &Arc<Author>) -> bool {
        Arc::ptr_eq(&self.author, author)
    }

    /// Lets it share its author with the entries that `authors` has given theirs.
    pub(crate) fn share_author(&mut self, authors: &mut Authors) {
        self.author = match self.author.ends() {
            None => authors.of(self.author.replica, self.author.session),
            Some(end) => authors.ending.until(&self.author, end),
        };
    }

    /// Whether it wins over another one, as [`DataEntry::rank`] has it.
    #[inline(always)]
    fn outranks(&self, other: &Self) -> bool {
        let same = self.hlc == other.hlc;
        if same { self.author.replica > other.author.replica } else { self.hlc > other.hlc }
    }

    /// The place in arbitration: the greater one wins.
    #[must_use]
    pub fn rank(&self) -> (Hlc, ReplicaId) {
        (self.hlc, self.author.replica)
    }

    /// The version of a live set that is this entry alone: its clock, in a width that compares as text, and its origin.
    #[must_use]
    pub fn version(&self) -> String {
        let mut version = String::new();
        self.append_version(&mut version);
        version
    }

    /// By hand: every write and every change has one.
    fn append_version(&self, version: &mut String) {
        version.reserve(CLOCK_DIGITS + 1 + TEXT_MAX);
        let mut digits = [0; CLOCK_DIGITS];
        let mut clock = self.hlc.to_bits();
        for digit in digits.iter_mut().rev() {
            let value = (clock & 15) as u8;
            *digit = if value < 10 { b'0' + value } else { b'a' - 10 + value };
            clock >>= 4;
        }
        version.push_str(core::str::from_utf8(&digits).unwrap_or_default());
        version.push('.');
        self.author.replica.append_to(version);
    }

    /// Bytes of the value, for the limits.
    pub(crate) fn bytes(&self) -> u64 {
        self.content.len() as u64 + ENTRY_OVERHEAD
    }

    /// Whether the entry shows nothing at the time `at`: a tombstone, or expired.
    #[must_use]
    pub fn is_gone(&self, at: Millis) -> bool {
        matches!(self.content, Content::Tombstone) || self.expires_at().is_some_and(|end| end <= at)
    }
}

/// The entries of one key that did not see each other, the winner first. Usually one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LiveSet {
    entries: Entries,
}

/// One is the rule, and needs no list of its own. Invariant: a list has at least two.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
enum Entries {
    #[default]
    None,
    One(DataEntry),
    Several(Vec<DataEntry>),
}

impl LiveSet {
    /// The set of this entry alone.
    pub(crate) const fn of(entry: DataEntry) -> Self {
        Self { entries: Entries::One(entry) }
    }

    /// The entries, the winner first.
    #[must_use]
    pub fn entries(&self) -> &[DataEntry] {
        match &self.entries {
            Entries::None => &[],
            Entries::One(entry) => core::slice::from_ref(entry),
            Entries::Several(entries) => entries,
        }
    }

    /// The entry with the greatest `(hlc, replica id)`.
    #[must_use]
    pub fn winner(&self) -> Option<&DataEntry> {
        self.entries().first()
    }

    /// The winner, unless it is a tombstone or has expired by `at`: then it masks its siblings and nothing shows.
    #[must_use]
    pub fn shown(&self, at: Millis) -> Option<&DataEntry> {
        if off(Mutant::ExpiryMask) {
            let over = |entry: &&DataEntry| entry.expires_at().is_some_and(|end| end <= at);
            return self.entries().iter().find(|entry| !over(entry)).filter(|entry| !entry.is_gone(at));
        }
        self.winner().filter(|entry| !entry.is_gone(at))
    }

    /// The entries that show at `at`: none if the winner is gone, else all that are not gone themselves.
    pub fn siblings(&self, at: Millis) -> impl Iterator<Item = &DataEntry> {
        let masked = self.shown(at).is_none();
        self.entries().iter().filter(move |entry| !masked && !entry.is_gone(at))
    }

    /// Whether the entry of `dot` is here.
    #[must_use]
    pub fn has(&self, dot: Dot) -> bool {
        self.entries().iter().any(|entry| entry.is_of(dot))
    }

    /// Its entry, if it has one and no other.
    #[inline(always)]
    pub(crate) const fn only(&self) -> Option<&DataEntry> {
        if let Entries::One(entry) = &self.entries { Some(entry) } else { None }
    }

    /// Its entries in the order of these two, if they are two, and of the same authors, for sure.
    #[inline(always)]
    pub(crate) fn pair_of<'a>(&'a self, authors: [&DataEntry; 2]) -> Option<[&'a DataEntry; 2]> {
        let Entries::Several(entries) = &self.entries else { return None };
        let ([one, other], [first, second]) = (entries.as_slice(), authors) else { return None };
        let [one, other] = if one.has_author_of(first) { [one, other] } else { [other, one] };
        (one.has_author_of(first) && other.has_author_of(second)).then_some([one, other])
    }

    /// Puts an entry in its place.
    pub(crate) fn insert(&mut self, entry: DataEntry) {
        match &mut self.entries {
            Entries::None => self.entries = Entries::One(entry),
            Entries::One(_) => self.join(entry),
            Entries::Several(entries) => {
                let at = entries.partition_point(|held| held.outranks(&entry));
                entries.insert(at, entry);
            }
        }
    }

    /// Puts an entry beside the only one.
    #[inline(always)]
    pub(crate) fn join(&mut self, entry: DataEntry) {
        if let Entries::One(only) = core::mem::take(&mut self.entries) {
            let both = if entry.outranks(&only) { alloc::vec![entry, only] } else { alloc::vec![only, entry] };
            // None is there any more, which is not seen otherwise.
            core::mem::forget(core::mem::replace(&mut self.entries, Entries::Several(both)));
        }
    }

    /// Takes out the entries that `goes` names and hands each to `gone`.
    pub(crate) fn remove(&mut self, mut goes: impl FnMut(&DataEntry) -> bool, mut gone: impl FnMut(&DataEntry)) {
        let mut out = |entry: &DataEntry| {
            let out = goes(entry);
            if out {
                gone(entry);
            }
            out
        };
        match &mut self.entries {
            Entries::None => {}
            Entries::One(only) => {
                if out(only) {
                    self.entries = Entries::None;
                }
            }
            Entries::Several(entries) => {
                entries.retain(|entry| !out(entry));
                if entries.len() < 2 {
                    self.entries = entries.pop().map_or(Entries::None, Entries::One);
                }
            }
        }
    }

    /// The version: names every entry of the set, so that a check refuses when a sibling has arrived unseen. Compares
    /// as text in the order of arbitration, the winner's first.
    #[must_use]
    pub fn version(&self) -> String {
        let mut version = String::new();
        for (at, entry) in self.entries().iter().enumerate() {
            if at > 0 {
                version.push('+');
            }
            entry.append_version(&mut version);
        }
        version
    }

    /// Bytes of values, for the limits.
    pub(crate) fn bytes(&self) -> u64 {
        self.entries().iter().map(DataEntry::bytes).sum()
    }

    /// The pieces that its texts are.
    pub(crate) fn pieces_mut(&mut self) -> impl Iterator<Item = &mut Piece> {
        let entries = match &mut self.entries {
            Entries::None => &mut [],
            Entries::One(entry) => core::slice::from_mut(entry),
            Entries::Several(entries) => entries,
        };
        entries.iter_mut().filter_map(|entry| entry.content.piece_mut())
    }

    /// Whether no entry is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self.entries, Entries::None)
    }
}

/// What an entry takes beside its value, in bytes, as the limits count it.
pub(crate) const ENTRY_OVERHEAD: u64 = 64;
