//! Runs with a fleet: what they leave out, and the profiles that are hard on one rule of the service.

use edge_session::mutant::Service;

use super::fleet::{Deed, FleetProfile};
use super::{Act, Profile};
use crate::network::Weather;

impl Profile {
    /// The same with a fleet. Its sessions live by the time, so clocks are right; what storage has is not set back, for nobody tells
    /// a replica of its own past in the fleet's records; and ids are retired in the spaces of the other clients alone.
    #[must_use]
    pub(super) fn ruled(mut self, fleet: Option<FleetProfile>) -> Self {
        let Some(fleet) = fleet else { return self };
        for act in [Act::Clock, Act::Rollback, Act::Retire] {
            self.emphasise(act, 0);
        }
        // The clients beside are one user of many sessions, who comes back whenever it likes.
        if fleet.limit.is_some() || fleet.idle.is_some() || fleet.expires < 3_600_000 {
            self.without_clients();
        }
        self.fleet = Some(fleet);
        self
    }

    /// Nobody but the fleet's users.
    fn without_clients(&mut self) {
        let others = [Act::Crash, Act::Amnesia, Act::Restore, Act::Compact, Act::Partition, Act::Heal, Act::Bounce];
        let more = [Act::Exchange, Act::Replay, Act::Astray, Act::Join];
        let stays = |act: &Act| others.contains(act) || more.contains(act);
        self.weights.iter_mut().filter(|(act, _)| !stays(act)).for_each(|(_, weight)| *weight = 0);
        (self.door, self.clients) = (0, 0);
        self.guarantees.clear();
    }

    /// The profile of a seed, made hard on one rule of the service.
    pub(super) fn hard_on_the_service(&mut self, seed: u64, rule: Service) {
        let mut fleet = FleetProfile::always(seed);
        fleet.even();
        (fleet.share, fleet.idle, fleet.limit, fleet.query) = (950, None, None, None);
        (fleet.expires, fleet.publish) = (24 * 3_600_000, Some(200));
        self.weather = Weather { drop: 100, duplicate: 50, jitter: 200 };
        self.edges.iter_mut().for_each(|edge| edge.delay = 100);
        self.pause = 60;
        let often: &[(Deed, u64)] = match rule {
            Service::Under => &[(Deed::Enemy, 30), (Deed::Role, 60), (Deed::Use, 120)],
            Service::Fence => &[(Deed::Kill, 40), (Deed::Logout, 40)],
            Service::Judge => &[(Deed::Kill, 30), (Deed::Return, 60), (Deed::Depart, 30)],
            Service::Role => &[(Deed::Role, 60), (Deed::Look, 20)],
            Service::Drop | Service::Creation => &[(Deed::Account, 60), (Deed::Role, 20), (Deed::Look, 20)],
            Service::Twice => &[(Deed::Account, 120), (Deed::Look, 40), (Deed::Use, 20)],
            Service::Failures | Service::Settled => &[(Deed::Login, 120), (Deed::Account, 0)],
            Service::Sides => &[(Deed::Login, 240), (Deed::Look, 120), (Deed::Account, 0)],
            Service::Authority => &[(Deed::Role, 60), (Deed::Return, 80), (Deed::Depart, 80), (Deed::Use, 120)],
            Service::Permit => &[(Deed::Role, 30)],
            Service::Generation => &[(Deed::Space, 30)],
            Service::Stay => &[(Deed::Kill, 30)],
            Service::Record => &[(Deed::Kill, 40)],
            Service::Identity => &[(Deed::Enter, 60)],
            Service::Limit => &[(Deed::Enter, 60)],
            Service::Count | Service::Late => &[(Deed::Query, 60)],
            Service::Idle | Service::Ends => &[(Deed::Return, 30)],
            Service::Over => &[(Deed::Return, 60)],
            Service::Begun
            | Service::Hosted
            | Service::Fleet
            | Service::Surplus
            | Service::Named
            | Service::Stop
            | Service::Looks => &[],
            Service::Handover => &[(Deed::Return, 60), (Deed::Depart, 60)],
        };
        often.iter().for_each(|(deed, weight)| fleet.emphasise(*deed, *weight));
        match rule {
            Service::Limit => fleet.limit = Some(1),
            Service::Idle | Service::Over => (fleet.idle, self.pause) = (Some(500), 200),
            Service::Ends => (fleet.expires, self.pause) = (2_000, 200),
            Service::Stay => self.pause = 800,
            Service::Failures => self.pause = 600,
            Service::Sides => {
                self.pause = 600;
                self.emphasise(Act::Partition, 20);
                self.emphasise(Act::Heal, 20);
            }
            // A lock is to be over before the run is.
            Service::Settled => self.pause = 6_000,
            Service::Under | Service::Authority => {
                // Records that are late, and whatever is not.
                self.weather = Weather { drop: 350, duplicate: 50, jitter: 400 };
                self.pause = 30;
            }
            Service::Twice => self.pause = 150,
            Service::Record => {
                self.stored();
                self.emphasise(Act::Crash, 20);
                fleet.share = 800;
            }
            _ => {}
        }
        *self = self.clone().ruled(Some(fleet));
        if rule != Service::Record {
            self.without_clients();
        }
    }
}
