//! The encoding of dependencies in tokens: a CBOR sequence (RFC 8742), written by hand because a token has no table of
//! ids.
//!
//! * One space is `2, label, randoms, n, …, label, randoms, n, …`. Ids are in order and grouped by label, which is
//!   written once per group. `randoms` is one byte string with the ten random bytes of each id.
//! * For each id follows `n`, a sequence times four plus its kind: 1 read, 2 written, 3 both the same, 0 read, followed
//!   by the written sequence as a number of its own.
//! * Several spaces are `2, name, generation, bytes, …` in the order of spaces. `bytes` is the form of one space
//!   without the leading 2.
//!
//! Invariants:
//!
//! * A value has exactly one form. Decoding refuses what encoding would not have written: another order, a repeated id
//!   or label, an entry or space without dependencies, a longer number, bytes after the end.
//! * Memory is allocated for what was read, never by a length field.

use alloc::vec::Vec;

use crate::codec::cbor::{Input, Output};
use crate::id::{RANDOM_LEN, ReplicaId, SEQUENCE_MAX, Space};
use crate::session::vector::{Dependencies, SessionVector};
use crate::vector::VersionVector;
use crate::vector::ids::IdList;

/// The version of both forms. Version 1 wrote each id with its label, and each sequence after or before a 0.
const VERSION: u64 = 2;

/// The approximate size of an entry.
const ENTRY_BYTES: usize = 16;

/// The kinds, in the two lowest bits of a number.
const READ: u64 = 1;
const WRITTEN: u64 = 2;
const BOTH: u64 = 3;
const APART: u64 = 0;

/// Encodes the dependencies in one space.
pub(super) fn pack(dependencies: &Dependencies) -> Vec<u8> {
    let mut cbor = Output::with_capacity(ENTRY_BYTES + about(dependencies));
    cbor.u64(VERSION);
    write(&mut cbor, dependencies);
    cbor.into_bytes()
}

/// Decodes what [`pack`] writes; `None` for anything else.
pub(super) fn unpack(bytes: &[u8]) -> Option<Dependencies> {
    let mut cbor = Strict::new(bytes);
    cbor.version()?;
    cbor.dependencies()
}

/// Encodes the dependencies of every space that has some; empty if none has.
pub(super) fn pack_all(vector: &SessionVector) -> Vec<u8> {
    let mut cbor = Output::default();
    for (space, own) in vector.iter().filter(|(_, own)| !own.is_empty()) {
        let about = about(own);
        cbor.reserve(3 * ENTRY_BYTES + about);
        if cbor.len() == 0 {
            cbor.u64(VERSION);
        }
        cbor.text(space.name());
        cbor.u64(u64::from(space.generation()));
        let (start, room) = (cbor.len(), cbor.leave_head(about));
        write(&mut cbor, own);
        cbor.wrap(start, room, 0);
    }
    cbor.into_bytes()
}

/// Decodes what [`pack_all`] writes; `None` for anything else.
pub(super) fn unpack_all(bytes: &[u8]) -> Option<SessionVector> {
    let mut vector = SessionVector::default();
    if bytes.is_empty() {
        return Some(vector);
    }
    let mut cbor = Strict::new(bytes);
    cbor.version()?;
    loop {
        let space = cbor.space()?;
        let last = vector.iter().last().map(|(last, _)| last);
        last.is_none_or(|last| *last < space).then_some(())?;
        *vector.dependencies(&space) = Strict::new(cbor.bytes()?).dependencies()?;
        if cbor.is_done()? {
            return Some(vector);
        }
    }
}

/// The approximate size of the encoding.
fn about(dependencies: &Dependencies) -> usize {
    ENTRY_BYTES * (dependencies.reads.len() + dependencies.writes.len())
}

/// The replicas in order, with the read and the written sequence of each.
fn entries(reads: &VersionVector, writes: &VersionVector) -> (Vec<ReplicaId>, Vec<(u64, u64)>) {
    let count = reads.len() + writes.len();
    let (mut ids, mut sequences) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut put = |id, read, written| {
        ids.push(id);
        sequences.push((read, written));
    };
    let mut own = writes.iter().peekable();
    for (id, read) in reads.iter() {
        while let Some((id, written)) = own.next_if(|(other, _)| *other < id) {
            put(id, 0, written);
        }
        put(id, read, own.next_if(|(other, _)| *other == id).map_or(0, |(_, written)| written));
    }
    own.for_each(|(id, written)| put(id, 0, written));
    (ids, sequences)
}

