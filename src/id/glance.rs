//! Ids in a frame, seen to be well formed and to ascend before any is taken apart: who reads a long vector mostly asks for none of them.
//!
//! Invariant: what passes here is what [`ReplicaId::read_strict`] reads. What is not seen at a glance is left to that.

use super::{PLACEHOLDER, RANDOM_LEN, ReplicaId, WIRE_BYTES, WIRE_SHORT, are_legal};

/// So many bytes are looked at to see an id of any length, but for its last random bytes.
const WINDOW: usize = 32;

impl ReplicaId {
    /// How many bytes the id takes with which bytes begin, if [`ReplicaId::read_strict`] reads one. Nearly all are short ones with
    /// more behind them, of which only the label is looked at.
    #[inline]
    pub(crate) fn sound(bytes: &[u8]) -> Option<usize> {
        let short = |head: u8| {
            usize::from(head ^ WIRE_BYTES)
                .checked_sub(RANDOM_LEN + 1)
                .filter(|more| *more < WIRE_SHORT - RANDOM_LEN - 1)
        };
        let Some((window, label)) =
            bytes.first_chunk::<WINDOW>().and_then(|window| Some((window, 1 + short(*window.first()?)?)))
        else {
            return Some(Self::read_strict(bytes)?.1);
        };
        let legal = |at, mask: u64| mask == 0 || are_legal(word(window, at) & mask | PLACEHOLDER & !mask);
        let (one, two) = first_bytes(label);
        (legal(1, one) && legal(9, two)).then_some(1 + label + RANDOM_LEN)
    }

    /// How many ids of so many bytes, of which bytes begin with one, ascend, `most` of them at most, with nothing but their random parts
    /// differing. It may be more than are found at a glance.
    #[inline]
    pub(crate) fn run(bytes: &[u8], each: usize, most: usize) -> usize {
        // Head and label, as the first of sixteen bytes.
        let same = each.saturating_sub(RANDOM_LEN);
        let words = |window: &[u8; WINDOW]| {
            let random = window.get(same..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_be_bytes(*bytes));
            (word(window, 0), word(window, 8), random)
        };
        let (mut rest, mut count) = (bytes, 1);
        let Some((first, second, mut last)) = bytes.first_chunk().map(words).filter(|_| same <= 16) else {
            return count;
        };
        let (one, two) = first_bytes(same);
        while count < most
            && let Some(behind) = rest.get(each..)
            && let Some((left, right, random)) = behind.first_chunk().map(words)
        {
            // What has the same first bytes is judged by who takes ids apart.
            if (left ^ first) & one | (right ^ second) & two != 0 || random <= last {
                break;
            }
            (rest, last) = (behind, random);
            count += 1;
        }
        count
    }
}

/// Eight bytes from a place on, the first of them lowest.
#[inline(always)]
fn word(window: &[u8; WINDOW], at: usize) -> u64 {
    window.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The bits of so many bytes among sixteen, the first of them lowest.
#[inline(always)]
const fn first_bytes(count: usize) -> (u64, u64) {
    match count {
        0..8 => (!(!0 << (8 * count)), 0),
        8..16 => (!0, !(!0 << (8 * (count - 8)))),
        _ => (!0, !0),
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use alloc::vec::Vec;
    use proptest::prelude::*;

    use super::*;
    use crate::vector::ids::rising;

    /// What was done to bytes: one of them is another, and some may be gone from the end.
    type Harm = (Option<(prop::sample::Index, u8)>, Option<prop::sample::Index>);

    fn harm() -> impl Strategy<Value = Harm> {
        let byte = prop_oneof![Just(b'A'), Just(b'_'), Just(b'a'), Just(b'~'), 0x4a..0x5b_u8, any::<u8>()];
        (
            prop::option::of((any::<prop::sample::Index>(), byte)),
            prop::option::weighted(0.2, any::<prop::sample::Index>()),
        )
    }

    fn harmed(mut bytes: Vec<u8>, (byte, end): Harm) -> Vec<u8> {
        if let Some((at, byte)) = byte {
            *at.get_mut(&mut bytes) = byte;
        }
        bytes.truncate(end.map_or(bytes.len(), |end| end.index(bytes.len())));
        bytes
    }

    fn one_by_one(bytes: &[u8], count: usize) -> (usize, usize) {
        let (mut found, mut at, mut last) = (0, 0, None);
        while found < count {
            match ReplicaId::read_strict(bytes.get(at..).unwrap_or_default()) {
                Some((id, len)) if last.is_none_or(|last| last < id) => {
                    (found, at, last) = (found + 1, at + len, Some(id))
                }
                _ => break,
            }
        }
        (found, at)
    }

    proptest! {
        #[test]
        fn what_is_sound_is_what_is_read(label in "[a-z0-9-]{1,16}", random: [u8; RANDOM_LEN], behind in 0..40_usize, harm in harm()) {
            let mut bytes = ReplicaId::new(&label, random).unwrap().wire();
            bytes.resize(bytes.len() + behind, b'a');
            let bytes = harmed(bytes, harm);
            prop_assert_eq!(ReplicaId::sound(&bytes), ReplicaId::read_strict(&bytes).map(|(_, len)| len));
        }

        /// Siblings whose random parts differ early, late or not at all, labels that begin alike, and ids out of order.
        #[test]
        fn ids_rise_as_far_as_one_by_one(
            ids in prop::collection::vec((prop::sample::select(alloc::vec!["a", "ab", "edge", "edge-fra", "a-label-of-13-c", "a-label-of-16-ch"]), 0..4_u8, 0..3_u8), 1..30),
            sorted in prop::bool::weighted(0.9), distinct in prop::bool::weighted(0.7), behind in 0..40_usize, harm in harm(), less in 0..3_usize,
        ) {
            let id = |(label, first, last)| ReplicaId::new(label, [first, 0, 0, 0, 0, 0, 0, 0, 0, last]).unwrap();
            let mut ids: Vec<ReplicaId> = ids.into_iter().map(id).collect();
            if sorted {
                ids.sort_unstable();
            }
            if distinct {
                ids.dedup();
            }
            let mut bytes: Vec<u8> = ids.iter().flat_map(|id| id.wire()).collect();
            bytes.resize(bytes.len() + behind, b'a');
            let (bytes, count) = (harmed(bytes, harm), ids.len().saturating_sub(less));
            prop_assert_eq!(rising(&bytes, count), one_by_one(&bytes, count));
        }
    }

    impl ReplicaId {
        fn wire(&self) -> Vec<u8> {
            let mut bytes = Vec::new();
            self.append_wire(&mut bytes);
            bytes
        }
    }
}
