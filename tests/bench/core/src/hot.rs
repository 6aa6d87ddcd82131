//! The core's hot paths, one by one, each with its preparation outside of what is counted.
//!
//! Invariant: the same instructions at every run: seeds, times and data are constants. What is counted happens inside
//! of [`measured`], which callgrind finds by its name.

use std::hint::black_box;

use edge_session::error::SessionError;
use edge_session::guarantee::Guarantees;
use edge_session::id::{Dot, ReplicaId, SessionId, Space};
use edge_session::io::{Effect, Interest, LinkId, Operation, SessionHandle, Terms};
use edge_session::replica::{Config, Pass, Replica, SessionInit};
use edge_session::session::claims::Claims;
use edge_session::session::seal::Keyring;
use edge_session::session::vector::SessionVector;
use edge_session::store::entry::Content;
use edge_session::store::{Log, Mutation};
use edge_session::sync::message::{Frame, Message};

use crate::vectors;

/// A path: its name, what one of its operations is, and how many of them run.
pub struct Path {
    /// As the baseline lists it.
    pub name: &'static str,
    /// How many operations are counted.
    pub operations: u32,
    /// Prepares, then runs them inside of [`measured`].
    pub run: fn(u32) -> Result<(), SessionError>,
}

/// All of them.
#[rustfmt::skip]
pub const PATHS: &[Path] = &[
    Path { name: "write a new key", operations: 8_192, run: write_new },
    Path { name: "overwrite a hot key", operations: 8_192, run: overwrite },
    Path { name: "read a key", operations: 8_192, run: read },
    Path { name: "answer a pull of all, an entry", operations: 8_192, run: encode },
    Path { name: "apply a delta, an entry", operations: 8_192, run: apply },
    Path { name: "merge a concurrent write of a key", operations: 8_192, run: merge },
    Path { name: "pull of one change", operations: 256, run: pull },
    Path { name: "pass a change on", operations: 256, run: pass_on },
    Path { name: "hear a change and answer it", operations: 256, run: answer },
    Path { name: "read a key, 1,000 clients linked", operations: 256, run: read_in_crowd },
    Path { name: "hear a client of 1,000", operations: 256, run: hear_one },
    Path { name: "tell 1,000 clients a change, each", operations: CLIENTS, run: tell_all },
    Path { name: "save a snapshot, an entry", operations: 8_192, run: save },
    Path { name: "load a snapshot, an entry", operations: 8_192, run: load },
    Path { name: "begin a session by its token", operations: 256, run: open_token },
    Path { name: "seal a token", operations: 256, run: seal_token },
    Path { name: "begin a session, 16 dependencies", operations: 256, run: open_wide },
    Path { name: "seal a token, 16 dependencies", operations: 256, run: seal_wide },
    Path { name: "encode a vector of 100", operations: 64, run: |times| vector(times, vectors::encode) },
    Path { name: "decode a vector of 100", operations: 64, run: |times| vector(times, vectors::decode) },
    Path { name: "merge vectors of 100", operations: 64, run: |times| vector(times, vectors::merge) },
    Path { name: "compare vectors of 100", operations: 64, run: |times| vector(times, vectors::compare) },
];

const NOW: u64 = 1_790_000_000_000;
/// Writes that a host hands over at once.
const BATCH: u32 = 256;
const SYNC: Terms = Terms { guarantees: None, on_stale: None, timeout: None, sync: true };

/// What callgrind counts.
#[inline(never)]
pub fn measured<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

struct Host {
    replica: Replica,
    session: SessionHandle,
}

impl Host {
    fn open(label: &str) -> Result<Self, SessionError> {
        let mut seed = [0; 32];
        seed.iter_mut().zip(label.bytes()).for_each(|(slot, byte)| *slot = byte);
        let keys = vec![("bench".to_owned(), vec![7; 32])];
        let mut replica = Replica::open(Config { label: label.into(), seed, keys, ..Config::default() }, NOW)?;
        let session = replica.open_session(SessionInit { user: Some("ann".into()), ..SessionInit::default() }, NOW);
        Ok(Self { replica, session })
    }

    fn filled(label: &str, entries: u32) -> Result<Self, SessionError> {
        let mut host = Self::open(label)?;
        host.write(logs(entries, |at| at))?;
        Ok(host)
    }

    /// Hands over logs of writes, as a host does.
    fn write(&mut self, logs: Vec<Crossing>) -> Result<(), SessionError> {
        for (text, lengths) in logs {
            let mut log = Log::default();
            assert_eq!(log.take(text, &lengths, false), Some(true), "the lengths are those of the text");
            self.replica.hand_over(self.session, log.finish(), SYNC, NOW)?;
            self.sent();
        }
        Ok(())
    }

