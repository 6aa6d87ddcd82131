//! The bytes of version 1: CBOR (RFC 8949), deterministic, with the ids of a frame written once in front.
//!
//! A *frame* is `[version, [replica ids], [session ids], body…]`; the body names ids by their place in those tables.
//! Wire, journal and snapshot are frames. Invariant: reading never allocates by a length field alone (every count is
//! bounded by the bytes that are left), and a damaged frame is an error before anything of it is used.
//! The byte layout is documented in the protocol page of [`crate::docs`].

pub(crate) mod cbor;
mod reader;
mod rope;
mod source;
mod table;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem::take;
use core::ops::Range;

use self::cbor::Output;
pub use self::reader::Reader;
pub use self::rope::Rope;
use self::rope::Span;
pub use self::source::Source;
pub(crate) use self::source::{Beyond, Section, part};
pub(crate) use self::table::Ids;
use self::table::{Replicas, Table};
use crate::id::{ReplicaId, SessionId, Space};
use crate::vector::VersionVector;

/// The version of the bytes.
pub const VERSION: u64 = 1;

/// Where the bodies of small frames are written, one after the other: memory that is at hand, and in the processor's caches.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    body: Vec<u8>,
    replicas: Vec<ReplicaId>,
    sessions: Vec<SessionId>,
}

/// Writes the body of a frame and collects the ids that it names.
pub struct Writer {
    pub(crate) cbor: Output,
    replicas: Replicas,
    sessions: Table<SessionId>,
    items: u64,
    /// What stays where it is held, and how many bytes that is.
    spans: Vec<Span>,
    aside: usize,
}

/// Room for one change and its vectors, which most frames are: without it, eight growths of the buffer.
const FIRST_BYTES: usize = 256;
/// What of a desk is kept for the next frame.
const DESK_BYTES: usize = 4 << 10;
const DESK_IDS: usize = 64;
/// About as much as an entry of a vector takes.
const ENTRY_BYTES: usize = 6;
/// So many bytes are better copied once, by who hands them to the host, than twice.
const LONG: usize = 2_048;

impl Desk {
    /// What of a body is not kept: it was longer than most are.
    fn clear(&mut self, mut body: Vec<u8>, mut replicas: Vec<ReplicaId>, mut sessions: Vec<SessionId>) {
        if body.capacity() > DESK_BYTES || replicas.capacity() > DESK_IDS || sessions.capacity() > DESK_IDS {
            return;
        }
        body.clear();
        replicas.clear();
        sessions.clear();
        *self = Self { body, replicas, sessions };
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// An empty body.
    #[must_use]
    pub fn new() -> Self {
        Self::at(Desk::default(), None)
    }

    /// As [`Writer::new`], for a body that holds this vector: the ids of a long one come first, and are written in one piece.
    #[must_use]
    pub fn about(vector: &VersionVector) -> Self {
        Self::at(Desk::default(), Some(vector))
    }

    /// The same on a desk, for a body that holds this vector, if there is one.
    pub(crate) fn at(desk: Desk, vector: Option<&VersionVector>) -> Self {
        let Desk { mut body, replicas, sessions } = desk;
        let ids = vector.and_then(VersionVector::ids).filter(|ids| ids.is_long());
        body.reserve(FIRST_BYTES + ids.map_or(0, |ids| ENTRY_BYTES * ids.len()));
        let (cbor, replicas) = (Output::on(body), Replicas::new(ids.cloned(), replicas));
        Self { cbor, replicas, sessions: Table::on(sessions), items: 0, spans: Vec::new(), aside: 0 }
    }

    /// Opens an array of exactly `len` items.
    pub fn array(&mut self, len: usize) {
        self.cbor.array(len as u64);
    }

    /// Counts one item of the frame's own array; called once for each top-level item, before it is written.
    pub fn item(&mut self) {
        self.items += 1;
    }

    /// Writes an unsigned number.
    pub fn u64(&mut self, value: u64) {
        self.cbor.u64(value);
    }

    /// Writes a signed number.
    pub fn i64(&mut self, value: i64) {
        self.cbor.i64(value);
    }

    /// Writes a truth value.
    pub fn bool(&mut self, value: bool) {
        self.cbor.bool(value);
    }

    /// Writes nothing's mark.
    pub fn null(&mut self) {
        self.cbor.null();
    }

    /// Writes text.
    pub fn text(&mut self, value: &str) {
        self.cbor.text(value);
    }

    /// Writes bytes.
    pub fn bytes(&mut self, value: &[u8]) {
        self.cbor.bytes(value);
    }

    /// Writes a replica id by its place in the table.
    pub fn replica(&mut self, id: ReplicaId) {
        let at = self.replica_index(id);
        self.u64(at);
    }

    /// The place of a replica id in the table, where it is put if it was not there.
    pub fn replica_index(&mut self, id: ReplicaId) -> u64 {
        self.replicas.place(id)
    }

    /// The place of a session id in the table, where it is put if it was not there.
    pub(crate) fn session_index(&mut self, id: SessionId) -> u64 {
        self.sessions.place(id)
    }

    /// Writes a session id by its place in the table.
    pub fn session(&mut self, id: SessionId) {
        let at = self.session_index(id);
        self.u64(at);
    }

    /// Writes a space: its name and generation.
    pub fn space(&mut self, space: &Space) {
        self.text(space.name());
        self.u64(u64::from(space.generation()));
    }

    /// Writes a vector: an array of place, sequence, place, sequence, ….
    pub fn vector(&mut self, vector: &VersionVector) {
        self.array(vector.len() * 2);
        match (&self.replicas.first, vector.ids()) {
            (Some(first), Some(ids)) if Arc::ptr_eq(first, ids) => self.cbor.numbered(vector.sequences()),
            _ => {
                for (replica, sequence) in vector.iter() {
                    let place = self.replica_index(replica);
                    self.cbor.at_place(place, sequence);
                }
            }
        }
    }

    /// Writes what `body` writes as one byte string that holds a CBOR sequence (RFC 8742).
    pub fn sequence(&mut self, body: impl FnOnce(&mut Self)) {
        self.sequence_about(0, body);
    }

    /// As [`Writer::sequence`], of about so many bytes: what is long is not moved.
    pub(crate) fn sequence_about(&mut self, bytes: usize, body: impl FnOnce(&mut Self)) {
        self.cbor.reserve(bytes);
        let (start, aside, spans) = (self.cbor.len(), self.aside, self.spans.len());
        let room = self.cbor.leave_head(bytes);
        body(self);
        let head = self.cbor.wrap(start, room, self.aside - aside);
        // Where the head was longer than its room, or shorter, all behind it has moved.
        if head != room {
            self.spans.iter_mut().skip(spans).for_each(|span| span.at = span.at + head - room);
        }
    }

    /// Writes bytes that never change, of which `range` is held: what is long stays there.
    pub(crate) fn held<T: AsRef<[u8]> + Send + Sync + 'static>(&mut self, holder: &Arc<T>, range: Range<usize>) {
        if range.len() >= LONG {
            self.aside += range.len();
            self.spans.push(Span::new(self.cbor.len(), Arc::<T>::clone(holder), range));
        } else {
            self.cbor.items((**holder).as_ref().get(range).unwrap_or_default());
        }
    }

