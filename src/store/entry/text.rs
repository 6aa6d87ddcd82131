//! The text of a value.
//!
//! Invariant: texts compare by contents, wherever they are stored.

use alloc::string::String;
use core::fmt;
use core::ops::Deref;

use crate::store::entry::piece::Piece;

/// Text that is shared, not copied.
#[derive(Clone)]
pub struct Text {
    pub(crate) piece: Piece,
}

impl Text {
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
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.piece.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self { piece: Piece::from(text) }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self { piece: Piece::from(text.into_boxed_str()) }
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
