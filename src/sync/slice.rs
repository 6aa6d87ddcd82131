//! A range of keys of a large delta, and its bytes.
//!
//! Invariant: a slice that was read from bytes lies after the key that it names, is sound in itself as a delta is, and only
//! the last one of a run may be empty.

use crate::codec::{Reader, Writer};
use crate::error::SessionError;
use crate::id::Space;
use crate::store::delta::{Keys, members};
use crate::store::entry::Key;
use crate::store::keys::{decode_keys, encode_keys};
use crate::sync::message::optional_text;
use crate::time::Hlc;
use crate::vector::VersionVector;

/// A range of keys of a large delta.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slice {
    /// The space.
    pub space: Space,
    /// The vector since which the delta is.
    pub from: VersionVector,
    /// The sender's vector when the first slice was cut.
    pub base: VersionVector,
    /// The sender's vector when this one was cut, in which its entries lie.
    pub at: VersionVector,
    /// The last key of the slice before; `None` for the first.
    pub after: Option<Key>,
    /// Whether this is the last slice.
    pub last: bool,
    /// The clock that the entries are coded against.
    pub hlc: Hlc,
    /// The touched keys of the range.
    pub keys: Keys,
}

impl Slice {
    /// Writes the slice: `space, generation, from, base, at, after, last, hlc, keys` (nine items).
    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.space(&self.space);
        writer.vector(&self.from);
        writer.vector(&self.base);
        writer.vector(&self.at);
        optional_text(writer, self.after.as_deref());
        writer.bool(self.last);
        writer.u64(self.hlc.to_bits());
        encode_keys(writer, members(&self.keys), self.hlc, self.keys.room());
    }

    /// Reads what [`Slice::encode`] wrote.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, SessionError> {
        let space = reader.space()?;
        let (from, base, at) = (reader.vector()?, reader.vector()?, reader.vector()?);
        let after = reader.optional(Reader::text)?.map(Key::from);
        let last = reader.bool()?;
        let hlc = Hlc::from_bits(reader.u64()?);
        let keys = decode_keys(reader, hlc)?.within(&from, &at, hlc)?;
        let first = keys.first().map(|(key, _)| key);
        if matches!((&after, first), (Some(after), Some(first)) if first <= after) || (keys.is_empty() && !last) {
            return Err(SessionError::malformed("a slice outside of its range"));
        }
        Ok(Self { space, from, base, at, after, last, hlc, keys })
    }
}
