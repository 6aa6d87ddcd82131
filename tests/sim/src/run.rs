//! One run from its options to its report, and the shortening of one that fails.

use std::collections::BTreeSet;
use std::fmt::Write;

use edge_session::mutant;

use crate::checker::Checker;
use crate::checker::alarm::Alarm;
use crate::lines::Line;
use crate::mutant::Mutant;
use crate::profile::Profile;
use crate::world::{Boundary, World};

/// Which run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The seed.
    pub seed: u64,
    /// How many operations.
    pub ops: u64,
    /// Operations that are left out.
    pub skip: BTreeSet<u64>,
    /// What is broken on purpose.
    pub mutant: Option<Mutant>,
    /// Whether the profile is made hard on the mutant.
    pub hard: bool,
    /// A record with which a replica is made to crash.
    pub boundary: Option<Boundary>,
    /// Whether the history is told, to people.
    pub tell: bool,
    /// Whether the history is kept, and for whom.
    pub keep: Keep,
}

/// Whether the history of a run is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Keep {
    /// It is not.
    #[default]
    Nothing,
    /// As lines that [`crate::lines::judge`] understands; the fast path is not used.
    Lines,
    /// As lines for [`crate::lines::foreign`]: one space, and sessions with all guarantees only.
    Foreign,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// The broken promise, if there was one.
    pub alarm: Option<Alarm>,
    /// How many operations were begun.
    pub begun: u64,
    /// How many writes were accepted.
    pub writes: usize,
    /// How many records and snapshots were handed to storage.
    pub persists: u64,
    /// What happened, if it was told.
    pub history: Vec<String>,
    /// What clients have asked and were answered, if it was kept.
    pub lines: Vec<Line>,
}

/// Runs.
#[must_use]
pub fn run(options: &Options) -> Report {
    let profile = match options.mutant.filter(|_| options.hard) {
        Some(mutant) => Profile::hard(options.seed, mutant),
        None => Profile::swarm(options.seed),
    };
    mutant::without(options.mutant.and_then(Mutant::core), || play(options, profile))
}

fn play(options: &Options, profile: Profile) -> Report {
    let profile = match options.keep {
        Keep::Nothing => profile,
        keep => profile.recorded(keep == Keep::Foreign),
    };
    let mut world = World::new(options.seed, profile, options.mutant, options.tell);
    world.boundary = options.boundary;
    if options.keep != Keep::Nothing {
        world.record();
    }
    let mut begun = 0;
    let result = all(&mut world, options, &mut begun);
    let noted = world.checkers.iter().find_map(|checker| checker.noted.take());
    let last = result.is_ok();
    let alarm = noted.or(result.err());
    let accepted = |checker: &Checker| checker.writes.iter().filter(|(_, write)| write.dot.is_some()).count();
    let writes = world.checkers.iter().map(accepted).sum();
    let lines = world.recorded(last);
    let persists = world.persists;
    Report { alarm, begun, writes, persists, history: world.history.unwrap_or_default(), lines }
}

fn all(world: &mut World, options: &Options, begun: &mut u64) -> Result<(), Alarm> {
    world.begin()?;
    for number in 0..options.ops {
        *begun = number + 1;
        if !options.skip.contains(&number) {
            world.operation(number)?;
        }
    }
    world.come_to_rest()
}

/// The shortest run that still raises an alarm of the same kind: first without what comes after the alarm, then with
/// ever smaller parts left out. `None` if the run raises none.
#[must_use]
pub fn shorten(options: &Options) -> Option<Options> {
    let report = run(options);
    let kind = report.alarm?.kind;
    let fails = |options: &Options| run(options).alarm.is_some_and(|alarm| alarm.kind == kind);
    let mut best = Options { ops: report.begun, ..options.clone() };
    let mut part = best.ops / 2;
    while part > 0 {
        let mut from = 0;
        while from < best.ops {
            let mut shorter = best.clone();
            shorter.skip.extend(from..(from + part).min(best.ops));
            if shorter.skip.len() > best.skip.len() && fails(&shorter) {
                best = shorter;
            }
            from += part;
        }
        part /= 2;
    }
    while best.ops > 0 && best.skip.remove(&(best.ops - 1)) {
        best.ops -= 1;
    }
    Some(best)
}

impl Options {
    /// The command that runs this.
    #[must_use]
    pub fn command(&self) -> String {
        let mut command = format!("cargo xtask sim --seed {} --ops {}", self.seed, self.ops);
        let mut skipped = self.skip.iter().copied().peekable();
        let mut separator = " --skip ";
        while let Some(first) = skipped.next() {
            let mut last = first;
            while let Some(next) = skipped.next_if_eq(&(last + 1)) {
                last = next;
            }
            // Writing to a string does not fail.
            let _ = match first == last {
                true => write!(command, "{separator}{first}"),
                false => write!(command, "{separator}{first}-{last}"),
            };
            separator = ",";
        }
        if let Some(boundary) = self.boundary {
            let _ = write!(command, " --crash {}{}", boundary.record, if boundary.kept { " --kept" } else { "" });
        }
        if let Some(mutant) = self.mutant {
            let _ = write!(command, " --mutant {}{}", mutant.name(), if self.hard { " --hard" } else { "" });
        }
        command
    }

    /// Reads what [`Options::command`] writes after `--skip`.
    #[must_use]
    pub fn parse_skip(text: &str) -> Option<BTreeSet<u64>> {
        let mut skip = BTreeSet::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            skip.extend(first.parse::<u64>().ok()?..=last.parse().ok()?);
        }
        Some(skip)
    }
}

/// The alarm of a run, the command that repeats it, and the history of its shortened form; for people.
#[must_use]
pub fn explain(options: &Options) -> String {
    let Some(short) = shorten(options) else { return "no alarm".into() };
    let told = run(&Options { tell: true, ..short.clone() });
    let alarm = told.alarm.map_or_else(String::new, |alarm| alarm.to_string());
    let kept = short.ops - short.skip.len() as u64;
    format!(
        "{}\nALARM {alarm}\nshortened to {kept} operations; repeat it with\n  {}",
        told.history.join("\n"),
        short.command()
    )
}

/// Which of `seeds` raise an alarm that the mutant explains.
#[must_use]
pub fn caught(mutant: Mutant, hard: bool, seeds: std::ops::Range<u64>, ops: u64) -> Vec<u64> {
    let catches = |seed: &u64| {
        let options = Options { seed: *seed, ops, mutant: Some(mutant), hard, ..Options::default() };
        run(&options).alarm.is_some_and(|alarm| mutant.explains(alarm.kind))
    };
    seeds.filter(catches).collect()
}
