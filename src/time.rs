//! The hybrid logical clock: arbitration between concurrent writes.
//!
//! Invariants: a clock never goes back, and its stamps are greater than all stamps that it has received. It reads no
//! time itself (every call supplies it), and it does not detect concurrency: version vectors do that.
//!
//! Source: Kulkarni et al., *Logical Physical Clocks*, OPODIS 2014.

use alloc::string::String;
use core::fmt;

use crate::mutant::{Mutant, off};

/// Milliseconds since 1970-01-01 UTC, according to the host's clock.
pub type Millis = u64;

/// The greatest time that a stamp can hold: 48 bits of milliseconds.
pub const MILLIS_MAX: Millis = (1 << 48) - 1;

/// One reading of a hybrid logical clock: 48 bits of milliseconds, then a 16-bit counter.
///
/// ```
/// use edge_session::time::Hlc;
/// let stamp = Hlc::new(1_000, 2);
/// assert_eq!((stamp.millis(), stamp.counter()), (1_000, 2));
/// assert!(stamp < Hlc::new(1_001, 0));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hlc(u64);

impl Hlc {
    /// The reading of `millis` (limited to 48 bits) and `counter`.
    #[must_use]
    pub fn new(millis: Millis, counter: u16) -> Self {
        Self((millis.min(MILLIS_MAX) << 16) | u64::from(counter))
    }

    /// The reading as one number; its order is the order of readings.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The inverse of [`Hlc::to_bits`].
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The physical part, in milliseconds.
    #[must_use]
    pub const fn millis(self) -> Millis {
        self.0 >> 16
    }

    /// The logical part.
    #[must_use]
    pub const fn counter(self) -> u16 {
        (self.0 & 0xffff) as u16
    }

    /// The next greater reading; a full counter overflows into the milliseconds.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.millis(), self.counter())
    }
}

impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A hybrid logical clock, represented by its greatest stamp.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct HlcClock {
    last: Hlc,
}

impl HlcClock {
    /// The stamp for a new write at `now`: greater than every stamp issued or received before, whatever `now` is.
    pub fn tick(&mut self, now: Millis) -> Hlc {
        self.last = self.last.next().max(Hlc::new(now, 0));
        self.last
    }

    /// Receives a stamp from elsewhere.
    pub fn receive(&mut self, stamp: Hlc) {
        if !off(Mutant::HlcReceive) {
            self.last = self.last.max(stamp);
        }
    }

    /// The greatest stamp issued or received.
    #[must_use]
    pub const fn last(&self) -> Hlc {
        self.last
    }
}

/// A time as ISO 8601 text, in UTC.
///
/// ```
/// assert_eq!(edge_session::time::iso(1_790_000_000_123), "2026-09-21T14:13:20.123Z");
/// ```
#[must_use]
pub fn iso(at: Millis) -> String {
    let (days, rest) = (at / 86_400_000, at % 86_400_000);
    // Howard Hinnant's civil_from_days, for days since 1970: eras of 400 years that begin in March.
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (seconds, millis) = (rest / 1_000, rest % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    alloc::format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_back_does_not_take_stamps_back() {
        let mut clock = HlcClock::default();
        let first = clock.tick(5_000);
        let second = clock.tick(1);
        assert!(second > first);
        assert_eq!(second, Hlc::new(5_000, 1));
    }

    #[test]
    fn a_received_stamp_is_passed_by_the_next_own_one() {
        let mut clock = HlcClock::default();
        clock.receive(Hlc::new(9_000, 7));
        assert_eq!(clock.tick(1_000), Hlc::new(9_000, 8));
    }

    #[test]
    fn a_full_counter_spills_into_the_next_millisecond() {
        let mut clock = HlcClock::default();
        clock.receive(Hlc::new(4, u16::MAX));
        assert_eq!(clock.tick(4), Hlc::new(5, 0));
    }
}
