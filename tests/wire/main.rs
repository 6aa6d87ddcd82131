//! The bytes of version 1: golden files, round trips, and everything that damaged bytes must not do.
//!
//! Here is what the tests have in common: one frame of each kind, whose bytes are in `tests/data/wire`.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm
)]

#[path = "../common/any.rs"]
mod any;
#[path = "../common/mod.rs"]
mod common;

mod damage;
mod golden;
mod round_trip;
mod size;
mod window;

use edge_session::id::{Dot, ReplicaId, SessionId, Space};
use edge_session::identity::Secret;
use edge_session::store::delta::{Delta, Keys, Listed, ListedSet};
use edge_session::store::entry::{Content, DataEntry};
use edge_session::store::fence::Fence;
use edge_session::store::limits::Limits;
use edge_session::store::roster::{Row, Running};
use edge_session::store::{Log, SessionConsistentStore, Written};
use edge_session::sync::message::{Call, Frame, Message, Proof, Reply, Slice};
use edge_session::time::Hlc;
use edge_session::vector::VersionVector;

/// The time of the examples, in milliseconds.
const TIME: u64 = 1_790_000_000_000;

fn fra1() -> ReplicaId {
    ReplicaId::new("fra1", [1; 10]).unwrap()
}

fn tab() -> ReplicaId {
    ReplicaId::new("tab", [2; 10]).unwrap()
}

fn secret() -> Secret {
    Secret::from_bytes([4; 16])
}

fn space() -> Space {
    Space::first("default").unwrap()
}

fn session() -> SessionId {
    SessionId::new(TIME, [3; 10])
}

fn fence() -> Fence {
    Fence { ended: false, at: TIME, until: TIME + 3_600_000, by: Some("root".into()), why: None }
}

fn row() -> Row {
    let (active, expires, told) = (TIME + 1_000, TIME + 3_600_000, TIME + 2_000);
    let running = vec![Running { plan: 3, started: TIME + 1_500, statement: "work".into(), stop: true }];
    let (home, user, client) = (fra1(), Some("ann".into()), Some("shop".into()));
    Row { home, user, client, address: None, space: space(), active, expires, queries: 2, running, told }
}

fn vector(entries: &[(ReplicaId, u64)]) -> VersionVector {
    entries.iter().copied().collect()
}

fn hlc(millis: u64) -> Hlc {
    Hlc::new(TIME + millis, 0)
}

fn entry(content: Content, dot: Dot, millis: u64) -> DataEntry {
    DataEntry::new(content, dot, hlc(millis), None, None)
}

/// A text entry without session and end.
fn plain(value: &str, dot: Dot, millis: u64) -> ListedSet {
    vec![Listed::Entry(entry(Content::Text(value.into()), dot, millis))].into()
}

fn frame(messages: Vec<Message>) -> Frame {
    Frame { from: fra1(), to: Some(tab()), messages }
}

/// A delta with an entry of each kind, siblings, a bare dot, a session and an end.
fn delta() -> Delta {
    let text = |value: &str| Content::Text(value.into());
    let with_session = DataEntry::new(text("v"), Dot::new(fra1(), 3), hlc(10), Some(session()), None);
    let with_end = DataEntry::new(text("brief"), Dot::new(fra1(), 4), hlc(20), None, Some(TIME + 60_020));
    let json = Content::Json("{\"n\":1}".into());
    let json = DataEntry::new(json, Dot::new(tab(), 2), hlc(5), Some(session()), Some(TIME + 3_600_000));
    Delta {
        space: space(),
        from: vector(&[(fra1(), 2)]),
        to: vector(&[(fra1(), 5), (tab(), 3)]),
        hlc: hlc(30),
        keys: vec![
            ("cart/1".into(), vec![Listed::Entry(with_session)].into()),
            ("cart/2".into(), vec![Listed::Entry(with_end)].into()),
            ("cart/23".into(), vec![Listed::Entry(entry(Content::Tombstone, Dot::new(fra1(), 5), 30))].into()),
            ("prefs".into(), vec![Listed::Entry(json), Listed::Known(Dot::new(fra1(), 1).into())].into()),
            (
                "ä".into(),
                vec![Listed::Entry(entry(Content::Bytes([0, 255].as_slice().into()), Dot::new(tab(), 3), 6))].into(),
            ),
        ]
        .into(),
    }
}

/// What a host has written in bulk: a run.
fn bulk() -> Delta {
    let (mut store, mut log) = (SessionConsistentStore::new(Limits::default()), Log::default());
    (0..9).for_each(|n| log.put(&format!("k{n}"), Written::Text(&format!("value {}", 10_u64.pow(n / 8)))));
    store.write(&space(), fra1(), Some(session()), log.finish(), &[], TIME).unwrap();
    store.extract(&space(), &VersionVector::new()).unwrap()
}

