//! A large delta in the making: slices by key range, put together and applied only with their top-up.
//!
//! Invariant: until the top-up nothing of it is visible. A slice that does not follow the last one is not taken, so
//! duplicates and reordering are harmless. Memory is bounded by the store's limit.

use crate::mutant::{Mutant, off};
use crate::store::delta::{Delta, Keys};
use crate::store::entry::Key;
use crate::vector::VersionVector;

/// The slices received so far of one delta.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stage {
    from: VersionVector,
    base: VersionVector,
    keys: Keys,
    after: Option<Key>,
    complete: bool,
    bytes: u64,
}

impl Stage {
    /// An empty stage for the delta since `from`, whose first slice was cut at the sender's vector `base`.
    #[must_use]
    pub const fn new(from: VersionVector, base: VersionVector) -> Self {
        Self { from, base, keys: Keys::new(), after: None, complete: false, bytes: 0 }
    }

    /// Whether a slice or top-up of `from` and `base` belongs here.
    #[must_use]
    pub fn is_of(&self, from: &VersionVector, base: &VersionVector) -> bool {
        self.from == *from && self.base == *base
    }

    /// The vector since which the delta is.
    #[must_use]
    pub const fn from(&self) -> &VersionVector {
        &self.from
    }

    /// The sender's vector at the first slice.
    #[must_use]
    pub const fn base(&self) -> &VersionVector {
        &self.base
    }

    /// The last key received: the next slice starts after it.
    #[must_use]
    pub const fn after(&self) -> Option<&Key> {
        self.after.as_ref()
    }

    /// Whether the last slice is here, so that only the top-up lacks.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Bytes staged.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the slice that starts after `after`; tells whether it was the one expected.
    pub fn take(&mut self, after: Option<&str>, keys: Keys, last: bool, bytes: u64) -> bool {
        if self.complete || self.after.as_deref() != after {
            return false;
        }
        if let Some((key, _)) = keys.last() {
            self.after = Some(key.clone());
        }
        // Slices ascend: what each holds follows what is here.
        self.keys.append(keys);
        self.complete = last;
        self.bytes += bytes;
        true
    }

    /// The whole delta: the slices, with the keys of the top-up in place of theirs. Both ascend: it costs what they hold.
    #[must_use]
    pub fn finish(self, top_up: Delta) -> Delta {
        let newer = if off(Mutant::TopUp) { Keys::new() } else { top_up.keys };
        let keys = if newer.is_empty() { self.keys } else { replace(self.keys, newer) };
        Delta { from: self.from, keys, space: top_up.space, to: top_up.to, hlc: top_up.hlc }
    }
}

/// All keys; of those that both have, the newer.
fn replace(older: Keys, newer: Keys) -> Keys {
    let (mut keys, room) = (Keys::new(), older.len());
    let mut newer = newer.into_iter().peekable();
    for (key, set) in older {
        while let Some((other, set)) = newer.next_if(|(other, _)| *other < key) {
            keys.put(other, set, room);
        }
        let (key, set) = newer.next_if(|(other, _)| *other == key).unwrap_or((key, set));
        keys.put(key, set, room);
    }
    keys.extend(newer);
    keys
}
