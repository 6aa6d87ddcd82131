//! A key: shared text, because deltas and events name it too.
//!
//! Invariant: keys are ordered by their bytes, which is the order of text, so a key can be looked up by text. They are
//! compared eight bytes at a time: wasm has no instruction for it, and byte by byte it was a sixth of a write's time.

use alloc::string::String;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::Deref;

use crate::store::entry::piece::Piece;

/// The key of an entry, as its owner wrote it.
#[derive(Clone, Default)]
pub struct Key {
    pub(crate) piece: Piece,
}

impl Key {
    /// The same key by itself, for who keeps it: it pins no text of others.
    pub(crate) fn apart(&self) -> Self {
        Self::from(&**self)
    }

    /// The bytes of the key: to take them looks at no character, as to take its text does.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.piece.as_bytes()
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.piece.len()
    }

    /// Whether it is the empty text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this is the text of the key: eight bytes at a time, as keys are compared.
    pub(crate) fn is(&self, text: &[u8]) -> bool {
        let (one, other) = (self.piece.near_bytes(), text);
        let ((words, rest), (other_words, other_rest)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
        let same = |(one, other): (&[u8; 8], &[u8; 8])| u64::from_ne_bytes(*one) == u64::from_ne_bytes(*other);
        one.len() == other.len()
            && words.iter().zip(other_words).all(same)
            && rest.iter().zip(other_rest).all(|(one, other)| one == other)
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        near_cmp(self.piece.near_bytes(), other.piece.near_bytes())
    }
}

/// Compares the bytes of keys eight at a time, for loops.
#[inline(always)]
pub(crate) fn near_cmp(one: &[u8], other: &[u8]) -> Ordering {
    let ((words, _), (other_words, _)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    for (word, other_word) in words.iter().zip(other_words) {
        if word != other_word {
            return u64::from_be_bytes(*word).cmp(&u64::from_be_bytes(*other_word));
        }
    }
    // The rest of one of them has fewer than eight bytes.
    let same = 8 * words.len().min(other_words.len());
    one.get(same..).cmp(&other.get(same..))
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.as_bytes())
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        str::hash(self, state);
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Deref for Key {
    type Target = str;

    fn deref(&self) -> &str {
        self.piece.as_str()
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        self
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        self
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self { piece: Piece::from(text) }
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self::from(&*text)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_are_ordered_as_their_text(one in "[ab\u{e9}]{0,20}", other in "[ab\u{e9}]{0,20}") {
            prop_assert_eq!(Key::from(&*one).cmp(&Key::from(&*other)), one.cmp(&other));
        }

        /// As keys of one application often are: a long beginning in common.
        #[test]
        fn whatever_they_have_in_common(common in "[a-z]{0,20}", one in "[ab]{0,9}", other in "[ab]{0,9}") {
            let (one, other) = (alloc::format!("{common}{one}"), alloc::format!("{common}{other}"));
            prop_assert_eq!(Key::from(&*one).cmp(&Key::from(&*other)), one.cmp(&other));
        }
    }
}
