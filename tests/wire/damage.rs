//! Damaged, hostile and contradictory bytes: an error, an unchanged state, no panic, no memory by a claimed length.

use super::any::any_frame;
use super::window::Window;
use super::*;
use common::host::{Host, SYNC};
use common::{START, batch, code, edge, put, stored};
use edge_session::codec::Writer;
use edge_session::error::{ErrorCode, SessionError};
use edge_session::io::LinkId;
use edge_session::sync::message::FRAME_BYTES_MAX;
use proptest::prelude::*;

const LINK: LinkId = LinkId(1);

/// A replica that holds something, among it the keys and origins of the examples.
fn host() -> Host {
    host_of(edge("paris"))
}

fn host_of(config: edge_session::replica::Config) -> Host {
    let mut host = Host::new(stored(config));
    let mine = host.session();
    host.ask(mine, batch([put("k1", "mine"), put("cart/1", "mine"), put("z", "mine")]), SYNC).unwrap();
    let known = Delta {
        from: VersionVector::new(),
        to: vector(&[(fra1(), 2)]),
        keys: vec![("prefs".into(), plain("early", Dot::new(fra1(), 1), 0))].into(),
        ..delta()
    };
    host.replica.link_up(LINK, START);
    let frame = Frame { from: fra1(), to: None, messages: vec![Message::Delta(known)] };
    host.receive(LINK, &frame.encode()).unwrap();
    host.confirm_all();
    host
}

/// Everything that a host is: who, and all that it holds.
fn digest(host: &mut Host) -> (ReplicaId, Vec<u8>) {
    (host.id(), host.snapshot())
}

/// A way in which bytes come into a replica.
type Door = fn(&mut Host, &[u8]) -> Result<(), SessionError>;

