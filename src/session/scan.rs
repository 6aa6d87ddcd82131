//! Byte search in text, eight bytes at a time: every token is scanned for its separators.
//!
//! The usual routines compare four bytes or one at a time on wasm32. Knows nothing of tokens.

const ONES: u64 = u64::from_ne_bytes([1; 8]);
/// Bytes that are examined together.
const BLOCK: usize = 32;
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

/// Whether `wanted` occurs. Scans all bytes without stopping early, which vectorises; usually the byte does not occur.
pub(super) fn holds(bytes: &[u8], wanted: u8) -> bool {
    bytes.iter().fold(false, |found, byte| found | (*byte == wanted))
}

/// What follows `beginning`, if `bytes` begin with it. Not in constant time: both are public.
pub(super) fn behind<'b>(bytes: &'b [u8], beginning: &[u8]) -> Option<&'b [u8]> {
    let (first, rest) = bytes.split_at_checked(beginning.len())?;
    let ((words, last), (wanted, end)) = (first.as_chunks::<8>(), beginning.as_chunks::<8>());
    let same = |(word, wanted): (&[u8; 8], &[u8; 8])| u64::from_le_bytes(*word) == u64::from_le_bytes(*wanted);
    (words.iter().zip(wanted).all(same) && last == end).then_some(rest)
}

/// The position of the first byte that a JSON string must escape or end at: a quote, a backslash, a control character.
pub(super) fn special(bytes: &[u8]) -> Option<usize> {
    const QUOTES: u64 = ONES * b'"' as u64;
    const BACKSLASHES: u64 = ONES * b'\\' as u64;
    // Whole blocks are scanned with SIMD until one contains such a byte.
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let holds_none = |block: &&[u8; BLOCK]| {
        !block.iter().fold(false, |found, byte| found | (*byte < b' ') | (*byte == b'"') | (*byte == b'\\'))
    };
    let clean = BLOCK * blocks.iter().take_while(holds_none).count();
    let found = |eight| below(eight, b' ') | below(eight ^ QUOTES, 1) | below(eight ^ BACKSLASHES, 1);
    position(bytes.get(clean..)?, found).map(|at| clean + at)
}

/// Sets the high bit of the first byte below `least` (at most 128), if there is one. Bits above that may be wrong.
#[inline(always)]
const fn below(eight: u64, least: u8) -> u64 {
    eight.wrapping_sub(ONES * least as u64) & !eight & HIGHS
}

/// The position of the first byte for which `mask` sets a bit. Only the lowest set bit counts; those above may be
/// wrong.
#[inline(always)]
fn position(bytes: &[u8], mask: impl Fn(u64) -> u64) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    let place = |found: u64| found.trailing_zeros() as usize / 8;
    let mut at = 0;
    for word in words {
        let found = mask(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(at + place(found));
        }
        at += 8;
    }
    // Pads with a byte that no mask matches.
    let mut last = [0xff; 8];
    last.iter_mut().zip(rest).for_each(|(slot, byte)| *slot = *byte);
    let found = mask(u64::from_le_bytes(last));
    (found != 0).then(|| at + place(found))
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_one_is_found_whatever_stands_around_it(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b','), Just(b'-'), Just(b'"'), Just(b'!'), Just(31), Just(32)], 0..40),
            plain in 0..3_usize,
            wanted in prop_oneof![Just(b','), Just(b'~'), Just(b'.')],
        ) {
            // Also after text that contains none of them.
            let bytes = [vec![b'a'; plain * 20], bytes].concat();
            prop_assert_eq!(holds(&bytes, wanted), bytes.contains(&wanted));
            let is_special = |one: &u8| matches!(one, b'"' | b'\\' | 0..b' ');
            prop_assert_eq!(special(&bytes), bytes.iter().position(is_special));
            for at in 0..=bytes.len() {
                let (beginning, rest) = bytes.split_at(at);
                prop_assert_eq!(behind(&bytes, beginning), Some(rest));
                let mut other = beginning.to_vec();
                if let Some(one) = other.get_mut(usize::from(wanted) % (at + 1)) {
                    *one ^= 1;
                    prop_assert_eq!(behind(&bytes, &other), None);
                }
            }
            prop_assert_eq!(behind(&bytes, &[&bytes[..], b"x"].concat()), None);
        }
    }
}
