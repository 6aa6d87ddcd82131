//! Who may join, for how long, and how much at a time.

use super::*;
use edge_session::replica::{Config, Replica};

fn joins(edge: &mut Host, token: &str) -> Result<(), ErrorCode> {
    let now = edge.now;
    edge.replica.link_admit(LINK, &pass(token), now).map_err(|error| error.code())
}

#[test]
pub(super) fn only_a_token_that_the_cluster_has_signed_admits() {
    let mut edge = Host::new(edge("fra1"));
    let good = token(&mut edge, "ann", None);
    assert_eq!(joins(&mut edge, &good), Ok(()));
    // The same is said of them without a link, and nothing is begun by asking.
    let sessions = edge.replica.sessions().count();
    assert_eq!(edge.replica.admits(&good, edge.now), Some(true));
    assert_eq!(edge.replica.admits(&good[..good.len() - 9], edge.now), Some(false));
    assert_eq!(edge.replica.admits("", edge.now), Some(false));
    assert_eq!(edge.replica.sessions().count(), sessions);
    let mut forger = Host::new(Config { keys: vec![("k1".into(), vec![8; 32])], ..tab("forger") });
    let forged = token(&mut forger, "ann", None);
    for bad in [forged.as_str(), "", "~", "no token", "~AAAA", &good[..good.len() - 9], "a,b,c"] {
        assert_eq!(joins(&mut edge, bad), Err(ErrorCode::TokenInvalid), "{bad}");
    }
    // Where several come, each must hold.
    assert_eq!(joins(&mut edge, &format!("{good},{good}")), Ok(()));
    assert_eq!(joins(&mut edge, &format!("{good},{forged}")), Err(ErrorCode::TokenInvalid));
    edge.now += 24 * 3_600_000;
    assert_eq!(joins(&mut edge, &good), Err(ErrorCode::TokenExpired));
    assert_eq!(edge.replica.admits(&good, edge.now), Some(false));
    // Without a key nobody can be told from anybody.
    let mut plain = Replica::open(tab("plain"), START).unwrap();
    assert_eq!(plain.admits(&good, START), None);
    assert_eq!(code(plain.link_admit(LINK, &pass(&good), START)), ErrorCode::ArgumentInvalid);
}

#[test]
pub(super) fn a_link_ends_with_its_token_and_is_told_so() {
    let mut world = World::with(edge_session::replica::Config { token_life: 60_000, ..edge("fra1") });
    world.net.run(50_000);
    world.goes_on();
    assert!(world.edge().closed.is_empty());
    world.net.run(20_000);
    let [(link, error)] = &world.edge().closed[..] else { panic!("{:?}", world.edge().closed) };
    assert_eq!((*link, error.code()), (LinkId(TAB as u32), ErrorCode::TokenExpired));
    // What still comes over it is not listened to.
    let before = world.state();
    let author = world.author;
    world.net.with(TAB, |tab| tab.set(author, "honest", "too late"));
    world.net.run(10_000);
    assert!(world.state() == before);
}

#[test]
pub(super) fn a_link_ends_with_its_session_and_is_told_why() {
    let mut world = World::new();
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = Liar::join(&mut world, &pass(&eve));
    let reason = SessionError::new(ErrorCode::SessionNotFound, "the session was ended by its user");
    let session: SessionId =
        edge_session::session::token::SessionToken::open_unverified(&eve).unwrap().claims().unwrap().session;
    let now = world.net.now;
    world.net.with(EDGE, |edge| edge.replica.end_links(session, &reason, now));
    assert_eq!(world.edge().closed, [(LINK, reason)]);
    let delta = liar.write(&world, "k", liar.entry(1, "v"));
    assert!(liar.says(&mut world, vec![Message::Delta(delta)]).is_empty());
    // Others are not concerned.
    world.goes_on();
}

