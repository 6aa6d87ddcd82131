//! Own writes and the word of peers that they hold them; how old a replica can be; peers that do not speak first.

use super::*;
use edge_session::error::ErrorCode;
use edge_session::io::{Answer, Progress, WaitId};
use edge_session::replica::Standing;

fn synced(host: &mut Host, timeout: u64) -> Option<WaitId> {
    let progress = host.replica.synced(Some(timeout), host.now).unwrap();
    host.drain();
    match progress {
        Progress::Waiting(wait) => Some(wait),
        Progress::Done(_) => None,
    }
}

fn standing(net: &Net, host: usize) -> Standing {
    net.hosts[host].replica.standing(net.now)
}

#[test]
fn what_was_written_is_synced_once_a_peer_has_it_durably_and_not_before() {
    let mut net = Net::new(vec![Host::new(edge("paris")), Host::new(stored(edge("tokyo")))]);
    net.connect(0, 1);
    net.run(HEARTBEAT);
    assert_eq!(net.with(0, |host| synced(host, 60_000)), None, "nothing was written");
    set(&mut net, 0, "a", "1");
    set(&mut net, 0, "b", "2");
    assert_eq!(standing(&net, 0).unsynced, 2);
    let wait = net.with(0, |host| synced(host, 60_000)).unwrap();
    net.run(HEARTBEAT);
    assert_eq!(net.hosts[1].holds(), "<paris:2>", "it is there");
    assert_eq!(net.with(0, |host| host.taken(wait)), None, "but a crash would take it away");
    assert_eq!(standing(&net, 0).unsynced, 2);
    net.with(1, Host::confirm_all);
    net.run(10);
    assert_eq!(net.with(0, |host| host.taken(wait)), Some(Ok(Answer::Done)));
    assert_eq!(standing(&net, 0).unsynced, 0);
    assert_eq!(net.hosts[0].unsynced, [true, false], "told when it begins and when it is over");
}

#[test]
fn what_is_not_durable_here_is_not_synced() {
    let mut net = Net::new(vec![Host::new(stored(edge("paris"))), Host::new(edge("tokyo"))]);
    net.connect(0, 1);
    net.run(HEARTBEAT);
    set(&mut net, 0, "a", "1");
    let wait = net.with(0, |host| synced(host, 60_000)).unwrap();
    net.run(3 * HEARTBEAT);
    assert_eq!(net.with(0, |host| host.taken(wait)), None);
    net.with(0, Host::confirm_all);
    net.run(20);
    assert_eq!(net.with(0, |host| host.taken(wait)), Some(Ok(Answer::Done)));
}

#[test]
fn a_wait_is_for_what_was_written_before_it() {
    let mut net = net(2, &[(0, 1)]);
    net.run(HEARTBEAT);
    set(&mut net, 0, "a", "1");
    let wait = net.with(0, |host| synced(host, 60_000)).unwrap();
    net.run(7);
    set(&mut net, 0, "b", "2");
    net.run(4);
    assert_eq!(net.with(0, |host| host.taken(wait)), Some(Ok(Answer::Done)));
    assert_eq!(standing(&net, 0).unsynced, 1);
}

#[test]
fn without_a_peer_the_wait_ends_at_its_deadline() {
    let mut net = net(2, &[]);
    set(&mut net, 0, "a", "1");
    let wait = net.with(0, |host| synced(host, 500)).unwrap();
    net.run(499);
    assert_eq!(net.with(0, |host| host.taken(wait)), None);
    net.run(1);
    let error = net.with(0, |host| host.taken(wait)).unwrap().unwrap_err();
    assert_eq!(error.code(), ErrorCode::Timeout);
}

#[test]
fn what_was_acknowledged_stays_so_when_the_peer_is_gone() {
    let mut net = net(2, &[(0, 1)]);
    set(&mut net, 0, "a", "1");
    net.run(HEARTBEAT);
    net.disconnect(0, 1);
    assert_eq!(net.with(0, |host| synced(host, 500)), None);
    set(&mut net, 0, "b", "2");
    assert_eq!(standing(&net, 0).unsynced, 1);
    net.connect(0, 1);
    net.run(HEARTBEAT);
    assert_eq!(standing(&net, 0).unsynced, 0);
}

