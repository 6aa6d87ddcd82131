//! What a session depends on, and how it travels. Knows vectors, never the store.

pub mod vector;
