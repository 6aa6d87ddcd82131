//! What a session depends on, and how it travels. Knows vectors, never the store.

mod base64url;
pub mod claims;
pub mod fold;
mod json;
pub mod listing;
mod mac;
mod pack;
mod scan;
pub mod seal;
pub mod token;
pub mod vector;
