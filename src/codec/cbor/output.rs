//! Writing: bytes in the making.
//!
//! Invariant: every head is the shortest that holds its argument.

use alloc::vec::Vec;

use super::{ARRAY, BYTES, FALSE, NEGATIVE, NULL, TEXT, TRUE, UNSIGNED, short};
use crate::id::{RANDOM_LEN, ReplicaId};

/// Bytes in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
}

/// A head, whose argument is the shortest that holds it: nine bytes at most.
#[inline]
fn head(bytes: &mut Vec<u8>, major: u8, value: u64) {
    let major = major << 5;
    if value < 24 {
        bytes.push(major | value as u8);
    } else if let Ok(value) = u8::try_from(value) {
        bytes.extend_from_slice(&[major | 24, value]);
    } else if let Ok(value) = u16::try_from(value) {
        let [a, b] = value.to_be_bytes();
        bytes.extend_from_slice(&[major | 25, a, b]);
    } else {
        long_head(bytes, major, value);
    }
}

#[cold]
#[inline(never)]
fn long_head(bytes: &mut Vec<u8>, major: u8, value: u64) {
    if let Ok(value) = u32::try_from(value) {
        bytes.push(major | 26);
        bytes.extend_from_slice(&value.to_be_bytes());
    } else {
        bytes.push(major | 27);
        bytes.extend_from_slice(&value.to_be_bytes());
    }
}

/// A head, to be written together with others.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    major: u8,
    value: u64,
}

impl Head {
    /// An unsigned number.
    #[inline(always)]
    pub(crate) const fn unsigned(value: u64) -> Self {
        Self { major: UNSIGNED, value }
    }

    /// A signed number.
    #[inline(always)]
    pub(crate) const fn signed(value: i64) -> Self {
        // −1 − value, as the complement says it.
        let (major, value) = if value < 0 { (NEGATIVE, !value) } else { (UNSIGNED, value) };
        Self { major, value: value.cast_unsigned() }
    }

    /// That of a text of so many bytes, which follow it.
    #[inline(always)]
    pub(crate) const fn text(bytes: usize) -> Self {
        Self { major: TEXT, value: bytes as u64 }
    }
}

/// How many bytes the head of so many bytes takes.
const fn head_len(bytes: usize) -> usize {
    match bytes as u64 {
        0..24 => 1,
        24..0x100 => 2,
        0x100..0x1_0000 => 3,
        0x1_0000..0x1_0000_0000 => 5,
        _ => 9,
    }
}

impl Output {
    /// Nothing, with room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }

    /// Nothing yet, in memory that is at hand.
    pub(crate) const fn on(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Makes room for so many bytes more.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// How many bytes there are.
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// An unsigned number.
    pub(crate) fn u64(&mut self, value: u64) {
        head(&mut self.bytes, UNSIGNED, value);
    }

    /// A signed number.
    pub(crate) fn i64(&mut self, value: i64) {
        let Head { major, value } = Head::signed(value);
        head(&mut self.bytes, major, value);
    }

    /// At most four heads, for loops: eight bytes at once, of which as many are kept as are meant.
    #[inline(always)]
    pub(crate) fn heads<const N: usize>(&mut self, heads: [Head; N]) {
        const { assert!(N <= 4, "four of two bytes fit into a word") };
        let (mut word, mut len) = (0, 0);
        for Head { major, value } in heads {
            let major = u64::from(major) << 5;
            let (bytes, more) = if value < 24 {
                (major | value, 1)
            } else if value < 0x100 {
                (major | 24 | value << 8, 2)
            } else {
                return self.long_heads(&heads);
            };
            word |= bytes << (8 * len);
            len += more;
        }
        self.word(word, len);
    }

    #[inline(never)]
    fn long_heads(&mut self, heads: &[Head]) {
        heads.iter().for_each(|one| head(&mut self.bytes, one.major, one.value));
    }

    /// The lowest so many bytes of a word.
    #[inline(always)]
    fn word(&mut self, word: u64, len: usize) {
        let end = self.bytes.len() + len;
        self.bytes.extend_from_slice(&word.to_le_bytes());
        self.bytes.truncate(end);
    }

    /// A truth value.
    pub(crate) fn bool(&mut self, value: bool) {
        self.bytes.push(if value { TRUE } else { FALSE });
    }

    /// Nothing's mark.
    pub(crate) fn null(&mut self) {
        self.bytes.push(NULL);
    }

    /// Text.
    pub(crate) fn text(&mut self, value: &str) {
        self.text_bytes(value.as_bytes());
    }

    /// Bytes that are text, or of one.
    pub(crate) fn text_bytes(&mut self, value: &[u8]) {
        head(&mut self.bytes, TEXT, value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// The head of a text of so many bytes.
    pub(crate) fn text_head(&mut self, len: usize) {
        head(&mut self.bytes, TEXT, len as u64);
    }

    /// Bytes.
    pub(crate) fn bytes(&mut self, value: &[u8]) {
        head(&mut self.bytes, BYTES, value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// The random bytes of ids, as one byte string.
    pub(crate) fn randoms(&mut self, ids: &[ReplicaId]) {
        head(&mut self.bytes, BYTES, (RANDOM_LEN * ids.len()) as u64);
        let from = self.bytes.len();
        self.bytes.resize(from + RANDOM_LEN * ids.len(), 0);
        // Each by a length that is known: to append ten bytes is a call.
        let (slots, _) = self.bytes.get_mut(from..).unwrap_or_default().as_chunks_mut::<RANDOM_LEN>();
        slots.iter_mut().zip(ids).for_each(|(slot, id)| *slot = id.random());
    }

    /// The head of an array of so many items.
    pub(crate) fn array(&mut self, len: u64) {
        head(&mut self.bytes, ARRAY, len);
    }

    /// A replica id, as bytes.
    pub(crate) fn replica(&mut self, id: ReplicaId) {
        id.append_wire(&mut self.bytes);
    }

    /// What was written before, elsewhere.
    pub(crate) fn items(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Numbers, each after its place among them.
    pub(crate) fn numbered(&mut self, values: &[u64]) {
        for (place, value) in (0..).zip(values) {
            self.at_place(place, *value);
        }
    }

    /// A number after its place.
    #[inline(always)]
    pub(crate) fn at_place(&mut self, place: u64, value: u64) {
        if let (Some((first, len)), Some((second, more))) = (short(place), short(value)) {
            // Both at once.
            self.word(first | second << (8 * len), len + more);
        } else {
            self.u64(place);
            self.u64(value);
        }
    }

    /// Leaves room for the head of about so many bytes that follow.
    pub(crate) fn leave_head(&mut self, bytes: usize) -> usize {
        let room = head_len(bytes);
        self.bytes.resize(self.bytes.len() + room, 0);
        room
    }

    /// Makes everything that follows the room of `room` bytes at `start`, and `aside` bytes elsewhere, one byte string. How many
    /// bytes its head has.
    pub(crate) fn wrap(&mut self, start: usize, room: usize, aside: usize) -> usize {
        let end = self.bytes.len();
        head(&mut self.bytes, BYTES, (end.saturating_sub(start + room) + aside) as u64);
        // The head was written behind what it belongs before.
        let head = self.bytes.len() - end;
        if head == room {
            self.bytes.copy_within(end.., start);
            self.bytes.truncate(end);
        } else {
            self.bytes.get_mut(start..).unwrap_or_default().rotate_right(head);
            self.bytes.drain(start + head..start + head + room);
        }
        head
    }

    /// What was written.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
