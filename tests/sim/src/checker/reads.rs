//! Judging answers: against the replica's state, and against what the session had read and written before.

use edge_session::guarantee::{Guarantee, Guarantees};
use edge_session::store::entry::{Content, Key};
use edge_session::time::Millis;

use super::Checker;
use super::alarm::{Alarm, Kind};
use super::set::{Set, WriteId};
use super::writes::same;

/// Who read where, and under which promises.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// The client.
    pub client: usize,
    /// The node that answered.
    pub node: usize,
    /// What is judged.
    pub judged: Guarantees,
    /// The answer said of itself that it is stale.
    pub stale: bool,
    /// The replica's clock.
    pub at: Millis,
    /// The latest time at which the answer may have judged expiry: clocks that the session has met before.
    pub at_most: Millis,
}

/// What an answer said of a key: the version of its live set and the value, or nothing.
pub type Said<'a> = Option<(&'a str, &'a Content, Option<Millis>)>;

impl Checker {
    /// Judges what an answer said of a key, and takes note that the client has read it: the winner, or everything
    /// listed if `whole`. Tells what the answer named.
    pub fn read(&mut self, reader: Reader, key: &Key, said: Said<'_>, whole: bool) -> Result<Vec<WriteId>, Alarm> {
        let named = match said {
            Some((version, content, expires_at)) => {
                let Some(named) = self.named(reader, version)? else { return Ok(Vec::new()) };
                self.saw(key, &named, true, true);
                self.agrees(reader, key, &named)?;
                self.shows(reader, key, named[0], content, expires_at)?;
                self.may_leave(reader, key, &named)?;
                named
            }
            None => return self.read_absent(reader, key),
        };
        self.guarantees(reader, key, named.first().copied())?;
        let bearer = &mut self.bearers[reader.client];
        let decided = if whole { named.len() } else { 1 };
        named.iter().take(decided).for_each(|write| bearer.reads.insert(*write));
        Ok(named)
    }

    /// Judges a copy that a host has answered: it is what the replica holds alone, or the last write of the host's log.
    pub fn read_copy(
        &mut self,
        reader: Reader,
        key: &Key,
        write: WriteId,
        content: &Content,
        log: Option<WriteId>,
    ) -> Result<(), Alarm> {
        let logged = log.filter(|log| self.writes.get(*log).parts.contains_key(key));
        let part = self.writes.get(write).parts.get(key);
        let current = match logged {
            Some(log) => write == log,
            None => self.mirrors[reader.node].live(key) == [write],
        };
        if !current || !part.is_some_and(|part| same(&part.content, content)) {
            let live = self.mirrors[reader.node].live(key);
            let text = format!("a copy of {key} is of w{write}; the log has {logged:?}, the replica {live:?}");
            return Alarm::raise(Kind::Answer, text);
        }
        if logged.is_none() {
            // What is in the log is as good as held: it is handed over before anything else is asked.
            let mut has = self.mirrors[reader.node].has.clone();
            log.into_iter().for_each(|log| has.insert(log));
            self.satisfied(reader, key, Some(write), &has)?;
        }
        self.bearers[reader.client].reads.insert(write);
        Ok(())
    }

    /// Judges what an answer to `conflicts` said: every live entry that shows, the winner first.
    pub fn read_siblings(&mut self, reader: Reader, key: &Key, said: &[(&str, &Content)]) -> Result<(), Alarm> {
        let mut listed = Vec::new();
        for (version, content) in said {
            let Some(named) = self.named(reader, version)? else { return Ok(()) };
            let write = named[0];
            self.shows(reader, key, write, content, None)?;
            listed.push(write);
        }
        let Some(winner) = listed.first().copied() else { return self.read_absent(reader, key).map(drop) };
        let hidden = |write: &WriteId| self.writes.is_gone(*write, key, reader.at_most);
        let fits = |set: &&[WriteId]| {
            set.first() == Some(&winner)
                && listed.iter().all(|write| set.contains(write))
                && set.iter().all(|write| listed.contains(write) || hidden(write))
        };
        let mirror = &self.mirrors[reader.node];
        let Some(set) = mirror.states(key).find(fits).map(<[WriteId]>::to_vec) else {
            let live = mirror.live(key);
            return Alarm::raise(
                Kind::Answer,
                format!("the siblings of {key} are {live:?}, the answer was {listed:?}"),
            );
        };
        self.saw(key, &set, true, true);
        self.may_leave(reader, key, &set)?;
        self.guarantees(reader, key, Some(winner))?;
        set.iter().for_each(|write| self.bearers[reader.client].reads.insert(*write));
        Ok(())
    }

    /// The writes that a version names. `None`: one of them was superseded in the very step in which the replica made
    /// it, unasked, before anybody could see its clock; then nothing can be said of the answer.
    fn named(&self, reader: Reader, version: &str) -> Result<Option<Vec<WriteId>>, Alarm> {
        match self.writes.named(version) {
            Err(_) if self.mirrors[reader.node].unseen => Ok(None),
            named => named.map(Some),
        }
    }

