//! Interpolation search: estimates the place of a key among ascending ones, with its characters read as a number between the
//! first key and the last.
//!
//! Keys of applications are mostly numbered or random digits, so the first guess is close. A binary search waits for memory
//! eight times among 256 keys. Invariant: a guess is only where to look first, and decides nothing.

/// What stands behind what all keys begin with, as a number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Guess {
    common: u16,
    /// Ten, where it is decimal; else sixteen.
    base: u8,
    first: u32,
    last: u32,
}

/// So many characters are looked at: of either base their number has 32 bits.
const DIGITS: usize = 8;

impl Guess {
    /// For keys from the first to the last.
    #[inline(never)]
    pub(super) fn of(first: &[u8], last: &[u8]) -> Self {
        let common = first.iter().zip(last).take_while(|(one, other)| one == other).count();
        let decimal = [first, last].into_iter().all(|key| digits(key, common).all(|digit| digit.is_ascii_digit()));
        let base = if decimal { 10 } else { 16 };
        let number = |key| number(key, common, base);
        Self { common: common as u16, base, first: number(first), last: number(last) }
    }

    /// Which of so many a key may be.
    pub(super) fn about(&self, key: &[u8], count: usize) -> usize {
        let Self { common, base, first, last } = *self;
        let ahead = number(key, common.into(), base).saturating_sub(first);
        let (ahead, all) = (u64::from(ahead), u64::from(last.saturating_sub(first)));
        let most = count.saturating_sub(1);
        ((ahead * most as u64).checked_div(all).unwrap_or_default() as usize).min(most)
    }
}

/// The characters up to one that separates them from others.
fn digits(key: &[u8], from: usize) -> impl Iterator<Item = &u8> {
    key.iter().skip(from).take(DIGITS).take_while(|byte| byte.is_ascii_alphanumeric())
}

/// The number of these characters, as if zeros followed. Of a character that is no digit it says something.
#[inline(never)]
fn number(key: &[u8], from: usize, base: u8) -> u32 {
    let (mut number, mut behind) = (0_u32, key.iter().skip(from));
    for _ in 0..DIGITS {
        let digit = behind.next().map_or(0, |byte| (byte & 15) + 9 * (byte >> 6)).min(base.saturating_sub(1));
        number = number.wrapping_mul(base.into()).wrapping_add(digit.into());
    }
    number
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;

    /// How far off the guesses are, at most.
    fn off(keys: &[String]) -> usize {
        let bytes: Vec<_> = keys.iter().map(|key| key.as_bytes()).collect();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return 0 };
        let guess = Guess::of(first, last);
        bytes.iter().enumerate().map(|(at, key)| guess.about(key, bytes.len()).abs_diff(at)).max().unwrap_or_default()
    }

    #[test]
    fn numbered_keys_are_where_they_are_guessed() {
        for from in [0, 95, 990, 12_345, 9_999_900] {
            let keys: Vec<_> = (from..from + 256).map(|n| format!("key:{n:012}")).collect();
            assert!(off(&keys) <= 1, "{} from {from}", off(&keys));
            let keys: Vec<_> = (from..from + 256).map(|n| format!("key:{n:012x}")).collect();
            // Where the first and the last have no letter they look decimal.
            assert!(off(&keys) <= 64, "{} from {from}, hexadecimal", off(&keys));
            let keys: Vec<_> = (from..from + 256).map(|n| format!("{n:08}:name")).collect();
            assert!(off(&keys) <= 1, "{} from {from}, with something behind", off(&keys));
        }
        let mut random: Vec<_> =
            (0..256_u64).map(|n| format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        random.sort();
        assert!(off(&random) <= 8, "{} of random ones", off(&random));
    }

    #[test]
    fn whatever_is_guessed_is_one_of_them() {
        let keys = ["", "a", "\u{e9}", "key:1", "key:2", "zzzzzzzzzzzz", "99999999", "0"];
        for first in keys {
            for last in keys {
                let guess = Guess::of(first.as_bytes(), last.as_bytes());
                for key in keys {
                    assert!([1, 2, 256].iter().all(|count| guess.about(key.as_bytes(), *count) < *count));
                    assert_eq!(guess.about(key.as_bytes(), 0), 0);
                }
            }
        }
    }
}
