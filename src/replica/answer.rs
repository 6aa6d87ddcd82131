//! One attempt at an operation: it checks the guarantees, computes the answer, and records what the session has
//! learned.
//!
//! Invariant: an answer is given only if the replica's vector dominates what the session's guarantees require (or the
//! policy says to serve anyway), and only if every entry that decided it is durable or the session's own.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::Replica;
use super::session::SessionState;
use super::sessions::unknown;
use crate::error::{ErrorCode, SessionError};
use crate::guarantee::{Access, Guarantees};
use crate::id::{Dot, ReplicaId, SessionId, Space};
use crate::io::{Answer, Change, Item, Operation, Outcome, Range, SessionHandle};
use crate::mutant::{Mutant, Service, off};
use crate::service::access::Right;
use crate::store::entry::{Key, LiveSet};
use crate::store::space::Changes;
use crate::store::{Check, Mutation};
use crate::time::Millis;
use crate::vector::{Gap, VersionVector};

/// The result of an attempt.
pub(super) enum Attempt {
    /// The answer.
    Done(Answer),
    /// No answer yet, or never.
    Blocked(Blocked),
}

/// What the replica lacks to answer.
pub(super) struct Blocked {
    /// The space.
    pub(super) space: Space,
    /// The missing writes.
    pub(super) gaps: Vec<Gap>,
    /// Whether a retirement record says that they are lost; otherwise a later delta may bring them.
    pub(super) lost: bool,
}

/// The entries that decided an answer, and whether an absence without any entry was part of it.
#[derive(Default)]
pub(super) struct Deciding {
    /// Usually there is one key, whose winner is stored here without an allocation; other deciding entries are in
    /// `dots`.
    winner: Option<(Dot, Option<SessionId>)>,
    dots: Vec<(Dot, Option<SessionId>)>,
    /// Entries that did not decide but that the answer names: a version names the whole live set.
    named: Vec<(Dot, Option<SessionId>)>,
    absence: bool,
}

/// What a read is answered from, and as of when.
pub(super) struct Reading {
    pub(super) space: Space,
    session: SessionId,
    stale: bool,
    /// The time at which entries are judged expired.
    pub(super) at: Millis,
}

impl Deciding {
    /// All deciding entries.
    fn dots(&self) -> impl Iterator<Item = &(Dot, Option<SessionId>)> {
        self.winner.iter().chain(&self.dots)
    }

    /// Records the live set of the only key.
    pub(super) fn winner(&mut self, set: Option<&LiveSet>) {
        match set.map(LiveSet::entries) {
            Some([winner, others @ ..]) => {
                self.winner = Some((winner.dot(), winner.session()));
                self.named.extend(others.iter().map(|entry| (entry.dot(), entry.session())));
            }
            Some([]) | None => self.absence = true,
        }
    }

    fn all(&mut self, set: Option<&LiveSet>) {
        let Some(set) = set else {
            self.absence = true;
            return;
        };
        self.dots.extend(set.entries().iter().map(|entry| (entry.dot(), entry.session())));
    }
}

impl Replica {
    /// Attempts a read. With `serve` it answers even if the replica is behind. A function of its own, so that an engine
    /// that only writes compiles none of it.
    #[inline(never)]
    pub(super) fn attempt_read(
        &mut self,
        handle: SessionHandle,
        operation: &Operation,
        guarantees: Guarantees,
        serve: bool,
        now: Millis,
    ) -> Result<Attempt, SessionError> {
        let reading = match self.may_read(handle, guarantees, serve, now)? {
            Ok(reading) => reading,
            Err(blocked) => return Ok(Attempt::Blocked(blocked)),
        };
        if matches!(operation, Operation::Get(_) | Operation::Read(_)) {
            self.store.before_look(&reading.space);
        }
        let (answer, deciding) = self.read(&reading.space, operation, reading.stale, reading.at)?;
        let blocked = self.has_read(handle, reading, &deciding, bytes(&answer))?;
        Ok(blocked.map_or(Attempt::Done(answer), Attempt::Blocked))
    }

