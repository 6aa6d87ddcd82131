//! Large deltas in slices, completed by a top-up: the same in the end as one delta, whatever happens meanwhile.

use super::*;
use edge_session::store::stage::{Part, Stage};

/// A slice as `site` cuts it now.
fn part(site: &Site, after: Option<&str>, keys: Keys, last: bool) -> Part {
    Part { after: after.map(Into::into), last, at: site.vector(), hlc: site.store.clock().last(), keys }
}

/// Takes slices of at most `budget` bytes; between two, `meanwhile` happens at the sender and the receiver.
fn in_slices(
    from: &mut Site,
    to: &mut Site,
    budget: u64,
    mut meanwhile: impl FnMut(&mut Site, &mut Site, usize),
) -> usize {
    let (since, base) = (to.vector(), from.vector());
    let mut stage = Stage::new(since.clone(), base.clone());
    for round in 0.. {
        let state = from.store.space(&space()).unwrap();
        let after = stage.after().cloned();
        let (keys, more) = state.slice(&since, after.as_deref(), budget);
        assert!(stage.take(part(from, after.as_deref(), keys.clone(), !more)));
        assert!(!stage.take(part(from, after.as_deref(), keys, !more)), "a slice that comes again is not taken");
        if !more {
            let top_up = state.extract_since(&space(), &since, &base, from.store.clock().last());
            assert!(stage.is_whole_with(&top_up));
            to.apply(&stage.finish(top_up));
            return round + 1;
        }
        meanwhile(from, to, round);
    }
    unreachable!()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn slices_with_a_top_up_equal_the_direct_delta(
        (sites, before) in any_history(),
        meanwhile in prop::collection::vec(any_step(2), 0..12),
        budget in 0..200u64,
    ) {
        let mut history = History::of(sites, &before);
        if history.sites[0].vector().is_empty() {
            history.sites[0].set("a", "v");
        }
        let mut direct = history.clone();
        let steps = meanwhile.clone();
        let mut at = 0;
        // The same things happen at both times; only the way of the state from 0 to 1 differs.
        let mut both = [history.sites[0].clone(), history.sites[1].clone()];
        let [from, to] = &mut both;
        let since = to.vector();
        in_slices(from, to, budget, |from, to, _| {
            for step in steps.iter().skip(at).take(2) {
                direct.sites[0] = from.clone();
                direct.sites[1] = to.clone();
                direct.step(step);
                *from = direct.sites[0].clone();
                *to = direct.sites[1].clone();
                at += 1;
            }
        });
        // The receiver, had it got everything in one delta at the end.
        let mut expected = if at == 0 { history.sites[1].clone() } else { direct.sites[1].clone() };
        expected.apply(&both[0].since(&since));
        prop_assert_eq!(both[1].store.space(&space()), expected.store.space(&space()));
        prop_assert!(both[1].vector().dominates(&both[0].vector()));
    }
}

#[test]
fn a_slice_holds_at_least_one_key_and_not_much_more_than_its_budget() {
    let (mut a, mut b) = (Site::new(0), Site::new(1));
    for n in 0..50 {
        a.set(&format!("k{n:02}"), &"x".repeat(100));
    }
    assert_eq!(in_slices(&mut a, &mut b.clone(), 0, |_, _, _| {}), 50);
    assert_eq!(in_slices(&mut a, &mut b.clone(), 1_000_000, |_, _, _| {}), 1);
    let rounds = in_slices(&mut a, &mut b, 1_000, |_, _, _| {});
    assert!((8..=10).contains(&rounds), "{rounds}");
    assert_eq!(a.live(), b.live());
}

#[test]
fn a_slice_out_of_turn_is_not_taken() {
    let mut a = Site::new(0);
    for key in KEYS {
        a.set(key, "v");
    }
    let state = a.store.space(&space()).unwrap();
    let (since, base) = (VersionVector::new(), a.vector());
    let mut stage = Stage::new(since.clone(), base);
    let (first, _) = state.slice(&since, None, 1);
    let (second, _) = state.slice(&since, Some("a"), 1);
    assert!(!stage.take(part(&a, Some("a"), second.clone(), false)), "the second before the first");
    assert!(stage.take(part(&a, None, first.clone(), false)));
    assert!(!stage.take(part(&a, None, first, false)), "the first again");
    assert!(stage.take(part(&a, Some("a"), second, true)));
    let (third, _) = state.slice(&since, Some("ab"), 1);
    let bytes = stage.bytes();
    assert!(!stage.take(part(&a, Some("ab"), third, true)), "one after the last");
    assert_eq!(stage.bytes(), bytes);
}

#[test]
fn a_key_that_changes_after_its_slice_arrives_as_it_is_at_the_end() {
    let (mut a, mut b) = (Site::new(0), Site::new(1));
    for key in KEYS {
        a.set(key, "early");
    }
    in_slices(&mut a, &mut b, 1, |a, b, round| match round {
        0 => drop(a.set("a", "late")),
        1 => drop(a.erase("ab")),
        2 => drop(b.set("z", "of the receiver")),
        _ => {}
    });
    assert_eq!((b.values("a"), b.values("ab")), (vec!["late".to_string()], vec!["-".to_string()]));
    assert_eq!(b.values("z").len(), 2, "neither saw the other");
}

