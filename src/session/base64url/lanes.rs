//! base64url with SIMD: 16 characters, which are 12 bytes, at a time.
//!
//! Invariant: the results are exactly those of the tables. Input that does not fill a group is left to them.

use core::arch::wasm32::*;

/// Encodes groups of 12 bytes, as long as 16 bytes can be loaded. Returns the number of groups.
pub(super) fn encode(bytes: &[u8], text: &mut [u8]) -> usize {
    let mut done = 0;
    for place in text.as_chunks_mut::<16>().0 {
        let Some(twelve) = bytes.get(12 * done..).and_then(|left| left.first_chunk::<16>()) else { break };
        *place = store(letters(load(twelve)));
        done += 1;
    }
    done
}

/// Decodes all groups of 16 characters. Returns their number; `None` if a character is not in the alphabet.
pub(super) fn decode(text: &[u8], bytes: &mut [u8]) -> Option<usize> {
    let (groups, _) = text.as_chunks::<16>();
    let (places, _) = bytes.as_chunks_mut::<12>();
    let mut unknown = u8x16_splat(0);
    for (sixteen, place) in groups.iter().zip(places) {
        let (values, none) = values(load(sixteen));
        unknown = v128_or(unknown, none);
        if let Some((twelve, _)) = store(values).split_first_chunk::<12>() {
            *place = *twelve;
        }
    }
    (!v128_any_true(unknown)).then_some(groups.len())
}

fn load(bytes: &[u8; 16]) -> v128 {
    let number = u128::from_le_bytes(*bytes);
    u64x2(number as u64, (number >> 64) as u64)
}

fn store(lanes: v128) -> [u8; 16] {
    (u128::from(u64x2_extract_lane::<0>(lanes)) | u128::from(u64x2_extract_lane::<1>(lanes)) << 64).to_le_bytes()
}

/// The characters of the first 12 bytes.
fn letters(bytes: v128) -> v128 {
    // Three bytes per 32-bit lane, the first one highest; then six bits per byte, the first ones lowest.
    let lanes = i8x16_shuffle::<2, 1, 0, 16, 5, 4, 3, 16, 8, 7, 6, 16, 11, 10, 9, 16>(bytes, u8x16_splat(0));
    let first = v128_and(u32x4_shr(lanes, 18), u32x4_splat(0x3f));
    let second = v128_and(u32x4_shr(lanes, 4), u32x4_splat(0x3f00));
    let third = v128_and(u32x4_shl(lanes, 10), u32x4_splat(0x003f_0000));
    let fourth = v128_and(u32x4_shl(lanes, 24), u32x4_splat(0x3f00_0000));
    let bits = v128_or(v128_or(first, second), v128_or(third, fourth));
    // An index into the offsets by range: 13 for values below 26, 0 for 26 to 51, and one index for each value above.
    let place =
        v128_or(u8x16_sub_sat(bits, u8x16_splat(51)), v128_and(i8x16_lt(bits, i8x16_splat(26)), u8x16_splat(13)));
    i8x16_add(bits, i8x16_swizzle(FROM_VALUE, place))
}

/// The 12 bytes of 16 characters, and a mask that is not 0 where a character is not in the alphabet.
fn values(text: v128) -> (v128, v128) {
    let half = u8x16_splat(0x0f);
    let (high, low) = (v128_and(u32x4_shr(text, 4), half), v128_and(text, half));
    let unknown = v128_and(i8x16_swizzle(ROWS, high), i8x16_swizzle(OUTSIDE, low));
    // All characters of a row have the same offset, except the underscore.
    let line = v128_and(i8x16_eq(text, i8x16_splat(b'_' as i8)), i8x16_splat(33));
    let bits = i8x16_add(i8x16_add(text, i8x16_swizzle(FROM_CHAR, high)), line);
    // Joins pairs of six bits, then pairs of these.
    let twelve = v128_or(v128_and(u16x8_shl(bits, 6), u16x8_splat(0x0fc0)), u16x8_shr(bits, 8));
    let lanes = i32x4_dot_i16x8(twelve, i16x8(1 << 12, 1, 1 << 12, 1, 1 << 12, 1, 1 << 12, 1));
    (i8x16_shuffle::<2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, 3, 7, 11, 15>(lanes, lanes), unknown)
}

/// The offset from a value to its character.
const FROM_VALUE: v128 = {
    const DIGIT: i8 = b'0' as i8 - 52;
    const HYPHEN: i8 = b'-' as i8 - 62;
    const LINE: i8 = b'_' as i8 - 63;
    const UPPER: i8 = b'A' as i8;
    const LOWER: i8 = b'a' as i8 - 26;
    i8x16(LOWER, DIGIT, DIGIT, DIGIT, DIGIT, DIGIT, DIGIT, DIGIT, DIGIT, DIGIT, DIGIT, HYPHEN, LINE, UPPER, 0, 0)
};

/// The offset from a character to its value, by the high half of the byte (its row).
const FROM_CHAR: v128 = {
    const HYPHEN: i8 = 62 - b'-' as i8;
    const DIGIT: i8 = 52 - b'0' as i8;
    const UPPER: i8 = -(b'A' as i8);
    const LOWER: i8 = 26 - b'a' as i8;
    i8x16(0, 0, HYPHEN, DIGIT, UPPER, UPPER, LOWER, LOWER, 0, 0, 0, 0, 0, 0, 0, 0)
};

/// One bit for each row that contains characters of the alphabet (two rows have them in the same columns, so they share
/// a bit), and one bit for all other rows.
const ROWS: v128 = u8x16(32, 32, 1, 2, 4, 8, 4, 16, 32, 32, 32, 32, 32, 32, 32, 32);

/// For each column (the low half of the byte), the rows that have no character of the alphabet there.
const OUTSIDE: v128 = {
    const ALL: u8 = 1 | 2 | 8 | 16 | 32;
    const MOST: u8 = 1 | 32;
    u8x16(MOST | 4, MOST, MOST, MOST, MOST, MOST, MOST, MOST, MOST, MOST, MOST | 2, ALL, ALL, ALL & !1, ALL, ALL & !8)
};
