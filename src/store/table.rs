//! The keys of a space and their live sets: found by hash, walked in key order.
//!
//! Each key has a *slot*, a small number, from its first entry on. It keeps the slot when its set becomes empty, which is
//! not visible from outside. A slot therefore names its key without a comparison. Finding and adding cost O(1). Neither the
//! contents nor the order of listings depends on the hash.
//!
//! Invariant: either all slots are in the hash table, or the keys were loaded at once and ascend.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::ops::{Bound, Range};

use crate::id::Dot;
use crate::store::ends::Ends;
use crate::store::entry::{ENTRY_OVERHEAD, Key, LiveSet};
use crate::store::index::Index;
use crate::store::order::{Order, Walk};
use crate::store::part::{Part, Row};
use crate::store::parts::{Keys, Pair};
use crate::store::places::{Place, Places, hash};
use crate::store::slots::{BLOCK, Held, Slot, Slots};
use crate::store::space::Growth;

/// Up to this many neighbours are told within bounds that are the same for every reader. A reader that asks for more walks,
/// and wants those behind.
const TOGETHER: u32 = 64;

/// After this many bytes may have become free, [`Table::sweep`] scans one block of slots: 64 bytes a slot, the least that the
/// limits count for an entry.
const LOOK: u64 = BLOCK as u64 * ENTRY_OVERHEAD;

/// Where to insert a key that has no slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vacancy(Place);

/// The hash table is built after one single read for this many keys. A search among ascending keys takes longer than by hash, by the time
/// of hashing a few keys, so little is lost until then.
const SOUGHT: usize = 8;
/// The array of block ends is built after one single read for this many blocks. A binary search for a block in uncached memory
/// takes as long as adding this many blocks to the array.
const HALVES: usize = 32;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    seed: u64,
    slots: Slots,
    /// Empty after a bulk load until the first write or many reads: a replica that loads and forwards needs no look-up.
    places: Places,
    order: Order,
    len: usize,
    bytes: u64,
    /// The bytes of text that may have become free since the last scan, and the block of slots that is scanned next.
    dead: u64,
    next: usize,
    /// How many slots of the last block have texts in allocations of their own.
    lone: usize,
    /// The number of single reads while the hash table is empty, and the ends of blocks once these are many.
    sought: usize,
    ends: Option<Ends>,
}

impl Table {
    /// An empty table. Without the seed nobody can choose keys that collide.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// An empty table of the same seed.
    pub(crate) fn emptied(&self) -> Self {
        Self::new(self.seed)
    }

    /// The number of keys that have entries.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes of keys and values, with the overhead that the limits count.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether most slots have no entries any more.
    pub(crate) fn is_hollow(&self) -> bool {
        self.slots.len() > 2 * self.len + 64
    }

    /// The slots.
    pub(crate) const fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Whether the key of a slot has an entry of this dot.
    pub(crate) fn has(&self, slot: Slot, dot: Dot) -> bool {
        self.slots.held(slot).is_some_and(|held| held.set.has(dot))
    }

    /// The live set of a key, if it has entries.
    pub(crate) fn live(&self, key: &str) -> Option<&LiveSet> {
        Some(self.slots.at(self.place(key)?)?.1)
    }

    /// The same for a single read, with the slot.
    pub(crate) fn one(&self, key: &str) -> Option<(Slot, Cow<'_, LiveSet>)> {
        let slot = self.place(key)?;
        let set = match self.slots.one(slot)? {
            Cow::Borrowed(held) => Cow::Borrowed(&held.set),
            Cow::Owned(held) => Cow::Owned(held.set),
        };
        (!set.is_empty()).then_some((slot, set))
    }

    /// The slot of a key, if it has one.
    pub(crate) fn place(&self, key: &str) -> Option<Slot> {
        self.find(key.as_bytes(), self.hash(key.as_bytes())).ok()
    }

