//! What a trusted replica vouches for in a token, and its form as the JSON of a JWT (RFC 7519).
//!
//! Invariant: each claim that is ours stands once, with its own type, or the whole is refused; claims of other
//! minters are passed over, except those that narrow the token's validity (`aud`, `nbf`), which are refused because
//! nobody here would check them. Knows nothing of keys and signatures.

use alloc::string::{String, ToString};
use core::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use litemap::LiteMap;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::guarantee::Guarantees;
use crate::id::{SessionId, Space};
use crate::session::pack;
use crate::session::vector::SessionVector;
use crate::time::{MILLIS_MAX, Millis};

/// How deep the JSON of a token may be nested. Ours is two deep; claims of other minters may be a little deeper.
const DEPTH_MAX: u32 = 4;

/// The signed part of a token, without its dependencies.
///
/// A JWT tells time in whole seconds. Both times round down: a token never lives longer than was asked for, and never
/// claims a later clock than its minter had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claims {
    /// `iss`: the cluster whose trusted replicas mint and accept the token.
    pub issuer: String,
    /// `sub`: the user, if the session has one.
    pub subject: Option<String>,
    /// `sid`: the session. In the token, the base64url of its sixteen bytes: 22 characters instead of 36.
    pub session: SessionId,
    /// `cid`: the client application, if it is named.
    pub client: Option<String>,
    /// `spc`: the session's current space.
    pub space: Space,
    /// `gua`: what the session is promised, as [`Guarantees::bits`]; left out when it is all four.
    pub guarantees: Guarantees,
    /// `iat`: when the token was minted.
    pub issued_at: Millis,
    /// `exp`: when the token ends. Never absent: a killed session's fence is kept for as long as its tokens can live.
    pub expires_at: Millis,
    /// `end`: when the session ends, whatever renews its tokens; left out when it is the same. Never before `exp`.
    pub ends_at: Millis,
}

/// The claims as they are written, in this order.
#[derive(serde::Serialize)]
struct Written<'c> {
    iss: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'c str>,
    sid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cid: Option<&'c str>,
    spc: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gua: Option<u8>,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<u64>,
    #[serde(skip_serializing_if = "LiteMap::is_empty")]
    dep: LiteMap<String, String>,
}

/// The claims as they are read; serde refuses a field that stands twice.
#[derive(serde::Deserialize)]
struct Read {
    iss: String,
    #[serde(default, deserialize_with = "present")]
    sub: Option<String>,
    sid: String,
    #[serde(default, deserialize_with = "present")]
    cid: Option<String>,
    spc: String,
    #[serde(default, deserialize_with = "present")]
    gua: Option<u8>,
    iat: u64,
    exp: u64,
    #[serde(default, deserialize_with = "present")]
    end: Option<u64>,
    #[serde(default)]
    dep: Packed,
    #[serde(default, deserialize_with = "present")]
    aud: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<IgnoredAny>,
}

/// Writes claims and signed dependencies as JSON; nothing if the times are beyond what a stamp can hold.
pub(super) fn write(claims: &Claims, dependencies: &SessionVector) -> Option<String> {
    let mut dep = LiteMap::<String, String>::new();
    for (space, own) in dependencies.iter().filter(|(_, own)| !own.is_empty()) {
        dep.insert(space.to_string(), Base64UrlUnpadded::encode_string(&pack::pack(own)));
    }
    let written = Written {
        iss: &claims.issuer,
        sub: claims.subject.as_deref(),
        sid: Base64UrlUnpadded::encode_string(claims.session.as_bytes()),
        cid: claims.client.as_deref(),
        spc: claims.space.to_string(),
        gua: Some(claims.guarantees.bits()).filter(|bits| *bits != Guarantees::ALL.bits()),
        iat: seconds(claims.issued_at)?,
        exp: seconds(claims.expires_at)?,
        end: Some(seconds(claims.ends_at)?).filter(|end| Some(*end) != seconds(claims.expires_at)),
        dep,
    };
    serde_json::to_string(&written).ok()
}

/// Reads claims and signed dependencies, if the JSON holds exactly one of each and all are well formed.
pub(super) fn read(json: &[u8]) -> Option<(Claims, SessionVector)> {
    // serde would take an array for a structure.
    if !json.trim_ascii_start().starts_with(b"{") || is_nested(json) {
        return None;
    }
    let read: Read = serde_json::from_slice(json).ok()?;
    if read.aud.is_some() || read.nbf.is_some() {
        return None;
    }
    let session = Base64UrlUnpadded::decode_vec(&read.sid).ok()?;
    let claims = Claims {
        issuer: read.iss,
        subject: read.sub,
        session: SessionId::from_bytes(session.try_into().ok()?),
        client: read.cid,
        space: read.spc.parse().ok()?,
        guarantees: read.gua.map_or(Some(Guarantees::ALL), |bits| Guarantees::from_bits(bits).ok())?,
        issued_at: millis(read.iat)?,
        expires_at: millis(read.exp)?,
        ends_at: millis(read.end.unwrap_or(read.exp))?,
    };
    (claims.ends_at >= claims.expires_at).then_some((claims, read.dep.0))
}

/// Whether brackets stand in brackets deeper than any honest minter writes. What is passed over is not parsed, and so
/// would be passed over at any depth.
fn is_nested(json: &[u8]) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0u32, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return true;
        }
    }
    false
}

fn seconds(millis: Millis) -> Option<u64> {
    (millis <= MILLIS_MAX).then_some(millis / 1000)
}

fn millis(seconds: u64) -> Option<Millis> {
    seconds.checked_mul(1000).filter(|millis| *millis <= MILLIS_MAX)
}

/// A claim that may be left out, but not be `null`.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// The claim `dep`: from space to packed dependencies.
#[derive(Default)]
struct Packed(SessionVector);

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(PackedVisitor)
    }
}

struct PackedVisitor;

impl<'de> Visitor<'de> for PackedVisitor {
    type Value = Packed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("packed dependencies by space")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Packed, A::Error> {
        let mut vector = SessionVector::default();
        while let Some((space, packed)) = map.next_entry::<String, String>()? {
            let space: Space = space.parse().map_err(|_| A::Error::custom("a space"))?;
            let bytes = Base64UrlUnpadded::decode_vec(&packed).map_err(|_| A::Error::custom("base64url"))?;
            let own = pack::unpack(&bytes).ok_or_else(|| A::Error::custom("packed dependencies"))?;
            if vector.get(&space).is_some() {
                return Err(A::Error::custom("a space that stands twice"));
            }
            *vector.dependencies(&space) = own;
        }
        Ok(Packed(vector))
    }
}
