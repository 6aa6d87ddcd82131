//! CBOR (RFC 8949), as much of it as frames and tokens need: numbers, texts, bytes, arrays of definite length.
//!
//! Invariant: what is written is in its shortest form, and reading never looks beyond the bytes that are there. By hand,
//! because it is most of what reading and writing a vector or an entry costs.

mod numbered;
mod output;

pub(crate) use self::output::{Head, Output};

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NULL: u8 = 0xf6;

/// The bytes of a number below 2¹⁶, the first of them lowest, and how many they are.
#[inline(always)]
const fn short(value: u64) -> Option<(u64, usize)> {
    match value {
        0..24 => Some((value, 1)),
        24..0x100 => Some((24 | value << 8, 2)),
        0x100..0x1_0000 => Some((25 | value & 0xff00 | (value & 0xff) << 16, 3)),
        _ => None,
    }
}

/// So many bytes are compared before it is asked whether they differ.
const LANES: usize = 64;

/// Whether two are the same, eight by eight.
#[inline(always)]
fn is_same(one: &[[u8; 8]], other: &[[u8; 8]]) -> bool {
    let differ = |(one, other): (&[u8; 8], &[u8; 8])| u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
    one.iter().zip(other).map(differ).fold(0, |all, differ| all | differ) == 0
}

/// Bytes that are not read yet. Reading answers nothing where something else stands there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'b> {
    left: &'b [u8],
}

impl<'b> Input<'b> {
    pub(crate) const fn new(bytes: &'b [u8]) -> Self {
        Self { left: bytes }
    }

    /// How many bytes are left.
    pub(crate) const fn left(&self) -> usize {
        self.left.len()
    }

