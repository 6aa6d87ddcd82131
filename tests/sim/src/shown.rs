//! The core's values as the wasm module shows them to JavaScript, for traces.
//!
//! Written out a second time on purpose: whoever plays a trace on the module compares its own conversions with these.

use edge_session::error::{Missing, SessionError};
use edge_session::io::{Answer, Change, Effect, Event, Item, Outcome, Policy, Progress, Range, RejectedWrite, Terms};
use edge_session::replica::{Ahead, Config, Glance, SessionInit, SessionView};
use edge_session::store::entry::Content;
use serde_json::{Value, json};

use crate::trace::blob;

/// A result: what it is, or the error.
pub fn result<T>(result: &Result<T, SessionError>, show: impl FnOnce(&T) -> Value) -> Value {
    match result {
        Ok(value) => json!({ "ok": show(value) }),
        Err(told) => json!({ "error": error(told) }),
    }
}

fn error(error: &SessionError) -> Value {
    json!({ "code": error.code().as_str(), "message": error.cause() })
}

/// How a replica is opened.
#[must_use]
pub fn config(config: &Config) -> Value {
    let limits = &config.limits;
    let keys: Vec<Value> = config.keys.iter().map(|(kid, key)| json!({ "kid": kid, "key": blob(key) })).collect();
    json!({
        "label": config.label,
        "durable": config.storage,
        "space": config.space,
        "issuer": config.issuer,
        "keys": keys,
        "limits": {
            "bytes": limits.bytes,
            "keys": limits.keys,
            "keyBytes": limits.key_bytes,
            "valueBytes": limits.value_bytes,
            "batchKeys": limits.batch_keys,
            "batchBytes": limits.batch_bytes,
            "siblings": limits.siblings,
            "spaces": limits.spaces,
            "tokenBytes": config.token_bytes,
        },
        "session": { "expiresIn": config.expires_in, "timeout": config.timeout },
        "heartbeat": config.timing.heartbeat,
        "ackPause": config.timing.pause,
    })
}

/// How a session begins.
#[must_use]
pub fn init(init: &SessionInit) -> Value {
    let policy = |policy: Policy| match policy {
        Policy::Wait => "wait",
        Policy::Throw => "throw",
        Policy::Serve => "serve",
    };
    let mut object = serde_json::Map::new();
    let mut put = |name: &str, value: Option<Value>| value.map(|value| object.insert(name.into(), value));
    put("token", init.token.as_ref().map(|token| json!(token)));
    put("space", init.space.as_ref().map(|space| json!(space.name())));
    put("guarantees", init.guarantees.map(|guarantees| json!(guarantees.bits())));
    put("user", init.user.as_ref().map(|user| json!(user)));
    put("client", init.client.as_ref().map(|client| json!(client)));
    put("onStale", init.on_stale.map(|own| json!(policy(own))));
    put("timeout", init.timeout.map(|timeout| json!(timeout)));
    put("expiresIn", init.expires_in.map(|expires_in| json!(expires_in)));
    put("onRefused", init.anonymous_if_refused.then(|| json!("anonymous")));
    Value::Object(object)
}

/// Who a session is.
#[must_use]
pub fn view(view: Option<&SessionView>) -> Value {
    view.map_or(Value::Null, |view| {
        json!({
            "id": view.id.to_text(),
            "resumed": view.resumed,
            "guarantees": view.guarantees.bits(),
            "reason": view.refused.as_ref().map(|refused| refused.code().as_str()),
        })
    })
}

/// The terms of an operation, but for its deadline.
#[must_use]
pub fn bits(terms: Terms) -> Value {
    let guarantees = terms.guarantees.map_or(0, |guarantees| 1 << 4 | u32::from(guarantees.bits()));
    let policy = terms.on_stale.map_or(0, |policy| match policy {
        Policy::Wait => 1,
        Policy::Throw => 2,
        Policy::Serve => 3,
    });
    json!(guarantees | policy << 5 | u32::from(terms.sync) << 7)
}

