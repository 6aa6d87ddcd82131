//! Errors for JavaScript: plain objects with the stable code, which the package wraps in a real `Error`.

use alloc::string::ToString;

use wasm_bindgen::prelude::*;

use super::shape::{list, number, object, text};
use crate::error::{Details, ErrorCode, Missing, SessionError};

/// Missing dots as plain objects.
pub(super) fn missing(dots: &[Missing]) -> JsValue {
    let dot = |missing: &Missing| {
        object([
            ("space", text(Some(missing.space.to_string()))),
            ("replica", text(Some(missing.gap.replica.to_string()))),
            ("have", number(Some(missing.gap.have))),
            ("need", number(Some(missing.gap.need))),
            ("holders", list(missing.holders.iter().map(|holder| text(Some(holder.to_string()))))),
        ])
    };
    list(dots.iter().map(dot))
}

/// The error as a plain object.
pub(super) fn plain(error: &SessionError) -> JsValue {
    let details = match error.details() {
        Details::None => object([]),
        Details::Missing(dots) => object([("missing", missing(dots))]),
        Details::Conflict { key, version } => object([("key", text(Some(key))), ("version", text(version.as_ref()))]),
        Details::Limit { limit, allowed } => object([("limit", (*limit).into()), ("allowed", number(Some(*allowed)))]),
        Details::Crowded { limit, allowed, idle, oldest } => object([
            ("limit", (*limit).into()),
            ("allowed", number(Some(*allowed))),
            ("idleMs", number(*idle)),
            ("oldest", text(oldest.map(|id| id.to_text()))),
        ]),
        Details::Told(json) => js_sys::JSON::parse(json).ok().filter(JsValue::is_object).unwrap_or_else(|| object([])),
        Details::Killed { by, why } => object([("by", text(by.as_ref())), ("why", text(why.as_ref()))]),
        Details::Syntax { position, expected } => object([
            ("position", number(Some(*position))),
            ("expected", list(expected.iter().map(|word| JsValue::from_str(word)))),
        ]),
    };
    let code = error.code();
    object([
        ("code", code.as_str().into()),
        ("message", error.cause().into()),
        ("retryable", code.retryable().into()),
        ("status", code.status().into()),
        ("details", details),
    ])
}

impl From<SessionError> for JsValue {
    fn from(error: SessionError) -> Self {
        plain(&error)
    }
}

/// An `ARGUMENT_INVALID` error.
pub(super) fn argument(what: &'static str) -> SessionError {
    SessionError::new(ErrorCode::ArgumentInvalid, what)
}

/// The table of error codes, which a test compares with the TypeScript union.
#[wasm_bindgen(js_name = errorTable)]
#[must_use]
pub fn error_table() -> JsValue {
    let row = |code: &ErrorCode| {
        object([
            ("code", code.as_str().into()),
            ("status", code.status().into()),
            ("retryable", code.retryable().into()),
            ("state", code.state().into()),
        ])
    };
    list(ErrorCode::ALL.iter().map(row))
}
