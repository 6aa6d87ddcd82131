//! What the checker says when a promise was broken.

use std::fmt;

use edge_session::guarantee::Guarantee;

/// Which promise was broken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A read missed a write of its own session.
    ReadYourWrites,
    /// A read went back behind an earlier one.
    MonotonicReads,
    /// A write is somewhere without an earlier one of its session.
    MonotonicWrites,
    /// A write is somewhere without what its session had read before.
    WritesFollowReads,
    /// A replica holds a write without what its accepting replica held (I2).
    Closure,
    /// A replica's entries are not those of the writes that its vector names (I1, I4).
    State,
    /// A write is not greater than its causal past (I3).
    Arbitration,
    /// Something left a replica before storage had it (I5).
    Escape,
    /// One dot has stood for two writes.
    DotReused,
    /// Something acknowledged as durable was gone after a crash.
    Durability,
    /// A token asks for less than its session depends on.
    Token,
    /// An answer that the replica's state does not give.
    Answer,
    /// A wait has outlived its deadline.
    Deadline,
    /// Healed replicas did not come to agree, or a session could not be served.
    Convergence,
    /// A fence was crossed where it is known, undone, or set by nobody.
    Fence,
    /// Somebody may what the records that are held do not say, or may not what they say.
    Role,
    /// Something of a space that is over, or of another generation, was shown.
    Space,
    /// Data has overtaken the records that protect it.
    Overtaken,
    /// A guess was not counted, or let in while the account was locked.
    Lock,
    /// A session lives on after its time, or was ended before.
    Expiry,
    /// A replica has more sessions than it may, or refuses one that it could have.
    Limit,
    /// A count is not that of the live set.
    Count,
    /// A session was taken for another.
    Identity,
    /// A query's result was taken after it was stopped, or it was stopped too early.
    Late,
    /// An error, a refusal or an effect that the contract does not know here.
    Contract,
}

impl Kind {
    /// The kind of a guarantee's violation.
    #[must_use]
    pub const fn of(guarantee: Guarantee) -> Self {
        match guarantee {
            Guarantee::ReadYourWrites => Self::ReadYourWrites,
            Guarantee::MonotonicReads => Self::MonotonicReads,
            Guarantee::MonotonicWrites => Self::MonotonicWrites,
            Guarantee::WritesFollowReads => Self::WritesFollowReads,
        }
    }
}

/// A broken promise, and how it shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alarm {
    /// Which promise.
    pub kind: Kind,
    /// How it shows.
    pub text: String,
}

impl Alarm {
    /// An alarm as an error.
    pub fn raise<T>(kind: Kind, text: impl Into<String>) -> Result<T, Self> {
        Err(Self { kind, text: text.into() })
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.text)
    }
}
