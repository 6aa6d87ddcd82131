//! A property test: several replicas write stretches of keys concurrently and exchange them in runs; what each holds then
//! equals what the rule of merging says.
//!
//! Random fleets choose each key by itself. Here the owner, the winner and who knows of it are equal for many neighbouring
//! keys, which are sent in runs, and differ between stretches. The held state is compared with the rule as it is stated.

#[cfg(all(test, not(target_arch = "wasm32")))]
#[allow(clippy::panic)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use crate::codec::{Reader, Writer};
    use crate::id::{ReplicaId, SessionId, Space};
    use crate::store::delta::{Delta, Keys, Lacks};
    use crate::store::entry::{Content, DataEntry};
    use crate::store::keys::{decode_keys, encode_held};
    use crate::store::limits::Limits;
    use crate::store::stage::{Part, Stage};
    use crate::store::{Log, Mutation, SessionConsistentStore, Written};
    use crate::vector::VersionVector;

    /// Stretches of keys that follow each other, and how many each has: of the long ones a run is taken in as it came.
    fn any_stretches() -> impl Strategy<Value = Vec<usize>> {
        prop::collection::vec(prop_oneof![1 => 8..20_usize, 2 => 64..150_usize], 4..6)
    }

    /// What is done by and to those who write the same keys.
    #[derive(Clone, Debug)]
    enum Act {
        /// Writes all keys of some stretches, each of them later than the one before, and of a kind of its own: so many at once.
        Write { at: usize, which: Vec<(usize, u64, u8)>, session: Option<u8>, each: usize },
        /// Tells another one what has come since it had a part of what it has; at once, or in slices that end behind these keys, the
        /// first of which are told before a stretch is written.
        Tell {
            from: usize,
            to: usize,
            past: [u64; 3],
            ends: Option<Vec<(usize, usize)>>,
            meanwhile: Option<(usize, u64, u8)>,
        },
        /// Tells what was told before.
        Again { to: usize, told: prop::sample::Index },
    }

    /// A write of each stretch, in any order.
    fn any_write(at: impl Strategy<Value = usize>) -> impl Strategy<Value = Act> {
        let one = (0..4_u64, prop_oneof![8 => 0..5_u8, 1 => 5..11_u8]);
        let all = (Just([0, 1, 2, 3, 4]).prop_shuffle(), prop::collection::vec(one, 5));
        // Of who does not write key by key the number of a write is mostly that of a stretch.
        let each = prop_oneof![6 => Just(1_000_usize), 1 => Just(1), 1 => 7..40_usize];
        (at, all, prop::option::weighted(0.1, 0..2_u8), each).prop_map(|(at, (order, of), session, each)| {
            let which = order.into_iter().zip(of).map(|(at, (later, kind))| (at, later, kind)).collect();
            Act::Write { at, which, session, each }
        })
    }

    fn any_tell() -> impl Strategy<Value = Act> {
        // Tenths of what the other one has of a writer.
        let part = || prop_oneof![1 => Just(10), 4 => 0..=10_u64];
        let past = prop_oneof![1 => Just([10; 3]), 1 => Just([0; 3]), 5 => [part(), part(), part()]];
        let ends = prop::option::weighted(0.7, prop::collection::vec((0..5_usize, 0..150_usize), 0..3));
        let meanwhile = prop::option::weighted(0.1, (0..5_usize, 0..4_u64, 0..11_u8));
        let tell = (prop_oneof![0..3_usize, Just(2)], 1..3_usize, past, ends, meanwhile);
        tell.prop_map(|(from, on, past, ends, meanwhile)| Act::Tell {
            from,
            to: (from + on) % 3,
            past,
            ends,
            meanwhile,
        })
    }

    /// First two write all stretches at the same time, and most hear of all of it before anybody writes again.
    fn any_acts() -> impl Strategy<Value = Vec<Act>> {
        let again = (0..3_usize, any::<prop::sample::Index>()).prop_map(|(to, told)| Act::Again { to, told });
        let act = prop_oneof![2 => any_write(0..3_usize), 4 => any_tell(), 1 => again];
        let first = [any_write(Just(0)), any_write(Just(1))];
        let (tells, acts) = (prop::collection::vec(any_tell(), 0..16), prop::collection::vec(act, 4..24));
        (first, prop::bool::weighted(0.7), tells, acts).prop_map(|(first, heard, tells, acts)| {
            let heard = all_hear_all().into_iter().filter(|_| heard);
            first.into_iter().chain(heard).chain(tells).chain(acts).collect()
        })
    }

    fn all_hear_all() -> [Act; 4] {
        [(0, 1), (1, 2), (2, 0), (0, 1)].map(|(from, to)| Act::Tell {
            from,
            to,
            past: [10; 3],
            ends: None,
            meanwhile: None,
        })
    }

    fn named(stretch: usize, n: usize) -> String {
        format!("{stretch}-{n:03}")
    }

    /// What a stretch of this kind holds: mostly texts alone.
    fn written(kind: u8, stretch: usize, n: usize, now: u64) -> Mutation {
        let text = format!("{:.>1$}", now, 20 + kind as usize % 3 * (n % 5));
        let content = match kind {
            5 => Content::Json(text.as_str().into()),
            6 if n.is_multiple_of(9) => Content::Tombstone,
            7 if n.is_multiple_of(9) => Content::Bytes([n as u8].into()),
            8 if n.is_multiple_of(9) => Content::Text(text.repeat(250).as_str().into()),
            _ => Content::Text(text.as_str().into()),
        };
        let ends = match kind {
            9 => true,
            10 => n.is_multiple_of(9),
            _ => false,
        };
        Mutation { key: named(stretch, n).as_str().into(), content, expires_at: ends.then_some(now + 10) }
    }

    /// The rule as it is stated, without index, runs or order.
    #[derive(Clone, Default, PartialEq, Debug)]
    struct Plain {
        vector: VersionVector,
        keys: BTreeMap<String, Vec<DataEntry>>,
    }

    /// What one tells another: since when, up to when, and all of each key that has changed meanwhile.
    #[derive(Clone)]
    struct Told {
        from: VersionVector,
        to: VersionVector,
        keys: BTreeMap<String, Vec<DataEntry>>,
    }

    impl Plain {
        fn tell(&self, from: &VersionVector) -> Told {
            let lacks = |set: &[DataEntry]| set.iter().any(|entry| !from.contains(entry.dot()));
            let keys = self.keys.iter().filter(|(_, set)| lacks(set)).map(|(key, set)| (key.clone(), set.clone()));
            Told { from: from.clone(), to: self.vector.clone(), keys: keys.collect() }
        }

        fn hear(&mut self, told: &Told) {
            let before = self.vector.clone();
            for (key, set) in &mut self.keys {
                let listed = told.keys.get(key);
                set.retain(|entry| {
                    let lists = |set: &Vec<DataEntry>| set.iter().any(|other| other.dot() == entry.dot());
                    let goes = listed.map_or(!told.from.contains(entry.dot()), |set| !lists(set));
                    !(goes && told.to.contains(entry.dot()))
                });
            }
            for (key, listed) in &told.keys {
                let set = self.keys.entry(key.clone()).or_default();
                // What the receiver has seen before does not come: neither what it holds, nor what it knows by its dot.
                set.extend(listed.iter().filter(|entry| !before.contains(entry.dot())).cloned());
                set.sort_by_key(|entry| core::cmp::Reverse(entry.rank()));
            }
            self.keys.retain(|_, set| !set.is_empty());
            self.vector.join(&told.to);
        }
    }

    /// A delta, as it is read from its bytes.
    fn read(delta: &Delta) -> Delta {
        let mut writer = Writer::new();
        delta.encode(&mut writer);
        let read = Reader::open(&writer.finish()).and_then(|mut reader| Delta::decode(&mut reader));
        let Ok(read) = read else { panic!("{read:?}") };
        read
    }

    /// One who writes and hears, and what it must hold.
    #[derive(Clone)]
    struct Site {
        id: ReplicaId,
        space: Space,
        store: SessionConsistentStore,
        plain: Plain,
    }

    impl Site {
        fn new(at: u8) -> Self {
            let (Ok(space), Ok(id)) = (Space::first("s"), ReplicaId::new("a", [at; 10])) else { panic!("a name") };
            let limits = Limits { batch_keys: 1_000, ..Limits::default() };
            Self { id, space, store: SessionConsistentStore::new(limits), plain: Plain::default() }
        }

        fn write(&mut self, session: Option<u8>, mut batch: Vec<Mutation>, now: u64) {
            // Texts alone are handed over as a host does it: together.
            let text = |mutation: &Mutation| match &mutation.content {
                Content::Text(text) if mutation.expires_at.is_none() => Some((mutation.key.clone(), text.clone())),
                Content::Text(_) | Content::Json(_) | Content::Tombstone | Content::Bytes(_) => None,
            };
            if let Some(texts) = batch.iter().map(text).collect::<Option<Vec<_>>>() {
                let mut log = Log::default();
                texts.iter().for_each(|(key, text)| log.put(key, Written::Text(text)));
                batch = log.finish();
            }
            let session = session.map(|session| SessionId::from_bytes([session; 16]));
            let dot = self.store.write(&self.space, self.id, session, batch.clone(), &[], now);
            let Ok(dot) = dot else { panic!("{dot:?}") };
            let hlc = self.store.clock().last();
            for Mutation { key, content, expires_at } in batch {
                let entry = DataEntry::new(content, dot, hlc, session, expires_at);
                self.plain.keys.insert((*key).into(), alloc::vec![entry]);
            }
            self.plain.vector.advance(dot);
        }

        /// All keys of these stretches.
        fn write_all(&mut self, sizes: &[usize], which: &[(usize, u64, u8)], session: Option<u8>, each: usize) {
            let mut now = 1_000;
            for (stretch, later, kind) in which {
                now += later * 10;
                let Some(size) = sizes.get(*stretch) else { continue };
                let batch: Vec<_> = (0..*size).map(|n| written(*kind, *stretch, n, now)).collect();
                batch.chunks(each).for_each(|some| self.write(session, some.to_vec(), now));
            }
        }

        /// What is told of what is held between two keys, as it is read.
        fn cut(&self, from: &VersionVector, after: Option<&str>, end: Option<&str>) -> Option<Keys> {
            let (state, hlc) = (self.store.space(&self.space)?, self.store.clock().last());
            let mut writer = Writer::new();
            encode_held(&mut writer, state.between_keys(after, end, 0..0), Lacks::new(from), hlc, 0);
            let told = writer.finish();
            let read = Reader::open(&told)
                .and_then(|mut reader| decode_keys(&mut reader, hlc)?.within(from, state.vector(), hlc));
            let Ok(read) = read else { panic!("{read:?}") };
            Some(read)
        }

        /// What came since `from`, as it is read from bytes: at once, or in slices that end behind these keys, the first of which
        /// are told before all of a stretch is written.
        fn tell(
            &mut self,
            from: &VersionVector,
            ends: Option<&[(usize, usize)]>,
            mut meanwhile: impl FnMut(&mut Self),
        ) -> Option<Delta> {
            let Some(ends) = ends else {
                return self.store.extract(&self.space, from).map(|delta| read(&delta));
            };
            let base = self.plain.vector.clone();
            let (mut stage, mut late) = (Stage::new(from.clone(), base.clone()), Vec::new());
            let all = ends.iter().map(|(stretch, n)| Some(named(*stretch, *n))).chain([None]);
            for (nth, end) in all.enumerate() {
                let after = stage.after().cloned();
                if end.is_some() && after.as_deref() >= end.as_deref() {
                    continue;
                }
                let keys = self.cut(from, after.as_deref(), end.as_deref())?;
                let (at, hlc) = (self.store.vector(&self.space).clone(), self.store.clock().last());
                let last = end.is_none();
                let part = || Part { after: after.clone(), last, at: at.clone(), hlc, keys: keys.clone() };
                if keys.is_empty() && !last {
                    continue;
                }
                // What comes late, or doubled, is not taken.
                late.push(part());
                assert!(stage.take(part()));
                late.drain(..).for_each(|part| assert!(!stage.take(part)));
                late.push(part());
                if nth == 0 {
                    meanwhile(self);
                }
            }
            let state = self.store.space(&self.space)?;
            let top_up = state.extract_since(&self.space, from, &base, self.store.clock().last());
            assert!(stage.is_whole_with(&top_up));
            Some(stage.finish(read(&top_up)))
        }

        /// Hears what is read from bytes: all is as the rule has it, and each change is told.
        fn hear(&mut self, read: Delta, told: &Told) -> Result<(), TestCaseError> {
            let before = self.plain.clone();
            self.plain.hear(told);
            let changed = self.store.apply(read);
            let Ok(changed) = changed else { return Err(TestCaseError::fail(format!("{changed:?}"))) };
            let count = changed.len();
            let changed: BTreeMap<String, usize> =
                changed.into_iter().map(|one| (one.key.to_string(), one.siblings)).collect();
            prop_assert_eq!(count, changed.len());
            let (old, new) = (&before.keys, &self.plain.keys);
            let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
            let expected = keys.filter(|key| old.get(*key) != new.get(*key)).map(|key| {
                let [old, new] = [old, new].map(|keys| keys.get(key).map(Vec::as_slice).unwrap_or_default());
                let stays = old.iter().any(|entry| new.contains(entry));
                let comes = new.iter().any(|entry| !old.contains(entry));
                (key.clone(), if stays && comes { new.len() } else { 0 })
            });
            prop_assert_eq!(changed, expected.collect());
            self.check()
        }

        fn check(&self) -> Result<(), TestCaseError> {
            prop_assert_eq!(self.store.vector(&self.space), &self.plain.vector);
            let held = self.store.space(&self.space).into_iter().flat_map(|state| state.iter());
            let held: BTreeMap<_, _> = held.map(|(key, set)| (key.to_string(), set.entries().to_vec())).collect();
            prop_assert_eq!(&held, &self.plain.keys);
            let entries =
                held.iter().map(|(key, set)| key.len() as u64 + set.iter().map(DataEntry::bytes).sum::<u64>());
            prop_assert_eq!(self.store.bytes(), entries.sum::<u64>());
            Ok(())
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Whose a key is, who wins it and who knows it differs from stretch to stretch; what is told of it ends anywhere, and comes again.
        #[test]
        fn what_is_told_of_stretches_is_held_as_the_rule_has_it(
            sizes in any_stretches(),
            acts in any_acts(),
        ) {
            let mut sites = [0, 1, 2].map(Site::new);
            let ids = sites.each_ref().map(|site| site.id);
            let mut past = Vec::new();
            for act in acts.into_iter().chain(all_hear_all()) {
                match act {
                    Act::Write { at, which, session, each } => {
                        sites.get_mut(at).into_iter().for_each(|site| site.write_all(&sizes, &which, session, each));
                    }
                    Act::Tell { from, to, past: parts, ends, meanwhile } => {
                        let Ok([sender, receiver]) = sites.get_disjoint_mut([from, to]) else { continue };
                        let here = &receiver.plain.vector;
                        let since = |[one, other, third]: [usize; 3]| -> VersionVector {
                            let part = |at: usize| parts.get(at).copied().unwrap_or_default();
                            let known = ids.iter().zip([one, other, third].map(part));
                            let known = known.map(|(id, part)| (*id, here.get(*id) * part / 10));
                            known.filter(|(_, known)| *known > 0).collect()
                        };
                        // Whoever asks is told what a list has.
                        for parts in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                            let from = since(parts);
                            let list = sender.store.extract(&sender.space, &from).map(|delta| delta.keys);
                            prop_assert!(sender.cut(&from, None, None) == list);
                        }
                        let from = since([0, 1, 2]);
                        let read = sender.tell(&from, ends.as_deref(), |sender| {
                            meanwhile.iter().for_each(|one| sender.write_all(&sizes, &[*one], None, 9));
                        });
                        let Some(read) = read else { continue };
                        let told = sender.plain.tell(&from);
                        receiver.hear(read.clone(), &told)?;
                        past.push((read, told));
                    }
                    Act::Again { to, told } => {
                        let Some(site) = sites.get_mut(to).filter(|_| !past.is_empty()) else { continue };
                        let (read, told) = told.get(&past);
                        if site.plain.vector.dominates(&told.from) {
                            site.hear(read.clone(), told)?;
                        }
                    }
                }
            }
            let [one, other, _] = &sites;
            prop_assert_eq!(&one.plain, &other.plain);
        }
    }
}
