//! What the fleet's records mean: accounts, roles, spaces and wrong passwords, judged by their causal order alone.
//!
//! Of the core it uses the names of writes (dots, vectors) and what a record says; which records count, and what they mean
//! together, is concluded here: a record counts where it is held and nothing is held that was written by somebody who had it.

use std::collections::{BTreeMap, BTreeSet};

use edge_session::id::{Dot, ReplicaId, Space};
use edge_session::replica::Replica;
use edge_session::store::entry::Content;
use edge_session::time::Millis;
use edge_session::vector::VersionVector;

/// One write of one record.
#[derive(Clone, Debug)]
struct Record {
    dot: Dot,
    /// What its writer held of the fleet's records.
    past: VersionVector,
    /// What it says, line by line; none: that there is nothing any more.
    says: Option<Vec<String>>,
    /// The login that has written it.
    attempt: Option<Attempt>,
}

/// A login that counts for a lock, or ends what has counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// When.
    pub at: Millis,
    /// It is a wrong password that counts on.
    pub counts: bool,
    /// What its replica had heard of counts no more.
    pub settles: bool,
    /// It has locked the account.
    pub locks: bool,
}

/// The attempts on an account that a replica has heard of.
#[derive(Clone, Debug, Default)]
pub struct Attempts {
    /// When the wrong passwords were tried that count.
    pub wrong: Vec<Millis>,
    /// When one has locked the account.
    locked: Vec<Millis>,
}

impl Attempts {
    /// Until when the account is locked: by one that was one too many, or because too many count together.
    #[must_use]
    pub fn locked(&self, most: usize, lock: Millis) -> Millis {
        let many = self.wrong.iter().filter(|_| self.wrong.len() >= most);
        self.locked.iter().chain(many).max().map_or(0, |at| at + lock)
    }
}

impl Record {
    fn line(&self, at: usize) -> &str {
        self.says.as_ref().and_then(|lines| lines.get(at)).map_or("", String::as_str)
    }

    fn number(&self, at: usize) -> u64 {
        self.line(at).parse().unwrap_or(0)
    }
}

/// How an account stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// There is none.
    None,
    /// It was created twice at once.
    Twice,
    /// It is in use.
    Held {
        /// What names it.
        creation: String,
        /// Whether it has a password.
        password: bool,
    },
}

/// Every record that was ever written, by its key.
#[derive(Debug, Default)]
pub struct Records {
    written: BTreeMap<String, Vec<Record>>,
    reached: BTreeMap<ReplicaId, u64>,
}

impl Records {
    /// Takes note of what a replica has written since it was looked at last; what a crash took back was never written.
    pub fn observe(&mut self, replica: &Replica, system: &Space) {
        let (id, held) = (replica.id(), replica.store().vector(system));
        let own = held.get(id);
        let reached = self.reached.insert(id, own).unwrap_or(0);
        if own < reached {
            let stays = |record: &Record| record.dot.replica != id || record.dot.sequence <= own;
            self.written.values_mut().for_each(|records| records.retain(stays));
        }
        if own <= reached {
            return;
        }
        for (key, set) in replica.store().space(system).into_iter().flat_map(|state| state.iter()) {
            for entry in
                set.entries().iter().filter(|entry| entry.dot().replica == id && entry.dot().sequence > reached)
            {
                let before = |(of, last)| (of, if of == id { entry.dot().sequence - 1 } else { last });
                let past = held.iter().map(before).filter(|(_, last)| *last > 0).collect();
                let says = match &entry.content {
                    Content::Text(text) => Some(text.split('\n').map(String::from).collect()),
                    _ => None,
                };
                self.written.entry(key.to_string()).or_default().push(Record {
                    dot: entry.dot(),
                    past,
                    says,
                    attempt: None,
                });
            }
        }
    }

    /// The records of a key that count where `held` is held.
    fn live(&self, key: &str, held: &VersionVector) -> Vec<&Record> {
        let known: Vec<&Record> =
            self.written.get(key).into_iter().flatten().filter(|record| held.contains(record.dot)).collect();
        let gone = |record: &&Record| known.iter().any(|later| later.past.contains(record.dot));
        known.iter().filter(|record| !gone(record)).copied().collect()
    }

    /// The records that count for what a user may in a space, in words.
    #[must_use]
    pub fn words(&self, user: &str, space: &Space, held: &VersionVector) -> String {
        let word = |record: &Record| format!("{} {:?}", record.dot, record.says.as_ref().map(|lines| lines.join(" ")));
        let words = |key: String| {
            let live = self.live(&key, held);
            format!("{key}: {}", live.into_iter().map(word).collect::<Vec<_>>().join(", "))
        };
        format!("{}; {}", words(format!("account/{user}")), words(format!("role/{space}/{user}")))
    }