#[test]
fn what_was_written_under_an_id_that_was_given_up_is_waited_for_as_well() {
    let mut net = net(2, &[]);
    set(&mut net, 0, "a", "1");
    let snapshot = net.with(1, |host| host.replica.snapshot()).unwrap();
    net.with(0, |host| host.replica.restore(&snapshot, host.now)).unwrap();
    set(&mut net, 0, "b", "2");
    assert_eq!(standing(&net, 0).unsynced, 2);
    let wait = net.with(0, |host| synced(host, 60_000)).unwrap();
    net.connect(0, 1);
    net.run(HEARTBEAT);
    assert_eq!(net.with(0, |host| host.taken(wait)), Some(Ok(Answer::Done)));
    assert_eq!(standing(&net, 0).unsynced, 0);
}

#[test]
fn an_exchange_acknowledges_too() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let session = paris.session();
    paris.set(session, "a", "1");
    let wait = synced(&mut paris, 60_000).unwrap();
    let hello = tokyo.exchange(&[]);
    let delta = paris.exchange(&hello);
    let ack = tokyo.exchange(&delta);
    assert_eq!(paris.taken(wait), None);
    paris.exchange(&ack);
    assert_eq!(paris.taken(wait), Some(Ok(Answer::Done)));
}

#[test]
fn a_replica_knows_since_when_it_may_be_behind() {
    let mut net = net(2, &[(0, 1)]);
    assert_eq!(standing(&net, 0).lag, None, "nobody has spoken yet");
    net.run(100 * HEARTBEAT);
    assert!(standing(&net, 0).lag.unwrap() <= HEARTBEAT, "{:?}", standing(&net, 0));
    net.disconnect(0, 1);
    let before = standing(&net, 0).lag.unwrap();
    net.run(60_000);
    assert_eq!(standing(&net, 0).lag, Some(before + 60_000));
}

#[test]
fn a_peer_that_does_not_speak_first_is_asked_to_answer() {
    let mut paris = Host::new(edge("paris"));
    let mut sleeper = Host::new(edge("sleeper"));
    let link = LinkId(1);
    paris.replica.link_up(link, paris.now);
    paris.drain();
    sleeper.replica.link_up_every(link, u64::from(u32::MAX), sleeper.now);
    sleeper.drain();
    // Everything that the sleeper says of its own accord is lost.
    sleeper.sent.clear();
    let mut heard = 0;
    let mut silence = 0;
    for _ in 0..60 {
        for (_, bytes) in std::mem::take(&mut paris.sent) {
            sleeper.receive(link, &bytes).unwrap();
        }
        silence += 1_000;
        for (_, bytes) in std::mem::take(&mut sleeper.sent) {
            paris.receive(link, &bytes).unwrap();
            heard += 1;
            silence = 0;
        }
        assert!(silence < 20_000, "silent for {silence} ms");
        let next = paris.now + 1_000;
        paris.at(next);
        sleeper.at(next);
    }
    assert!((2..=6).contains(&heard), "asked {heard} times in a minute, not with every heartbeat");
}

#[test]
fn a_link_whose_messages_cost_a_request_is_quiet_between_its_heartbeats() {
    let mut net = net(2, &[]);
    net.connect(0, 1);
    net.with(0, |host| host.replica.link_up_every(LinkId(1), 60_000, host.now));
    net.with(1, |host| host.replica.link_up_every(LinkId(0), 60_000, host.now));
    net.run(1_000);
    let sent = net.sent;
    net.run(600_000);
    assert!(net.sent - sent <= 22, "{} messages in ten minutes", net.sent - sent);
    set(&mut net, 0, "a", "1");
    assert_eq!(net.settle(HEARTBEAT), 5, "news does not wait for it");
}
