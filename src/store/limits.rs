//! What a replica accepts, so that no caller and no peer can make it grow without bound.

use crate::error::{ErrorCode, SessionError};
use crate::store::delta::{Delta, Listed};
use crate::store::entry::{Content, ENTRY_OVERHEAD, Key};
use crate::store::space::Growth;

/// The limits of a store. Sizes are in bytes of UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The longest key.
    pub key_bytes: u64,
    /// The longest value.
    pub value_bytes: u64,
    /// The most keys that one batch writes or checks.
    pub batch_keys: u64,
    /// The most bytes that one batch writes.
    pub batch_bytes: u64,
    /// The most siblings of a key; above that a trusted replica rewrites the winner.
    pub siblings: u64,
    /// The most keys in all spaces together, tombstones included.
    pub keys: u64,
    /// The most bytes of keys and values in all spaces together, overhead included.
    pub bytes: u64,
    /// The most spaces.
    pub spaces: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            key_bytes: 1024,
            value_bytes: 1 << 20,
            batch_keys: 1000,
            batch_bytes: 8 << 20,
            siblings: 32,
            keys: 4_000_000,
            bytes: 1 << 30,
            spaces: 1024,
        }
    }
}

impl Limits {
    /// Checks a key.
    ///
    /// # Errors
    /// `KEY_INVALID` if it is empty or too long.
    pub fn check_key(&self, key: &str) -> Result<(), SessionError> {
        self.check_key_bytes(key.len())
    }

    /// As [`Limits::check_key`], of a key of so many bytes.
    fn check_key_bytes(&self, bytes: usize) -> Result<(), SessionError> {
        if bytes == 0 || bytes as u64 > self.key_bytes {
            let cause = alloc::format!("a key has 1 to {} bytes of UTF-8; this one has {bytes}", self.key_bytes);
            return Err(SessionError::new(ErrorCode::KeyInvalid, cause));
        }
        Ok(())
    }

    /// Checks a value.
    ///
    /// # Errors
    /// `VALUE_TOO_LARGE`.
    pub fn check_value(&self, content: &Content) -> Result<(), SessionError> {
        if content.len() as u64 > self.value_bytes {
            return Err(SessionError::limit(ErrorCode::ValueTooLarge, "valueBytes", self.value_bytes));
        }
        Ok(())
    }

    /// Checks the keys, the values and the size of a batch, and tells the most that it can make a store grow by: nothing is looked for.
    ///
    /// # Errors
    /// `KEY_INVALID`, `VALUE_TOO_LARGE`, `QUOTA_EXCEEDED`.
    pub(crate) fn check_batch<'a>(
        &self,
        writes: impl Iterator<Item = (&'a Key, &'a Content)> + Clone,
    ) -> Result<Growth, SessionError> {
        let (mut keys, mut bytes) = (0u64, 0u64);
        let (mut shortest, mut longest, mut largest) = (usize::MAX, 0, 0);
        for (key, content) in writes.clone() {
            let (key, value) = (key.len(), content.len());
            (shortest, longest, largest) = (shortest.min(key), longest.max(key), largest.max(value));
            keys += 1;
            bytes += key as u64 + value as u64;
        }
        // Which one it is that is not well is asked only where one is not.
        if shortest == 0 || longest as u64 > self.key_bytes || largest as u64 > self.value_bytes {
            for (key, content) in writes {
                self.check_key_bytes(key.len())?;
                self.check_value(content)?;
            }
        }
        if keys > self.batch_keys {
            return Err(SessionError::limit(ErrorCode::QuotaExceeded, "batchKeys", self.batch_keys));
        }
        if bytes > self.batch_bytes {
            return Err(SessionError::limit(ErrorCode::QuotaExceeded, "batchBytes", self.batch_bytes));
        }
        Ok(Growth { keys, more: bytes + keys * ENTRY_OVERHEAD, less: 0 })
    }

    /// Checks the keys and values of a delta, and tells the most that it can make a store grow by: nothing is looked for, and
    /// where all is well no key is looked at.
    ///
    /// # Errors
    /// `KEY_INVALID`, `VALUE_TOO_LARGE`.
    pub(crate) fn check_delta(&self, delta: &Delta) -> Result<Growth, SessionError> {
        let extent = delta.keys.extent();
        if extent.nameless || extent.key as u64 > self.key_bytes || extent.value as u64 > self.value_bytes {
            for (key, set) in &delta.keys {
                self.check_key(key)?;
                set.iter().filter_map(Listed::content).try_for_each(|content| self.check_value(content))?;
            }
        }
        Ok(extent.growth())
    }

    /// Checks how many keys the store would hold.
    ///
    /// # Errors
    /// `QUOTA_EXCEEDED`.
    pub fn check_keys(&self, keys: u64) -> Result<(), SessionError> {
        if keys > self.keys {
            return Err(SessionError::limit(ErrorCode::QuotaExceeded, "keys", self.keys));
        }
        Ok(())
    }

    /// Checks how many bytes the store would hold.
    ///
    /// # Errors
    /// `QUOTA_EXCEEDED`.
    pub fn check_bytes(&self, bytes: u64) -> Result<(), SessionError> {
        if bytes > self.bytes {
            return Err(SessionError::limit(ErrorCode::QuotaExceeded, "bytes", self.bytes));
        }
        Ok(())
    }
}
