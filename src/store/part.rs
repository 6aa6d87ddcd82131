//! Some of many keys, with what belongs to them, in a list that is made when somebody looks at it.
//!
//! Invariant: what is told of a part is the same whether its list is made or not. Who may change the list has it by itself: of text
//! whose keys are made and changed nothing is held but by them.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::store::delta::Bare;
use crate::store::entry::{DataEntry, Key};
use crate::store::keys::Bundle;
use crate::store::order::Once;

/// A key, with what belongs to it.
pub trait Member {
    /// Of a key with one entry, and maybe a bare dot beside it.
    fn of(key: Key, entry: DataEntry, known: Option<Bare>) -> Self;
    /// The key.
    fn key(&self) -> &Key;
}

/// See the module.
#[derive(Clone, Debug)]
pub enum Part<T> {
    /// Made.
    List(Vec<T>),
    /// What is made when somebody looks at it.
    Lazy(Box<Lazy<T>>),
}

/// A list, once somebody has looked at it, and what it is made of.
#[derive(Clone, Debug)]
pub struct Lazy<T> {
    bundle: Bundle,
    list: Once<Vec<T>>,
}

impl<T: Member> Lazy<T> {
    #[inline(never)]
    fn list(&self) -> &Vec<T> {
        self.list.get_or_init(|| self.bundle.make(T::of))
    }
}

impl<T: Member> Part<T> {
    /// Those of a bundle.
    pub(crate) fn bundled(bundle: Bundle) -> Self {
        Self::Lazy(Box::new(Lazy { bundle, list: Once::new() }))
    }

    /// What the list is to be made of, as long as it is not.
    pub(crate) fn bundle(&self) -> Option<&Bundle> {
        match self {
            Self::Lazy(lazy) if lazy.list.get().is_none() => Some(&lazy.bundle),
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
    pub(crate) fn turned<U>(self, turn: impl Fn(T) -> U) -> Part<U> {
        match self {
            Self::Lazy(lazy) if lazy.list.get().is_none() => {
                Part::Lazy(Box::new(Lazy { bundle: lazy.bundle, list: Once::new() }))
            }
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

    use crate::codec::{Reader, Writer};
    use crate::id::{ReplicaId, Space};
    use crate::store::delta::{Delta, Keys};
    use crate::store::entry::Content;
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
        let shows = |table: &Table, n: usize| {
            let only = table.live(&key(n)).and_then(|set| set.only());
            only.is_some_and(|entry| entry.content == Content::Text(format!("{n:.>60}").into()))
        };
        assert!(shows(&table, 500));
        assert_eq!(made(&table), 1);
        table.place_all();
        assert!(shows(&table, 501) && !shows(&table, 1_100));
        assert_eq!(made(&table), 1, "to be found a key need not be made");
        assert!((0..1_100).all(|n| shows(&table, n)));
        assert_eq!(made(&table), all);
    }
}
