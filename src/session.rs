//! What a session depends on, and how it travels. Knows vectors, never the store.

pub mod claims;
pub mod fold;
pub mod listing;
mod pack;
pub mod seal;
pub mod token;
pub mod vector;
