//! What nobody has looked at yet is text and columns; whatever is done meanwhile, all is as if it had been made when it came.

use super::*;
use edge_session::store::stage::{Part, Stage};

/// What is done to what has come, of keys by their numbers.
#[derive(Clone, Debug)]
enum Act {
    /// A write of these, and whether each is deleted or ends.
    Write(Vec<(u16, u8)>),
    /// Another one has written these, seen or not seen what was here, and tells of it.
    Elsewhere {
        seen: bool,
        keys: Vec<(u16, u8)>,
    },
    Look(u16),
    Range {
        from: u16,
        to: u16,
        back: bool,
        most: usize,
    },
    /// What has come since one of the vectors that were.
    Told(prop::sample::Index),
    /// A slice behind a key.
    Slice {
        since: prop::sample::Index,
        after: Option<u16>,
        budget: u64,
    },
    Snapshot,
}

fn any_act() -> impl Strategy<Value = Act> {
    let number = || 0..1_500_u16;
    let keys = || {
        let few = prop::collection::vec((number(), 0..8_u8), 1..6);
        let many = (number(), 1..400_u16, 0..8_u8)
            .prop_map(|(from, count, kind)| (from..from + count).map(|n| (n, kind)).collect());
        prop_oneof![3 => few, 1 => many]
    };
    prop_oneof![
        3 => keys().prop_map(Act::Write),
        3 => (any::<bool>(), keys()).prop_map(|(seen, keys)| Act::Elsewhere { seen, keys }),
        3 => number().prop_map(Act::Look),
        1 => (number(), number(), any::<bool>(), 0..40_usize).prop_map(|(from, to, back, most)| Act::Range { from, to, back, most }),
        1 => any::<prop::sample::Index>().prop_map(Act::Told),
        1 => (any::<prop::sample::Index>(), prop::option::of(number()), 0..30_000_u64).prop_map(|(since, after, budget)| Act::Slice { since, after, budget }),
        1 => Just(Act::Snapshot),
    ]
}

fn named(number: u16) -> String {
    format!("key{number:05}")
}

fn mutation(&(number, kind): &(u16, u8), step: usize) -> Mutation {
    let key = named(number);
    let content = match kind {
        0 => Content::Tombstone,
        1 => Content::Json(format!("[{step}]").into()),
        2 => Content::Bytes([step as u8].into()),
        _ => Content::Text(format!("{step} of {number}").into()),
    };
    Mutation { key: key.as_str().into(), content, expires_at: (kind == 3).then_some(START + 10 * step as u64) }
}

/// The same, in lists.
fn made(delta: &Delta) -> Delta {
    Delta { keys: delta.keys.clone().into_iter().collect(), ..delta.clone() }
}

fn keys_of(keys: &Keys) -> Plain {
    keys.iter().map(|(key, set)| (key.to_string(), set.to_vec())).collect()
}

/// What is read from bytes, and the same in lists, into one store each.
fn taken([late, early]: [&mut SessionConsistentStore; 2], told: &[u8]) -> [Result<Vec<(String, usize)>, ErrorCode>; 2] {
    let plainly = |changed: Vec<edge_session::store::space::Changed>| {
        changed.into_iter().map(|one| (one.key.to_string(), one.siblings)).collect()
    };
    let list = made(&read(told).unwrap());
    let one = late.apply(read(told).unwrap()).map(plainly).map_err(|error| error.code());
    [one, early.apply(list).map(plainly).map_err(|error| error.code())]
}

