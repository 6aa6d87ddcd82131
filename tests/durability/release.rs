//! What storage confirms is released: cumulatively, in order, and not one effect more.

use super::*;

#[test]
fn confirmations_are_cumulative_and_release_in_order() {
    let mut host = Host::new(stored(edge("paris")));
    let ann = host.session();
    let waits: Vec<_> = (0..5).map(|n| host.wait(ann, batch([put("k", &n.to_string())]), PLAIN)).collect();
    assert_eq!(host.records.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    host.confirm(3);
    assert_eq!(host.settled, waits[..3]);
    host.confirm(2);
    assert_eq!(host.settled, waits[..3], "an older confirmation says nothing new");
    host.confirm(99);
    assert_eq!(host.settled, waits);
    let late = host.wait(ann, batch([put("k", "late")]), PLAIN);
    assert_eq!(host.taken(late), None, "what is confirmed too soon is not confirmed");
    host.confirm_all();
    assert!(matches!(host.taken(late), Some(Ok(Answer::Version(_)))));
}

#[test]
fn writes_between_two_drains_share_one_record() {
    let mut host = Host::new(stored(edge("paris")));
    let ann = host.session();
    for n in 0..3 {
        host.replica.begin(ann, batch([put(&format!("k{n}"), "v")]), SYNC, START).unwrap();
    }
    host.drain();
    assert!(host.records.len() <= 3);
    host.confirm_all();
    assert_eq!(host.replica.durable(&host.space()).get(host.id()), 3);
}

#[test]
fn storage_that_never_confirms_ends_the_wait_and_not_the_write() {
    let mut host = Host::new(stored(edge("paris")));
    let ann = host.session();
    let wait = host.wait(ann, batch([put("k", "v")]), PLAIN);
    host.at(START + 1_000);
    assert_eq!(host.taken(wait).map(code), Some(ErrorCode::Timeout));
    assert_eq!(host.get(ann, "k", SYNC), Ok(Some("v".into())));
    host.confirm_all();
    let bob = host.session();
    assert_eq!(host.get(bob, "k", THROW), Ok(Some("v".into())));
}

#[test]
fn a_storage_that_hangs_does_not_make_the_queue_of_messages_grow() {
    let (mut host, _) = edge_with_a_peer();
    let ann = host.session();
    host.set(ann, "k", "v");
    for beat in 1..1_000 {
        host.at(START + beat * 2_000);
    }
    host.confirm_all();
    assert!(host.sent.len() < 4, "{} messages had queued up", host.sent.len());
    assert!(host.sent.iter().any(|(_, bytes)| told(bytes, host.id()) == 1), "and none was forgotten");
    host.sent.clear();
    host.at(START + 3_000_000);
    assert!(!host.sent.is_empty(), "the heartbeat goes on");
}

#[test]
fn half_a_confirmation_releases_half() {
    let mut host = Host::new(stored(edge("paris")));
    let (ann, bob, id) = (host.session(), host.session(), host.id());
    host.set(ann, "k", "1");
    host.set(ann, "l", "2");
    host.confirm(1);
    assert_eq!(host.replica.durable(&host.space()).get(id), 1);
    assert_eq!(depended(&host.token(ann), id), 1);
    assert_eq!(host.get(bob, "k", THROW), Ok(Some("1".into())));
    assert_eq!(missing(&host.get(bob, "l", THROW).unwrap_err()), ["paris: 1 → 2"]);
}
