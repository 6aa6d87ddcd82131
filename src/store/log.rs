//! A batch of writes from the host, on its way into the store. Its texts are pieces of a few blocks.

use alloc::string::String;
use alloc::vec::Vec;

use crate::store::Mutation;
use crate::store::entry::piece::{BLOCK_MAX, Block, Gather};
use crate::store::entry::{Content, Key, Text};

/// Writes, in order.
#[derive(Default, Debug)]
pub struct Log {
    batch: Vec<Mutation>,
    texts: Gather,
    /// How many of them have the blocks that their texts are pieces of.
    settled: usize,
}

const TEXT: u32 = 0;
const JSON: u32 = 1;

/// About as long are the parts of a text that is too long for a block.
const LONG: usize = 40 << 10;

/// How long they are together, in whatever their lengths are.
fn sum(pairs: &[[u32; 2]]) -> usize {
    pairs.iter().fold(0, |sum, [key, value]| sum.saturating_add(*key as usize).saturating_add((*value >> 2) as usize))
}

/// How many bytes the first UTF-16 units of a text take: sixteen bytes at a time. What all of them have in them is noted.
fn bytes(text: &[u8], units: usize, seen: &mut bool) -> Option<usize> {
    let (mut left, mut at) = (units, 0);
    for block in text.as_chunks::<16>().0 {
        let Marks { begins, four, last } = Marks::of(block);
        *seen |= last;
        let begun = (begins.count_ones() + four.count_ones()) as usize;
        if begun > left {
            if four == 0 {
                // The first one that is not wanted: those before it are taken away.
                let begins = (0..left).fold(begins, |begins, _| begins & begins.wrapping_sub(1));
                return Some(at + begins.trailing_zeros() as usize);
            }
            break;
        }
        left -= begun;
        at += 16;
    }
    for byte in text.get(at..)? {
        *seen |= *byte == LAST;
        let begun = usize::from(byte.cast_signed() >= -0x40) + usize::from(*byte >= 0xf0);
        if begun > left {
            return (left == 0).then_some(at);
        }
        left -= begun;
        at += 1;
    }
    (left == 0).then_some(at)
}

/// With this begin the last characters of three bytes, U+FFFD among them.
const LAST: u8 = 0xef;

/// Which of sixteen bytes begin characters, as bits; which of these take four bytes, and so two units; and whether any is [`LAST`].
struct Marks {
    begins: u32,
    four: u32,
    last: bool,
}

impl Marks {
    #[cfg(target_feature = "simd128")]
    #[inline(always)]
    fn of(bytes: &[u8; 16]) -> Self {
        use core::arch::wasm32::{i8x16_bitmask, i8x16_ge, u8x16_bitmask, u8x16_eq, u8x16_ge, u64x2, v128_any_true};
        use core::arch::wasm32::{i8x16_splat, u8x16_splat};
        let number = u128::from_le_bytes(*bytes);
        let lanes = u64x2(number as u64, (number >> 64) as u64);
        Self {
            begins: i8x16_bitmask(i8x16_ge(lanes, i8x16_splat(-0x40))).into(),
            four: u8x16_bitmask(u8x16_ge(lanes, u8x16_splat(0xf0))).into(),
            last: v128_any_true(u8x16_eq(lanes, u8x16_splat(LAST))),
        }
    }

    #[cfg(not(target_feature = "simd128"))]
    fn of(bytes: &[u8; 16]) -> Self {
        const ONES: u128 = u128::MAX / 255;
        let lanes = u128::from_le_bytes(*bytes);
        // The lowest bit of each of eight bytes beside each other.
        let eight = |word: u64| word.wrapping_mul(0x0102_0408_1020_4080) >> 56;
        let bits = |ones: u128| (eight(ones as u64) | eight((ones >> 64) as u64) << 8) as u32;
        Self {
            begins: bits((!(lanes >> 7) | (lanes >> 6)) & ONES),
            four: bits((lanes >> 7) & (lanes >> 6) & (lanes >> 5) & (lanes >> 4) & ONES),
            last: bytes.contains(&LAST),
        }
    }
}

