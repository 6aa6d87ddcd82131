//! The session token: one string that carries a session's identity and what it has seen.
//!
//! Its text is `<JWS>~<suffix>`, of the characters `A-Z a-z 0-9 . _ ~ -`.
//!
//! * The *JWS* (RFC 7515, compact) is the signed identity. A holder without a key keeps it unchanged. An empty JWS is
//!   an anonymous session.
//! * The *suffix* is base64url of the dependencies added since signing. It is not signed: dependencies can only make
//!   their bearer wait, so they need no proof. An empty suffix means that the JWS covers everything; its `~` may then
//!   be omitted.
//!
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

/// The longest token, in bytes: none is minted above it, and longer ones are refused unread.
pub const TOKEN_BYTES_MAX: usize = 1024;

/// A token, opened.
///
/// A holder of the cluster's key gets one from [`super::seal::Keyring::open`]; a holder without a key, such as a
/// browser tab, from [`SessionToken::open_unverified`]. Merging joins dependencies and times, without loss and in any
/// order; the identity does not change.
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
    /// The token of an anonymous session that has seen nothing. Its text is `~`.
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

    /// Opens a token without a key: to show its contents, and to wait for its dependencies.
    ///
    /// Neither the signature nor the time is checked, so [`SessionToken::identity`] returns `None`: never grant
    /// anything because of these claims.
    ///
    /// # Errors
    /// `TOKEN_TOO_LARGE` above [`TOKEN_BYTES_MAX`], `TOKEN_INVALID` if the text is not a token.
    pub fn open_unverified(text: &str) -> Result<Self, SessionError> {
        let (jws, suffix) = split(text)?;
        let claims = if jws.is_empty() { None } else { Some(unverified_claims(jws).ok_or_else(invalid)?) };
        Self::assemble(jws, claims, suffix, false)
    }

    /// Builds a token from its parts; `claims` are those of the JWS.
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

    /// The token as a listing of two (see [`super::listing`]): the signed identity, and separately, unsigned, all
    /// dependencies of the bearer. For places that lose one of two values written at the same time, such as cookies:
    /// the first part may be overwritten by another token of the same session, while the second has a place of its own
    /// each time. An unsigned token is the second part alone.
    ///
    /// # Errors
    /// `TOKEN_TOO_LARGE` if the second part exceeds the token limit, which cannot happen for a token that was minted.
    pub fn to_detached_text(&self) -> Result<String, SessionError> {
        let apart = Self::anonymous().with_unsigned(&self.dependencies).to_text();
        if apart.len() > TOKEN_BYTES_MAX {
            return Err(too_large());
        }
        Ok(if self.jws.is_empty() { apart } else { alloc::format!("{}~,{apart}", self.jws) })
    }

    /// The same token, depending also on `seen`. Its suffix grows by exactly what the JWS does not cover.
    #[must_use]
    pub fn with_unsigned(mut self, seen: &SessionVector) -> Self {
        self.dependencies.merge(seen);
        self
    }

    /// Joins the dependencies and times of another token. The identity of this one stays; the caller decides whether
    /// the two belong to one user.
    pub fn merge(&mut self, other: &Self) {
        self.dependencies.merge(&other.dependencies);
        self.told_at = self.told_at.max(other.told_at);
        if self.is_of_session(other) {
            self.used_at = self.used_at.max(other.used_at);
        }
    }

    /// Whether both tokens belong to one session.
    fn is_of_session(&self, other: &Self) -> bool {
        let of = |token: &Self| token.claims.as_ref().map(|claims| claims.session);
        of(self).is_some() && of(self) == of(other)
    }

    /// Changes the dependencies beside the signed part, which stays.
    pub(crate) fn amend(&mut self, change: impl FnOnce(&mut SessionVector)) {
        change(&mut self.dependencies);
        self.dependencies.merge(&self.signed);
    }

    /// Takes over the signed part of a later token of the same session and joins the dependencies of both. Returns
    /// whether `later` was such a token. Neither needs to be verified: a holder without a key only passes it on.
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

    /// The claims of the JWS, verified or not; `None` for an anonymous token.
    #[must_use]
    pub const fn claims(&self) -> Option<&Claims> {
        self.claims.as_ref()
    }

    /// The claims of the JWS, if a key has verified them: the only claims to base a decision on.
    #[must_use]
    pub fn identity(&self) -> Option<&Claims> {
        self.claims.as_ref().filter(|_| self.verified)
    }

    /// The latest time stated by this token or any that was merged. What expired by then has expired for its bearer.
    #[must_use]
    pub const fn told_at(&self) -> Millis {
        self.told_at
    }

    /// When its session was last in use, as stated by this token or any of the same session that was merged.
    #[must_use]
    pub const fn used_at(&self) -> Millis {
        self.used_at
    }

    /// The signed part, unchanged, for any JOSE library; empty for an anonymous token.
    #[must_use]
    pub fn jws(&self) -> &str {
        &self.jws
    }

    /// The `kid` in the header of the JWS; `None` for an anonymous token.
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

    /// All dependencies of the bearer, signed or not.
    #[must_use]
    pub const fn dependencies(&self) -> &SessionVector {
        &self.dependencies
    }

    /// The dependencies in the JWS itself.
    #[must_use]
    pub const fn signed(&self) -> &SessionVector {
        &self.signed
    }

    /// What a replica at `vector` lacks before it may serve this token an `access` in `space`; empty if it lacks
    /// nothing.
    #[must_use]
    pub fn missing(&self, space: &Space, access: Access, vector: &VersionVector) -> Vec<Gap> {
        let guarantees = self.claims.as_ref().map_or(Guarantees::ALL, |claims| claims.guarantees);
        self.dependencies.missing(space, guarantees, access, vector)
    }
}

impl fmt::Debug for SessionToken {
    /// Without the JWS, so that a log does not contain a usable token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionToken")
            .field("claims", &self.claims)
            .field("verified", &self.verified)
            .field("dependencies", &self.dependencies)
            .finish_non_exhaustive()
    }
}

/// The one refusal of a token, whatever is wrong with it, so that a forger learns nothing.
pub(super) fn invalid() -> SessionError {
    SessionError::new(
        ErrorCode::TokenInvalid,
        "the token is damaged, forged or from another cluster; begin a new session",
    )
}

/// The refusal of a token over the length limit.
pub(super) fn too_large() -> SessionError {
    let cause = "no token has more than 1024 bytes; hand it over whole and alone, or begin a new session";
    let details = Details::Limit { limit: "tokenBytes", allowed: TOKEN_BYTES_MAX as u64 };
    SessionError::new(ErrorCode::TokenTooLarge, cause).with(details)
}

/// Checks a replica's own limit for the tokens that it mints.
///
/// # Errors
/// `ARGUMENT_INVALID` above [`TOKEN_BYTES_MAX`]: no replica would open such a token.
pub(crate) fn check_limit(bytes: usize) -> Result<usize, SessionError> {
    if bytes > TOKEN_BYTES_MAX {
        return Err(SessionError::new(ErrorCode::ArgumentInvalid, "the limit tokenBytes is at most 1024"));
    }
    Ok(bytes)
}

/// Splits the text into JWS and suffix, if it is not too long. Callers decode both, or compare them with what they must
/// be, so a token that passes can be put into a header or a cookie again unchanged.
pub(super) fn split(text: &str) -> Result<(&str, &str), SessionError> {
    if text.len() > TOKEN_BYTES_MAX {
        return Err(too_large());
    }
    // Searches from the end, since the suffix is usually empty. A JWS that contains `~` is invalid anyway.
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
