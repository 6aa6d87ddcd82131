//! Each lie is refused by its name, and changes nothing.

use super::*;
use edge_session::replica::Config;

/// What a lie is answered, when the state must stay as it was and others must go on.
pub(super) fn told(lie: impl FnOnce(&World, &Liar) -> Delta) -> (String, Vec<Dot>) {
    let mut world = World::new();
    let token = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = Liar::join(&mut world, &pass(&token));
    let delta = lie(&world, &liar);
    let (before, id) = (world.state(), world.edge().id());
    let said = liar.says(&mut world, vec![Message::Delta(delta)]);
    let (code, dots) = refused(&said);
    assert!(world.state() == before, "state has changed");
    world.goes_on();
    assert_eq!(world.edge().id(), id, "the edge writes on under its own id");
    // The liar itself is heard again once it speaks the truth.
    let truth = liar.write(&world, "own", liar.entry(1, "v"));
    let heard = liar.says(&mut world, vec![Message::Delta(truth)]);
    assert!(refusals(&heard).is_empty(), "{heard:?}");
    assert_eq!(world.edge().vector().get(liar.id), 1);
    (code.into(), dots)
}

pub(super) fn honest(world: &World) -> ReplicaId {
    world.net.hosts[TAB].id()
}

#[test]
pub(super) fn writing_under_anothers_id() {
    let mut dot = None;
    let lie = |world: &World, liar: &Liar| {
        let forged = Dot::new(honest(world), 2);
        dot = Some(forged);
        let entry = liar.entry(1, "forged").with_dot(forged);
        liar.delta(world, &[(forged.replica, 2)], vec![("honest".into(), vec![Listed::Entry(entry)].into())])
    };
    assert_eq!(told(lie), ("STALE_REPLICA".into(), vec![dot.unwrap()]));
}

#[test]
pub(super) fn advancing_the_edges_own_id() {
    let lie = |world: &World, liar: &Liar| liar.delta(world, &[(world.edge().id(), 1 << 40)], vec![]);
    assert_eq!(told(lie).0, "STALE_REPLICA");
}

#[test]
pub(super) fn advancing_an_id_that_nobody_has() {
    let ghost = ReplicaId::new("ghost", [9; 10]).unwrap();
    let lie = |world: &World, liar: &Liar| liar.delta(world, &[(ghost, 1), (liar.id, 1)], vec![]);
    assert_eq!(told(lie), ("STALE_REPLICA".into(), vec![Dot::new(ghost, 1)]));
}

#[test]
pub(super) fn a_huge_to_of_the_own_id() {
    let lie = |world: &World, liar: &Liar| {
        let sequence = edge_session::id::SEQUENCE_MAX;
        liar.delta(
            world,
            &[(liar.id, sequence)],
            vec![("k".into(), vec![Listed::Entry(liar.entry(sequence, "v"))].into())],
        )
    };
    assert_eq!(told(lie).0, "QUOTA_EXCEEDED");
}

#[test]
pub(super) fn an_emptied_live_set() {
    let mut gone = None;
    let lie = |world: &World, liar: &Liar| {
        gone = Some(Dot::new(honest(world), 1));
        liar.delta(world, &[(liar.id, 1)], vec![("honest".into(), vec![].into())])
    };
    assert_eq!(told(lie), ("PERMISSION_DENIED".into(), vec![gone.unwrap()]));
}

#[test]
pub(super) fn a_live_set_emptied_without_naming_its_key() {
    let lie = |world: &World, liar: &Liar| {
        let delta = liar.delta(world, &[(liar.id, 1)], vec![]);
        Delta { from: VersionVector::new(), ..delta }
    };
    assert_eq!(told(lie).0, "PERMISSION_DENIED");
}

#[test]
pub(super) fn a_live_set_emptied_in_favour_of_an_old_write_of_ones_own() {
    let mut world = World::new();
    let token = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = Liar::join(&mut world, &pass(&token));
    let first = liar.write(&world, "honest", liar.entry(1, "mine"));
    assert!(refusals(&liar.says(&mut world, vec![Message::Delta(first)])).is_empty());
    world.goes_on();
    let before = world.state();
    // The old write is no new one, so the tab's may not go for it.
    let old = liar.write(&world, "honest", liar.entry(1, "mine"));
    let said = liar.says(&mut world, vec![Message::Delta(old)]);
    assert_eq!(refused(&said).0, "PERMISSION_DENIED");
    assert!(world.state() == before);
}

#[test]
pub(super) fn a_clock_of_the_future() {
    let lie = |world: &World, liar: &Liar| {
        let mut entry = liar.entry(1, "v");
        entry.hlc = Hlc::new(START + 70_000, 0);
        let delta = liar.write(world, "k", entry);
        Delta { hlc: Hlc::new(START + 70_000, 0), ..delta }
    };
    let (code, dots) = told(lie);
    assert_eq!((code.as_str(), dots.len()), ("CLOCK_DRIFT", 1));
}