    /// Calls `each` for a slot and at most `most` neighbours that have one text without expiry, until it refuses one. Up to
    /// 64 neighbours: those behind the slot, then those before it, within bounds that do not depend on the slot, so that
    /// random reads get each neighbour once. More: those behind.
    pub(crate) fn beside(&self, slot: Slot, most: u32, each: &mut dyn FnMut(Slot, Row<'_>) -> bool) {
        let (from, until) = if most > TOGETHER {
            (slot, slot.saturating_add(most).saturating_add(1))
        } else {
            let size = 1 << most.saturating_add(1).ilog2();
            let from = slot - slot % size;
            (from, from.saturating_add(size))
        };
        if self.slots.rows(slot..until, each) {
            self.slots.rows(from..slot, each);
        }
    }

    #[inline(never)]
    fn hash(&self, key: &[u8]) -> u32 {
        hash(self.seed, key)
    }

    fn find(&self, key: &[u8], hash: u32) -> Result<Slot, Place> {
        if !self.is_placed() {
            return self.slots.search(key, self.ends.as_ref()).ok_or(Place::none(hash));
        }
        self.places.find(hash, |slot| self.slots.has(slot, key))
    }

    #[inline(always)]
    const fn is_placed(&self) -> bool {
        self.places.len() == self.slots.len()
    }

    /// Call before a single look-up. Counts it, and builds the hash table or the array of ends once that is worth its cost.
    #[inline(never)]
    pub(crate) fn before_look(&mut self) {
        if !self.is_placed() {
            self.sought += 1;
            if self.sought * SOUGHT > self.slots.len() {
                self.place_all();
            } else if self.ends.is_none() && self.sought * HALVES > self.slots.count() {
                self.ends = Some(self.slots.ends());
            }
        }
    }

    /// Builds the hash table. Call before many look-ups.
    #[inline(always)]
    pub(crate) fn place_all(&mut self) {
        if !self.is_placed() {
            (self.places, self.ends) = (self.placed(), None);
        }
    }

    /// The hash table of all keys, built block by block, so that the processor overlaps the cache misses of several keys.
    #[inline(never)]
    fn placed(&self) -> Places {
        let mut places = Places::default();
        places.reserve(self.slots.len());
        for (first, block) in self.slots.blocks() {
            let mut hashes = [0; BLOCK];
            match block.bundle() {
                Some(bundle) => {
                    hashes.iter_mut().zip(bundle.names()).for_each(|(place, name)| *place = self.hash(name));
                }
                None => {
                    for (place, held) in hashes.iter_mut().zip(block.list()) {
                        *place = hash(self.seed, held.key.piece.near_bytes());
                    }
                }
            }
            places.insert_all(hashes.get(..block.len()).unwrap_or_default(), first);
        }
        places
    }

    /// The slot of a key, or where to insert it.
    #[inline(never)]
    pub(crate) fn seek(&self, key: &[u8]) -> Result<Slot, Vacancy> {
        self.find(key, self.hash(key)).map_err(Vacancy)
    }

    /// The same by its hash.
    #[inline]
    pub(crate) fn seek_by(&self, key: &Key, hash: u32) -> Result<Slot, Vacancy> {
        self.find(key.as_bytes(), hash).map_err(Vacancy)
    }

    /// The hashes of keys that will be looked up next.
    pub(crate) fn hashes<'a>(&mut self, keys: impl Iterator<Item = &'a Key>) -> Vec<u32> {
        self.place_all();
        let hashes: Vec<_> = keys.map(|key| hash(self.seed, key.as_bytes())).collect();
        self.places.touch(&hashes);
        hashes
    }

    /// Adds a key that has no slot yet, with its live set, which is not empty. [`Table::arrange`] is to follow.
    pub(crate) fn push(&mut self, Vacancy(place): Vacancy, key: Key, set: LiveSet) -> Slot {
        self.place_all();
        let lone = key.piece.is_lone();
        let slot = self.put(Held { key, set });
        self.places.insert_at(place, slot);
        if (slot as usize).is_multiple_of(BLOCK) {
            self.gather_last(slot);
        }
        self.lone += usize::from(lone);
        slot
    }

    /// Adds consecutive slots to the order.
    pub(crate) fn arrange(&mut self, added: Range<Slot>) {
        self.order.add(added, &self.slots);
    }