    /// Whether a session may read now (with `serve` even if the replica is behind); otherwise what is lacking.
    #[inline(never)]
    pub(super) fn may_read(
        &self,
        handle: SessionHandle,
        guarantees: Guarantees,
        serve: bool,
        now: Millis,
    ) -> Result<Result<Reading, Blocked>, SessionError> {
        let state = self.sessions.get(&handle).ok_or_else(unknown)?;
        state.admit(now)?;
        if let Some(blocked) = self.unsure(state) {
            return Ok(Err(blocked));
        }
        self.permit(state, Right::Read)?;
        let space = state.space.clone();
        let visible = self.visible(state, &space);
        let gaps = state.vector.missing(&space, guarantees, Access::Read, &visible);
        let stale = !gaps.is_empty();
        if stale && !serve {
            return Ok(Err(self.blocked(&space, gaps)));
        }
        Ok(Ok(Reading { space, session: state.id, stale, at: state.at(now) }))
    }

    /// Records that a session reads what these entries decided, an answer of `bytes`; unless it may not see them yet.
    #[inline(never)]
    pub(super) fn has_read(
        &mut self,
        handle: SessionHandle,
        reading: Reading,
        deciding: &Deciding,
        bytes: usize,
    ) -> Result<Option<Blocked>, SessionError> {
        let Reading { space, session, stale, .. } = reading;
        let state = self.sessions.get(&handle).ok_or_else(unknown)?;
        if let Some(gaps) = undurable(deciding, state, |id| self.wrote_as(id), self.durable(&space)) {
            return Ok(Some(Blocked { space, gaps, lost: false }));
        }
        self.learn(handle, &space, deciding);
        self.tally_read(session, bytes, stale);
        Ok(None)
    }

    /// Attempts a write. Unlike a read, it is never served while the replica is behind.
    pub(super) fn attempt_write(
        &mut self,
        handle: SessionHandle,
        batch: Cow<'_, [Mutation]>,
        checks: &[Check],
        guarantees: Guarantees,
        now: Millis,
    ) -> Result<Attempt, SessionError> {
        let state = self.sessions.get(&handle).ok_or_else(unknown)?;
        state.admit(now)?;
        if let Some(blocked) = self.unsure(state) {
            return Ok(Attempt::Blocked(blocked));
        }
        self.permit(state, Right::Write)?;
        let (space, session, at) = (state.space.clone(), state.id, state.at(now));
        let visible = self.visible(state, &space);
        let gaps = state.vector.missing(&space, guarantees, Access::Write, &visible);
        if !gaps.is_empty() {
            return Ok(Attempt::Blocked(self.blocked(&space, gaps)));
        }
        if batch.is_empty() {
            return Err(SessionError::new(ErrorCode::ArgumentInvalid, "a batch writes at least one key"));
        }
        // A check tells the session something, whether it holds or not, so it counts as a read.
        let mut deciding = Deciding::default();
        for check in checks {
            deciding.all(self.store.live(&space, &check.key));
        }
        if let Some(gaps) = undurable(&deciding, state, |id| self.wrote_as(id), self.durable(&space)) {
            return Ok(Attempt::Blocked(Blocked { space, gaps, lost: false }));
        }
        self.learn(handle, &space, &deciding);
        self.store.check_versions(&space, checks, at)?;
        let first = batch.first().map(|mutation| mutation.key.clone()).unwrap_or_default();
        let bytes = batch.iter().map(|mutation| mutation.content.len()).sum();
        let (dot, changed) = self.write(&space, Some(session), batch.into_owned())?;
        let version = self.store.live(&space, &first).map(LiveSet::version).unwrap_or_default();
        if let Some(state) = self.sessions.get_mut(&handle) {
            state.vector.record_write(&space, dot);
        }
        self.tally_write(session, bytes);
        self.note(&space, changed);
        Ok(Attempt::Done(Answer::Version(version)))
    }

    /// Writes a batch under this replica's id. An id whose past is lost has been replaced before; see `work`.
    pub(super) fn write(
        &mut self,
        space: &Space,
        session: Option<SessionId>,
        batch: Vec<Mutation>,
    ) -> Result<(Dot, Changes), SessionError> {
        if core::mem::take(&mut self.suspect) {
            self.rename();
        }
        // Usually nobody needs the changed keys when a host hands over its log.
        let told = if self.heeds(space) { &*batch } else { &[] };
        let changed = Changes::of(told.iter().map(|mutation| mutation.key.clone()));
        let dot = self.store.write(space, self.id, session, batch, &[], self.stamp_at())?;
        self.note_own(space, dot);
        Ok((dot, changed))
    }

    /// Whether this replica writes under an id now, or did before.
    fn wrote_as(&self, id: ReplicaId) -> bool {
        id == self.id || self.identities.secret(id).is_some()
    }

