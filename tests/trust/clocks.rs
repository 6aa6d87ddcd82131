//! Edges whose clocks are wrong.

use super::*;

const OTHER: usize = 1;
const HOUR: u64 = 3_600_000;

/// Two edges, whose sessions live for long.
fn edges() -> Net {
    let edge = |label| Host::new(edge_session::replica::Config { expires_in: 1_000 * HOUR, ..edge(label) });
    Net::new(vec![edge("fra1"), edge("ams1")])
}

/// Two edges that have proved themselves to each other, one of which has written at a time that lies so far ahead.
fn ahead_by(ahead: u64) -> (Net, SessionHandle) {
    let mut net = edges();
    net.prove(OTHER, EDGE);
    net.run(5_000);
    let session = net.hosts[OTHER].session();
    net.hosts[OTHER].now = net.now + ahead;
    net.hosts[OTHER].set(session, "k", "from the future");
    net.run(10_000);
    (net, session)
}

fn drifts(net: &Net) -> (usize, usize) {
    let is = |error: &SessionError| error.code() == ErrorCode::ClockDrift;
    let events = || net.hosts[EDGE].events.iter();
    let told = events().filter(|event| matches!(event, Event::Drift(error) if is(error))).count();
    let held = events().filter(|event| matches!(event, Event::Refused(error) if is(error))).count();
    (told, held)
}

#[test]
pub(super) fn an_edge_whose_clock_is_minutes_ahead_is_believed_and_told_of_once() {
    let (mut net, session) = ahead_by(2 * HOUR);
    assert_eq!(net.hosts[EDGE].holds(), "<ams1:1>");
    assert_eq!(drifts(&net), (1, 0));
    net.with(OTHER, |edge| edge.set(session, "k", "again"));
    net.settle(10_000);
    assert_eq!(drifts(&net), (1, 0));
    // A minute is what clocks may differ by.
    let (net, _) = ahead_by(50_000);
    assert_eq!((net.hosts[EDGE].holds().as_str(), drifts(&net)), ("<ams1:1>", (0, 0)));
}

#[test]
pub(super) fn an_edge_whose_clock_is_more_than_a_day_ahead_is_held_until_the_clocks_agree() {
    let (mut net, session) = ahead_by(30 * HOUR);
    assert!(net.hosts[EDGE].vector().is_empty(), "{}", net.hosts[EDGE].holds());
    assert!(net.hosts[EDGE].replica.store().clock().last().millis() <= net.now);
    assert_eq!(drifts(&net), (0, 1));
    let error = net.hosts[EDGE].events.iter().find_map(|event| match event {
        Event::Refused(error) => Some(error.to_string()),
        _ => None,
    });
    assert!(error.unwrap().contains("more than a day"));
    // It is told once, however often the delta is tried again, and the other way all goes on.
    let own = net.hosts[EDGE].session();
    net.with(EDGE, |edge| edge.set(own, "mine", "v"));
    net.run(120_000);
    assert_eq!(drifts(&net), (0, 1));
    assert_eq!(net.hosts[OTHER].holds(), "<ams1:1, fra1:1>");
    assert_eq!(net.hosts[EDGE].holds(), "<fra1:1>");
    // Six hours later it is not a day any more, and what was written is taken.
    net.now += 6 * HOUR;
    net.with(OTHER, |edge| edge.set(session, "k", "later"));
    net.settle(60_000);
    assert_eq!(drifts(&net), (1, 1));
}

/// The same over slices, of which none is kept.
#[test]
pub(super) fn what_a_held_edge_sends_in_slices_takes_no_room() {
    let mut net = edges();
    let session = net.hosts[OTHER].session();
    net.hosts[OTHER].now = net.now + 30 * HOUR;
    for n in 0..64 {
        net.hosts[OTHER].set(session, &format!("k{n}"), &"v".repeat(16_384));
    }
    net.prove(OTHER, EDGE);
    net.run(30_000);
    assert!(net.hosts[EDGE].vector().is_empty(), "{}", net.hosts[EDGE].holds());
    assert_eq!(drifts(&net), (0, 1));
}
