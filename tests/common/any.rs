//! Any frame that a replica could send: strategies for property tests.
//!
//! Ids are few, so that vectors and entries often meet. Knows only the public API.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;

use edge_session::id::{Dot, ReplicaId, SessionId, Space};
use edge_session::identity::Secret;
use edge_session::store::delta::{Delta, Keys, Listed};
use edge_session::store::entry::{Content, DataEntry};
use edge_session::store::fence::Fence;
use edge_session::store::limits::Limits;
use edge_session::store::roster::{Row, Running};
use edge_session::store::{Log, SessionConsistentStore, Written};
use edge_session::sync::message::{Call, Frame, Message, Proof, Reply, Slice};
use edge_session::time::Hlc;
use edge_session::vector::VersionVector;
use proptest::prelude::*;

/// The time of the examples, in milliseconds.
const TIME: u64 = 1_790_000_000_000;

fn any_replica() -> impl Strategy<Value = ReplicaId> {
    ("[a-c]{1,2}", prop::sample::select(vec![[0; 10], [255; 10]]))
        .prop_map(|(label, random)| ReplicaId::new(&label, random).unwrap())
}

fn any_space() -> impl Strategy<Value = Space> {
    ("[a-z$]{1,8}", 1..4u32).prop_map(|(name, generation)| Space::new(&name, generation).unwrap())
}

fn any_sequence() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 1..50u64, 1 => 1..edge_session::id::SEQUENCE_MAX]
}

pub fn any_vector() -> impl Strategy<Value = VersionVector> {
    prop::collection::vec((any_replica(), any_sequence()), 0..5).prop_map(|entries| entries.into_iter().collect())
}

fn any_content() -> impl Strategy<Value = Content> {
    prop_oneof![
        Just(Content::Tombstone),
        ".{0,20}".prop_map(|text| Content::Text(text.into())),
        ".{0,20}".prop_map(|text| Content::Json(text.into())),
        any::<Vec<u8>>().prop_map(|bytes| Content::Bytes(bytes.into())),
    ]
}

/// An entry or bare dot, before its dot is put in range: whether it is in full, what it holds, when it was made and ends.
type Draft = (bool, Content, u64, Option<[u8; 16]>, Option<u64>);

fn any_draft() -> impl Strategy<Value = Draft> {
    let time = || prop_oneof![3 => TIME..TIME + 1_000, 1 => 0..(1u64 << 48) - 86_400_001];
    let stamp = time().prop_flat_map(|millis| any::<u16>().prop_map(move |n| Hlc::new(millis, n).to_bits()));
    (prop::bool::weighted(0.8), any_content(), stamp, any::<Option<[u8; 16]>>(), prop::option::of(time()))
}

/// Keys of which each lists each origin once, with the vectors and the clock that make them well formed.
fn any_keys() -> impl Strategy<Value = (Keys, VersionVector, VersionVector, Hlc)> {
    let set = prop::collection::btree_map(any_replica(), (any_sequence(), any_draft()), 0..4);
    let keys = prop::collection::btree_map("[ab]{1,3}|[aä😀]{1,3}", set, 0..5);
    (keys, any_vector(), any_vector()).prop_map(|(keys, mut from, mut to)| {
        let mut hlc = 0;
        let mut listed: BTreeMap<String, Vec<Listed>> = BTreeMap::new();
        for (key, set) in keys {
            let list = listed.entry(key).or_default();
            for (replica, (sequence, (full, content, stamp, session, expires_at))) in set {
                let dot = Dot::new(replica, sequence);
                list.push(if full {
                    to.advance(dot);
                    hlc = hlc.max(stamp);
                    let session = session.map(SessionId::from_bytes);
                    Listed::Entry(DataEntry::new(content, dot, Hlc::from_bits(stamp), session, expires_at))
                } else {
                    from.advance(dot);
                    Listed::Known(dot.into())
                });
            }
        }
        let keys = listed.into_iter().map(|(key, set)| (key.into(), set.into())).collect();
        (keys, from, to, Hlc::from_bits(hlc))
    })
}

fn any_delta() -> impl Strategy<Value = Delta> {
    (any_space(), any_keys()).prop_map(|(space, (keys, from, to, hlc))| Delta { space, from, to, hlc, keys })
}

/// What a host has written in bulk, which is told in a run, or nearly so; another one may have written the same keys.
fn any_bulk() -> impl Strategy<Value = Delta> {
    let values = prop::collection::vec((".{0,12}", any::<bool>()), 0..30);
    let others = (any_replica(), any::<Option<[u8; 16]>>(), prop::bool::weighted(0.3));
    (any_space(), any_replica(), any::<Option<[u8; 16]>>(), values, others).prop_map(
        |(space, replica, session, values, (other, other_session, beside))| {
            let write = |replica, session: Option<[u8; 16]>, now| {
                let (mut store, mut log) = (SessionConsistentStore::new(Limits::default()), Log::default());
                for (at, (value, json)) in values.iter().enumerate() {
                    let value = if *json { Written::Json(value) } else { Written::Text(value) };
                    log.put(&format!("{:02}", 97 * at % 100), value);
                }
                store.write(&space, replica, session.map(SessionId::from_bytes), log.finish(), &[], now).unwrap();
                store
            };
            let mut store = write(replica, session, TIME);
            if !beside || other == replica {
                return store.extract(&space, &VersionVector::new()).unwrap();
            }
            let known = write(other, other_session, TIME + 1).extract(&space, &VersionVector::new()).unwrap();
            let from = known.to.clone();
            store.apply(known).unwrap();
            store.extract(&space, &from).unwrap()
        },
    )
}

