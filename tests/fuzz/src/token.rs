//! Tokens: the first byte says what the rest is. The text of a token or a listing; a payload that is signed with the
//! cluster's key, as nobody outside could, so that the fuzzer gets behind the signature; or the bytes of a suffix.

use base64ct::{Base64UrlUnpadded, Encoding};
use edge_session::error::ErrorCode;
use edge_session::session::listing::{self, LISTING_BYTES_MAX};
use edge_session::session::seal::Keyring;
use edge_session::session::token::{SessionToken, TOKEN_BYTES_MAX};
use hmac::{Hmac, KeyInit, Mac};

use super::host::{Host, ISSUER, KEY, NOW};

/// Takes the bytes as a token.
pub fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    match kind % 3 {
        0 => std::str::from_utf8(rest).map_or((), open),
        1 => {
            // A suffix may follow the payload.
            let at = rest.iter().rposition(|byte| *byte == b'~').unwrap_or(rest.len());
            let (payload, suffix) = rest.split_at(at);
            open(&format!("{}~{}", signed(payload), base64url(suffix.get(1..).unwrap_or_default())));
        }
        _ => open(&format!("~{}", base64url(rest))),
    }
}

fn open(text: &str) {
    if let Ok(token) = SessionToken::open_unverified(text) {
        assert_token(&token, text);
        assert!(token.identity().is_none(), "nobody has verified it");
    }
    let keys = Keyring::new([(KEY.0, &KEY.1[..])]).unwrap();
    let opened = listing::open(text, NOW, |one, at| keys.open(one, at, ISSUER, 0));
    if let Ok(token) = &opened {
        if text.contains(',') {
            assert_listing(token, text, &keys);
        } else {
            assert_token(token, text);
        }
        assert_eq!(token.claims(), token.identity(), "what has claims here was verified");
        if let Some(claims) = token.claims() {
            assert!(NOW < claims.expires_at && *claims.issuer == *ISSUER);
            // What was read can be minted again, and says the same.
            let again = keys.seal(claims, token.signed()).and_then(|text| keys.open(&text, NOW, ISSUER, 0));
            match again {
                Ok(again) => assert_eq!((again.claims(), again.signed()), (token.claims(), token.signed())),
                Err(error) => assert_eq!(error.code(), ErrorCode::TokenTooLarge),
            }
        }
    }
    enter(text, opened.is_ok());
}

/// A token's text is its own, and its dependencies join as a semilattice does.
fn assert_token(token: &SessionToken, text: &str) {
    assert!(text.len() <= TOKEN_BYTES_MAX);
    // The `~` may be left out where no suffix follows it.
    let printed = token.to_text();
    if printed.len() > TOKEN_BYTES_MAX {
        return;
    }
    let again = SessionToken::open_unverified(&printed).unwrap();
    assert_eq!((again.jws(), again.dependencies()), (token.jws(), token.dependencies()));
    assert_eq!(again.to_text(), printed, "one token, one text");
    let mut twice = token.dependencies().clone();
    twice.merge(token.signed());
    assert_eq!(&twice, token.dependencies(), "the signed part is part of the whole");
    let empty = SessionToken::anonymous().with_unsigned(token.dependencies());
    assert_eq!(empty.dependencies(), token.dependencies());
}

/// A listing depends on what each of its tokens does, and is who one of them is.
fn assert_listing(token: &SessionToken, text: &str, keys: &Keyring) {
    assert!(text.len() <= LISTING_BYTES_MAX);
    let mut is_one_of_them = token.claims().is_none();
    for one in text.split(',') {
        // What a token depends on does not expire.
        let one = keys.open(one, 0, ISSUER, 0).unwrap();
        let mut both = token.dependencies().clone();
        both.merge(one.dependencies());
        assert_eq!(&both, token.dependencies(), "the part is part of the whole");
        is_one_of_them |= one.claims() == token.claims();
    }
    assert!(is_one_of_them);
}

/// The doors of a replica: a session is opened with the token, and one that is in use merges it.
fn enter(text: &str, opens: bool) {
    let mut host = Host::default();
    let before = host.digest();
    let own = before_id(&host);
    let merged = host.replica.merge(host.session, text, NOW);
    if let Err(error) = merged {
        assert_eq!(host.digest(), before, "a refused token has changed something");
        assert!(!opens || error.code() == ErrorCode::TokenInvalid, "only another user's token opens and is not merged");
    } else {
        assert!(opens, "what does not open is not merged");
        let view = host.replica.session(host.session).unwrap();
        assert_eq!((view.id, view.user.as_deref()), (own, Some("ann")), "identity is never another token's");
    }
    let init = edge_session::replica::SessionInit { token: Some(text.into()), ..Default::default() };
    let session = host.replica.open_session(init, NOW);
    let view = host.replica.session(session).unwrap();
    assert_eq!(view.refused.is_none(), opens, "a token that does not open gives a refused session");
    host.replica.close_session(session);
    host.assert_sound();
}

fn before_id(host: &Host) -> edge_session::id::SessionId {
    host.replica.session(host.session).unwrap().id
}

fn base64url(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// A JWS of any payload, with a MAC that holds.
pub fn signed(payload: &[u8]) -> String {
    let header = format!(r#"{{"alg":"HS256","kid":"{}"}}"#, KEY.0);
    let input = format!("{}.{}", base64url(header.as_bytes()), base64url(payload));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&KEY.1).unwrap();
    mac.update(input.as_bytes());
    format!("{input}.{}", base64url(&mac.finalize().into_bytes()))
}
