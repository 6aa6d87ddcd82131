//! The encoding of fences and rows, in messages and records.
//!
//! Invariant: what is decoded is bounded by the bytes present, and no text is longer than its limit.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::codec::{Reader, Writer};
use crate::error::SessionError;
use crate::id::SessionId;
use crate::store::fence::{FENCE_TEXT_MAX, Fence};
use crate::store::roster::{ROW_TEXT_MAX, RUNNING_MAX, RUNNING_TEXT_MAX, Row, Running};
use crate::sync::message::optional_text;

/// Items per fence.
const FENCE_ITEMS: usize = 6;
/// Items per row.
const ROW_ITEMS: usize = 12;
/// Items per running query.
const RUNNING_ITEMS: usize = 4;

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
        writer.array(row.running.len() * RUNNING_ITEMS);
        for Running { plan, started, statement, stop } in &row.running {
            writer.u64(*plan);
            writer.u64(*started);
            writer.text(statement);
            writer.bool(*stop);
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
        let running = decode_running(reader)?;
        Ok((session, Row { home, user, client, address, space, active, expires, queries, running, told }))
    };
    (0..items / ROW_ITEMS as u64).map(row).collect()
}

fn decode_running(reader: &mut Reader<'_>) -> Result<Vec<Running>, SessionError> {
    let items = reader.array()?;
    let queries = items / RUNNING_ITEMS as u64;
    if items % RUNNING_ITEMS as u64 != 0 || queries > RUNNING_MAX as u64 {
        return Err(SessionError::malformed("a row"));
    }
    let query = |_| {
        let (plan, started, statement) = (reader.u64()?, reader.u64()?, reader.text()?);
        if statement.len() > RUNNING_TEXT_MAX {
            return Err(SessionError::malformed("a text that is too long"));
        }
        Ok(Running { plan, started, statement: Arc::from(statement), stop: reader.bool()? })
    };
    (0..queries).map(query).collect()
}

/// An optional text of at most `longest` bytes.
fn shared_text(reader: &mut Reader<'_>, longest: usize) -> Result<Option<Arc<str>>, SessionError> {
    match reader.optional(Reader::text)? {
        Some(text) if text.len() > longest => Err(SessionError::malformed("a text that is too long")),
        text => Ok(text.map(Arc::from)),
    }
}
