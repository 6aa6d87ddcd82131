//! A minute of flood at ten times what a client may send: the edge's memory does not grow with it.
//!
//! A process of its own, because it looks at the memory of the whole process.
#![cfg(all(not(target_arch = "wasm32"), target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "common/mod.rs"]
mod common;

use common::host::Host;
use common::{edge, text};
use edge_session::id::{Dot, ReplicaId, Space};
use edge_session::identity::Secret;
use edge_session::io::LinkId;
use edge_session::replica::{Pass, SessionInit};
use edge_session::store::delta::{Delta, Listed};
use edge_session::store::entry::DataEntry;
use edge_session::sync::gate::ClientLimits;
use edge_session::sync::message::{Frame, Message, Slice};
use edge_session::time::Hlc;
use edge_session::vector::VersionVector;

const LINK: LinkId = LinkId(1);

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// An id that nobody has seen.
fn ghost(n: u64) -> ReplicaId {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&n.to_be_bytes());
    ReplicaId::new("ghost", random).unwrap()
}

#[test]
fn a_flood_leaves_nothing_behind() {
    let mut host = Host::new(edge("fra1"));
    let session = host.open(SessionInit { user: Some("eve".into()), ..SessionInit::default() });
    let token = host.token(session);
    host.replica.link_admit(LINK, &Pass { token, spaces: Vec::new() }, host.now).unwrap();
    let secret = Secret::from_bytes([66; 16]);
    let id = secret.id("liar").unwrap();
    let space = Space::first("default").unwrap();
    let hlc = Hlc::new(host.now, 0);
    let entry = |dot: Dot| DataEntry::new(text(&"v".repeat(2_000)), dot, hlc, None, None);
    let says = |host: &mut Host, messages: Vec<Message>| {
        let bytes = Frame { from: id, to: None, messages }.encode();
        let heard = host.receive(LINK, &bytes).is_ok();
        host.sent.clear();
        host.events.clear();
        heard
    };
    says(&mut host, vec![Message::Bind { ids: vec![(id, secret)] }]);
    let vector = |n: u64| (0..50).map(|k| (ghost(n * 50 + k), 1)).collect::<VersionVector>();
    let before = resident();
    let a_minute = ClientLimits::default().messages * 10 * 60;
    for n in 0..a_minute {
        if n % 100 == 0 {
            let now = host.now + 100;
            host.at(now);
        }
        let other = Space::first(&format!("space-{n}")).unwrap();
        let message = match n % 7 {
            // One key, again and again; another's ids; vectors of ghosts; spaces that do not exist; slices without end.
            0 => {
                let sequence = host.vector().get(id) + 1;
                let (from, mut to) = (host.vector(), host.vector());
                to.advance(Dot::new(id, sequence));
                let keys = vec![("k".into(), vec![Listed::Entry(entry(Dot::new(id, sequence)))].into())];
                Message::Delta(Delta { space: space.clone(), from, to, hlc, keys: keys.into() })
            }
            1 => {
                let to = vector(n);
                let keys = vec![("k".into(), vec![Listed::Entry(entry(Dot::new(ghost(n * 50), 1)))].into())];
                Message::Delta(Delta { space: space.clone(), from: VersionVector::new(), to, hlc, keys: keys.into() })
            }
            2 => Message::Ack { space: space.clone(), vector: vector(n) },
            3 => Message::hello(vec![(space.clone(), vector(n)), (other, vector(n))], true),
            4 => Message::Behind { space: other, vector: vector(n) },
            5 => Message::Slice(Slice {
                space: space.clone(),
                from: VersionVector::new(),
                base: vector(n),
                at: VersionVector::from_iter([(id, 1)]),
                after: None,
                last: false,
                hlc,
                keys: vec![("k".into(), vec![Listed::Entry(entry(Dot::new(id, 1)))].into())].into(),
            }),
            _ => {
                let secret = Secret::from_bytes(core::array::from_fn(|at| (n >> (8 * (at % 8))) as u8));
                Message::Bind { ids: vec![(secret.id("liar").unwrap(), secret)] }
            }
        };
        says(&mut host, vec![message]);
    }
    let grown = resident().saturating_sub(before);
    assert!(grown <= 32 << 20, "{} KiB more than before", grown >> 10);
    assert!(host.vector().get(id) > 0, "what was true of it was heard");
    assert!(host.replica.store().len() <= 1 && host.replica.store().spaces().len() == 1);
}
