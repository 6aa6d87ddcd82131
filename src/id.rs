//! Names of things: replicas, dots, spaces, sessions.
//!
//! Invariant: a value of these types is well formed; text and bytes from outside are parsed once, here.
//! Knows nothing of clocks, vectors or storage.

mod glance;

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

use crate::error::{ErrorCode, SessionError};

/// The longest label of a replica id, in characters.
pub const LABEL_MAX: usize = 16;
/// The random part of a replica id, in bytes (80 bits: 40 bits collide at 10⁶ ids, and a collision is silent corruption).
pub const RANDOM_LEN: usize = 10;
/// The longest text of a replica id, in bytes: label, separator, sixteen digits.
pub(crate) const TEXT_MAX: usize = LABEL_MAX + 1 + RANDOM_LEN * 8 / 5;
/// The longest name of a space, in bytes.
pub const SPACE_NAME_MAX: usize = 64;
/// The length of a session id's text, in bytes.
pub(crate) const SESSION_TEXT: usize = uuid::fmt::Hyphenated::LENGTH;
/// The greatest sequence: JavaScript sees a sequence as a number, which is exact up to 2⁵³ − 1.
pub const SEQUENCE_MAX: u64 = (1 << 53) - 1;

/// Crockford's base32 in lower case. Its order is ASCII order, so that ids compare alike as bytes and as text.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Labels are padded with the separator: `a~…` and `ab~…` then compare alike as bytes and as text.
const PAD: u8 = b'~';
/// Eight of them.
const PADDING: u64 = u64::from_be_bytes([PAD; 8]);

/// A byte string's head (RFC 8949): its length is added, below this one, or follows.
const WIRE_BYTES: u8 = 0x40;
const WIRE_SHORT: usize = 24;
/// Eight of a character that a label may have.
const PLACEHOLDER: u64 = u64::from_be_bytes([b'a'; 8]);
/// The most bytes that the compact form of an id has.
const COMPACT_MAX: usize = LABEL_MAX + RANDOM_LEN;
/// Which bits of eight bytes lie behind so many of them.
const LABEL_BITS: [u64; 8] = [!0, !0 >> 8, !0 >> 16, !0 >> 24, !0 >> 32, !0 >> 40, !0 >> 48, !0 >> 56];

/// Whether eight bytes are of `a-z`, `0-9` and `-`, all at once.
const fn are_legal(bytes: u64) -> bool {
    const HIGH: u64 = u64::from_be_bytes([128; 8]);
    // The high bit of each byte that is at least `least`: with theirs set none borrows from another.
    const fn at_least(bytes: u64, least: u8) -> u64 {
        (bytes | HIGH) - u64::from_be_bytes([least; 8])
    }
    let letters = at_least(bytes, b'a') & !at_least(bytes, b'z' + 1);
    let digits = at_least(bytes, b'0') & !at_least(bytes, b'9' + 1);
    let hyphens = at_least(bytes, b'-') & !at_least(bytes, b'-' + 1);
    (letters | digits | hyphens) & HIGH & !bytes == HIGH
}

/// How many of the last bytes of eight are padding. No character of a label is.
const fn pads(half: u64) -> usize {
    ((half ^ PADDING).trailing_zeros() / 8) as usize
}

/// The identity of one replica: `label~` and 80 random bits in base32, such as `fra1~7k2m9qxd3h5w8b1c`.
///
/// One id is one linear history: a replica whose state was lost, or is not provably durable, takes a new one.
/// The order of ids is the order of their text, and breaks ties between equal clocks (invariant I3).
///
/// ```
/// use edge_session::id::ReplicaId;
/// let id: ReplicaId = "fra1~7k2m9qxd3h5w8b1c".parse()?;
/// assert_eq!(id.label(), "fra1");
/// assert_eq!(id.to_string(), "fra1~7k2m9qxd3h5w8b1c");
/// # Ok::<(), edge_session::error::SessionError>(())
/// ```
#[derive(Clone, Copy, Eq)]
pub struct ReplicaId {
    // First, because it is what tells ids apart.
    random: (u64, u16),
    // Big-endian numbers compare like the bytes that they are made of, in a few instructions: comparing the bytes was a
    // kilobyte of module at every search, and the most of its time.
    label: [u64; 2],
}

