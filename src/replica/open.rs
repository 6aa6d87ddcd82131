//! The open links: the peer of each, which of them must be visited, and when the next one is due.
//!
//! Invariant: a link is visited after it received a message, became due, or was accessed for changing; other links are
//! not. So the cost of an input does not grow with the number of links.

use alloc::boxed::Box;
use alloc::vec::Vec;

use litemap::LiteMap;

use crate::io::LinkId;
use crate::service::expiry::TimerQueue;
use crate::sync::peer::Peer;
use crate::time::Millis;

/// The index of a link's peer. A slot is reused once its link is closed.
type Slot = u32;

/// The peers on links, by link.
#[derive(Debug, Default)]
pub(super) struct Open {
    places: LiteMap<LinkId, Slot>,
    slots: Vec<Held>,
    free: Vec<Slot>,
    /// When each idle link is visited next.
    timers: TimerQueue,
    /// The links to visit, sorted; closed ones may be among them.
    stirred: Vec<LinkId>,
    /// How many peers have said their id, and how many of these are trusted.
    known: u32,
    trusted: u32,
}

/// What is known of one link.
#[derive(Debug)]
struct Held {
    link: LinkId,
    /// `None` while one of its messages is handled, and if the slot is free.
    peer: Option<Box<Peer>>,
    /// The time in `timers`; `None` if it is not there.
    rings: Option<Millis>,
}

impl Open {
    fn held(&self, link: LinkId) -> Option<&Held> {
        self.slots.get(*self.places.get(&link)? as usize)
    }

    pub(super) fn get(&self, link: &LinkId) -> Option<&Peer> {
        self.held(*link)?.peer.as_deref()
    }

    /// The peer for changing; marks the link to be visited.
    pub(super) fn get_mut(&mut self, link: &LinkId) -> Option<&mut Peer> {
        let held = self.slots.get_mut(*self.places.get(link)? as usize)?;
        stir(*link, &mut self.stirred);
        held.peer.as_deref_mut()
    }

    /// The peer of a link that is being visited; does not mark it.
    pub(super) fn visit(&mut self, link: LinkId) -> Option<&mut Peer> {
        self.slots.get_mut(*self.places.get(&link)? as usize)?.peer.as_deref_mut()
    }

    /// The links and their peers, sorted by link.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&LinkId, &Peer)> {
        self.places.iter().filter_map(|(link, slot)| Some((link, self.slots.get(*slot as usize)?.peer.as_deref()?)))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &LinkId> {
        self.iter().map(|(link, _)| link)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Peer> {
        self.iter().map(|(_, peer)| peer)
    }

    /// Changes every peer, and marks all links to be visited.
    pub(super) fn for_each(&mut self, mut change: impl FnMut(&mut Peer)) {
        self.stir_all();
        self.slots.iter_mut().filter_map(|held| held.peer.as_deref_mut()).for_each(&mut change);
    }

    /// How many peers have said their id.
    pub(super) const fn known(&self) -> u32 {
        self.known
    }

    /// Whether one of them is trusted.
    pub(super) const fn has_trusted(&self) -> bool {
        self.trusted > 0
    }

    /// Opens a link, or begins it anew.
    pub(super) fn insert(&mut self, link: LinkId, peer: Peer) {
        drop(self.take(link));
        if !self.places.contains_key(&link) {
            let slot = self.free.pop().unwrap_or(self.slots.len() as Slot);
            let held = Held { link, peer: None, rings: None };
            match self.slots.get_mut(slot as usize) {
                Some(free) => *free = held,
                None => self.slots.push(held),
            }
            self.places.insert(link, slot);
        }
        self.put_back(link, Box::new(peer));
    }

    /// Closes a link; returns whether it was open.
    pub(super) fn remove(&mut self, link: &LinkId) -> bool {
        let was = self.take(*link).is_some();
        if let Some(slot) = self.places.remove(link) {
            self.timers.remove(slot);
            self.free.push(slot);
        }
        was
    }

    /// Takes a peer out temporarily.
    pub(super) fn take(&mut self, link: LinkId) -> Option<Box<Peer>> {
        let peer = self.slots.get_mut(*self.places.get(&link)? as usize)?.peer.take()?;
        let (known, trusted) = counts(&peer);
        self.known -= known;
        self.trusted -= trusted;
        Some(peer)
    }

    /// Puts a peer back, unless its link was closed in the meantime.
    pub(super) fn put_back(&mut self, link: LinkId, peer: Box<Peer>) {
        let slot = self.places.get(&link).copied();
        let Some(held) = slot.and_then(|slot| self.slots.get_mut(slot as usize)) else { return };
        stir(link, &mut self.stirred);
        let peer = held.peer.insert(peer);
        let (known, trusted) = counts(peer);
        self.known += known;
        self.trusted += trusted;
    }

    /// Marks all links to be visited.
    pub(super) fn stir_all(&mut self) {
        self.stirred.clear();
        self.stirred.extend(self.places.keys());
    }

    /// Marks the links that are due at `now`.
    pub(super) fn wake(&mut self, now: Millis) {
        if self.timers.earliest().is_none_or(|at| at > now) {
            return;
        }
        while let Some(slot) = self.timers.pop(now) {
            let Some(held) = self.slots.get_mut(slot as usize) else { continue };
            held.rings = None;
            stir(held.link, &mut self.stirred);
        }
    }

    /// The links to visit.
    pub(super) fn stirred(&self) -> &[LinkId] {
        &self.stirred
    }

    /// As [`Open::stirred`], taken out. Give them back to [`Open::rest`] once visited, or to [`Open::wait`] to be
    /// visited later.
    pub(super) fn take_stirred(&mut self) -> Vec<LinkId> {
        core::mem::take(&mut self.stirred)
    }

    /// These links remain to be visited.
    pub(super) fn wait(&mut self, links: Vec<LinkId>) {
        let since = core::mem::replace(&mut self.stirred, links);
        since.into_iter().for_each(|link| stir(link, &mut self.stirred));
    }

    /// These links were visited. Each is visited again when its peer has something due, and at the time `until`.
    pub(super) fn rest(&mut self, mut links: Vec<LinkId>, until: impl Fn(LinkId) -> Option<Millis>) {
        for link in links.drain(..) {
            let Some(slot) = self.places.get(&link).copied() else { continue };
            let Some(held) = self.slots.get_mut(slot as usize) else { continue };
            let Some(peer) = held.peer.as_deref() else { continue };
            let due = peer.deadline();
            let due = until(link).map_or(due, |until| until.min(due));
            if held.rings != Some(due) {
                held.rings = Some(due);
                self.timers.set(slot, due);
            }
        }
        self.wait(links);
    }

    /// When the first idle link is due.
    pub(super) fn deadline(&self) -> Option<Millis> {
        self.timers.earliest()
    }
}

fn stir(link: LinkId, stirred: &mut Vec<LinkId>) {
    if let Err(place) = stirred.binary_search(&link) {
        stirred.insert(place, link);
    }
}

/// What a peer adds to the counts of known and trusted peers.
fn counts(peer: &Peer) -> (u32, u32) {
    let known = peer.remote().is_some();
    (u32::from(known), u32::from(known && peer.gate().is_none()))
}
