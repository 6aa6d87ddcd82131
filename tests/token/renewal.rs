//! Tokens that slide: each seal gives a fresh one, and none outlives its session.

use super::*;
use edge_session::io::SessionHandle;
use edge_session::replica::{Config, Replica, SessionInit};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// An edge whose tokens live for five minutes, in sessions of one hour.
fn edge(keys: &[(&str, [u8; 32])], leeway: u64) -> Replica {
    Replica::open(config(keys, leeway), NOW).unwrap()
}

fn config(keys: &[(&str, [u8; 32])], leeway: u64) -> Config {
    Config {
        issuer: "example".into(),
        keys: keys.iter().map(|(kid, key)| ((*kid).into(), key.to_vec())).collect(),
        expires_in: HOUR,
        token_life: 5 * MINUTE,
        leeway,
        ..Config::default()
    }
}

fn ours() -> Replica {
    edge(&[("k1", [7; 32])], 0)
}

/// What a session that goes on from a token answers at `now`.
fn resumed(replica: &mut Replica, token: &str, now: u64) -> Result<SessionHandle, ErrorCode> {
    let handle = replica.open_session(SessionInit { token: Some(token.into()), ..SessionInit::default() }, now);
    replica.session(handle).unwrap().refused.map_or(Ok(handle), |error| Err(error.code()))
}

fn lives_until(token: &str) -> (u64, u64) {
    let token = SessionToken::open_unverified(token).unwrap();
    let claims = token.claims().unwrap();
    (claims.expires_at - NOW, claims.ends_at - NOW)
}

#[test]
fn who_comes_in_time_goes_on_until_the_session_ends_and_no_longer() {
    let (mut fra1, mut bom1) = (ours(), ours());
    let begun = fra1.open_session(SessionInit { user: Some("ann".into()), ..SessionInit::default() }, NOW);
    let mut token = fra1.token(begun, NOW).unwrap();
    assert_eq!(lives_until(&token), (5 * MINUTE, HOUR));
    let mut now = NOW;
    while now + 4 * MINUTE < NOW + HOUR {
        now += 4 * MINUTE;
        let replica = if (now / MINUTE).is_multiple_of(8) { &mut fra1 } else { &mut bom1 };
        let session = resumed(replica, &token, now).unwrap();
        token = replica.token(session, now).unwrap();
        assert_eq!(lives_until(&token), ((now - NOW + 5 * MINUTE).min(HOUR), HOUR));
        assert_eq!(replica.session(session).unwrap().user.as_deref(), Some("ann"));
    }
    assert!(resumed(&mut fra1, &token, NOW + HOUR - 1).is_ok());
    assert_eq!(resumed(&mut fra1, &token, NOW + HOUR), Err(ErrorCode::TokenExpired));
    // The handle where it began ends with it, too.
    assert_eq!(code(fra1.token(begun, NOW + HOUR)), ErrorCode::SessionExpired);
}

#[test]
fn who_stays_away_for_longer_than_a_token_lives_begins_anew() {
    let mut edge = ours();
    let session = edge.open_session(SessionInit::default(), NOW);
    let token = edge.token(session, NOW).unwrap();
    assert!(resumed(&mut edge, &token, NOW + 5 * MINUTE - 1).is_ok());
    assert_eq!(resumed(&mut edge, &token, NOW + 5 * MINUTE), Err(ErrorCode::TokenExpired));
}

#[test]
fn a_new_session_of_its_own_life_is_not_renewed_beyond_it() {
    let mut edge = ours();
    let init = SessionInit { expires_in: Some(2 * MINUTE), ..SessionInit::default() };
    let session = edge.open_session(init, NOW);
    assert_eq!(lives_until(&edge.token(session, NOW).unwrap()), (2 * MINUTE, 2 * MINUTE));
    // What a caller says of a session that goes on does not count.
    let token = edge.token(session, NOW).unwrap();
    let longer = SessionInit { token: Some(token), expires_in: Some(9 * HOUR), ..SessionInit::default() };
    let again = edge.open_session(longer, NOW + MINUTE);
    assert_eq!(lives_until(&edge.token(again, NOW + MINUTE).unwrap()), (2 * MINUTE, 2 * MINUTE));
}

