//! Sets of writes, as bits: what a replica holds, what a session depends on, a write's causal past.

/// A write of the history, by its number.
pub type WriteId = usize;

/// A set of writes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Set {
    words: Vec<u64>,
}

impl Set {
    /// Puts a write in.
    pub fn insert(&mut self, write: WriteId) {
        if self.words.len() <= write / 64 {
            self.words.resize(write / 64 + 1, 0);
        }
        self.words[write / 64] |= 1 << (write % 64);
    }

    /// Takes a write out.
    pub fn remove(&mut self, write: WriteId) {
        if let Some(word) = self.words.get_mut(write / 64) {
            *word &= !(1 << (write % 64));
        }
    }

    /// Whether the write is in.
    #[must_use]
    pub fn contains(&self, write: WriteId) -> bool {
        self.words.get(write / 64).is_some_and(|word| word & (1 << (write % 64)) != 0)
    }

    /// Puts all of `other` in.
    pub fn join(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        self.words.iter_mut().zip(&other.words).for_each(|(own, theirs)| *own |= theirs);
    }

    /// A write that `needed` has and this set lacks.
    #[must_use]
    pub fn lacks(&self, needed: &Self) -> Option<WriteId> {
        let missing = |(at, word): (usize, &u64)| {
            let missing = word & !self.words.get(at).copied().unwrap_or(0);
            (missing != 0).then(|| at * 64 + missing.trailing_zeros() as usize)
        };
        needed.words.iter().enumerate().find_map(missing)
    }

    /// The writes, in order.
    pub fn iter(&self) -> impl Iterator<Item = WriteId> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| bits(at, *word))
    }

    /// The writes that are in both, in order.
    pub fn common<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = WriteId> + 'a {
        self.words.iter().zip(&other.words).enumerate().flat_map(|(at, (own, theirs))| bits(at, own & theirs))
    }
}

/// The writes of one word.
fn bits(at: usize, mut word: u64) -> impl Iterator<Item = WriteId> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(at * 64 + bit)
    })
}

impl FromIterator<WriteId> for Set {
    fn from_iter<I: IntoIterator<Item = WriteId>>(writes: I) -> Self {
        let mut set = Self::default();
        writes.into_iter().for_each(|write| set.insert(write));
        set
    }
}