fn any_slice() -> impl Strategy<Value = Slice> {
    (any_space(), any_keys(), any_vector(), any::<bool>(), any::<bool>()).prop_map(
        |(space, (keys, from, at, hlc), base, last, follows)| {
            // It follows a key that is before all of its own.
            let after = (follows && keys.iter().next().is_none_or(|(key, _)| **key > *"A")).then(|| "A".into());
            Slice { space, from, base, at, after, last: last || keys.is_empty(), hlc, keys }
        },
    )
}

fn any_fence() -> impl Strategy<Value = Fence> {
    let text = || prop::option::of("[a-zä ]{0,6}").prop_map(|text| text.map(Into::into));
    (any::<bool>(), any::<u64>(), any::<u64>(), text(), text()).prop_map(|(ended, at, until, by, why)| Fence {
        ended,
        at,
        until,
        by,
        why,
    })
}

fn any_row() -> impl Strategy<Value = Row> {
    let text = || prop::option::of("[a-zä ]{0,6}").prop_map(|text| text.map(Into::into));
    let query = (any::<[u64; 2]>(), "[a-zä ]{0,6}", any::<bool>())
        .prop_map(|([plan, started], statement, stop)| Running { plan, started, statement: statement.into(), stop });
    let running = (any::<u32>(), prop::collection::vec(query, 0..3));
    ((any_replica(), any_space()), (text(), text(), text()), any::<[u64; 3]>(), running).prop_map(
        |((home, space), (user, client, address), [active, expires, told], (queries, running))| Row {
            home,
            user,
            client,
            address,
            space,
            active,
            expires,
            queries,
            running,
            told,
        },
    )
}

pub fn any_message() -> impl Strategy<Value = Message> {
    let pair = || (any_space(), any_vector());
    prop_oneof![
        any::<u64>().prop_map(|kind| Message::Unknown { kind }),
        (any::<u64>(), any::<bool>(), prop::collection::vec(pair(), 0..3))
            .prop_map(|(protocol, answer, vectors)| Message::Hello { protocol, answer, vectors }),
        any_delta().prop_map(Message::Delta),
        any_bulk().prop_map(Message::Delta),
        pair().prop_map(|(space, vector)| Message::Ack { space, vector }),
        pair().prop_map(|(space, vector)| Message::Behind { space, vector }),
        any_slice().prop_map(Message::Slice),
        (pair(), any_vector(), prop::option::of("[a-zä]{1,5}")).prop_map(|((space, from), base, after)| {
            Message::Want { space, from, base, after: after.map(Into::into) }
        }),
        (any_vector(), any_delta()).prop_map(|(base, delta)| Message::TopUp { base, delta }),
        (any_space(), "[A-Z_]{1,12}", prop::collection::vec((any_replica(), any_sequence()), 0..4)).prop_map(
            |(space, code, dots)| {
                let dots = dots.into_iter().map(|(id, sequence)| Dot::new(id, sequence)).collect();
                Message::Refused { space, code, dots }
            }
        ),
        Just(Message::Reset),
        (any::<u64>(), prop::collection::vec(any_replica(), 0..4)).prop_map(|(now, ids)| Message::Ask { now, ids }),
        prop::collection::vec((any_replica(), any::<[u8; 16]>().prop_map(Secret::from_bytes)), 0..4)
            .prop_map(|ids| Message::Bind { ids }),
        (
            (any::<u64>(), any::<u64>(), any::<u64>()),
            prop::collection::vec((any::<[u8; 10]>().prop_map(|random| SessionId::new(1, random)), any_fence()), 0..4)
        )
            .prop_map(|((told, heard, digest), fences)| Message::Fence { told, heard, digest, fences }),
        pair().prop_map(|(space, vector)| Message::Under { space, vector }),
        any::<[u8; 16]>().prop_map(|nonce| Message::Challenge { nonce }),
        (any::<[u8; 16]>(), "[a-z]{0,8}", ".{0,20}", "[A-Za-z~.]{0,20}", any::<u64>())
            .prop_map(|(id, method, args, token, timeout)| Message::Call(Call { id, method, args, token, timeout })),
        (any::<[u8; 16]>(), "[A-Z_]{0,8}", ".{0,20}", ".{0,20}")
            .prop_map(|(id, code, text, details)| Message::Reply(Reply { id, code, text, details })),
        ("[a-z0-9]{1,8}", any::<[u8; 16]>(), any::<u64>(), any::<[u8; 32]>(), any::<Vec<u8>>())
            .prop_map(|(kid, nonce, count, mac, frame)| Message::Proof(Proof { kid, nonce, count, mac, frame })),
        (any::<u64>(), any::<u64>(), prop::collection::vec((any::<[u8; 10]>(), any_row()), 0..4)).prop_map(
            |(told, heard, rows)| {
                let rows = rows.into_iter().map(|(random, row)| (SessionId::new(1, random), row)).collect();
                Message::Roster { told, heard, rows }
            }
        ),
    ]
}

pub fn any_frame() -> impl Strategy<Value = Frame> {
    (any_replica(), prop::option::of(any_replica()), prop::collection::vec(any_message(), 0..4))
        .prop_map(|(from, to, messages)| Frame { from, to, messages })
}
