//! Dependencies as bytes, for tokens: CBOR, written by hand because a token has no table of ids.
//!
//! One space is `[1, id, r, w, id, r, w, …]` in the order of ids; several are `[1, name, generation, [id, r, w, …], …]`
//! in the order of spaces. An id stands as [`ReplicaId::to_bytes`]; `r` or `w` is 0 where only the other is depended on.
//! Invariant: one value has one form. Reading refuses whatever writing would not have written (another order, a
//! repeated id, an entry or a space that asks for nothing, a longer number, bytes after the end), and allocates by
//! what it has read, never by a length field.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::codec::cbor::{Input, Output};
use crate::id::{ReplicaId, SEQUENCE_MAX, Space};
use crate::session::vector::{Dependencies, SessionVector};
use crate::vector::VersionVector;
use crate::vector::ids::IdList;

/// The version of both forms.
const VERSION: u64 = 1;

/// About as much as an entry takes.
const ENTRY_BYTES: usize = 24;

/// Writes the dependencies in one space.
pub(super) fn pack(dependencies: &Dependencies) -> Vec<u8> {
    let replicas = how_many(dependencies);
    let mut cbor = Output::with_capacity(ENTRY_BYTES * replicas + ENTRY_BYTES);
    cbor.array(1 + 3 * replicas as u64);
    cbor.u64(VERSION);
    write(&mut cbor, dependencies);
    cbor.into_bytes()
}

/// Reads what [`pack`] writes, if it is that and asks for something.
pub(super) fn unpack(bytes: &[u8]) -> Option<Dependencies> {
    let mut cbor = Strict::new(bytes);
    let items = cbor.array()?.checked_sub(1)?;
    let dependencies = cbor.version().and_then(|()| cbor.dependencies(items))?;
    (!dependencies.is_empty() && cbor.is_done()).then_some(dependencies)
}

/// Writes the dependencies in every space that has some; nothing at all if none has.
pub(super) fn pack_all(vector: &SessionVector) -> Vec<u8> {
    let spaces = || vector.iter().filter(|(_, own)| !own.is_empty());
    let count = spaces().count();
    if count == 0 {
        return Vec::new();
    }
    let mut cbor = Output::with_capacity(4 * ENTRY_BYTES);
    cbor.array(1 + 3 * count as u64);
    cbor.u64(VERSION);
    for (space, own) in spaces() {
        cbor.text(space.name());
        cbor.u64(u64::from(space.generation()));
        cbor.array(3 * how_many(own) as u64);
        write(&mut cbor, own);
    }
    cbor.into_bytes()
}

/// Reads what [`pack_all`] writes, if it is that.
pub(super) fn unpack_all(bytes: &[u8]) -> Option<SessionVector> {
    let mut vector = SessionVector::default();
    if bytes.is_empty() {
        return Some(vector);
    }
    let mut cbor = Strict::new(bytes);
    let items = cbor.array()?.checked_sub(1)?;
    cbor.version()?;
    if items == 0 || !items.is_multiple_of(3) {
        return None;
    }
    for _ in 0..items / 3 {
        let space = cbor.space()?;
        let last = vector.iter().last().map(|(last, _)| last);
        last.is_none_or(|last| *last < space).then_some(())?;
        let items = cbor.array()?;
        *vector.dependencies(&space) = cbor.dependencies(items).filter(|own| !own.is_empty())?;
    }
    cbor.is_done().then_some(vector)
}

/// How many replicas are depended on.
fn how_many(dependencies: &Dependencies) -> usize {
    let Dependencies { reads, writes } = dependencies;
    if reads.is_empty() || writes.is_empty() { reads.len() + writes.len() } else { entries(dependencies).count() }
}

/// Every replica that is depended on, with what was read and what was written of it, in order.
fn entries(dependencies: &Dependencies) -> impl Iterator<Item = (ReplicaId, u64, u64)> {
    let mut reads = dependencies.reads.iter().peekable();
    let mut writes = dependencies.writes.iter().peekable();
    core::iter::from_fn(move || {
        let id = match (reads.peek(), writes.peek()) {
            (Some((read, _)), Some((written, _))) => *read.min(written),
            (Some((id, _)), None) | (None, Some((id, _))) => *id,
            (None, None) => return None,
        };
        let read = reads.next_if(|(read, _)| *read == id).map_or(0, |(_, sequence)| sequence);
        let written = writes.next_if(|(written, _)| *written == id).map_or(0, |(_, sequence)| sequence);
        Some((id, read, written))
    })
}

