//! What the whole fleet knows: accounts, roles and spaces, as records in the space `$system`. Kills are
//! [fences](crate::store::fence).
//!
//! `$system` is replicated like every space. But this module decides what siblings mean, because the last writer must
//! not undo security.
//!
//! Invariants:
//!
//! * A drop wins over everything concurrent with it.
//! * The lower role wins.
//! * Two concurrent creations of an account lock it until God alters or drops it.
//! * The latest generation of a space counts, and is over if anybody has ended it.
//! * A role refers to the creation of its account instead of its name, so it does not pass to another account of the
//!   same name.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::audit::LoggedOperation;
use super::role::{ROOT, RoleType};
use crate::id::{Dot, SYSTEM, Space};
use crate::mutant::{Mutant, Service, off};
use crate::store::entry::{Content, DataEntry, Key, LiveSet};
use crate::store::{Mutation, SessionConsistentStore};
use crate::time::Millis;

/// The fields of an entry; each kind of record uses some of them. All kinds share one form, so that one reader and one
/// writer suffice: one line of text per field, in this order, empty if unused. Later versions may append lines.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Record {
    /// The write that created the account; in a role, that of the role's holder.
    pub(super) created: Option<String>,
    /// The password hash, in PHC format; without one nobody can log in.
    pub(super) hash: Option<String>,
    /// A role's keyword.
    pub(super) role: Option<String>,
    /// The generation of a space; a count of failed logins.
    pub(super) number: u64,
    /// A time: until when an account is locked; from when on its sessions count.
    pub(super) at: Millis,
    /// Whether the space is over.
    pub(super) over: bool,
    /// The settled failed logins: replicas with counts.
    pub(super) settled: Option<String>,
}

/// The current state of an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Names the account in grants.
    pub creation: String,
    /// The password hash.
    pub hash: Option<String>,
    /// It was created twice concurrently: nobody can use it until God has altered or dropped it.
    pub locked: bool,
}

/// Interprets the records of `$system`. A view without data of its own.
#[derive(Clone, Copy, Debug)]
pub struct Directory<'a> {
    pub(super) store: &'a SessionConsistentStore,
    pub(super) system: &'a Space,
}

/// Parses the value of an entry. Entries that cannot be parsed are ignored.
pub(super) fn read(entry: &DataEntry) -> Option<Record> {
    let Content::Text(text) = &entry.content else { return None };
    let mut lines = text.split('\n');
    let mut line = || Some(lines.next()?).map(|line| Some(line).filter(|line| !line.is_empty()).map(String::from));
    let (created, hash, role) = (line()?, line()?, line()?);
    let mut number = || line()?.map_or(Some(0), |line| line.parse().ok());
    let (number, at, over) = (number()?, number()?, number()? > 0);
    Some(Record { created, hash, role, number, at, over, settled: line().flatten() })
}

pub(super) fn write(key: String, record: &Record) -> Mutation {
    let text = |text: &Option<String>| text.as_deref().unwrap_or_default().replace('\n', " ");
    let Record { created, hash, role, number, at, over, settled } = record;
    let (created, hash, role) = (text(created), text(hash), text(role));
    let mut text = format!("{created}\n{hash}\n{role}\n{number}\n{at}\n{}", u8::from(*over));
    if let Some(settled) = settled {
        text += "\n";
        text += settled;
    }
    Mutation { key: Key::from(key), content: Content::Text(text.into()), expires_at: None }
}

fn erase(key: String) -> Mutation {
    Mutation { key: Key::from(key), content: Content::Tombstone, expires_at: None }
}

fn account_key(user: &str) -> String {
    format!("account/{user}")
}

fn role_key(space: &str, user: &str) -> String {
    format!("role/{space}/{user}")
}

fn space_key(space: &str) -> String {
    format!("space/{space}")
}

fn since_key(user: &str) -> String {
    format!("since/{user}")
}

/// The account that these siblings describe.
fn account(entries: &[DataEntry]) -> Option<Account> {
    let decisive = if off(Mutant::Service(Service::Drop)) { 1 } else { entries.len() };
    if entries.iter().take(decisive).any(|entry| entry.content == Content::Tombstone) {
        return None;
    }
    let mut records = entries.iter().filter_map(read);
    // The winner comes first.
    let Record { created, hash, .. } = records.next()?;
    let locked = records.any(|other| other.created != created) && !off(Mutant::Service(Service::Twice));
    Some(Account { creation: created.unwrap_or_default(), hash, locked })
}