    fn read(&mut self, key: &str) -> Result<(), SessionError> {
        black_box(self.replica.begin(self.session, Operation::Get(key.into()), SYNC, NOW)?);
        self.sent();
        Ok(())
    }

    /// Drains the effects and answers the last message among them.
    fn sent(&mut self) -> Vec<u8> {
        let mut message = Vec::new();
        while let Some(effect) = self.replica.poll() {
            if let Effect::Transmit { bytes, .. } = effect {
                message = bytes.into_vec();
            }
        }
        message
    }

    /// Drains the effects; what is to be said, and on which link.
    fn said(&mut self) -> Vec<(LinkId, Vec<u8>)> {
        let effects = std::iter::from_fn(|| self.replica.poll());
        let message =
            |effect| if let Effect::Transmit { link, bytes } = effect { Some((link, bytes.into_vec())) } else { None };
        effects.filter_map(message).collect()
    }

    fn exchange(&mut self, message: &[u8]) -> Result<Vec<u8>, SessionError> {
        self.replica.exchange(LinkId(1), message, NOW)?;
        Ok(self.sent())
    }

    fn holds(&self, other: &Self) -> Result<bool, SessionError> {
        let space = Space::first("default")?;
        Ok(self.replica.store().vector(&space).dominates(other.replica.store().vector(&space)))
    }
}

fn key(at: u32) -> String {
    format!("key:{at:012}")
}

fn value(version: u32) -> String {
    format!("{:.<64}", format!("value {version} "))
}

fn put(at: u32, version: u32) -> Mutation {
    Mutation { key: key(at).into(), content: Content::Text(value(version).into()), expires_at: None }
}

/// A log as it crosses: keys and values joined, and their lengths.
type Crossing = (String, Vec<u32>);

/// So many writes, in the logs that a host would make of them; the key of each is told by its number.
fn logs(times: u32, number: impl Fn(u32) -> u32) -> Vec<Crossing> {
    let log = |from: u32| {
        let (mut text, mut lengths) = Crossing::default();
        for at in from..times.min(from + BATCH) {
            let (key, value) = (key(number(at)), value(at));
            text += &key;
            text += &value;
            lengths.extend([key.len() as u32, (value.len() << 2) as u32]);
        }
        text.shrink_to_fit();
        (text, lengths)
    };
    (0..times).step_by(BATCH as usize).map(log).collect()
}

fn write_new(times: u32) -> Result<(), SessionError> {
    let (mut host, logs) = (Host::open("writer")?, logs(times, |at| at));
    measured(|| host.write(logs))
}

fn overwrite(times: u32) -> Result<(), SessionError> {
    let mut host = Host::filled("writer", 64)?;
    let logs = logs(times, |at| at % 64);
    measured(|| host.write(logs))
}

fn read(times: u32) -> Result<(), SessionError> {
    let mut host = Host::filled("writer", times)?;
    let keys: Vec<_> = (0..times).map(|at| key(at * 7919 % times)).collect();
    measured(|| keys.iter().try_for_each(|key| host.read(key)))
}

fn encode(times: u32) -> Result<(), SessionError> {
    let (mut from, mut to) = (Host::filled("writer", times)?, Host::open("reader")?);
    let mut question = to.exchange(&[])?;
    // Large deltas come in slices, each of which is asked for.
    while !to.holds(&from)? {
        let answer = measured(|| from.exchange(&question))?;
        question = to.exchange(&answer)?;
    }
    Ok(())
}

fn apply(times: u32) -> Result<(), SessionError> {
    let (mut from, mut to) = (Host::filled("writer", times)?, Host::open("reader")?);
    let mut question = to.exchange(&[])?;
    // Large deltas come in slices: the answers are collected by a twin, and the reader takes all in one go.
    let mut answers = Vec::new();
    let mut twin = Host::open("reader")?;
    twin.exchange(&[])?;
    while !twin.holds(&from)? {
        let answer = from.exchange(&question)?;
        question = twin.exchange(&answer)?;
        answers.push(answer);
    }
    measured(|| answers.iter().try_for_each(|answer| to.exchange(answer).map(drop)))?;
    assert!(to.holds(&from)?, "the answers of the twin are the reader's");
    Ok(())
}