fn write(cbor: &mut Output, dependencies: &Dependencies) {
    // Mostly it is one of the two, and nothing is to be put in order.
    if dependencies.writes.is_empty() {
        for (replica, read) in dependencies.reads.iter() {
            cbor.replica(replica);
            cbor.u64(read);
            cbor.u64(0);
        }
        return;
    }
    for (replica, read, written) in entries(dependencies) {
        cbor.replica(replica);
        cbor.u64(read);
        cbor.u64(written);
    }
}

/// Reads one form of each value: it keeps count of the bytes that writing would have made. Whoever reads what is as long
/// has read nothing that has a longer form than it need have.
struct Strict<'b> {
    cbor: Input<'b>,
    bytes: usize,
    written: usize,
}

impl<'b> Strict<'b> {
    const fn new(bytes: &'b [u8]) -> Self {
        Self { cbor: Input::new(bytes), bytes: bytes.len(), written: 0 }
    }

    /// Whether nothing is left, and nothing was longer than it need be.
    const fn is_done(&self) -> bool {
        self.cbor.left() == 0 && self.bytes == self.written
    }

    fn number(&mut self) -> Option<u64> {
        let value = self.cbor.u64()?;
        self.written += head_len(value);
        Some(value)
    }

    fn array(&mut self) -> Option<u64> {
        let len = self.cbor.array()?;
        self.written += head_len(len);
        Some(len)
    }

    fn version(&mut self) -> Option<()> {
        (self.number()? == VERSION).then_some(())
    }

    fn space(&mut self) -> Option<Space> {
        let name = self.cbor.text()?;
        self.written += head_len(name.len() as u64) + name.len();
        Space::new(name, u32::try_from(self.number()?).ok()?).ok()
    }

    fn replica(&mut self) -> Option<ReplicaId> {
        let id = match ReplicaId::read_wire(self.cbor.rest()) {
            Some((id, len)) => {
                self.cbor.pass(len);
                id
            }
            None => ReplicaId::from_bytes(self.cbor.bytes()?).ok()?,
        };
        self.written += id.wire_len();
        Some(id)
    }

    fn sequence(&mut self) -> Option<u64> {
        self.number().filter(|sequence| *sequence <= SEQUENCE_MAX)
    }

    /// As many entries as these items are, ascending, each of which asks for something.
    fn dependencies(&mut self, items: u64) -> Option<Dependencies> {
        // The length is a claim: an entry has fourteen bytes at least.
        let most = self.cbor.left() / 14;
        let room = (items as usize / 3).min(most);
        let (mut reads, mut writes) = (Half::default(), Half::default());
        let mut last = None;
        items.is_multiple_of(3).then_some(())?;
        for _ in 0..items / 3 {
            let (id, read, written) = (self.replica()?, self.sequence()?, self.sequence()?);
            (last.is_none_or(|last| last < id) && (read > 0 || written > 0)).then_some(())?;
            last = Some(id);
            reads.put(id, read, room);
            writes.put(id, written, room);
        }
        Some(Dependencies { reads: reads.vector()?, writes: writes.vector()? })
    }
}

/// One of the two vectors in the making. Ids come in order.
#[derive(Default)]
struct Half {
    ids: Vec<ReplicaId>,
    sequences: Vec<u64>,
}

impl Half {
    fn put(&mut self, id: ReplicaId, sequence: u64, room: usize) {
        if sequence == 0 {
            return;
        }
        if self.ids.is_empty() {
            self.ids.reserve_exact(room);
            self.sequences.reserve_exact(room);
        }
        self.ids.push(id);
        self.sequences.push(sequence);
    }

    fn vector(self) -> Option<VersionVector> {
        VersionVector::of(IdList::new(self.ids).map(Arc::new), self.sequences)
    }
}

/// How many bytes the shortest head has that says so much.
const fn head_len(value: u64) -> usize {
    match value {
        0..24 => 1,
        24..0x100 => 2,
        0x100..0x1_0000 => 3,
        0x1_0000..0x1_0000_0000 => 5,
        _ => 9,
    }
}
