//! Lies in runs: of entries that are told together each is judged as one that is told by itself.

use super::lies::{honest, told};
use super::*;
use edge_session::store::limits::Limits;
use edge_session::store::{Log, SessionConsistentStore, Written};

/// How many keys a run has here.
const MANY: usize = 60;

/// The keys and entries of one log of a replica, as one write or a write each: their texts lie side by side, so they are told in runs.
/// `ahead`: by how many milliseconds each is stamped ahead of the time.
fn side_by_side(
    id: ReplicaId,
    rows: impl Iterator<Item = (String, String)>,
    each: bool,
    ahead: impl Fn(usize) -> u64,
) -> Vec<(Key, ListedSet)> {
    let mut log = Log::default();
    rows.for_each(|(key, value)| log.put(&key, Written::Text(&value)));
    let batch = log.finish();
    let mut store = SessionConsistentStore::new(Limits { batch_keys: 10_000, key_bytes: 10_000, ..Limits::default() });
    for part in batch.chunks(if each { 1 } else { batch.len() }) {
        store.write(&default(), id, None, part.to_vec(), &[], START).unwrap();
    }
    let keys = store.extract(&default(), &VersionVector::new()).unwrap().keys;
    let stamped = |(at, (key, set)): (usize, &(Key, ListedSet))| {
        let Listed::Entry(mut entry) = set[0].clone() else { panic!("{set:?}") };
        entry.hlc = Hlc::new(entry.hlc.millis() + ahead(at), entry.hlc.counter());
        (key.clone(), vec![Listed::Entry(entry)].into())
    };
    keys.iter().enumerate().map(stamped).collect()
}

/// The twentieth of them is stamped more than a minute ahead.
fn one_ahead(at: usize) -> u64 {
    if at == 20 { 70_000 } else { 0 }
}

fn row(at: usize) -> (String, String) {
    (format!("{at:03}"), format!("the value of {at:03}"))
}

fn rows() -> impl Iterator<Item = (String, String)> {
    (0..MANY).map(row)
}

/// Sees to it that a delta is told in a run, or this tests nothing: two texts with the key between them stand in one.
fn in_runs(liar: &Liar, delta: Delta) -> Delta {
    let (before, (key, after)) = (row(MANY / 2).1, row(MANY / 2 + 1));
    let joined = [before, key, after].concat();
    let bytes = liar.frame(vec![Message::Delta(delta.clone())]);
    assert!(bytes.windows(joined.len()).any(|part| part == joined.as_bytes()));
    delta
}

#[test]
fn writes_in_runs_are_taken() {
    let mut world = World::new();
    let token = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = Liar::join(&mut world, &pass(&token));
    let keys = side_by_side(liar.id, rows(), true, |_| 0);
    let delta = in_runs(&liar, liar.delta(&world, &[(liar.id, MANY as u64)], keys));
    assert!(refusals(&liar.says(&mut world, vec![Message::Delta(delta)])).is_empty());
    let store = world.edge().replica.store();
    for (at, (key, value)) in rows().enumerate() {
        let winner = store.live(&default(), &key).unwrap().winner().unwrap();
        assert_eq!((&winner.content, winner.dot()), (&text(&value), Dot::new(liar.id, 1 + at as u64)));
    }
    world.goes_on();
}

#[test]
fn one_entry_of_a_run_that_is_stamped_ahead_of_the_time() {
    let lie = |world: &World, liar: &Liar| {
        let keys = side_by_side(liar.id, rows(), true, one_ahead);
        let delta = liar.delta(world, &[(liar.id, MANY as u64)], keys);
        in_runs(liar, Delta { hlc: Hlc::new(START + 80_000, 0), ..delta })
    };
    let (code, dots) = told(lie);
    assert_eq!((code.as_str(), dots.iter().map(|dot| dot.sequence).collect::<Vec<_>>()), ("CLOCK_DRIFT", vec![21]));
}

