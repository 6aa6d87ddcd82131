//! States that are larger than one message, and bounds on what is sent.

use super::*;

// ── Large states ──

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
fn not_every_slice_costs_a_round_trip() {
    let mut net = net(2, &[]);
    fill(&mut net, 0, "a", 30);
    net.connect(0, 1);
    net.fate = reliable(100);
    let took = net.settle(60_000);
    assert!(took < 30 * 200 / 2, "{took} ms for thirty slices, 200 ms there and back");
}

/// However slow a link is, it has no more of one state in it than a window, and is not filled with repetitions.
#[test]
fn a_slow_link_is_not_asked_to_carry_slices_twice() {
    let mut net = net(2, &[]);
    fill(&mut net, 0, "a", 12);
    net.connect(0, 1);
    // One message after another, in each direction: 50 bytes a millisecond, so that a slice takes five seconds.
    let (clock, free) =
        (std::rc::Rc::new(std::cell::Cell::new(START)), std::rc::Rc::new(std::cell::Cell::new([START; 2])));
    let (now, line) = (clock.clone(), free.clone());
    net.fate = Box::new(move |flight| {
        let mut ends = line.get();
        ends[flight.to.0] = ends[flight.to.0].max(now.get()) + 1 + flight.bytes.len() as u64 / 50;
        line.set(ends);
        vec![(ends[flight.to.0] - now.get(), flight.clone())]
    });
    let (mut most, bytes) = (0, net.bytes);
    while !net.agrees() {
        net.run(10);
        clock.set(net.now);
        most = most.max(free.get()[1].saturating_sub(net.now) * 50);
        assert!(net.now < START + 600_000, "{:?}", net.vectors());
    }
    assert!(most < 12 * SLICE_BYTES, "{most} bytes were under way");
    assert!(net.bytes - bytes < 30 * SLICE_BYTES, "{} bytes for twelve slices", net.bytes - bytes);
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
        assert!(net.hosts[1].replica.store().is_empty() || holds == whole);
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

// ── Bounds ──

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

/// A top-up that overtakes the slices it belongs to waits for nobody: it comes again with the last of them.
#[test]
fn a_top_up_before_the_last_slice_is_not_applied() {
    let mut net = net(2, &[]);
    fill(&mut net, 0, "a", 3);
    let [sender, receiver] = &mut net.hosts[..] else { panic!() };
    let state = sender.replica.store().space(&sender.space()).unwrap();
    let (from, base, hlc) = (VersionVector::new(), state.vector().clone(), sender.replica.store().clock().last());
    let (keys, more) = state.slice(&from, None, SLICE_BYTES);
    assert!(more);
    let (space, after) = (sender.space(), None);
    let (from_there, at) = (from.clone(), base.clone());
    let slice = Slice { space: space.clone(), from: from_there, base: base.clone(), at, after, last: false, hlc, keys };
    let delta = state.extract_since(&space, &from, &base, hlc);
    receiver.replica.link_up(LinkId(0), START);
    for message in [Message::Slice(slice), Message::TopUp { base, delta }] {
        let frame = Frame { from: sender.id(), to: None, messages: vec![message] };
        receiver.receive(LinkId(0), &frame.encode()).unwrap();
    }
    assert_eq!(receiver.holds(), "<>");
    net.connect(0, 1);
    net.settle(20_000);
    assert_converged(&net);
}

/// A link may deliver late: what names all that has changed up to some moment is nothing beside slices that were cut after it.
#[test]
fn a_top_up_that_was_cut_before_a_slice_is_passed_over_and_another_is_asked_for() {
    type Change = fn(&mut Host, SessionHandle);
    let changes: [(&str, Change); 2] = [
        ("written", |host, session| _ = host.set(session, "a00000", "newer")),
        // Nothing lies outside of the older vector; but the key is gone, and what was written before that is not there.
        ("deleted", |host, session| host.delete(session, "a00000")),
    ];
    for (what, change) in changes {
        let mut net = net(2, &[]);
        set(&mut net, 0, "a00000", "old");
        set(&mut net, 0, "b", "old");
        let [sender, receiver] = &mut net.hosts[..] else { panic!() };
        let (space, from) = (sender.space(), VersionVector::new());
        let base = sender.vector();
        let top_up = |sender: &Host| {
            let (store, at) = (sender.replica.store(), sender.replica.store().clock().last());
            let delta = store.space(&sender.space()).unwrap().extract_since(&sender.space(), &from, &base, at);
            Message::TopUp { base: base.clone(), delta }
        };
        let early = top_up(sender);
        let session = sender.session();
        sender.set(session, "b", "before");
        change(sender, session);
        let (hlc, at) = (sender.replica.store().clock().last(), sender.vector());
        let (keys, more) = sender.replica.store().space(&space).unwrap().slice(&from, None, SLICE_BYTES);
        assert!(!more);
        let (since, first) = (from.clone(), base.clone());
        let slice = Slice { space: space.clone(), from: since, base: first, at, after: None, last: true, hlc, keys };
        receiver.replica.link_up(LinkId(0), START);
        for message in [Message::Slice(slice), early] {
            let frame = Frame { from: sender.id(), to: None, messages: vec![message] };
            receiver.receive(LinkId(0), &frame.encode()).unwrap();
        }
        assert_eq!(receiver.holds(), "<>", "{what}");
        assert!(
            !receiver.events.iter().any(|event| matches!(event, Event::Refused(_))),
            "{what}: {:?}",
            receiver.events
        );
        let frame = Frame { from: sender.id(), to: None, messages: vec![top_up(sender)] };
        receiver.receive(LinkId(0), &frame.encode()).unwrap();
        assert_eq!(receiver.holds(), sender.holds(), "{what}");
        net.connect(0, 1);
        net.settle(20_000);
        assert_converged(&net);
    }
}

/// A clock that came with nothing new is in no record. Whoever cuts a run, and is opened anew, cuts it again by an older clock.
#[test]
fn a_run_that_is_cut_again_by_an_older_clock_comes_to_its_end() {
    let [mut third, mut sender, receiver] = ["third", "sender", "receiver"].map(|label| Host::new(stored(edge(label))));
    let session = third.session();
    for n in 0..60 {
        third.set(session, &format!("k{n:03}"), &"x".repeat(8 << 10));
    }
    third.confirm_all();
    let given = |third: &Host, sender: &mut Host| {
        let delta = third.replica.store().extract(&third.space(), &VersionVector::new()).unwrap();
        let frame = Frame { from: third.id(), to: None, messages: vec![Message::Delta(delta)] };
        sender.receive(LinkId(7), &frame.encode()).unwrap();
        sender.confirm_all();
    };
    sender.replica.link_up(LinkId(7), START);
    given(&third, &mut sender);
    // The same once more, after the third one's clock went on in another space.
    third.at(START + 5_000);
    let other = third.open(SessionInit { space: Some(Space::first("other").unwrap()), ..SessionInit::default() });
    third.set(other, "o", "o");
    third.confirm_all();
    given(&third, &mut sender);
    let (space, from, at) = (sender.space(), VersionVector::new(), sender.vector());
    let hlc = sender.replica.store().clock().last();
    let (keys, more) = sender.replica.store().space(&space).unwrap().slice(&from, None, SLICE_BYTES);
    assert!(more);
    let slice = Slice { space, from, base: at.clone(), at, after: None, last: false, hlc, keys };
    let mut net = Net::new(vec![sender, receiver]);
    net.hosts.iter_mut().for_each(|host| host.prompt = true);
    let frame = Frame { from: net.hosts[0].id(), to: None, messages: vec![Message::Slice(slice)] };
    net.hosts[0].crash();
    assert!(net.hosts[0].replica.store().clock().last() < hlc, "the clock was forgotten");
    net.connect(0, 1);
    net.with(1, |host| host.receive(LinkId(0), &frame.encode()).unwrap());
    net.settle(60_000);
    assert_converged(&net);
}

// ── What changes while slices are told ──

/// The messages of the frames that a host has sent.
fn said(host: &mut Host) -> Vec<Message> {
    let frames = std::mem::take(&mut host.sent);
    frames.into_iter().flat_map(|(_, bytes)| Frame::decode(&bytes).unwrap().messages).collect()
}

/// A host with about so many slices to tell, and the first of them, as whoever writes as `other` over link 9 hears it.
fn tells_slices(slices: u64, other: &Host) -> (Host, Slice) {
    let mut net = net(1, &[]);
    fill(&mut net, 0, "a", slices);
    let mut sender = net.hosts.pop().unwrap();
    sender.replica.link_up(LinkId(9), START);
    let hello = Message::hello(vec![(sender.space(), VersionVector::new())], false);
    sender.receive(LinkId(9), &Frame { from: other.id(), to: None, messages: vec![hello] }.encode()).unwrap();
    let first = said(&mut sender).into_iter().find_map(|message| match message {
        Message::Slice(slice) => Some(slice),
        _ => None,
    });
    (sender, first.unwrap())
}

fn want(slice: &Slice) -> Message {
    let after = slice.keys.last().map(|(key, _)| key.clone());
    let Slice { space, from, base, .. } = slice.clone();
    Message::Want { space, from, base, after }
}

/// A client that writes while it fetches a state sends both in one frame. Were the top-up older than the last slice, it would be
/// passed over, and all of it would be waited for.
#[test]
fn a_write_that_comes_with_a_question_is_in_the_answer_or_is_not() {
    let mut other = Host::new(edge("tokyo"));
    let (mut sender, first) = tells_slices(2, &other);
    let session = other.session();
    other.set(session, "own", "value");
    let own = other.replica.store().extract(&other.space(), &VersionVector::new()).unwrap();
    let frame = Frame { from: other.id(), to: None, messages: vec![want(&first), Message::Delta(own)] };
    sender.receive(LinkId(9), &frame.encode()).unwrap();
    let (mut at, mut to) = (None, None);
    for message in said(&mut sender) {
        match message {
            Message::Slice(slice) if slice.last => at = Some(slice.at),
            Message::TopUp { delta, .. } => to = Some(delta.to),
            _ => {}
        }
    }
    let (at, to) = (at.expect("the last slice"), to.expect("the top-up"));
    assert!(to.dominates(&at), "a top-up up to {to}, of slices up to {at}");
}

#[test]
fn what_comes_before_slices_are_told_makes_them_no_longer() {
    let other = Host::new(edge("tokyo"));
    let (mut sender, first) = tells_slices(4, &other);
    let mut third = net(2, &[]);
    // All of them lie between two keys of the next slice.
    fill(&mut third, 1, "a00040", 12);
    let third = &third.hosts[1];
    let much = third.replica.store().extract(&third.space(), &VersionVector::new()).unwrap();
    sender.replica.link_up(LinkId(8), START);
    let question = Frame { from: other.id(), to: None, messages: vec![want(&first)] };
    sender.replica.receive(LinkId(9), &question.encode(), START).unwrap();
    let news = Frame { from: third.id(), to: None, messages: vec![Message::Delta(much)] };
    sender.receive(LinkId(8), &news.encode()).unwrap();
    let longest = sender.sent.iter().map(|(_, bytes)| bytes.len() as u64).max().unwrap();
    assert!(longest < 3 * SLICE_BYTES, "{longest} bytes in one message");
}
