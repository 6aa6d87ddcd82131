//! Calls and replies, as they travel: what a client asks a replica of the cluster to do in its place, and the answer.
//!
//! Invariant: a call that is longer than one may be is not read. What a method means, and what its arguments are, the hosts
//! of both ends know.

use alloc::string::String;

use crate::codec::{Reader, Writer};
use crate::error::{ErrorCode, SessionError};
use crate::sync::message::{NONCE_LEN, exactly};
use crate::time::Millis;

/// The longest name of a call's method, in bytes, its longest arguments, and the longest tokens that come with it.
const METHOD_MAX: usize = 16;
const ARGS_MAX: usize = 64 << 10;
const TOKENS_MAX: usize = 4 << 10;

/// What a client asks a replica of the cluster to do in its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// Random; a call that is repeated has the same.
    pub id: [u8; NONCE_LEN],
    /// What is to be done; empty where nothing is any more.
    pub method: String,
    /// With what: JSON, which the hosts of both ends read.
    pub args: String,
    /// The session under which it is done.
    pub token: String,
    /// For how many milliseconds its sender waits.
    pub timeout: Millis,
}

impl Call {
    /// Whether it is as long as a call may be.
    pub(crate) fn check(&self) -> Result<(), SessionError> {
        if self.method.len() > METHOD_MAX || self.args.len() > ARGS_MAX || self.token.len() > TOKENS_MAX {
            return Err(SessionError::bound(ErrorCode::QuotaExceeded, "callBytes", ARGS_MAX as u64));
        }
        Ok(())
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.bytes(&self.id);
        for text in [&self.method, &self.args, &self.token] {
            writer.text(text);
        }
        writer.u64(self.timeout);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, SessionError> {
        let id = exactly(reader)?;
        let (method, args) = (reader.text()?.into(), reader.text()?.into());
        let call = Self { id, method, args, token: reader.text()?.into(), timeout: reader.u64()? };
        call.check().map_err(|_| SessionError::malformed("a call that is too long"))?;
        Ok(call)
    }
}

/// The answer to a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The call's.
    pub id: [u8; NONCE_LEN],
    /// The stable code of a refusal; empty where it was done.
    pub code: String,
    /// What came of it, as JSON; or the cause of the refusal.
    pub text: String,
    /// What a program can use of a refusal: JSON, which the hosts of both ends read; empty where there is nothing.
    pub details: String,
}

impl Reply {
    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.bytes(&self.id);
        writer.text(&self.code);
        writer.text(&self.text);
        writer.text(&self.details);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, SessionError> {
        let (id, code, text) = (exactly(reader)?, reader.text()?.into(), reader.text()?.into());
        Ok(Self { id, code, text, details: reader.text()?.into() })
    }
}