#[test]
pub(super) fn a_delta_whose_clock_runs_ahead_of_its_entries() {
    let mut world = World::new();
    let token = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = Liar::join(&mut world, &pass(&token));
    let ahead = Hlc::new(START + 86_400_000, 0);
    let delta = Delta { hlc: ahead, ..liar.write(&world, "k", liar.entry(1, "v")) };
    assert!(refusals(&liar.says(&mut world, vec![Message::Delta(delta)])).is_empty());
    assert!(world.edge().replica.store().clock().last() < Hlc::new(START + 60_000, 0), "the edge's clock stays");
}

#[test]
pub(super) fn stamps_that_creep_ahead_of_the_time() {
    let mut world = World::new();
    let token = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = Liar::join(&mut world, &pass(&token));
    let limit = world.net.now + 60_000;
    let mut sequence = 0;
    for n in 0..200 {
        let last = world.edge().replica.store().clock().last();
        let hlc = Hlc::new(limit.max(last.millis() + 1), 0);
        let mut entry = liar.entry(sequence + 1, "v");
        entry.hlc = hlc;
        let delta = Delta { hlc, ..liar.write(&world, "k", entry) };
        let said = liar.says(&mut world, vec![Message::Delta(delta)]);
        match refusals(&said)[..] {
            [] => sequence += 1,
            [(code, _)] => assert_eq!(code, "CLOCK_DRIFT", "after {n}"),
            _ => panic!("{said:?}"),
        }
    }
    let last = world.edge().replica.store().clock().last();
    assert!(last.millis() >= limit && last.millis() <= limit + 20, "{} ms beyond the minute", last.millis() - limit);
    // Who has seen that stamp writes after it, and is not refused for it.
    world.goes_on();
    let hlc = world.edge().replica.store().clock().last().next();
    let mut entry = liar.entry(sequence + 1, "after");
    entry.hlc = hlc;
    let after = Delta { hlc, ..liar.write(&world, "k", entry) };
    assert!(refusals(&liar.says(&mut world, vec![Message::Delta(after)])).is_empty());
}

#[test]
pub(super) fn values_keys_and_batches_beyond_the_limits() {
    let value = |world: &World, liar: &Liar| liar.write(world, "k", liar.entry(1, &"v".repeat((1 << 20) + 1)));
    assert_eq!(told(value).0, "VALUE_TOO_LARGE");
    let key = |world: &World, liar: &Liar| liar.write(world, &"k".repeat(1025), liar.entry(1, "v"));
    assert_eq!(told(key).0, "KEY_INVALID");
    let batch = |world: &World, liar: &Liar| {
        let keys = (0..1001).map(|n| (format!("k{n:04}").into(), vec![Listed::Entry(liar.entry(1, "v"))].into()));
        liar.delta(world, &[(liar.id, 1)], keys.collect())
    };
    let (code, dots) = told(batch);
    assert_eq!((code.as_str(), dots.len()), ("QUOTA_EXCEEDED", 1));
    let long = |world: &World, liar: &Liar| {
        let value = "v".repeat(1 << 20);
        let keys = (0..9).map(|n| (format!("k{n}").into(), vec![Listed::Entry(liar.entry(1, &value))].into()));
        liar.delta(world, &[(liar.id, 1)], keys.collect())
    };
    let (code, dots) = told(long);
    assert_eq!((code.as_str(), dots.len()), ("QUOTA_EXCEEDED", 1));
}

#[test]
fn what_it_says_that_it_holds_is_believed_as_far_as_there_is_something_to_hold() {
    let mut world = World::new();
    let token = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = Liar::join(&mut world, &pass(&token));
    let made_up = (0..1_000u16).map(|n| ([n.to_be_bytes(); 5].concat().try_into().unwrap(), u64::from(n) + 1));
    let mut vector: VersionVector =
        made_up.map(|(random, sequence)| (ReplicaId::new("none", random).unwrap(), sequence)).collect();
    vector.advance(Dot::new(honest(&world), 1 << 40));
    let held = world.edge().vector();
    for said in [
        Message::hello(vec![(default(), vector.clone())], false),
        Message::Ack { space: default(), vector: vector.clone() },
        Message::Behind { space: default(), vector: vector.clone() },
    ] {
        liar.says(&mut world, vec![said]);
        let peer = world.edge().replica.peers().find(|peer| peer.link == liar.link).unwrap();
        for (_, known) in peer.holds {
            assert!(held.dominates(&known), "{known}");
        }
    }
    world.goes_on();
}

