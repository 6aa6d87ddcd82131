//! Channels that stay open while a replica is not in memory: what it had written down of its peer, and went on with.

use super::*;

/// The edge and the tab of one link, both with a storage, after they have come to hold the same.
fn settled() -> Net {
    let mut net = Net::new(["edge", "tab"].map(|label| Host::new(stored(edge(label)))).into());
    net.hosts.iter_mut().for_each(|host| host.prompt = true);
    net.connect(0, 1);
    set(&mut net, 0, "k", "v");
    set(&mut net, 1, "l", "v");
    net.settle(HEARTBEAT);
    net.run(HEARTBEAT / 2);
    net
}

/// The edge leaves memory and comes back; its storage has the first `kept` records of the run.
fn wake(net: &mut Net, kept: u64) -> LinkId {
    let link = LinkId(1);
    let note = net.hosts[0].replica.link_note(link).unwrap();
    net.hosts[0].now = net.now;
    net.hosts[0].crash_with(kept);
    net.with(0, |host| host.replica.link_resume(link, &note, host.now)).unwrap();
    link
}

#[test]
fn a_resumed_link_needs_no_word() {
    let mut net = settled();
    let sent = net.sent;
    wake(&mut net, u64::MAX);
    assert_eq!(net.sent, sent, "no greeting, nothing sent again");
    assert_eq!(net.hosts[0].events.last(), Some(&Event::Peers(1)), "the peer is known");
    let before = net.bytes;
    set(&mut net, 0, "m", "w");
    assert_eq!(net.settle(HEARTBEAT), 5, "news is told at once");
    assert!(net.bytes - before < 150, "{} bytes: the news alone", net.bytes - before);
    assert_converged(&net);
    // And the other way round.
    set(&mut net, 1, "n", "w");
    assert_eq!(net.settle(HEARTBEAT), 5);
    net.run(100 * HEARTBEAT);
    assert!(net.refused == 0 && net.agrees());
}

#[test]
fn what_was_written_before_the_last_note_was_answered_is_sent_when_the_link_is_resumed() {
    let mut net = settled();
    net.fate = down();
    set(&mut net, 0, "m", "w");
    net.fate = reliable(5);
    wake(&mut net, u64::MAX);
    assert_eq!(net.settle(HEARTBEAT), 5);
    assert_converged(&net);
}

#[test]
fn a_note_shows_that_storage_was_set_back() {
    let mut net = settled();
    let old = net.hosts[0].id();
    wake(&mut net, 0);
    assert_ne!(net.hosts[0].id(), old, "the peer holds writes of the old id that storage has not");
    net.settle(100 * HEARTBEAT);
    set(&mut net, 0, "m", "w");
    net.settle(100 * HEARTBEAT);
    assert_converged(&net);
}

#[test]
fn there_is_no_note_of_a_peer_that_has_not_said_who_it_is() {
    let mut host = Host::new(edge("edge"));
    assert_eq!(host.replica.link_note(LinkId(1)), None);
    host.replica.link_up(LinkId(1), START);
    host.drain();
    assert_eq!(host.replica.link_note(LinkId(1)), None);
}

#[test]
fn a_note_that_is_damaged_begins_nothing() {
    let net = settled();
    let note = net.hosts[0].replica.link_note(LinkId(1)).unwrap();
    let mut edge = Host::new(edge("edge"));
    for end in 0..note.len() {
        assert!(edge.replica.link_resume(LinkId(1), &note[..end], START).is_err());
    }
    edge.drain();
    assert_eq!(edge.replica.peers().count(), 0);
}

/// Two replicas that send each other requests, as objects do that hibernate: each has a link to the other, whose
/// messages arrive as requests.
#[test]
fn what_came_by_request_is_not_sent_back_over_the_link_to_the_same_replica() {
    let mut net = settled();
    let (mut edge, mut tab) = (net.hosts.remove(0), net.hosts.remove(0));
    for host in [&mut edge, &mut tab] {
        host.now = net.now;
    }
    let session = edge.session();
    edge.set(session, "m", "w");
    edge.drain();
    let (_, delta) = edge.sent.pop().expect("the link's message");
    tab.sent.clear();
    let _reply = tab.exchange(&delta);
    assert_eq!(tab.vector(), edge.vector());
    assert!(tab.sent.is_empty(), "{:?}", tab.sent);
}

/// What happens to a host whose channels outlive its memory.
#[derive(Clone, Debug)]
enum Step {
    Write(usize, u8),
    Pass(u64),
    /// The host notes what it knows of its peers.
    Note(usize),
    /// It leaves memory, and comes back with its storage and its last note.
    Sleep(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3usize, 0..6u8).prop_map(|(host, key)| Step::Write(host, key)),
        2 => (1..HEARTBEAT).prop_map(Step::Pass),
        1 => (0..3usize).prop_map(Step::Note),
        1 => (0..3usize).prop_map(Step::Sleep),
    ]
}

/// Lets a host sleep and wake with its storage and the notes that it last made; a link without one is opened anew.
fn nap(net: &mut Net, host: usize, notes: &[(LinkId, Option<Vec<u8>>)]) {
    net.hosts[host].now = net.now;
    net.hosts[host].crash();
    for (link, note) in notes {
        net.with(host, |host| match note {
            Some(note) => host.replica.link_resume(*link, note, host.now).unwrap(),
            None => host.replica.link_up(*link, host.now),
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However old a note is, and whatever got lost around it, it costs time only.
    #[test]
    fn sleepers_with_old_notes_come_to_hold_the_same(
        steps in prop::collection::vec(any_step(), 5..60),
        loss in 0..50u64,
        seed: u64,
    ) {
        let mut net = Net::new(LABELS[..3].iter().map(|label| Host::new(stored(edge(label)))).collect());
        net.hosts.iter_mut().for_each(|host| host.prompt = true);
        [(0, 1), (1, 2)].into_iter().for_each(|(a, b)| net.connect(a, b));
        let mut dice = Dice(seed);
        net.fate = Box::new(move |flight| if dice.percent(loss) { Vec::new() } else { vec![(1 + dice.below(90), flight.clone())] });
        let links = |host: usize| [[1].as_slice(), &[0, 2], &[1]][host].iter().map(|link| LinkId(*link));
        let mut notes = [0, 1, 2].map(|host| links(host).map(|link| (link, None)).collect::<Vec<_>>());
        for step in steps {
            match step {
                Step::Write(host, key) => {
                    let now = net.now.to_string();
                    set(&mut net, host, &format!("k{key}"), &now);
                }
                Step::Pass(millis) => net.run(millis),
                Step::Note(host) => {
                    notes[host] = links(host).map(|link| (link, net.hosts[host].replica.link_note(link))).collect();
                }
                Step::Sleep(host) => nap(&mut net, host, &notes[host]),
            }
        }
        net.fate = reliable(5);
        net.settle(20 * HEARTBEAT);
        assert_converged(&net);
        prop_assert_eq!(net.refused, 0);
        // And then they are quiet: nobody repeats what the other has acknowledged.
        net.run(2 * HEARTBEAT);
        let before = net.sent;
        net.run(10 * HEARTBEAT);
        prop_assert!(net.sent - before <= 4 * 11, "{} messages in ten heartbeats", net.sent - before);
    }
}
