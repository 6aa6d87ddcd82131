//! Histories: what they say of sound replicas and of broken ones, to our own judge and to other people's.

use std::collections::{BTreeMap, BTreeSet};

use edge_session::guarantee::Guarantee;
use edge_session::mutant::Mutant as Core;
use edge_session_sim::checker::alarm::Kind;
use edge_session_sim::checker::set::Set;
use edge_session_sim::lines::judge::judge;
use edge_session_sim::lines::{Line, foreign, parse, print};
use edge_session_sim::mutant::Mutant;
use edge_session_sim::run::{Keep, Options, Report, run};

const OPS: u64 = 300;

fn history(seed: u64, keep: Keep) -> Report {
    run(&Options { seed, ops: OPS, keep, ..Options::default() })
}

/// Lines in which `{n}` stands for the version of the n-th write.
fn lines(text: &str) -> Vec<Line> {
    let mut text = text.to_owned();
    for n in 1..10 {
        text = text.replace(&format!("{{{n}}}"), &version(n));
    }
    parse(&text).expect("a history")
}

fn verdict(text: &str) -> Option<Kind> {
    judge(&lines(text)).err().map(|(_, alarm)| alarm.kind)
}

fn version(n: u64) -> String {
    format!("{n:016x}.n0~0000000000000000")
}

const BEGINNING: &str = r#"
    {"op":"write","session":"ann","keys":{"a":"one"},"version":"{1}"}
    {"op":"write","session":"ann","keys":{"a":"two","b":"two"},"version":"{2}"}
    {"op":"token","session":"ann","token":"t"}
"#;

#[test]
fn a_session_that_sees_its_past_breaks_nothing() {
    let rest = r#"
    {"op":"open","session":"bob","tokens":["t"]}
    {"op":"read","session":"bob","seen":[{"key":"a","version":"{2}","value":"two"}]}
    {"op":"write","session":"bob","keys":{"a":null},"version":"{3}"}
    {"op":"read","session":"bob","seen":[{"key":"a","absent":true},{"key":"b","version":"{2}","value":"two"}]}
    {"op":"read","session":"eve","seen":[{"key":"a","version":"{1}","value":"one"}]}
    "#;
    assert_eq!(verdict(&format!("{BEGINNING}{rest}")), None);
}

