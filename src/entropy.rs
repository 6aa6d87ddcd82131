//! Random bytes from a seed that the host hands in once: the core itself draws no randomness.
//!
//! The n-th block is SHA-256(seed ‖ n), so the same inputs give the same ids, in a test or a replay, and different
//! seeds never the same. Good for identities; keys and passwords are never made from it.

use sha2::{Digest, Sha256};

/// A stream of random bytes.
#[derive(Clone)]
pub struct Entropy {
    seed: [u8; 32],
    drawn: u64,
}

impl Entropy {
    /// The stream of `seed`; give each opening of a replica a fresh one.
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

    /// A number that nobody else can know and that is never told: what keys are hashed by.
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
