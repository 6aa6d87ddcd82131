//! What an entry costs on the wire, in the journal and in a snapshot, which are the same bytes.

use super::*;
use common::edge;
use common::host::Host;

/// Keys of 16 characters and values of 64, as one session of one replica writes them, a few milliseconds apart.
fn snapshot(entries: usize) -> usize {
    let mut host = Host::new(edge("fra1"));
    let session = host.session();
    for n in 0..entries {
        host.now += 3;
        host.set(session, &format!("user/{n:06}/cart"), &"v".repeat(64));
    }
    host.replica.snapshot().unwrap().len()
}

#[test]
fn an_entry_costs_hardly_more_than_its_key_and_value() {
    let (one, thousand) = (snapshot(1), snapshot(1_000));
    let each = (thousand - one) as f64 / 999.0;
    println!("{thousand} bytes for 1,000 entries of 16 + 64 characters: {each:.2} an entry, {one} for the first");
    // Keys that begin alike are cut to what differs; that pays for nearly all the rest.
    assert!(each < 84.0, "{each:.2}");
    assert!(one < 160, "{one}");
}

#[test]
fn what_the_receiver_has_costs_a_few_bytes() {
    let (mut a, mut b) = (Host::new(edge("a")), Host::new(edge("b")));
    let session = a.session();
    a.set(session, "k", &"v".repeat(10_000));
    b.pull(&mut a);
    let other = b.session();
    b.set(other, "l", "v");
    let delta = b.replica.store().extract(&b.space(), &a.vector()).unwrap();
    let bytes = Frame { from: b.id(), to: None, messages: vec![Message::Delta(delta)] }.encode();
    assert!(bytes.len() < 120, "{} bytes: what did not change is not sent", bytes.len());
}
