//! Sessions of this replica: opening, incoming tokens, and what the replica lacks for them. Outgoing tokens are in
//! [`super::tokens`].
//!
//! Invariant I5 for tokens: a dot that storage does not have, and that did not arrive with a token, is left out.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Replica;
use super::session::{Identity, SessionInit, SessionState, SessionView};
use crate::error::{ErrorCode, Missing, SessionError};
use crate::guarantee::{Access, Guarantees};
use crate::id::{Dot, SessionId, Space};
use crate::io::SessionHandle;
use crate::session::listing;
use crate::session::token::SessionToken;
use crate::session::vector::SessionVector;
use crate::time::{MILLIS_MAX, Millis};
use crate::vector::{Gap, VersionVector};

impl Replica {
    /// Begins a session, or continues the one that a token names. An expired or forged token gives a refused session,
    /// whose operations all fail with the reason, unless the caller asked for an anonymous one instead.
    pub fn open_session(&mut self, init: SessionInit, now: Millis) -> SessionHandle {
        self.input(now);
        let opened = init.token.as_deref().map(|text| self.taken(text, now)).transpose();
        let (token, refused) = match opened {
            Ok(token) => (token, None),
            Err(_) if init.anonymous_if_refused => (None, None),
            Err(reason) => (None, Some(reason)),
        };
        let resumed = token.is_some();
        let token = token.unwrap_or_else(SessionToken::anonymous);
        let claims = token.claims();
        let ends_at = now.saturating_add(init.expires_in.unwrap_or(self.expires_in)).min(MILLIS_MAX);
        let told = claims.map(|claims| &claims.space);
        // The token may name a later generation than this replica knows.
        let later =
            |space: &Space| told.filter(|told| told.name() == space.name() && told.generation() > space.generation());
        let named = init.space.map(|space| self.present(space)).map(|space| later(&space).cloned().unwrap_or(space));
        let begun = named.or_else(|| told.cloned()).unwrap_or_else(|| self.present(self.space.clone()));
        let text = |text: Option<String>| text.map(Arc::from);
        let (user, client, expires_at, ends_at) = match claims {
            Some(claims) => {
                let expires_at = if self.keyring.is_some() { claims.ends_at } else { claims.expires_at };
                let client = claims.client.clone().or_else(|| text(init.client));
                (claims.subject.clone(), client, expires_at, claims.ends_at)
            }
            None if refused.is_some() => (None, text(init.client), ends_at, ends_at),
            None => (text(init.user), text(init.client), ends_at, ends_at),
        };
        let mut state = SessionState {
            id: match claims {
                Some(claims) => claims.session,
                None => SessionId::new(now, self.entropy.draw()),
            },
            user,
            client,
            space: init.visit.map_or_else(|| begun.clone(), |space| self.present(space)),
            begun,
            guarantees: init.guarantees.or(claims.map(|claims| claims.guarantees)).unwrap_or_default(),
            on_stale: init.on_stale.unwrap_or_default(),
            timeout: init.timeout.unwrap_or(self.timeout),
            vector: token.dependencies().clone(),
            token,
            expires_at,
            ends_at,
            leeway: if resumed { self.leeway } else { 0 },
            resumed,
            refused,
            waits: 0,
        };
        if state.refused.is_none() {
            state.refused = self.enter(&state, init.address.as_deref()).err();
        }
        self.handles += 1;
        let handle = SessionHandle(self.handles);
        self.sessions.insert(handle, state);
        handle
    }

    /// The open generation of a space that was given without one, as far as this replica knows. (A token names its
    /// generation.) A replica without the fleet's records goes by what it has received.
    fn present(&self, space: Space) -> Space {
        if space.generation() > 1 {
            return space;
        }
        if self.keyring.is_none() {
            let held = self.store.spaces().map(|(held, _)| held).filter(|held| held.name() == space.name());
            return held.max_by_key(|held| held.generation()).cloned().unwrap_or(space);
        }
        if self.store.space(&self.service.system).is_none() {
            return space;
        }
        match self.directory().generation(space.name()) {
            Some((generation, false)) => Space::new(space.name(), generation).unwrap_or(space),
            _ => space,
        }
    }

    /// Closes a handle of a session; what waits for it is dropped. The session itself lives on in its token.
    pub fn close_session(&mut self, handle: SessionHandle) {
        // Refused handles are no longer counted, or never were; the count is of the session's other handles.
        if let Some(state) = self.sessions.remove(&handle).filter(|state| state.refused.is_none()) {
            self.service.manager.leave(&state.id);
        }
        self.waits.forget(handle);
        self.watches.forget(handle);
    }

    /// The token that a session continues from. A function of its own, because the first session of a process usually
    /// begins without a token, and then an engine compiles half as much.
    #[inline(never)]
    fn taken(&mut self, text: &str, now: Millis) -> Result<SessionToken, SessionError> {
        let token = listing::open(text, now, |one, at| self.take_one(one, at)).and_then(|token| self.judged(token))?;
        self.look_for_own_past(&token);
        Ok(token)
    }