    /// Gathers the texts of a full block of slots into one block of text, if they have allocations of their own.
    fn gather_last(&mut self, next: Slot) {
        if self.lone > 0 && next > 0 {
            self.slots.gather(next as usize / BLOCK - 1);
        }
        self.lone = 0;
    }

    #[inline]
    fn put(&mut self, held: Held) -> Slot {
        self.bytes += held.bytes();
        self.len += 1;
        self.slots.push(held)
    }

    /// As [`Table::push`], of a key that follows all that are here, which came so as well.
    #[inline]
    pub(crate) fn follow(&mut self, key: Key, set: LiveSet) {
        let slot = self.put(Held { key, set });
        self.order.follow(slot + 1);
    }

    /// As [`Table::follow`], of many, each with a full entry, in an empty table: their parts become its blocks. The index is told of
    /// every entry.
    pub(crate) fn adopt(&mut self, keys: Keys, index: &mut Index) {
        let Growth { keys: len, more, .. } = keys.extent().growth();
        (self.len, self.bytes) = (len as usize, more);
        for part in keys.into_parts() {
            self.adopt_part(part, index);
        }
    }

    #[inline(never)]
    fn adopt_part(&mut self, part: Part<Pair>, index: &mut Index) {
        let (block, first) = (part.turned(|(key, set)| Held { key, set: set.all() }), self.slots.next_block());
        match block.bundle() {
            Some(bundle) => index.note_bundle(first, bundle),
            None => index.note_all(first, block.list().iter().map(|held| &held.set)),
        }
        self.order.follow(first + block.len() as Slot);
        self.slots.adopt(block);
    }

    /// The key of a slot and its live set, mutable. The caller reports the change to [`Table::count`].
    #[inline(always)]
    pub(crate) fn held_mut(&mut self, slot: Slot) -> Option<(&mut Key, &mut LiveSet)> {
        let held = self.slots.held_mut(slot)?;
        Some((&mut held.key, &mut held.set))
    }

    /// Counts bytes that came to a key which had entries and has some, and bytes that went.
    pub(crate) const fn count(&mut self, came: u64, gone: u64) {
        self.bytes = self.bytes + came - gone;
    }

    /// Changes the live set of a slot, and counts what becomes of it; the key may be replaced by one that is equal.
    pub(crate) fn change<T>(&mut self, slot: Slot, change: impl FnOnce(&mut Key, &mut LiveSet) -> T) -> Option<T> {
        let held = self.slots.held_mut(slot)?;
        self.bytes -= held.bytes();
        self.len -= usize::from(!held.set.is_empty());
        let changed = change(&mut held.key, &mut held.set);
        self.bytes += held.bytes();
        self.len += usize::from(!held.set.is_empty());
        Some(changed)
    }

    /// Frees blocks of text that are mostly dead. Call after each step with the number of bytes that may have become free, as
    /// the limits count them. The work is proportional to it: one block of slots for each [`LOOK`] bytes, and all blocks
    /// for the greatest number.
    pub(crate) fn sweep(&mut self, gone: u64) {
        self.dead = self.dead.saturating_add(gone);
        if self.dead >= LOOK {
            self.look();
        }
    }

    #[inline(never)]
    fn look(&mut self) {
        let blocks = self.slots.blocks().count();
        for _ in 0..blocks {
            let next = if self.next + 1 < blocks { self.next + 1 } else { 0 };
            // An adopted block may have few slots.
            let slots = self.slots.len_of(next);
            let Some(left) = self.dead.checked_sub(slots as u64 * ENTRY_OVERHEAD) else { return };
            (self.dead, self.next) = (left, next);
            self.slots.gather(next);
        }
        // All that there are.
        self.dead = 0;
    }

