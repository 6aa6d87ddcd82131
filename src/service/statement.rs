//! Statements of nGQL for sessions, queries, users, roles and spaces: parsing and printing.
//!
//! Invariants: printing a statement and parsing the result gives the same statement. `Debug` and
//! [`core::fmt::Display`], which is for people, hide passwords.
//!
//! Knows nothing of the user and decides nothing.

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

/// What `SHOW` lists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Show {
    /// The sessions of the fleet, or of this replica.
    Sessions {
        /// Only of this replica.
        local: bool,
    },
    /// One session.
    Session(Term),
    /// The queries of the fleet, or of this replica.
    Queries {
        /// Only of this replica.
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

/// A value, or the column that contains it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Term {
    /// A string.
    Text(String),
    /// An integer.
    Number(i64),
    /// A column of the previous table: `$-.Name`.
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
    /// `CONTAINS`, for texts.
    Contains,
    /// `STARTS WITH`, for texts.
    StartsWith,
}

/// A condition on a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Predicate {
    /// A comparison.
    Compare(Term, Comparison, Term),
    /// The negation.
    Not(Box<Self>),
    /// The conjunction of two or more.
    And(Vec<Self>),
    /// The disjunction of two or more.
    Or(Vec<Self>),
}

/// A column of `YIELD`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// What is shown.
    pub term: Term,
    /// The column's name; by default that of the column shown.
    pub alias: Option<String>,
}

/// A stage of a pipe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Chooses columns and rows.
    Yield {
        /// The columns.
        items: Vec<Item>,
        /// The condition on rows; all if there is none.
        filter: Option<Predicate>,
    },
    /// Sorts the rows.
    OrderBy {
        /// By this column.
        column: String,
        /// In descending order.
        descending: bool,
    },
    /// The first rows.
    Limit(u64),
    /// Kills the session of each row.
    KillSession(Term),
    /// Kills the query of each row.
    KillQuery {
        /// The session; by default the current one.
        session: Option<Term>,
        /// The plan.
        plan: Term,
    },
}

/// One statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Statement {
    /// A list, piped through stages.
    Show(Show, Vec<Stage>),
    /// `KILL SESSION`
    KillSession(Term),
    /// `KILL QUERY`
    KillQuery {
        /// The session; by default the current one.
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
        /// Without one nobody can log in.
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
    /// Whether it only reads, and changes nothing for anybody.
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
