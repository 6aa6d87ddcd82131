//! Information for inspection: replica, sessions and tokens as plain JSON-safe objects. It contains nothing secret: no
//! key, no signature, and no vector beyond what is durable.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Serialize;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::JsValue;

use super::convert;
use super::error::argument;
use super::shape::{list, map, number, object, text};
use crate::error::SessionError;
use crate::io::{Policy, SessionHandle};
use crate::replica::{self, PeerView, Replica, SessionProfile, StateChange};
use crate::service::role::RoleType;
use crate::session::token::SessionToken;
use crate::session::vector::SessionVector;
use crate::time::{MILLIS_MAX, Millis};
use crate::vector::VersionVector;

/// Inspection crosses through serde, since it is rare; what sessions do often is converted by hand.
fn plain(shown: &impl Serialize) -> Result<JsValue, SessionError> {
    shown
        .serialize(&Serializer::json_compatible())
        .map_err(|_| argument("a number here is beyond what JavaScript counts exactly"))
}

/// A version vector: replica to sequence.
struct Vector<'v>(&'v VersionVector);

impl Serialize for Vector<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(replica, sequence)| (replica.to_string(), sequence)))
    }
}

/// An object with these properties, in order.
struct Named<T>(Vec<(String, T)>);

impl<T> FromIterator<(String, T)> for Named<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(parts: I) -> Self {
        Self(parts.into_iter().collect())
    }
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, part)| (name, part)))
    }
}

/// What was read and written in one space.
#[derive(Serialize)]
struct Dependencies<'v> {
    reads: Vector<'v>,
    writes: Vector<'v>,
}

/// What was read and written in each space, and separately in the current one.
struct Vectors<'v> {
    current: Dependencies<'v>,
    spaces: Named<Dependencies<'v>>,
}

static NOTHING: VersionVector = VersionVector::new();

impl<'v> Vectors<'v> {
    fn new(current: &str, of: &'v SessionVector) -> Self {
        let mut shown = Self {
            current: Dependencies { reads: Vector(&NOTHING), writes: Vector(&NOTHING) },
            spaces: Named(Vec::new()),
        };
        for (space, own) in of.iter() {
            let parts = || Dependencies { reads: Vector(&own.reads), writes: Vector(&own.writes) };
            let name = space.to_string();
            if name == current {
                shown.current = parts();
            }
            shown.spaces.0.push((name, parts()));
        }
        shown
    }
}

fn ends(at: Millis) -> Option<Millis> {
    Some(at).filter(|at| *at < MILLIS_MAX)
}

/// What a session has done.
#[derive(Serialize)]
struct Stats {
    queries: u32,
    reads: u32,
    writes: u32,
    stale: u32,
    bytes: u64,
}

/// The defaults for a session's operations.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    on_stale: &'static str,
    timeout: Millis,
}

#[derive(Serialize)]
struct Change<'v> {
    state: &'static str,
    at: Millis,
    by: Option<&'v str>,
    why: Option<&'v str>,
}

impl<'v> Change<'v> {
    fn new(change: &'v StateChange) -> Self {
        let (by, why) = (change.by.as_deref(), change.why.as_deref());
        Self { state: change.status.name(), at: change.at, by, why }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionView<'v> {
    id: String,
    user: Option<&'v str>,
    client: Option<&'v str>,
    space: String,
    role: Option<&'static str>,
    expires_at: Option<Millis>,
    last_active_at: Option<Millis>,
    active_queries: u32,
    stats: Stats,
    config: Parameters,
    history: Vec<Change<'v>>,
    guarantees: u8,
    resumed: bool,
    reason: Option<&'static str>,
    reads: Vector<'v>,
    writes: Vector<'v>,
    spaces: Named<Dependencies<'v>>,
}

impl<'v> SessionView<'v> {
    fn new((view, profile): &'v Inspected) -> Self {
        let space = view.space.to_string();
        let Vectors { current: Dependencies { reads, writes }, spaces } = Vectors::new(&space, &view.vector);
        Self {
            id: view.id.to_text(),
            user: view.user.as_deref(),
            client: view.client.as_deref(),
            space,
            role: profile.role.map(RoleType::name),
            expires_at: ends(view.expires_at),
            last_active_at: profile.active,
            active_queries: profile.queries,
            stats: Stats {
                queries: profile.stats.queries,
                reads: profile.stats.reads,
                writes: profile.stats.writes,
                stale: profile.stats.stale,
                bytes: profile.stats.bytes,
            },
            config: Parameters {
                on_stale: match profile.on_stale {
                    Policy::Wait => "wait",
                    Policy::Throw => "throw",
                    Policy::Serve => "serve",
                },
                timeout: profile.timeout,
            },
            history: profile.history.iter().map(Change::new).collect(),
            guarantees: view.guarantees.bits(),
            resumed: view.resumed,
            reason: view.refused.as_ref().map(|error| error.code().as_str()),
            reads,
            writes,
            spaces,
        }
    }
}

/// A session with its vectors and its profile.
type Inspected = (replica::SessionView, SessionProfile);

fn inspected(core: &Replica, handle: SessionHandle) -> Option<Inspected> {
    core.session(handle).zip(core.profile(handle))
}

/// A session; `undefined` if its handle was closed.
pub(super) fn session(core: &Replica, handle: SessionHandle) -> Result<JsValue, SessionError> {
    inspected(core, handle).map_or(Ok(JsValue::UNDEFINED), |session| plain(&SessionView::new(&session)))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenView<'v> {
    kid: Option<String>,
    session_id: Option<String>,
    user: Option<&'v str>,
    client: Option<&'v str>,
    space: Option<String>,
    guarantees: Option<u8>,
    issued_at: Option<Millis>,
    expires_at: Option<Millis>,
    ends_at: Option<Millis>,
    signed: bool,
    bytes: usize,
    reads: Vector<'v>,
    writes: Vector<'v>,
    spaces: Named<Dependencies<'v>>,
}

/// The contents of a token, unverified.
pub(super) fn token(raw: &str, token: &SessionToken, default: &str) -> Result<JsValue, SessionError> {
    let claims = token.claims();
    let space = claims.map(|claims| claims.space.to_string());
    let current = space.as_deref().unwrap_or(default);
    let Vectors { current: Dependencies { reads, writes }, spaces } = Vectors::new(current, token.dependencies());
    plain(&TokenView {
        kid: token.kid(),
        session_id: claims.map(|claims| claims.session.to_text()),
        user: claims.and_then(|claims| claims.subject.as_deref()),
        client: claims.and_then(|claims| claims.client.as_deref()),
        guarantees: claims.map(|claims| claims.guarantees.bits()),
        issued_at: claims.map(|claims| claims.issued_at),
        expires_at: claims.and_then(|claims| ends(claims.expires_at)),
        ends_at: claims.and_then(|claims| ends(claims.ends_at)),
        signed: claims.is_some(),
        bytes: raw.len(),
        space,
        reads,
        writes,
        spaces,
    })
}

#[derive(Serialize)]
struct Peer<'v> {
    link: u32,
    replica: Option<String>,
    holds: Named<Vector<'v>>,
}

