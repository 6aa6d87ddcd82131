//! Bytes that stay in the host's memory and are copied from there as they are read.

use js_sys::Uint8Array;

use crate::codec::Source;

/// See the module.
pub(super) struct Told {
    bytes: Uint8Array,
    size: u32,
}

impl Told {
    /// Throws here, before any state is borrowed, if this is not an array of bytes. Later reads use an array of the
    /// language's own type: methods and constructor of another type could be anybody's code. An array whose buffer was
    /// transferred has no bytes.
    pub(super) fn of(bytes: &Uint8Array) -> Self {
        let size = bytes.length();
        let bytes = if size == 0 {
            Uint8Array::from([].as_slice())
        } else {
            Uint8Array::new_with_byte_offset_and_length(&bytes.buffer(), bytes.byte_offset(), size)
        };
        Self { size: bytes.length(), bytes }
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
