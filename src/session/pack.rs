//! Dependencies as bytes, for tokens: CBOR, written by hand because a token has no table of ids.
//!
//! One space is `[1, id, r, w, id, r, w, …]` in the order of ids; several are `[1, name, generation, [id, r, w, …], …]`
//! in the order of spaces. An id stands as [`ReplicaId::to_bytes`]; `r` or `w` is 0 where only the other is depended on.
//! Invariant: one value has one form. Reading refuses whatever writing would not have written (another order, a
//! repeated id, an entry or a space that asks for nothing, a longer number, bytes after the end), and allocates by
//! what it has read, never by a length field.

use alloc::vec::Vec;

use crate::codec::cbor::{Input, Output};
use crate::id::{ReplicaId, SEQUENCE_MAX, Space};
use crate::session::vector::{Dependencies, SessionVector};
use crate::vector::VersionVector;

/// The version of both forms.
const VERSION: u64 = 1;

/// Writes the dependencies in one space.
pub(super) fn pack(dependencies: &Dependencies) -> Vec<u8> {
    let mut cbor = Output::default();
    let replicas = dependencies.replicas();
    cbor.array(1 + 3 * replicas.len() as u64);
    cbor.u64(VERSION);
    write(&mut cbor, dependencies, &replicas);
    cbor.into_bytes()
}

/// Reads what [`pack`] writes, if it is that and asks for something.
pub(super) fn unpack(bytes: &[u8]) -> Option<Dependencies> {
    let mut cbor = Input::new(bytes);
    let items = cbor.array()?.checked_sub(1)?;
    let dependencies = version(&mut cbor).and_then(|()| read(&mut cbor, items))?;
    (!dependencies.is_empty() && pack(&dependencies) == bytes).then_some(dependencies)
}

/// Writes the dependencies in every space that has some; nothing at all if none has.
pub(super) fn pack_all(vector: &SessionVector) -> Vec<u8> {
    let mut cbor = Output::default();
    let spaces: Vec<_> = vector.iter().filter(|(_, own)| !own.is_empty()).collect();
    if spaces.is_empty() {
        return Vec::new();
    }
    cbor.array(1 + 3 * spaces.len() as u64);
    cbor.u64(VERSION);
    for (space, own) in spaces {
        let replicas = own.replicas();
        cbor.text(space.name());
        cbor.u64(u64::from(space.generation()));
        cbor.array(3 * replicas.len() as u64);
        write(&mut cbor, own, &replicas);
    }
    cbor.into_bytes()
}

/// Reads what [`pack_all`] writes, if it is that.
pub(super) fn unpack_all(bytes: &[u8]) -> Option<SessionVector> {
    let mut vector = SessionVector::default();
    if bytes.is_empty() {
        return Some(vector);
    }
    let mut cbor = Input::new(bytes);
    let items = cbor.array()?.checked_sub(1)?;
    version(&mut cbor)?;
    for _ in 0..items / 3 {
        let space = Space::new(cbor.text()?, u32::try_from(cbor.u64()?).ok()?).ok()?;
        let entries = cbor.array()?;
        *vector.dependencies(&space) = read(&mut cbor, entries)?;
    }
    (pack_all(&vector) == bytes).then_some(vector)
}

fn write(cbor: &mut Output, dependencies: &Dependencies, replicas: &VersionVector) {
    for (replica, _) in replicas.iter() {
        cbor.replica(replica);
        cbor.u64(dependencies.reads.get(replica));
        cbor.u64(dependencies.writes.get(replica));
    }
}

fn version(cbor: &mut Input<'_>) -> Option<()> {
    (cbor.u64()? == VERSION).then_some(())
}

/// Reads `items / 3` entries. The order and the rest of the form are held by the callers, who write the value again
/// and compare.
fn read(cbor: &mut Input<'_>, items: u64) -> Option<Dependencies> {
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    for _ in 0..items / 3 {
        let replica = ReplicaId::from_bytes(cbor.bytes()?).ok()?;
        reads.push((replica, sequence(cbor)?));
        writes.push((replica, sequence(cbor)?));
    }
    Some(Dependencies { reads: reads.into_iter().collect(), writes: writes.into_iter().collect() })
}

fn sequence(cbor: &mut Input<'_>) -> Option<u64> {
    cbor.u64().filter(|sequence| *sequence <= SEQUENCE_MAX)
}