    /// The time for stamps: an edge's, if one has reported its clock.
    const fn stamp_at(&self) -> Millis {
        self.now.saturating_add_signed(self.skew)
    }

    /// What a key shows, without checking guarantees or recording a read. Undurable writes of others are not shown.
    ///
    /// # Errors
    /// `STALE_REPLICA` while a deciding entry is not durable; the reason why the session is refused.
    pub fn peek(&self, handle: SessionHandle, key: &str, now: Millis) -> Result<Option<Item>, SessionError> {
        let state = self.sessions.get(&handle).ok_or_else(unknown)?;
        state.admit(now)?;
        self.service.manager.check(&state.id, 0, now)?;
        self.permit(state, Right::Read)?;
        let (found, mut deciding) = (self.store.look(&state.space, key), Deciding::default());
        let set = found.as_deref();
        deciding.winner(set);
        match undurable(&deciding, state, |id| self.wrote_as(id), self.durable(&state.space)) {
            Some(gaps) => Err(self.stale(&state.space, gaps)),
            None => Ok(set.and_then(|set| shown(&Key::from(key), set, state.at(now)))),
        }
    }

    fn read(
        &self,
        space: &Space,
        operation: &Operation,
        stale: bool,
        at: Millis,
    ) -> Result<(Answer, Deciding), SessionError> {
        let mut deciding = Deciding::default();
        let answer = match operation {
            Operation::Get(key) => {
                self.store.limits().check_key(key)?;
                let found = self.store.look(space, key);
                let set = found.as_deref();
                deciding.winner(set);
                Answer::Item(set.and_then(|set| shown(key, set, at)))
            }
            Operation::Read(key) => {
                self.store.limits().check_key(key)?;
                let found = self.store.look(space, key);
                let set = found.as_deref();
                deciding.winner(set);
                let item = set.and_then(|set| Some((shown(key, set, at)?, set.siblings(at).count())));
                Answer::Outcome(match item {
                    Some((item, showing)) => {
                        Outcome::Value { item, conflicts: (showing as u32).saturating_sub(1), stale }
                    }
                    None => Outcome::Absent { stale },
                })
            }
            Operation::Conflicts(key) => {
                self.store.limits().check_key(key)?;
                let found = self.store.look(space, key);
                let set = found.as_deref();
                deciding.all(set);
                Answer::Items(set.map_or_else(Vec::new, |set| siblings(key, set, at)))
            }
            Operation::List(range) => Answer::Items(self.list(space, range, at, &mut deciding)),
            Operation::Write { .. } | Operation::Seal => Answer::Done,
        };
        Ok((answer, deciding))
    }

    fn list(&self, space: &Space, range: &Range, at: Millis, deciding: &mut Deciding) -> Vec<Item> {
        // Keys without an entry may have been collected, so every listing also depends on the floor.
        deciding.absence = true;
        let Some(state) = self.store.space(space) else { return Vec::new() };
        let prefix = range.prefix.as_deref().unwrap_or_default();
        let start = range.start.as_deref().map_or(prefix, |start| start.max(prefix));
        let beyond = beyond(prefix);
        let end = [range.end.as_deref(), beyond.as_deref()].into_iter().flatten().min();
        let mut keys = state.range(Some(start), end);
        let limit = range.limit.unwrap_or(u64::MAX);
        let mut items = Vec::new();
        let mut take = |(key, set): (&Key, &LiveSet)| {
            deciding.all(Some(set));
            items.extend(shown(key, set, at));
            (items.len() as u64) < limit
        };
        if limit == 0 {
            return items;
        }
        if range.reverse {
            while keys.next_back().is_some_and(&mut take) {}
        } else {
            while keys.next().is_some_and(&mut take) {}
        }
        items
    }

    /// Records what decided an answer in the session's read vector.
    fn learn(&mut self, handle: SessionHandle, space: &Space, deciding: &Deciding) {
        let floor = self.store.space(space).filter(|_| deciding.absence).map(|state| state.floor());
        let Some(state) = self.sessions.get_mut(&handle) else { return };
        for (dot, _) in deciding.dots() {
            state.vector.record_read(space, *dot);
        }
        if let Some(floor) = floor {
            state.vector.record_absence(space, floor);
        }
    }

