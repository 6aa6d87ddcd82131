//! Limits are a session's: who comes again, or over many links, has no more of them.

use super::*;
use edge_session::replica::Config;
use edge_session::store::entry::Key;

fn with_limits(limits: ClientLimits) -> World {
    World::with(Config { client_limits: limits, ..edge("fra1") })
}

/// A client of an id of its own, which has joined over `link`.
fn liar_of(world: &mut World, token: &str, link: u32, seed: u64) -> Liar {
    let mut secret = [0; 16];
    secret[..8].copy_from_slice(&seed.to_be_bytes());
    let secret = Secret::from_bytes(secret);
    let liar = Liar { id: secret.id("liar").unwrap(), secret, link: LinkId(link) };
    let now = world.net.now;
    world.net.with(EDGE, |edge| edge.replica.link_admit(liar.link, &pass(token), now)).unwrap();
    // Who has sent too much already is not heard.
    _ = liar.sends(world, &liar.frame(liar.proof()));
    liar
}

fn leave(world: &mut World, liar: &Liar) {
    let now = world.net.now;
    world.net.with(EDGE, |edge| edge.replica.link_down(liar.link, now));
}

/// Comes `times` with a new id and writes once under it. How many of the writes were taken, and what the others were told.
fn comes_again(world: &mut World, token: &str, first: u64, times: u64) -> (u64, Vec<String>) {
    let (mut taken, mut codes) = (0, Vec::new());
    for n in first..first + times {
        let liar = liar_of(world, token, 99, 1_000 + n);
        let write = liar.write(world, "k", liar.entry(1, "v"));
        let said = liar.says(world, vec![Message::Delta(write)]);
        codes.extend(refusals(&said).iter().map(|(code, _)| code.to_string()));
        taken += world.edge().vector().get(liar.id);
        leave(world, &liar);
        world.net.run(100);
    }
    (taken, codes)
}

#[test]
pub(super) fn who_comes_again_brings_no_more_new_ids() {
    let limits = ClientLimits { births: 8, ..ClientLimits::default() };
    let mut world = with_limits(limits);
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let (taken, codes) = comes_again(&mut world, &eve, 0, 100);
    assert_eq!((taken, codes.len()), (8, 92));
    assert!(codes.iter().all(|code| code == "RATE_LIMITED"), "{codes:?}");
    // Another one each minute.
    world.net.run(180_000);
    assert_eq!(comes_again(&mut world, &eve, 100, 10).0, 3);
    // An id that was seen here costs nothing, wherever it comes from.
    let known = liar_of(&mut world, &eve, 99, 1_000);
    let again = known.write(&world, "k", known.entry(2, "v"));
    assert!(refusals(&known.says(&mut world, vec![Message::Delta(again)])).is_empty());
    assert_eq!(world.edge().vector().get(known.id), 2);
    world.goes_on();
}

#[test]
pub(super) fn new_sessions_of_a_user_bring_sixteen_times_as_many_ids_and_no_more() {
    let limits = ClientLimits { births: 2, ..ClientLimits::default() };
    let mut world = with_limits(limits);
    let mut taken = 0;
    for n in 0..40 {
        let eve = token(&mut world.net.hosts[EDGE], "eve", None);
        taken += comes_again(&mut world, &eve, n * 3, 3).0;
    }
    // And as many more a minute as a session has in sixteen: that was twelve seconds.
    assert!((32..=36).contains(&taken), "{taken}");
    // Another user is another affair.
    let bob = token(&mut world.net.hosts[EDGE], "bob", None);
    assert_eq!(comes_again(&mut world, &bob, 500, 3).0, 2);
    world.goes_on();
}

#[test]
pub(super) fn nobody_is_rid_of_a_debt_by_bringing_others() {
    let limits = ClientLimits { births: 2, accounts: 32, ..ClientLimits::default() };
    let mut world = with_limits(limits);
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    assert_eq!(comes_again(&mut world, &eve, 0, 3).0, 2);
    // Many more than are remembered, each of which has spent a little.
    for n in 0..200 {
        let other = token(&mut world.net.hosts[EDGE], &format!("user{n}"), None);
        let liar = liar_of(&mut world, &other, 99, 66);
        leave(&mut world, &liar);
    }
    assert_eq!(comes_again(&mut world, &eve, 3, 3).0, 0);
    world.goes_on();
}

