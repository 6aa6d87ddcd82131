//! The session token: one string that carries who a session is and what it has seen.
//!
//! Its text is `<JWS>~<suffix>`, of the characters `A-Z a-z 0-9 . _ ~ -`. The *JWS* (RFC 7515, compact) is the
//! identity and is signed; whoever holds no key keeps it to the letter. The *suffix* is base64url of dependencies that
//! were added since, and is not signed: dependencies can only make their bearer wait, so they need no proof. An empty
//! JWS is an anonymous session; an empty suffix says that the JWS covers everything, and its `~` may be left out.
//! Invariant: `dependencies` is never less than what the JWS carries. Knows nothing of keys: see [`super::seal`].

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::error::{Details, ErrorCode, SessionError};
use crate::guarantee::{Access, Guarantees};
use crate::id::Space;
use crate::session::base64url;
use crate::session::claims::{self, Claims};
use crate::session::json::Reader;
use crate::session::pack;
use crate::session::vector::SessionVector;
use crate::time::Millis;
use crate::vector::{Gap, VersionVector};

/// The longest token that there is, in bytes: none is minted above it, and none is looked at.
pub const TOKEN_BYTES_MAX: usize = 1024;

/// A token, opened.
///
/// A holder of the cluster's key gets one from [`super::seal::Keyring::open`]; a holder without, such as a browser
/// tab, from [`SessionToken::open_unverified`]. Merging joins dependencies and times, without loss and in any order; the
/// identity stays.
///
/// ```
/// use edge_session::guarantee::Access;
/// use edge_session::id::{Dot, ReplicaId, Space};
/// use edge_session::session::{token::SessionToken, vector::SessionVector};
/// use edge_session::vector::VersionVector;
/// let (space, a) = (Space::first("default")?, ReplicaId::new("a", [0; 10])?);
/// let mut seen = SessionVector::default();
/// seen.record_write(&space, Dot::new(a, 3));
///
/// // A purely local app has no key, so its token has no JWS.
/// let text = SessionToken::anonymous().with_unsigned(&seen).to_text();
/// assert!(text.starts_with('~'));
/// let token = SessionToken::open_unverified(&text)?;
/// assert!(token.claims().is_none());
/// assert_eq!(token.missing(&space, Access::Read, &VersionVector::from_iter([(a, 3)])), []);
/// assert_eq!(token.missing(&space, Access::Read, &VersionVector::new())[0].need, 3);
/// # Ok::<(), edge_session::error::SessionError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken {
    jws: String,
    claims: Option<Claims>,
    verified: bool,
    signed: SessionVector,
    dependencies: SessionVector,
    told_at: Millis,
    used_at: Millis,
}

