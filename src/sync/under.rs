//! Orders data behind the fleet's records: a delta of a data space is applied only after the records that its sender
//! held. Applies between replicas with the key alone.
//!
//! Invariant: a replica that applies a delta has every revocation that the sender had, so no revocation is overtaken by
//! the data that it protects. A delta that arrives too early is not answered; its sender repeats it.

use alloc::vec::Vec;

use crate::id::Space;
use crate::mutant::{Mutant, Service, off};
use crate::store::SessionConsistentStore;
use crate::sync::message::Message;
use crate::vector::VersionVector;

/// The records that the deltas of a frame rest on, as named so far.
pub(super) type Under = Option<(Space, VersionVector)>;

/// Whether a delta of this space would overtake records that its sender has and this replica lacks.
pub(super) fn overtakes(under: &Under, space: &Space, store: &SessionConsistentStore) -> bool {
    let lacks = |(records, vector): &(Space, VersionVector)| !store.vector(records).dominates(vector);
    !space.is_reserved()
        && store.fences().is_shared()
        && under.as_ref().is_some_and(lacks)
        && !off(Mutant::Service(Service::Under))
}

/// Names the records that the deltas among `messages` rest on, unless they are named already or the peer, which `holds`
/// this, is known to have them.
pub(super) fn name_records<'a>(
    messages: &mut Vec<Message>,
    store: &SessionConsistentStore,
    holds: impl FnOnce(&Space) -> Option<&'a VersionVector>,
) {
    let rests = |message: &Message| matches!(message, Message::Delta(delta) | Message::TopUp { delta, .. } if !delta.space.is_reserved());
    let Some(at) = messages.iter().position(rests).filter(|_| store.fences().is_shared()) else { return };
    if messages.iter().take(at).any(|message| matches!(message, Message::Under { .. })) {
        return;
    }
    let Some((space, state)) = store.spaces().find(|(space, _)| space.is_system()) else { return };
    if !holds(space).is_some_and(|holds| holds.dominates(state.vector())) {
        messages.insert(at, Message::Under { space: space.clone(), vector: state.vector().clone() });
    }
}
