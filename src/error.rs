//! The error type of the product: [`SessionError`], opaque over a stable [`ErrorCode`].
//!
//! Invariants: one table says for every code what happened to state and whether to try again; a test compares it with
//! the TypeScript union. Messages name the cause and the remedy. They never contain a value, a secret or another user's
//! data.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::id::{ReplicaId, SessionId, Space};
use crate::vector::Gap;

/// Each row of the table below becomes a variant and its properties.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident $text:literal $status:literal $retry:literal $state:literal;)*) => {
        /// What went wrong: stable names that programs may compare.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum ErrorCode { $($(#[doc = $doc])+ $variant,)* }

        impl ErrorCode {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name that JavaScript sees.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $text,)* } }

            /// The HTTP status that fits best.
            #[must_use]
            pub const fn status(self) -> u16 { match self { $(Self::$variant => $status,)* } }

            /// Whether the same call may succeed later, with nothing changed by the caller.
            #[must_use]
            pub const fn retryable(self) -> bool { match self { $(Self::$variant => $retry,)* } }

            /// What the failed call left behind.
            #[must_use]
            pub const fn state(self) -> &'static str { match self { $(Self::$variant => $state,)* } }
        }
    };
}

codes! {
    /// The replica lacks writes that the session depends on.
    StaleReplica "STALE_REPLICA" 503 true "unchanged; the missing dots are in the details";
    /// A wait other than for missing writes reached its deadline.
    DependencyLost "DEPENDENCY_LOST" 410 false "unchanged; the lost dots are in the details";
    /// A wait that is not about freshness reached its deadline.
    Timeout "TIMEOUT" 504 true "unchanged by the wait; what was waited for goes on";
    /// The caller's signal ended the wait.
    Aborted "ABORTED" 499 false "unchanged, unless the write had been applied before the signal";
    /// A checked version is no longer the current one.
    Conflict "CONFLICT" 409 false "unchanged: no part of the batch was applied";
    /// The token is not of this cluster: forged, damaged or from elsewhere.
    TokenInvalid "TOKEN_INVALID" 401 false "unchanged";
    /// The token has expired.
    TokenExpired "TOKEN_EXPIRED" 401 false "unchanged";
    /// The token is longer than the limit.
    TokenTooLarge "TOKEN_TOO_LARGE" 413 false "unchanged";
    /// The bearer is known but may not do this.
    PermissionDenied "PERMISSION_DENIED" 403 false "unchanged";
    /// The session is unknown here, or its handle was closed.
    SessionNotFound "SESSION_NOT_FOUND" 401 false "unchanged";
    /// The session is over: it was logged out, reached its absolute end, or was not used for too long.
    SessionExpired "SESSION_EXPIRED" 401 false "unchanged";
    /// The session was killed; the details say by whom and why.
    SessionKilled "SESSION_KILLED" 401 false "unchanged";
    /// A limit on sessions is reached.
    MaxConnectionsExceeded "MAX_CONNECTIONS_EXCEEDED" 429 true "unchanged";
    /// Wrong user or password, in the same words; or the account is locked.
    BadCredentials "BAD_CREDENTIALS" 401 false "unchanged, but for the count of failures";
    /// The query is unknown, or has ended.
    QueryNotFound "QUERY_NOT_FOUND" 404 false "unchanged";
    /// The query was killed.
    QueryKilled "QUERY_KILLED" 409 false "what the query had done before stays done";
    /// The query's deadline passed.
    QueryTimeout "QUERY_TIMEOUT" 504 false "what the query had done before stays done";
    /// The text is not a statement; the details give the position and what was expected there.
    Syntax "SYNTAX" 400 false "unchanged: no statement of the text was run";
    /// The statement makes no sense: a wrong type, an unknown column, a space that was not chosen.
    Semantic "SEMANTIC" 400 false "unchanged: no statement of the text was run";
    /// The account does not exist.
    UserNotFound "USER_NOT_FOUND" 404 false "unchanged";
    /// The account exists already.
    UserExisted "USER_EXISTED" 409 false "unchanged";
    /// The user holds no role in the space.
    RoleNotFound "ROLE_NOT_FOUND" 404 false "unchanged";
    /// The user has another role in the space than the one named.
    ImproperRole "IMPROPER_ROLE" 409 false "unchanged";
    /// The space exists already.
    SpaceExisted "SPACE_EXISTED" 409 false "unchanged";
    /// The space, in that generation, does not exist here.
    SpaceNotFound "SPACE_NOT_FOUND" 404 false "unchanged";
    /// An argument does not have the documented form.
    ArgumentInvalid "ARGUMENT_INVALID" 400 false "unchanged";
    /// The key is empty, too long or not a string.
    KeyInvalid "KEY_INVALID" 400 false "unchanged";
    /// The value is not JSON and not bytes.
    ValueInvalid "VALUE_INVALID" 400 false "unchanged";
    /// The value is longer than the limit.
    ValueTooLarge "VALUE_TOO_LARGE" 413 false "unchanged";
    /// A limit of the replica is reached: bytes, keys, batch, waiters, spaces.
    QuotaExceeded "QUOTA_EXCEEDED" 507 false "unchanged";
    /// A client sends more than it may.
    RateLimited "RATE_LIMITED" 429 true "unchanged: the message was dropped";
    /// A client's write is stamped too far ahead of the clock of the first replica that received it.
    ClockDrift "CLOCK_DRIFT" 400 false "unchanged";
    /// Storage refused or failed; the replica continues from memory.
    StorageFailed "STORAGE_FAILED" 500 true "kept in memory; nothing of it is acknowledged as durable";
    /// Bytes from outside are damaged, truncated or not of this protocol.
    MessageMalformed "MESSAGE_MALFORMED" 400 false "unchanged: the whole message was dropped";
    /// Bytes from outside have a protocol version that this replica does not support.
    ProtocolMismatch "PROTOCOL_MISMATCH" 426 false "unchanged: the whole message was dropped";
    /// A transport has no connection, or lost it.
    TransportFailed "TRANSPORT_FAILED" 503 true "unchanged; the link goes on trying, unless it is closed";
    /// The replica was closed.
    ReplicaClosed "REPLICA_CLOSED" 503 false "as it was at close";
    /// The wasm instance trapped and is not used again.
    ReplicaCrashed "REPLICA_CRASHED" 500 true "what was durable is in storage; open the replica again";
    /// WebAssembly cannot be loaded here.
    WasmUnavailable "WASM_UNAVAILABLE" 500 false "nothing was opened";
    /// The platform lacks what the call needs.
    Unsupported "UNSUPPORTED" 501 false "unchanged";
}

