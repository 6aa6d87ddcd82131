//! Many keys that several write at the same time: what is told in runs, as bytes, is held as the rule has it, whichever way it came.

use super::reference::{ALL, Reference};
use super::*;
use edge_session::codec::{Reader, Writer};
use edge_session::store::Mutation;

/// One step of those who write the same keys.
#[derive(Clone, Debug)]
enum Move {
    /// Writes so many keys from the first on, each so far from the one before; every one of `holes` is erased.
    Write { at: usize, first: usize, count: usize, step: usize, holes: usize, late: u64, one_each: bool },
    /// What another one has, since the own vector, or since one that was once; as it was written, or written again as it was read.
    Hear { at: usize, from: usize, past: Option<prop::sample::Index>, again: bool },
}

const NAMES: usize = 48;

fn any_move() -> impl Strategy<Value = Move> {
    let step = prop::sample::select(vec![1, 1, 1, NAMES - 1, NAMES - 1, 5, 7]);
    let write = (0..4_usize, 0..NAMES, 1..NAMES, step, 5..200_usize, 0..3_u64, prop::bool::weighted(0.3));
    let write = write.prop_map(|(at, first, count, step, holes, late, one_each)| Move::Write {
        at,
        first,
        count,
        step,
        holes,
        late,
        one_each,
    });
    let hear = (0..4_usize, 0..4_usize, prop::option::weighted(0.3, any::<prop::sample::Index>()), any::<bool>());
    let hear = hear.prop_map(|(at, from, past, again)| Move::Hear { at, from, past, again });
    prop_oneof![2 => write, 3 => hear]
}

fn through_bytes(delta: &Delta) -> Delta {
    let mut writer = Writer::new();
    delta.encode(&mut writer);
    let bytes = writer.finish();
    let mut reader = Reader::open(&bytes).unwrap();
    let read = Delta::decode(&mut reader).unwrap();
    reader.end().unwrap();
    read
}

fn hear(site: &mut Site, delta: &Delta) {
    let mut slow = Reference::of(site);
    slow.apply(delta, ALL);
    let before = site.live();
    let told = site.store.apply(through_bytes(delta)).unwrap();
    assert_eq!(Reference::of(site), slow);
    // What changed is told, and where something that was here has got company: how many they are.
    let now = site.live();
    let keys = before.keys().chain(now.keys().filter(|key| !before.contains_key(*key)));
    let changed = keys.filter(|key| before.get(*key) != now.get(*key)).map(|key| {
        let [old, new] = [&before, &now].map(|live| live.get(key).map(LiveSet::entries).unwrap_or_default());
        let (came, stays): (Vec<&DataEntry>, Vec<_>) = new.iter().partition(|entry| !old.contains(entry));
        let siblings = if came.is_empty() || stays.is_empty() { 0 } else { new.len() };
        (key.clone(), siblings)
    });
    let told: BTreeMap<String, usize> = told.into_iter().map(|told| (told.key.to_string(), told.siblings)).collect();
    assert_eq!(told, changed.collect());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_many_write_at_the_same_time_is_held_as_the_rule_has_it(moves in prop::collection::vec(any_move(), 2..30)) {
        let mut sites: Vec<Site> = (0..4).map(Site::new).collect();
        let (mut truth, mut vectors) = (Truth::default(), vec![VersionVector::new()]);
        for (nth, one) in moves.into_iter().enumerate() {
            match one {
                Move::Write { at, first, count, step, holes, late, one_each } => {
                    let name = |n: usize| format!("{:03}-{}", (first + n * step) % NAMES, ["k", "\u{e9}"][n % 2 * (late as usize % 2)]);
                    let row = |n: usize| match (n + 1) % holes {
                        0 => common::erase(&name(n)),
                        _ => put(&name(n), &format!("value {n} of write {nth}")),
                    };
                    let rows: Vec<Mutation> = (0..count).map(row).collect();
                    for rows in rows.chunks(if one_each { 1 } else { NAMES }) {
                        let site = &mut sites[at];
                        let past = site.vector();
                        let dot = site.write(rows.to_vec(), START + late);
                        let live = site.live();
                        let written = live.iter().filter_map(|(key, set)| {
                            let entry = set.entries().iter().find(|entry| entry.dot() == dot)?;
                            Some((key.clone(), entry.clone()))
                        });
                        truth.writes.push(Written { dot, past, entries: written.collect() });
                    }
                }
                Move::Hear { at, from, past, again } => {
                    let since = past.map_or_else(|| sites[at].vector(), |past| past.get(&vectors).clone());
                    let mut delta = sites[from].since(&since);
                    if again {
                        delta = through_bytes(&delta);
                    }
                    if sites[at].takes(&delta) {
                        hear(&mut sites[at], &delta);
                    }
                }
            }
            vectors.extend(sites.iter().map(Site::vector));
        }
        // All hear all: then and before that each holds what is true of what it has heard.
        for round in 0..3 {
            for site in &sites {
                let live = site.live().into_iter().map(|(key, set)| (key, set.entries().to_vec())).collect();
                prop_assert_eq!(truth.live(&site.vector()), live);
                let bytes: u64 = site.live().iter().map(|(key, set)| key.len() as u64 + set.entries().iter().map(|entry| entry.content.len() as u64 + 64).sum::<u64>()).sum();
                prop_assert_eq!(site.store.bytes(), bytes);
            }
            for (at, from) in (0..4).flat_map(|at| (0..4).map(move |from| (at, from))) {
                let delta = sites[from].since(&sites[at].vector());
                hear(&mut sites[at], &delta);
            }
            // Each is the same as one that has heard it all at once; and what has changed since any time is found.
            if round == 2 {
                for past in &vectors {
                    let touched = |set: &LiveSet| set.entries().iter().any(|entry| !past.contains(entry.dot()));
                    let live = sites[0].live().into_iter().filter(|(_, set)| touched(set));
                    let found: Vec<String> = sites[0].since(past).keys.iter().map(|(key, _)| key.to_string()).collect();
                    prop_assert_eq!(found, live.map(|(key, _)| key).collect::<Vec<_>>());
                }
                let mut fresh = Site::new(0);
                hear(&mut fresh, &sites[3].snapshot());
                prop_assert_eq!(fresh.live(), sites[0].live());
                prop_assert_eq!(fresh.store.bytes(), sites[1].store.bytes());
            }
        }
    }
}