fn write(cbor: &mut Output, dependencies: &Dependencies) {
    let Dependencies { reads, writes } = dependencies;
    // Usually only one of the two vectors has entries, and nothing needs merging.
    match (reads.ids(), writes.ids()) {
        (Some(ids), None) => write_groups(cbor, ids.list(), reads.sequences(), |cbor, read| cbor.u64(read << 2 | READ)),
        (None, Some(ids)) => {
            write_groups(cbor, ids.list(), writes.sequences(), |cbor, written| cbor.u64(written << 2 | WRITTEN));
        }
        (Some(_), Some(_)) | (None, None) => {
            let (ids, sequences) = entries(reads, writes);
            write_groups(cbor, &ids, &sequences, |cbor, sequences| match sequences {
                (read, 0) => cbor.u64(read << 2 | READ),
                (0, written) => cbor.u64(written << 2 | WRITTEN),
                (read, written) if read == written => cbor.u64(read << 2 | BOTH),
                (read, written) => {
                    cbor.u64(read << 2 | APART);
                    cbor.u64(written);
                }
            });
        }
    }
}

fn write_groups<T: Copy>(cbor: &mut Output, ids: &[ReplicaId], sequences: &[T], number: impl Fn(&mut Output, T)) {
    let mut sequences = sequences.iter();
    for group in ids.chunk_by(ReplicaId::is_sibling) {
        let Some(first) = group.first() else { return };
        cbor.text(&first.label());
        cbor.randoms(group);
        sequences.by_ref().take(group.len()).for_each(|one| number(cbor, *one));
    }
}

/// Decodes the shortest form of each value only: it counts the bytes that encoding would have produced. If the counts
/// agree at the end, no number had a longer form than necessary.
struct Strict<'b> {
    cbor: Input<'b>,
    bytes: usize,
    written: usize,
}

impl<'b> Strict<'b> {
    const fn new(bytes: &'b [u8]) -> Self {
        Self { cbor: Input::new(bytes), bytes: bytes.len(), written: 0 }
    }

    /// Whether nothing is left; `None` if something was longer than necessary.
    fn is_done(&self) -> Option<bool> {
        let read = self.bytes - self.cbor.left();
        (read == self.written).then_some(self.cbor.left() == 0)
    }

    fn number(&mut self) -> Option<u64> {
        let value = self.cbor.near_u64()?;
        self.written += head_len(value);
        Some(value)
    }

    fn version(&mut self) -> Option<()> {
        (self.number()? == VERSION).then_some(())
    }

    fn text(&mut self) -> Option<&'b str> {
        let text = self.cbor.text()?;
        self.written += head_len(text.len() as u64) + text.len();
        Some(text)
    }

    fn bytes(&mut self) -> Option<&'b [u8]> {
        let bytes = self.cbor.bytes()?;
        self.written += head_len(bytes.len() as u64) + bytes.len();
        Some(bytes)
    }

    fn space(&mut self) -> Option<Space> {
        let name = self.text()?;
        Space::new(name, u32::try_from(self.number()?).ok()?).ok()
    }

    /// The read and the written sequence of a replica, at least one of them above 0.
    fn sequences(&mut self) -> Option<(u64, u64)> {
        let number = self.number()?;
        let one = number >> 2;
        let (read, written) = match number & 3 {
            READ => (one, 0),
            WRITTEN => (0, one),
            BOTH => (one, one),
            // APART: neither is 0, and they differ.
            _ => (one, self.number().filter(|written| one > 0 && *written > 0 && *written != one)?),
        };
        (1..=SEQUENCE_MAX).contains(&read.max(written)).then_some((read, written))
    }

    /// Decodes the rest as dependencies: at least one entry, ids ascending.
    fn dependencies(&mut self) -> Option<Dependencies> {
        let (mut reads, mut writes) = (Half::default(), Half::default());
        let mut last: Option<ReplicaId> = None;
        loop {
            let (label, randoms) = (self.text()?, self.bytes()?);
            let ([random, others @ ..], []) = randoms.as_chunks::<RANDOM_LEN>() else { return None };
            let mut id = ReplicaId::of(label.as_bytes(), *random)?;
            // Labels ascend with ids, so no label occurs twice.
            last.is_none_or(|last| last < id && !last.is_sibling(&id)).then_some(())?;
            let mut others = others.iter();
            loop {
                let (read, written) = self.sequences()?;
                if read > 0 {
                    reads.put(id, read, 1 + others.len());
                }
                if written > 0 {
                    writes.put(id, written, 1 + others.len());
                }
                let Some(random) = others.next() else { break };
                id = id.later_sibling(*random)?;
            }
            last = Some(id);
            if self.is_done()? {
                return Some(Dependencies { reads: reads.vector()?, writes: writes.vector()? });
            }
        }
    }
}

/// One of the two vectors being built. Ids arrive in order.
#[derive(Default)]
struct Half {
    ids: Vec<ReplicaId>,
    sequences: Vec<u64>,
}

