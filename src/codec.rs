//! The bytes of version 1: CBOR (RFC 8949), deterministic, with the ids of a frame written once in front.
//!
//! A *frame* is `[version, [replica ids], [session ids], body…]`; the body names ids by their place in those tables.
//! Wire, journal and snapshot are frames. Invariant: reading never allocates by a length field alone (every count is
//! bounded by the bytes that are left), and a damaged frame is an error before anything of it is used.
//! The byte layout is documented in the protocol page of [`crate::docs`].

pub(crate) mod cbor;
mod reader;
mod table;

use alloc::sync::Arc;
use alloc::vec::Vec;

use self::cbor::Output;
pub use self::reader::Reader;
pub(crate) use self::table::Ids;
use self::table::{Replicas, Table};
use crate::id::{ReplicaId, SessionId, Space};
use crate::vector::VersionVector;
use crate::vector::ids::IdList;

/// The version of the bytes.
pub const VERSION: u64 = 1;

/// Writes the body of a frame and collects the ids that it names.
pub struct Writer {
    pub(crate) cbor: Output,
    replicas: Replicas,
    sessions: Table<SessionId>,
    items: u64,
}

/// Room for one change and its vectors, which most frames are: without it, eight growths of the buffer.
const FIRST_BYTES: usize = 256;
/// About as much as an entry of a vector takes.
const ENTRY_BYTES: usize = 6;
impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// An empty body.
    #[must_use]
    pub fn new() -> Self {
        Self::with(None, FIRST_BYTES)
    }

    /// As [`Writer::new`], for a body that holds this vector: the ids of a long one come first, and are written in one piece.
    #[must_use]
    pub fn about(vector: &VersionVector) -> Self {
        let ids = vector.ids().filter(|ids| ids.is_long());
        Self::with(ids.cloned(), FIRST_BYTES + ids.map_or(0, |ids| ENTRY_BYTES * ids.len()))
    }

    fn with(first: Option<Arc<IdList>>, bytes: usize) -> Self {
        let (cbor, replicas) = (Output::with_capacity(bytes), Replicas::new(first));
        Self { cbor, replicas, sessions: Table::new(), items: 0 }
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
                    self.replica(replica);
                    self.u64(sequence);
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
        let start = self.cbor.len();
        let room = self.cbor.leave_head(bytes);
        body(self);
        self.cbor.wrap(start, room);
    }

    /// How many bytes the body has so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.cbor.len()
    }

    /// Whether the body is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole frame: version, tables, body.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let (first, others) = (self.replicas.first, self.replicas.others.ids);
        let wire = first.as_ref().map_or(&[][..], |ids| ids.wire());
        let ids = wire.len() + 32 * (others.len() + self.sessions.ids.len() + 1);
        let mut body = self.cbor.into_bytes();
        // A head that is short beside its body comes before it where that is: a snapshot need not be in memory twice.
        let stays = body.len() > 64 * ids;
        let mut frame = Output::with_capacity(if stays { ids } else { ids + body.len() });
        frame.array(3 + self.items);
        frame.u64(VERSION);
        frame.array((first.as_ref().map_or(0, |ids| ids.len()) + others.len()) as u64);
        frame.items(wire);
        others.iter().for_each(|id| frame.replica(*id));
        frame.array(self.sessions.ids.len() as u64);
        for id in self.sessions.ids {
            frame.bytes(id.as_bytes());
        }
        if !stays {
            frame.items(&body);
            return frame.into_bytes();
        }
        let (head, end) = (frame.into_bytes(), body.len());
        body.extend_from_slice(&head);
        body.copy_within(..end, head.len());
        body.get_mut(..head.len()).into_iter().for_each(|front| front.copy_from_slice(&head));
        body
    }
}
