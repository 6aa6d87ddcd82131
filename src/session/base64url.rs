//! base64url without padding (RFC 4648 §5), as used in a JWS and in the suffix of a token.
//!
//! Invariant: a byte string has exactly one text. Decoding refuses what encoding would not have written: padding, other
//! characters, and bits after the last byte.
//!
//! Encoding and decoding use tables and, in the wasm module, SIMD for whole groups of 16 characters. They are not
//! constant-time: the token contains this text in the clear, and MACs are compared elsewhere. In constant time this was
//! a third of opening a token.

use alloc::string::String;
use alloc::vec::Vec;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Marks bytes that are not in the alphabet.
const NONE: u8 = 0xff;

/// The six bits of each character.
#[allow(clippy::indexing_slicing, reason = "a place outside would not compile")]
const BITS: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut at = 0;
    while at < ALPHABET.len() {
        table[ALPHABET[at] as usize] = at as u8;
        at += 1;
    }
    table
};

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod lanes;

/// Without SIMD the tables do everything.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod lanes {
    pub(super) const fn encode(_: &[u8], _: &mut [u8]) -> usize {
        0
    }

    pub(super) const fn decode(_: &[u8], _: &mut [u8]) -> Option<usize> {
        Some(0)
    }
}

/// The number of characters for `bytes` bytes.
pub(super) const fn chars(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

/// The string of bytes that were put together from text and from [`encode`]'s output.
pub(super) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_default()
}

/// Appends the text of `bytes`.
pub(super) fn encode(bytes: &[u8], text: &mut Vec<u8>) {
    let from = text.len();
    text.resize(from + chars(bytes.len()), NONE);
    encode_into(bytes, text.get_mut(from..).unwrap_or_default());
}

/// Writes the text of `bytes` into `places`, which has room for exactly [`chars`] characters.
pub(super) fn encode_into(bytes: &[u8], places: &mut [u8]) {
    let done = lanes::encode(bytes, places);
    let (groups, rest) = bytes.get(12 * done..).unwrap_or_default().as_chunks::<3>();
    let (places, last) = places.get_mut(16 * done..).unwrap_or_default().as_chunks_mut::<4>();
    for ([a, b, c], place) in groups.iter().zip(&mut *places) {
        *place = quartet(*a, *b, *c);
    }
    if let [a, rest @ ..] = rest {
        let quartet = quartet(*a, rest.first().copied().unwrap_or(0), 0);
        last.iter_mut().zip(quartet).for_each(|(place, char)| *place = char);
    }
}

// Each group is written by hand: `map` over an array stays a call per group in a module that is built for size.
#[inline(always)]
fn quartet(a: u8, b: u8, c: u8) -> [u8; 4] {
    let bits = u32::from_be_bytes([0, a, b, c]);
    [char(bits >> 18), char(bits >> 12), char(bits >> 6), char(bits)]
}

#[inline(always)]
fn char(bits: u32) -> u8 {
    ALPHABET.get((bits & 63) as usize).copied().unwrap_or(NONE)
}

/// Appends the bytes of `text`; `None` if it is not valid. What was appended until then stays.
pub(super) fn decode(text: &[u8], bytes: &mut Vec<u8>) -> Option<()> {
    let from = bytes.len();
    let len = length(text);
    bytes.reserve_exact(len);
    bytes.resize(from + len, 0);
    decode_into(text, bytes.get_mut(from..)?)
}

/// Decodes `text` into `room`; `None` if it is not valid or too long.
pub(super) fn decode_within<'b>(text: &[u8], room: &'b mut [u8]) -> Option<&'b [u8]> {
    let bytes = room.get_mut(..length(text))?;
    decode_into(text, bytes)?;
    Some(bytes)
}

/// Decodes `text`, if it is valid and of exactly `N` bytes.
pub(super) fn array<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if length(text) != N {
        return None;
    }
    decode_into(text, &mut bytes)?;
    Some(bytes)
}

/// How many bytes `text` encodes, by its length.
const fn length(text: &[u8]) -> usize {
    text.len() / 4 * 3 + (text.len() % 4).saturating_sub(1)
}

fn decode_into(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    let done = lanes::decode(text, bytes)?;
    let (groups, rest) = text.get(16 * done..)?.as_chunks::<4>();
    let (places, last) = bytes.get_mut(12 * done..)?.as_chunks_mut::<3>();
    // One check at the end suffices: a byte outside the alphabet has its two highest bits set.
    let mut seen = 0;
    for ([a, b, c, d], place) in groups.iter().zip(places) {
        *place = triplet(*a, *b, *c, *d, &mut seen);
    }
    match (rest, last) {
        ([], []) => {}
        ([a, b], [one]) => match triplet(*a, *b, b'A', b'A', &mut seen) {
            [first, 0, _] => *one = first,
            _ => return None,
        },
        ([a, b, c], [one, two]) => match triplet(*a, *b, *c, b'A', &mut seen) {
            [first, second, 0] => [*one, *two] = [first, second],
            _ => return None,
        },
        _ => return None,
    }
    (seen < 64).then_some(())
}

#[inline(always)]
fn triplet(a: u8, b: u8, c: u8, d: u8, seen: &mut u8) -> [u8; 3] {
    let [a, b, c, d] = [bits(a), bits(b), bits(c), bits(d)];
    *seen |= a | b | c | d;
    [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]
}

#[inline(always)]
fn bits(char: u8) -> u8 {
    BITS.get(usize::from(char)).copied().unwrap_or(NONE)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use base64ct::{Base64UrlUnpadded, Encoding};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_have_the_text_that_others_give_them(bytes: Vec<u8>) {
            let mut text = Vec::new();
            encode(&bytes, &mut text);
            prop_assert_eq!(&text, &Base64UrlUnpadded::encode_string(&bytes).into_bytes());
            prop_assert_eq!(text.len(), chars(bytes.len()));
            let mut again = Vec::new();
            prop_assert_eq!(decode(&text, &mut again), Some(()));
            prop_assert_eq!(again, bytes);
        }

        #[test]
        fn what_others_refuse_is_refused(text in "[A-Za-z0-9_=+/. -]{0,9}") {
            let mut bytes = Vec::new();
            let decoded = decode(text.as_bytes(), &mut bytes).map(|()| bytes);
            prop_assert_eq!(decoded, Base64UrlUnpadded::decode_vec(&text).ok());
        }

        #[test]
        fn bits_behind_the_last_byte_are_refused(text in "[A-Za-z0-9_-]{2,3}") {
            let mut bytes = Vec::new();
            let decoded = decode(text.as_bytes(), &mut bytes).map(|()| bytes);
            prop_assert_eq!(decoded, Base64UrlUnpadded::decode_vec(&text).ok());
        }
    }
}
