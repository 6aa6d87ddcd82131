//! Anti-entropy: pairs and lines of replicas over links that lose, repeat, delay and misdeliver, in virtual time.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

mod common;

use common::host::{Host, SYNC, THROW};
use common::net::{Dice, Fate, Flight, Net, down, reliable};
use common::{START, batch, edge, put, stored};
use edge_session::id::ReplicaId;
use edge_session::io::{Event, LinkId, Range};
use edge_session::store::entry::LiveSet;
use edge_session::sync::message::{Frame, Message, RESERVED};
use edge_session::sync::peer::SLICE_BYTES;
use edge_session::vector::VersionVector;
use proptest::prelude::*;

/// The pause between two hellos, and before an unanswered delta is sent again.
const HEARTBEAT: u64 = 2_000;
const LABELS: [&str; 4] = ["paris", "tokyo", "berlin", "lagos"];

/// So many replicas, each with one session, linked as told.
fn net(hosts: usize, links: &[(usize, usize)]) -> Net {
    let mut net = Net::new(LABELS[..hosts].iter().map(|label| Host::new(edge(label))).collect());
    links.iter().for_each(|(a, b)| net.connect(*a, *b));
    net
}

fn set(net: &mut Net, host: usize, key: &str, value: &str) {
    net.with(host, |host| {
        let session = host.session();
        host.set(session, key, value);
        host.replica.close_session(session);
    });
}

fn live(host: &Host) -> Vec<(String, LiveSet)> {
    let space = host.space();
    let keys = host.replica.store().space(&space).into_iter().flat_map(|state| state.iter());
    keys.map(|(key, set)| (key.to_string(), set.clone())).collect()
}

/// Equal vectors, equal live entries (invariant I4).
fn assert_converged(net: &Net) {
    for pair in net.hosts.windows(2) {
        assert_eq!(pair[0].vector(), pair[1].vector());
        assert_eq!(live(&pair[0]), live(&pair[1]));
    }
}

// ── Two replicas ────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn two_replicas_that_both_write_come_to_hold_the_same() {
    let mut net = net(2, &[(0, 1)]);
    for round in 0..20 {
        set(&mut net, 0, &format!("a{round}"), "v");
        set(&mut net, 1, &format!("b{round}"), "v");
        set(&mut net, round % 2, "shared", &round.to_string());
        net.run(1);
    }
    let took = net.settle(HEARTBEAT);
    assert_converged(&net);
    assert!(took < 100, "{took} ms, without any loss");
}

#[test]
fn news_is_told_at_once_and_not_only_with_the_next_heartbeat() {
    let mut net = net(2, &[(0, 1)]);
    net.run(HEARTBEAT / 2);
    set(&mut net, 0, "k", "v");
    assert_eq!(net.settle(HEARTBEAT), 5, "one way, once");
}

#[test]
fn when_all_is_said_only_the_heartbeat_is_left() {
    let mut net = net(2, &[(0, 1)]);
    set(&mut net, 0, "k", "v");
    net.run(10_000);
    let (sent, bytes) = (net.sent, net.bytes);
    net.run(100 * HEARTBEAT);
    assert!(net.sent - sent <= 202, "{} messages", net.sent - sent);
    assert!((net.bytes - bytes) / (net.sent - sent) < 100, "of vectors alone");
}

#[test]
fn the_heartbeat_heals_whatever_was_lost() {
    let mut net = net(2, &[(0, 1)]);
    net.run(100);
    net.fate = down();
    set(&mut net, 0, "k", "v");
    set(&mut net, 1, "l", "v");
    net.run(60_000);
    assert!(!net.agrees());
    net.fate = reliable(5);
    let took = net.settle(60_000);
    assert!(took <= 30_000 + HEARTBEAT, "{took} ms: no more than the longest pause between two attempts");
    assert_converged(&net);
}

