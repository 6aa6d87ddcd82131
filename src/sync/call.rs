//! The wire form of calls and replies: what a client asks a replica of the cluster to do in its place, and the answer.
//!
//! Invariant: a call over the limits is not decoded. The hosts of both ends know what a method and its arguments mean.

use alloc::string::String;

use crate::codec::{Reader, Writer};
use crate::error::{ErrorCode, SessionError};
use crate::sync::message::{NONCE_LEN, exactly};
use crate::time::Millis;

/// The longest method name, arguments and tokens of a call, in bytes.
const METHOD_MAX: usize = 16;
const ARGS_MAX: usize = 64 << 10;
const TOKENS_MAX: usize = 4 << 10;

/// What a client asks a replica of the cluster to do in its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// Random; a repeated call has the same id.
    pub id: [u8; NONCE_LEN],
    /// The method; empty to withdraw the call.
    pub method: String,
    /// The arguments: JSON that the hosts of both ends read.
    pub args: String,
    /// The token of the session that makes the call.
    pub token: String,
    /// How long the caller waits, in milliseconds.
    pub timeout: Millis,
}

impl Call {
    /// Checks the lengths.
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
    /// The id of the call.
    pub id: [u8; NONCE_LEN],
    /// The stable code of a refusal; empty on success.
    pub code: String,
    /// The result as JSON, or the cause of the refusal.
    pub text: String,
    /// Machine-readable details of a refusal: JSON that the hosts of both ends read; empty if there are none.
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
