//! base64url without padding (RFC 4648 §5), as JWS and the suffix of a token have it.
//!
//! Invariant: bytes have one text. What writing would not have written (padding, other characters, bits behind the last
//! byte) is refused. By tables, and not in constant time: what passes here stands in the token for everybody to read,
//! and a MAC is compared elsewhere. In constant time it was a third of opening a token.

use alloc::string::String;
use alloc::vec::Vec;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What is no character of the alphabet.
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

/// How many characters so many bytes take.
pub(super) const fn chars(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

/// What was put together of parts of text and of [`encode`]'s.
pub(super) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_default()
}

/// Appends the text of `bytes`.
pub(super) fn encode(bytes: &[u8], text: &mut Vec<u8>) {
    let from = text.len();
    text.resize(from + chars(bytes.len()), NONE);
    let (groups, rest) = bytes.as_chunks::<3>();
    let (places, last) = text.get_mut(from..).unwrap_or_default().as_chunks_mut::<4>();
    for ([a, b, c], place) in groups.iter().zip(&mut *places) {
        *place = quartet(*a, *b, *c);
    }
    if let [a, rest @ ..] = rest {
        let quartet = quartet(*a, rest.first().copied().unwrap_or(0), 0);
        last.iter_mut().zip(quartet).for_each(|(place, char)| *place = char);
    }
}

#[inline(always)]
fn quartet(a: u8, b: u8, c: u8) -> [u8; 4] {
    let bits = u32::from_be_bytes([0, a, b, c]);
    [18, 12, 6, 0].map(|shift| ALPHABET.get((bits >> shift & 63) as usize).copied().unwrap_or(NONE))
}

/// Appends the bytes of `text`; nothing if it is not the text of any. What was appended until then stays.
pub(super) fn decode(text: &[u8], bytes: &mut Vec<u8>) -> Option<()> {
    let (groups, rest) = text.as_chunks::<4>();
    let from = bytes.len();
    bytes.reserve_exact(3 * groups.len() + rest.len());
    bytes.resize(from + 3 * groups.len(), 0);
    let (places, _) = bytes.get_mut(from..).unwrap_or_default().as_chunks_mut::<3>();
    // One look at the end: what is no character has its two highest bits set.
    let mut seen = 0;
    for ([a, b, c, d], place) in groups.iter().zip(places) {
        *place = triplet(*a, *b, *c, *d, &mut seen);
    }
    match rest {
        [] => {}
        [a, b] => match triplet(*a, *b, b'A', b'A', &mut seen) {
            [one, 0, _] => bytes.push(one),
            _ => return None,
        },
        [a, b, c] => match triplet(*a, *b, *c, b'A', &mut seen) {
            [one, two, 0] => bytes.extend_from_slice(&[one, two]),
            _ => return None,
        },
        _ => return None,
    }
    (seen < 64).then_some(())
}

#[inline(always)]
fn triplet(a: u8, b: u8, c: u8, d: u8, seen: &mut u8) -> [u8; 3] {
    let bits = [a, b, c, d].map(|char| BITS.get(usize::from(char)).copied().unwrap_or(NONE));
    let [a, b, c, d] = bits;
    *seen |= a | b | c | d;
    let [_, one, two, three] =
        (u32::from(a) << 18 | u32::from(b) << 12 | u32::from(c) << 6 | u32::from(d)).to_be_bytes();
    [one, two, three]
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
