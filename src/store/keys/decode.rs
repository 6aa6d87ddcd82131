//! Decodes keys and their live sets.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::{Range, RangeInclusive};

use super::bundle::{BUNDLE, Bundle, Cursor, Run, check_stamps, entries, longest_of};
use super::column::Numbers;
use super::skim::skim;
use super::{
    BYTES, HAS_EXPIRY, HAS_KNOWN, HAS_SESSION, HEADS, JSON, KNOWN, Origins, RUN_KEYS, TEXT, TOMBSTONE, apply, is_edge,
    run_text,
};
use crate::codec::cbor::{Input, text};
use crate::codec::{Ids, Reader};
use crate::error::SessionError;
use crate::id::SEQUENCE_MAX;
use crate::store::delta::{Bare, Keys, Listed, ListedSet};
use crate::store::entry::piece::{BLOCK, BLOCK_MAX, Block, PIECE_MAX, Piece, SMALL, fits};
use crate::store::entry::{Author, Content, DataEntry, Ending, Key, Text};
use crate::store::part::Member;
use crate::store::parts::{PART, Pair};
use crate::time::{Hlc, MILLIS_MAX, Millis};
use crate::vector::VersionVector;

/// Keys as they were read, and how far they reach.
pub(crate) struct Decoded {
    pub(crate) keys: Keys,
    /// Of each origin the greatest sequence of a full entry.
    pub(crate) full: VersionVector,
    /// Of each origin the greatest sequence of a bare dot.
    pub(crate) known: VersionVector,
    /// The latest clock.
    pub(crate) latest: Hlc,
}

/// Decodes the keys of a section.
///
/// # Errors
/// `MESSAGE_MALFORMED`.
pub(crate) fn decode_keys(reader: &mut Reader<'_>, hlc: Hlc) -> Result<Decoded, SessionError> {
    let (section, ids, shared) = reader.sequence_of_ids()?;
    let mut keys = Keys::new();
    let (origins, clock, latest) = (Origins::default(), hlc.to_bits(), Hlc::default());
    let bytes = Vec::with_capacity(room(section.len()));
    let (text, settled) = (Texts { bytes, ..Texts::default() }, 0);
    let (authors, ending) = (Vec::new(), Ending::default());
    let mut decoding = Decoding { beyond: 0, ids, shared, text, settled, clock, latest, origins, authors, ending };
    let read = section.each(|input, beyond| decoding.portion(input, beyond, &mut keys));
    read.and_then(|()| decoding.close(&mut keys, 0)).map_err(SessionError::malformed)?;
    keys.fit();
    let (latest, (full, known)) = (decoding.latest, decoding.origins.reach());
    Ok(Decoded { keys, full, known, latest })
}

/// Keys that are being read. What is wrong is told by its name alone: an error of its own takes more than reading.
struct Decoding<'a> {
    /// How many bytes follow those that are being read.
    beyond: usize,
    ids: &'a Ids,
    /// How many bytes keys may still share.
    shared: &'a mut usize,
    text: Texts,
    /// How many keys have the blocks that their texts are pieces of.
    settled: usize,
    /// The clock of the entry before, and the latest of all.
    clock: u64,
    latest: Hlc,
    origins: Origins,
    /// By the place of a session: who wrote for it last, and which of the origins that is.
    authors: Vec<Option<(usize, Arc<Author>)>>,
    ending: Ending,
}

/// The texts of the block that is being read, one behind the other, which are looked at in one go. Before them stands the key
/// that was read last when it began, with which the next one may begin: to be without it, the block would have to be copied.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    /// Where the last key begins, and how long it is.
    from: usize,
    key: usize,
}

