//! What people may look at: replica, sessions and tokens as plain JSON-safe objects. Nothing secret is among it: no
//! key, no signature, and no vector beyond what is durable.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Serialize, Serializer};
use wasm_bindgen::JsValue;

use super::convert::plain;
use crate::id::Space;
use crate::replica::{Replica, SessionView};
use crate::session::token::SessionToken;
use crate::session::vector::SessionVector;
use crate::time::MILLIS_MAX;
use crate::vector::VersionVector;

type Vector = Shown<u64>;

/// A map that is only shown, in the order in which its parts come. An empty one is `{}`; a `LiteMap` would say `[]`.
#[derive(Clone)]
struct Shown<V>(Vec<(String, V)>);

impl<V> Default for Shown<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V: Serialize> Serialize for Shown<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, part)| (name, part)))
    }
}

fn shown<V>(parts: impl Iterator<Item = (String, V)>) -> Shown<V> {
    Shown(parts.collect())
}

fn vector(vector: &VersionVector) -> Vector {
    shown(vector.iter().map(|(replica, sequence)| (replica.to_string(), sequence)))
}

/// What was read and written in one space.
#[derive(Serialize, Default)]
struct DependenciesView {
    reads: Vector,
    writes: Vector,
}

fn dependencies(of: &SessionVector) -> Shown<DependenciesView> {
    let view = |(space, own): (&Space, &crate::session::vector::Dependencies)| {
        (space.to_string(), DependenciesView { reads: vector(&own.reads), writes: vector(&own.writes) })
    };
    shown(of.iter().map(view))
}

fn ends(at: u64) -> Option<u64> {
    (at < MILLIS_MAX).then_some(at)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InfoView {
    id: String,
    user: Option<String>,
    client: Option<String>,
    space: String,
    expires_at: Option<u64>,
    guarantees: u8,
    resumed: bool,
    reason: Option<&'static str>,
    #[serde(flatten)]
    vectors: Option<VectorsView>,
}

#[derive(Serialize)]
struct VectorsView {
    #[serde(flatten)]
    current: DependenciesView,
    spaces: Shown<DependenciesView>,
}

fn vectors(space: &str, of: &SessionVector) -> VectorsView {
    let spaces = dependencies(of);
    let current = spaces
        .0
        .iter()
        .find(|(name, _)| *name == space)
        .map(|(_, own)| DependenciesView { reads: own.reads.clone(), writes: own.writes.clone() });
    VectorsView { current: current.unwrap_or_default(), spaces }
}

fn info(view: &SessionView, with_vectors: bool) -> InfoView {
    let space = view.space.to_string();
    InfoView {
        id: view.id.to_text(),
        user: view.user.clone(),
        client: view.client.clone(),
        expires_at: ends(view.expires_at),
        guarantees: view.guarantees.bits(),
        resumed: view.resumed,
        reason: view.refused.as_ref().map(|error| error.code().as_str()),
        vectors: with_vectors.then(|| vectors(&space, &view.vector)),
        space,
    }
}

/// A session, with or without its vectors.
pub(super) fn session(view: &SessionView, with_vectors: bool) -> JsValue {
    plain(&info(view, with_vectors))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenView {
    kid: Option<String>,
    session_id: Option<String>,
    user: Option<String>,
    client: Option<String>,
    space: Option<String>,
    guarantees: Option<u8>,
    issued_at: Option<u64>,
    expires_at: Option<u64>,
    ends_at: Option<u64>,
    signed: bool,
    bytes: usize,
    #[serde(flatten)]
    vectors: VectorsView,
}

/// What a token says, to whoever holds it. Nothing is verified.
pub(super) fn token(text: &str, token: &SessionToken, default: &str) -> JsValue {
    let claims = token.claims();
    let space = claims.map(|claims| claims.space.to_string());
    plain(&TokenView {
        kid: token.kid(),
        session_id: claims.map(|claims| claims.session.to_text()),
        user: claims.and_then(|claims| claims.subject.clone()),
        client: claims.and_then(|claims| claims.client.clone()),
        guarantees: claims.map(|claims| claims.guarantees.bits()),
        issued_at: claims.map(|claims| claims.issued_at),
        expires_at: claims.and_then(|claims| ends(claims.expires_at)),
        ends_at: claims.and_then(|claims| ends(claims.ends_at)),
        signed: claims.is_some(),
        bytes: text.len(),
        vectors: vectors(space.as_deref().unwrap_or(default), token.dependencies()),
        space,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InspectionView {
    version: &'static str,
    replica: String,
    trusted: bool,
    vectors: Shown<Vector>,
    keys: usize,
    bytes: u64,
    wasm_bytes: usize,
    persisted: bool,
    sessions: Vec<InfoView>,
    peers: Vec<PeerInspection>,
}

#[derive(Serialize)]
struct PeerInspection {
    link: u32,
    replica: Option<String>,
    holds: Shown<Vector>,
}

/// The replica as a whole.
pub(super) fn replica(core: &Replica) -> JsValue {
    let spaces = core.store().spaces();
    let sessions = core.sessions().filter_map(|handle| core.session(handle));
    let peer = |peer: crate::replica::PeerView| PeerInspection {
        link: peer.link.0,
        replica: peer.replica.map(|id| id.to_string()),
        holds: shown(peer.holds.iter().map(|(space, holds)| (space.to_string(), vector(holds)))),
    };
    plain(&InspectionView {
        version: env!("CARGO_PKG_VERSION"),
        replica: core.id().to_string(),
        trusted: core.is_trusted(),
        vectors: shown(spaces.map(|(space, _)| (space.to_string(), vector(core.durable(space))))),
        keys: core.store().len(),
        bytes: core.store().bytes(),
        wasm_bytes: super::memory::size(),
        persisted: core.is_settled(),
        sessions: sessions.map(|view| info(&view, true)).collect(),
        peers: core.peers().map(peer).collect(),
    })
}
