//! Anti-entropy with one peer: vectors out, deltas in, until both hold the same.

pub mod admit;
pub mod gate;
pub mod message;
pub mod peer;
mod telling;
mod under;