impl PartialEq for ReplicaId {
    #[inline(never)]
    fn eq(&self, other: &Self) -> bool {
        self.near_eq(other)
    }
}

impl ReplicaId {
    /// Whether both are one, for loops. As numbers: whether two lists of them are alike is a call in wasm, which compares byte by byte.
    #[inline(always)]
    pub(crate) const fn near_eq(&self, other: &Self) -> bool {
        let ([first, last], (random, rest)) = (self.label, self.random);
        let ([other_first, other_last], (other_random, other_rest)) = (other.label, other.random);
        let label = (first ^ other_first) | (last ^ other_last);
        label | (random ^ other_random) | (rest ^ other_rest) as u64 == 0
    }
}

impl Hash for ReplicaId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.random, self.label).hash(state);
    }
}

impl Ord for ReplicaId {
    fn cmp(&self, other: &Self) -> Ordering {
        // Most are of one label, or of one by its first eight characters.
        match (self.label == other.label, self.random.0 == other.random.0) {
            (true, false) => self.random.0.cmp(&other.random.0),
            _ => (self.label, self.random).cmp(&(other.label, other.random)),
        }
    }
}

impl PartialOrd for ReplicaId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }

    fn lt(&self, other: &Self) -> bool {
        if self.label == other.label { self.random < other.random } else { self.label < other.label }
    }
}

/// The label of a replica id, as text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label {
    padded: [u8; LABEL_MAX],
}

impl ReplicaId {
    /// Makes the id of `label` (1 to 16 of `[a-z0-9-]`) and 80 bits of randomness, which the caller provides.
    ///
    /// # Errors
    /// `ARGUMENT_INVALID` if the label is empty, too long or has another character.
    pub fn new(label: &str, random: [u8; RANDOM_LEN]) -> Result<Self, SessionError> {
        Self::of(label.as_bytes(), random).ok_or_else(|| {
            let cause = "a replica label is 1 to 16 characters of a-z, 0-9 and -";
            SessionError::new(ErrorCode::ArgumentInvalid, cause)
        })
    }

    /// As [`ReplicaId::new`], where the label may be any bytes.
    pub(crate) fn of(label: &[u8], random: [u8; RANDOM_LEN]) -> Option<Self> {
        // Into a text that is long enough to be taken apart in whole numbers.
        let mut text = [0; TEXT_MAX];
        text.get_mut(..label.len())?.copy_from_slice(label);
        text.get_mut(label.len()..label.len() + RANDOM_LEN)?.copy_from_slice(&random);
        Self::at_head(&text, label.len())
    }

    /// The id whose label has so many bytes, and whose compact form the bytes begin with. They are [`COMPACT_MAX`] at least:
    /// what is read reaches beyond the id.
    #[inline(never)]
    fn at_head(bytes: &[u8], label: usize) -> Option<Self> {
        let number = |at: usize| bytes.get(at..)?.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let label_at = |at: usize| {
            let others = LABEL_BITS.get(label.saturating_sub(at)).copied().unwrap_or(0);
            let own = number(at)? & !others;
            // What is no part of the label is judged as if it were a legal one.
            are_legal(own | PLACEHOLDER & others).then_some(own | PADDING & others)
        };
        if label == 0 || label > LABEL_MAX {
            return None;
        }
        let second = if label <= 8 { PADDING } else { label_at(8)? };
        let least = bytes.get(label + 8..)?.first_chunk()?;
        Some(Self { label: [label_at(0)?, second], random: (number(label)?, u16::from_be_bytes(*least)) })
    }

