//! Options from JavaScript: plain objects; the core's defaults apply to whatever is not given.

use alloc::string::String;

use wasm_bindgen::prelude::*;

use super::error::argument;
use super::shape::Given;
use crate::error::SessionError;
use crate::guarantee::Guarantees;
use crate::io::{Policy, Range, Scope};
use crate::replica::{Config, SessionInit};
use crate::sync::peer::Timing;

/// The options of a replica. Similar ones are read in loops: written out they were a hundredth of the module.
pub(super) fn config(value: JsValue, seed: [u8; 32]) -> Result<Config, SessionError> {
    let given = Given::new(value, "the replica's options are not of the documented form")?;
    let (limits, session) = (given.inner("limits")?, given.inner("session")?);
    let mut config = Config { label: given.needed(given.text("label")?)?, seed, ..Config::default() };
    for key in given.list("keys")? {
        config.keys.push((key.needed(key.text("kid")?)?, key.needed(key.bytes("key")?)?));
    }
    for (name, held) in [("issuer", &mut config.issuer), ("space", &mut config.space)] {
        *held = given.text(name)?.unwrap_or_else(|| core::mem::take(held));
    }
    for (name, held) in [("durable", &mut config.storage), ("roles", &mut config.host_roles)] {
        *held = given.flag(name)?.unwrap_or(*held);
    }
    let (most, client, sessions) = (&mut config.limits, &mut config.client_limits, &mut config.sessions);
    let most = [
        ("keyBytes", &mut most.key_bytes),
        ("valueBytes", &mut most.value_bytes),
        ("batchKeys", &mut most.batch_keys),
        ("batchBytes", &mut most.batch_bytes),
        ("siblings", &mut most.siblings),
        ("keys", &mut most.keys),
        ("bytes", &mut most.bytes),
        ("spaces", &mut most.spaces),
        ("clientBirths", &mut client.births),
        ("clientSequences", &mut client.sequences),
        ("clientStagedBytes", &mut client.staged_bytes),
        ("clientMessages", &mut client.messages),
        ("clientBytes", &mut client.bytes),
        ("clientSentBytes", &mut client.sent_bytes),
        ("sessions", &mut sessions.sessions),
        ("sessionsPerUser", &mut sessions.user),
        ("sessionsPerAddress", &mut sessions.address),
        ("cachedSessions", &mut sessions.cached),
        ("cachedSessionBytes", &mut sessions.bytes),
    ];
    for (name, held) in most {
        *held = limits.number(name)?.unwrap_or(*held);
    }
    let sizes =
        [("clientIds", &mut client.ids), ("clientLinks", &mut client.links), ("tokenBytes", &mut config.token_bytes)];
    for (name, held) in sizes {
        *held = limits.number(name)?.map_or(*held, |most| usize::try_from(most).unwrap_or(usize::MAX));
    }
    let times = [
        ("timeout", &mut config.timeout),
        ("expiresIn", &mut config.expires_in),
        ("tokenExpiresIn", &mut config.token_life),
        ("leeway", &mut config.leeway),
        ("slow", &mut config.slow),
    ];
    for (name, held) in times {
        *held = session.number(name)?.unwrap_or(*held);
    }
    let times = [
        ("idleTimeout", &mut sessions.idle),
        ("publishEvery", &mut config.publish),
        ("queryTimeout", &mut config.query_timeout),
    ];
    for (name, held) in times {
        *held = session.number(name)?;
    }
    let timing = given.number("heartbeat")?.map_or(config.timing, |heartbeat| config.timing.beating(heartbeat));
    config.timing = Timing { pause: given.number("ackPause")?.unwrap_or(timing.pause), ..timing };
    Ok(config)
}

/// The options of a session.
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
        space: given.text("space")?.as_deref().map(str::parse).transpose()?,
        visit: given.text("visit")?.as_deref().map(str::parse).transpose()?,
        guarantees: given.number("guarantees")?.map(guarantees).transpose()?,
        user: named(given.text("user")?)?,
        client: given.text("client")?,
        address: given.text("address")?,
        on_stale: given.text("onStale")?.as_deref().map(policy).transpose()?,
        timeout: given.number("timeout")?,
        expires_in: given.number("expiresIn")?,
        anonymous_if_refused,
    })
}

/// A user, if one was given. An empty name is refused: all users without a name would be one user, who sees and ends
/// the sessions of the others.
fn named(user: Option<String>) -> Result<Option<String>, SessionError> {
    if user.as_deref() == Some("") { Err(argument("user is not empty")) } else { Ok(user) }
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

/// The keys of a subscription: one key, or those with a prefix.
pub(super) fn scope(value: JsValue) -> Result<Scope, SessionError> {
    let given = Given::new(value, "a subscription follows { key } or { prefix }")?;
    Ok(match given.text("key")? {
        Some(key) => Scope::Key(key.into()),
        None => Scope::Prefix(given.text("prefix")?.unwrap_or_default()),
    })
}
