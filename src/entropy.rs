//! Random bytes derived from a seed that the host supplies once: the core itself has no source of randomness.
//!
//! Block n is SHA-256(seed ‖ n). So equal inputs give equal ids, as in a test or a replay, and different seeds give
//! different ones. Suitable for identities; keys and passwords are never made from it.

use sha2::{Digest, Sha256};

/// A stream of random bytes.
#[derive(Clone)]
pub struct Entropy {
    seed: [u8; 32],
    drawn: u64,
}

impl Entropy {
    /// The stream of `seed`; use a new seed for each opening of a replica.
    #[must_use]
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// The next bytes, at most 32 of them: the random part of a UUIDv7, the secret of a replica id, a nonce.
    pub fn draw<const N: usize>(&mut self) -> [u8; N] {
        const { assert!(N <= 32, "a block has 32 bytes") }
        self.drawn += 1;
        self.block(self.drawn).first_chunk().copied().unwrap_or([0; N])
    }

    /// A number that nobody else can know and that never leaves: the seed for hashing keys.
    pub(crate) fn hidden(&self) -> u64 {
        self.block(0).first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    fn block(&self, number: u64) -> [u8; 32] {
        Sha256::new().chain_update(self.seed).chain_update(number.to_be_bytes()).finalize().into()
    }
}

impl core::fmt::Debug for Entropy {
    /// Without the seed.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Entropy").field("drawn", &self.drawn).finish_non_exhaustive()
    }
}