impl SessionToken {
    /// The token of nobody who has seen nothing. Its text is `~`.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            jws: String::new(),
            claims: None,
            verified: false,
            signed: SessionVector::default(),
            dependencies: SessionVector::default(),
            told_at: 0,
            used_at: 0,
        }
    }

    /// Opens a token without a key: to show what it says, and to wait for what it depends on.
    ///
    /// The signature and the time are **not** checked, so [`SessionToken::identity`] answers `None`: nothing may be
    /// permitted on the strength of the claims.
    ///
    /// # Errors
    /// `TOKEN_TOO_LARGE` above [`TOKEN_BYTES_MAX`], `TOKEN_INVALID` for what is not a token.
    pub fn open_unverified(text: &str) -> Result<Self, SessionError> {
        let (jws, suffix) = split(text)?;
        let claims = if jws.is_empty() { None } else { Some(unverified_claims(jws).ok_or_else(invalid)?) };
        Self::assemble(jws, claims, suffix, false)
    }

    /// A token of its parts; `claims` are those that the JWS holds.
    pub(super) fn assemble(
        jws: &str,
        claims: Option<(Claims, SessionVector)>,
        suffix: &str,
        verified: bool,
    ) -> Result<Self, SessionError> {
        let (claims, signed) = claims.unzip();
        let signed = signed.unwrap_or_default();
        let mut dependencies = signed.clone();
        if !suffix.is_empty() {
            let mut packed = Vec::new();
            base64url::decode(suffix.as_bytes(), &mut packed).ok_or_else(invalid)?;
            dependencies.merge(&pack::unpack_all(&packed).ok_or_else(invalid)?);
        }
        let at = claims.as_ref().map_or(0, |claims| claims.issued_at);
        let verified = verified && claims.is_some();
        Ok(Self { jws: jws.into(), verified, claims, signed, dependencies, told_at: at, used_at: at })
    }

    /// The token as text; [`SessionToken::open_unverified`] and [`super::seal::Keyring::open`] read it.
    ///
    /// The text is a credential, which is why there is no `Display` to print it by accident.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = Vec::from(self.jws.as_bytes());
        text.push(b'~');
        base64url::encode(&pack::pack_all(&self.dependencies.beyond(&self.signed)), &mut text);
        base64url::text(text)
    }

    /// The token as a listing of two (see [`super::listing`]): who the bearer is, and apart from it, not signed,
    /// everything that the bearer depends on. For places that lose one of two values written at once, such as cookies:
    /// the first part may be lost to another of the same session, and the second stands elsewhere each time. A token
    /// that nobody has signed is the second part alone.
    ///
    /// # Errors
    /// `TOKEN_TOO_LARGE` if the second part is longer than a token may be. That of a token that was minted is not.
    pub fn to_detached_text(&self) -> Result<String, SessionError> {
        let apart = Self::anonymous().with_unsigned(&self.dependencies).to_text();
        if apart.len() > TOKEN_BYTES_MAX {
            return Err(too_large());
        }
        Ok(if self.jws.is_empty() { apart } else { alloc::format!("{}~,{apart}", self.jws) })
    }

    /// The same token, which also depends on `seen`. Its suffix grows by exactly what the JWS does not cover.
    #[must_use]
    pub fn with_unsigned(mut self, seen: &SessionVector) -> Self {
        self.dependencies.merge(seen);
        self
    }

    /// Joins what another token depends on, and what it tells of time. The identity of this one stays; whether the two
    /// belong to one user is for the caller to judge.
    pub fn merge(&mut self, other: &Self) {
        self.dependencies.merge(&other.dependencies);
        self.told_at = self.told_at.max(other.told_at);
        if self.is_of_session(other) {
            self.used_at = self.used_at.max(other.used_at);
        }
    }

    /// Whether both are tokens of one session.
    fn is_of_session(&self, other: &Self) -> bool {
        let of = |token: &Self| token.claims.as_ref().map(|claims| claims.session);
        of(self).is_some() && of(self) == of(other)
    }

    /// Changes what is depended on beside the signed part, which stands.
    pub(crate) fn amend(&mut self, change: impl FnOnce(&mut SessionVector)) {
        change(&mut self.dependencies);
        self.dependencies.merge(&self.signed);
    }

    /// Takes over the signed part of a later token of the same session, and depends on what both depend on; tells
    /// whether it was one. Neither needs to be verified: who holds no key only carries it on.
    pub fn renew(&mut self, later: &Self) -> bool {
        let (Some(own), Some(other)) = (&self.claims, &later.claims) else { return false };
        let same = own.session == other.session && own.subject == other.subject && own.issuer == other.issuer;
        if !same || other.expires_at <= own.expires_at {
            return false;
        }
        let mut renewed = later.clone();
        renewed.merge(self);
        *self = renewed;
        true
    }

    /// What the JWS says, whether or not anybody has verified it; `None` for an anonymous token.
    #[must_use]
    pub const fn claims(&self) -> Option<&Claims> {
        self.claims.as_ref()
    }

    /// What the JWS says, if a key has verified it: the only claims to decide anything by.
    #[must_use]
    pub fn identity(&self) -> Option<&Claims> {
        self.claims.as_ref().filter(|_| self.verified)
    }

    /// The latest time that it tells of, or any that was merged: what had expired by then has expired for its bearer.
    #[must_use]
    pub const fn told_at(&self) -> Millis {
        self.told_at
    }

    /// When its session was in use, as far as it tells, or any of the same session that was merged.
    #[must_use]
    pub const fn used_at(&self) -> Millis {
        self.used_at
    }

    /// The signed part to the letter, for any JOSE library; empty for an anonymous token.
    #[must_use]
    pub fn jws(&self) -> &str {
        &self.jws
    }

    /// The name of the key that the JWS says it was signed with; `None` for an anonymous token.
    #[must_use]
    pub fn kid(&self) -> Option<String> {
        let mut header = Vec::new();
        base64url::decode(self.jws.split('.').next()?.as_bytes(), &mut header)?;
        let (mut kid, mut json) = (None, Reader::new(&header));
        json.object(|json, name| {
            if name == "kid" {
                kid = Some(json.string()?.into_owned())
            } else {
                json.skip()?
            };
            Some(())
        })?;
        kid
    }

    /// Everything that the bearer depends on, signed or not.
    #[must_use]
    pub const fn dependencies(&self) -> &SessionVector {
        &self.dependencies
    }

    /// What the JWS itself says that the bearer depends on.
    #[must_use]
    pub const fn signed(&self) -> &SessionVector {
        &self.signed
    }

    /// What a replica at `vector` lacks before it may serve this token an `access` in `space`; empty if it may.
    #[must_use]
    pub fn missing(&self, space: &Space, access: Access, vector: &VersionVector) -> Vec<Gap> {
        let guarantees = self.claims.as_ref().map_or(Guarantees::ALL, |claims| claims.guarantees);
        self.dependencies.missing(space, guarantees, access, vector)
    }
}

