//! How a replica is opened: what it is told once, with what goes where nothing is said, and what of it is refused.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{ErrorCode, SessionError};
use crate::id::Space;
use crate::service::manager::SessionLimits;
use crate::session::seal::LEEWAY_MAX;
use crate::session::token::TOKEN_BYTES_MAX;
use crate::store::limits::Limits;
use crate::sync::gate::ClientLimits;
use crate::sync::peer::Timing;
use crate::time::{MILLIS_MAX, Millis};

/// How a replica is opened.
#[derive(Clone, Debug)]
pub struct Config {
    /// The label of its id, for people.
    pub label: String,
    /// Thirty-two random bytes, fresh for each opening.
    pub seed: [u8; 32],
    /// Whether there is a storage: then what is written leaves only after `persisted`.
    pub storage: bool,
    /// The cluster's name in tokens.
    pub issuer: String,
    /// The keys that sign and verify tokens, each with its name; the first signs. With a key the replica is trusted.
    pub keys: Vec<(String, Vec<u8>)>,
    /// The name of the space that new sessions begin in: none of the fleet's own, where each would be refused.
    pub space: String,
    /// What is accepted.
    pub limits: Limits,
    /// What one client may bring.
    pub client_limits: ClientLimits,
    /// How often peers are spoken to.
    pub timing: Timing,
    /// How long a session's operation waits, unless it says otherwise, in milliseconds.
    pub timeout: Millis,
    /// How long a session lives, unless it says otherwise, in milliseconds.
    pub expires_in: Millis,
    /// How long a token lives that is minted here, in milliseconds: each seal gives a fresh one, but none outlives its
    /// session. Unless said otherwise, as long as the session.
    pub token_life: Millis,
    /// How much longer than its `exp` a token is taken, for clocks that differ, in milliseconds: none unless said
    /// otherwise, and at most [`LEEWAY_MAX`]: cut in silence, it would be another than what was said.
    pub leeway: Millis,
    /// What sessions are bounded by, and how long nobody may use them.
    pub sessions: SessionLimits,
    /// Whether the host answers roles itself, instead of the records; see [`super::Replica::wanted_roles`].
    pub host_roles: bool,
    /// How often, at most, other replicas with the key are told of the sessions here, in milliseconds; none: never.
    pub publish: Option<Millis>,
    /// How long a query may take, unless it says otherwise, in milliseconds.
    pub query_timeout: Option<Millis>,
    /// A query that takes as long is told of, in milliseconds.
    pub slow: Millis,
    /// The longest token that is minted, in bytes: at most, and by default, [`TOKEN_BYTES_MAX`]. Above five eighths of it a
    /// token is folded, so that holders without a key have room for what they add.
    pub token_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            label: "replica".into(),
            seed: [0; 32],
            storage: false,
            issuer: "edge-session".into(),
            keys: Vec::new(),
            space: "default".into(),
            limits: Limits::default(),
            client_limits: ClientLimits::default(),
            timing: Timing::default(),
            timeout: 1_000,
            expires_in: 24 * 3_600_000,
            token_life: MILLIS_MAX,
            leeway: 0,
            sessions: SessionLimits::default(),
            host_roles: false,
            publish: None,
            query_timeout: None,
            slow: 1_000,
            token_bytes: TOKEN_BYTES_MAX,
        }
    }
}

impl Config {
    /// The space that new sessions begin in.
    pub(super) fn space(&self) -> Result<Space, SessionError> {
        let space = Space::first(&self.space)?;
        if space.is_reserved() {
            let cause =
                "names of spaces that begin with $ are the fleet's own, and no session uses one; choose another";
            return Err(SessionError::new(ErrorCode::ArgumentInvalid, cause));
        }
        Ok(space)
    }

    /// How much longer than its end a token is taken.
    pub(super) fn leeway(&self) -> Result<Millis, SessionError> {
        if self.leeway > LEEWAY_MAX {
            let cause = "the leeway for clocks that differ is a minute at most; set the clocks";
            return Err(SessionError::new(ErrorCode::ArgumentInvalid, cause));
        }
        Ok(self.leeway)
    }
}
