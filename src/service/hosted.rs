//! Roles that the host decides (`roleOf`): its most recent statement for each user and space.
//!
//! The core cannot call the host, so the host states the roles again before each input that needs them.
//!
//! Invariants: the most recent statement counts; a user without one has no role; the memory is bounded.

use alloc::string::String;
use alloc::vec::Vec;

use super::role::RoleType;
use crate::mutant::{Mutant, Service, off};

/// The most statements kept. The oldest are dropped first; the host is asked again when one is needed.
const SAID_MAX: usize = 8_192;

/// A user and the name of a space.
pub type Pair = (Option<String>, String);

/// The statements of the host.
#[derive(Debug, Default)]
pub struct Hosted {
    on: bool,
    turn: u64,
    /// Sorted by pair: the role, and the turn at which it was stated.
    said: Vec<(Pair, Option<RoleType>, u64)>,
}

impl Hosted {
    /// No statements yet; `on` says whether the host decides roles at all.
    #[must_use]
    pub const fn new(on: bool) -> Self {
        Self { on, turn: 0, said: Vec::new() }
    }

    /// Whether the host decides roles instead of the records.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// The role of a user (`None`: anonymous) in a space.
    #[must_use]
    pub fn role(&self, user: Option<&str>, space: &str) -> Option<RoleType> {
        self.place(user, space).ok().and_then(|at| self.said.get(at)).and_then(|(_, role, _)| *role)
    }

    fn place(&self, user: Option<&str>, space: &str) -> Result<usize, usize> {
        self.said.binary_search_by(|((one, at), ..)| (one.as_deref(), at.as_str()).cmp(&(user, space)))
    }

    /// Stores statements of the host. Returns whether any differs from the one before.
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
