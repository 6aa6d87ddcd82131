//! The replica and its storage: loading what storage has, snapshots, and confirmations that records are durable.
//!
//! Invariants:
//!
//! * A snapshot or record is applied as a whole or not at all.
//! * A snapshot that leaves contains nothing that storage lacks.
//! * Nothing is loaded of a space that was dropped, as far as this replica knows.

use alloc::vec::Vec;

use super::{Replica, journal};
use crate::codec::{Rope, Source};
use crate::error::{ErrorCode, SessionError};
use crate::id::SessionId;
use crate::store::fence::Fence;
use crate::sync::message::{Frame, Message};
use crate::time::Millis;

impl Replica {
    /// Loads what storage has: the snapshot first, then each record in order, before anything else. The replica
    /// continues under the id of the last one.
    ///
    /// # Errors
    /// `MESSAGE_MALFORMED`, `PROTOCOL_MISMATCH` for damaged bytes; `STALE_REPLICA` if an earlier record is missing. The
    /// frame is not applied.
    pub fn load(&mut self, bytes: &[u8], now: Millis) -> Result<(), SessionError> {
        self.load_from(&bytes, now)
    }

    /// As [`Replica::load`], from a source.
    ///
    /// # Errors
    /// As [`Replica::load`].
    pub fn load_from(&mut self, source: &dyn Source, now: Millis) -> Result<(), SessionError> {
        self.now = now;
        let frame = Frame::decode_from(source)?;
        let resets = frame.messages.iter().any(|message| matches!(message, Message::Reset));
        if resets && self.sessions.iter().next().is_some() {
            let cause = "a record that replaces the state is taken back before a session opens, not after";
            return Err(SessionError::malformed(cause));
        }
        let before = core::mem::take(&mut self.identities);
        // A record that names ids names all of them. The id that this replica was opened with has written nothing.
        let named = frame.messages.iter().any(|message| matches!(message, Message::Bind { .. }));
        if !named {
            self.identities = before.clone();
        }
        if let Err(error) = self.join_messages(frame.messages) {
            self.identities = before;
            return Err(error);
        }
        // What is loaded from storage is not reported as news.
        self.fresh.clear();
        self.id = frame.from;
        self.folds.clear();
        self.journal.loaded(self.id, &self.store);
        Ok(())
    }

    /// Joins a snapshot of another replica, or of an earlier time, and takes a new id, because writes made after the
    /// snapshot may exist that this replica does not know.
    ///
    /// # Errors
    /// As [`Replica::load`].
    pub fn restore(&mut self, bytes: &[u8], now: Millis) -> Result<(), SessionError> {
        self.restore_from(&bytes, now)
    }

    /// As [`Replica::restore`], from a source.
    ///
    /// # Errors
    /// As [`Replica::load`].
    pub fn restore_from(&mut self, source: &dyn Source, now: Millis) -> Result<(), SessionError> {
        self.input(now);
        let frame = Frame::decode_from(source)?;
        // The snapshot's own ids and replacements do not matter here.
        let aside = |message: &Message| matches!(message, Message::Reset | Message::Bind { .. });
        self.join_messages(frame.messages.into_iter().filter(|message| !aside(message)).collect())?;
        self.rename();
        Ok(())
    }

    /// Joins what another replica of the same place has left behind: the snapshot first, then each record in order.
    /// Unlike [`Replica::restore`] this keeps the id, because nobody uses the other one while its state is held.
    ///
    /// # Errors
    /// As [`Replica::load`].
    pub fn absorb(&mut self, bytes: &[u8], now: Millis) -> Result<(), SessionError> {
        self.absorb_from(&bytes, now)
    }

    /// As [`Replica::absorb`], from a source.
    ///
    /// # Errors
    /// As [`Replica::load`].
    pub fn absorb_from(&mut self, source: &dyn Source, now: Millis) -> Result<(), SessionError> {
        self.input(now);
        let frame = Frame::decode_from(source)?;
        self.look_for_amnesia(&frame.messages);
        self.folds.keep_pasts(&self.store);
        // A replacement of the state there does not undo what is held here.
        self.join_messages(frame.messages.into_iter().filter(|message| !matches!(message, Message::Reset)).collect())
    }

    /// Takes a new id and keeps everything else: the state may be a copy, or another replica may continue with it.
    pub fn renew(&mut self, now: Millis) {
        self.input(now);
        self.suspect = false;
        self.rename();
    }

    /// Sets whether another replica may be writing under this id now. While that is unsettled, the next write takes a
    /// new id first; without a write nothing changes.
    pub const fn suspect(&mut self, suspect: bool) {
        self.suspect = suspect;
    }

    fn join_messages(&mut self, mut messages: Vec<Message>) -> Result<(), SessionError> {
        if let [Message::Delta(_)] = messages.as_slice() {
            let Some(Message::Delta(delta)) = messages.pop() else { return Ok(()) };
            let space = delta.space.clone();
            if !self.store.is_over(&space) {
                let changed = self.store.take_back(delta)?;
                self.note(&space, changed);
            }
            return Ok(());
        }
        // All or nothing: the copy becomes the state once every delta was applied.
        let mut joined = self.store.clone();
        let (mut applied, mut fenced, mut secrets) = (Vec::new(), Vec::new(), Vec::new());
        for message in messages {
            if let Message::Delta(delta) = message {
                if joined.is_over(&delta.space) {
                    continue;
                }
                applied.push((delta.space.clone(), joined.take_back(delta)?));
            } else if let Message::Fence { fences, .. } = message {
                let mut news =
                    |(session, fence): &&(SessionId, Fence)| joined.fences_mut().join(*session, fence.clone());
                fenced.extend(fences.iter().filter(&mut news).map(|(session, _)| *session));
            } else if message == Message::Reset {
                joined = joined.emptied();
            } else if let Message::Bind { ids } = message {
                secrets.extend(ids);
            } else {
                return Err(SessionError::malformed("a snapshot or record holds fences and deltas only"));
            }
        }
        self.store = joined.in_place_of(&self.store);
        secrets.into_iter().for_each(|(id, secret)| self.identities.keep(id, secret));
        for (space, changed) in applied {
            self.note(&space, changed);
        }
        self.heed_fences(&fenced);
        Ok(())
    }

    /// The whole state as bytes, which another replica can `restore`.
    ///
    /// # Errors
    /// `STALE_REPLICA` while something is not durable yet and therefore must not leave. Flush first.
    pub fn snapshot(&mut self) -> Result<Vec<u8>, SessionError> {
        self.snapshot_in_parts().map(Rope::into_vec)
    }

    /// As [`Replica::snapshot`], without copying: the parts are copied once, to where they are needed.
    ///
    /// # Errors
    /// As [`Replica::snapshot`].
    pub fn snapshot_in_parts(&mut self) -> Result<Rope, SessionError> {
        self.work();
        if !self.journal.settled() {
            return Err(SessionError::new(ErrorCode::StaleReplica, "writes are not durable yet; flush first"));
        }
        Ok(journal::snapshot(self.id, None, &self.store))
    }

    /// A snapshot for this replica's own storage. It replaces all records up to the returned number.
    pub fn compaction(&mut self) -> (u64, Rope) {
        self.work();
        let secrets = if self.keyring.is_some() { None } else { Some(&self.identities) };
        (self.journal.gate(), journal::snapshot(self.id, secrets, &self.store))
    }

    /// Storage has all records up to `n`.
    pub fn persisted(&mut self, n: u64, now: Millis) {
        self.input(now);
        self.journal.persisted(n);
    }
}
