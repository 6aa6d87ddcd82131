//! A part of a bulk load: some keys with their live sets, kept as a run until somebody needs the list of entries.
//!
//! Invariants:
//!
//! * Every answer is the same, whether the list has been made or not.
//! * Whoever changes the list is its only owner. Of a run whose keys were made and changed, only these keys still pin text.
//! * A read of a single key decodes that key alone, until so many were read that the list costs less.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::id::ReplicaId;
use crate::store::delta::Bare;
use crate::store::entry::{DataEntry, Key};
use crate::store::keys::Bundle;
use crate::store::order::Once;

/// A key, with what belongs to it.
pub trait Member: Clone {
    /// Of a key with one entry, and maybe a bare dot beside it.
    fn of(key: Key, entry: DataEntry, known: Option<Bare>) -> Self;
    /// The key.
    fn key(&self) -> &Key;
}

/// A key with the only entry that it has, a text that does not end, as it is told without being made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
    /// Whether the text is one of JSON.
    pub(crate) json: bool,
    /// The write that made it.
    pub(crate) origin: &'a ReplicaId,
    pub(crate) sequence: u64,
}

/// What a look at one key takes, in bytes of columns: those that it reads come to it.
const LOOK: usize = 32;
/// A quarter of what it takes to make an entry of a list, in the same bytes.
const MAKING: usize = 4;

/// See the module.
#[derive(Clone, Debug)]
pub enum Part<T> {
    /// Made.
    List(Vec<T>),
    /// What is made when somebody looks at it.
    Lazy(Box<Lazy<T>>),
}

/// A list, once somebody has looked at it, and what it is made of.
#[derive(Debug)]
pub struct Lazy<T> {
    bundle: Bundle,
    list: Once<Vec<T>>,
    /// What looks at single keys have taken. Atomic for those who share a store between threads: it decides about time alone.
    looks: AtomicU32,
}

impl<T: Clone> Clone for Lazy<T> {
    fn clone(&self) -> Self {
        let (bundle, list) = (self.bundle.clone(), self.list.clone());
        Self { bundle, list, looks: AtomicU32::new(self.looks.load(Relaxed)) }
    }
}

impl<T: Member> Lazy<T> {
    const fn new(bundle: Bundle) -> Self {
        Self { bundle, list: Once::new(), looks: AtomicU32::new(0) }
    }

    #[inline(never)]
    fn list(&self) -> &Vec<T> {
        self.list.get_or_init(|| self.bundle.make(T::of))
    }

    /// The list, where it is made.
    fn made(&self) -> Option<&Vec<T>> {
        self.list.get()
    }

    /// Takes note of a look at one key: makes the list once looks have taken a quarter of what that takes, so that whoever looks at
    /// many has lost little.
    fn looked(&self, read: usize) {
        let looks = self.looks.fetch_add(read as u32, Relaxed);
        if looks as usize > MAKING * self.bundle.len() {
            self.list();
        }
    }

    #[inline(never)]
    fn one(&self, number: usize) -> Option<Cow<'_, T>> {
        if let Some(list) = self.made() {
            return list.get(number).map(Cow::Borrowed);
        }
        if number >= self.bundle.len() {
            return None;
        }
        let (key, entry, known, read) = self.bundle.one(number)?;
        self.looked(LOOK + read);
        Some(Cow::Owned(T::of(key, entry, known)))
    }

    #[inline(never)]
    fn seek(&self, key: &[u8]) -> Option<usize> {
        // In the text keys lie beside each other, and from the list each is a way of its own.
        if let Some(list) = self.made().filter(|_| self.bundle.alike().is_none()) {
            return seek(list, key);
        }
        let (found, read) = self.bundle.seek(key);
        self.looked(read);
        found
    }

    #[inline(never)]
    fn has(&self, number: usize, key: &[u8]) -> bool {
        match self.made() {
            Some(list) => has(list, number, key),
            None => self.bundle.has(number, key),
        }
    }
}

fn seek<T: Member>(list: &[T], key: &[u8]) -> Option<usize> {
    list.binary_search_by(|member| member.key().piece.near_bytes().cmp(key)).ok()
}

#[inline(always)]
fn has<T: Member>(list: &[T], number: usize, key: &[u8]) -> bool {
    list.get(number).is_some_and(|member| member.key().is(key))
}

