//! What clients are answered while storage is late: it waits in the outbox, and this counts it.
//!
//! Invariant: of a session no more waits than [`SESSION_BYTES`], of all no more than [`BYTES`], and one answer beyond it each.
//! Who has that much coming is not listened to: nobody hears anything from here before storage has caught up.

use litemap::LiteMap;

use crate::id::SessionId;
use crate::mutant::{Mutant, Trust, off};

/// The most that waits for one session, and for all, in bytes.
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

    /// Whether enough waits for a session.
    pub(super) fn is_full(&self, session: SessionId) -> bool {
        let own = self.sessions.get(&session).copied().unwrap_or_default();
        (own >= SESSION_BYTES || self.all >= BYTES) && !off(Mutant::Trust(Trust::Late))
    }
}
