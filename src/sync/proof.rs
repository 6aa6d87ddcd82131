//! A proof, as it travels; how it is made and judged, the replica that owns the link knows.

use alloc::string::String;
use alloc::vec::Vec;

/// The length of a nonce, in bytes.
pub const NONCE_LEN: usize = 16;
/// The length of a MAC, in bytes.
pub const MAC_LEN: usize = 32;

/// That the sender holds a key of the cluster, and where messages go one by one, that this one is its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// The name of the key.
    pub kid: String,
    /// The sender's own nonce.
    pub nonce: [u8; NONCE_LEN],
    /// Which message of the conversation this is; 0 where it proves the sender alone.
    pub count: u64,
    /// Over ids, nonces, count and frame.
    pub mac: [u8; MAC_LEN],
    /// What is said: a frame, or nothing.
    pub frame: Vec<u8>,
}
