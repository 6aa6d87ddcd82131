//! When an entry ends is known wherever it is held, whichever way it came there, and of no other entry.

use super::*;
use common::host::{Host, SYNC, sync};
use common::{START, batch, edge, stored};
use edge_session::id::Dot;
use edge_session::store::Mutation;
use edge_session::store::entry::Content;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The greatest time.
const LAST: u64 = (1 << 48) - 1;

/// Of each key each entry: what it holds, and when it ends.
type Held = BTreeMap<(String, Dot), (Content, Option<u64>)>;

fn held(host: &Host) -> Held {
    let keys = host.replica.store().space(&host.space()).into_iter().flat_map(|state| state.iter());
    let entries = keys.flat_map(|(key, set)| set.entries().iter().map(|entry| (key.to_string(), entry)));
    entries.map(|(key, entry)| ((key, entry.dot()), (entry.content.clone(), entry.expires_at()))).collect()
}

/// A batch: at which replica and of which session, from which key on, and every how manieth; of each its kind and when it ends; who then
/// hears of it.
type Batch = ((usize, usize), (u16, u16), Vec<(u8, Option<u64>)>, Option<usize>);

fn any_batch() -> impl Strategy<Value = Batch> {
    let end = prop_oneof![
        6 => Just(None),
        2 => Just(Some(START + 100)),
        2 => (0..1_000_u64).prop_map(|after| Some(START + after)),
        1 => prop::sample::select(vec![0, LAST - 1, LAST, LAST + 1, u64::MAX - 1, u64::MAX]).prop_map(Some),
    ];
    let kind = prop_oneof![8 => Just(0_u8), 4 => Just(1_u8), 1 => 2..4_u8];
    let row = || (kind.clone(), end.clone());
    // What is written in bulk may be told in runs, between others and over them.
    let rows = prop_oneof![
        prop::collection::vec(row(), 1..9),
        prop::collection::vec(row(), 60..100),
        prop::collection::vec(Just((0, None)), 20..100),
    ];
    ((0..2_usize, 0..2_usize), (0..120_u16, 1..4_u16), rows, prop::option::of(0..2_usize))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_ends_ends_at_its_time_wherever_it_is_held(batches in prop::collection::vec(any_batch(), 1..12)) {
        let mut hosts = ["paris", "tokyo"].map(|label| Host::new(stored(edge(label))));
        let mut expected = Held::new();
        let sessions = hosts.each_mut().map(|host| {
            host.prompt = true;
            [host.session(), host.session()]
        });
        for (number, ((at, session), (first, step), rows, hears)) in batches.into_iter().enumerate() {
            let host = &mut hosts[at];
            host.now += 1;
            let write = |(place, (kind, expires_at)): (u16, (u8, Option<u64>))| {
                let text = format!("{number}.{place}.of-some-length");
                let content = match kind {
                    0 => Content::Text(text.as_str().into()),
                    1 => Content::Json(format!("\"{text}\"").as_str().into()),
                    2 => Content::Bytes(text.as_bytes().into()),
                    _ => Content::Tombstone,
                };
                Mutation { key: format!("{:03}", first + step * place).as_str().into(), content, expires_at }
            };
            let mutations: Vec<_> = (0..).zip(rows).map(write).collect();
            host.ask(sessions[at][session], batch(mutations.clone()), SYNC).unwrap();
            let dot = Dot::new(host.id(), host.vector().get(host.id()));
            for Mutation { key, content, expires_at } in mutations {
                expected.insert((key.to_string(), dot), (content, expires_at.map(|end| end.min(LAST))));
            }
            let [paris, tokyo] = &mut hosts;
            match hears {
                Some(0) => paris.pull(tokyo),
                Some(_) => tokyo.pull(paris),
                None => {}
            }
        }
        let [mut paris, mut tokyo] = hosts;
        let is_expected = |host: &Host| held(host).iter().all(|(at, entry)| expected.get(at) == Some(entry));
        sync(&mut paris, &mut tokyo);
        let (all, bytes) = (held(&paris), paris.replica.store().bytes());
        prop_assert!(is_expected(&paris) && !all.is_empty());

        let [mut restored, mut beside] = ["lima", "cairo"].map(|label| Host::new(edge(label)));
        restored.replica.restore(&paris.replica.snapshot().unwrap(), START).unwrap();
        let own = beside.session();
        beside.set(own, "own", "v");
        beside.pull(&mut tokyo);
        // Told on by one in whose memory all lies in the order of keys.
        let mut told_on = Host::new(edge("quito"));
        told_on.replica.restore(&restored.replica.snapshot().unwrap(), START).unwrap();
        // From storage: its records, and then a snapshot of all.
        paris.crash();
        let mut again = [held(&paris)].to_vec();
        paris.disk = vec![paris.snapshot()];
        paris.reopen();
        again.extend([&paris, &tokyo, &restored, &told_on].map(held));
        prop_assert!(again.iter().all(|held| *held == all));
        prop_assert!([&paris, &tokyo, &restored, &told_on].iter().all(|host| host.replica.store().bytes() == bytes));
        let mut more = held(&beside);
        more.retain(|(key, _), _| key != "own");
        prop_assert_eq!(more, all);

        let store = tokyo.replica.store();
        for (key, set) in store.space(&tokyo.space()).unwrap().iter() {
            let winner = set.winner().unwrap();
            let shows = |at| set.shown(at).is_some();
            match (winner.expires_at(), &winner.content) {
                (_, Content::Tombstone) => prop_assert!(!shows(0)),
                (None, _) => prop_assert!(shows(u64::MAX)),
                (Some(end), _) => prop_assert!(!shows(end) && (end == 0 || shows(end - 1)), "{key}"),
            }
        }
    }
}
