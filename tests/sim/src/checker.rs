//! The checker: judges a run by what it has seen itself, promise by promise.
//!
//! It keeps for every write what the accepting replica held ([`writes`]), for every replica which entries must be live
//! ([`mirror`]), for every session what it has read and written ([`bearer`]); and it judges every state, answer
//! ([`reads`]), token and message ([`escape`]). It uses the names that the core gives to writes (dots, clocks) and
//! nothing that the core concludes from them.

pub mod alarm;
pub mod bearer;
pub mod escape;
pub mod laws;
pub mod ledger;
pub mod mirror;
pub mod reads;
pub mod records;
pub mod set;
pub mod writes;

use std::cell::RefCell;
use std::collections::BTreeMap;

use edge_session::guarantee::{Guarantee, Guarantees};
use edge_session::id::{Dot, ReplicaId, SessionId, Space};
use edge_session::replica::Replica;
use edge_session::store::entry::{Content, DataEntry, Key};
use edge_session::store::space::SpaceState;

use self::alarm::{Alarm, Kind};
use self::bearer::Bearer;
use self::mirror::Mirror;
use self::set::{Set, WriteId};
use self::writes::{Checked, Fate, Part, Write, Writes, number};
use crate::storage::Covers;

/// The checker of one space of a run: no order is promised between spaces.
#[derive(Debug)]
pub struct Checker {
    /// The space.
    pub space: Space,
    /// Every write.
    pub writes: Writes,
    /// Every replica, by its node.
    pub mirrors: Vec<Mirror>,
    /// Every client's session.
    pub bearers: Vec<Bearer>,
    /// The ids that were retired, with their last sequence: nobody will ever hold more of them.
    pub retired: BTreeMap<ReplicaId, u64>,
    /// What the present answer has shown, if a history is kept.
    pub sights: Option<Vec<Sight>>,
    /// The first promise to a session that was broken, if a history is kept: the run goes on, so that it shows.
    pub noted: RefCell<Option<Alarm>>,
    /// What was accepted since somebody looked, if a history is kept.
    pub accepted: Vec<WriteId>,
    /// Under which promises a write was asked for.
    judged: BTreeMap<WriteId, Guarantees>,
}

/// What an answer has shown of a key.
#[derive(Clone, Debug)]
pub struct Sight {
    /// The key.
    pub key: Key,
    /// The entries, the winner first.
    pub named: Vec<WriteId>,
    /// Whether the winner's value shows.
    pub shows: bool,
    /// Whether the entries are known.
    pub sure: bool,
}

/// A write that a client asks for.
#[derive(Debug)]
pub struct Proposal {
    /// The client.
    pub client: usize,
    /// Where.
    pub node: usize,
    /// In which session.
    pub session: SessionId,
    /// What is judged.
    pub judged: Guarantees,
    /// The keys.
    pub parts: BTreeMap<Key, Part>,
    /// The checks.
    pub checks: Checked,
}

impl Checker {
    /// A checker of a run with so many nodes and clients.
    #[must_use]
    pub fn new(space: Space, nodes: usize, clients: usize) -> Self {
        Self {
            space,
            writes: Writes::default(),
            mirrors: (0..nodes).map(|_| Mirror::default()).collect(),
            bearers: vec![Bearer::default(); clients],
            retired: BTreeMap::new(),
            sights: None,
            noted: RefCell::default(),
            accepted: Vec::new(),
            judged: BTreeMap::new(),
        }
    }

    /// Under which promises a write was asked for.
    #[must_use]
    pub fn judged(&self, write: WriteId) -> Guarantees {
        self.judged.get(&write).copied().unwrap_or_default()
    }

    /// A promise to a session is broken.
    fn broken(&self, kind: Kind, text: String) -> Result<(), Alarm> {
        if self.sights.is_none() {
            return Alarm::raise(kind, text);
        }
        self.noted.borrow_mut().get_or_insert(Alarm { kind, text });
        Ok(())
    }

    /// Notes what an answer has shown.
    fn saw(&mut self, key: &Key, named: &[WriteId], shows: bool, sure: bool) {
        if let Some(sights) = &mut self.sights {
            sights.push(Sight { key: key.clone(), named: named.to_vec(), shows, sure });
        }
    }

    /// A client asks for a write.
    pub fn propose(&mut self, proposal: Proposal) -> WriteId {
        let Proposal { client, node, session, judged, parts, checks } = proposal;
        let write = self.writes.add(Write {
            client: Some(client),
            node,
            session: Some(session),
            parts,
            checks,
            fate: Fate::Proposed,
            dot: None,
            rank: None,
            past: Set::default(),
            after_writes: Set::default(),
            after_reads: Set::default(),
            acknowledged: false,
        });
        self.judged.insert(write, judged);
        write
    }

