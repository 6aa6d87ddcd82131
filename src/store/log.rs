//! What a host has written, on its way into the store: a batch whose texts are pieces of few blocks.

use alloc::vec::Vec;

use crate::store::Mutation;
use crate::store::entry::piece::Gather;
use crate::store::entry::{Content, Key, Text};

/// Writes, in order.
#[derive(Default, Debug)]
pub struct Log {
    batch: Vec<Mutation>,
    texts: Gather,
    /// How many of them have the blocks that their texts are pieces of.
    settled: usize,
}

/// What is written, where it is text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written<'a> {
    /// A plain string.
    Text(&'a str),
    /// A JSON text.
    Json(&'a str),
    /// Nothing: the key is deleted.
    Tombstone,
}

impl Log {
    /// Makes room for so many more.
    pub fn reserve(&mut self, writes: usize) {
        self.batch.reserve(writes);
    }

    /// Adds a write of a value that does not end.
    pub fn put(&mut self, key: &str, value: Written<'_>) {
        let key = Key { piece: self.texts.piece(key) };
        let mut text = |text: &str| Text { piece: self.texts.piece(text) };
        let content = match value {
            Written::Text(value) => Content::Text(text(value)),
            Written::Json(value) => Content::Json(text(value)),
            Written::Tombstone => Content::Tombstone,
        };
        self.batch.push(Mutation { key, content, expires_at: None });
        if self.texts.is_full() {
            self.close();
        }
    }

    fn close(&mut self) {
        let block = self.texts.close();
        for Mutation { key, content, .. } in self.batch.iter_mut().skip(self.settled) {
            key.piece.settle(&block);
            content.piece_mut().into_iter().for_each(|piece| piece.settle(&block));
        }
        self.settled = self.batch.len();
    }

    /// All of them.
    #[must_use]
    pub fn finish(mut self) -> Vec<Mutation> {
        if !self.texts.is_empty() {
            self.close();
        }
        self.batch
    }
}
