//! Random histories: whatever happened, a folded token asks for at least what it stands for, and for no more than its
//! dot's past.

use super::*;

const EDGES: usize = 3;
const TABS: usize = 12;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A tab writes.
    Write(usize, u8),
    /// One replica takes what another holds, and the other hears what it holds.
    Pull(usize, usize),
    /// A session reads at the edge where it is, or everything there.
    Read(usize, Option<u8>),
    /// A session writes.
    Answer(usize, u8),
    /// A session goes on at another edge, with its token.
    Roam(usize, usize),
    /// Storage confirms.
    Stored(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let (edge, anybody, session) = (0..EDGES, 0..EDGES + TABS, 0..3usize);
    prop_oneof![
        3 => (EDGES..EDGES + TABS, 0..12u8).prop_map(|(tab, key)| Step::Write(tab, key)),
        8 => (edge.clone(), anybody.clone()).prop_map(|(to, from)| Step::Pull(to, from)),
        2 => (anybody, edge.clone()).prop_map(|(to, from)| Step::Pull(to, from)),
        4 => (session.clone(), prop::option::of(0..12u8)).prop_map(|(session, key)| Step::Read(session, key)),
        2 => (session.clone(), 0..12u8).prop_map(|(session, key)| Step::Answer(session, key)),
        2 => (session, edge.clone()).prop_map(|(session, edge)| Step::Roam(session, edge)),
        3 => edge.prop_map(Step::Stored),
    ]
}

struct World {
    hosts: Vec<Host>,
    /// Where each session is.
    sessions: Vec<(usize, SessionHandle)>,
    folds: usize,
}

impl World {
    fn new() -> Self {
        // Long labels, so that few dependencies are long already.
        let edges = (0..EDGES).map(|n| Host::new(stored(edge(&format!("the-edge-number{n}")))));
        let tabs = (0..TABS).map(|n| Host::new(tab(&format!("a-writing-tab-{n:02}"))));
        let mut hosts: Vec<Host> = edges.chain(tabs).collect();
        let sessions = (0..3).map(|at| (at, hosts[at].session())).collect();
        Self { hosts, sessions, folds: 0 }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Write(tab, key) => {
                let session = self.hosts[tab].session();
                self.hosts[tab].set(session, &format!("k{key}"), "v");
            }
            Step::Pull(to, from) if to != from => {
                let [to, from] = self.hosts.get_disjoint_mut([to, from]).unwrap();
                // Whoever is late with its storage says nothing; what it says later is lost.
                (to.sent, from.sent) = (Vec::new(), Vec::new());
                let Ok(Some(hello)) = to.try_exchange(&[]) else { return };
                let Ok(Some(delta)) = from.try_exchange(&hello) else { return };
                let Ok(Some(reply)) = to.try_exchange(&delta) else { return };
                let _ = from.try_exchange(&reply);
            }
            Step::Pull(..) => {}
            Step::Read(session, key) => {
                let (at, handle) = self.sessions[session];
                let read =
                    key.map_or(Operation::List(Range::default()), |key| Operation::Get(format!("k{key}").into()));
                let _ = self.hosts[at].ask(handle, read, SYNC);
            }
            Step::Answer(session, key) => {
                let (at, handle) = self.sessions[session];
                let _ = self.hosts[at].try_set(handle, &format!("k{key}"), "v", SYNC);
            }
            Step::Roam(session, edge) => {
                let (at, handle) = self.sessions[session];
                let now = self.hosts[at].now;
                let Ok(text) = self.hosts[at].replica.token(handle, now) else { return };
                self.sessions[session] = (edge, self.hosts[edge].resume(&text));
            }
            Step::Stored(edge) => self.hosts[edge].confirm_all(),
        }
        self.hosts.iter_mut().for_each(|host| host.at(host.now + 20));
    }

    /// Storages confirm, edges take what everybody holds and what each other acknowledges, and sessions read it all.
    fn rest(&mut self) {
        for _ in 0..3 {
            for edge in 0..EDGES {
                (0..EDGES + TABS).for_each(|from| self.step(&Step::Pull(edge, from)));
                self.step(&Step::Stored(edge));
            }
        }
        (0..3).for_each(|session| self.step(&Step::Read(session, None)));
    }

    /// Compares the token of each session with what it stands for, at every replica.
    fn judge(&mut self) -> Result<(), TestCaseError> {
        for (at, handle) in self.sessions.clone() {
            let now = self.hosts[at].now;
            let Ok(text) = self.hosts[at].replica.token(handle, now) else { continue };
            prop_assert!(text.len() <= TOKEN_BYTES_MAX);
            self.hosts[at].drain();
            let (folded, unfolded) = (asks(&text), seen(&self.hosts[at], handle));
            if folded == unfolded {
                continue;
            }
            self.folds += 1;
            let mine = self.hosts[at].id();
            let durable = self.hosts[at].replica.durable(&space()).get(mine);
            prop_assert!(folded.replicas().get(mine) <= durable.max(unfolded.replicas().get(mine)));
            for held in self.hosts.iter().map(Host::vector) {
                for (short, whole) in [(&folded.reads, &unfolded.reads), (&folded.writes, &unfolded.writes)] {
                    prop_assert!(!held.dominates(short) || held.dominates(whole), "{short} for {whole} at {held}");
                    // And where the fold's dot is, only what was not folded can be missing.
                    let folds_dot = held.contains(Dot::new(mine, short.get(mine)));
                    let rest = held.gaps(short).all(|gap| whole.get(gap.replica) == gap.need);
                    prop_assert!(!folds_dot || rest);
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_folded_token_never_asks_for_less_than_what_it_stands_for(steps in prop::collection::vec(any_step(), 0..160)) {
        let mut world = World::new();
        for (number, step) in steps.iter().enumerate() {
            world.step(step);
            if number % 8 == 7 {
                world.judge()?;
            }
        }
        world.judge()?;
        // What is asked for now is there once everybody has come to rest again; and what many have written comes a part at a time.
        for _ in 0..4 {
            world.rest();
            world.judge()?;
        }
        let sees = |(at, handle): &(usize, _)| seen(&world.hosts[*at], *handle).replicas().len();
        let wide = world.sessions.iter().map(sees).max();
        prop_assert!(world.folds > 0 || wide < Some(10), "nothing was folded of {wide:?}: {}", world.hosts[0].holds());
    }
}
