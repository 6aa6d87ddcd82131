//! The encoding of keys and their live sets inside a delta.
//!
//! One byte string holds a CBOR sequence; a key is `shared, suffix, entries…`. Keys are front-coded against the previous key,
//! sequences against the origin's last one, clocks against the previous entry's. So a sequence of writes costs about six
//! bytes an entry beside its key and value.
//!
//! Many text entries of one author are encoded as a *run*: all their text in one piece, one [`mod@column`] each for lengths,
//! sequences and clocks, and another for bare dots where the receiver knows another entry of each key.
//!
//! Invariant: keys ascend strictly, and a key lists each origin once, because a replica that writes a key replaces its own
//! earlier entry.

mod bundle;
mod column;
mod decode;
mod encode;
mod guess;
mod skim;

use alloc::sync::Arc;
use alloc::vec::Vec;

use litemap::LiteMap;

pub(crate) use self::bundle::{Bundle, Coming};
pub(crate) use self::decode::{Decoded, decode_keys};
pub(crate) use self::encode::{encode_held, encode_keys};
use crate::codec::Ids;
use crate::id::ReplicaId;
use crate::store::entry::Author;
use crate::vector::VersionVector;

/// What an entry is, in its head: `origin · 20 + kind · 4 + flags`. One byte for the first origin, two for the next
/// eleven.
const TOMBSTONE: u64 = 0;
const TEXT: u64 = 1;
const JSON: u64 = 2;
const BYTES: u64 = 3;
const KNOWN: u64 = 4;
const HEADS: u64 = 20;
const HAS_SESSION: u64 = 1;
const HAS_EXPIRY: u64 = 2;
/// Of a run: beside each entry there is one that the receiver knows.
const HAS_KNOWN: u64 = 2;

/// A run has at least so many keys: its text is a block by itself.
const RUN_KEYS: usize = 8;

/// A key of a run takes at least so many bytes of text: it is held in more, as one that is told by itself is.
const fn run_text(known: bool) -> usize {
    if known { 16 } else { 8 }
}

/// What is remembered of an origin: what its next entry is coded against, and how far it reaches.
struct Origin {
    id: ReplicaId,
    /// Its place in the table of the frame.
    place: u64,
    /// Its last sequence, and the number of the key that listed it; 0 before the first.
    sequence: u64,
    key: usize,
    /// The greatest sequence of a full entry, and of a bare dot.
    full: u64,
    known: u64,
    /// Who wrote what is of no session.
    alone: Option<Arc<Author>>,
}

/// So many origins are looked through one by one.
const FEW_ORIGINS: usize = 8;

/// The origins so far, in the order in which they came. Entries often have the origin of the one before, or the next one: then
/// it is looked for in no map.
#[derive(Default)]
struct Origins {
    known: Vec<Origin>,
    /// Only where there are many: to look through a few takes less.
    places: LiteMap<ReplicaId, usize>,
    last: usize,
}

impl Origins {
    /// What is remembered of an origin, which may be new; none where nothing can be.
    #[inline]
    fn at(&mut self, id: &ReplicaId, place: impl FnOnce() -> u64) -> Option<&mut Origin> {
        if !self.is_near(|origin| origin.id == *id) && self.find(*id) {
            let new = self.known.get_mut(self.last)?;
            new.place = place();
        }
        self.known.get_mut(self.last)
    }

    /// As [`Origins::at`], for who knows the place alone.
    #[inline]
    fn at_place(&mut self, place: u64, ids: &Ids) -> Option<(&mut Origin, usize)> {
        if !self.is_near(|origin| origin.place == place) && self.find(ids.replica(place)?) {
            self.known.get_mut(self.last)?.place = place;
        }
        Some((self.known.get_mut(self.last)?, self.last))
    }

    /// Whether it is the last one, or the one after it.
    #[inline]
    fn is_near(&mut self, is: impl Fn(&Origin) -> bool) -> bool {
        if self.known.get(self.last).is_some_and(&is) {
            return true;
        }
        let next = if self.last + 1 < self.known.len() { self.last + 1 } else { 0 };
        let near = self.known.get(next).is_some_and(is);
        if near {
            self.last = next;
        }
        near
    }

    /// Turns to an origin; whether it is new, and has no place yet.
    #[inline(never)]
    fn find(&mut self, id: ReplicaId) -> bool {
        let next = self.known.len();
        self.last = if next < FEW_ORIGINS {
            self.known.iter().position(|origin| origin.id == id).unwrap_or(next)
        } else {
            self.look_up(id)
        };
        if self.last == next {
            self.known.push(Origin { id, place: 0, sequence: 0, key: usize::MAX, full: 0, known: 0, alone: None });
        }
        self.last == next
    }

    #[inline(never)]
    fn look_up(&mut self, id: ReplicaId) -> usize {
        if self.places.is_empty() {
            self.known.iter().zip(0..).for_each(|(origin, place)| _ = self.places.insert(origin.id, place));
        }
        *self.places.entry(id).or_insert(self.known.len())
    }

    /// Up to where full entries reach, and bare dots.
    fn reach(self) -> (VersionVector, VersionVector) {
        let all = |sequence: fn(&Origin) -> u64| {
            if self.places.is_empty() {
                return self.known.iter().map(|origin| (origin.id, sequence(origin))).collect();
            }
            let dots = self.places.iter().filter_map(|(id, at)| Some((*id, sequence(self.known.get(*at)?))));
            dots.collect()
        };
        (all(|origin| origin.full), all(|origin| origin.known))
    }
}

/// Whether bytes of text begin with a character, or are none.
fn is_edge(text: &[u8]) -> bool {
    text.first().is_none_or(|byte| byte & 0xc0 != 0x80)
}

/// `to − from`, which wraps at 64 bits as [`apply`] does.
const fn difference(to: u64, from: u64) -> i64 {
    to.wrapping_sub(from).cast_signed()
}

/// `from + difference`, which wraps too: two clocks can be further apart than a signed number reaches. Whether the
/// result is in range is for the caller to check.
const fn apply(from: u64, difference: i64) -> u64 {
    from.wrapping_add_signed(difference)
}
