//! The bytes of fences and rows: what messages and records say of sessions.
//!
//! Invariant: what is read is bounded by the bytes that are there, and no text is longer than its bound.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::codec::{Reader, Writer};
use crate::error::SessionError;
use crate::id::SessionId;
use crate::store::fence::{FENCE_TEXT_MAX, Fence};
use crate::store::roster::{ROW_TEXT_MAX, Row};
use crate::sync::message::optional_text;

/// How many items a fence takes.
const FENCE_ITEMS: usize = 6;
/// How many items a row takes.
const ROW_ITEMS: usize = 11;

pub(super) fn encode_fences(writer: &mut Writer, fences: &[(SessionId, Fence)]) {
    writer.array(fences.len() * FENCE_ITEMS);
    for (session, fence) in fences {
        writer.session(*session);
        writer.bool(fence.ended);
        writer.u64(fence.at);
        writer.u64(fence.until);
        optional_text(writer, fence.by.as_deref());
        optional_text(writer, fence.why.as_deref());
    }
}

pub(super) fn encode_rows(writer: &mut Writer, rows: &[(SessionId, Row)]) {
    writer.array(rows.len() * ROW_ITEMS);
    for (session, row) in rows {
        writer.session(*session);
        writer.replica(row.home);
        for text in [&row.user, &row.client, &row.address] {
            optional_text(writer, text.as_deref());
        }
        writer.space(&row.space);
        for number in [row.active, row.expires, u64::from(row.queries), row.told] {
            writer.u64(number);
        }
    }
}

pub(super) fn decode_fences(reader: &mut Reader<'_>) -> Result<Vec<(SessionId, Fence)>, SessionError> {
    let items = reader.array()?;
    if items % FENCE_ITEMS as u64 != 0 {
        return Err(SessionError::malformed("fences"));
    }
    let fence = |_| {
        let session = reader.session()?;
        let (ended, at, until) = (reader.bool()?, reader.u64()?, reader.u64()?);
        let (by, why) = (shared_text(reader, FENCE_TEXT_MAX)?, shared_text(reader, FENCE_TEXT_MAX)?);
        Ok((session, Fence { ended, at, until, by, why }))
    };
    (0..items / FENCE_ITEMS as u64).map(fence).collect()
}

pub(super) fn decode_rows(reader: &mut Reader<'_>) -> Result<Vec<(SessionId, Row)>, SessionError> {
    let items = reader.array()?;
    if items % ROW_ITEMS as u64 != 0 {
        return Err(SessionError::malformed("rows"));
    }
    let row = |_| {
        let (session, home) = (reader.session()?, reader.replica()?);
        let mut text = || shared_text(reader, ROW_TEXT_MAX);
        let (user, client, address) = (text()?, text()?, text()?);
        let space = reader.space()?;
        let (active, expires, queries, told) = (reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?);
        let queries = u32::try_from(queries).map_err(|_| SessionError::malformed("a row"))?;
        Ok((session, Row { home, user, client, address, space, active, expires, queries, told }))
    };
    (0..items / ROW_ITEMS as u64).map(row).collect()
}

/// A text that is not too long, or nothing.
fn shared_text(reader: &mut Reader<'_>, longest: usize) -> Result<Option<Arc<str>>, SessionError> {
    match reader.optional(Reader::text)? {
        Some(text) if text.len() > longest => Err(SessionError::malformed("a text that is too long")),
        text => Ok(text.map(Arc::from)),
    }
}