/// What is written, where it is text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written<'a> {
    /// A plain string.
    Text(&'a str),
    /// A JSON text.
    Json(&'a str),
    /// Nothing: the key is deleted.
    Tombstone,
}

impl Log {
    /// Makes room for so many more.
    pub fn reserve(&mut self, writes: usize) {
        self.batch.reserve(writes);
    }

    /// Adds a write of a value that does not end.
    pub fn put(&mut self, key: &str, value: Written<'_>) {
        let key = Key { piece: self.texts.piece(key) };
        let mut text = |text: &str| Text { piece: self.texts.piece(text) };
        let content = match value {
            Written::Text(value) => Content::Text(text(value)),
            Written::Json(value) => Content::Json(text(value)),
            Written::Tombstone => Content::Tombstone,
        };
        self.batch.push(Mutation { key, content, expires_at: None });
        if self.texts.is_full() {
            self.close();
        }
    }

    /// Adds writes of values that do not end: `text` is their keys and values, joined. Of each key there is the length in UTF-16
    /// units, and of each value, shifted left by two bits, with what it is below: 0 a text, 1 a JSON text, 3 nothing. What may be
    /// a block becomes one. None where these are not the lengths of the text; then the log is of no use any more.
    ///
    /// False, and nothing is added, where U+FFFD is in the text and the host is not `sure` that it wrote that: it stands also in the
    /// place of what has no UTF-8. To see this here, where the lengths are looked for, costs less than to look beforehand.
    #[must_use]
    pub fn take(&mut self, text: String, lengths: &[u32], sure: bool) -> Option<bool> {
        let (pairs, []) = lengths.as_chunks::<2>() else { return None };
        self.batch.reserve(pairs.len());
        // One unit is one byte where all is ASCII, which the sum of the lengths tells.
        if sum(pairs) == text.len() && text.len() <= BLOCK_MAX {
            return self.cut(text, pairs);
        }
        let (mut rest, mut seen) = (text.as_bytes(), false);
        let mut cut = |units: u32| {
            let (_, after) = rest.split_at_checked(bytes(rest, units as usize, &mut seen)?)?;
            u32::try_from(core::mem::replace(&mut rest, after).len() - after.len()).ok()
        };
        let pairs: Option<Vec<_>> =
            pairs.iter().map(|[key, value]| Some([cut(*key)?, cut(value >> 2)?.checked_mul(4)? | value & 3])).collect();
        let pairs = pairs.filter(|_| rest.is_empty())?;
        if seen && !sure && text.contains('\u{fffd}') {
            return Some(false);
        }
        if text.len() <= BLOCK_MAX { self.cut(text, &pairs) } else { self.split(&text, &pairs) }
    }

    /// Makes a text one block. The lengths are bytes.
    fn cut(&mut self, text: String, pairs: &[[u32; 2]]) -> Option<bool> {
        let (block, mut from) = (Block::in_pieces(text), 0);
        let mut next = |len: u32| {
            let piece = block.cut(from, len as usize)?;
            from += len as usize;
            Some(piece)
        };
        for [key, value] in pairs {
            let key = Key { piece: next(*key)? };
            let text = Text { piece: next(value >> 2)? };
            let content = match value & 3 {
                TEXT => Content::Text(text),
                JSON => Content::Json(text),
                _ => Content::Tombstone,
            };
            self.batch.push(Mutation { key, content, expires_at: None });
        }
        (from == block.len()).then_some(true)
    }

    /// What is too long for one block becomes several.
    #[inline(never)]
    fn split(&mut self, text: &str, pairs: &[[u32; 2]]) -> Option<bool> {
        let mut rest = text;
        for part in pairs.chunks(pairs.len().div_ceil(text.len() / LONG + 1).max(1)) {
            let (text, after) = rest.split_at_checked(sum(part))?;
            rest = after;
            match part {
                _ if text.len() <= BLOCK_MAX => _ = self.cut(text.into(), part)?,
                [[key, value]] => {
                    let (key, text) = text.split_at_checked(*key as usize)?;
                    match value & 3 {
                        TEXT => self.put(key, Written::Text(text)),
                        JSON => self.put(key, Written::Json(text)),
                        _ => self.put(key, Written::Tombstone),
                    }
                }
                _ => _ = self.split(text, part)?,
            }
        }
        Some(true)
    }

    fn close(&mut self) {
        let block = self.texts.close();
        for Mutation { key, content, .. } in self.batch.iter_mut().skip(self.settled) {
            key.piece.settle(&block);
            content.piece_mut().into_iter().for_each(|piece| piece.settle(&block));
        }
        self.settled = self.batch.len();
    }

    /// All of them.
    #[must_use]
    pub fn finish(mut self) -> Vec<Mutation> {
        if !self.texts.is_empty() {
            self.close();
        }
        self.batch
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = String> {
        let short = prop_oneof![
            "[ -~]{0,20}",
            "[a-z\u{e9}\u{4e16}\u{1f600}]{0,30}",
            "[a-z\u{ff0c}\u{fffc}\u{fffd}]{0,3}",
            Just(String::new())
        ];
        let long = (
            prop_oneof![Just("a"), Just("\u{e9}"), Just("\u{1f600}a")],
            prop_oneof![900..1_200_usize, 4_090..4_100_usize, Just(70_000)],
        );
        prop_oneof![9 => short, 1 => long.prop_map(|(text, times)| text.repeat(times))]
    }

    /// What crosses of these writes.
    fn crossing(writes: &[(String, String, u32)]) -> (String, Vec<u32>) {
        let (mut text, mut lengths) = (String::new(), Vec::new());
        for (key, value, kind) in writes {
            text.push_str(key);
            text.push_str(value);
            let [key, value] = [key, value].map(|text| text.encode_utf16().count() as u32);
            lengths.extend([key, value << 2 | kind]);
        }
        (text, lengths)
    }

    proptest! {
        #[test]
        fn what_crosses_joined_is_what_was_written(
            logs in prop::collection::vec(prop::collection::vec((text(), text(), prop_oneof![Just(0), Just(1), Just(3)]), 0..60), 1..4),
        ) {
            let (mut joined, mut single) = (Log::default(), Log::default());
            for writes in &logs {
                let (text, lengths) = crossing(writes);
                // Refused it is as if it had not been asked for.
                let doubted = text.contains('\u{fffd}');
                prop_assert_eq!(joined.take(text.clone(), &lengths, false), Some(!doubted));
                if doubted {
                    prop_assert_eq!(joined.take(text, &lengths, true), Some(true));
                }
                for (key, value, kind) in writes {
                    single.put(key, match kind {
                        0 => Written::Text(value),
                        1 => Written::Json(value),
                        _ => Written::Tombstone,
                    });
                }
            }
            prop_assert_eq!(joined.finish(), single.finish());
        }

        #[test]
        fn lengths_of_another_text_are_refused(
            writes in prop::collection::vec((text(), text(), 0..4_u32), 1..20),
            at in any::<prop::sample::Index>(),
            other in prop_oneof![0..9_u32, any::<u32>()],
            odd in any::<bool>(),
        ) {
            let (text, mut lengths) = crossing(&writes);
            let at = at.get_mut(&mut lengths);
            prop_assume!(*at >> 2 != other >> 2 && *at != other);
            *at = other;
            if odd {
                lengths.push(0);
            }
            // Whatever comes of it, no piece begins or ends within a character, and nothing panics.
            let mut log = Log::default();
            if log.take(text, &lengths, true).is_some() {
                prop_assert!(!odd && log.finish().len() == writes.len());
            }
        }
    }
}
