//! Logging in, with the right password or with a wrong one, at any replica, on two sides of a partition as well.
//!
//! What is judged knows nothing of how replicas count: each attempt is noted with what its replica had heard of, and from that order
//! alone it follows which wrong passwords count where, and until when an account is locked. Invariants: nobody comes in while
//! it is locked, as far as is known there, or with a wrong password; whoever has the right one comes in otherwise; what
//! counts is written down once.

use edge_session::error::ErrorCode;
use edge_session::replica::{LOCK_MS, SessionInit};
use edge_session::time::Millis;
use edge_session::vector::VersionVector;

use crate::checker::alarm::{Alarm, Kind};
use crate::checker::records::{Attempt, Standing};
use crate::fleet::USERS;
use crate::world::World;

/// So many wrong passwords lock an account.
const GUESSES: usize = 5;

/// How a login ended.
#[derive(Clone, Copy, Debug)]
struct Login {
    user: &'static str,
    right: bool,
    code: Option<ErrorCode>,
}

impl World {
    /// Somebody logs in, a few times, at two replicas at once perhaps. Wrong passwords are counted by each, and summed.
    pub fn guess(&mut self, node: usize, other: usize) -> Result<(), Alarm> {
        let (user, twice) = (*self.rng.pick(&USERS[..2]), self.rng.chance(500));
        let right = self.rng.chance(200);
        self.log_in(node, user, right)?;
        if twice && other != node { self.log_in(other, user, right) } else { Ok(()) }
    }

    fn log_in(&mut self, node: usize, user: &'static str, right: bool) -> Result<(), Alarm> {
        for _ in 0..self.rng.within(1..=4) {
            let Some(before) = self.held(node) else { return Ok(()) };
            let space = self.space_at(node, "shop");
            let opened = self.call(node, |replica, now| {
                let init = SessionInit { space, ..SessionInit::default() };
                let handle = replica.core_mut().login(user, right, init, now);
                handle.map(|handle| (handle, replica.session(handle)))
            })?;
            let Some(opened) = opened else { return Ok(()) };
            let login = Login { user, right, code: opened.as_ref().err().map(|error| error.code()) };
            self.tell(|| format!("   {user} logs in at n{node} ({right}): {:?}", login.code));
            self.judge_login(node, login, &before)?;
            if let Ok((handle, Some(view))) = opened {
                let ends = self.now + self.expires_in();
                self.sit(node, handle, view, user, ends, None)?;
            }
            self.carry_out(node)?;
        }
        Ok(())
    }

    fn judge_login(&mut self, node: usize, login: Login, before: &VersionVector) -> Result<(), Alarm> {
        let Login { user, right, code } = login;
        let wrong = |text: &str| Alarm::raise(Kind::Lock, format!("n{node}, {user}: {text}"));
        let now = self.now;
        let own = self.nodes[node].id.map(|id| id.to_string()).unwrap_or_default();
        let ledger = &mut self.fleet().ledger;
        let known = matches!(ledger.records.account(user, before), Standing::Held { password: true, .. });
        let open = ledger.records.attempts(user, before);
        let locked = open.locked(GUESSES, LOCK_MS) > now;
        // A replica locks by itself too, whoever has an account.
        let (guesses, until) = ledger.places[node].guesses.entry(user).or_default();
        let told = *until > now;
        let shut = told || locked;
        if code.is_none() {
            (*guesses, *until) = (0, 0);
        } else if !told {
            *guesses += 1;
            *until = if guesses.is_multiple_of(GUESSES as u64) { now + LOCK_MS } else { *until };
        }
        let counts = open.wrong.len();
        let attempt = match code {
            None if shut || !right || !known => return wrong("is let in"),
            None if counts == 0 => None,
            None => Some(Attempt { at: now, counts: false, settles: true, locks: false }),
            Some(ErrorCode::BadCredentials) if right && known && !shut => {
                return wrong("is kept out with the right password");
            }
            Some(ErrorCode::BadCredentials) if known && !shut => Some(Attempt {
                at: now,
                counts: counts + 1 != GUESSES,
                settles: counts + 1 >= GUESSES,
                locks: counts + 1 == GUESSES,
            }),
            // Who has no account is locked as well, and looks the same.
            Some(ErrorCode::BadCredentials) => None,
            Some(code) => return wrong(code.as_str()),
        };
        if ledger.records.note_attempt(user, &own, before, attempt) {
            return Ok(());
        }
        wrong(if attempt.is_some() { "what counts is not written down" } else { "what does not count is written down" })
    }

    /// Whether an account is locked is the same question to every node, by what it has heard.
    pub fn look_at_locks(&mut self, node: usize, held: &VersionVector) -> Result<(), Alarm> {
        for user in USERS {
            let now: Millis = self.now;
            let records = &self.fleet().ledger.records;
            // Whether there is an account is looked at elsewhere.
            if !matches!(records.account(user, held), Standing::Held { password: true, .. }) {
                continue;
            }
            let until = records.attempts(user, held).locked(GUESSES, LOCK_MS);
            let hash = self.call(node, |replica, now| replica.core_mut().login_hash(user, now))?;
            self.carry_out(node)?;
            // Where it was guessed too often there is no looking at passwords at all.
            if let Some(Ok(hash)) = hash
                && hash.is_some() != (until <= now)
            {
                let text = format!("n{node}, {user}: locked until {until}, now {now}: {hash:?}");
                return Alarm::raise(Kind::Lock, text);
            }
        }
        Ok(())
    }
}
