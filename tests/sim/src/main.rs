//! `sim`: runs seeds, tells of alarms, keeps and judges histories, of real replicas too, and counts how many seeds catch
//! each mutant.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use edge_session::mutant::{Mutant as Core, Service};
use edge_session_sim::history;
use edge_session_sim::lines::{foreign, judge, parse, print};
use edge_session_sim::mutant::Mutant;
use edge_session_sim::run::{Keep, Options, caught, explain, run};
use edge_session_sim::trace::record;
use edge_session_sim::world::Boundary;

const USAGE: &str = "usage: cargo xtask sim [options]

  --seed N         the seed, or the first one (0)
  --seeds COUNT    how many seeds
  --ops M          operations in each seed (300); without --seed and --seeds, in all, 300 in each seed
  --skip A-B,C     operations to leave out
  --crash N        crash with the N-th record that is handed to storage; --kept: which storage has all the same
  --mutant NAME    what to break on purpose
  --hard           with the profile that is hard on it
  --tell           print what happens, for people
  --history FILE   keep the history for other people's checkers: r(key,value,session,txn), w(…)
  --record FILE    keep the history as JSON lines
  --check FILE     judge a history of JSON lines, from here or from elsewhere; with --history, convert it
  --mutants        how many of the seeds (100) catch each mutant
  --traces DIR     write a trace of each seed that the wasm module can play, instead of a report

The formats are described in tests/sim/src/lines.rs (op), tests/sim/src/history/line.rs (kind; by --check alone) and
tests/sim/src/lines/foreign.rs.";

#[derive(Default)]
struct Command {
    options: Options,
    ops: Option<u64>,
    seeds: Option<u64>,
    mutants: bool,
    history: Option<PathBuf>,
    record: Option<PathBuf>,
    check: Option<PathBuf>,
    traces: Option<PathBuf>,
}

/// The operations of a seed, unless the command says otherwise: short runs find more than long ones.
const EACH: u64 = 300;

fn main() -> ExitCode {
    let Some(command) = read(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let done = if let Some(file) = &command.check {
        check(file, command.history.as_deref())
    } else if let Some(directory) = &command.traces {
        traces(&command, directory)
    } else if command.mutants {
        Ok(all_mutants(&command.options, command.seeds.unwrap_or(100)))
    } else if command.history.is_some() || command.record.is_some() {
        keep(&command)
    } else {
        Ok(all_seeds(&command))
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn read(mut args: impl Iterator<Item = String>) -> Option<Command> {
    let mut command = Command { options: Options { ops: EACH, ..Options::default() }, ..Command::default() };
    let options = &mut command.options;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seed" => {
                options.seed = args.next()?.parse().ok()?;
                command.seeds = command.seeds.or(Some(1));
            }
            "--seeds" => command.seeds = Some(args.next()?.parse().ok()?),
            "--ops" => command.ops = Some(args.next()?.parse().ok()?),
            "--skip" => options.skip = Options::parse_skip(&args.next()?)?,
            "--mutant" => options.mutant = Some(Mutant::named(&args.next()?)?),
            "--hard" => options.hard = true,
            "--crash" => options.boundary = Some(Boundary { record: args.next()?.parse().ok()?, kept: false }),
            "--kept" => options.boundary.as_mut()?.kept = true,
            "--tell" => options.tell = true,
            "--mutants" => command.mutants = true,
            "--history" => command.history = Some(args.next()?.into()),
            "--record" => command.record = Some(args.next()?.into()),
            "--traces" => command.traces = Some(args.next()?.into()),
            "--check" => command.check = Some(args.next()?.into()),
            _ => return None,
        }
    }
    Some(command)
}

/// Runs seeds: those that were asked for, or as many as it takes to do so many operations.
fn all_seeds(command: &Command) -> bool {
    let options = &command.options;
    let (seeds, each) = match (command.seeds, command.ops) {
        (Some(seeds), ops) => (seeds, ops.unwrap_or(EACH)),
        (None, ops) => (ops.unwrap_or(EACH).div_ceil(EACH), EACH),
    };
    let (mut alarms, mut operations, mut writes) = (BTreeSet::new(), 0, 0);
    let mut progress = Progress::new(seeds * each);
    for seed in options.seed..options.seed + seeds {
        let options = Options { seed, ops: each, ..options.clone() };
        let report = run(&options);
        operations += report.begun;
        writes += report.writes;
        report.history.iter().for_each(|line| println!("{line}"));
        if let Some(alarm) = report.alarm {
            progress.clear();
            println!("seed {seed}: {alarm}\n  {}", options.command());
            if alarms.is_empty() && options.mutant.is_none() && !options.tell {
                println!("{}", explain(&options));
            }
            alarms.insert(seed);
        }
        progress.show(operations, alarms.len());
    }
    progress.clear();
    let rate = progress.rate(operations);
    println!(
        "{seeds} seeds, {operations} operations, {writes} writes, {} alarms; {rate} operations a second",
        alarms.len()
    );
    alarms.is_empty()
}

