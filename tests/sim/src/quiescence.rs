//! The end of a run: everything is mended, time passes, and everybody must agree.

use edge_session::id::Dot;
use edge_session::io::{Answer, Operation, Progress, Range, Terms};
use edge_session::replica::SessionInit;
use edge_session::store::entry::{Key, LiveSet};

use crate::checker::Checker;
use crate::checker::alarm::{Alarm, Kind};
use crate::clock::RIGHT;
use crate::network::Weather;
use crate::replica::Replica;
use crate::world::World;

/// How long healed replicas may take to agree, in milliseconds: several of the longest pauses between two attempts.
const PATIENCE: u64 = 300_000;
/// How often it is looked whether they do.
const LOOK: u64 = 500;

impl World {
    /// Mends everything, waits until all agree, and judges what must hold then.
    pub fn come_to_rest(&mut self) -> Result<(), Alarm> {
        self.calm = true;
        self.tell(|| "everything is mended".into());
        self.network.heal();
        self.network.weather = Weather { drop: 0, duplicate: 0, jitter: 5 };
        for node in 0..self.nodes.len() {
            let now = self.now;
            self.nodes[node].clock.run(RIGHT, now);
            self.nodes[node].clock.set(now, now);
            self.open(node)?;
            // A host whose clock was set asks its timer again.
            self.call(node, |replica, now| replica.tick(now))?;
            self.carry_out(node)?;
        }
        let mut waited = 0;
        while !self.agrees() {
            if waited >= PATIENCE {
                return Alarm::raise(Kind::Convergence, self.disagreement());
            }
            waited += LOOK;
            self.pass(LOOK)?;
        }
        for node in 0..self.nodes.len() {
            let nodes = &self.nodes;
            let lost = |node: usize| nodes[node].amnesiac || !self.profile.storage[node];
            self.checkers.iter().try_for_each(|checker| checker.kept(node, lost))?;
        }
        self.same_entries()?;
        if !self.clients.is_empty() {
            self.same_answers()?;
        }
        self.fleet_comes_to_rest()?;
        self.everybody_is_served()
    }

    fn replicas(&self) -> impl Iterator<Item = &Replica> {
        self.nodes.iter().filter_map(|node| node.replica.as_ref())
    }

    fn agrees(&self) -> bool {
        let same = |checker: &Checker| {
            let mut vectors = self.replicas().map(|replica| replica.store().vector(&checker.space));
            let first = vectors.next();
            vectors.all(|vector| Some(vector) == first)
        };
        self.checkers.iter().all(same)
            && self.fleet_agrees()
            && self.replicas().all(Replica::is_settled)
            && self.nodes.iter().all(|node| node.is_up() && node.waits.is_empty() && node.storage.is_settled())
    }

    fn disagreement(&self) -> String {
        let vectors = |replica: &Replica| {
            self.checkers.iter().map(|checker| replica.store().vector(&checker.space).to_string()).collect::<Vec<_>>()
        };
        let held: Vec<String> =
            self.replicas().map(|r| format!("{:?} settled {}", vectors(r), r.is_settled())).collect();
        let waits: usize = self.nodes.iter().map(|node| node.waits.len()).sum();
        format!("after {PATIENCE} ms of good weather: {}; {waits} waits", held.join(" | "))
    }

    /// Equal vectors, equal live entries (I4).
    fn same_entries(&self) -> Result<(), Alarm> {
        for checker in &self.checkers {
            let entries = |replica: &Replica| -> Vec<(Key, LiveSet)> {
                let state = replica.store().space(&checker.space);
                state.into_iter().flat_map(|state| state.iter()).map(|(key, set)| (key.clone(), set.clone())).collect()
            };
            let all: Vec<_> = self.replicas().map(entries).collect();
            if let Some(at) = all.windows(2).position(|pair| pair[0] != pair[1]) {
                return Alarm::raise(Kind::Convergence, format!("n{at} and n{} hold other entries", at + 1));
            }
        }
        Ok(())
    }

    /// Every replica answers a stranger alike.
    fn same_answers(&mut self) -> Result<(), Alarm> {
        for number in 0..self.checkers.len() {
            let mut answers = Vec::new();
            for node in 0..self.nodes.len() {
                let space = Some(self.checkers[number].space.clone());
                // Where there are accounts a stranger sees nothing.
                let user = self.fleet.is_some().then(|| "root".into());
                let answer = self.call(node, |replica, now| {
                    let session = replica.open_session(SessionInit { space, user, ..SessionInit::default() }, now);
                    let terms = Terms { sync: true, ..Terms::default() };
                    let answer = replica.begin(session, Operation::List(Range::default()), terms, now);
                    replica.close_session(session);
                    answer
                })?;
                self.carry_out(node)?;
                answers.push(answer);
            }
            if let Some(at) = answers.windows(2).position(|pair| pair[0] != pair[1] || !matches!(pair[0], Some(Ok(_))))
            {
                return Alarm::raise(Kind::Convergence, format!("n{at} and n{} list other things", at + 1));
            }
        }
        Ok(())
    }

    /// Whether everything that the token of a client asks for is held at a node.
    fn survived(&self, client: usize, node: usize) -> bool {
        let Some(token) = &self.clients[client].tokens[0] else { return true };
        self.checkers.iter().zip(&token.promises).all(|(checker, promise)| {
            promise.dots.iter().all(|(id, last)| {
                let write = checker.writes.of_dot(Dot::new(*id, *last));
                write.is_some_and(|write| checker.mirrors[node].has.contains(write))
            })
        })
    }

    /// Every session whose dependencies have survived is served by everybody, at once.
    fn everybody_is_served(&mut self) -> Result<(), Alarm> {
        for client in 0..self.clients.len() {
            for node in 0..self.nodes.len() {
                self.leave(client, false)?;
                let (_, handle) = self.arrive_at(client, node)?;
                let survived = self.survived(client, node);
                let key: Key = "k00".into();
                let asked = self.call(node, |replica, now| {
                    let terms = Terms { sync: true, ..Terms::default() };
                    let missing = replica.missing(handle, None, now);
                    (missing, replica.begin(handle, Operation::Get(key), terms, now))
                })?;
                self.carry_out(node)?;
                if let Some((missing, read)) = asked {
                    let served =
                        matches!(&read, Ok(Progress::Done(Answer::Item(_)))) && missing.as_ref() == Ok(&Vec::new());
                    if served != survived && !(self.clients[client].judged.bits() != 15 && served) {
                        let text = format!("c{client} at n{node}: its past is here {survived}; {missing:?}, {read:?}");
                        return Alarm::raise(Kind::Convergence, text);
                    }
                }
            }
        }
        Ok(())
    }
}
