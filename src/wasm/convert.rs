//! Converts values between JavaScript and the core: entries and answers.
//!
//! Reading is total: a value without the documented shape is `ARGUMENT_INVALID` before anything is changed.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;

use super::error::{argument, missing};
use super::page::Page;
use super::shape::object;
use crate::error::{Missing, SessionError};
use crate::guarantee::Guarantees;
use crate::io::{Answer, Change, Item, Outcome, Policy, Progress, Terms};
use crate::replica::Identity;
use crate::service::query::{QueryPlan, QueryStatus};
use crate::service::record::{SessionInfo, SessionStatus};
use crate::service::role::RoleType;
use crate::service::table::{Cell, Table};
use crate::store::entry::{Content, Key};
use crate::store::{Check, Log, Mutation};
use crate::time::{MILLIS_MAX, Millis};

/// A time from JavaScript; NaN and negative numbers become 0.
pub(super) fn millis(value: f64) -> Millis {
    value as Millis
}

/// A duration from JavaScript; a negative number means that none was given.
pub(super) fn duration(value: f64) -> Option<Millis> {
    (value >= 0.0).then_some(value as Millis)
}

/// The numbers of the kinds of content in JavaScript.
pub(super) const TEXT: u32 = 0;
pub(super) const JSON: u32 = 1;
const BYTES: u32 = 2;
/// No content, as a deleted key shows.
pub(super) const GONE: u32 = 3;

/// Content from its kind and value.
pub(super) fn content(kind: u32, value: &JsValue) -> Result<Content, SessionError> {
    let text = || value.as_string().ok_or_else(|| argument("a value of this kind is a string"));
    match kind {
        TEXT => Ok(Content::Text(text()?.into())),
        JSON => Ok(Content::Json(text()?.into())),
        BYTES => {
            let bytes =
                value.dyn_ref::<Uint8Array>().ok_or_else(|| argument("a value of this kind is a Uint8Array"))?;
            Ok(Content::Bytes(bytes.to_vec().into()))
        }
        _ => Err(argument("an unknown kind of value")),
    }
}

fn expiry(at: Option<Millis>) -> JsValue {
    at.map_or(JsValue::NULL, |at| JsValue::from_f64(at as f64))
}

/// The kind of a value.
pub(super) const fn kind(content: &Content) -> u32 {
    match content {
        Content::Text(_) => TEXT,
        Content::Json(_) => JSON,
        Content::Bytes(_) => BYTES,
        Content::Tombstone => GONE,
    }
}

/// The kind of a value and the value; `None` for a tombstone.
pub(super) fn bare(content: &Content) -> Option<(u32, JsValue)> {
    let value = match content {
        Content::Text(text) | Content::Json(text) => JsValue::from_str(text),
        Content::Bytes(bytes) => Uint8Array::from(&**bytes).into(),
        Content::Tombstone => return None,
    };
    Some((kind(content), value))
}

pub(super) fn item(item: &Item) -> JsValue {
    // Items are never tombstones, since they show something.
    let Some((kind, value)) = bare(&item.content) else { return JsValue::UNDEFINED };
    object([
        ("key", JsValue::from_str(&item.key)),
        ("kind", kind.into()),
        ("value", value),
        ("version", JsValue::from_str(&item.version)),
        ("expiresAt", expiry(item.expires_at)),
    ])
}

fn items(list: &[Item]) -> JsValue {
    list.iter().map(item).collect::<Array>().into()
}

fn outcome(outcome: &Outcome) -> JsValue {
    let unmet = |state: &str, list: &[Missing]| {
        object([("state", state.into()), ("stale", false.into()), ("missing", missing(list))])
    };
    match outcome {
        Outcome::Value { item: shown, conflicts, stale } => object([
            ("state", "value".into()),
            ("stale", (*stale).into()),
            ("entry", item(shown)),
            ("conflicts", (*conflicts).into()),
        ]),
        Outcome::Absent { stale } => object([("state", "absent".into()), ("stale", (*stale).into())]),
        Outcome::Behind(list) => unmet("behind", list),
        Outcome::Lost(list) => unmet("lost", list),
    }
}

/// A table for JavaScript: `[columns, rows, text]`.
pub(super) fn table(table: &Table) -> JsValue {
    let cell = |cell: &Cell| match cell {
        Cell::Null => JsValue::NULL,
        Cell::Number(number) => JsValue::from_f64(*number as f64),
        Cell::Text(text) => JsValue::from_str(text),
    };
    let columns: Array = table.columns.iter().map(|name| JsValue::from_str(name)).collect();
    let rows: Array = table.rows.iter().map(|row| row.iter().map(cell).collect::<Array>()).collect();
    Array::of3(&columns, &rows, &table.to_string().into()).into()
}