impl<T: Member> Part<T> {
    /// Those of a bundle.
    pub(crate) fn bundled(bundle: Bundle) -> Self {
        Self::Lazy(Box::new(Lazy::new(bundle)))
    }

    /// What the list is to be made of, as long as it is not.
    pub(crate) fn bundle(&self) -> Option<&Bundle> {
        match self {
            Self::Lazy(lazy) if lazy.made().is_none() => Some(&lazy.bundle),
            Self::Lazy(_) | Self::List(_) => None,
        }
    }

    /// How many they are.
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Lazy(lazy) => lazy.bundle.len(),
        }
    }

    /// The list.
    #[inline(always)]
    pub(crate) fn list(&self) -> &Vec<T> {
        match self {
            Self::List(list) => list,
            Self::Lazy(lazy) => lazy.list(),
        }
    }

    /// The one of this number, for who looks at it alone.
    #[inline(always)]
    pub(crate) fn one(&self, number: usize) -> Option<Cow<'_, T>> {
        match self {
            Self::List(list) => list.get(number).map(Cow::Borrowed),
            Self::Lazy(lazy) => lazy.one(number),
        }
    }

    /// The number of a key, where keys ascend.
    pub(crate) fn seek(&self, key: &[u8]) -> Option<usize> {
        match self {
            Self::List(list) => seek(list, key),
            Self::Lazy(lazy) => lazy.seek(key),
        }
    }

    /// Whether the one of this number has this key.
    #[inline(always)]
    pub(crate) fn has(&self, number: usize, key: &[u8]) -> bool {
        match self {
            Self::List(list) => has(list, number, key),
            Self::Lazy(lazy) => lazy.has(number, key),
        }
    }

    /// The list, to be changed.
    #[inline(always)]
    pub(crate) fn list_mut(&mut self) -> Option<&mut Vec<T>> {
        if let Self::Lazy(_) = self {
            self.make();
        }
        if let Self::List(list) = self { Some(list) } else { None }
    }

    /// Keeps nothing but the list.
    #[inline(never)]
    fn make(&mut self) {
        if let Self::Lazy(lazy) = self {
            lazy.list();
            *self = Self::List(lazy.list.take().unwrap_or_default());
        }
    }

    /// The list, to be taken over.
    pub(crate) fn into_list(mut self) -> Vec<T> {
        self.list_mut().map(core::mem::take).unwrap_or_default()
    }

    /// The same with other things; what is not made is made of them when somebody looks at it.
    pub(crate) fn turned<U: Member>(self, turn: impl Fn(T) -> U) -> Part<U> {
        match self {
            Self::Lazy(lazy) if lazy.made().is_none() => Part::bundled(lazy.bundle),
            made @ (Self::Lazy(_) | Self::List(_)) => Part::List(made.into_list().into_iter().map(turn).collect()),
        }
    }

    /// The first key.
    #[inline(never)]
    pub(crate) fn first_key(&self) -> Option<&str> {
        match self.bundle() {
            Some(bundle) => Some(bundle.first()),
            None => self.list().first().map(|member| &**member.key()),
        }
    }

    /// The last key.
    #[inline(never)]
    pub(crate) fn last_key(&self) -> Option<&str> {
        match self.bundle() {
            Some(bundle) => Some(bundle.last()),
            None => self.list().last().map(|member| &**member.key()),
        }
    }
}

impl<T: Member> IntoIterator for Part<T> {
    type Item = T;
    type IntoIter = alloc::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.into_list().into_iter()
    }
}