    /// The label, for people.
    #[must_use]
    pub const fn label(&self) -> Label {
        let [one, other] = self.label;
        let ([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]) = (one.to_be_bytes(), other.to_be_bytes());
        Label { padded: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] }
    }

    /// Whether both have the same label.
    pub(crate) fn is_sibling(&self, other: &Self) -> bool {
        self.label == other.label
    }

    /// The id of the same label with these random bytes, if it is a later one.
    #[inline]
    pub(crate) fn later_sibling(self, random: [u8; RANDOM_LEN]) -> Option<Self> {
        let [a, b, c, d, e, f, g, h, i, j] = random;
        let random = (u64::from_be_bytes([a, b, c, d, e, f, g, h]), u16::from_be_bytes([i, j]));
        (self.random < random).then_some(Self { random, ..self })
    }

    /// The random bytes.
    pub(crate) const fn random(&self) -> [u8; RANDOM_LEN] {
        let ([a, b, c, d, e, f, g, h], [i, j]) = (self.random.0.to_be_bytes(), self.random.1.to_be_bytes());
        [a, b, c, d, e, f, g, h, i, j]
    }

    /// The compact form of the wire: the label's characters, then the ten random bytes.
    #[must_use]
    pub fn to_bytes(self) -> alloc::vec::Vec<u8> {
        let mut bytes = alloc::vec::Vec::with_capacity(2 + COMPACT_MAX);
        self.append_wire(&mut bytes);
        bytes.drain(..self.wire_len() - self.label_len() - RANDOM_LEN);
        bytes
    }

    const fn label_len(&self) -> usize {
        let [first, second] = self.label;
        LABEL_MAX - if second == PADDING { 8 + pads(first) } else { pads(second) }
    }

    /// How many bytes [`ReplicaId::append_wire`] appends.
    pub(crate) const fn wire_len(&self) -> usize {
        let compact = self.label_len() + RANDOM_LEN;
        compact + if compact < WIRE_SHORT { 1 } else { 2 }
    }

    /// Appends the compact form as frames and tokens hold it: as a CBOR byte string.
    #[inline(never)]
    pub(crate) fn append_wire(&self, bytes: &mut alloc::vec::Vec<u8>) {
        // The label with its padding, over which the random part is then put: copies of a length that is known take a few
        // instructions, others a call each.
        let label = self.label_len();
        let compact = label + RANDOM_LEN;
        if compact >= WIRE_SHORT {
            bytes.push(WIRE_BYTES | 24);
        }
        let head = if compact < WIRE_SHORT { WIRE_BYTES | compact as u8 } else { compact as u8 };
        let mut wire = [head; 1 + COMPACT_MAX];
        if let Some(slots) = wire.get_mut(1..).and_then(<[u8]>::first_chunk_mut::<LABEL_MAX>) {
            *slots = self.label().padded;
        }
        if let Some(slots) = wire.get_mut(1 + label..).and_then(<[u8]>::first_chunk_mut::<RANDOM_LEN>) {
            *slots = self.random();
        }
        let end = bytes.len() + 1 + compact;
        bytes.extend_from_slice(&wire);
        bytes.truncate(end);
    }

    /// Reads what [`ReplicaId::append_wire`] wrote from the beginning of the bytes, as nearly all ids are: a short one, and more
    /// bytes behind it. Also how many bytes it was. Whatever else stands there is left to [`ReplicaId::from_bytes`].
    pub(crate) fn read_wire(bytes: &[u8]) -> Option<(Self, usize)> {
        let (first, rest) = bytes.split_first()?;
        let compact = usize::from(first ^ WIRE_BYTES);
        if compact >= WIRE_SHORT || rest.len() < COMPACT_MAX {
            return None;
        }
        Some((Self::at_head(rest, compact.checked_sub(RANDOM_LEN)?)?, 1 + compact))
    }

    /// As [`ReplicaId::read_wire`], wherever it stands, but in no other form than [`ReplicaId::append_wire`] gives it.
    pub(crate) fn read_strict(bytes: &[u8]) -> Option<(Self, usize)> {
        Self::read_wire(bytes).or_else(|| {
            let len = Self::wire_extent(bytes)?;
            let head = if len <= WIRE_SHORT { 1 } else { 2 };
            Some((Self::from_bytes(bytes.get(head..len)?).ok()?, len))
        })
    }

    /// How many bytes the id takes with which bytes begin, as its head says.
    #[inline]
    pub(crate) const fn wire_extent(bytes: &[u8]) -> Option<usize> {
        match bytes {
            [first, ..] if (*first ^ WIRE_BYTES) < WIRE_SHORT as u8 => Some(1 + (*first ^ WIRE_BYTES) as usize),
            [first, compact, ..] if *first == WIRE_BYTES | WIRE_SHORT as u8 && *compact >= WIRE_SHORT as u8 => {
                Some(2 + *compact as usize)
            }
            _ => None,
        }
    }

    /// Appends the id's text. Each version has one, so it is made without the machinery of formatting.
    pub(crate) fn append_to(&self, text: &mut String) {
        text.push_str(&self.label());
        text.push('~');
        let (most, least) = self.random;
        // Twelve digits of five bits, four bits that are left, and sixteen more: four digits.
        let last = (most & 15) << 16 | u64::from(least);
        let mut digits = [0; RANDOM_LEN * 8 / 5];
        let bits = (0..12).map(|at| most >> (59 - 5 * at)).chain((0..4).map(|at| last >> (15 - 5 * at)));
        let digit = |bits: u64| ALPHABET.get((bits & 31) as usize).copied().unwrap_or(b'0');
        digits.iter_mut().zip(bits).for_each(|(slot, bits)| *slot = digit(bits));
        text.push_str(core::str::from_utf8(&digits).unwrap_or_default());
    }

    /// Reads the compact form.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED` if it is not one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SessionError> {
        let malformed = || SessionError::malformed("a replica id");
        let (label, random) = bytes.split_last_chunk::<RANDOM_LEN>().ok_or_else(malformed)?;
        Self::of(label, *random).ok_or_else(malformed)
    }
}