/// All there are.
fn doors() -> [(&'static str, Door); 6] {
    [
        ("receive", |host, bytes| host.receive(LINK, bytes)),
        ("exchange", |host, bytes| host.try_exchange(bytes).map(drop)),
        ("load", |host, bytes| host.replica.load(bytes, START)),
        ("restore", |host, bytes| {
            let result = host.replica.restore(bytes, START);
            host.drain();
            result
        }),
        ("load through a window", |host, bytes| host.replica.load_from(&Window::of(bytes, 100), START)),
        ("absorb through a window", |host, bytes| host.replica.absorb_from(&Window::of(bytes, 200), START)),
    ]
}

/// Bytes that must be refused at every door, and change nothing.
fn assert_refused(bytes: &[u8], what: &str) {
    for (door, enter) in doors() {
        let mut host = host();
        let before = digest(&mut host);
        let error = enter(&mut host, bytes).err().unwrap_or_else(|| panic!("{what}: {door} took {bytes:x?}"));
        assert!(matches!(error.code(), ErrorCode::MessageMalformed | ErrorCode::ProtocolMismatch), "{what}: {error}");
        assert_eq!(digest(&mut host), before, "{what}: {door} has changed something");
    }
}

/// Bytes that may be anything: whoever refuses them has not changed.
fn assert_harmless(bytes: &[u8]) {
    for (door, enter) in doors() {
        let mut host = host();
        let before = digest(&mut host);
        if enter(&mut host, bytes).is_err() {
            assert_eq!(digest(&mut host), before, "{door} has changed something for {bytes:x?}");
        }
        // It still works, and what it holds is sound: it can be read again.
        let session = host.session();
        host.set(session, "k1", "after");
        Frame::decode(&host.snapshot()).unwrap();
    }
}

#[test]
fn a_frame_cut_short_anywhere_is_refused() {
    for (name, frame) in examples() {
        let bytes = frame.encode();
        for len in 0..bytes.len() {
            assert_eq!(code(Frame::decode(&bytes[..len])), ErrorCode::MessageMalformed, "{name} cut to {len}");
        }
        // No bytes at all ask for a hello.
        for len in [1, 2, bytes.len() / 2, bytes.len() - 1] {
            assert_refused(&bytes[..len], name);
        }
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    for (name, frame) in examples() {
        let mut bytes = frame.encode();
        bytes.push(0);
        assert_refused(&bytes, name);
    }
}

#[test]
fn a_message_longer_than_any_that_is_sent_is_refused_unread() {
    let mut host = host();
    let before = digest(&mut host);
    let mut frame = Frame { from: fra1(), to: None, messages: vec![Message::Delta(delta())] }.encode();
    frame.resize(FRAME_BYTES_MAX + 1, 0);
    for (door, enter) in doors().into_iter().take(2) {
        let error = enter(&mut host, &frame).err().unwrap_or_else(|| panic!("{door} took it"));
        assert!(error.cause().contains("longer than any"), "{door}: {error}");
    }
    assert_eq!(digest(&mut host), before);
}

#[test]
fn keys_that_share_more_than_any_message_has_are_refused() {
    let mut host = host();
    let before = digest(&mut host);
    // A dozen bytes a key, of which each takes a hundred thousand when it is read.
    let stem = "k".repeat(100_000);
    let of = |keys: u64| {
        let one = |n: u64| {
            let gone = DataEntry::new(Content::Tombstone, Dot::new(fra1(), 2 + n), hlc(30), None, None);
            (format!("{stem}{n:04}").into(), vec![Listed::Entry(gone)].into())
        };
        let keys: Vec<_> = (1..=keys).map(one).collect();
        let to = vector(&[(fra1(), 2 + keys.len() as u64)]);
        let delta = Delta { to, keys: keys.into(), ..delta() };
        Frame { from: fra1(), to: None, messages: vec![Message::Delta(delta)] }.encode()
    };
    let (few, many) = (of(100), of(FRAME_BYTES_MAX as u64 / 100_000 + 3));
    assert!(many.len() < 200_000, "{}", many.len());
    for (door, enter) in doors().into_iter().take(2) {
        let error = enter(&mut host, &many).err().unwrap_or_else(|| panic!("{door} took it"));
        assert!(error.cause().contains("share more"), "{door}: {error}");
    }
    assert_eq!(digest(&mut host), before);
    assert!(Frame::receive(&few).is_ok());
    // What a replica has stored itself is read.
    assert!(Frame::decode(&many).is_ok());
    // Two messages share as one does.
    let delta = |bytes: &[u8]| Frame::receive(bytes).unwrap().messages.remove(0);
    let half = of(FRAME_BYTES_MAX as u64 / 200_000 + 3);
    let twice = Frame { from: fra1(), to: None, messages: vec![delta(&half), delta(&half)] }.encode();
    assert!(Frame::receive(&half).is_ok());
    assert!(Frame::receive(&twice).is_err());
}

#[test]
fn another_version_is_refused() {
    for (name, frame) in examples() {
        let mut bytes = frame.encode();
        bytes[1] = 2;
        assert_refused(&bytes, name);
    }
}

#[test]
fn any_one_bit_may_be_another() {
    for (_, frame) in examples() {
        let bytes = frame.encode();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(frame) = Frame::decode(&bytes) {
                // What can still be read means something: it must be sound enough to be written and read again.
                let foreign = frame.messages.iter().any(|message| matches!(message, Message::Foreign { .. }));
                assert!(foreign || Frame::decode(&frame.encode()).unwrap() == frame, "{frame:?}");
            }
            // All doors for a third of them: the others differ in nothing.
            if bit % 3 == 0 {
                assert_harmless(&bytes);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn arbitrary_bytes_do_no_harm(noise in any::<Vec<u8>>(), frame in any_frame(), at: prop::sample::Index) {
        assert_harmless(&noise);
        // Behind a sound beginning, so that the depths are reached.
        let mut bytes = frame.encode();
        bytes.truncate(at.index(bytes.len()));
        bytes.extend(noise);
        assert_harmless(&bytes);
    }

    #[test]
    fn any_well_formed_frame_does_no_harm(frame in any_frame()) {
        assert_harmless(&frame.encode());
    }
}

// ── Memory ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// The most memory that this process has ever mapped, in KiB.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmPeak:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Heads of arrays, maps, byte strings and texts that claim 2⁴⁰ and 2²⁸ items, at every place of every example.
#[test]
fn a_claimed_length_allocates_nothing() {
    #[cfg(target_os = "linux")]
    let before = peak();
    for (name, frame) in examples() {
        let bytes = frame.encode();
        for at in 0..bytes.len() {
            for major in [0x40, 0x60, 0x80, 0xa0] {
                for claim in [1u64 << 28, 1 << 40, u64::MAX] {
                    let mut claimed = bytes[..at].to_vec();
                    claimed.push(major | 27);
                    claimed.extend(claim.to_be_bytes());
                    claimed.extend(&bytes[at + 1..]);
                    if let Ok(frame) = Frame::decode(&claimed) {
                        panic!("{name}: {frame:?} was read at {at}");
                    }
                }
            }
        }
    }
    // 2²⁸ bytes would be seen; what the other tests of this program map is far less.
    #[cfg(target_os = "linux")]
    assert!(peak() - before < 200 << 10, "{} KiB more", peak() - before);
}

/// The keys of a delta, written by hand: `body` writes the sequence.
fn with_keys(body: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.item();
    writer.replica(fra1());
    writer.item();
    writer.null();
    writer.item();
    writer.array(7);
    writer.u64(2);
    writer.space(&space());
    writer.vector(&vector(&[(fra1(), 1_000_000)]));
    writer.vector(&vector(&[(fra1(), 1_000_000)]));
    writer.u64(hlc(0).to_bits());
    writer.sequence(body);
    writer.finish()
}

/// One key with a million bare dots would cost a reader that compares each with all the others an hour.
#[test]
fn a_crowd_of_dots_costs_no_more_than_its_bytes() {
    let bytes = with_keys(|keys| {
        keys.i64(-1);
        keys.u64(300_000);
        keys.text("k");
        for _ in 0..300_000 {
            keys.u64(16); // origin 0, a bare dot
            keys.i64(1);
        }
    });
    assert_eq!(code(Frame::decode(&bytes)), ErrorCode::MessageMalformed, "an origin has one live entry a key");
}

#[test]
fn a_claimed_number_of_entries_is_a_claim() {
    let bytes = with_keys(|keys| {
        keys.i64(-1);
        keys.u64(u64::MAX);
        keys.text("k");
        keys.u64(16);
        keys.i64(1);
    });
    assert_refused(&bytes, "a count");
}

/// Key and value are looked at as one text, but each is to be text.
#[test]
fn a_character_half_of_the_key_and_half_of_the_value_is_refused() {
    let bytes = with_keys(|keys| {
        keys.i64(0);
        keys.text("\u{e9}");
        keys.u64(4); // origin 0, text
        keys.i64(1);
        keys.i64(0);
        keys.text("v");
    });
    assert!(Frame::decode(&bytes).is_ok());
    let whole = [0x62, 0xc3, 0xa9, 4, 1, 0, 0x61, b'v'];
    let at = bytes.windows(whole.len()).position(|window| window == whole).unwrap();
    let mut halved = bytes;
    halved[at..at + whole.len()].copy_from_slice(&[0x61, 0xc3, 4, 1, 0, 0x62, 0xa9, b'v']);
    assert_refused(&halved, "half a character");
}

// ── Contradictions ──────────────────────────────────────────────────────────────────────────────────────────────────

/// What a key's bytes are written as.
#[derive(Clone, Copy)]
enum Item {
    U(u64),
    I(i64),
    T(&'static str),
}

#[test]
fn keys_that_contradict_themselves_are_refused() {
    use Item::{I, T, U};
    // A key is how much of the one before it begins with, the rest, and its entries: a dot is flags with an origin, and a sequence.
    let bodies: &[(&str, &[Item])] = &[
        ("an empty key", &[I(0), T(""), U(16), I(1)]),
        ("a key twice", &[I(0), T("k"), U(16), I(1), I(1), T(""), U(16), I(1)]),
        ("keys out of order", &[I(0), T("k"), U(16), I(1), I(0), T("a"), U(16), I(1)]),
        ("a prefix longer than the key before", &[I(1), T("k"), U(16), I(1)]),
        ("a prefix that cuts a character", &[I(0), T("ä"), U(16), I(1), I(1), T("x"), U(16), I(1)]),
        ("the least number", &[I(i64::MIN), T("k"), U(16), I(1)]),
        ("sequence 0", &[I(0), T("k"), U(16), I(0)]),
        ("a sequence below 0", &[I(0), T("k"), U(16), I(-5)]),
        ("a bare dot that is not in from", &[I(0), T("k"), U(16), I(1_000_001)]),
        ("a bare dot with flags", &[I(0), T("k"), U(17), I(1)]),
        ("an origin that is not in the table", &[I(0), T("k"), U(16 + 20), I(1)]),
        ("an origin at the end of numbers", &[I(0), T("k"), U(u64::MAX), I(1)]),
        ("a clock below 0", &[I(0), T("k"), U(0), I(1), I(i64::MIN)]),
        ("a clock above the delta's", &[I(0), T("k"), U(0), I(1), I(1)]),
        ("a session that is not in the table", &[I(0), T("k"), U(1), I(1), I(0), U(0)]),
        ("an end below 0", &[I(0), T("k"), U(2), I(1), I(0), I(i64::MIN)]),
        ("an end beyond 48 bits", &[I(0), T("k"), U(2), I(1), I(0), I(1 << 48)]),
        ("an origin twice in a key", &[I(-1), U(2), T("k"), U(16), I(1), U(16), I(1)]),
    ];
    let written = |items: &[Item]| {
        with_keys(|keys| {
            for item in items {
                match *item {
                    U(number) => keys.u64(number),
                    I(number) => keys.i64(number),
                    T(text) => keys.text(text),
                }
            }
        })
    };
    for (what, items) in bodies {
        assert_refused(&written(items), what);
    }
    // The same writer makes what is right.
    assert!(Frame::decode(&written(&[I(0), T("k"), U(16), I(1)])).is_ok());
}

#[test]
fn entries_outside_of_their_deltas_vector_are_refused() {
    let late = Delta { to: vector(&[(fra1(), 4), (tab(), 3)]), ..delta() };
    assert_refused(&frame(vec![Message::Delta(late)]).encode(), "a dot above `to`");
    let early = Delta { hlc: hlc(29), ..delta() };
    assert_refused(&frame(vec![Message::Delta(early)]).encode(), "a clock above the delta's");
    let end_of_time = Delta { hlc: Hlc::from_bits(u64::MAX), ..delta() };
    assert_refused(&frame(vec![Message::Delta(end_of_time)]).encode(), "a clock that could not go on");
}

#[test]
fn a_slice_outside_of_its_range_is_refused() {
    let slice = |after: Option<&str>, last: bool, keys: Keys| {
        let (from, base, at) = (VersionVector::new(), vector(&[(fra1(), 5)]), vector(&[(fra1(), 6)]));
        let after = after.map(Into::into);
        frame(vec![Message::Slice(Slice { space: space(), from, base, at, after, last, hlc: hlc(30), keys })]).encode()
    };
    let one = || vec![("k".into(), plain("v", Dot::new(fra1(), 1), 0))].into();
    assert_refused(&slice(Some("k"), false, one()), "its first key is the last one of the slice before");
    assert_refused(&slice(None, false, Keys::new()), "nothing, and more to come");
    assert!(Frame::decode(&slice(Some("a"), false, one())).is_ok());
    assert!(Frame::decode(&slice(Some("a"), true, Keys::new())).is_ok());
}

/// A slice may hold what its sender took in after the first one, and says so; what even its own vector does not hold is a lie.
#[test]
fn slices_with_entries_outside_of_their_vector_or_clock_are_refused() {
    let slice = |at: u64, millis: u64| {
        let (from, base, at) = (VersionVector::new(), vector(&[(fra1(), 1)]), vector(&[(fra1(), at)]));
        let keys = vec![("k".into(), plain("v", Dot::new(fra1(), 9), 5))].into();
        let hlc = hlc(millis);
        frame(vec![Message::Slice(Slice { space: space(), from, base, at, after: None, last: true, hlc, keys })])
            .encode()
    };
    assert!(Frame::decode(&slice(9, 5)).is_ok());
    assert_refused(&slice(8, 5), "an entry that its sender did not hold");
    assert_refused(&slice(9, 4), "a clock above the slice's");
}

#[test]
fn a_frame_without_sender_or_message_without_kind_is_refused() {
    let empty = Writer::new().finish();
    assert_refused(&empty, "no sender");
    let mut writer = Writer::new();
    writer.item();
    writer.replica(fra1());
    writer.item();
    writer.null();
    writer.item();
    writer.array(0);
    assert_refused(&writer.finish(), "no kind");
    let mut writer = Writer::new();
    writer.item();
    writer.replica(fra1());
    writer.item();
    writer.null();
    writer.item();
    writer.array(2);
    writer.u64(3);
    writer.text("default");
    assert_refused(&writer.finish(), "an ack with too few fields");
}

#[test]
fn a_snapshot_that_holds_other_messages_is_refused_as_a_whole() {
    for enter in [doors()[2].1, doors()[3].1] {
        let mut host = host();
        let before = digest(&mut host);
        let ack = Message::Ack { space: space(), vector: VersionVector::new() };
        let frame = Frame { from: fra1(), to: None, messages: vec![Message::Delta(delta()), ack] };
        assert_eq!(code(enter(&mut host, &frame.encode())), ErrorCode::MessageMalformed);
        assert_eq!(digest(&mut host), before);
    }
}

#[test]
fn a_snapshot_of_which_one_space_does_not_apply_is_refused_as_a_whole() {
    let gap = Delta { space: Space::first("other").unwrap(), keys: Keys::new(), ..delta() };
    let whole = Delta { from: VersionVector::new(), keys: Keys::new(), ..delta() };
    for enter in [doors()[2].1, doors()[3].1] {
        let mut host = host();
        let before = digest(&mut host);
        let messages = vec![Message::Delta(whole.clone()), Message::Delta(gap.clone())];
        let frame = Frame { from: fra1(), to: None, messages };
        assert_eq!(code(enter(&mut host, &frame.encode())), ErrorCode::StaleReplica);
        assert_eq!(digest(&mut host), before);
    }
}

/// A clock that somebody has pushed to the end of what is believed stops writes; it does not make what is stored unreadable.
#[test]
fn a_clock_at_the_end_of_what_is_believed_writes_nothing_that_cannot_be_read() {
    // With a key it would not be believed at all; see `trust/clocks`.
    let mut host = host_of(common::tab("paris"));
    let last = Hlc::from_bits(((1 << 48) - 1 - 86_400_000) << 16);
    let delta = Delta { to: vector(&[(fra1(), 3)]), hlc: last, keys: Keys::new(), ..delta() };
    // From a snapshot: a link whose end is a day ahead is not listened to.
    let [.., (_, restore)] = doors();
    restore(&mut host, &Frame { from: fra1(), to: None, messages: vec![Message::Delta(delta)] }.encode()).unwrap();
    let session = host.session();
    let refused = host.try_set(session, "k1", "after", SYNC);
    assert_eq!(code(refused), ErrorCode::QuotaExceeded);
    Frame::decode(&host.snapshot()).unwrap();
    host.confirm_all();
    host.crash();
    assert_eq!(host.vector().get(fra1()), 3, "and it opens again");
}
