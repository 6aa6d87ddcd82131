//! The sessions that are known, the one used last at the head: a slab, a hash table of its slots, and a list through them.
//!
//! Invariants: finding, adding, touching and removing cost O(1); the list holds every slot in use exactly once; the bytes
//! are those of what is held. It drops nothing of its own accord: it names who was not used for longest.

use alloc::vec::Vec;

use hashbrown::HashTable;

use super::record::SessionInfo;
use crate::id::SessionId;
use crate::mutant::{Mutant, Service, off};

/// Slots are made so many at a time: a slab that doubled would copy itself, and linear memory never shrinks. The first
/// session pays for all of its chunk: with 1,024 that was more memory than the rest of an instance.
const CHUNK: usize = 32;
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Slot {
    /// `None`: the slot is free.
    session: Option<SessionInfo>,
    /// Used after this one; of a free slot: the next free one.
    newer: u32,
    /// Used before this one.
    older: u32,
}

/// How often a session was asked for, and dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CacheStats {
    /// Asked for and known.
    pub hits: u64,
    /// Asked for and not known.
    pub misses: u64,
    /// Dropped to make room.
    pub evictions: u64,
}

/// Sessions by id, and in the order of their last use.
#[derive(Debug)]
pub struct SessionCache {
    chunks: Vec<Vec<Slot>>,
    table: HashTable<u32>,
    free: u32,
    newest: u32,
    oldest: u32,
    extra: usize,
    /// Counted by whoever asks and drops.
    pub stats: CacheStats,
}

impl Default for SessionCache {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            table: HashTable::new(),
            free: NONE,
            newest: NONE,
            oldest: NONE,
            extra: 0,
            stats: CacheStats::default(),
        }
    }
}

/// The random half of an id: ids are made by replicas, or come in under their signature.
fn hash(id: &SessionId) -> u64 {
    let (_, random) = id.as_bytes().split_at(8);
    let bytes: [u8; 8] = random.try_into().unwrap_or_default();
    u64::from_le_bytes(bytes).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn slot(chunks: &[Vec<Slot>], at: u32) -> Option<&Slot> {
    chunks.get(at as usize / CHUNK)?.get(at as usize % CHUNK)
}

fn session(chunks: &[Vec<Slot>], at: u32) -> Option<&SessionInfo> {
    slot(chunks, at)?.session.as_ref()
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

    /// The bytes of what is held: what the limit counts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.len() * (size_of::<Slot>() + 8) + self.extra
    }

    /// Where a session is.
    #[must_use]
    pub fn find(&self, id: &SessionId) -> Option<u32> {
        let same = |held: &SessionInfo| held.id == *id || off(Mutant::Service(Service::Identity));
        self.table.find(hash(id), |at| session(&self.chunks, *at).is_some_and(same)).copied()
    }

    /// What is at a place.
    #[must_use]
    pub fn get(&self, at: u32) -> Option<&SessionInfo> {
        session(&self.chunks, at)
    }

    /// What is at a place, to be changed; its texts only through [`SessionCache::insert`].
    pub fn get_mut(&mut self, at: u32) -> Option<&mut SessionInfo> {
        self.slot_mut(at)?.session.as_mut()
    }

    /// All sessions, the one used last first.
    pub fn iter(&self) -> impl Iterator<Item = &SessionInfo> {
        let slots = core::iter::successors(slot(&self.chunks, self.newest), |held| slot(&self.chunks, held.older));
        slots.filter_map(|held| held.session.as_ref())
    }

    /// The places of all sessions, the one used longest ago first.
    pub fn oldest(&self) -> impl Iterator<Item = u32> {
        let first = Some(self.oldest).filter(|at| *at != NONE);
        core::iter::successors(first, |at| slot(&self.chunks, *at).map(|held| held.newer).filter(|at| *at != NONE))
    }

    /// Adds a session that is not known, as the one used last; its place.
    pub fn insert(&mut self, new: SessionInfo) -> u32 {
        let key = hash(&new.id);
        self.extra += new.extra();
        let at = self.vacant();
        if let Some(own) = self.slot_mut(at) {
            own.session = Some(new);
        }
        self.attach(at);
        let chunks = &self.chunks;
        self.table.insert_unique(key, at, |at| session(chunks, *at).map_or(0, |held| hash(&held.id)));
        at
    }

    /// Removes what is at a place.
    pub fn remove(&mut self, at: u32) -> Option<SessionInfo> {
        let key = hash(&session(&self.chunks, at)?.id);
        if let Ok(entry) = self.table.find_entry(key, |held| *held == at) {
            entry.remove();
        }
        self.detach(at);
        let free = self.free;
        let own = self.slot_mut(at)?;
        let gone = own.session.take()?;
        own.newer = free;
        self.free = at;
        self.extra -= gone.extra();
        Some(gone)
    }

    /// Makes what is at a place the one used last.
    pub fn touch(&mut self, at: u32) {
        if at != self.newest {
            self.detach(at);
            self.attach(at);
        }
    }

    fn slot_mut(&mut self, at: u32) -> Option<&mut Slot> {
        self.chunks.get_mut(at as usize / CHUNK)?.get_mut(at as usize % CHUNK)
    }

    /// A place where nothing is.
    fn vacant(&mut self) -> u32 {
        if let Some(own) = slot(&self.chunks, self.free) {
            let at = self.free;
            self.free = own.newer;
            return at;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        let chunk = self.chunks.last_mut();
        chunk.map_or(NONE, |chunk| {
            chunk.push(Slot { session: None, newer: NONE, older: NONE });
            (before + chunk.len() - 1) as u32
        })
    }

    fn attach(&mut self, at: u32) {
        let before = core::mem::replace(&mut self.newest, at);
        if let Some(own) = self.slot_mut(at) {
            (own.newer, own.older) = (NONE, before);
        }
        match self.slot_mut(before) {
            Some(older) => older.newer = at,
            None => self.oldest = at,
        }
    }

    fn detach(&mut self, at: u32) {
        let Some((newer, older)) = slot(&self.chunks, at).map(|own| (own.newer, own.older)) else { return };
        match self.slot_mut(newer) {
            Some(own) => own.older = older,
            None => self.newest = older,
        }
        match self.slot_mut(older) {
            Some(own) => own.newer = newer,
            None => self.oldest = newer,
        }
    }
}