fn merge(times: u32) -> Result<(), SessionError> {
    let half = times / 2;
    let (mut one, mut other) = (Host::filled("one", half)?, Host::open("other")?);
    other.write(logs(half, |at| half - 1 - at))?;
    // Each has all of the other's: two writes of each key, one of them new to each.
    measured(|| {
        let mut said = other.exchange(&[])?;
        while !(one.holds(&other)? && other.holds(&one)?) {
            said = other.exchange(&one.exchange(&said)?)?;
        }
        Ok(())
    })
}

fn pull(times: u32) -> Result<(), SessionError> {
    let (mut from, mut to) = (Host::filled("writer", 8_192)?, Host::open("reader")?);
    let mut question = to.exchange(&[])?;
    while !to.holds(&from)? {
        question = to.exchange(&from.exchange(&question)?)?;
    }
    for at in 0..times {
        from.write(logs(1, |_| at))?;
        let answer = measured(|| from.exchange(&question))?;
        to.exchange(&answer)?;
        // As who comes now and then asks: by a greeting that wants an answer.
        question = to.exchange(&[])?;
    }
    Ok(())
}

/// Two clients of a server.
struct Room {
    clients: [Host; 2],
    server: Host,
}

impl Room {
    fn begin() -> Result<Self, SessionError> {
        let mut room = Self { clients: [Host::open("one")?, Host::open("two")?], server: Host::open("server")? };
        for (link, client) in (0..).zip(&mut room.clients) {
            client.replica.link_up(LinkId(0), NOW);
            client.replica.interest(Interest { changes: true, ..Interest::default() });
            room.server.replica.link_up(LinkId(link), NOW);
        }
        // Until nobody has anything to say.
        while room.pass()? {}
        Ok(room)
    }

    /// Carries what each has to say; whether there was anything.
    fn pass(&mut self) -> Result<bool, SessionError> {
        let mut any = false;
        for link in 0..2 {
            for (_, bytes) in self.clients[link].said() {
                any = true;
                self.server.replica.receive(LinkId(link as u32), &bytes, NOW)?;
            }
        }
        for (link, bytes) in self.server.said() {
            any = true;
            self.clients[link.0 as usize].replica.receive(LinkId(0), &bytes, NOW)?;
        }
        Ok(any)
    }
}

impl Host {
    fn set(&mut self, at: u32) -> Result<(), SessionError> {
        let write = Operation::Write { batch: vec![put(at, at)], checks: Vec::new() };
        self.replica.begin(self.session, write, SYNC, NOW).map(drop)
    }
}

fn pass_on(times: u32) -> Result<(), SessionError> {
    let mut room = Room::begin()?;
    for at in 0..times {
        room.clients[0].set(at)?;
        for (_, bytes) in room.clients[0].said() {
            let passed = measured(|| {
                room.server.replica.receive(LinkId(0), &bytes, NOW)?;
                Ok(room.server.said())
            })?;
            assert_eq!(passed.iter().filter(|(link, _)| link.0 == 1).count(), 1, "the other client is told at once");
            for (link, bytes) in passed {
                room.clients[link.0 as usize].replica.receive(LinkId(0), &bytes, NOW)?;
            }
        }
        while room.pass()? {}
    }
    Ok(())
}

fn answer(times: u32) -> Result<(), SessionError> {
    let mut room = Room::begin()?;
    for at in 0..times {
        room.clients[0].set(2 * at)?;
        for (_, bytes) in room.clients[0].said() {
            room.server.replica.receive(LinkId(0), &bytes, NOW)?;
        }
        for (link, bytes) in room.server.said() {
            let client = &mut room.clients[link.0 as usize];
            // The first is told that its change has arrived, and the second what it is.
            if link.0 == 0 {
                client.replica.receive(LinkId(0), &bytes, NOW)?;
                continue;
            }
            let answered = measured(|| {
                client.replica.receive(LinkId(0), &bytes, NOW)?;
                client.said();
                client.set(2 * at + 1)?;
                Ok(client.said())
            })?;
            answered.iter().try_for_each(|(_, bytes)| room.server.replica.receive(link, bytes, NOW))?;
        }
        while room.pass()? {}
    }
    Ok(())
}

/// How many clients a server has whose links are many.
const CLIENTS: u32 = 1_000;

/// A server and its clients, each with a session of its own, which all hold what it holds.
fn crowd() -> Result<Host, SessionError> {
    let mut server = Host::filled("server", 64)?;
    for link in 0..CLIENTS {
        let session = server.replica.open_session(SessionInit::default(), NOW);
        let pass = Pass { token: server.replica.token(session, NOW)?, spaces: Vec::new() };
        server.replica.close_session(session);
        server.replica.link_admit(LinkId(link), &pass, NOW)?;
        server.hear(link, server.vectors(false))?;
    }
    Ok(server)
}

