//! The fuzzers' targets under random, damaged and made-up inputs: no panic, no overflow, and whoever refuses is unchanged.
//!
//! The bodies are those of `tests/fuzz`, which fuzzes them for as long as one likes; here they run with every test. The
//! corpora in `tests/data/fuzz` are where both begin.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../common/any.rs"]
mod any;
mod corpora;
#[path = "../fuzz/src/lib.rs"]
mod fuzz;
mod history;

use std::sync::LazyLock;

use any::any_frame;
use corpora::{Corpora, corpora};
use edge_session::sync::message::Frame;
use fuzz::TARGETS;
use history::any_history;
use proptest::prelude::*;

/// One way to damage bytes, as fuzzers do.
#[derive(Clone, Debug)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Put(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Cut(prop::sample::Index, prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
    Splice(prop::sample::Index, prop::sample::Index),
}

fn any_damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    // Bytes that mean something in CBOR: heads, greatest and least numbers.
    let byte = || prop_oneof![any::<u8>(), prop::sample::select(vec![0, 1, 0x17, 0x18, 0x1b, 0x3b, 0x7f, 0x80, 0xff])];
    prop_oneof![
        (at(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, 1 << bit)),
        (at(), byte()).prop_map(|(at, to)| Damage::Put(at, to)),
        (at(), prop::collection::vec(byte(), 1..9)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (at(), at()).prop_map(|(from, to)| Damage::Cut(from, to)),
        (at(), at()).prop_map(|(from, to)| Damage::Repeat(from, to)),
        (at(), at()).prop_map(|(from, to)| Damage::Splice(from, to)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage], other: &[u8]) -> Vec<u8> {
    for damage in damages {
        let at = |index: &prop::sample::Index| index.index(bytes.len() + 1);
        let range = |from, to| if at(from) <= at(to) { at(from)..at(to) } else { at(to)..at(from) };
        match damage {
            Damage::Flip(index, bits) => {
                let at = at(index);
                bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= bits);
            }
            Damage::Put(index, to) => {
                let at = at(index);
                bytes.get_mut(at).into_iter().for_each(|byte| *byte = *to);
            }
            Damage::Insert(index, more) => {
                let at = at(index);
                bytes.splice(at..at, more.iter().copied());
            }
            Damage::Cut(from, to) => {
                let range = range(from, to);
                bytes.drain(range);
            }
            Damage::Repeat(from, to) => {
                let range = range(from, to);
                let again = bytes[range.clone()].to_vec();
                bytes.splice(range.end..range.end, again);
            }
            Damage::Splice(from, to) => {
                bytes.truncate(at(from));
                bytes.extend(&other[to.index(other.len() + 1)..]);
            }
        }
    }
    bytes
}

/// Of each way to make inputs, and for each target.
const CASES: u32 = 256;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        TARGETS.iter().for_each(|(_, run)| run(&bytes));
    }

    #[test]
    fn damaged_encodings_do_no_harm(
        at: prop::sample::Index,
        other: prop::sample::Index,
        damages in prop::collection::vec(any_damage(), 1..5),
    ) {
        static SEEDS: LazyLock<Corpora> = LazyLock::new(corpora);
        for (target, run) in TARGETS {
            let seeds: Vec<&[u8]> = SEEDS[target].values().map(Vec::as_slice).collect();
            let (seed, other): (&&[u8], &&[u8]) = (at.get(&seeds), other.get(&seeds));
            run(&damaged(seed.to_vec(), &damages, other));
        }
    }

    #[test]
    fn well_formed_frames_do_no_harm(frame in any_frame(), door in any::<u8>(), aimed in any::<bool>()) {
        // Half of them are for this replica and from a peer that it knows.
        let frame = if aimed { Frame { from: fuzz::host::peer(), to: None, ..frame } } else { frame };
        let bytes = [vec![door], frame.encode()].concat();
        fuzz::message::run(&bytes);
        fuzz::snapshot::run(&bytes);
        fuzz::delta::run(&bytes[1..]);
    }

    #[test]
    fn frames_of_real_histories_do_no_harm(frames in any_history(), door in any::<u8>(), damages in prop::collection::vec(any_damage(), 0..3)) {
        for frame in &frames {
            let bytes = damaged([vec![door], frame.encode()].concat(), &damages, &frames[0].encode());
            fuzz::message::run(&bytes);
            fuzz::snapshot::run(&bytes);
            fuzz::delta::run(bytes.get(1..).unwrap_or_default());
        }
    }

    #[test]
    fn vectors_keep_their_laws(vectors in prop::collection::vec(any::any_vector(), 0..6)) {
        let bytes = fuzz::vector::write(&vectors);
        fuzz::vector::run(&bytes);
        assert_eq!(fuzz::vector::read(&bytes), Ok(vectors));
    }

    #[test]
    fn signed_payloads_do_no_harm(
        fields in prop::collection::vec(("iss|sub|sid|cid|spc|gua|iat|exp|dep|aud|nbf|x", "-?[0-9]{1,20}|null|true|\"[ -~]{0,12}\"|\\{\\}|\\[\\]"), 0..10),
        suffix in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let payload = format!("{{{}}}~", fields.join(","));
        fuzz::token::run(&[&[1], payload.as_bytes(), &suffix].concat());
    }
}