    /// What a key shows to this session now, if the session may see it; recorded as a read.
    pub(super) fn read_change(&mut self, handle: SessionHandle, space: &Space, key: &Key) -> Option<Change> {
        let state = self.sessions.get(&handle)?;
        let at = state.at(self.now);
        let mut deciding = Deciding::default();
        deciding.winner(self.store.live(space, key));
        if undurable(&deciding, state, |id| self.wrote_as(id), self.durable(space)).is_some() {
            return None;
        }
        self.learn(handle, space, &deciding);
        Some(self.change(space, key, at))
    }

    /// What a key shows, as a change.
    pub(super) fn change(&self, space: &Space, key: &Key, at: Millis) -> Change {
        let set = self.store.live(space, key);
        let item = set.and_then(|set| shown(key, set, at));
        let version = item.as_ref().map(|item| item.version.clone());
        let version = version.or_else(|| set.map(LiveSet::version)).unwrap_or_default();
        Change { key: key.clone(), item, version }
    }

    /// The fleet's records that the session has seen and this replica lacks. Without them the replica does not know
    /// what the session may do.
    pub(super) fn unsure(&self, state: &SessionState) -> Option<Blocked> {
        if self.keyring.is_none() || off(Mutant::Service(Service::Authority)) {
            return None;
        }
        let system = &self.service.system;
        let held = self.store.vector(system);
        let gaps = state.vector.missing(system, Guarantees::ALL, Access::Read, held);
        (!gaps.is_empty()).then(|| self.blocked(system, gaps))
    }

    fn blocked(&self, space: &Space, gaps: Vec<Gap>) -> Blocked {
        let state = self.store.space(space);
        let lost = |gap: &Gap| state.and_then(|s| s.retired(gap.replica)).is_some_and(|last| gap.need > last);
        let nobody: Vec<Gap> = gaps.iter().filter(|gap| lost(gap)).copied().collect();
        match nobody.is_empty() {
            true => Blocked { space: space.clone(), gaps, lost: false },
            false => Blocked { space: space.clone(), gaps: nobody, lost: true },
        }
    }
}

/// The deciding entries that this session may not learn of yet: neither durable nor its own.
///
/// That a session wrote an entry is believed only of entries written here, since a client may claim it of anything.
fn undurable(
    deciding: &Deciding,
    state: &SessionState,
    own: impl Fn(ReplicaId) -> bool,
    durable: &VersionVector,
) -> Option<Vec<Gap>> {
    let wrote = |(dot, writer): &(Dot, Option<SessionId>)| *writer == Some(state.id) && own(dot.replica);
    let hidden = |entry: &&(Dot, Option<SessionId>)| !durable.contains(entry.0) && !wrote(entry);
    let mut needed = VersionVector::new();
    deciding.dots().chain(&deciding.named).filter(hidden).for_each(|(dot, _)| needed.advance(*dot));
    if needed.is_empty() { None } else { Some(durable.gaps(&needed).collect()) }
}

/// The least text greater than all texts that begin with `prefix`, if there is one: the upper bound of a range.
fn beyond(prefix: &str) -> Option<String> {
    let mut text = String::from(prefix);
    while let Some(last) = text.pop() {
        // Between these two characters are only surrogates, which are not characters.
        let next = if last == '\u{d7ff}' { 0xe000 } else { last as u32 + 1 };
        if let Some(next) = char::from_u32(next) {
            text.push(next);
            return Some(text);
        }
    }
    None
}

/// The bytes of values in an answer.
fn bytes(answer: &Answer) -> usize {
    match answer {
        Answer::Item(item) => item.iter().map(|item| item.content.len()).sum(),
        Answer::Outcome(Outcome::Value { item, .. }) => item.content.len(),
        Answer::Items(items) => items.iter().map(|item| item.content.len()).sum(),
        Answer::Outcome(Outcome::Absent { .. } | Outcome::Behind(_) | Outcome::Lost(_))
        | Answer::Version(_)
        | Answer::Token(_)
        | Answer::Table(_)
        | Answer::Reply(_)
        | Answer::Done => 0,
    }
}

fn shown(key: &Key, set: &LiveSet, at: Millis) -> Option<Item> {
    let entry = set.shown(at)?;
    let (content, expires_at) = (entry.content.clone(), entry.expires_at());
    Some(Item { key: key.clone(), content, version: set.version(), expires_at })
}

fn siblings(key: &Key, set: &LiveSet, at: Millis) -> Vec<Item> {
    let item = |entry: &crate::store::entry::DataEntry| Item {
        key: key.clone(),
        content: entry.content.clone(),
        version: entry.version(),
        expires_at: entry.expires_at(),
    };
    set.siblings(at).map(item).collect()
}
