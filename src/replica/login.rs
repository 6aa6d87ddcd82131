//! Logging in with a password, and the lock against guessing.
//!
//! Invariants:
//!
//! * A wrong user and a wrong password get the same answer, in the same time.
//! * Whether an account is locked is checked both before and after a password is compared, so that no race lets a guess
//!   through.
//! * Each replica keeps one record of failures, and the records are summed, so that none is lost when two replicas
//!   count at once.
//! * Guesses at one replica lock root there only, never everywhere.
//! * The refusal mentions a lock only if the name was guessed too often here, whether the account exists or not. A lock
//!   to which failures elsewhere contribute looks like a wrong password; otherwise edges would reveal who has an
//!   account.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Replica;
use super::session::SessionInit;
use crate::error::{Details, ErrorCode, SessionError};
use crate::id::SessionId;
use crate::io::SessionHandle;
use crate::service::failures::{FAILURES_MAX, Failures, LOCK_MS};
use crate::service::manager;
use crate::service::role::ROOT;
use crate::session::seal::LEEWAY_MAX;
use crate::store::fence::Fence;
use crate::time::{MILLIS_MAX, Millis};

/// The most names whose failures are counted here.
const GUESSED_MAX: usize = 256;
/// The most logins that are remembered in case their password turns out to be an old one.
const LOGINS_MAX: usize = 1_024;
/// The reason for ending a session whose user logged in with a password that the account no longer has.
pub(super) const OLD_PASSWORD: &str = "the account was dropped, or its password changed";

/// A session that was begun here with a password.
#[derive(Debug)]
pub(super) struct Login {
    user: Arc<str>,
    session: SessionId,
    ends: Millis,
    /// A hash of the password hash that the login matched.
    hash: u64,
}

pub(super) fn wrong() -> SessionError {
    SessionError::new(ErrorCode::BadCredentials, "wrong user or password")
}

impl Replica {
    /// The hash to compare a login's password with; `None` if there is no such account. Compare it all the same, so
    /// that it takes as long.
    ///
    /// # Errors
    /// `BAD_CREDENTIALS` while the name is locked here; the details say for how many milliseconds.
    pub fn login_hash(&mut self, user: &str, now: Millis) -> Result<Option<String>, SessionError> {
        self.input(now);
        self.check_lock(user)?;
        if self.is_locked(user) {
            return Ok(None);
        }
        Ok(self.directory().account(user).filter(|account| !account.locked).and_then(|account| account.hash))
    }

    /// Begins a session for a user whose password was right, or counts the failure.
    ///
    /// # Errors
    /// `BAD_CREDENTIALS`; `PERMISSION_DENIED` if this replica keeps no accounts.
    pub fn login(
        &mut self,
        user: &str,
        right: bool,
        init: SessionInit,
        now: Millis,
    ) -> Result<SessionHandle, SessionError> {
        self.do_what_is_due(now);
        if self.keyring.is_none() {
            let cause = "only a replica that holds a secret knows accounts; log in there";
            return Err(SessionError::new(ErrorCode::PermissionDenied, cause));
        }
        self.check_lock(user)?;
        let known = self.directory().account(user).filter(|account| !account.locked && account.hash.is_some());
        if !right || known.is_none() || self.is_locked(user) {
            self.count_failure(user, known.is_some())?;
            return Err(wrong());
        }
        if let Some(settled) = self.failures(user).right(user, &self.own_name()) {
            self.write_system(alloc::vec![settled])?;
        }
        self.service.guessed.remove(user);
        let hash = manager::hash(known.and_then(|account| account.hash).as_deref());
        let handle = self.open_session(SessionInit { token: None, user: Some(user.into()), ..init }, now);
        let begun = self.sessions.get(&handle).filter(|state| state.refused.is_none());
        if let Some((user, session, ends)) =
            begun.and_then(|state| Some((state.user.clone()?, state.id, state.ends_at)))
        {
            let logins = &mut self.service.logins;
            if logins.len() >= LOGINS_MAX {
                logins.pop_front();
            }
            logins.push_back(Login { user, session, ends, hash });
        }
        Ok(handle)
    }

    /// An account has changed. Ends the sessions that logged in here with a password that was already outdated, as
    /// others knew and this replica did not. They began after the change, so `since` alone does not end them.
    pub(super) fn shut_outdated(&mut self, user: &str) {
        let account = self.directory().account(user);
        // An account that was created twice is unusable until God sets its password, which is another change.
        if account.as_ref().is_some_and(|account| account.locked) {
            return;
        }
        let held = account.and_then(|account| account.hash).map(|hash| manager::hash(Some(&hash)));
        let mut outdated = Vec::new();
        self.service.logins.retain(|login| {
            let stays = *login.user != *user || Some(login.hash) == held;
            if !stays {
                outdated.push((login.session, login.ends));
            }
            stays
        });
        for (id, ends) in outdated {
            if ends <= self.now || self.judge(&id, Some(user)).is_err() {
                continue;
            }
            let until = ends.saturating_add(LEEWAY_MAX).min(MILLIS_MAX);
            let fence = Fence { at: self.now, until, why: Some(OLD_PASSWORD.into()), ..Fence::default() };
            if self.store.fences_mut().join(id, fence) {
                self.heed_fences(&[id]);
            }
        }
    }

    fn own_name(&self) -> String {
        format!("{}", self.id)
    }

    /// The failures that count here: those of all replicas, except for root, where only those of this replica count.
    fn failures(&self, user: &str) -> Failures {
        let failures = self.directory().failures(user);
        if user == ROOT { failures.only(&self.own_name()) } else { failures }
    }

    /// Fails if a name was guessed here too often.
    pub(super) fn check_lock(&self, user: &str) -> Result<(), SessionError> {
        let until = self.service.guessed.get(user).map_or(0, |(_, until)| *until);
        match until.checked_sub(self.now).filter(|left| *left > 0) {
            None => Ok(()),
            Some(left) => {
                let cause = format!("wrong user or password too often; try again in {left} ms");
                let details = Details::Limit { limit: "lockedForMs", allowed: left };
                Err(SessionError::new(ErrorCode::BadCredentials, cause).with(details))
            }
        }
    }

    /// Whether an account is locked by the failures of all replicas; root by those of this replica.
    pub(super) fn is_locked(&self, user: &str) -> bool {
        self.failures(user).until() > self.now
    }

    /// Counts a failure: in memory for every name alike, and in the fleet's records for existing accounts that are not
    /// locked. If failures of other names were recorded, guesses could fill the store.
    pub(super) fn count_failure(&mut self, user: &str, known: bool) -> Result<(), SessionError> {
        let lock =
            |count: u64, now: Millis| if count.is_multiple_of(FAILURES_MAX) { now.saturating_add(LOCK_MS) } else { 0 };
        let counts = known && !self.is_locked(user);
        let guessed = &mut self.service.guessed;
        if guessed.len() >= GUESSED_MAX && !guessed.contains_key(user) {
            // Names that are not locked are dropped first; otherwise guessing other names would reveal who has an
            // account.
            let first = guessed.iter().min_by_key(|(_, (_, until))| *until).map(|(name, _)| name.clone());
            first.and_then(|first| guessed.remove(&first));
        }
        let (count, until) = guessed.get(user).copied().unwrap_or_default();
        guessed.insert(user.into(), (count + 1, lock(count + 1, self.now).max(until)));
        if !counts {
            return Ok(());
        }
        let counted = self.failures(user).wrong(user, &self.own_name(), self.now);
        self.write_system(alloc::vec![counted])
    }
}