/// One history for each promise, which breaks that one alone.
#[test]
fn each_broken_promise_is_named() {
    let cases = [
        (Kind::ReadYourWrites, r#"{"op":"read","session":"ann","seen":[{"key":"a","version":"{1}","value":"one"}]}"#),
        (Kind::ReadYourWrites, r#"{"op":"read","session":"ann","seen":[{"key":"b","absent":true}]}"#),
        (
            Kind::MonotonicReads,
            r#"{"op":"read","session":"eve","seen":[{"key":"a","version":"{2}","value":"two"}]}
               {"op":"read","session":"eve","seen":[{"key":"a","version":"{1}","value":"one"}]}"#,
        ),
        (
            Kind::MonotonicReads,
            r#"{"op":"read","session":"eve","seen":[{"key":"a","version":"{2}","value":"two"}]}
               {"op":"token","session":"eve","token":"u"}
               {"op":"merge","session":"joe","token":"u"}
               {"op":"read","session":"joe","seen":[{"key":"a","version":"{1}","value":"one"}]}"#,
        ),
        (
            Kind::MonotonicWrites,
            r#"{"op":"write","session":"ann","keys":{"c":"three"},"version":"{3}"}
               {"op":"read","session":"eve","seen":[{"key":"c","version":"{3}","value":"three"}]}
               {"op":"read","session":"eve","seen":[{"key":"a","version":"{1}","value":"one"}]}"#,
        ),
        (
            Kind::WritesFollowReads,
            r#"{"op":"read","session":"joe","seen":[{"key":"a","version":"{2}","value":"two"}]}
               {"op":"write","session":"joe","keys":{"c":"three"},"version":"{3}"}
               {"op":"state","node":"n1","keys":{"a":"{1}","c":"{3}"}}"#,
        ),
        (
            Kind::State,
            r#"{"op":"read","session":"eve","seen":[{"key":"a","version":"{2}","value":"two"},{"key":"b","absent":true}]}"#,
        ),
        (
            Kind::Arbitration,
            r#"{"op":"read","session":"joe","seen":[{"key":"a","version":"{2}","value":"two"}]}
               {"op":"write","session":"joe","keys":{"c":"three"},"version":"0000000000000001.n1~0000000000000000"}"#,
        ),
        (Kind::DotReused, r#"{"op":"write","session":"joe","keys":{"c":"three"},"version":"{2}"}"#),
        (Kind::Answer, r#"{"op":"read","session":"eve","seen":[{"key":"a","version":"{2}","value":"one"}]}"#),
        (Kind::Answer, r#"{"op":"read","session":"eve","seen":[{"key":"a","version":"{4}","value":"four"}]}"#),
        (
            Kind::Durability,
            r#"{"op":"write","session":"joe","keys":{"a":"three"},"version":"{3}","durable":true}
               {"op":"state","node":"n1","keys":{"a":"{2}","b":"{2}"},"last":true}"#,
        ),
        (
            Kind::Convergence,
            r#"{"op":"state","node":"n0","keys":{"a":"{2}","b":"{2}"},"last":true}
               {"op":"state","node":"n1","keys":{},"last":true}"#,
        ),
    ];
    for (kind, rest) in cases {
        assert_eq!(verdict(&format!("{BEGINNING}{rest}")), Some(kind), "{rest}");
    }
}

/// A session is held to what it was promised, and to nothing else.
#[test]
fn a_session_with_fewer_guarantees_is_judged_by_those() {
    for (names, kind) in [(r#""monotonic-reads""#, None), (r#""read-your-writes""#, Some(Kind::ReadYourWrites))] {
        let rest = format!(
            r#"{{"op":"open","session":"bob","tokens":["t"],"guarantees":[{names}]}}
               {{"op":"read","session":"bob","seen":[{{"key":"a","version":"{{1}}","value":"one"}}]}}"#
        );
        assert_eq!(verdict(&format!("{BEGINNING}{rest}")), kind, "{names}");
    }
}

/// Clients write their lines without a common clock: who reads may stand before who writes.
#[test]
fn lines_wait_for_what_they_build_on() {
    let begin: Vec<&str> = BEGINNING.trim().lines().collect();
    let early = r#"{"op":"open","session":"bob","tokens":["t"]}
                   {"op":"read","session":"bob","seen":[{"key":"a","version":"{2}","value":"two"}]}"#;
    assert_eq!(verdict(&format!("{early}\n{}", begin.join("\n"))), None);
    let never = r#"{"op":"merge","session":"bob","token":"nowhere"}"#;
    assert_eq!(verdict(&format!("{BEGINNING}{never}")), Some(Kind::Arbitration));
}

/// A write whose answer never came binds nobody; who has read it has read a write like any other.
#[test]
fn a_write_without_an_answer_is_known_by_its_value() {
    let read = |version: &str, value: &str| {
        format!(r#"{{"op":"read","session":"eve","seen":[{{"key":"a","version":"{version}","value":"{value}"}}]}}"#)
    };
    let write = r#"{"op":"write","session":"joe","keys":{"a":"three"}}"#;
    let begin = format!("{BEGINNING}{write}\n{}\n", read("{3}", "three"));
    assert_eq!(verdict(&begin), None);
    assert_eq!(verdict(&format!("{begin}{}", read("{2}", "two"))), Some(Kind::MonotonicReads));
}

#[test]
fn sound_replicas_are_judged_sound_by_what_clients_were_told() {
    let (mut reads, mut writes) = (0, 0);
    for seed in 0..60 {
        let report = history(seed, Keep::Lines);
        assert_eq!(report.alarm, None, "seed {seed}");
        let judged = judge(&report.lines).unwrap_or_else(|(line, alarm)| panic!("seed {seed}, line {line}: {alarm}"));
        assert!(judged.states > 2, "seed {seed}: {judged:?}");
        (reads, writes) = (reads + judged.reads, writes + judged.writes);
        assert_eq!(parse(&print(&report.lines)).as_ref(), Ok(&report.lines));
    }
    assert!(reads > 3_000 && writes > 1_500, "{reads} reads, {writes} writes");
}

/// The history alone tells that a guarantee is missing. What a session itself is promised shows in nearly every run; what
/// everybody is promised shows only where somebody looks at the right keys, or at the replica.
#[test]
fn broken_guarantees_show_in_what_clients_were_told() {
    for (mutant, least) in guarantees() {
        let told = |seed: &u64| {
            let options = Options { mutant: Some(mutant), hard: true, keep: Keep::Lines, ..options(*seed) };
            judge(&run(&options).lines).is_err_and(|(_, alarm)| mutant.explains(alarm.kind))
        };
        let caught = (0..40).filter(told).count();
        assert!(caught >= least, "{} shows in the histories of {caught} of 40 seeds only", mutant.name());
    }
}

fn options(seed: u64) -> Options {
    Options { seed, ops: OPS, ..Options::default() }
}

/// The guarantees, and in how many of 40 histories at least it must show that one is missing.
fn guarantees() -> [(Mutant, usize); 4] {
    use Guarantee::{MonotonicReads, MonotonicWrites, ReadYourWrites, WritesFollowReads};
    let all = [(ReadYourWrites, 12), (MonotonicReads, 12), (MonotonicWrites, 1), (WritesFollowReads, 1)];
    all.map(|(guarantee, least)| (Mutant::Core(Core::Guarantee(guarantee)), least))
}

/// An operation of a history for other checkers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Op {
    writes: bool,
    key: u64,
    value: u64,
    session: u64,
    txn: u64,
}

fn ops(lines: &[Line]) -> Vec<Op> {
    let text = foreign::export(lines).expect("a history");
    let op = |line: &str| {
        let (what, rest) = line.split_once('(')?;
        let numbers: Vec<u64> = rest.strip_suffix(')')?.split(',').map(|n| n.parse().ok()).collect::<Option<_>>()?;
        let [key, value, session, txn] = numbers.try_into().ok()?;
        Some(Op { writes: what == "w", key, value, session, txn })
    };
    text.lines().map(|line| op(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

#[test]
fn a_history_for_others_has_the_form_that_they_expect() {
    for seed in 0..20 {
        let ops = ops(&history(seed, Keep::Foreign).lines);
        let (mut values, mut begun, mut read) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let genesis: BTreeSet<u64> = ops.iter().filter(|op| op.txn == 0).map(|op| op.key).collect();
        let mut txn = 0;
        for op in &ops {
            assert!(op.txn == txn || op.txn == txn + 1, "transactions are one after the other: {op:?}");
            txn = op.txn;
            assert!(genesis.contains(&op.key) && (op.session == 0) == (op.txn == 0));
            match op.writes {
                true => assert!(values.insert((op.key, op.value)), "seed {seed} writes {op:?} twice"),
                false => assert!(read.insert((op.txn, op.key)), "seed {seed} reads a key twice: {op:?}"),
            }
            if op.session > 0 && begun.insert(op.session) {
                assert!(!op.writes && op.value == 0, "seed {seed}: {op:?} is not of the genesis");
            }
        }
        assert!(ops.iter().filter(|op| !op.writes).all(|op| values.contains(&(op.key, op.value))));
    }
}

/// Causal consistency as others check it (Bouajjani et al., POPL 2017): the order of sessions and of who read from whom has
/// no circle, and nobody reads a value where a later one of the same key was in the past.
fn is_causal(ops: &[Op]) -> bool {
    let of = |op: &Op| op.txn as usize;
    let writers: BTreeMap<(u64, u64), usize> =
        ops.iter().filter(|op| op.writes).map(|op| ((op.key, op.value), of(op))).collect();
    let count = ops.iter().map(of).max().unwrap_or(0) + 1;
    let (mut direct, mut last) = (vec![Set::default(); count], BTreeMap::new());
    for op in ops {
        if let Some(before) = last.insert(op.session, of(op)).filter(|before| *before != of(op)) {
            direct[of(op)].insert(before);
        }
        if !op.writes {
            direct[of(op)].insert(writers[&(op.key, op.value)]);
        }
    }
    // Lines stand in the order of completion, so what is in the past stands before.
    let mut past: Vec<Set> = Vec::new();
    for (txn, direct) in direct.iter().enumerate() {
        let mut own = direct.clone();
        for before in direct.iter() {
            assert!(before < txn, "{before} is in the past of {txn}");
            own.join(&past[before]);
        }
        past.push(own);
    }
    ops.iter().filter(|op| !op.writes).all(|read| {
        let source = writers[&(read.key, read.value)];
        let hides = |op: &Op| {
            op.writes
                && op.key == read.key
                && of(op) != source
                && past[of(read)].contains(of(op))
                && past[of(op)].contains(source)
        };
        !ops.iter().any(hides)
    })
}

#[test]
fn others_find_sound_replicas_causal_and_broken_ones_not() {
    for seed in 0..20 {
        assert!(is_causal(&ops(&history(seed, Keep::Foreign).lines)), "seed {seed}");
    }
    // What everybody is promised is seldom looked at by the right one; the written histories below have it.
    for (mutant, least) in guarantees().into_iter().filter(|(_, least)| *least > 1) {
        let broken = |seed: &u64| {
            let options = Options { mutant: Some(mutant), hard: true, keep: Keep::Foreign, ..options(*seed) };
            !is_causal(&ops(&run(&options).lines))
        };
        let caught = (0..40).filter(broken).count();
        assert!(caught >= least, "{} is causal to others in all but {caught} of 40 seeds", mutant.name());
    }
}

/// What a session has read and written goes along with what it writes, in the histories for others too.
#[test]
fn others_find_that_a_write_has_left_its_past_behind() {
    let answer = |past: &str| {
        format!(
            r#"{BEGINNING}
            {{"op":"read","session":"joe","seen":[{{"key":"a","version":"{{2}}","value":"two"}}]}}
            {{"op":"write","session":"joe","keys":{{"c":"three"}},"version":"{{3}}"}}
            {{"op":"write","session":"joe","keys":{{"d":"four"}},"version":"{{4}}"}}
            {{"op":"read","session":"eve","seen":[{{"key":"d","version":"{{4}}","value":"four"}}]}}
            {{"op":"read","session":"eve","seen":[{past}]}}"#
        )
    };
    let cases = [
        (r#"{"key":"a","version":"{2}","value":"two"}"#, true),
        (r#"{"key":"c","version":"{3}","value":"three"}"#, true),
        // Writes Follow Reads, Monotonic Writes.
        (r#"{"key":"a","version":"{1}","value":"one"}"#, false),
        (r#"{"key":"c","absent":true,"never":true}"#, false),
    ];
    for (past, causal) in cases {
        assert_eq!(is_causal(&ops(&lines(&answer(past)))), causal, "{past}");
    }
}
