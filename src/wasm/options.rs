//! Options from JavaScript: plain objects through serde, with the core's defaults for what is not given.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;
use wasm_bindgen::prelude::*;

use super::error::argument;
use crate::error::SessionError;
use crate::guarantee::Guarantees;
use crate::id::Space;
use crate::io::{Policy, Range, Scope};
use crate::replica::{Config, SessionInit};
use crate::store::limits::Limits;
use crate::sync::peer::Timing;

/// Reads a plain object.
fn read<T: serde::de::DeserializeOwned>(value: JsValue, what: &'static str) -> Result<T, SessionError> {
    serde_wasm_bindgen::from_value(value).map_err(|_| argument(what))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigView {
    label: String,
    #[serde(default)]
    durable: bool,
    space: Option<String>,
    issuer: Option<String>,
    #[serde(default)]
    keys: Vec<KeyView>,
    #[serde(default)]
    limits: LimitsView,
    #[serde(default)]
    session: TimesView,
    heartbeat: Option<u64>,
}

#[derive(Deserialize)]
struct KeyView {
    kid: String,
    key: Vec<u8>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct LimitsView {
    bytes: Option<u64>,
    keys: Option<u64>,
    key_bytes: Option<u64>,
    value_bytes: Option<u64>,
    batch_keys: Option<u64>,
    batch_bytes: Option<u64>,
    siblings: Option<u64>,
    spaces: Option<u64>,
    token_bytes: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct TimesView {
    expires_in: Option<u64>,
    timeout: Option<u64>,
    token_expires_in: Option<u64>,
    leeway: Option<u64>,
}

/// How a replica is opened.
pub(super) fn config(value: JsValue, seed: [u8; 32]) -> Result<Config, SessionError> {
    let view: ConfigView = read(value, "the replica's options are not of the documented form")?;
    let (base, limits) = (Config::default(), Limits::default());
    let given = view.limits;
    Ok(Config {
        label: view.label,
        seed,
        storage: view.durable,
        issuer: view.issuer.unwrap_or(base.issuer),
        keys: view.keys.into_iter().map(|key| (key.kid, key.key)).collect(),
        space: view.space.unwrap_or(base.space),
        limits: Limits {
            key_bytes: given.key_bytes.unwrap_or(limits.key_bytes),
            value_bytes: given.value_bytes.unwrap_or(limits.value_bytes),
            batch_keys: given.batch_keys.unwrap_or(limits.batch_keys),
            batch_bytes: given.batch_bytes.unwrap_or(limits.batch_bytes),
            siblings: given.siblings.unwrap_or(limits.siblings),
            keys: given.keys.unwrap_or(limits.keys),
            bytes: given.bytes.unwrap_or(limits.bytes),
            spaces: given.spaces.unwrap_or(limits.spaces),
        },
        timing: Timing { heartbeat: view.heartbeat.unwrap_or(base.timing.heartbeat), ..base.timing },
        timeout: view.session.timeout.unwrap_or(base.timeout),
        expires_in: view.session.expires_in.unwrap_or(base.expires_in),
        token_life: view.session.token_expires_in.unwrap_or(base.token_life),
        leeway: view.session.leeway.unwrap_or(base.leeway),
        token_bytes: given.token_bytes.map_or(base.token_bytes, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionInitView {
    token: Option<String>,
    space: Option<String>,
    guarantees: Option<u8>,
    user: Option<String>,
    client: Option<String>,
    on_stale: Option<String>,
    timeout: Option<u64>,
    expires_in: Option<u64>,
    on_refused: Option<String>,
}

/// How a session begins.
pub(super) fn session_init(value: JsValue) -> Result<SessionInit, SessionError> {
    let view: SessionInitView = read(value, "the session's options are not of the documented form")?;
    let policy = |name: &str| match name {
        "wait" => Ok(Policy::Wait),
        "throw" => Ok(Policy::Throw),
        "serve" => Ok(Policy::Serve),
        _ => Err(argument("onStale is wait, throw or serve")),
    };
    let anonymous_if_refused = match view.on_refused.as_deref() {
        None | Some("throw") => false,
        Some("anonymous") => true,
        Some(_) => return Err(argument("onRefused is throw or anonymous")),
    };
    Ok(SessionInit {
        token: view.token,
        space: view.space.as_deref().map(Space::first).transpose()?,
        guarantees: view.guarantees.map(Guarantees::from_bits).transpose()?,
        user: view.user,
        client: view.client,
        on_stale: view.on_stale.as_deref().map(policy).transpose()?,
        timeout: view.timeout,
        expires_in: view.expires_in,
        anonymous_if_refused,
    })
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RangeView {
    key: Option<String>,
    prefix: Option<String>,
    start: Option<String>,
    end: Option<String>,
    limit: Option<u64>,
    reverse: Option<bool>,
}

/// The range of a listing.
pub(super) fn range(value: JsValue) -> Result<Range, SessionError> {
    let view: RangeView = read(value, "a range is { prefix, start, end, limit, reverse }")?;
    let RangeView { prefix, start, end, limit, reverse, .. } = view;
    Ok(Range { start, end, prefix, limit, reverse: reverse.unwrap_or(false) })
}

/// The keys of a subscription: one, or those of a prefix.
pub(super) fn scope(value: JsValue) -> Result<Scope, SessionError> {
    let view: RangeView = read(value, "a subscription follows { key } or { prefix }")?;
    Ok(match view.key {
        Some(key) => Scope::Key(key.into()),
        None => Scope::Prefix(view.prefix.unwrap_or_default()),
    })
}
