//! Logging in: the same words for everything that is wrong, and a lock that two replicas cannot be played against.

use edge_session::error::{ErrorCode, SessionError};
use edge_session::io::SessionHandle;
use edge_session::replica::{FAILURES_MAX, LOCK_MS, SessionInit};

use super::common::host::{Host, PLAIN, sync};
use super::common::{edge, tab};
use super::run_with;

fn fleet() -> (Host, Host) {
    let (mut fra, mut nrt) = (Host::new(edge("fra1")), Host::new(edge("nrt1")));
    run_with(&mut fra, None, "CREATE USER ann WITH PASSWORD 'a'; ALTER USER root WITH PASSWORD 'r'", &["h1", "h2"])
        .unwrap();
    sync(&mut fra, &mut nrt);
    (fra, nrt)
}

/// A login whose password was `right`, as far as a host does it.
fn login(host: &mut Host, user: &str, right: bool) -> Result<SessionHandle, SessionError> {
    host.replica.login_hash(user, host.now)?;
    let begun = host.replica.login(user, right, SessionInit::default(), host.now);
    host.drain();
    begun
}

fn words(result: Result<SessionHandle, SessionError>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BadCredentials);
    error.cause().to_string()
}

#[test]
fn who_knows_the_password_is_the_user() {
    let (mut fra, _) = fleet();
    let session = login(&mut fra, "ann", true).unwrap();
    assert_eq!(fra.replica.session(session).unwrap().user.as_deref(), Some("ann"));
    assert_eq!(fra.replica.login_hash("ann", fra.now), Ok(Some("h1".into())));
    assert_eq!(fra.replica.login_hash("eve", fra.now), Ok(None));
}

#[test]
fn what_is_wrong_is_not_told_and_locks_alike() {
    let (mut fra, _) = fleet();
    for _ in 0..FAILURES_MAX {
        let ann = words(login(&mut fra, "ann", false));
        assert_eq!(ann, words(login(&mut fra, "eve", false)), "whether there is such an account is not to be seen");
        assert_eq!(ann, "wrong user or password");
    }
    let locked = words(login(&mut fra, "ann", true));
    assert!(locked.contains("60000 ms"), "{locked}");
    assert_eq!(locked, words(login(&mut fra, "eve", true)));
    fra.at(fra.now + LOCK_MS);
    assert!(login(&mut fra, "ann", true).is_ok());
    assert_eq!(words(login(&mut fra, "eve", true)), "wrong user or password", "nobody is somebody by waiting");
}

#[test]
fn a_right_password_that_was_compared_before_the_lock_opens_nothing_after_it() {
    let (mut fra, _) = fleet();
    fra.replica.login_hash("ann", fra.now).unwrap();
    for _ in 0..FAILURES_MAX {
        words(login(&mut fra, "ann", false));
    }
    words(fra.replica.login("ann", true, SessionInit::default(), fra.now));
}

#[test]
pub(super) fn failures_of_two_replicas_are_summed_and_none_is_lost() {
    let (mut fra, mut nrt) = fleet();
    for host in [&mut fra, &mut nrt] {
        words(login(host, "ann", false));
        words(login(host, "ann", false));
    }
    sync(&mut fra, &mut nrt);
    words(login(&mut fra, "ann", false));
    words(login(&mut fra, "ann", true)); // The fifth of all has locked it.
    sync(&mut fra, &mut nrt);
    words(login(&mut nrt, "ann", true));
    for host in [&mut fra, &mut nrt] {
        host.at(host.now + LOCK_MS);
        assert!(login(host, "ann", true).is_ok(), "and it is the user's own again");
    }
    // Root is locked where somebody guessed, and nowhere else.
    for _ in 0..FAILURES_MAX {
        words(login(&mut nrt, "root", false));
    }
    sync(&mut fra, &mut nrt);
    assert!(words(login(&mut nrt, "root", true)).contains("ms"));
    assert!(login(&mut fra, "root", true).is_ok());
}

#[test]
fn a_lock_does_not_tell_across_edges_who_has_an_account() {
    // So often at the first edge, then at the second: all there, or some here and some there.
    for there in 1..=2 * FAILURES_MAX {
        let answers = |user: &str| {
            let (mut fra, mut nrt) = fleet();
            for _ in 0..there {
                words(login(&mut fra, user, false));
            }
            sync(&mut fra, &mut nrt);
            let guesses = (0..2 * FAILURES_MAX).map(|_| {
                sync(&mut fra, &mut nrt);
                words(login(&mut nrt, user, false))
            });
            guesses.collect::<Vec<_>>()
        };
        assert_eq!(answers("ann"), answers("nobody"), "{there} there");
    }
    // It holds all the same.
    let (mut fra, mut nrt) = fleet();
    for _ in 0..FAILURES_MAX {
        words(login(&mut fra, "ann", false));
    }
    sync(&mut fra, &mut nrt);
    assert_eq!(nrt.replica.login_hash("ann", nrt.now), Ok(None), "as for a name without an account");
    assert_eq!(words(login(&mut nrt, "ann", true)), "wrong user or password");
    nrt.at(nrt.now + LOCK_MS);
    assert!(login(&mut nrt, "ann", true).is_ok());
}

#[test]
fn accounts_are_known_where_the_secret_is() {
    let mut host = Host::new(tab("tab"));
    let refused = host.replica.login("ann", true, SessionInit::default(), host.now).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::PermissionDenied);
    let session = host.session();
    assert!(host.get(session, "k", PLAIN).is_ok());
}

#[test]
fn a_lock_is_not_forgotten_because_others_were_guessed() {
    let (mut fra, _) = fleet();
    for user in ["ann", "a stranger"] {
        for _ in 0..FAILURES_MAX {
            words(login(&mut fra, user, false));
        }
    }
    for n in 0..300 {
        words(login(&mut fra, &format!("nobody {n}"), false));
    }
    let ann = words(login(&mut fra, "ann", false));
    assert!(ann.contains("too often"), "{ann}");
    assert_eq!(words(login(&mut fra, "a stranger", false)), ann, "whether there is such an account is not to be seen");
}
