//! Permissions: the matrix of rights and the guards above it, each as one table that the code and the tests read.
//!
//! Invariants:
//!
//! * A right is looked up at every use, with the roles as they are then; login fixes nothing.
//! * The guards depend on no option and apply to everybody, God included, unless they say otherwise.

use alloc::format;

use super::role::{ROOT, RoleType};
use crate::error::{ErrorCode, SessionError};

/// Something that a role may or may not do: a row of [`MATRIX`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Right {
    /// Use a space; read data and schema in it.
    Read,
    /// Write data in a space.
    Write,
    /// Write schema in a space.
    WriteSchema,
    /// Create and drop spaces.
    ManageSpaces,
    /// Create, alter and drop users.
    ManageUsers,
    /// Grant and revoke DBA, User and Guest.
    GrantRole,
    /// Grant and revoke Admin, and change the role of a user who has it.
    GrantAdmin,
    /// Grant and revoke God.
    GrantGod,
    /// `SHOW USERS`.
    ShowUsers,
    /// `SHOW SPACES`: the spaces in which the user has a role.
    ShowSpaces,
    /// `SHOW ROLES IN` a space.
    ShowRoles,
    /// `DESCRIBE USER`.
    DescribeUser,
    /// `SHOW GRANTS`.
    ShowGrants,
    /// `SHOW SESSIONS`, `SHOW SESSION`.
    ShowSessions,
    /// `KILL SESSION`.
    KillSession,
    /// `SHOW QUERIES`.
    ShowQueries,
    /// `KILL QUERY`.
    KillQuery,
    /// `CHANGE PASSWORD`.
    ChangePassword,
    /// Read the operation log.
    ReadLog,
}

/// How far a right reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Not at all.
    No,
    /// One's own account, sessions and queries.
    Own,
    /// Everything in the space where the role is held.
    Space,
    /// Everything in the space where the role is held, and one's own.
    SpaceAndOwn,
    /// Everything.
    All,
}

/// One row of the matrix.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The right.
    pub right: Right,
    /// Its name in an error: "… needs the right to `name`".
    pub name: &'static str,
    /// The reach for God, Admin, DBA, User, Guest, and without a role.
    pub reach: [Reach; 6],
}

const fn row(right: Right, name: &'static str, reach: [Reach; 6]) -> Row {
    Row { right, name, reach }
}

use Reach::{All, No, Own, Space, SpaceAndOwn};

/// The matrix. Columns: God, Admin, DBA, User, Guest, no role.
#[rustfmt::skip]
pub const MATRIX: [Row; 19] = [
    row(Right::Read, "read in the space", [All, Space, Space, Space, Space, No]),
    row(Right::Write, "write data in the space", [All, Space, Space, Space, No, No]),
    row(Right::WriteSchema, "write schema in the space", [All, Space, Space, No, No, No]),
    row(Right::ManageSpaces, "create and drop spaces", [All, No, No, No, No, No]),
    row(Right::ManageUsers, "create, alter and drop users", [All, No, No, No, No, No]),
    row(Right::GrantRole, "grant and revoke roles in the space", [All, Space, No, No, No, No]),
    row(Right::GrantAdmin, "grant and revoke Admin, and change the role of an Admin", [All, No, No, No, No, No]),
    row(Right::GrantGod, "grant and revoke God, which nobody has", [No, No, No, No, No, No]),
    row(Right::ShowUsers, "list users", [All, No, No, No, No, No]),
    row(Right::ShowSpaces, "list spaces", [All, Space, Space, Space, Space, Space]),
    row(Right::ShowRoles, "list the roles of the space", [All, Space, Space, Space, Space, No]),
    row(Right::DescribeUser, "describe other users", [All, Own, Own, Own, Own, Own]),
    row(Right::ShowGrants, "list one's own roles", [All, Own, Own, Own, Own, Own]),
    row(Right::ShowSessions, "see the session", [All, SpaceAndOwn, Own, Own, Own, Own]),
    row(Right::KillSession, "kill the session", [All, SpaceAndOwn, Own, Own, Own, Own]),
    row(Right::ShowQueries, "see the query", [All, SpaceAndOwn, Own, Own, Own, Own]),
    row(Right::KillQuery, "kill the query", [All, SpaceAndOwn, Own, Own, Own, Own]),
    row(Right::ChangePassword, "change the password of others", [All, Own, Own, Own, Own, Own]),
    row(Right::ReadLog, "read the operation log", [All, Space, No, No, No, No]),
];

/// How far a right reaches with this role, or without one.
#[must_use]
pub fn reach(right: Right, role: Option<RoleType>) -> Reach {
    let column = role.map_or(RoleType::ALL.len(), |role| {
        RoleType::ALL.iter().position(|known| *known == role).unwrap_or(RoleType::ALL.len())
    });
    let row = MATRIX.iter().find(|row| row.right == right);
    row.and_then(|row| row.reach.get(column)).copied().unwrap_or(No)
}

/// The refusal for lack of a right.
#[must_use]
pub fn denied(right: Right) -> SessionError {
    let name = MATRIX.iter().find(|row| row.right == right).map_or("do this", |row| row.name);
    SessionError::new(
        ErrorCode::PermissionDenied,
        format!("this needs the right to {name}; ask for a role that has it"),
    )
}