/// The id that the client on a link says it has.
fn stranger(link: u32) -> Result<ReplicaId, SessionError> {
    let [a, b, c, d] = link.to_be_bytes();
    ReplicaId::new("client", [a, b, c, d, 0, 0, 0, 0, 0, 0])
}

impl Host {
    /// A message of a client's.
    fn hear(&mut self, link: u32, message: Message) -> Result<(), SessionError> {
        let frame = Frame { from: stranger(link)?, to: None, messages: vec![message] };
        self.replica.receive(LinkId(link), &frame.encode(), NOW)?;
        self.sent();
        Ok(())
    }

    /// What is held here, as somebody else would say it of himself.
    fn vectors(&self, answer: bool) -> Message {
        let held = self.replica.store().spaces().map(|(space, state)| (space.clone(), state.vector().clone()));
        Message::hello(held.collect(), answer)
    }
}

fn read_in_crowd(times: u32) -> Result<(), SessionError> {
    let mut server = crowd()?;
    measured(|| (0..times).try_for_each(|at| server.read(&key(at % 64))))
}

fn hear_one(times: u32) -> Result<(), SessionError> {
    let mut server = crowd()?;
    let (space, at) = (Space::first("default")?, CLIENTS / 2);
    let vector = server.replica.store().vector(&space).clone();
    let bytes = Frame { from: stranger(at)?, to: None, messages: vec![Message::Ack { space, vector }] }.encode();
    measured(|| {
        (0..times).try_for_each(|_| {
            server.replica.receive(LinkId(at), &bytes, NOW)?;
            server.sent();
            Ok(())
        })
    })
}

fn tell_all(times: u32) -> Result<(), SessionError> {
    let mut server = crowd()?;
    server.set(1)?;
    let told = measured(|| server.said());
    assert_eq!(told.len(), times as usize, "each client is told");
    Ok(())
}

fn save(times: u32) -> Result<(), SessionError> {
    let mut host = Host::filled("writer", times)?;
    measured(|| host.replica.snapshot()).map(drop)
}

fn load(times: u32) -> Result<(), SessionError> {
    let bytes = Host::filled("writer", times)?.replica.snapshot()?;
    let mut host = Host::open("reader")?;
    measured(|| host.replica.restore(&bytes, NOW))
}

fn open_token(times: u32) -> Result<(), SessionError> {
    let mut host = Host::filled("writer", 64)?;
    let token = host.replica.token(host.session, NOW)?;
    begin(&mut host, &token, times);
    Ok(())
}

fn begin(host: &mut Host, token: &str, times: u32) {
    measured(|| {
        for _ in 0..times {
            let session =
                host.replica.open_session(SessionInit { token: Some(token.into()), ..SessionInit::default() }, NOW);
            host.replica.close_session(session);
            host.sent();
        }
    });
}

fn seal_token(times: u32) -> Result<(), SessionError> {
    seal(&mut Host::filled("writer", 64)?, times)
}

fn seal(host: &mut Host, times: u32) -> Result<(), SessionError> {
    measured(|| (0..times).try_for_each(|_| host.replica.token(host.session, NOW).map(|token| drop(black_box(token)))))
}

/// The token of a session that has read what sixteen replicas of one label have written.
fn wide() -> Result<String, SessionError> {
    let mut seen = SessionVector::default();
    for random in 0..16 {
        seen.record_read(&Space::first("default")?, Dot::new(ReplicaId::new("bench", [random; 10])?, 1));
    }
    let claims = Claims {
        issuer: Config::default().issuer.into(),
        subject: Some("ann".into()),
        session: SessionId::new(NOW, [7; 10]),
        client: None,
        space: Space::first("default")?,
        guarantees: Guarantees::ALL,
        issued_at: NOW,
        expires_at: NOW + 3_600_000,
        ends_at: NOW + 7_200_000,
    };
    Keyring::new([("bench", &[7; 32][..])])?.seal(&claims, &seen)
}

fn open_wide(times: u32) -> Result<(), SessionError> {
    begin(&mut Host::open("reader")?, &wide()?, times);
    Ok(())
}

fn seal_wide(times: u32) -> Result<(), SessionError> {
    let mut host = Host::open("reader")?;
    host.session = host.replica.open_session(SessionInit { token: Some(wide()?), ..SessionInit::default() }, NOW);
    seal(&mut host, times)
}

fn vector(times: u32, work: extern "C" fn(u32) -> u32) -> Result<(), SessionError> {
    assert!(vectors::prepare(100) > 0, "the laws of vectors hold");
    measured(|| black_box(work(times)));
    Ok(())
}
