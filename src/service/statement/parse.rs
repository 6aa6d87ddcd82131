//! Parses text into statements: a sequence separated by `;`, parsed as a whole before any of it runs.
//!
//! Invariants: no text causes a panic or exhausts the stack. An error states the position and what was expected there,
//! and repeats nothing of the text, which may contain a password.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use winnow::error::EmptyError;

use super::pipe::{kill_query, kill_session, stages};
use super::words::{Input, Parsed, Trace, end, first, gap, maybe, name, sign, string, term, word, words};
use super::{Password, Show, Statement};
use crate::error::{Details, ErrorCode, SessionError};
use crate::service::role::RoleType;

/// The longest accepted text, in bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// The beginnings of the statements that this service executes.
const OPENINGS: [&[&str]; 20] = [
    &["SHOW", "LOCAL"],
    &["SHOW", "SESSIONS"],
    &["SHOW", "SESSION"],
    &["SHOW", "QUERIES"],
    &["SHOW", "USERS"],
    &["SHOW", "SPACES"],
    &["SHOW", "GRANTS"],
    &["SHOW", "ROLES"],
    &["KILL"],
    &["CREATE", "USER"],
    &["CREATE", "SPACE"],
    &["ALTER", "USER"],
    &["DROP", "USER"],
    &["DROP", "SPACE"],
    &["CHANGE", "PASSWORD"],
    &["DESCRIBE", "USER"],
    &["DESC", "USER"],
    &["GRANT"],
    &["REVOKE"],
    &["USE"],
];

/// Whether a text begins like one of these statements; otherwise the host executes it.
///
/// ```
/// use edge_session::service::statement::is_ours;
/// assert!(is_ours("show sessions"));
/// assert!(!is_ours("MATCH (n) RETURN n"));
/// ```
#[must_use]
pub fn is_ours(text: &str) -> bool {
    let mut input = Input { input: text, state: Trace::default() };
    OPENINGS.iter().any(|opening| {
        input.input = text;
        words(&mut input, opening).is_ok()
    })
}

/// Parses a sequence of statements.
///
/// ```
/// use edge_session::service::statement::parse;
/// let statements = parse("USE shop; SHOW SESSIONS | LIMIT 3")?;
/// assert_eq!(statements[1].to_string(), "SHOW SESSIONS | LIMIT 3");
/// let error = parse("KILL SESSION").unwrap_err();
/// assert_eq!(error.cause(), "at position 12: expected a string, an integer or $-.");
/// # Ok::<(), edge_session::error::SessionError>(())
/// ```
///
/// # Errors
/// `SYNTAX`, with the position (in UTF-16 code units, as JavaScript counts) and what was expected there.
pub fn parse(text: &str) -> Result<Vec<Statement>, SessionError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(SessionError::bound(ErrorCode::Syntax, "statementBytes", TEXT_BYTES_MAX as u64));
    }
    let mut input = Input { input: text, state: Trace::default() };
    sequence(&mut input).map_err(|EmptyError| failure(text, input.state))
}

fn failure(text: &str, trace: Trace) -> SessionError {
    let understood = text.get(..text.len().saturating_sub(trace.left)).unwrap_or_default();
    let position = understood.encode_utf16().count() as u64;
    let mut choices = String::new();
    for (at, what) in trace.expected.iter().enumerate() {
        let between = match at {
            0 => "",
            at if at + 1 == trace.expected.len() => " or ",
            _ => ", ",
        };
        choices.push_str(between);
        choices.push_str(what);
    }
    SessionError::new(ErrorCode::Syntax, format!("at position {position}: expected {choices}"))
        .with(Details::Syntax { position, expected: trace.expected })
}

fn sequence(input: &mut Input<'_>) -> Parsed<Vec<Statement>> {
    let mut statements = Vec::new();
    while maybe(input, |input| sign(input, ";")).is_some() {}
    loop {
        statements.push(statement(input)?);
        let mut parted = false;
        while maybe(input, |input| sign(input, ";")).is_some() {
            parted = true;
        }
        gap(input);
        if !parted || input.input.is_empty() {
            end(input)?;
            return Ok(statements);
        }
    }
}

fn statement(input: &mut Input<'_>) -> Parsed<Statement> {
    first(
        input,
        &[
            |input| {
                word(input, "SHOW")?;
                let show = show(input)?;
                Ok(Statement::Show(show, stages(input)?))
            },
            |input| kill_session(input).map(Statement::KillSession),
            |input| kill_query(input).map(|(session, plan)| Statement::KillQuery { session, plan }),
            create_user,
            alter_user,
            drop_user,
            change_password,
            describe_user,
            grant,
            revoke,
            create_space,
            drop_space,
            |input| {
                word(input, "USE")?;
                name(input).map(Statement::Use)
            },
        ],
    )
}

