//! What is true, in bits: which writes there are, what each had before it, and what follows for whoever holds them.
//!
//! Invariant: a write's slot is its session and its number in it, whatever else happened before, so that histories
//! which come to the same are the same state. Nothing here reads a version vector: the judge must not share the
//! judged one's mistakes.

use edge_session::id::Dot;
use edge_session::store::entry::{Content, DataEntry};
use edge_session::time::Hlc;

use crate::bound::{KEYS, OPERATIONS_MAX, SESSIONS};

/// A set of writes, one bit a slot.
pub type Set = u8;

/// The place of a write in every set.
pub type Slot = usize;

/// The number of slots.
pub const SLOTS: usize = SESSIONS * OPERATIONS_MAX;

/// The slot of a session's operation number `at`.
#[must_use]
pub const fn slot(session: usize, at: usize) -> Slot {
    session * OPERATIONS_MAX + at
}

/// The slots in a set.
pub fn slots(set: Set) -> impl Iterator<Item = Slot> {
    (0..SLOTS).filter(move |slot| set & (1 << slot) != 0)
}

/// What the write of a slot says: its slot; of each session the second one deletes.
#[must_use]
pub fn content(slot: Slot) -> Content {
    const TEXTS: [&str; SLOTS] = ["0", "1", "2", "3", "4", "5"];
    if slot % OPERATIONS_MAX == 1 { Content::Tombstone } else { Content::Text(TEXTS[slot].into()) }
}

/// One accepted write.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Write {
    /// Which of [`KEYS`] it wrote.
    pub key: u8,
    /// The name that the core gave it.
    pub dot: Dot,
    /// Its stamp.
    pub hlc: Hlc,
    /// What the accepting replica held.
    pub past: Set,
    /// What its session had written before: Monotonic Writes.
    pub wrote: Set,
    /// What its session had read before: Writes Follow Reads.
    pub read: Set,
}

impl Write {
    fn rank(&self) -> (Hlc, edge_session::id::ReplicaId) {
        (self.hlc, self.dot.replica)
    }
}

/// Every write that is not lost, by its slot.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Truth {
    writes: [Option<Write>; SLOTS],
}

impl Truth {
    /// A write that there is.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<&Write> {
        self.writes[slot].as_ref()
    }

    fn all(&self) -> impl Iterator<Item = (Slot, &Write)> {
        self.writes.iter().enumerate().filter_map(|(slot, write)| Some((slot, write.as_ref()?)))
    }

    /// The slot of the write with this dot.
    #[must_use]
    pub fn of(&self, dot: Dot) -> Option<Slot> {
        self.all().find(|(_, write)| write.dot == dot).map(|(slot, _)| slot)
    }

    /// Notes a new write.
    pub fn put(&mut self, slot: Slot, write: Write) {
        self.writes[slot] = Some(write);
    }

    /// Forgets writes that nobody has or ever will.
    pub fn lose(&mut self, lost: Set) {
        slots(lost).for_each(|slot| self.writes[slot] = None);
    }

    /// Whether a new write with this stamp, which `past` went before, is above all of it (I3).
    #[must_use]
    pub fn is_above(&self, write: &Write) -> bool {
        slots(write.past).all(|slot| self.get(slot).is_some_and(|earlier| earlier.rank() < write.rank()))
    }

    /// Whether whoever holds `held` holds what each of its writes must follow, as `before` names it.
    #[must_use]
    pub fn is_closed(&self, held: Set, before: impl Fn(&Write) -> Set) -> bool {
        slots(held).all(|slot| self.get(slot).is_some_and(|write| before(write) & !held == 0))
    }

    /// The entries of a key that whoever holds `held` must show, the winner first: those that no other one had seen.
    pub fn live(&self, held: Set, key: u8) -> Vec<(Slot, &Write)> {
        let of_key = || self.all().filter(move |(slot, write)| held & (1 << slot) != 0 && write.key == key);
        let seen = |slot: Slot| of_key().any(|(_, other)| other.past & (1 << slot) != 0);
        let mut live: Vec<_> = of_key().filter(|(slot, _)| !seen(*slot)).collect();
        live.sort_by_key(|(_, write)| std::cmp::Reverse(write.rank()));
        live
    }

    /// Whether `entries` are what must be shown of a key.
    #[must_use]
    pub fn shows(&self, held: Set, key: usize, entries: &[DataEntry]) -> bool {
        debug_assert!(key < KEYS.len());
        let live = self.live(held, key as u8);
        let same = |((slot, write), entry): (&(Slot, &Write), &DataEntry)| {
            entry.dot() == write.dot && entry.hlc == write.hlc && entry.content == content(*slot)
        };
        live.len() == entries.len() && live.iter().zip(entries).all(same)
    }
}
