//! Runs made by hand, as no store writes them: what of them is taken, and what is refused.

use super::*;

/// A delta of the replica `a`, up to 100, whose keys are these bytes.
fn frame_of(keys: &[u8]) -> Vec<u8> {
    frame_since(&[], &[(replica(0), 100)], keys)
}

fn frame_since(from: &[(ReplicaId, u64)], to: &[(ReplicaId, u64)], keys: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.space(&space());
    [from, to].into_iter().for_each(|dots| writer.vector(&VersionVector::from_iter(dots.iter().copied())));
    writer.u64(Hlc::new(START, 0).to_bits());
    writer.bytes(keys);
    writer.finish()
}

/// An item of CBOR: of a kind, and with a number.
fn item(major: u8, number: u64) -> Vec<u8> {
    [&[major << 5 | 27][..], &number.to_be_bytes()].concat()
}

fn signed(number: i64) -> Vec<u8> {
    if number < 0 { item(1, !number as u64) } else { item(0, number as u64) }
}

/// A run of text, with its head, how many it says it has, and columns as they are written.
fn run(text: &[u8], head: u64, count: u64, columns: [&[i64]; 4]) -> Vec<u8> {
    let columns = columns.into_iter().flatten().flat_map(|number| signed(*number));
    [item(3, text.len() as u64), text.to_vec(), item(0, head), item(0, count)]
        .concat()
        .into_iter()
        .chain(columns)
        .collect()
}

/// The same, beside entries of the origin of this place that are known.
fn beside(text: &[u8], head: u64, known: u64, columns: [&[i64]; 5]) -> Vec<u8> {
    let columns = columns.into_iter().flatten().flat_map(|number| signed(*number));
    let front = [item(3, text.len() as u64), text.to_vec(), item(0, head), item(0, known), item(0, 8)].concat();
    front.into_iter().chain(columns).collect()
}

/// Eight numbers, of which one is another.
fn but(number: i64, at: usize, other: i64) -> [i64; 9] {
    let mut column = [number; 9];
    (column[0], column[at + 1]) = (-8, other);
    column
}

