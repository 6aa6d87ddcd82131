//! The messages of protocol version 1 and their encoding.
//!
//! A frame is `[1, [replica ids], [session ids], from, to | null, message…]`; a message is `[kind, fields…]`.
//!
//! Invariants: a frame is decoded as a whole before anything acts on it. An unknown kind is skipped
//! ([`Message::Foreign`]) and answered with [`Message::Unknown`]; it is never fatal.

mod read;

use alloc::vec::Vec;

pub use self::read::FRAME_BYTES_MAX;
pub(super) use self::read::exactly;
use crate::codec::{Desk, Rope, VERSION, Writer};
use crate::id::{Dot, ReplicaId, SessionId, Space};
use crate::identity::Secret;
use crate::store::SessionConsistentStore;
use crate::store::delta::Delta;
use crate::store::entry::Key;
use crate::store::fence::Fence;
use crate::store::roster::Row;
pub use crate::sync::call::{Call, Reply};
pub use crate::sync::proof::{MAC_LEN, NONCE_LEN, Proof};
use crate::sync::slice::encode_top_up;
pub use crate::sync::slice::{Cut, Slice};
use crate::sync::told::{encode_fences, encode_rows};
use crate::time::Millis;
use crate::vector::VersionVector;

const UNKNOWN: u64 = 0;
const HELLO: u64 = 1;
const DELTA: u64 = 2;
const ACK: u64 = 3;
const BEHIND: u64 = 4;
const SLICE: u64 = 5;
const WANT: u64 = 6;
const TOP_UP: u64 = 7;
const REFUSED: u64 = 8;
const RESET: u64 = 9;
const CALL: u64 = 16;
const REPLY: u64 = 17;
const FENCE: u64 = 18;
/// Also in the answer of a replica that has no key.
pub(crate) const CHALLENGE: u64 = 19;
const ASK: u64 = 20;
const BIND: u64 = 21;
const UNDER: u64 = 22;
const PROOF: u64 = 23;
const ROSTER: u64 = 24;

/// The most dots and ids that one message names.
pub const NAMED_MAX: usize = 64;

/// One message of a replica to a peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// What the sender holds. Also the heartbeat: comparing vectors reveals whatever was lost.
    Hello {
        /// The greatest protocol version that the sender speaks.
        protocol: u64,
        /// Whether the sender wants the receiver's hello in return.
        answer: bool,
        /// The sender's vectors.
        vectors: Vec<(Space, VersionVector)>,
    },
    /// What changed since a vector that the receiver is believed to hold.
    Delta(Delta),
    /// The sender holds this, durably.
    Ack {
        /// In this space.
        space: Space,
        /// All of this.
        vector: VersionVector,
    },
    /// A delta started after what the sender holds. Unlike an acknowledgement this can lower what the receiver believes
    /// the sender to hold.
    Behind {
        /// In this space.
        space: Space,
        /// All that the sender holds.
        vector: VersionVector,
    },
    /// A range of keys of a large delta.
    Slice(Slice),
    /// The same, outgoing: its entries are read from the store when it is encoded. Decoding never yields it.
    Cut(Cut),
    /// Asks for the slice after `after`.
    Want {
        /// In this space.
        space: Space,
        /// Of the delta since this vector.
        from: VersionVector,
        /// Whose first slice was cut at this vector.
        base: VersionVector,
        /// The last key received.
        after: Option<Key>,
    },
    /// What changed since the first slice. With it the slices are applied.
    TopUp {
        /// The sender's vector at the first slice.
        base: VersionVector,
        /// Its `from` is that of the slices; its keys are those changed since `base`.
        delta: Delta,
    },
    /// A delta was not applied; the code says why. State is unchanged.
    Refused {
        /// In this space.
        space: Space,
        /// The stable code, such as `QUOTA_EXCEEDED`.
        code: alloc::string::String,
        /// The writes that are the reason, if it is only some of them: at most [`NAMED_MAX`].
        dots: Vec<Dot>,
    },
    /// In records only: what follows in this record replaces everything recorded before.
    Reset,
    /// To a client: prove that these ids are yours. Includes the sender's clock, for the client to stamp by.
    Ask {
        /// Milliseconds since 1970.
        now: Millis,
        /// Ids that the receiver has written under or speaks as.
        ids: Vec<ReplicaId>,
    },
    /// The answer to [`Message::Ask`]: the secrets of ids; see [`crate::identity`].
    Bind {
        /// At most [`NAMED_MAX`].
        ids: Vec<(ReplicaId, Secret)>,
    },
    /// Between replicas with the key, and in records: sessions that were ended, by a kill or a logout; see
    /// [`crate::store::fence`].
    Fence {
        /// The sender's number for this message; 0: it is only an answer.
        told: u64,
        /// The number of the receiver's message that the sender has processed; 0: none.
        heard: u64,
        /// The digest of the sender's fences: a replica with the same digest needs none.
        digest: u64,
        /// The fences, at most [`crate::store::numbered::TOLD_MAX`].
        fences: Vec<(SessionId, Fence)>,
    },
    /// Between replicas with the key: a receiver that lacks these records of the fleet does not apply the deltas that
    /// follow in the frame, so that no revocation is overtaken by the data that it protects.
    Under {
        /// The space of the records.
        space: Space,
        /// What the sender holds of it.
        vector: VersionVector,
    },
    /// From a client: do this in my place.
    Call(Call),
    /// The answer to a call.
    Reply(Reply),
    /// To a replica that claims to be of the same cluster: prove it.
    Challenge {
        /// Random.
        nonce: [u8; NONCE_LEN],
    },
    /// Proves that the sender holds a key of the cluster; the protocol page says what the MAC covers.
    Proof(Proof),
    /// Between replicas with the key: which sessions are in use where; see [`crate::store::roster`].
    Roster {
        /// As in [`Message::Fence`].
        told: u64,
        /// As in [`Message::Fence`].
        heard: u64,
        /// The rows, at most [`TOLD_MAX`](crate::store::numbered::TOLD_MAX).
        rows: Vec<(SessionId, Row)>,
    },
    /// The sender does not know messages of this kind.
    Unknown {
        /// The kind's number.
        kind: u64,
    },
    /// A decoded message of a kind that this replica does not know. It is answered with `Unknown` and never sent.
    Foreign {
        /// The kind's number.
        kind: u64,
    },
}

