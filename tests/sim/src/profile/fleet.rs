//! What a run with a fleet is like: how often its service is used, by what, and within which bounds.

use edge_session::replica::Config;
use edge_session::service::manager::SessionLimits;
use edge_session::time::Millis;

use crate::rng::Rng;

/// Something that operators or users of the fleet do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Deed {
    /// A user begins a session.
    Enter,
    /// A user comes back with a token, elsewhere or here.
    Return,
    /// A session reads or writes.
    Use,
    /// A session is let go of; its token goes on.
    Depart,
    /// A query begins, ends, or is killed.
    Query,
    /// A session is killed, wherever it is.
    Kill,
    /// A user logs out.
    Logout,
    /// A role is granted or revoked, at two replicas at once perhaps.
    Role,
    /// An account is created, altered or dropped, at two replicas at once perhaps.
    Account,
    /// A space is dropped or created, at two replicas at once perhaps.
    Space,
    /// Somebody logs in, mostly with a wrong password.
    Login,
    /// A role is revoked, and what its holder is not to see is written at once.
    Enemy,
    /// A host looks at its lists.
    Look,
}

const DEEDS: [(Deed, u64); 13] = [
    (Deed::Enter, 20),
    (Deed::Return, 20),
    (Deed::Use, 60),
    (Deed::Depart, 10),
    (Deed::Query, 8),
    (Deed::Kill, 8),
    (Deed::Logout, 4),
    (Deed::Role, 12),
    (Deed::Account, 6),
    (Deed::Space, 4),
    (Deed::Login, 6),
    (Deed::Enemy, 3),
    (Deed::Look, 6),
];

/// The service of a run.
#[derive(Clone, Debug)]
pub struct FleetProfile {
    /// How often an operation is a deed, in a thousand.
    pub share: u64,
    /// How long a session may stay unused.
    pub idle: Option<Millis>,
    /// How long a session lives.
    pub expires: Millis,
    /// How many sessions a user may have at one replica.
    pub limit: Option<u64>,
    /// How often the others are told of sessions.
    pub publish: Option<Millis>,
    /// How long a query may take.
    pub query: Option<Millis>,
    deeds: Vec<(Deed, u64)>,
}

impl FleetProfile {
    /// The fleet that `seed` draws, if it draws one: two of five do.
    #[must_use]
    pub fn swarm(seed: u64) -> Option<Self> {
        let rng = &mut Rng::new(seed, u64::MAX);
        rng.chance(400).then(|| Self::drawn(rng))
    }

    /// A fleet, whatever the seed.
    #[must_use]
    pub fn always(seed: u64) -> Self {
        let rng = &mut Rng::new(seed, u64::MAX);
        rng.draw();
        Self::drawn(rng)
    }

    fn drawn(rng: &mut Rng) -> Self {
        Self {
            share: *rng.pick(&[400, 900]),
            idle: *rng.pick(&[None, None, Some(500), Some(5_000)]),
            expires: *rng.pick(&[3_000, 30_000, 24 * 3_600_000]),
            limit: *rng.pick(&[None, Some(1), Some(3)]),
            publish: *rng.pick(&[None, Some(100), Some(500)]),
            query: *rng.pick(&[None, Some(200)]),
            deeds: DEEDS.iter().map(|(deed, weight)| (*deed, weight * *rng.pick(&[0, 1, 1, 4]))).collect(),
        }
        .usable()
    }

    /// Without sessions that are used there is nothing to judge.
    fn usable(mut self) -> Self {
        for (deed, least) in [(Deed::Enter, 20), (Deed::Use, 40)] {
            self.deeds.iter_mut().filter(|own| own.0 == deed).for_each(|own| own.1 = own.1.max(least));
        }
        self
    }

    /// What its replicas are told of sessions.
    #[must_use]
    pub fn config(&self) -> Config {
        let sessions =
            SessionLimits { user: self.limit.unwrap_or(u64::MAX), idle: self.idle, ..SessionLimits::default() };
        let (expires_in, publish, query_timeout) = (self.expires, self.publish, self.query);
        Config { sessions, expires_in, publish, query_timeout, ..Config::default() }
    }

    /// Does a deed so often.
    pub fn emphasise(&mut self, deed: Deed, weight: u64) {
        self.deeds.iter_mut().filter(|own| own.0 == deed).for_each(|own| own.1 = weight);
    }

    /// Every deed as often as in an average run.
    pub fn even(&mut self) {
        self.deeds = DEEDS.to_vec();
    }

    /// What the next deed is.
    #[must_use]
    pub fn deed(&self, rng: &mut Rng) -> Deed {
        let mut at = rng.below(self.deeds.iter().map(|(_, weight)| weight).sum());
        for (deed, weight) in &self.deeds {
            if at < *weight {
                return *deed;
            }
            at -= weight;
        }
        Deed::Use
    }
}
