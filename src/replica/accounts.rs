//! The accounts of clients: what each session has spent here, kept after its links close, so that a client that returns
//! continues with what was left; and how many new ids each user has brought, over all its sessions.
//!
//! Invariants:
//!
//! * The table is bounded. Accounts that are as good as new are dropped. If there are too many others, those with the
//!   smallest spent part are dropped, so that nobody escapes a debt by bringing other accounts.
//! * It is in memory only: a replica that is opened anew knows of no debts, and each replica keeps its own.

use alloc::string::String;

use litemap::LiteMap;

use crate::id::SessionId;
use crate::mutant::{Mutant, Trust, off};
use crate::sync::account::{Account, Births, ClientLimits};
use crate::time::Millis;

/// A full table drops this fraction of its accounts at once, so that the scan is paid for by as many new ones.
const GO_AT_ONCE: usize = 16;

/// What sessions and users have spent.
#[derive(Debug)]
pub(super) struct Accounts {
    limits: ClientLimits,
    /// Session ids begin with the time, so new ones are appended.
    sessions: LiteMap<SessionId, Account>,
    users: LiteMap<String, Births>,
}

impl Accounts {
    pub(super) const fn new(limits: ClientLimits) -> Self {
        Self { limits, sessions: LiteMap::new(), users: LiteMap::new() }
    }

    /// A copy of the account of a user's session, to be stored again by [`Accounts::put`].
    pub(super) fn take(&self, session: &SessionId, user: Option<&str>) -> Account {
        if off(Mutant::Trust(Trust::Account)) {
            return Account::default();
        }
        let births = user.map(|user| self.users.get(user).copied().unwrap_or_default());
        let account = self.sessions.get(session).copied().unwrap_or_default();
        account.of_user(births.filter(|_| !off(Mutant::Trust(Trust::UserBirths))))
    }

    /// Stores what a session has spent.
    pub(super) fn put(&mut self, session: SessionId, user: Option<&str>, account: Account, now: Millis) {
        let limits = &self.limits;
        if let Some((user, births)) = user.zip(account.user).filter(|(_, births)| *births != Births::default()) {
            if let Some(known) = self.users.get_mut(user) {
                *known = births;
            } else {
                make_room(&mut self.users, limits.accounts, |births| births.share(limits, now));
                self.users.insert(user.into(), births);
            }
        }
        let account = account.of_user(None);
        if let Some(known) = self.sessions.get_mut(&session) {
            *known = account;
        } else {
            make_room(&mut self.sessions, limits.accounts, |account| account.share(limits, now));
            self.sessions.insert(session, account);
        }
    }

    /// The clock was set back by `back`.
    pub(super) fn set_back(&mut self, back: Millis) {
        self.sessions.iter_mut().for_each(|(_, account)| account.set_back(back));
        self.users.iter_mut().for_each(|(_, births)| births.set_back(back));
    }

    /// Charges a session for `bytes` sent to it. Returns for how many milliseconds nothing long may be sent to it.
    pub(super) fn send(&mut self, session: SessionId, bytes: usize, now: Millis) -> Millis {
        let mut account = self.take(&session, None);
        account.send(bytes, &self.limits, now);
        let dry = account.dry(&self.limits, now);
        self.put(session, None, account, now);
        dry
    }
}

/// Makes room for another account, if the table is full.
fn make_room<K: Ord, V>(known: &mut LiteMap<K, V>, room: usize, share: impl Fn(&V) -> u64) {
    if known.len() < room {
        return;
    }
    if off(Mutant::Trust(Trust::Washed)) {
        return known.clear();
    }
    let few = room / GO_AT_ONCE;
    // The smallest spent part such that enough accounts have spent no more. Accounts that are as good as new are
    // dropped in any case.
    let mut most = 0;
    while known.values().filter(|value| share(value) <= most).count() < few {
        most = most * 2 + 1;
    }
    let mut gone = 0;
    known.retain(|_, value| {
        let share = share(value);
        let goes = share == 0 || (share <= most && gone < few);
        gone += usize::from(goes);
        !goes
    });
}
