//! Hands effects to the host, each by one call of the host's sink.
//!
//! Frequent effects (records, messages, alarms, changes) cross as numbers, bytes and one joined text. As an object,
//! each property would cost a call and a text of its own, which was a third of what a client spent on a conversation.
//! Rare effects cross as objects.
//!
//! Invariant: a sink only collects, and the core is not borrowed while it does.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;

use super::convert::{GONE, bare, kind, query, session, units};
use super::error;
use super::shape::object;
use crate::codec::Rope;
use crate::id::Space;
use crate::io::{Change, Effect, Event, RejectedWrite};
use crate::store::entry::{Content, Key};

#[wasm_bindgen]
extern "C" {
    /// The collector of effects: an object with one method for each frequent kind, and one for all others.
    pub type Sink;

    #[wasm_bindgen(method, structural)]
    fn persist(this: &Sink, n: f64, bytes: Uint8Array);
    #[wasm_bindgen(method, structural)]
    fn transmit(this: &Sink, link: u32, bytes: Uint8Array);
    /// The same for a message in one piece: the script copies it directly (`pkg-template/xtask/src/package/glue.rs`).
    #[wasm_bindgen(method, structural, js_name = transmit)]
    fn transmit_whole(this: &Sink, link: u32, bytes: &[u8]);
    #[wasm_bindgen(method, structural)]
    fn settled(this: &Sink, wait: u32);
    #[wasm_bindgen(method, structural)]
    fn watch(this: &Sink, watch: u32);
    #[wasm_bindgen(method, structural)]
    fn unsynced(this: &Sink, unsynced: bool);
    /// Negative: no alarm is needed.
    #[wasm_bindgen(method, structural)]
    fn timeout(this: &Sink, at: f64);
    /// Spaces and keys joined, and the length of each. The list is a view that is invalid after the call.
    #[wasm_bindgen(method, structural)]
    fn forget(this: &Sink, text: &str, lengths: &[u32]);
    /// Space, key, version and value joined, and the lengths of the first three; the kind of the value (3: the key
    /// shows nothing any more), when it expires (negative: never), and the value if it is bytes.
    #[wasm_bindgen(method, structural)]
    fn change(
        this: &Sink,
        text: &str,
        space: u32,
        key: u32,
        version: u32,
        kind: u32,
        expires: f64,
        bytes: Option<Uint8Array>,
    );
    /// Any other effect, as an object.
    #[wasm_bindgen(method, structural)]
    fn other(this: &Sink, effect: JsValue);
}

#[wasm_bindgen]
extern "C" {
    /// A `Uint8Array` while it is being filled.
    #[wasm_bindgen(js_name = Uint8Array, extends = Uint8Array)]
    type Filling;

    #[wasm_bindgen(constructor, js_class = "Uint8Array")]
    fn new(bytes: u32) -> Filling;
    #[wasm_bindgen(method)]
    fn set(this: &Filling, part: &[u8], at: u32);
}

/// The bytes of a rope, each copied once, directly to its destination.
pub(super) fn joined(rope: &Rope) -> Uint8Array {
    if let Some(whole) = rope.whole() {
        return Uint8Array::from(whole);
    }
    let (array, mut at) = (Filling::new(rope.len() as u32), 0);
    for part in rope.parts() {
        array.set(part, at);
        at += part.len() as u32;
    }
    array.into()
}

/// Hands over one effect.
pub(super) fn hand_over(effect: &Effect, sink: &Sink) {
    match effect {
        Effect::Persist { n, bytes } => sink.persist(*n as f64, joined(bytes)),
        Effect::Transmit { link, bytes } => match bytes.whole() {
            Some(whole) => sink.transmit_whole(link.0, whole),
            None => sink.transmit(link.0, joined(bytes)),
        },
        Effect::Settled(wait) => sink.settled(wait.0),
        Effect::Watch(watch) => sink.watch(watch.0),
        Effect::Unsynced(unsynced) => sink.unsynced(*unsynced),
        Effect::Timeout(at) => sink.timeout(at.map_or(-1.0, |at| at as f64)),
        Effect::Forget(Some(keys)) => forget(keys, sink),
        Effect::Event(Event::Change { space, change: told }) => change(space, told, sink),
        other @ (Effect::Forget(_)
        | Effect::Abort { .. }
        | Effect::Close { .. }
        | Effect::Call { .. }
        | Effect::CallOver(_)
        | Effect::Event(_)) => sink.other(plain(other)),
    }
}

