//! Sends fences and roster rows to one peer and receives them: stop and wait, starting at what the peer has confirmed.
//!
//! If there are many fences, the first message contains only their digest. A peer with the same digest needs no fences,
//! so a link that is re-established costs a few bytes.
//!
//! Invariants:
//!
//! * What the peer is believed to know is never more than it has confirmed.
//! * An answer counts once, and only for the message under way, so repeated answers cause no further messages.
//! * The number of a message identifies the range that it covers, so a peer that received the last of several messages
//!   is not believed to have the others.
//! * Lost, repeated and reordered messages, and messages meant for another replica, cost only time.

use alloc::vec::Vec;

use crate::id::SessionId;
use crate::store::SessionConsistentStore;
use crate::store::fence::{Fence, Fences};
use crate::store::roster::{Roster, Row};
use crate::sync::message::Message;
use crate::time::Millis;

/// Up to this many fences are sent without comparing digests first.
const FEW: usize = 64;

/// How much of the fences and rows a peer has confirmed.
#[derive(Debug)]
pub(super) struct Tellings {
    pub(super) fences: Telling,
    pub(super) rows: Telling,
}

impl Tellings {
    /// Nothing was sent yet.
    pub(super) const NEW: Self = Self { fences: Telling::NEW, rows: Telling::NEW };

    /// The messages that are due now.
    pub(super) fn tell(
        &mut self,
        store: &SessionConsistentStore,
        now: Millis,
        pause: impl Fn(u32) -> Millis + Copy,
    ) -> [Option<Message>; 2] {
        [self.fences.fences(store.fences(), now, pause), self.rows.rows(store.roster(), now, pause)]
    }

    /// When to repeat a message.
    pub(super) fn deadline(&self, pause: impl Fn(u32) -> Millis + Copy) -> Option<Millis> {
        [self.fences.deadline(pause), self.rows.deadline(pause)].into_iter().flatten().min()
    }

    pub(super) fn set_back(&mut self, back: Millis) {
        self.fences.set_back(back);
        self.rows.set_back(back);
    }

    /// Makes an unanswered message due again: the answer, if there is one, arrives with the next request.
    pub(super) const fn ask_anew(&mut self) {
        self.fences.ask_anew();
        self.rows.ask_anew();
    }
}

/// How much a peer has confirmed of something whose changes are numbered.
#[derive(Debug)]
pub(super) struct Telling {
    /// The own number up to which the peer has confirmed; `None`: nothing was sent yet.
    heard: Option<u64>,
    /// The last message, if it is not answered yet.
    under_way: Option<UnderWay>,
    attempts: u32,
}

/// A message that is not answered yet.
#[derive(Debug)]
struct UnderWay {
    since: Millis,
    /// The number up to which it covers changes.
    told: u64,
    /// Its own number, which the answer repeats.
    word: u64,
}

/// The number of the message that covers the changes after the number `after`, up to `told`. It is the same when the
/// same range is sent again, never 0, and differs for any other range as long as the numbers of one run are less than
/// 2^32 apart.
fn word(after: u64, told: u64) -> u64 {
    (told ^ after.rotate_left(32)).max(1)
}

impl Telling {
    /// Nothing was sent yet.
    const NEW: Self = Self { heard: None, under_way: None, attempts: 0 };

    /// Whether something must be sent now: there are changes, and the last message was answered or is older than
    /// `pause` of the attempts so far.
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

    /// Records a message that covers changes up to `told`, and returns its number. Returns `None` if nothing of the
    /// range is left to send.
    fn says(&mut self, told: u64, is_empty: bool, now: Millis) -> Option<u64> {
        if self.heard.is_some() && is_empty {
            self.has_heard(told);
            return None;
        }
        let word = word(self.heard.unwrap_or(0), told);
        self.under_way = Some(UnderWay { since: now, told, word });
        Some(word)
    }

    /// The message with fences that is due now.
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

    /// The message with rows that is due now.
    fn rows(&mut self, known: &Roster, now: Millis, pause: impl Fn(u32) -> Millis) -> Option<Message> {
        if !self.is_due(known.last(), now, pause) {
            return None;
        }
        let (rows, told) = known.since(self.heard.unwrap_or(0));
        let told = self.says(told, rows.is_empty(), now)?;
        Some(Message::Roster { told, heard: 0, rows })
    }

    /// When to repeat the message.
    fn deadline(&self, pause: impl Fn(u32) -> Millis) -> Option<Millis> {
        self.under_way.as_ref().map(|under_way| under_way.since.saturating_add(pause(self.attempts)))
    }

    fn set_back(&mut self, back: Millis) {
        self.under_way.iter_mut().for_each(|under_way| under_way.since = under_way.since.saturating_sub(back));
    }

    /// Makes an unanswered message due again: the answer, if there is one, arrives with the next request.
    const fn ask_anew(&mut self) {
        self.under_way = None;
    }

    /// The peer answers with the number of a message. It counts if that is the one under way; others are repeated or
    /// late. The answer 0 to the first message says that the peer lacks fences: then all are sent.
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

    /// Joins the fences that the peer sent, and adds the changed sessions to `changed`. Returns the answer.
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

    /// As [`Telling::hear_fences`], for rows.
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
        // Only the rows that the peer has sent have changed, so they need not be sent back.
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

    /// A row last updated at `told`, with a query that is to stop or not.
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
        // It continues.
        _ = telling.hear_rows((8, 0), vec![(three, row(5, false))], &mut known, &mut changed);
        assert_eq!(told(&mut telling, &known), 0);
        // Its later row does not know yet that the query is to stop.
        _ = telling.hear_rows((9, 0), vec![(one, row(6, false))], &mut known, &mut changed);
        assert_eq!(told(&mut telling, &known), 1);
        assert_eq!(changed, [two, three, one]);
    }
}