/// The deadline of an operation; −1: not given.
#[must_use]
pub fn timeout(terms: Terms) -> Value {
    terms.timeout.map_or(json!(-1), |timeout| json!(timeout))
}

/// The range of a listing.
#[must_use]
pub fn range(range: &Range) -> Value {
    json!({
        "prefix": range.prefix,
        "start": range.start,
        "end": range.end,
        "limit": range.limit,
        "reverse": range.reverse,
    })
}

/// A read for the cache, and what comes with it.
#[must_use]
pub fn glance(seen: &Glance, keep: Option<[Value; 2]>, ahead: &[Ahead], dots: Vec<[Value; 2]>) -> Value {
    let Some((kind, value)) = seen.content.as_ref().and_then(content) else { return Value::Null };
    let mut shown: Vec<Value> = [json!(kind), value].into_iter().chain(keep.into_iter().flatten()).collect();
    // The first is the copy of the key itself.
    if ahead.len() > 1 {
        let units = |text: &str| text.encode_utf16().count();
        let (mut joined, mut at) = (String::new(), 0);
        let places = || ahead.iter().map(|copy| copy.place);
        let (from, until) = (places().min().unwrap_or_default(), places().max().unwrap_or_default() + 1);
        let (mut numbers, mut writes) = (vec![json!(ahead.len()), json!(from), json!(until)], Vec::<[Value; 2]>::new());
        for (copy, dot) in ahead.iter().zip(dots) {
            let Some((kind, value)) = content(&copy.content) else { continue };
            let value = value.as_str().unwrap_or_default();
            joined.extend([&*copy.key, value]);
            if writes.last() != Some(&dot) {
                writes.push(dot);
            }
            let value_at = at + units(&copy.key);
            numbers.extend([json!(at), json!(value_at), json!((writes.len() - 1) << 1 | kind as usize)]);
            at = value_at + units(value);
        }
        numbers.push(json!(at));
        for [origin, sequence] in writes {
            let sequence = sequence.as_u64().unwrap_or_default();
            numbers.extend([origin, json!(sequence & 0xffff_ffff), json!(sequence >> 32)]);
        }
        let text = if joined.is_ascii() { json!(joined) } else { json!(joined.encode_utf16().collect::<Vec<_>>()) };
        shown.extend([text, json!(numbers)]);
    }
    Value::Array(shown)
}

/// A kind and a value; nothing for a tombstone.
#[must_use]
pub fn content(content: &Content) -> Option<(u32, Value)> {
    match content {
        Content::Text(text) => Some((0, json!(**text))),
        Content::Json(text) => Some((1, json!(**text))),
        Content::Bytes(bytes) => Some((2, blob(bytes))),
        Content::Tombstone => None,
    }
}

/// What a key shows.
#[must_use]
pub fn item(item: &Item) -> Value {
    let (kind, value) = content(&item.content).unwrap_or_default();
    json!({ "key": *item.key, "kind": kind, "value": value, "version": item.version, "expiresAt": item.expires_at })
}

fn entry(shown: Option<&Item>) -> Value {
    shown.map_or(Value::Null, item)
}

fn items(list: &[Item]) -> Value {
    list.iter().map(item).collect()
}

/// How a key changed.
#[must_use]
pub fn change(change: &Change) -> Value {
    json!({ "key": *change.key, "entry": entry(change.item.as_ref()), "version": change.version })
}

/// Missing dots.
#[must_use]
pub fn missing(list: &[Missing]) -> Value {
    let one = |missing: &Missing| {
        let holders: Vec<String> = missing.holders.iter().map(ToString::to_string).collect();
        json!({
            "space": missing.space.to_string(),
            "replica": missing.gap.replica.to_string(),
            "have": missing.gap.have,
            "need": missing.gap.need,
            "holders": holders,
        })
    };
    list.iter().map(one).collect()
}

