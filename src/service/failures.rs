//! Wrong passwords for an account, and when they lock it.
//!
//! Each replica that was guessed at keeps one record: how many it has counted, ever; until when the account is locked if
//! the last of them was one too many; and how many of each replica are settled, because they have locked the account or
//! somebody has come in since. What counts is the sum of those that nobody has settled. Counts, and what is settled,
//! only grow and join by the greater, so every replica concludes the same from the same records, in whatever order they
//! came. Invariants: no wrong password counts twice, none is lost; five of them lock, wherever they were counted, also
//! where no replica has seen the fifth; a lock ends a minute after the last wrong password that it stands for, whatever
//! is joined later.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::system::{Directory, Record, read, write};
use crate::mutant::{Mutant, Service, off};
use crate::store::Mutation;
use crate::store::entry::DataEntry;
use crate::time::Millis;

/// So many wrong passwords lock an account.
pub const FAILURES_MAX: u64 = 5;
/// For so long, in milliseconds.
pub const LOCK_MS: Millis = 60_000;

/// What one replica has counted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Counted {
    replica: String,
    count: u64,
    /// Until when the account is locked, if the last one was one too many.
    until: Millis,
    /// Until when it is locked because this replica has counted the last one too many.
    lock: Millis,
    /// How many of each replica are settled.
    settled: Vec<(String, u64)>,
}

impl Counted {
    /// One replica writes its record alone, so there is one entry; if its id is another's by now, the greatest counts.
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

/// Wrong passwords for an account, as all replicas have counted them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Failures(Vec<Counted>);

impl Failures {
    /// What one replica has counted, alone.
    #[must_use]
    pub fn only(mut self, replica: &str) -> Self {
        self.0.retain(|counted| counted.replica == replica);
        self
    }

    fn own(&self, replica: &str) -> Option<&Counted> {
        self.0.iter().find(|counted| counted.replica == replica)
    }

    /// How many of a replica are settled, by anybody's word.
    fn settled(&self, replica: &str) -> u64 {
        let settled = self.0.iter().map(|counted| settled_of(&counted.settled, replica));
        settled.max().filter(|_| !off(Mutant::Service(Service::Settled))).unwrap_or(0)
    }

    /// Of each replica, how many count.
    fn open(&self) -> impl Iterator<Item = (&Counted, u64)> {
        let summed = if off(Mutant::Service(Service::Failures)) { 1 } else { self.0.len() };
        let open = self.0.iter().map(|own| (own, own.count.saturating_sub(self.settled(&own.replica))));
        open.filter(|(_, count)| *count > 0).take(summed)
    }

    /// How many count, everywhere.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.open().fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    /// Until when the account is locked: by the replica that has counted the fifth, or because there are as many together.
    #[must_use]
    pub fn until(&self) -> Millis {
        let locks = self.0.iter().map(|counted| counted.lock);
        let many = self.sum() >= FAILURES_MAX && !off(Mutant::Service(Service::Sides));
        let together = self.open().filter(|_| many).map(|(counted, _)| counted.until);
        locks.chain(together).max().unwrap_or(0)
    }

    /// Counts one more at a replica, where the account is not locked.
    #[must_use]
    pub fn wrong(&self, user: &str, own: &str, now: Millis) -> Mutation {
        let (before, sum) = (self.own(own).map_or(0, |counted| counted.count), self.sum());
        let count = before.saturating_add(1);
        // Those that have locked it together were settled by nobody yet.
        let (anew, locks) = (sum >= FAILURES_MAX, sum.saturating_add(1) == FAILURES_MAX);
        let settled = if anew || locks { self.all(own, if locks { count } else { before }) } else { self.kept(own) };
        self.record(user, own, count, now.saturating_add(LOCK_MS), settled)
    }

    /// Settles what counts, because somebody has come in at a replica; nothing if nothing counts.
    #[must_use]
    pub fn right(&self, user: &str, own: &str) -> Option<Mutation> {
        let count = self.own(own).map_or(0, |counted| counted.count);
        (self.sum() > 0).then(|| self.record(user, own, count, 0, self.all(own, count)))
    }

    /// Everything that was counted, and at `own` so many.
    fn all(&self, own: &str, count: u64) -> Vec<(String, u64)> {
        let others = self.0.iter().filter(|counted| counted.replica != own);
        let others = others.map(|counted| (counted.replica.clone(), counted.count));
        others.chain([(own.to_string(), count)]).collect()
    }

    /// What the record of a replica settles already.
    fn kept(&self, own: &str) -> Vec<(String, u64)> {
        self.own(own).map(|counted| counted.settled.clone()).unwrap_or_default()
    }

    /// What others' records settle is not said again: together they grow with the replicas, not with their square. Of two
    /// that say the same one goes on saying it, or each would leave it to the other.
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
        // Names may hold what stands between the parts of a key; ids of replicas do not.
        let counted = self.list(&prefix).filter(|(replica, _)| !replica.contains('/'));
        Failures(counted.map(|(replica, entries)| Counted::of(replica, entries)).collect())
    }
}
