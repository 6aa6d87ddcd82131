//! What was loaded or applied is shown key by key, whoever asks for it and however, as it is to him who has looked at all of it first.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::host::{Host, SYNC};
use common::{START, batch, edge};
use edge_session::id::Space;
use edge_session::io::{Operation, Range, SessionHandle};
use edge_session::replica::SessionInit;
use edge_session::store::Mutation;
use edge_session::store::entry::{Content, DataEntry};
use proptest::prelude::*;

/// Names of keys, which share digits or have none, are short, begin alike, or have characters of several bytes.
const NAMES: u8 = 8;

fn named(style: u8, n: usize) -> String {
    let random = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    match style {
        0 => format!("key:{n:06}"),
        1 => format!("{n}"),
        2 => format!("{random:016x}"),
        3 => format!("ä{n}ü"),
        4 => "a".repeat(1 + n),
        5 => format!("{random:020}").chars().map(|digit| ['\0', 'é', '😀', 'z'][digit as usize % 4]).collect(),
        6 => format!("{}\0{}", n / 300, "\0".repeat(n % 300)),
        _ => format!("the same for all of them {}", char::from_u32(0x4e00 + n as u32).unwrap_or('z')),
    }
}

/// A key of a write: its number, what it is set to, and how long that is.
type Row = (usize, u8, usize);

/// By which of two replicas, of which of its sessions and how much later what is written at once; and by which names.
#[derive(Clone, Debug)]
struct Write {
    at: usize,
    session: usize,
    later: u64,
    style: u8,
    rows: Vec<Row>,
}

fn any_write() -> impl Strategy<Value = Write> {
    let len = || prop_oneof![3 => Just(24_usize), 2 => 0..60_usize, 1 => 0..600_usize];
    let kind = prop_oneof![12 => Just(0_u8), 4 => Just(1_u8)];
    // In the order of their numbers, nearly all of one kind, so that they come as runs.
    let bulk = (0..300_usize, kind, prop::collection::vec((prop::bool::weighted(0.002), 2..5_u8, len()), 64..700));
    let alike = (0..300_usize, 0..2_u8, 64..700_usize, len());
    let bulk = prop_oneof![
        bulk.prop_map(|(first, kind, rows)| {
            let row = |(at, (other, others, len))| (first + at, if other { others } else { kind }, len);
            (0..).zip(rows).map(row).collect::<Vec<Row>>()
        }),
        alike.prop_map(|(first, kind, count, len)| (first..first + count).map(|n| (n, kind, len)).collect()),
    ];
    let few = prop::collection::vec((0..1_000_usize, 0..5_u8, len()), 1..8);
    let rows = prop_oneof![4 => bulk, 1 => few];
    (0..2_usize, 0..2_usize, 0..5_000_u64, 0..NAMES, rows).prop_map(|(at, session, later, style, rows)| Write {
        at,
        session,
        later,
        style,
        rows,
    })
}

fn mutations(write: &Write, now: u64) -> Vec<Mutation> {
    let mutation = |(n, kind, len): &Row| {
        let text = || format!("{n}{}", "€v".repeat(len / 4)).as_str().into();
        let content = match kind {
            0 | 4 => Content::Text(text()),
            1 => Content::Json(text()),
            2 => Content::Bytes([*n as u8].into()),
            _ => Content::Tombstone,
        };
        let expires_at = (*kind == 4).then_some(now + 4_000);
        Mutation { key: named(write.style, *n).as_str().into(), content, expires_at }
    };
    // Each key once.
    let mut all: Vec<_> = write.rows.iter().map(mutation).collect();
    all.sort_by(|one, other| one.key.cmp(&other.key));
    all.dedup_by(|one, other| one.key == other.key);
    all
}

/// What is done to what was loaded.
#[derive(Clone, Debug)]
enum Act {
    /// A look at a key by its number, or at one that is near it, in one way or another.
    Look {
        style: u8,
        n: usize,
        near: u8,
        how: u8,
        most: usize,
    },
    /// Looks at many keys, each of them so far from the one before.
    Looks {
        style: u8,
        step: usize,
        times: usize,
        how: u8,
    },
    List {
        style: u8,
        n: usize,
        limit: u64,
        reverse: bool,
    },
    Write(Write),
    /// Others have written this, and tell of it.
    Told(Write),
    Later(u64),
}

