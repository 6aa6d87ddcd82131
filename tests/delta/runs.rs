//! Runs of entries as bytes: read as a slow reader reads them, who takes every number by itself.

mod late;
mod made;

use super::*;
use edge_session::codec::{Reader, Writer};
use edge_session::error::ErrorCode;
use edge_session::id::SessionId;
use edge_session::store::delta::Listed;
use edge_session::store::{Log, Written};
use edge_session::time::Hlc;
use minicbor::Decoder;
use minicbor::data::Type;

/// What hosts hand over: of which replica, for which session, when, and of each key its number, kind, length and how it is written.
type Batch = (usize, Option<u8>, u64, Vec<(u16, u8, u16, u8)>);

fn any_batches() -> impl Strategy<Value = Vec<Batch>> {
    let len =
        prop_oneof![6 => 1..60_u16, 3 => Just(20_u16), 1 => prop::sample::select(vec![0, 4_000, 4_096, 4_097, 9_000])];
    let kind = prop_oneof![12 => Just(0_u8), 1 => 0..3_u8];
    let scattered = prop::collection::vec((0..500_u16, kind.clone(), len.clone(), 0..3_u8), 1..40);
    // In the order of keys, as data comes that is written in bulk.
    let bulk = (0..500_u16, prop::collection::vec((kind, len), 1..200), 0..3_u8);
    // So many that they are of several parts, and nearly all of one kind.
    let much =
        (0..500_u16, prop::collection::vec((Just(0_u8), prop_oneof![9 => Just(20_u16), 1 => 1..60_u16]), 200..900));
    let much = much.prop_map(|(first, rows)| (first, rows, 0));
    let bulk = prop_oneof![3 => bulk, 1 => much];
    let bulk = bulk.prop_map(|(first, rows, how)| {
        let row = |(at, (kind, len)): (u16, (u8, u16))| (first + at, kind, len, how);
        (0..).zip(rows).map(row).collect::<Vec<_>>()
    });
    let keys = prop_oneof![1 => scattered, 3 => bulk];
    prop::collection::vec((0..3_usize, prop::option::of(0..2_u8), 0..5_000_u64, keys), 1..6)
}

/// All keys of a batch in one write.
const ALL: usize = 1_000;

/// How many keys of a batch are one write: where each is one, every sequence is above the one before.
fn any_each() -> impl Strategy<Value = usize> {
    prop::sample::select(vec![ALL, 7, 1])
}

/// A store in which these have been written, and with it the one that had heard of the first half.
fn written(batches: &[Batch], each: usize) -> (SessionConsistentStore, VersionVector) {
    let mut store = SessionConsistentStore::new(Limits { batch_keys: 1_000, ..Limits::default() });
    let mut half = VersionVector::new();
    for (at, (origin, session, later, rows)) in batches.iter().enumerate() {
        let mut log = Log::default();
        for (number, kind, len, how) in rows {
            let text = ["v", "ä", "😀"][usize::from(*how)];
            let value = format!("{number}{}", text.repeat(usize::from(*len) / text.len()));
            let key = format!("{}{number:05}", ["key", "schlüssel:", ""][usize::from(*how)]);
            log.put(&key, [Written::Text(&value), Written::Json(&value), Written::Tombstone][usize::from(*kind)]);
        }
        let batch = log.finish();
        let session = session.map(|session| SessionId::from_bytes([session; 16]));
        for part in batch.chunks(each) {
            store.write(&space(), replica(*origin), session, part.to_vec(), &[], START + later).unwrap();
        }
        if at < batches.len() / 2 {
            half = store.vector(&space()).clone();
        }
    }
    (store, half)
}

/// The store in which these have been written, and one in which another replica has written the same keys.
fn at_the_same_time(batches: &[Batch], each: usize) -> (SessionConsistentStore, SessionConsistentStore) {
    let other = |(_, session, later, rows): &Batch| (3, *session, 5_000 - later, rows.clone());
    let others = batches.iter().map(other).collect::<Vec<_>>();
    (written(batches, each).0, written(&others, ALL).0)
}

fn bytes(delta: &Delta) -> Vec<u8> {
    let mut writer = Writer::new();
    delta.encode(&mut writer);
    writer.finish()
}

fn read(bytes: &[u8]) -> Result<Delta, edge_session::error::SessionError> {
    let mut reader = Reader::open(bytes)?;
    let delta = Delta::decode(&mut reader)?;
    reader.end().map(|()| delta)
}

/// Keys with what they list.
type Plain = Vec<(String, Vec<Listed>)>;

