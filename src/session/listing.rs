//! A listing: several tokens in one text, `token,token,…`. This is how a holder without a key joins tokens, for example
//! in a header or in the cookies of a browser.
//!
//! Invariants:
//!
//! * One token alone says who the bearer is and until when: the first signed one that has not expired.
//! * Of all others only the dependencies are joined, which can make the bearer wait and nothing more, and the times
//!   that they state ([`SessionToken::told_at`]).
//! * Every signature is checked; one that does not hold refuses the whole listing.
//! * The work that a listing can cause is bounded before any of it is done.
//!
//! Knows nothing of keys: the caller opens the tokens.

use alloc::vec::Vec;

use crate::error::{Details, ErrorCode, SessionError};
use crate::session::scan;
use crate::session::token::{SessionToken, TOKEN_BYTES_MAX, invalid};
use crate::time::Millis;

/// The most signed tokens in one listing. Each costs a MAC; unsigned ones cost none, so only their bytes count.
pub const SIGNED_MAX: usize = 4;
/// The longest listing, in bytes.
pub const LISTING_BYTES_MAX: usize = SIGNED_MAX * TOKEN_BYTES_MAX;

/// Opens a token or a listing of tokens with `open`, which gets the time to judge by, and joins them.
///
/// ```
/// use edge_session::session::{listing, token::SessionToken};
/// let open = |text: &str, _| SessionToken::open_unverified(text);
/// assert_eq!(listing::open("~,~", 0, open)?, SessionToken::anonymous());
/// assert!(listing::open("~,nonsense", 0, open).is_err());
/// # Ok::<(), edge_session::error::SessionError>(())
/// ```
///
/// # Errors
/// `TOKEN_TOO_LARGE` above [`SIGNED_MAX`] signed tokens or [`LISTING_BYTES_MAX`]; `TOKEN_INVALID` if any of them does
/// not open or belongs to another user; `TOKEN_EXPIRED` if every signed one has expired.
pub fn open(
    text: &str,
    now: Millis,
    open: impl Fn(&str, Millis) -> Result<SessionToken, SessionError>,
) -> Result<SessionToken, SessionError> {
    if !scan::holds(text.as_bytes(), b',') {
        return open(text, now);
    }
    if text.len() > LISTING_BYTES_MAX || text.split(',').filter(|one| is_signed(one)).count() > SIGNED_MAX {
        return Err(too_many());
    }
    let mut bearer: Option<SessionToken> = None;
    let mut expired = None;
    let mut others = Vec::new();
    for one in text.split(',') {
        match open(one, now) {
            Ok(token) if token.claims().is_some() && bearer.is_none() => bearer = Some(token),
            Ok(token) => others.push(token),
            // Its signature holds, and dependencies do not expire: opened at time 0 it is still valid.
            Err(error) if error.code() == ErrorCode::TokenExpired => {
                others.push(open(one, 0)?);
                expired = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    let mut joined = match (bearer, expired) {
        (Some(token), _) => token,
        (None, Some(error)) => return Err(error),
        (None, None) => SessionToken::anonymous(),
    };
    let user = |token: &SessionToken| token.claims().and_then(|claims| claims.subject.clone());
    for other in others {
        // Anonymous tokens may be joined with anybody's: a user who logs in continues from what they saw before.
        if user(&other).is_some_and(|user_of_other| Some(user_of_other) != user(&joined)) {
            return Err(invalid());
        }
        joined.merge(&other);
    }
    Ok(joined)
}

/// Whether a token begins with a JWS.
fn is_signed(text: &str) -> bool {
    !text.starts_with('~')
}

fn too_many() -> SessionError {
    let cause = "a listing has at most four signed tokens and 4096 bytes; join some by a request of their own";
    let details = Details::Limit { limit: "listingBytes", allowed: LISTING_BYTES_MAX as u64 };
    SessionError::new(ErrorCode::TokenTooLarge, cause).with(details)
}