#[test]
fn a_link_that_closes_and_opens_again_goes_on() {
    let mut net = net(2, &[(0, 1)]);
    set(&mut net, 0, "k", "v");
    net.settle(HEARTBEAT);
    net.disconnect(0, 1);
    set(&mut net, 0, "k", "w");
    set(&mut net, 1, "l", "v");
    net.run(10_000);
    net.connect(0, 1);
    assert!(net.settle(HEARTBEAT) < 100);
    assert_converged(&net);
    let counts: Vec<u32> =
        net.hosts[0].events.iter().filter_map(|e| if let Event::Peers(n) = e { Some(*n) } else { None }).collect();
    assert_eq!(counts, [1, 0, 1]);
}

#[test]
fn an_operation_that_waits_is_released_by_the_link() {
    let mut net = net(2, &[(0, 1)]);
    net.run(100);
    net.fate = reliable(300);
    let token = net.with(0, |paris| {
        let ann = paris.session();
        paris.set(ann, "k", "v");
        paris.token(ann)
    });
    let wait = net.with(1, |tokyo| {
        let ann = tokyo.resume(&token);
        tokyo.wait(ann, edge_session::io::Operation::Get("k".into()), common::host::PLAIN)
    });
    net.run(299);
    assert_eq!(net.hosts[1].taken(wait), None);
    net.run(1);
    assert!(matches!(net.hosts[1].taken(wait), Some(Ok(edge_session::io::Answer::Item(Some(_))))));
}

#[test]
fn an_error_names_the_peer_that_has_what_is_missing() {
    let mut net = net(3, &[(0, 1), (1, 2)]);
    let token = net.with(0, |paris| {
        let ann = paris.session();
        paris.set(ann, "k", "v");
        paris.token(ann)
    });
    net.settle(HEARTBEAT);
    let mut lagos = Host::new(edge("lagos"));
    lagos.replica.link_up(LinkId(9), net.now);
    lagos.drain();
    let hello = net.hosts[2].exchange(&[]);
    lagos.receive(LinkId(9), &hello).unwrap();
    let ann = lagos.resume(&token);
    let missing = lagos.replica.missing(ann, None, net.now).unwrap();
    assert_eq!(missing[0].holders, [net.hosts[2].id()]);
}

// ── Lines ───────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn what_one_end_of_a_line_writes_reaches_the_other() {
    let mut net = net(4, &[(0, 1), (1, 2), (2, 3)]);
    net.run(100);
    set(&mut net, 0, "west", "v");
    set(&mut net, 3, "east", "v");
    assert_eq!(net.settle(HEARTBEAT), 15, "three hops of 5 ms");
    assert_converged(&net);
}

#[test]
fn a_ring_does_not_send_anything_round_for_ever() {
    let mut net = net(4, &[(0, 1), (1, 2), (2, 3), (3, 0)]);
    net.run(100);
    let sent = net.sent;
    set(&mut net, 0, "k", "v");
    net.run(500);
    assert!(net.sent - sent <= 32, "{} messages for one write", net.sent - sent);
    assert_converged(&net);
}

// ── Bad links ───────────────────────────────────────────────────────────────────────────────────────────────────────

