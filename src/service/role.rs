//! The roles, one per user and space, ordered by power.
//!
//! Invariant: between two roles for one user, the lower one ([`Ord`]) counts.

use core::fmt;

use crate::error::{ErrorCode, SessionError};

/// The name of the built-in God account: it cannot be dropped, demoted or granted anything.
pub const ROOT: &str = "root";

/// What a user is in a space. `God` alone holds in every space.
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
    /// Also writes schema.
    Dba,
    /// Grants and revokes the roles below it, in its space.
    Admin,
    /// May do everything that anybody may.
    God,
}

impl RoleType {
    /// Every role, the most powerful first: the columns of the matrix.
    pub const ALL: [Self; 5] = [Self::God, Self::Admin, Self::Dba, Self::User, Self::Guest];

    /// The name in programs.
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

    /// The keyword in statements and their tables.
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
