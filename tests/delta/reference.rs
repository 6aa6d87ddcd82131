//! The apply rule as the design states it, by scan and without any index, with a switch at each clause.

use super::*;
use edge_session::store::delta::Listed;

/// Which clauses are in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rules {
    /// The receiver's vector must dominate `from`.
    pub(super) from: bool,
    /// Clause 1, first half: what is in `to` and not listed goes, if its key is listed.
    pub(super) listed: bool,
    /// Clause 1, second half: or if its dot is not in `from`.
    pub(super) unlisted: bool,
    /// The condition of the second half: what is in `from` stays where its key is not listed.
    pub(super) stays: bool,
    /// Clause 2: what the receiver had seen before does not come back.
    pub(super) seen: bool,
}

pub(super) const ALL: Rules = Rules { from: true, listed: true, unlisted: true, stays: true, seen: true };

/// A space without index, counts or order.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Reference {
    pub(super) vector: VersionVector,
    pub(super) keys: BTreeMap<String, Vec<DataEntry>>,
}

impl Reference {
    /// What a store holds.
    pub(super) fn of(site: &Site) -> Self {
        let keys = site.live().into_iter().map(|(key, set)| (key, set.entries().to_vec())).collect();
        Self { vector: site.vector(), keys }
    }

    /// Applies `delta` under `rules`.
    pub(super) fn apply(&mut self, delta: &Delta, rules: Rules) {
        if rules.from && !self.vector.dominates(&delta.from) {
            return;
        }
        let before = self.vector.clone();
        let listed: BTreeMap<&str, &[Listed]> = delta.keys.iter().map(|(key, set)| (&**key, &set[..])).collect();
        for (key, set) in &mut self.keys {
            let sent = listed.get(key.as_str());
            set.retain(|entry| {
                let here = sent.is_some_and(|sent| sent.iter().any(|listed| listed.dot() == entry.dot()));
                let unlisted = rules.unlisted && (!rules.stays || !delta.from.contains(entry.dot()));
                let goes = if sent.is_some() { rules.listed || unlisted } else { unlisted };
                !(delta.to.contains(entry.dot()) && !here && goes)
            });
        }
        for (key, sent) in listed {
            let set = self.keys.entry(key.into()).or_default();
            for listed in sent {
                let Listed::Entry(entry) = listed else { continue };
                let seen = if rules.seen { before.contains(entry.dot()) } else { false };
                if !seen && !set.iter().any(|held| held.dot() == entry.dot()) {
                    set.push(entry.clone());
                }
            }
            set.sort_by_key(|entry| std::cmp::Reverse(entry.rank()));
        }
        self.keys.retain(|_, set| !set.is_empty());
        self.vector.join(&delta.to);
    }
}
