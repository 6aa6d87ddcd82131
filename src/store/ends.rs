//! For a table whose keys ascend, an array of numbers that distinguish the last keys of its blocks.
//!
//! A binary search over the keys waits for memory at each of a dozen keys, each in a text of its own. These numbers fill a
//! few cache lines. Invariant: the keys of an ascending table do not move, and all share the prefix that the first and the
//! last share.

use alloc::vec::Vec;
use core::ops::Range;

use crate::store::part::Part;
use crate::store::slots::Held;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Ends {
    /// The length of the prefix that all keys share, in bytes.
    common: usize,
    /// For each block, the eight bytes of its last key behind that prefix.
    ends: Vec<u64>,
}

impl Ends {
    /// The ends of blocks whose keys ascend.
    #[inline(never)]
    pub(crate) fn of(blocks: &[Part<Held>]) -> Self {
        let first = blocks.first().and_then(Part::first_key).unwrap_or_default().as_bytes();
        let last = blocks.last().and_then(Part::last_key).unwrap_or_default().as_bytes();
        let common = first.iter().zip(last).take_while(|(one, other)| one == other).count();
        let end = |block: &Part<Held>| number(block.last_key().unwrap_or_default().as_bytes(), common);
        Self { common, ends: blocks.iter().map(end).collect() }
    }

    /// Among which blocks the first one is that ends with a key or behind it, if there is one: all before end before it, and all
    /// but the last may.
    pub(crate) fn about(&self, key: &[u8]) -> Range<usize> {
        let sought = number(key, self.common);
        let from = self.ends.partition_point(|end| *end < sought);
        let alike = self.ends.get(from..).unwrap_or_default().partition_point(|end| *end == sought);
        from..from + alike
    }
}

/// The eight bytes of a key from `from` on as a number that compares like them, padded with zeros.
fn number(key: &[u8], from: usize) -> u64 {
    let bytes = key.get(from..).unwrap_or_default();
    match bytes.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => bytes.iter().zip([56, 48, 40, 32, 24, 16, 8]).fold(0, |all, (byte, up)| all | u64::from(*byte) << up),
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::string::String;
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::id::{Dot, ReplicaId};
    use crate::store::entry::{Content, DataEntry, LiveSet};
    use crate::time::Hlc;

    fn blocks(keys: &BTreeSet<String>, each: usize) -> Option<Vec<Part<Held>>> {
        let id = ReplicaId::new("a", [0; 10]).ok()?;
        let held = |key: &String| {
            let entry = DataEntry::new(Content::Text("v".into()), Dot::new(id, 1), Hlc::new(1, 0), None, None);
            Held { key: key.as_str().into(), set: LiveSet::of(entry) }
        };
        let keys = keys.iter().map(held).collect::<Vec<_>>();
        Some(keys.chunks(each).map(|block| Part::List(block.to_vec())).collect())
    }

    proptest! {
        /// Whatever keys have in common: all of them, some, or one all of another; and whatever is looked for.
        #[test]
        fn the_block_that_is_looked_for_is_among_those_that_are_told(
            common in "[ab\u{0}\u{e9}]{0,12}",
            keys in prop::collection::btree_set("[ab\u{0}\u{e9}]{0,20}", 1..60),
            others in prop::collection::vec("[ab\u{0}\u{e9}]{0,24}", 0..20),
            each in 1..9_usize,
        ) {
            let keys: BTreeSet<_> = keys.into_iter().map(|key| common.clone() + &key).collect();
            let Some(blocks) = blocks(&keys, each) else { panic!("no blocks") };
            let ends = Ends::of(&blocks);
            for key in &keys {
                let about = ends.about(key.as_bytes());
                let at = blocks.iter().position(|block| block.last_key().is_some_and(|last| last >= key.as_str()));
                prop_assert!(at.is_some_and(|at| (about.start..=about.end).contains(&at)), "{key:?} {at:?} {about:?}");
            }
            // What is not there is nowhere, but whoever looks for it looks at what there is.
            for other in others.iter().chain([&common]) {
                let about = ends.about(other.as_bytes());
                prop_assert!(about.start <= about.end && about.end <= blocks.len());
            }
        }
    }

    #[test]
    fn bytes_compare_as_numbers() {
        let texts: Vec<&[u8]> =
            vec![b"", b"\0", b"\0\x01", b"\x01", b"a", b"aa", b"aaaaaaa", b"aaaaaaaa", b"ab", b"\xff"];
        assert!(texts.is_sorted_by(|one, other| number(one, 0) <= number(other, 0)));
        assert!(number(b"a", 0) < number(b"aa", 0) && number(b"aaaaaaa", 0) < number(b"aaaaaaaa", 0));
        assert_eq!((number(b"xyz", 3), number(b"xyz", 9), number(b"xyz", 2)), (0, 0, 0x7a << 56));
    }
}
