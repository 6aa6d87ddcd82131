//! Version vectors: the bytes are a frame of vectors, and the laws are held to them.

use edge_session::codec::{Reader, Writer};
use edge_session::error::SessionError;
use edge_session::id::Dot;
use edge_session::vector::VersionVector;

/// The most vectors of an input that are looked at: the laws take three each.
const VECTORS_MAX: usize = 8;

/// Takes the bytes as vectors.
pub fn run(bytes: &[u8]) {
    let Ok(vectors) = read(bytes) else { return };
    assert_eq!(read(&write(&vectors)).as_ref(), Ok(&vectors), "what is written is read");
    assert!(write(&vectors).len() <= 2 * bytes.len(), "what is read is not blown up");
    for a in &vectors {
        assert!(a.dominates(a) && &join(a, a) == a);
        for b in &vectors {
            assert_pair(a, b);
            vectors.iter().for_each(|c| assert_eq!(join(&join(a, b), c), join(a, &join(b, c))));
        }
    }
}

fn assert_pair(a: &VersionVector, b: &VersionVector) {
    let both = join(a, b);
    assert_eq!(both, join(b, a));
    assert!(both.dominates(a) && both.dominates(b));
    assert_eq!(a == b, a.dominates(b) && b.dominates(a));
    assert_eq!(a.dominates(b), &both == a);
    assert_eq!(a.partial_cmp(b), b.partial_cmp(a).map(std::cmp::Ordering::reverse));
    let mut filled = a.clone();
    for gap in a.gaps(b) {
        assert!(gap.have < gap.need && !a.contains(Dot::new(gap.replica, gap.need)));
        filled.advance(Dot::new(gap.replica, gap.need));
    }
    assert_eq!(filled, both, "what is missing is what the join adds");
}

fn join(a: &VersionVector, b: &VersionVector) -> VersionVector {
    let mut join = a.clone();
    join.join(b);
    join
}

/// Reads a frame that holds vectors and nothing else.
pub fn read(bytes: &[u8]) -> Result<Vec<VersionVector>, SessionError> {
    let mut reader = Reader::open(bytes)?;
    let count = reader.items();
    let mut vectors = Vec::new();
    for _ in 0..count {
        let vector = reader.vector()?;
        if vectors.len() < VECTORS_MAX {
            vectors.push(vector);
        }
    }
    reader.end()?;
    Ok(vectors)
}

/// A frame of vectors.
pub fn write(vectors: &[VersionVector]) -> Vec<u8> {
    let mut writer = Writer::new();
    for vector in vectors {
        writer.item();
        writer.vector(vector);
    }
    writer.finish()
}
