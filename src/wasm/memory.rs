//! Grows this instance's memory seldom and in large steps.
//!
//! The allocator requests one page of 64 KiB at a time, and an engine may collect garbage at each request: in Node 20 a
//! profile of 100,000 writes and their restoring showed 71 % of the time in the garbage collector and 21 % in growing.
//! To the engine each growth is a new buffer of the whole length, which counts in its accounting: seven tenths of
//! beginning a million sessions were that. Allocating a large block and freeing it leaves the allocator with memory
//! that it then divides without further requests.
//!
//! Invariant: this is the only module that manages memory; the core, which uses it, does not know of this.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

/// A page, in bytes.
const PAGE: usize = 64 << 10;
/// The memory of an entry, as a multiple of its bytes in a message. The message itself is in memory by then; a snapshot
/// stays in the host's memory.
const GROWTH: usize = 2;
/// About how much replicas send at once, in bytes.
const SLICE: usize = 512 << 10;

/// The size of the memory at the last check, in pages.
static SEEN: AtomicUsize = AtomicUsize::new(0);

/// The size of the memory, in bytes.
pub(super) fn size() -> usize {
    core::arch::wasm32::memory_size(0) * PAGE
}

/// Called before each call's work: if the memory has grown since the last check, makes room for another eighth; a
/// quarter left a tenth more of it unused. After a large step, as when a table has doubled, it adds nothing: the rest
/// of that step is used first.
pub fn tend() {
    let pages = core::arch::wasm32::memory_size(0);
    let grown = pages - SEEN.swap(pages, Ordering::Relaxed).min(pages);
    if grown > 0 && grown < pages / 16 + 2 {
        make_room(size() / 8);
        SEEN.store(core::arch::wasm32::memory_size(0), Ordering::Relaxed);
    }
}

/// Called before a snapshot of `bytes` bytes, which is in the host's memory, is loaded.
pub(super) fn expect(bytes: usize) {
    if bytes > PAGE {
        make_room(bytes.saturating_mul(GROWTH));
    }
}

/// Called before a message of `bytes` bytes is decoded. Memory never shrinks and the sender may be anybody, so it grows
/// by no more than what replicas send at once, or by an eighth, before anything of the message is believed.
pub(super) fn hear(bytes: usize) {
    if bytes > PAGE {
        make_room((bytes.min(SLICE) * GROWTH).max(size() / 8));
    }
}

/// Allocates a block and frees it. If the block cannot be allocated, the work itself will report it.
fn make_room(bytes: usize) {
    let mut block: Vec<u8> = Vec::new();
    let _ = block.try_reserve_exact(bytes);
    // The allocation is the point: it must not be optimised away.
    core::hint::black_box(&mut block);
}
