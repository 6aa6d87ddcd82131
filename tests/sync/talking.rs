//! Acknowledgements that go with what there is to say anyway, and how long they wait for it.

use super::*;
use edge_session::sync::peer::Timing;

const PAUSE: u64 = 20;

fn pausing(hosts: usize, links: &[(usize, usize)]) -> Net {
    let patient = |label: &&str| {
        let mut config = edge(label);
        config.timing = Timing { pause: PAUSE, ..config.timing };
        Host::new(config)
    };
    let mut net = Net::new(LABELS[..hosts].iter().map(patient).collect());
    links.iter().for_each(|(a, b)| net.connect(*a, *b));
    net.run(100);
    net
}

/// Each answers the other so many times, and the whole is over.
fn talk(net: &mut Net, ends: [usize; 2], rounds: u64) {
    for round in 0..rounds {
        for host in ends {
            set(net, host, &format!("word {round} of {host}"), "v");
            net.settle(HEARTBEAT);
        }
    }
}

#[test]
fn in_a_conversation_a_delta_is_the_acknowledgement() {
    let mut net = pausing(2, &[(0, 1)]);
    talk(&mut net, [0, 1], 2);
    let sent = net.sent;
    talk(&mut net, [0, 1], 10);
    assert_eq!(net.sent - sent, 20, "one message a word");
    net.run(PAUSE + 5);
    assert_eq!(net.sent - sent, 21, "and the last word is acknowledged");
    assert_converged(&net);
}

#[test]
fn a_conversation_through_a_third_one_needs_four_messages_a_round() {
    let mut net = pausing(3, &[(0, 1), (1, 2)]);
    talk(&mut net, [0, 2], 3);
    let sent = net.sent;
    talk(&mut net, [0, 2], 10);
    assert!(net.sent - sent <= 42, "{} messages for ten rounds of four", net.sent - sent);
}

#[test]
fn who_only_listens_acknowledges_at_once() {
    let mut net = pausing(2, &[(0, 1)]);
    talk(&mut net, [0, 1], 3);
    net.run(100);
    for n in 0..20 {
        set(&mut net, 0, "speech", &n.to_string());
        net.run(10);
        let unsynced = net.hosts[0].replica.standing(net.now).unsynced;
        assert!(unsynced == 0 || n == 0, "word {n} is not acknowledged after a round trip");
        net.run(PAUSE);
    }
}

#[test]
fn two_who_both_speak_all_the_time_do_not_wait_for_each_other() {
    let mut net = pausing(2, &[(0, 1)]);
    for n in 0..200 {
        set(&mut net, 0, "left", &n.to_string());
        set(&mut net, 1, "right", &n.to_string());
        net.run(1);
        let news = |host: usize| {
            let (own, other) = (net.hosts[host].vector(), net.hosts[1 - host].vector());
            other.gaps(&own).map(|gap| gap.need - gap.have).sum::<u64>() as usize
        };
        assert!(n < 20 || news(0).max(news(1)) <= 16, "after {n}: {:?}", net.vectors());
    }
    net.settle(HEARTBEAT);
    assert_converged(&net);
}
