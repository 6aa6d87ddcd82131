//! The configuration of a replica: options, defaults, and which values are refused.

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

/// The options for opening a replica.
#[derive(Clone, Debug)]
pub struct Config {
    /// The label of its id, for people.
    pub label: String,
    /// Thirty-two random bytes, new for each opening.
    pub seed: [u8; 32],
    /// Whether there is storage. If so, writes leave the replica only after `persisted`.
    pub storage: bool,
    /// The cluster's name in tokens.
    pub issuer: String,
    /// The keys that sign and verify tokens, each with its name; the first signs. A replica with a key is trusted.
    pub keys: Vec<(String, Vec<u8>)>,
    /// The name of the space in which new sessions begin. It must not be reserved for the fleet.
    pub space: String,
    /// The limits on accepted data.
    pub limits: Limits,
    /// The limits for one client.
    pub client_limits: ClientLimits,
    /// The intervals of conversations with peers.
    pub timing: Timing,
    /// The default timeout of a session's operation, in milliseconds.
    pub timeout: Millis,
    /// The default life of a session, in milliseconds.
    pub expires_in: Millis,
    /// The life of a token that is minted here, in milliseconds. Each seal mints a new one, but none outlives its
    /// session. By default as long as the session.
    pub token_life: Millis,
    /// How long after its `exp` a token is accepted, for clocks that differ, in milliseconds: 0 by default and at most
    /// [`LEEWAY_MAX`]. More is refused instead of being cut silently.
    pub leeway: Millis,
    /// The limits on sessions, and how long a session may stay unused.
    pub sessions: SessionLimits,
    /// Whether the host decides roles, instead of the records; see [`super::Replica::wanted_roles`].
    pub host_roles: bool,
    /// The least interval for telling other replicas with the key about sessions here, in milliseconds; `None`: never.
    pub publish: Option<Millis>,
    /// The default timeout of a query, in milliseconds; `None`: no timeout.
    pub query_timeout: Option<Millis>,
    /// Queries that take this long are reported, in milliseconds.
    pub slow: Millis,
    /// The longest token that is minted, in bytes: at most, and by default, [`TOKEN_BYTES_MAX`]. A token above five
    /// eighths of it is folded, so that holders without a key have room for what they add.
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
    /// The space in which new sessions begin.
    pub(super) fn space(&self) -> Result<Space, SessionError> {
        let space = Space::first(&self.space)?;
        if space.is_reserved() {
            let cause =
                "names of spaces that begin with $ are the fleet's own, and no session uses one; choose another";
            return Err(SessionError::new(ErrorCode::ArgumentInvalid, cause));
        }
        Ok(space)
    }

    /// How long after its end a token is accepted.
    pub(super) fn leeway(&self) -> Result<Millis, SessionError> {
        if self.leeway > LEEWAY_MAX {
            let cause = "the leeway for clocks that differ is a minute at most; set the clocks";
            return Err(SessionError::new(ErrorCode::ArgumentInvalid, cause));
        }
        Ok(self.leeway)
    }
}
