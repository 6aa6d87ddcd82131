//! Any bytes as a record of storage or a snapshot. The body is shared with the property tests: see `src/snapshot.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| edge_session_fuzz::snapshot::run(bytes));