    /// Whether anybody has an account, as far as is known there.
    #[must_use]
    pub fn has_accounts(&self, held: &VersionVector) -> bool {
        let accounts = self.written.iter().filter(|(key, _)| key.starts_with("account/"));
        accounts.flat_map(|(_, records)| records).any(|record| held.contains(record.dot))
    }

    /// How an account stands: a drop beats what was done beside it, two creations at once are nobody's.
    #[must_use]
    pub fn account(&self, user: &str, held: &VersionVector) -> Standing {
        let live = self.live(&format!("account/{user}"), held);
        if live.is_empty() || live.iter().any(|record| record.says.is_none()) {
            return Standing::None;
        }
        let creations: BTreeSet<&str> = live.iter().map(|record| record.line(0)).collect();
        match (creations.len(), live.as_slice()) {
            (1, records) => Standing::Held {
                creation: records[0].line(0).into(),
                password: records.iter().all(|record| !record.line(1).is_empty()),
            },
            _ => Standing::Twice,
        }
    }

    /// How much a user may in a space: 0 nothing, 1 read, 2 and more write. Of roles that were granted at once the lowest counts.
    #[must_use]
    pub fn rank(&self, user: &str, space: &Space, held: &VersionVector) -> u8 {
        let Standing::Held { creation, .. } = self.account(user, held) else { return 0 };
        let rank = |record: &&Record| match record.line(2) {
            _ if record.line(0) != creation => 0,
            "GUEST" => 1,
            "USER" => 2,
            "DBA" => 3,
            "ADMIN" => 4,
            _ => 0,
        };
        self.live(&format!("role/{space}/{user}"), held).iter().map(rank).min().unwrap_or(0)
    }

    /// The latest generation of a space, and whether it is over.
    #[must_use]
    pub fn generation(&self, name: &str, held: &VersionVector) -> Option<(u32, bool)> {
        let live = self.live(&format!("space/{name}"), held);
        live.iter().map(|record| (record.number(3) as u32, record.number(5) > 0)).max()
    }

    /// From when on the sessions of a user count.
    #[must_use]
    pub fn since(&self, user: &str, held: &VersionVector) -> Millis {
        self.live(&format!("since/{user}"), held).iter().map(|record| record.number(4)).max().unwrap_or(0)
    }

    /// What was written at a replica since it held `before` is due to a login, or to nothing; whether it is so.
    pub fn note_attempt(
        &mut self,
        user: &str,
        replica: &str,
        before: &VersionVector,
        attempt: Option<Attempt>,
    ) -> bool {
        let written = self.written.get_mut(&format!("fail/{user}/{replica}"));
        let last = written.and_then(|records| records.last_mut()).filter(|record| !before.contains(record.dot));
        match (last, attempt) {
            (None, None) => true,
            (Some(record), Some(_)) => {
                record.attempt = attempt;
                true
            }
            _ => false,
        }
    }

    /// The attempts on an account, as far as they are held: of each what its replica had heard of says what it has settled.
    #[must_use]
    pub fn attempts(&self, user: &str, held: &VersionVector) -> Attempts {
        let prefix = format!("fail/{user}/");
        let keys = self.written.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
        let all = keys.flat_map(|(_, records)| records).filter(|record| held.contains(record.dot));
        let all: Vec<(&Record, Attempt)> = all.filter_map(|record| Some((record, record.attempt?))).collect();
        let settled = |dot: Dot| all.iter().any(|(later, attempt)| attempt.settles && later.past.contains(dot));
        let wrong = all.iter().filter(|(record, attempt)| attempt.counts && !settled(record.dot));
        let locked = all.iter().filter(|(_, attempt)| attempt.locks);
        Attempts {
            wrong: wrong.map(|(_, attempt)| attempt.at).collect(),
            locked: locked.map(|(_, attempt)| attempt.at).collect(),
        }
    }

    /// The writes that decide what a user may do in a space, where `held` is held.
    #[must_use]
    pub fn decisive(&self, user: &str, space: &Space, held: &VersionVector) -> Vec<Dot> {
        let keys = [format!("account/{user}"), format!("role/{space}/{user}"), format!("space/{}", space.name())];
        keys.iter().flat_map(|key| self.live(key, held)).map(|record| record.dot).collect()
    }
}