    /// Checks that the token's session was not killed or logged out.
    fn judged(&self, token: SessionToken) -> Result<SessionToken, SessionError> {
        if let Some(claims) = token.claims() {
            self.judge(&claims.session, claims.subject.as_deref())?;
        }
        Ok(token)
    }

    /// Joins the dependencies of another token of the same user. On a replica without a key, a later token of the same
    /// session also renews this one: its signed part and expiry replace the earlier ones.
    ///
    /// # Errors
    /// `TOKEN_INVALID` if the token is damaged, forged or another user's; `TOKEN_EXPIRED`, `TOKEN_TOO_LARGE`. The
    /// session is unchanged.
    pub fn merge(&mut self, handle: SessionHandle, text: &str, now: Millis) -> Result<(), SessionError> {
        self.input(now);
        let token = self.open_token(text, now)?;
        let user = |token: &SessionToken| token.claims().and_then(|claims| claims.subject.clone());
        let state = self.sessions.get(&handle).ok_or_else(unknown)?;
        state.admit(now)?;
        if user(&token).is_some_and(|user| state.user.as_ref() != Some(&user)) {
            return Err(SessionError::new(
                ErrorCode::TokenInvalid,
                "the token is another user's; merge only one's own",
            ));
        }
        // A later token of the session reports its use elsewhere, and merging it is use here.
        let id = state.id;
        if token.claims().is_some_and(|claims| claims.session == id) {
            self.service.manager.learn(&id, token.used_at().min(now));
        }
        self.touch(&id)?;
        self.look_for_own_past(&token);
        let signs = self.keyring.is_some();
        if let Some(state) = self.sessions.get_mut(&handle) {
            state.vector.merge(token.dependencies());
            state.token.merge(&token);
            // A replica that mints no tokens takes the expiry of a later token of the session.
            if !signs && state.token.renew(&token) {
                let renewed = state.token.claims().map(|claims| (claims.expires_at, claims.ends_at));
                (state.expires_at, state.ends_at) = renewed.unwrap_or((state.expires_at, state.ends_at));
                let ends = state.ends_at.saturating_add(state.leeway);
                self.service.manager.update(&state.id, |session| session.expires = ends);
            }
        }
        Ok(())
    }

    /// What this replica lacks before it can serve the session, reads and writes alike; or the bearer of `token`. Empty
    /// if nothing is missing.
    ///
    /// # Errors
    /// The reason why the session is refused; the errors of the token.
    pub fn missing(
        &mut self,
        handle: SessionHandle,
        token: Option<&str>,
        now: Millis,
    ) -> Result<Vec<Missing>, SessionError> {
        self.input(now);
        let other = token.map(|text| self.open_token(text, now)).transpose()?;
        let state = self.sessions.get(&handle).ok_or_else(unknown)?;
        self.alive(state)?;
        let (vector, guarantees) = match &other {
            Some(token) => (token.dependencies(), Guarantees::ALL),
            None => (&state.vector, state.guarantees),
        };
        let mut missing = Vec::new();
        for (space, _) in vector.iter() {
            // The fleet's records matter only where they are kept.
            if (space.is_reserved() && self.keyring.is_none()) || self.store.is_over(space) {
                continue;
            }
            let own = self.visible(state, space);
            let mut gaps = vector.missing(space, guarantees, Access::Read, &own);
            for gap in vector.missing(space, guarantees, Access::Write, &own) {
                if !gaps.contains(&gap) {
                    gaps.push(gap);
                }
            }
            missing.extend(self.explain(space, gaps));
        }
        Ok(missing)
    }

    /// A session, as an application may see it.
    #[must_use]
    pub fn session(&self, handle: SessionHandle) -> Option<SessionView> {
        let state = self.sessions.get(&handle)?;
        Some(SessionView {
            id: state.id,
            user: state.user.as_deref().map(Into::into),
            client: state.client.as_deref().map(Into::into),
            space: state.space.clone(),
            guarantees: state.guarantees,
            expires_at: state.expires_at,
            resumed: state.resumed,
            refused: state.refused.clone(),
            vector: self.portable(state).into_owned(),
        })
    }

