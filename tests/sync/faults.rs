//! Links and peers with faults: nothing but time is lost.

use super::*;

// ── Bad links ──

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

/// Who refreshes links more often than by default has what was lost sent again sooner, and not before a busy peer may have answered.
#[test]
fn what_was_lost_is_sent_again_sooner_where_links_are_refreshed_more_often() {
    let healed_after = |heartbeat: u64| {
        let quick = |label: &&str| {
            let mut config = edge(label);
            config.timing = config.timing.beating(heartbeat);
            Host::new(config)
        };
        let mut net = Net::new(LABELS[..2].iter().map(quick).collect());
        net.connect(0, 1);
        net.settle(10_000);
        net.fate = down();
        set(&mut net, 0, "k", "v");
        net.run(10);
        net.fate = reliable(5);
        (1..5_000).find(|_| {
            net.run(1);
            live(&net.hosts[0]) == live(&net.hosts[1])
        })
    };
    let [fast, quick, usual, slow] = [20, 1_000, 2_000, 8_000].map(|heartbeat| healed_after(heartbeat).unwrap());
    assert!((240..300).contains(&fast), "{fast}");
    assert!((490..550).contains(&quick), "{quick}");
    assert!((990..1_050).contains(&usual), "{usual}");
    assert!((990..1_050).contains(&slow), "{slow}");
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

// ── Replicas that change under their peers ──

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
