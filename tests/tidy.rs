//! Rules that a compiler does not hold: who imports whom, how long a file is, how it opens, what stays out of the core.
//!
//! The table of allowed imports is the one in `src/docs/architecture.md`. Everything is read as text: what this test
//! knows of Rust is that comments begin with `//` and that a file's tests come last.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What is fetched or made, and not ours to judge.
const SKIPPED: [&str; 7] = ["node_modules", "target", "tools", "pkg", ".git", "proptest-regressions", "bindings.d.ts"];
const LINES_MAX: usize = 600;
/// How the tests of a file begin: proptest is not there on wasm32.
const TESTS: [&str; 2] = ["#[cfg(test)]", "#[cfg(all(test, not(target_arch = \"wasm32\")))]"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file under a directory of the repository, with its path from the root.
fn files(under: &str) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut left = vec![root().join(under)];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if SKIPPED.contains(&name) {
                continue;
            }
            if path.is_dir() {
                left.push(path);
            } else {
                let relative = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
                found.push((relative, path));
            }
        }
    }
    found.sort();
    found
}

/// Files whose names end so, as text.
fn sources(under: &[&str], endings: &[&str]) -> Vec<(String, String)> {
    let all = under.iter().flat_map(|directory| files(directory));
    let wanted = all.filter(|(name, _)| endings.iter().any(|ending| name.ends_with(ending)));
    wanted.map(|(name, path)| (name, fs::read_to_string(path).unwrap())).collect()
}

/// The lines of a Rust file that are neither comments nor its tests, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    let product = lines.take_while(|(_, line)| !TESTS.iter().any(|begin| line.starts_with(begin)));
    product.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn assert_none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

// ── Imports ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// The table under `## Imports`: for each module of the crate those that it may import.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("src/docs/architecture.md")).unwrap();
    let (_, section) = text.split_once("\n## Imports\n").expect("a section on imports");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells = |row: &str| -> Vec<String> { row.split('|').map(|cell| cell.trim().to_string()).collect() };
    rows.map(|row| {
        let cells = cells(row);
        let imports = cells[2].split(',').map(|name| name.trim().to_string()).filter(|name| !name.is_empty());
        (cells[1].clone(), imports.collect())
    })
    .collect()
}

/// The module of the crate that a file of `src` belongs to; none for `lib.rs`.
fn module(file: &str) -> Option<&str> {
    let inside = file.strip_prefix("src/")?;
    let top = inside.split('/').next()?;
    let name = top.strip_suffix(".rs").unwrap_or(top);
    (name != "lib").then_some(name)
}

/// The modules that a line names as `crate::name` or in `crate::{name, name}`.
fn named(line: &str) -> Vec<&str> {
    let identifier = |text: &'_ str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let mut names = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        if line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let path = &line[at + "crate::".len()..];
        match path.strip_prefix('{') {
            None => names.push(&path[..identifier(path)]),
            Some(group) => {
                let mut depth = 0;
                let pieces = group.split(|c: char| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    c == ',' && depth == 0
                });
                names.extend(pieces.map(str::trim).map(|piece| &piece[..identifier(piece)]));
            }
        }
    }
    names
}

#[test]
fn modules_import_only_what_the_architecture_allows() {
    let table = table();
    let mut wrong = Vec::new();
    for (file, text) in sources(&["src"], &[".rs"]) {
        let Some(module) = module(&file) else { continue };
        let Some(allowed) = table.get(module) else {
            wrong.push(format!("{file}: the module {module} is not in the table"));
            continue;
        };
        // A `use` may go over several lines.
        let joined: Vec<(usize, String)> = code(&text).map(|(at, line)| (at, line.to_string())).collect();
        let mut statements: Vec<(usize, String)> = Vec::new();
        for (at, line) in joined {
            match statements.last_mut() {
                Some((_, open)) if open.contains("crate::{") && !open.contains(';') => open.push_str(line.trim()),
                _ => statements.push((at, line)),
            }
        }
        for (at, statement) in statements {
            for name in named(&statement).into_iter().filter(|name| *name != module && !allowed.contains(*name)) {
                wrong.push(format!("{file}:{at}: {module} must not import {name}"));
            }
            let up = if file.matches('/').count() == 1 { "super::" } else { "super::super::" };
            if statement.contains(up) {
                wrong.push(format!("{file}:{at}: another module of the crate is named from the crate"));
            }
        }
    }
    assert_none(&wrong, "imports point one way; the table is in src/docs/architecture.md");
}

#[test]
fn the_table_of_imports_lists_the_modules_of_the_crate() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let declared = code(&lib).filter_map(|(_, line)| {
        let name = line.trim().trim_start_matches("pub ").strip_prefix("mod ")?;
        Some(name.trim_end_matches([';', ' ', '{']).to_string())
    });
    let table = table();
    assert_eq!(table.keys().cloned().collect::<BTreeSet<_>>(), declared.collect::<BTreeSet<_>>());
    for (module, allowed) in &table {
        assert!(allowed.iter().all(|name| table.contains_key(name)), "{module} imports what is not there");
        assert!(!allowed.contains("wasm"), "nothing imports the binding");
    }
    assert!(!table["store"].contains("session") && !table["session"].contains("store"));
}