impl<'a, T: Member> IntoIterator for &'a Part<T> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.list().iter()
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    use crate::codec::{Reader, Writer};
    use crate::id::{ReplicaId, Space};
    use crate::store::delta::{Delta, Keys};
    use crate::store::entry::{Content, LiveSet};
    use crate::store::index::Index;
    use crate::store::limits::Limits;
    use crate::store::table::Table;
    use crate::store::{Log, SessionConsistentStore, Written};
    use crate::vector::VersionVector;

    fn key(n: usize) -> String {
        format!("{n:05}")
    }

    /// Keys that were written at once, as they are read from bytes.
    fn read(keys: usize) -> Option<Keys> {
        let (space, id) = (Space::first("s").ok()?, ReplicaId::new("a", [0; 10]).ok()?);
        let mut store = SessionConsistentStore::new(Limits { batch_keys: 4_000, ..Limits::default() });
        let mut log = Log::default();
        (0..keys).for_each(|n| log.put(&key(n), Written::Text(&format!("{n:.>60}"))));
        store.write(&space, id, None, log.finish(), &[], 1).ok()?;
        let mut writer = Writer::new();
        store.extract(&space, &VersionVector::new())?.encode(&mut writer);
        Delta::decode(&mut Reader::open(&writer.finish()).ok()?).ok().map(|delta| delta.keys)
    }

    #[test]
    fn what_nobody_looks_at_is_not_made() {
        let (Some(keys), mut table) = (read(1_100), Table::new(7)) else { panic!("no keys") };
        assert_eq!((keys.first_key(), keys.last_key()), (Some("00000"), Some("01099")));
        table.adopt(keys, &mut Index::default());
        let made = |table: &Table| table.slots().blocks().filter(|(_, part)| part.bundle().is_none()).count();
        let all = table.slots().blocks().count();
        assert!((5..8).contains(&all) && made(&table) == 0, "{} of {all}", made(&table));
        let is = |set: &LiveSet, n: usize| {
            set.only().is_some_and(|entry| entry.content == Content::Text(format!("{n:.>60}").into()))
        };
        let shows = |table: &Table, n: usize| table.live(&key(n)).is_some_and(|set| is(set, n));
        // Who looks at one alone is shown that one, and those beside it, and none is made.
        let shows_alone = |table: &Table, n: usize| {
            let place = table.place(&key(n));
            table.one(&key(n)).is_some_and(|(slot, set)| Some(slot) == place && is(&set, n))
        };
        let beside = |table: &Table, n: usize, most: u32| {
            let mut told = Vec::new();
            let Some(slot) = table.place(&key(n)) else { return told };
            table.beside(slot, most, &mut |slot, row| {
                told.push((slot, String::from_utf8_lossy(row.key).into_owned()));
                true
            });
            told
        };
        let placed = |table: &Table, n: usize| (table.place(&key(n)).unwrap_or_default(), key(n));
        assert!((0..1_100).step_by(40).all(|n| shows_alone(&table, n)) && !shows_alone(&table, 1_100));
        let around: Vec<_> = beside(&table, 3, 3);
        assert_eq!(around, [3, 0, 1, 2].map(|n| placed(&table, n)));
        assert_eq!(beside(&table, 3, 0), [placed(&table, 3)]);
        // A walk goes on over the ends of blocks, and further for the slots that a block lacks.
        let walk = beside(&table, 100, 600);
        assert!(walk.len() > 560 && walk.iter().zip(100..).all(|(told, n)| *told == placed(&table, n)));
        // Who has enough is told of no more: neither behind that, in the next block, nor before where he began.
        let told_until = |at: usize, most: u32, enough: usize| {
            let (mut told, slot) = (0, table.place(&key(at)).unwrap_or_default());
            table.beside(slot, most, &mut |_, _| {
                told += 1;
                told < enough
            });
            told
        };
        assert_eq!(
            [(3, 3, 1), (10, 63, 20), (100, 600, 2), (100, 600, 300)].map(|(at, most, n)| told_until(at, most, n)),
            [1, 20, 2, 300]
        );
        assert_eq!(made(&table), 0);
        assert!(shows(&table, 500));
        assert_eq!(made(&table), 1);
        table.place_all();
        assert!(shows(&table, 501) && !shows(&table, 1_100));
        assert_eq!(made(&table), 1, "to be found a key need not be made");
        assert!((0..1_100).step_by(32).all(|n| shows_alone(&table, n)) && !shows_alone(&table, 1_100));
        assert_eq!(made(&table), 1, "to look at one of 32 is less than to make all");
        assert!((0..1_100).all(|n| shows_alone(&table, n)));
        assert_eq!(made(&table), all, "to look at each is more");
        assert!((0..1_100).all(|n| shows(&table, n) && shows_alone(&table, n)));
        // Beside each other: what is made, what is gone and what is not made.
        let Some(slot) = table.place(&key(2)) else { panic!("it was found") };
        table.change(slot, |_, set| *set = LiveSet::default());
        assert!(!shows_alone(&table, 2) && table.one(&key(2)).is_none());
        assert_eq!(beside(&table, 3, 3), [3, 0, 1].map(|n| placed(&table, n)));
    }
}