    /// As [`Replica::session`], without what the session has read and written.
    #[must_use]
    pub fn identity(&self, handle: SessionHandle) -> Option<Identity<'_>> {
        let state = self.sessions.get(&handle)?;
        Some(Identity {
            id: state.id,
            user: state.user.as_deref(),
            client: state.client.as_deref(),
            space: &state.space,
            guarantees: state.guarantees,
            expires_at: state.expires_at,
            resumed: state.resumed,
            claimed: state.token.claims().is_some(),
            refused: state.refused.as_ref(),
        })
    }

    /// The handles of the sessions in use, in the order in which they were opened.
    pub fn sessions(&self) -> impl Iterator<Item = SessionHandle> {
        self.sessions.keys().copied()
    }

    /// Opens a token, or a listing of tokens (see [`listing`]), as far as this replica can: verified with a key,
    /// otherwise only for its dependencies.
    ///
    /// # Errors
    /// `TOKEN_INVALID`, `TOKEN_EXPIRED`, `TOKEN_TOO_LARGE`.
    pub fn open_token(&self, text: &str, now: Millis) -> Result<SessionToken, SessionError> {
        listing::open(text, now, |one, at| self.open_one(one, at))
    }

    /// As [`Replica::open_one`], for a session: where this replica mints tokens, the text of this one is not kept.
    fn take_one(&self, text: &str, now: Millis) -> Result<SessionToken, SessionError> {
        match &self.keyring {
            Some(keyring) => keyring.take(text, now, &self.issuer, self.leeway),
            None => self.open_one(text, now),
        }
    }

    fn open_one(&self, text: &str, now: Millis) -> Result<SessionToken, SessionError> {
        if let Some(keyring) = &self.keyring {
            return keyring.open(text, now, &self.issuer, self.leeway);
        }
        let token = SessionToken::open_unverified(text)?;
        if token.claims().is_some_and(|claims| now >= claims.expires_at.saturating_add(self.leeway)) {
            return Err(SessionError::new(ErrorCode::TokenExpired, "the token has expired; begin a new session"));
        }
        Ok(token)
    }

    /// Detects amnesia: a token that names more of this replica's writes than it holds. On a replica with a key only
    /// the signed part counts: a forged suffix must not make an edge change its id, which every vector would then
    /// carry.
    fn look_for_own_past(&mut self, token: &SessionToken) {
        let known = if self.keyring.is_some() { token.signed() } else { token.dependencies() };
        for (space, dependencies) in known.iter() {
            let held = self.store.vector(space).get(self.id);
            let named = dependencies.reads.get(self.id).max(dependencies.writes.get(self.id));
            self.amnesia |= named > held && !self.store.is_over(space);
        }
    }

    /// The vector that this session's guarantees are checked against: what is durable, and before that its own writes;
    /// also those of another handle of it, once it has read them here.
    pub(super) fn visible<'a>(&'a self, state: &SessionState, space: &Space) -> Cow<'a, VersionVector> {
        let durable = self.journal.durable(space, &self.store);
        let written = state.vector.get(space).map_or(0, |own| own.writes.get(self.id).max(own.reads.get(self.id)));
        let held = self.store.vector(space).get(self.id);
        if written <= durable.get(self.id) || written > held {
            return Cow::Borrowed(durable);
        }
        let mut vector = durable.clone();
        vector.advance(Dot::new(self.id, written));
        Cow::Owned(vector)
    }

    /// The session's dependencies that may leave: durable here, or arrived with a token.
    pub(super) fn portable<'a>(&self, state: &'a SessionState) -> Cow<'a, SessionVector> {
        let authority = self.authority(state);
        if authority.is_empty() {
            return self.covered(&state.vector, state.token.dependencies());
        }
        let mut vector = state.vector.clone();
        for dot in authority {
            vector.record_read(&self.service.system, dot);
        }
        Cow::Owned(self.covered(&vector, state.token.dependencies()).into_owned())
    }

    /// The part of `vector` that is durable here or contained in `other`.
    pub(super) fn covered<'a>(&self, vector: &'a SessionVector, other: &SessionVector) -> Cow<'a, SessionVector> {
        let mut covered = Cow::Borrowed(vector);
        if vector.is_copy_of(other) {
            return covered;
        }
        let empty = VersionVector::new();
        for (space, own) in vector.iter() {
            let durable = self.journal.durable(space, &self.store);
            let other = other.get(space);
            for (replica, sequence) in own.reads.iter().chain(own.writes.iter()) {
                let known = |vector: Option<&VersionVector>| vector.unwrap_or(&empty).get(replica);
                let held = durable.get(replica);
                if sequence <= held {
                    continue;
                }
                let most = held
                    .max(known(other.map(|dependencies| &dependencies.reads)))
                    .max(known(other.map(|dependencies| &dependencies.writes)));
                if sequence > most {
                    covered.to_mut().cap(space, replica, most);
                }
            }
        }
        covered
    }

    /// Gaps with their space and the peers that could fill them.
    pub(super) fn explain(&self, space: &Space, gaps: Vec<Gap>) -> Vec<Missing> {
        let explain = |gap: Gap| {
            let holders = self.links.holders(space, gap.replica, gap.need);
            Missing { space: space.clone(), gap, holders }
        };
        gaps.into_iter().map(explain).collect()
    }
}

/// The error for a handle that was closed.
pub(super) fn unknown() -> SessionError {
    SessionError::new(ErrorCode::SessionNotFound, "the session's handle was let go; open the session again")
}
