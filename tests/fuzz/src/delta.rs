//! Deltas for a bare store: the bytes are a frame, and each delta in it is applied in turn.

use edge_session::store::SessionConsistentStore;
use edge_session::store::delta::Delta;
use edge_session::store::limits::Limits;
use edge_session::store::space::SpaceState;
use edge_session::sync::message::{Frame, Message};
use edge_session::vector::VersionVector;

use super::host::first_delta;

/// Limits that a small input can reach.
const LIMITS: Limits = Limits {
    key_bytes: 64,
    value_bytes: 256,
    batch_keys: 16,
    batch_bytes: 1024,
    siblings: 4,
    keys: 6,
    bytes: 1024,
    spaces: 2,
};

/// Takes the bytes as deltas.
pub fn run(bytes: &[u8]) {
    super::message::read(bytes);
    let Ok(frame) = Frame::decode(bytes) else { return };
    for limits in [Limits::default(), LIMITS] {
        let mut store = SessionConsistentStore::new(limits);
        store.apply(first_delta()).unwrap();
        for message in &frame.messages {
            match message {
                Message::Delta(delta) => apply(&mut store, delta),
                Message::TopUp { delta, .. } => apply(&mut store, delta),
                _ => {}
            }
        }
    }
}

fn apply(store: &mut SessionConsistentStore, delta: &Delta) {
    let before = store.clone();
    if store.apply(delta.clone()).is_err() {
        assert_same(&before, store, "a refused delta has changed something");
        return;
    }
    let limits = store.limits();
    assert!(store.len() as u64 <= limits.keys.max(before.len() as u64), "more keys than the limit");
    assert!(store.bytes() <= limits.bytes.max(before.bytes()), "more bytes than the limit");
    let mut join = before.vector(&delta.space).clone();
    join.join(&delta.to);
    assert_eq!(store.vector(&delta.space), &join, "the vector is the join");
    assert!(store.clock().last() >= delta.hlc.max(before.clock().last()), "the clock is received");
    let state = store.space(&delta.space).unwrap();
    assert!(
        state.iter().all(|(_, set)| set.entries().iter().all(|entry| join.contains(entry.dot()))),
        "no entry beyond"
    );

    let mut again = store.clone();
    assert_eq!(again.apply(delta.clone()), Ok(Vec::new()), "a delta is taken once");
    assert_same(store, &again, "a second time changes nothing");

    // Whoever begins anew from what is held now comes to the same.
    let mut anew = SessionConsistentStore::new(*limits);
    anew.apply(store.extract(&delta.space, &VersionVector::new()).unwrap()).unwrap();
    assert_eq!(anew.space(&delta.space), Some(state), "counts and index are those of a state built anew");
}

fn assert_same(left: &SessionConsistentStore, right: &SessionConsistentStore, what: &str) {
    let spaces =
        |store: &SessionConsistentStore| -> Vec<SpaceState> { store.spaces().map(|(_, s)| s.clone()).collect() };
    assert_eq!(spaces(left), spaces(right), "{what}");
    assert_eq!((left.clock(), left.bytes(), left.len()), (right.clock(), right.bytes(), right.len()), "{what}");
}
