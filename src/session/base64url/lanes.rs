//! base64url sixteen characters, which are twelve bytes, at a time: what is long of a token.
//!
//! Invariant: as the tables do it, to the letter. Knows nothing of ends that are no whole twelve bytes.

use core::arch::wasm32::*;

/// Writes the characters of as many twelve bytes as there are sixteen to look at; how many.
pub(super) fn encode(bytes: &[u8], text: &mut [u8]) -> usize {
    let mut done = 0;
    for place in text.as_chunks_mut::<16>().0 {
        let Some(twelve) = bytes.get(12 * done..).and_then(|left| left.first_chunk::<16>()) else { break };
        *place = store(letters(load(twelve)));
        done += 1;
    }
    done
}

/// Reads as many whole sixteen characters as there are; how many, if all were some.
pub(super) fn decode(text: &[u8], bytes: &mut [u8]) -> Option<usize> {
    let (groups, _) = text.as_chunks::<16>();
    let (places, _) = bytes.as_chunks_mut::<12>();
    let mut seen = u8x16_splat(0xff);
    for (sixteen, place) in groups.iter().zip(places) {
        let (values, known) = values(load(sixteen));
        seen = v128_and(seen, known);
        if let Some((twelve, _)) = store(values).split_first_chunk::<12>() {
            *place = *twelve;
        }
    }
    u8x16_all_true(seen).then_some(groups.len())
}

fn load(bytes: &[u8; 16]) -> v128 {
    let number = u128::from_le_bytes(*bytes);
    u64x2(number as u64, (number >> 64) as u64)
}

fn store(lanes: v128) -> [u8; 16] {
    (u128::from(u64x2_extract_lane::<0>(lanes)) | u128::from(u64x2_extract_lane::<1>(lanes)) << 64).to_le_bytes()
}

/// The characters of the first twelve bytes.
fn letters(bytes: v128) -> v128 {
    // Three bytes a lane, the first of them highest; then six bits a byte, the first of them lowest.
    let lanes = i8x16_shuffle::<2, 1, 0, 16, 5, 4, 3, 16, 8, 7, 6, 16, 11, 10, 9, 16>(bytes, u8x16_splat(0));
    let first = v128_and(u32x4_shr(lanes, 18), u32x4_splat(0x3f));
    let second = v128_and(u32x4_shr(lanes, 4), u32x4_splat(0x3f00));
    let third = v128_and(u32x4_shl(lanes, 10), u32x4_splat(0x003f_0000));
    let fourth = v128_and(u32x4_shl(lanes, 24), u32x4_splat(0x3f00_0000));
    let bits = v128_or(v128_or(first, second), v128_or(third, fourth));
    // Each range begins where the one before ends, so much further on or back.
    let from = |least: u8, by: u8| v128_and(u8x16_ge(bits, u8x16_splat(least)), u8x16_splat(by));
    let upper = u8x16_add(bits, u8x16_splat(b'A'));
    let lower = u8x16_add(upper, from(26, b'a' - b'A' - 26));
    let digits = u8x16_sub(lower, from(52, b'a' + 26 - b'0'));
    let hyphen = u8x16_sub(digits, from(62, b'0' + 10 - b'-'));
    u8x16_add(hyphen, from(63, b'_' - b'-' - 1))
}

/// The twelve bytes of sixteen characters, and in which places one stands.
fn values(text: v128) -> (v128, v128) {
    let within = |from: u8, to: u8| u8x16_le(u8x16_sub(text, u8x16_splat(from)), u8x16_splat(to - from));
    let is = |char: u8| u8x16_eq(text, u8x16_splat(char));
    let (upper, lower, digit) = (within(b'A', b'Z'), within(b'a', b'z'), within(b'0', b'9'));
    let (hyphen, line) = (is(b'-'), is(b'_'));
    let known = v128_or(v128_or(v128_or(upper, lower), v128_or(digit, hyphen)), line);
    let by = |range: v128, first: u8, value: u8| v128_and(range, u8x16_splat(value.wrapping_sub(first)));
    let letters = v128_or(by(upper, b'A', 0), by(lower, b'a', 26));
    let others = v128_or(v128_or(by(digit, b'0', 52), by(hyphen, b'-', 62)), by(line, b'_', 63));
    let bits = u8x16_add(text, v128_or(letters, others));
    let first = u32x4_shl(v128_and(bits, u32x4_splat(0x3f)), 18);
    let second = u32x4_shl(v128_and(bits, u32x4_splat(0x3f00)), 4);
    let third = v128_and(u32x4_shr(bits, 10), u32x4_splat(0x0fc0));
    let lanes = v128_or(v128_or(first, second), v128_or(third, u32x4_shr(bits, 24)));
    (i8x16_shuffle::<2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, 3, 7, 11, 15>(lanes, lanes), known)
}
