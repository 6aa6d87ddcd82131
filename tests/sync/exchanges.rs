//! The protocol as request and response.

use super::*;

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

/// Values that both have under the same keys are told in turns: neither is told twice.
#[test]
fn two_that_wrote_the_same_keys_send_each_value_once() {
    let mut net = net(2, &[]);
    fill(&mut net, 0, "a", 4);
    fill(&mut net, 1, "a", 4);
    let (mut message, mut rounds, mut bytes) = (Vec::new(), 0, 0);
    while !net.agrees() {
        message = net.hosts[rounds % 2].exchange(&message);
        bytes += message.len() as u64;
        rounds += 1;
        assert!(rounds < 60, "{:?}", net.vectors());
    }
    assert_converged(&net);
    assert!(bytes < 9 * SLICE_BYTES, "{bytes} bytes for eight slices");
}

/// Who begins to tell much and does not go on is told what there is all the same.
#[test]
fn a_run_that_stops_keeps_nobody_from_telling() {
    let mut net = net(2, &[]);
    fill(&mut net, 0, "a", 3);
    fill(&mut net, 1, "b", 3);
    let [sender, other] = &mut net.hosts[..] else { panic!() };
    let tells = |message: &[u8]| {
        let frame = Frame::decode(message).unwrap();
        frame.messages.iter().any(|message| matches!(message, Message::Slice(_)))
    };
    let first = sender.exchange(&other.exchange(&[]));
    assert!(tells(&first));
    assert!(!tells(&other.exchange(&first)), "the other's come first");
    other.now += 60_000;
    assert!(tells(&other.exchange(&sender.exchange(&[]))));
}

/// The edge remembers a bounded number of those who come by request; it forgets who has not come for longest.
#[test]
fn a_large_state_is_handed_in_while_many_others_come_and_go() {
    let mut fra1 = Host::new(edge("fra1"));
    let mut large = Host::new(common::tab("a"));
    let author = large.session();
    for n in 0..12 {
        large.set(author, &format!("k{n:02}"), &"x".repeat(90_000));
    }
    let call = |fra1: &mut Host, n: u32| {
        let hello = Host::new(common::tab(&format!("b{n}"))).exchange(&[]);
        fra1.exchange(&hello);
    };
    (0..70).for_each(|n| call(&mut fra1, n));
    let mut message = large.exchange(&[]);
    for round in 0..30 {
        message = fra1.exchange(&message);
        call(&mut fra1, 100 + round);
        message = large.exchange(&message);
    }
    assert_eq!(fra1.vector(), large.vector());
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
