//! Roles that the host answers itself (`roleOf`): what it has said last of each user and space.
//!
//! The core calls nobody, so it is told: the host says the roles anew before each input that needs them. Invariant: what was
//! said last counts; of whom nothing was said holds no role; it is bounded.

use alloc::string::String;
use alloc::vec::Vec;

use super::role::RoleType;
use crate::mutant::{Mutant, Service, off};

/// The most that is remembered. What was said longest ago goes first, and is asked for again when it is needed.
const SAID_MAX: usize = 8_192;

/// Whose role, and in which space, by its name.
pub type Pair = (Option<String>, String);

/// What the host has said.
#[derive(Debug, Default)]
pub struct Hosted {
    on: bool,
    turn: u64,
    /// In the order of the pairs: the role, and at which turn it was said.
    said: Vec<(Pair, Option<RoleType>, u64)>,
}

impl Hosted {
    /// Nothing was said yet; `on` says whether the host answers at all.
    #[must_use]
    pub const fn new(on: bool) -> Self {
        Self { on, turn: 0, said: Vec::new() }
    }

    /// Whether the host answers instead of the records.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// The role of a user, or of nobody in particular, in a space.
    #[must_use]
    pub fn role(&self, user: Option<&str>, space: &str) -> Option<RoleType> {
        self.place(user, space).ok().and_then(|at| self.said.get(at)).and_then(|(_, role, _)| *role)
    }

    fn place(&self, user: Option<&str>, space: &str) -> Result<usize, usize> {
        self.said.binary_search_by(|((one, at), ..)| (one.as_deref(), at.as_str()).cmp(&(user, space)))
    }

    /// The host has said these; whether one of them differs from what it had said before.
    pub fn say(&mut self, roles: Vec<(Pair, Option<RoleType>)>) -> bool {
        self.turn += 1;
        let (turn, mut changed) = (self.turn, false);
        for (pair, role) in roles {
            match self.place(pair.0.as_deref(), &pair.1) {
                Err(at) => {
                    self.said.insert(at, (pair, role, turn));
                    changed = true;
                }
                Ok(_) if off(Mutant::Service(Service::Hosted)) => {}
                Ok(at) => {
                    if let Some((_, known, when)) = self.said.get_mut(at) {
                        changed |= *known != role;
                        (*known, *when) = (role, turn);
                    }
                }
            }
        }
        if self.said.len() > SAID_MAX {
            let kept = turn.saturating_sub(SAID_MAX as u64 / 2);
            self.said.retain(|(_, _, when)| *when > kept);
        }
        changed
    }
}
