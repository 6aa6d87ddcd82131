//! What is known of sessions, in the order in which it changed: whoever has heard up to a number is told the rest.
//!
//! Invariants: numbers only grow, and those of a run are none of an earlier one; each session stands once, at the number of its last change; finding and changing cost
//! O(1), and what has changed often takes no more room than twice what there is.

use alloc::vec::Vec;

use hashbrown::HashTable;

use crate::id::SessionId;

/// The most that is told at once.
pub const TOLD_MAX: usize = 1_000;

#[derive(Clone, Debug)]
struct Known<T> {
    number: u64,
    session: SessionId,
    /// None: it has changed since, and stands further on, or is gone.
    value: Option<T>,
}

/// Values by session, and by the number of their last change.
#[derive(Clone, Debug)]
pub struct Numbered<T> {
    /// In the order of their numbers.
    known: Vec<Known<T>>,
    /// Places in `known`.
    places: HashTable<u32>,
    last: u64,
    /// No number is smaller.
    least: u64,
}

/// Where a session is looked for: the last bytes of its id are random.
fn spot(session: &SessionId) -> u64 {
    let [.., a, b, c, d, e, f, g] = *session.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, a])
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Numbered<T> {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { known: Vec::new(), places: HashTable::new(), last: 0, least: 1 }
    }

    /// Changes from now on have no smaller numbers than `least`: with the time at which a run begins, none of an earlier one.
    pub const fn number_from(&mut self, least: u64) {
        self.least = least;
    }

    /// How many sessions something is known of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The number of the latest change.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// What is known of a session.
    #[must_use]
    pub fn get(&self, session: &SessionId) -> Option<&T> {
        self.known.get(self.place(session)?)?.value.as_ref()
    }

    /// Everything, in the order in which it changed.
    pub fn iter(&self) -> impl Iterator<Item = (&SessionId, &T)> {
        self.known.iter().filter_map(|known| Some((&known.session, known.value.as_ref()?)))
    }

    fn place(&self, session: &SessionId) -> Option<usize> {
        let is = |at: &u32| self.known.get(*at as usize).is_some_and(|known| known.session == *session);
        self.places.find(spot(session), is).map(|at| *at as usize)
    }

    /// Takes note of a session's value, under the next number.
    pub fn put(&mut self, session: SessionId, value: T) {
        self.last = (self.last + 1).max(self.least);
        let (old, place) = (self.place(&session), self.known.len() as u32);
        self.known.push(Known { number: self.last, session, value: Some(value) });
        match old {
            Some(old) => {
                let was = self.places.find_mut(spot(&session), |at| *at as usize == old);
                was.into_iter().for_each(|at| *at = place);
                self.known.get_mut(old).into_iter().for_each(|known| known.value = None);
            }
            None => self.note(place, &session),
        }
        if self.known.len() > 2 * self.places.len() + 64 {
            self.retain(|_, _| true);
        }
    }

    fn note(&mut self, place: u32, session: &SessionId) {
        let known = &self.known;
        // Asked when the table grows alone; as any function, for which all tables of places grow by one piece of code.
        let spot_of: &dyn Fn(&u32) -> u64 = &|at| known.get(*at as usize).map_or(0, |known| spot(&known.session));
        self.places.insert_unique(spot(session), place, spot_of);
    }

    /// Lets go of what is not to stay. Nobody is told of that.
    pub fn retain(&mut self, stays: impl Fn(&SessionId, &T) -> bool) {
        self.known.retain(|known| known.value.as_ref().is_some_and(|value| stays(&known.session, value)));
        self.places.clear();
        for place in 0..self.known.len() {
            let session = self.known.get(place).map(|known| known.session);
            session.into_iter().for_each(|session| self.note(place as u32, &session));
        }
    }
}

impl<T: Clone> Numbered<T> {
    /// What has changed after the number `after`, at most [`TOLD_MAX`]; and the number up to which this goes.
    #[must_use]
    pub fn since(&self, after: u64) -> (Vec<(SessionId, T)>, u64) {
        let first = self.known.partition_point(|known| known.number <= after);
        let mut changed = self.known.iter().skip(first).filter_map(|known| Some((known, known.value.clone()?)));
        let (mut told, mut upto) = (Vec::new(), after);
        for (known, value) in changed.by_ref().take(TOLD_MAX) {
            told.push((known.session, value));
            upto = known.number;
        }
        let more = told.len() == TOLD_MAX && changed.next().is_some();
        (told, if more { upto } else { self.last })
    }
}