impl fmt::Debug for SessionToken {
    /// Without the JWS: whoever reads a log must not be able to use the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionToken")
            .field("claims", &self.claims)
            .field("verified", &self.verified)
            .field("dependencies", &self.dependencies)
            .finish_non_exhaustive()
    }
}

/// The one refusal of a token, whatever is wrong with it: the words teach a forger nothing.
pub(super) fn invalid() -> SessionError {
    SessionError::new(
        ErrorCode::TokenInvalid,
        "the token is damaged, forged or from another cluster; begin a new session",
    )
}

/// The refusal of a token that is too long to look at.
pub(super) fn too_large() -> SessionError {
    let cause = "no token has more than 1024 bytes; hand it over whole and alone, or begin a new session";
    let details = Details::Limit { limit: "tokenBytes", allowed: TOKEN_BYTES_MAX as u64 };
    SessionError::new(ErrorCode::TokenTooLarge, cause).with(details)
}

/// A replica's own limit for the tokens that it mints.
///
/// # Errors
/// `ARGUMENT_INVALID` above [`TOKEN_BYTES_MAX`]: nobody would open such a token.
pub(crate) fn check_limit(bytes: usize) -> Result<usize, SessionError> {
    if bytes > TOKEN_BYTES_MAX {
        return Err(SessionError::new(ErrorCode::ArgumentInvalid, "the limit tokenBytes is at most 1024"));
    }
    Ok(bytes)
}

/// Parts the text into JWS and suffix, if it is not too long. Whoever goes on decodes both, or compares them with what
/// they must be, so that what passes can be put into a header or a cookie again as it is.
pub(super) fn split(text: &str) -> Result<(&str, &str), SessionError> {
    if text.len() > TOKEN_BYTES_MAX {
        return Err(too_large());
    }
    // From behind: what follows the last is mostly nothing. A JWS that holds another is none.
    let at = text.bytes().rposition(|byte| byte == b'~');
    let parts = at.and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?)));
    Ok(parts.unwrap_or((text, "")))
}

fn unverified_claims(jws: &str) -> Option<(Claims, SessionVector)> {
    let mut parts = jws.split('.');
    let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if parts.next().is_some() || !header.bytes().chain(signature.bytes()).all(legal) {
        return None;
    }
    let mut json = Vec::new();
    base64url::decode(payload.as_bytes(), &mut json)?;
    claims::read(&json, None)
}
