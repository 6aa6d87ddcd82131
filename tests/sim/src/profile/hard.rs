//! Profiles that are hard on one mutant: nearly every seed of such a profile must catch it.

use edge_session::guarantee::{Guarantee, Guarantees};
use edge_session::mutant::Mutant as Core;
use edge_session::sync::peer::Timing;

use super::{Act, Profile};
use crate::mutant::Mutant;
use crate::network::Weather;

impl Profile {
    /// The profile that `seed` draws, made hard on what a mutant breaks.
    #[must_use]
    pub fn hard(seed: u64, mutant: Mutant) -> Self {
        let mut profile = Self::drawn(seed);
        profile.plain();
        match mutant {
            Mutant::Core(Core::Service(rule)) => profile.hard_on_the_service(seed, rule),
            Mutant::Core(core) => profile.hard_on_the_core(core),
            Mutant::StaleToken => {}
            Mutant::LossyMerge => profile.emphasise(Act::Merge, 40),
            Mutant::ForgetfulFront => {
                profile.in_front();
                (profile.roaming, profile.keys, profile.clients) = (100, 2, 8);
                profile.guarantees = vec![Guarantees::ALL; profile.clients];
                profile.emphasise(Act::Seal, 40);
                profile.edges.iter_mut().for_each(|edge| edge.delay = 20);
            }
            Mutant::EagerStorage => {
                profile.stored();
                profile.latency = 400;
                profile.roaming = 300;
                profile.emphasise(Act::Crash, 20);
            }
            Mutant::SameId => {
                // Only a session that depends on nothing can write where everything is forgotten.
                (profile.door, profile.away) = (1_000, 50);
                profile.emphasise(Act::Anew, 60);
                profile.emphasise(Act::Amnesia, 10);
                profile.edges.iter_mut().for_each(|edge| edge.delay = 2_000);
            }
        }
        profile
    }

    fn hard_on_the_core(&mut self, core: Core) {
        match core {
            // Who has written blocks on that; who has only read is let through.
            Core::Guarantee(Guarantee::MonotonicReads | Guarantee::WritesFollowReads) => self.emphasise(Act::Anew, 30),
            Core::Guarantee(_) | Core::Clause1 | Core::Clause1Listed | Core::Clause1Unlisted | Core::Clause3 => {}
            Core::Clause2 => {
                self.edges.iter_mut().for_each(|edge| edge.delay = 100);
                self.emphasise(Act::Replay, 20);
            }
            Core::From => {
                self.stored();
                self.notice = 0;
                // One writes, and stays where it is: who has not written keeps its id when it is set back. It waits for
                // nothing, so that there is always something on its way.
                self.clients = 1;
                self.guarantees = vec![Guarantees::NONE];
                (self.roaming, self.setback) = (0, 4);
                self.emphasise(Act::Rollback, 80);
                self.emphasise(Act::Read, 20);
                self.emphasise(Act::Replay, 20);
                self.emphasise(Act::Compact, 4);
                // Soon back, and what its neighbours have sent meanwhile still on its way.
                self.away = 50;
                self.pause = 60;
                self.edges.iter_mut().for_each(|edge| edge.delay = 300);
            }
            Core::TopUp => {
                self.value = 60 << 10;
                self.keys = 12;
                self.late = 1;
                self.emphasise(Act::Join, 4);
                self.emphasise(Act::Partition, 4);
                self.emphasise(Act::Heal, 4);
            }
            Core::HlcReceive => self.emphasise(Act::Clock, 10),
            Core::PersistBeforeEscape => self.stored(),
            Core::NewId => {
                self.stored();
                (self.door, self.setback, self.away) = (1_000, 3, 50);
                self.emphasise(Act::Rollback, 24);
                self.emphasise(Act::Compact, 0);
                self.edges.iter_mut().for_each(|edge| edge.delay = 50);
            }
            Core::ExpiryMask => {
                // Siblings come from writes that wait for nothing.
                self.guarantees.fill(Guarantees::NONE);
                self.keys = 5;
                self.emphasise(Act::Expiring, 60);
                self.edges.iter_mut().for_each(|edge| edge.delay = 800);
            }
            Core::Deadline | Core::Trust(_) | Core::Service(_) => {}
            Core::ServeThrow => self.served = 500,
            Core::Forget => self.in_front(),
            Core::FoldCovered => {
                self.token_bytes = 450;
                self.emphasise(Act::Seal, 30);
            }
        }
    }

    /// Few keys, slow links and roaming sessions with all guarantees, and nothing that goes wrong.
    fn plain(&mut self) {
        self.clients = 5;
        self.guarantees = vec![Guarantees::ALL; self.clients];
        self.late = 0;
        self.hasty = 0;
        self.spaces = 1;
        self.keys = 4;
        self.roaming = 1_000;
        self.pause = 100;
        self.timeout = 200;
        self.latency = 20;
        (self.front, self.served, self.fragile, self.door, self.notice) = (0, 0, 0, 0, 400);
        self.value = 0;
        self.weather = Weather { drop: 0, duplicate: 0, jitter: 100 };
        self.timing = Timing { heartbeat: 500, retry: 1_000, pause: 5 };
        self.edges.iter_mut().for_each(|edge| (edge.delay, edge.exchange) = (400, false));
        self.weights.iter_mut().for_each(|(_, weight)| *weight = (*weight).min(10));
        for (act, weight) in [(Act::Read, 80), (Act::Write, 60)] {
            self.emphasise(act, weight);
        }
        for act in [
            Act::Anew,
            Act::Fork,
            Act::Amnesia,
            Act::Rollback,
            Act::Retire,
            Act::Restore,
            Act::Crash,
            Act::Partition,
            Act::Clock,
        ] {
            self.emphasise(act, 0);
        }
    }

    /// Every replica has a storage.
    pub(super) fn stored(&mut self) {
        self.storage.fill(true);
    }

    /// No replica has a storage, and most is done in front of it.
    fn in_front(&mut self) {
        self.storage.fill(false);
        self.front = 900;
        self.roaming = 300;
        self.emphasise(Act::Watch, 0);
    }
}
