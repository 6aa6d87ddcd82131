//! Who may write under a replica id: whoever holds the secret that the id was made of.
//!
//! The random part of an id is a hash of sixteen secret bytes and its label, so the id itself is the commitment: a replica without a
//! key shows the secret to the edge that it joins, and nobody else can write under its id, at any edge, without any
//! edge having to remember whose it is. Invariant: a secret is told to edges (and kept in the own storage) alone.

use alloc::vec::Vec;
use core::fmt;

use sha2::{Digest, Sha256};

use crate::error::SessionError;
use crate::id::{RANDOM_LEN, ReplicaId};

/// The length of a secret, in bytes.
pub const SECRET_LEN: usize = 16;
/// What keeps this hash apart from others.
const DOMAIN: &[u8] = b"edge-session replica id 1\0";

/// What a replica id is made of.
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
    /// The secret of these bytes, which are random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; SECRET_LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for an edge and for the own storage.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SECRET_LEN] {
        &self.0
    }

    /// The id under which its holder writes.
    ///
    /// # Errors
    /// `ARGUMENT_INVALID` for a label that is none.
    pub fn id(&self, label: &str) -> Result<ReplicaId, SessionError> {
        let hash: [u8; 32] =
            Sha256::new().chain_update(DOMAIN).chain_update(self.0).chain_update(label).finalize().into();
        ReplicaId::new(label, hash.first_chunk::<RANDOM_LEN>().copied().unwrap_or_default())
    }

    /// Whether `id` was made of this secret.
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

/// Ids with their secrets, the last one last.
#[derive(Clone, Debug, Default)]
pub struct Identities(Vec<(ReplicaId, Secret)>);

/// The most ids that are remembered; the oldest goes first.
const IDENTITIES_MAX: usize = 16;

impl Identities {
    /// Remembers an id. What its secret does not prove is passed over.
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

    /// The ids of `ids` that are not known.
    pub fn unknown(&self, ids: &[ReplicaId]) -> Vec<ReplicaId> {
        ids.iter().copied().filter(|id| self.secret(*id).is_none()).collect()
    }

    /// Every id that is known.
    pub fn iter(&self) -> impl Iterator<Item = &(ReplicaId, Secret)> {
        self.0.iter()
    }
}
