//! A run: the slices of one large delta that are under way to a peer.
//!
//! A window of slices goes out before the peer has asked for more, so that not every slice costs a round trip. A peer
//! that asks from a key at which no slice under way ends has lost some. It gets what follows that key again, one slice
//! at first.
//!
//! Invariant: the window is bounded in slices and in bytes, so a slow peer costs no memory. The run keeps the last keys
//! of slices, never their contents: these are encoded from the current state.

use alloc::vec::Vec;

use crate::id::Space;
use crate::store::entry::Key;
use crate::store::space::{SpaceState, Stretch};
use crate::sync::message::{Cut, Message};
use crate::sync::peer::SLICE_BYTES;
use crate::time::Hlc;
use crate::vector::VersionVector;

/// The most slices under way. Another is added only while they weigh less than `SLICES_MAX * SLICE_BYTES` together.
pub(crate) const SLICES_MAX: usize = 4;

/// One run of slices, as its sender knows it.
#[derive(Debug)]
pub(crate) struct Run {
    from: VersionVector,
    base: VersionVector,
    /// The key up to which the peer has said that it has everything.
    after: Option<Key>,
    /// The last key and the weight of each slice under way.
    ends: Vec<(Key, u64)>,
    /// How many may be under way: one more with each slice that has arrived, so that a slow link is not filled at once.
    window: usize,
    whole: bool,
    heard: bool,
    /// Where the last slice ended in the order of keys, which is usually where the next one begins.
    lies: usize,
}

impl Run {
    /// The run of the delta since `from`, whose first slice is cut at the vector `base`.
    pub(crate) const fn new(from: VersionVector, base: VersionVector) -> Self {
        Self { from, base, after: None, ends: Vec::new(), window: 1, whole: false, heard: false, lies: 0 }
    }

    pub(crate) fn is_of(&self, from: &VersionVector, base: &VersionVector) -> bool {
        self.from == *from && self.base == *base
    }

    /// Whether the peer has asked for more. Then it asks for missing slices itself, and the sender need not repeat
    /// them.
    pub(crate) const fn is_heard(&self) -> bool {
        self.heard
    }

    /// The peer has everything up to `after` and asks for what follows.
    pub(crate) fn asked(&mut self, after: Option<&Key>) {
        self.heard = true;
        match self.ends.iter().position(|(end, _)| Some(end) == after) {
            Some(at) => {
                self.ends.drain(..=at);
                self.window = SLICES_MAX.min(self.window + 1);
            }
            None => {
                self.ends.clear();
                self.window = 1;
                self.whole = false;
            }
        }
        self.after = after.cloned();
    }

    /// The last key of the last slice under way, if another slice may follow it.
    fn next(&self) -> Option<Option<&Key>> {
        let weight: u64 = self.ends.iter().map(|(_, weight)| weight).sum();
        let room = self.ends.len() < self.window && weight < SLICE_BYTES * SLICES_MAX as u64;
        let end = self.ends.last().map(|(end, _)| end).or(self.after.as_ref());
        (room && !self.whole).then_some(end)
    }

    /// The first slice, which the peer did not ask for.
    pub(crate) fn first(&mut self, space: &Space, state: &SpaceState) -> Message {
        self.cut(space, state, None, Stretch { more: true, ..state.stretch(&self.from, None, SLICE_BYTES, 0) })
    }

    /// The slices that may be sent now, and after the last one the top-up.
    pub(crate) fn fill(&mut self, space: &Space, state: &SpaceState, hlc: Hlc, messages: &mut Vec<Message>) {
        while let Some(after) = self.next().map(|after| after.cloned()) {
            let stretch = state.stretch(&self.from, after.as_deref(), SLICE_BYTES, self.lies);
            let last = !stretch.more;
            messages.push(self.cut(space, state, after, stretch));
            if last {
                let delta = state.extract_since(space, &self.from, &self.base, hlc);
                messages.push(Message::TopUp { base: self.base.clone(), delta });
            }
        }
    }

    fn cut(&mut self, space: &Space, state: &SpaceState, after: Option<Key>, stretch: Stretch<'_>) -> Message {
        let Stretch { end, keys, weight, more, lies } = stretch;
        let end = end.map(Key::apart);
        self.ends.extend(end.clone().map(|end| (end, weight)));
        (self.whole, self.lies) = (!more, lies.end);
        let (space, from, base, at) = (space.clone(), self.from.clone(), self.base.clone(), state.vector().clone());
        Message::Cut(Cut { space, from, base, at, after, end, last: !more, keys, weight, lies })
    }
}