impl Texts {
    /// Goes on to the key that shares so many bytes with the last one, and has other ones behind them.
    #[inline(always)]
    fn turn_to(&mut self, shared: usize, suffix: &[u8]) -> Result<Key, &'static str> {
        let (from, next) = (self.from, self.bytes.len());
        let Some((_, known)) = self.last().split_at_checked(shared).filter(|(_, known)| is_edge(known)) else {
            return Err("a key's prefix");
        };
        // What both share decides nothing about their order, which is that of their bytes.
        if suffix <= known {
            return Err("keys out of order");
        }
        self.bytes.extend_from_within(from..from + shared);
        self.bytes.extend_from_slice(suffix);
        (self.from, self.key) = (next, shared + suffix.len());
        // Behind a key so long that the block is full of it the next one is no piece either.
        if self.key <= PIECE_MAX && next < BLOCK {
            return Ok(Key { piece: self.piece(next).ok_or("a key")? });
        }
        self.key_apart()
    }

    /// The last key.
    fn last(&self) -> &[u8] {
        self.bytes.get(self.from..self.from + self.key).unwrap_or_default()
    }

    /// Begins a block behind a key that stands elsewhere.
    fn begin_behind(&mut self, key: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(key);
        (self.from, self.key) = (0, key.len());
    }

    /// Takes the text of a run, in which the last key stands there.
    fn take_run(&mut self, area: &str, last: Range<usize>) {
        (self.from, self.key) = (self.bytes.len() + last.start, last.len());
        self.bytes.extend_from_slice(area.as_bytes());
    }

    /// The last key, which is no piece.
    #[inline(never)]
    fn key_apart(&mut self) -> Result<Key, &'static str> {
        let key = self.bytes.get(self.from..).unwrap_or_default();
        Ok(Key::from(core::str::from_utf8(key).map_err(|_| "a key")?))
    }

    /// Takes the text of a value.
    #[inline(always)]
    fn value(&mut self, value: &[u8]) -> Result<Text, &'static str> {
        let from = self.bytes.len();
        // Nothing keeps a block in memory for which a long key had to be copied.
        if self.key > PIECE_MAX || !fits(from, value.len()) {
            return Ok(core::str::from_utf8(value).map_err(|_| "text")?.into());
        }
        self.bytes.extend_from_slice(value);
        self.piece(from).map(|piece| Text { piece }).ok_or("text")
    }

    /// The piece of the block from there on, if a character begins there.
    #[inline(always)]
    fn piece(&self, from: usize) -> Option<Piece> {
        let piece = self.bytes.get(from..).filter(|piece| is_edge(piece))?;
        Some(Piece::within(from, piece.len()))
    }

    /// Whether the block is better closed.
    const fn is_full(&self) -> bool {
        self.bytes.len() >= BLOCK
    }

    /// The block, if it is text; the last key is the beginning of the next one.
    #[inline(never)]
    fn close(&mut self, left: usize) -> Option<Arc<Block>> {
        let block = Block::of(text(&self.bytes)?);
        self.bytes.truncate(self.from + self.key);
        self.bytes.drain(..self.from.min(self.bytes.len()));
        self.bytes.reserve(room(left));
        self.from = 0;
        Some(block)
    }
}

/// How much room a block has at first, where so many bytes are left: what is there bounds it.
fn room(left: usize) -> usize {
    left.min(BLOCK + BLOCK / 4)
}

/// A text, of which it is one of two kinds.
#[inline(always)]
fn text_of(kind: u64, text: Text) -> Content {
    if kind == TEXT { Content::Text(text) } else { Content::Json(text) }
}

/// That something else stands there.
const DAMAGED: &str = "an entry";

