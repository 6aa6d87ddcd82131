//! How this instance's memory grows: seldom and in large steps.
//!
//! The allocator asks the engine for one page of 64 KiB at a time, and an engine may collect garbage at each: in Node 20
//! a profile of 100,000 writes and their restoring showed 71 % of the time in the garbage collector and 21 % in growing.
//! To it each time is a new buffer of the whole length, which it enters in its books: of beginning a million sessions seven
//! tenths were that. Taking a large block and letting go of it leaves the allocator with room that it then cuts up without asking.
//! Invariant: this is the only place that knows of memory; what fills it, the core, does not.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

/// A page, in bytes.
const PAGE: usize = 64 << 10;
/// What an entry takes in memory, as a multiple of its bytes in a message. What is handed over of a message itself is there by then;
/// a snapshot stays where it is.
const GROWTH: usize = 2;
/// About what replicas send at once, in bytes.
const SLICE: usize = 512 << 10;

/// The size of the memory when it was last looked at, in pages.
static SEEN: AtomicUsize = AtomicUsize::new(0);

/// The size of the memory, in bytes.
pub(super) fn size() -> usize {
    core::arch::wasm32::memory_size(0) * PAGE
}

/// Called before each call's work: where the memory has grown since the last one, makes room for an eighth more; a quarter left a
/// tenth more of it unused. A large step, as when a table has doubled, is followed by none: what it left over is used first.
pub fn tend() {
    let pages = core::arch::wasm32::memory_size(0);
    let grown = pages - SEEN.swap(pages, Ordering::Relaxed).min(pages);
    if grown > 0 && grown < pages / 16 + 2 {
        make_room(size() / 8);
        SEEN.store(core::arch::wasm32::memory_size(0), Ordering::Relaxed);
    }
}

/// Called before a snapshot of `bytes` bytes, which lies in the host's memory, is taken in.
pub(super) fn expect(bytes: usize) {
    if bytes > PAGE {
        make_room(bytes.saturating_mul(GROWTH));
    }
}

/// Called before a message of `bytes` bytes is looked at. Whoever sent it: a memory that has grown stays, so that it grows by
/// what replicas send at once, or by an eighth, and no more before anything of the message is believed.
pub(super) fn hear(bytes: usize) {
    if bytes > PAGE {
        make_room((bytes.min(SLICE) * GROWTH).max(size() / 8));
    }
}

/// Takes a block and lets go of it. Where there is no such block, the work itself will say so.
fn make_room(bytes: usize) {
    let mut block: Vec<u8> = Vec::new();
    let _ = block.try_reserve_exact(bytes);
    // The allocation is the point: it must not be optimised away.
    core::hint::black_box(&mut block);
}