    /// The keys with entries between two bounds, in order; see [`Order::walk`].
    pub(crate) fn walk(&self, bounds: (Bound<&str>, Bound<&str>), guess: Range<usize>) -> Walk<'_> {
        self.order.walk(&self.slots, bounds, guess)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    use crate::codec::{Reader, Writer};
    use crate::id::{Dot, ReplicaId, Space};
    use crate::store::delta::{Delta, Keys, Listed, ListedSet};
    use crate::store::entry::{Content, DataEntry, Key};
    use crate::store::limits::Limits;
    use crate::store::stage::{Part, Stage};
    use crate::store::{Log, Mutation, SessionConsistentStore, Written};
    use crate::time::Hlc;
    use crate::vector::VersionVector;

    /// A replica, and another one which is told of all that it writes, in bytes.
    struct Pair {
        one: SessionConsistentStore,
        other: SessionConsistentStore,
        space: Space,
        id: ReplicaId,
    }

    impl Pair {
        fn new() -> Option<Self> {
            let limits = Limits { batch_keys: 1 << 20, ..Limits::default() };
            let [one, other] = [1, 2].map(|seed| SessionConsistentStore::new(limits).seeded(seed));
            Some(Self { one, other, space: Space::first("s").ok()?, id: ReplicaId::new("a", [0; 10]).ok()? })
        }

        fn write(&mut self, writes: &[(String, String)]) -> bool {
            let mut log = Log::default();
            writes.iter().for_each(|(key, value)| log.put(key, Written::Text(value)));
            self.take(log.finish())
        }

        fn take(&mut self, batch: Vec<Mutation>) -> bool {
            let from = self.other.vector(&self.space).clone();
            let written = self.one.write(&self.space, self.id, None, batch, &[], 1).is_ok();
            written && self.tell(&from).is_some_and(|delta| self.other.apply(delta).is_ok())
        }

        /// What has come since, as it is read from bytes.
        fn tell(&self, from: &VersionVector) -> Option<Delta> {
            let mut writer = Writer::new();
            self.one.extract(&self.space, from)?.encode(&mut writer);
            Delta::decode(&mut Reader::open(&writer.finish()).ok()?).ok()
        }

        /// How many bytes of text each keeps in memory, and how many are held.
        fn pinned(&self) -> [(usize, usize); 2] {
            [&self.one, &self.other].map(|store| {
                let (mut blocks, mut held) = (BTreeMap::new(), 0);
                for (key, set) in store.spaces().flat_map(|(_, state)| state.iter()) {
                    blocks.extend(key.piece.pinned());
                    held += key.len();
                    for entry in set.entries() {
                        held += entry.content.len();
                        if let Content::Text(text) = &entry.content {
                            blocks.extend(text.piece.pinned());
                        }
                    }
                }
                (blocks.values().sum(), held)
            })
        }
    }

    #[test]
    fn what_is_pinned_is_bounded_by_what_is_held() {
        let Some(mut pair) = Pair::new() else { return };
        // With each write one key comes that stays, and much goes that came with the last one.
        for n in 0..2_000 {
            let hot = (0..20).map(|hot| (format!("hot {hot}"), format!("{n:.>1000}")));
            let writes: Vec<_> = hot.chain([(format!("cold {n:04}"), "stays".into())]).collect();
            assert!(pair.write(&writes));
        }
        for (pinned, held) in pair.pinned() {
            // Half of a block may be dead, and an entry may have died unseen for each slot.
            assert!(pinned <= 2 * held + 2_021 * 64 + (64 << 10), "{pinned} for {held}");
        }
    }

    /// Text whose keys are made and changed is held by them alone, and not by what they were made of.
    #[test]
    fn what_came_in_runs_pins_nothing_that_was_overwritten() {
        let Some(mut pair) = Pair::new() else { return };
        let rows = |keys: core::ops::Range<u64>, len: usize| {
            keys.map(|n| (format!("{n:05}"), format!("{n:.>len$}"))).collect::<Vec<_>>()
        };
        assert!(pair.write(&rows(0..6_000, 300)));
        for from in (0..6_000).step_by(100) {
            assert!(pair.write(&rows(from..from + 95, 5)));
        }
        for (pinned, held) in pair.pinned() {
            assert!(pinned <= 2 * held + 6_000 * 64 + (64 << 10), "{pinned} for {held}");
        }
    }

