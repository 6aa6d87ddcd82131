//! The known sessions in the order of last use: a slab, a hash table of its slots, and a doubly linked list through
//! them.
//!
//! The hash of each slot is kept in a list of its own, so the table grows without reading the sessions.
//!
//! Invariants:
//!
//! * Finding, adding, touching and removing take O(1).
//! * The list contains every slot in use exactly once.
//! * The byte count covers what is held.
//! * Nothing is dropped automatically; the cache only names the session that was not used for longest.

use hashbrown::HashTable;

use super::record::SessionInfo;
use super::slab::Slab;
use crate::id::SessionId;
use crate::mutant::{Mutant, Service, off};

const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Slot {
    /// `None`: the slot is free.
    session: Option<SessionInfo>,
    /// The slot used after this one; for a free slot, the next free one.
    newer: u32,
    /// The slot used before this one.
    older: u32,
}

/// Counts of lookups and evictions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CacheStats {
    /// Lookups that found the session.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Sessions dropped to make room.
    pub evictions: u64,
}

/// Sessions by id and in the order of last use.
#[derive(Debug)]
pub struct SessionCache {
    slots: Slab<Slot>,
    /// The [`tag`] of each slot.
    tags: Slab<u32>,
    table: HashTable<u32>,
    free: u32,
    newest: u32,
    oldest: u32,
    extra: usize,
    /// Maintained by the caller.
    pub stats: CacheStats,
}

impl Default for SessionCache {
    fn default() -> Self {
        Self {
            slots: Slab::default(),
            tags: Slab::default(),
            table: HashTable::new(),
            free: NONE,
            newest: NONE,
            oldest: NONE,
            extra: 0,
            stats: CacheStats::default(),
        }
    }
}

/// The tag of an id: four of its random bytes. Ids cannot be chosen to collide, because replicas make them and clients
/// present them under a signature.
fn tag(id: &SessionId) -> u32 {
    let [.., a, b, c, d] = *id.as_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// The hash for the table. The table uses the highest and lowest bits, so the tag is spread over all of them.
fn hash(tag: u32) -> u64 {
    u64::from(tag).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl SessionCache {
    /// How many sessions are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The bytes of the sessions, which the limit counts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.len() * (size_of::<Slot>() + 16) + self.extra
    }

    /// The slot of a session.
    #[must_use]
    pub fn find(&self, id: &SessionId) -> Option<u32> {
        let same = |held: &SessionInfo| held.id == *id || off(Mutant::Service(Service::Identity));
        self.table.find(hash(tag(id)), |at| self.get(*at).is_some_and(same)).copied()
    }

    /// The session in a slot.
    #[must_use]
    #[inline]
    pub fn get(&self, at: u32) -> Option<&SessionInfo> {
        self.slots.get(at)?.session.as_ref()
    }

    /// The session in a slot, mutable. Its texts may be changed only through [`SessionCache::insert`].
    #[inline]
    pub fn get_mut(&mut self, at: u32) -> Option<&mut SessionInfo> {
        self.slots.get_mut(at)?.session.as_mut()
    }

    /// All sessions, most recently used first.
    pub fn iter(&self) -> impl Iterator<Item = &SessionInfo> {
        let slots = core::iter::successors(self.slots.get(self.newest), |held| self.slots.get(held.older));
        slots.filter_map(|held| held.session.as_ref())
    }

    /// The slots of all sessions, least recently used first.
    pub fn oldest(&self) -> impl Iterator<Item = u32> {
        let first = Some(self.oldest).filter(|at| *at != NONE);
        core::iter::successors(first, |at| self.slots.get(*at).map(|held| held.newer).filter(|at| *at != NONE))
    }

    /// Adds an unknown session as the most recently used; returns its slot.
    pub fn insert(&mut self, new: SessionInfo) -> u32 {
        let tag = tag(&new.id);
        self.extra += new.extra();
        let at = self.vacant();
        if let (Some(own), Some(held)) = (self.slots.get_mut(at), self.tags.get_mut(at)) {
            (own.session, *held) = (Some(new), tag);
        }
        self.attach(at);
        let tags = &self.tags;
        let hash_of: &dyn Fn(&u32) -> u64 = &|at| tags.get(*at).map_or(0, |tag| hash(*tag)); // any, as in store/numbered.rs
        self.table.insert_unique(hash(tag), at, hash_of);
        at
    }

    /// Removes the session in a slot.
    pub fn remove(&mut self, at: u32) -> Option<SessionInfo> {
        let session = self.get(at)?;
        let (tag, extra) = (tag(&session.id), session.extra());
        if let Ok(entry) = self.table.find_entry(hash(tag), |held| *held == at) {
            entry.remove();
        }
        self.detach(at);
        self.extra -= extra;
        let free = core::mem::replace(&mut self.free, at);
        let own = self.slots.get_mut(at)?;
        own.newer = free;
        own.session.take()
    }

    /// Makes the session in a slot the most recently used.
    pub fn touch(&mut self, at: u32) {
        if at != self.newest {
            self.detach(at);
            self.attach(at);
        }
    }

    /// Takes a free slot, or adds one.
    fn vacant(&mut self) -> u32 {
        if let Some(own) = self.slots.get(self.free) {
            let at = self.free;
            self.free = own.newer;
            return at;
        }
        self.tags.push(0);
        self.slots.push(Slot { session: None, newer: NONE, older: NONE })
    }

    fn attach(&mut self, at: u32) {
        let before = core::mem::replace(&mut self.newest, at);
        if let Some(own) = self.slots.get_mut(at) {
            (own.newer, own.older) = (NONE, before);
        }
        match self.slots.get_mut(before) {
            Some(older) => older.newer = at,
            None => self.oldest = at,
        }
    }

    fn detach(&mut self, at: u32) {
        let Some((newer, older)) = self.slots.get(at).map(|own| (own.newer, own.older)) else { return };
        match self.slots.get_mut(newer) {
            Some(own) => own.older = older,
            None => self.newest = older,
        }
        match self.slots.get_mut(older) {
            Some(own) => own.newer = newer,
            None => self.oldest = newer,
        }
    }
}
