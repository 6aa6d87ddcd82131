//! What can be broken, in the core and around it, to test the test: each mutant must be caught.

use edge_session::mutant::Mutant as Core;

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
        core.chain(around).collect()
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
        // Nobody here is a client, and nobody has an account.
        Core::Trust(_) | Core::Service(_) => false,
    }
}

/// One dot stands for two writes: seen as such, or by what a replica lacks that takes the one for the other.
fn reused(kind: Kind) -> bool {
    use Kind::{Closure, DotReused, MonotonicWrites, State, WritesFollowReads};
    matches!(kind, DotReused | State | Closure | MonotonicWrites | WritesFollowReads)
}
