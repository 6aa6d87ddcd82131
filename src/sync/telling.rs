//! Fences to and from one peer: told first, stop and wait, since what the peer has said that it has heard.
//!
//! Where there are many, the first word is what they come to: a peer that holds the same needs to be told none, so that a
//! link that comes back costs a few bytes. Invariant: what the peer is taken to know is never more than it has said; losing,
//! repeating or reordering messages costs time only.

use alloc::vec::Vec;

use crate::id::SessionId;
use crate::store::fence::{Fence, Fences};
use crate::sync::message::Message;
use crate::time::Millis;

/// So many fences are told without asking whether the peer has them.
const FEW: usize = 64;

/// What is known of a peer's fences.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// The own number up to which the peer has heard; none: it was not asked yet.
    heard: Option<u64>,
    /// When it was told last, if it has not answered.
    under_way: Option<Millis>,
    attempts: u32,
}

impl Telling {
    /// Nothing was said yet.
    pub(super) const NEW: Self = Self { heard: None, under_way: None, attempts: 0 };

    /// What is to be told now, if the last word was answered or is older than `pause` of so many attempts.
    pub(super) fn speak(&mut self, fences: &Fences, now: Millis, pause: impl Fn(u32) -> Millis) -> Option<Message> {
        if !fences.is_shared() || self.heard.unwrap_or(0) >= fences.last() {
            return None;
        }
        if let Some(since) = self.under_way {
            if now < since.saturating_add(pause(self.attempts)) {
                return None;
            }
            self.attempts = self.attempts.saturating_add(1);
        }
        self.under_way = Some(now);
        let (fences_since, told) = match self.heard {
            Some(heard) => fences.since(heard),
            None if fences.len() <= FEW => fences.since(0),
            None => (Vec::new(), fences.last()),
        };
        Some(Message::Fence { told, heard: 0, digest: fences.digest(), fences: fences_since })
    }

    /// When it is to be told again.
    pub(super) fn deadline(&self, pause: impl Fn(u32) -> Millis) -> Option<Millis> {
        self.under_way.map(|since| since.saturating_add(pause(self.attempts)))
    }

    pub(super) fn set_back(&mut self, back: Millis) {
        self.under_way = self.under_way.map(|since| since.saturating_sub(back));
    }

    /// The answer, if there is one, comes with the next request.
    pub(super) const fn ask_anew(&mut self) {
        self.under_way = None;
    }

    /// Takes in what the peer says; which sessions that concerns is added to `changed`. What to answer.
    pub(super) fn hear(
        &mut self,
        (told, heard, digest): (u64, u64, u64),
        said: Vec<(SessionId, Fence)>,
        fences: &mut Fences,
        changed: &mut Vec<SessionId>,
    ) -> Option<Message> {
        if told == 0 {
            // An answer. Whoever has heard nothing is told everything.
            if heard <= fences.last() {
                self.heard = Some(heard);
                self.under_way = None;
                self.attempts = 0;
            }
            return None;
        }
        let greeting = said.is_empty();
        for (session, fence) in said {
            if fences.join(session, fence) {
                changed.push(session);
            }
        }
        let same = digest == fences.digest();
        if same {
            self.heard = Some(fences.last());
            self.under_way = None;
        }
        let heard = if same || !greeting { told } else { 0 };
        Some(Message::Fence { told: 0, heard, digest: 0, fences: Vec::new() })
    }
}
