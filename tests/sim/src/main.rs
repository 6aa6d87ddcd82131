//! `sim`: runs seeds, tells of alarms, counts how many seeds catch each mutant, and judges histories of real replicas.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use edge_session_sim::history::judge;
use edge_session_sim::mutant::Mutant;
use edge_session_sim::run::{Options, caught, explain, run};
use edge_session_sim::trace::record;

const USAGE: &str =
    "usage: sim [--seed N] [--seeds COUNT] [--ops M] [--skip A-B,C] [--mutant NAME [--hard]] [--tell] [--mutants] [--traces DIR]
       sim --check FILE

  --seed N       the first seed (0)
  --seeds COUNT  how many seeds (1)
  --ops M        operations in each (300)
  --skip A-B,C   operations to leave out
  --mutant NAME  what to break on purpose
  --hard         with the profile that is hard on it
  --tell         print the history
  --mutants      how many of the seeds catch each mutant
  --traces DIR   write a trace of each seed that the wasm module can play, instead of a report
  --check FILE   judge a history of real replicas (tests/sim/src/history/line.rs)";

fn main() -> ExitCode {
    match command(std::env::args().skip(1)) {
        Some(code) => code,
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn command(mut args: impl Iterator<Item = String>) -> Option<ExitCode> {
    let (mut options, mut seeds, mut mutants) = (Options { ops: 300, ..Options::default() }, 1, false);
    let mut traces = None;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seed" => options.seed = args.next()?.parse().ok()?,
            "--seeds" => seeds = args.next()?.parse().ok()?,
            "--ops" => options.ops = args.next()?.parse().ok()?,
            "--skip" => options.skip = Options::parse_skip(&args.next()?)?,
            "--mutant" => options.mutant = Some(Mutant::named(&args.next()?)?),
            "--hard" => options.hard = true,
            "--tell" => options.tell = true,
            "--mutants" => mutants = true,
            "--traces" => traces = Some(PathBuf::from(args.next()?)),
            "--check" => return Some(check(&args.next()?)),
            _ => return None,
        }
    }
    if let Some(directory) = traces {
        return Some(all_traces(&options, seeds, &directory));
    }
    if mutants {
        return Some(all_mutants(&options, seeds));
    }
    Some(all_seeds(&options, seeds))
}

fn all_seeds(options: &Options, seeds: u64) -> ExitCode {
    let (mut alarms, mut operations, mut writes) = (BTreeSet::new(), 0, 0);
    for seed in options.seed..options.seed + seeds {
        let options = Options { seed, ..options.clone() };
        let report = run(&options);
        operations += report.begun;
        writes += report.writes;
        report.history.iter().for_each(|line| println!("{line}"));
        if let Some(alarm) = report.alarm {
            println!("seed {seed}: {alarm}\n  {}", options.command());
            if alarms.is_empty() && options.mutant.is_none() && !options.tell {
                println!("{}", explain(&options));
            }
            alarms.insert(seed);
        }
    }
    println!("{seeds} seeds, {operations} operations, {writes} writes, {} alarms", alarms.len());
    if alarms.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes a trace of each seed that can be played, and says why of the others.
fn all_traces(options: &Options, seeds: u64, directory: &Path) -> ExitCode {
    let mut written = 0;
    for seed in options.seed..options.seed + seeds {
        let (report, trace) = record(|| run(&Options { seed, ..options.clone() }));
        match (report.alarm, trace) {
            (Some(alarm), _) => println!("seed {seed} is not written: {alarm}"),
            (None, Err(why)) => println!("seed {seed} is not written: {why}"),
            (None, Ok(text)) => {
                if let Err(error) = std::fs::write(directory.join(format!("{seed}.jsonl")), text) {
                    println!("seed {seed} cannot be written: {error}");
                    return ExitCode::FAILURE;
                }
                written += 1;
            }
        }
    }
    println!("{written} of {seeds} seeds written");
    if written == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Judges a history that was kept from outside.
fn check(file: &str) -> ExitCode {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{file}: {error}");
            return ExitCode::from(2);
        }
    };
    match judge(&text) {
        Ok(history) => {
            println!("{history}: clean");
            ExitCode::SUCCESS
        }
        Err((line, alarm)) => {
            println!("{file}:{line}: {alarm}");
            ExitCode::FAILURE
        }
    }
}

fn all_mutants(options: &Options, seeds: u64) -> ExitCode {
    let mut escaped = false;
    for mutant in Mutant::all() {
        let range = options.seed..options.seed + seeds;
        let (hard, swarm) =
            (caught(mutant, true, range.clone(), options.ops), caught(mutant, false, range, options.ops));
        escaped |= hard.is_empty() || swarm.is_empty();
        let first = swarm.first().map_or_else(|| "-".into(), u64::to_string);
        let (name, hard, swarm) = (mutant.name(), hard.len(), swarm.len());
        println!("{name:24} caught by {hard} of {seeds} hard seeds, {swarm} of {seeds} swarm seeds, first by {first}");
    }
    if escaped { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