/// The role that these siblings give to the account with this creation.
fn role(entries: &[DataEntry], creation: &str) -> Option<RoleType> {
    let held = |entry: &DataEntry| -> Option<RoleType> {
        let same =
            |record: &Record| record.created.as_deref() == Some(creation) || off(Mutant::Service(Service::Creation));
        let record = read(entry).filter(same)?;
        record.role?.parse().ok()
    };
    // A revocation, or a grant to an earlier account of the same name, counts as no role, which is the lowest.
    let decisive = if off(Mutant::Service(Service::Role)) { 1 } else { entries.len() };
    entries.iter().take(decisive).map(held).min().flatten()
}

/// The latest generation of a space, and whether it is over.
fn generation(entries: &[DataEntry]) -> Option<(u32, bool)> {
    let told = entries.iter().filter_map(read);
    told.filter_map(|record| Some((u32::try_from(record.number).ok()?, record.over))).max()
}

impl<'a> Directory<'a> {
    /// A view of the records in `store`.
    #[must_use]
    pub const fn new(store: &'a SessionConsistentStore, system: &'a Space) -> Self {
        Self { store, system }
    }

    /// Whether `$system` is empty, so that no key has to be built for a lookup.
    fn is_empty(&self) -> bool {
        self.store.vector(self.system).is_empty()
    }

    fn entries(&self, key: &str) -> &'a [DataEntry] {
        self.store.live(self.system, key).map(LiveSet::entries).unwrap_or_default()
    }

    /// The keys with this prefix, without the prefix, and their entries. Boxed, so that callers do not each compile the
    /// iteration.
    pub(super) fn list<'p>(&self, prefix: &'p str) -> Box<dyn Iterator<Item = (&'p str, &'p [DataEntry])> + 'p>
    where
        'a: 'p,
    {
        let Some(state) = self.store.space(self.system) else { return Box::new(core::iter::empty()) };
        let keys = state.range(Some(prefix), None);
        Box::new(keys.map_while(move |(key, set)| Some((key.strip_prefix(prefix)?, set.entries()))))
    }

    /// Whether there are accounts. Without any, roles do not apply.
    #[must_use]
    pub fn has_accounts(&self) -> bool {
        self.list("account/").next().is_some()
    }

    /// An account.
    #[must_use]
    pub fn account(&self, user: &str) -> Option<Account> {
        account(self.entries(&account_key(user)))
    }

    /// The names of all accounts in order, including `root`.
    #[must_use]
    pub fn users(&self) -> Vec<String> {
        let live = self.list("account/").filter(|(_, entries)| account(entries).is_some());
        let mut names: Vec<String> = live.map(|(name, _)| name.to_string()).collect();
        if let Err(at) = names.binary_search(&ROOT.to_string()) {
            names.insert(at, ROOT.into());
        }
        names
    }

    /// The role of an account in a space; God's holds everywhere.
    #[must_use]
    pub fn role(&self, user: &str, space: &str) -> Option<RoleType> {
        if user == ROOT {
            return Some(RoleType::God);
        }
        let account = self.account(user).filter(|account| !account.locked)?;
        role(self.entries(&role_key(space, user)), &account.creation)
    }

    /// The writes that decide what a user (`None`: anonymous) may do in a space. A user without an account is denied
    /// because accounts exist, so then it is the first of those. Without `roles`, because the host decides these, only
    /// the writes about the space.
    #[must_use]
    pub fn authority(&self, user: Option<&str>, space: &Space, roles: bool) -> Vec<Dot> {
        if self.is_empty() {
            return Vec::new();
        }
        let own = user.filter(|_| roles).map(|user| [account_key(user), role_key(&space.to_string(), user)]);
        let own = own.iter().flatten().flat_map(|key| self.entries(key)).map(|entry| entry.dot());
        let mut dots: Vec<Dot> = own.collect();
        if dots.is_empty() && roles {
            dots.extend(self.list("account/").next().and_then(|(_, entries)| entries.first()).map(|entry| entry.dot()));
        }
        dots.extend(self.entries(&space_key(space.name())).iter().map(|entry| entry.dot()));
        dots
    }

    /// The spaces that were created and are not over, with their generations, in order.
    #[must_use]
    pub fn spaces(&self) -> Vec<(String, u32)> {
        let live = self.list("space/").filter_map(|(name, entries)| {
            let (generation, _) = generation(entries).filter(|(_, over)| !over)?;
            Some((name.to_string(), generation))
        });
        live.collect()
    }

    /// The latest generation of a space, and whether it is over; `None` if the space was never created.
    #[must_use]
    pub fn generation(&self, space: &str) -> Option<(u32, bool)> {
        generation(self.entries(&space_key(space)))
    }

    /// The time from which on a session of this user must have begun to be valid: that of the last password change or
    /// drop.
    #[must_use]
    pub fn since(&self, user: &str) -> Option<Millis> {
        if self.is_empty() {
            return None;
        }
        self.entries(&since_key(user)).iter().filter_map(read).map(|record| record.at).max()
    }

    /// Creates an account, or sets its password; `creation` names the write that does it.
    #[must_use]
    pub fn set_account(&self, user: &str, hash: Option<String>, creation: String) -> Vec<Mutation> {
        // An account that was created twice gets a third creation: grants to neither of the two pass to it.
        let known = self.account(user).filter(|account| !account.locked).map(|account| account.creation);
        let record = Record { created: Some(known.unwrap_or(creation)), hash, ..Record::default() };
        alloc::vec![write(account_key(user), &record)]
    }

    /// Drops an account.
    #[must_use]
    pub fn drop_account(&self, user: &str) -> Vec<Mutation> {
        alloc::vec![erase(account_key(user))]
    }

    /// Ends a user's sessions that began before `at`.
    #[must_use]
    pub fn fence_before(&self, user: &str, at: Millis) -> Mutation {
        let at = self.since(user).map_or(at, |since| since.max(at));
        write(since_key(user), &Record { at, ..Record::default() })
    }

    /// Grants a role to an account that exists.
    #[must_use]
    pub fn grant(&self, user: &str, role: RoleType, space: &str) -> Option<Mutation> {
        let creation = self.account(user)?.creation;
        let record = Record { role: Some(role.keyword().into()), created: Some(creation), ..Record::default() };
        Some(write(role_key(space, user), &record))
    }

    /// Takes a role away.
    #[must_use]
    pub fn revoke(&self, user: &str, space: &str) -> Mutation {
        erase(role_key(space, user))
    }

    /// Opens the next generation of a space, or ends the current one.
    #[must_use]
    pub fn set_space(&self, space: &str, over: bool) -> Mutation {
        let last = self.generation(space).map_or(u32::from(over), |(generation, _)| generation);
        let generation = if over { last } else { last.saturating_add(1) };
        write(space_key(space), &Record { number: generation.into(), over, ..Record::default() })
    }
}

