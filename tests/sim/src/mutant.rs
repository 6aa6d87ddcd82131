//! What can be broken, in the core and around it, to test the test: each mutant must be caught.

use edge_session::mutant::{Mutant as Core, Service};

use crate::checker::alarm::Kind;

/// A way to break the promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// A check of the core is switched off.
    Core(Core),
    /// Storage says that everything is durable at once, and loses it in a crash all the same.
    EagerStorage,
    /// A replica whose storage was lost comes back under its old id.
    SameId,
    /// A session goes on with the token before the last one.
    StaleToken,
    /// Merging a token replaces what the session depended on.
    LossyMerge,
    /// Reads of copies in front of a replica are not told to it.
    ForgetfulFront,
}

impl Mutant {
    /// Every mutant that the simulator can catch.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let around = [Self::EagerStorage, Self::SameId, Self::StaleToken, Self::LossyMerge, Self::ForgetfulFront];
        let core = Core::ALL.into_iter().filter(|core| *core != Core::Clause1Unlisted).map(Self::Core);
        let service = Core::SERVICE.into_iter().map(Self::Core);
        core.chain(around).chain(service).collect()
    }

    /// The name for the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Core(core) => core.name(),
            Self::EagerStorage => "eager-storage",
            Self::SameId => "same-id",
            Self::StaleToken => "stale-token",
            Self::LossyMerge => "lossy-merge",
            Self::ForgetfulFront => "forgetful-front",
        }
    }

    /// The mutant of that name, be it one that no run can notice.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|mutant| mutant.name() == name).or_else(|| Core::named(name).map(Self::Core))
    }

    /// The check of the core that is switched off, if it is that.
    #[must_use]
    pub const fn core(self) -> Option<Core> {
        match self {
            Self::Core(core) => Some(core),
            _ => None,
        }
    }

    /// Whether an alarm of this kind is one that the mutant must raise. An alarm for another reason does not count.
    #[must_use]
    pub fn explains(self, kind: Kind) -> bool {
        let session = [Kind::ReadYourWrites, Kind::MonotonicReads, Kind::MonotonicWrites, Kind::WritesFollowReads];
        match self {
            Self::Core(core) => explained(core, kind),
            Self::EagerStorage => matches!(kind, Kind::Durability | Kind::DotReused | Kind::Escape),
            Self::SameId => matches!(kind, Kind::Durability) || reused(kind),
            Self::StaleToken | Self::LossyMerge | Self::ForgetfulFront => {
                session.contains(&kind) || kind == Kind::Token
            }
        }
    }
}

fn explained(core: Core, kind: Kind) -> bool {
    match core {
        Core::Guarantee(guarantee) => kind == Kind::of(guarantee),
        Core::Clause1 | Core::Clause1Listed | Core::Clause1Unlisted | Core::Clause2 | Core::TopUp => {
            matches!(kind, Kind::State | Kind::Convergence)
        }
        Core::Clause3 | Core::From => matches!(kind, Kind::State | Kind::Closure | Kind::Escape | Kind::Convergence),
        // A frame or a record whose clock is behind its own entries does not decode either.
        Core::HlcReceive => matches!(kind, Kind::Arbitration | Kind::Contract | Kind::Escape),
        Core::PersistBeforeEscape => matches!(kind, Kind::Escape | Kind::Durability | Kind::Token),
        Core::NewId => reused(kind),
        Core::ExpiryMask | Core::Forget => kind == Kind::Answer,
        Core::Deadline => kind == Kind::Deadline,
        Core::ServeThrow => matches!(kind, Kind::MonotonicWrites | Kind::WritesFollowReads),
        Core::FoldCovered => kind == Kind::Token,
        Core::Service(rule) => ruled(rule, kind),
        // Nobody here is a client.
        Core::Trust(_) => false,
    }
}

fn ruled(rule: Service, kind: Kind) -> bool {
    match rule {
        Service::Under => kind == Kind::Overtaken,
        Service::Fence | Service::Judge | Service::Stay | Service::Record => {
            matches!(kind, Kind::Fence | Kind::Convergence)
        }
        Service::Role | Service::Drop | Service::Twice | Service::Creation | Service::Permit => {
            // Who may what he may not uses his session as well.
            matches!(kind, Kind::Role | Kind::Convergence)
        }
        Service::Authority => matches!(kind, Kind::Role | Kind::Overtaken),
        Service::Generation => kind == Kind::Space,
        Service::Failures | Service::Sides | Service::Settled => kind == Kind::Lock,
        Service::Identity => matches!(kind, Kind::Identity | Kind::Count | Kind::Limit | Kind::Expiry),
        Service::Limit => kind == Kind::Limit,
        Service::Count | Service::Handover => kind == Kind::Count,
        Service::Idle | Service::Ends => kind == Kind::Expiry,
        Service::Late => kind == Kind::Late,
        Service::Over => matches!(kind, Kind::Expiry | Kind::Fence),
        // No host answers roles here, and nobody reads what a refusal names; two replicas count as one is for `tests/service`.
        Service::Begun
        | Service::Hosted
        | Service::Fleet
        | Service::Surplus
        | Service::Named
        | Service::Stop
        | Service::Looks => false,
    }
}

/// One dot stands for two writes: seen as such, or by what a replica lacks that takes the one for the other.
fn reused(kind: Kind) -> bool {
    use Kind::{Closure, DotReused, MonotonicWrites, State, WritesFollowReads};
    matches!(kind, DotReused | State | Closure | MonotonicWrites | WritesFollowReads)
}