#[test]
fn a_tab_is_renewed_by_the_later_token_of_its_own_session_alone() {
    let (mut edge, mut tab) = (ours(), Replica::open(Config::default(), NOW).unwrap());
    let there = edge.open_session(SessionInit { user: Some("ann".into()), ..SessionInit::default() }, NOW);
    let first = edge.token(there, NOW).unwrap();
    let here = resumed(&mut tab, &first, NOW).unwrap();
    let until = |tab: &Replica| tab.session(here).unwrap().expires_at - NOW;
    assert_eq!(until(&tab), 5 * MINUTE);

    // Another session of the same user is joined; it renews nothing.
    let other = edge.open_session(SessionInit { user: Some("ann".into()), ..SessionInit::default() }, NOW + MINUTE);
    tab.merge(here, &edge.token(other, NOW + MINUTE).unwrap(), NOW + MINUTE).unwrap();
    assert_eq!(until(&tab), 5 * MINUTE);

    let later = edge.token(there, NOW + 4 * MINUTE).unwrap();
    tab.merge(here, &later, NOW + 4 * MINUTE).unwrap();
    assert_eq!(until(&tab), 9 * MINUTE);
    tab.merge(here, &first, NOW + 4 * MINUTE).unwrap();
    assert_eq!(until(&tab), 9 * MINUTE, "an older one takes nothing back");
    let text = tab.token(here, NOW + 8 * MINUTE).unwrap();
    assert_eq!(text.split('~').next(), later.split('~').next(), "it carries the later one on");
    assert!(resumed(&mut edge, &text, NOW + 8 * MINUTE).is_ok());
    assert_eq!(code(tab.token(here, NOW + 9 * MINUTE)), ErrorCode::TokenExpired);
}

#[test]
fn a_stated_leeway_is_granted_to_tokens_that_come_in_and_is_bounded() {
    let key: &[(&str, [u8; 32])] = &[("k1", [7; 32])];
    let mut edge_host = edge(key, 10_000);
    let session = edge_host.open_session(SessionInit::default(), NOW);
    let token = edge_host.token(session, NOW).unwrap();
    let end = NOW + 5 * MINUTE;
    let there = resumed(&mut edge_host, &token, end + 9_999).unwrap();
    assert!(edge_host.token(there, end + 9_999).is_ok(), "it operates, too");
    assert_eq!(resumed(&mut edge_host, &token, end + 10_000), Err(ErrorCode::TokenExpired));
    // A session that began here knows no other clock.
    assert_eq!(code(edge_host.token(session, NOW + HOUR)), ErrorCode::SessionExpired);
    // More is refused: cut in silence, it would be another than what was said.
    let mut generous = edge(key, LEEWAY_MAX);
    assert!(resumed(&mut generous, &token, end + LEEWAY_MAX - 1).is_ok());
    assert_eq!(resumed(&mut generous, &token, end + LEEWAY_MAX), Err(ErrorCode::TokenExpired));
    assert_eq!(code(Replica::open(config(key, LEEWAY_MAX + 1), NOW)), ErrorCode::ArgumentInvalid);
    // Leeway is no longer life: what is minted within it ends with the session.
    let last = edge_host.open_session(SessionInit { expires_in: Some(MINUTE), ..SessionInit::default() }, NOW);
    let last = edge_host.token(last, NOW).unwrap();
    let late = resumed(&mut edge_host, &last, NOW + MINUTE + 5_000).unwrap();
    assert_eq!(lives_until(&edge_host.token(late, NOW + MINUTE + 5_000).unwrap()), (MINUTE, MINUTE));
}

#[test]
fn keys_are_changed_under_running_sessions() {
    let (old, new) = (("k1", [7; 32]), ("k2", [8; 32]));
    let mut token = {
        let mut replica = edge(&[old], 0);
        let session = replica.open_session(SessionInit { user: Some("ann".into()), ..SessionInit::default() }, NOW);
        replica.token(session, NOW).unwrap()
    };
    // Each step of the roll-out, with a visit to a replica that is one step behind in between.
    for (number, ring) in [&[old, new][..], &[old], &[new, old], &[old, new], &[new, old], &[new]].iter().enumerate() {
        let (mut replica, now) = (edge(ring, 0), NOW + (number as u64 + 1) * MINUTE);
        let session = resumed(&mut replica, &token, now).unwrap_or_else(|code| panic!("step {number}: {code:?}"));
        token = replica.token(session, now).unwrap();
        assert_eq!(SessionToken::open_unverified(&token).unwrap().kid().as_deref(), Some(ring[0].0));
    }
    assert_eq!(resumed(&mut edge(&[old], 0), &token, NOW + 7 * MINUTE), Err(ErrorCode::TokenInvalid));
}
