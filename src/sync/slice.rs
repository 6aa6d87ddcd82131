//! A range of keys of a large delta, and its encoding.
//!
//! The sender keeps only the bounds of a slice ([`Cut`]). The entries are encoded from the current state when the
//! message is written, so nothing is copied before.
//!
//! Invariants of a decoded slice:
//!
//! * It lies after the key that it names.
//! * It is consistent in itself, as a delta is.
//! * Only the last slice of a run may be empty.

use core::ops::Range;

use crate::codec::{Reader, Writer};
use crate::error::SessionError;
use crate::id::Space;
use crate::store::SessionConsistentStore;
use crate::store::delta::{Delta, Keys, Lacks};
use crate::store::entry::Key;
use crate::store::keys::{decode_keys, encode_held, encode_keys};
use crate::store::parts::room;
use crate::store::space::SpaceState;
use crate::sync::message::optional_text;
use crate::sync::peer::SLICE_BYTES;
use crate::time::Hlc;
use crate::vector::VersionVector;

/// A range of keys of a large delta.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slice {
    /// The space.
    pub space: Space,
    /// The vector that the delta starts at.
    pub from: VersionVector,
    /// The sender's vector when the first slice was cut.
    pub base: VersionVector,
    /// The sender's vector when this slice was written, which contains its entries.
    pub at: VersionVector,
    /// The last key of the previous slice; `None` for the first.
    pub after: Option<Key>,
    /// Whether this is the last slice.
    pub last: bool,
    /// The clock that the entries are encoded against.
    pub hlc: Hlc,
    /// The changed keys of the range.
    pub keys: Keys,
}

impl Slice {
    /// Writes the slice: `space, generation, from, base, at, after, last, hlc, keys` (nine items).
    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.space(&self.space);
        writer.vector(&self.from);
        writer.vector(&self.base);
        writer.vector(&self.at);
        optional_text(writer, self.after.as_deref());
        writer.bool(self.last);
        writer.u64(self.hlc.to_bits());
        encode_keys(writer, &self.keys, self.hlc);
    }

    /// Reads what [`Slice::encode`] wrote.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, SessionError> {
        let space = reader.space()?;
        let (from, base, at) = (reader.vector()?, reader.vector()?, reader.vector()?);
        let after = reader.optional(Reader::text)?.map(Key::from);
        let last = reader.bool()?;
        let hlc = Hlc::from_bits(reader.u64()?);
        let keys = decode_keys(reader, hlc)?.within(&from, &at, hlc)?;
        if matches!((&after, keys.first_key()), (Some(after), Some(first)) if *first <= **after)
            || (keys.is_empty() && !last)
        {
            return Err(SessionError::malformed("a slice outside of its range"));
        }
        Ok(Self { space, from, base, at, after, last, hlc, keys })
    }
}

/// An outgoing slice: its entries are those that the store holds when it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    /// The space.
    pub(crate) space: Space,
    /// The vector that the delta starts at.
    pub(crate) from: VersionVector,
    /// The sender's vector when the first slice was cut.
    pub(crate) base: VersionVector,
    /// The sender's vector when this one was cut.
    pub(crate) at: VersionVector,
    /// The last key of the previous slice; `None` for the first.
    pub(crate) after: Option<Key>,
    /// Its last key; `None`: all keys that follow.
    pub(crate) end: Option<Key>,
    /// Whether this is the last slice.
    pub(crate) last: bool,
    /// How many keys it has, and about how many bytes they take.
    pub(crate) keys: usize,
    pub(crate) weight: u64,
    /// Where they were in the order of keys.
    pub(crate) lies: Range<usize>,
}

impl Cut {
    /// Whether it can be written from `store`. A store that was set back after the cut lacks entries that the top-up
    /// assumes to be in slices.
    pub(super) fn is_of(&self, store: &SessionConsistentStore) -> bool {
        store.vector(&self.space).dominates(&self.base)
    }

    /// Writes the slice from what `store` holds.
    #[inline(never)]
    pub(super) fn encode(&self, writer: &mut Writer, store: &SessionConsistentStore) {
        let (nothing, after, hlc) = (SpaceState::default(), self.after.as_deref(), store.clock().last());
        let state = store.space(&self.space).unwrap_or(&nothing);
        let (end, last) = self.bounds(state);
        writer.space(&self.space);
        writer.vector(&self.from);
        writer.vector(&self.base);
        writer.vector(state.vector());
        optional_text(writer, after);
        writer.bool(last);
        writer.u64(hlc.to_bits());
        let keys = state.between_keys(after, end.map(|end| &**end), self.lies.clone());
        encode_held(writer, keys, Lacks::new(&self.from), hlc, room(self.keys, self.weight));
    }

