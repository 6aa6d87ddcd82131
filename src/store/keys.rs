//! The bytes of keys and their live sets inside a delta.
//!
//! One byte string holds a CBOR sequence; a key is `shared, suffix, entries…`. Keys are front-coded against the key
//! before, sequences against the origin's last, clocks against the last entry's, so that a run of writes costs about
//! six bytes an entry beside its key and value. Invariant: keys ascend strictly, and a key lists each origin once:
//! whoever writes a key has seen its own earlier entry go.

use alloc::string::String;
use alloc::vec::Vec;

use litemap::LiteMap;

use crate::codec::cbor::Input;
use crate::codec::{Ids, Reader, Writer};
use crate::error::SessionError;
use crate::id::{Dot, ReplicaId, SEQUENCE_MAX, SessionId};
use crate::store::delta::{Keys, Listed, ListedSet};
use crate::store::entry::{Content, DataEntry, Key};
use crate::time::{Hlc, MILLIS_MAX, Millis};
use crate::vector::VersionVector;

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

/// What is remembered of an origin: what its next entry is coded against, and how far it reaches.
#[derive(Clone, Copy)]
struct Origin {
    id: ReplicaId,
    /// Its place in the table of the frame.
    place: u64,
    /// Its last sequence, and the number of the key that listed it; 0 before the first.
    sequence: u64,
    key: usize,
    /// The greatest sequence of a full entry, and of a bare dot.
    full: u64,
    known: u64,
}

/// The origins so far, in the order in which they came. Entries often have the origin of the one before, or the next one: then
/// it is looked for in no map.
#[derive(Default)]
struct Origins {
    known: Vec<Origin>,
    places: LiteMap<ReplicaId, usize>,
    last: usize,
}

impl Origins {
    /// What is remembered of an origin, which may be new; none where nothing can be.
    #[inline]
    fn at(&mut self, id: ReplicaId, place: impl FnOnce() -> u64) -> Option<&mut Origin> {
        let is = |at: usize| self.known.get(at).is_some_and(|origin| origin.id == id);
        if !is(self.last) {
            let next = if self.last + 1 < self.known.len() { self.last + 1 } else { 0 };
            self.last = if is(next) { next } else { self.find(id, place) };
        }
        self.known.get_mut(self.last)
    }

    #[inline(never)]
    fn find(&mut self, id: ReplicaId, place: impl FnOnce() -> u64) -> usize {
        let next = self.known.len();
        let at = *self.places.entry(id).or_insert(next);
        if at == next {
            self.known.push(Origin { id, place: place(), sequence: 0, key: usize::MAX, full: 0, known: 0 });
        }
        at
    }

    /// Up to where full entries reach, and bare dots.
    fn reach(self) -> (VersionVector, VersionVector) {
        let all = |sequence: fn(&Origin) -> u64| {
            let dots = self.places.iter().filter_map(|(id, at)| Some((*id, sequence(self.known.get(*at)?))));
            dots.collect()
        };
        (all(|origin| origin.full), all(|origin| origin.known))
    }
}

/// A member of a live set, as it is written.
pub(crate) enum Member<'a> {
    Entry(&'a DataEntry),
    Known(Dot),
}

impl<'a> From<&'a Listed> for Member<'a> {
    fn from(listed: &'a Listed) -> Self {
        match listed {
            Listed::Entry(entry) => Self::Entry(entry),
            Listed::Known(dot) => Self::Known(*dot),
        }
    }
}

