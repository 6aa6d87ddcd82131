//! Any bytes as a message of a peer. The body is shared with the property tests: see `src/message.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| edge_session_fuzz::message::run(bytes));
