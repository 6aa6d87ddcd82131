//! Frames: what is written is read, and what is damaged is refused before it costs anything.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use edge_session::codec::{Reader, VERSION, Writer};
use edge_session::error::{ErrorCode, SessionError};
use edge_session::id::{Dot, ReplicaId, SEQUENCE_MAX, SessionId, Space};
use edge_session::vector::VersionVector;
use proptest::prelude::*;

/// Whatever a frame can hold.
#[derive(Clone, PartialEq, Debug)]
enum Item {
    Unsigned(u64),
    Signed(i64),
    Truth(bool),
    Nothing,
    Text(String),
    Bytes(Vec<u8>),
    Replica(ReplicaId),
    Session(SessionId),
    Space(Space),
    Vector(VersionVector),
    Sequence(Vec<u64>),
}

fn replica(label: &str) -> ReplicaId {
    ReplicaId::new(label, [7; 10]).unwrap()
}

fn any_replica() -> impl Strategy<Value = ReplicaId> {
    "[a-c]{1,2}".prop_map(|label| replica(&label))
}

fn any_item() -> impl Strategy<Value = Item> {
    prop_oneof![
        any::<u64>().prop_map(Item::Unsigned),
        any::<i64>().prop_map(Item::Signed),
        any::<bool>().prop_map(Item::Truth),
        Just(Item::Nothing),
        ".{0,12}".prop_map(Item::Text),
        any::<Vec<u8>>().prop_map(Item::Bytes),
        any_replica().prop_map(Item::Replica),
        any::<[u8; 16]>().prop_map(|bytes| Item::Session(SessionId::from_bytes(bytes))),
        ("[a-z]{1,8}", 1u32..).prop_map(|(name, generation)| Item::Space(Space::new(&name, generation).unwrap())),
        prop::collection::vec((any_replica(), 0..=SEQUENCE_MAX), 0..6)
            .prop_map(|entries| Item::Vector(entries.into_iter().collect())),
        prop::collection::vec(any::<u64>(), 0..4).prop_map(Item::Sequence),
    ]
}

fn frame(items: &[Item]) -> Vec<u8> {
    let mut writer = Writer::new();
    for item in items {
        writer.item();
        match item {
            Item::Unsigned(value) => writer.u64(*value),
            Item::Signed(value) => writer.i64(*value),
            Item::Truth(value) => writer.bool(*value),
            Item::Nothing => writer.null(),
            Item::Text(value) => writer.text(value),
            Item::Bytes(value) => writer.bytes(value),
            Item::Replica(id) => writer.replica(*id),
            Item::Session(id) => writer.session(*id),
            Item::Space(space) => {
                writer.item();
                writer.space(space);
            }
            Item::Vector(vector) => writer.vector(vector),
            Item::Sequence(values) => writer.sequence(|inner| values.iter().for_each(|value| inner.u64(*value))),
        }
    }
    writer.finish()
}

/// Reads a frame of the same kinds of items as `shape` has.
fn read(frame: &[u8], shape: &[Item]) -> Result<Vec<Item>, SessionError> {
    let mut reader = Reader::open(frame)?;
    let items = shape.iter().map(|item| {
        Ok(match item {
            Item::Unsigned(_) => Item::Unsigned(reader.u64()?),
            Item::Signed(_) => Item::Signed(reader.i64()?),
            Item::Truth(_) => Item::Truth(reader.bool()?),
            Item::Nothing => reader.optional(Reader::u64)?.map_or(Item::Nothing, Item::Unsigned),
            Item::Text(_) => Item::Text(reader.text()?.into()),
            Item::Bytes(_) => Item::Bytes(reader.bytes()?.into()),
            Item::Replica(_) => Item::Replica(reader.replica()?),
            Item::Session(_) => Item::Session(reader.session()?),
            Item::Space(_) => Item::Space(reader.space()?),
            Item::Vector(_) => Item::Vector(reader.vector()?),
            Item::Sequence(_) => {
                let mut values = Vec::new();
                reader.sequence(|inner| inner.u64().map(|value| values.push(value)))?;
                Item::Sequence(values)
            }
        })
    });
    let items: Result<Vec<Item>, SessionError> = items.collect();
    reader.end()?;
    items
}

fn code<T: std::fmt::Debug>(result: Result<T, SessionError>) -> ErrorCode {
    result.unwrap_err().code()
}

