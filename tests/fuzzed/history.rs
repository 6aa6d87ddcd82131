//! Frames of real histories: stores that write and sync, and what they would send to the replica under test.

use edge_session::id::{ReplicaId, SessionId};
use edge_session::store::entry::Content;
use edge_session::store::limits::Limits;
use edge_session::store::{Mutation, SessionConsistentStore};
use edge_session::sync::message::{Frame, Message, Slice};
use edge_session::vector::VersionVector;
use proptest::prelude::*;

use crate::fuzz::host::{NOW, first_delta, peer, space};

const KEYS: [&str; 5] = ["k1", "cart/1", "prefs", "q", "ä"];

/// One step of one of two stores.
#[derive(Clone, Debug)]
enum Step {
    Write(usize, Vec<(usize, u8)>, u64),
    Pull(usize),
    Tell(usize, usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let keys = prop::collection::vec((0..KEYS.len(), any::<u8>()), 1..3);
    prop_oneof![
        3 => (0..2usize, keys, 0..3u64).prop_map(|(at, keys, late)| Step::Write(at, keys, late)),
        1 => (0..2usize).prop_map(Step::Pull),
        2 => (0..2usize, any::<usize>()).prop_map(|(at, since)| Step::Tell(at, since)),
    ]
}

fn mutation(&(key, value): &(usize, u8)) -> Mutation {
    let content = match value % 4 {
        0 => Content::Tombstone,
        1 => Content::Json(format!("{value}").into()),
        2 => Content::Bytes([value].as_slice().into()),
        _ => Content::Text(format!("{value}").into()),
    };
    let expires_at = (value % 5 == 0).then_some(NOW + u64::from(value));
    Mutation { key: KEYS[key].into(), content, expires_at }
}

/// What was said in a history, in order, in whole or in slices.
pub(crate) fn any_history() -> impl Strategy<Value = Vec<Frame>> {
    prop::collection::vec(any_step(), 4..20)
        .prop_map(|steps| frames(&steps))
        .prop_filter("nothing said", |f| !f.is_empty())
}

fn frames(steps: &[Step]) -> Vec<Frame> {
    let ids = [peer(), ReplicaId::new("tab", [2; 10]).unwrap()];
    let mut stores = [0, 1].map(|_| SessionConsistentStore::new(Limits::default()));
    stores[0].apply(first_delta()).unwrap();
    let (mut past, mut frames) = (vec![VersionVector::new(), first_delta().to], Vec::new());
    for step in steps {
        match step {
            Step::Write(at, keys, late) => {
                let session = (late % 2 == 0).then(|| SessionId::new(NOW, [3; 10]));
                let batch = keys.iter().map(mutation).collect();
                stores[*at].write(&space(), ids[*at], session, batch, &[], NOW + late).unwrap();
            }
            Step::Pull(at) => {
                let vector = stores[*at].vector(&space()).clone();
                let delta = stores[1 - at].extract(&space(), &vector);
                delta.into_iter().for_each(|delta| _ = stores[*at].apply(delta).unwrap());
            }
            Step::Tell(at, since) => {
                let store = &stores[*at];
                let from = &past[since % past.len()];
                frames.extend(store.space(&space()).map(|_| Frame {
                    from: ids[*at],
                    to: None,
                    messages: said(store, from, since / 7),
                }));
                past.push(store.vector(&space()).clone());
            }
        }
    }
    frames
}

/// The news since `from`: as a delta, or as one slice of everything with its top-up.
fn said(store: &SessionConsistentStore, from: &VersionVector, how: usize) -> Vec<Message> {
    let state = store.space(&space()).unwrap();
    let (hlc, base) = (store.clock().last(), state.vector().clone());
    if !how.is_multiple_of(3) {
        return vec![Message::Delta(state.extract(&space(), from, hlc))];
    }
    let (keys, more) = state.slice(from, None, 1 << 20);
    let slice = Slice {
        space: space(),
        from: from.clone(),
        base: base.clone(),
        at: base.clone(),
        after: None,
        last: !more,
        hlc,
        keys,
    };
    let delta = state.extract_since(&space(), from, &base, hlc);
    vec![Message::Slice(slice), Message::TopUp { base, delta }]
}
