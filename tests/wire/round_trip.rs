//! Any frame that a replica could send is read as it was written.

use super::any::any_frame;
use super::*;
use proptest::prelude::*;

/// Under Miri every step is a thousand, and one case takes seconds.
const CASES: u32 = if cfg!(miri) { 1 } else { 512 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn what_is_written_is_read(frame in any_frame()) {
        let bytes = frame.encode();
        prop_assert_eq!(Frame::decode(&bytes).unwrap(), frame.clone());
        prop_assert_eq!(frame.encode(), bytes, "and always written alike");
    }

    #[test]
    fn what_is_read_is_written_alike_or_was_not_deterministic(
        frame in any_frame(),
        at: prop::sample::Index,
        to: u8,
    ) {
        let mut bytes = frame.encode();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(read) = Frame::decode(&bytes) {
            // Ids in another order than that of their first use may spare a byte an entry.
            prop_assert!(read.encode().len() <= 2 * bytes.len(), "what is read is not blown up");
        }
    }
}