#[test]
fn the_reader_of_imports_reads() {
    assert_eq!(named("use crate::id::{Dot, Space};"), ["id"]);
    assert_eq!(named("let x: crate::time::Hlc = crate::id::f();"), ["time", "id"]);
    assert_eq!(named("use crate::{id::{Dot, Space}, store, time::Hlc};"), ["id", "store", "time"]);
    assert_eq!(named("pub(crate) fn f() -> $crate::x {} my_crate::y"), Vec::<&str>::new());
    assert_eq!(module("src/store/space.rs"), Some("store"));
    assert_eq!(module("src/lib.rs"), None);
    let text = "//! use crate::a;\nuse crate::b;\n#[cfg(test)]\nuse crate::c;\n";
    assert_eq!(code(text).collect::<Vec<_>>(), [(2, "use crate::b;")]);
}

// ── Files ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const OURS: [&str; 4] = ["src", "pkg-template", "www", "tests"];

#[test]
fn no_file_is_longer_than_one_concept() {
    let endings = [".rs", ".ts", ".js", ".mjs", ".css", ".html", ".md"];
    let long = sources(&OURS, &endings).into_iter().filter_map(|(file, text)| {
        let lines = text.lines().count();
        (lines > LINES_MAX).then(|| format!("{file}: {lines} lines"))
    });
    assert_none(&long.collect::<Vec<_>>(), "a file has at most 600 lines");
}

#[test]
fn every_source_file_says_first_what_it_is() {
    let mut silent = Vec::new();
    for (file, text) in sources(&OURS, &[".rs", ".ts", ".js", ".mjs", ".css"]) {
        let text = if text.starts_with("#!") && !text.starts_with("#![") {
            text.split_once('\n').map_or("", |(_, rest)| rest)
        } else {
            &text
        };
        let opens = if file.ends_with(".rs") { &["//! "][..] } else { &["//", "/*"] };
        if !opens.iter().any(|open| text.starts_with(open)) {
            silent.push(file);
        }
    }
    assert_none(&silent, "a source file opens with a paragraph: what it is, what it keeps, what it must not know");
}

// ── The core ────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_core_does_not_panic_on_purpose() {
    let mut wrong = Vec::new();
    for (file, text) in sources(&["src"], &[".rs"]) {
        for (at, line) in code(&text) {
            for word in [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "unreachable!("] {
                if line.contains(word) {
                    wrong.push(format!("{file}:{at}: {word}"));
                }
            }
        }
    }
    assert_none(&wrong, "an error is a value");
}

#[test]
fn only_the_binding_knows_javascript_and_shares_a_cell() {
    let mut wrong = Vec::new();
    for (file, text) in sources(&["src"], &[".rs"]).into_iter().filter(|(file, _)| module(file) != Some("wasm")) {
        for (at, line) in code(&text) {
            for word in
                ["wasm_bindgen", "js_sys", "getrandom", "RefCell", "Rc<", "static mut", "unsafe ", "Mutex", "std::"]
            {
                // What a test switches off is its own thread's, and the model looks at one store from many; no build
                // for wasm32 has either. Lists of ids are shared, so the cell that is filled once is one for threads
                // wherever there are some: where there are none it is a plain one.
                let switch = (file == "src/mutant.rs" && line.contains("std::thread_local!"))
                    || (["src/store/order.rs", "src/vector/ids.rs"].contains(&file.as_str())
                        && line.contains("std::sync::OnceLock as Once"));
                if line.contains(word) && !switch {
                    wrong.push(format!("{file}:{at}: {word}"));
                }
            }
        }
    }
    assert_none(&wrong, "the core is pure: one owner, no clock, no host");
}

// ── Words ───────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_repository_does_not_tell_of_the_machine_it_was_written_on() {
    // In pieces, so that this file does not hold what it looks for.
    let words =
        [["/wo", "rk/"], ["/ro", "ot/"], ["/t", "mp/"], ["/ho", "me/"], ["/Us", "ers/"]].map(|word| word.concat());
    let endings = [".rs", ".ts", ".js", ".mjs", ".css", ".html", ".md", ".toml", ".json", ".txt", ".yml"];
    let mut wrong = Vec::new();
    for (file, text) in sources(&[""], &endings) {
        for (at, line) in text.lines().enumerate() {
            wrong.extend(
                words.iter().filter(|word| line.contains(*word)).map(|word| format!("{file}:{}: {word}", at + 1)),
            );
        }
    }
    assert_none(&wrong, "no path of one machine");
}

#[test]
fn lock_files_name_no_mirror_of_a_registry() {
    let locks = sources(&[""], &["package-lock.json", "Cargo.lock"]);
    assert!(locks.len() >= 2);
    for (file, text) in locks {
        assert!(!text.contains("\"resolved\": \"http"), "{file}");
        let foreign =
            text.lines().find(|l| l.starts_with("source = ") && !l.contains("github.com/rust-lang/crates.io-index"));
        assert_eq!(foreign, None, "{file}");
    }
}

#[test]
fn what_the_documents_point_at_is_there() {
    let mut wrong = Vec::new();
    for (file, text) in sources(&[""], &[".md"]) {
        let quoted = text.split('`').skip(1).step_by(2);
        let paths = quoted.filter(|word| OURS.iter().any(|top| word.starts_with(&format!("{top}/"))));
        let plain = |word: &&str| word.chars().all(|c| c.is_alphanumeric() || "/._-".contains(c));
        for path in paths.filter(plain) {
            // What a build makes is not here before it; `x` is any name.
            let made = SKIPPED.iter().any(|name| path.split('/').any(|part| part == *name)) || path.contains("/x.");
            if !made && !root().join(path).exists() {
                wrong.push(format!("{file}: {path}"));
            }
        }
    }
    assert_none(&wrong, "a document names a file that does not exist");
}
