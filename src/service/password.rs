//! Password hashing: argon2id (RFC 9106), never weaker than OWASP's minimum.
//!
//! Invariants:
//!
//! * A password is never stored, only its hash with a salt of its own.
//! * A hash that was made with less than the minimum cost verifies nothing.
//! * Verifying without a hash takes as long as with one, so that timing does not reveal which accounts exist.
//!
//! Hashing takes about 20 ms and 19 MiB; the host runs it where that memory is released again.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64ct::{Base64Unpadded, Encoding};

use crate::error::{ErrorCode, SessionError};

/// OWASP's minimum: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// The most that a hash from elsewhere may cost.
const MEMORY_KIB_MAX: u32 = 262_144;
const PASSES_MAX: u32 = 16;
/// The length of a hash, in bytes.
const HASH_LEN: usize = 32;
/// The longest password, in bytes.
const PASSWORD_MAX: usize = 1_024;

/// The length of a salt, in bytes.
pub const SALT_LEN: usize = 16;

fn digest(password: &str, salt: &[u8], memory: u32, passes: u32, lanes: u32) -> Option<[u8; HASH_LEN]> {
    let params = Params::new(memory, passes, lanes, Some(HASH_LEN)).ok()?;
    let mut hash = [0; HASH_LEN];
    // Lack of memory must be an error instead of a trap.
    let mut blocks = Vec::new();
    blocks.try_reserve_exact(params.block_count()).ok()?;
    blocks.resize(params.block_count(), Block::new());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut hash, &mut blocks).ok()?;
    Some(hash)
}

/// Hashes a password, in PHC format. The caller supplies a new random salt for each.
///
/// # Errors
/// `ARGUMENT_INVALID` if the password is empty or longer than 1,024 bytes; `QUOTA_EXCEEDED` if memory is lacking.
pub fn hash(password: &str, salt: &[u8; SALT_LEN]) -> Result<String, SessionError> {
    if password.is_empty() || password.len() > PASSWORD_MAX {
        return Err(SessionError::new(ErrorCode::ArgumentInvalid, "a password has 1 to 1,024 bytes"));
    }
    let digest = digest(password, salt, MEMORY_KIB, PASSES, LANES)
        .ok_or_else(|| SessionError::bound(ErrorCode::QuotaExceeded, "passwordMemoryKib", u64::from(MEMORY_KIB)))?;
    let (salt, digest) = (Base64Unpadded::encode_string(salt), Base64Unpadded::encode_string(&digest));
    Ok(format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${digest}"))
}

/// The fields of a hash in PHC format: memory, passes, lanes, salt, digest.
type Parts = (u32, u32, u32, Vec<u8>, Vec<u8>);

fn parts(hash: &str) -> Option<Parts> {
    let mut fields = hash.strip_prefix("$argon2id$v=19$")?.split('$');
    let mut costs = fields.next()?.split(',');
    let mut cost = |name: &str| costs.next()?.strip_prefix(name)?.strip_prefix('=')?.parse::<u32>().ok();
    let (memory, passes, lanes) = (cost("m")?, cost("t")?, cost("p")?);
    let mut bytes = || Base64Unpadded::decode_vec(fields.next()?).ok();
    let (salt, digest) = (bytes()?, bytes()?);
    // Less memory needs more passes: none of OWASP's pairs costs less than its first.
    let enough = u64::from(memory) * u64::from(passes) >= u64::from(MEMORY_KIB) * u64::from(PASSES) && memory >= 7_168;
    let bounded = memory <= MEMORY_KIB_MAX && passes <= PASSES_MAX && lanes == LANES;
    (enough && bounded && salt.len() >= 8 && digest.len() == HASH_LEN).then_some((memory, passes, lanes, salt, digest))
}

/// Whether a password matches a hash. Without a hash, or with one that is too cheap, the answer is no and takes as
/// long.
#[must_use]
pub fn verify(password: &str, hash: Option<&str>) -> bool {
    let known = hash.and_then(parts);
    let found = known.is_some();
    let (memory, passes, lanes, salt, expected) =
        known.unwrap_or_else(|| (MEMORY_KIB, PASSES, LANES, alloc::vec![0; SALT_LEN], alloc::vec![0; HASH_LEN]));
    let usable = password.len() <= PASSWORD_MAX;
    let actual = digest(if usable { password } else { "" }, &salt, memory, passes, lanes);
    let differ = |actual: [u8; HASH_LEN]| actual.iter().zip(&expected).fold(0_u8, |differ, (a, b)| differ | (a ^ b));
    actual.is_some_and(|actual| differ(actual) == 0) && found && usable
}
