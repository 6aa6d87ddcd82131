//! A record of storage, or a snapshot that is restored: the first byte says which, the rest is the frame.

use super::host::{Host, NOW};

/// Takes the bytes as what storage gives back.
pub fn run(bytes: &[u8]) {
    let Some((door, frame)) = bytes.split_first() else { return };
    super::message::read(frame);
    let mut host = Host::default();
    let before = host.digest();
    let own = host.replica.id();
    let taken = match door % 2 {
        0 => host.replica.load(frame, NOW),
        _ => host.replica.restore(frame, NOW),
    };
    match taken {
        Err(_) => assert_eq!(host.digest(), before, "a refused snapshot has changed something"),
        Ok(()) if door % 2 == 1 => assert_ne!(host.replica.id(), own, "whoever restores takes a new id"),
        Ok(()) => {}
    }
    host.assert_sound();
    host.write("k1");
    host.assert_sound();
}
