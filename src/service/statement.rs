//! nGQL's words for sessions, queries, users, roles and spaces: text to statements, and back.
//!
//! Invariant: printing a statement and parsing it gives the statement; what is shown to people ([`core::fmt::Display`])
//! and what `Debug` prints hides passwords. Knows nothing of who asks, and decides nothing.

mod parse;
mod pipe;
mod print;
mod words;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

pub use self::parse::{is_ours, parse};
use super::role::RoleType;

/// A password in a statement: never printed by `Debug`, nor by a statement's `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("'***'")
    }
}

/// What is listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Show {
    /// The sessions of the fleet, or of this replica.
    Sessions {
        /// Of this replica alone.
        local: bool,
    },
    /// One session.
    Session(Term),
    /// The queries of the fleet, or of this replica.
    Queries {
        /// Of this replica alone.
        local: bool,
    },
    /// The accounts.
    Users,
    /// The spaces.
    Spaces,
    /// One's own roles.
    Grants,
    /// The roles in a space.
    Roles(String),
}

/// A value, or the column that holds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Term {
    /// A string.
    Text(String),
    /// An integer.
    Number(i64),
    /// A column of the table before: `$-.Name`.
    Column(String),
}

/// How two terms are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `CONTAINS`, of texts.
    Contains,
    /// `STARTS WITH`, of texts.
    StartsWith,
}

/// A condition on a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Predicate {
    /// A comparison.
    Compare(Term, Comparison, Term),
    /// The opposite.
    Not(Box<Self>),
    /// All: two or more.
    And(Vec<Self>),
    /// At least one of two or more.
    Or(Vec<Self>),
}

/// A column of `YIELD`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// What is shown.
    pub term: Term,
    /// Under this name; otherwise under the column's own.
    pub alias: Option<String>,
}

/// What a table is sent through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Columns, and which rows.
    Yield {
        /// The columns.
        items: Vec<Item>,
        /// Which rows; all, if nothing is said.
        filter: Option<Predicate>,
    },
    /// The order of the rows.
    OrderBy {
        /// By this column.
        column: String,
        /// The greatest first.
        descending: bool,
    },
    /// The first rows.
    Limit(u64),
    /// Kills the session of each row.
    KillSession(Term),
    /// Kills the query of each row.
    KillQuery {
        /// The session; the current one if nothing is said.
        session: Option<Term>,
        /// The plan.
        plan: Term,
    },
}

/// One statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Statement {
    /// A list, sent through stages.
    Show(Show, Vec<Stage>),
    /// `KILL SESSION`
    KillSession(Term),
    /// `KILL QUERY`
    KillQuery {
        /// The session; the current one if nothing is said.
        session: Option<Term>,
        /// The plan.
        plan: Term,
    },
    /// `CREATE USER`
    CreateUser {
        /// The account.
        name: String,
        /// No error if it exists.
        lenient: bool,
        /// Without one nobody can log in to it.
        password: Option<Password>,
    },
    /// `ALTER USER`
    AlterUser {
        /// The account.
        name: String,
        /// The new password.
        password: Password,
    },
    /// `DROP USER`
    DropUser {
        /// The account.
        name: String,
        /// No error if it does not exist.
        lenient: bool,
    },
    /// `CHANGE PASSWORD`
    ChangePassword {
        /// The account.
        name: String,
        /// The old password.
        from: Password,
        /// The new password.
        to: Password,
    },
    /// `DESCRIBE USER`
    DescribeUser(String),
    /// `GRANT`
    Grant {
        /// What.
        role: RoleType,
        /// Where.
        space: String,
        /// To whom.
        user: String,
    },
    /// `REVOKE`
    Revoke {
        /// What.
        role: RoleType,
        /// Where.
        space: String,
        /// From whom.
        user: String,
    },
    /// `CREATE SPACE`
    CreateSpace {
        /// The space.
        name: String,
        /// No error if it exists.
        lenient: bool,
    },
    /// `DROP SPACE`
    DropSpace {
        /// The space.
        name: String,
        /// No error if it does not exist.
        lenient: bool,
    },
    /// `USE`
    Use(String),
}

impl Statement {
    /// Whether it only looks: it changes nothing, for nobody.
    #[must_use]
    pub fn looks(&self) -> bool {
        match self {
            Self::Show(_, stages) => {
                !stages.iter().any(|stage| matches!(stage, Stage::KillSession(_) | Stage::KillQuery { .. }))
            }
            Self::DescribeUser(_) => true,
            Self::KillSession(_)
            | Self::KillQuery { .. }
            | Self::CreateUser { .. }
            | Self::AlterUser { .. }
            | Self::DropUser { .. }
            | Self::ChangePassword { .. }
            | Self::Grant { .. }
            | Self::Revoke { .. }
            | Self::CreateSpace { .. }
            | Self::DropSpace { .. }
            | Self::Use(_) => false,
        }
    }
}
