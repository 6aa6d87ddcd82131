//! A piece of text and the block that it is a piece of. Texts that arrive together share one allocation, and an entry has
//! none of its own.
//!
//! Invariants:
//!
//! * A piece begins and ends at character boundaries.
//! * A block counts how many of its bytes are in pieces. So holders of pieces see when a mostly dead block is kept by a few,
//!   and copy these out of it ([`Piece::is_to_move`]).
//! * A block has at most [`BLOCK_MAX`] bytes. A text longer than [`PIECE_MAX`] is a block of its own, freed with it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The longest piece of a block that has others.
pub(crate) const PIECE_MAX: usize = 4_096;
/// Most blocks are closed when they have so many bytes: few are pinned by a piece that outlives the others.
pub(crate) const BLOCK: usize = 8 << 10;
/// The most bytes of a block; less than [`WHOLE`].
pub(crate) const BLOCK_MAX: usize = 60 << 10;
/// A block of fewer bytes is better joined with others: what an allocation takes weighs too much.
pub(crate) const SMALL: usize = 1_024;
/// The length of a piece that is all of its block.
const WHOLE: u16 = u16::MAX;

/// Text, and how much of it is held as pieces. Atomic for those who share a store between threads: it decides about memory alone.
#[derive(Debug)]
pub(crate) struct Block {
    text: Box<str>,
    live: AtomicU32,
}

impl Block {
    fn new(text: Box<str>, live: u32) -> Arc<Self> {
        Arc::new(Self { text, live: AtomicU32::new(live) })
    }

    /// A block of which nothing is a piece yet.
    pub(crate) fn of(text: &str) -> Arc<Self> {
        Self::new(text.into(), 0)
    }

    /// A block all of whose bytes are about to be pieces, of which none is counted then.
    pub(crate) fn in_pieces(text: impl Into<Box<str>>) -> Arc<Self> {
        let text = text.into();
        let len = text.len() as u32;
        Self::new(text, len)
    }

    /// A piece of a block that has counted it.
    #[inline(always)]
    pub(crate) fn counted(self: &Arc<Self>, from: usize, len: usize) -> Piece {
        Piece { block: Some(Arc::clone(self)), from: from as u16, len: len as u16 }
    }

    /// The piece that begins at `from`; what is too long is a block of its own. None where no characters begin and end there.
    #[inline]
    pub(crate) fn cut(self: &Arc<Self>, from: usize, len: usize) -> Option<Piece> {
        if len > PIECE_MAX || from > BLOCK_MAX {
            return self.copied(from, len);
        }
        let is = self.text.is_char_boundary(from) && self.text.is_char_boundary(from.wrapping_add(len));
        is.then(|| if len > 0 { self.counted(from, len) } else { Piece::default() })
    }

