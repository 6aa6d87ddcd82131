//! Reading a frame. Invariant: nothing is allocated by a length field alone.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::codec::cbor::Input;
use crate::codec::table::Ids;
use crate::codec::{Beyond, Section, VERSION};
use crate::error::{ErrorCode, SessionError};
use crate::id::{ReplicaId, SEQUENCE_MAX, SessionId, Space};
use crate::vector::VersionVector;
use crate::vector::ids::{self, IdList, LONG};

/// So often, less one, an id is looked up among bytes before all are taken apart.
const LOOKS: u8 = 5;

/// Reads a frame.
pub struct Reader<'b> {
    cbor: Input<'b>,
    ids: Ids,
    /// The list of the last vector: the next one is often of the same.
    shared: Option<Arc<IdList>>,
    /// The space that was named last: the next one is mostly the same.
    space: Option<Space>,
    /// Ids that the table begins with and that ascend: the list of a vector, or others that nobody has asked for yet.
    rising: Rising<'b>,
    /// How many of them are looked up as bytes before all are taken apart; none: they are.
    looks: u8,
    items: u64,
    /// Where there is more of the frame than was handed in.
    pub(crate) beyond: Option<&'b Beyond<'b>>,
    /// How many bytes keys may share with those before them: read, each has them for itself.
    pub(crate) shared_bytes: usize,
}

/// Ids that ascend, as the bytes that begin with them: how many bytes they take, and how many they are.
#[derive(Clone, Copy, Default)]
struct Rising<'b> {
    bytes: &'b [u8],
    extent: usize,
    count: usize,
}

/// What was to be read, or that it does not stand there.
#[inline(always)]
fn sound<T>(read: Option<T>, what: &'static str) -> Result<T, SessionError> {
    match read {
        Some(value) => Ok(value),
        None => Err(SessionError::malformed(what)),
    }
}

impl<'b> Reader<'b> {
    /// Opens a frame: checks the version and reads the tables.
    ///
    /// # Errors
    /// `PROTOCOL_MISMATCH` for another version, `MESSAGE_MALFORMED` for what is not a frame.
    pub fn open(frame: &'b [u8]) -> Result<Self, SessionError> {
        Self::open_beside(frame, None)
    }

