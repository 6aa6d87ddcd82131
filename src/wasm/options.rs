//! Options from JavaScript: plain objects, with the core's defaults for what is not given.

use wasm_bindgen::prelude::*;

use super::error::argument;
use super::shape::Given;
use crate::error::SessionError;
use crate::guarantee::Guarantees;
use crate::id::Space;
use crate::io::{Policy, Range, Scope};
use crate::replica::{Config, SessionInit};
use crate::service::manager::SessionLimits;
use crate::store::limits::Limits;
use crate::sync::gate::ClientLimits;
use crate::sync::peer::Timing;

/// How a replica is opened.
pub(super) fn config(value: JsValue, seed: [u8; 32]) -> Result<Config, SessionError> {
    let given = Given::new(value, "the replica's options are not of the documented form")?;
    let (base, most, client) = (Config::default(), Limits::default(), ClientLimits::default());
    let (limits, session) = (given.inner("limits")?, given.inner("session")?);
    let mut keys = alloc::vec::Vec::new();
    for key in given.list("keys")? {
        keys.push((key.needed(key.text("kid")?)?, key.needed(key.bytes("key")?)?));
    }
    let token_bytes = limits.number("tokenBytes")?;
    Ok(Config {
        label: given.needed(given.text("label")?)?,
        seed,
        storage: given.flag("durable")?.unwrap_or(false),
        issuer: given.text("issuer")?.unwrap_or(base.issuer),
        keys,
        space: given.text("space")?.unwrap_or(base.space),
        limits: Limits {
            key_bytes: limits.number("keyBytes")?.unwrap_or(most.key_bytes),
            value_bytes: limits.number("valueBytes")?.unwrap_or(most.value_bytes),
            batch_keys: limits.number("batchKeys")?.unwrap_or(most.batch_keys),
            batch_bytes: limits.number("batchBytes")?.unwrap_or(most.batch_bytes),
            siblings: limits.number("siblings")?.unwrap_or(most.siblings),
            keys: limits.number("keys")?.unwrap_or(most.keys),
            bytes: limits.number("bytes")?.unwrap_or(most.bytes),
            spaces: limits.number("spaces")?.unwrap_or(most.spaces),
        },
        client_limits: ClientLimits {
            ids: limits.number("clientIds")?.map_or(client.ids, |ids| usize::try_from(ids).unwrap_or(usize::MAX)),
            births: limits.number("clientBirths")?.unwrap_or(client.births),
            sequences: limits.number("clientSequences")?.unwrap_or(client.sequences),
            staged_bytes: limits.number("clientStagedBytes")?.unwrap_or(client.staged_bytes),
            messages: limits.number("clientMessages")?.unwrap_or(client.messages),
            bytes: limits.number("clientBytes")?.unwrap_or(client.bytes),
            accounts: client.accounts,
            sent_bytes: limits.number("clientSentBytes")?.unwrap_or(client.sent_bytes),
            links: limits
                .number("clientLinks")?
                .map_or(client.links, |most| usize::try_from(most).unwrap_or(usize::MAX)),
        },
        timing: Timing {
            pause: given.number("ackPause")?.unwrap_or(base.timing.pause),
            ..given.number("heartbeat")?.map_or(base.timing, |heartbeat| base.timing.beating(heartbeat))
        },
        timeout: session.number("timeout")?.unwrap_or(base.timeout),
        expires_in: session.number("expiresIn")?.unwrap_or(base.expires_in),
        token_life: session.number("tokenExpiresIn")?.unwrap_or(base.token_life),
        leeway: session.number("leeway")?.unwrap_or(base.leeway),
        sessions: SessionLimits {
            sessions: limits.number("sessions")?.unwrap_or(base.sessions.sessions),
            user: limits.number("sessionsPerUser")?.unwrap_or(base.sessions.user),
            address: limits.number("sessionsPerAddress")?.unwrap_or(base.sessions.address),
            cached: limits.number("cachedSessions")?.unwrap_or(base.sessions.cached),
            bytes: limits.number("cachedSessionBytes")?.unwrap_or(base.sessions.bytes),
            idle: session.number("idleTimeout")?,
        },
        host_roles: given.flag("roles")?.unwrap_or(false),
        publish: session.number("publishEvery")?,
        query_timeout: session.number("queryTimeout")?,
        slow: session.number("slow")?.unwrap_or(base.slow),
        token_bytes: token_bytes.map_or(base.token_bytes, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
    })
}

/// How a session begins.
pub(super) fn session_init(value: JsValue) -> Result<SessionInit, SessionError> {
    let given = Given::new(value, "the session's options are not of the documented form")?;
    let policy = |name: &str| match name {
        "wait" => Ok(Policy::Wait),
        "throw" => Ok(Policy::Throw),
        "serve" => Ok(Policy::Serve),
        _ => Err(argument("onStale is wait, throw or serve")),
    };
    let anonymous_if_refused = match given.text("onRefused")?.as_deref() {
        None | Some("throw") => false,
        Some("anonymous") => true,
        Some(_) => return Err(argument("onRefused is throw or anonymous")),
    };
    let guarantees = |bits: u64| Guarantees::from_bits(u8::try_from(bits).unwrap_or(u8::MAX));
    Ok(SessionInit {
        token: given.text("token")?,
        space: given.text("space")?.as_deref().map(Space::first).transpose()?,
        visit: given.text("visit")?.as_deref().map(Space::first).transpose()?,
        guarantees: given.number("guarantees")?.map(guarantees).transpose()?,
        user: given.text("user")?,
        client: given.text("client")?,
        address: given.text("address")?,
        on_stale: given.text("onStale")?.as_deref().map(policy).transpose()?,
        timeout: given.number("timeout")?,
        expires_in: given.number("expiresIn")?,
        anonymous_if_refused,
    })
}

/// The range of a listing.
pub(super) fn range(value: JsValue) -> Result<Range, SessionError> {
    let given = Given::new(value, "a range is { prefix, start, end, limit, reverse }")?;
    Ok(Range {
        start: given.text("start")?,
        end: given.text("end")?,
        prefix: given.text("prefix")?,
        limit: given.number("limit")?,
        reverse: given.flag("reverse")?.unwrap_or(false),
    })
}

/// The keys of a subscription: one, or those of a prefix.
pub(super) fn scope(value: JsValue) -> Result<Scope, SessionError> {
    let given = Given::new(value, "a subscription follows { key } or { prefix }")?;
    Ok(match given.text("key")? {
        Some(key) => Scope::Key(key.into()),
        None => Scope::Prefix(given.text("prefix")?.unwrap_or_default()),
    })
}
