//! Joined texts as UTF-16 code units, in the byte order of wasm.
//!
//! Invariant: the input is UTF-8, so only the number of bytes per character is derived from it, and nothing is checked.

use alloc::vec::Vec;

use wasm_bindgen::prelude::*;

#[cfg(target_feature = "simd128")]
mod lanes;

/// Without SIMD each character is converted by itself.
#[cfg(not(target_feature = "simd128"))]
mod lanes {
    pub(super) const fn widen(_: &[u8], _: &mut [u8]) -> (usize, usize) {
        (0, 0)
    }
}

/// How many bytes SIMD may write beyond the last unit.
const SPARE: usize = 32;

#[derive(Default)]
pub(super) struct Wide {
    /// Two bytes per unit, and spare room.
    room: Vec<u8>,
    /// How many of these bytes are units.
    until: usize,
}

impl Wide {
    /// How many units there are.
    pub(super) const fn units(&self) -> u32 {
        (self.until / 2) as u32
    }

    /// Appends a text.
    pub(super) fn push(&mut self, text: &[u8]) {
        let needed = self.until + 2 * text.len() + SPARE;
        if self.room.len() < needed {
            self.room.resize(needed.max(2 * self.room.len()), 0);
        }
        let (read, written) = lanes::widen(text, self.room.get_mut(self.until..).unwrap_or_default());
        self.until += written;
        let mut bytes = text.get(read..).unwrap_or_default().iter().copied();
        while let Some(lead) = bytes.next() {
            let mut more = || bytes.next().map_or(0, |byte| u16::from(byte & 0x3f));
            match lead {
                0..0x80 => self.put(lead.into()),
                0x80..0xe0 => self.put(u16::from(lead & 0x1f) << 6 | more()),
                0xe0..0xf0 => self.put(u16::from(lead) << 12 | more() << 6 | more()),
                0xf0.. => {
                    // Twenty bits above the first 2^16 characters, ten for each half of a surrogate pair.
                    let (upper, middle) = (u16::from(lead & 7) << 8 | more() << 2, more());
                    self.put(0xd800 | (upper | middle >> 4).wrapping_sub(0x40));
                    self.put(0xdc00 | (middle & 0xf) << 6 | more());
                }
            }
        }
    }

    fn put(&mut self, unit: u16) {
        if let Some(place) = self.room.get_mut(self.until..).and_then(<[u8]>::first_chunk_mut::<2>) {
            *place = unit.to_le_bytes();
            self.until += 2;
        }
    }

    /// The JavaScript string, made without copying the units first.
    pub(super) fn show(&self) -> JsValue {
        units_text(self.room.get(..self.until).unwrap_or_default())
    }
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = unitsText)]
    fn units_text(units: &[u8]) -> JsValue;
}
