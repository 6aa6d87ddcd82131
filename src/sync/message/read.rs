//! Decodes messages. Invariant: a frame is decoded as a whole or not at all.

use alloc::vec::Vec;

use crate::codec::{Beyond, Reader, Source, part};
use crate::error::SessionError;
use crate::id::{Dot, Space};
use crate::identity::Secret;
use crate::store::delta::Delta;
use crate::store::entry::Key;
use crate::sync::call::{Call, Reply};
use crate::sync::message::{
    ACK, ASK, BEHIND, BIND, CALL, CHALLENGE, DELTA, FENCE, Frame, HELLO, Message, NAMED_MAX, PROOF, REFUSED, REPLY,
    RESET, ROSTER, SLICE, TOP_UP, UNDER, UNKNOWN, WANT,
};
use crate::sync::proof::Proof;
use crate::sync::slice::Slice;
use crate::sync::told::{decode_fences, decode_rows};
use crate::vector::VersionVector;

/// Capacity reserved at first: most frames hold no more messages, and most hellos no more vectors.
const FEW: u64 = 4;

/// The longest message from a peer that is decoded, in bytes. Replicas cut what they send at 256 KiB; one key with all
/// its siblings may be longer. The prefixes that keys share with their predecessors expand to no more than this either.
/// A snapshot that is restored has no such limit.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

impl Frame {
    /// Decodes a frame from a peer: as [`Frame::decode`], but at most [`FRAME_BYTES_MAX`] long.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED` or `PROTOCOL_MISMATCH`; nothing of the frame was acted on.
    pub fn receive(bytes: &[u8]) -> Result<Self, SessionError> {
        Self::receive_few(bytes, u64::MAX)
    }

    /// As [`Frame::receive`], with at most `most` messages: a decoded message takes much more memory than its encoding.
    ///
    /// # Errors
    /// As [`Frame::receive`].
    pub fn receive_few(bytes: &[u8], most: u64) -> Result<Self, SessionError> {
        Self::receive_beside(bytes, most, None)
    }

    /// As [`Frame::receive_few`], by a replica that holds `known` of a space: most frames name that space and the same
    /// replicas.
    ///
    /// # Errors
    /// As [`Frame::receive`].
    pub fn receive_beside(
        bytes: &[u8],
        most: u64,
        known: Option<(&Space, &VersionVector)>,
    ) -> Result<Self, SessionError> {
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(SessionError::malformed("a message longer than any that a replica sends"));
        }
        Self::read(bytes, None, most, known, FRAME_BYTES_MAX)
    }

    /// Decodes a frame as a whole.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED` or `PROTOCOL_MISMATCH`; nothing of the frame was acted on.
    pub fn decode(bytes: &[u8]) -> Result<Self, SessionError> {
        Self::read(bytes, None, u64::MAX, None, usize::MAX)
    }

    /// Decodes a frame from a source, through a window where possible.
    ///
    /// # Errors
    /// As [`Frame::decode`].
    #[inline(never)]
    pub fn decode_from(source: &dyn Source) -> Result<Self, SessionError> {
        if let Some(bytes) = source.whole() {
            return Self::decode(bytes);
        }
        let (size, first) = (source.size(), source.size().min(source.window()));
        let mut bytes = part(source, 0, first);
        if first < size {
            let beyond = Beyond::new(source, first);
            if let Ok(frame) = Self::read(&bytes, Some(&beyond), u64::MAX, None, usize::MAX) {
                return Ok(frame);
            }
            bytes = part(source, 0, size);
        }
        Self::decode(&bytes)
    }

    #[inline(never)]
    fn read<'b>(
        bytes: &'b [u8],
        beyond: Option<&'b Beyond<'b>>,
        most: u64,
        known: Option<(&Space, &VersionVector)>,
        shared: usize,
    ) -> Result<Self, SessionError> {
        Reader::within(bytes, known.map(|(_, vector)| vector), |reader| {
            (reader.beyond, reader.shared_bytes) = (beyond, shared);
            if let Some((space, _)) = known {
                reader.foresee(space);
            }
            let count = reader.items().checked_sub(2);
            let count = count.ok_or_else(|| SessionError::malformed("a frame without a sender"))?;
            if count > most {
                return Err(SessionError::malformed("more messages at once than a client has to say"));
            }
            let from = reader.replica()?;
            let to = reader.optional(Reader::replica)?;
            let mut messages = Vec::with_capacity(count.min(FEW) as usize);
            for _ in 0..count {
                Message::decode(reader, &mut messages)?;
            }
            reader.end()?;
            Ok(Self { from, to, messages })
        })
    }
}

