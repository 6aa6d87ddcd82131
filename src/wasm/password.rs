//! Password hashing, for an instance of its own that is dropped afterwards: hashing takes 19 MiB, and memory never
//! shrinks.

use alloc::string::String;

use js_sys::Array;
use wasm_bindgen::prelude::*;

use super::error::argument;
use crate::error::SessionError;
use crate::replica::Hashing;
use crate::service::password;

/// The work that statements need: `[password]` to hash it, `[password, hash | null]` to compare it.
pub(super) fn needs(secrets: &[Hashing]) -> Array {
    let need = |hashing: &Hashing| match hashing {
        Hashing::Hash(password) => Array::of1(&password.0.as_str().into()),
        Hashing::Check(password, hash) => {
            let hash = hash.as_deref().map_or(JsValue::NULL, JsValue::from_str);
            Array::of2(&password.0.as_str().into(), &hash)
        }
    };
    secrets.iter().map(need).collect()
}

/// Hashes a password, with a salt of 16 random bytes.
///
/// # Errors
/// `ARGUMENT_INVALID`, `QUOTA_EXCEEDED`.
#[wasm_bindgen(js_name = hashPassword)]
pub fn hash_password(text: &str) -> Result<String, SessionError> {
    let mut salt = [0; password::SALT_LEN];
    getrandom::fill(&mut salt).map_err(|_| argument("this platform has no randomness"))?;
    password::hash(text, &salt)
}

/// Whether a password matches a hash; without a hash it does not, and takes as long.
#[wasm_bindgen(js_name = verifyPassword)]
#[must_use]
pub fn verify_password(text: &str, hash: Option<String>) -> bool {
    password::verify(text, hash.as_deref())
}
