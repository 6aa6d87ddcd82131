//! What can be broken, in the core and around it, to test the test: each mutant must be caught.

use edge_session::guarantee::Guarantee;
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
}

impl Mutant {
    /// Every mutant.
    pub const ALL: [Self; 8] = [
        Self::Core(Core::Guarantee(Guarantee::ReadYourWrites)),
        Self::Core(Core::Guarantee(Guarantee::MonotonicReads)),
        Self::Core(Core::Guarantee(Guarantee::MonotonicWrites)),
        Self::Core(Core::Guarantee(Guarantee::WritesFollowReads)),
        Self::EagerStorage,
        Self::SameId,
        Self::StaleToken,
        Self::LossyMerge,
    ];

    /// The name for the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Core(core) => core.name(),
            Self::EagerStorage => "eager-storage",
            Self::SameId => "same-id",
            Self::StaleToken => "stale-token",
            Self::LossyMerge => "lossy-merge",
        }
    }

    /// The mutant of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mutant| mutant.name() == name)
    }

    /// The check of the core that is switched off, if it is that.
    #[must_use]
    pub const fn core(self) -> Option<Core> {
        match self {
            Self::Core(core) => Some(core),
            _ => None,
        }
    }

    /// Whether an alarm of this kind is the one that the mutant must raise.
    #[must_use]
    pub fn explains(self, kind: Kind) -> bool {
        match self {
            Self::Core(Core::Guarantee(guarantee)) => kind == Kind::of(guarantee),
            Self::Core(_) => true,
            Self::EagerStorage => matches!(kind, Kind::Durability | Kind::DotReused | Kind::Escape),
            Self::SameId => matches!(kind, Kind::DotReused | Kind::State | Kind::Durability),
            Self::StaleToken | Self::LossyMerge => matches!(
                kind,
                Kind::ReadYourWrites
                    | Kind::MonotonicReads
                    | Kind::MonotonicWrites
                    | Kind::WritesFollowReads
                    | Kind::Token
            ),
        }
    }
}
