//! W7: two vectors of so many replicas, encoded, decoded, merged and compared, as a frame carries them.
//!
//! The second vector lacks every tenth replica and is ahead at every third, so that merging and comparing go to the
//! end. Exported by name and number alone: the host calls `prepare`, then a function with how often.

use std::cell::RefCell;
use std::hint::black_box;

use edge_session::codec::{Reader, Writer};
use edge_session::id::ReplicaId;
use edge_session::vector::VersionVector;

struct Pair {
    left: VersionVector,
    right: VersionVector,
    frame: Vec<u8>,
}

thread_local! {
    static PAIR: RefCell<Option<Pair>> = const { RefCell::new(None) };
}

fn id(number: u32) -> ReplicaId {
    // Ten bytes as random ones are: a multiplicative hash spreads them.
    let spread = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let mut random = [0; 10];
    random.copy_from_slice(&spread.to_be_bytes()[..10]);
    ReplicaId::new("edge", random).expect("a legal label")
}

fn frame(vector: &VersionVector) -> Vec<u8> {
    let mut writer = Writer::about(vector);
    writer.item();
    writer.vector(vector);
    writer.finish()
}

fn read(frame: &[u8], known: Option<&VersionVector>) -> VersionVector {
    Reader::within(frame, known, Reader::vector).expect("what was written is read")
}

fn with(times: u32, work: impl Fn(&Pair) -> u32) -> u32 {
    PAIR.with_borrow(|pair| {
        let pair = pair.as_ref().expect("prepare comes first");
        (0..times).fold(0_u32, |sum, _| sum.wrapping_add(work(black_box(pair))))
    })
}

/// Makes the two vectors, and answers the bytes of a frame that holds one of them; 0 if a law does not hold.
#[unsafe(no_mangle)]
pub extern "C" fn prepare(replicas: u32) -> u32 {
    let left: VersionVector = (0..replicas).map(|at| (id(at), u64::from(at) + 1_000)).collect();
    let kept = (0..replicas).filter(|at| at % 10 != 9);
    let right: VersionVector = kept.map(|at| (id(at), u64::from(at) + 1_000 + u64::from(at % 3 == 2))).collect();
    let frame = frame(&left);
    let mut both = left.clone();
    both.join(&right);
    let lawful = read(&frame, None) == left
        && read(&frame, Some(&right)) == left
        && read(&frame, Some(&left)) == left
        && both.dominates(&left)
        && both.dominates(&right)
        && !left.dominates(&right);
    let bytes = frame.len() as u32;
    PAIR.set(Some(Pair { left, right, frame }));
    if lawful { bytes } else { 0 }
}

/// Writes the vector as a frame.
#[unsafe(no_mangle)]
pub extern "C" fn encode(times: u32) -> u32 {
    with(times, |pair| frame(&pair.left).len() as u32)
}

/// Reads the frame, every check of it included, as a replica does that holds a vector of the same replicas.
#[unsafe(no_mangle)]
pub extern "C" fn decode(times: u32) -> u32 {
    with(times, |pair| read(&pair.frame, Some(&pair.left)).len() as u32)
}

/// The same by a replica that knows none of them.
#[unsafe(no_mangle)]
pub extern "C" fn decode_unknown(times: u32) -> u32 {
    with(times, |pair| read(&pair.frame, None).len() as u32)
}

/// Joins the second vector into a copy of the first.
#[unsafe(no_mangle)]
pub extern "C" fn merge(times: u32) -> u32 {
    with(times, |pair| {
        let mut both = pair.left.clone();
        both.join(&pair.right);
        both.len() as u32
    })
}

/// Asks how the two relate: here each has what the other lacks.
#[unsafe(no_mangle)]
pub extern "C" fn compare(times: u32) -> u32 {
    with(times, |pair| u32::from(pair.left.partial_cmp(&pair.right).is_some()))
}
