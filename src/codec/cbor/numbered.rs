//! Numbers that stand each after its place among them, as a vector's sequences do.
//!
//! Invariant: what is read here at once is what is read one number after the other. Knows nothing of vectors.

use alloc::vec::Vec;

use super::{Input, short};

/// So many numbers are not worth a block of zeros to begin with, nor a last one of them that is read by itself, if none is long. The
/// places of all of them take one byte.
const FEW: usize = 24;

/// A number after its place, where both are below 2¹⁶, and what is left, of which these are the first eight bytes.
#[inline(always)]
fn numbered_short(left: &[u8], eight: u64, place: u64) -> Option<(u64, &[u8])> {
    let (wanted, len) = short(place)?;
    let eight = eight ^ wanted;
    if eight << (64 - 8 * len) != 0 {
        return None;
    }
    let behind = eight >> (8 * len);
    let (value, more) = match behind & 0xff {
        value @ 0..24 => (value, 1),
        24 => (behind >> 8 & 0xff, 2),
        25 => (behind & 0xff00 | behind >> 16 & 0xff, 3),
        _ => return None,
    };
    Some((value, left.get(len + more..)?))
}

/// A number below 2³² after its place, which takes one byte, of which these are the first eight bytes; and how many bytes they are.
#[inline(always)]
fn numbered_small(eight: u64, place: u64) -> Option<(u64, usize)> {
    let [at, head, a, b, c, d, ..] = eight.to_le_bytes();
    if u64::from(at) != place {
        return None;
    }
    // Branches, and no table of them: the next number begins where a branch says, and nothing waits for this one.
    if head < 24 {
        Some((u64::from(head), 2))
    } else if head == 25 {
        Some((u64::from(u16::from_be_bytes([a, b])), 4))
    } else if head == 24 {
        Some((u64::from(a), 3))
    } else if head == 26 {
        Some((u64::from(u32::from_be_bytes([a, b, c, d])), 6))
    } else {
        None
    }
}

/// The first eight bytes, if there are as many.
#[inline(always)]
fn first_eight(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|eight| u64::from_le_bytes(*eight))
}

/// The same of numbers of any length.
#[inline(never)]
fn numbered_long(left: &[u8], place: u64) -> Option<(u64, &[u8])> {
    let mut input = Input { left };
    let value = (input.u64()? == place).then(|| input.u64())??;
    Some((value, input.left))
}

/// So many of them, each from 1 to `most`, and what is left. By itself, so that what it goes through stays in registers.
#[inline(never)]
fn numbered_many(mut left: &[u8], count: usize, most: u64) -> Option<(Vec<u64>, &[u8])> {
    let mut values = alloc::vec![0; count];
    for (place, slot) in (0..).zip(&mut values) {
        (*slot, left) = match first_eight(left).and_then(|eight| numbered_short(left, eight, place)) {
            Some(found) => found,
            None => numbered_long(left, place)?,
        };
        if !(1..=most).contains(slot) {
            return None;
        }
    }
    Some((values, left))
}

/// Few numbers from 1 on, if each takes two bytes behind its head, as where replicas have written some hundreds or thousands: by lanes. What
/// is found wrong is gathered without a comparison, which would be a word of another width for each.
#[inline(never)]
fn numbered_alike(left: &[u8], count: usize) -> Option<(Vec<u64>, &[u8])> {
    let (own, left) = left.split_at_checked(4 * count)?;
    let own = own.as_chunks::<4>().0;
    // Its place and the head lie lowest, the number above.
    let mut others = 0;
    let value = |(bytes, place): (&[u8; 4], u32)| {
        let entry = u32::from_le_bytes(*bytes);
        // Another place or head in the high half; in the low one that the number is 0.
        others |= (entry ^ (25 << 8 | place)) << 16 | (entry >> 16).wrapping_sub(1) >> 16;
        u64::from(entry >> 24 | entry >> 8 & 0xff00)
    };
    let values = own.iter().zip(0..).map(value).collect();
    (others == 0).then_some((values, left))
}

