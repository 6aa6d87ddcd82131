//! A record of storage, a snapshot to restore, or what another replica has left behind: the first byte says which, the
//! rest is the frame.

use edge_session::id::ReplicaId;
use edge_session::sync::message::{Frame, Message};

use super::host::{Digest, Host, NOW};

/// Takes the bytes as what storage gives back.
pub fn run(bytes: &[u8]) {
    let Some((door, frame)) = bytes.split_first() else { return };
    super::message::read(frame);
    let mut host = Host::default();
    let before = host.digest();
    let own = host.replica.id();
    let known = host.replica.store().vector(&super::host::space()).get(own);
    let taken = match door % 3 {
        0 => host.replica.load(frame, NOW),
        1 => host.replica.restore(frame, NOW),
        _ => host.replica.absorb(frame, NOW),
    };
    match (taken, door % 3) {
        (Err(_), 2) if tells_of(frame, own, known) => {
            // It is not taken, but that there are forgotten writes of one's own is believed of whoever says so.
            let after = host.digest();
            assert_ne!(after.id, own, "an id whose past is lost is used on");
            assert_eq!(contents(&after), contents(&before), "what is refused has changed something");
        }
        (Err(_), _) => assert_eq!(host.digest(), before, "a refused snapshot has changed something"),
        (Ok(()), 1) => assert_ne!(host.replica.id(), own, "whoever restores takes a new id"),
        (Ok(()), _) => {}
    }
    host.assert_sound();
    host.write("k1");
    host.assert_sound();
}

/// Whether a frame knows of more writes of a replica than `known`, in any space.
fn tells_of(frame: &[u8], replica: ReplicaId, known: u64) -> bool {
    let Ok(frame) = Frame::decode(frame) else { return false };
    let space = super::host::space();
    let more = |(of, vector): (&edge_session::id::Space, &edge_session::vector::VersionVector)| {
        vector.get(replica) > if *of == space { known } else { 0 }
    };
    frame.messages.iter().flat_map(Message::vectors).any(more)
}

/// What a replica holds, whoever it is.
fn contents(digest: &Digest) -> Vec<Message> {
    Frame::decode(&digest.snapshot).unwrap().messages
}
