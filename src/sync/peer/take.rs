//! Applies what a peer sends: deltas and slices of them.
//!
//! Invariant: a delta is applied as a whole or not at all. A client's delta is applied only after it was judged.

use alloc::vec::Vec;

use super::Peer;
use crate::error::ErrorCode;
use crate::id::Dot;
use crate::store::SessionConsistentStore;
use crate::store::delta::{Delta, Listed};
use crate::store::stage::Part;
use crate::sync::admit::{Refusal, Verdict, judge};
use crate::sync::gate::Gate;
use crate::sync::incoming::Incoming;
use crate::sync::message::{Message, NAMED_MAX, Slice};
use crate::sync::step::Step;
use crate::time::Millis;

impl Peer {
    pub(super) fn take(&mut self, mut delta: Delta, store: &mut SessionConsistentStore, now: Millis, step: &mut Step) {
        if self.is_held(&delta.space, delta.hlc, store, now, step) {
            return;
        }
        let (mut news, mut born) = (Vec::new(), 0);
        if let Some(sender) = self.gate.as_ref().and_then(|gate| gate.sender(&delta.space, now)) {
            match judge(&delta, store, sender, now) {
                Verdict::Admit { hlc, births } => (delta.hlc, born) = (hlc, births),
                Verdict::Wait(foreign) if foreign.is_empty() => {}
                Verdict::Wait(dots) => {
                    step.unbound.extend(dots.iter().map(|dot| dot.replica));
                    self.spaces.entry(delta.space.clone()).or_default().lacks.clone_from(&dots);
                    // Not an error, so no event: the owner of these ids is asked first.
                    let code = ErrorCode::StaleReplica.as_str().into();
                    return step.replies.push(Message::Refused { space: delta.space, code, dots });
                }
                Verdict::Refuse(Refusal { error, dots }) => return step.refuse(delta.space, error, dots),
            }
            let own = |dot: &Dot| sender.bound.contains(&dot.replica);
            news = delta.keys.iter().flat_map(|(_, set)| set).map(Listed::dot).filter(own).take(NAMED_MAX).collect();
        }
        self.gate.iter_mut().for_each(|gate| gate.note_stamp(delta.hlc, store.clock().last(), now));
        let (space, to) = (delta.space.clone(), delta.to.clone());
        match store.take(delta) {
            Ok(changed) => {
                self.gate.iter_mut().for_each(|gate| gate.note_births(born, now));
                self.learn(&space, &to, store);
                self.owed.put(space.clone(), self.heard_at);
                step.applied.push((space, changed));
            }
            Err(error) if error.code() == ErrorCode::StaleReplica => {
                // A delta that cannot be applied yet still says what its sender holds.
                self.learn(&space, &to, store);
                let vector = store.vector(&space).clone();
                step.behind(space, vector);
            }
            Err(error) => step.refuse(space, error, news),
        }
    }

    /// How many bytes of incomplete deltas are staged.
    pub(crate) fn staged(&self) -> u64 {
        self.incoming.values().map(|incoming| incoming.stage.bytes()).sum()
    }

    #[inline(never)]
    pub(super) fn take_slice(&mut self, slice: Slice, store: &SessionConsistentStore, now: Millis, step: &mut Step) {
        if self.is_held(&slice.space, slice.hlc, store, now, step) {
            return;
        }
        let Slice { space, from, base, at, after, last, hlc, keys } = slice;
        if !store.vector(&space).dominates(&from) {
            let vector = store.vector(&space).clone();
            return step.behind(space, vector);
        }
        let retry = self.timing.retry;
        let same = |incoming: &Incoming| incoming.stage.is_of(&from, &base);
        let current = self.incoming.get(&space);
        if !current.is_some_and(same) {
            // Another run: it must begin with its first slice, and never displaces one in progress.
            if after.is_some() || current.is_some_and(|incoming| !incoming.is_silent(retry, now)) {
                return;
            }
            self.incoming.insert(space.clone(), Incoming::new(from, base, retry, now));
        }
        let Some(incoming) = self.incoming.get_mut(&space) else { return };
        let begins = after.is_none();
        let taken = incoming.take(Part { after, last, at, hlc, keys }, retry, now);
        let want = incoming.want(&space);
        if !taken {
            // A sender that begins again has not received this side's request, so it gets it once more. Over requests
            // and responses nothing else would say it, and an interrupted run would never end.
            step.replies.extend(begins.then_some(want));
            return;
        }
        let staged = self.staged();
        let (limits, spaces) = (store.limits(), self.incoming.len() as u64);
        let most = self.gate().map_or(u64::MAX, Gate::staged_bytes);
        if staged > most || limits.check_bytes(staged).is_err() || spaces > limits.spaces {
            self.incoming.remove(&space);
            let code = ErrorCode::QuotaExceeded.as_str().into();
            step.replies.push(Message::Refused { space, code, dots: Vec::new() });
        } else if !last {
            // Of the slices of one frame, only the last one is answered with a request.
            let earlier = |reply: &Message| matches!(reply, Message::Want { space: other, .. } if *other == space);
            step.replies.retain(|reply| !earlier(reply));
            step.replies.push(want);
        }
    }
}
