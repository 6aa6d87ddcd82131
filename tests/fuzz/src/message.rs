//! A message of a peer, on a link or as a request, proved or not: the first byte says how it comes in, the rest is the
//! frame.

use edge_session::error::ErrorCode;
use edge_session::io::LinkId;
use edge_session::replica::End;
use edge_session::sync::message::{Frame, Message};

use super::host::{Host, LINK, NOW};

/// The link on which replies to requests go out.
const REPLY: LinkId = LinkId(u32::MAX);

/// The link of somebody who has shown nothing.
const UNPROVED: LinkId = LinkId(2);

/// Takes the bytes as a message.
pub fn run(bytes: &[u8]) {
    let Some((door, frame)) = bytes.split_first() else { return };
    read(frame);
    let mut host = Host::default();
    let before = host.digest();
    let taken = match door % 6 {
        0 => host.replica.receive(LINK, frame, NOW),
        1 => host.replica.exchange(REPLY, frame, NOW),
        2 => host.replica.exchange_proved(REPLY, frame, NOW),
        end => {
            let end = [End::Caller, End::Callee, End::Requester][usize::from(end) - 3];
            host.replica.link_prove(UNPROVED, end, None, NOW);
            let taken = host.replica.receive(UNPROVED, frame, NOW);
            assert_eq!(host.digest(), before, "who has proved nothing has changed something");
            taken
        }
    };
    if let Err(error) = taken {
        let known = [ErrorCode::MessageMalformed, ErrorCode::ProtocolMismatch, ErrorCode::TokenInvalid];
        assert!(known.contains(&error.code()), "{error}");
        assert_eq!(host.digest(), before, "a refused message has changed something");
    }
    // Again, and later: what is said in return, and what is said of its own accord.
    host.drain();
    let _ = host.replica.receive(LINK, frame, NOW + 5_000);
    host.drain();
    host.replica.tick(NOW + 60_000);
    host.assert_sound();
    host.write("k1");
    host.assert_sound();
}

/// What is read is written in one form, which is read as the same.
pub fn read(bytes: &[u8]) {
    let Ok(frame) = Frame::decode(bytes) else { return };
    // A message of an unknown kind is never sent.
    if frame.messages.iter().any(|message| matches!(message, Message::Foreign { .. })) {
        return;
    }
    let written = frame.encode();
    // Whoever puts the ids into another order than that of their first use may spare a byte an entry, and no more.
    assert!(written.len() <= 2 * bytes.len(), "what is read is not blown up");
    assert_eq!(Frame::decode(&written).as_ref(), Ok(&frame));
    assert_eq!(frame.encode(), written, "one value, one form");
}
