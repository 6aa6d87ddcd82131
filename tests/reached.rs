//! Every error code is reached by a test: `tests/data/errors.txt` names one for each, and each is looked for.
//!
//! What is read is text: a test is what stands from its name to the next one's beginning, and expects a code where it names it,
//! or where a table of `tests/data` that it reads does. That the product has a place that makes it is looked for as well.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

use edge_session::error::ErrorCode;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rows of the table: code, file, test.
fn table() -> Vec<[String; 3]> {
    let all = text("tests/data/errors.txt");
    let rows = all.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).skip(1);
    rows.map(|row| {
        let cells: Vec<String> = row.split('|').map(|cell| cell.trim().to_string()).collect();
        cells.try_into().unwrap_or_else(|cells| panic!("{cells:?}"))
    })
    .collect()
}

/// The body of a test of Rust, or of JavaScript.
fn body(file: &str, test: &str) -> Option<String> {
    let source = text(file);
    let begins = if file.ends_with(".rs") { format!("fn {test}()") } else { format!("test('{test}'") };
    let next = if file.ends_with(".rs") { "\n#[test]" } else { "\ntest(" };
    let from = source.find(&begins)?;
    let rest = &source[from..];
    Some(rest[..rest.find(next).unwrap_or(rest.len())].to_string())
}

/// Whether a test expects a code.
fn expects(file: &str, body: &str, code: ErrorCode) -> bool {
    let name = code.as_str();
    if file.ends_with(".rs") && body.contains(&format!("ErrorCode::{code:?}")) || body.contains(&format!("'{name}'")) {
        return true;
    }
    let mut tables = body.split("include_str!(\"../data/").skip(1).filter_map(|rest| rest.split('"').next());
    tables.any(|table| {
        text(&format!("tests/data/{table}"))
            .split(|c: char| !c.is_ascii_uppercase() && c != '_')
            .any(|word| word == name)
    })
}

#[test]
fn every_error_code_is_reached_by_a_test() {
    let table = table();
    for code in ErrorCode::ALL {
        let rows: Vec<_> = table.iter().filter(|[name, ..]| name == code.as_str()).collect();
        let [[_, file, test]] = rows.as_slice() else { panic!("{} has {} rows, not one", code.as_str(), rows.len()) };
        let body = body(file, test).unwrap_or_else(|| panic!("{file} has no test `{test}`"));
        assert!(expects(file, &body, *code), "`{test}` of {file} does not expect {}", code.as_str());
    }
    assert_eq!(table.len(), ErrorCode::ALL.len(), "a row for a code that is none");
}

/// The sources of the product: the crate and the package, but for the tables of codes themselves.
fn product() -> String {
    let mut all = String::new();
    let mut left: Vec<PathBuf> = ["src", "pkg-template/src"].iter().map(|part| root().join(part)).collect();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.ends_with(".rs") && name != "error.rs" || name.ends_with(".ts") {
            let text = fs::read_to_string(&path).unwrap();
            // In the package's own table a code stands before a colon.
            all.extend(
                text.lines().filter(|line| !line.trim_start().starts_with(['*', '/'])).map(|line| format!("{line}\n")),
            );
        }
    }
    all
}

#[test]
fn every_error_code_is_made_somewhere() {
    let product = product();
    // Two are made where their table stands.
    let own = text("src/error.rs");
    let own = &own[own.find("impl SessionError").unwrap()..];
    for code in ErrorCode::ALL {
        let (variant, name) = (format!("ErrorCode::{code:?}"), format!("'{}'", code.as_str()));
        let made = product.contains(&variant) || product.contains(&name) || own.contains(&variant);
        assert!(made, "nothing makes {}", code.as_str());
    }
}

#[test]
fn what_is_not_expected_is_noticed() {
    let body = "fn some() { assert_eq!(error.code(), ErrorCode::Timeout); }";
    assert!(expects("tests/x.rs", body, ErrorCode::Timeout));
    assert!(!expects("tests/x.rs", body, ErrorCode::Conflict));
    assert!(expects("tests/x.mjs", "assert.equal(code, 'CONFLICT')", ErrorCode::Conflict));
    let table = "fn some() { rows(include_str!(\"../data/service/statements.txt\")) }";
    assert!(expects("tests/x.rs", table, ErrorCode::ImproperRole));
    assert!(!expects("tests/x.rs", table, ErrorCode::Timeout));
    assert_eq!(self::body("tests/reached.rs", "nobody_has_written_this"), None);
}