/// Writes keys, ascending, and their live sets; `hlc` is the delta's.
pub(crate) fn encode_keys<'a, S: ExactSizeIterator<Item = Member<'a>>>(
    writer: &mut Writer,
    keys: impl Iterator<Item = (&'a Key, S)>,
    hlc: Hlc,
) {
    writer.sequence(|writer| {
        let (mut origins, mut before, mut clock) = (Origins::default(), "", hlc.to_bits());
        for (at, (key, set)) in keys.enumerate() {
            let shared = shared_prefix(before, key);
            // One entry is the rule: then the count is left out, and the sign of `shared` says so.
            if set.len() == 1 {
                writer.i64(shared as i64);
            } else {
                writer.i64(-1 - shared as i64);
                writer.u64(set.len() as u64);
            }
            writer.text(key.get(shared..).unwrap_or_default());
            for member in set {
                encode_member(writer, &member, at, &mut origins, &mut clock);
            }
            before = key;
        }
    });
}

fn encode_member(writer: &mut Writer, member: &Member<'_>, key: usize, origins: &mut Origins, clock: &mut u64) {
    let dot = match member {
        Member::Entry(entry) => entry.dot,
        Member::Known(dot) => *dot,
    };
    let Some(origin) = origins.at(dot.replica, || writer.replica_index(dot.replica)) else { return };
    let ahead = difference(dot.sequence, origin.sequence);
    (origin.sequence, origin.key) = (dot.sequence, key);
    let place = origin.place;
    let Member::Entry(entry) = member else {
        writer.u64(place * HEADS + KNOWN * 4);
        writer.i64(ahead);
        return;
    };
    let kind = match entry.content {
        Content::Tombstone => TOMBSTONE,
        Content::Text(_) => TEXT,
        Content::Json(_) => JSON,
        Content::Bytes(_) => BYTES,
    };
    let flags =
        if entry.session.is_some() { HAS_SESSION } else { 0 } | if entry.expires_at.is_some() { HAS_EXPIRY } else { 0 };
    writer.u64(place * HEADS + kind * 4 + flags);
    writer.i64(ahead);
    writer.i64(difference(entry.hlc.to_bits(), *clock));
    *clock = entry.hlc.to_bits();
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

/// Keys as they were read, and how far they reach.
pub(crate) struct Decoded {
    pub(crate) keys: Keys,
    /// Of each origin the greatest sequence of a full entry.
    pub(crate) full: VersionVector,
    /// Of each origin the greatest sequence of a bare dot.
    pub(crate) known: VersionVector,
    /// The latest clock.
    pub(crate) latest: Hlc,
}

/// The most keys for which room is made before they are there: a slice has about as many.
const ROOM: usize = 4096;

/// Reads what [`encode_keys`] wrote.
///
/// # Errors
/// `MESSAGE_MALFORMED`.
pub(crate) fn decode_keys(reader: &mut Reader<'_>, hlc: Hlc) -> Result<Decoded, SessionError> {
    let (input, ids) = reader.sequence_of_ids()?;
    let all = input.left();
    // As many as there are if each takes 64 bytes: what is there bounds it, and no claim.
    let mut keys = Keys::with_capacity((all / 64).clamp(1, ROOM));
    let (origins, clock, latest) = (Origins::default(), hlc.to_bits(), Hlc::default());
    let mut decoding = Decoding { input, ids, known: String::new(), clock, latest, origins };
    while decoding.input.left() > 0 {
        let key = decoding.key(keys.len()).map_err(SessionError::malformed)?;
        if keys.len() == keys.capacity() {
            // As many more as there are if the others are as long, and at most three times what was read.
            let (held, left) = (keys.len(), decoding.input.left());
            let others = held as u64 * left as u64 / (all - left).max(1) as u64;
            keys.reserve_exact((others as usize + others as usize / 16).min(3 * held) + 1);
        }
        keys.push(key);
    }
    let (latest, (full, known)) = (decoding.latest, decoding.origins.reach());
    Ok(Decoded { keys, full, known, latest })
}

/// Keys that are being read. What is wrong is told by its name alone: an error of its own takes more than reading.
struct Decoding<'a, 'b> {
    input: Input<'b>,
    ids: &'a Ids,
    /// The key before.
    known: String,
    /// The clock of the entry before, and the latest of all.
    clock: u64,
    latest: Hlc,
    origins: Origins,
}

/// That something else stands there.
const DAMAGED: &str = "an entry";

impl Decoding<'_, '_> {
    /// The key number `at`, with its set.
    #[inline]
    fn key(&mut self, at: usize) -> Result<(Key, ListedSet), &'static str> {
        let shared = self.input.i64().ok_or(DAMAGED)?;
        let (shared, count) = if shared < 0 { (-1 - shared, self.input.u64().ok_or(DAMAGED)?) } else { (shared, 1) };
        let known = &mut self.known;
        let shared = usize::try_from(shared).ok().filter(|shared| known.is_char_boundary(*shared));
        let shared = shared.ok_or("a key's prefix")?;
        let suffix = self.input.text().ok_or("a key")?;
        // What both share decides nothing about their order.
        if known.get(shared..).is_none_or(|known| suffix <= known) {
            return Err("keys out of order");
        }
        known.truncate(shared);
        known.push_str(suffix);
        let key = Key::from(known.as_str());
        if count == 1 {
            return Ok((key, ListedSet::of(self.listed(at)?)));
        }
        // The count is a claim of the sender's: the set grows with what is really there.
        let mut several: Vec<Listed> = Vec::with_capacity(count.min(2) as usize);
        for _ in 0..count {
            several.push(self.listed(at)?);
        }
        Ok((key, several.into()))
    }

    #[inline]
    fn listed(&mut self, key: usize) -> Result<Listed, &'static str> {
        let head = self.input.u64().ok_or(DAMAGED)?;
        let replica = self.ids.replica(head / HEADS).ok_or("a replica id that is not in the table")?;
        let (kind, flags) = (head % HEADS / 4, head % 4);
        let origin = self.origins.at(replica, || 0).ok_or(DAMAGED)?;
        if origin.key == key {
            return Err("an origin listed twice");
        }
        let sequence = apply(origin.sequence, self.input.i64().ok_or(DAMAGED)?);
        if !(1..=SEQUENCE_MAX).contains(&sequence) {
            return Err("a sequence out of range");
        }
        (origin.sequence, origin.key) = (sequence, key);
        let dot = Dot::new(replica, sequence);
        if kind == KNOWN {
            origin.known = origin.known.max(sequence);
            return if flags == 0 { Ok(Listed::Known(dot)) } else { Err("a bare dot with flags") };
        }
        origin.full = origin.full.max(sequence);
        let hlc = Hlc::from_bits(apply(self.clock, self.input.i64().ok_or(DAMAGED)?));
        self.clock = hlc.to_bits();
        self.latest = self.latest.max(hlc);
        let content = match kind {
            TOMBSTONE => Content::Tombstone,
            TEXT => Content::Text(self.input.text().ok_or("text")?.into()),
            JSON => Content::Json(self.input.text().ok_or("text")?.into()),
            BYTES => Content::Bytes(self.input.bytes().ok_or("bytes")?.into()),
            _ => return Err("an unknown kind of entry"),
        };
        let session = if flags & HAS_SESSION == 0 { None } else { Some(self.session()?) };
        let expires_at = if flags & HAS_EXPIRY == 0 { None } else { Some(self.expiry(hlc)?) };
        Ok(Listed::Entry(DataEntry { content, dot, hlc, session, expires_at }))
    }

    fn session(&mut self) -> Result<SessionId, &'static str> {
        let at = self.input.u64().ok_or(DAMAGED)?;
        self.ids.session(at).ok_or("a session id that is not in the table")
    }

    fn expiry(&mut self, hlc: Hlc) -> Result<Millis, &'static str> {
        let end = apply(hlc.millis(), self.input.i64().ok_or(DAMAGED)?);
        if end <= MILLIS_MAX { Ok(end) } else { Err("an expiry out of range") }
    }
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

/// The length of the beginning that both keys share, cut back to a character's edge. Eight bytes at a time, as keys are
/// compared.
fn shared_prefix(a: &str, b: &str) -> usize {
    let (words, _) = a.as_bytes().as_chunks::<8>();
    let (others, _) = b.as_bytes().as_chunks::<8>();
    let mut same = 0;
    for (word, other) in words.iter().zip(others) {
        let differs = u64::from_le_bytes(*word) ^ u64::from_le_bytes(*other);
        if differs != 0 {
            return b.floor_char_boundary(same + differs.trailing_zeros() as usize / 8);
        }
        same += 8;
    }
    let (rest, other) = (a.as_bytes().iter().skip(same), b.as_bytes().iter().skip(same));
    same += rest.zip(other).take_while(|(x, y)| x == y).count();
    b.floor_char_boundary(same)
}