    /// What is left.
    pub(crate) const fn rest(&self) -> &'b [u8] {
        self.left
    }

    /// Passes over so many bytes, or all that are left.
    pub(crate) fn pass(&mut self, bytes: usize) {
        self.left = self.left.get(bytes..).unwrap_or_default();
    }

    /// Passes over bytes if they are next; tells whether they were.
    pub(crate) fn passes(&mut self, bytes: &[u8]) -> bool {
        let Some((next, after)) = self.left.split_at_checked(bytes.len()) else { return false };
        // By lanes, then eight by eight: what wasm32 has for comparing slices goes byte by byte.
        let ((lanes, next), (wanted_lanes, wanted)) = (next.as_chunks::<LANES>(), bytes.as_chunks::<LANES>());
        let ((next, last), (wanted, wanted_last)) = (next.as_chunks::<8>(), wanted.as_chunks::<8>());
        let same = lanes.iter().zip(wanted_lanes).all(|(one, other)| is_same(one.as_chunks().0, other.as_chunks().0))
            && is_same(next, wanted)
            && last.iter().zip(wanted_last).all(|(one, other)| one == other);
        if same {
            self.left = after;
        }
        same
    }

    /// As [`Input::of`], for loops: by the shortest way if the argument is below 2⁸.
    #[inline(always)]
    fn near(&mut self, major: u8) -> Option<u64> {
        let (value, left) = match self.left {
            [first, left @ ..] if first ^ (major << 5) < 24 => (first & 31, left),
            [first, value, left @ ..] if first ^ (major << 5) == 24 => (*value, left),
            _ => {
                let (value, left) = self.apart(major);
                *self = left;
                return value;
            }
        };
        self.left = left;
        Some(u64::from(value))
    }

    /// As [`Input::u64`], for loops.
    #[inline(always)]
    pub(crate) fn near_u64(&mut self) -> Option<u64> {
        self.near(UNSIGNED)
    }

    /// The length of an array.
    #[inline(always)]
    pub(crate) fn near_array(&mut self) -> Option<u64> {
        self.near(ARRAY)
    }

    /// As [`Input::i64`], for loops.
    #[inline(always)]
    pub(crate) fn near_i64(&mut self) -> Option<i64> {
        match self.left {
            [value @ 0..24, left @ ..] => {
                self.left = left;
                Some(i64::from(*value))
            }
            _ => {
                let (value, left) = self.signed_apart();
                *self = left;
                value
            }
        }
    }

    /// Reads on what no function was given the address of, so that it stays in registers.
    #[inline(never)]
    fn apart(mut self, major: u8) -> (Option<u64>, Self) {
        (self.of(major), self)
    }

    /// The same of a signed number.
    #[inline(never)]
    fn signed_apart(mut self) -> (Option<i64>, Self) {
        (self.i64(), self)
    }

    /// Whether text is next.
    #[inline(always)]
    pub(crate) fn is_text(&self) -> bool {
        self.left.first().is_some_and(|first| first >> 5 == TEXT)
    }

    /// The bytes of text, for loops. Whether they are text is left to who takes them.
    #[inline(always)]
    pub(crate) fn near_text_bytes(&mut self) -> Option<&'b [u8]> {
        let len = self.near(TEXT)?;
        self.take(len)
    }

    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (fixed, left) = self.left.split_first_chunk::<N>()?;
        self.left = left;
        Some(*fixed)
    }

    #[inline]
    fn head(&mut self) -> Option<(u8, u64)> {
        let (first, left) = self.left.split_first()?;
        self.left = left;
        let (major, short) = (first >> 5, first & 31);
        let value = if short < 24 { u64::from(short) } else { self.argument(short)? };
        Some((major, value))
    }

    /// The argument of a head, where it stands behind it.
    #[inline(never)]
    fn argument(&mut self, short: u8) -> Option<u64> {
        Some(match short {
            24 => u64::from(u8::from_be_bytes(self.fixed()?)),
            25 => u64::from(u16::from_be_bytes(self.fixed()?)),
            26 => u64::from(u32::from_be_bytes(self.fixed()?)),
            27 => u64::from_be_bytes(self.fixed()?),
            _ => return None,
        })
    }

    #[inline]
    fn of(&mut self, major: u8) -> Option<u64> {
        let (is, value) = self.head()?;
        (is == major).then_some(value)
    }

    #[inline]
    fn take(&mut self, len: u64) -> Option<&'b [u8]> {
        let (taken, left) = self.left.split_at_checked(usize::try_from(len).ok()?)?;
        self.left = left;
        Some(taken)
    }

    /// An unsigned number.
    #[inline]
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.of(UNSIGNED)
    }

    /// A signed number.
    #[inline]
    pub(crate) fn i64(&mut self) -> Option<i64> {
        let (major, value) = self.head()?;
        let value = i64::try_from(value).ok()?;
        match major {
            UNSIGNED => Some(value),
            NEGATIVE => Some(!value),
            _ => None,
        }
    }

    /// A truth value.
    pub(crate) fn bool(&mut self) -> Option<bool> {
        match self.fixed::<1>()? {
            [FALSE] => Some(false),
            [TRUE] => Some(true),
            _ => None,
        }
    }

    /// Whether nothing's mark is next, which is then passed over.
    pub(crate) fn null(&mut self) -> bool {
        let after = self.left.strip_prefix(&[NULL]);
        self.left = after.unwrap_or(self.left);
        after.is_some()
    }

    /// Text.
    #[inline]
    pub(crate) fn text(&mut self) -> Option<&'b str> {
        let len = self.of(TEXT)?;
        text(self.take(len)?)
    }

    /// The length of bytes, which are next.
    pub(crate) fn bytes_len(&mut self) -> Option<u64> {
        self.of(BYTES)
    }

    /// Bytes.
    pub(crate) fn bytes(&mut self) -> Option<&'b [u8]> {
        let len = self.bytes_len()?;
        self.take(len)
    }

    /// Passes over one item with everything in it.
    pub(crate) fn skip(&mut self) -> Option<()> {
        let mut items = 1_u64;
        while items > 0 {
            items -= 1;
            // What else there is, simple values and floating-point numbers, is its head.
            match self.head()? {
                (BYTES | TEXT, len) => _ = self.take(len)?,
                (ARRAY, len) => items = items.checked_add(len)?,
                (MAP, len) => items = items.checked_add(len.checked_mul(2)?)?,
                (TAG, _) => items = items.checked_add(1)?,
                _ => {}
            }
        }
        Some(())
    }
}

