//! The acknowledgements owed to one peer.
//!
//! A delta is acknowledged at once, unless the two replicas are in conversation, that is, an own delta has followed the
//! last one within the pause. Then the next acknowledgement waits that long for a delta to travel with. This saves half
//! of the messages of a conversation.
//!
//! Invariant: an acknowledgement is sent no later than the pause. A replica that stops answering waits for it once.

use alloc::vec::Vec;

use litemap::LiteMap;

use crate::id::Space;
use crate::store::SessionConsistentStore;
use crate::sync::message::Message;
use crate::time::Millis;

/// The spaces to acknowledge, and since when.
#[derive(Debug)]
pub(crate) struct Owed {
    spaces: LiteMap<Space, Millis>,
    /// When the last delta arrived.
    heard_at: Option<Millis>,
    talking: bool,
}

impl Owed {
    pub(crate) const fn new() -> Self {
        Self { spaces: LiteMap::new(), heard_at: None, talking: false }
    }

    /// A delta of the space was applied.
    pub(crate) fn put(&mut self, space: Space, now: Millis) {
        self.heard_at = Some(now);
        self.owe(space, now);
    }

    /// The peer waits to hear what this replica holds of the space.
    pub(crate) fn owe(&mut self, space: Space, now: Millis) {
        self.spaces.entry(space).or_insert(now);
    }

    /// Another message tells the peer.
    pub(crate) fn clear(&mut self) {
        self.spaces.clear();
    }

    /// The clock was set back by `back`.
    pub(crate) fn set_back(&mut self, back: Millis) {
        self.heard_at = self.heard_at.map(|at| at.saturating_sub(back));
        self.spaces.iter_mut().for_each(|(_, since)| *since = since.saturating_sub(back));
    }

    /// When an acknowledgement is due if no message goes earlier. A replica that itself waits for an acknowledgement
    /// sends its own at once; otherwise each end could wait for the other.
    pub(crate) fn deadline(&self, waits: bool, pause: Millis) -> Option<Millis> {
        let since = self.spaces.values().min()?;
        Some(since.saturating_add(if self.talking && !waits { pause } else { 0 }))
    }

    /// The acknowledgements to send with `messages`, if any message goes or they are due.
    pub(crate) fn due(
        &mut self,
        messages: &[Message],
        store: &SessionConsistentStore,
        (waits, pause): (bool, Millis),
        now: Millis,
    ) -> Vec<Message> {
        let late = self.deadline(waits, pause).is_some_and(|at| at <= now);
        if messages.iter().any(|message| matches!(message, Message::Delta(_))) {
            self.talking = self.heard_at.is_some_and(|at| now.saturating_sub(at) <= pause);
        } else if late && !waits {
            self.talking = false;
        }
        if self.spaces.is_empty() || (messages.is_empty() && !late) {
            return Vec::new();
        }
        // A hello contains all vectors, and a delta that of its space.
        let tells = |message: &Message, space: &Space| {
            matches!(message, Message::Hello { .. })
                || matches!(message, Message::Delta(delta) if delta.space == *space)
        };
        let untold = self.spaces.keys().filter(|space| !messages.iter().any(|message| tells(message, space)));
        let acks = untold.map(|space| Message::Ack { vector: store.vector(space).clone(), space: space.clone() });
        let acks = acks.collect();
        self.spaces.clear();
        acks
    }
}
