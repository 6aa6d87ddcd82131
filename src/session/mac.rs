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
                let mut hash = Hash::new(START, 0);
                hash.update(key);
                padded.iter_mut().zip(hash.finish()).for_each(|(slot, byte)| *slot = byte);
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
        let mut own = self.clone();
        own.update(bytes);
        own.finish()
    }

    /// The MAC of all that it was given.
    pub(super) fn finish(self) -> [u8; BYTES] {
        let mut outer = Hash::new(self.outer, BLOCK);
        outer.update(&self.inner.finish());
        outer.finish()
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

    fn update(&mut self, mut bytes: &[u8]) {
        if self.held > 0
            && let Some((first, rest)) = bytes.split_at_checked(BLOCK - self.held)
        {
            self.hold(first);
            self.compress(&[self.block]);
            (self.held, bytes) = (0, rest);
        }
        if self.held > 0 {
            return self.hold(bytes);
        }
        let (blocks, rest) = bytes.as_chunks();
        self.compress(blocks);
        self.hold(rest);
    }

    /// Keeps what has place in the block.
    fn hold(&mut self, bytes: &[u8]) {
        let place = self.block.get_mut(self.held..).and_then(|free| free.get_mut(..bytes.len()));
        place.unwrap_or_default().copy_from_slice(bytes);
        self.held += bytes.len();
    }

    fn finish(mut self) -> [u8; BYTES] {
        let bits = 8 * (self.hashed + self.held) as u64;
        let behind = self.block.get_mut(self.held..).unwrap_or_default();
        behind.fill(0);
        behind.iter_mut().take(1).for_each(|byte| *byte = 0x80);
        if self.held > BLOCK - END {
            self.compress(&[self.block]);
            self.block = [0; BLOCK];
        }
        if let Some(place) = self.block.last_chunk_mut() {
            *place = bits.to_be_bytes();
        }
        self.compress(&[self.block]);
        let mut bytes = [0; BYTES];
        let (places, _) = bytes.as_chunks_mut();
        places.iter_mut().zip(self.state).for_each(|(place, word)| *place = word.to_be_bytes());
        bytes
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
            prop_assert_eq!(own.finish(), expected);
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
