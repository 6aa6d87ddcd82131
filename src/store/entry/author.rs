//! The author of an entry: the replica that accepted it and the session that wrote it. Entries of the same author share one
//! record. Expiring entries have a record of their own kind, with the expiry, so that others need no room for it.
//!
//! Invariant: entries compare by the contents of their authors, never by identity. So [`Authors`] may forget records, which
//! costs memory and nothing else.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::id::{ReplicaId, SessionId};
use crate::time::{MILLIS_MAX, Millis};

/// The end of what does not end; no time is as great.
const ENDLESS: Millis = Millis::MAX;

/// The replica, and the session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Author {
    pub(crate) replica: ReplicaId,
    pub(crate) session: Option<SessionId>,
    /// When what it wrote ends, or [`ENDLESS`].
    ends: Millis,
}

impl Author {
    /// Who writes what does not end.
    pub(crate) const fn new(replica: ReplicaId, session: Option<SessionId>) -> Self {
        Self { replica, session, ends: ENDLESS }
    }

    /// The same of what ends then, in milliseconds since 1970 (cut to [`MILLIS_MAX`]).
    pub(crate) fn until(&self, end: Millis) -> Self {
        Self { ends: end.min(MILLIS_MAX), ..self.clone() }
    }

    /// The same, where another replica accepts it.
    pub(crate) fn at(&self, replica: ReplicaId) -> Self {
        Self { replica, ..self.clone() }
    }

    /// When what it wrote ends, if it does.
    pub(crate) const fn ends(&self) -> Option<Millis> {
        if self.is_endless() { None } else { Some(self.ends) }
    }

    /// Whether what it wrote does not end.
    #[inline(always)]
    pub(crate) const fn is_endless(&self) -> bool {
        self.ends == ENDLESS
    }
}

/// Authors of late of what does not end, so that those who write often are held once. Each has one place, which the next one of that place takes:
/// nobody can make it slow by the ids that he chooses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authors {
    known: Vec<Option<Arc<Author>>>,
    pub(crate) ending: Ending,
}

/// The author of late of what ends: what is made together ends together, mostly, and shares one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ending(Option<Arc<Author>>);

impl Ending {
    /// The author of what this one makes that ends then, in milliseconds since 1970.
    pub(crate) fn until(&mut self, author: &Author, end: Millis) -> Arc<Author> {
        let wanted = author.until(end);
        match &self.0 {
            Some(last) if **last == wanted => Arc::clone(last),
            _ => Arc::clone(self.0.insert(Arc::new(wanted))),
        }
    }
}

const FEWEST: usize = 4;
const MOST: usize = 1_024;

impl Authors {
    /// The author of these.
    pub(crate) fn of(&mut self, replica: ReplicaId, session: Option<SessionId>) -> Arc<Author> {
        let is = |author: &Author| author.replica == replica && author.session == session;
        let place = self.place(session);
        match self.known.get(place) {
            Some(Some(author)) if is(author) => return Arc::clone(author),
            Some(None) => {}
            Some(Some(_)) | None => self.grow(),
        }
        let author = Arc::new(Author::new(replica, session));
        let place = self.place(session);
        if let Some(known) = self.known.get_mut(place) {
            *known = Some(Arc::clone(&author));
        }
        author
    }

    /// The last byte of a session's id is random.
    const fn place(&self, session: Option<SessionId>) -> usize {
        match session {
            Some(session) => {
                let [.., more, last] = *session.as_bytes();
                u16::from_le_bytes([last, more]) as usize & self.known.len().saturating_sub(1)
            }
            None => 0,
        }
    }

    #[inline(never)]
    fn grow(&mut self) {
        let places = (2 * self.known.len()).clamp(FEWEST, MOST);
        if places == self.known.len() {
            return;
        }
        let known = core::mem::take(&mut self.known);
        self.known.resize(places, None);
        for author in known.into_iter().flatten() {
            let place = self.place(author.session);
            self.known.get_mut(place).into_iter().for_each(|known| *known = Some(Arc::clone(&author)));
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    #[test]
    fn who_writes_again_is_held_once() {
        let mut authors = Authors::default();
        let replica = |n: u8| ReplicaId::new("a", [n; 10]);
        let session = |n: u8| Some(SessionId::from_bytes([n; 16]));
        for n in 0..40 {
            let Ok(replica) = replica(n % 2) else { return };
            let first = authors.of(replica, session(n));
            assert_eq!(*first, Author::new(replica, session(n)));
            assert!(Arc::ptr_eq(&first, &authors.of(replica, session(n))));
        }
        let last = authors.known.iter().flatten().filter(|author| Arc::strong_count(author) == 1).count();
        assert_eq!(last, 40, "and places come as authors do");
    }

    #[test]
    fn what_ends_together_is_of_one() {
        let Ok(replica) = ReplicaId::new("a", [0; 10]) else { return };
        let (one, mut ending) = (Author::new(replica, None), Ending::default());
        let first = ending.until(&one, 7);
        assert_eq!(first.ends(), Some(7));
        assert!(Arc::ptr_eq(&first, &ending.until(&one, 7)));
        assert_eq!(ending.until(&one, 8).ends(), Some(8));
        let other = Author::new(replica, Some(SessionId::from_bytes([1; 16])));
        assert_eq!(ending.until(&other, 8).session, other.session);
    }

    #[test]
    fn they_take_bounded_room() {
        let mut authors = Authors::default();
        for n in 0..10_000_u16 {
            let ([a, b], Ok(replica)) = (n.to_le_bytes(), ReplicaId::new("a", [0; 10])) else { return };
            let mut id = [0; 16];
            (id[14], id[15]) = (a, b);
            authors.of(replica, Some(SessionId::from_bytes(id)));
        }
        assert_eq!(authors.known.len(), MOST);
    }
}
