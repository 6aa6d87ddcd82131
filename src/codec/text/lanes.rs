//! Whether bytes are UTF-8, sixteen at a time, in one loop. A library's function for each 64 bytes takes half as long again and more.
//!
//! Invariant: what the standard library takes for text, and nothing else. Each byte is looked at beside the one before it: the halves of
//! that one, and its own upper half, name what may be wrong, and what all three name is. Source: Keiser and Lemire, Validating UTF-8 in
//! less than one instruction per byte, 2021.

use core::arch::wasm32::*;

/// A byte that begins a character, and none that goes on behind it.
const SHORT: u8 = 1;
/// One that goes on where nothing began.
const LONG: u8 = 1 << 1;
/// What fewer bytes could say: of three, of two, of four.
const SAID_BY_TWO: u8 = 1 << 2;
const SAID_BY_ONE: u8 = 1 << 5;
const SAID_BY_THREE: u8 = 1 << 6;
/// Half of a pair of UTF-16.
const HALF: u8 = 1 << 4;
/// Above all characters; or so far above that nothing behind it matters.
const ABOVE: u8 = 1 << 3;
const FAR_ABOVE: u8 = 1 << 6;
/// Two that go on behind each other, which is right where the third or fourth byte of a character is due.
const BOTH: u8 = 1 << 7;
/// What says nothing about the lower half of the byte before.
const ANY: u8 = SHORT | LONG | BOTH;

/// So many bytes of which all are ASCII are passed over together.
const STRETCH: usize = 1 << 10;

/// Whether these bytes are text.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let (mut before, mut bad) = (u8x16_splat(0), u8x16_splat(0));
    for stretch in bytes.chunks(STRETCH) {
        let (blocks, rest) = stretch.as_chunks();
        let mut last = [0; 16];
        last.iter_mut().zip(rest).for_each(|(place, byte)| *place = *byte);
        let last = load(&last);
        if u8x16_bitmask(v128_or(v128_or(before, last), all_of(blocks))) == 0 {
            continue;
        }
        for block in blocks {
            let block = load(block);
            bad = v128_or(bad, wrong(before, block));
            before = block;
        }
        // Only the last one has a rest; behind it nothing is left that goes on.
        if stretch.len() < STRETCH {
            bad = v128_or(bad, wrong(before, last));
            before = last;
        }
    }
    !v128_any_true(v128_or(bad, wrong(before, u8x16_splat(0))))
}

/// The bits that are anywhere in some blocks, four of them at a time.
#[inline(always)]
fn all_of(blocks: &[[u8; 16]]) -> v128 {
    let (fours, rest) = blocks.as_chunks();
    let any = rest.iter().fold(u8x16_splat(0), |any, block| v128_or(any, load(block)));
    fours.iter().fold(any, |any, [one, two, three, four]| {
        let [one, two, three, four] = [one, two, three, four].map(load);
        v128_or(any, v128_or(v128_or(one, two), v128_or(three, four)))
    })
}

/// What is wrong with sixteen bytes behind others: nothing where all is zero.
#[inline(always)]
fn wrong(before: v128, lanes: v128) -> v128 {
    let one = u8x16_shuffle::<15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30>(before, lanes);
    let two = u8x16_shuffle::<14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29>(before, lanes);
    let three = u8x16_shuffle::<13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28>(before, lanes);
    let low = u8x16_splat(0x0f);
    let upper = |bytes| v128_and(u16x8_shr(bytes, 4), low);
    let by_upper = u8x16_swizzle(table(&UPPER_BEFORE), upper(one));
    let by_lower = u8x16_swizzle(table(&LOWER_BEFORE), v128_and(one, low));
    let by_next = u8x16_swizzle(table(&UPPER), upper(lanes));
    let wrong = v128_and(v128_and(by_upper, by_lower), by_next);
    // The upper bit is left behind 0xe0 and above at two bytes from there, behind 0xf0 at three.
    let due = v128_or(u8x16_sub_sat(two, u8x16_splat(0x60)), u8x16_sub_sat(three, u8x16_splat(0x70)));
    v128_xor(v128_and(due, u8x16_splat(0x80)), wrong)
}

/// By the upper half of the byte before.
const UPPER_BEFORE: [u8; 16] = {
    let mut table = [LONG; 16];
    table[8] = BOTH;
    table[9] = BOTH;
    table[10] = BOTH;
    table[11] = BOTH;
    table[12] = SHORT | SAID_BY_ONE;
    table[13] = SHORT;
    table[14] = SHORT | SAID_BY_TWO | HALF;
    table[15] = SHORT | ABOVE | FAR_ABOVE | SAID_BY_THREE;
    table
};

/// By its lower half.
const LOWER_BEFORE: [u8; 16] = {
    let mut table = [ANY | ABOVE | FAR_ABOVE; 16];
    table[0] = ANY | SAID_BY_ONE | SAID_BY_TWO | SAID_BY_THREE;
    table[1] = ANY | SAID_BY_ONE;
    table[2] = ANY;
    table[3] = ANY;
    table[4] = ANY | ABOVE;
    table[13] |= HALF;
    table
};

/// By the upper half of the byte itself.
const UPPER: [u8; 16] = {
    let mut table = [SHORT; 16];
    table[8] = LONG | BOTH | SAID_BY_ONE | SAID_BY_TWO | FAR_ABOVE | SAID_BY_THREE;
    table[9] = LONG | BOTH | SAID_BY_ONE | SAID_BY_TWO | ABOVE;
    table[10] = LONG | BOTH | SAID_BY_ONE | HALF | ABOVE;
    table[11] = LONG | BOTH | SAID_BY_ONE | HALF | ABOVE;
    table
};

#[inline(always)]
const fn table(of: &[u8; 16]) -> v128 {
    let number = u128::from_le_bytes(*of);
    u64x2(number as u64, (number >> 64) as u64)
}

#[inline(always)]
fn load(bytes: &[u8; 16]) -> v128 {
    table(bytes)
}
