//! Frames that lie elsewhere and are read through a window: as the whole is, wherever the window ends.

use super::any::any_frame;
use super::*;
use edge_session::codec::Source;
use edge_session::error::ErrorCode;
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
