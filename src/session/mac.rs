//! HMAC-SHA256 (RFC 2104, FIPS 180-4), of which the states are kept that a key begins with.
//!
//! By hand around the compression function, because a token is short: whole blocks are hashed where they lie, and nothing is
//! cleared, copied or asked that a general buffer would. Invariant: two MACs are compared in constant time. Knows nothing of tokens.

use core::hint::black_box;

use sha2::block_api::compress256;

/// The length of a MAC, in bytes.
pub(super) const BYTES: usize = 32;

const BLOCK: usize = 64;
/// What stands behind the bytes: a bit, and the number of them.
const END: usize = 9;
/// The bit, first of eight.
const ENDED: u8 = 0x80;

type State = [u32; 8];

/// The first 32 bits of the fractional parts of the square roots of the first eight primes.
const START: State =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A MAC in the making: a copy goes on from where it stands.
#[derive(Clone)]
pub(super) struct Mac {
    inner: Hash,
    outer: State,
}

impl Mac {
    /// That of nothing yet.
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

    /// Goes on with these bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.inner.update(bytes);
    }

    /// The MAC of these bytes behind those before.
    pub(super) fn of(&self, bytes: &[u8]) -> [u8; BYTES] {
        let inner = self.inner.clone().finish(bytes);
        // The hash of a hash behind the key: one block, of which only the first half differs.
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

/// The bytes of the words.
fn bytes_of(state: State) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let (places, _) = bytes.as_chunks_mut();
    places.iter_mut().zip(state).for_each(|(place, word)| *place = word.to_be_bytes());
    bytes
}

/// Writes at the end of the last block how many bytes were hashed.
fn set_length(block: &mut [u8; BLOCK], bytes: usize) {
    if let Some(place) = block.last_chunk_mut() {
        *place = (8 * bytes as u64).to_be_bytes();
    }
}

/// Whether two MACs are the same, in a time that does not tell where they differ.
pub(super) fn same(one: &[u8; BYTES], other: &[u8; BYTES]) -> bool {
    black_box(one.iter().zip(other).fold(0, |differ, (own, others)| differ | (own ^ others))) == 0
}

/// A hash in the making.
#[derive(Clone)]
struct Hash {
    state: State,
    /// What is not a whole block yet: so many bytes of this.
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

    /// Hashes what makes whole blocks; the rest, which has place in the block.
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

    /// The hash of all that was hashed, and of these bytes.
    fn finish(mut self, bytes: &[u8]) -> State {
        let rest = self.whole_blocks(bytes);
        // Mostly nothing is held before the rest.
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
        // Around the ends of blocks, too.
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