#[test]
fn runs_that_contradict_themselves_are_refused() {
    const TEXT: &str = "k1value-1k2value-2k3value-3k4value-4k5value-5k6value-6k7value-7k8value-8";
    let good: [&[i64]; 4] = [&[8, 2], &[8, 7], &[-2, 1, 2, 6, 0], &[8, 0]];
    let refused = |what: &str, keys: Vec<u8>| {
        let told = read(&frame_of(&keys));
        assert_eq!(told.map(drop).map_err(|error| error.code()), Err(ErrorCode::MessageMalformed), "{what}");
    };
    let of = |text: &str| run(text.as_bytes(), 4, 8, good);
    let with = |at: usize, column: &[i64]| {
        let mut columns = good;
        columns[at] = column;
        run(TEXT.as_bytes(), 4, 8, columns)
    };
    let delta = read(&frame_of(&of(TEXT))).unwrap();
    assert!(delta.keys.iter().map(|(key, _)| key.to_string()).eq((1..=8).map(|n| format!("k{n}"))));
    assert_eq!(read(&frame_of(&run(TEXT.as_bytes(), 8, 8, good))).unwrap().keys.len(), 8, "JSON");

    for count in [0, 1, 7, 9, 100, 1 << 32, u64::MAX] {
        refused("another count", run(TEXT.as_bytes(), 4, count, good));
    }
    for head in [0, 12, 16, 5, 6, 7, 24, u64::MAX] {
        refused("another kind, flags or origin", run(TEXT.as_bytes(), head, 8, good));
    }
    for key in [1, 3, 0, -1, 4_097, i64::MAX, i64::MIN] {
        refused("lengths of keys", with(0, &[8, key]));
        refused("the length of a key", with(0, &but(2, 3, key)));
    }
    for value in [6, 8, 0, -7, 4_097, i64::MAX, i64::MIN] {
        refused("lengths of values", with(1, &[8, value]));
        refused("the length of a value", with(1, &but(7, 7, value)));
    }
    for column in [
        &[][..],
        &[7, 0],
        &[9, 0],
        &[0, 0],
        &[-9, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[-7, 0, 0, 0, 0, 0, 0, 0],
        &[7, 0, 2, 0],
        &[i64::MAX, 0],
        &[i64::MIN, 0],
    ] {
        (0..4).for_each(|at| refused("a column of another length", with(at, column)));
    }
    for sequences in [&[8, 0][..], &[8, -1], &[8, 101], &but(0, 0, 101), &but(1, 4, i64::MAX), &but(5, 1, -5)] {
        refused("sequences", with(2, sequences));
    }
    for clocks in [&[8, 1][..], &[-3, -1, 2, 0, 5, 0], &[8, i64::MAX]] {
        refused("clocks", with(3, clocks));
    }
    refused("keys out of order", of(&TEXT.replace("k3", "k2")));
    refused("keys out of order", of(&TEXT.replace("k3", "k0")));
    let mut text = TEXT.as_bytes().to_vec();
    text[20] = 0xff;
    refused("text that is none", run(&text, 4, 8, good));
    refused("less text", of(&TEXT[..71]));
    refused("more text", of(&format!("{TEXT}!")));
    // Each of them by itself has to be text, not all of them together.
    refused("a character that a value begins in", of(&TEXT.replace("3va", "\u{e9}a")));
    refused("a character that a key begins in", of(&TEXT.replace("3k4", "\u{e9}4")));
    // In the last one, where no key behind it is out of order by that.
    refused("a character that the last value begins in", of(&TEXT.replace("8va", "\u{e9}a")));
    refused("a character that the last key begins in", of(&TEXT.replace("7k8", "\u{e9}8")));
    refused("a longer text than stands there", [item(3, 1 << 40), TEXT.as_bytes().to_vec()].concat());
    refused("nothing behind the text", [item(3, 72), TEXT.as_bytes().to_vec()].concat());

    // What stands before and behind it is in order with it, and each origin's sequences go on.
    let row = |shared: i64, suffix: &[u8], ahead: i64| {
        let text = |text: &[u8]| [item(3, text.len() as u64), text.to_vec()].concat();
        [signed(shared), text(suffix), item(0, 4), signed(ahead), signed(0), text(b"v")].concat()
    };
    let other = [&[-8, 1, 2, 1, 2, 1, 2, 1, 2][..], &[8, 7], &[-1, 1, 7, 0], &[8, 0]];
    let texts = ["m", "mm", "n", "nn", "o", "oo", "p", "pp"].map(|key| format!("{key}value-m")).concat();
    let all = [row(0, b"k0", 9), of(TEXT), row(1, b"9", 3), run(texts.as_bytes(), 4, 8, other), row(1, b"q", 1)];
    let delta = read(&frame_of(&all.concat())).unwrap();
    let told = delta.keys.iter().map(|(key, set)| (key.to_string(), set[0].dot().sequence)).collect::<Vec<_>>();
    assert_eq!(told.len(), 19);
    assert_eq!([0, 1, 2, 8, 9, 10, 17, 18].map(|at| told[at].1), [9, 10, 12, 12, 15, 16, 16, 17]);
    assert_eq!([0, 1, 9, 10, 17, 18].map(|at| told[at].0.as_str()), ["k0", "k1", "k9", "m", "pp", "pq"]);
    refused("a key before the run that is not below it", [row(0, b"k1", 9), of(TEXT)].concat());
    refused("a key behind the run that is not above it", [of(TEXT), row(1, b"8", 9)].concat());
    refused("two runs out of order", [of(TEXT), of(TEXT)].concat());
}

/// A run of many keys is read part by part: what one must be to the one before it must be across parts too.
#[test]
fn runs_that_contradict_themselves_where_a_part_ends_are_refused() {
    let key = |at: usize| format!("{at:03}");
    let with = |twice: usize, moved: usize| {
        let rows =
            (0..600).map(|at| (key(if at == twice { at - 1 } else { at }), format!("{}é", "v".repeat(20 + at % 3))));
        let rows: Vec<_> = rows.collect();
        let text: String = rows.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()]).collect();
        // The last byte of the value before it is the first one of that key.
        let less = |at: usize| i64::from(at == moved);
        let keys = (0..600).map(|at| rows[at].0.len() as i64 + less(at));
        let values = (0..600).map(|at| rows[at].1.len() as i64 - less(at + 1));
        let [keys, values]: [Vec<_>; 2] =
            [[-600].into_iter().chain(keys).collect(), [-600].into_iter().chain(values).collect()];
        read(&frame_of(&run(text.as_bytes(), 4, 600, [&keys, &values, &[-1, 1, 599, 0], &[600, 0]])))
    };
    let all = with(1_000, 1_000).unwrap();
    assert!(all.keys.iter().map(|(key, _)| key.to_string()).eq((0..600).map(key)));
    for at in [1, 255, 256, 257, 512, 599] {
        for told in [with(at, 1_000), with(1_000, at)] {
            assert_eq!(told.map(drop).map_err(|error| error.code()), Err(ErrorCode::MessageMalformed), "{at}");
        }
    }
}