#[test]
pub(super) fn a_channel_that_stayed_open_goes_on_with_what_it_may() {
    let mut world = World::new();
    let link = LinkId(TAB as u32);
    let note = world.edge().replica.link_note(link).unwrap();
    let ann = token(&mut world.net.hosts[EDGE], "ann", None);
    let now = world.net.now;
    world.net.with(EDGE, |edge| edge.replica.link_resume_as(link, &pass(&ann), &note, now)).unwrap();
    // The tab is not asked for its id again.
    world.goes_on();
    let hello = world.net.with(EDGE, |edge| edge.replica.link_resume_as(link, &pass("~"), &note, now));
    assert_eq!(code(hello), ErrorCode::TokenInvalid);
}

#[test]
pub(super) fn who_sends_too_much_is_not_listened_to_for_a_while() {
    let mut world = World::new();
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = Liar::join(&mut world, &pass(&eve));
    let limits = ClientLimits::default();
    let hello = liar.frame(vec![Message::hello(vec![], false)]);
    let mut told = 0;
    for n in 0..limits.messages * 30 {
        let heard = liar.sends(&mut world, &hello);
        told += u64::from(heard.is_err());
        assert!(heard.is_ok() || n >= limits.messages * 10 - 2, "after {n}");
        if let Err(error) = heard {
            assert_eq!(error.code(), ErrorCode::RateLimited);
        }
    }
    assert_eq!(told, 1, "a flood is told once");
    // Bytes count as messages do, and others are not concerned.
    world.goes_on();
    world.net.run(1_000);
    let truth = liar.write(&world, "k", liar.entry(1, "v"));
    liar.says(&mut world, vec![Message::Delta(truth)]);
    assert_eq!(world.edge().vector().get(liar.id), 1, "a second later it is heard again");
}

#[test]
pub(super) fn few_long_messages_take_as_much_time_as_many_short_ones() {
    let mut world = World::new();
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = Liar::join(&mut world, &pass(&eve));
    let rate = ClientLimits::default().bytes;
    let entry = liar.entry(1, &"v".repeat(rate as usize));
    let long = liar.frame(vec![Message::Delta(liar.write(&world, "k", entry))]);
    // Twice a second for half a minute: thirty seconds' worth, and what may come at once.
    let mut read = 0;
    for _ in 0..60 {
        read += usize::from(!liar.sends(&mut world, &long).unwrap_or_default().is_empty());
        world.net.run(500);
    }
    assert!((30..=42).contains(&read), "{read}");
    world.goes_on();
}

#[test]
pub(super) fn requests_that_say_nothing_count_as_others_do() {
    let mut edge = Host::new(edge("fra1"));
    let strange = Secret::from_bytes([1; 16]).id("nobody").unwrap();
    let from = Secret::from_bytes([66; 16]).id("liar").unwrap();
    let astray = Frame { from, to: Some(strange), messages: vec![Message::hello(vec![], true)] }.encode();
    for (user, bytes) in [("ann", vec![]), ("bob", vec![1, 2, 3]), ("eve", astray)] {
        let token = token(&mut edge, user, None);
        let now = edge.now;
        let most = ClientLimits::default().messages * 10;
        let mut codes = Vec::new();
        for _ in 0..most + 10 {
            codes.push(edge.replica.exchange_as(LINK, &pass(&token), &bytes, now).map_err(|error| error.code()));
            edge.drain();
        }
        let limited = codes.iter().filter(|code| **code == Err(ErrorCode::RateLimited)).count();
        assert_eq!(limited, 10, "{user}");
        // And who says something then is not heard either.
        let hello = Frame { from, to: None, messages: vec![Message::hello(vec![], true)] }.encode();
        let then = edge.replica.exchange_as(LINK, &pass(&token), &hello, now);
        assert_eq!(code(then), ErrorCode::RateLimited);
        edge.replica.exchange_as(LINK, &pass(&token), &hello, now + 1_000).unwrap();
        edge.drain();
        edge.now = now + 1_000;
    }
}