#[test]
pub(super) fn siblings_of_ones_own_making() {
    let mut world = World::new();
    let token = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = Liar::join(&mut world, &pass(&token));
    let before = world.state();
    let set = (1..=40).map(|n| Listed::Entry(liar.entry(n, "v"))).collect();
    let bytes = liar.frame(vec![Message::Delta(liar.delta(&world, &[(liar.id, 40)], vec![("k".into(), set)]))]);
    assert_eq!(code(liar.sends(&mut world, &bytes)), ErrorCode::MessageMalformed, "an id has one live entry a key");
    assert!(world.state() == before);
    world.goes_on();
}

#[test]
pub(super) fn sequences_that_are_skipped() {
    let mut world = World::new();
    let token = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = Liar::join(&mut world, &pass(&token));
    let before = world.state();
    let mut delta = liar.write(&world, "k", liar.entry(5, "v"));
    delta.from.advance(Dot::new(liar.id, 4));
    let said = liar.says(&mut world, vec![Message::Delta(delta)]);
    assert!(matches!(&said[..], [Message::Behind { .. }]), "{said:?}");
    assert!(world.state() == before);
}

#[test]
pub(super) fn what_is_said_of_others_entries_is_not_listened_to() {
    let mut world = World::new();
    let token = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = Liar::join(&mut world, &pass(&token));
    let dot = Dot::new(honest(&world), 1);
    let forged = liar.entry(1, "forged").with_dot(dot);
    let keys = vec![
        ("honest".into(), vec![Listed::Entry(forged.clone())].into()),
        ("k".into(), vec![Listed::Entry(liar.entry(1, "v"))].into()),
    ];
    let delta = Delta { from: VersionVector::new(), ..liar.delta(&world, &[(liar.id, 1)], keys) };
    let said = liar.says(&mut world, vec![Message::Delta(delta)]);
    assert!(refusals(&said).is_empty(), "{said:?}");
    let live = world.edge().replica.store().live(&default(), "honest").unwrap();
    assert_eq!(live.winner().unwrap().content, text("1"));
    world.goes_on();
}

#[test]
pub(super) fn a_message_repeated_or_cut_short_changes_nothing() {
    let mut world = World::new();
    let token = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = Liar::join(&mut world, &pass(&token));
    let bytes = liar.frame(vec![Message::Delta(liar.write(&world, "k", liar.entry(1, "v")))]);
    let before = world.state();
    for len in 1..bytes.len() {
        assert_eq!(code(liar.sends(&mut world, &bytes[..len])), ErrorCode::MessageMalformed, "cut to {len}");
        world.net.run(10);
    }
    assert!(world.state() == before);
    liar.sends(&mut world, &bytes).unwrap();
    world.goes_on();
    let after = world.state();
    liar.sends(&mut world, &bytes).unwrap();
    assert!(world.state() == after, "a replay is no news");
}

#[test]
pub(super) fn writing_where_one_may_only_read() {
    let mut world = World::new();
    let token = token(&mut world.net.hosts[EDGE], "eve", Some("eve"));
    let read_only = Pass { token, spaces: vec![(default(), Right::Read)] };
    let liar = Liar::join(&mut world, &read_only);
    let before = world.state();
    let said = {
        let delta = liar.write(&world, "k", liar.entry(1, "v"));
        liar.says(&mut world, vec![Message::Delta(delta)])
    };
    assert_eq!(refused(&said), ("PERMISSION_DENIED", vec![Dot::new(liar.id, 1)]));
    // Nor bit by bit.
    let slice = edge_session::sync::message::Slice {
        space: default(),
        from: VersionVector::new(),
        base: VersionVector::from_iter([(liar.id, 1)]),
        at: VersionVector::from_iter([(liar.id, 1)]),
        after: None,
        last: true,
        hlc: Hlc::new(START, 0),
        keys: vec![("k".into(), vec![Listed::Entry(liar.entry(1, "v"))].into())].into(),
    };
    let said = liar.says(&mut world, vec![Message::Slice(slice)]);
    assert_eq!(refused(&said).0, "PERMISSION_DENIED");
    assert!(world.state() == before);
}

#[test]
pub(super) fn an_id_is_its_makers_alone() {
    let mut world = World::new();
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let first = Liar::join(&mut world, &pass(&eve));
    let truth = first.write(&world, "k", first.entry(1, "mine"));
    first.says(&mut world, vec![Message::Delta(truth)]);
    // Another one has seen the id in a delta, and says that it is its own.
    let mallory = token(&mut world.net.hosts[EDGE], "mallory", None);
    let mut thief = Liar::join_as(&mut world, &pass(&mallory), LinkId(98), 67);
    thief.id = first.id;
    thief.says(&mut world, thief.proof());
    let before = world.state();
    let lie = thief.write(&world, "k", thief.entry(2, "stolen"));
    let said = thief.says(&mut world, vec![Message::Delta(lie)]);
    assert_eq!(refused(&said), ("STALE_REPLICA", vec![Dot::new(first.id, 2)]));
    assert!(said.iter().any(|message| matches!(message, Message::Ask { ids, .. } if ids == &[first.id])), "{said:?}");
    assert!(world.state() == before);
}