#[test]
pub(super) fn who_comes_again_has_sent_what_it_has_sent() {
    let mut world = World::new();
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let most = ClientLimits::default().messages * 10;
    let mut heard = 0;
    for link in 0..30 {
        let liar = liar_of(&mut world, &eve, 100 + link, 66);
        let hello = liar.frame(vec![Message::hello(vec![], true)]);
        for _ in 0..100 {
            heard += u64::from(liar.sends(&mut world, &hello).is_ok_and(|said| !said.is_empty()));
        }
        // Whether it goes or stays.
        if link % 2 == 0 {
            leave(&mut world, &liar);
        }
    }
    assert!(heard > most / 2 && heard <= most, "{heard} of {most}");
    world.goes_on();
}

#[test]
pub(super) fn by_request_and_on_a_link_one_session_is_one() {
    let mut world = World::new();
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = liar_of(&mut world, &eve, 99, 66);
    let hello = liar.frame(vec![Message::hello(vec![], false)]);
    for _ in 0..ClientLimits::default().messages * 10 {
        _ = liar.sends(&mut world, &hello);
    }
    let now = world.net.now;
    let asked = world.net.with(EDGE, |edge| edge.replica.exchange_as(LinkId(98), &pass(&eve), &hello, now));
    assert_eq!(code(asked), ErrorCode::RateLimited);
    world.goes_on();
}

#[test]
pub(super) fn a_session_has_so_many_links_at_a_time() {
    let limits = ClientLimits { links: 3, ..ClientLimits::default() };
    let mut world = with_limits(limits);
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let liars: Vec<Liar> = (0..3).map(|link| liar_of(&mut world, &eve, 100 + link, 66)).collect();
    let now = world.net.now;
    let joins =
        |world: &mut World, token: &str| world.net.with(EDGE, |edge| edge.replica.link_admit(LINK, &pass(token), now));
    let error = joins(&mut world, &eve).unwrap_err();
    assert_eq!(error.code(), ErrorCode::RateLimited);
    assert!(error.to_string().contains("as many links"), "{error}");
    let bob = token(&mut world.net.hosts[EDGE], "bob", None);
    joins(&mut world, &bob).unwrap();
    world.net.with(EDGE, |edge| edge.replica.link_down(LINK, now));
    leave(&mut world, &liars[1]);
    joins(&mut world, &eve).unwrap();
    world.goes_on();
}

/// A slice of a delta that never ends: so many keys of sixteen characters.
fn slice(world: &World, liar: &Liar, keys: usize) -> Message {
    let from = world.edge().vector();
    let mut base = from.clone();
    base.advance(Dot::new(liar.id, 1));
    let keys: Keys = (0..keys).map(|n| (Key::from(format!("{n:016}")), vec![].into())).collect();
    let (at, hlc) = (base.clone(), Hlc::new(START, 0));
    Message::Slice(Slice { space: default(), from, base, at, after: None, last: false, hlc, keys })
}

#[test]
pub(super) fn what_is_staged_over_many_links_counts_together() {
    let limits = ClientLimits { staged_bytes: 262_144, ..ClientLimits::default() };
    let mut world = with_limits(limits);
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let mut refused = 0;
    for link in 0..8 {
        let liar = liar_of(&mut world, &eve, 100 + link, 66 + u64::from(link));
        let said = {
            let slice = slice(&world, &liar, 1_000);
            liar.says(&mut world, vec![slice])
        };
        refused += refusals(&said).iter().filter(|(code, _)| *code == "QUOTA_EXCEEDED").count();
    }
    // A thousand keys take some eighty thousand bytes: three fit.
    assert_eq!(refused, 5);
    // Another session has room of its own.
    let bob = token(&mut world.net.hosts[EDGE], "bob", None);
    let liar = liar_of(&mut world, &bob, 200, 200);
    let said = {
        let slice = slice(&world, &liar, 1_000);
        liar.says(&mut world, vec![slice])
    };
    assert!(refusals(&said).is_empty(), "{said:?}");
    world.goes_on();
}

/// A world whose edge holds some megabytes.
fn full(limits: ClientLimits) -> World {
    let mut world = with_limits(limits);
    let author = world.author;
    for n in 0..64 {
        world.net.with(TAB, |tab| tab.set(author, &format!("long/{n}"), &"v".repeat(32_768)));
    }
    world.net.settle(60_000);
    world
}