/// An answer.
#[must_use]
pub fn answer(answer: &Answer) -> Value {
    match answer {
        Answer::Item(shown) => entry(shown.as_ref()),
        Answer::Items(list) => items(list),
        Answer::Version(text) | Answer::Token(text) | Answer::Reply(text) => json!(text),
        Answer::Table(table) => json!(table.to_string()),
        Answer::Done => Value::Null,
        Answer::Outcome(Outcome::Value { item: shown, conflicts, stale }) => {
            json!({ "state": "value", "stale": stale, "entry": item(shown), "conflicts": conflicts })
        }
        Answer::Outcome(Outcome::Absent { stale }) => json!({ "state": "absent", "stale": stale }),
        Answer::Outcome(Outcome::Behind(list)) => {
            json!({ "state": "behind", "stale": false, "missing": missing(list) })
        }
        Answer::Outcome(Outcome::Lost(list)) => json!({ "state": "lost", "stale": false, "missing": missing(list) }),
    }
}

/// An answer, or the number of the wait for it.
#[must_use]
pub fn progress(progress: &Progress) -> Value {
    match progress {
        Progress::Done(done) => answer(done),
        Progress::Waiting(wait) => json!(wait.0),
    }
}

/// An effect.
#[must_use]
pub fn effect(effect: &Effect) -> Value {
    match effect {
        Effect::Persist { n, bytes } => json!({ "kind": "persist", "n": n, "bytes": blob(&bytes.to_vec()) }),
        Effect::Transmit { link, bytes } => {
            json!({ "kind": "transmit", "link": link.0, "bytes": blob(&bytes.to_vec()) })
        }
        Effect::Settled(wait) => json!({ "kind": "settled", "wait": wait.0 }),
        Effect::Forget(keys) => {
            let keys = keys
                .as_ref()
                .map(|keys| -> Value { keys.iter().map(|(space, key)| json!([space.to_string(), **key])).collect() });
            json!({ "kind": "forget", "keys": keys })
        }
        Effect::Watch(watch) => json!({ "kind": "watch", "watch": watch.0 }),
        Effect::Abort { plan, reason } => json!({ "kind": "abort", "plan": plan, "reason": reason.as_str() }),
        Effect::Unsynced(unsynced) => json!({ "kind": "unsynced", "unsynced": unsynced }),
        Effect::Timeout(at) => json!({ "kind": "timeout", "at": at }),
        Effect::Call { call, method, args, token, timeout } => {
            json!({ "kind": "call", "call": call.0, "method": method, "args": args, "token": token, "timeout": timeout })
        }
        Effect::CallOver(call) => json!({ "kind": "callOver", "call": call.0 }),
        Effect::Close { link, error: told } => json!({ "kind": "close", "link": link.0, "error": error(told) }),
        Effect::Event(told) => json!({ "kind": "event", "event": event(told) }),
    }
}

fn event(event: &Event) -> Value {
    match event {
        Event::Change { space, change } => json!({
            "type": "change",
            "space": space.to_string(),
            "key": *change.key,
            "entry": entry(change.item.as_ref()),
            "version": change.version,
        }),
        Event::Conflict { space, key, kept, dropped } => json!({
            "type": "conflict",
            "space": space.to_string(),
            "key": **key,
            "kept": kept,
            "dropped": dropped,
        }),
        Event::Renamed { old, new } => json!({ "type": "renamed", "old": old.to_string(), "new": new.to_string() }),
        Event::Peers(count) => json!({ "type": "peers", "count": count }),
        Event::Session { status, session } => {
            json!({ "type": "session", "state": status.name(), "session": session.id.to_string() })
        }
        Event::Slow(query) => json!({ "type": "slow", "plan": query.plan }),
        Event::Refused(refused) | Event::Drift(refused) => json!({ "type": "error", "error": error(refused) }),
        Event::Rejected { space, code, writes } => {
            let write = |write: &RejectedWrite| match content(&write.content) {
                Some((kind, value)) => json!({ "key": *write.key, "kind": kind, "value": value }),
                None => json!({ "key": *write.key }),
            };
            let writes: Vec<Value> = writes.iter().map(write).collect();
            json!({ "type": "rejected", "space": space.to_string(), "code": code, "writes": writes })
        }
    }
}
