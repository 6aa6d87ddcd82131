//! Admission: decides which deltas of a client become everybody's state.
//!
//! A client is a replica that belongs to somebody else. Its delta advances only its own origins. What it says about
//! other ids is a reference, and its value is never read. The first trusted replica judges the delta; between trusted
//! replicas nothing is judged again.
//!
//! Invariants:
//!
//! * An entry is removed from a key only if the delta brings a new entry for the key, from an id that the sender has
//!   proved to be its own.
//! * One bad entry refuses the whole delta, and state is unchanged.

use alloc::vec::Vec;

use litemap::LiteMap;

use crate::error::{Details, ErrorCode, SessionError};
use crate::id::{Dot, ReplicaId};
use crate::mutant::{Mutant, Trust, off};
use crate::store::SessionConsistentStore;
use crate::store::delta::{Delta, Listed};
use crate::store::entry::{DataEntry, Key};
use crate::sync::gate::{ClientLimits, Right};
use crate::sync::message::NAMED_MAX;
use crate::time::{Hlc, Millis};

/// How far a client's stamp may be ahead of this replica's clock, in milliseconds.
pub const DRIFT_MAX: Millis = 60_000;

/// The sender of a delta, and what it may do in the delta's space.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'s> {
    /// The ids that it has proved to be its own.
    pub bound: &'s [ReplicaId],
    /// Its right in the delta's space.
    pub right: Right,
    /// Whether it may stamp a millisecond later than the greatest stamp here, if that is ahead of the time.
    pub steps: bool,
    /// Whether it may bring one more id that nobody has used in the space.
    pub births: bool,
    /// The limits that apply to it.
    pub limits: &'s ClientLimits,
}

/// The decision about a delta.
#[derive(Debug)]
pub enum Verdict {
    /// The delta may be applied.
    Admit {
        /// The clock to apply it with: the greatest stamp of its new entries. The delta's own clock is not trusted.
        hlc: Hlc,
        /// How many ids it brings that nobody has used in the space.
        births: u64,
    },
    /// The delta depends on writes that this replica lacks. Listed are those of ids that the sender has not proved, at
    /// most [`NAMED_MAX`]; none if the delta merely starts after what this replica holds. It may apply later.
    Wait(Vec<Dot>),
    /// The delta is refused as a whole.
    Refuse(Refusal),
}

/// Why a delta is refused, and for which writes.
#[derive(Debug)]
pub struct Refusal {
    /// The reason of the first bad write.
    pub error: SessionError,
    /// The refused writes, at most [`NAMED_MAX`].
    pub dots: Vec<Dot>,
}

impl Refusal {
    fn of(error: SessionError, dots: impl IntoIterator<Item = Dot>) -> Self {
        Self { error, dots: dots.into_iter().take(NAMED_MAX).collect() }
    }
}

/// Judges a client's delta at `now`. Takes time in proportion to what the delta lists.
#[must_use]
#[inline(never)]
pub fn judge(delta: &Delta, store: &SessionConsistentStore, sender: Sender<'_>, now: Millis) -> Verdict {
    let own = |id: ReplicaId| sender.bound.contains(&id) || off(Mutant::Trust(Trust::Origin));
    let vector = store.vector(&delta.space);
    let ahead = |(id, sequence): &(ReplicaId, u64)| *sequence > vector.get(*id);
    let foreign = delta.to.iter().filter(ahead).filter(|(id, _)| !own(*id));
    let foreign: Vec<Dot> = foreign.map(|(id, sequence)| Dot::new(id, sequence)).take(NAMED_MAX).collect();
    if !foreign.is_empty() || !vector.dominates(&delta.from) {
        return Verdict::Wait(foreign);
    }
    let allowed = sender.limits.sequences;
    let leap = delta.to.iter().find(|(id, sequence)| sequence.saturating_sub(vector.get(*id)) > allowed);
    if let Some((id, sequence)) = leap {
        let error = SessionError::limit(ErrorCode::QuotaExceeded, "clientSequences", allowed);
        return Verdict::Refuse(Refusal::of(error, [Dot::new(id, sequence)]));
    }
    let is_new = |entry: &&DataEntry| own(entry.dot().replica) && !vector.contains(entry.dot());
    let news = delta.keys.iter().flat_map(|(key, set)| full(set).filter(is_new).map(move |entry| (key, entry)));
    let news: Vec<(&Key, &DataEntry)> = news.collect();
    let advances = delta.to.iter().any(|entry| ahead(&entry));
    if advances && sender.right != Right::Write && !off(Mutant::Trust(Trust::Role)) {
        let error = SessionError::new(ErrorCode::PermissionDenied, "the session may read this space, not write it");
        return Verdict::Refuse(Refusal::of(error, news.iter().map(|(_, entry)| entry.dot())));
    }
    let newborn = || delta.to.iter().filter(|(id, sequence)| *sequence > 0 && vector.get(*id) == 0);
    if !sender.births && newborn().next().is_some() {
        // Each new id stays in the vector of the space for as long as the space lives.
        let cause = "a client brings more new replica ids than it may; it is heard again when some time has passed";
        let details = Details::Limit { limit: "clientBirths", allowed: sender.limits.births };
        let dots = newborn().map(|(id, sequence)| Dot::new(id, sequence));
        return Verdict::Refuse(Refusal::of(SessionError::new(ErrorCode::RateLimited, cause).with(details), dots));
    }
    let mut bad = Bad::default();
    let latest = latest_clock(store.clock().last(), sender.steps, now);
    let mut hlc = Hlc::default();
    for (key, entry) in &news {
        if let Err(error) = check_entry(key, entry, store, latest) {
            bad.note(entry.dot(), error);
        }
        hlc = hlc.max(entry.hlc);
    }
    check_batches(&news, store, &mut bad);
    check_removals(delta, store, is_new, &mut bad);
    match bad.refusal() {
        Some(refusal) => Verdict::Refuse(refusal),
        None => Verdict::Admit { hlc, births: newborn().count() as u64 },
    }
}

