//! Signs tokens and checks signatures: JWS with HMAC-SHA256 (RFC 7515, RFC 7518 §3.2).
//!
//! Invariant: nothing of a token is parsed before its MAC has been checked. The header is not parsed at all: it must be
//! exactly the text that this keyring writes for one of its keys, which fixes the algorithm and names the key. Reads no
//! clock: the time is an argument.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::error::{ErrorCode, SessionError};
use crate::id::Space;
use crate::session::claims::{self, Claims, Stated, Usual};
use crate::session::mac::{self, Mac};
use crate::session::token::{SessionToken, TOKEN_BYTES_MAX, invalid, split, too_large};
use crate::session::vector::SessionVector;
use crate::session::{base64url, scan};
use crate::time::Millis;

/// The shortest key, in bytes: the length of the MAC (RFC 7518 §3.2).
pub const KEY_BYTES_MIN: usize = 32;
/// The longest name of a key, in characters.
pub const KID_MAX: usize = 32;
/// How long after its `exp` a token may be accepted, for clocks that differ: as much as a stamp may be ahead.
pub const LEEWAY_MAX: Millis = 60_000;

/// Separates proofs from tokens: no header begins with this.
const PEER_DOMAIN: &[u8] = b"edge-session peer 1\0";
/// The length of a MAC in characters of base64url.
const MAC_CHARS: usize = base64url::chars(mac::BYTES);

/// The keys of a cluster: the first signs, all verify.
///
/// To change keys: add the new key after the old one on every replica, then move it to the front, and remove the old
/// key once its last token has expired. Nobody is logged out, and each token is signed by the new key when it is next
/// sealed.
///
/// ```
/// use edge_session::guarantee::Guarantees;
/// use edge_session::id::{SessionId, Space};
/// use edge_session::session::{claims::Claims, seal::Keyring, vector::SessionVector};
/// let keys = Keyring::new([("k1", &[7; 32][..])])?;
/// let claims = Claims {
///     issuer: "example".into(),
///     subject: Some("ann".into()),
///     session: SessionId::new(1_700_000_000_000, [0; 10]),
///     client: None,
///     space: Space::first("default")?,
///     guarantees: Guarantees::ALL,
///     issued_at: 1_700_000_000_000,
///     expires_at: 1_700_000_060_000,
///     ends_at: 1_700_000_060_000,
/// };
/// let text = keys.seal(&claims, &SessionVector::default())?;
/// let token = keys.open(&text, 1_700_000_030_000, "example", 0)?;
/// assert_eq!(token.identity(), Some(&claims));
/// assert!(keys.open(&text, 1_700_000_060_000, "example", 0).is_err()); // expired
/// # Ok::<(), edge_session::error::SessionError>(())
/// ```
#[derive(Clone)]
pub struct Keyring {
    signing: Key,
    others: Vec<Key>,
    usual: Option<Usual>,
}

#[derive(Clone)]
struct Key {
    kid: String,
    /// How every token of this key begins, and how those of its own cluster begin.
    plain: Beginning,
    usual: Beginning,
    /// The MAC state for proofs between replicas, after the domain and the key's name.
    peer: Mac,
}

/// The header and as much of the claims as encodes without leftover bits, precomputed so that tokens need not repeat
/// it.
#[derive(Clone)]
struct Beginning {
    json: Vec<u8>,
    text: Vec<u8>,
    /// The MAC state after `text`.
    mac: Mac,
}