impl Message {
    /// Decodes a message directly to the end of `messages`, so that it is never moved.
    fn decode(reader: &mut Reader<'_>, messages: &mut Vec<Self>) -> Result<(), SessionError> {
        let fields = reader.array()?.checked_sub(1).ok_or_else(|| SessionError::malformed("a message without kind"))?;
        let kind = reader.u64()?;
        let expected = match kind {
            RESET => 0,
            UNKNOWN | BIND | CHALLENGE => 1,
            ASK => 2,
            HELLO | ACK | BEHIND | UNDER | ROSTER => 3,
            REFUSED | FENCE | REPLY => 4,
            WANT | PROOF | CALL => 5,
            DELTA => 6,
            TOP_UP => 7,
            SLICE => 9,
            _ => fields,
        };
        if fields != expected {
            return Err(SessionError::malformed("a message with another number of fields"));
        }
        messages.push(match kind {
            HELLO => Self::Hello { protocol: reader.u64()?, answer: reader.bool()?, vectors: decode_vectors(reader)? },
            DELTA => Self::Delta(Delta::decode(reader)?),
            ACK => Self::Ack { space: reader.space()?, vector: reader.vector()? },
            _ => Self::decode_rare(reader, kind, fields)?,
        });
        Ok(())
    }

    /// The rare messages. The frequent ones are apart because an engine recompiles hot code while it runs, and that
    /// takes longer the more code there is.
    #[cold]
    #[inline(never)]
    fn decode_rare(reader: &mut Reader<'_>, kind: u64, fields: u64) -> Result<Self, SessionError> {
        Ok(match kind {
            BEHIND => Self::Behind { space: reader.space()?, vector: reader.vector()? },
            SLICE => Self::Slice(Slice::decode(reader)?),
            WANT => Self::Want {
                space: reader.space()?,
                from: reader.vector()?,
                base: reader.vector()?,
                after: reader.optional(Reader::text)?.map(Key::from),
            },
            TOP_UP => {
                let (base, delta) = (reader.vector()?, Delta::decode(reader)?);
                Self::TopUp { base, delta }
            }
            REFUSED => {
                let (space, code) = (reader.space()?, reader.text()?.into());
                let dots = named(reader, 2, |reader| Ok(Dot::new(reader.replica()?, reader.u64()?)))?;
                Self::Refused { space, code, dots }
            }
            RESET => Self::Reset,
            ASK => Self::Ask { now: reader.u64()?, ids: named(reader, 1, Reader::replica)? },
            BIND => Self::Bind {
                ids: named(reader, 2, |reader| Ok((reader.replica()?, Secret::from_bytes(exactly(reader)?))))?,
            },
            CALL => Self::Call(Call::decode(reader)?),
            REPLY => Self::Reply(Reply::decode(reader)?),
            CHALLENGE => Self::Challenge { nonce: exactly(reader)? },
            PROOF => Self::Proof(Proof {
                kid: reader.text()?.into(),
                nonce: exactly(reader)?,
                count: reader.u64()?,
                mac: exactly(reader)?,
                frame: reader.bytes()?.into(),
            }),
            FENCE => {
                let (told, heard, digest) = (reader.u64()?, reader.u64()?, reader.u64()?);
                Self::Fence { told, heard, digest, fences: decode_fences(reader)? }
            }
            ROSTER => Self::Roster { told: reader.u64()?, heard: reader.u64()?, rows: decode_rows(reader)? },
            UNDER => Self::Under { space: reader.space()?, vector: reader.vector()? },
            UNKNOWN => Self::Unknown { kind: reader.u64()? },
            _ => {
                for _ in 0..fields {
                    reader.skip()?;
                }
                Self::Foreign { kind }
            }
        })
    }
}

/// Decodes a list of at most [`NAMED_MAX`] elements with `items` items each.
fn named<'b, T>(
    reader: &mut Reader<'b>,
    items: u64,
    mut read: impl FnMut(&mut Reader<'b>) -> Result<T, SessionError>,
) -> Result<Vec<T>, SessionError> {
    let count = reader.array()?;
    if count % items != 0 || count / items > NAMED_MAX as u64 {
        return Err(SessionError::malformed("a list of another length"));
    }
    (0..count / items).map(|_| read(reader)).collect()
}

/// Decodes a byte string of exactly `N` bytes.
pub(in crate::sync) fn exactly<const N: usize>(reader: &mut Reader<'_>) -> Result<[u8; N], SessionError> {
    reader.bytes()?.try_into().map_err(|_| SessionError::malformed("a byte string of another length"))
}

fn decode_vectors(reader: &mut Reader<'_>) -> Result<Vec<(Space, VersionVector)>, SessionError> {
    let items = reader.array()?;
    if items % 3 != 0 {
        return Err(SessionError::malformed("a hello's vectors"));
    }
    let mut vectors = Vec::with_capacity((items / 3).min(FEW) as usize);
    for _ in 0..items / 3 {
        vectors.push((reader.space()?, reader.vector()?));
    }
    Ok(vectors)
}