/// A query for JavaScript.
pub(super) fn query(query: &QueryPlan, replica: &str, age: Millis, now: Millis) -> JsValue {
    let failure = if let QueryStatus::Failed(failure) = &query.status { Some(failure.as_str()) } else { None };
    object([
        ("plan", JsValue::from_f64(query.plan as f64)),
        ("session", query.session.to_text().into()),
        ("statement", query.statement.as_str().into()),
        ("user", query.user.as_deref().map_or(JsValue::NULL, JsValue::from_str)),
        ("replica", replica.into()),
        ("startedAt", JsValue::from_f64(query.started as f64)),
        ("durationMs", JsValue::from_f64(query.duration(now) as f64)),
        ("status", query.status.name().into()),
        ("error", failure.map_or(JsValue::NULL, JsValue::from_str)),
        ("ageMs", JsValue::from_f64(age as f64)),
    ])
}

/// A session for lists.
pub(super) fn session(session: &SessionInfo, role: Option<RoleType>, status: SessionStatus, age: Millis) -> JsValue {
    let text = |text: Option<&str>| text.map_or(JsValue::NULL, JsValue::from_str);
    let number = |number: u64| JsValue::from_f64(number as f64);
    let stats = object([
        ("queries", session.stats.queries.into()),
        ("reads", session.stats.reads.into()),
        ("writes", session.stats.writes.into()),
        ("stale", session.stats.stale.into()),
        ("bytes", number(session.stats.bytes)),
    ]);
    object([
        ("id", session.id.to_text().into()),
        ("user", text(session.user.as_deref())),
        ("role", text(role.map(RoleType::name))),
        ("space", session.space.to_string().into()),
        ("replica", session.home.to_string().into()),
        ("client", text(session.client.as_deref())),
        ("clientIp", text(session.address.as_deref())),
        ("createdAt", number(session.created)),
        ("lastActiveAt", number(session.active)),
        ("expiresAt", expiry(Some(session.expires))),
        ("state", status.name().into()),
        ("activeQueries", session.queries.into()),
        ("stats", stats),
        ("ageMs", number(age)),
    ])
}

/// An answer for JavaScript.
pub(super) fn answer(answer: &Answer) -> JsValue {
    match answer {
        Answer::Item(shown) => shown.as_ref().map_or(JsValue::UNDEFINED, item),
        Answer::Outcome(whole) => outcome(whole),
        Answer::Items(list) => items(list),
        Answer::Version(text) | Answer::Token(text) | Answer::Reply(text) => JsValue::from_str(text),
        Answer::Table(held) => table(held),
        Answer::Done => JsValue::UNDEFINED,
    }
}

/// An answer, or the number of the wait for it.
pub(super) fn progress(progress: &Progress) -> JsValue {
    match progress {
        Progress::Done(done) => answer(done),
        Progress::Waiting(wait) => wait.0.into(),
    }
}

/// A change for JavaScript; without `entry` the key shows nothing any more.
pub(super) fn change(change: &Change) -> JsValue {
    object([
        ("key", JsValue::from_str(&change.key)),
        ("entry", change.item.as_ref().map_or(JsValue::UNDEFINED, item)),
        ("version", JsValue::from_str(&change.version)),
    ])
}

/// A read for the host's copies: `undefined`; or `[kind, value]`; or `[kind, value, origin, sequence]` if it may be
/// copied, followed by what [`Page`] appends if there are copies of neighbours.
pub(super) fn glance(content: Option<&Content>, keep: Option<(u32, u64)>, beside: &Page) -> JsValue {
    let Some((kind, value)) = content.and_then(bare) else { return JsValue::UNDEFINED };
    let Some((origin, sequence)) = keep else { return Array::of2(&kind.into(), &value).into() };
    let seen = Array::of4(&kind.into(), &value, &origin.into(), &JsValue::from_f64(sequence as f64));
    beside.follow(&seen);
    seen.into()
}

/// The length in UTF-16 code units.
pub(super) fn units(text: &str) -> u32 {
    if text.is_ascii() { text.len() as u32 } else { text.encode_utf16().count() as u32 }
}

