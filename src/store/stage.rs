//! The slices of a large delta, staged by key range and applied only together with their top-up.
//!
//! Invariants:
//!
//! * Nothing of a delta is visible before its top-up.
//! * A slice that does not follow the previous one is not taken, so duplicates and reordering are harmless.
//! * Each slice names the sender's vector and clock at the time it was cut. A top-up that was cut before one of them belongs
//!   to another run; combined they would show a state that never existed.
//! * Memory is bounded by the store's limit.

use crate::mutant::{Mutant, off};
use crate::store::delta::{Delta, Keys};
use crate::store::entry::{ENTRY_OVERHEAD, Key};
use crate::time::Hlc;
use crate::vector::VersionVector;

/// One slice, as it was cut.
#[derive(Debug)]
pub struct Part {
    /// The last key of the slice before; `None` for the first.
    pub after: Option<Key>,
    /// Whether it is the last one.
    pub last: bool,
    /// The sender's vector, in which its entries lie.
    pub at: VersionVector,
    /// The sender's clock.
    pub hlc: Hlc,
    /// The touched keys of the range.
    pub keys: Keys,
}

/// The slices received so far of one delta.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stage {
    from: VersionVector,
    base: VersionVector,
    at: VersionVector,
    hlc: Hlc,
    keys: Keys,
    after: Option<Key>,
    complete: bool,
    bytes: u64,
}

impl Stage {
    /// An empty stage for the delta since `from`, whose first slice was cut at the sender's vector `base`.
    #[must_use]
    pub const fn new(from: VersionVector, base: VersionVector) -> Self {
        let at = VersionVector::new();
        Self { from, base, at, hlc: Hlc::from_bits(0), keys: Keys::new(), after: None, complete: false, bytes: 0 }
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

    /// Whether all slices are here, and the top-up was cut after each of them: only then does it name what has changed since.
    #[must_use]
    pub fn is_whole_with(&self, top_up: &Delta) -> bool {
        self.complete && top_up.to.dominates(&self.at)
    }

    /// Bytes staged.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        // Slices name who they like: what is joined of their vectors is staged as well.
        self.bytes + self.at.len() as u64 * ENTRY_OVERHEAD
    }

    /// Takes the slice that follows the last one; tells whether it was that.
    pub fn take(&mut self, part: Part) -> bool {
        if self.complete || self.after != part.after {
            return false;
        }
        if let Some(key) = part.keys.last_key() {
            self.after = Some(key.into());
        }
        self.at.join(&part.at);
        self.hlc = self.hlc.max(part.hlc);
        self.complete = part.last;
        self.bytes += part.keys.weight();
        // Slices ascend: what each holds follows what is here.
        self.keys.append(part.keys);
        true
    }

    /// The whole delta: the slices, with the keys of the top-up in place of theirs. Both ascend: it costs what they hold.
    #[must_use]
    pub fn finish(self, top_up: Delta) -> Delta {
        let newer = if off(Mutant::TopUp) { Keys::new() } else { top_up.keys };
        let keys = if newer.is_empty() { self.keys } else { replace(self.keys, newer) };
        // A sender that was opened anew may have forgotten a clock that came without news; what it holds it has not.
        Delta { from: self.from, keys, space: top_up.space, to: top_up.to, hlc: top_up.hlc.max(self.hlc) }
    }
}

/// All keys; of those that both have, the newer.
fn replace(older: Keys, newer: Keys) -> Keys {
    let (mut keys, room, came) = (Keys::new(), older.len(), older.came() + newer.came());
    let mut newer = newer.into_iter().peekable();
    for (key, set) in older {
        while let Some((other, set)) = newer.next_if(|(other, _)| *other < key) {
            keys.put(other, set, room);
        }
        let (key, set) = newer.next_if(|(other, _)| *other == key).unwrap_or((key, set));
        keys.put(key, set, room);
    }
    keys.extend(newer);
    keys.note_came(came);
    keys
}