fn show(input: &mut Input<'_>) -> Parsed<Show> {
    first(
        input,
        &[
            |input| word(input, "SESSIONS").map(|()| Show::Sessions { local: false }),
            |input| words(input, &["LOCAL", "SESSIONS"]).map(|()| Show::Sessions { local: true }),
            |input| {
                word(input, "SESSION")?;
                term(input).map(Show::Session)
            },
            |input| word(input, "QUERIES").map(|()| Show::Queries { local: false }),
            |input| words(input, &["LOCAL", "QUERIES"]).map(|()| Show::Queries { local: true }),
            |input| word(input, "USERS").map(|()| Show::Users),
            |input| word(input, "SPACES").map(|()| Show::Spaces),
            |input| word(input, "GRANTS").map(|()| Show::Grants),
            |input| {
                words(input, &["ROLES", "IN"])?;
                name(input).map(Show::Roles)
            },
        ],
    )
}

/// Parses an optional `IF …` and the name after it. `IF` without the other words is itself a name.
fn lenient(input: &mut Input<'_>, keywords: &[&'static str]) -> Parsed<(bool, String)> {
    let found = maybe(input, |input| {
        words(input, keywords)?;
        name(input)
    });
    match found {
        Some(name) => Ok((true, name)),
        None => Ok((false, name(input)?)),
    }
}

const IF_NOT_EXISTS: [&str; 3] = ["IF", "NOT", "EXISTS"];
const IF_EXISTS: [&str; 2] = ["IF", "EXISTS"];

fn password(input: &mut Input<'_>) -> Parsed<Password> {
    string(input).map(Password)
}

fn create_user(input: &mut Input<'_>) -> Parsed<Statement> {
    words(input, &["CREATE", "USER"])?;
    let (lenient, name) = lenient(input, &IF_NOT_EXISTS)?;
    let password = match maybe(input, |input| word(input, "WITH")) {
        Some(()) => {
            word(input, "PASSWORD")?;
            Some(password(input)?)
        }
        None => None,
    };
    Ok(Statement::CreateUser { name, lenient, password })
}

fn alter_user(input: &mut Input<'_>) -> Parsed<Statement> {
    words(input, &["ALTER", "USER"])?;
    let name = name(input)?;
    words(input, &["WITH", "PASSWORD"])?;
    Ok(Statement::AlterUser { name, password: password(input)? })
}

fn drop_user(input: &mut Input<'_>) -> Parsed<Statement> {
    words(input, &["DROP", "USER"])?;
    let (lenient, name) = lenient(input, &IF_EXISTS)?;
    Ok(Statement::DropUser { name, lenient })
}

fn change_password(input: &mut Input<'_>) -> Parsed<Statement> {
    words(input, &["CHANGE", "PASSWORD"])?;
    let name = name(input)?;
    word(input, "FROM")?;
    let from = password(input)?;
    word(input, "TO")?;
    Ok(Statement::ChangePassword { name, from, to: password(input)? })
}

fn describe_user(input: &mut Input<'_>) -> Parsed<Statement> {
    first(input, &[|input| word(input, "DESCRIBE"), |input| word(input, "DESC")])?;
    word(input, "USER")?;
    name(input).map(Statement::DescribeUser)
}

fn role(input: &mut Input<'_>) -> Parsed<RoleType> {
    first(
        input,
        &[
            |input| word(input, "GOD").map(|()| RoleType::God),
            |input| word(input, "ADMIN").map(|()| RoleType::Admin),
            |input| word(input, "DBA").map(|()| RoleType::Dba),
            |input| word(input, "USER").map(|()| RoleType::User),
            |input| word(input, "GUEST").map(|()| RoleType::Guest),
        ],
    )
}

/// `[ROLE] role ON space`
fn role_on(input: &mut Input<'_>) -> Parsed<(RoleType, String)> {
    _ = maybe(input, |input| word(input, "ROLE"));
    let role = role(input)?;
    word(input, "ON")?;
    Ok((role, name(input)?))
}

fn grant(input: &mut Input<'_>) -> Parsed<Statement> {
    word(input, "GRANT")?;
    let (role, space) = role_on(input)?;
    word(input, "TO")?;
    Ok(Statement::Grant { role, space, user: name(input)? })
}

fn revoke(input: &mut Input<'_>) -> Parsed<Statement> {
    word(input, "REVOKE")?;
    let (role, space) = role_on(input)?;
    word(input, "FROM")?;
    Ok(Statement::Revoke { role, space, user: name(input)? })
}

fn create_space(input: &mut Input<'_>) -> Parsed<Statement> {
    words(input, &["CREATE", "SPACE"])?;
    let (lenient, name) = lenient(input, &IF_NOT_EXISTS)?;
    Ok(Statement::CreateSpace { name, lenient })
}

fn drop_space(input: &mut Input<'_>) -> Parsed<Statement> {
    words(input, &["DROP", "SPACE"])?;
    let (lenient, name) = lenient(input, &IF_EXISTS)?;
    Ok(Statement::DropSpace { name, lenient })
}
