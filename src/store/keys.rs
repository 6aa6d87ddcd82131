//! The bytes of keys and their live sets inside a delta.
//!
//! One byte string holds a CBOR sequence; a key is `shared, suffix, entries…`. Keys are front-coded against the key
//! before, sequences against the origin's last, clocks against the last entry's, so that a run of writes costs about
//! six bytes an entry beside its key and value. Invariant: keys ascend strictly, and a key lists each origin once:
//! whoever writes a key has seen its own earlier entry go.

use alloc::string::String;
use alloc::vec::Vec;

use litemap::LiteMap;

use crate::codec::{Reader, Writer};
use crate::error::SessionError;
use crate::id::{Dot, ReplicaId, SEQUENCE_MAX};
use crate::store::delta::{Keys, Listed};
use crate::store::entry::{Content, DataEntry, Key};
use crate::time::{Hlc, MILLIS_MAX};

/// What an entry is, in its head: `origin · 20 + kind · 4 + flags`. One byte for the first origin, two for the next
/// eleven.
const TOMBSTONE: u64 = 0;
const TEXT: u64 = 1;
const JSON: u64 = 2;
const BYTES: u64 = 3;
const KNOWN: u64 = 4;
const HEADS: u64 = 20;
const HAS_SESSION: u64 = 1;
const HAS_EXPIRY: u64 = 2;

/// What the next key and entry are coded against.
struct Previous {
    key: String,
    hlc: u64,
    /// Of each origin the last sequence, and the number of the key that listed it.
    origins: LiteMap<ReplicaId, (u64, usize)>,
}

impl Previous {
    fn new(hlc: Hlc) -> Self {
        Self { key: String::new(), hlc: hlc.to_bits(), origins: LiteMap::new() }
    }

    /// Remembers the `dot` of the key number `key`, and tells its origin's sequence before.
    fn sequence(&mut self, dot: Dot, key: usize) -> u64 {
        self.origins.insert(dot.replica, (dot.sequence, key)).map_or(0, |(sequence, _)| sequence)
    }
}

/// Writes keys and their live sets; `hlc` is the delta's.
pub(crate) fn encode_keys(writer: &mut Writer, keys: &Keys, hlc: Hlc) {
    writer.sequence(|writer| {
        let mut previous = Previous::new(hlc);
        for (at, (key, set)) in keys.iter().enumerate() {
            let shared = shared_prefix(&previous.key, key);
            // One entry is the rule: then the count is left out, and the sign of `shared` says so.
            if set.len() == 1 {
                writer.i64(shared as i64);
            } else {
                writer.i64(-1 - shared as i64);
                writer.u64(set.len() as u64);
            }
            writer.text(key.get(shared..).unwrap_or_default());
            for listed in set {
                encode_listed(writer, listed, at, &mut previous);
            }
            previous.key.truncate(shared);
            previous.key.push_str(key.get(shared..).unwrap_or_default());
        }
    });
}

fn encode_listed(writer: &mut Writer, listed: &Listed, key: usize, previous: &mut Previous) {
    let dot = listed.dot();
    let origin = writer.replica_index(dot.replica);
    let entry = match listed {
        Listed::Known(_) => {
            writer.u64(origin * HEADS + KNOWN * 4);
            writer.i64(difference(dot.sequence, previous.sequence(dot, key)));
            return;
        }
        Listed::Entry(entry) => entry,
    };
    let kind = match entry.content {
        Content::Tombstone => TOMBSTONE,
        Content::Text(_) => TEXT,
        Content::Json(_) => JSON,
        Content::Bytes(_) => BYTES,
    };
    let flags =
        if entry.session.is_some() { HAS_SESSION } else { 0 } | if entry.expires_at.is_some() { HAS_EXPIRY } else { 0 };
    writer.u64(origin * HEADS + kind * 4 + flags);
    writer.i64(difference(dot.sequence, previous.sequence(dot, key)));
    writer.i64(difference(entry.hlc.to_bits(), previous.hlc));
    previous.hlc = entry.hlc.to_bits();
    match &entry.content {
        Content::Tombstone => {}
        Content::Text(text) | Content::Json(text) => writer.text(text),
        Content::Bytes(bytes) => writer.bytes(bytes),
    }
    if let Some(session) = entry.session {
        writer.session(session);
    }
    if let Some(end) = entry.expires_at {
        writer.i64(difference(end, entry.hlc.millis()));
    }
}

