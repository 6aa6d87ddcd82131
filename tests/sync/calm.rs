//! Links without faults: two replicas, lines and rings.

use super::*;

// ── Two replicas ──

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

/// Else two that beat so would go on within one millisecond, and nobody would ever have another turn.
#[test]
fn a_heartbeat_of_nothing_leaves_time_between_two_hellos() {
    let timing = edge_session::sync::peer::Timing { heartbeat: 0, ..Default::default() };
    let mut host = Host::new(Config { timing, ..edge("a") });
    host.replica.link_up(LinkId(1), START);
    host.drain();
    host.at(START);
    assert!(host.timeout > Some(START), "{:?}", host.timeout);
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

// ── Lines ──

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