/// The text that these bytes are, if they are one.
#[inline(never)]
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    simdutf8::basic::from_utf8(bytes).ok()
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use minicbor::{Decoder, Encoder};
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Item {
        Unsigned(u64),
        Signed(i64),
        Bool(bool),
        Null,
        Text(String),
        Bytes(Vec<u8>),
        Array(u64),
    }

    /// Numbers of every length of head, its bounds among them.
    pub(super) fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0..30_u64, 250..260_u64, 65_530..65_540_u64, 0xffff_fff0..0x1_0000_0010_u64, any::<u64>()]
    }

    fn item() -> impl Strategy<Value = Item> {
        prop_oneof![
            number().prop_map(Item::Unsigned),
            (number(), any::<bool>()).prop_map(|(number, below)| {
                let number = (number >> 1).cast_signed();
                Item::Signed(if below { !number } else { number })
            }),
            any::<bool>().prop_map(Item::Bool),
            Just(Item::Null),
            ".{0,300}".prop_map(Item::Text),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(Item::Bytes),
            number().prop_map(Item::Array),
        ]
    }

    fn ours(items: &[Item]) -> Vec<u8> {
        let mut output = Output::default();
        for item in items {
            match item {
                Item::Unsigned(number) => output.u64(*number),
                Item::Signed(number) => output.i64(*number),
                Item::Bool(is) => output.bool(*is),
                Item::Null => output.null(),
                Item::Text(text) => output.text(text),
                Item::Bytes(bytes) => output.bytes(bytes),
                Item::Array(len) => output.array(*len),
            }
        }
        output.into_bytes()
    }

    fn theirs(items: &[Item]) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        for item in items {
            let written = match item {
                Item::Unsigned(number) => encoder.u64(*number),
                Item::Signed(number) => encoder.i64(*number),
                Item::Bool(is) => encoder.bool(*is),
                Item::Null => encoder.null(),
                Item::Text(text) => encoder.str(text),
                Item::Bytes(bytes) => encoder.bytes(bytes),
                Item::Array(len) => encoder.array(*len),
            };
            assert!(written.is_ok());
        }
        encoder.into_writer()
    }

    #[test]
    fn bytes_in_the_making_are_written_as_those_that_are_there() {
        for len in [0, 1, 23, 24, 255, 256, 65_535, 65_536] {
            for about in [0, 30, 300, 70_000] {
                let (mut one, mut other, bytes) = (Output::default(), Output::default(), alloc::vec![7; len]);
                one.u64(1);
                other.u64(1);
                let start = one.len();
                let room = one.leave_head(about);
                one.items(&bytes);
                one.wrap(start, room, 0);
                other.bytes(&bytes);
                assert_eq!(one.into_bytes(), other.into_bytes(), "{len} bytes of about {about}");
            }
        }
    }

    proptest! {
        #[test]
        fn several_heads_are_written_as_one_by_one(a in number(), b in number(), below in any::<bool>(), small in any::<bool>()) {
            let (a, b) = if small { (a % 300, b % 300) } else { (a, b >> 1) };
            let signed = if below { !b.cast_signed() } else { b.cast_signed() };
            let (mut one, mut other) = (Output::default(), Output::default());
            one.heads([Head::unsigned(a), Head::signed(signed), Head::unsigned(b), Head::text(3)]);
            one.items(b"abc");
            other.u64(a);
            other.i64(signed);
            other.u64(b);
            other.text("abc");
            prop_assert_eq!(one.into_bytes(), other.into_bytes());
        }

        #[test]
        fn what_is_written_is_what_others_write(items in prop::collection::vec(item(), 0..12)) {
            prop_assert_eq!(ours(&items), theirs(&items));
        }

        #[test]
        fn what_others_write_is_read(items in prop::collection::vec(item(), 0..12)) {
            let bytes = theirs(&items);
            let mut input = Input::new(&bytes);
            for item in &items {
                let same = match item {
                    Item::Unsigned(number) => input.u64() == Some(*number),
                    Item::Signed(number) => input.i64() == Some(*number),
                    Item::Bool(is) => input.bool() == Some(*is),
                    Item::Null => input.null(),
                    Item::Text(text) => input.text() == Some(text),
                    Item::Bytes(bytes) => input.bytes() == Some(bytes),
                    Item::Array(len) => input.near_array() == Some(*len),
                };
                prop_assert!(same, "{:?}", item);
            }
            prop_assert_eq!(input.left(), 0);
        }

        /// Whatever the bytes are: what both pass over they pass over as far. Others also look at the text itself.
        #[test]
        fn what_is_passed_over_others_pass_over_too(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            let mut input = Input::new(&bytes);
            let mut other = Decoder::new(&bytes);
            if input.skip().is_some() && other.skip().is_ok() {
                prop_assert_eq!(other.position(), bytes.len() - input.left());
            }
        }
    }

    proptest! {
        #[test]
        fn bytes_are_passed_over_if_they_are_next(
            bytes in prop::collection::vec(any::<u8>(), 0..300), len in any::<prop::sample::Index>(), harm in prop::option::of((any::<prop::sample::Index>(), 0..8)),
        ) {
            let mut next = bytes[..len.index(bytes.len() + 1)].to_vec();
            if let Some((at, bit)) = harm && !next.is_empty() {
                *at.get_mut(&mut next) ^= 1_u8 << bit;
            }
            let mut input = Input::new(&bytes);
            let is_next = bytes.starts_with(&next);
            prop_assert_eq!(input.passes(&next), is_next);
            prop_assert_eq!(input.rest(), if is_next { &bytes[next.len()..] } else { &bytes[..] });
            prop_assert!(!Input::new(&next[..next.len() / 2]).passes(&bytes) || next.is_empty() && bytes.is_empty());
        }
    }
}