impl Keyring {
    /// Takes the keys with their names (`kid`) in order: the first signs.
    ///
    /// # Errors
    /// `ARGUMENT_INVALID` if there is no key, if a key is shorter than [`KEY_BYTES_MIN`], or if a name is used twice or
    /// is not 1 to [`KID_MAX`] characters of `A-Z a-z 0-9 _ - .`.
    pub fn new<'k>(keys: impl IntoIterator<Item = (&'k str, &'k [u8])>) -> Result<Self, SessionError> {
        let mut keys = keys.into_iter();
        let (kid, key) = keys.next().ok_or_else(|| refused("a keyring has at least one key"))?;
        let mut ring = Self { signing: Key::new(kid, key)?, others: Vec::new(), usual: None };
        for (kid, key) in keys {
            let key = Key::new(kid, key)?;
            if ring.keys().any(|other| other.plain.text == key.plain.text) {
                return Err(refused("two keys have the same kid; give each its own"));
            }
            ring.others.push(key);
        }
        Ok(ring)
    }

    /// The same keys, optimised for the tokens of one issuer whose sessions mostly use one space: the beginning of
    /// their claims is hashed in advance, and what they have in common is shared.
    #[must_use]
    pub fn of_cluster(mut self, issuer: &Arc<str>, space: &Space) -> Self {
        self.usual = Some(Usual { issuer: issuer.clone(), space: space.clone() });
        let mut json = claims::beginning(issuer);
        json.truncate(json.len() / 3 * 3);
        for key in core::iter::once(&mut self.signing).chain(&mut self.others) {
            key.usual = key.plain.before(&json);
        }
        self
    }

    /// Mints the token of `claims` and `dependencies`. Everything is signed, so its suffix is empty.
    ///
    /// # Errors
    /// `TOKEN_TOO_LARGE` if it would be longer than [`TOKEN_BYTES_MAX`], since no replica would open it;
    /// `ARGUMENT_INVALID` if a time is beyond 48 bits of milliseconds.
    pub fn seal(&self, claims: &Claims, dependencies: &SessionVector) -> Result<String, SessionError> {
        let text = self.sign(claims.stated(), dependencies)?;
        if text.len() > TOKEN_BYTES_MAX { Err(too_large()) } else { Ok(text) }
    }

    /// As [`Keyring::seal`], without the length limit: for callers that measure the token and fold it if necessary.
    ///
    /// # Errors
    /// `ARGUMENT_INVALID` if a time is beyond 48 bits of milliseconds.
    pub(crate) fn sign(&self, claims: Stated<'_>, dependencies: &SessionVector) -> Result<String, SessionError> {
        let json = claims::write(claims, dependencies)
            .ok_or_else(|| refused("a token's times are milliseconds since 1970, below 2^48"))?;
        let Key { plain, usual, .. } = &self.signing;
        let (from, rest) = match scan::behind(&json, &usual.json) {
            Some(rest) => (usual, rest),
            None => (plain, &*json),
        };
        // Fills with `~`, of which only the last remains.
        let (at, len) = (from.text.len(), base64url::chars(rest.len()));
        let mut text = Vec::with_capacity(at + len + MAC_CHARS + 2);
        text.extend_from_slice(&from.text);
        text.resize(at + len + MAC_CHARS + 2, b'~');
        if let Some((payload, behind)) = text.get_mut(at..).and_then(|places| places.split_at_mut_checked(len)) {
            base64url::encode_into(rest, payload);
            let mac = from.mac.of(payload);
            if let [dot, places @ .., _] = behind {
                *dot = b'.';
                base64url::encode_into(&mac, places);
            }
        }
        Ok(base64url::text(text))
    }

    /// Opens a token at `now`: checks its length, then the MAC in constant time, then parses it.
    ///
    /// `leeway` allows for clocks that differ and is limited to [`LEEWAY_MAX`]. A token without a JWS opens as
    /// anonymous. A token issued in the future, or one with dependencies that no replica here has seen, is not an
    /// error: its bearer waits.
    ///
    /// # Errors
    /// `TOKEN_TOO_LARGE` above [`TOKEN_BYTES_MAX`]; `TOKEN_EXPIRED` from `expires_at + leeway` on, only for a token
    /// whose MAC holds; `TOKEN_INVALID` for everything else, always in the same words.
    pub fn open(&self, text: &str, now: Millis, issuer: &str, leeway: Millis) -> Result<SessionToken, SessionError> {
        self.open_as(text, now, issuer, leeway, true)
    }

    /// As [`Keyring::open`], for callers that sign the token anew and do not need its text: its JWS is empty.
    ///
    /// # Errors
    /// As [`Keyring::open`].
    pub(crate) fn take(
        &self,
        text: &str,
        now: Millis,
        issuer: &str,
        leeway: Millis,
    ) -> Result<SessionToken, SessionError> {
        self.open_as(text, now, issuer, leeway, false)
    }

    fn open_as(
        &self,
        text: &str,
        now: Millis,
        issuer: &str,
        leeway: Millis,
        keep: bool,
    ) -> Result<SessionToken, SessionError> {
        let (jws, suffix) = split(text)?;
        if jws.is_empty() {
            return SessionToken::assemble(jws, None, suffix, true);
        }
        let mut room = [0; TOKEN_BYTES_MAX];
        let json = self.verified(jws, &mut room).ok_or_else(invalid)?;
        let (claims, signed) = claims::read(json, self.usual.as_ref()).ok_or_else(invalid)?;
        if *claims.issuer != *issuer {
            return Err(invalid());
        }
        let expired = now >= claims.expires_at.saturating_add(leeway.min(LEEWAY_MAX));
        let token = SessionToken::assemble(if keep { jws } else { "" }, Some((claims, signed)), suffix, true)?;
        if expired {
            return Err(SessionError::new(ErrorCode::TokenExpired, "the token has expired; begin a new session"));
        }
        Ok(token)
    }

    /// The payload of a JWS, if its MAC holds.
    fn verified<'r>(&self, jws: &str, room: &'r mut [u8; TOKEN_BYTES_MAX]) -> Option<&'r [u8]> {
        let (signed, signature) = jws.as_bytes().split_last_chunk::<MAC_CHARS>()?;
        let signed = signed.strip_suffix(b".")?;
        let (from, rest) = self.keys().find_map(|key| key.begins(signed))?;
        mac::same(&from.mac.of(rest), &base64url::array(signature)?).then_some(())?;
        let (known, behind) = room.split_at_mut_checked(from.json.len())?;
        known.copy_from_slice(&from.json);
        let len = known.len() + base64url::decode_within(rest, behind)?.len();
        room.get(..len)
    }

    /// The key's name and a MAC, which prove to every holder of the same key that `claim` and `frame` come from this
    /// one. `claim` must determine its own length.
    pub(crate) fn vouch(&self, claim: &[u8], frame: &[u8]) -> (String, [u8; mac::BYTES]) {
        (self.signing.kid.clone(), self.signing.vouch(claim, frame))
    }

    /// Whether one of the keys vouches for `claim` and `frame`. Compares the MAC in constant time.
    pub(crate) fn vouches(&self, kid: &str, claim: &[u8], frame: &[u8], mac: &[u8; mac::BYTES]) -> bool {
        let key = self.keys().find(|key| key.kid == kid);
        key.is_some_and(|key| mac::same(&key.vouch(claim, frame), mac))
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        core::iter::once(&self.signing).chain(&self.others)
    }
}