#[test]
pub(super) fn more_ids_than_one_client_may_have() {
    let mut world = World::new();
    let token = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = Liar::join(&mut world, &pass(&token));
    let most = ClientLimits::default().ids as u8;
    for seed in 0..most {
        let secret = Secret::from_bytes([seed; 16]);
        let id = secret.id("liar").unwrap();
        liar.says(&mut world, vec![Message::Bind { ids: vec![(id, secret)] }]);
        let entry = liar.entry(1, "v").with_dot(Dot::new(id, 1));
        let delta = liar.delta(&world, &[(id, 1)], vec![("k".into(), vec![Listed::Entry(entry)].into())]);
        let said = liar.says(&mut world, vec![Message::Delta(delta)]);
        let expected = if seed + 1 < most { vec![] } else { vec!["STALE_REPLICA"] };
        assert_eq!(refusals(&said).iter().map(|(code, _)| *code).collect::<Vec<_>>(), expected, "id {seed}");
    }
}

#[test]
pub(super) fn one_question_asked_a_thousand_times_is_answered_once() {
    let mut world = World::new();
    let author = world.author;
    for n in 0..40 {
        world.net.with(TAB, |tab| tab.set(author, &format!("long/{n}"), &"v".repeat(16_384)));
    }
    world.net.settle(60_000);
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = Liar::join(&mut world, &pass(&eve));
    let none = VersionVector::new();
    let want = Message::Want { space: default(), from: none.clone(), base: none, after: None };
    let hello = Message::hello(vec![], true);
    let bytes = |said: &[Message]| liar.frame(said.to_vec()).len();
    let once = bytes(&liar.says(&mut world, vec![want.clone(), hello.clone()]));
    let often = [vec![want; 100], vec![hello; 100]].concat();
    let answer = bytes(&liar.says(&mut world, often));
    // A run of slices grows by one a question; so do the questions of one frame, were they all answered.
    assert!(answer <= 3 * once, "{answer} after {once}");
    // And more than there is to say is not read.
    let error = liar.sends(&mut world, &liar.frame(vec![Message::Unknown { kind: 99 }; 10_000])).unwrap_err();
    assert_eq!(error.code(), ErrorCode::MessageMalformed);
    world.goes_on();
}

/// Eight slices of a delta that never ends, to an edge that stages little: their vectors and keys. What the liar was refused with.
fn stages(slice: impl Fn(u64, &VersionVector) -> (VersionVector, Keys)) -> Vec<String> {
    let limits = ClientLimits { staged_bytes: 65_536, ..ClientLimits::default() };
    let mut world = World::with(Config { client_limits: limits, ..edge("fra1") });
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = Liar::join(&mut world, &pass(&eve));
    let from = world.edge().vector();
    let mut base = from.clone();
    base.advance(Dot::new(liar.id, 1));
    let (mut after, mut codes) = (None, Vec::new());
    for n in 0..8 {
        let (at, keys) = slice(n, &base);
        let last = keys.last().map(|(key, _)| key.clone());
        let (hlc, from, base) = (Hlc::new(START, 0), from.clone(), base.clone());
        let slice = Slice { space: default(), from, base, at, after, last: false, hlc, keys };
        let said = liar.says(&mut world, vec![Message::Slice(slice)]);
        codes.extend(refusals(&said).iter().map(|(code, _)| code.to_string()));
        after = last;
    }
    world.goes_on();
    codes
}

#[test]
pub(super) fn ids_that_slices_name_take_room_while_they_are_staged() {
    let codes = stages(|slice, base| {
        let ghost = |n: u8| ReplicaId::new("ghost", [slice as u8, n, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        let at = base.iter().chain((0..=255).map(|n| (ghost(n), 1))).collect();
        (at, vec![(format!("{slice}").into(), vec![].into())].into())
    });
    // Two thousand ids, as many bytes each as an entry beside its text.
    assert!(codes.contains(&"QUOTA_EXCEEDED".into()), "{codes:?}");
}

#[test]
pub(super) fn keys_without_entries_take_room_while_they_are_staged() {
    let codes = stages(|slice, base| {
        (base.clone(), (0..512).map(|n| (format!("{:05}", slice * 512 + n).into(), vec![].into())).collect())
    });
    // Four thousand keys of five characters, at some sixty bytes each beside them.
    assert!(codes.contains(&"QUOTA_EXCEEDED".into()), "{codes:?}");
}
