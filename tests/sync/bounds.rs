//! A peer is believed, and costs memory, only as far as this replica's limits go.

use edge_session::id::{Dot, Space};
use edge_session::store::SessionConsistentStore;
use edge_session::store::delta::Listed;
use edge_session::store::entry::{Content, DataEntry};
use edge_session::store::limits::Limits;
use edge_session::sync::peer::{Peer, Timing};
use edge_session::time::Hlc;

use super::*;

const SPACES: u64 = 8;
const LIMITS: fn() -> Limits = || Limits { spaces: SPACES, bytes: 100_000, ..Limits::default() };

fn stranger() -> ReplicaId {
    ReplicaId::new("stranger", [1; 10]).unwrap()
}

fn vector() -> VersionVector {
    VersionVector::from_iter([(stranger(), 5)])
}

fn space(name: &str) -> Space {
    Space::first(name).unwrap()
}

/// The first slice of a space, with a value of so many bytes.
fn slice(name: &str, bytes: usize) -> Message {
    let hlc = Hlc::new(START, 0);
    let content = Content::Text("x".repeat(bytes).into());
    let entry = DataEntry::new(content, Dot::new(stranger(), 1), hlc, None, None);
    Message::Slice(Slice {
        space: space(name),
        from: VersionVector::new(),
        base: vector(),
        at: vector(),
        after: None,
        last: false,
        hlc,
        keys: vec![("k".into(), vec![Listed::Entry(entry)].into())].into(),
    })
}

#[test]
fn a_peer_that_tells_of_ever_more_spaces_is_believed_as_far_as_there_is_room() {
    let mut store = SessionConsistentStore::new(LIMITS());
    let own = ReplicaId::new("own", [2; 10]).unwrap();
    store.write(&space("zzz"), own, None, vec![put("k", "v")], &[], START).unwrap();
    let mut peer = Peer::new(Timing::default(), START);
    for round in 0..20 {
        let named = |kind: &str, n: u64| space(&format!("{kind}-{round}-{n}"));
        let mut messages =
            vec![Message::hello((0..2 * SPACES).map(|n| (named("hello", n), vector())).collect(), false)];
        messages.extend((0..SPACES).map(|n| Message::Ack { space: named("ack", n), vector: vector() }));
        messages.extend((0..SPACES).map(|n| Message::Behind { space: named("behind", n), vector: vector() }));
        peer.receive(stranger(), messages, &mut store, START);
        assert!(peer.held().count() as u64 <= SPACES + 1, "{} spaces", peer.held().count());
        assert!(peer.held().any(|(told, _)| *told == named("hello", 0)), "the last word counts");
    }
    // And what is held here is told all the same.
    let told = peer.speak(&store, START);
    assert!(told.iter().any(|message| matches!(message, Message::Delta(delta) if delta.space == space("zzz"))));
    peer.receive(
        stranger(),
        vec![Message::Ack { space: space("zzz"), vector: store.vector(&space("zzz")).clone() }],
        &mut store,
        START,
    );
    assert_eq!(peer.holds(&space("zzz")), Some(store.vector(&space("zzz"))));
}

#[test]
fn slices_of_several_spaces_together_take_no_more_room_than_there_is() {
    for (bytes, most) in [(30_000, 3), (10, SPACES as usize)] {
        let mut store = SessionConsistentStore::new(LIMITS());
        let mut peer = Peer::new(Timing::default(), START);
        let messages = (0..20).map(|n| slice(&format!("s{n}"), bytes)).collect();
        let step = peer.receive(stranger(), messages, &mut store, START);
        let refused = step.replies.iter().filter(|reply| matches!(reply, Message::Refused { .. })).count();
        assert_eq!(refused, 20 - most);
        let wants = |messages: &[Message]| messages.iter().filter(|told| matches!(told, Message::Want { .. })).count();
        assert_eq!(wants(&step.replies), most, "the others go on");
        assert_eq!(wants(&peer.speak(&store, START + 60_000)), most, "and of what was refused nothing is kept");
    }
}