/// The keys of a delta, with those of its bytes that hold them.
struct Slow<'b> {
    replicas: Vec<ReplicaId>,
    sessions: Vec<SessionId>,
    keys: &'b [u8],
    hlc: u64,
}

/// As the protocol's page says it, number by number. It believes what it reads, and answers nothing where it cannot be so.
fn slowly(bytes: &[u8]) -> Option<Slow<'_>> {
    let mut input = Decoder::new(bytes);
    input.array().ok()??;
    input.u64().ok()?;
    let replicas = (0..input.array().ok()??).map(|_| ReplicaId::from_bytes(input.bytes().ok()?).ok());
    let replicas = replicas.collect::<Option<Vec<_>>>()?;
    let sessions = (0..input.array().ok()??).map(|_| Some(SessionId::from_bytes(input.bytes().ok()?.try_into().ok()?)));
    let sessions = sessions.collect::<Option<Vec<_>>>()?;
    input.str().ok()?;
    input.u64().ok()?;
    for _ in 0..2 {
        (0..input.array().ok()??).try_for_each(|_| input.u64().map(drop)).ok()?;
    }
    let hlc = input.u64().ok()?;
    Some(Slow { replicas, sessions, keys: input.bytes().ok()?, hlc })
}

impl Slow<'_> {
    fn keys(&self) -> Option<(Plain, usize)> {
        let mut input = Decoder::new(self.keys);
        let (mut keys, mut runs, mut before, mut clock) = (Vec::new(), 0, String::new(), self.hlc);
        let mut sequences = vec![0_u64; self.replicas.len()];
        while input.position() < self.keys.len() {
            if input.datatype().ok()? != Type::String {
                let mut shared = input.i64().ok()?;
                let count = if shared < 0 { input.u64().ok()? } else { 1 };
                shared = if shared < 0 { -1 - shared } else { shared };
                before = format!("{}{}", before.get(..usize::try_from(shared).ok()?)?, input.str().ok()?);
                let listed = (0..count).map(|_| self.listed(&mut input, &mut sequences, &mut clock));
                keys.push((before.clone(), listed.collect::<Option<Vec<_>>>()?));
                continue;
            }
            runs += 1;
            let (mut area, head) = (input.str().ok()?, input.u64().ok()?);
            let origin = usize::try_from(head / 20).ok()?;
            let session =
                if head & 1 == 1 { Some(*self.sessions.get(usize::try_from(input.u64().ok()?).ok()?)?) } else { None };
            let known = if head & 2 == 2 { Some(usize::try_from(input.u64().ok()?).ok()?) } else { None };
            let count = usize::try_from(input.u64().ok()?).ok()?;
            let mut columns = Vec::new();
            for _ in 0..if known.is_some() { 5 } else { 4 } {
                let mut column = Vec::new();
                while column.len() < count {
                    let some = input.i64().ok()?;
                    if some > 0 {
                        let number = input.i64().ok()?;
                        column.extend((0..some.min(100_000)).map(|_| number));
                    } else {
                        (0..-some).try_for_each(|_| input.i64().map(|number| column.push(number))).ok()?;
                    }
                }
                columns.push(column);
            }
            let mut text = |len: i64| {
                let (text, rest) = area.split_at_checked(usize::try_from(len).ok()?)?;
                area = rest;
                Some(text.to_owned())
            };
            let [keys_len, values, ahead, since, dots @ ..] = columns.as_slice() else { return None };
            let mut dots = dots.iter().flatten();
            for (((key, value), ahead), since) in keys_len.iter().zip(values).zip(ahead).zip(since) {
                let (key, value) = (text(*key)?, text(*value)?);
                let sequence = sequences.get_mut(origin)?;
                *sequence = sequence.wrapping_add_signed(*ahead);
                clock = clock.wrapping_add_signed(*since);
                let content =
                    if head % 20 / 4 == 1 { Content::Text(value.into()) } else { Content::Json(value.into()) };
                let dot = Dot::new(*self.replicas.get(origin)?, *sequence);
                before = key;
                let mut listed = Vec::new();
                if let Some(known) = known {
                    let sequence = sequences.get_mut(known)?;
                    *sequence = sequence.wrapping_add_signed(*dots.next()?);
                    listed.push(Listed::Known(Dot::new(*self.replicas.get(known)?, *sequence).into()));
                }
                listed.push(Listed::Entry(DataEntry::new(content, dot, Hlc::from_bits(clock), session, None)));
                keys.push((before.clone(), listed));
            }
            if !area.is_empty() {
                return None;
            }
        }
        Some((keys, runs))
    }

    fn listed(&self, input: &mut Decoder<'_>, sequences: &mut [u64], clock: &mut u64) -> Option<Listed> {
        let head = input.u64().ok()?;
        let origin = usize::try_from(head / 20).ok()?;
        let sequence = sequences.get_mut(origin)?;
        *sequence = sequence.wrapping_add_signed(input.i64().ok()?);
        let dot = Dot::new(self.replicas[origin], *sequence);
        if head % 20 / 4 == 4 {
            return Some(Listed::Known(dot.into()));
        }
        *clock = clock.wrapping_add_signed(input.i64().ok()?);
        let content = match head % 20 / 4 {
            0 => Content::Tombstone,
            1 => Content::Text(input.str().ok()?.into()),
            2 => Content::Json(input.str().ok()?.into()),
            _ => Content::Bytes(input.bytes().ok()?.into()),
        };
        let session =
            if head & 1 == 1 { Some(*self.sessions.get(usize::try_from(input.u64().ok()?).ok()?)?) } else { None };
        let end = if head & 2 == 2 { Some((*clock >> 16).wrapping_add_signed(input.i64().ok()?)) } else { None };
        Some(Listed::Entry(DataEntry::new(content, dot, Hlc::from_bits(*clock), session, end)))
    }
}