/// How many operations of one replica the fleet keeps.
const LOGGED_MAX: u64 = 256;

impl Directory<'_> {
    /// The logged operations that have changed the fleet, with the replicas at which they were done: the latest of each
    /// replica.
    pub fn log(&self) -> impl Iterator<Item = (&str, LoggedOperation)> {
        self.list("log/").filter_map(|(key, entries)| {
            let Content::Text(text) = &entries.first()?.content else { return None };
            Some((key.split_once('/')?.0, LoggedOperation::from_record(text)?))
        })
    }

    /// The position of the operation that a replica logged last.
    #[must_use]
    pub fn last_logged(&self, replica: &str) -> Option<u64> {
        let own = self.list("log/").filter_map(|(key, entries)| {
            let (of, place) = key.split_once('/')?;
            let dot = entries.first()?.dot();
            (of == replica).then_some((dot.sequence, place.parse::<u64>().ok()?))
        });
        own.max().map(|(_, place)| place)
    }

    /// Logs an operation, in place of an old one.
    #[must_use]
    pub fn set_log(replica: &str, number: u64, operation: &LoggedOperation) -> Mutation {
        let (key, text) = (format!("log/{replica}/{}", number % LOGGED_MAX), operation.to_record());
        Mutation { key: Key::from(key), content: Content::Text(text.into()), expires_at: None }
    }
}

/// The space of these records.
#[must_use]
pub fn system_space() -> Option<Space> {
    Space::first(SYSTEM).ok()
}

/// A shared text.
#[must_use]
pub fn shared(text: &str) -> Arc<str> {
    Arc::from(text)
}