impl Input<'_> {
    /// So many numbers from 1 to `most`, each after its place among them.
    pub(crate) fn numbered(&mut self, count: usize, most: u64) -> Option<Vec<u64>> {
        // Each takes two bytes at least, so that a claim makes no room.
        let count = Some(count).filter(|count| *count <= self.left() / 2)?;
        if count <= FEW {
            if let [_, 25, ..] = self.left
                && most >= 0xffff
                && let Some((values, left)) = numbered_alike(self.left, count)
            {
                self.left = left;
                return Some(values);
            }
            if let Some(values) = self.numbered_few(count, most) {
                return Some(values);
            }
        }
        let (values, left) = numbered_many(self.left, count, most)?;
        self.left = left;
        Some(values)
    }

    /// The same of few, if none is long: the last eight bytes of all are looked at for what has fewer behind it.
    #[inline(always)]
    fn numbered_few(&mut self, count: usize, most: u64) -> Option<Vec<u64>> {
        let last = self.left.last_chunk().map(|eight| u64::from_le_bytes(*eight));
        let (mut left, mut sound) = (self.left, true);
        let number = |place: u64| {
            let eight = first_eight(left).or_else(|| last?.checked_shr(64 - 8 * left.len() as u32));
            let small = eight.and_then(|eight| numbered_small(eight, place));
            let read = small.and_then(|(value, len)| Some((value, left.get(len..)?)));
            let read = read.filter(|(value, _)| (1..=most).contains(value));
            sound &= read.is_some();
            let value;
            (value, left) = read.unwrap_or_default();
            value
        };
        let values = (0..count as u64).map(number).collect();
        if sound {
            self.left = left;
        }
        sound.then_some(values)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::super::Output;
    use super::super::tests::number;
    use super::*;

    /// As [`Input::numbered`], one number after the other.
    fn one_by_one(input: &mut Input<'_>, count: usize, most: u64) -> Option<Vec<u64>> {
        let number = |place| {
            let value = (input.u64()? == place).then(|| input.u64())??;
            (1..=most).contains(&value).then_some(value)
        };
        (0..count as u64).map(number).collect()
    }

    #[test]
    fn of_numbers_alike_none_is_0_or_more_than_may_be() {
        for (at, number) in (0..24).flat_map(|at| [(at, 0), (at, 1), (at, 0x100), (at, 0xffff)]) {
            let bytes =
                |place: u8| [[place, 25], if place == at { u16::to_be_bytes(number) } else { [1, place] }].concat();
            let bytes: Vec<u8> = (0..24).flat_map(bytes).collect();
            for most in [0x117, 0xfffe, 0xffff, u64::MAX] {
                let read = Input::new(&bytes).numbered(24, most);
                assert_eq!(read, one_by_one(&mut Input::new(&bytes), 24, most));
                assert_eq!(read.is_some(), (1..=most).contains(&u64::from(number)));
            }
        }
    }

    proptest! {
        /// Wherever the bytes end, whatever follows, and if one of them is another.
        #[test]
        fn numbers_after_their_places_are_read_as_one_by_one(
            values in prop_oneof![
                prop::collection::vec(number(), 0..30), prop::collection::vec(number(), 50..90), prop::collection::vec(0xf0..0x1_0000_u64, 0..30),
            ],
            small in any::<bool>(), behind in 0..10_usize, end in any::<prop::sample::Index>(), cut in any::<bool>(),
            harm in prop::option::of((any::<prop::sample::Index>(), any::<u8>())), most in number(),
        ) {
            let values: Vec<u64> = values.into_iter().map(|value| if small { value % 70_000 } else { value }).collect();
            let most = if small { u64::MAX } else { most };
            let mut output = Output::default();
            for (place, value) in (0..).zip(&values) {
                output.u64(place);
                output.u64(*value);
            }
            let mut bytes = output.into_bytes();
            bytes.extend(core::iter::repeat_n(0, behind));
            if let Some((at, byte)) = harm && !bytes.is_empty() {
                *at.get_mut(&mut bytes) = byte;
            }
            if cut {
                bytes.truncate(end.index(bytes.len() + 1));
            }
            let (mut own, mut other) = (Input::new(&bytes), Input::new(&bytes));
            let read = own.numbered(values.len(), most);
            prop_assert_eq!(&read, &one_by_one(&mut other, values.len(), most));
            if read.is_some() {
                prop_assert_eq!(own.rest(), other.rest());
            }
        }
    }
}