impl<'v> Peer<'v> {
    fn new(peer: &'v PeerView) -> Self {
        let holds = peer.holds.iter().map(|(space, holds)| (space.to_string(), Vector(holds))).collect();
        Self { link: peer.link.0, replica: peer.replica.map(|id| id.to_string()), holds }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReplicaView<'v> {
    version: &'static str,
    replica: String,
    trusted: bool,
    vectors: Named<Vector<'v>>,
    keys: usize,
    bytes: u64,
    wasm_bytes: usize,
    persisted: bool,
    sessions: Vec<SessionView<'v>>,
    peers: Vec<Peer<'v>>,
}

/// The replica as a whole.
pub(super) fn replica(core: &Replica) -> Result<JsValue, SessionError> {
    let sessions: Vec<_> = core.sessions().filter_map(|handle| inspected(core, handle)).collect();
    let peers: Vec<PeerView> = core.peers().collect();
    plain(&ReplicaView {
        version: env!("CARGO_PKG_VERSION"),
        replica: core.id().to_string(),
        trusted: core.is_trusted(),
        vectors: core.store().spaces().map(|(space, _)| (space.to_string(), Vector(core.durable(space)))).collect(),
        keys: core.store().len(),
        bytes: core.store().bytes(),
        wasm_bytes: super::memory::size(),
        persisted: core.is_settled(),
        sessions: sessions.iter().map(SessionView::new).collect(),
        peers: peers.iter().map(Peer::new).collect(),
    })
}

/// What a session may see of the service, or the host without one: 0 sessions, 1 running queries, 2 ended queries, 3
/// operations, 4 the statistics of the cache.
pub(super) fn service(
    core: &Replica,
    handle: Option<SessionHandle>,
    what: u32,
    now: Millis,
) -> Result<JsValue, SessionError> {
    Ok(match what {
        0 => list(
            core.sessions_of(handle)?
                .iter()
                .map(|(held, status, age)| convert::session(held, core.role_of(held), *status, *age)),
        ),
        1 | 2 => {
            let queries = core.queries_of(handle, what == 2)?;
            list(queries.iter().map(|(held, home, age)| convert::query(held, &home.to_string(), *age, now)))
        }
        3 => {
            let operation = |(replica, held): &(String, crate::service::audit::LoggedOperation)| {
                object([
                    ("at", number(Some(held.at))),
                    ("replica", text(Some(replica))),
                    ("user", text(held.user.as_ref())),
                    ("session", text(held.session.map(|id| id.to_text()))),
                    ("action", text(Some(&held.action))),
                    ("target", text(Some(&held.space))),
                    ("outcome", text(Some(&held.outcome))),
                ])
            };
            list(core.log_of(handle)?.iter().map(operation))
        }
        _ => {
            let (stats, bytes, capacity) = core.cache_of(handle)?;
            let counts = [("hits", stats.hits), ("misses", stats.misses), ("evictions", stats.evictions)];
            let counts = counts.into_iter().chain([("bytes", bytes), ("capacity", capacity)]);
            map(counts.map(|(name, count)| (name, number(Some(count)))))
        }
    })
}