#[test]
pub(super) fn by_request_a_client_has_the_same_gate() {
    let mut world = World::new();
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar =
        Liar { id: Secret::from_bytes([66; 16]).id("liar").unwrap(), secret: Secret::from_bytes([66; 16]), link: LINK };
    let asks = |world: &mut World, messages: Vec<Message>| {
        let (bytes, now) = (liar.frame(messages), world.net.now);
        world.net.with(EDGE, |edge| {
            edge.replica.exchange_as(LINK, &pass(&eve), &bytes, now).unwrap();
            edge.drain();
            let at = edge.sent.iter().position(|(link, _)| *link == LINK).unwrap();
            Frame::decode(&edge.sent.remove(at).1).unwrap().messages
        })
    };
    let truth = liar.write(&world, "k", liar.entry(1, "v"));
    let said = asks(&mut world, vec![Message::Delta(truth.clone())]);
    assert_eq!(refused(&said).0, "STALE_REPLICA", "the id is not proved yet");
    assert!(said.iter().any(|message| matches!(message, Message::Ask { .. })));
    let said = asks(&mut world, [liar.proof(), vec![Message::Delta(truth)]].concat());
    assert!(refusals(&said).is_empty(), "{said:?}");
    let lie = liar.delta(&world, &[(world.net.hosts[TAB].id(), 9)], vec![]);
    assert_eq!(refused(&asks(&mut world, vec![Message::Delta(lie)])).0, "STALE_REPLICA");
    // Other names do not make more room.
    let mut dropped = 0;
    for n in 0..2_000u64 {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&n.to_be_bytes());
        let from = ReplicaId::new("many", random).unwrap();
        let bytes = Frame { from, to: None, messages: vec![Message::hello(vec![], false)] }.encode();
        let now = world.net.now;
        dropped +=
            u32::from(world.net.with(EDGE, |edge| edge.replica.exchange_as(LINK, &pass(&eve), &bytes, now)).is_err());
    }
    assert!(dropped >= 900, "{dropped}");
    world.goes_on();
}

/// A tab behind the one that has a link to the edge.
const SECOND: usize = 2;

/// Two tabs over one link, which may speak for one id at a time.
fn two_tabs_for_one_id() -> World {
    let limits = ClientLimits { ids: 1, ..ClientLimits::default() };
    let mut world = World::with(Config { client_limits: limits, ..edge("fra1") });
    world.net.hosts.push(Host::new(tab("second")));
    world.net.connect(TAB, SECOND);
    world.net.run(5_000);
    world
}

#[test]
pub(super) fn more_ids_than_a_link_may_speak_for_take_turns_and_do_not_make_it_busy() {
    let mut world = two_tabs_for_one_id();
    let second = world.net.hosts[SECOND].session();
    world.net.with(SECOND, |tab| tab.set(second, "k", "of an id too many"));
    let before = world.net.sent;
    world.net.run(10_000);
    // Two links, each end of which speaks every two seconds, and a write that is tried again and again.
    assert!(world.net.sent - before < 100, "{}", world.net.sent - before);
    // One id has made room for the other.
    let live = world.edge().replica.store().live(&default(), "k").unwrap();
    assert_eq!(live.winner().unwrap().content, text("of an id too many"));
    // Two at once are too many here: that is not taken, and keeps nobody busy.
    let author = world.author;
    world.net.with(SECOND, |tab| tab.set(second, "k", "two"));
    world.net.with(TAB, |tab| tab.set(author, "honest", "at once"));
    let before = world.net.sent;
    world.net.run(10_000);
    assert!(world.net.sent - before < 150, "{}", world.net.sent - before);
}

#[test]
pub(super) fn ids_take_turns_where_the_clock_is_set_back() {
    let mut world = two_tabs_for_one_id();
    let (author, second) = (world.author, world.net.hosts[SECOND].session());
    world.net.with(SECOND, |tab| tab.set(second, "k", "before"));
    world.net.run(10_000);
    world.net.with(TAB, |tab| tab.set(author, "k", "between"));
    world.net.run(10_000);
    world.set_back();
    world.net.with(SECOND, |tab| tab.set(second, "k", "behind"));
    world.net.run(20_000);
    let live = world.edge().replica.store().live(&default(), "k").unwrap();
    assert_eq!(live.winner().unwrap().content, text("behind"));
}
