//! The judge of histories that were kept from outside: clean ones pass, and each kind of breach is told by its name.

use edge_session_sim::checker::alarm::Kind;
use edge_session_sim::history::judge;

const PARIS: &str = "paris~0000000000000000";
const TOKYO: &str = "tokyo~1111111111111111";

/// A write that is asked for.
fn begin(write: u64, client: &str, key: &str) -> String {
    format!(r#"{{"kind":"begin","write":{write},"client":"{client}","sets":["{key}"]}}"#)
}

/// A write that is acknowledged. `clock` is its place in arbitration.
fn wrote(write: u64, client: &str, clock: u64, replica: &str, sequence: u64) -> String {
    let version = format!("{clock:016x}.{replica}");
    format!(r#"{{"kind":"wrote","write":{write},"client":"{client}","version":"{version}","sequence":{sequence}}}"#)
}

/// A value that was answered.
fn read(client: &str, key: &str, write: u64, clock: u64, replica: &str) -> String {
    let version = format!("{clock:016x}.{replica}");
    format!(r#"{{"kind":"read","client":"{client}","key":"{key}","write":{write},"version":"{version}"}}"#)
}

fn absent(client: &str, key: &str) -> String {
    format!(r#"{{"kind":"read","client":"{client}","key":"{key}","write":null,"version":null}}"#)
}

fn state(place: &str, paris: u64, tokyo: u64, entries: &str) -> String {
    format!(
        r#"{{"kind":"state","place":"{place}","vector":{{"{PARIS}":{paris},"{TOKYO}":{tokyo}}},"entries":[{entries}]}}"#
    )
}

fn under(line: &str, names: &str) -> String {
    line.replacen('{', &format!(r#"{{"under":[{names}],"#), 1)
}

/// Two writes, the first one at Paris, the second one, which is newer, at Tokyo.
fn two(first: (&str, &str), second: (&str, &str)) -> Vec<String> {
    vec![
        begin(1, first.0, first.1),
        wrote(1, first.0, 10, PARIS, 1),
        begin(2, second.0, second.1),
        wrote(2, second.0, 20, TOKYO, 1),
    ]
}

#[track_caller]
fn clean(lines: &[String]) -> String {
    match judge(&lines.join("\n")) {
        Ok(history) => history.to_string(),
        Err((line, alarm)) => panic!("line {line}: {alarm}"),
    }
}

/// Judges lines of which the last one breaks a promise.
#[track_caller]
fn broken(lines: &[String], kind: Kind) {
    clean(&lines[..lines.len() - 1]);
    let (line, alarm) = judge(&lines.join("\n")).expect_err("a promise is broken");
    assert_eq!((line, alarm.kind), (lines.len(), kind), "{alarm}");
}

#[test]
fn a_clean_history_says_what_was_judged() {
    let mut lines = two(("ann", "a"), ("bob", "a"));
    let entry = format!(r#"["a",2,"{:016x}.{TOKYO}"]"#, 20);
    lines.extend([read("ann", "a", 1, 10, PARIS), read("ann", "a", 2, 20, TOKYO)]);
    lines.extend([state("paris", 1, 1, &entry), state("tokyo", 1, 1, &entry)]);
    assert_eq!(clean(&lines), "2 clients, 2 reads, 2 writes (2 acknowledged), 2 replicas");
}

#[test]
fn a_read_that_misses_an_own_write() {
    let lines = two(("bob", "a"), ("ann", "a"));
    broken(&[lines.clone(), vec![read("ann", "a", 1, 10, PARIS)]].concat(), Kind::ReadYourWrites);
    broken(&[lines.clone(), vec![absent("ann", "a")]].concat(), Kind::ReadYourWrites);
    // Whoever did not ask for the guarantee, and whoever does not depend on the write, is owed nothing.
    clean(&[lines.clone(), vec![under(&read("ann", "a", 1, 10, PARIS), r#""monotonic-reads""#)]].concat());
    clean(&[lines, vec![read("eve", "a", 1, 10, PARIS), absent("eve", "a")]].concat()[..5]);
}

#[test]
fn a_read_that_goes_back() {
    let mut lines = two(("bob", "a"), ("bob", "a"));
    lines.push(read("ann", "a", 2, 20, TOKYO));
    broken(&[lines.clone(), vec![read("ann", "a", 1, 10, PARIS)]].concat(), Kind::MonotonicReads);
    broken(&[lines.clone(), vec![absent("ann", "a")]].concat(), Kind::MonotonicReads);
    clean(&[lines, vec![under(&read("ann", "a", 1, 10, PARIS), r#""read-your-writes""#)]].concat());
}

#[test]
fn a_write_that_is_seen_without_an_earlier_one_of_its_session() {
    let mut lines = two(("bob", "a"), ("bob", "b"));
    lines.push(read("ann", "b", 2, 20, TOKYO));
    broken(&[lines.clone(), vec![absent("ann", "a")]].concat(), Kind::MonotonicWrites);
    lines[2] = under(&lines[2], r#""writes-follow-reads""#);
    clean(&[lines, vec![absent("ann", "a")]].concat());
}

#[test]
fn a_write_that_is_seen_without_what_its_session_had_read() {
    let mut lines = two(("bob", "a"), ("eve", "b"));
    lines.insert(2, read("eve", "a", 1, 10, PARIS));
    lines.push(read("ann", "b", 2, 20, TOKYO));
    broken(&[lines.clone(), vec![absent("ann", "a")]].concat(), Kind::WritesFollowReads);
    lines[3] = under(&lines[3], r#""monotonic-writes""#);
    clean(&[lines, vec![absent("ann", "a")]].concat());
}

#[test]
fn what_a_write_follows_is_followed_through_others() {
    let mut lines = two(("bob", "a"), ("bob", "b"));
    lines.extend([read("eve", "b", 2, 20, TOKYO), begin(3, "eve", "c"), wrote(3, "eve", 30, PARIS, 2)]);
    lines.push(read("ann", "c", 3, 30, PARIS));
    broken(&[lines, vec![absent("ann", "a")]].concat(), Kind::WritesFollowReads);
}

#[test]
fn a_batch_of_which_only_a_part_is_seen() {
    let both = r#"{"kind":"begin","write":1,"client":"bob","sets":["a","b"]}"#.to_owned();
    let lines = vec![both, wrote(1, "bob", 10, PARIS, 1), read("ann", "a", 1, 10, PARIS)];
    broken(&[lines, vec![absent("ann", "b")]].concat(), Kind::MonotonicReads);
}

#[test]
fn a_token_takes_along_what_its_session_depends_on() {
    let mut lines = two(("bob", "a"), ("bob", "a"));
    lines.insert(2, r#"{"kind":"token","client":"bob","name":"t"}"#.into());
    lines.push(r#"{"kind":"merge","client":"ann","name":"t"}"#.into());
    clean(&[lines.clone(), vec![read("ann", "a", 1, 10, PARIS)]].concat());
    broken(&[lines.clone(), vec![absent("ann", "a")]].concat(), Kind::ReadYourWrites);
    lines.swap(2, 4);
    lines.swap(2, 3);
    broken(&[lines, vec![read("ann", "a", 1, 10, PARIS)]].concat(), Kind::ReadYourWrites);
}

/// What was cut off may have happened or not; a deletion of that kind excuses an absent key.
#[test]
fn what_was_never_answered_may_have_happened() {
    let cut = |kind: &str| format!(r#"{{"kind":"begin","write":2,"client":"eve","{kind}":["a"]}}"#);
    let first = [begin(1, "ann", "a"), wrote(1, "ann", 10, PARIS, 1)];
    clean(&[first.as_slice(), &[cut("deletes"), absent("ann", "a")]].concat());
    broken(&[first.as_slice(), &[cut("sets"), absent("ann", "a")]].concat(), Kind::ReadYourWrites);
    clean(&[first.as_slice(), &[cut("sets"), read("ann", "a", 2, 20, TOKYO), read("eve", "a", 1, 10, PARIS)]].concat());
    let back = [cut("sets"), read("ann", "a", 2, 20, TOKYO), read("ann", "a", 1, 10, PARIS)];
    broken(&[first.as_slice(), &back].concat(), Kind::ReadYourWrites.max(Kind::MonotonicReads));
}

#[test]
fn a_dot_or_a_place_in_arbitration_that_stands_for_two_writes() {
    let lines = [begin(1, "ann", "a"), wrote(1, "ann", 10, PARIS, 1), begin(2, "bob", "b")];
    broken(&[lines.as_slice(), &[wrote(2, "bob", 20, PARIS, 1)]].concat(), Kind::DotReused);
    broken(&[lines.as_slice(), &[wrote(2, "bob", 10, PARIS, 2)]].concat(), Kind::DotReused);
    broken(&[lines.as_slice(), &[read("ann", "a", 1, 11, PARIS)]].concat(), Kind::DotReused);
}

#[test]
fn a_write_that_is_older_than_what_it_follows() {
    let lines = [begin(1, "ann", "a"), wrote(1, "ann", 10, PARIS, 1), begin(2, "ann", "b")];
    broken(&[lines.as_slice(), &[wrote(2, "ann", 9, TOKYO, 1)]].concat(), Kind::Arbitration);
}

#[test]
fn a_value_that_nobody_wrote() {
    let lines = [begin(1, "ann", "a"), wrote(1, "ann", 10, PARIS, 1)];
    broken(&[lines.as_slice(), &[read("ann", "b", 1, 10, PARIS)]].concat(), Kind::Answer);
    broken(&[lines.as_slice(), &[read("ann", "a", 7, 10, PARIS)]].concat(), Kind::Answer);
}

#[test]
fn an_end_in_which_something_acknowledged_is_missing() {
    let lines = two(("ann", "a"), ("bob", "b"));
    let (a, b) = (format!(r#"["a",1,"{:016x}.{PARIS}"]"#, 10), format!(r#"["b",2,"{:016x}.{TOKYO}"]"#, 20));
    broken(&[lines.clone(), vec![state("paris", 0, 1, &b)]].concat(), Kind::Durability);
    // The vector says so, and the entry is gone.
    broken(&[lines.clone(), vec![state("paris", 1, 1, &b)]].concat(), Kind::Durability);
    clean(&[lines, vec![state("paris", 1, 1, &format!("{a},{b}"))]].concat());
}

#[test]
fn an_end_in_which_replicas_differ() {
    let mut lines = vec![begin(1, "ann", "a"), wrote(1, "ann", 10, PARIS, 1), begin(2, "bob", "b")];
    let (a, b) = (format!(r#"["a",1,"{:016x}.{PARIS}"]"#, 10), format!(r#"["b",2,"{:016x}.{TOKYO}"]"#, 20));
    lines.push(state("paris", 1, 1, &format!("{a},{b}")));
    broken(&[lines.clone(), vec![state("tokyo", 1, 2, &format!("{a},{b}"))]].concat(), Kind::Convergence);
    broken(&[lines.clone(), vec![state("tokyo", 1, 1, &a)]].concat(), Kind::State);
}

#[test]
fn what_is_no_history_is_refused() {
    let known = begin(1, "ann", "a");
    for line in ["{}", "nonsense", r#"{"kind":"read","client":"a"}"#, r#"{"kind":"merge","client":"a","name":"t"}"#] {
        broken(&[known.clone(), line.into()], Kind::Contract);
    }
    broken(&[known.clone(), known.clone()], Kind::Contract);
    broken(&[known.clone(), wrote(2, "ann", 10, PARIS, 1)], Kind::Contract);
    broken(&[known.clone(), under(&read("ann", "a", 1, 10, PARIS), r#""linearizability""#)], Kind::Contract);
    broken(&[known, begin(1 << 40, "ann", "a")], Kind::Contract);
}