/// A list of spaces with their vectors, and one more.
type Told<'a> = (&'a [(Space, VersionVector)], Option<(&'a Space, &'a VersionVector)>);

/// Messages with their sender and, once it is known, their receiver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The sender.
    pub from: ReplicaId,
    /// The receiver, once known; a frame for another replica is not acted on.
    pub to: Option<ReplicaId>,
    /// The messages, in order.
    pub messages: Vec<Message>,
}

impl Frame {
    /// Encodes a frame whose messages need nothing from a store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.encode_from(&SessionConsistentStore::default(), &mut Desk::default()).into_vec()
    }

    /// Encodes the frame; its cuts are of `store`. The `desk` supplies buffers and gets them back for the next frame.
    pub(crate) fn encode_from(&self, store: &SessionConsistentStore, desk: &mut Desk) -> Rope {
        // The ids of the longest vector are written in one piece.
        let mut longest: Option<&VersionVector> = None;
        for message in &self.messages {
            let (list, one) = message.told();
            let told = list.iter().map(|(_, vector)| vector).chain(one.map(|(_, vector)| vector));
            longest = longest.into_iter().chain(told).max_by_key(|vector| vector.len());
        }
        let mut writer = Self::begin(core::mem::take(desk), self.from, self.to, longest);
        let holds = |message: &&Message| if let Message::Cut(cut) = message { cut.is_of(store) } else { true };
        for message in self.messages.iter().filter(holds) {
            writer.item();
            message.encode(&mut writer, store);
        }
        writer.rope(desk)
    }

    #[inline(always)]
    fn begin(desk: Desk, from: ReplicaId, to: Option<ReplicaId>, about: Option<&VersionVector>) -> Writer {
        let mut writer = Writer::at(desk, about);
        writer.item();
        writer.replica(from);
        writer.item();
        match to {
            Some(to) => writer.replica(to),
            None => writer.null(),
        }
        writer
    }

    /// Encodes a frame without an addressee: `messages`, and for each space of `store` a delta since nothing.
    pub(crate) fn encode_all(from: ReplicaId, messages: &[Message], store: &SessionConsistentStore) -> Rope {
        let longest = store.spaces().map(|(_, state)| state.vector()).max_by_key(|vector| vector.len());
        let mut writer = Self::begin(Desk::default(), from, None, longest);
        for message in messages {
            writer.item();
            message.encode(&mut writer, store);
        }
        for (space, state) in store.spaces() {
            writer.item();
            head(&mut writer, DELTA, 6);
            Delta::encode_all(&mut writer, space, state, store.clock().last());
        }
        writer.into_rope()
    }
}