/// Writes a trace of each seed that can be played, and says why of the others.
fn traces(command: &Command, directory: &Path) -> Result<bool, String> {
    let (first, seeds, mut written) = (command.options.seed, command.seeds.unwrap_or(1), 0);
    let ops = command.ops.unwrap_or(command.options.ops);
    for seed in first..first + seeds {
        let (report, trace) = record(|| run(&Options { seed, ops, ..command.options.clone() }));
        match (report.alarm, trace) {
            (Some(alarm), _) => println!("seed {seed} is not written: {alarm}"),
            (None, Err(why)) => println!("seed {seed} is not written: {why}"),
            (None, Ok(text)) => {
                save(&directory.join(format!("{seed}.jsonl")), &text)?;
                written += 1;
            }
        }
    }
    println!("{written} of {seeds} seeds written");
    Ok(written > 0)
}

/// Keeps the history of one seed, and judges it by nothing else as well.
fn keep(command: &Command) -> Result<bool, String> {
    let keep = if command.history.is_some() { Keep::Foreign } else { Keep::Lines };
    let options = Options { keep, ops: command.ops.unwrap_or(command.options.ops), ..command.options.clone() };
    let report = run(&options);
    if let Some(alarm) = &report.alarm {
        println!("seed {}: {alarm}\n  {}", options.seed, options.command());
    }
    if let Some(file) = &command.record {
        save(file, &print(&report.lines))?;
    }
    if let Some(file) = &command.history {
        save(file, &foreign::export(&report.lines).map_err(|alarm| alarm.to_string())?)?;
    }
    println!("seed {}: {} lines, {} writes", options.seed, report.lines.len(), report.writes);
    Ok(report.alarm.is_none())
}

/// Judges a history that was kept here or elsewhere.
fn check(file: &Path, history: Option<&Path>) -> Result<bool, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    // A line of the one form has an `op`, of the other a `kind`.
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if history.is_none() && !first.contains("\"op\":") {
        return Ok(seen_from_outside(file, &text));
    }
    let lines = parse(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    if let Some(history) = history {
        save(history, &foreign::export(&lines).map_err(|alarm| alarm.to_string())?)?;
    }
    match judge::judge(&lines) {
        Ok(judged) => {
            let judge::Judged { sessions, reads, writes, states } = judged;
            println!("{sessions} sessions, {reads} reads, {writes} writes, {states} states: every promise was kept");
            Ok(true)
        }
        Err((line, alarm)) => {
            println!("{}:{line}: {alarm}", file.display());
            Ok(false)
        }
    }
}

/// Judges what was seen of real replicas.
fn seen_from_outside(file: &Path, text: &str) -> bool {
    match history::judge(text) {
        Ok(history) => println!("{history}: clean"),
        Err((line, alarm)) => {
            println!("{}:{line}: {alarm}", file.display());
            return false;
        }
    }
    true
}

fn save(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

fn all_mutants(options: &Options, seeds: u64) -> bool {
    let mut held = true;
    for mutant in Mutant::all() {
        let hard = caught(mutant, true, options.seed..options.seed + seeds, options.ops).len() as u64;
        let first =
            (0..=u64::MAX).take(1_000).find(|seed| !caught(mutant, false, *seed..seed + 1, options.ops).is_empty());
        let least = if mutant == Mutant::Core(Core::Service(Service::Under)) { 40 } else { 85 };
        held &= hard * 100 >= seeds * least && first.is_some_and(|first| first < 150);
        let (name, share, first) = (
            mutant.name(),
            hard as f64 * 100.0 / seeds as f64,
            first.map_or_else(|| "-".into(), |first| first.to_string()),
        );
        println!("{name:24}  caught {share:5.1} % of profile seeds  first swarm seed {first}");
    }
    held
}

/// How far a long run is, on a terminal.
struct Progress {
    all: u64,
    begun: Instant,
    shown: Option<Instant>,
}

impl Progress {
    fn new(all: u64) -> Self {
        Self { all, begun: Instant::now(), shown: None }
    }

    fn rate(&self, done: u64) -> u64 {
        (done as f64 / self.begun.elapsed().as_secs_f64().max(0.001)) as u64
    }

    /// Ten times a second in place on a terminal, every ten seconds as a line elsewhere.
    fn show(&mut self, done: u64, alarms: usize) {
        let terminal = std::io::stderr().is_terminal();
        let wait = if terminal { 100 } else { 10_000 };
        let since = self.shown.unwrap_or(self.begun).elapsed();
        if since.as_millis() < wait {
            return;
        }
        self.shown = Some(Instant::now());
        let (rate, full) = (self.rate(done), (done * 30 / self.all.max(1)) as usize);
        let (bar, rest) = ("=".repeat(full.min(30)), " ".repeat(30 - full.min(30)));
        let left = self.all.saturating_sub(done) / rate.max(1);
        let line = format!("[{bar}{rest}] {done} of {} operations, {rate}/s, {left} s left, {alarms} alarms", self.all);
        let _ = match terminal {
            true => write!(std::io::stderr(), "\r{line}\x1b[K"),
            false => writeln!(std::io::stderr(), "{line}"),
        };
    }

    fn clear(&self) {
        if self.shown.is_some() && std::io::stderr().is_terminal() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
