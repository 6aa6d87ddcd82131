//! Tokens out: what of a session may leave, signed as far as this replica can vouch for it, and short.
//!
//! Invariants: a token never names a dot that storage lacks (I5), unless it came in with a token; it is never longer than
//! the limit, and never asks for less than what it was folded from. What is folded is the text alone: the session here
//! goes on with what it has really seen.

use alloc::borrow::Cow;
use alloc::string::String;

use super::Replica;
use super::session::SessionState;
use super::sessions::unknown;
use crate::error::{Details, ErrorCode, SessionError};
use crate::io::SessionHandle;
use crate::session::token::{SessionToken, TOKEN_BYTES_MAX};
use crate::session::vector::SessionVector;
use crate::time::Millis;

/// The fewest characters that one dependency takes: its random bytes, a small number, base64.
const DEPENDENCY_CHARS_MIN: usize = 14;

/// How much of a token's limit is enough, in eighths. The rest is for what holders without a key will add: in three eighths of
/// 1 KiB some twenty replicas of one label have place, some sixteen whose labels differ.
const ENOUGH: usize = 5;

impl Replica {
    /// The session's token, over what is durable now; a long one is folded onto what this replica has at hand for it.
    ///
    /// # Errors
    /// The reason of a refused session; `TOKEN_TOO_LARGE`, which tells what would help. Where that is a fold which is
    /// under way, [`crate::io::Operation::Seal`] waits for it.
    pub fn token(&mut self, handle: SessionHandle, now: Millis) -> Result<String, SessionError> {
        self.look_at_clock(now);
        self.mint(handle)
    }

    /// The session's token at the present time.
    pub(super) fn mint(&mut self, handle: SessionHandle) -> Result<String, SessionError> {
        let state = self.sessions.get(&handle).ok_or_else(unknown)?;
        let id = state.id;
        if self.keyring.is_some() {
            state.admit(self.now)?;
            // It tells everybody that the session was used now: so it was here.
            self.touch(&id)?;
        } else {
            self.alive(state)?;
        }
        let state = self.sessions.get(&handle).ok_or_else(unknown)?;
        let vector = self.portable(state);
        let enough = if self.keyring.is_some() { self.token_bytes * ENOUGH / 8 } else { self.token_bytes };
        let names: usize = vector.iter().map(|(_, own)| own.reads.len().max(own.writes.len())).sum();
        let mut made: Option<(SessionVector, String)> = None;
        if names * DEPENDENCY_CHARS_MIN <= enough {
            let text = self.write_token(state, &vector)?;
            if text.len() <= enough {
                return Ok(text);
            }
            made = Some((vector.clone().into_owned(), text));
        }
        let vector = vector.into_owned();
        // Once with what is settled, and once more with what asking for it has settled: a text is made where it is another.
        for asked in [false, true] {
            if asked && self.keyring.is_some() {
                self.prepare_fold(&vector);
                self.stirred = true;
            }
            let folded = self.folded(&vector);
            if made.as_ref().is_some_and(|(known, _)| *known == folded) {
                continue;
            }
            let state = self.sessions.get(&handle).ok_or_else(unknown)?;
            let text = self.write_token(state, &folded)?;
            if text.len() <= enough {
                return Ok(text);
            }
            made = Some((folded, text));
        }
        let state = self.sessions.get(&handle).ok_or_else(unknown)?;
        match made.filter(|(_, text)| text.len() <= self.token_bytes) {
            Some((_, text)) => Ok(text),
            None => Err(self.too_long(state, &vector)),
        }
    }

    /// Whether the session's token is too long only until a fold is done that needs nothing but time.
    pub(super) fn will_fold(&self, handle: SessionHandle) -> bool {
        let fits = |state| self.can_fold(state, &self.portable(state));
        self.sessions.get(&handle).is_some_and(fits)
    }

    fn can_fold(&self, state: &SessionState, vector: &SessionVector) -> bool {
        let short = || self.write_token(state, &self.foldable(vector));
        self.keyring.is_some() && short().is_ok_and(|text| text.len() <= self.token_bytes)
    }

    fn write_token(&self, state: &SessionState, vector: &SessionVector) -> Result<String, SessionError> {
        let Some(keyring) = &self.keyring else {
            return Ok(state.token.clone().with_unsigned(vector).to_text());
        };
        // Signed is what this replica holds itself and what was signed before. To sign a claim that came without proof
        // would give it one: see `look_for_own_past`.
        let vouched = self.covered(vector, state.token.signed());
        let mut text = keyring.sign(state.claims(&self.issuer, self.token_life, self.now), &vouched)?;
        // What the signature does not cover follows it, as it came: the suffix.
        if matches!(&vouched, Cow::Borrowed(_)) {
            return Ok(text);
        }
        let rest = SessionToken::anonymous().with_unsigned(&vector.beyond(&vouched)).to_text();
        text.push_str(rest.trim_start_matches('~'));
        Ok(text)
    }

    /// Why a token is too long, and what helps.
    fn too_long(&self, state: &SessionState, vector: &SessionVector) -> SessionError {
        let bare = self.write_token(state, &SessionVector::default());
        let could = |text: &String| self.token_bytes < TOKEN_BYTES_MAX && text.len() <= TOKEN_BYTES_MAX;
        let cause = if !self.can_fold(state, vector) && self.write_token(state, vector).is_ok_and(|text| could(&text)) {
            "the limit tokenBytes of this replica is lower than what the token needs; raise it, to 1024 at most"
        } else if bare.is_ok_and(|text| text.len() > self.token_bytes) {
            "the names of user, client and space alone make the token too long; shorten them"
        } else if self.keyring.is_none() {
            "the session has seen the writes of too many replicas for one token, and only a replica that has the secret \
             can fold them; use shorter-lived sessions here, or seal the session there"
        } else if self.can_fold(state, vector) {
            "the token is too long until it is folded, which is under way; wait for sealed(), or try again"
        } else {
            "the session depends on writes of many replicas that this one lacks, and so cannot fold; try again when they \
             have arrived, or seal the session where they are"
        };
        let details = Details::Limit { limit: "tokenBytes", allowed: self.token_bytes as u64 };
        SessionError::new(ErrorCode::TokenTooLarge, cause).with(details)
    }
}
