//! Any frame that a replica could send is read as it was written.

use super::any::any_frame;
use super::common::edge;
use super::common::host::Host;
use super::*;
use edge_session::store::entry::Key;
use proptest::prelude::*;

/// Under Miri every step is a thousand, and one case takes seconds.
const CASES: u32 = if cfg!(miri) { 1 } else { 512 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn what_is_written_is_read(frame in any_frame()) {
        let bytes = frame.encode();
        prop_assert_eq!(Frame::decode(&bytes).unwrap(), frame.clone());
        prop_assert_eq!(frame.encode(), bytes, "and always written alike");
    }

    #[test]
    fn what_is_read_is_written_alike_or_was_not_deterministic(
        frame in any_frame(),
        at: prop::sample::Index,
        to: u8,
    ) {
        let mut bytes = frame.encode();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(read) = Frame::decode(&bytes) {
            // Ids in another order than that of their first use may spare a byte an entry.
            prop_assert!(read.encode().len() <= 2 * bytes.len(), "what is read is not blown up");
        }
    }
}

/// The key and the value of an entry, each a piece of a block that has nothing else.
fn apart(key: &Key, entry: &DataEntry, delta: &Delta) -> (Key, Content) {
    let keys = [(key.clone(), ListedSet::from(vec![Listed::Entry(entry.clone())]))].into_iter().collect();
    let Delta { space, from, to, hlc, .. } = delta;
    let alone = Delta { space: space.clone(), from: from.clone(), to: to.clone(), hlc: *hlc, keys };
    let frame = Frame { from: fra1(), to: None, messages: vec![Message::Delta(alone)] };
    let read = Frame::decode(&frame.encode()).unwrap();
    let [Message::Delta(delta)] = &*read.messages else { panic!("{read:?}") };
    let (key, set) = (&delta.keys).into_iter().next().unwrap();
    let [Listed::Entry(entry)] = &**set else { panic!("{set:?}") };
    (key.clone(), entry.content.clone())
}

#[test]
fn what_stays_where_it_is_held_is_written_as_what_is_copied() {
    let mut host = Host::new(edge("fra1"));
    let session = host.session();
    // The table gathers what came one by one by 256 keys; an empty text begins each run, and is the last one.
    for n in 0..=1_024 {
        host.now += n % 3;
        host.set(session, &format!("user/{n:06}/cart"), &"vä".repeat(n as usize % 64));
    }
    let rope = host.replica.snapshot_in_parts().unwrap();
    let bytes = rope.to_vec();
    assert!(rope.parts().count() > 3, "{} parts", rope.parts().count());
    assert!(rope.parts().all(|part| !part.is_empty()) && rope.len() == bytes.len());
    assert!(host.replica.snapshot().unwrap() == bytes && rope.into_vec() == bytes);
    let mut frame = Frame::decode(&bytes).unwrap();
    assert!(frame.encode() == bytes, "of the blocks into which it was read");
    // Beside others in one frame, of which the length of one may have another width than was thought.
    let [Message::Delta(delta)] = &*frame.messages else { panic!("{frame:?}") };
    for few in 1..40 {
        let keys = (&delta.keys).into_iter().take(few).map(|(key, set)| (key.clone(), set.clone())).collect();
        let Delta { from, to, hlc, .. } = delta;
        let other = Delta { space: space(), from: from.clone(), to: to.clone(), hlc: *hlc, keys };
        let messages = vec![frame.messages[0].clone(), Message::Delta(other), frame.messages[0].clone()];
        let several = Frame { messages, ..frame };
        assert!(Frame::decode(&several.encode()).unwrap() == several, "beside {few} keys");
    }
    // Each text by itself: nothing is long enough to stay where it is.
    for message in &mut frame.messages {
        let Message::Delta(delta) = message else { continue };
        let keys = (&delta.keys).into_iter().map(|(key, set)| {
            let [Listed::Entry(entry)] = &**set else { panic!("{set:?}") };
            let mut entry = entry.clone();
            let (key, content) = apart(key, &entry, delta);
            entry.content = content;
            (key, ListedSet::from(vec![Listed::Entry(entry)]))
        });
        delta.keys = keys.collect();
    }
    assert!(frame.encode() == bytes, "of texts by themselves");
}
