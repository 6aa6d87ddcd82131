//! The signed claims of a token, and their form as the JSON of a JWT (RFC 7519).
//!
//! Invariants:
//!
//! * Each own claim occurs once and with its own type, or the whole is refused.
//! * Claims of other minters are skipped, except those that narrow the token's validity (`aud`, `nbf`). These are
//!   refused, because nothing here would check them.
//!
//! Knows nothing of keys and signatures.

use alloc::borrow::Cow;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::guarantee::Guarantees;
use crate::id::{SessionId, Space};
use crate::session::json::{self, Reader};
use crate::session::token::TOKEN_BYTES_MAX;
use crate::session::vector::SessionVector;
use crate::session::{base64url, pack};
use crate::time::{MILLIS_MAX, Millis};

/// The signed part of a token, without its dependencies.
///
/// A JWT states times in whole seconds. All times round down, so a token never lives longer than was asked for and
/// never claims a later clock than its minter had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claims {
    /// `iss`: the cluster whose trusted replicas mint and accept the token.
    pub issuer: Arc<str>,
    /// `sub`: the user, if the session has one.
    pub subject: Option<Arc<str>>,
    /// `sid`: the session. In the token, base64url of its 16 bytes: 22 characters instead of 36.
    pub session: SessionId,
    /// `cid`: the client application, if it is named.
    pub client: Option<Arc<str>>,
    /// `spc`: the session's current space; omitted if it is the first generation of `default`.
    pub space: Space,
    /// `gua`: the session's guarantees, as [`Guarantees::bits`]; omitted if all four are granted.
    pub guarantees: Guarantees,
    /// `iat`: when the token was minted.
    pub issued_at: Millis,
    /// `exp`: when the token expires. Always present: the fence of a killed session is kept for as long as its tokens
    /// can live.
    pub expires_at: Millis,
    /// `end`: when the session ends, whatever renews its tokens; omitted if equal to `exp`. Never before `exp`.
    pub ends_at: Millis,
}

/// [`Claims`] that are about to be written, borrowed.
#[derive(Clone, Copy)]
pub(crate) struct Stated<'s> {
    pub(crate) issuer: &'s str,
    pub(crate) subject: Option<&'s str>,
    pub(crate) session: SessionId,
    pub(crate) client: Option<&'s str>,
    pub(crate) space: &'s Space,
    pub(crate) guarantees: Guarantees,
    pub(crate) issued_at: Millis,
    pub(crate) expires_at: Millis,
    pub(crate) ends_at: Millis,
}

impl Claims {
    pub(super) fn stated(&self) -> Stated<'_> {
        Stated {
            issuer: &self.issuer,
            subject: self.subject.as_deref(),
            session: self.session,
            client: self.client.as_deref(),
            space: &self.space,
            guarantees: self.guarantees,
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            ends_at: self.ends_at,
        }
    }
}

/// What most tokens of a cluster have in common, shared instead of allocated for each token.
#[derive(Clone, Debug)]
pub(super) struct Usual {
    pub(super) issuer: Arc<str>,
    pub(super) space: Space,
}

impl Usual {
    fn space(&self, text: &str) -> Option<Space> {
        (self.space.generation() == 1 && self.space.name() == text).then(|| self.space.clone())
    }
}

/// The space of a token that names none.
const SPACE: &str = "default";

