//! The text of a value, behind its key in one allocation or by itself.
//!
//! Invariant: texts compare by what they say, wherever they stand.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;

/// Text that is shared, not copied.
#[derive(Clone)]
pub struct Text {
    pub(super) text: Arc<str>,
    /// Where it begins: what stands before it is the key.
    pub(super) from: usize,
}

impl Text {
    /// The value that follows a key of so many bytes, which end with a character.
    pub(crate) fn after_key(text: &str, key: usize) -> Self {
        Self { text: text.into(), from: key }
    }

    /// The bytes of the text: to take them looks at no character.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes().get(self.from..).unwrap_or_default()
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.len() - self.from
    }

    /// Whether it is the empty text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.text.get(self.from..).unwrap_or_default()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self { text: text.into(), from: 0 }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self { text: text.into(), from: 0 }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
