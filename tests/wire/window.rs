//! Frames that lie elsewhere and are read through a window: as the whole is, wherever the window ends.

use super::any::any_frame;
use super::*;
use edge_session::codec::Source;
use edge_session::error::ErrorCode;
use edge_session::store::entry::Key;
use proptest::prelude::*;
use std::cell::Cell;

/// Under Miri every step is a thousand, and one case takes seconds.
const CASES: u32 = if cfg!(miri) { 1 } else { 512 };

/// Bytes of which so many are looked at at a time.
pub(super) struct Window<'a> {
    bytes: &'a [u8],
    window: usize,
    /// The most that were asked for at a time.
    most: Cell<usize>,
}

impl<'a> Window<'a> {
    pub(super) fn of(bytes: &'a [u8], window: usize) -> Self {
        Self { bytes, window, most: Cell::new(0) }
    }
}

impl Source for Window<'_> {
    fn size(&self) -> usize {
        self.bytes.len()
    }

    fn copy(&self, from: usize, into: &mut [u8]) {
        self.most.set(self.most.get().max(into.len()));
        into.copy_from_slice(&self.bytes[from..from + into.len()]);
    }

    fn window(&self) -> usize {
        self.window
    }
}

fn read(source: &dyn Source) -> Result<Frame, (ErrorCode, String)> {
    Frame::decode_from(source).map_err(|error| (error.code(), error.to_string()))
}

/// Keys in runs, long and short, some by themselves, and values that no small window holds; not all of it is ASCII.
fn store() -> SessionConsistentStore {
    let mut store = SessionConsistentStore::new(Limits::default());
    let mut write = |id, session, keys: &mut dyn Iterator<Item = usize>, value: &dyn Fn(usize) -> String| {
        let mut log = Log::default();
        keys.for_each(|n| log.put(&format!("ключ {n:04}"), Written::Text(&value(n))));
        store.write(&space(), id, session, log.finish(), &[], TIME).unwrap();
    };
    write(fra1(), Some(session()), &mut (0..300), &|n| format!("naïve {n} – {}", "ü".repeat(n % 7)));
    write(tab(), None, &mut (100..200).step_by(9), &|n| "€".repeat(n));
    write(fra1(), None, &mut (220..260).step_by(2), &|n| format!("{n}"));
    write(tab(), None, &mut (290..330), &|n| if n == 310 { "long ".repeat(1_000) } else { n.to_string() });
    store
}

fn snapshot() -> Vec<u8> {
    let delta = store().extract(&space(), &VersionVector::new()).unwrap();
    Frame { from: fra1(), to: None, messages: vec![Message::Reset, Message::Delta(delta)] }.encode()
}

#[test]
fn wherever_a_window_ends_the_same_is_read() {
    let bytes = snapshot();
    let whole = Frame::decode(&bytes).unwrap();
    let step = if cfg!(miri) { 997 } else { 1 };
    for window in (1..400).chain((400..bytes.len() + 2).step_by(37)).step_by(step) {
        let source = Window::of(&bytes, window);
        assert!(Frame::decode_from(&source).unwrap() == whole, "a window of {window}");
        // Ids and vectors lie in the first one, and the longest value in one that has grown.
        if window >= 200 {
            assert!(source.most.get() <= window.max(2 * 5_200), "a window of {window}: {}", source.most.get());
        }
    }
}

