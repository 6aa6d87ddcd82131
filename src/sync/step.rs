//! What the messages of one frame led to.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::SessionError;
use crate::id::{Dot, ReplicaId, SessionId, Space};
use crate::store::space::Changes;
use crate::sync::message::Message;
use crate::vector::VersionVector;

/// What a frame led to.
#[derive(Debug, Default)]
pub struct Step {
    /// What to answer, in order.
    pub replies: Vec<Message>,
    /// What was applied, and which keys it changed.
    pub applied: Vec<(Space, Changes)>,
    /// What was not taken, and why; state is unchanged by it.
    pub refused: Vec<SessionError>,
    /// What the peer has not taken of this replica's: the space, the code, and the writes that are the reason.
    pub denied: Vec<(Space, String, Vec<Dot>)>,
    /// The clock of a trusted peer is ahead, and what it brings was taken.
    pub drifts: Option<SessionError>,
    /// Ids that a client has not proved to be its own.
    pub unbound: Vec<ReplicaId>,
    /// Sessions that are over by somebody's word.
    pub fenced: Vec<SessionId>,
    /// Sessions of which another replica has told.
    pub rows: Vec<SessionId>,
}

impl Step {
    /// Tells what is held of a space, where something rests on more: once a frame, for it may be much longer than what came.
    pub(super) fn behind(&mut self, space: Space, vector: VersionVector) {
        self.replies.retain(|reply| !matches!(reply, Message::Behind { space: told, .. } if *told == space));
        self.replies.push(Message::Behind { space, vector });
    }

    /// Greets, unless this frame is answered by a greeting already.
    pub(super) fn greet(&mut self, hello: impl FnOnce() -> Message) {
        if !self.replies.iter().any(|reply| matches!(reply, Message::Hello { .. })) {
            self.replies.push(hello());
        }
    }

    pub(super) fn refuse(&mut self, space: Space, error: SessionError, dots: Vec<Dot>) {
        self.replies.push(Message::Refused { space, code: error.code().as_str().into(), dots });
        self.refused.push(error);
    }
}
