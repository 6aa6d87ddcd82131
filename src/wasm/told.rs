//! Bytes that stay in the host's memory, and are taken out of it as they are read.

use js_sys::Uint8Array;

use crate::codec::Source;

/// See the module.
pub(super) struct Told {
    bytes: Uint8Array,
    size: u32,
}

impl Told {
    /// What is no array of bytes throws here, where no state is borrowed.
    pub(super) fn of(bytes: &Uint8Array) -> Self {
        let size = bytes.length();
        Self { bytes: bytes.subarray(0, size), size }
    }
}

impl Source for Told {
    fn size(&self) -> usize {
        self.size as usize
    }

    fn copy(&self, from: usize, into: &mut [u8]) {
        self.bytes.subarray(from as u32, (from + into.len()) as u32).copy_to(into);
    }
}
