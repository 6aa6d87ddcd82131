//! Tells whether a key, or a run of keys, lies whole in the window of a section.
//!
//! Invariant: what is found whole here is decoded without reading beyond it, or is damaged.

use super::{HAS_EXPIRY, HAS_KNOWN, HAS_SESSION, HEADS, KNOWN, TOMBSTONE, column};
use crate::codec::cbor::Input;

/// Passes over what is next, as far as it has to be looked at to know where it ends; nothing if it does not end here.
#[inline(never)]
pub(super) fn skim(mut input: Input<'_>) -> Option<()> {
    if input.is_text() { run(&mut input) } else { key(&mut input) }
}

fn key(input: &mut Input<'_>) -> Option<()> {
    let mut left = if input.i64()? < 0 { input.u64()? } else { 1 };
    input.skip()?;
    while left > 0 {
        let head = input.u64()?;
        let (kind, flag) = (head % HEADS / 4, |flag| u64::from(head & flag != 0));
        // Sequence, clock, value, session, end: as many of them as it has.
        let more = match kind {
            KNOWN => 1,
            TOMBSTONE => 2 + flag(HAS_SESSION) + flag(HAS_EXPIRY),
            _ => 3 + flag(HAS_SESSION) + flag(HAS_EXPIRY),
        };
        (0..more).try_for_each(|_| input.skip())?;
        left -= 1;
    }
    Some(())
}

fn run(input: &mut Input<'_>) -> Option<()> {
    input.skip()?;
    let head = input.u64()?;
    let flag = |flag| u64::from(head & flag != 0);
    (0..flag(HAS_SESSION) + flag(HAS_KNOWN)).try_for_each(|_| input.skip())?;
    let count = input.u64()?;
    (0..4 + flag(HAS_KNOWN)).try_for_each(|_| column::skim(input, count))
}
