//! Logging in: the same words for everything that is wrong, and a lock that two replicas cannot be played against.

use edge_session::error::{ErrorCode, SessionError};
use edge_session::io::{Progress, SessionHandle};
use edge_session::replica::{FAILURES_MAX, Hashing, LOCK_MS, SessionInit};

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

/// The hosts hear from each other, without a login between.
fn heal(hosts: &mut [Host]) {
    for _ in 0..2 {
        for one in 1..hosts.len() {
            let (before, rest) = hosts.split_at_mut(one);
            before.iter_mut().for_each(|other| sync(other, &mut rest[0]));
        }
    }
}

fn guess(host: &mut Host, times: u64) {
    (0..times).for_each(|_| drop(words(login(host, "ann", false))));
}

/// Whether the account is locked at each host: there no password is compared.
fn locked(hosts: &mut [Host]) -> Vec<bool> {
    hosts.iter_mut().map(|host| host.replica.login_hash("ann", host.now).map_or(true, |hash| hash.is_none())).collect()
}

fn three() -> Vec<Host> {
    let (fra, nrt) = fleet();
    let mut hosts = vec![fra, nrt, Host::new(edge("gru1"))];
    heal(&mut hosts);
    hosts
}

#[test]
pub(super) fn three_wrong_passwords_on_each_of_two_sides_lock_once_they_meet() {
    let mut hosts = three();
    let start = hosts[0].now;
    guess(&mut hosts[0], 3);
    hosts[1].at(start + 10_000);
    guess(&mut hosts[1], 3);
    hosts.iter_mut().for_each(|host| host.at(start + 20_000));
    assert_eq!(locked(&mut hosts), [false, false, false], "neither side knows of five");
    heal(&mut hosts);
    assert_eq!(locked(&mut hosts), [true, true, true], "at the one that was never guessed at as well");
    assert_eq!(words(login(&mut hosts[2], "ann", true)), "wrong user or password");
    // For a minute after the last of them, however often they tell each other.
    hosts.iter_mut().for_each(|host| host.at(start + 10_000 + LOCK_MS - 1));
    heal(&mut hosts);
    assert_eq!(locked(&mut hosts), [true, true, true]);
    hosts.iter_mut().for_each(|host| host.at(start + 10_000 + LOCK_MS));
    heal(&mut hosts);
    assert_eq!(locked(&mut hosts), [false, false, false]);
    assert!(login(&mut hosts[2], "ann", true).is_ok());
}

#[test]
pub(super) fn what_has_locked_an_account_does_not_count_for_the_next_lock() {
    for sides in [vec![5, 0], vec![3, 3], vec![5, 5], vec![2, 4]] {
        let mut hosts = three();
        sides.iter().enumerate().for_each(|(at, times)| guess(&mut hosts[at], *times));
        heal(&mut hosts);
        let over = hosts[0].now + LOCK_MS;
        hosts.iter_mut().for_each(|host| host.at(over));
        assert_eq!(locked(&mut hosts), [false, false, false], "{sides:?}");
        // Four more, on two sides again.
        guess(&mut hosts[0], 1);
        guess(&mut hosts[2], 3);
        heal(&mut hosts);
        assert_eq!(locked(&mut hosts), [false, false, false], "{sides:?}: four are not five");
        // One of them knows of all four, and locks.
        guess(&mut hosts[2], 1);
        heal(&mut hosts);
        assert_eq!(locked(&mut hosts), [true, true, true], "{sides:?}");
    }
}

#[test]
fn whoever_comes_in_ends_the_count_of_all_that_his_replica_has_heard_of() {
    let mut hosts = three();
    guess(&mut hosts[0], 2);
    guess(&mut hosts[1], 2);
    heal(&mut hosts);
    // One more on a side that has not heard of it, at the same time.
    assert!(login(&mut hosts[2], "ann", true).is_ok());
    guess(&mut hosts[1], 1);
    assert_eq!(locked(&mut hosts), [false, true, false], "the fifth, as far as is known there");
    heal(&mut hosts);
    assert_eq!(locked(&mut hosts), [true, true, true], "a lock is not undone by who came in beside it");
    let over = hosts[0].now + LOCK_MS;
    hosts.iter_mut().for_each(|host| host.at(over));
    guess(&mut hosts[2], 4);
    heal(&mut hosts);
    assert_eq!(locked(&mut hosts), [false, false, false]);
    assert!(login(&mut hosts[1], "ann", true).is_ok());
    heal(&mut hosts);
    guess(&mut hosts[1], 4);
    heal(&mut hosts);
    assert_eq!(locked(&mut hosts), [false, false, false], "the four before are over");
}

