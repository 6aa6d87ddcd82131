//! The session service: the matrix, the guards, the statements. The tables are `tests/data/service/*.txt`, which the
//! JavaScript tests read too.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod access;
mod statements;

/// The rows of a table of `tests/data/service`: cells between `|` (`\|` is a sign of the text), the first row the heads.
fn rows(table: &str) -> Vec<Vec<String>> {
    let lines = table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let cells = |line: &str| -> Vec<String> {
        line.replace("\\|", "\0").split('|').map(|cell| cell.trim().replace('\0', "|")).collect()
    };
    lines.map(cells).collect()
}
