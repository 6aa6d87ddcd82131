//! Anti-entropy with one peer: the two exchange vectors and deltas until both hold the same.

pub mod account;
pub mod admit;
mod bucket;
pub mod call;
pub mod gate;
mod incoming;
pub mod message;
mod owed;
pub mod peer;
mod progress;
mod proof;
mod requests;
mod run;
mod slice;
pub mod step;
mod telling;
mod told;
mod under;
