//! The wire form of a proof. The replica that owns the link makes and checks proofs.

use alloc::string::String;
use alloc::vec::Vec;

/// The length of a nonce, in bytes.
pub const NONCE_LEN: usize = 16;
/// The length of a MAC, in bytes.
pub const MAC_LEN: usize = 32;

/// Proves that the sender holds a key of the cluster and, if messages are proved one by one, that this one is its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// The name of the key.
    pub kid: String,
    /// The sender's own nonce.
    pub nonce: [u8; NONCE_LEN],
    /// The number of this message in the conversation; 0 if the proof is of the sender alone.
    pub count: u64,
    /// Over ids, nonces, count and frame.
    pub mac: [u8; MAC_LEN],
    /// The proved frame, or nothing.
    pub frame: Vec<u8>,
}