/// The refused writes, each once, and the reason of the first.
#[derive(Default)]
struct Bad {
    error: Option<SessionError>,
    dots: Vec<Dot>,
}

impl Bad {
    fn note(&mut self, dot: Dot, error: SessionError) {
        self.error.get_or_insert(error);
        if self.dots.len() < NAMED_MAX && !self.dots.contains(&dot) {
            self.dots.push(dot);
        }
    }

    fn refusal(self) -> Option<Refusal> {
        Some(Refusal { error: self.error?, dots: self.dots })
    }
}

fn full(set: &[Listed]) -> impl Iterator<Item = &DataEntry> {
    set.iter().filter_map(|listed| if let Listed::Entry(entry) = listed { Some(entry) } else { None })
}

/// The greatest stamp that a client's entry may have. Wrong clocks of clients are caught here and nowhere else. A
/// client that has seen the greatest stamp here can stamp after it by the counter alone; `steps` lets it advance the
/// milliseconds as well, for the rare case that the counter is full.
fn latest_clock(own: Hlc, steps: bool, now: Millis) -> Hlc {
    let after =
        if steps { Hlc::new(own.millis().saturating_add(1), own.counter()) } else { Hlc::new(own.millis(), u16::MAX) };
    Hlc::new(now.saturating_add(DRIFT_MAX), u16::MAX).max(after)
}

fn check_entry(key: &Key, entry: &DataEntry, store: &SessionConsistentStore, latest: Hlc) -> Result<(), SessionError> {
    store.limits().check_key(key)?;
    store.limits().check_value(&entry.content)?;
    if entry.hlc > latest && !off(Mutant::Trust(Trust::Clock)) {
        let cause =
            "the write is stamped more than a minute ahead of this replica's clock; set the clock and write again";
        let details = Details::Limit { limit: "maxDrift", allowed: DRIFT_MAX };
        return Err(SessionError::new(ErrorCode::ClockDrift, cause).with(details));
    }
    Ok(())
}

/// Checks the keys and bytes of each batch (one write) against the limits. The decoder already ensures that a key has
/// at most one live entry of an id.
fn check_batches(news: &[(&Key, &DataEntry)], store: &SessionConsistentStore, bad: &mut Bad) {
    let limits = store.limits();
    let mut batches = LiteMap::<Dot, (u64, u64)>::new();
    for (key, entry) in news {
        let (keys, bytes) = batches.entry(entry.dot()).or_insert((0, 0));
        *keys += 1;
        *bytes += key.len() as u64 + entry.content.len() as u64;
        if *keys > limits.batch_keys {
            bad.note(entry.dot(), SessionError::limit(ErrorCode::QuotaExceeded, "batchKeys", limits.batch_keys));
        } else if *bytes > limits.batch_bytes {
            bad.note(entry.dot(), SessionError::limit(ErrorCode::QuotaExceeded, "batchBytes", limits.batch_bytes));
        }
    }
}

/// Refuses deltas that remove a held entry from a key without bringing a new entry for it.
fn check_removals(delta: &Delta, store: &SessionConsistentStore, is_new: impl Fn(&&DataEntry) -> bool, bad: &mut Bad) {
    let Some(state) = store.space(&delta.space).filter(|_| !off(Mutant::Trust(Trust::Removal))) else { return };
    let denied = || {
        let cause = "an entry would go from a key for which no new write comes";
        SessionError::new(ErrorCode::PermissionDenied, cause)
    };
    for (key, set) in &delta.keys {
        if full(set).any(|entry| is_new(&entry)) {
            continue;
        }
        let held = state.live(key).into_iter().flat_map(|held| held.entries());
        let goes = |entry: &&DataEntry| delta.to.contains(entry.dot()) && !set.iter().any(|l| l.dot() == entry.dot());
        held.filter(goes).for_each(|entry| bad.note(entry.dot(), denied()));
    }
    let listed = |key: &Key| delta.keys.lists(key);
    for (dot, _) in state.between(&delta.from, &delta.to).filter(|(_, key)| !listed(key)).take(NAMED_MAX) {
        bad.note(dot, denied());
    }
}