/// How many bytes are sent to a session in `seconds`, that asks ten times a second by what `question` makes.
fn drawn(world: &mut World, liar: &Liar, seconds: u64, question: &dyn Fn(u64) -> Vec<u8>) -> usize {
    let mut bytes = 0;
    for n in 0..seconds * 10 {
        bytes += liar.frame(liar.sends(world, &question(n)).unwrap()).len();
        world.net.run(100);
    }
    bytes
}

#[test]
pub(super) fn what_a_client_asks_for_is_sent_at_a_rate() {
    let rate = 256 << 10;
    let limits = ClientLimits { sent_bytes: rate, ..ClientLimits::default() };
    let empty = VersionVector::new;
    let from = Secret::from_bytes([66; 16]).id("liar").unwrap();
    let says = move |message: Message| Frame { from, to: None, messages: vec![message] }.encode();
    let want = |after: Option<Key>| says(Message::Want { space: default(), from: empty(), base: empty(), after });
    let everything = |_| want(Some("z".into()));
    let beginning = |_| want(None);
    let behind = |_| says(Message::Behind { space: default(), vector: empty() });
    let another = |n: u64| {
        let from = ReplicaId::new("other", [(n % 2) as u8; 10]).unwrap();
        Frame { from, to: None, messages: vec![Message::hello(vec![], false)] }.encode()
    };
    let questions: [&dyn Fn(u64) -> Vec<u8>; 4] = [&everything, &beginning, &behind, &another];
    for (n, question) in questions.into_iter().enumerate() {
        let mut world = full(limits);
        let eve = token(&mut world.net.hosts[EDGE], "eve", None);
        let liar = liar_of(&mut world, &eve, 99, 66);
        let bytes = drawn(&mut world, &liar, 20, question);
        // Ten seconds' worth at once, one answer beyond it, and what has come back since.
        let most = (10 + 20) * rate as usize + (3 << 20);
        assert!(bytes > 2 << 20 && bytes <= most, "question {n}: {bytes} of {most}");
        world.goes_on();
        // When it has asked for nothing for a while it is told again.
        world.net.run(20_000);
        assert!(drawn(&mut world, &liar, 1, question) > 200_000, "question {n}");
    }
}

#[test]
pub(super) fn greetings_are_answered_beyond_that_rate_and_not_for_ever() {
    let mut world = with_limits(ClientLimits { sent_bytes: 16, ..ClientLimits::default() });
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = liar_of(&mut world, &eve, 99, 66);
    let hello = liar.frame(vec![Message::hello(vec![], true)]);
    let (mut answered, mut told) = (0, 0);
    for _ in 0..600 {
        let said = liar.sends(&mut world, &hello);
        told += u32::from(said.is_err());
        answered += u32::from(said.is_ok_and(|said| !said.is_empty()));
        world.net.run(100);
    }
    // A minute's worth beyond ten seconds', and what has come back since: two thousand bytes of some sixty each.
    assert!((10..150).contains(&answered), "{answered}");
    assert!((1..60).contains(&told), "{told}");
    world.goes_on();
}

#[test]
pub(super) fn one_frame_of_many_stale_deltas_is_answered_once() {
    let mut world = World::new();
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = liar_of(&mut world, &eve, 99, 66);
    let mut delta = liar.write(&world, "k", liar.entry(5, "v"));
    delta.from.advance(Dot::new(liar.id, 4));
    let said = liar.says(&mut world, vec![Message::Delta(delta); 200]);
    assert!(matches!(&said[..], [Message::Behind { .. }]), "{} answers", said.len());
}

/// By request the answer brings news that nobody has asked for.
#[test]
pub(super) fn what_is_answered_to_requests_is_sent_at_that_rate() {
    let rate = 256 << 10;
    let mut world = full(ClientLimits { sent_bytes: rate, ..ClientLimits::default() });
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let from = Secret::from_bytes([66; 16]).id("liar").unwrap();
    let hello = Frame { from, to: None, messages: vec![Message::hello(vec![], false)] }.encode();
    let mut bytes = 0;
    for _ in 0..200 {
        let now = world.net.now;
        world.net.with(EDGE, |edge| {
            edge.replica.exchange_as(LINK, &pass(&eve), &hello, now).unwrap();
            edge.drain();
            let mine = edge.sent.iter().filter(|(link, _)| *link == LINK);
            bytes += mine.map(|(_, bytes)| bytes.len()).sum::<usize>();
            edge.sent.retain(|(link, _)| *link != LINK);
        });
        world.net.run(100);
    }
    let most = (10 + 20) * rate as usize + (1 << 20);
    assert!(bytes > 2 << 20 && bytes <= most, "{bytes} of {most}");
    world.goes_on();
}