impl core::ops::Deref for Label {
    type Target = str;

    fn deref(&self) -> &str {
        let bytes = self.padded.split(|byte| *byte == PAD).next().unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl PartialEq<&str> for Label {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(TEXT_MAX);
        self.append_to(&mut text);
        f.write_str(&text)
    }
}

impl fmt::Debug for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ReplicaId {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<Self, SessionError> {
        let malformed =
            || SessionError::new(ErrorCode::ArgumentInvalid, "a replica id is a label, ~ and 16 base32 digits");
        let (label, digits) = text.split_once('~').ok_or_else(malformed)?;
        if digits.len() != RANDOM_LEN * 8 / 5 {
            return Err(malformed());
        }
        let mut random = [0u8; RANDOM_LEN];
        let mut slots = random.iter_mut();
        let mut bits = 0u32;
        let mut held = 0u32;
        for digit in digits.bytes() {
            let value = ALPHABET.iter().position(|a| *a == digit).ok_or_else(malformed)?;
            bits = (bits << 5) | value as u32;
            held += 5;
            if held >= 8 {
                held -= 8;
                if let Some(slot) = slots.next() {
                    *slot = (bits >> held) as u8;
                }
            }
        }
        Self::new(label, random)
    }
}

/// One atomic write: the `sequence`-th that `replica` accepted in its space. Sequences count 1, 2, 3, … without holes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Dot {
    /// Who accepted the write.
    pub replica: ReplicaId,
    /// Its place in that replica's history of the space, from 1.
    pub sequence: u64,
}

