//! Golden bytes: `tests/data/wire/*.txt`. Whoever changes one has made another protocol.
//!
//! In a file, what follows `;` is for people; the rest are bytes in hexadecimal. The notes beside the bytes were made by
//! a decoder of its own, written from the protocol page, which must agree with this one.

use super::*;
use edge_session::error::ErrorCode;

macro_rules! golden {
    ($($name:literal)*) => { [$(($name, include_str!(concat!("../data/wire/", $name, ".txt")))),*] };
}

const FILES: [(&str, &str); 26] = golden!(
    "hello" "first-hello" "delta" "ack" "behind" "slice" "last-slice" "want" "top-up" "refused" "unknown" "several"
    "snapshot" "run" "run-beside" "empty-record" "reset" "ask" "bind" "fence" "under" "roster" "challenge" "proof" "call" "reply"
);

fn bytes(text: &str) -> Vec<u8> {
    let hex: String = text.lines().flat_map(|line| line.split(';').next().unwrap().split_whitespace()).collect();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn each_kind_of_message_has_its_documented_bytes() {
    let examples = examples();
    assert_eq!(examples.len(), FILES.len(), "each example has a file");
    for (name, text) in FILES {
        let frame = &examples.iter().find(|(example, _)| *example == name).unwrap().1;
        let bytes = bytes(text);
        assert_eq!(&Frame::decode(&bytes).unwrap(), frame, "{name} is read");
        assert_eq!(frame.encode(), bytes, "{name} is written");
    }
}

#[test]
fn every_kind_of_message_is_among_the_examples() {
    let mut seen = [false; 19];
    for (_, frame) in examples() {
        for message in frame.messages {
            let kind = match message {
                Message::Unknown { .. } => 0,
                Message::Hello { .. } => 1,
                Message::Delta(_) => 2,
                Message::Ack { .. } => 3,
                Message::Behind { .. } => 4,
                Message::Slice(_) | Message::Cut(_) => 5,
                Message::Want { .. } => 6,
                Message::TopUp { .. } => 7,
                Message::Refused { .. } => 8,
                Message::Reset => 9,
                Message::Ask { .. } => 10,
                Message::Bind { .. } => 11,
                Message::Fence { .. } => 12,
                Message::Under { .. } => 13,
                Message::Challenge { .. } => 14,
                Message::Proof(_) => 15,
                Message::Roster { .. } => 16,
                Message::Call(_) => 17,
                Message::Reply(_) => 18,
                Message::Foreign { .. } => continue,
            };
            seen[kind] = true;
        }
    }
    assert_eq!(seen, [true; 19]);
}

#[test]
fn bytes_of_another_version_are_told_apart() {
    for (name, frame) in examples() {
        let mut bytes = frame.encode();
        assert_eq!(bytes[1], 1);
        for version in [0, 2, 23] {
            bytes[1] = version;
            assert_eq!(common::code(Frame::decode(&bytes)), ErrorCode::ProtocolMismatch, "{name}");
        }
    }
}
