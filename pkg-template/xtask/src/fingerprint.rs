//! Whether a step may be skipped: a hash of all it reads, kept beside what it wrote.
//!
//! Contents are hashed, not times: a checkout or a copy changes every time and nothing else. The hash guards against
//! forgetting, not against malice, so the standard library's will do.

use anyhow::{Context, Result};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// A hash under construction.
#[derive(Default)]
pub(crate) struct Fingerprint(DefaultHasher);

impl Fingerprint {
    /// Starts with the identity of this program: a step changes when its code does.
    pub(crate) fn of_this_tool() -> Result<Self> {
        let meta = fs::metadata(std::env::current_exe()?)?;
        Ok(Self::default().value(&(meta.len(), meta.modified()?)))
    }

    pub(crate) fn value(mut self, value: &impl Hash) -> Self {
        value.hash(&mut self.0);
        self
    }

    /// Adds a file's contents, or everything below a directory; what does not exist counts as empty.
    pub(crate) fn path(mut self, path: &Path) -> Result<Self> {
        path.hash(&mut self.0);
        if path.is_dir() {
            let mut entries = fs::read_dir(path)?.map(|e| Ok(e?.path())).collect::<Result<Vec<_>>>()?;
            entries.sort();
            return entries.iter().try_fold(self, |hash, entry| hash.path(entry));
        }
        if path.exists() {
            fs::read(path).with_context(|| format!("reading {}", path.display()))?.hash(&mut self.0);
        }
        Ok(self)
    }

    pub(crate) fn finish(self) -> String {
        format!("{:016x}", self.0.finish())
    }
}

/// Whether `stamp` holds `fingerprint`.
pub(crate) fn matches(stamp: &Path, fingerprint: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|kept| kept == fingerprint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_moves_or_changes_changes_the_hash() -> Result<()> {
        let dir = std::env::temp_dir().join(format!("xtask-fingerprint-{}", std::process::id()));
        fs::create_dir_all(dir.join("sub"))?;
        let hash = || Ok::<_, anyhow::Error>(Fingerprint::default().path(&dir)?.finish());
        fs::write(dir.join("a"), "1")?;
        let one = hash()?;
        assert_eq!(one, hash()?);
        fs::write(dir.join("a"), "2")?;
        let two = hash()?;
        assert_ne!(one, two);
        fs::rename(dir.join("a"), dir.join("sub/a"))?;
        assert_ne!(two, hash()?);
        fs::remove_dir_all(dir)?;
        Ok(())
    }
}
