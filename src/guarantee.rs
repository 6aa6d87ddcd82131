//! The four session guarantees: the idea of the project on one screen.
//!
//! Source: Terry et al., *Session Guarantees for Weakly Consistent Replicated Data*, PDIS 1994, table 1.
//! A session keeps a read vector `r` and a write vector `w`; `V` is the vector of the replica that serves it.

use alloc::vec::Vec;

use crate::error::{ErrorCode, SessionError};
use crate::mutant::{Mutant, off};

/// A promise to a session, whichever replica serves it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Guarantee {
    /// A read shows the session's own earlier writes.
    ReadYourWrites,
    /// A read never shows a state older than an earlier read did.
    MonotonicReads,
    /// The session's writes reach every replica in the order in which they were made.
    MonotonicWrites,
    /// A write reaches every replica after the writes that the session had read.
    WritesFollowReads,
}

/// Which of the session's two vectors a guarantee compares with the replica's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dependency {
    /// What the session has read: `V ≥ r`.
    Reads,
    /// What the session has written: `V ≥ w`.
    Writes,
}

/// The kind of operation on which a guarantee is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// The operation answers from the replica's state.
    Read,
    /// The operation changes the replica's state.
    Write,
}

/// The table: each guarantee, the vector that `V` must dominate, and the operation on which that is checked.
pub const TABLE: [(Guarantee, Dependency, Access); 4] = [
    (Guarantee::ReadYourWrites, Dependency::Writes, Access::Read),
    (Guarantee::MonotonicReads, Dependency::Reads, Access::Read),
    (Guarantee::MonotonicWrites, Dependency::Writes, Access::Write),
    (Guarantee::WritesFollowReads, Dependency::Reads, Access::Write),
];

impl Guarantee {
    /// The name that JavaScript uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadYourWrites => "read-your-writes",
            Self::MonotonicReads => "monotonic-reads",
            Self::MonotonicWrites => "monotonic-writes",
            Self::WritesFollowReads => "writes-follow-reads",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::ReadYourWrites => 1,
            Self::MonotonicReads => 2,
            Self::MonotonicWrites => 4,
            Self::WritesFollowReads => 8,
        }
    }
}

/// A set of guarantees. All four together, with arbitration by clock, are causal convergence.
///
/// ```
/// use edge_session::guarantee::{Access, Dependency, Guarantee, Guarantees};
/// let set = Guarantees::NONE.with(Guarantee::ReadYourWrites);
/// assert!(set.checks(Access::Read, Dependency::Writes));
/// assert!(!set.checks(Access::Write, Dependency::Writes));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Guarantees(u8);

impl Guarantees {
    /// All four: the default.
    pub const ALL: Self = Self(15);
    /// No guarantee: every replica answers at once.
    pub const NONE: Self = Self(0);

    /// The set with `guarantee` in it.
    #[must_use]
    pub const fn with(self, guarantee: Guarantee) -> Self {
        Self(self.0 | guarantee.bit())
    }

    /// Whether `guarantee` is in the set.
    #[must_use]
    pub const fn has(self, guarantee: Guarantee) -> bool {
        self.0 & guarantee.bit() != 0
    }

    /// Whether an operation of kind `access` requires `V` to dominate the vector `dependency`.
    #[must_use]
    pub fn checks(self, access: Access, dependency: Dependency) -> bool {
        let asks = |row: &(Guarantee, Dependency, Access)| row.1 == dependency && row.2 == access;
        TABLE.iter().any(|row| self.has(row.0) && asks(row) && !off(Mutant::Guarantee(row.0)))
    }

    /// The set as four bits, in the order of [`TABLE`].
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set of four bits.
    ///
    /// # Errors
    /// `ARGUMENT_INVALID` if another bit is set.
    pub fn from_bits(bits: u8) -> Result<Self, SessionError> {
        if bits > Self::ALL.0 {
            return Err(SessionError::new(ErrorCode::ArgumentInvalid, "unknown guarantee"));
        }
        Ok(Self(bits))
    }

    /// The set of the named guarantees.
    ///
    /// # Errors
    /// `ARGUMENT_INVALID` if a name is not one of the four.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, SessionError> {
        names.into_iter().try_fold(Self::NONE, |set, name| {
            let found = TABLE.iter().find(|row| row.0.name() == name);
            found.map(|row| set.with(row.0)).ok_or_else(|| {
                SessionError::new(
                    ErrorCode::ArgumentInvalid,
                    "a guarantee is read-your-writes, monotonic-reads, monotonic-writes or writes-follow-reads",
                )
            })
        })
    }

    /// The names of the guarantees in the set, in the order of [`TABLE`].
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        TABLE.iter().filter(|row| self.has(row.0)).map(|row| row.0.name()).collect()
    }
}

impl Default for Guarantees {
    fn default() -> Self {
        Self::ALL
    }
}
