//! A stable sort for what is seldom sorted, in little code: each element type that the standard library sorts adds 2 to 3 KB
//! of gzip to the module. Hot sorts use the standard library; this one takes a fifth longer.
//!
//! Invariant: equal elements keep their order. At most n log n comparisons, and n if everything is in order already.

use alloc::vec::Vec;

/// Puts a list in order.
pub(crate) fn sort<T: Copy>(list: &mut [T], is_less: impl Fn(&T, &T) -> bool) {
    halves(list, &mut Vec::with_capacity(list.len()), &is_less);
}

fn halves<T: Copy>(list: &mut [T], merged: &mut Vec<T>, is_less: &dyn Fn(&T, &T) -> bool) {
    let (left, right) = list.split_at_mut(list.len() / 2);
    if left.is_empty() {
        return;
    }
    halves(left, merged, is_less);
    halves(right, merged, is_less);
    if left.last().zip(right.first()).is_none_or(|(last, first)| !is_less(first, last)) {
        return;
    }
    merged.clear();
    let (mut ones, mut others) = (&*left, &*right);
    while let (Some((one, more)), Some((other, rest))) = (ones.split_first(), others.split_first()) {
        if is_less(other, one) {
            merged.push(*other);
            others = rest;
        } else {
            merged.push(*one);
            ones = more;
        }
    }
    merged.extend_from_slice(ones);
    merged.extend_from_slice(others);
    list.copy_from_slice(merged);
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_the_standard_library_sorts(mut list in proptest::collection::vec((0..50_u8, any::<u8>()), 0..300)) {
            let mut sorted = list.clone();
            sorted.sort_by_key(|(key, _)| *key);
            sort(&mut list, |one, other| one.0 < other.0);
            prop_assert_eq!(list, sorted);
        }
    }

    #[test]
    fn what_is_in_order_is_compared_once() {
        let compared = core::cell::Cell::new(0);
        let mut list: Vec<u32> = (0..1_000).collect();
        sort(&mut list, |one, other| {
            compared.set(compared.get() + 1);
            one < other
        });
        assert_eq!(compared.get(), 999);
        assert!(list.is_sorted());
    }
}
