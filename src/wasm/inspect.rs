//! What people may look at: replica, sessions and tokens as plain JSON-safe objects. Nothing secret is among it: no
//! key, no signature, and no vector beyond what is durable.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use wasm_bindgen::JsValue;

use super::convert;
use super::shape::{list, map, number, object, text};
use crate::error::SessionError;
use crate::io::SessionHandle;
use crate::replica::{PeerView, Replica, SessionView};
use crate::session::token::SessionToken;
use crate::session::vector::SessionVector;
use crate::time::MILLIS_MAX;
use crate::vector::VersionVector;

type Properties = Vec<(&'static str, JsValue)>;

fn vector(vector: &VersionVector) -> JsValue {
    map(vector.iter().map(|(replica, sequence)| (replica.to_string(), number(Some(sequence)))))
}

/// What was read and written in each space, and beside it what was in the one named `current`.
fn vectors(current: &str, of: &SessionVector) -> Properties {
    let nothing = VersionVector::new();
    let parts = |reads, writes| [("reads", vector(reads)), ("writes", vector(writes))];
    let own = of.iter().find(|(space, _)| space.to_string() == current).map(|(_, own)| own);
    let mut shown: Properties =
        Vec::from(own.map_or_else(|| parts(&nothing, &nothing), |own| parts(&own.reads, &own.writes)));
    let spaces = of.iter().map(|(space, own)| (space.to_string(), object(parts(&own.reads, &own.writes))));
    shown.push(("spaces", map(spaces)));
    shown
}

fn ends(at: u64) -> JsValue {
    number(Some(at).filter(|at| *at < MILLIS_MAX))
}

/// A session with its vectors.
pub(super) fn session(view: &SessionView) -> JsValue {
    let space = view.space.to_string();
    let shown = [
        ("id", text(Some(view.id.to_text()))),
        ("user", text(view.user.as_ref())),
        ("client", text(view.client.as_ref())),
        ("space", text(Some(&space))),
        ("expiresAt", ends(view.expires_at)),
        ("guarantees", view.guarantees.bits().into()),
        ("resumed", view.resumed.into()),
        ("reason", text(view.refused.as_ref().map(|error| error.code().as_str()))),
    ];
    map(shown.into_iter().chain(vectors(&space, &view.vector)))
}

/// What a token says, to whoever holds it. Nothing is verified.
pub(super) fn token(raw: &str, token: &SessionToken, default: &str) -> JsValue {
    let claims = token.claims();
    let space: Option<String> = claims.map(|claims| claims.space.to_string());
    let shown = [
        ("kid", text(token.kid())),
        ("sessionId", text(claims.map(|claims| claims.session.to_text()))),
        ("user", text(claims.and_then(|claims| claims.subject.as_ref()))),
        ("client", text(claims.and_then(|claims| claims.client.as_ref()))),
        ("space", text(space.as_ref())),
        ("guarantees", number(claims.map(|claims| u64::from(claims.guarantees.bits())))),
        ("issuedAt", number(claims.map(|claims| claims.issued_at))),
        ("expiresAt", claims.map_or(JsValue::NULL, |claims| ends(claims.expires_at))),
        ("endsAt", claims.map_or(JsValue::NULL, |claims| ends(claims.ends_at))),
        ("signed", claims.is_some().into()),
        ("bytes", raw.len().into()),
    ];
    map(shown.into_iter().chain(vectors(space.as_deref().unwrap_or(default), token.dependencies())))
}

/// The replica as a whole.
pub(super) fn replica(core: &Replica) -> JsValue {
    let spaces = core.store().spaces();
    let sessions = core.sessions().filter_map(|handle| core.session(handle));
    let peer = |peer: PeerView| {
        let holds = peer.holds.iter().map(|(space, holds)| (space.to_string(), vector(holds)));
        object([
            ("link", peer.link.0.into()),
            ("replica", text(peer.replica.map(|id| id.to_string()))),
            ("holds", map(holds)),
        ])
    };
    object([
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("replica", core.id().to_string().into()),
        ("trusted", core.is_trusted().into()),
        ("vectors", map(spaces.map(|(space, _)| (space.to_string(), vector(core.durable(space)))))),
        ("keys", core.store().len().into()),
        ("bytes", number(Some(core.store().bytes()))),
        ("wasmBytes", super::memory::size().into()),
        ("persisted", core.is_settled().into()),
        ("sessions", list(sessions.map(|view| session(&view)))),
        ("peers", list(core.peers().map(peer))),
    ])
}

/// What a session may see of the service, or the host without one: `[sessions, queries, finished, log, cache]`.
pub(super) fn service(
    core: &Replica,
    handle: Option<SessionHandle>,
    now: crate::time::Millis,
) -> Result<JsValue, SessionError> {
    let replica = core.id().to_string();
    let sessions = core.sessions_of(handle)?;
    let sessions = list(sessions.iter().map(|(session, status, age)| convert::session(session, *status, *age)));
    let queries = |ended| -> Result<JsValue, SessionError> {
        Ok(list(core.queries_of(handle, ended)?.iter().map(|held| convert::query(held, &replica, now))))
    };
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
    let log = list(core.log_of(handle)?.iter().map(operation));
    let (stats, bytes, capacity) = core.service().0.cache();
    let counts = [("hits", stats.hits), ("misses", stats.misses), ("evictions", stats.evictions)];
    let counts = counts.into_iter().chain([("bytes", bytes), ("capacity", capacity)]);
    let cache = map(counts.map(|(name, count)| (name, number(Some(count)))));
    Ok(list([sessions, queries(false)?, queries(true)?, log, cache].into_iter()))
}
