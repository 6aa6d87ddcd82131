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

#[test]
fn an_author_that_was_named_is_known_however_many_there_are() {
    // Keys of so many authors that take turns, those of later rounds in the other direction.
    let bytes = |authors: u8, rounds: u8| {
        let keys = (0..rounds).flat_map(|round| (0..authors).map(move |at| (round, at))).map(|(round, at)| {
            let author = if round % 2 == 0 { at } else { authors - 1 - at };
            let dot = Dot::new(ReplicaId::new("a", [author; 10]).unwrap(), (1 << 40) + u64::from(round));
            let entry = DataEntry::new(Content::Tombstone, dot, Hlc::new(TIME, 0), None, None);
            (format!("{round:03}{at:03}").as_str().into(), ListedSet::from(vec![Listed::Entry(entry)]))
        });
        let keys: Keys = keys.collect();
        let to: VersionVector =
            (0..authors).map(|author| (ReplicaId::new("a", [author; 10]).unwrap(), 1 << 41)).collect();
        let delta = Delta { space: space(), from: VersionVector::new(), to, hlc: Hlc::new(TIME, 0), keys };
        let frame = Frame { from: fra1(), to: None, messages: vec![Message::Delta(delta)] };
        let bytes = frame.encode();
        assert_eq!(Frame::decode(&bytes).unwrap(), frame);
        bytes.len()
    };
    for authors in 2..=20 {
        let each = (bytes(authors, 2) - bytes(authors, 1)) / usize::from(authors);
        assert!(each <= 10, "{each} bytes an entry of {authors} authors that were named before");
    }
}
