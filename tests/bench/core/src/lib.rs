//! What the benchmark measures of the core itself: [`hot`] paths by their instructions, [`vectors`] and [`sessions`] by the clock.
//!
//! It knows the public API of the core alone, and reads no clock: whoever calls it does.

pub mod hot;
pub mod sessions;
pub mod vectors;