/// The same keys, written by another replica at the same time: a run beside what is known.
fn beside() -> Delta {
    let mut log = Log::default();
    (0..9).for_each(|n| log.put(&format!("k{n}"), Written::Text(&format!("another value {n}"))));
    let mut store = SessionConsistentStore::new(Limits::default());
    store.write(&space(), tab(), Some(session()), log.finish(), &[], TIME + 1).unwrap();
    let bulk = bulk();
    store.apply(bulk.clone()).unwrap();
    store.extract(&space(), &bulk.to).unwrap()
}

/// One frame of each kind, by the name of its golden file.
fn examples() -> Vec<(&'static str, Frame)> {
    let both = || vector(&[(fra1(), 5), (tab(), 3)]);
    let one = || vector(&[(fra1(), 2)]);
    let slice = |after: Option<&str>, last: bool| {
        Message::Slice(Slice {
            space: space(),
            from: one(),
            base: both(),
            at: vector(&[(fra1(), 6), (tab(), 3)]),
            after: after.map(Into::into),
            last,
            hlc: hlc(30),
            keys: vec![("k2".into(), plain("v", Dot::new(fra1(), 3), 10))].into(),
        })
    };
    let top_up = Delta { keys: vec![("k1".into(), plain("w", Dot::new(tab(), 3), 30))].into(), ..delta() };
    let other = Delta {
        space: Space::new("$orders", 2).unwrap(),
        from: VersionVector::new(),
        to: vector(&[(tab(), 1)]),
        hlc: hlc(30),
        keys: vec![("o".into(), plain("1", Dot::new(tab(), 1), 0))].into(),
    };
    let snapshot = Delta {
        from: VersionVector::new(),
        to: vector(&[(fra1(), 2)]),
        keys: vec![
            ("key-1".into(), plain("one", Dot::new(fra1(), 1), 0)),
            ("key-2".into(), plain("two", Dot::new(fra1(), 2), 1)),
        ]
        .into(),
        ..delta()
    };
    vec![
        ("hello", frame(vec![Message::hello(vec![(space(), both())], true)])),
        ("first-hello", Frame { from: tab(), to: None, messages: vec![Message::hello(vec![], true)] }),
        ("delta", frame(vec![Message::Delta(delta())])),
        ("run", frame(vec![Message::Delta(bulk())])),
        ("run-beside", frame(vec![Message::Delta(beside())])),
        ("ack", frame(vec![Message::Ack { space: space(), vector: both() }])),
        ("behind", frame(vec![Message::Behind { space: space(), vector: one() }])),
        ("slice", frame(vec![slice(None, false)])),
        ("last-slice", frame(vec![slice(Some("k1"), true)])),
        ("want", frame(vec![Message::Want { space: space(), from: one(), base: both(), after: Some("k2".into()) }])),
        ("top-up", frame(vec![Message::TopUp { base: both(), delta: top_up }])),
        (
            "refused",
            frame(vec![Message::Refused {
                space: space(),
                code: "QUOTA_EXCEEDED".into(),
                dots: vec![Dot::new(tab(), 3)],
            }]),
        ),
        ("reset", Frame { from: tab(), to: None, messages: vec![Message::Reset] }),
        ("ask", frame(vec![Message::Ask { now: TIME, ids: vec![tab()] }])),
        (
            "bind",
            Frame { from: tab(), to: Some(fra1()), messages: vec![Message::Bind { ids: vec![(tab(), secret())] }] },
        ),
        (
            "fence",
            frame(vec![Message::Fence {
                told: 7,
                heard: 0,
                digest: 0x0123_4567_89ab_cdef,
                fences: vec![(session(), fence())],
            }]),
        ),
        ("roster", frame(vec![Message::Roster { told: 7, heard: 0, rows: vec![(session(), row())] }])),
        ("under", frame(vec![Message::Under { space: Space::first("$system").unwrap(), vector: both() }])),
        (
            "call",
            Frame {
                from: tab(),
                to: Some(fra1()),
                messages: vec![Message::Call(Call {
                    id: [8; 16],
                    method: "run".into(),
                    args: "[\"SHOW SESSIONS\"]".into(),
                    token: "~".into(),
                    timeout: 1_000,
                })],
            },
        ),
        (
            "reply",
            frame(vec![Message::Reply(Reply {
                id: [8; 16],
                code: "TOKEN_INVALID".into(),
                text: "no".into(),
                details: "{}".into(),
            })]),
        ),
        ("challenge", Frame { from: tab(), to: None, messages: vec![Message::Challenge { nonce: [5; 16] }] }),
        (
            "proof",
            frame(vec![Message::Proof(Proof {
                kid: "k1".into(),
                nonce: [6; 16],
                count: 1,
                mac: [7; 32],
                frame: frame(vec![]).encode(),
            })]),
        ),
        ("unknown", frame(vec![Message::Unknown { kind: 99 }])),
        (
            "several",
            frame(vec![Message::Ack { space: space(), vector: one() }, Message::hello(vec![(space(), one())], false)]),
        ),
        ("snapshot", Frame { from: fra1(), to: None, messages: vec![Message::Delta(other), Message::Delta(snapshot)] }),
        ("empty-record", Frame { from: fra1(), to: None, messages: vec![] }),
    ]
}
