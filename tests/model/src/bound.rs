//! How much is explored: the bound is part of what a run claims, and is printed with it.

use std::fmt;

use edge_session::mutant::Mutant;

/// Replicas, always three: one that knows, one that does not, and one to carry what the first knows to the second.
pub const REPLICAS: usize = 3;
/// Sessions, always two: Writes Follow Reads takes one that asks and one that answers.
pub const SESSIONS: usize = 2;
/// The keys.
pub const KEYS: [&str; 2] = ["a", "b"];
/// The most operations of a session: a write has one bit of a byte.
pub const OPERATIONS_MAX: usize = 3;

/// What one operation of a session may be. Where it happens is always open: at any replica.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Plan {
    /// A read, or else a write; or either.
    pub reads: Option<bool>,
    /// The key; or any.
    pub key: Option<usize>,
}

/// What both sessions may do, in order.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Script {
    /// At most [`OPERATIONS_MAX`] plans for each.
    pub sessions: [Vec<Plan>; SESSIONS],
}

/// What is explored without a gap: every replica for every operation, every order of operations and deltas, and every
/// moment of the crash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bound {
    /// What the sessions may do.
    pub script: Script,
    /// Whether one replica, any one, may crash once and lose what was not persisted.
    pub crash: bool,
    /// Whether one delta may be late, and come to anybody, more than once or never.
    pub late: bool,
}

impl Plan {
    /// `ra`: a read of key a; `wb`: a write of key b; `?` stands for any.
    fn parse(text: &str) -> Option<Self> {
        let (kind, key) = text.split_at_checked(1)?;
        let reads = match kind {
            "r" => Some(true),
            "w" => Some(false),
            "?" => None,
            _ => return None,
        };
        let key = if key == "?" { None } else { Some(KEYS.iter().position(|known| *known == key)?) };
        Some(Self { reads, key })
    }

    /// Whether an operation is according to the plan.
    #[must_use]
    pub fn allows(&self, reads: bool, key: usize) -> bool {
        self.reads.is_none_or(|wanted| wanted == reads) && self.key.is_none_or(|wanted| wanted == key)
    }
}

impl Script {
    /// Reads a script: of each session its plans, as in `wa rb wa / ra ?? w?`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let session = |text: &str| text.split_whitespace().map(Plan::parse).collect::<Option<Vec<Plan>>>();
        let (one, other) = text.split_once('/')?;
        let sessions = [session(one)?, session(other)?];
        sessions.iter().all(|plans| plans.len() <= OPERATIONS_MAX).then_some(Self { sessions })
    }

    /// What a session may do after so many operations.
    #[must_use]
    pub fn plan(&self, session: usize, done: usize) -> Option<&Plan> {
        self.sessions[session].get(done)
    }

    /// Whether both sessions may do the same: then it does not matter which is called the first.
    #[must_use]
    pub fn has_equal_sessions(&self) -> bool {
        self.sessions[0] == self.sessions[1]
    }

    /// Whether no key is named: then it does not matter which is called the first.
    #[must_use]
    pub fn has_equal_keys(&self) -> bool {
        self.sessions.iter().flatten().all(|plan| plan.key.is_none())
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = |plan: &Plan| plan.reads.map_or("?", |reads| if reads { "r" } else { "w" });
        for (at, plans) in self.sessions.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { " / " })?;
            let plans: Vec<String> =
                plans.iter().map(|plan| format!("{}{}", kind(plan), plan.key.map_or("?", |key| KEYS[key]))).collect();
            f.write_str(&plans.join(" "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (crashes, late) = (u8::from(self.crash), u8::from(self.late));
        let keys = KEYS.len();
        let Self { script, .. } = self;
        write!(f, "{script} (replicas {REPLICAS}, keys {keys}, crashes {crashes}, late deltas {late})")
    }
}

/// The scripts of the test command, of three operations each: every replica, order and moment of the crash, at once or
/// late. Each is about something; all together are more than 10⁶ states.
pub const SCRIPTS: [(&str, &str); 5] = [
    ("two keys, crosswise", "wa wb ra / rb wa rb"),
    ("question and answer", "wa rb wb / ra wb ra"),
    ("whoever reads first", "ra wa rb / wb ra wa"),
    ("three writes in a row", "wa wa wb / rb ra wb"),
    ("one key for both", "wa ra wa / ra wa ra"),
];

/// The script of the test command in which a delta is late: Writes Follow Reads over any keys.
pub const LATE: &str = "w? / r? w?";

/// The bounds of the test command.
#[must_use]
pub fn tested() -> Vec<Bound> {
    let parse = |script: &str| Script::parse(script).expect("the scripts are well formed");
    let scripts = SCRIPTS.iter().map(|(_, script)| Bound { script: parse(script), crash: true, late: false });
    scripts.chain([Bound { script: parse(LATE), crash: true, late: true }]).collect()
}

/// The bounds of the long run: the same scripts with a late delta, and any two operations of each session.
#[must_use]
pub fn whole() -> Vec<Bound> {
    let any = Script::parse("?? ?? / ?? ??").expect("the script is well formed");
    let late = tested().into_iter().map(|bound| Bound { late: true, ..bound });
    late.chain([Bound { script: any, crash: true, late: false }]).collect()
}

/// The checks that are in the functions which the model calls, and matter there. The others are a replica's, and the
/// simulator's to miss; and clause 1 for keys that are not listed has nothing to do as long as no tombstone is collected:
/// whoever has seen an entry go holds what made it go, and lists it.
#[must_use]
pub const fn is_modelled(mutant: Mutant) -> bool {
    match mutant {
        Mutant::Guarantee(_) | Mutant::Clause1 | Mutant::Clause1Listed | Mutant::Clause2 | Mutant::Clause3 => true,
        Mutant::From | Mutant::HlcReceive => true,
        Mutant::Clause1Unlisted | Mutant::TopUp | Mutant::PersistBeforeEscape | Mutant::NewId | Mutant::ExpiryMask => {
            false
        }
        Mutant::Deadline | Mutant::ServeThrow | Mutant::Forget | Mutant::FoldCovered => false,
        Mutant::Trust(_) | Mutant::Service(_) => false,
    }
}