#[test]
pub(super) fn an_honest_client_gets_everything_at_that_rate() {
    const SECOND: usize = 2;
    let limits = ClientLimits { sent_bytes: 64 << 10, ..ClientLimits::default() };
    let mut slow = full(limits);
    let ann = token(&mut slow.net.hosts[EDGE], "ann", None);
    slow.net.hosts.push(Host::new(tab("second")));
    slow.net.join(SECOND, EDGE, &pass(&ann));
    let before = slow.net.sent;
    let took = slow.net.settle(120_000);
    assert!(took > 5_000, "two megabytes at 64 KiB a second take longer than {took} ms");
    assert!(slow.net.sent - before < 600, "{} messages in {took} ms", slow.net.sent - before);
}

#[test]
pub(super) fn answers_that_wait_for_storage_are_bounded() {
    let mut world = World::with(Config { storage: true, ..edge("fra1") });
    world.net.hosts[EDGE].prompt = true;
    world.net.hosts[EDGE].confirm_all();
    let author = world.author;
    for n in 0..64 {
        world.net.with(TAB, |tab| tab.set(author, &format!("long/{n}"), &"v".repeat(16_384)));
    }
    world.net.settle(60_000);
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = liar_of(&mut world, &eve, 99, 66);
    // Storage is late from now on, and there is something that it has not confirmed.
    world.net.hosts[EDGE].prompt = false;
    world.net.with(TAB, |tab| tab.set(author, "late", "v"));
    world.net.run(100);
    let none = VersionVector::new;
    let want = Message::Want { space: default(), from: none(), base: none(), after: None };
    let bytes = liar.frame(vec![want]);
    let mut told = Vec::new();
    for _ in 0..200 {
        told.extend(liar.sends(&mut world, &bytes).map_err(|error| error.to_string()).err());
        world.net.run(100);
    }
    assert_eq!(told.len(), 1, "told once: {told:?}");
    assert!(told[0].contains("storage is late"), "{told:?}");
    // By request it is the same.
    let now = world.net.now;
    let asked = world.net.with(EDGE, |edge| edge.replica.exchange_as(LinkId(98), &pass(&eve), &bytes, now));
    assert!(asked.unwrap_err().to_string().contains("storage is late"));
    world.net.hosts[EDGE].now = world.net.now;
    world.net.hosts[EDGE].prompt = true;
    world.net.hosts[EDGE].confirm_all();
    let sent: usize = world.edge().sent.iter().filter(|(link, _)| *link == LINK).map(|(_, bytes)| bytes.len()).sum();
    assert!(sent > 2 << 20 && sent < 4 << 20, "{sent} bytes waited");
    // Storage has caught up: it is heard again, and so are the others.
    world.net.with(EDGE, |edge| edge.sent.retain(|(link, _)| *link != LINK));
    assert!(!liar.sends(&mut world, &bytes).unwrap().is_empty());
    world.goes_on();
}

#[test]
pub(super) fn what_comes_over_a_closed_link_is_not_read() {
    let mut world = World::new();
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = liar_of(&mut world, &eve, 99, 66);
    assert!(liar.sends(&mut world, b"no frame").is_err());
    leave(&mut world, &liar);
    assert!(liar.sends(&mut world, b"no frame").unwrap().is_empty());
    world.goes_on();
}

#[test]
pub(super) fn by_request_an_id_is_proved_each_time() {
    let mut world = World::new();
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let secret = Secret::from_bytes([66; 16]);
    let owner = Liar { id: secret.id("liar").unwrap(), secret, link: LINK };
    let asks = |world: &mut World, messages: Vec<Message>| {
        let (bytes, now) = (owner.frame(messages), world.net.now);
        world.net.with(EDGE, |edge| edge.replica.exchange_as(LINK, &pass(&eve), &bytes, now)).unwrap();
        let edge = &mut world.net.hosts[EDGE];
        edge.sent.clear();
    };
    let write = Message::Delta(owner.write(&world, "k", owner.entry(1, "mine")));
    asks(&mut world, [owner.proof(), vec![write]].concat());
    assert_eq!(world.edge().vector().get(owner.id), 1);
    // A thief has the token, and has read the id in a delta. It comes at once.
    let stolen = Message::Delta(owner.write(&world, "k", owner.entry(2, "stolen")));
    let before = world.state();
    asks(&mut world, vec![stolen.clone()]);
    assert!(world.state() == before);
    // The owner goes on.
    asks(&mut world, [owner.proof(), vec![stolen]].concat());
    assert_eq!(world.edge().vector().get(owner.id), 2);
    world.goes_on();
}