/// Under Miri every step is a thousand, and one case takes seconds.
const CASES: u32 = if cfg!(miri) { 1 } else { 128 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn a_frame_survives_the_wire(items in prop::collection::vec(any_item(), 0..8)) {
        let frame = frame(&items);
        prop_assert_eq!(read(&frame, &items).unwrap(), &items[..]);
        let spaces = items.iter().filter(|item| matches!(item, Item::Space(_))).count();
        prop_assert_eq!(Reader::open(&frame).unwrap().items(), (items.len() + spaces) as u64);
    }

    #[test]
    fn a_frame_cut_short_is_refused_wherever_it_is_cut(items in prop::collection::vec(any_item(), 0..5)) {
        let frame = frame(&items);
        for len in 0..frame.len() {
            prop_assert_eq!(code(read(&frame[..len], &items)), ErrorCode::MessageMalformed, "cut to {} bytes", len);
        }
    }

    #[test]
    fn bytes_after_the_end_are_refused(items in prop::collection::vec(any_item(), 0..5), more: u8) {
        let mut frame = frame(&items);
        frame.push(more);
        prop_assert_eq!(code(read(&frame, &items)), ErrorCode::MessageMalformed);
    }

    #[test]
    fn a_frame_of_another_version_is_told_apart(version in prop_oneof![Just(0), 2u64..9, 2u64..], rest in any::<Vec<u8>>()) {
        let mut frame = minicbor_array(1 + rest.len() as u64);
        frame.extend(minicbor_u64(version));
        frame.extend(rest);
        prop_assert_eq!(code(Reader::open(&frame).map(drop)), ErrorCode::ProtocolMismatch);
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in any::<Vec<u8>>(),
        body in any::<Vec<u8>>(),
        shape in prop::collection::vec(any_item(), 0..5),
    ) {
        let _ = read(&bytes, &shape);
        // The same behind a sound beginning, so that the body is reached.
        let mut frame = vec![0x83 + shape.len() as u8, 1, 0x80, 0x80];
        frame.extend(&body);
        let _ = read(&frame, &shape);
        if let Ok(mut reader) = Reader::open(&frame) {
            while reader.skip().is_ok() {}
        }
    }

    #[test]
    fn a_changed_byte_never_makes_a_reader_fail_otherwise(
        items in prop::collection::vec(any_item(), 1..5),
        at: prop::sample::Index,
        to: u8,
    ) {
        let mut frame = frame(&items);
        let at = at.index(frame.len());
        frame[at] = to;
        if let Err(error) = read(&frame, &items) {
            prop_assert!(matches!(error.code(), ErrorCode::MessageMalformed | ErrorCode::ProtocolMismatch));
        }
    }
}

fn minicbor_array(len: u64) -> Vec<u8> {
    let mut cbor = minicbor::Encoder::new(Vec::new());
    cbor.array(len).unwrap();
    cbor.into_writer()
}

fn minicbor_u64(value: u64) -> Vec<u8> {
    minicbor::to_vec(value).unwrap()
}

#[test]
fn a_length_field_alone_allocates_nothing() {
    // Whoever believed one of these would ask for 2⁶² items or bytes, which no allocator gives.
    let huge = |major: u8| [&[major | 27][..], &(1u64 << 62).to_be_bytes()].concat();
    let frames = [
        huge(0x80),
        [&[0x83, 1][..], &huge(0x80)].concat(),
        [&[0x83, 1, 0x80][..], &huge(0x80)].concat(),
        [&[0x83, 1, 0x81][..], &huge(0x40)].concat(),
    ];
    for frame in frames {
        assert_eq!(code(Reader::open(&frame).map(drop)), ErrorCode::MessageMalformed, "{frame:x?}");
    }
    for (major, item) in
        [(0x40, Item::Bytes(vec![])), (0x60, Item::Text(String::new())), (0x80, Item::Vector(VersionVector::new()))]
    {
        let frame = [&[0x84, 1, 0x80, 0x80][..], &huge(major)].concat();
        assert_eq!(code(read(&frame, std::slice::from_ref(&item))), ErrorCode::MessageMalformed, "{item:?}");
    }
}

