//! The roles: one a user and space. Their order is their power.
//!
//! Invariant: whoever is to decide between two roles for one user takes the lower ([`Ord`]).

use core::fmt;

use crate::error::{ErrorCode, SessionError};

/// The name of the account that is God by constant: it cannot be dropped, demoted or granted anything.
pub const ROOT: &str = "root";

/// What a user is in a space. `God` alone is not held in a space but everywhere.
///
/// ```
/// use edge_session::service::role::RoleType;
/// assert!(RoleType::Guest < RoleType::God);
/// assert_eq!("dba".parse(), Ok(RoleType::Dba));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum RoleType {
    /// Reads.
    Guest,
    /// Reads and writes data.
    User,
    /// Writes schema too.
    Dba,
    /// Grants and revokes what is below it, in its space.
    Admin,
    /// May everything that anybody may.
    God,
}

impl RoleType {
    /// Every role, the most powerful first: the columns of the matrix.
    pub const ALL: [Self; 5] = [Self::God, Self::Admin, Self::Dba, Self::User, Self::Guest];

    /// The name as programs write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guest => "Guest",
            Self::User => "User",
            Self::Dba => "DBA",
            Self::Admin => "Admin",
            Self::God => "God",
        }
    }

    /// The keyword of statements, and what their tables show.
    #[must_use]
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Guest => "GUEST",
            Self::User => "USER",
            Self::Dba => "DBA",
            Self::Admin => "ADMIN",
            Self::God => "GOD",
        }
    }
}

impl fmt::Display for RoleType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.keyword())
    }
}

impl core::str::FromStr for RoleType {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<Self, SessionError> {
        let found = Self::ALL.into_iter().find(|role| role.keyword().eq_ignore_ascii_case(text));
        found.ok_or_else(|| SessionError::new(ErrorCode::ArgumentInvalid, "a role is God, Admin, DBA, User or Guest"))
    }
}