    /// The entries that an answer names are those that the replica had.
    fn agrees(&self, reader: Reader, key: &Key, named: &[WriteId]) -> Result<(), Alarm> {
        let mirror = &self.mirrors[reader.node];
        if mirror.states(key).any(|set| set == named) {
            return Ok(());
        }
        Alarm::raise(
            Kind::Answer,
            format!("the answer on {key} names {named:?}, the replica has {:?}", mirror.live(key)),
        )
    }

    /// The value is that of the write, and it shows.
    fn shows(
        &self,
        reader: Reader,
        key: &Key,
        write: WriteId,
        content: &Content,
        expires_at: Option<Millis>,
    ) -> Result<(), Alarm> {
        let part = self.writes.get(write).parts.get(key);
        let fits = part.is_some_and(|part| {
            same(&part.content, content) && expires_at.is_none_or(|end| part.expires_at == Some(end))
        });
        if !fits || self.writes.is_gone(write, key, reader.at) {
            return Alarm::raise(Kind::Answer, format!("the answer on {key} is not what w{write} wrote, or is over"));
        }
        Ok(())
    }

    /// A key shows nothing because of a winner that is gone, or because there is no entry. Where the last step changed
    /// the key, the answer may rest on either state: it is judged by the one that excuses it, and what was read is
    /// noted only where it is certain.
    fn read_absent(&mut self, reader: Reader, key: &Key) -> Result<Vec<WriteId>, Alarm> {
        let mirror = &self.mirrors[reader.node];
        let winners = mirror.states(key).map(|set| set.first().copied());
        let gone = |winner: &Option<WriteId>| winner.is_none_or(|w| self.writes.is_gone(w, key, reader.at_most));
        let winners: Vec<Option<WriteId>> = winners.filter(gone).collect();
        let Some(best) = winners.iter().max_by_key(|winner| winner.and_then(|w| self.writes.get(w).rank)) else {
            let shows = mirror.live(key);
            return Alarm::raise(Kind::Answer, format!("{key} shows {shows:?}, and the answer was: absent"));
        };
        let (best, sure) = (*best, mirror.states(key).count() == 1);
        self.saw(key, best.as_slice(), false, sure);
        self.guarantees(reader, key, best)?;
        if let (true, Some(winner)) = (sure, best) {
            self.may_leave(reader, key, &[winner])?;
            self.bearers[reader.client].reads.insert(winner);
        }
        Ok(Vec::new())
    }

    /// Nobody but its session sees a write that storage does not have (I5).
    fn may_leave(&self, reader: Reader, key: &Key, named: &[WriteId]) -> Result<(), Alarm> {
        let (mirror, session) = (&self.mirrors[reader.node], self.bearers[reader.client].session);
        for write in named {
            let own = self.writes.get(*write);
            if own.session != session && !own.dot.is_some_and(|dot| mirror.is_durable(dot)) {
                let (client, node) = (reader.client, reader.node);
                let text = format!("c{client} was told of w{write} on {key} before the storage of n{node} has it");
                return Alarm::raise(Kind::Escape, text);
            }
        }
        Ok(())
    }

    /// Read Your Writes and Monotonic Reads: the replica holds all that the guarantee names, and the winner of the
    /// key is none older.
    fn guarantees(&self, reader: Reader, key: &Key, winner: Option<WriteId>) -> Result<(), Alarm> {
        self.satisfied(reader, key, winner, &self.mirrors[reader.node].has)
    }

    fn satisfied(&self, reader: Reader, key: &Key, winner: Option<WriteId>, has: &Set) -> Result<(), Alarm> {
        if reader.stale {
            return Ok(());
        }
        let bearer = &self.bearers[reader.client];
        let rank = winner.and_then(|winner| self.writes.get(winner).rank);
        let rows = [(Guarantee::ReadYourWrites, &bearer.writes), (Guarantee::MonotonicReads, &bearer.reads)];
        for (guarantee, needed) in rows.into_iter().filter(|(guarantee, _)| reader.judged.has(*guarantee)) {
            let (client, node) = (reader.client, reader.node);
            if let Some(write) = has.lacks(needed) {
                let text = format!("n{node} answered c{client} on {key} without w{write}");
                self.broken(Kind::of(guarantee), text)?;
            }
            let older = |write: &WriteId| {
                let own = self.writes.get(*write);
                own.parts.contains_key(key) && own.rank.is_some() && own.rank > rank
            };
            if let Some(write) = needed.iter().find(older) {
                let text = format!("n{node} answered c{client} on {key} with {winner:?}, which is older than w{write}");
                self.broken(Kind::of(guarantee), text)?;
            }
        }
        Ok(())
    }
}
