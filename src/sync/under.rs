//! Data and the records of the fleet that it rests on: no delta of a data space is applied before the records that its
//! sender held.
//!
//! Between replicas with the key alone. Invariant: whoever applies a delta has every revocation that its sender had, so that
//! none is overtaken by the data that it protects. What comes too early is not answered: its sender says it again.

use alloc::vec::Vec;

use crate::id::Space;
use crate::mutant::{Mutant, Service, off};
use crate::store::SessionConsistentStore;
use crate::sync::message::Message;
use crate::vector::VersionVector;

/// What of the records a frame's deltas rest on, as it has said so far.
pub(super) type Under = Option<(Space, VersionVector)>;

/// Whether a delta of this space would overtake records that its sender has and this replica lacks.
pub(super) fn overtakes(under: &Under, space: &Space, store: &SessionConsistentStore) -> bool {
    let lacks = |(records, vector): &(Space, VersionVector)| !store.vector(records).dominates(vector);
    !space.is_reserved()
        && store.fences().is_shared()
        && under.as_ref().is_some_and(lacks)
        && !off(Mutant::Service(Service::Under))
}

/// Names what the deltas among the `messages` of a frame rest on, where it is not named yet, unless the peer, which `holds` this, is known to have that.
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