    #[inline(never)]
    fn copied(&self, from: usize, len: usize) -> Option<Piece> {
        let text = self.text.get(from..from.checked_add(len)?)?;
        self.live.fetch_sub(len as u32, Relaxed);
        Some(Piece::from(text))
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// Text that is shared, not copied. Without a block it is empty, or a piece of a block that is still being gathered.
#[derive(Default, Debug)]
pub(crate) struct Piece {
    block: Option<Arc<Block>>,
    from: u16,
    len: u16,
}

impl Piece {
    /// The piece of a block that is being gathered which begins at `from`, where `len` bytes fit.
    pub(crate) const fn within(from: usize, len: usize) -> Self {
        Self { block: None, from: from as u16, len: len as u16 }
    }

    /// The bytes of the text: to take them looks at no character.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.near_bytes()
    }

    /// The same for loops, in each of which it stands.
    #[inline(always)]
    pub(crate) fn near_bytes(&self) -> &[u8] {
        let Some(block) = &self.block else { return &[] };
        let (text, from, len) = (block.text.as_bytes(), usize::from(self.from), usize::from(self.len));
        if self.len == WHOLE { text } else { text.get(from..from + len).unwrap_or_default() }
    }

    pub(crate) fn as_str(&self) -> &str {
        let Some(block) = &self.block else { return "" };
        let (from, len) = (usize::from(self.from), usize::from(self.len));
        if self.len == WHOLE { &block.text } else { block.text.get(from..from + len).unwrap_or_default() }
    }

    pub(crate) fn len(&self) -> usize {
        if self.len == WHOLE { self.whole() } else { usize::from(self.len) }
    }

    #[cold]
    #[inline(never)]
    fn whole(&self) -> usize {
        self.as_bytes().len()
    }

    /// Makes a piece that was gathered one of the block that has come of it.
    pub(crate) fn settle(&mut self, block: &Arc<Block>) {
        if self.block.is_none() && self.len > 0 {
            self.block = Some(Arc::clone(block));
            block.live.fetch_add(u32::from(self.len), Relaxed);
        }
    }

    /// Whether another one follows it in a block of several.
    #[inline(always)]
    pub(crate) fn is_before(&self, next: &Self) -> bool {
        let same = matches!((&self.block, &next.block), (Some(one), Some(other)) if Arc::ptr_eq(one, other));
        // The piece that is a whole block ends where no other begins.
        same && u32::from(self.from) + u32::from(self.len) == u32::from(next.from)
    }

    /// Its length, where it is not empty and may be a piece of a block that has others.
    #[inline(always)]
    pub(crate) const fn short_len(&self) -> Option<usize> {
        let len = self.len as usize;
        if len.wrapping_sub(1) < PIECE_MAX { Some(len) } else { None }
    }

    /// The block, and where the bytes from its first to the last of another one of the same block stand in it.
    pub(crate) fn through(&self, last: &Self) -> Option<(&Arc<Block>, Range<usize>)> {
        let end = usize::from(last.from) + usize::from(last.len);
        Some((self.block.as_ref()?, usize::from(self.from)..end))
    }

    /// So many of its bytes from there on, which are its own and begin and end where characters do.
    pub(crate) fn part(&self, from: usize, len: usize) -> Self {
        let block = self.block.as_ref().map(|block| {
            block.live.fetch_add(len as u32, Relaxed);
            Arc::clone(block)
        });
        Self { block, from: self.from + from as u16, len: len as u16 }
    }

    /// Whether it is better copied out of its block: because it is small, or because most of it is held by nobody.
    pub(crate) fn is_to_move(&self) -> bool {
        self.block.as_ref().is_some_and(|block| {
            let size = block.text.len();
            size < SMALL || (self.len != WHOLE && 2 * block.live.load(Relaxed) as usize <= size)
        })
    }

    /// Whether its block is small.
    pub(crate) fn is_lone(&self) -> bool {
        self.block.as_ref().is_some_and(|block| block.text.len() < SMALL)
    }

    /// How many bytes of its block are held as pieces.
    #[cfg(all(test, not(target_arch = "wasm32")))]
    pub(crate) fn live(&self) -> Option<u32> {
        self.block.as_ref().map(|block| block.live.load(Relaxed))
    }

    /// How many bytes of memory its block keeps, and how many of them are pieces.
    #[cfg(all(test, not(target_arch = "wasm32")))]
    pub(crate) fn pinned(&self) -> Option<(*const Block, usize)> {
        self.block.as_ref().map(|block| (Arc::as_ptr(block), block.text.len()))
    }
}

impl Clone for Piece {
    #[inline(never)]
    fn clone(&self) -> Self {
        let block = self.block.as_ref().map(|block| {
            block.live.fetch_add(u32::from(self.len), Relaxed);
            Arc::clone(block)
        });
        Self { block, ..*self }
    }
}

impl Drop for Piece {
    #[inline(never)]
    fn drop(&mut self) {
        if let Some(block) = &self.block {
            block.live.fetch_sub(u32::from(self.len), Relaxed);
        }
    }
}

impl From<&str> for Piece {
    fn from(text: &str) -> Self {
        Self::from(Box::<str>::from(text))
    }
}

impl From<Box<str>> for Piece {
    /// A block of its own.
    fn from(text: Box<str>) -> Self {
        if text.is_empty() {
            return Self::default();
        }
        Self { block: Some(Block::new(text, WHOLE.into())), from: 0, len: WHOLE }
    }
}

/// Texts on their way into one block. Each is a piece at once, and says nothing until [`Piece::settle`] has told it the block.
#[derive(Default, Debug)]
pub(crate) struct Gather {
    text: String,
}

impl Gather {
    /// Whether so many bytes have a place in the block.
    pub(crate) const fn fits(&self, bytes: usize) -> bool {
        fits(self.text.len(), bytes)
    }

    /// A piece of the block, or of one of its own.
    pub(crate) fn piece(&mut self, text: &str) -> Piece {
        if self.fits(text.len()) { self.add(text) } else { Piece::from(text) }
    }

    /// Adds a text that fits.
    fn add(&mut self, text: &str) -> Piece {
        let piece = Piece::within(self.text.len(), text.len());
        self.text.push_str(text);
        piece
    }

    /// Makes a piece of another block one of this block, if it fits.
    pub(crate) fn take(&mut self, piece: &mut Piece) {
        if self.fits(piece.len()) {
            *piece = self.add(piece.as_str());
        }
    }

    /// Whether there is nothing.
    pub(crate) const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether the block is better closed.
    pub(crate) const fn is_full(&self) -> bool {
        self.text.len() >= BLOCK
    }

    /// The block, and room for the next one.
    pub(crate) fn close(&mut self) -> Arc<Block> {
        let block = Block::new(self.text.as_str().into(), 0);
        self.text.clear();
        block
    }
}

/// Whether a text of so many bytes may be a piece of a block that has `held` bytes.
pub(crate) const fn fits(held: usize, bytes: usize) -> bool {
    bytes <= PIECE_MAX && held <= BLOCK_MAX - PIECE_MAX
}