#[test]
fn an_array_longer_than_its_frame_is_refused_at_its_head() {
    let open = |body: &[u8]| {
        let frame = [&[0x84, 1, 0x80, 0x80][..], body].concat();
        Reader::open(&frame).unwrap().array()
    };
    assert_eq!(open(&[0x82, 0, 0]).unwrap(), 2, "each item has at least one byte");
    assert_eq!(code(open(&[0x83, 0, 0])), ErrorCode::MessageMalformed);
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let mut frame = vec![0x84, 1, 0x80, 0x80];
    frame.extend(std::iter::repeat_n(0x81, 1 << 20));
    let mut reader = Reader::open(&frame).unwrap();
    assert_eq!(code(reader.skip()), ErrorCode::MessageMalformed);
}

#[test]
fn a_vector_out_of_order_or_out_of_range_is_refused() {
    let (a, b) = (replica("a"), replica("b"));
    let read = |entries: &[(ReplicaId, u64)], len: usize| {
        let mut writer = Writer::new();
        writer.item();
        writer.array(len);
        for (replica, sequence) in entries {
            writer.replica(*replica);
            writer.u64(*sequence);
        }
        let frame = writer.finish();
        Reader::open(&frame).unwrap().vector()
    };
    assert!(read(&[(a, 1), (b, SEQUENCE_MAX)], 4).is_ok());
    assert_eq!(code(read(&[(b, 1), (a, 1)], 4)), ErrorCode::MessageMalformed, "another order");
    assert_eq!(code(read(&[(a, 1), (a, 2)], 4)), ErrorCode::MessageMalformed, "a replica that stands twice");
    assert_eq!(code(read(&[(a, 0)], 2)), ErrorCode::MessageMalformed, "sequence 0");
    assert_eq!(code(read(&[(a, SEQUENCE_MAX + 1)], 2)), ErrorCode::MessageMalformed, "a sequence above the greatest");
    assert_eq!(code(read(&[(a, 1), (b, 1)], 3)), ErrorCode::MessageMalformed, "an odd length");
}