/// A tab that speaks to the edge in requests: each message goes there with the pass, and its answer comes back.
fn converse(world: &mut World, tab: &mut Host, pass: &Pass) -> u32 {
    let (mut requests, reply) = (0, LinkId(98));
    for _ in 0..1_000 {
        let now = world.net.now;
        tab.at(now);
        let Some((link, request)) = (!tab.sent.is_empty()).then(|| tab.sent.remove(0)) else {
            if tab.vector() == world.edge().vector() {
                return requests;
            }
            world.net.run(10);
            continue;
        };
        requests += 1;
        let answer = world.net.with(EDGE, |edge| {
            edge.replica.exchange_as(reply, pass, &request, now).unwrap();
            edge.drain();
            let at = edge.sent.iter().position(|(link, _)| *link == reply).unwrap();
            edge.sent.remove(at).1
        });
        let said = Frame::decode(&answer).unwrap().messages;
        assert!(requests < 4 || refusals(&said).is_empty(), "{said:?}");
        tab.receive(link, &answer).unwrap();
    }
    panic!("{} and {}", tab.holds(), world.edge().holds());
}

#[test]
pub(super) fn an_honest_tab_proves_its_ids_with_each_request_and_makes_no_more_of_them() {
    let mut world = World::new();
    let ann = pass(&token(&mut world.net.hosts[EDGE], "ann", None));
    let mut second = Host::new(tab("second"));
    second.replica.link_up_every(LinkId(0), 2_000, world.net.now);
    second.drain();
    let session = second.session();
    second.set(session, "mine", "0");
    converse(&mut world, &mut second, &ann);
    for n in 1..=20 {
        second.set(session, "mine", &n.to_string());
        // The write goes with its proof, and the answer acknowledges it.
        let requests = converse(&mut world, &mut second, &ann);
        assert!(requests <= 2, "write {n}: {requests} requests");
        let live = world.edge().replica.store().live(&default(), "mine").unwrap();
        assert_eq!(live.winner().unwrap().content, text(&n.to_string()));
    }
}

#[test]
pub(super) fn where_the_clock_is_set_back_new_ids_come_back_as_they_would_have() {
    let mut world = with_limits(ClientLimits { births: 8, ..ClientLimits::default() });
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    assert_eq!(comes_again(&mut world, &eve, 0, 10).0, 8);
    world.set_back();
    world.net.run(180_000);
    assert_eq!(comes_again(&mut world, &eve, 100, 10).0, 3);
    world.goes_on();
}

#[test]
pub(super) fn where_the_clock_is_set_back_messages_are_heard_again_as_soon() {
    let mut world = World::new();
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = liar_of(&mut world, &eve, 99, 66);
    let hello = liar.frame(vec![Message::hello(vec![], true)]);
    let heard = |world: &mut World| liar.sends(world, &hello).is_ok_and(|said| !said.is_empty());
    while heard(&mut world) {}
    world.set_back();
    assert!(!heard(&mut world));
    world.net.run(1_000);
    assert!(heard(&mut world));
    world.goes_on();
}

#[test]
pub(super) fn where_the_clock_is_set_back_a_client_is_told_again_as_soon() {
    let rate = 256 << 10;
    let mut world = full(ClientLimits { sent_bytes: rate, ..ClientLimits::default() });
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let liar = liar_of(&mut world, &eve, 99, 66);
    let from = liar.id;
    let question = move |_| {
        let messages = vec![Message::Behind { space: default(), vector: VersionVector::new() }];
        Frame { from, to: None, messages }.encode()
    };
    let mut length = || liar.frame(liar.sends(&mut world, &question(0)).unwrap()).len();
    let told: Vec<usize> = (0..100).map(|_| length()).take_while(|length| *length > 200_000).collect();
    assert!(told.len() > 1 && told.len() < 100, "it is told until it has been sent too much: {told:?}");
    world.set_back();
    world.net.run(20_000);
    assert!(drawn(&mut world, &liar, 1, &question) > 200_000);
    world.goes_on();
}
