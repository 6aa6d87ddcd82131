//! Outgoing tokens: what of a session may leave, signed as far as this replica can vouch for it, and short.
//!
//! Invariants:
//!
//! * A token never names a dot that storage lacks (I5), unless that arrived with a token.
//! * It is never longer than the limit, and never asks for less than what it was folded from.
//! * Only the text is folded: the session here continues with what it has really seen.

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

/// The fewest characters that one dependency takes: its random bytes and a small number, in base64.
const DEPENDENCY_CHARS_MIN: usize = 14;

/// The length above which a token is folded, in eighths of the limit. The rest is for what holders without a key add:
/// three eighths of 1 KiB have room for about twenty replicas with one label, or about sixteen with different labels.
const ENOUGH: usize = 5;

impl Replica {
    /// The session's token, over what is durable now; a long one is folded onto the anchors at hand.
    ///
    /// # Errors
    /// The reason why the session is refused; `TOKEN_TOO_LARGE`, which names a remedy. If that is a fold under way,
    /// [`crate::io::Operation::Seal`] waits for it.
    pub fn token(&mut self, handle: SessionHandle, now: Millis) -> Result<String, SessionError> {
        self.look_at_clock(now);
        self.mint(handle)
    }

    /// The session's token at the current time.
    pub(super) fn mint(&mut self, handle: SessionHandle) -> Result<String, SessionError> {
        let state = self.sessions.get(&handle).ok_or_else(unknown)?;
        let id = state.id;
        if self.keyring.is_some() {
            state.admit(self.now)?;
            // The token states that the session was used now, so this counts as use here.
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
        // Once with the settled anchors, and once more after asking for a fold, which may have settled one. A text is
        // made only if the dependencies differ.
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

    /// Whether the session's token is too long only until a pending fold, which needs nothing but time.
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
        // Signs what this replica holds itself and what was signed before. Signing a claim that arrived unproved would
        // turn it into a proof: see `look_for_own_past`.
        let vouched = self.covered(vector, state.token.signed());
        let mut text = keyring.sign(state.claims(&self.issuer, self.token_life, self.now), &vouched)?;
        // What the signature does not cover follows unsigned, as the suffix.
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