#[inline(never)]
fn forget(keys: &[(Space, Key)], sink: &Sink) {
    let (mut text, mut lengths) = (String::new(), Vec::with_capacity(2 * keys.len()));
    for (space, key) in keys {
        lengths.extend([append_space(&mut text, space), append(&mut text, key)]);
    }
    sink.forget(&text, &lengths);
}

#[inline(never)]
fn change(space: &Space, change: &Change, sink: &Sink) {
    let mut text = String::new();
    let space = append_space(&mut text, space);
    let [key, version] = [&*change.key, &*change.version].map(|part| append(&mut text, part));
    let (mut shown, mut expires, mut bytes) = (GONE, -1.0, None);
    if let Some(item) = &change.item {
        shown = kind(&item.content);
        expires = item.expires_at.map_or(-1.0, |at| at as f64);
        match &item.content {
            Content::Text(value) | Content::Json(value) => text.push_str(value),
            Content::Bytes(value) => bytes = Some(Uint8Array::from(&**value)),
            Content::Tombstone => {}
        }
    }
    sink.change(&text, space, key, version, shown, expires, bytes);
}

/// Appends a part; returns its length in UTF-16 code units.
fn append(text: &mut String, part: &str) -> u32 {
    text.push_str(part);
    units(part)
}

/// The same for a space. Nearly all are of the first generation, whose text is the name.
fn append_space(text: &mut String, space: &Space) -> u32 {
    if space.generation() > 1 { append(text, &space.to_string()) } else { append(text, space.name()) }
}

/// A rare effect for JavaScript.
#[cold]
#[inline(never)]
fn plain(effect: &Effect) -> JsValue {
    match effect {
        Effect::Forget(_) => object([("kind", "forget".into()), ("keys", JsValue::NULL)]),
        Effect::Abort { plan, reason } => object([
            ("kind", "abort".into()),
            ("plan", JsValue::from_f64(*plan as f64)),
            ("reason", reason.as_str().into()),
        ]),
        Effect::Close { link, error } => {
            object([("kind", "close".into()), ("link", link.0.into()), ("error", error::plain(error))])
        }
        Effect::Call { call, method, args, token, timeout } => object([
            ("kind", "call".into()),
            ("call", call.0.into()),
            ("method", method.into()),
            ("args", args.into()),
            ("token", token.into()),
            ("timeout", (*timeout as f64).into()),
        ]),
        Effect::CallOver(call) => object([("kind", "callOver".into()), ("call", call.0.into())]),
        Effect::Event(told) => object([("kind", "event".into()), ("event", event(told))]),
        // These have methods of their own.
        Effect::Persist { .. }
        | Effect::Transmit { .. }
        | Effect::Settled(_)
        | Effect::Watch(_)
        | Effect::Unsynced(_)
        | Effect::Timeout(_) => JsValue::UNDEFINED,
    }
}

fn event(event: &Event) -> JsValue {
    match event {
        Event::Change { .. } => JsValue::UNDEFINED,
        Event::Conflict { space, key, kept, dropped } => object([
            ("type", "conflict".into()),
            ("space", space.to_string().into()),
            ("key", JsValue::from_str(key)),
            ("kept", kept.into()),
            ("dropped", dropped.into()),
        ]),
        Event::Renamed { old, new } => {
            object([("type", "renamed".into()), ("old", old.to_string().into()), ("new", new.to_string().into())])
        }
        Event::Session { status, session: over } => {
            object([("type", "session".into()), ("session", session(over, None, *status, 0))])
        }
        Event::Slow(slow) => {
            object([("type", "slow".into()), ("query", query(slow, "", 0, slow.ended.unwrap_or(slow.started)))])
        }
        Event::Peers(count) => object([("type", "peers".into()), ("count", (*count).into())]),
        Event::Rejected { space, code, writes } => {
            let write = |write: &RejectedWrite| {
                let key = ("key", JsValue::from_str(&write.key));
                match bare(&write.content) {
                    Some((kind, value)) => object([key, ("kind", kind.into()), ("value", value)]),
                    None => object([key]),
                }
            };
            object([
                ("type", "rejected".into()),
                ("space", space.to_string().into()),
                ("code", code.into()),
                ("writes", writes.iter().map(write).collect::<Array>().into()),
            ])
        }
        Event::Refused(refused) | Event::Drift(refused) => {
            object([("type", "error".into()), ("error", error::plain(refused))])
        }
    }
}