fn any_act() -> impl Strategy<Value = Act> {
    let most = prop::sample::select(vec![0, 1, 7, 63, 64, 200, 1_000]);
    prop_oneof![
        40 => (0..NAMES, 0..1_100_usize, 0..12_u8, 0..7_u8, most)
            .prop_map(|(style, n, near, how, most)| Act::Look { style, n, near, how, most }),
        3 => (0..NAMES, 1..500_usize, 1..200_usize, 0..7_u8)
            .prop_map(|(style, step, times, how)| Act::Looks { style, step, times, how }),
        1 => (0..NAMES, 0..1_100_usize, 1..20_u64, any::<bool>())
            .prop_map(|(style, n, limit, reverse)| Act::List { style, n, limit, reverse }),
        1 => any_write().prop_map(Act::Write),
        1 => any_write().prop_map(Act::Told),
        1 => (0..5_000_u64).prop_map(Act::Later),
    ]
}

/// A key, or one that is near it.
fn near(key: &str, how: u8) -> String {
    let last = key.chars().next_back().unwrap_or('a');
    let but = &key[..key.len() - last.len_utf8()];
    match how {
        0 => format!("{key}\0"),
        1 => but.into(),
        2 => format!("{but}{}", char::from_u32(last as u32 + 1).unwrap_or('z')),
        3 => format!("{but}{}", char::from_u32((last as u32).saturating_sub(1)).unwrap_or('a')),
        4 => ["", "0", "\0", "zzzzzzzzzzzz", "\u{10ffff}", "key:", "99999999999"][key.len() % 7].into(),
        _ => key.into(),
    }
}

/// What a key shows to who asks for it in one way, and what has become of his session; and the writes that may be kept.
fn shown(host: &mut Host, session: SessionHandle, key: &str, how: u8, most: usize) -> String {
    let answer = match how {
        0 => format!("{:?}", host.ask(session, Operation::Get(key.into()), SYNC)),
        1 => format!("{:?}", host.ask(session, Operation::Read(key.into()), SYNC)),
        2 => format!("{:?}", host.ask(session, Operation::Conflicts(key.into()), SYNC)),
        3 => format!("{:?}", host.replica.peek(session, key, host.now)),
        _ => {
            let seen = host.replica.glance(session, key, SYNC, host.now);
            host.drain();
            format!("{seen:?} {:?}", host.replica.ahead(session, key, most))
        }
    };
    format!("{answer} {:?}", host.replica.session(session).unwrap().vector)
}

/// That a glance tells what a store has that was not loaded, and keeps what stands alone there and does not end.
fn is_told(host: &mut Host, session: SessionHandle, source: &Host, key: &str) {
    let Ok(seen) = host.replica.glance(session, key, SYNC, host.now) else { return };
    let entries = source.replica.store().live(&source.space(), key).map_or(&[][..], |set| set.entries());
    let winner = entries.first().filter(|entry| !entry.is_gone(host.now));
    assert_eq!(seen.content.as_ref(), winner.map(|entry| &entry.content), "{key:?}");
    let alone = winner.filter(|entry| entries.len() == 1 && entry.expires_at().is_none());
    assert_eq!(seen.keep.map(|kept| kept.dot), alone.map(DataEntry::dot), "{key:?}");
    for copy in host.replica.ahead(session, key, 1_000) {
        let [only] = source.replica.store().live(&source.space(), &copy.key).unwrap().entries() else {
            panic!("{} has others beside it", &*copy.key)
        };
        assert_eq!((&copy.content, copy.dot, only.expires_at()), (&only.content, only.dot(), None));
    }
}