/// Entries of many replicas, some of them of one label, so that the lists of vectors are long and often alike.
fn many() -> impl Strategy<Value = Vec<(ReplicaId, u64)>> {
    let label = prop::sample::select(vec!["a", "edge", "edge-fra", "edge-fra1", "a-label-of-13-c", "a-label-of-16-ch"]);
    let replica = (label, 0..4u8).prop_map(|(label, number)| ReplicaId::new(label, [number; 10]).unwrap());
    let sequence = prop_oneof![1..30u64, 250..260u64, 65_530..65_540u64, Just(SEQUENCE_MAX)];
    prop::collection::vec((replica, sequence), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    /// Long lists of ids are written and read in one piece: whoever writes and whoever reads, it is the same.
    #[test]
    fn vectors_are_read_alike_by_whoever_holds_what(one in many(), two in many(), speaker in any_replica()) {
        let about: VersionVector = one.iter().copied().collect();
        let mut joined: VersionVector = two.iter().copied().collect();
        joined.join(&about);
        let other: VersionVector = two.into_iter().collect();
        let mut shorter = about.clone();
        shorter.cap(one.first().map_or(speaker, |(id, _)| *id), 0);
        let vectors = [&other, &about, &shorter, &joined];
        for mut writer in [Writer::new(), Writer::about(&about), Writer::about(&joined), Writer::about(&shorter)] {
            writer.item();
            writer.replica(speaker);
            for vector in vectors {
                writer.item();
                writer.vector(vector);
            }
            let frame = writer.finish();
            for known in [None, Some(&other), Some(&about), Some(&shorter), Some(&joined)] {
                let mut reader = Reader::open_beside(&frame, known).unwrap();
                prop_assert_eq!(reader.replica().unwrap(), speaker);
                for vector in vectors {
                    prop_assert_eq!(&reader.vector().unwrap(), vector);
                }
                prop_assert!(reader.end().is_ok());
            }
        }
    }

    /// However a vector came about: equal ones have equal bytes.
    #[test]
    fn a_vector_has_one_form(entries in many(), gone in many()) {
        let vector: VersionVector = entries.iter().copied().collect();
        let mut other = VersionVector::new();
        entries.iter().rev().chain(&gone).for_each(|(id, sequence)| other.advance(Dot::new(*id, *sequence)));
        for (id, _) in &gone {
            other.cap(*id, 0);
            other.advance(Dot::new(*id, vector.get(*id)));
        }
        let mut read = Reader::open(&about(&other)).unwrap().vector().unwrap();
        read.join(&vector);
        prop_assert_eq!(about(&other), about(&vector));
        prop_assert_eq!(about(&read), about(&vector));
    }
}

/// What was done to a table of ids.
#[derive(Clone, Debug)]
enum Harm {
    None,
    Swapped(prop::sample::Index, prop::sample::Index),
    Twice(prop::sample::Index),
    Changed(prop::sample::Index, u8),
}

/// As others read it: the ids of a table that ascend, with their places as sequences, and what follows to the letter.
fn read_by_others(frame: &[u8]) -> Option<VersionVector> {
    let mut cbor = minicbor::Decoder::new(frame);
    let heads = (cbor.array().ok()??, cbor.u64().ok()?);
    let count = cbor.array().ok()??;
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(ReplicaId::from_bytes(cbor.bytes().ok()?).ok()?);
    }
    let sessions = cbor.array().ok()??;
    let items = cbor.array().ok()??;
    let mut entries = Vec::new();
    for _ in 0..items / 2 {
        let (at, sequence) = (cbor.u64().ok()?, cbor.u64().ok()?);
        entries
            .push((*ids.get(usize::try_from(at).ok()?)?, Some(sequence).filter(|n| (1..=SEQUENCE_MAX).contains(n))?));
    }
    let sound =
        heads == (4, 1) && sessions == 0 && items.is_multiple_of(2) && entries.is_sorted_by(|one, next| one.0 < next.0);
    sound.then(|| entries.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8 * CASES))]

    /// Long tables are looked through without being taken apart: what is refused, and what is read, is the same.
    #[test]
    fn a_table_is_read_as_others_read_it(
        ids in prop::collection::btree_set(
            (prop::sample::select(vec!["edge", "edge", "edge-fr", "edge-fra", "a-label-of-13-c", "a-label-of-16-ch"]), 0..3u8, any::<u8>()), 0..40),
        harm in prop_oneof![
            Just(Harm::None),
            (any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(one, two)| Harm::Swapped(one, two)),
            any::<prop::sample::Index>().prop_map(Harm::Twice),
            (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, to)| Harm::Changed(at, to)),
        ],
        named: prop::sample::Index,
        behind in 0..3usize,
    ) {
        // Some differ in their first random byte, some in their last alone.
        let id = |(label, first, last)| {
            ReplicaId::new(label, [first, first, 0, 0, 0, 0, 0, 0, 0, last]).unwrap()
        };
        let mut ids: Vec<ReplicaId> = ids.into_iter().map(id).collect();
        ids.sort();
        let count = ids.len() - behind.min(ids.len());
        let len = ids.len();
        match &harm {
            Harm::Swapped(one, two) if len > 0 => ids.swap(one.index(len), two.index(len)),
            Harm::Twice(at) if len > 0 => ids.insert(at.index(len), ids[at.index(len)]),
            Harm::None | Harm::Swapped(..) | Harm::Twice(_) | Harm::Changed(..) => {}
        }
        let mut table = Vec::new();
        for id in &ids {
            minicbor::Encoder::new(&mut table).bytes(&id.to_bytes()).unwrap();
        }
        if let (Harm::Changed(at, to), false) = (harm, table.is_empty()) {
            let at = at.index(table.len());
            table[at] = to;
        }
        let mut frame = vec![0x84, 1];
        frame.extend(minicbor_array(ids.len() as u64));
        frame.extend(table);
        frame.extend([0x80]);
        frame.extend(minicbor_array(2 * count as u64));
        (0..count as u64).for_each(|place| frame.extend([minicbor_u64(place), minicbor_u64(1 + 300 * place)].concat()));
        let wanted = read_by_others(&frame);
        let mut reader = match Reader::open(&frame) {
            Ok(reader) => reader,
            Err(error) => {
                prop_assert_eq!((error.code(), wanted), (ErrorCode::MessageMalformed, None));
                return Ok(());
            }
        };
        let place = named.index(ids.len().max(1)) as u64;
        let before = reader.replica_at(place).ok();
        let read = reader.vector();
        prop_assert_eq!(read.as_ref().ok(), wanted.as_ref());
        prop_assert_eq!(reader.replica_at(place).ok(), before);
        if let Some(wanted) = wanted {
            let read = read.unwrap();
            let unread = Reader::open(&frame).unwrap().vector().unwrap();
            prop_assert_eq!(about(&unread), about(&wanted));
            let listed: Vec<ReplicaId> = wanted.iter().map(|(id, _)| id).collect();
            prop_assert!(listed.get(place as usize).is_none_or(|id| before == Some(*id)));
            // What is kept as bytes is taken apart when it changes.
            for id in [listed.first(), listed.last()].into_iter().flatten() {
                let mut less = read.clone();
                less.cap(*id, 0);
                prop_assert_eq!(about(&less), about(&wanted.iter().filter(|(own, _)| own != id).collect()));
            }
        }
    }
}

