//! Counting: how many tests passed and failed, read from what each kind of runner prints.

use crate::process::Shown;

/// What a runner did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    /// Tests that did not run: skipped by their author, or because this machine lacks what they need.
    pub(crate) skipped: u32,
    /// What failed, if the count alone does not tell.
    pub(crate) problems: Vec<String>,
    /// The reason of each skipped test; printed once more at the end, so that nobody overlooks it.
    pub(crate) absent: Vec<String>,
}

impl Tally {
    pub(crate) fn failure(problem: impl Into<String>) -> Self {
        Self { failed: 1, problems: vec![problem.into()], ..Self::default() }
    }

    /// Nothing ran, because the machine lacks something optional.
    pub(crate) fn absent(why: impl Into<String>) -> Self {
        Self { skipped: 1, absent: vec![why.into()], ..Self::default() }
    }

    /// A single check that passed or failed.
    pub(crate) fn check(&mut self, what: &str, result: anyhow::Result<()>) {
        match result {
            Ok(()) => {
                println!("ok: {what}");
                self.passed += 1;
            }
            Err(error) => self.add(&Self::failure(format!("{what}: {error:#}"))),
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.problems.extend(other.problems.iter().cloned());
        self.absent.extend(other.absent.iter().cloned());
    }

    /// Nothing ran, without a reason.
    pub(crate) fn is_empty(&self) -> bool {
        self.passed + self.failed == 0 && self.absent.is_empty()
    }

    /// A runner may fail though no test did (it did not compile, it crashed); that counts as a failure.
    fn agreeing_with(mut self, success: bool) -> Self {
        if !success && self.failed == 0 {
            self.add(&Self::failure("it failed, and no test of it did: see its output"));
        }
        self
    }
}

/// Reads the summaries of Rust's test harness, and of wasm-bindgen's, which prints the same.
pub(crate) fn of_cargo(shown: &Shown) -> Tally {
    let mut tally = Tally::default();
    for line in shown.text.lines().filter_map(|line| line.trim_start().strip_prefix("test result: ")) {
        tally.passed += number_before(line, " passed");
        tally.failed += number_before(line, " failed");
        tally.skipped += number_before(line, " ignored");
    }
    tally.agreeing_with(shown.success)
}

fn number_before(line: &str, word: &str) -> u32 {
    let before = line.split(word).next().unwrap_or_default();
    before.rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Reads the TAP summary of `node --test`; cancelled tests count as failed.
pub(crate) fn of_tap(tap: &str, success: bool) -> Tally {
    let number = |name: &str| {
        // The summary comes last; a test may print a line that looks like it, further up.
        let line = tap.lines().rev().find_map(|line| line.strip_prefix(&format!("# {name} ")))?;
        line.trim().parse::<u32>().ok()
    };
    match (number("pass"), number("fail")) {
        (Some(passed), Some(failed)) => Tally {
            passed,
            failed: failed + number("cancelled").unwrap_or(0),
            skipped: number("skipped").unwrap_or(0) + number("todo").unwrap_or(0),
            problems: Vec::new(),
            absent: tap.lines().filter_map(skip).collect(),
        }
        .agreeing_with(success),
        _ => Tally::failure("its report has no count"),
    }
}

/// `ok 3 - a name # SKIP why`, at any depth.
fn skip(line: &str) -> Option<String> {
    let (name, why) = line.trim_start().strip_prefix("ok ")?.split_once(" # SKIP")?;
    let name = name.split_once(" - ").map_or(name, |(_, name)| name);
    Some(format!("{name}: {}", why.trim()))
}

/// Counts the cases of a JUnit report, which Deno's and Bun's test commands write.
pub(crate) fn of_junit(xml: &str, success: bool) -> Tally {
    let mut tally = Tally::default();
    for case in xml.split("<testcase").skip(1) {
        let name = case.split_once(" name=\"").and_then(|(_, rest)| rest.split_once('"')).map_or("?", |(name, _)| name);
        let name = name.replace("&gt;", ">").replace("&lt;", "<").replace("&quot;", "\"").replace("&amp;", "&");
        if case.contains("<failure") || case.contains("<error") {
            tally.add(&Tally::failure(name));
        } else if case.contains("<skipped") {
            tally.add(&Tally::absent(name));
        } else {
            tally.passed += 1;
        }
    }
    tally.agreeing_with(success)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cargo(text: &str, success: bool) -> Tally {
        of_cargo(&Shown { success, text: text.into() })
    }

    #[test]
    fn the_counts_of_all_test_binaries_are_added() {
        let text = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
                    noise\n    test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(cargo(text, false), Tally { passed: 15, failed: 2, skipped: 1, ..Tally::default() });
    }

    #[test]
    fn a_failure_that_no_test_reports_still_counts() {
        assert_eq!(cargo("error: could not compile\n", false).failed, 1);
        assert_eq!(cargo("test result: ok. 5 passed; 0 failed; 0 ignored", false).failed, 1);
        assert_eq!(of_tap("# pass 2\n# fail 0\n", false).failed, 1);
        assert_eq!(of_tap("1..0\n", true).failed, 1);
    }

    #[test]
    fn what_is_skipped_says_why() {
        let tap = "ok 1 - runs\n    ok 2 - in Bun # SKIP not for this machine\n# pass 1\n# fail 0\n# skipped 1\n";
        assert_eq!(of_tap(tap, true).absent, ["in Bun: not for this machine"]);
        let nowhere = Tally::absent("no browser");
        assert!(nowhere.skipped == 1 && !nowhere.is_empty());
    }

    #[test]
    fn cases_of_a_junit_report_are_counted_one_by_one() {
        let xml = r#"<testsuites tests="9"><testsuite name="a"><testcase name="works" time="0"/>
            <testcase classname="c" name="breaks"><failure>no</failure></testcase>
            <testcase name="a &gt; waits"><skipped/></testcase></testsuite></testsuites>"#;
        let tally = of_junit(xml, false);
        assert_eq!((tally.passed, tally.failed, tally.skipped), (1, 1, 1));
        assert_eq!((tally.problems, tally.absent), (vec!["breaks".into()], vec!["a > waits".into()]));
        assert_eq!(of_junit("<testsuites/>", false).failed, 1);
        assert!(of_junit("", true).is_empty());
    }

    #[test]
    fn nothing_that_ran_is_empty() {
        assert!(cargo("test result: ok. 0 passed; 0 failed; 0 ignored", true).is_empty());
        assert!(cargo("no tests to run!", true).is_empty());
    }

    #[test]
    fn what_a_machine_lacks_is_said_and_is_no_failure() {
        let absent = Tally::absent("no such tool");
        assert!(!absent.is_empty());
        let mut sum = Tally { passed: 1, ..Tally::default() };
        sum.add(&absent);
        assert_eq!((sum.passed, sum.failed, sum.skipped, sum.absent.len()), (1, 0, 1, 1));
    }

    #[test]
    fn a_test_that_prints_a_summary_does_not_change_the_count() {
        let tap = "# pass 99\nok 1 - x\n# tests 4\n# pass 1\n# fail 1\n# cancelled 1\n# skipped 1\n# todo 0\n";
        assert_eq!(of_tap(tap, false), Tally { passed: 1, failed: 2, skipped: 1, ..Tally::default() });
    }
}
