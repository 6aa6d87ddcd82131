//! Errors as JavaScript sees them: plain objects with the stable code, which the package wraps in a real `Error`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Serialize;
use wasm_bindgen::prelude::*;

use super::convert::plain;
use crate::error::{Details, ErrorCode, Missing, SessionError};

/// A missing dot, as JavaScript sees it.
#[derive(Serialize)]
pub(super) struct MissingView {
    space: String,
    replica: String,
    have: u64,
    need: u64,
    holders: Vec<String>,
}

impl From<&Missing> for MissingView {
    fn from(missing: &Missing) -> Self {
        Self {
            space: missing.space.to_string(),
            replica: missing.gap.replica.to_string(),
            have: missing.gap.have,
            need: missing.gap.need,
            holders: missing.holders.iter().map(ToString::to_string).collect(),
        }
    }
}

#[derive(Serialize)]
struct ErrorView<'e> {
    code: &'static str,
    message: &'e str,
    retryable: bool,
    status: u16,
    details: DetailsView<'e>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum DetailsView<'e> {
    None {},
    Missing { missing: Vec<MissingView> },
    Conflict { key: &'e str, version: Option<&'e str> },
    Limit { limit: &'static str, allowed: u64 },
    Syntax { position: u64, expected: &'e [&'static str] },
}

/// The error as a plain object.
pub(super) fn object(error: &SessionError) -> JsValue {
    let details = match error.details() {
        Details::None => DetailsView::None {},
        Details::Missing(missing) => DetailsView::Missing { missing: missing.iter().map(MissingView::from).collect() },
        Details::Conflict { key, version } => DetailsView::Conflict { key, version: version.as_deref() },
        Details::Limit { limit, allowed } => DetailsView::Limit { limit, allowed: *allowed },
        Details::Syntax { position, expected } => DetailsView::Syntax { position: *position, expected },
    };
    let code = error.code();
    plain(&ErrorView {
        code: code.as_str(),
        message: error.cause(),
        retryable: code.retryable(),
        status: code.status(),
        details,
    })
}

impl From<SessionError> for JsValue {
    fn from(error: SessionError) -> Self {
        object(&error)
    }
}

/// `ARGUMENT_INVALID`, because of what.
pub(super) fn argument(what: &'static str) -> SessionError {
    SessionError::new(ErrorCode::ArgumentInvalid, what)
}

#[derive(Serialize)]
struct Row {
    code: &'static str,
    status: u16,
    retryable: bool,
    state: &'static str,
}

/// The table of error codes, which a test compares with the TypeScript union.
#[wasm_bindgen(js_name = errorTable)]
#[must_use]
pub fn error_table() -> JsValue {
    let row = |code: &ErrorCode| Row {
        code: code.as_str(),
        status: code.status(),
        retryable: code.retryable(),
        state: code.state(),
    };
    plain(&ErrorCode::ALL.iter().map(row).collect::<Vec<_>>())
}
