//! Counts the answers to clients that wait in the outbox while storage is late.
//!
//! Invariant: no more than [`SESSION_BYTES`] wait for a session and no more than [`BYTES`] in total, plus one answer
//! beyond that each. Above that, messages of the session are dropped: nothing leaves before storage has caught up
//! anyway.

use litemap::LiteMap;

use crate::id::SessionId;
use crate::mutant::{Mutant, Trust, off};

/// The most bytes that wait for one session, and in total.
const SESSION_BYTES: usize = 2 << 20;
const BYTES: usize = 64 << 20;

/// How many bytes wait.
#[derive(Debug, Default)]
pub(super) struct Late {
    sessions: LiteMap<SessionId, usize>,
    all: usize,
}

impl Late {
    pub(super) fn add(&mut self, session: SessionId, bytes: usize) {
        *self.sessions.entry(session).or_insert(0) += bytes;
        self.all += bytes;
    }

    pub(super) fn remove(&mut self, session: SessionId, bytes: usize) {
        self.all = self.all.saturating_sub(bytes);
        if let Some(waiting) = self.sessions.get_mut(&session) {
            *waiting = waiting.saturating_sub(bytes);
            if *waiting == 0 {
                self.sessions.remove(&session);
            }
        }
    }

    /// Whether so much waits that messages of the session are dropped.
    pub(super) fn is_full(&self, session: SessionId) -> bool {
        let own = self.sessions.get(&session).copied().unwrap_or_default();
        (own >= SESSION_BYTES || self.all >= BYTES) && !off(Mutant::Trust(Trust::Late))
    }
}
