//! A replica that holds something, and its digest: everything that a refused input must leave as it was.

use edge_session::error::{ErrorCode, SessionError};
use edge_session::id::{Dot, ReplicaId, Space};
use edge_session::io::{Effect, LinkId, Operation, Policy, Progress, SessionHandle, Terms};
use edge_session::replica::{Config, Replica, SessionInit, SessionView};
use edge_session::store::Mutation;
use edge_session::store::delta::{Delta, Listed};
use edge_session::store::entry::{Content, DataEntry};
use edge_session::sync::message::{Frame, Message};
use edge_session::time::Hlc;
use edge_session::vector::VersionVector;

/// The time, in milliseconds since 1970.
pub const NOW: u64 = 1_790_000_000_000;
/// The cluster's key and its name.
pub const KEY: (&str, [u8; 32]) = ("k1", [7; 32]);
/// The cluster.
pub const ISSUER: &str = "edge-session";
/// The link to the peer.
pub const LINK: LinkId = LinkId(1);

/// At once, or not at all.
const AT_ONCE: Terms = Terms { guarantees: None, on_stale: Some(Policy::Throw), timeout: None, sync: true };

/// The peer whose frames the corpora hold.
pub fn peer() -> ReplicaId {
    ReplicaId::new("fra1", [1; 10]).unwrap()
}

/// The space that everything is in.
pub fn space() -> Space {
    Space::first("default").unwrap()
}

/// A trusted replica with storage, one session that has written, and one link to a peer that has sent a delta.
pub struct Host {
    pub replica: Replica,
    pub session: SessionHandle,
}

/// Everything that a host is.
#[derive(PartialEq, Debug)]
pub struct Digest {
    pub id: ReplicaId,
    pub snapshot: Vec<u8>,
    durable: VersionVector,
    sessions: Vec<Option<SessionView>>,
    token: Option<String>,
    retired: bool,
}

impl Default for Host {
    fn default() -> Self {
        let keys = vec![(KEY.0.into(), KEY.1.to_vec())];
        let config = Config { label: "paris".into(), seed: [9; 32], storage: true, keys, ..Config::default() };
        let mut replica = Replica::open(config, NOW).unwrap();
        let init = SessionInit { user: Some("ann".into()), ..SessionInit::default() };
        let session = replica.open_session(init, NOW);
        replica.link_up(LINK, NOW);
        let mut host = Self { replica, session };
        for key in ["k1", "cart/1", "z"] {
            host.write(key);
        }
        let hello = Message::hello(vec![(space(), VersionVector::from_iter([(peer(), 1)]))], false);
        let frame = Frame { from: peer(), to: None, messages: vec![hello, Message::Delta(first_delta())] };
        host.replica.receive(LINK, &frame.encode(), NOW).unwrap();
        host.drain();
        host
    }
}

impl Host {
    /// Carries out every effect; storage confirms at once.
    pub fn drain(&mut self) {
        while let Some(effect) = self.replica.poll() {
            match effect {
                Effect::Persist { n, .. } => self.replica.persisted(n, NOW),
                // What leaves is whole.
                Effect::Transmit { bytes, .. } => drop(Frame::decode(&bytes.into_vec()).unwrap()),
                _ => {}
            }
        }
    }

    /// The session writes a key: the replica still works, unless a limit forbids it.
    pub fn write(&mut self, key: &str) {
        let batch = vec![Mutation { key: key.into(), content: Content::Text("mine".into()), expires_at: None }];
        let begun = self.replica.begin(self.session, Operation::Write { batch, checks: vec![] }, AT_ONCE, NOW);
        let full = |error: &SessionError| error.code() == ErrorCode::QuotaExceeded;
        assert!(matches!(begun, Ok(Progress::Done(_))) || begun.as_ref().is_err_and(full), "{begun:?}");
        self.drain();
    }

    /// Everything that it is now.
    pub fn digest(&mut self) -> Digest {
        self.drain();
        let replica = &mut self.replica;
        let snapshot = replica.snapshot().unwrap();
        let sessions = replica.sessions().map(|handle| replica.session(handle)).collect();
        Digest {
            id: replica.id(),
            snapshot,
            durable: replica.durable(&space()).clone(),
            sessions,
            token: replica.token(self.session, NOW).ok(),
            retired: replica.store().space(&space()).is_some_and(|state| state.retired(peer()).is_some()),
        }
    }

    /// What it holds is sound: storage and peers can read it, and whoever reads it holds the same.
    pub fn assert_sound(&mut self) {
        self.drain();
        let snapshot = self.replica.snapshot().unwrap();
        let mut other = Replica::open(Config::default(), NOW).unwrap();
        other.load(&snapshot, NOW).unwrap();
        assert_eq!(other.snapshot().unwrap(), snapshot, "a snapshot is read as it was written");
        for (name, state) in self.replica.store().spaces() {
            // A space that holds nothing is told of as well.
            assert_eq!(other.store().space(name), Some(state), "vector, live sets, index and counts");
        }
    }
}

/// What the peer sent first.
pub fn first_delta() -> Delta {
    let text = || Content::Text("early".into());
    let entry =
        |sequence, millis| DataEntry::new(text(), Dot::new(peer(), sequence), Hlc::new(NOW + millis, 0), None, None);
    Delta {
        space: space(),
        from: VersionVector::new(),
        to: VersionVector::from_iter([(peer(), 2)]),
        hlc: Hlc::new(NOW + 2, 0),
        keys: vec![
            ("prefs".into(), vec![Listed::Entry(entry(1, 1))].into()),
            ("q".into(), vec![Listed::Entry(entry(2, 2))].into()),
        ]
        .into(),
    }
}
