//! Fences and rows to and from one peer: stop and wait, since what the peer has said that it has heard.
//!
//! Where there are many fences, the first word is what they come to: a peer that holds the same needs to be told none, so
//! that a link that comes back costs a few bytes. Invariants: what the peer is taken to know is never more than it has said;
//! an answer counts once, and only to what is under way, so that repeated ones call forth no further words; a word's number
//! says from where to where it tells, so that who took the last of many is not taken to have the others: losing, repeating
//! or reordering messages, and taking those that were meant for somebody else, costs time only.

use alloc::vec::Vec;

use crate::id::SessionId;
use crate::store::SessionConsistentStore;
use crate::store::fence::{Fence, Fences};
use crate::store::roster::{Roster, Row};
use crate::sync::message::Message;
use crate::time::Millis;

/// So many fences are told without asking whether the peer has them.
const FEW: usize = 64;

/// How far a peer was told of fences, and of rows.
#[derive(Debug)]
pub(super) struct Tellings {
    pub(super) fences: Telling,
    pub(super) rows: Telling,
}

impl Tellings {
    /// Nothing was said yet.
    pub(super) const NEW: Self = Self { fences: Telling::NEW, rows: Telling::NEW };

    /// What is to be told now.
    pub(super) fn tell(
        &mut self,
        store: &SessionConsistentStore,
        now: Millis,
        pause: impl Fn(u32) -> Millis + Copy,
    ) -> [Option<Message>; 2] {
        [self.fences.fences(store.fences(), now, pause), self.rows.rows(store.roster(), now, pause)]
    }

    /// When something is to be told again.
    pub(super) fn deadline(&self, pause: impl Fn(u32) -> Millis + Copy) -> Option<Millis> {
        [self.fences.deadline(pause), self.rows.deadline(pause)].into_iter().flatten().min()
    }

    pub(super) fn set_back(&mut self, back: Millis) {
        self.fences.set_back(back);
        self.rows.set_back(back);
    }

    /// The answers, if there are any, come with the next request.
    pub(super) const fn ask_anew(&mut self) {
        self.fences.ask_anew();
        self.rows.ask_anew();
    }
}

/// How far a peer was told of something whose changes are numbered.
#[derive(Debug)]
pub(super) struct Telling {
    /// The own number up to which the peer has heard; none: it was not told yet.
    heard: Option<u64>,
    /// What it was told last, if it has not answered.
    under_way: Option<UnderWay>,
    attempts: u32,
}

/// A word that was not answered yet.
#[derive(Debug)]
struct UnderWay {
    since: Millis,
    /// Up to which number it tells.
    told: u64,
    /// Its own number, with which it is answered.
    word: u64,
}

/// The number of the word that tells what has changed after the number `after`, up to `told`. It is the same when that is
/// told again, never 0, and another one for whatever else is told, as far as numbers of one run are less than 2^32 apart.
fn word(after: u64, told: u64) -> u64 {
    (told ^ after.rotate_left(32)).max(1)
}

impl Telling {
    /// Nothing was said yet.
    const NEW: Self = Self { heard: None, under_way: None, attempts: 0 };

    /// Whether something is to be told now: the last word was answered, or is older than `pause` of so many attempts.
    fn is_due(&mut self, last: u64, now: Millis, pause: impl Fn(u32) -> Millis) -> bool {
        if self.heard.unwrap_or(0) >= last {
            return false;
        }
        if let Some(UnderWay { since, .. }) = self.under_way {
            if now < since.saturating_add(pause(self.attempts)) {
                return false;
            }
            self.attempts = self.attempts.saturating_add(1);
        }
        true
    }

    /// Takes note of a word that tells up to `told`; its number. Where everything of it was let go of since, there is none.
    fn says(&mut self, told: u64, is_empty: bool, now: Millis) -> Option<u64> {
        if self.heard.is_some() && is_empty {
            self.has_heard(told);
            return None;
        }
        let word = word(self.heard.unwrap_or(0), told);
        self.under_way = Some(UnderWay { since: now, told, word });
        Some(word)
    }

    /// The fences that are to be told now.
    fn fences(&mut self, known: &Fences, now: Millis, pause: impl Fn(u32) -> Millis) -> Option<Message> {
        if !known.is_shared() || !self.is_due(known.last(), now, pause) {
            return None;
        }
        let (fences, told) = match self.heard {
            None if known.len() > FEW => (Vec::new(), known.last()),
            heard => known.since(heard.unwrap_or(0)),
        };
        let told = self.says(told, fences.is_empty(), now)?;
        Some(Message::Fence { told, heard: 0, digest: known.digest(), fences })
    }

    /// The rows that are to be told now.
    fn rows(&mut self, known: &Roster, now: Millis, pause: impl Fn(u32) -> Millis) -> Option<Message> {
        if !self.is_due(known.last(), now, pause) {
            return None;
        }
        let (rows, told) = known.since(self.heard.unwrap_or(0));
        let told = self.says(told, rows.is_empty(), now)?;
        Some(Message::Roster { told, heard: 0, rows })
    }