    /// The bytes of keys with these values, of the write of this sequence, and the keys as they are read from them.
    fn told(pair: &Pair, from: u64, to: u64, keys: &[(String, u64, String)]) -> Option<Delta> {
        let (vector, hlc) = (|sequence| VersionVector::from_iter([(pair.id, sequence)]), Hlc::new(1, 0));
        let one = |(key, sequence, value): &(String, u64, String)| {
            let text = Content::Text(value.as_str().into());
            let entry = DataEntry::new(text, Dot::new(pair.id, *sequence), hlc, None, None);
            (Key::from(key.as_str()), ListedSet::of(Listed::Entry(entry)))
        };
        let keys = keys.iter().map(one).collect();
        let from = if from == 0 { VersionVector::new() } else { vector(from) };
        let delta = Delta { space: pair.space.clone(), from, to: vector(to), hlc, keys };
        let mut writer = Writer::new();
        delta.encode(&mut writer);
        Delta::decode(&mut Reader::open(&writer.finish()).ok()?).ok()
    }

    fn is_bounded(pair: &Pair, slots: usize) {
        let [_, (pinned, held)] = pair.pinned();
        assert!(pinned <= 2 * held + slots * 64 + (64 << 10), "{pinned} for {held}");
    }

    /// What keys share takes a few bytes in a message: a sender cannot make it take many times as much room as they do.
    #[test]
    fn long_keys_that_share_much_pin_little_more_than_themselves() {
        let Some(pair) = Pair::new() else { return };
        for len in [100, 1_000, 5_000, 25_000] {
            let keys: Vec<_> = (0..60).map(|n| (format!("{:x<len$}{n:04}", ""), 1, "value".into())).collect();
            let Some(delta) = told(&pair, 0, 1, &keys) else { panic!("no delta") };
            let (mut blocks, mut text) = (BTreeMap::new(), 0);
            for (key, set) in &delta.keys {
                blocks.extend(key.piece.pinned());
                text += key.len() + 5;
                if let Some(Content::Text(value)) = set.first().and_then(Listed::content) {
                    blocks.extend(value.piece.pinned());
                }
            }
            let pinned: usize = blocks.values().sum();
            assert!(pinned <= text + text / 4 + 1_024, "{pinned} for {text} of keys of {len}");
        }
    }

    #[test]
    fn what_a_top_up_replaces_pins_nothing() {
        let Some(mut pair) = Pair::new() else { return };
        let mut stage = Stage::new(VersionVector::new(), VersionVector::from_iter([(pair.id, 1)]));
        for n in 0..300_u32 {
            let value = |what: &str| {
                (format!("{n:04} {what}"), 1, if what == "a" { "stays".into() } else { format!("{n:.>4000}") })
            };
            let Some(delta) = told(&pair, 0, 1, &["a", "b", "c"].map(value)) else { panic!("no delta") };
            let after = n.checked_sub(1).map(|n| Key::from(format!("{n:04} c")));
            assert!(stage.take(Part { after, last: n == 299, at: delta.to.clone(), hlc: delta.hlc, keys: delta.keys }));
        }
        let newer: Vec<_> =
            (0..300).flat_map(|n| ["b", "c"].map(|what| (format!("{n:04} {what}"), 2, String::new()))).collect();
        let Some(top_up) = told(&pair, 0, 2, &newer) else { panic!("no delta") };
        assert!(pair.other.apply(stage.finish(top_up)).is_ok());
        is_bounded(&pair, 900);
    }

    #[test]
    fn keys_that_came_one_by_one_are_looked_at_as_often() {
        let Some(mut pair) = Pair::new() else { return };
        let mut keys = Keys::new();
        for n in 0..2_000 {
            let Some(delta) = told(&pair, 0, 1, &[(format!("{n:04}"), 1, "one".into())]) else { panic!("no delta") };
            keys.append(delta.keys);
        }
        let to = VersionVector::from_iter([(pair.id, 1)]);
        let delta = Delta { space: pair.space.clone(), from: VersionVector::new(), to, hlc: Hlc::new(1, 0), keys };
        assert!(pair.other.apply(delta).is_ok());
        for n in 2..2_000 {
            let hot = (0..8).map(|hot| (format!("hot {hot}"), n, format!("{n:.>1000}")));
            let keys: Vec<_> = [(format!("cold {n:04}"), n, "stays".into())].into_iter().chain(hot).collect();
            assert!(told(&pair, n - 1, n, &keys).is_some_and(|delta| pair.other.apply(delta).is_ok()));
        }
        is_bounded(&pair, 4_008);
    }