impl Decoding<'_> {
    /// Reads what lies whole in a portion that so many bytes follow. How many bytes it has left.
    #[inline(never)]
    fn portion(&mut self, mut input: Input<'_>, beyond: usize, keys: &mut Keys) -> Result<usize, &'static str> {
        self.beyond = beyond;
        while input.left() > 0 && (beyond == 0 || skim(input).is_some()) {
            if input.is_text() { self.run(&mut input, keys)? } else { self.key(&mut input, keys)? }
        }
        Ok(input.left())
    }

    /// Reads the next key with its set.
    #[inline(always)]
    fn key(&mut self, from: &mut Input<'_>, keys: &mut Keys) -> Result<(), &'static str> {
        // What is read from stays in registers as long as nobody else is handed it.
        let mut input = *from;
        let shared = input.near_i64().ok_or(DAMAGED)?;
        let (shared, count) =
            if shared < 0 { (-1 - shared, aside(&mut input, Input::u64).ok_or(DAMAGED)?) } else { (shared, 1) };
        let shared = usize::try_from(shared).map_err(|_| "a key's prefix")?;
        *self.shared = self.shared.checked_sub(shared).ok_or("keys that share more than any message has")?;
        let suffix = input.near_text_bytes().ok_or("a key")?;
        if shared.saturating_add(suffix.len()) > PIECE_MAX {
            self.close(keys, input.left())?;
        }
        let (key, at) = (self.text.turn_to(shared, suffix)?, keys.len());
        // The count is a claim of the sender's: a list grows with what is really there.
        let (mut left, mut several) = (count, Vec::with_capacity(if count > 1 { 2 } else { 0 }));
        let set = loop {
            if left == 0 {
                break several.into();
            }
            let listed = self.listed(&mut input, at)?;
            if count == 1 {
                break ListedSet::of(listed);
            }
            several.push(listed);
            left -= 1;
        };
        *from = input;
        // As many more as there are if each takes 64 bytes: what is there bounds it, and no claim.
        keys.put(key, set, (input.left() + self.beyond) / 64);
        if self.text.is_full() || keys.is_part_full() { self.close(keys, input.left()) } else { Ok(()) }
    }

    /// Reads a run of keys with one entry each, and maybe a bare dot before it. Their text becomes a block as it is, unless it is short.
    #[inline(never)]
    fn run(&mut self, from: &mut Input<'_>, keys: &mut Keys) -> Result<(), &'static str> {
        let mut input = *from;
        let area = input.text().ok_or("text")?;
        let head = input.u64().ok_or(DAMAGED)?;
        let kind = head % HEADS / 4;
        if !matches!(kind, TEXT | JSON) || area.len() > BLOCK_MAX {
            return Err("a run of something else");
        }
        let origin = self.origins.at_place(head / HEADS, self.ids);
        let (origin, number) = origin.ok_or("a replica id that is not in the table")?;
        let (sequence, full) = (origin.sequence, origin.full);
        let author = if head & HAS_SESSION == 0 { self.alone(number) } else { self.author(&mut input, number) }?;
        let known = if head & HAS_KNOWN == 0 { None } else { Some(self.other_origin(&mut input, number)?) };
        let count = input.u64().and_then(|count| usize::try_from(count).ok());
        let count = count
            .filter(|count| (RUN_KEYS..=area.len() / run_text(known.is_some())).contains(count))
            .ok_or("a run of another length")?;
        let columns = input.rest();
        let at = |input: Input<'_>| columns.len() - input.left();
        let of_keys = at(input);
        let key = longest_of(&mut input, count)?;
        let of_values = at(input);
        let value = longest_of(&mut input, count)?;
        let ahead = at(input);
        let sequences = check_stamps(&mut input, count, sequence).ok_or("a column")?;
        let since = at(input);
        let clocks = check_stamps(&mut input, count, self.clock).ok_or("a column")?;
        if !are_sequences(&sequences) {
            return Err("a sequence out of range");
        }
        let beside = at(input);
        let (dot, dots) = match known {
            Some(other) => self.dots(&mut input, other, count)?,
            None => (0, None),
        };
        let (full, latest) = (full.max(*sequences.end()), self.latest.max(Hlc::from_bits(*clocks.end())));
        let columns = columns.get(..at(input)).unwrap_or_default();
        let numbers = [of_keys, of_values, ahead, since, beside].map(Numbers::new);
        let mut cursor = Cursor { numbers, at: 0, sequence, clock: self.clock, dot };
        let told = Run { author, known: dots, kind, columns };
        *from = input;
        // A short text is gathered with others: a block for each would weigh as much as what is in it.
        let block = if area.len() < SMALL && self.text.bytes.len() < BLOCK && keys.are_of_one_part(count) {
            None
        } else {
            // What was gathered before has a block of its own.
            if self.settled < keys.len() {
                self.close(keys, input.left())?;
            }
            Some(Block::in_pieces(area))
        };
        let (gathered, more) = (self.text.bytes.len(), (input.left() + self.beyond) / 64);
        let piece = |at, len| match &block {
            Some(block) => block.counted(at, len),
            None => Piece::within(gathered + at, len),
        };
        let run = block.as_ref().filter(|_| count >= BUNDLE).map(|block| (block, Arc::new(told.kept())));
        let (mut left, mut last, mut before) = (count, 0..0, self.text.last());
        while left > 0 {
            let (first, some) = (cursor, left.min(PART));
            last = cursor.pass_texts([area.as_bytes(), columns], some, before)?;
            before = area.as_bytes().get(last.clone()).unwrap_or_default();
            left -= some;
            match &run {
                Some((block, run)) if some >= BUNDLE => {
                    let text = block.counted(first.at, cursor.at - first.at);
                    cursor.pass_stamps(columns, some, known.is_some());
                    keys.put_bundle(Bundle::of(Arc::clone(run), text, first, some, &last));
                }
                _ => {
                    cursor = first;
                    let pairs = entries(&told, &mut cursor, piece);
                    keys.put_run(pairs.map(|(key, entry, known)| Pair::of(key, entry, known)), some, left + more);
                }
            }
        }
        if cursor.at != area.len() {
            return Err("a run of another length");
        }
        keys.count_run(count, area.len(), [key, value], known.is_some());
        (self.clock, self.latest) = (cursor.clock, latest);
        if let Some(origin) = self.origins.known.get_mut(number) {
            (origin.sequence, origin.full, origin.key) = (cursor.sequence, full, keys.len() - 1);
        }
        if let Some(origin) = known.and_then(|known| self.origins.known.get_mut(known)) {
            (origin.sequence, origin.key) = (cursor.dot, keys.len() - 1);
        }
        if block.is_none() {
            self.text.take_run(area, last);
            return if self.text.is_full() || keys.is_part_full() { self.close(keys, input.left()) } else { Ok(()) };
        }
        self.text.begin_behind(area.as_bytes().get(last).unwrap_or_default());
        self.settled = keys.len();
        Ok(())
    }

    /// Passes over the column of so many bare dots of the origin of this number: what they are told against, and whose they are.
    #[inline(never)]
    fn dots(
        &mut self,
        input: &mut Input<'_>,
        number: usize,
        count: usize,
    ) -> Result<(u64, Option<Arc<Author>>), &'static str> {
        let author = self.alone(number)?;
        let origin = self.origins.known.get_mut(number).ok_or(DAMAGED)?;
        let sequences = check_stamps(input, count, origin.sequence).ok_or("a column")?;
        if !are_sequences(&sequences) {
            return Err("a sequence out of range");
        }
        origin.known = origin.known.max(*sequences.end());
        Ok((origin.sequence, Some(author)))
    }

    /// Which origin is named next, another one than that of this number.
    #[inline(never)]
    fn other_origin(&mut self, input: &mut Input<'_>, number: usize) -> Result<usize, &'static str> {
        let place = input.u64().ok_or(DAMAGED)?;
        let (_, other) = self.origins.at_place(place, self.ids).ok_or("a replica id that is not in the table")?;
        if other == number { Err("an origin listed twice") } else { Ok(other) }
    }

    /// Makes a block of the texts of the keys that were put since the last one, which are of one part. `left`: how many bytes of
    /// the portion are not read yet.
    #[inline(never)]
    fn close(&mut self, keys: &mut Keys, left: usize) -> Result<(), &'static str> {
        keys.settle(self.settled, &self.text.close(left + self.beyond).ok_or("text")?);
        self.settled = keys.len();
        Ok(())
    }

    #[inline(always)]
    fn listed(&mut self, input: &mut Input<'_>, key: usize) -> Result<Listed, &'static str> {
        let head = input.near_u64().ok_or(DAMAGED)?;
        let (kind, flags) = (head % HEADS / 4, head % 4);
        let origin = self.origins.at_place(head / HEADS, self.ids);
        let (origin, number) = origin.ok_or("a replica id that is not in the table")?;
        if origin.key == key {
            return Err("an origin listed twice");
        }
        let sequence = apply(origin.sequence, input.near_i64().ok_or(DAMAGED)?);
        if !(1..=SEQUENCE_MAX).contains(&sequence) {
            return Err("a sequence out of range");
        }
        (origin.sequence, origin.key) = (sequence, key);
        if kind == KNOWN {
            origin.known = origin.known.max(sequence);
            return if flags == 0 {
                Ok(Listed::Known(Bare::by(self.alone(number)?, sequence)))
            } else {
                Err("a bare dot with flags")
            };
        }
        origin.full = origin.full.max(sequence);
        let clock = apply(self.clock, input.near_i64().ok_or(DAMAGED)?);
        self.clock = clock;
        self.latest = self.latest.max(Hlc::from_bits(clock));
        let content = match kind {
            TEXT | JSON => text_of(kind, self.value(input)?),
            _ => aside(input, |input| rare(input, kind))?,
        };
        let author = if flags & HAS_SESSION == 0 {
            self.alone(number)
        } else {
            aside(input, |input| self.author(input, number))
        }?;
        let author = if flags & HAS_EXPIRY == 0 {
            author
        } else {
            self.ending.until(&author, aside(input, |input| expiry(input, clock))?)
        };
        Ok(Listed::Entry(DataEntry::by(author, sequence, Hlc::from_bits(clock), content)))
    }

    /// Reads the text of a value.
    #[inline(always)]
    fn value(&mut self, input: &mut Input<'_>) -> Result<Text, &'static str> {
        self.text.value(input.near_text_bytes().ok_or("text")?)
    }

    /// Whoever writes for no session at the origin of this number.
    #[inline(never)]
    fn alone(&mut self, origin: usize) -> Result<Arc<Author>, &'static str> {
        let origin = self.origins.known.get_mut(origin).ok_or(DAMAGED)?;
        let alone = || Arc::new(Author::new(origin.id, None));
        Ok(Arc::clone(origin.alone.get_or_insert_with(alone)))
    }

    /// Whoever writes for the session that is named next, at the origin of this number.
    #[inline(never)]
    fn author(&mut self, input: &mut Input<'_>, origin: usize) -> Result<Arc<Author>, &'static str> {
        let place = input.near_u64().ok_or(DAMAGED)?;
        match usize::try_from(place).ok().and_then(|place| self.authors.get(place)) {
            Some(Some((by, author))) if *by == origin => Ok(Arc::clone(author)),
            Some(_) | None => self.new_author(place, origin),
        }
    }

    #[inline(never)]
    fn new_author(&mut self, place: u64, origin: usize) -> Result<Arc<Author>, &'static str> {
        let session = self.ids.session(place).ok_or("a session id that is not in the table")?;
        let replica = self.origins.known.get(origin).ok_or(DAMAGED)?.id;
        let author = Arc::new(Author::new(replica, Some(session)));
        let place = usize::try_from(place).map_err(|_| DAMAGED)?;
        // No more than the table has.
        if self.authors.len() <= place {
            self.authors.resize(place + 1, None);
        }
        self.authors.get_mut(place).into_iter().for_each(|held| *held = Some((origin, Arc::clone(&author))));
        Ok(author)
    }
}

/// Whether all between these are sequences.
fn are_sequences(all: &RangeInclusive<u64>) -> bool {
    *all.start() > 0 && *all.end() <= SEQUENCE_MAX
}

/// Lets what is rare read on.
#[inline(always)]
fn aside<'b, T>(input: &mut Input<'b>, read: impl FnOnce(&mut Input<'b>) -> T) -> T {
    let mut apart = *input;
    let read = read(&mut apart);
    *input = apart;
    read
}

/// What is no text.
#[inline(never)]
fn rare(input: &mut Input<'_>, kind: u64) -> Result<Content, &'static str> {
    match kind {
        TOMBSTONE => Ok(Content::Tombstone),
        BYTES => Ok(Content::Bytes(input.bytes().ok_or("bytes")?.into())),
        _ => Err("an unknown kind of entry"),
    }
}

/// The end of an entry of this clock.
#[inline(never)]
fn expiry(input: &mut Input<'_>, clock: u64) -> Result<Millis, &'static str> {
    let end = apply(Hlc::from_bits(clock).millis(), input.i64().ok_or(DAMAGED)?);
    if end <= MILLIS_MAX { Ok(end) } else { Err("an expiry out of range") }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::format;

    use super::*;
    use crate::codec::Writer;
    use crate::id::{ReplicaId, Space};
    use crate::store::delta::Delta;
    use crate::store::limits::Limits;
    use crate::store::{Log, SessionConsistentStore, Written};

    /// Short runs with single entries between them are what is left where every so-manieth key was written again.
    #[test]
    fn texts_of_short_runs_share_blocks() {
        let (Ok(space), Ok(id)) = (Space::first("s"), ReplicaId::new("a", [0; 10])) else { return };
        for (every, len) in [(9, 8), (10, 20), (14, 60), (40, 60), (200, 1)] {
            let mut store = SessionConsistentStore::new(Limits { batch_keys: 4_000, ..Limits::default() });
            let mut write = |every: usize| {
                let mut log = Log::default();
                let put = |n: usize| log.put(&format!("{n:05}"), Written::Text(&format!("{n:.>len$}")));
                (0..3_000).step_by(every).for_each(put);
                assert!(store.write(&space, id, None, log.finish(), &[], 1).is_ok());
            };
            write(1);
            write(every);
            let Some(delta) = store.extract(&space, &VersionVector::new()) else { panic!("nothing") };
            let mut writer = Writer::new();
            delta.encode(&mut writer);
            let read = Reader::open(&writer.finish()).and_then(|mut reader| Delta::decode(&mut reader));
            assert_eq!(read.as_ref(), Ok(&delta));
            let mut blocks = BTreeMap::new();
            for (key, set) in read.iter().flat_map(|delta| &delta.keys) {
                blocks.extend(key.piece.pinned());
                if let Some(Content::Text(text)) = set.first().and_then(Listed::content) {
                    blocks.extend(text.piece.pinned());
                }
            }
            let (many, pinned) = (blocks.len(), blocks.values().sum::<usize>());
            // The key before a block may stand in it once more.
            let text = store.bytes() as usize - 3_000 * 64;
            assert!(many <= 3_000 / 256 + 2 * text / SMALL + 1, "{many} blocks for {text} bytes: every {every}th");
            assert!(pinned <= text + 5 * many, "{pinned} bytes for {text}: every {every}th");
        }
    }

    /// A store in which a replica has written so many keys, of which so many follow each other that are of one kind.
    fn store_of(id: ReplicaId, space: &Space, keys: usize, alike: usize) -> SessionConsistentStore {
        let mut store = SessionConsistentStore::new(Limits { batch_keys: 4_000, ..Limits::default() });
        let mut log = Log::default();
        for n in 0..keys {
            let text = format!("\"{n:.>17}\"");
            let text = if (n / alike).is_multiple_of(2) { Written::Text(&text) } else { Written::Json(&text) };
            log.put(&format!("{n:05}"), text);
        }
        assert!(store.write(space, id, None, log.finish(), &[], 1).is_ok());
        store
    }

    /// However they are told: the limits ask this of them, and of what others have sent.
    #[test]
    fn what_is_told_in_runs_is_what_each_of_them_has_and_all_of_its_text_is_there() {
        let (Ok(space), Ok(one), Ok(two)) =
            (Space::first("s"), ReplicaId::new("a", [0; 10]), ReplicaId::new("b", [1; 10]))
        else {
            return;
        };
        // Runs that end where a part does, and none that does; short ones, and such as are blocks.
        for (keys, alike) in [(600, 8), (600, 16), (600, 9), (7, 600), (600, 50), (600, 600)] {
            let (store, mut beside) = (store_of(one, &space, keys, alike), store_of(two, &space, keys, alike));
            let known = store.vector(&space).clone();
            for (from, count) in [(VersionVector::new(), 1), (known, 2)] {
                let Some(told) = if count == 1 { &store } else { &beside }.extract(&space, &from) else { return };
                let mut writer = Writer::new();
                told.encode(&mut writer);
                let read = Reader::open(&writer.finish()).and_then(|mut reader| Delta::decode(&mut reader));
                let Ok(read) = read else { panic!("{read:?}") };
                assert!(read == told && read.keys.iter().all(|(_, set)| set.len() == count));
                assert_eq!(format!("{:?}", read.keys.extent()), format!("{:?}", told.keys.extent()));
                assert!(beside.apply(read).is_ok());
            }
        }
    }
}
