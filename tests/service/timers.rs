//! The timers of sessions beside a model that sorts, and the list that grows in pieces.

use std::collections::{BTreeMap, BTreeSet};

use edge_session::service::expiry::TimerQueue;
use edge_session::service::slab::Slab;
use proptest::prelude::*;

use super::common::START;

/// So few, and the time that is told is exact whatever was removed.
const EXACT: usize = 8;

#[derive(Clone, Debug)]
enum Step {
    /// A slot is due so long after now, or is moved there.
    Set(u32, u64),
    Remove(u32),
    /// So much time passes, and whatever is due is taken out.
    Pass(u64),
    /// One looks when the queue says.
    Look,
    /// The clock is set back.
    Back(u64),
}

/// Milliseconds, seconds, hours, years: each in a wheel of its own.
fn spans() -> impl Strategy<Value = u64> {
    prop_oneof![0..70_u64, 0..5_000_u64, 0..90_000_000_u64, 0..(1_u64 << 41)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..60_u32, spans()).prop_map(|(slot, after)| Step::Set(slot, after)),
        3 => (0..60_u32).prop_map(Step::Remove),
        2 => spans().prop_map(Step::Pass),
        2 => Just(Step::Look),
        1 => spans().prop_map(Step::Back),
    ];
    prop::collection::vec(step, 0..300)
}

/// The queue, and what it should hold.
#[derive(Default)]
struct Both {
    queue: TimerQueue,
    times: BTreeMap<u32, u64>,
    sorted: BTreeSet<(u64, u32)>,
}

impl Both {
    fn least(&self) -> Option<u64> {
        self.sorted.first().map(|(at, _)| *at)
    }

    fn set(&mut self, slot: u32, at: u64) {
        self.forget(slot);
        self.queue.set(slot, at);
        self.times.insert(slot, at);
        self.sorted.insert((at, slot));
    }

    fn remove(&mut self, slot: u32) {
        self.forget(slot);
        self.queue.remove(slot);
    }

    fn forget(&mut self, slot: u32) -> Option<u64> {
        let at = self.times.remove(&slot)?;
        self.sorted.remove(&(at, slot));
        Some(at)
    }

    /// Takes out all that is due: nothing before its time, nothing is kept back. How many.
    fn pass(&mut self, now: u64) -> Result<usize, TestCaseError> {
        let mut taken = 0;
        while let Some(slot) = self.queue.pop(now) {
            let at = self.forget(slot);
            prop_assert!(at.is_some_and(|at| at <= now), "slot {slot} of {at:?} at {now}");
            taken += 1;
        }
        prop_assert!(self.least().is_none_or(|least| least > now), "{:?} is due at {now}", self.least());
        Ok(taken)
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let (told, least) = (self.queue.earliest(), self.least());
        prop_assert_eq!((self.queue.len(), told.is_some()), (self.sorted.len(), least.is_some()));
        prop_assert!(told <= least, "{told:?} is later than {least:?}");
        if self.sorted.len() <= EXACT {
            prop_assert_eq!(told, least);
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn the_queue_gives_what_is_due_never_early_and_never_late(steps in steps()) {
        let mut both = Both::default();
        let mut now = START;
        for step in steps {
            match step {
                Step::Set(slot, after) => both.set(slot, now + after),
                Step::Remove(slot) => both.remove(slot),
                Step::Pass(time) => {
                    now += time;
                    both.pass(now)?;
                }
                Step::Look => {
                    let Some(told) = both.queue.earliest() else { continue };
                    now = now.max(told);
                    both.pass(now)?;
                    prop_assert!(both.queue.earliest().is_none_or(|next| next > now), "one looks in vain at most once");
                }
                Step::Back(time) => now -= time.min(now / 2),
            }
            both.check()?;
        }
    }

    /// The earliest of many go, as those do that are evicted; then one looks whenever the queue says, until nothing is left.
    #[test]
    fn one_looks_in_vain_no_oftener_than_there_are_buckets_on_the_way(
        afters in prop::collection::vec(0..90_000_000_u64, 100..600),
        share in 0..90_usize,
    ) {
        let mut both = Both::default();
        afters.iter().zip(0..).for_each(|(after, slot)| both.set(slot, START + after));
        let gone: Vec<u32> = both.sorted.iter().map(|(_, slot)| *slot).take(afters.len() * share / 100).collect();
        gone.iter().for_each(|slot| both.remove(*slot));
        let (mut vain, mut looks) = (0, 0);
        while let Some(told) = both.queue.earliest() {
            vain += usize::from(both.pass(told)? == 0);
            looks += 1;
            prop_assert!(looks <= 2 * afters.len() + 10, "it does not come to an end");
        }
        // A day lies in six buckets of the fifth wheel, and what is removed is the beginning of one of them, and of one in it, and so on.
        prop_assert!(vain <= 6, "{vain} of {looks}");
    }
}

#[test]
fn a_list_in_pieces_is_a_list() {
    let mut pieces = Slab::default();
    for number in 0..5_000_u32 {
        assert_eq!(pieces.len(), number as usize);
        assert_eq!(pieces.get(number), None);
        assert_eq!(pieces.push(number), number);
    }
    for number in 0..5_000 {
        if let Some(held) = pieces.get_mut(number) {
            *held += 1;
        }
    }
    assert!((0..5_000).all(|number| pieces.get(number) == Some(&(number + 1))));
    assert_eq!(pieces.get(5_000), None);
}
