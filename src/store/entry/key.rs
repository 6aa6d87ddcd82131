//! A key: shared text, because the index and deltas name it too.
//!
//! Invariant: keys are ordered as their bytes are, which is how text is ordered, so that one may be looked for by its
//! text. They are compared eight bytes at a time: wasm has no instruction for it, and comparing them byte by byte was a
//! sixth of a write's time.

use alloc::string::String;
use alloc::sync::Arc;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::ops::Deref;

/// The key of an entry, as its owner wrote it.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Key(Arc<str>);

impl Key {
    /// Whether this is the text of the key: eight bytes at a time, as keys are compared.
    pub(crate) fn is(&self, text: &str) -> bool {
        let (one, other) = (self.0.as_bytes(), text.as_bytes());
        let ((words, rest), (other_words, other_rest)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
        let word = |word: &[u8; 8]| u64::from_ne_bytes(*word);
        one.len() == other.len() && words.iter().map(word).eq(other_words.iter().map(word)) && rest == other_rest
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let (one, other) = (self.0.as_bytes(), other.0.as_bytes());
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
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Deref for Key {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
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