/// Two replicas with two sessions each that have written this, and know of each other.
fn sources(writes: &[Write]) -> [(Host, [SessionHandle; 2]); 2] {
    let mut sources = ["paris", "tokyo"].map(|name| {
        let mut config = edge(name);
        config.limits.batch_keys = 1_000;
        let mut host = Host::new(config);
        let sessions = [host.session(), host.session()];
        (host, sessions)
    });
    for write in writes {
        tell(&mut sources, write, START + write.later);
    }
    let [(paris, _), (tokyo, _)] = &mut sources;
    take(paris, tokyo);
    sources
}

/// Takes all that another one holds.
fn take(host: &mut Host, source: &mut Host) {
    let snapshot = source.replica.snapshot().unwrap();
    host.replica.restore(&snapshot, host.now).unwrap();
    host.drain();
}

fn tell(sources: &mut [(Host, [SessionHandle; 2]); 2], write: &Write, now: u64) {
    let (host, sessions) = &mut sources[write.at];
    host.now = host.now.max(now);
    let written = batch(mutations(write, host.now));
    host.ask(sessions[write.session], written, SYNC).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn each_key_shows_what_it_shows_to_who_has_looked_at_all(
        writes in prop::collection::vec(any_write(), 1..6),
        acts in prop::collection::vec(any_act(), 1..120),
    ) {
        let mut sources = sources(&writes);
        let mut config = edge("late");
        config.limits.batch_keys = 1_000;
        let [mut late, mut early] = [Host::new(config.clone()), Host::new(config)];
        for host in [&mut late, &mut early] {
            host.now = START + 6_000;
            let (source, _) = &mut sources[0];
            source.now = source.now.max(host.now);
            take(host, source);
        }
        // The same sessions; and one of another space, to which nothing of this shows.
        let other = || SessionInit { space: Space::first("other").ok(), ..SessionInit::default() };
        let [one, two] = [&mut late, &mut early].map(|host| (host.session(), host.session(), host.open(other())));
        prop_assert_eq!(one, two);
        let (ann, bob, zoe) = one;
        early.list(bob, Range::default());
        let mut as_written = true;
        for act in &acts {
            match act {
                Act::Look { style, n, near: by, how, most } => {
                    let key = near(&named(*style, *n), *by);
                    let [one, other] = [&mut late, &mut early].map(|host| shown(host, ann, &key, *how, *most));
                    prop_assert_eq!(one, other, "{:?}", key);
                    if as_written && how % 3 == 0 {
                        is_told(&mut late, ann, &sources[0].0, &key);
                        is_told(&mut early, ann, &sources[0].0, &key);
                    }
                    prop_assert_eq!(late.replica.peek(zoe, &key, late.now).unwrap(), None);
                }
                Act::Looks { style, step, times, how } => {
                    for n in (0..*times).map(|n| n * step % 1_100) {
                        let key = named(*style, n);
                        let [one, other] = [&mut late, &mut early].map(|host| shown(host, ann, &key, *how, 3));
                        prop_assert_eq!(one, other, "{:?}", key);
                    }
                }
                Act::List { style, n, limit, reverse } => {
                    let range = Range { start: Some(named(*style, *n)), limit: Some(*limit), reverse: *reverse, ..Range::default() };
                    let [one, other] = [&mut late, &mut early].map(|host| host.list(ann, range.clone()));
                    prop_assert_eq!(one, other);
                }
                Act::Write(write) => {
                    as_written = false;
                    let [one, other] = [&mut late, &mut early].map(|host| {
                        let now = host.now;
                        host.ask(ann, batch(mutations(write, now)), SYNC)
                    });
                    prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
                }
                Act::Told(write) => {
                    as_written = false;
                    tell(&mut sources, write, late.now);
                    let (source, _) = &mut sources[write.at];
                    [&mut late, &mut early].into_iter().for_each(|host| take(host, source));
                }
                Act::Later(by) => [&mut late, &mut early].into_iter().for_each(|host| host.at(host.now + by)),
            }
            let [one, other] = [&late, &early].map(|host| (host.replica.store().len(), host.replica.store().bytes()));
            prop_assert_eq!(one, other);
        }
        prop_assert_eq!(late.snapshot(), early.snapshot());
    }
}
