//! Any bytes as deltas for a store. The body is shared with the property tests: see `src/delta.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| edge_session_fuzz::delta::run(bytes));
