//! The session service: the matrix, the guards, the statements. The tables are `tests/data/service/*.txt`, which the
//! JavaScript tests read too.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm
)]

#[path = "../common/mod.rs"]
mod common;

mod access;
mod answered;
mod clients;
mod console;
mod enemy;
mod fences;
mod fleet;
mod glances;
mod idle;
mod limits;
mod logins;
#[cfg(feature = "mutants")]
mod mutants;
mod passwords;
mod queries;
mod roles;
mod roster;
mod running;
mod sessions;
mod statements;
mod timers;

use common::host::{Host, PLAIN};
use edge_session::error::SessionError;
use edge_session::io::{Answer, Progress, SessionHandle};
use edge_session::service::table::{Cell, Table};

/// Runs statements, of which each that needs a password's hash is given `hashes`.
fn run_with(
    host: &mut Host,
    session: Option<SessionHandle>,
    text: &str,
    hashes: &[&str],
) -> Result<Table, SessionError> {
    let hashes: Vec<String> = hashes.iter().map(ToString::to_string).collect();
    let begun = host.replica.run(session, text, &hashes, PLAIN, host.now);
    host.drain();
    let answer = match begun? {
        Progress::Done(answer) => answer,
        Progress::Waiting(wait) => host.taken(wait).expect("storage confirms at once")?,
    };
    let Answer::Table(table) = answer else { panic!("{answer:?}") };
    Ok(table)
}

/// Runs statements as a session, or as the host itself.
fn run(host: &mut Host, session: impl Into<Option<SessionHandle>>, text: &str) -> Result<Table, SessionError> {
    run_with(host, session.into(), text, &["hash"])
}

/// A column of a table, as text.
fn column(table: &Table, name: &str) -> Vec<String> {
    let at = table.column(name).unwrap();
    table.rows.iter().map(|row| row[at].to_string()).collect()
}

/// The number in the only cell.
fn count(table: &Table) -> i64 {
    match table.rows.as_slice() {
        [row] => match row.as_slice() {
            [Cell::Number(number)] => *number,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// The rows of a table of `tests/data/service`: cells between `|` (`\|` is a sign of the text), the first row the heads.
fn rows(table: &str) -> Vec<Vec<String>> {
    let lines = table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let cells = |line: &str| -> Vec<String> {
        line.replace("\\|", "\0").split('|').map(|cell| cell.trim().replace('\0', "|")).collect()
    };
    lines.map(cells).collect()
}