fn about(vector: &VersionVector) -> Vec<u8> {
    let mut writer = Writer::about(vector);
    writer.item();
    writer.vector(vector);
    writer.finish()
}

/// Another head than the shortest is read, but what is written after it is as ever.
#[test]
fn an_id_with_a_longer_head_leaves_no_trace() {
    let ids: Vec<ReplicaId> = (0..9).map(|number| ReplicaId::new("edge", [number; 10]).unwrap()).collect();
    let vector: VersionVector = ids.iter().map(|id| (*id, 7)).collect();
    let frame = about(&vector);
    for at in 0..ids.len() {
        // Behind the heads of the frame, its version and the table.
        let (before, after) = frame.split_at(3 + 15 * at);
        assert_eq!(after[0], 0x40 | 14);
        let longer = [before, &[0x58, 14], &after[1..]].concat();
        for known in [None, Some(&vector)] {
            let read = Reader::open_beside(&longer, known).unwrap().vector().unwrap();
            assert_eq!(read, vector);
            assert_eq!(about(&read), frame, "the head of number {at}");
        }
    }
}

/// Eight characters of a label are judged at once; each must be judged as if it were alone.
#[test]
fn an_id_is_refused_for_each_byte_that_no_label_has() {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    // Under Miri all of them take a quarter of an hour.
    let (lengths, step) = if cfg!(miri) { (vec![3, 8, 16], 51) } else { ((1..=16).collect(), 1) };
    for len in lengths {
        for at in 0..len {
            for byte in (0..=u8::MAX).step_by(step) {
                let mut compact = vec![b'a'; len];
                compact[at] = byte;
                compact.extend([0xff; 10]);
                assert_eq!(ReplicaId::from_bytes(&compact).is_ok(), legal(byte), "{byte:#x} at {at} of {len}");
                let mut frame = if len < 14 {
                    vec![0x84, 1, 0x81, 0x40 | compact.len() as u8]
                } else {
                    vec![0x84, 1, 0x81, 0x58, compact.len() as u8]
                };
                frame.extend(&compact);
                frame.extend([0x81, 0x50].into_iter().chain([0; 16]).chain([0]));
                let read = Reader::open(&frame).and_then(|mut reader| reader.replica());
                assert_eq!(
                    read.map(ReplicaId::to_bytes).ok(),
                    legal(byte).then_some(compact),
                    "{byte:#x} at {at} of {len}"
                );
            }
        }
    }
    for len in [0, 17, 18, 23, 24, 200] {
        assert!(ReplicaId::from_bytes(&vec![b'a'; len + 10]).is_err(), "a label of {len}");
    }
}

#[test]
fn an_id_that_is_not_in_the_table_is_refused() {
    let one_past_the_end = [0x84, 1, 0x80, 0x80, 0];
    assert_eq!(code(Reader::open(&one_past_the_end).unwrap().replica()), ErrorCode::MessageMalformed);
    assert_eq!(code(Reader::open(&one_past_the_end).unwrap().session()), ErrorCode::MessageMalformed);
}

#[test]
fn an_array_of_open_length_is_refused() {
    assert_eq!(code(Reader::open(&[0x9f, 1, 0x80, 0x80, 0xff]).map(drop)), ErrorCode::MessageMalformed);
}

/// `tests/data/wire/vector.txt`: each vector is written as the frame beside it, and read from it.
#[test]
fn vectors_have_the_documented_bytes() {
    let golden = include_str!("data/wire/vector.txt");
    let mut cases = 0;
    for line in golden.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (hex, entries) = line.split_once('=').unwrap();
        let vector: VersionVector = entries
            .split_whitespace()
            .map(|entry| {
                let (id, sequence) = entry.split_once(':').unwrap();
                (id.parse().unwrap(), sequence.parse().unwrap())
            })
            .collect();
        let hex: String = hex.split_whitespace().collect();
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        assert_eq!(frame(&[Item::Vector(vector.clone())]), bytes, "{line}");
        assert_eq!(read(&bytes, &[Item::Vector(VersionVector::new())]).unwrap(), [Item::Vector(vector)], "{line}");
        assert_eq!(bytes[1], VERSION as u8);
        cases += 1;
    }
    assert!(cases >= 4);
}
