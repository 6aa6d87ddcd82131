//! The sessions of each user at other replicas, found by user, because limits count them.
//!
//! Invariant: an entry was reported once; the roster says whether it still counts. A session occurs once.

use alloc::sync::Arc;

use hashbrown::HashTable;

use super::manager::hash;
use crate::id::SessionId;

/// Sessions by user.
#[derive(Debug, Default)]
pub struct Crowd(HashTable<(Arc<str>, SessionId)>);

impl Crowd {
    /// Adds a session of a user.
    pub fn note(&mut self, user: &Arc<str>, session: SessionId) {
        if self.of(user).all(|known| known != session) {
            self.0.insert_unique(hash(Some(user)), (user.clone(), session), |(user, _)| hash(Some(user)));
        }
    }

    /// The sessions of a user.
    pub fn of(&self, user: &Arc<str>) -> impl Iterator<Item = SessionId> {
        let same = self.0.iter_hash(hash(Some(user))).filter(move |(one, _)| one == user);
        same.map(|(_, session)| *session)
    }

    /// Drops the sessions for which `stays` is false.
    pub fn retain(&mut self, stays: impl Fn(&SessionId) -> bool) {
        self.0.retain(|(_, session)| stays(session));
    }
}
