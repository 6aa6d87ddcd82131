//! Copies on their way out, laid out as they are read there: nothing has to be made of them first.
//!
//! Their keys and values are joined to one text. Where it is not ASCII it crosses as units of UTF-16, which is what the other side
//! makes strings of: to count them takes as long as to write them, and from UTF-8 an engine would make them in several times that.

use alloc::vec::Vec;

use js_sys::{Array, Uint32Array};
use wasm_bindgen::prelude::*;

use super::convert::{JSON, TEXT};
use super::wide::Wide;
use crate::id::{Dot, ReplicaId};
use crate::store::part::Row;

/// Numbers of a copy: where its key begins, where its value, and its write, shifted left by one bit over its kind.
const ROW: usize = 3;

/// Neighbours that go out with a read.
#[derive(Default)]
pub(super) struct Page {
    text: Joined,
    rows: Vec<u32>,
    writes: Vec<(Dot, u32)>,
    /// The slots between which all of them stand: the first, and the one behind the last.
    from: u32,
    until: u32,
}

impl Page {
    pub(super) fn add(&mut self, place: u32, row: Row<'_>) {
        let (from, until) = if self.rows.is_empty() { (place, place) } else { (self.from, self.until) };
        (self.from, self.until) = (from.min(place), until.max(place.saturating_add(1)));
        // Mostly the write of the one before.
        let is_of = |dot: &Dot| dot.sequence == row.sequence && dot.replica.near_eq(row.origin);
        if !self.writes.last().is_some_and(|(dot, _)| is_of(dot)) {
            self.writes.push((Dot::new(*row.origin, row.sequence), 0));
        }
        let write = (self.writes.len() as u32).saturating_sub(1) << 1 | if row.json { JSON } else { TEXT };
        let key_at = self.text.units();
        self.text.push(row.key);
        self.rows.extend([key_at, self.text.units(), write]);
        self.text.push(row.value);
    }

    /// Gives the writers the numbers by which they are known outside.
    pub(super) fn number(&mut self, mut number: impl FnMut(ReplicaId) -> u32) {
        let mut last = None;
        for (dot, origin) in &mut self.writes {
            *origin = match last {
                Some((replica, origin)) if replica == dot.replica => origin,
                _ => number(dot.replica),
            };
            last = Some((dot.replica, *origin));
        }
    }

    /// Puts the text and the numbers behind what is said of a key, if there is a copy beside that of the key itself. The numbers
    /// are how many copies there are, and between which slots; the rows; the end of the text; and for each write its origin and the
    /// lower and the upper half of its sequence.
    pub(super) fn follow(&self, seen: &Array) {
        if self.rows.len() <= ROW {
            return;
        }
        let mut numbers = Vec::with_capacity(4 + self.rows.len() + 3 * self.writes.len());
        numbers.extend([(self.rows.len() / ROW) as u32, self.from, self.until]);
        numbers.extend_from_slice(&self.rows);
        numbers.push(self.text.units());
        for (dot, origin) in &self.writes {
            numbers.extend([*origin, dot.sequence as u32, (dot.sequence >> 32) as u32]);
        }
        seen.push(&self.text.show());
        seen.push(&Uint32Array::from(&*numbers).into());
    }
}

/// Texts, one behind the other.
enum Joined {
    /// As long as all are ASCII.
    Ascii(Vec<u8>),
    Wide(Wide),
}

impl Default for Joined {
    fn default() -> Self {
        Self::Ascii(Vec::new())
    }
}

impl Joined {
    /// How many UTF-16 units there are.
    const fn units(&self) -> u32 {
        match self {
            Self::Ascii(text) => text.len() as u32,
            Self::Wide(text) => text.units(),
        }
    }

    fn push(&mut self, text: &[u8]) {
        match self {
            Self::Ascii(all) if text.is_ascii() => all.extend_from_slice(text),
            Self::Ascii(all) => {
                let mut wide = Wide::default();
                wide.push(all);
                wide.push(text);
                *self = Self::Wide(wide);
            }
            Self::Wide(all) => all.push(text),
        }
    }

    fn show(&self) -> JsValue {
        match self {
            Self::Ascii(text) => ascii_text(text),
            Self::Wide(text) => text.show(),
        }
    }
}

#[wasm_bindgen]
extern "C" {
    /// The text of these bytes, which are ASCII: an engine that is told so need not look. Of the package's own script, as the one in `wide.rs`.
    #[wasm_bindgen(js_name = asciiText)]
    fn ascii_text(text: &[u8]) -> JsValue;
}
