//! Whether bytes are text.
//!
//! Invariant: what is taken for text is UTF-8.

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod lanes;

/// Where there are no lanes, the standard library does all.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod lanes {
    pub(super) const fn is_text(bytes: &[u8]) -> bool {
        core::str::from_utf8(bytes).is_ok()
    }
}

/// Whether these bytes are text.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    lanes::is_text(bytes)
}

/// The text that these bytes are, if they are one.
#[inline(never)]
pub(crate) const fn text(bytes: &[u8]) -> Option<&str> {
    if let Ok(text) = core::str::from_utf8(bytes) { Some(text) } else { None }
}

/// Whether bytes of text begin with a character, or are none.
pub(crate) fn is_edge(text: &[u8]) -> bool {
    text.first().is_none_or(|byte| byte & 0xc0 != 0x80)
}