/// In slices, with what was written meanwhile.
fn staged(source: &SessionConsistentStore, lists: bool, cut: u64, top_up: &Delta) -> Delta {
    let (state, mut after) = (source.space(&space()).unwrap(), None::<String>);
    let mut stage = Stage::new(VersionVector::new(), state.vector().clone());
    loop {
        let (keys, more) = state.slice(&VersionVector::new(), after.as_deref(), cut);
        let mut part = bytes(&Delta {
            space: space(),
            from: VersionVector::new(),
            to: state.vector().clone(),
            hlc: source.clock().last(),
            keys,
        });
        let keys = read(&std::mem::take(&mut part)).unwrap().keys;
        let keys = if lists { keys.into_iter().collect() } else { keys };
        let last = keys.last().map(|(key, _)| key.to_string());
        let key = after.as_deref().map(Into::into);
        assert!(stage.take(Part {
            after: key,
            last: !more,
            at: state.vector().clone(),
            hlc: source.clock().last(),
            keys
        }));
        after = last;
        if !more {
            return stage.finish(top_up.clone());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_made_late_is_as_if_it_had_been_made_at_once(
        batches in any_batches(),
        each in any_each(),
        acts in prop::collection::vec(any_act(), 0..24),
        tight in prop::option::of((0..300_u64, 0..30_000_u64)),
        seeds in any::<[u64; 2]>(),
        cut in prop::option::of(1..40_000_u64),
    ) {
        let (source, half) = written(&batches, each);
        let limits = Limits { batch_keys: 1_000, ..Limits::default() };
        let limits = tight.map_or(limits, |(keys, bytes)| Limits { keys: source.len() as u64 + 1 + keys, bytes: source.bytes() + 200 + bytes, ..limits });
        let [mut late, mut early] = seeds.map(|seed| SessionConsistentStore::new(limits).seeded(seed));
        let mut elsewhere = source.clone();
        if let Some(cut) = cut {
            let mut newer = source.clone();
            newer.write(&space(), replica(0), None, vec![put(&named(700), "newer")], &[], START + 6_000).unwrap();
            let top_up = newer.extract(&space(), source.vector(&space())).unwrap();
            let top_up = Delta { from: VersionVector::new(), ..top_up };
            let top_up = read(&bytes(&top_up)).unwrap();
            let [one, other] = [false, true].map(|lists| staged(&source, lists, cut, &top_up));
            prop_assert_eq!(late.apply(one).is_ok(), early.apply(other).is_ok());
            elsewhere = newer;
        } else {
            let [one, other] = taken([&mut late, &mut early], &bytes(&source.extract(&space(), &VersionVector::new()).unwrap()));
            prop_assert_eq!(one, other);
        }
        let mut past = vec![VersionVector::new(), half, late.vector(&space()).clone()];
        for (step, act) in acts.iter().enumerate() {
            let now = START + 7_000 + step as u64;
            match act {
                Act::Write(keys) => {
                    let batch: Vec<_> = keys.iter().map(|key| mutation(key, step)).collect();
                    let [one, other] = [&mut late, &mut early].map(|store| store.write(&space(), replica(3), None, batch.clone(), &[], now).map_err(|error| error.code()));
                    prop_assert_eq!(one, other);
                }
                Act::Elsewhere { seen, keys } => {
                    if *seen {
                        elsewhere.apply(early.extract(&space(), elsewhere.vector(&space())).unwrap()).unwrap();
                    }
                    let batch: Vec<_> = keys.iter().map(|key| mutation(key, 100 + step)).collect();
                    elsewhere.write(&space(), replica(2), None, batch, &[], now).unwrap();
                    let told = bytes(&elsewhere.extract(&space(), late.vector(&space())).unwrap());
                    let [one, other] = taken([&mut late, &mut early], &told);
                    prop_assert_eq!(one, other);
                }
                Act::Look(number) => {
                    prop_assert_eq!(late.live(&space(), &named(*number)), early.live(&space(), &named(*number)));
                }
                Act::Range { from, to, back, most } => {
                    let (from, to) = (named(*from), named(*to));
                    let [one, other] = [&late, &early].map(|store| {
                        let state = store.space(&space()).into_iter();
                        let found = state.flat_map(|state| state.range(Some(&from), Some(&to)));
                        let all = found.map(|(key, set)| (key.to_string(), set.clone()));
                        if *back { all.rev().take(*most).collect::<Vec<_>>() } else { all.take(*most).collect() }
                    });
                    prop_assert_eq!(one, other);
                }
                Act::Told(since) => {
                    let [one, other] = [&late, &early].map(|store| store.extract(&space(), since.get(&past)));
                    prop_assert!(one == other);
                }
                Act::Slice { since, after, budget } => {
                    let after = after.map(named);
                    let [one, other] = [&late, &early].map(|store| {
                        store.space(&space()).map(|state| state.slice(since.get(&past), after.as_deref(), *budget)).map(|(keys, more)| (keys_of(&keys), more))
                    });
                    prop_assert_eq!(one, other);
                }
                Act::Snapshot => {
                    let told = bytes(&late.extract(&space(), &VersionVector::new()).unwrap());
                    let mut again = SessionConsistentStore::new(Limits::default()).seeded(1);
                    again.apply(read(&told).unwrap()).unwrap();
                    prop_assert_eq!((again.len(), again.bytes()), (early.len(), early.bytes()));
                    // From now on with what was taken back.
                    if step % 2 == 0 {
                        late = SessionConsistentStore::new(limits).seeded(2);
                        late.apply(read(&told).unwrap()).unwrap();
                    }
                }
            }
            prop_assert_eq!((late.len(), late.bytes(), late.vector(&space())), (early.len(), early.bytes(), early.vector(&space())));
            past.push(late.vector(&space()).clone());
        }
        for since in &past {
            prop_assert!(late.extract(&space(), since) == early.extract(&space(), since));
        }
        prop_assert_eq!(late.space(&space()), early.space(&space()));
        let state = late.space(&space()).unwrap();
        let (mut keys, mut bytes) = (0, 0);
        for (key, set) in state.iter() {
            keys += 1;
            bytes += key.len() as u64 + set.entries().iter().map(|entry| entry.content.len() as u64 + 64).sum::<u64>();
            prop_assert_eq!(late.live(&space(), key), Some(set));
        }
        prop_assert_eq!((keys, bytes), (late.len(), late.bytes()));
    }
}
