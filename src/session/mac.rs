//! HMAC-SHA256 (RFC 2104, FIPS 180-4) that keeps the hash states after the padded key.
//!
//! Built directly on the compression function, because a token is short: whole blocks are hashed in place, without the
//! clearing, copying and checks of a general buffer.
//!
//! Invariant: MACs are compared in constant time. Knows nothing of tokens.

use core::hint::black_box;

use sha2::block_api::compress256;

/// The length of a MAC, in bytes.
pub(super) const BYTES: usize = 32;

const BLOCK: usize = 64;
/// The least padding after the bytes: one end marker and their number.
const END: usize = 9;
/// The end marker: the highest bit of a byte.
const ENDED: u8 = 0x80;

type State = [u32; 8];

/// The first 32 bits of the fractional parts of the square roots of the first eight primes.
const START: State =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A MAC in progress. A clone continues from the same state.
#[derive(Clone)]
pub(super) struct Mac {
    inner: Hash,
    outer: State,
}

impl Mac {
    /// The MAC of no bytes so far.
    pub(super) fn new(key: &[u8]) -> Self {
        let mut padded = [0; BLOCK];
        match padded.get_mut(..key.len()) {
            Some(place) => place.copy_from_slice(key),
            None => {
                let hash = bytes_of(Hash::new(START, 0).finish(key));
                padded.iter_mut().zip(hash).for_each(|(slot, byte)| *slot = byte);
            }
        }
        let begun = |with: u8| {
            let mut state = START;
            compress256(&mut state, &[padded.map(|byte| byte ^ with)]);
            state
        };
        Self { inner: Hash::new(begun(0x36), BLOCK), outer: begun(0x5c) }
    }

    /// Adds these bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.inner.update(bytes);
    }

    /// The MAC of everything added so far, followed by these bytes.
    pub(super) fn of(&self, bytes: &[u8]) -> [u8; BYTES] {
        let inner = self.inner.clone().finish(bytes);
        // The outer hash: after the key, one block whose first half is the inner hash and whose rest is constant.
        let mut block = [0; BLOCK];
        let (places, _) = block.as_chunks_mut();
        places.iter_mut().zip(inner).for_each(|(place, word)| *place = word.to_be_bytes());
        if let Some(end) = block.get_mut(BYTES) {
            *end = ENDED;
        }
        set_length(&mut block, BLOCK + BYTES);
        let mut state = self.outer;
        compress256(&mut state, &[block]);
        bytes_of(state)
    }
}

/// The words as big-endian bytes.
fn bytes_of(state: State) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let (places, _) = bytes.as_chunks_mut();
    places.iter_mut().zip(state).for_each(|(place, word)| *place = word.to_be_bytes());
    bytes
}

/// Writes the number of hashed bits at the end of the last block.
fn set_length(block: &mut [u8; BLOCK], bytes: usize) {
    if let Some(place) = block.last_chunk_mut() {
        *place = (8 * bytes as u64).to_be_bytes();
    }
}

/// Compares two MACs in constant time.
pub(super) fn same(one: &[u8; BYTES], other: &[u8; BYTES]) -> bool {
    black_box(one.iter().zip(other).fold(0, |differ, (own, others)| differ | (own ^ others))) == 0
}

/// A hash in progress.
#[derive(Clone)]
struct Hash {
    state: State,
    /// The bytes that do not fill a block yet; `held` of them are valid.
    block: [u8; BLOCK],
    held: usize,
    /// How many bytes were hashed.
    hashed: usize,
}

impl Hash {
    const fn new(state: State, hashed: usize) -> Self {
        Self { state, block: [0; BLOCK], held: 0, hashed }
    }

    fn compress(&mut self, blocks: &[[u8; BLOCK]]) {
        compress256(&mut self.state, blocks);
        self.hashed += BLOCK * blocks.len();
    }

    fn update(&mut self, bytes: &[u8]) {
        let rest = self.whole_blocks(bytes);
        let place = self.block.get_mut(self.held..).and_then(|free| free.get_mut(..rest.len()));
        place.unwrap_or_default().copy_from_slice(rest);
        self.held += rest.len();
    }

    /// Hashes all whole blocks and returns the rest, which fits into the buffer.
    fn whole_blocks<'b>(&mut self, mut bytes: &'b [u8]) -> &'b [u8] {
        if self.held > 0 {
            let Some((first, rest)) = bytes.split_at_checked(BLOCK - self.held) else { return bytes };
            self.block.get_mut(self.held..).unwrap_or_default().copy_from_slice(first);
            self.compress(&[self.block]);
            (self.held, bytes) = (0, rest);
        }
        let (blocks, rest) = bytes.as_chunks();
        self.compress(blocks);
        rest
    }

    /// The hash of everything added so far and of these bytes.
    fn finish(mut self, bytes: &[u8]) -> State {
        let rest = self.whole_blocks(bytes);
        // Usually nothing is buffered before the rest.
        let (mut block, len) = ([0; BLOCK], self.held + rest.len());
        for (from, part) in [(0, self.block.get(..self.held).unwrap_or_default()), (self.held, rest)] {
            block.get_mut(from..from + part.len()).unwrap_or_default().copy_from_slice(part);
        }
        if let Some(end) = block.get_mut(len) {
            *end = ENDED;
        }
        let bytes = self.hashed + len;
        if len > BLOCK - END {
            self.compress(&[block]);
            block = [0; BLOCK];
        }
        set_length(&mut block, bytes);
        self.compress(&[block]);
        self.state
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use hmac::{Hmac, KeyInit, Mac as _};
    use proptest::prelude::*;
    use sha2::Sha256;

    fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
        // Also around the ends of blocks.
        let len = prop_oneof![0..most, (0..4_usize, 50..70_usize).prop_map(|(blocks, more)| blocks * 64 + more)];
        len.prop_flat_map(|len| prop::collection::vec(any::<u8>(), len))
    }

    proptest! {
        #[test]
        fn it_is_what_others_compute(key in bytes(200), parts in prop::collection::vec(bytes(400), 0..4), last in bytes(400)) {
            let mut own = Mac::new(&key);
            let mut other = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            for part in &parts {
                own.update(part);
                other.update(part);
            }
            let mac = own.of(&last);
            other.update(&last);
            let expected: [u8; BYTES] = other.finalize().into_bytes().into();
            prop_assert_eq!(mac, expected);
            own.update(&last);
            prop_assert_eq!(own.of(&[]), expected);
        }

        #[test]
        fn one_bit_makes_another(mac: [u8; BYTES], at in 0..8 * BYTES) {
            let mut other = mac;
            prop_assert!(same(&mac, &other));
            other[at / 8] ^= 1 << (at % 8);
            prop_assert!(!same(&mac, &other));
        }
    }
}