/// A dependency that a replica cannot meet now, with the peers that are known to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missing {
    /// The space in which it is missing.
    pub space: Space,
    /// What is missing.
    pub gap: Gap,
    /// Peers known to hold it.
    pub holders: Vec<ReplicaId>,
}

/// Details of an error, for programs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Details {
    /// No details.
    #[default]
    None,
    /// The dots that are missing or lost.
    Missing(Vec<Missing>),
    /// The key whose check failed and its current version; `None` if it is absent.
    Conflict {
        /// The checked key.
        key: String,
        /// The version that it has now.
        version: Option<String>,
    },
    /// A limit that was reached.
    Limit {
        /// The limit's name, such as `valueBytes`.
        limit: &'static str,
        /// Its value.
        allowed: u64,
    },
    /// A limit on sessions that was reached.
    Crowded {
        /// The limit's name, such as `sessionsPerUser`.
        limit: &'static str,
        /// How long the least recently used session has been idle, in milliseconds.
        allowed: u64,
        /// The id of that session, if the caller may know it.
        idle: Option<u64>,
        /// Which one that is, where it is the asker's own.
        oldest: Option<SessionId>,
    },
    /// Who killed a session, and why.
    Killed {
        /// The user; `None`: the host.
        by: Option<String>,
        /// The reason, if one was given.
        why: Option<String>,
    },
    /// The details that another replica sent with its refusal, as JSON that the hosts of both ends read.
    Told(String),
    /// Where a text is not a statement.
    Syntax {
        /// The position, in UTF-16 code units from 0.
        position: u64,
        /// What was expected there.
        expected: Vec<&'static str>,
    },
}

/// The error of every fallible call: a stable code, what happened, and details for programs.
///
/// ```
/// use edge_session::error::{ErrorCode, SessionError};
/// let error = SessionError::new(ErrorCode::KeyInvalid, "a key is not empty");
/// assert_eq!(error.code().as_str(), "KEY_INVALID");
/// assert_eq!(error.to_string(), "a key is not empty (KEY_INVALID; state: unchanged)");
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionError(Box<Parts>);

/// Boxed, and made by functions that are not inlined: every `?` passes a result on, and an error of some seventy bytes
/// used to be copied field by field.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Parts {
    code: ErrorCode,
    cause: Cow<'static, str>,
    details: Details,
}

impl SessionError {
    /// An error of `code`; `cause` names the cause and, if there is one, the remedy.
    #[must_use]
    #[cold]
    #[inline(never)]
    pub fn new(code: ErrorCode, cause: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts { code, cause: cause.into(), details: Details::None }))
    }

    /// `MESSAGE_MALFORMED`, because `what` is damaged.
    #[must_use]
    #[cold]
    #[inline(never)]
    pub fn malformed(what: &'static str) -> Self {
        Self::new(ErrorCode::MessageMalformed, alloc::format!("malformed bytes: {what}"))
    }

    /// `code`, because `limit` allows at most `allowed`.
    #[must_use]
    #[cold]
    #[inline(never)]
    pub fn limit(code: ErrorCode, limit: &'static str, allowed: u64) -> Self {
        let cause = alloc::format!("the limit {limit} allows {allowed}; raise it or store less");
        Self::new(code, cause).with(Details::Limit { limit, allowed })
    }

    /// The same for a limit that is not an option, so that nobody can raise it.
    #[must_use]
    #[cold]
    #[inline(never)]
    pub fn bound(code: ErrorCode, limit: &'static str, allowed: u64) -> Self {
        let cause = alloc::format!("the limit {limit} is {allowed} for everybody");
        Self::new(code, cause).with(Details::Limit { limit, allowed })
    }

    /// The same error with details.
    #[must_use]
    pub fn with(mut self, details: Details) -> Self {
        self.0.details = details;
        self
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// The cause, without the code.
    #[must_use]
    pub fn cause(&self) -> &str {
        &self.0.cause
    }

    /// The details, for programs.
    #[must_use]
    pub fn details(&self) -> &Details {
        &self.0.details
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}; state: {})", self.cause(), self.code().as_str(), self.code().state())
    }
}

impl core::error::Error for SessionError {}
