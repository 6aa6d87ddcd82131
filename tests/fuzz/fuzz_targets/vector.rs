//! Any bytes as version vectors. The body is shared with the property tests: see `src/vector.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| edge_session_fuzz::vector::run(bytes));