/// The refusal, without accounts, for anything outside the space in which the session was begun.
fn denied_without_accounts() -> SessionError {
    SessionError::new(
        ErrorCode::PermissionDenied,
        "without accounts a session may use the space in which it was begun, and no other: begin one there \
         (session({ space })), create accounts and grant roles, or answer roles yourself (the option roleOf)",
    )
}

/// The subject of a permission check.
#[derive(Clone, Copy, Debug)]
pub struct Actor<'a> {
    /// The account, if there is one. An actor without an account owns only its own session.
    pub user: Option<&'a str>,
    /// Whether it is God: `root`, or the host itself.
    pub god: bool,
    /// The space in which its session was begun, as stated by the host or by the signed token.
    pub begun: Option<&'a str>,
}

/// Looks up current roles: in the built-in accounts, or as stated by the host's `roleOf`.
pub trait Roles {
    /// The role of a user (`None`: anonymous) in a space.
    fn role(&self, user: Option<&str>, space: &str) -> Option<RoleType>;

    /// Whether nobody has a role because there are no accounts. Then a session is a User in the space where it was
    /// begun.
    fn open(&self) -> bool {
        false
    }
}

impl<'a> Actor<'a> {
    /// An actor for a session that was begun in `space`.
    #[must_use]
    pub fn begun_in(space: &'a str, user: Option<&'a str>) -> Self {
        Self { user, god: user == Some(ROOT), begun: Some(space) }
    }

    /// The role that counts in `space`; God's counts in every space.
    pub fn role(&self, roles: &impl Roles, space: &str) -> Option<RoleType> {
        if self.god {
            return Some(RoleType::God);
        }
        let begun = || self.begun.filter(|begun| *begun == space).map(|_| RoleType::User);
        roles.role(self.user, space).or_else(|| begun().filter(|_| roles.open()))
    }

    /// Whether the actor has the right over something in `space`; `own` says whether that is the actor's own.
    pub fn may(&self, right: Right, roles: &impl Roles, space: &str, own: bool) -> bool {
        match reach(right, self.role(roles, space)) {
            Reach::No => false,
            Reach::Own => own,
            Reach::Space | Reach::SpaceAndOwn | Reach::All => true,
        }
    }

    /// [`Actor::may`], as a refusal.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`, which names the missing right.
    pub fn check(&self, right: Right, roles: &impl Roles, space: &str, own: bool) -> Result<(), SessionError> {
        if self.may(right, roles, space, own) {
            return Ok(());
        }
        // What would be allowed without accounts gets an error that explains how to get a role.
        let begun = roles.open() && reach(right, Some(RoleType::User)) != Reach::No;
        Err(if begun { denied_without_accounts() } else { denied(right) })
    }
}

/// A `GRANT` or a `REVOKE`.
#[derive(Clone, Copy, Debug)]
pub struct RoleChange<'a> {
    /// The granted or revoked role.
    pub role: RoleType,
    /// The space.
    pub space: &'a str,
    /// The user who gets or loses it.
    pub user: &'a str,
}

/// A rule about role changes that takes precedence over the matrix.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    /// The cause in the refusal.
    pub cause: &'static str,
    /// Whether it refuses, given the actor, the change, and the role that the user has in the space now.
    pub refuses: fn(&Actor<'_>, &RoleChange<'_>, Option<RoleType>) -> bool,
}

/// The guards, in the order in which they are checked.
pub const GUARDS: [Guard; 4] = [
    Guard { cause: "nobody grants or revokes God", refuses: |_, change, _| change.role == RoleType::God },
    Guard {
        cause: "nobody changes a role of their own",
        refuses: |actor, change, _| actor.user.is_some_and(|user| user == change.user),
    },
    Guard { cause: "nobody grants to, or revokes from, root", refuses: |_, change, _| change.user == ROOT },
    Guard { cause: "nobody changes the role of a God", refuses: |_, _, held| held == Some(RoleType::God) },
];

/// Checks whether `actor` may change a role.
///
/// # Errors
/// `PERMISSION_DENIED`, which names the guard or the missing right.
pub fn check_role_change(actor: &Actor<'_>, change: &RoleChange<'_>, roles: &impl Roles) -> Result<(), SessionError> {
    let held = roles.role(Some(change.user), change.space);
    if let Some(guard) = GUARDS.iter().find(|guard| (guard.refuses)(actor, change, held)) {
        return Err(SessionError::new(ErrorCode::PermissionDenied, guard.cause));
    }
    actor.check(Right::GrantRole, roles, change.space, false)?;
    if change.role == RoleType::Admin || held == Some(RoleType::Admin) {
        actor.check(Right::GrantAdmin, roles, change.space, false)?;
    }
    Ok(())
}

/// Checks whether `actor` may create, alter or drop an account.
///
/// # Errors
/// `PERMISSION_DENIED`: root is never dropped; everything else needs God.
pub fn check_account(actor: &Actor<'_>, user: &str, drop: bool) -> Result<(), SessionError> {
    if drop && user == ROOT {
        return Err(SessionError::new(ErrorCode::PermissionDenied, "nobody drops root"));
    }
    if actor.god { Ok(()) } else { Err(denied(Right::ManageUsers)) }
}
