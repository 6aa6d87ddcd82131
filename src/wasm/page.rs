//! Copies of neighbouring values for the host, in the layout in which the host reads them, so that nothing has to be
//! built from them first.
//!
//! Keys and values are joined into one text. If it is not ASCII, it crosses as UTF-16 code units, of which JavaScript
//! makes its strings: writing the units takes no longer than counting them, and from UTF-8 an engine would take several
//! times as long.

use alloc::vec::Vec;

use js_sys::{Array, Uint32Array};
use wasm_bindgen::prelude::*;

use super::convert::{JSON, TEXT};
use super::wide::Wide;
use crate::id::{Dot, ReplicaId};
use crate::store::part::Row;

/// Numbers per copy: where its key begins, where its value begins, and its write, shifted left by one bit to make room
/// for its kind.
const ROW: usize = 3;

/// Neighbours that cross with a read.
#[derive(Default)]
pub(super) struct Page {
    text: Joined,
    rows: Vec<u32>,
    writes: Vec<(Dot, u32)>,
    /// The range of slots that contains all of them: the first slot, and the one after the last.
    from: u32,
    until: u32,
}

impl Page {
    pub(super) fn add(&mut self, place: u32, row: Row<'_>) {
        let (from, until) = if self.rows.is_empty() { (place, place) } else { (self.from, self.until) };
        (self.from, self.until) = (from.min(place), until.max(place.saturating_add(1)));
        // Usually the same write as that of the previous row.
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

    /// Replaces the writers by their numbers at the boundary.
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

    /// Appends the text and the numbers to `seen`, if there are copies beside that of the key itself. The numbers are:
    /// the count of copies and their range of slots; the rows; the end of the text; and for each write its origin and
    /// the lower and upper half of its sequence.
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

/// Joined texts.
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
    /// The length in UTF-16 code units.
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
    /// The text of these bytes, which are ASCII; an engine that knows this need not check. In the package's own script,
    /// like the one in `wide.rs`.
    #[wasm_bindgen(js_name = asciiText)]
    fn ascii_text(text: &[u8]) -> JsValue;
}