/// Of one origin all is known, of the other one nothing, and each has written as many.
#[test]
fn a_slice_weighs_what_it_lists_whoever_wrote_the_keys_between() {
    let (mut a, mut b) = (Site::new(0), Site::new(1));
    for n in 0..300 {
        let site = if n / 3 % 2 == 0 { &mut a } else { &mut b };
        site.set(&format!("{n:03}"), "value");
    }
    a.pull(&b);
    // The keys lie as they are told.
    let mut other = Site::new(2);
    other.pull(&a);
    let state = other.store.space(&space()).unwrap();
    for (known, of) in [(a.id, 1), (b.id, 0)] {
        let from = VersionVector::from_iter([(known, 150)]);
        let lacked = (0..300).filter(|n| n / 3 % 2 == of).map(|n| format!("{n:03}"));
        let (keys, more) = state.slice(&from, None, 40 * (3 + 5 + 64));
        assert!(keys.iter().map(|(key, _)| key.to_string()).eq(lacked.take(40)) && more);
    }
}

#[test]
fn an_empty_store_holds_what_came_in_slices_and_goes_on_from_there() {
    let (mut from, mut to) = (Site::new(0), Site::new(1));
    let key = |n: usize| format!("key {n:05}");
    for n in 0..2_500 {
        from.set(&key(n), &format!("value {n}"));
    }
    (0..2_500).step_by(9).for_each(|n| _ = from.erase(&key(n)));
    // Slices of some three hundred keys: none is as long as what a table keeps together.
    let count = in_slices(&mut from, &mut to, 300 * 85, |_, _, _| ());
    assert!(count > 7, "{count} slices");
    assert_eq!(to.live(), from.live());
    assert_eq!(to.since(&VersionVector::new()).keys, from.snapshot().keys, "in the same order");
    assert_eq!(to.store.bytes(), from.store.bytes());
    // Keys that were there, keys between them and behind them: each has a place of its own.
    for n in (0..3_000).step_by(7) {
        to.set(&key(n), "again");
        to.set(&format!("{}, and one more", key(n)), "new");
    }
    (1..2_500).step_by(5).for_each(|n| _ = to.erase(&key(n)));
    assert_eq!(to.values(&key(2_498)), ["value 2498"]);
    from.pull(&to);
    assert_eq!(to.live(), from.live());
    assert_eq!(to.since(&VersionVector::new()).keys, from.snapshot().keys);
    assert_eq!(to.store.bytes(), from.store.bytes());
}

/// Whoever wrote them, and whatever they hold: they weigh what the limits count, one key after the other.
#[test]
fn a_slice_ends_behind_the_key_with_which_it_weighs_its_budget() {
    let (mut a, mut b) = (Site::new(0), Site::new(1));
    let (mut half, long) = (VersionVector::new(), "x".repeat(5_000));
    for n in 0..1_200_usize {
        let key = format!("k{:04}", n * 7 % 1_200);
        // Stretches of one author and one kind, and what interrupts them.
        let content = match n * 7 % 1_200 % 97 {
            0 => Content::Tombstone,
            1 => Content::Bytes(vec![1; 30].into()),
            2 => Content::Text("".into()),
            3 => Content::Text(long.as_str().into()),
            4..20 => Content::Json(format!("\"{:.>1$}\"", n, n % 60).as_str().into()),
            _ => Content::Text(format!("{:.>1$}", n, n % 60).as_str().into()),
        };
        let write = |site: &mut Site| {
            let expires_at = (n % 101 == 0).then_some(START + 1_000_000);
            site.write(vec![Mutation { key: key.as_str().into(), content: content.clone(), expires_at }], START);
        };
        match n * 7 % 1_200 % 300 {
            250..270 => write(&mut b),
            270..280 => [&mut a, &mut b].into_iter().for_each(write),
            _ => write(&mut a),
        }
        if n == 600 {
            half = a.vector();
        }
    }
    a.pull(&b);
    let (state, live) = (a.store.space(&space()).unwrap(), a.live());
    for from in [VersionVector::new(), half] {
        for budget in [0, 1, 100, 1_000, 20_000, 1 << 20] {
            let lacks = |set: &LiveSet| set.entries().iter().any(|entry| !from.contains(entry.dot()));
            let mut left = live.iter().filter(|(_, set)| lacks(set)).peekable();
            let (mut after, mut more): (Option<String>, bool) = (None, true);
            while more {
                let (mut weight, mut expected) = (0, Vec::new());
                while let Some((key, set)) = left.next_if(|_| weight < budget || expected.is_empty()) {
                    weight +=
                        (key.len() + set.entries().iter().map(|entry| entry.content.len() + 64).sum::<usize>()) as u64;
                    expected.push(key.clone());
                }
                let (keys, goes_on) = state.slice(&from, after.as_deref(), budget);
                assert!(
                    keys.iter().map(|(key, _)| &**key).eq(expected.iter().map(String::as_str)),
                    "{budget} {after:?}"
                );
                (after, more) = (expected.pop(), goes_on);
                assert_eq!(more, left.peek().is_some());
            }
        }
    }
}