    /// As [`Reader::open`], by somebody who has a vector at hand: where the frame's ids begin with all that it names, they need
    /// not be read, only compared.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_beside(frame: &'b [u8], known: Option<&VersionVector>) -> Result<Self, SessionError> {
        let mut reader = Self::new(frame);
        reader.enter(known)?;
        Ok(reader)
    }

    /// As [`Reader::open_beside`], and reads what `body` reads: the reader stays in one place.
    ///
    /// # Errors
    /// As [`Reader::open`], or what `body` answers.
    pub fn within<T>(
        frame: &'b [u8],
        known: Option<&VersionVector>,
        body: impl FnOnce(&mut Self) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        let mut reader = Self::new(frame);
        reader.enter(known)?;
        body(&mut reader)
    }

    #[inline(always)]
    fn new(frame: &'b [u8]) -> Self {
        let (cbor, ids, shared_bytes) = (Input::new(frame), Ids::default(), usize::MAX);
        let rising = Rising::default();
        Self { cbor, ids, shared: None, space: None, rising, looks: 0, items: 0, beyond: None, shared_bytes }
    }

    /// Reads what stands before the body.
    #[inline(never)]
    fn enter(&mut self, known: Option<&VersionVector>) -> Result<(), SessionError> {
        let items = self.near_array()?;
        let version = sound(self.cbor.near_u64(), "an unsigned number")?;
        if version != VERSION {
            return Err(of_another(version));
        }
        self.items = sound(items.checked_sub(3), "a frame without tables")?;
        let mut replicas = self.near_array()? as usize;
        let known = known.and_then(VersionVector::ids);
        let whole = known.filter(|ids| ids.is_long() && ids.len() <= replicas);
        if let Some(ids) = whole.filter(|ids| self.cbor.passes(ids.wire())) {
            replicas -= ids.len();
            self.ids.first = Some(Arc::clone(ids));
        } else {
            self.shared = known.cloned();
            let bytes = self.cbor.rest();
            let (count, extent) = if replicas < LONG { (0, 0) } else { ids::rising(bytes, replicas) };
            if count >= LONG {
                (self.rising, self.looks) = (Rising { bytes, extent, count }, LOOKS);
                self.cbor.pass(extent);
                replicas -= count;
            }
        }
        if replicas > 0 {
            sound(self.ids.read_replicas(&mut self.cbor, replicas), "a replica id")?;
        }
        for _ in 0..self.near_array()? {
            let bytes = sound(self.bytes()?.try_into().ok(), "a session id")?;
            self.ids.sessions.push(SessionId::from_bytes(bytes));
        }
        Ok(())
    }

    /// Tells of a space that is at hand and likely named.
    pub(crate) fn foresee(&mut self, space: &Space) {
        self.space = Some(space.clone());
    }

    /// How many items the frame's body has.
    #[must_use]
    pub const fn items(&self) -> u64 {
        self.items
    }

    /// Ends the reading: nothing may be left.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED` if bytes follow.
    pub fn end(&self) -> Result<(), SessionError> {
        let ends = self.left() == 0 && self.beyond.is_none();
        if ends { Ok(()) } else { Err(SessionError::malformed("bytes after the end")) }
    }

    /// Reads the head of an array of definite length. A length beyond the bytes that are left is refused: each item
    /// takes at least one.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`.
    pub fn array(&mut self) -> Result<u64, SessionError> {
        self.near_array()
    }

    /// The same, by the shortest way, where all frames pass.
    #[inline(always)]
    fn near_array(&mut self) -> Result<u64, SessionError> {
        let len = sound(self.cbor.near_array(), "an array of definite length")?;
        if len > self.left() as u64 {
            return Err(SessionError::malformed("an array longer than the message"));
        }
        Ok(len)
    }

    /// Reads an array head that must say `len`.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`.
    pub fn array_of(&mut self, len: u64) -> Result<(), SessionError> {
        if self.array()? == len { Ok(()) } else { Err(SessionError::malformed("an array of another length")) }
    }

    /// Reads an unsigned number.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`.
    pub fn u64(&mut self) -> Result<u64, SessionError> {
        sound(self.cbor.u64(), "an unsigned number")
    }

    /// Reads a signed number.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`.
    pub fn i64(&mut self) -> Result<i64, SessionError> {
        sound(self.cbor.i64(), "a number")
    }

    /// Reads a truth value.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`.
    pub fn bool(&mut self) -> Result<bool, SessionError> {
        sound(self.cbor.bool(), "a truth value")
    }

    /// Reads text.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`.
    pub fn text(&mut self) -> Result<&'b str, SessionError> {
        sound(self.cbor.text(), "text")
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`.
    pub fn bytes(&mut self) -> Result<&'b [u8], SessionError> {
        sound(self.cbor.bytes(), "bytes")
    }

    /// Reads nothing's mark if it is next; otherwise reads what `value` reads.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`, or what `value` answers.
    pub fn optional<T>(
        &mut self,
        value: impl FnOnce(&mut Self) -> Result<T, SessionError>,
    ) -> Result<Option<T>, SessionError> {
        if self.cbor.null() { Ok(None) } else { value(self).map(Some) }
    }

    /// Passes over one item, whatever it is.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`.
    pub fn skip(&mut self) -> Result<(), SessionError> {
        sound(self.cbor.skip(), "an item")
    }

    /// Reads a replica id by its place.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED` if the place is not in the table.
    pub fn replica(&mut self) -> Result<ReplicaId, SessionError> {
        let at = self.u64()?;
        self.replica_at(at)
    }

    /// The replica id at a place of the table.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED` if the place is not in the table.
    pub fn replica_at(&mut self, at: u64) -> Result<ReplicaId, SessionError> {
        let Rising { bytes, count, .. } = self.rising;
        // Most frames name who speaks before their vectors. Few are looked up so, because each time is a walk.
        if self.looks > 1 && at < count as u64 {
            self.looks -= 1;
            return sound(ids::nth(bytes, at as usize), "a replica id that is not in the table");
        }
        self.settle();
        sound(self.ids.replica(at), "a replica id that is not in the table")
    }

    /// Reads a session id by its place.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED` if the place is not in the table.
    pub fn session(&mut self) -> Result<SessionId, SessionError> {
        let at = self.u64()?;
        sound(self.ids.session(at), "a session id that is not in the table")
    }

    /// Reads a space.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`.
    pub fn space(&mut self) -> Result<Space, SessionError> {
        let name = self.text()?;
        let generation = sound(u32::try_from(self.u64()?).ok(), "a generation")?;
        if let Some(space) =
            self.space.as_ref().filter(|space| space.generation() == generation && space.name() == name)
        {
            return Ok(space.clone());
        }
        let space = sound(Space::new(name, generation).ok(), "a space's name")?;
        self.space = Some(space.clone());
        Ok(space)
    }

    /// Reads a sequence: 1 to 2⁵³ − 1.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`.
    pub fn sequence_number(&mut self) -> Result<u64, SessionError> {
        let sequence = self.u64()?;
        if sequence == 0 || sequence > SEQUENCE_MAX {
            return Err(SessionError::malformed("a sequence out of range"));
        }
        Ok(sequence)
    }

    /// Reads a vector. Ids are in order and listed once, so that equal vectors are equal bytes.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`.
    pub fn vector(&mut self) -> Result<VersionVector, SessionError> {
        let len = self.near_array()?;
        if len % 2 != 0 {
            return Err(SessionError::malformed("a vector of odd length"));
        }
        // The length is one of bytes that are there, and an entry takes two of them.
        let count = len as usize / 2;
        if (LONG..=self.rising.count).contains(&count) {
            self.share(count);
        }
        if let Some(first) = self.ids.first.as_ref().filter(|first| first.len() == count) {
            let mut cbor = self.cbor;
            if let Some(sequences) = cbor.numbered(count, SEQUENCE_MAX) {
                self.cbor = cbor;
                return Ok(VersionVector::of_as_many(Arc::clone(first), sequences));
            }
        }
        if count == 0 { Ok(VersionVector::new()) } else { self.vector_apart(count) }
    }

    /// The same, of so many ids that stand anywhere in the table.
    #[inline(never)]
    fn vector_apart(&mut self, count: usize) -> Result<VersionVector, SessionError> {
        self.settle();
        let mut sequences = Vec::with_capacity(count);
        let shared = self.shared.clone().filter(|ids| ids.len() == count);
        let mut likely = shared.as_ref().map_or(&[][..], |ids| ids.list()).iter();
        let mut ids = Vec::new();
        for at in 0..count {
            let (id, sequence) = sound(self.entry(), "an entry of a vector")?;
            sequences.push(sequence);
            if likely.next().is_none_or(|likely| *likely != id) {
                if ids.is_empty() {
                    ids.reserve_exact(count);
                    ids.extend_from_slice(shared.as_ref().and_then(|ids| ids.list().get(..at)).unwrap_or_default());
                }
                likely = [].iter();
                ids.push(id);
            }
        }
        if !ids.is_empty() {
            self.shared = Some(sound(IdList::new(ids), "a vector out of order")?);
        }
        sound(VersionVector::of(self.shared.clone(), sequences), "a vector")
    }

    /// Makes so many of the ids that ascend the list of the vectors that name them.
    #[inline(never)]
    fn share(&mut self, count: usize) {
        let Rising { bytes, extent, count: rising } = core::mem::take(&mut self.rising);
        let extent = if count == rising { Some(extent) } else { ids::extent(bytes, count) };
        self.ids.first = extent.and_then(|extent| IdList::of_wire(bytes, extent, count));
        if core::mem::take(&mut self.looks) == 0 {
            self.ids.replicas.drain(..count);
        } else if count < rising {
            self.ids.replicas.splice(0..0, ids::read(bytes, rising).into_iter().skip(count));
        }
    }

    /// Takes apart the ids that are bytes still.
    fn settle(&mut self) {
        if core::mem::take(&mut self.looks) > 0 {
            self.ids.replicas.splice(0..0, ids::read(self.rising.bytes, self.rising.count));
        }
    }

    /// A place of the table, and a sequence of it.
    fn entry(&mut self) -> Option<(ReplicaId, u64)> {
        let at = self.cbor.u64()?;
        let (replica, sequence) = (self.ids.replica(at)?, self.cbor.u64()?);
        (1..=SEQUENCE_MAX).contains(&sequence).then_some((replica, sequence))
    }

    /// Reads a byte string that holds a CBOR sequence: `each` is called until it is used up.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`, or what `each` answers.
    pub fn sequence(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), SessionError>,
    ) -> Result<(), SessionError> {
        let inner = Input::new(self.bytes()?);
        let outer = core::mem::replace(&mut self.cbor, inner);
        let mut result = Ok(());
        while result.is_ok() && self.left() > 0 {
            result = each(self);
        }
        self.cbor = outer;
        result
    }

    /// Reads a byte string that holds a CBOR sequence, to be taken apart by the caller, the ids that it may name, and how many
    /// bytes its keys may share.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`.
    pub(crate) fn sequence_of_ids(&mut self) -> Result<(Section<'b>, &Ids, &mut usize), SessionError> {
        self.settle();
        let section = if self.beyond.is_some() { self.section_beyond() } else { None };
        let section = match section {
            Some(section) => section,
            None => Section::of(self.bytes()?),
        };
        Ok((section, &self.ids, &mut self.shared_bytes))
    }

    /// The byte string that is next, if it ends beyond what was handed in.
    #[inline(never)]
    fn section_beyond(&mut self) -> Option<Section<'b>> {
        let mut cbor = self.cbor;
        let len = cbor.bytes_len().filter(|len| *len > cbor.left() as u64)?;
        let (section, behind) = self.beyond?.section(cbor, len)?;
        (self.cbor, self.beyond) = (behind, None);
        Some(section)
    }

    const fn left(&self) -> usize {
        self.cbor.left()
    }
}

/// The refusal of a frame of this version.
#[cold]
fn of_another(version: u64) -> SessionError {
    SessionError::new(
        ErrorCode::ProtocolMismatch,
        alloc::format!(
            "the bytes are of version {version}, this replica speaks version {VERSION}; upgrade the older side"
        ),
    )
}