#[test]
fn one_key_of_a_run_that_is_too_long() {
    let lie = |world: &World, liar: &Liar| {
        let rows =
            rows().map(|(key, value)| if key == "020" { (format!("020{:k<1022}", ""), value) } else { (key, value) });
        let keys = side_by_side(liar.id, rows, true, |_| 0);
        in_runs(liar, liar.delta(world, &[(liar.id, MANY as u64)], keys))
    };
    let (code, dots) = told(lie);
    assert_eq!((code.as_str(), dots.iter().map(|dot| dot.sequence).collect::<Vec<_>>()), ("KEY_INVALID", vec![21]));
}

#[test]
fn one_value_of_a_run_that_is_too_long() {
    let mut config = edge("fra1");
    config.limits.value_bytes = 100;
    let mut world = World::with(config);
    let token = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = Liar::join(&mut world, &pass(&token));
    let rows = rows().map(|(key, value)| if key == "020" { (key, "v".repeat(101)) } else { (key, value) });
    let keys = side_by_side(liar.id, rows, true, |_| 0);
    let delta = in_runs(&liar, liar.delta(&world, &[(liar.id, MANY as u64)], keys));
    let before = world.state();
    let said = liar.says(&mut world, vec![Message::Delta(delta)]);
    assert_eq!(refused(&said), ("VALUE_TOO_LARGE", vec![Dot::new(liar.id, 21)]));
    assert!(world.state() == before);
    world.goes_on();
}

#[test]
fn a_run_that_is_one_write_of_too_many_keys() {
    let lie = |world: &World, liar: &Liar| {
        let keys = side_by_side(liar.id, (0..1_001).map(|at| (format!("{at:04}"), row(at).1)), false, |_| 0);
        let delta = liar.delta(world, &[(liar.id, 1)], keys);
        let bytes = liar.frame(vec![Message::Delta(delta.clone())]).len();
        assert!(bytes < 1_001 * 22, "in runs: {bytes}");
        delta
    };
    let (code, dots) = told(lie);
    assert_eq!((code.as_str(), dots.len()), ("QUOTA_EXCEEDED", 1));
}

/// A run has one author: of somebody else's writes it is refused as each of them would be.
#[test]
fn a_run_of_anothers_writes() {
    let lie = |world: &World, liar: &Liar| {
        let id = honest(world);
        let keys = side_by_side(id, rows(), true, |_| 0);
        in_runs(liar, liar.delta(world, &[(id, MANY as u64), (liar.id, 1)], keys))
    };
    let (code, dots) = told(lie);
    assert_eq!((code.as_str(), dots.len()), ("STALE_REPLICA", 1));
}

/// What a run says of writes that are held here is not listened to, nor does it bring keys into being.
#[test]
fn a_run_of_anothers_writes_that_are_known() {
    let mut world = World::new();
    (0..MANY).for_each(|_| world.goes_on());
    let token = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = Liar::join(&mut world, &pass(&token));
    let id = honest(&world);
    let keys = side_by_side(id, rows(), true, |_| 0);
    let delta = in_runs(&liar, liar.delta(&world, &[(liar.id, 1)], keys));
    let before = world.edge().vector().get(id);
    let said = liar.says(&mut world, vec![Message::Delta(delta)]);
    assert!(refusals(&said).is_empty(), "{said:?}");
    assert_eq!(world.edge().vector().get(id), before);
    let store = world.edge().replica.store();
    assert!(rows().all(|(key, _)| store.live(&default(), &key).is_none()));
    world.goes_on();
}