/// How the output of [`write()`] begins, whoever the bearer is.
pub(super) fn beginning(issuer: &str) -> Vec<u8> {
    let mut json = Vec::from(br#"{"iss":"#);
    json::write_string(issuer, &mut json);
    json.extend_from_slice(br#","s"#);
    json
}

/// Writes claims and signed dependencies as JSON; `None` if a time does not fit into a stamp.
pub(super) fn write(claims: Stated<'_>, dependencies: &SessionVector) -> Option<Vec<u8>> {
    let (issued_at, expires_at, ends_at) =
        (seconds(claims.issued_at)?, seconds(claims.expires_at)?, seconds(claims.ends_at)?);
    let replicas: usize = dependencies.iter().map(|(_, own)| own.reads.len() + own.writes.len()).sum();
    let mut json = Vec::with_capacity(224 + 18 * replicas);
    json.extend_from_slice(br#"{"iss":"#);
    json::write_string(claims.issuer, &mut json);
    let text = |json: &mut Vec<u8>, name: &str, value: Option<&str>| {
        if let Some(value) = value {
            json.extend_from_slice(name.as_bytes());
            json::write_string(value, json);
        }
    };
    text(&mut json, r#","sub":"#, claims.subject);
    json.extend_from_slice(br#","sid":""#);
    base64url::encode(claims.session.as_bytes(), &mut json);
    json.push(b'"');
    text(&mut json, r#","cid":"#, claims.client);
    if claims.space.name() != SPACE || claims.space.generation() != 1 {
        text(&mut json, r#","spc":"#, Some(&claims.space.to_string()));
    }
    let mut number = |name: &str, value: u64| {
        json.extend_from_slice(name.as_bytes());
        json::write_number(value, &mut json);
    };
    if claims.guarantees != Guarantees::ALL {
        number(r#","gua":"#, claims.guarantees.bits().into());
    }
    number(r#","iat":"#, issued_at);
    number(r#","exp":"#, expires_at);
    if ends_at != expires_at {
        number(r#","end":"#, ends_at);
    }
    write_dependencies(dependencies, &mut json);
    json.push(b'}');
    Some(json)
}

/// Writes the claim `dep`, if there are dependencies. If they arrived in a claim and have not changed, copies its text.
fn write_dependencies(dependencies: &SessionVector, json: &mut Vec<u8>) {
    const NAME: &[u8] = br#","dep":"#;
    let claim = dependencies.claim();
    if !claim.is_empty() {
        json.extend_from_slice(NAME);
        json.extend_from_slice(claim);
        return;
    }
    let mut before: &[u8] = b"{";
    for (space, own) in dependencies.iter().filter(|(_, own)| !own.is_empty()) {
        if before == b"{" {
            json.extend_from_slice(NAME);
        }
        json.extend_from_slice(before);
        json.push(b'"');
        json.extend_from_slice(space.name().as_bytes());
        if space.generation() > 1 {
            json.push(b':');
            json::write_number(space.generation().into(), json);
        }
        json.extend_from_slice(br#"":""#);
        base64url::encode(&pack::pack(own), json);
        json.push(b'"');
        before = b",";
    }
    if before == b"," {
        json.push(b'}');
    }
}

/// Claims as they appear in the JSON.
#[derive(PartialEq, Eq, Debug)]
struct Stand<'t> {
    iss: Cow<'t, str>,
    sub: Option<Cow<'t, str>>,
    sid: Cow<'t, [u8]>,
    cid: Option<Cow<'t, str>>,
    spc: Option<Cow<'t, str>>,
    gua: Option<u64>,
    iat: u64,
    exp: u64,
    end: Option<u64>,
    dep: Option<SessionVector>,
}

/// Reads claims and signed dependencies; `None` unless the JSON is well formed and contains each required claim exactly
/// once.
pub(super) fn read(json: &[u8], usual: Option<&Usual>) -> Option<(Claims, SessionVector)> {
    let stand = as_written(json, usual).or_else(|| in_any_order(json, usual))?;
    let Stand { iss, sub, sid, cid, spc, gua, iat, exp, end, dep } = stand;
    let own = |text: Cow<'_, str>| Arc::from(&*text);
    let claims = Claims {
        issuer: match usual {
            Some(usual) if *usual.issuer == *iss => usual.issuer.clone(),
            Some(_) | None => own(iss),
        },
        subject: sub.map(own),
        session: SessionId::from_bytes(base64url::array(&sid)?),
        client: cid.map(own),
        space: match spc {
            Some(text) => text.parse().ok()?,
            None => match usual.and_then(|usual| usual.space(SPACE)) {
                Some(space) => space,
                None => Space::first(SPACE).ok()?,
            },
        },
        guarantees: match gua {
            None => Guarantees::ALL,
            Some(bits) => Guarantees::from_bits(bits.try_into().ok()?).ok()?,
        },
        issued_at: millis(iat)?,
        expires_at: millis(exp)?,
        ends_at: millis(end.unwrap_or(exp))?,
    };
    (claims.ends_at >= claims.expires_at).then_some((claims, dep.unwrap_or_default()))
}

/// The fast path: reads the claims in the order in which [`write()`] writes them. `None` for any other JSON, which is
/// left to [`in_any_order`]; what this reads, that reads alike.
fn as_written<'t>(json: &'t [u8], usual: Option<&Usual>) -> Option<Stand<'t>> {
    let json = &mut Reader::new(json);
    json.word(r#"{"iss":"#)?;
    let iss = json.string()?;
    let sub = after(json, r#","sub":"#, Reader::string)?;
    json.word(r#","sid":"#)?;
    let sid = json.bytes()?;
    let cid = after(json, r#","cid":"#, Reader::string)?;
    let spc = after(json, r#","spc":"#, Reader::string)?;
    let gua = after(json, r#","gua":"#, Reader::number)?;
    json.word(r#","iat":"#)?;
    let iat = json.number()?;
    json.word(r#","exp":"#)?;
    let exp = json.number()?;
    let end = after(json, r#","end":"#, Reader::number)?;
    let dep = after(json, r#","dep":"#, |json| read_dependencies(json, usual))?;
    json.word("}")?;
    json.is_done().then_some(Stand { iss, sub, sid, cid, spc, gua, iat, exp, end, dep })
}

/// The value after `name`, if `name` comes next; the outer `None` if the value is not well formed.
fn after<'t, T>(
    json: &mut Reader<'t>,
    name: &str,
    read: impl FnOnce(&mut Reader<'t>) -> Option<T>,
) -> Option<Option<T>> {
    match json.word(name) {
        Some(()) => read(json).map(Some),
        None => Some(None),
    }
}

/// Reads claims in any order, as any minter may have written them.
fn in_any_order<'t>(json: &'t [u8], usual: Option<&Usual>) -> Option<Stand<'t>> {
    let (mut iss, mut sub, mut sid, mut cid, mut spc) = (None, None, None, None, None);
    let (mut gua, mut iat, mut exp, mut end, mut dep) = (None, None, None, None, None);
    let mut json = Reader::new(json);
    json.object(|json, name| match name {
        "iss" => once(&mut iss, json.string()),
        "sub" => once(&mut sub, json.string()),
        "sid" => once(&mut sid, json.bytes()),
        "cid" => once(&mut cid, json.string()),
        "spc" => once(&mut spc, json.string()),
        "gua" => once(&mut gua, json.number()),
        "iat" => once(&mut iat, json.number()),
        "exp" => once(&mut exp, json.number()),
        "end" => once(&mut end, json.number()),
        "dep" => once(&mut dep, read_dependencies(json, usual)),
        // They limit where and when the token is valid, and nothing here would check them.
        "aud" | "nbf" => None,
        _ => json.skip(),
    })?;
    json.is_done().then_some(())?;
    Some(Stand { iss: iss?, sub, sid: sid?, cid, spc, gua, iat: iat?, exp: exp?, end, dep })
}

/// Stores a claim that was read; `None` if it occurs twice.
fn once<T>(claim: &mut Option<T>, read: Option<T>) -> Option<()> {
    claim.replace(read?).is_none().then_some(())
}

/// The claim `dep`: an object from space to packed dependencies.
fn read_dependencies(json: &mut Reader<'_>, usual: Option<&Usual>) -> Option<SessionVector> {
    let (mut vector, from, mut plain) = (SessionVector::default(), json.place(), 0);
    json.object(|json, name| {
        let space = match usual.and_then(|usual| usual.space(name)) {
            Some(space) => space,
            None => name.parse().ok()?,
        };
        let mut room = [0; TOKEN_BYTES_MAX];
        let packed = json.bytes()?;
        plain = name.len() + packed.len();
        let own = pack::unpack(base64url::decode_within(&packed, &mut room)?)?;
        vector.get(&space).is_none().then(|| *vector.dependencies(&space) = own)
    })?;
    // With one space, the only other forms of the claim have whitespace or escapes, which make it longer. So this
    // length proves that writing would produce the same text.
    let claim = json.since(from);
    if vector.iter().len() == 1 && claim.len() == plain + r#"{"":""}"#.len() {
        vector.came_in(claim);
    }
    Some(vector)
}

fn seconds(millis: Millis) -> Option<u64> {
    (millis <= MILLIS_MAX).then_some(millis / 1000)
}

fn millis(seconds: u64) -> Option<Millis> {
    seconds.checked_mul(1000).filter(|millis| *millis <= MILLIS_MAX)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::id::ReplicaId;
    use alloc::string::String;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_is_read_as_written(
            names: (String, Option<String>, Option<String>),
            space in prop::option::of(1_u32..4),
            gua in 0_u8..16,
            times: (u32, u32, u32),
            sequences in prop::collection::vec(1_u64..1000, 0..4),
        ) {
            let issuer: Arc<str> = names.0.into();
            let (subject, client) = (names.1.map(Arc::from), names.2.map(Arc::from));
            let usual = Usual { issuer: issuer.clone(), space: Space::first(SPACE).unwrap() };
            let space: Space = space.map_or("default".into(), |n| alloc::format!("room:{}", n + 1)).parse().unwrap();
            let mut dependencies = SessionVector::default();
            for (at, sequence) in sequences.iter().enumerate() {
                let replica = ReplicaId::new("edge", [at as u8; 10]).unwrap();
                dependencies.dependencies(&space).reads.advance(crate::id::Dot::new(replica, *sequence));
            }
            let [issued_at, expires_at, more] = [times.0, times.1, times.2].map(|time| Millis::from(time) * 1000);
            let claims = Claims {
                issuer,
                subject,
                session: SessionId::from_bytes([7; 16]),
                client,
                space,
                guarantees: Guarantees::from_bits(gua).unwrap(),
                issued_at,
                expires_at,
                ends_at: expires_at + more,
            };
            let json = write(claims.stated(), &dependencies).unwrap();
            for usual in [None, Some(&usual)] {
                let quick = as_written(&json, usual);
                prop_assert!(quick.is_some());
                prop_assert_eq!(quick, in_any_order(&json, usual));
                prop_assert_eq!(read(&json, usual), Some((claims.clone(), dependencies.clone())));
            }
        }

        /// Whatever the claim looked like and whatever has changed since: a changed vector is not written as the old
        /// claim.
        #[test]
        fn dependencies_that_came_in_a_claim_are_written_as_others_are(
            sequences in prop::collection::vec(1_u64..1000, 0..4), spaces in 1..3_usize, odd in 0..4_u8, how in 0..6_u8, at in 0..5_u8,
        ) {
            let dot = |at: u8, sequence| crate::id::Dot::new(ReplicaId::new("edge", [at; 10]).unwrap(), sequence);
            let (default, mut fresh) = (Space::first(SPACE).unwrap(), SessionVector::default());
            for name in ["default", "room:2"].iter().take(spaces) {
                let space = name.parse().unwrap();
                (0..).zip(&sequences).for_each(|(at, sequence)| fresh.record_read(&space, dot(at, *sequence)));
            }
            let claims = Claims {
                issuer: "c".into(),
                subject: None,
                session: SessionId::from_bytes([7; 16]),
                client: None,
                space: default.clone(),
                guarantees: Guarantees::ALL,
                issued_at: 1_000,
                expires_at: 2_000,
                ends_at: 2_000,
            };
            let written = |vector: &SessionVector| String::from_utf8(write(claims.stated(), vector).unwrap()).unwrap();
            let json = match odd {
                0 => written(&fresh),
                1 => written(&fresh).replace(":{", ": {"),
                2 => written(&fresh).replace("{\"room", "{ \"room").replace("\"}}", "\" }}"),
                _ => written(&fresh).replace("default", "def\\u0061ult"),
            };
            let (_, mut came) = read(json.as_bytes(), None).unwrap();
            prop_assert_eq!(written(&came), written(&fresh));
            // A vector without copies is changed in place.
            let copy = (at % 2 == 0).then(|| came.clone());
            for vector in [&mut came, &mut fresh] {
                match how {
                    0 => vector.record_write(&default, dot(at, 2_000)),
                    1 => vector.record_read(&default, dot(at, 2_000)),
                    2 => vector.cap(&default, dot(at, 1).replica, 1),
                    3 => vector.cap(&default, dot(at, 1).replica, 0),
                    4 => {
                        let mut other = SessionVector::default();
                        other.record_write(&default, dot(at, 5));
                        vector.merge(&other);
                    }
                    _ => *vector = vector.beyond(&SessionVector::default()),
                }
            }
            prop_assert_eq!(written(&came), written(&fresh));
            if let Some(copy) = copy {
                prop_assert_eq!(read(written(&copy).as_bytes(), None).unwrap().1, copy);
            }
        }

        /// Pieces of claims in almost the order in which they are written here.
        #[test]
        fn what_is_read_as_written_is_read_alike_in_any_order(
            left_out in prop::collection::vec(prop::bool::weighted(0.1), 14),
            (at, piece) in (0_usize..14, prop::sample::select(PIECES)),
            how in 0_u8..3,
        ) {
            let mut pieces: Vec<&str> =
                PIECES.iter().zip(&left_out).filter(|(_, out)| !**out).map(|(piece, _)| *piece).collect();
            let at = at.min(pieces.len());
            match how {
                0 => pieces.insert(at, piece),
                1 if at < pieces.len() => pieces[at] = piece,
                _ => {}
            }
            let json = pieces.concat();
            if let Some(quick) = as_written(json.as_bytes(), None) {
                prop_assert_eq!(Some(quick), in_any_order(json.as_bytes(), None), "{}", json);
            }
        }
    }

    const PIECES: &[&str] = &[
        r#"{"iss":"c""#,
        r#","sub":"ann""#,
        r#","sid":"AAAAAAAAAAAAAAAAAAAAAA""#,
        r#","cid":"a\u0062c""#,
        r#","spc":"room""#,
        r#","gua":3"#,
        r#","iat":1"#,
        r#","exp":2"#,
        r#","end":3"#,
        r#","dep":{}"#,
        r#","aud":"x""#,
        r#","other":[1]"#,
        " ",
        "}",
    ];
}