impl fmt::Debug for Keyring {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("keys", &(1 + self.others.len())).finish_non_exhaustive()
    }
}

impl Beginning {
    /// The same, extended by these bytes.
    fn before(&self, json: &[u8]) -> Self {
        let Self { mut text, mut mac, .. } = self.clone();
        base64url::encode(json, &mut text);
        mac.update(text.get(self.text.len()..).unwrap_or_default());
        Self { json: json.into(), text, mac }
    }
}

impl Key {
    fn new(kid: &str, key: &[u8]) -> Result<Self, SessionError> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if kid.is_empty() || kid.len() > KID_MAX || !kid.bytes().all(legal) {
            return Err(refused("a kid is 1 to 32 characters of A-Z, a-z, 0-9, _, - and ."));
        }
        if key.len() < KEY_BYTES_MIN {
            return Err(refused("a key has at least 32 bytes; take them from a cryptographic random generator"));
        }
        let header = alloc::format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#);
        let mut text = Vec::new();
        base64url::encode(header.as_bytes(), &mut text);
        text.push(b'.');
        let mut mac = Mac::new(key);
        let mut peer = mac.clone();
        for part in [PEER_DOMAIN, kid.as_bytes(), b"\0"] {
            peer.update(part);
        }
        mac.update(&text);
        let plain = Beginning { json: Vec::new(), text, mac };
        Ok(Self { kid: kid.into(), usual: plain.clone(), plain, peer })
    }

    /// The precomputed beginning that `signed` has, if this key could have signed it, and the rest of `signed`.
    fn begins<'a>(&'a self, signed: &'a [u8]) -> Option<(&'a Beginning, &'a [u8])> {
        let after = |from: &'a Beginning| Some((from, scan::behind(signed, &from.text)?));
        after(&self.usual).or_else(|| after(&self.plain))
    }

    fn vouch(&self, claim: &[u8], frame: &[u8]) -> [u8; mac::BYTES] {
        let mut mac = self.peer.clone();
        mac.update(claim);
        mac.of(frame)
    }
}

fn refused(cause: &'static str) -> SessionError {
    SessionError::new(ErrorCode::ArgumentInvalid, cause)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::guarantee::Guarantees;
    use crate::id::{Dot, ReplicaId, SessionId};

    #[test]
    fn who_takes_a_token_learns_as_much_as_who_opens_it_and_is_refused_alike() -> Result<(), SessionError> {
        let space = Space::first("default")?;
        let issuer: Arc<str> = "example".into();
        let keys = Keyring::new([("k1", &[7; KEY_BYTES_MIN][..])])?.of_cluster(&issuer, &space);
        let claims = Claims {
            issuer: issuer.clone(),
            subject: Some("ann".into()),
            session: SessionId::from_bytes([7; 16]),
            client: None,
            space: space.clone(),
            guarantees: Guarantees::ALL,
            issued_at: 1_000,
            expires_at: 60_000,
            ends_at: 60_000,
        };
        let mut seen = SessionVector::default();
        seen.record_read(&space, Dot::new(ReplicaId::new("a", [1; 10])?, 3));
        let text = keys.seal(&claims, &seen)?;
        let more = SessionToken::anonymous().with_unsigned(&seen).to_text();
        for text in [text.clone(), text.replace('~', &more), more] {
            for at in 0..=text.len() {
                let mut other = text.clone().into_bytes();
                other.iter_mut().skip(at).take(1).for_each(|byte| *byte = if *byte == b'A' { b'B' } else { b'A' });
                let other = String::from_utf8(other).unwrap_or_default();
                for now in [30_000, 60_000] {
                    match (keys.open(&other, now, &issuer, 0), keys.take(&other, now, &issuer, 0)) {
                        (Ok(opened), Ok(taken)) => {
                            assert_eq!(
                                (opened.identity(), opened.signed(), opened.dependencies()),
                                (taken.identity(), taken.signed(), taken.dependencies()),
                            );
                            assert_eq!(taken.jws(), "");
                        }
                        (opened, taken) => assert_eq!(opened.err(), taken.err(), "{other}"),
                    }
                }
            }
        }
        Ok(())
    }
}
