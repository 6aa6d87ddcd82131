//! Failed logins of an account, and when they lock it.
//!
//! Each replica at which a login failed keeps one record:
//!
//! * how many failures it has ever counted;
//! * until when the account is locked, if its last failure was one too many;
//! * how many failures of each replica are *settled*, because they have led to a lock or because a login has succeeded
//!   since.
//!
//! The sum of the unsettled failures counts. Counts and settled counts only grow, and records join by maximum, so all
//! replicas reach the same result from the same records, in whatever order these arrive.
//!
//! Invariants:
//!
//! * No failure counts twice, and none is lost.
//! * Five failures lock, at whichever replicas they were counted, even if no replica saw the fifth.
//! * A lock ends one minute after the last failure that it stands for, whatever is joined later.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::system::{Directory, Record, read, write};
use crate::mutant::{Mutant, Service, off};
use crate::store::Mutation;
use crate::store::entry::DataEntry;
use crate::time::Millis;

/// How many failures lock an account.
pub const FAILURES_MAX: u64 = 5;
/// How long a lock lasts, in milliseconds.
pub const LOCK_MS: Millis = 60_000;

/// The record of one replica.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Counted {
    replica: String,
    count: u64,
    /// Until when the account is locked if the last failure was one too many.
    until: Millis,
    /// Until when it is locked because this replica itself counted the failure that was one too many.
    lock: Millis,
    /// How many failures of each replica are settled.
    settled: Vec<(String, u64)>,
}

impl Counted {
    /// Joins the entries of a record. Usually there is one, since each replica writes its own record; if an id is used
    /// twice, the maximum counts.
    fn of(replica: &str, entries: &[DataEntry]) -> Self {
        let mut counted = Self { replica: replica.to_string(), ..Self::default() };
        for record in entries.iter().filter_map(read) {
            let pairs =
                record.settled.as_deref().unwrap_or_default().split(' ').filter_map(|pair| pair.split_once('='));
            let settled: Vec<(String, u64)> =
                pairs.filter_map(|(of, count)| Some((of.to_string(), count.parse().ok()?))).collect();
            if settled_of(&settled, replica) >= record.number {
                counted.lock = counted.lock.max(record.at);
            }
            counted.count = counted.count.max(record.number);
            counted.until = counted.until.max(record.at);
            counted.settled.extend(settled);
        }
        counted
    }
}

fn settled_of(settled: &[(String, u64)], replica: &str) -> u64 {
    settled.iter().filter(|(of, _)| of == replica).map(|(_, count)| *count).max().unwrap_or(0)
}

/// The failed logins of an account, as counted by all replicas.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Failures(Vec<Counted>);

impl Failures {
    /// The count of one replica alone.
    #[must_use]
    pub fn only(mut self, replica: &str) -> Self {
        self.0.retain(|counted| counted.replica == replica);
        self
    }

    fn own(&self, replica: &str) -> Option<&Counted> {
        self.0.iter().find(|counted| counted.replica == replica)
    }

    /// How many failures of a replica are settled, according to any record.
    fn settled(&self, replica: &str) -> u64 {
        let settled = self.0.iter().map(|counted| settled_of(&counted.settled, replica));
        settled.max().filter(|_| !off(Mutant::Service(Service::Settled))).unwrap_or(0)
    }

    /// The number of unsettled failures of each replica.
    fn open(&self) -> impl Iterator<Item = (&Counted, u64)> {
        let summed = if off(Mutant::Service(Service::Failures)) { 1 } else { self.0.len() };
        let open = self.0.iter().map(|own| (own, own.count.saturating_sub(self.settled(&own.replica))));
        open.filter(|(_, count)| *count > 0).take(summed)
    }

    /// The number of unsettled failures of all replicas.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.open().fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    /// Until when the account is locked: by the replica that counted the fifth failure, or because the sum has reached
    /// five.
    #[must_use]
    pub fn until(&self) -> Millis {
        let locks = self.0.iter().map(|counted| counted.lock);
        let many = self.sum() >= FAILURES_MAX && !off(Mutant::Service(Service::Sides));
        let together = self.open().filter(|_| many).map(|(counted, _)| counted.until);
        locks.chain(together).max().unwrap_or(0)
    }

    /// Counts another failure at a replica. The account must not be locked.
    #[must_use]
    pub fn wrong(&self, user: &str, own: &str, now: Millis) -> Mutation {
        let (before, sum) = (self.own(own).map_or(0, |counted| counted.count), self.sum());
        let count = before.saturating_add(1);
        // Failures that have led to a lock as a sum were settled by no record yet.
        let (anew, locks) = (sum >= FAILURES_MAX, sum.saturating_add(1) == FAILURES_MAX);
        let settled = if anew || locks { self.all(own, if locks { count } else { before }) } else { self.kept(own) };
        self.record(user, own, count, now.saturating_add(LOCK_MS), settled)
    }

    /// Settles all failures after a successful login at a replica; `None` if there are none to settle.
    #[must_use]
    pub fn right(&self, user: &str, own: &str) -> Option<Mutation> {
        let count = self.own(own).map_or(0, |counted| counted.count);
        (self.sum() > 0).then(|| self.record(user, own, count, 0, self.all(own, count)))
    }

    /// All counts, with `count` for `own`.
    fn all(&self, own: &str, count: u64) -> Vec<(String, u64)> {
        let others = self.0.iter().filter(|counted| counted.replica != own);
        let others = others.map(|counted| (counted.replica.clone(), counted.count));
        others.chain([(own.to_string(), count)]).collect()
    }

    /// What the record of a replica settles already.
    fn kept(&self, own: &str) -> Vec<(String, u64)> {
        self.own(own).map(|counted| counted.settled.clone()).unwrap_or_default()
    }

    /// Writes the record. It omits what other records settle already, so that the records grow with the number of
    /// replicas and not with its square. Of two replicas that settle the same count, the one with the lower id keeps
    /// it; otherwise each would leave it to the other.
    fn record(&self, user: &str, own: &str, number: u64, at: Millis, mut settled: Vec<(String, u64)>) -> Mutation {
        settled.retain(|(of, count)| {
            let said = |other: &Counted| {
                let said = settled_of(&other.settled, of);
                said > *count || (said == *count && *other.replica < *own)
            };
            (of == own && *count == number) || !self.0.iter().any(|other| other.replica != own && said(other))
        });
        let pairs: Vec<String> = settled.iter().map(|(of, count)| format!("{of}={count}")).collect();
        let settled = Some(pairs.join(" ")).filter(|pairs| !pairs.is_empty());
        write(format!("fail/{user}/{own}"), &Record { number, at, settled, ..Record::default() })
    }
}

impl Directory<'_> {
    /// Wrong passwords for an account.
    #[must_use]
    pub fn failures(&self, user: &str) -> Failures {
        let prefix = format!("fail/{user}/");
        // User names may contain the separator of keys; replica ids may not.
        let counted = self.list(&prefix).filter(|(replica, _)| !replica.contains('/'));
        Failures(counted.map(|(replica, entries)| Counted::of(replica, entries)).collect())
    }
}
