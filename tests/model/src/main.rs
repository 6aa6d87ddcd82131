//! `model`: explores everything within a bound, or hunts each mutant.

use std::process::ExitCode;

use edge_session::mutant::Mutant;
use edge_session_model::bound::{Bound, Script, is_modelled, tested, whole};
use edge_session_model::run::{explore, hunt};

const USAGE: &str = "usage: model [--tested] [--script S]… [--no-crash] [--no-late] [--mutants]

  --tested     what the test command explores, instead of the whole
  --script S   what the sessions may do, such as 'wa rb w? / ?? ra' (r reads, w writes, ? is any; at most 3 each)
  --no-crash   no replica crashes
  --no-late    no delta is late
  --mutants    switch each check off in turn, and show what that breaks";

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
    let (mut scripts, mut crash, mut late, mut mutants) = (Vec::new(), true, true, false);
    let mut short = false;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--script" => scripts.push(Script::parse(&args.next()?)?),
            "--tested" => short = true,
            "--no-crash" => crash = false,
            "--no-late" => late = false,
            "--mutants" => mutants = true,
            _ => return None,
        }
    }
    let bounds: Vec<Bound> = match scripts.is_empty() {
        true if short || mutants => tested(),
        true => whole(),
        false => scripts.into_iter().map(|script| Bound { script, crash, late }).collect(),
    };
    Some(if mutants { hunt_all(&bounds) } else { explore_all(&bounds) })
}

fn explore_all(bounds: &[Bound]) -> ExitCode {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut unique, mut clean) = (0, true);
    for bound in bounds {
        let report = explore(bound.clone(), threads);
        println!("{report}");
        unique += report.unique;
        clean &= report.broken.is_empty();
    }
    println!("{} bounds, {unique} unique states", bounds.len());
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn hunt_all(bounds: &[Bound]) -> ExitCode {
    let mut escaped = false;
    for mutant in Mutant::ALL.into_iter().filter(|mutant| is_modelled(*mutant)) {
        let report = bounds.iter().map(|bound| hunt(bound.clone(), mutant)).find(|report| !report.broken.is_empty());
        escaped |= report.is_none();
        println!("{}: {}", mutant.name(), report.map_or("ESCAPED".into(), |report| report.to_string()));
    }
    if escaped { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