/// Messages are lost, repeated, delayed past each other, and led to any other end of any link.
fn unreliable(seed: u64, loss: u64, astray: u64, ends: Vec<(usize, LinkId)>) -> Fate {
    let mut dice = Dice(seed);
    let mut seen: Vec<Vec<u8>> = Vec::new();
    Box::new(move |flight| {
        let mut copies = Vec::new();
        for _ in 0..=u64::from(dice.percent(25)) {
            if !dice.percent(loss) {
                copies.push((dice.below(400), flight.clone()));
            }
        }
        if dice.percent(astray) {
            // To somebody else, or back to its sender; a message of now or of long ago.
            let to = ends[dice.below(ends.len() as u64) as usize];
            let old = dice.below(seen.len() as u64 + 1) as usize;
            let bytes = seen.get(old).unwrap_or(&flight.bytes).clone();
            copies.push((dice.below(400), Flight { to, bytes }));
        }
        seen.push(flight.bytes.clone());
        copies
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn lost_repeated_reordered_and_misdelivered_messages_cost_time_only(
        seed: u64,
        loss in 0..70u64,
        astray in 0..40u64,
        ring: bool,
        writes in prop::collection::vec((0..3usize, 0..6u8, 0..500u64), 1..30),
    ) {
        let links = if ring { vec![(0, 1), (1, 2), (2, 0)] } else { vec![(0, 1), (1, 2)] };
        let mut net = net(3, &links);
        let ends = links.iter().flat_map(|(a, b)| [(*a, LinkId(*b as u32)), (*b, LinkId(*a as u32))]).collect();
        net.fate = unreliable(seed, loss, astray, ends);
        for (at, (host, key, pause)) in writes.into_iter().enumerate() {
            set(&mut net, host, &format!("k{key}"), &at.to_string());
            net.run(pause);
        }
        net.run(5_000);
        net.fate = reliable(5);
        net.settle(120_000);
        assert_converged(&net);
        prop_assert_eq!(net.refused, 0);
        for host in &net.hosts {
            let bad = |event: &&Event| matches!(event, Event::Renamed { .. } | Event::Refused(_));
            prop_assert_eq!(host.events.iter().find(bad), None);
        }
    }
}

/// All frames that ever were, each to each end of each link: what was true once does no harm later.
#[test]
fn every_old_message_may_come_again_anywhere() {
    let mut net = net(3, &[(0, 1), (1, 2)]);
    let archive = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let copy = archive.clone();
    net.fate = Box::new(move |flight| {
        copy.borrow_mut().push(flight.bytes.clone());
        vec![(5, flight.clone())]
    });
    for round in 0..6 {
        set(&mut net, round % 3, "k", &round.to_string());
        set(&mut net, (round + 1) % 3, &format!("k{round}"), "v");
        net.run(if round % 2 == 0 { 3 } else { 2_500 });
    }
    net.settle(10_000);
    let before: Vec<_> = net.hosts.iter().map(live).collect();
    let frames = archive.borrow().clone();
    let kinds = |wanted: fn(&Message) -> bool| {
        frames.iter().flat_map(|bytes| Frame::decode(bytes).unwrap().messages).filter(wanted).count()
    };
    assert!(kinds(|m| matches!(m, Message::Delta(_))) > 4 && kinds(|m| matches!(m, Message::Ack { .. })) > 4);
    net.fate = down();
    for frame in &frames {
        for end in [(0, LinkId(1)), (1, LinkId(0)), (1, LinkId(2)), (2, LinkId(1))] {
            net.with(end.0, |host| host.receive(end.1, frame).unwrap());
        }
    }
    let after: Vec<_> = net.hosts.iter().map(live).collect();
    assert_eq!(before, after, "nothing comes back");
    net.fate = reliable(5);
    set(&mut net, 0, "k", "after");
    net.settle(60_000);
    assert_converged(&net);
}

#[test]
fn an_old_behind_lowers_what_is_believed_and_costs_one_delta() {
    let mut net = net(2, &[(0, 1)]);
    for n in 0..10 {
        set(&mut net, 0, &format!("k{n}"), "v");
    }
    net.settle(HEARTBEAT);
    net.run(100);
    let (tokyo, paris) = (net.hosts[1].id(), net.hosts[0].id());
    let behind = Message::Behind { space: net.hosts[0].space(), vector: VersionVector::from_iter([(paris, 2)]) };
    let frame = Frame { from: tokyo, to: Some(paris), messages: vec![behind] }.encode();
    let sent = net.sent;
    net.inject((0, LinkId(1)), frame, 1);
    net.run(500);
    assert_eq!(net.sent - sent, 2, "the delta once more, and its acknowledgement");
    assert_converged(&net);
}

#[test]
fn an_acknowledgement_of_more_than_there_is_does_not_stop_the_news() {
    let mut net = net(2, &[(0, 1)]);
    net.run(100);
    let (paris, tokyo) = (net.hosts[0].id(), net.hosts[1].id());
    // Whoever says that it holds what it does not is asked to say so again, by its own `Behind`.
    let vector = VersionVector::from_iter([(tokyo, 7)]);
    let ack = Message::Ack { space: net.hosts[0].space(), vector };
    net.inject((0, LinkId(1)), Frame { from: tokyo, to: Some(paris), messages: vec![ack] }.encode(), 1);
    net.run(10);
    set(&mut net, 0, "k", "v");
    net.settle(10_000);
    assert_converged(&net);
}

// ── Replicas that change under their peers ──────────────────────────────────────────────────────────────────────────

#[test]
fn two_replicas_that_take_new_ids_at_once_find_each_other_again() {
    let mut net = net(2, &[(0, 1)]);
    set(&mut net, 0, "k", "v");
    net.settle(HEARTBEAT);
    net.run(100);
    for host in 0..2 {
        net.with(host, |host| {
            let own = host.replica.snapshot().unwrap();
            host.replica.restore(&own, host.now).unwrap();
        });
    }
    set(&mut net, 0, "k", "w");
    set(&mut net, 1, "l", "v");
    net.settle(3 * HEARTBEAT);
    assert_converged(&net);
}

#[test]
fn messages_of_strangers_at_both_ends_of_a_link_do_not_part_it() {
    let mut net = net(2, &[(0, 1)]);
    net.run(100);
    let stranger = ReplicaId::new("stranger", [1; 10]).unwrap();
    let hello = Frame { from: stranger, to: None, messages: vec![Message::hello(vec![], false)] }.encode();
    net.inject((0, LinkId(1)), hello.clone(), 1);
    net.inject((1, LinkId(0)), hello, 1);
    net.run(2);
    set(&mut net, 0, "k", "v");
    net.settle(3 * HEARTBEAT);
    assert_converged(&net);
}

#[test]
fn a_peer_that_was_set_back_on_an_open_link_is_brought_up_again() {
    let mut net = Net::new(vec![Host::new(edge("paris")), Host::new(stored(edge("tokyo")))]);
    net.hosts[1].prompt = true;
    net.connect(0, 1);
    for n in 0..5 {
        set(&mut net, 0, "k", &n.to_string());
        net.run(100);
    }
    // Its process is replaced by one that holds less, and nobody tells the link.
    let first = net.hosts[1].records[0].1.clone();
    net.hosts[1].records.clear();
    net.hosts[1].disk = vec![first];
    net.restart(1);
    assert_eq!(net.hosts[1].holds(), "<paris:1>");
    net.settle(3 * HEARTBEAT);
    assert_converged(&net);
}

#[test]
fn a_peer_that_lost_everything_is_brought_up_again() {
    let mut net = net(2, &[(0, 1)]);
    for n in 0..5 {
        set(&mut net, 0, &format!("k{n}"), "v");
    }
    net.settle(HEARTBEAT);
    let id = net.hosts[1].id();
    net.restart(1);
    assert_ne!(net.hosts[1].id(), id, "a new life, a new id");
    assert_eq!(net.hosts[1].holds(), "<>");
    net.settle(3 * HEARTBEAT);
    assert_converged(&net);
}

#[test]
fn another_replica_at_the_end_of_a_link_is_not_taken_for_the_last_one() {
    let mut net = net(2, &[(0, 1)]);
    set(&mut net, 0, "k", "v");
    net.settle(HEARTBEAT);
    net.hosts[1] = Host::new(edge("berlin"));
    net.hosts[1].now = net.now;
    let now = net.now;
    net.with(1, |host| host.replica.link_up(LinkId(0), now));
    net.settle(HEARTBEAT);
    assert_converged(&net);
}

// ── Large states ────────────────────────────────────────────────────────────────────────────────────────────────────

/// Writes about `slices` slices' worth at a host.
fn fill(net: &mut Net, host: usize, prefix: &str, slices: u64) {
    let value = "x".repeat(8 << 10);
    net.with(host, |host| {
        let session = host.session();
        for n in 0..slices * SLICE_BYTES / value.len() as u64 {
            host.set(session, &format!("{prefix}{n:05}"), &value);
        }
    });
}

#[test]
fn a_large_state_travels_in_slices_while_both_sides_write() {
    let mut net = net(2, &[]);
    fill(&mut net, 0, "a", 6);
    fill(&mut net, 1, "b", 4);
    net.connect(0, 1);
    let largest = std::rc::Rc::new(std::cell::Cell::new(0));
    let most = largest.clone();
    net.fate = Box::new(move |flight| {
        most.set(most.get().max(flight.bytes.len() as u64));
        vec![(20, flight.clone())]
    });
    for n in 0..20 {
        set(&mut net, 0, &format!("a{:05}", n * 7), "changed");
        set(&mut net, 1, &format!("a{:05}", n * 5), "changed there");
        net.with(1, |host| {
            let session = host.session();
            host.delete(session, &format!("b{:05}", n * 3));
        });
        net.run(15);
    }
    net.settle(20_000);
    assert_converged(&net);
    assert!(largest.get() < 3 * SLICE_BYTES, "{} bytes in one message", largest.get());
}

#[test]
fn slices_that_are_lost_or_repeated_are_asked_for_again() {
    for seed in 0..6 {
        let mut net = net(2, &[]);
        fill(&mut net, 0, "a", 3);
        fill(&mut net, 1, "b", 2);
        net.connect(0, 1);
        net.fate = unreliable(seed, 30, 10, vec![(0, LinkId(1)), (1, LinkId(0))]);
        for n in 0..10 {
            set(&mut net, 0, &format!("a{n:05}"), "changed");
            net.run(700);
        }
        net.fate = reliable(5);
        net.settle(120_000);
        assert_converged(&net);
    }
}

#[test]
fn nothing_of_a_large_state_shows_before_all_of_it_is_there() {
    let mut net = net(2, &[]);
    fill(&mut net, 0, "a", 4);
    net.connect(0, 1);
    net.fate = reliable(50);
    let whole = net.hosts[0].holds();
    let mut steps = 0;
    while !net.agrees() {
        net.run(10);
        steps += 1;
        let holds = net.hosts[1].holds();
        assert!(holds == "<>" || holds == whole, "{holds}");
        assert!(net.hosts[1].replica.store().len() == 0 || holds == whole);
        assert!(steps < 1_000);
    }
    assert!(steps > 10, "it took a few slices");
}

#[test]
fn a_replica_that_serves_slices_may_lose_its_state_meanwhile() {
    let mut net = net(2, &[]);
    fill(&mut net, 0, "a", 4);
    net.connect(0, 1);
    net.fate = reliable(50);
    net.run(220);
    net.restart(0);
    set(&mut net, 0, "k", "v");
    net.settle(60_000);
    assert_converged(&net);
}

// ── Bounds ──────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_peer_that_never_acknowledges_costs_a_bounded_number_of_messages() {
    let mut net = net(2, &[(0, 1)]);
    net.run(100);
    net.fate = down();
    let sent = net.sent;
    for second in 0..600 {
        set(&mut net, 0, &format!("k{}", second % 10), "v");
        net.run(1_000);
    }
    // Per end: a hello each heartbeat; and of the delta one attempt each 30 seconds, after the first few.
    let most = 2 * 600_000 / HEARTBEAT + 600_000 / 30_000 + 10;
    assert!(net.sent - sent <= most, "{} messages, at most {most} expected", net.sent - sent);
}

#[test]
fn writes_between_two_acknowledgements_travel_together() {
    let mut net = net(2, &[(0, 1)]);
    net.run(100);
    net.fate = reliable(50);
    let sent = net.sent;
    for n in 0..100 {
        set(&mut net, 0, "hot", &n.to_string());
        net.run(1);
    }
    net.settle(HEARTBEAT);
    assert!(net.sent - sent < 10, "{} messages for a hundred writes of one key", net.sent - sent);
}

// ── Kinds that are not known ────────────────────────────────────────────────────────────────────────────────────────

/// A frame of one message `[kind, …fields]`, as a later version might send it.
fn foreign(from: ReplicaId, kind: u64) -> Vec<u8> {
    let mut writer = edge_session::codec::Writer::new();
    writer.item();
    writer.replica(from);
    writer.item();
    writer.null();
    writer.item();
    writer.array(3);
    writer.u64(kind);
    writer.text("something new");
    writer.array(1);
    writer.bytes(&[1, 2, 3]);
    writer.finish()
}

#[test]
fn a_message_of_an_unknown_kind_is_answered_and_not_fatal() {
    let from = ReplicaId::new("future", [1; 10]).unwrap();
    let mut kinds: Vec<u64> = RESERVED.iter().map(|(kind, _)| *kind).collect();
    kinds.extend([9, 99, u64::MAX]);
    for kind in kinds {
        let mut host = Host::new(edge("paris"));
        host.replica.link_up(LinkId(1), START);
        host.drain();
        host.sent.clear();
        host.receive(LinkId(1), &foreign(from, kind)).unwrap();
        let said: Vec<Message> =
            host.sent.iter().flat_map(|(_, bytes)| Frame::decode(bytes).unwrap().messages).collect();
        assert!(said.contains(&Message::Unknown { kind }), "{said:?}");
        let reply = host.exchange(&foreign(from, kind));
        assert!(Frame::decode(&reply).unwrap().messages.contains(&Message::Unknown { kind }));
    }
}

#[test]
fn the_answer_to_an_unknown_kind_is_not_answered() {
    let mut net = net(2, &[(0, 1)]);
    net.run(100);
    let (paris, tokyo) = (net.hosts[0].id(), net.hosts[1].id());
    let unknown = Frame { from: tokyo, to: Some(paris), messages: vec![Message::Unknown { kind: 99 }] }.encode();
    let sent = net.sent;
    net.inject((0, LinkId(1)), unknown, 1);
    net.run(1_000);
    assert_eq!(net.sent, sent);
}

#[test]
fn what_follows_an_unknown_kind_in_its_frame_is_taken() {
    let mut tokyo = Host::new(edge("tokyo"));
    let author = tokyo.session();
    tokyo.set(author, "k", "v");
    let delta = tokyo.replica.store().extract(&tokyo.space(), &VersionVector::new()).unwrap();
    let messages = vec![Message::Foreign { kind: 99 }, Message::Delta(delta)];
    // Foreign is never sent; as `Unknown` it stands for any message that means nothing here.
    let frame = Frame { from: tokyo.id(), to: None, messages }.encode();
    let mut paris = Host::new(edge("paris"));
    paris.replica.link_up(LinkId(1), START);
    paris.receive(LinkId(1), &frame).unwrap();
    assert_eq!(paris.holds(), "<tokyo:1>");
}

// ── Request and response ────────────────────────────────────────────────────────────────────────────────────────────

/// The quick start: an empty message asks for a hello, and each reply is the other's next message.
#[test]
fn three_messages_bring_two_replicas_together() {
    let (mut edge_host, mut tab) = (Host::new(edge("fra1")), Host::new(common::tab("tab")));
    let (ann, bob) = (tab.session(), edge_host.session());
    tab.set(ann, "from-the-tab", "v");
    edge_host.set(bob, "from-the-edge", "v");
    let hello = tab.exchange(&[]);
    let delta = edge_host.exchange(&hello);
    let reply = tab.exchange(&delta);
    assert_eq!(tab.holds(), "<fra1:1, tab:1>", "the first reply brings what the edge holds");
    edge_host.exchange(&reply);
    assert_eq!(edge_host.vector(), tab.vector(), "and the second what the tab does");
    assert_eq!(live(&edge_host), live(&tab));
}

#[test]
fn a_session_roams_over_request_and_response() {
    let (mut fra1, mut bom1) = (Host::new(edge("fra1")), Host::new(edge("bom1")));
    let ann = fra1.session();
    fra1.set(ann, "cart", "a book");
    let ann = bom1.resume(&fra1.token(ann));
    assert!(bom1.get(ann, "cart", THROW).is_err());
    let hello = bom1.exchange(&[]);
    let delta = fra1.exchange(&hello);
    bom1.exchange(&delta);
    assert_eq!(bom1.get(ann, "cart", SYNC), Ok(Some("a book".into())));
}

#[test]
fn requests_and_replies_may_be_lost_or_repeated() {
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let mut hosts = [Host::new(edge("paris")), Host::new(edge("tokyo"))];
        let mut old: Vec<Vec<u8>> = Vec::new();
        let mut message = Vec::new();
        for round in 0..60usize {
            let at = round % 2;
            if round < 40 {
                let session = hosts[at].session();
                hosts[at].set(session, &format!("k{}", dice.below(5)), &round.to_string());
            } else if round == 40 {
                message.clear();
            }
            let calm = round >= 40;
            if !calm && dice.percent(30) {
                message.clear(); // lost: whoever waited for it begins anew
            } else if !calm && dice.percent(30) && !old.is_empty() {
                message.clone_from(&old[dice.below(old.len() as u64) as usize]);
            }
            message = hosts[at].exchange(&message);
            old.push(message.clone());
        }
        assert_eq!(hosts[0].vector(), hosts[1].vector(), "seed {seed}");
        assert_eq!(live(&hosts[0]), live(&hosts[1]));
    }
}

