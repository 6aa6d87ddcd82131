//! An exhaustive model of edge-session: every order of a few operations, deltas and one crash, judged per guarantee.
//!
//! The transitions are the core's own functions: [`SessionConsistentStore`] writes, extracts and applies, and
//! [`SessionVector`] checks the guarantees. What the model adds is what a replica composes around them (what is
//! durable, what a token carries; [`session`]) and a judge that knows no vectors: it counts, in bits, which writes a
//! state holds ([`truth`]). [`world`] is the state and its transitions, [`bound`] how much of it is explored, and
//! [`run`] the door.
//!
//! [`SessionConsistentStore`]: edge_session::store::SessionConsistentStore
//! [`SessionVector`]: edge_session::session::vector::SessionVector

pub mod bound;
pub mod node;
pub mod run;
pub mod session;
pub mod step;
pub mod truth;
pub mod world;