impl Message {
    fn encode(&self, writer: &mut Writer, store: &SessionConsistentStore) {
        match self {
            Self::Hello { protocol, answer, vectors } => {
                head(writer, HELLO, 3);
                writer.u64(*protocol);
                writer.bool(*answer);
                writer.array(vectors.len() * 3);
                for (space, vector) in vectors {
                    writer.space(space);
                    writer.vector(vector);
                }
            }
            Self::Delta(delta) => {
                head(writer, DELTA, 6);
                delta.encode(writer);
            }
            Self::Ack { space, vector } => {
                head(writer, ACK, 3);
                writer.space(space);
                writer.vector(vector);
            }
            Self::Behind { space, vector } => {
                head(writer, BEHIND, 3);
                writer.space(space);
                writer.vector(vector);
            }
            Self::Slice(slice) => {
                head(writer, SLICE, 9);
                slice.encode(writer);
            }
            Self::Cut(cut) => {
                head(writer, SLICE, 9);
                cut.encode(writer, store);
            }
            Self::Want { space, from, base, after } => {
                head(writer, WANT, 5);
                writer.space(space);
                writer.vector(from);
                writer.vector(base);
                optional_text(writer, after.as_deref());
            }
            Self::TopUp { base, delta } => {
                head(writer, TOP_UP, 7);
                encode_top_up(writer, base, delta, store);
            }
            Self::Refused { space, code, dots } => {
                head(writer, REFUSED, 4);
                writer.space(space);
                writer.text(code);
                writer.array(dots.len() * 2);
                for dot in dots {
                    writer.replica(dot.replica);
                    writer.u64(dot.sequence);
                }
            }
            Self::Reset => head(writer, RESET, 0),
            Self::Ask { now, ids } => {
                head(writer, ASK, 2);
                writer.u64(*now);
                writer.array(ids.len());
                ids.iter().for_each(|id| writer.replica(*id));
            }
            Self::Bind { ids } => {
                head(writer, BIND, 1);
                writer.array(ids.len() * 2);
                for (id, secret) in ids {
                    writer.replica(*id);
                    writer.bytes(secret.as_bytes());
                }
            }
            Self::Fence { told, heard, digest, fences } => {
                head(writer, FENCE, 4);
                writer.u64(*told);
                writer.u64(*heard);
                writer.u64(*digest);
                encode_fences(writer, fences);
            }
            Self::Under { space, vector } => {
                head(writer, UNDER, 3);
                writer.space(space);
                writer.vector(vector);
            }
            Self::Call(call) => {
                head(writer, CALL, 5);
                call.encode(writer);
            }
            Self::Reply(reply) => {
                head(writer, REPLY, 4);
                reply.encode(writer);
            }
            Self::Challenge { nonce } => {
                head(writer, CHALLENGE, 1);
                writer.bytes(nonce);
            }
            Self::Proof(Proof { kid, nonce, count, mac, frame }) => {
                head(writer, PROOF, 5);
                writer.text(kid);
                writer.bytes(nonce);
                writer.u64(*count);
                writer.bytes(mac);
                writer.bytes(frame);
            }
            Self::Roster { told, heard, rows } => {
                head(writer, ROSTER, 3);
                writer.u64(*told);
                writer.u64(*heard);
                encode_rows(writer, rows);
            }
            Self::Unknown { kind } | Self::Foreign { kind } => {
                head(writer, UNKNOWN, 1);
                writer.u64(*kind);
            }
        }
    }

    /// The vectors that the message names, each with its space: where a replica may find its own id.
    pub fn vectors(&self) -> impl Iterator<Item = (&Space, &VersionVector)> {
        let (list, one) = self.told();
        list.iter().map(|(space, vector)| (space, vector)).chain(one)
    }

    /// As [`Message::vectors`]: the list of a hello, or the one of another message.
    pub(crate) fn told(&self) -> Told<'_> {
        match self {
            Self::Hello { vectors, .. } => (vectors, None),
            Self::Delta(delta) | Self::TopUp { delta, .. } => (&[], Some((&delta.space, &delta.to))),
            Self::Ack { space, vector } | Self::Behind { space, vector } | Self::Under { space, vector } => {
                (&[], Some((space, vector)))
            }
            Self::Slice(slice) => (&[], Some((&slice.space, &slice.base))),
            Self::Cut(cut) => (&[], Some((&cut.space, &cut.base))),
            Self::Want { space, base, .. } => (&[], Some((space, base))),
            Self::Refused { .. }
            | Self::Reset
            | Self::Ask { .. }
            | Self::Bind { .. }
            | Self::Fence { .. }
            | Self::Call(_)
            | Self::Reply(_)
            | Self::Challenge { .. }
            | Self::Proof(_)
            | Self::Roster { .. }
            | Self::Unknown { .. }
            | Self::Foreign { .. } => (&[], None),
        }
    }

    /// Those of [`Message::vectors`] that the sender holds itself.
    pub fn held(&self) -> impl Iterator<Item = (&Space, &VersionVector)> {
        self.vectors().filter(|_| !matches!(self, Self::Want { .. }))
    }

    /// The hello of a replica that speaks this version.
    #[must_use]
    pub fn hello(vectors: Vec<(Space, VersionVector)>, answer: bool) -> Self {
        Self::Hello { protocol: VERSION, answer, vectors }
    }
}

/// Writes the array head and kind of a message with `fields` fields.
fn head(writer: &mut Writer, kind: u64, fields: usize) {
    writer.array(fields + 1);
    writer.u64(kind);
}

pub(super) fn optional_text(writer: &mut Writer, text: Option<&str>) {
    match text {
        Some(text) => writer.text(text),
        None => writer.null(),
    }
}
