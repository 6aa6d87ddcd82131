//! The laws of tokens, on the tokens of the run: merging is a join, and opening gives back exactly what was sealed.

use edge_session::session::seal::Keyring;
use edge_session::session::token::SessionToken;
use edge_session::session::vector::SessionVector;

use super::alarm::{Alarm, Kind};

fn joined(a: &SessionVector, b: &SessionVector) -> SessionVector {
    let mut both = a.clone();
    both.merge(b);
    both
}

/// Merging is associative, commutative and idempotent, and loses nothing.
pub fn semilattice(a: &SessionVector, b: &SessionVector, c: &SessionVector) -> Result<(), Alarm> {
    let (ab, ba) = (joined(a, b), joined(b, a));
    let laws = [
        ("commutative", ab == ba),
        ("associative", joined(&ab, c) == joined(a, &joined(b, c))),
        ("idempotent", joined(&ab, &ab) == ab && joined(&ab, a) == ab),
        ("lossless", a.beyond(&ab).is_empty() && b.beyond(&ab).is_empty()),
    ];
    match laws.into_iter().find(|(_, holds)| !holds) {
        Some((law, _)) => Alarm::raise(Kind::Token, format!("merging {a:?}, {b:?} and {c:?} is not {law}")),
        None => Ok(()),
    }
}

/// A token that was opened is written as the text that it was, and what it signs is signed alike.
pub fn exact(text: &str, opened: &SessionToken, keyring: &Keyring) -> Result<(), Alarm> {
    let sealed = opened.identity().map(|claims| keyring.seal(claims, opened.signed()));
    let same = sealed.is_none_or(|sealed| sealed.is_ok_and(|again| again.strip_suffix('~') == Some(opened.jws())));
    if opened.to_text() == text && same {
        return Ok(());
    }
    Alarm::raise(Kind::Token, format!("a token is not what was sealed: {:?}", opened.dependencies()))
}