/// Reads what [`encode_keys`] wrote.
///
/// # Errors
/// `MESSAGE_MALFORMED`.
pub(crate) fn decode_keys(reader: &mut Reader<'_>, hlc: Hlc) -> Result<Keys, SessionError> {
    let mut previous = Previous::new(hlc);
    let mut keys = Keys::new();
    reader.sequence(|reader| {
        let shared = reader.i64()?;
        let (shared, count) = if shared < 0 { (-1 - shared, reader.u64()?) } else { (shared, 1) };
        let shared = usize::try_from(shared).ok().filter(|shared| previous.key.is_char_boundary(*shared));
        let shared = shared.ok_or_else(|| SessionError::malformed("a key's prefix"))?;
        let suffix = reader.text()?;
        // What both share decides nothing about their order.
        if previous.key.get(shared..).is_none_or(|known| suffix <= known) {
            return Err(SessionError::malformed("keys out of order"));
        }
        previous.key.truncate(shared);
        previous.key.push_str(suffix);
        // The count is a claim of the sender's: the set grows with what is really there. One is the rule, and a vector
        // makes room for four at first.
        let mut set: Vec<Listed> = Vec::with_capacity(usize::from(count == 1));
        for _ in 0..count {
            set.push(decode_listed(reader, keys.len(), &mut previous)?);
        }
        keys.push((Key::from(previous.key.as_str()), set));
        Ok(())
    })?;
    Ok(keys)
}

fn decode_listed(reader: &mut Reader<'_>, key: usize, previous: &mut Previous) -> Result<Listed, SessionError> {
    let head = reader.u64()?;
    let replica = reader.replica_at(head / HEADS)?;
    let (kind, flags) = (head % HEADS / 4, head % 4);
    let before = match previous.origins.get(&replica) {
        Some((_, last)) if *last == key => return Err(SessionError::malformed("an origin listed twice")),
        Some((sequence, _)) => *sequence,
        None => 0,
    };
    let sequence = Some(apply(before, reader.i64()?)).filter(|sequence| (1..=SEQUENCE_MAX).contains(sequence));
    let dot = Dot::new(replica, sequence.ok_or_else(|| SessionError::malformed("a sequence out of range"))?);
    previous.sequence(dot, key);
    if kind == KNOWN {
        return if flags == 0 { Ok(Listed::Known(dot)) } else { Err(SessionError::malformed("a bare dot with flags")) };
    }
    let hlc = apply(previous.hlc, reader.i64()?);
    previous.hlc = hlc;
    let content = match kind {
        TOMBSTONE => Content::Tombstone,
        TEXT => Content::Text(reader.text()?.into()),
        JSON => Content::Json(reader.text()?.into()),
        BYTES => Content::Bytes(reader.bytes()?.into()),
        _ => return Err(SessionError::malformed("an unknown kind of entry")),
    };
    let session = if flags & HAS_SESSION == 0 { None } else { Some(reader.session()?) };
    let hlc = Hlc::from_bits(hlc);
    let expires_at = if flags & HAS_EXPIRY == 0 {
        None
    } else {
        let end = Some(apply(hlc.millis(), reader.i64()?)).filter(|end| *end <= MILLIS_MAX);
        Some(end.ok_or_else(|| SessionError::malformed("an expiry out of range"))?)
    };
    Ok(Listed::Entry(DataEntry { content, dot, hlc, session, expires_at }))
}

/// `to − from`, which wraps at 64 bits as [`apply`] does.
const fn difference(to: u64, from: u64) -> i64 {
    to.wrapping_sub(from).cast_signed()
}

/// `from + difference`, which wraps too: two clocks can be further apart than a signed number reaches. Whether the
/// result is in range is for the caller to check.
const fn apply(from: u64, difference: i64) -> u64 {
    from.wrapping_add_signed(difference)
}

/// The length of the beginning that both keys share, cut back to a character's edge.
fn shared_prefix(a: &str, b: &str) -> usize {
    let same = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    (0..=same).rev().find(|at| b.is_char_boundary(*at)).unwrap_or(0)
}
