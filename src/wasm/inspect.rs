//! What people may look at: replica, sessions and tokens as plain JSON-safe objects. Nothing secret is among it: no
//! key, no signature, and no vector beyond what is durable.

use alloc::string::{String, ToString};

use wasm_bindgen::JsValue;

use super::convert;
use super::shape::{list, map, number, object, text};
use crate::error::SessionError;
use crate::io::{Policy, SessionHandle};
use crate::replica::{PeerView, Replica, SessionProfile, SessionView, StateChange};
use crate::service::role::RoleType;
use crate::session::token::SessionToken;
use crate::session::vector::SessionVector;
use crate::time::{MILLIS_MAX, Millis};
use crate::vector::VersionVector;

/// A version vector: replica to sequence.
fn vector(of: &VersionVector) -> JsValue {
    map(of.iter().map(|(replica, sequence)| (replica.to_string(), number(Some(sequence)))))
}

/// What was read and written in the current space, and in each.
fn vectors(current: &str, of: &SessionVector) -> [(&'static str, JsValue); 3] {
    let mut here = [object([]), object([])];
    let spaces = map(of.iter().map(|(space, own)| {
        let (name, parts) = (space.to_string(), [vector(&own.reads), vector(&own.writes)]);
        if name == current {
            here = parts.clone();
        }
        let [reads, writes] = parts;
        (name, object([("reads", reads), ("writes", writes)]))
    }));
    let [reads, writes] = here;
    [("reads", reads), ("writes", writes), ("spaces", spaces)]
}

fn ends(at: Millis) -> JsValue {
    number(Some(at).filter(|at| *at < MILLIS_MAX))
}

fn change(change: &StateChange) -> JsValue {
    object([
        ("state", change.status.name().into()),
        ("at", number(Some(change.at))),
        ("by", text(change.by.as_deref())),
        ("why", text(change.why.as_deref())),
    ])
}

fn view(view: &SessionView, profile: &SessionProfile) -> JsValue {
    let space = view.space.to_string();
    let stats = object([
        ("queries", profile.stats.queries.into()),
        ("reads", profile.stats.reads.into()),
        ("writes", profile.stats.writes.into()),
        ("stale", profile.stats.stale.into()),
        ("bytes", number(Some(profile.stats.bytes))),
    ]);
    let on_stale = match profile.on_stale {
        Policy::Wait => "wait",
        Policy::Throw => "throw",
        Policy::Serve => "serve",
    };
    let config = object([("onStale", on_stale.into()), ("timeout", number(Some(profile.timeout)))]);
    let parts = [
        ("id", view.id.to_text().into()),
        ("user", text(view.user.as_deref())),
        ("client", text(view.client.as_deref())),
        ("space", space.as_str().into()),
        ("role", text(profile.role.map(RoleType::name))),
        ("expiresAt", ends(view.expires_at)),
        ("lastActiveAt", number(profile.active)),
        ("activeQueries", profile.queries.into()),
        ("stats", stats),
        ("config", config),
        ("history", list(profile.history.iter().map(change))),
        ("guarantees", view.guarantees.bits().into()),
        ("resumed", view.resumed.into()),
        ("reason", text(view.refused.as_ref().map(|error| error.code().as_str()))),
    ];
    map(parts.into_iter().chain(vectors(&space, &view.vector)))
}

/// A session; nothing where it is let go of.
pub(super) fn session(core: &Replica, handle: SessionHandle) -> Option<JsValue> {
    Some(view(&core.session(handle)?, &core.profile(handle)?))
}

/// What a token says, to whoever holds it. Nothing is verified.
pub(super) fn token(raw: &str, token: &SessionToken, default: &str) -> JsValue {
    let claims = token.claims();
    let space = claims.map(|claims| claims.space.to_string());
    let time = |at: Option<Millis>| at.map_or(JsValue::NULL, ends);
    let parts = [
        ("kid", text(token.kid())),
        ("sessionId", text(claims.map(|claims| claims.session.to_text()))),
        ("user", text(claims.and_then(|claims| claims.subject.as_deref()))),
        ("client", text(claims.and_then(|claims| claims.client.as_deref()))),
        ("space", text(space.as_deref())),
        ("guarantees", number(claims.map(|claims| claims.guarantees.bits().into()))),
        ("issuedAt", number(claims.map(|claims| claims.issued_at))),
        ("expiresAt", time(claims.map(|claims| claims.expires_at))),
        ("endsAt", time(claims.map(|claims| claims.ends_at))),
        ("signed", claims.is_some().into()),
        ("bytes", number(Some(raw.len() as u64))),
    ];
    map(parts.into_iter().chain(vectors(space.as_deref().unwrap_or(default), token.dependencies())))
}

fn peer(peer: &PeerView) -> JsValue {
    object([
        ("link", peer.link.0.into()),
        ("replica", text(peer.replica.map(|id| id.to_string()))),
        ("holds", map(peer.holds.iter().map(|(space, holds)| (space.to_string(), vector(holds))))),
    ])
}

/// The replica as a whole.
pub(super) fn replica(core: &Replica) -> JsValue {
    let vectors = core.store().spaces().map(|(space, _)| (space.to_string(), vector(core.durable(space))));
    object([
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("replica", core.id().to_string().into()),
        ("trusted", core.is_trusted().into()),
        ("vectors", map(vectors)),
        ("keys", number(Some(core.store().len() as u64))),
        ("bytes", number(Some(core.store().bytes()))),
        ("wasmBytes", number(Some(super::memory::size() as u64))),
        ("persisted", core.is_settled().into()),
        ("sessions", list(core.sessions().filter_map(|handle| session(core, handle)))),
        ("peers", list(core.peers().map(|held| peer(&held)))),
    ])
}

/// What a session may see of the service, or the host without one: 0 sessions, 1 queries that run, 2 those that have ended, 3
/// operations, 4 how the cache does.
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