/// Appends writes that the host has accepted to `log`: see [`Log::take`]. If they cannot be read, `log` is emptied.
pub(super) fn log(log: &mut Log, text: String, lengths: &[u32], sure: bool) -> Result<bool, SessionError> {
    let taken = log.take(text, lengths, sure);
    taken.ok_or_else(|| {
        *log = Log::default();
        argument("the lengths are not those of the text")
    })
}

/// The bit for an operation that must not wait.
const SYNC: u32 = 1 << 7;
const GUARANTEES_GIVEN: u32 = 1 << 4;
/// The approximate length of `brief`.
const BRIEF: usize = 96;

/// The identity of a session as one text: see `Session::info`.
pub(super) fn brief(session: &Identity<'_>) -> String {
    let mut text = String::with_capacity(BRIEF);
    session.id.append_to(&mut text);
    text.push(if session.resumed { '1' } else { '0' });
    text.push(char::from_digit(session.guarantees.bits().into(), 16).unwrap_or('f'));
    text.push_str(session.refused.map_or("-", |error| error.code().as_str()));
    text.push(' ');
    let numbers = [
        Some(session.expires_at).filter(|at| *at < MILLIS_MAX),
        session.user.map(|name| units(name).into()),
        session.client.map(|name| units(name).into()),
    ];
    for number in numbers {
        match number {
            Some(number) => append_number(&mut text, number),
            None => text.push('-'),
        }
        text.push(' ');
    }
    text.push_str(session.user.unwrap_or_default());
    text.push_str(session.client.unwrap_or_default());
    text.push_str(session.space.name());
    if session.space.generation() > 1 {
        text.push(':');
        append_number(&mut text, session.space.generation().into());
    }
    text
}

/// Appends a number without the code for formatting.
fn append_number(text: &mut String, mut number: u64) {
    // From the last digit. The greatest number has twenty digits.
    let mut digits = [b'0'; 20];
    let mut from = digits.len();
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (number % 10) as u8;
        number /= 10;
        from -= 1;
        if number == 0 {
            break;
        }
    }
    text.push_str(digits.get(from..).and_then(|digits| core::str::from_utf8(digits).ok()).unwrap_or_default());
}

/// The terms of one operation, from a number (bits 0–3 guarantees, 4 whether they are given, 5–6 the policy or 0,
/// 7 never wait) and a timeout (negative: not given).
pub(super) fn terms(bits: u32, timeout: f64) -> Result<Terms, SessionError> {
    let guarantees = match bits & GUARANTEES_GIVEN {
        0 => None,
        _ => Some(Guarantees::from_bits((bits & 15) as u8)?),
    };
    let on_stale = match (bits >> 5) & 3 {
        0 => None,
        1 => Some(Policy::Wait),
        2 => Some(Policy::Throw),
        _ => Some(Policy::Serve),
    };
    Ok(Terms { guarantees, on_stale, timeout: duration(timeout), sync: bits & SYNC != 0 })
}

/// When a value with this time to live expires; negative: never.
pub(super) fn ends(ttl: f64, now: f64) -> Option<Millis> {
    duration(ttl).map(|ttl| millis(now).saturating_add(ttl).min(crate::time::MILLIS_MAX))
}

/// A batch from an array of `[0, key, version | null]` (check), `[1, key, kind, value, ttl]` (write) and `[2, key]`
/// (delete).
pub(super) fn batch(steps: &Array, now: f64) -> Result<(Vec<Mutation>, Vec<Check>), SessionError> {
    let (mut batch, mut checks) = (Vec::new(), Vec::new());
    for step in steps.iter() {
        let step = step.dyn_ref::<Array>().ok_or_else(|| argument("a step of a batch is an array"))?;
        let number = |at: u32| step.get(at).as_f64();
        let key: String = step.get(1).as_string().ok_or_else(|| argument("a key is a string"))?;
        let key = Key::from(key);
        match number(0).map(|kind| kind as u32) {
            Some(0) => checks.push(Check { key, version: step.get(2).as_string() }),
            Some(1) => {
                let kind = number(2).ok_or_else(|| argument("a value has a kind"))? as u32;
                let content = content(kind, &step.get(3))?;
                batch.push(Mutation { key, content, expires_at: ends(number(4).unwrap_or(-1.0), now) });
            }
            Some(2) => batch.push(Mutation { key, content: Content::Tombstone, expires_at: None }),
            _ => return Err(argument("an unknown step of a batch")),
        }
    }
    Ok((batch, checks))
}