/// A run of these keys and values, of writes that follow each other.
fn run_of(rows: &[(String, String)]) -> Vec<u8> {
    let count = rows.len() as i64;
    let keys: Vec<i64> = [-count].into_iter().chain(rows.iter().map(|(key, _)| key.len() as i64)).collect();
    let values: Vec<i64> = [-count].into_iter().chain(rows.iter().map(|(_, value)| value.len() as i64)).collect();
    let text: String = rows.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()]).collect();
    run(text.as_bytes(), 4, rows.len() as u64, [&keys, &values, &[count, 1], &[count, 0]])
}

#[test]
fn a_run_of_several_parts_is_read_as_a_slow_reader_reads_it() {
    let rows: Vec<_> = (0..600).map(|at| (format!("{at:03}"), "v".repeat(20))).collect();
    let told = frame_since(&[], &[(replica(0), 600)], &run_of(&rows));
    assert!(slowly(&told).and_then(|slow| slow.keys()).unwrap().0 == plainly(&read(&told).unwrap()));
}

/// Each beside a run that is taken, from which it differs in nothing else.
#[test]
fn runs_of_what_takes_more_room_than_it_is_worth_are_refused() {
    let rows =
        |count: usize, len: usize| -> Vec<_> { (0..count).map(|at| (format!("{at:03}"), "v".repeat(len))).collect() };
    let with = |key: usize, value: usize| {
        let mut rows = rows(9, 20);
        rows[8] = ("9".repeat(key), "v".repeat(value));
        rows
    };
    for (what, taken, refused) in [
        ("few keys", rows(8, 20), rows(7, 20)),
        ("short texts", rows(100, 5), rows(100, 4)),
        ("more than a block", rows(17, 3_500), rows(18, 3_500)),
        ("no value", with(3, 1), with(3, 0)),
        ("a long value", with(3, 4_096), with(3, 4_097)),
        ("a long key", with(4_096, 1), with(4_097, 1)),
    ] {
        assert_eq!(read(&frame_of(&run_of(&taken))).unwrap().keys.len(), taken.len(), "{what}");
        let told = read(&frame_of(&run_of(&refused)));
        assert_eq!(told.map(drop).map_err(|error| error.code()), Err(ErrorCode::MessageMalformed), "{what}");
    }
}

