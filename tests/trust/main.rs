//! Clients that cannot lie: a client written against the wire tells each lie, and is refused, while others go on.
//!
//! Here is what the tests have in common: an edge, an honest tab that keeps writing, and a liar with a link of its own.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::wildcard_enum_match_arm)]

#[path = "../common/mod.rs"]
mod common;

mod calls;
mod clocks;
mod crowd;
mod lies;
mod limits;
mod links;
#[cfg(feature = "mutants")]
mod mutants;
mod proofs;
mod recovery;
mod rests;
mod runs;
mod sight;

use common::host::Host;
use common::net::Net;
use common::{START, code, edge, stored, tab, text};
use edge_session::error::{ErrorCode, SessionError};
use edge_session::id::{Dot, ReplicaId, SessionId, Space};
use edge_session::identity::Secret;
use edge_session::io::{Event, LinkId, SessionHandle};
use edge_session::replica::{Pass, SessionInit};
use edge_session::store::delta::{Delta, Keys, Listed, ListedSet};
use edge_session::store::entry::{Content, DataEntry, Key};
use edge_session::sync::gate::{ClientLimits, Right};
use edge_session::sync::message::{Frame, Message, Slice};
use edge_session::time::Hlc;
use edge_session::vector::VersionVector;

/// The hosts of a world.
const EDGE: usize = 0;
const TAB: usize = 1;
/// The liar's link at the edge.
const LINK: LinkId = LinkId(99);

fn space(name: &str) -> Space {
    Space::first(name).unwrap()
}

fn default() -> Space {
    space("default")
}

/// A token of a session that begins at `edge`, in a space of its own or the default one.
fn token(edge: &mut Host, user: &str, space: Option<&str>) -> String {
    let space = space.map(|name| Space::first(name).unwrap());
    let session = edge.open(SessionInit { user: Some(user.into()), space, ..SessionInit::default() });
    edge.token(session)
}

fn pass(token: &str) -> Pass {
    Pass { token: token.into(), spaces: Vec::new() }
}

/// An edge, and a tab of one user that has joined it and writes now and then.
struct World {
    net: Net,
    author: SessionHandle,
    written: u32,
}

impl World {
    fn new() -> Self {
        Self::with(edge("fra1"))
    }

    fn with(config: edge_session::replica::Config) -> Self {
        let mut edge = Host::new(config);
        let token = token(&mut edge, "ann", None);
        let mut net = Net::new(vec![edge, Host::new(tab("honest"))]);
        net.join(TAB, EDGE, &pass(&token));
        let author = net.hosts[TAB].session();
        let mut world = Self { net, author, written: 0 };
        world.goes_on();
        world
    }

    fn edge(&self) -> &Host {
        &self.net.hosts[EDGE]
    }

    /// The honest tab writes, and the edge has it.
    fn goes_on(&mut self) {
        self.net.settle(5_000);
        self.written += 1;
        let (author, value) = (self.author, self.written.to_string());
        self.net.with(TAB, |tab| tab.set(author, "honest", &value));
        self.net.settle(5_000);
        let live = self.edge().replica.store().live(&default(), "honest").unwrap();
        assert_eq!(live.entries().len(), 1);
        assert_eq!(live.winner().unwrap().content, text(&value));
    }

    /// All clocks are set back by an hour.
    fn set_back(&mut self) {
        self.net.now -= 3_600_000;
        let now = self.net.now;
        for host in 0..self.net.hosts.len() {
            self.net.with(host, |host| host.replica.tick(now));
        }
    }

    /// Every entry and vector that the edge holds, as bytes.
    fn state(&mut self) -> Vec<u8> {
        self.net.hosts[EDGE].snapshot()
    }
}

/// A client written against the wire.
struct Liar {
    id: ReplicaId,
    secret: Secret,
    link: LinkId,
}

impl Liar {
    /// A client that has joined with `pass`, and has proved its id.
    fn join(world: &mut World, pass: &Pass) -> Self {
        Self::join_as(world, pass, LINK, 66)
    }

    fn join_as(world: &mut World, pass: &Pass, link: LinkId, seed: u8) -> Self {
        let secret = Secret::from_bytes([seed; 16]);
        let liar = Self { id: secret.id("liar").unwrap(), secret, link };
        let now = world.net.now;
        world.net.with(EDGE, |edge| edge.replica.link_admit(link, pass, now)).unwrap();
        liar.says(world, liar.proof());
        liar
    }

    fn proof(&self) -> Vec<Message> {
        vec![Message::Bind { ids: vec![(self.id, self.secret.clone())] }]
    }

    fn frame(&self, messages: Vec<Message>) -> Vec<u8> {
        Frame { from: self.id, to: None, messages }.encode()
    }

    /// Says something, and hears what is answered at once.
    fn says(&self, world: &mut World, messages: Vec<Message>) -> Vec<Message> {
        let bytes = self.frame(messages);
        self.sends(world, &bytes).unwrap()
    }

    fn sends(&self, world: &mut World, bytes: &[u8]) -> Result<Vec<Message>, SessionError> {
        world.net.with(EDGE, |edge| {
            edge.receive(self.link, bytes)?;
            let (mine, others): (Vec<_>, Vec<_>) = edge.sent.drain(..).partition(|(link, _)| *link == self.link);
            edge.sent = others;
            Ok(mine.iter().flat_map(|(_, bytes)| Frame::decode(bytes).unwrap().messages).collect())
        })
    }

    /// An entry of the liar's own.
    fn entry(&self, sequence: u64, value: &str) -> DataEntry {
        let content = Content::Text(value.into());
        let hlc = Hlc::new(START, 0);
        DataEntry::new(content, Dot::new(self.id, sequence), hlc, None, None)
    }

    /// A delta of the default space since what the edge holds.
    fn delta(&self, world: &World, to: &[(ReplicaId, u64)], keys: Vec<(Key, ListedSet)>) -> Delta {
        let from = world.edge().vector();
        let mut whole = from.clone();
        to.iter().for_each(|(id, sequence)| whole.advance(Dot::new(*id, *sequence)));
        Delta { space: default(), from, to: whole, hlc: Hlc::new(START + 10_000, 0), keys: keys.into() }
    }

    /// The delta of one write of one key.
    fn write(&self, world: &World, key: &str, entry: DataEntry) -> Delta {
        self.delta(world, &[(self.id, entry.dot().sequence)], vec![(key.into(), vec![Listed::Entry(entry)].into())])
    }
}

/// The codes and dots of what was refused.
fn refusals(said: &[Message]) -> Vec<(&str, Vec<Dot>)> {
    let refused = said.iter().filter_map(|message| match message {
        Message::Refused { code, dots, .. } => Some((code.as_str(), dots.clone())),
        _ => None,
    });
    refused.collect()
}

/// The one refusal of a frame.
fn refused(said: &[Message]) -> (&str, Vec<Dot>) {
    let [refusal] = &refusals(said)[..] else { panic!("{said:?}") };
    refusal.clone()
}