    /// Its last key (`None`: all that follow), and whether it is the last slice.
    fn bounds<'a>(&'a self, state: &'a SpaceState) -> (Option<&'a Key>, bool) {
        let (cut, after) = (self.end.as_ref().filter(|_| !self.last), self.after.as_deref());
        if *state.vector() == self.at {
            return (cut, self.last);
        }
        // Only the last slice may be empty. If all keys of this one have lost their entries since, it extends to the
        // next key.
        let Some(first) = state.stretch(&self.from, after, 0, 0).end else { return (None, true) };
        // However many entries have arrived since, it is at most about twice as long as planned.
        let long = state.stretch(&self.from, after, 2 * SLICE_BYTES, 0);
        let end = cut.map(|cut| cut.max(first)).into_iter().chain(long.end.filter(|_| long.more)).min();
        (end, self.last && end.is_none())
    }
}

/// Writes a top-up. If the state has advanced since it was made, writes a new one, to match the slices that are written
/// with it.
pub(super) fn encode_top_up(writer: &mut Writer, base: &VersionVector, delta: &Delta, store: &SessionConsistentStore) {
    let is_newer = |state: &&SpaceState| *state.vector() != delta.to && state.vector().dominates(&delta.to);
    let newer = store.space(&delta.space).filter(is_newer);
    let newer = newer.map(|state| state.extract_since(&delta.space, &delta.from, base, store.clock().last()));
    writer.vector(base);
    newer.as_ref().unwrap_or(delta).encode(writer);
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::codec::Desk;
    use crate::id::ReplicaId;
    use crate::store::Mutation;
    use crate::store::entry::Content;
    use crate::store::limits::Limits;
    use crate::store::space::Stretch;
    use crate::sync::message::{Frame, Message};

    /// The author, the first key, the step between keys, the count, and which of them (every n-th) hold something other
    /// than text.
    type Writes = (u8, usize, usize, usize, Option<(usize, u8)>);

    fn any_writes() -> impl Strategy<Value = Vec<Writes>> {
        let odd = prop::option::weighted(0.4, (2..40_usize, 0..3_u8));
        prop::collection::vec(
            (0..3_u8, 0..300_usize, prop_oneof![3 => Just(1), 1 => 2..5_usize], 1..400_usize, odd),
            1..7,
        )
    }

    /// Two stores that hold everything that three authors wrote concurrently, and the vectors that each author had over
    /// time, with and without all that another one has.
    fn heard(writes: &[Writes], space: &Space) -> Option<([SessionConsistentStore; 2], Vec<VersionVector>)> {
        let limits = Limits { batch_keys: 1_000, ..Limits::default() };
        let (mut stores, mut past) = ([(); 3].map(|()| SessionConsistentStore::new(limits)), Vec::new());
        for (who, first, step, count, odd) in writes {
            let row = |n: usize| {
                let key = alloc::format!("{:04}", first + n * step);
                let text = alloc::format!("{:.>1$}", n, 9 + n % 7);
                let content = match odd.filter(|(every, _)| n.is_multiple_of(*every)).map(|(_, what)| what) {
                    None => Content::Text(text.as_str().into()),
                    Some(0) => Content::Json("{}".into()),
                    Some(1) => Content::Tombstone,
                    Some(_) => Content::Text(".".repeat(5_000).as_str().into()),
                };
                Mutation { key: key.as_str().into(), content, expires_at: None }
            };
            let id = ReplicaId::new("a", [*who; 10]).ok()?;
            let store = stores.get_mut(usize::from(*who))?;
            store.write(space, id, None, (0..*count).map(row).collect(), &[], 1 + *first as u64 % 3).ok()?;
            past.push((usize::from(*who), store.vector(space).clone()));
        }
        let (mut all, mut vectors) = (SessionConsistentStore::new(limits), alloc::vec![VersionVector::new()]);
        for store in &stores {
            let told = store.extract(space, &VersionVector::new());
            told.into_iter().try_for_each(|delta| all.apply(delta).map(drop)).ok()?;
            vectors.push(all.vector(space).clone());
        }
        for (who, vector) in past {
            let mut joined = vector.clone();
            joined.join(stores.get((who + 1) % 3)?.vector(space));
            vectors.extend([vector, joined]);
        }
        // Entries that arrive together are stored in the order of keys, whoever wrote them.
        let mut beside = SessionConsistentStore::new(limits);
        beside.apply(all.extract(space, &VersionVector::new())?).ok()?;
        Some(([all, beside], vectors))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_is_held_is_told_and_weighed_as_a_list_of_it(writes in any_writes(), budget in prop_oneof![0..50_000_u64, Just(u64::MAX)]) {
            let Ok(space) = Space::first("s") else { return Ok(()) };
            let Some((stores, vectors)) = heard(&writes, &space) else { return Err(TestCaseError::fail("they write")) };
            let both = stores.iter().flat_map(|store| vectors.iter().map(move |from| (store, from)));
            for (store, from) in both {
                let (Some(state), hlc) = (store.space(&space), store.clock().last()) else { return Ok(()) };
                let [mut held, mut listed] = [(); 2].map(|()| Writer::new());
                encode_held(&mut held, state.between_keys(None, None, 0..0), Lacks::new(from), hlc, 0);
                encode_keys(&mut listed, &state.slice(from, None, u64::MAX).0, hlc);
                prop_assert_eq!(held.finish(), listed.finish());
                let (mut keys, mut weight, mut last, mut more) = (0, 0, None, false);
                for (key, set) in state.iter() {
                    if set.entries().iter().all(|entry| from.contains(entry.dot())) {
                        continue;
                    }
                    more = weight >= budget && keys > 0;
                    if more {
                        break;
                    }
                    (keys, weight, last) = (keys + 1, weight + key.len() as u64 + set.bytes(), Some(key));
                }
                let stretch: Stretch<'_> = state.stretch(from, None, budget, 0);
                prop_assert_eq!((stretch.keys, stretch.weight, stretch.end, stretch.more), (keys, weight, last, more));
            }
        }
    }

    /// The slice encoded from a cut between two keys, of what is held and not in `from`, for several guesses of where
    /// the keys are.
    fn slice(store: &SessionConsistentStore, from: &VersionVector, bounds: [Option<&str>; 2]) -> Option<Slice> {
        let guesses = [0..0, 1..3, 2..9, Range { start: 4, end: 2 }, usize::MAX..usize::MAX];
        let mut slices = guesses.map(|lies| slice_of(store, from, bounds, lies)).into_iter();
        let slice = slices.next().flatten();
        assert!(slices.all(|other| other == slice), "{bounds:?}");
        slice
    }

    fn slice_of(
        store: &SessionConsistentStore,
        from: &VersionVector,
        bounds: [Option<&str>; 2],
        lies: Range<usize>,
    ) -> Option<Slice> {
        let (space, [after, end]) = (Space::first("s").ok()?, bounds.map(|key| key.map(Key::from)));
        let (base, at, last) = (store.vector(&space).clone(), VersionVector::new(), end.is_none());
        let cut = Cut { space, from: from.clone(), base, at, after, end, last, keys: 1, weight: 1, lies };
        let (own, messages) = (ReplicaId::new("a", [0; 10]).ok()?, alloc::vec![Message::Cut(cut)]);
        let mut frame =
            Frame::decode(&Frame { from: own, to: None, messages }.encode_from(store, &mut Desk::default()).into_vec())
                .ok()?;
        if let Some(Message::Slice(slice)) = frame.messages.pop() { Some(slice) } else { None }
    }

    /// One author's keys beside known keys of another form a run, up to a key that both have written and that is known.
    /// After it the roles may be swapped.
    #[test]
    fn what_follows_a_key_that_is_known_is_told_as_that_of_its_author() {
        let (Ok(space), Ok(one), Ok(other)) =
            (Space::first("s"), ReplicaId::new("a", [1; 10]), ReplicaId::new("a", [2; 10]))
        else {
            return;
        };
        let write = |store: &mut SessionConsistentStore, id, keys: &str, now| {
            let put = |n: u8| {
                let (key, text) = (alloc::format!("{keys}{n}"), alloc::format!("what {id} has in {keys}"));
                Mutation { key: key.as_str().into(), content: Content::Text(text.as_str().into()), expires_at: None }
            };
            assert!(store.write(&space, id, None, (0..200).map(put).collect(), &[], now).is_ok());
        };
        let hear = |stores: &[SessionConsistentStore]| {
            let mut all = SessionConsistentStore::new(Limits::default());
            for told in stores.iter().filter_map(|store| store.extract(&space, &VersionVector::new())) {
                assert!(all.apply(told).is_ok());
            }
            all
        };
        // Whichever of the two has won the known keys.
        for [first, second] in [[1, 9], [9, 1]] {
            let mut stores = [(); 2].map(|()| SessionConsistentStore::new(Limits::default()));
            let [ones, others] = &mut stores;
            write(ones, one, "c", 1);
            write(ones, one, "b", first);
            write(others, other, "a", 1);
            write(others, other, "b", second);
            let known = hear(&stores).vector(&space).clone();
            let [ones, others] = &mut stores;
            write(ones, one, "a", 20);
            write(others, other, "c", 20);
            let all = hear(&stores);
            let listed = all.space(&space).map(|state| state.slice(&known, None, u64::MAX).0);
            assert_eq!(slice(&all, &known, [None, None]).map(|slice| slice.keys), listed);
        }
    }

    #[test]
    fn a_cut_is_written_as_what_is_held_between_its_keys() {
        let mut store = SessionConsistentStore::new(Limits::default());
        let (Ok(space), Ok(one), Ok(other)) =
            (Space::first("s"), ReplicaId::new("a", [0; 10]), ReplicaId::new("b", [0; 10]))
        else {
            return;
        };
        let mut write = |id, keys: &[&str]| {
            let put =
                |key: &&str| Mutation { key: Key::from(*key), content: Content::Text("v".into()), expires_at: None };
            assert!(store.write(&space, id, None, keys.iter().map(put).collect(), &[], 1).is_ok());
            store.vector(&space).clone()
        };
        // Nobody has asked for the order of the keys yet: they are not stored in the order in which they are encoded.
        let (_, first, _) = (write(one, &["b", "d", "e"]), write(one, &["a", "c"]), write(other, &["b", "d"]));
        let held = |from: &VersionVector, after: Option<&str>, end: Option<&str>| {
            let told = slice(&store, from, [after, end]).map(|slice| (slice.last, slice.keys));
            told.map(|(last, keys)| (last, keys.iter().map(|(key, _)| (**key).into()).collect::<Vec<String>>()))
        };
        let told = |last: bool, keys: &[&str]| Some((last, keys.iter().map(|key| (*key).into()).collect()));
        let nothing = VersionVector::new();
        assert_eq!(held(&nothing, None, Some("c")), told(false, &["a", "b", "c"]));
        assert_eq!(held(&nothing, Some("c"), None), told(true, &["d", "e"]));
        assert_eq!(held(&first, None, Some("d")), told(false, &["b", "d"]));
        // The keys of the cut are gone since: it extends to what follows, and ends where nothing does.
        assert_eq!(held(&first, Some("b"), Some("c")), told(false, &["d"]));
        assert_eq!(held(&first, Some("d"), Some("dd")), told(true, &[]));
        assert_eq!(held(&first, Some("d"), None), told(true, &[]));
        // It holds what a list of the same keys does.
        let listed = store.space(&space).map(|state| state.slice(&nothing, None, 1 << 20).0);
        assert_eq!(slice(&store, &nothing, [None, None]).map(|slice| slice.keys), listed);
        // A store that no longer holds the cut's base has no such slice.
        let set_back = SessionConsistentStore::new(Limits::default());
        let of = |store: &SessionConsistentStore| {
            let (base, [from, at]) = (first.clone(), [(); 2].map(|()| VersionVector::new()));
            let cut = Cut {
                space: space.clone(),
                from,
                base,
                at,
                after: None,
                end: None,
                last: true,
                keys: 1,
                weight: 1,
                lies: 0..0,
            };
            let frame = Frame { from: one, to: None, messages: alloc::vec![Message::Cut(cut), Message::Reset] };
            Frame::decode(&frame.encode_from(store, &mut Desk::default()).into_vec()).map(|frame| frame.messages.len())
        };
        assert_eq!((of(&store), of(&set_back)), (Ok(2), Ok(1)));
    }
}
