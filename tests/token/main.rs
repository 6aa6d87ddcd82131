//! Tokens: what is sealed opens, what is forged or damaged does not, and the text is the documented one.
//!
//! Here is what the tests have in common: one key, one time, one session.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod forged;
mod golden;
mod listed;
mod renewal;
mod sealed;

use std::fmt::Debug;

use base64ct::{Base64UrlUnpadded, Encoding};
use edge_session::error::{ErrorCode, SessionError};
use edge_session::guarantee::{Access, Guarantee, Guarantees};
use edge_session::id::{Dot, ReplicaId, SEQUENCE_MAX, SessionId, Space};
use edge_session::session::claims::Claims;
use edge_session::session::seal::{KEY_BYTES_MIN, Keyring, LEEWAY_MAX};
use edge_session::session::token::{SessionToken, TOKEN_BYTES_MAX};
use edge_session::session::vector::SessionVector;
use edge_session::vector::VersionVector;
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;

const KEY: &[u8] = &[7; 32];
const NOW: u64 = 1_790_000_000_000;
const HEADER: &str = r#"{"alg":"HS256","kid":"k1"}"#;

fn keys() -> Keyring {
    Keyring::new([("k1", KEY)]).unwrap()
}

fn open(text: &str) -> Result<SessionToken, SessionError> {
    keys().open(text, NOW, "example", 0)
}

fn code<T: Debug>(result: Result<T, SessionError>) -> ErrorCode {
    result.unwrap_err().code()
}

fn replica(label: &str) -> ReplicaId {
    ReplicaId::new(label, [0x5a; 10]).unwrap()
}

fn claims() -> Claims {
    Claims {
        issuer: "example".into(),
        subject: Some("ann".into()),
        session: SessionId::new(NOW, [0xa5; 10]),
        client: None,
        space: Space::first("default").unwrap(),
        guarantees: Guarantees::ALL,
        issued_at: NOW,
        expires_at: NOW + 3_600_000,
        ends_at: NOW + 3_600_000,
    }
}

/// Three dependencies in one space.
fn seen() -> SessionVector {
    let space = Space::first("default").unwrap();
    let mut seen = SessionVector::default();
    seen.record_read(&space, Dot::new(replica("fra1"), 512));
    seen.record_write(&space, Dot::new(replica("bom1"), 7));
    seen.record_write(&space, Dot::new(replica("tab"), 70_000));
    seen
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlUnpadded::encode_string(bytes.as_ref())
}

/// A JWS of any header and payload, with a MAC that holds: what somebody could make who has the key.
fn signed(header: &str, payload: &[u8]) -> String {
    let input = format!("{}.{}", base64url(header), base64url(payload));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(KEY).unwrap();
    mac.update(input.as_bytes());
    format!("{input}.{}~", base64url(mac.finalize().into_bytes()))
}

/// The payload with one piece of text put in the place of another.
fn payload_with(from: &str, to: &str) -> Vec<u8> {
    let sid = base64url(claims().session.as_bytes());
    let whole = format!(
        r#"{{"iss":"example","sub":"ann","sid":"{sid}","spc":"default","gua":15,"iat":1790000000,"exp":1790003600,"dep":{{}}}}"#
    );
    assert!(whole.contains(from), "{from}");
    whole.replacen(from, to, 1).into_bytes()
}