/// Entries of every kind, with and without what they may have, by themselves and beside others, and runs of either kind.
fn kinds() -> Vec<Frame> {
    let mut keys: Vec<(Key, ListedSet)> = Vec::new();
    for n in 1..200_u64 {
        let text = "x".repeat(n as usize % 11);
        let content = |kind| match kind % 4 {
            0 => Content::Tombstone,
            1 => Content::Text(text.as_str().into()),
            2 => Content::Json(text.as_str().into()),
            _ => Content::Bytes(text.as_bytes().into()),
        };
        let more =
            |kind: u64| (((kind >> 2) & 1 == 1).then(session), ((kind >> 3) & 1 == 1).then_some(TIME + 90_000_000));
        let full = |kind, id| {
            let (session, end) = more(kind);
            Listed::Entry(DataEntry::new(content(kind), Dot::new(id, n + 1), hlc(n), session, end))
        };
        let set = match n % 3 {
            0 => vec![full(n, fra1()), full(n / 3, tab())],
            1 => vec![full(n / 3, fra1())],
            _ => vec![full(n / 3, fra1()), Listed::Known(Dot::new(tab(), n).into())],
        };
        keys.push((format!("{n:04}").as_str().into(), set.into()));
    }
    let (from, to) = (vector(&[(tab(), 200)]), vector(&[(fra1(), 200), (tab(), 200)]));
    let single = Delta { space: space(), from, to, hlc: hlc(200), keys: keys.into_iter().collect() };
    let mut all = vec![single];
    for by in [None, Some(session())] {
        let store = |id| {
            let (mut store, mut log) = (SessionConsistentStore::new(Limits::default()), Log::default());
            for n in 0..400 {
                let text = format!("{n:>40}");
                let text = if n / 40 % 2 == 0 { Written::Text(&text) } else { Written::Json(&text) };
                log.put(&format!("{n:04}"), text);
            }
            store.write(&space(), id, by, log.finish(), &[], TIME).unwrap();
            store
        };
        let (one, mut both) = (store(fra1()).extract(&space(), &VersionVector::new()).unwrap(), store(tab()));
        let known = one.to.clone();
        both.apply(one.clone()).unwrap();
        all.push(one);
        all.extend([VersionVector::new(), known].map(|known| both.extract(&space(), &known).unwrap()));
    }
    all.into_iter().map(|delta| Frame { from: fra1(), to: None, messages: vec![Message::Delta(delta)] }).collect()
}

/// What is read as a whole where a window would do is read as well: only what was asked for tells.
#[test]
fn where_anything_ends_is_seen_in_a_window_whatever_it_is() {
    for frame in kinds() {
        let bytes = frame.encode();
        // No less than a run, or what stands before the keys.
        let least = bytes.len() / 3;
        let step = if cfg!(miri) { 97 } else { 1 };
        for window in (least..least + 100).step_by(step) {
            let source = Window::of(&bytes, window);
            assert!(Frame::decode_from(&source).unwrap() == frame, "a window of {window}");
            assert!(source.most.get() <= window, "{} of {}: a window of {window}", source.most.get(), bytes.len());
        }
    }
}

#[test]
fn what_follows_the_long_part_of_a_frame_is_read_too() {
    let (delta, other) = (store().extract(&space(), &VersionVector::new()).unwrap(), bulk());
    let last = Message::Ack { space: space(), vector: delta.to.clone() };
    for messages in
        [vec![Message::Delta(delta.clone()), last.clone()], vec![Message::Delta(other), Message::Delta(delta), last]]
    {
        let frame = Frame { from: fra1(), to: None, messages };
        let bytes = frame.encode();
        for window in [150, 300, 1_000, 4_000] {
            let source = Window::of(&bytes, window);
            assert!(Frame::decode_from(&source).unwrap() == frame, "a window of {window}");
        }
        // Nothing may stand behind a frame, in whichever window.
        let more = [&*bytes, &[0]].concat();
        for window in [300, 1_000, bytes.len(), more.len()] {
            assert_eq!(read(&Window::of(&more, window)), read(&&*more), "a window of {window}");
        }
    }
}

#[test]
fn damage_in_whichever_portion_is_told_as_of_the_whole() {
    let bytes = snapshot();
    let step = if cfg!(miri) { 4_999 } else { 61 };
    for at in (0..bytes.len()).step_by(step) {
        for harm in [1, 0x20, 0x80] {
            let mut bytes = bytes.clone();
            bytes[at] ^= harm;
            assert!(read(&Window::of(&bytes, 700)) == read(&&*bytes), "byte {at} ^ {harm}");
        }
        assert_eq!(read(&Window::of(&bytes[..at], 700)), read(&&bytes[..at]), "cut at {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn any_frame_is_read_through_any_window(frame in any_frame(), window in 1..400_usize, harm in prop::option::of((any::<prop::sample::Index>(), any::<u8>()))) {
        let mut bytes = frame.encode();
        if let Some((at, byte)) = harm {
            *at.get_mut(&mut bytes) = byte;
        }
        prop_assert_eq!(read(&Window::of(&bytes, window)), read(&&*bytes));
    }
}
