//! What can be broken from outside of the core, to test the test: each mutant must be caught.

use edge_session::guarantee::{Guarantee, Guarantees};

use crate::checker::alarm::Kind;

/// A way to break the promise without touching the shipped code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// Sessions run without one guarantee and are judged as if they had it.
    Without(Guarantee),
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
        Self::Without(Guarantee::ReadYourWrites),
        Self::Without(Guarantee::MonotonicReads),
        Self::Without(Guarantee::MonotonicWrites),
        Self::Without(Guarantee::WritesFollowReads),
        Self::EagerStorage,
        Self::SameId,
        Self::StaleToken,
        Self::LossyMerge,
    ];

    /// The name for the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Without(Guarantee::ReadYourWrites) => "no-read-your-writes",
            Self::Without(Guarantee::MonotonicReads) => "no-monotonic-reads",
            Self::Without(Guarantee::MonotonicWrites) => "no-monotonic-writes",
            Self::Without(Guarantee::WritesFollowReads) => "no-writes-follow-reads",
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

    /// The guarantees that sessions really run with where `judged` are promised.
    #[must_use]
    pub fn weaken(mutant: Option<Self>, judged: Guarantees) -> Guarantees {
        let Some(Self::Without(off)) = mutant else { return judged };
        let kept = edge_session::guarantee::TABLE.into_iter().map(|row| row.0).filter(|one| *one != off);
        kept.filter(|one| judged.has(*one)).fold(Guarantees::NONE, Guarantees::with)
    }

    /// Whether an alarm of this kind is the one that the mutant must raise.
    #[must_use]
    pub fn explains(self, kind: Kind) -> bool {
        match self {
            Self::Without(guarantee) => kind == Kind::of(guarantee),
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
