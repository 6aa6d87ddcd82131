//! The results of acting on the messages of one frame.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::SessionError;
use crate::id::{Dot, ReplicaId, SessionId, Space};
use crate::store::space::Changes;
use crate::sync::message::Message;
use crate::vector::VersionVector;

/// The results of a frame.
#[derive(Debug, Default)]
pub struct Step {
    /// The replies, in order.
    pub replies: Vec<Message>,
    /// The spaces to which something was applied, with the changed keys.
    pub applied: Vec<(Space, Changes)>,
    /// Why deltas were not applied. State is unchanged by them.
    pub refused: Vec<SessionError>,
    /// The deltas of this replica that the peer has refused: the space, the code, and the writes that are the reason.
    pub denied: Vec<(Space, String, Vec<Dot>)>,
    /// Set if the clock of a trusted peer is ahead but its delta was applied.
    pub drifts: Option<SessionError>,
    /// Ids that a client has not proved to be its own.
    pub unbound: Vec<ReplicaId>,
    /// Sessions that were ended: by a kill or a logout.
    pub fenced: Vec<SessionId>,
    /// Sessions whose row another replica has updated.
    pub rows: Vec<SessionId>,
}

impl Step {
    /// Replies what this replica holds of a space, because something depends on more. Once a frame: the vector may be
    /// much longer than what arrived.
    pub(super) fn behind(&mut self, space: Space, vector: VersionVector) {
        self.replies.retain(|reply| !matches!(reply, Message::Behind { space: told, .. } if *told == space));
        self.replies.push(Message::Behind { space, vector });
    }

    /// Replies with a hello, unless this frame has one among its replies already.
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
