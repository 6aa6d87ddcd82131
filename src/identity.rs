//! Who may write under a replica id: the holder of the secret from which the id was made.
//!
//! The random part of an id is a hash of sixteen secret bytes and the label, so the id itself is the commitment. A
//! replica without a key shows the secret to the edge that it joins. Nobody else can write under its id at any edge,
//! and no edge has to remember whose id it is.
//!
//! Invariant: a secret is shown only to edges, and stored only in the replica's own storage.

use alloc::vec::Vec;
use core::fmt;

use sha2::{Digest, Sha256};

use crate::error::SessionError;
use crate::id::{RANDOM_LEN, ReplicaId};

/// The length of a secret, in bytes.
pub const SECRET_LEN: usize = 16;
/// Separates this hash from others.
const DOMAIN: &[u8] = b"edge-session replica id 1\0";

/// The secret from which a replica id is made.
///
/// ```
/// use edge_session::identity::Secret;
/// let secret = Secret::from_bytes([7; 16]);
/// let id = secret.id("tab")?;
/// assert!(secret.proves(id));
/// assert!(!Secret::from_bytes([8; 16]).proves(id));
/// # Ok::<(), edge_session::error::SessionError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; SECRET_LEN]);

impl Secret {
    /// The secret of these bytes, which must be random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; SECRET_LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for an edge or the replica's own storage.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SECRET_LEN] {
        &self.0
    }

    /// The id that belongs to this secret and label.
    ///
    /// # Errors
    /// `ARGUMENT_INVALID` if the label is not valid.
    pub fn id(&self, label: &str) -> Result<ReplicaId, SessionError> {
        let hash: [u8; 32] =
            Sha256::new().chain_update(DOMAIN).chain_update(self.0).chain_update(label).finalize().into();
        ReplicaId::new(label, hash.first_chunk::<RANDOM_LEN>().copied().unwrap_or_default())
    }

    /// Whether `id` was made from this secret.
    #[must_use]
    pub fn proves(&self, id: ReplicaId) -> bool {
        self.id(&id.label()).is_ok_and(|own| own == id)
    }
}

impl fmt::Debug for Secret {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Ids with their secrets, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Identities(Vec<(ReplicaId, Secret)>);

/// The most ids that are kept; the oldest is dropped first.
const IDENTITIES_MAX: usize = 16;

impl Identities {
    /// Adds an id. Ignored if the secret does not prove it.
    pub fn keep(&mut self, id: ReplicaId, secret: Secret) {
        if !secret.proves(id) || self.secret(id).is_some() {
            return;
        }
        if self.0.len() >= IDENTITIES_MAX {
            self.0.remove(0);
        }
        self.0.push((id, secret));
    }

    /// The secret of an id, if it is known.
    #[must_use]
    pub fn secret(&self, id: ReplicaId) -> Option<&Secret> {
        self.0.iter().find(|(known, _)| *known == id).map(|(_, secret)| secret)
    }

    /// Those of `ids` that are not known.
    pub fn unknown(&self, ids: &[ReplicaId]) -> Vec<ReplicaId> {
        ids.iter().copied().filter(|id| self.secret(*id).is_none()).collect()
    }

    /// All known ids with their secrets.
    pub fn iter(&self) -> impl Iterator<Item = &(ReplicaId, Secret)> {
        self.0.iter()
    }
}
