//! Any bytes as a token. The body is shared with the property tests: see `src/token.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| edge_session_fuzz::token::run(bytes));