#[test]
fn a_run_in_a_slice() {
    let mut world = World::new();
    let token = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = Liar::join(&mut world, &pass(&token));
    let keys = side_by_side(liar.id, rows(), true, one_ahead);
    let hlc = Hlc::new(START + 80_000, 0);
    let delta = in_runs(&liar, Delta { hlc, ..liar.delta(&world, &[(liar.id, MANY as u64)], keys) });
    let (from, at) = (delta.from.clone(), delta.to.clone());
    let slice = |keys: Keys| Slice {
        space: default(),
        from: from.clone(),
        base: at.clone(),
        at: at.clone(),
        after: None,
        last: true,
        hlc,
        keys,
    };
    let before = world.state();
    let top_up = Delta { to: at.clone(), keys: Keys::new(), ..delta.clone() };
    let said = liar.says(&mut world, vec![Message::Slice(slice(delta.keys))]);
    assert!(refusals(&said).is_empty() && world.state() == before, "{said:?}");
    let said = liar.says(&mut world, vec![Message::TopUp { base: at.clone(), delta: top_up }]);
    assert_eq!(refused(&said), ("CLOCK_DRIFT", vec![Dot::new(liar.id, 21)]));
    assert!(world.state() == before);
    world.goes_on();
}

/// Each entry of a run is judged by itself where another one that is known stands beside it, too, and of either id.
#[test]
fn runs_beside_what_is_known() {
    let mut world = World::new();
    let token = token(&mut world.net.hosts[EDGE], "eve", None);
    let first = Liar::join(&mut world, &pass(&token));
    let keys = side_by_side(first.id, rows(), true, |_| 0);
    let delta = in_runs(&first, first.delta(&world, &[(first.id, MANY as u64)], keys));
    assert!(refusals(&first.says(&mut world, vec![Message::Delta(delta)])).is_empty());
    let liar = Liar::join_as(&mut world, &pass(&token), LinkId(98), 67);
    // Of each key a dot of the one, in another order or not, and the other's entry.
    let beside = |known: ReplicaId, turn: usize, id: ReplicaId, ahead: fn(usize) -> u64| {
        let listed = |(at, (key, set)): (usize, (Key, ListedSet))| {
            let dot = Listed::Known(Dot::new(known, 1 + ((at + turn) % MANY) as u64).into());
            (key, vec![dot, set[0].clone()].into())
        };
        side_by_side(id, rows(), true, ahead).into_iter().enumerate().map(listed).collect::<Vec<_>>()
    };
    let all = [(liar.id, MANY as u64)];

    let before = world.state();
    let delta = in_runs(&liar, liar.delta(&world, &all, beside(first.id, 0, liar.id, one_ahead)));
    let said = liar.says(&mut world, vec![Message::Delta(Delta { hlc: Hlc::new(START + 80_000, 0), ..delta })]);
    assert_eq!(refused(&said), ("CLOCK_DRIFT", vec![Dot::new(liar.id, 21)]));
    assert!(world.state() == before);

    let delta = in_runs(&liar, liar.delta(&world, &all, beside(first.id, 0, liar.id, |_| 0)));
    assert!(refusals(&liar.says(&mut world, vec![Message::Delta(delta)])).is_empty());
    let held = |world: &World| {
        let store = world.edge().replica.store();
        rows().map(|(key, _)| store.live(&default(), &key).unwrap().entries().len()).collect::<Vec<_>>()
    };
    assert_eq!(held(&world), [2; MANY]);

    // Nothing new comes: so nothing goes, whichever of the two is not named.
    let before = world.state();
    for (known, turn, id) in [(first.id, 1, liar.id), (liar.id, 1, first.id)] {
        let delta = in_runs(&liar, liar.delta(&world, &[], beside(known, turn, id, |_| 0)));
        let said = liar.says(&mut world, vec![Message::Delta(delta)]);
        let (code, dots) = refused(&said);
        assert!(code == "PERMISSION_DENIED" && dots.iter().all(|dot| dot.replica == known), "{said:?}");
        assert!(world.state() == before);
    }
    // What is said of the other's entries is a reference.
    let mut keys = beside(liar.id, 0, first.id, |_| 0);
    for (_, set) in &mut keys {
        let [known, Listed::Entry(entry)] = &set[..] else { panic!("{set:?}") };
        let mut other = entry.clone();
        other.content = text("another value");
        *set = vec![known.clone(), Listed::Entry(other)].into();
    }
    let delta = liar.delta(&world, &[], keys);
    assert!(refusals(&liar.says(&mut world, vec![Message::Delta(delta)])).is_empty());
    assert!(world.state() == before);
    world.goes_on();
}
