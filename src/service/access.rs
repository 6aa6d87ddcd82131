//! Who may what: the permission matrix and its guards, each as one table that the code and the tests read.
//!
//! Invariant: a right is looked up at every use, with the roles as they are then; nothing is frozen at login. The guards
//! depend on no switch, and hold for everyone, God included, unless they say otherwise.

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
    /// Grant and revoke Admin, and change the role of who holds it.
    GrantAdmin,
    /// Grant and revoke God.
    GrantGod,
    /// `SHOW USERS`.
    ShowUsers,
    /// `SHOW SPACES`: those in which a role is held.
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
    /// What is one's own: account, sessions, queries.
    Own,
    /// What is in the space where the role is held.
    Space,
    /// What is in the space where the role is held, and one's own.
    SpaceAndOwn,
    /// Everything.
    All,
}

/// One row of the matrix.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What.
    pub right: Right,
    /// Its words in an error: "… needs the right to <name>".
    pub name: &'static str,
    /// How far, for God, Admin, DBA, User, Guest, and nobody in particular.
    pub reach: [Reach; 6],
}

const fn row(right: Right, name: &'static str, reach: [Reach; 6]) -> Row {
    Row { right, name, reach }
}

use Reach::{All, No, Own, Space, SpaceAndOwn};

/// The whole matrix. Columns: God, Admin, DBA, User, Guest, no role.
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

/// How far a right reaches with a role, or with none.
#[must_use]
pub fn reach(right: Right, role: Option<RoleType>) -> Reach {
    let column = role.map_or(RoleType::ALL.len(), |role| {
        RoleType::ALL.iter().position(|known| *known == role).unwrap_or(RoleType::ALL.len())
    });
    let row = MATRIX.iter().find(|row| row.right == right);
    row.and_then(|row| row.reach.get(column)).copied().unwrap_or(No)
}

/// The refusal of a right.
#[must_use]
pub fn denied(right: Right) -> SessionError {
    let name = MATRIX.iter().find(|row| row.right == right).map_or("do this", |row| row.name);
    SessionError::new(
        ErrorCode::PermissionDenied,
        format!("this needs the right to {name}; ask for a role that has it"),
    )
}

/// The refusal of what a session without a role asks for elsewhere than where it was begun.
fn denied_without_accounts() -> SessionError {
    SessionError::new(
        ErrorCode::PermissionDenied,
        "without accounts a session may use the space in which it was begun, and no other: begin one there \
         (session({ space })), create accounts and grant roles, or answer roles yourself (the option roleOf)",
    )
}

/// Who is asking.
#[derive(Clone, Copy, Debug)]
pub struct Actor<'a> {
    /// The account, if there is one. Who has none owns nothing but the own session.
    pub user: Option<&'a str>,
    /// Whether it is God: `root`, or the host itself.
    pub god: bool,
    /// The space in which its session was begun, by the host or by the one that has signed its token.
    pub begun: Option<&'a str>,
}

/// Looks a role up, as it is now: the built-in accounts, or the host's `roleOf`.
pub trait Roles {
    /// The role of a user (or of nobody in particular) in a space.
    fn role(&self, user: Option<&str>, space: &str) -> Option<RoleType>;

    /// Whether nobody holds any role yet, because there are no accounts: then a session is a User where it was begun.
    fn open(&self) -> bool {
        false
    }
}

impl<'a> Actor<'a> {
    /// The user of a session that was begun in a space.
    #[must_use]
    pub fn begun_in(space: &'a str, user: Option<&'a str>) -> Self {
        Self { user, god: user == Some(ROOT), begun: Some(space) }
    }

    /// The role that decides in `space`: God's is the same everywhere.
    pub fn role(&self, roles: &impl Roles, space: &str) -> Option<RoleType> {
        if self.god {
            return Some(RoleType::God);
        }
        let begun = || self.begun.filter(|begun| *begun == space).map(|_| RoleType::User);
        roles.role(self.user, space).or_else(|| begun().filter(|_| roles.open()))
    }

    /// Whether a right reaches something in `space` that is or is not the actor's own.
    pub fn may(&self, right: Right, roles: &impl Roles, space: &str, own: bool) -> bool {
        match reach(right, self.role(roles, space)) {
            Reach::No => false,
            Reach::Own => own,
            Reach::Space | Reach::SpaceAndOwn | Reach::All => true,
        }
    }

    /// [`Actor::may`], or the refusal.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`, which names the missing right.
    pub fn check(&self, right: Right, roles: &impl Roles, space: &str, own: bool) -> Result<(), SessionError> {
        if self.may(right, roles, space, own) {
            return Ok(());
        }
        // What was allowed before there were roles at all tells how to get one.
        let begun = roles.open() && reach(right, Some(RoleType::User)) != Reach::No;
        Err(if begun { denied_without_accounts() } else { denied(right) })
    }
}

/// A `GRANT` or a `REVOKE`.
#[derive(Clone, Copy, Debug)]
pub struct RoleChange<'a> {
    /// The role that is granted or revoked.
    pub role: RoleType,
    /// Where.
    pub space: &'a str,
    /// To or from whom.
    pub user: &'a str,
}

/// A rule for changing roles that stands above the matrix.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    /// What it refuses.
    pub cause: &'static str,
    /// Whether it refuses: who asks, what for, and the role that the user holds in the space now.
    pub refuses: fn(&Actor<'_>, &RoleChange<'_>, Option<RoleType>) -> bool,
}

/// The guards, in the order in which they are asked.
pub const GUARDS: [Guard; 4] = [
    Guard { cause: "nobody grants or revokes God", refuses: |_, change, _| change.role == RoleType::God },
    Guard {
        cause: "nobody changes a role of their own",
        refuses: |actor, change, _| actor.user.is_some_and(|user| user == change.user),
    },
    Guard { cause: "nobody grants to, or revokes from, root", refuses: |_, change, _| change.user == ROOT },
    Guard { cause: "nobody changes the role of a God", refuses: |_, _, held| held == Some(RoleType::God) },
];

/// Whether `actor` may make a change of roles.
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

/// Whether an account may be created, altered or dropped.
///
/// # Errors
/// `PERMISSION_DENIED`: root is neither created nor dropped; the rest is God's.
pub fn check_account(actor: &Actor<'_>, user: &str, drop: bool) -> Result<(), SessionError> {
    if drop && user == ROOT {
        return Err(SessionError::new(ErrorCode::PermissionDenied, "nobody drops root"));
    }
    if actor.god { Ok(()) } else { Err(denied(Right::ManageUsers)) }
}