impl Half {
    #[inline(always)]
    fn put(&mut self, id: ReplicaId, sequence: u64, room: usize) {
        if self.ids.is_empty() {
            self.ids.reserve_exact(room);
            self.sequences.reserve_exact(room);
        }
        self.ids.push(id);
        self.sequences.push(sequence);
    }

    fn vector(self) -> Option<VersionVector> {
        VersionVector::of(IdList::ascending(self.ids), self.sequences)
    }
}

/// The length of the shortest CBOR head for `value`.
const fn head_len(value: u64) -> usize {
    match value {
        0..24 => 1,
        24..0x100 => 2,
        0x100..0x1_0000 => 3,
        0x1_0000..0x1_0000_0000 => 5,
        _ => 9,
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    fn any_id() -> impl Strategy<Value = ReplicaId> {
        // Few labels and few random parts, so that neighbours, siblings and duplicates occur.
        let label = prop_oneof![
            Just("a"),
            Just("ab"),
            Just("a-b"),
            Just("abcdefgh"),
            Just("abcdefghi"),
            Just("abcdefghijklmnop")
        ];
        (label, 0..4u8, prop_oneof![Just(0u8), any::<u8>()]).prop_filter_map("a label", |(label, first, last)| {
            ReplicaId::new(label, [first, 0, 0, 0, 0, 0, 0, 0, 0, last]).ok()
        })
    }

    fn any_sequence() -> impl Strategy<Value = u64> {
        prop_oneof![1..8_u64, 60..70_u64, 16_380..16_390_u64, 1..=SEQUENCE_MAX, Just(SEQUENCE_MAX)]
    }

    fn any_dependencies() -> impl Strategy<Value = Dependencies> {
        prop::collection::vec((any_id(), any_sequence(), any_sequence(), 0..4u8), 1..20).prop_map(|entries| {
            let mut own = Dependencies::default();
            let (mut reads, mut writes) = (Vec::new(), Vec::new());
            for (id, one, other, what) in entries {
                match what {
                    0 => reads.push((id, one)),
                    1 => writes.push((id, one)),
                    2 => (reads.push((id, one)), writes.push((id, one))).0,
                    _ => (reads.push((id, one)), writes.push((id, other))).0,
                }
            }
            (own.reads, own.writes) = (reads.into_iter().collect(), writes.into_iter().collect());
            own
        })
    }

    fn any_vector() -> impl Strategy<Value = SessionVector> {
        let name = prop_oneof![Just("a"), Just("b"), Just("default")];
        prop::collection::vec((name, 1..3u32, any_dependencies()), 0..4).prop_map(|spaces| {
            let mut vector = SessionVector::default();
            for (name, generation, own) in spaces {
                if let Ok(space) = Space::new(name, generation) {
                    *vector.dependencies(&space) = own;
                }
            }
            vector
        })
    }

    /// Changes, removes or inserts bytes at a few places.
    fn changed(bytes: &[u8], changes: &[(usize, u8, u8)]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for (at, how, byte) in changes {
            let at = at % (bytes.len() + 1);
            match how % 4 {
                0 if at < bytes.len() => _ = bytes.remove(at),
                1 => bytes.insert(at, *byte),
                2 => bytes.truncate(at),
                // Changes by little, since heads, labels and numbers have values near each other.
                _ => bytes
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|held| *held = held.wrapping_add(byte % 5).wrapping_sub(2)),
            }
        }
        bytes
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(own in any_dependencies(), vector in any_vector()) {
            prop_assert_eq!(unpack(&pack(&own)), Some(own));
            prop_assert_eq!(unpack_all(&pack_all(&vector)), Some(vector));
        }

        #[test]
        fn what_is_read_is_what_would_be_written(
            own in any_dependencies(), vector in any_vector(),
            changes in prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 1..3)
        ) {
            let one = changed(&pack(&own), &changes);
            if let Some(own) = unpack(&one) {
                prop_assert_eq!(pack(&own), one);
            }
            let all = changed(&pack_all(&vector), &changes);
            if let Some(vector) = unpack_all(&all) {
                prop_assert_eq!(pack_all(&vector), all);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(prop_oneof![Just(2u8), Just(0x61), Just(b'a'), Just(0x4a), 0..8u8, any::<u8>()], 0..40)) {
            if let Some(own) = unpack(&bytes) {
                prop_assert_eq!(pack(&own), bytes);
            }
        }
    }

    #[test]
    fn a_label_is_written_once() {
        let label = String::from("a-long-label");
        let ids = (0..10u8).filter_map(|at| ReplicaId::new(&label, [at; RANDOM_LEN]).ok());
        let own = Dependencies { reads: ids.map(|id| (id, 7)).collect(), ..Dependencies::default() };
        // The version, the label, the head and the hundred random bytes, and one number per id.
        assert_eq!(pack(&own).len(), 1 + (1 + label.len()) + (2 + 10 * RANDOM_LEN) + 2 * 10);
    }
}
