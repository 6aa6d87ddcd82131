//! A frame that is not in one piece: bytes that were written, and between them texts that stay where they are held.
//!
//! Invariant: what it refers to never changes, so that a rope says the same as long as it is held.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::iter::once;
use core::ops::Range;

/// What holds bytes that never change.
type Holder = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Bytes of which some stay where they are held: whoever needs them elsewhere copies them once.
#[derive(Clone, Default)]
pub struct Rope {
    pub(super) head: Vec<u8>,
    pub(super) written: Vec<u8>,
    pub(super) spans: Vec<Span>,
}

/// Bytes that stand before what was written from `at` on.
#[derive(Clone)]
pub(super) struct Span {
    pub(super) at: usize,
    holder: Holder,
    range: Range<usize>,
}

impl Span {
    pub(super) const fn new(at: usize, holder: Holder, range: Range<usize>) -> Self {
        Self { at, holder, range }
    }

    fn bytes(&self) -> &[u8] {
        (*self.holder).as_ref().get(self.range.clone()).unwrap_or_default()
    }
}

impl Rope {
    /// Its parts, in order.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.spans.iter().map(|span| (span.at, span.bytes())).chain(once((self.written.len(), &[][..])));
        let mut from = 0;
        let behind = ends.flat_map(move |(at, text)| {
            let written = self.written.get(core::mem::replace(&mut from, at)..at).unwrap_or_default();
            [written, text]
        });
        once(&*self.head).chain(behind).filter(|part| !part.is_empty())
    }

    /// Its only part, where nothing is long.
    #[must_use]
    pub fn whole(&self) -> Option<&[u8]> {
        (self.head.is_empty() && self.spans.is_empty()).then_some(&self.written)
    }

    /// How many bytes they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.whole().map_or_else(|| self.parts().map(<[u8]>::len).sum(), <[u8]>::len)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All in one piece, which is copied.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        self.parts().for_each(|part| bytes.extend_from_slice(part));
        bytes
    }

    /// All in one piece, which is copied only where it was not in one.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        if self.whole().is_some() { self.written } else { self.to_vec() }
    }
}

impl From<Vec<u8>> for Rope {
    fn from(written: Vec<u8>) -> Self {
        Self { written, ..Self::default() }
    }
}

impl PartialEq for Rope {
    /// Whether both say the same, wherever it stands.
    fn eq(&self, other: &Self) -> bool {
        self.to_vec() == other.to_vec()
    }
}

impl Eq for Rope {}

impl fmt::Debug for Rope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_vec().fmt(f)
    }
}