#[test]
fn a_large_state_comes_over_as_many_exchanges_as_it_takes() {
    let mut net = net(2, &[]);
    fill(&mut net, 0, "a", 5);
    fill(&mut net, 1, "b", 3);
    let mut message = Vec::new();
    let (mut rounds, mut largest) = (0, 0);
    while !net.agrees() {
        message = net.hosts[rounds % 2].exchange(&message);
        largest = largest.max(message.len() as u64);
        rounds += 1;
        if rounds == 5 {
            set(&mut net, 0, "a00001", "changed meanwhile");
        }
        assert!(rounds < 60, "{:?}", net.vectors());
    }
    assert!((6..40).contains(&rounds), "{rounds} messages");
    assert!(largest < 3 * SLICE_BYTES, "{largest} bytes in one message");
    assert_converged(&net);
    // Quiet: what is said now are vectors.
    for round in 0..4 {
        message = net.hosts[round % 2].exchange(&message);
    }
    assert!(message.len() < 200, "{} bytes", message.len());
}

#[test]
fn an_exchange_with_a_message_for_somebody_else_answers_with_an_introduction() {
    let (mut paris, mut tokyo, mut berlin) =
        (Host::new(edge("paris")), Host::new(edge("tokyo")), Host::new(edge("berlin")));
    let author = paris.session();
    paris.set(author, "k", "v");
    let hello = tokyo.exchange(&[]);
    let for_tokyo = paris.exchange(&hello);
    let reply = Frame::decode(&berlin.exchange(&for_tokyo)).unwrap();
    assert_eq!(berlin.holds(), "<>");
    assert!(matches!(&reply.messages[..], [Message::Hello { answer: true, .. }]));
    assert_eq!(reply.to, None);
}

#[test]
fn a_batch_travels_as_one_write() {
    let mut net = net(2, &[(0, 1)]);
    net.with(0, |host| {
        let session = host.session();
        host.ask(session, batch([put("a", "1"), put("b", "1"), put("c", "1")]), SYNC).unwrap();
    });
    assert_eq!(net.hosts[0].holds(), "<paris:1>");
    net.settle(HEARTBEAT);
    let session = net.hosts[1].session();
    assert_eq!(net.hosts[1].list(session, Range::default()).len(), 3);
}
