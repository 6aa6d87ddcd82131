//! The delta: what a replica sends, journals and snapshots, and its bytes.
//!
//! A delta since `from` names, for each key touched by a dot not in `from`, the key's *full* live set; entries that
//! the receiver knows come as bare dots. Invariant: a delta that was read from bytes is well formed in itself (keys
//! ascend, full entries lie in `to`, bare dots in `from`); whether it applies is the space's to decide.
//! Source: delta-state CRDTs, Almeida et al., 2018; the optimized OR-set, Bieniusa et al., 2012.

use alloc::vec::Vec;

use crate::codec::{Reader, Writer};
use crate::error::SessionError;
use crate::id::{Dot, Space};
use crate::store::entry::{Content, DataEntry, ENTRY_OVERHEAD, Key};
use crate::store::keys::{decode_keys, encode_keys};
use crate::time::{Hlc, MILLIS_MAX};
use crate::vector::VersionVector;

/// One member of a key's live set, as a delta lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Listed {
    /// An entry that the receiver may lack.
    Entry(DataEntry),
    /// An entry whose dot is in `from`: the receiver has it, or has seen it go.
    Known(Dot),
}

impl Listed {
    /// The dot of the entry.
    #[must_use]
    pub const fn dot(&self) -> Dot {
        match self {
            Self::Entry(entry) => entry.dot,
            Self::Known(dot) => *dot,
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

/// The keys of a delta, ascending, each with its full live set.
pub type Keys = Vec<(Key, Vec<Listed>)>;

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
        writer.space(&self.space);
        writer.vector(&self.from);
        writer.vector(&self.to);
        writer.u64(self.hlc.to_bits());
        encode_keys(writer, &self.keys, self.hlc);
    }

    /// Reads what [`Delta::encode`] wrote.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED` if the bytes are damaged or contradict each other.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, SessionError> {
        let space = reader.space()?;
        let (from, to) = (reader.vector()?, reader.vector()?);
        let hlc = Hlc::from_bits(reader.u64()?);
        let keys = decode_keys(reader, hlc)?;
        check_keys(&keys, &from, Some(&to), hlc)?;
        Ok(Self { space, from, to, hlc, keys })
    }
}

/// The greatest clock that is believed, and written with: bytes that hold a greater one are not read.
pub(crate) const HLC_MAX: Hlc = Hlc::from_bits((MILLIS_MAX - 86_400_000) << 16);

/// Full entries lie in `to` (where it is known) and at or below the clock, bare dots in `from`; or the bytes
/// contradict each other.
pub(crate) fn check_keys(
    keys: &Keys,
    from: &VersionVector,
    to: Option<&VersionVector>,
    hlc: Hlc,
) -> Result<(), SessionError> {
    let sound = |listed: &Listed| match listed {
        Listed::Entry(entry) => to.is_none_or(|to| to.contains(entry.dot)) && entry.hlc <= hlc,
        Listed::Known(dot) => from.contains(*dot),
    };
    if hlc <= HLC_MAX && keys.iter().flat_map(|(_, set)| set).all(sound) {
        Ok(())
    } else {
        Err(SessionError::malformed("an entry outside of its delta's vectors or clock"))
    }
}