    /// How many bytes the body has so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.cbor.len() + self.aside
    }

    /// Whether the body is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole frame in one piece: version, tables, body.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.into_rope().into_vec()
    }

    /// The whole frame, of which what is long stays where it is.
    #[must_use]
    pub fn into_rope(mut self) -> Rope {
        self.rope(&mut Desk::default())
    }

    /// The same, once, and leaves the desk to the next one.
    pub(crate) fn rope(&mut self, desk: &mut Desk) -> Rope {
        let (first, others) = (self.replicas.first.take(), take(&mut self.replicas.others.ids));
        let (sessions, spans) = (take(&mut self.sessions.ids), take(&mut self.spans));
        let wire = first.as_ref().map_or(&[][..], |ids| ids.wire());
        let ids = wire.len() + 32 * (others.len() + sessions.len() + 1);
        let written = take(&mut self.cbor).into_bytes();
        // A head that is short beside its body is a part by itself.
        let apart = written.len() > 64 * ids || !spans.is_empty();
        let mut frame = Output::with_capacity(if apart { ids } else { ids + written.len() });
        frame.array(3 + self.items);
        frame.u64(VERSION);
        frame.array((first.as_ref().map_or(0, |ids| ids.len()) + others.len()) as u64);
        frame.items(wire);
        others.iter().for_each(|id| frame.replica(*id));
        frame.array(sessions.len() as u64);
        for id in &sessions {
            frame.bytes(id.as_bytes());
        }
        if apart {
            return Rope { head: frame.into_bytes(), written, spans };
        }
        frame.items(&written);
        desk.clear(written, others, sessions);
        frame.into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(desk: &mut Desk, ids: u8, body: usize) -> Vec<u8> {
        let mut writer = Writer::at(take(desk), None);
        for at in 0..ids {
            writer.item();
            writer.replica(ReplicaId::new("id", [at + body as u8; 10]).unwrap_or_else(|error| panic!("{error}")));
            writer.item();
            writer.session(SessionId::from_bytes([at; 16]));
        }
        writer.item();
        writer.bytes(&alloc::vec![7; body]);
        writer.rope(desk).into_vec()
    }

    #[test]
    fn a_frame_says_the_same_wherever_it_is_written() {
        let mut desk = Desk::default();
        for (ids, body) in [(1, 100), (3, 20), (0, 0), (12, 300), (2, 100_000), (1, 1)] {
            assert_eq!(frame(&mut desk, ids, body), frame(&mut Desk::default(), ids, body), "{ids} ids, {body} bytes");
        }
    }

    #[test]
    fn of_a_desk_little_is_kept() {
        for (ids, body) in [(8, 5_000), (2, 100_000), (100, 10)] {
            let mut desk = Desk::default();
            frame(&mut desk, 2, 10);
            frame(&mut desk, ids, body);
            assert!(desk.body.capacity() <= DESK_BYTES && desk.replicas.capacity() <= DESK_IDS);
        }
        let mut desk = Desk::default();
        frame(&mut desk, 2, 10);
        assert!(desk.body.capacity() > 0 && desk.replicas.capacity() > 0 && desk.sessions.capacity() > 0);
    }
}