    #[test]
    fn slots_that_are_made_anew_are_looked_at_as_often() {
        let Some(mut pair) = Pair::new() else { return };
        let keys: Vec<_> = (0..1_200).map(|n| (format!("{n:04}"), 1, "one".into())).collect();
        assert!(told(&pair, 0, 1, &keys).is_some_and(|delta| pair.other.apply(delta).is_ok()));
        for n in 0..400_u64 {
            let (from, cold) = (2 * n + 1, (format!("{:04}", n % 200), 2 * n + 2, "other".into()));
            let hot = (0..200).map(|hot| (format!("hot {hot:03} {n:03}"), from + 1, ".".repeat(29)));
            let keys: Vec<_> = [cold.clone()].into_iter().chain(hot).collect();
            assert!(told(&pair, from, from + 1, &keys).is_some_and(|delta| pair.other.apply(delta).is_ok()));
            assert!(told(&pair, from, from + 2, &[cold]).is_some_and(|delta| pair.other.apply(delta).is_ok()));
        }
        is_bounded(&pair, 2_464);
    }

    /// What came at once, in blocks that are not full, is found once somebody looks for it, and so is what comes after.
    #[test]
    fn no_key_has_a_place_before_one_is_looked_for() {
        let (Some(pair), mut all) = (Pair::new(), Keys::new()) else { return };
        let key = |n: u64| format!("{n:04}");
        for from in [0, 300] {
            let keys: Vec<_> = (from..from + 300).map(|n| (key(n), 1, "one".into())).collect();
            let Some(delta) = told(&pair, 0, 1, &keys) else { panic!("no delta") };
            all.append(delta.keys);
        }
        let found = |table: &super::Table, n: u64| {
            let key = table.place(&key(n)).and_then(|slot| table.slots().key(slot));
            key.map(|key| key.as_bytes().to_vec())
        };
        let mut table = super::Table::new(7);
        table.adopt(all.with_entries(), &mut super::Index::default());
        assert!(!table.is_placed());
        assert!((0..600).all(|n| found(&table, n) == Some(key(n).into_bytes())) && found(&table, 600).is_none());
        for n in (600..900).rev() {
            let (new, Some(set)) = (Key::from(key(n)), table.live(&key(0)).cloned()) else { panic!("it was found") };
            let Err(vacancy) = table.seek(new.as_bytes()) else { panic!("nobody has added it") };
            table.push(vacancy, new, set);
        }
        assert!((0..900).all(|n| found(&table, n) == Some(key(n).into_bytes())) && found(&table, 900).is_none());
        assert!(table.is_placed());
        let mut looked = super::Table::new(7);
        let Some(delta) = told(&pair, 0, 1, &(0..2_100).map(|n| (key(n), 1, "one".into())).collect::<Vec<_>>()) else {
            panic!("no delta")
        };
        looked.adopt(delta.keys.with_entries(), &mut super::Index::default());
        for times in 0..300 {
            if !(3..=260).contains(&times) {
                let all = (0..2_100).all(|n| found(&looked, n) == Some(key(n).into_bytes()));
                assert!(all && found(&looked, 2_100).is_none() && found(&looked, 9_999).is_none());
            }
            assert_eq!(looked.is_placed(), times > 262, "to find one of eight costs less than to hash all");
            assert_eq!(looked.ends.is_some(), (1..=262).contains(&times), "nine blocks");
            looked.before_look();
        }
    }

    /// Or who is told of a seed that all tables have would find them.
    #[test]
    fn tables_that_are_made_anew_have_the_seed_of_the_old_one() {
        let table = super::Table::new(7);
        assert_eq!([table.seed, table.emptied().seed], [7; 2]);
    }
}