impl Dot {
    /// The dot of `replica`'s write number `sequence`.
    #[must_use]
    pub const fn new(replica: ReplicaId, sequence: u64) -> Self {
        Self { replica, sequence }
    }
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.replica, self.sequence)
    }
}

/// The name of the space of the fleet's records: accounts, roles, spaces. No session is ever in it.
pub const SYSTEM: &str = "$system";

/// A namespace of keys: the unit of replication, of causal order and of permission.
///
/// Dropping a space ends a generation and creating it again opens the next, so that old deltas and tokens of the
/// name are told apart from new ones. Prints as `name` in its first generation and as `name:2` afterwards.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Space {
    name: Arc<str>,
    generation: u32,
}

impl Ord for Space {
    #[inline(never)]
    fn cmp(&self, other: &Self) -> Ordering {
        // Most are copies of one.
        let names = if Arc::ptr_eq(&self.name, &other.name) { Ordering::Equal } else { self.name.cmp(&other.name) };
        names.then_with(|| self.generation.cmp(&other.generation))
    }
}

impl PartialOrd for Space {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Space {
    /// The space `name` in its generation `generation` (from 1).
    ///
    /// # Errors
    /// `ARGUMENT_INVALID` unless the name has 1 to 64 characters of `A-Z a-z 0-9 _ - . $` and the generation is not 0.
    pub fn new(name: &str, generation: u32) -> Result<Self, SessionError> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'$');
        if name.is_empty() || name.len() > SPACE_NAME_MAX || !name.bytes().all(legal) || generation == 0 {
            return Err(SessionError::new(
                ErrorCode::ArgumentInvalid,
                "a space's name has 1 to 64 characters of A-Z, a-z, 0-9, _, -, . and $",
            ));
        }
        Ok(Self { name: name.into(), generation })
    }

    /// The first generation of the space `name`.
    ///
    /// # Errors
    /// As [`Space::new`].
    pub fn first(name: &str) -> Result<Self, SessionError> {
        Self::new(name, 1)
    }

    /// The name, without the generation.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the space is the fleet's own: no session uses one.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.name.starts_with('$')
    }

    /// Whether these are the fleet's records.
    #[must_use]
    pub fn is_system(&self) -> bool {
        &*self.name == SYSTEM
    }

    /// The generation, from 1.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.generation > 1 {
            write!(f, ":{}", self.generation)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Space {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<Self, SessionError> {
        match text.split_once(':') {
            None => Self::first(text),
            Some((name, generation)) => {
                let generation = generation.parse().ok().filter(|g| *g > 1);
                let space = Self::new(name, generation.unwrap_or(0))?;
                if space.to_string() == text { Ok(space) } else { Self::new(name, 0) }
            }
        }
    }
}

/// The identity of a user's session: a UUIDv7 (RFC 9562), whose first 48 bits are the time of its creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(uuid::Uuid);

impl SessionId {
    /// A new id, made at `now` (milliseconds since 1970) with ten random bytes, which the caller provides.
    #[must_use]
    pub fn new(now: u64, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(now, &random).into_uuid())
    }

    /// When the session was created, in milliseconds since 1970, as the id says.
    #[must_use]
    pub const fn created(&self) -> u64 {
        let [a, b, c, d, e, f, ..] = *self.as_bytes();
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }

    /// The sixteen bytes of the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Takes sixteen bytes as an id.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Uuid::from_bytes(bytes))
    }

    /// The id as text, with hyphens.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(SESSION_TEXT);
        self.append_to(&mut text);
        text
    }

    /// Appends the id's text, without the machinery of formatting.
    pub(crate) fn append_to(&self, text: &mut String) {
        text.push_str(self.0.as_hyphenated().encode_lower(&mut [0; SESSION_TEXT]));
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for SessionId {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<Self, SessionError> {
        uuid::Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| SessionError::new(ErrorCode::ArgumentInvalid, "a session id is a UUID"))
    }
}