    /// A write has ended without being accepted, and never will be.
    pub fn withdraw(&mut self, write: WriteId) {
        let own = self.writes.get_mut(write);
        if own.fate == Fate::Proposed {
            own.fate = Fate::Lost;
        }
    }

    /// A replica was opened at a node; it holds nothing that was not loaded.
    pub fn opened(&mut self, node: usize, storage: bool) {
        self.mirrors[node] = Mirror::new(storage);
    }

    /// The storage of a node has said to hold this.
    pub fn stored(&mut self, node: usize, covers: &Covers) {
        let durable = &mut self.mirrors[node].durable;
        for ((_, id), last) in covers.iter().filter(|((space, _), _)| *space == self.space) {
            let own = durable.entry(*id).or_default();
            *own = (*own).max(*last);
        }
    }

    /// What a node's storage has said to hold.
    pub fn durable(&self, node: usize) -> impl Iterator<Item = ((Space, ReplicaId), u64)> {
        self.mirrors[node].durable.iter().map(|(id, last)| ((self.space.clone(), *id), *last))
    }

    /// A node has crashed, and its storage keeps `kept`. What the node accepted beyond that is lost.
    pub fn crashed(&mut self, node: usize, kept: &Covers) {
        for dot in self.mirrors[node].accepted() {
            if kept.get(&(self.space.clone(), dot.replica)).is_none_or(|last| *last < dot.sequence) {
                self.writes.lose(*dot);
            }
        }
    }

    /// Looks at a replica after a step: takes in what it wrote, and judges the state. Tells what it wrote.
    pub fn observe(&mut self, node: usize, replica: &Replica) -> Result<Vec<Dot>, Alarm> {
        let state = replica.store().space(&self.space);
        self.mirrors[node].begin_step(replica.id());
        let (known, own) = self.mirrors[node].news(replica.store().vector(&self.space), &self.writes)?;
        for write in &known {
            self.mirrors[node].hold(*write, &self.writes);
        }
        for write in &known {
            self.closed(node, *write)?;
        }
        for dot in &own {
            self.accept(node, *dot, state)?;
        }
        self.mirrors[node].compare(state, &self.writes)?;
        Ok(own)
    }

    /// Nothing that storage had said to hold is gone after a restart.
    pub fn reopened(&mut self, node: usize, before: &Covers, replica: &Replica) -> Result<(), Alarm> {
        let vector = replica.store().vector(&self.space);
        for ((_, id), last) in before.iter().filter(|((space, _), _)| *space == self.space) {
            if vector.get(*id) < *last {
                let text = format!("n{node} is back with {id}:{}, and {last} was durable", vector.get(*id));
                return Alarm::raise(Kind::Durability, text);
            }
        }
        self.observe(node, replica).map(drop)
    }

    /// What was acknowledged as durable is there: `amnesiac` tells which nodes have lost their storage since.
    pub fn kept(&self, node: usize, amnesiac: impl Fn(usize) -> bool) -> Result<(), Alarm> {
        let lost = |(id, write): &(WriteId, &Write)| {
            write.acknowledged && !amnesiac(write.node) && !self.mirrors[node].has.contains(*id)
        };
        match self.writes.iter().find(lost) {
            Some((write, _)) => {
                Alarm::raise(Kind::Durability, format!("w{write} was acknowledged and n{node} lacks it"))
            }
            None => Ok(()),
        }
    }

    /// A session was told that what it depends on is lost: then a retirement record says so of something that it has
    /// read or written, and that the promises ask for.
    pub fn is_lost(&self, client: usize, judged: Guarantees, writes: bool) -> Result<(), Alarm> {
        let (first, second) = match writes {
            true => (Guarantee::MonotonicWrites, Guarantee::WritesFollowReads),
            false => (Guarantee::ReadYourWrites, Guarantee::MonotonicReads),
        };
        let bearer = &self.bearers[client];
        let lost = |write: WriteId| {
            let dot = self.writes.get(write).dot;
            dot.is_some_and(|dot| self.retired.get(&dot.replica).is_some_and(|last| dot.sequence > *last))
        };
        let own = judged.has(first) && bearer.writes.iter().any(lost);
        // What a token asks for may be more than what its bearer can tell by name.
        let brought = self.retired.iter().any(|(id, last)| bearer.brought_dots.get(id).is_some_and(|dot| dot > last));
        if own || brought || (judged.has(second) && bearer.reads.iter().any(lost)) {
            return Ok(());
        }
        Alarm::raise(Kind::Answer, format!("c{client} is told that its past is lost, and no retirement record says so"))
    }

    /// The global clauses: whoever holds a write holds what it follows.
    fn closed(&self, node: usize, write: WriteId) -> Result<(), Alarm> {
        let (own, has) = (self.writes.get(write), &self.mirrors[node].has);
        let clauses = [
            (Kind::MonotonicWrites, &own.after_writes),
            (Kind::WritesFollowReads, &own.after_reads),
            (Kind::Closure, &own.past),
        ];
        for (kind, needed) in clauses {
            if let Some(lack) = has.lacks(needed) {
                self.broken(kind, format!("n{node} has w{write} without w{lack}"))?;
            }
        }
        Ok(())
    }