    /// When the peer is to be told again.
    fn deadline(&self, pause: impl Fn(u32) -> Millis) -> Option<Millis> {
        self.under_way.as_ref().map(|under_way| under_way.since.saturating_add(pause(self.attempts)))
    }

    fn set_back(&mut self, back: Millis) {
        self.under_way.iter_mut().for_each(|under_way| under_way.since = under_way.since.saturating_sub(back));
    }

    /// The answer, if there is one, comes with the next request.
    const fn ask_anew(&mut self) {
        self.under_way = None;
    }

    /// The peer answers that it has heard a word: the one that is under way, or it is an answer that came before, or late.
    /// Whoever has heard nothing is told everything; only a greeting is answered so.
    fn answered(&mut self, heard: u64) {
        let Some(UnderWay { told, word, .. }) = self.under_way else { return };
        if heard == word {
            self.has_heard(told);
        } else if heard == 0 && self.heard.is_none() {
            self.has_heard(0);
        }
    }

    const fn has_heard(&mut self, heard: u64) {
        self.heard = Some(heard);
        self.under_way = None;
        self.attempts = 0;
    }

    /// Takes in what the peer says of fences; which sessions that concerns is added to `changed`. What to answer.
    pub(super) fn hear_fences(
        &mut self,
        (told, heard, digest): (u64, u64, u64),
        said: Vec<(SessionId, Fence)>,
        known: &mut Fences,
        changed: &mut Vec<SessionId>,
    ) -> Option<Message> {
        if told == 0 {
            self.answered(heard);
            return None;
        }
        let greeting = said.is_empty();
        let news = said.into_iter().filter_map(|(session, fence)| known.join(session, fence).then_some(session));
        changed.extend(news);
        let same = digest == known.digest();
        if same {
            self.has_heard(known.last());
        }
        let heard = if same || !greeting { told } else { 0 };
        Some(Message::Fence { told: 0, heard, digest: 0, fences: Vec::new() })
    }

    /// As [`Telling::hear_fences`], of rows.
    pub(super) fn hear_rows(
        &mut self,
        (told, heard): (u64, u64),
        said: Vec<(SessionId, Row)>,
        known: &mut Roster,
        changed: &mut Vec<SessionId>,
    ) -> Option<Message> {
        if told == 0 {
            self.answered(heard);
            return None;
        }
        let level = self.under_way.is_none() && self.heard.unwrap_or(0) >= known.last();
        let mut same = true;
        for (session, row) in said {
            if known.put(session, row.clone()) {
                same &= known.get(&session) == Some(&row);
                changed.push(session);
            }
        }
        // What the peer has said, and nothing else, has changed: it need not be told.
        if level && same {
            self.heard = Some(known.last());
        }
        Some(Message::Roster { told: 0, heard: told, rows: Vec::new() })
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::id::{ReplicaId, Space};
    use crate::store::roster::Running;

    /// A row that was told then, with a query that is to stop or not.
    fn row(told: Millis, stop: bool) -> Option<Row> {
        let (home, space) = (ReplicaId::new("a", [0; 10]).ok()?, Space::first("s").ok()?);
        let running = vec![Running { plan: 1, started: 1, statement: "work".into(), stop }];
        let (user, client, address) = (None, None, None);
        Some(Row { home, user, client, address, space, active: told, expires: 1_000, queries: 1, running, told })
    }

    fn told(telling: &mut Telling, known: &Roster) -> usize {
        let Some(Message::Roster { rows, .. }) = telling.rows(known, 0, |_| 100) else { return 0 };
        rows.len()
    }

    #[test]
    fn what_the_peer_has_said_is_not_told_to_it_and_all_else_is() {
        let row = |told, stop| row(told, stop).unwrap_or_else(|| panic!("a row"));
        let [one, two, three] = [1, 2, 3].map(|id| SessionId::from_bytes([id; 16]));
        let (mut known, mut changed, mut telling) = (Roster::default(), Vec::new(), Telling::NEW);
        known.put(one, row(5, true));
        // The peer speaks first.
        let answer = telling.hear_rows((7, 0), vec![(two, row(5, false))], &mut known, &mut changed);
        assert!(matches!(answer, Some(Message::Roster { told: 0, heard: 7, .. })), "{answer:?}");
        assert_eq!(told(&mut telling, &known), 2);
        let Some(UnderWay { word, .. }) = telling.under_way else { panic!("nothing is under way") };
        assert!(telling.hear_rows((0, word), vec![], &mut known, &mut changed).is_none());
        // It goes on.
        _ = telling.hear_rows((8, 0), vec![(three, row(5, false))], &mut known, &mut changed);
        assert_eq!(told(&mut telling, &known), 0);
        // What it says later does not know yet that the query is to stop.
        _ = telling.hear_rows((9, 0), vec![(one, row(6, false))], &mut known, &mut changed);
        assert_eq!(told(&mut telling, &known), 1);
        assert_eq!(changed, [two, three, one]);
    }
}
