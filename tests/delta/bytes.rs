//! Deltas as bytes: what is read is what was written, however long keys and values are and however blocks of text end.

use super::*;
use edge_session::codec::{Reader, Writer};
use edge_session::id::SessionId;
use edge_session::store::delta::Listed;
use edge_session::time::Hlc;

fn reread(delta: &Delta) -> Delta {
    let mut writer = Writer::new();
    delta.encode(&mut writer);
    Delta::decode(&mut Reader::open(&writer.finish()).unwrap()).unwrap()
}

/// A delta since nothing of these keys, with the values of one write each.
fn of(keys: impl IntoIterator<Item = (String, String)>) -> Delta {
    let hlc = Hlc::new(START, 0);
    let one = |(at, (key, value)): (u64, (String, String))| {
        let entry = DataEntry::new(Content::Text(value.into()), Dot::new(replica(0), at + 1), hlc, None, None);
        (key.into(), vec![Listed::Entry(entry)].into())
    };
    let keys: Keys = (0..).zip(keys).map(one).collect();
    let to = VersionVector::from_iter([(replica(0), keys.len() as u64)]);
    Delta { space: space(), from: VersionVector::new(), to, hlc, keys }
}

/// Whoever allows such keys reads the one after them as it is, not from another place of the same block.
#[test]
fn a_short_key_after_a_very_long_one_is_read_as_it_is() {
    for len in [4_096, 4_097, 8_191, 8_192, 8_193, 57_344, 61_440, 65_535, 65_536, 70_000, 200_000] {
        let long = |first: &str| format!("{first}{}", "x".repeat(len - first.len()));
        let keys = [long("a"), "b".into(), "bc".into(), long("c"), long("cy"), "d".into(), String::from("e")];
        let delta = of(keys.into_iter().map(|key| (key, String::from("value"))));
        assert!(reread(&delta) == delta, "after a key of {len} bytes");
    }
}

type Draft = (usize, u8, usize, bool, u64, Option<u64>);

/// Members of one key by several origins, of which some write for sessions, some end, and some are known.
fn any_sets() -> impl Strategy<Value = Vec<(u8, Vec<Draft>)>> {
    let len = prop_oneof![6 => 0..40_usize, 2 => 1_000..4_200_usize, 1 => Just(20_000_usize)];
    let draft = (0..4_usize, 0..6_u8, len, any::<bool>(), 0..300_u64, prop::option::of(0..1_000_u64));
    prop::collection::vec((0..40_u8, prop::collection::vec(draft, 0..4)), 0..700)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_read_is_what_was_written(sets in any_sets(), wide in any::<bool>()) {
        let hlc = Hlc::new(START + 1_000, 9);
        let (mut from, mut to) = (VersionVector::new(), VersionVector::new());
        let mut pairs = Vec::new();
        for (at, (shared, drafts)) in sets.into_iter().enumerate() {
            let key = format!("{at:06}{}{}", if wide { "ä😀" } else { "" }, "k".repeat(usize::from(shared) * 3));
            let mut set: BTreeMap<usize, Listed> = BTreeMap::new();
            for (origin, kind, len, session, clock, end) in drafts {
                let dot = Dot::new(replica(origin), 1 + (at as u64 * 7) % 900);
                let text = if wide { "ä".repeat(len / 2) } else { "v".repeat(len) };
                let content = match kind {
                    0 => Content::Tombstone,
                    1 => Content::Bytes(text.as_bytes().into()),
                    2 => Content::Json(text.as_str().into()),
                    3 => {
                        from.advance(dot);
                        set.insert(origin, Listed::Known(dot.into()));
                        continue;
                    }
                    _ => Content::Text(text.as_str().into()),
                };
                to.advance(dot);
                let session = session.then(|| SessionId::from_bytes([clock as u8 % 5; 16]));
                let stamp = Hlc::new(START + clock, 0);
                set.insert(origin, Listed::Entry(DataEntry::new(content, dot, stamp, session, end.map(|end| START + end))));
            }
            pairs.push((key.as_str().into(), set.into_values().collect()));
        }
        let delta = Delta { space: space(), from, to, hlc, keys: Keys::from(pairs) };
        prop_assert!(reread(&delta) == delta);
    }
}