    /// Takes in a write that the replica has accepted: which one it is, and what it follows.
    fn accept(&mut self, node: usize, dot: Dot, state: Option<&SpaceState>) -> Result<(), Alarm> {
        let entries: Vec<(&Key, &DataEntry)> = state
            .into_iter()
            .flat_map(SpaceState::iter)
            .flat_map(|(key, set)| set.entries().iter().map(move |entry| (key, entry)))
            .filter(|(_, entry)| entry.dot() == dot)
            .collect();
        let write = match self.proposed(node, &entries) {
            Some(write) => write,
            None => self.unasked(node, &entries),
        };
        self.mirrors[node].unseen |= entries.is_empty();
        let hlc = entries.first().map(|(_, entry)| entry.hlc);
        self.writes.accept(write, dot, hlc)?;
        self.accepted.extend(self.sights.is_some().then_some(write));
        let (rank, top) = (self.writes.get(write).rank, self.mirrors[node].top());
        if rank.is_some() && rank <= top {
            return Alarm::raise(Kind::Arbitration, format!("w{write} is not greater than what n{node} held"));
        }
        self.follow(node, write)?;
        self.mirrors[node].part();
        self.mirrors[node].hold(write, &self.writes);
        Ok(())
    }

    /// Notes what a write follows and judges that its replica has it.
    fn follow(&mut self, node: usize, write: WriteId) -> Result<(), Alarm> {
        self.checks_held(node, write)?;
        let own = self.writes.get_mut(write);
        own.past = self.mirrors[node].has.clone();
        let (Some(client), Some(judged)) = (own.client, self.judged.get(&write)) else { return Ok(()) };
        let bearer = &mut self.bearers[client];
        if bearer.session != own.session {
            return Ok(());
        }
        if judged.has(Guarantee::MonotonicWrites) {
            own.after_writes = bearer.writes.clone();
        }
        if judged.has(Guarantee::WritesFollowReads) {
            own.after_reads = bearer.reads.clone();
            // A copy of it may have been read before it was handed over.
            own.after_reads.remove(write);
        }
        bearer.writes.insert(write);
        self.closed(node, write)?;
        // A checked version is something that the session has read by writing.
        let own = self.writes.get(write);
        let read = own.checks.iter().filter_map(|(_, found)| found.as_ref()).flatten();
        self.bearers[client].reads.join(&read.copied().collect());
        Ok(())
    }

    /// A checked write found what its checks named.
    fn checks_held(&self, node: usize, write: WriteId) -> Result<(), Alarm> {
        for (key, found) in &self.writes.get(write).checks {
            let live = self.mirrors[node].live(key);
            let endless = |w: &WriteId| {
                self.writes
                    .get(*w)
                    .parts
                    .get(key)
                    .is_some_and(|p| p.expires_at.is_none() && p.content != Content::Tombstone)
            };
            let held = match found {
                Some(found) => live == found.as_slice(),
                None => !live.first().is_some_and(endless),
            };
            if !held {
                let text = format!("w{write} was accepted on {key} for {found:?}, and n{node} had {live:?}");
                return Alarm::raise(Kind::Answer, text);
            }
        }
        Ok(())
    }

    /// The write that was asked for here and made these entries.
    fn proposed(&self, node: usize, entries: &[(&Key, &DataEntry)]) -> Option<WriteId> {
        let waits = |write: &Write| write.fate == Fate::Proposed && write.node == node;
        if let Some(write) = entries.iter().find_map(|(_, entry)| number(&entry.content)) {
            return Some(write).filter(|write| *write < self.writes.next() && waits(self.writes.get(*write)));
        }
        let (key, first) = entries.first()?;
        let deletes = |write: &Write| {
            waits(write)
                && write.session == first.session()
                && write.parts.contains_key(*key)
                && write.parts.values().all(|part| part.content == Content::Tombstone)
        };
        self.writes.iter().find(|(_, write)| deletes(write)).map(|(write, _)| write)
    }

    /// A write that nobody asked for: the replica has relieved a key of its siblings.
    fn unasked(&mut self, node: usize, entries: &[(&Key, &DataEntry)]) -> WriteId {
        let part = |entry: &DataEntry| Part { content: entry.content.clone(), expires_at: entry.expires_at() };
        self.writes.add(Write {
            client: None,
            node,
            session: entries.first().and_then(|(_, entry)| entry.session()),
            parts: entries.iter().map(|(key, entry)| ((*key).clone(), part(entry))).collect(),
            checks: Checked::new(),
            fate: Fate::Proposed,
            dot: None,
            rank: None,
            past: Set::default(),
            after_writes: Set::default(),
            after_reads: Set::default(),
            acknowledged: false,
        })
    }
}