/// What is told in runs, by whomever, is not longer than what is told by itself may be.
#[test]
fn runs_of_longer_texts_than_a_store_takes_are_refused() {
    for at in [0, 4, 8] {
        let rows = |key: usize, value: usize| -> Vec<_> {
            let row = |n: usize| match n == at {
                true => (n.to_string().repeat(key), "v".repeat(value)),
                false => (n.to_string(), "value".repeat(3)),
            };
            (0..9).map(row).collect()
        };
        let take = |keys: &[(String, String)]| {
            let limits = Limits { key_bytes: 10, value_bytes: 40, ..Limits::default() };
            let mut store = SessionConsistentStore::new(limits);
            let taken = store.apply(read(&frame_of(&run_of(keys))).unwrap());
            let held = store.space(&space()).map_or(0, |state| state.iter().count());
            (taken.map(drop).map_err(|error| error.code()), held)
        };
        assert_eq!(take(&rows(10, 40)), (Ok(()), 9));
        assert_eq!(take(&rows(11, 40)), (Err(ErrorCode::KeyInvalid), 0));
        assert_eq!(take(&rows(10, 41)), (Err(ErrorCode::ValueTooLarge), 0));
    }
}

#[test]
fn runs_beside_what_is_known_that_contradict_themselves_are_refused() {
    const TEXT: &str = "k1value-number-1k2value-number-2k3value-number-3k4value-number-4k5value-number-5k6value-number-6k7value-number-7k8value-number-8";
    let (good, from): ([&[i64]; 5], _) = ([&[8, 2], &[8, 14], &[8, 1], &[8, 0], &[8, 2]], [(replica(1), 30)]);
    let frame = |keys: &[u8]| frame_since(&from, &[(replica(0), 100), (replica(1), 30)], keys);
    let refused = |what: &str, keys: Vec<u8>| {
        let told = read(&frame(&keys));
        assert_eq!(told.map(drop).map_err(|error| error.code()), Err(ErrorCode::MessageMalformed), "{what}");
    };
    let with = |column: &[i64]| {
        let [keys, values, ahead, since, _] = good;
        beside(TEXT.as_bytes(), 26, 0, [keys, values, ahead, since, column])
    };
    // The table has the replicas in the order in which the vectors name them: first whom the receiver knows.
    let delta = read(&frame(&with(good[4]))).unwrap();
    let dots = |at: usize| delta.keys.iter().nth(at).unwrap().1.iter().map(Listed::dot).collect::<Vec<_>>();
    assert_eq!(dots(0), [Dot::new(replica(1), 2), Dot::new(replica(0), 1)]);
    assert_eq!(dots(7), [Dot::new(replica(1), 16), Dot::new(replica(0), 8)]);
    assert_eq!(read(&frame(&beside(TEXT.as_bytes(), 30, 0, good))).unwrap().keys.len(), 8, "JSON");

    for (head, known) in [(26, 1), (6, 0), (26, 2), (26, u64::MAX), (18, 0), (22, 0), (34, 0), (38, 0)] {
        refused("one origin twice, none, or another kind", beside(TEXT.as_bytes(), head, known, good));
    }
    for column in [&[][..], &[7, 2], &[9, 2], &[8, 0], &[8, -1], &[8, 4], &but(1, 3, i64::MAX), &but(1, 5, -9)] {
        refused("dots", with(column));
    }
    refused("no column of dots", run(TEXT.as_bytes(), 26, 0, [&[8], &[8, 2], &[8, 14], &[8, 1, 8, 0]]));
    let [keys, _, ahead, since, known] = good;
    let short = "k1value1k2value2k3value3k4value4k5value5k6value6k7value7k8value8";
    refused("too little text", beside(short.as_bytes(), 26, 0, [keys, &[8, 6], ahead, since, known]));

    // What stands behind it goes on from its last, of both origins.
    let dot = |suffix: &[u8], head: u64, ahead: i64| {
        [signed(-2), item(0, 1), item(3, suffix.len() as u64), suffix.to_vec(), item(0, head), signed(ahead)].concat()
    };
    let delta = read(&frame(&[with(good[4]), dot(b"9", 16, 3)].concat())).unwrap();
    assert_eq!(delta.keys.last().unwrap().1[0].dot(), Dot::new(replica(1), 19));
    refused("a dot that the receiver cannot know", [with(good[4]), dot(b"9", 16, 15)].concat());
}
