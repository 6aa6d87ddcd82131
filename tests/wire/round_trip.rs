//! Any frame that a replica could send is read as it was written.

use super::any::any_frame;
use super::common::edge;
use super::common::host::Host;
use super::*;
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

#[test]
fn what_stays_where_it_is_held_is_told_as_what_is_copied() {
    let mut host = Host::new(edge("fra1"));
    let session = host.session();
    for n in 0..1_000 {
        host.now += n % 3;
        host.set(session, &format!("user/{n:06}/cart"), &"vä".repeat(n as usize % 50));
    }
    let rope = host.replica.snapshot_in_parts().unwrap();
    let bytes = rope.to_vec();
    assert!(rope.parts().count() > 3, "{} parts", rope.parts().count());
    assert!(rope.parts().all(|part| !part.is_empty()) && rope.len() == bytes.len());
    assert!(host.replica.snapshot().unwrap() == bytes && rope.into_vec() == bytes);
    let mut frame = Frame::decode(&bytes).unwrap();
    // How entries are told follows how their texts lie; what is told does not.
    let told = Frame::decode(&bytes).unwrap();
    assert!(Frame::decode(&frame.encode()).unwrap() == told, "of the blocks into which it was read");
    // Each text by itself: nothing is long enough to stay where it is.
    let apart = |entry: &DataEntry| {
        let Content::Text(text) = &entry.content else { panic!("{entry:?}") };
        let mut apart = entry.clone();
        apart.content = Content::Text((&**text).into());
        Listed::Entry(apart)
    };
    for message in &mut frame.messages {
        let Message::Delta(delta) = message else { continue };
        let keys = (&delta.keys).into_iter().map(|(key, set)| {
            let entries: Vec<Listed> = set
                .iter()
                .map(|listed| if let Listed::Entry(entry) = listed { apart(entry) } else { listed.clone() })
                .collect();
            ((&**key).into(), ListedSet::from(entries))
        });
        delta.keys = keys.collect();
    }
    assert!(Frame::decode(&frame.encode()).unwrap() == told, "of texts by themselves");
}