/// Two say the same; then each writes again, and knows that the other says it too. Were both to leave it to the other, nobody would.
#[test]
fn what_is_settled_stays_settled_whoever_leaves_it_to_another_to_say() {
    let mut hosts = three();
    guess(&mut hosts[2], 3);
    heal(&mut hosts);
    (0..2).for_each(|at| _ = login(&mut hosts[at], "ann", true).unwrap());
    heal(&mut hosts);
    (0..2).for_each(|at| guess(&mut hosts[at], 1));
    heal(&mut hosts);
    assert_eq!(locked(&mut hosts), [false, false, false], "two have come since");
    guess(&mut hosts[2], 2);
    heal(&mut hosts);
    guess(&mut hosts[1], 1);
    heal(&mut hosts);
    assert_eq!(locked(&mut hosts), [true, true, true], "five");
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

#[test]
fn to_change_a_password_is_to_guess_one_and_a_lock_holds_for_it() {
    let (mut fra, mut nrt) = fleet();
    let ann = login(&mut fra, "ann", true).unwrap();
    let change = |fra: &mut Host, right: &str| {
        let changed = run_with(fra, Some(ann), "CHANGE PASSWORD ann FROM 'a' TO 'b'", &[right, "h3"]);
        changed.map_err(|error| (error.code(), error.cause().to_string()))
    };
    let wrong = Err((ErrorCode::BadCredentials, "wrong user or password".to_string()));
    // Locked by what was guessed elsewhere: the right password is as good as a wrong one.
    guess(&mut nrt, FAILURES_MAX);
    sync(&mut fra, &mut nrt);
    assert_eq!(change(&mut fra, "h1"), wrong);
    fra.at(fra.now + LOCK_MS);
    // Locked by what was guessed here, by whichever door.
    for _ in 0..FAILURES_MAX - 1 {
        assert_eq!(change(&mut fra, "!h1"), wrong);
    }
    let (code, cause) = change(&mut fra, "h1").unwrap_err();
    assert_eq!(code, ErrorCode::BadCredentials);
    assert!(cause.contains("60000 ms"), "{cause}");
    assert!(words(login(&mut fra, "ann", true)).contains("60000 ms"));
    fra.at(fra.now + LOCK_MS);
    assert_eq!(fra.replica.login_hash("ann", fra.now), Ok(Some("h1".into())), "it is what it was");
}

/// Who logs in with an old password where the new one has not been heard of comes after the change, and is over once it is.
#[test]
fn who_came_with_an_old_password_is_shut_out_once_the_new_one_is_heard_of() {
    let over = |host: &mut Host, token: &str| {
        let session = host.resume(token);
        host.get(session, "k", PLAIN).err().map(|error| error.code())
    };
    for change in
        ["ALTER USER ann WITH PASSWORD 'b'", "DROP USER ann; CREATE USER ann WITH PASSWORD 'b'", "DROP USER ann"]
    {
        let (mut fra, mut nrt) = fleet();
        run_with(&mut fra, None, "GRANT USER ON default TO ann; CREATE USER bob WITH PASSWORD 'c'", &["h5"]).unwrap();
        sync(&mut fra, &mut nrt);
        fra.at(fra.now + 10);
        nrt.at(nrt.now + 20);
        run_with(&mut fra, None, change, &["h3"]).unwrap();
        let [ann, bob] = ["ann", "bob"].map(|user| login(&mut nrt, user, true).unwrap());
        let [token, other] = [ann, bob].map(|session| nrt.token(session));
        assert_eq!(over(&mut nrt, &token), None, "nothing is known of it there");
        nrt.replica.close_session(ann);
        sync(&mut fra, &mut nrt);
        nrt.at(nrt.now + 10);
        sync(&mut fra, &mut nrt);
        for host in [&mut fra, &mut nrt] {
            assert_eq!(over(host, &token), Some(ErrorCode::SessionKilled), "{change}");
            assert_ne!(over(host, &other), Some(ErrorCode::SessionKilled));
        }
        if change != "DROP USER ann" {
            let again = login(&mut nrt, "ann", true).unwrap();
            let token = nrt.token(again);
            run_with(&mut fra, None, "GRANT USER ON default TO ann", &[]).unwrap();
            sync(&mut fra, &mut nrt);
            assert_eq!((over(&mut fra, &token), over(&mut nrt, &token)), (None, None), "with the new one");
        }
    }
}

#[test]
fn a_password_that_was_compared_with_an_older_hash_changes_nothing_and_is_no_guess() {
    let (mut fra, mut nrt) = fleet();
    let change = |host: &mut Host, session, looked: &str| {
        run_with(host, session, "CHANGE PASSWORD ann FROM 'a' TO 'b'", &[looked, "h3"]).map_err(|error| error.code())
    };
    // Two that began with the same password: the second comes when it is none any more.
    assert!(change(&mut fra, None, "h1").is_ok());
    for looked in ["h1", "!h1", "", "!"].repeat(usize::try_from(FAILURES_MAX).unwrap()) {
        assert_eq!(change(&mut fra, None, looked), Err(ErrorCode::BadCredentials));
    }
    assert_eq!(fra.replica.login_hash("ann", fra.now), Ok(Some("h3".into())), "nothing was counted");
    // At a replica that lags the statement waits for what its session has seen; what was compared before is none of that.
    fra.at(fra.now + 10);
    let ann = login(&mut fra, "ann", true).unwrap();
    let token = fra.token(ann);
    let ann = nrt.open(SessionInit { token: Some(token), ..SessionInit::default() });
    let secrets = nrt.replica.secrets(Some(ann), "CHANGE PASSWORD ann FROM 'a' TO 'b'").unwrap();
    assert!(matches!(&secrets[0], Hashing::Check(_, Some(hash)) if hash == "h1"));
    let text = "CHANGE PASSWORD ann FROM 'a' TO 'b'";
    let begun = nrt.replica.run(Some(ann), text, &["h1".into(), "h4".into()], PLAIN, nrt.now).unwrap();
    let Progress::Waiting(wait) = begun else { panic!("judged by records that its session has left") };
    sync(&mut fra, &mut nrt);
    assert_eq!(nrt.taken(wait).unwrap().unwrap_err().code(), ErrorCode::BadCredentials);
    assert_eq!(nrt.replica.login_hash("ann", nrt.now), Ok(Some("h3".into())));
}