fn plainly(delta: &Delta) -> Plain {
    delta.keys.iter().map(|(key, set)| (key.to_string(), set.to_vec())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn they_are_read_as_a_slow_reader_reads_them(batches in any_batches(), each in any_each()) {
        let (store, half) = written(&batches, each);
        for from in [&VersionVector::new(), &half] {
            let delta = store.extract(&space(), from).unwrap();
            let told = bytes(&delta);
            let known = read(&told).unwrap();
            prop_assert!(known == delta);
            let (slow, _) = slowly(&told).and_then(|slow| slow.keys()).unwrap();
            prop_assert!(slow == plainly(&delta));
            // Told on, and taken in: nothing is lost on the way, and what is held counts as much.
            prop_assert!(read(&bytes(&known)).unwrap() == delta);
            if from.is_empty() {
                // Where nobody has looked at a key yet, and where one has.
                for known in [read(&told).unwrap(), known] {
                    let mut other = SessionConsistentStore::new(*store.limits());
                    other.apply(known).unwrap();
                    prop_assert_eq!(other.bytes(), store.bytes());
                    prop_assert!(other.extract(&space(), &half) == store.extract(&space(), &half));
                    prop_assert_eq!(other.space(&space()), store.space(&space()));
                }
            }
        }
    }

    #[test]
    fn so_are_keys_that_others_wrote_at_the_same_time(batches in any_batches(), each in any_each(), damage in any::<prop::sample::Index>()) {
        let (one, other) = at_the_same_time(&batches, each);
        for (mut told_all, mut taker) in [(one.clone(), other.clone()), (other, one)] {
            let known = taker.vector(&space()).clone();
            told_all.apply(taker.extract(&space(), &VersionVector::new()).unwrap()).unwrap();
            let delta = told_all.extract(&space(), &known).unwrap();
            let mut told = bytes(&delta);
            let (slow, _) = slowly(&told).and_then(|slow| slow.keys()).unwrap();
            prop_assert!(slow == plainly(&delta));
            prop_assert!(read(&told).unwrap() == delta);
            taker.apply(read(&told).unwrap()).unwrap();
            prop_assert_eq!(taker.space(&space()), told_all.space(&space()));
            prop_assert_eq!(taker.bytes(), told_all.bytes());
            // One bit is another: it is refused, or read as it stands there.
            let at = damage.index(told.len() * 8);
            told[at / 8] ^= 1 << (at % 8);
            if let Ok(delta) = read(&told) {
                let (slow, _) = slowly(&told).and_then(|slow| slow.keys()).expect("what is read can be read");
                prop_assert!(slow == plainly(&delta));
                prop_assert!(read(&bytes(&delta)).unwrap() == delta);
            }
        }
    }

    #[test]
    fn whatever_is_damaged_is_refused_or_read_as_a_slow_reader_reads_it(
        batches in any_batches(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..4),
        behind in any::<bool>(),
    ) {
        let (store, _) = written(&batches, ALL);
        let mut told = bytes(&store.extract(&space(), &VersionVector::new()).unwrap());
        // Most bytes are text: where the numbers stand is behind it.
        let from = if behind { told.len().saturating_sub(60) } else { 0 };
        for (at, to, flip) in changes {
            let at = from + at.index(told.len() - from);
            told[at] = if flip { told[at] ^ 1 << (to % 8) } else { to };
        }
        match read(&told) {
            Err(error) => prop_assert!(matches!(error.code(), ErrorCode::MessageMalformed | ErrorCode::ProtocolMismatch)),
            Ok(delta) => {
                let (slow, _) = slowly(&told).and_then(|slow| slow.keys()).expect("what is read can be read");
                prop_assert!(slow == plainly(&delta));
                prop_assert!(read(&bytes(&delta)).unwrap() == delta);
            }
        }
    }
}

#[test]
fn what_is_written_in_bulk_is_told_in_runs_and_costs_little_beside_its_text() {
    let rows = |first: u16| (first..first + 400).map(|at| (at, 0, 64, 0)).collect::<Vec<_>>();
    let (store, _) = written(&[(0, Some(1), 0, rows(0)), (1, Some(1), 7, rows(400))], ALL);
    let told = bytes(&store.extract(&space(), &VersionVector::new()).unwrap());
    let (keys, runs) = slowly(&told).and_then(|slow| slow.keys()).unwrap();
    assert_eq!(keys.len(), 800);
    assert!((2..20).contains(&runs), "{runs}");
    let text: usize =
        store.space(&space()).unwrap().iter().map(|(key, set)| key.len() + set.winner().unwrap().content.len()).sum();
    assert!(told.len() < text + 800, "{} bytes for {text} of text", told.len());
}

#[test]
fn what_two_wrote_at_the_same_time_is_told_in_runs_both_ways() {
    // In one order and in the opposite one; who is later wins.
    for (later, reversed) in [(0, false), (9, true)] {
        let mut rows = (0..400).map(|at| (at, 0, 64, 0)).collect::<Vec<_>>();
        let (mut one, _) = written(&[(0, Some(1), 5, rows.clone())], ALL);
        if reversed {
            rows.reverse();
        }
        let (mut other, _) = written(&[(1, Some(2), later, rows)], ALL);
        let (first, second) = (one.vector(&space()).clone(), other.vector(&space()).clone());
        other.apply(one.extract(&space(), &second).unwrap()).unwrap();
        let delta = other.extract(&space(), &first).unwrap();
        assert!(delta.keys.iter().all(|(_, set)| matches!(&**set, [Listed::Known(_), Listed::Entry(_)])));
        let told = bytes(&delta);
        let (keys, runs) = slowly(&told).and_then(|slow| slow.keys()).unwrap();
        assert_eq!((keys.len(), runs), (400, 1));
        let text: usize = delta.keys.iter().map(|(key, set)| key.len() + set[1].content().unwrap().len()).sum();
        assert!(told.len() < text + 200, "{} bytes for {text} of text", told.len());
        one.apply(read(&told).unwrap()).unwrap();
        assert_eq!(one.space(&space()), other.space(&space()));
        assert!(one.space(&space()).unwrap().iter().all(|(_, set)| set.entries().len() == 2));
    }
}

#[test]
fn what_is_short_few_or_begins_alike_is_told_by_itself() {
    let long = "a-long-beginning-that-all-keys-of-this-application-have-in-common/".repeat(2);
    let of = |count: usize, name: &dyn Fn(usize) -> (String, String)| {
        let mut log = Log::default();
        (0..count).map(name).for_each(|(key, value)| log.put(&key, Written::Text(&value)));
        let mut store = SessionConsistentStore::new(Limits::default());
        store.write(&space(), replica(0), None, log.finish(), &[], START).unwrap();
        let told = bytes(&store.extract(&space(), &VersionVector::new()).unwrap());
        let (keys, runs) = slowly(&told).and_then(|slow| slow.keys()).unwrap();
        assert_eq!(keys.len(), count);
        runs
    };
    assert_eq!(of(7, &|at| (format!("{at:03}"), "a value".into())), 0);
    assert_eq!(of(8, &|at| (format!("{at:03}"), "a value".into())), 1);
    assert_eq!(of(100, &|at| (format!("{at:03}"), "v".into())), 0);
    assert_eq!(of(60, &|at| (format!("{long}{at:03}"), "a value".into())), 0);
    // In groups: the first and the last have little in common, those that follow each other much.
    let group = |at: usize| format!("{:03}/a-path-that-a-group-has/{:02}", at / 10, at % 10);
    assert_eq!(of(100, &|at| (group(at), "a value".into())), 0);
    assert!(of(100, &|at| (group(at), "a value that is longer than its key. ".repeat(3))) > 0);
}
