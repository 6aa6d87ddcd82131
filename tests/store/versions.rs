//! Versions cover a key's whole live set, and checks refuse what they did not name.

use crate::common::host::{Host, SYNC, sync};
use crate::common::{START, batch, code, edge, erase, put, strings};
use edge_session::error::{Details, ErrorCode, SessionError};
use edge_session::io::{Answer, Operation, SessionHandle};
use edge_session::store::{Check, Mutation};

fn check(key: &str, version: Option<&str>) -> Check {
    Check { key: key.into(), version: version.map(Into::into) }
}

fn write(
    host: &mut Host,
    session: SessionHandle,
    batch: Vec<Mutation>,
    checks: Vec<Check>,
) -> Result<String, SessionError> {
    match host.ask(session, Operation::Write { batch, checks }, SYNC)? {
        Answer::Version(version) => Ok(version),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_check_holds_exactly_for_the_current_version() {
    let mut host = Host::new(edge("paris"));
    let ann = host.session();
    let first = host.set(ann, "k", "1");
    let second = write(&mut host, ann, vec![put("k", "2")], vec![check("k", Some(&first))]).unwrap();
    assert!(second > first, "versions of one line compare as text");
    let error = write(&mut host, ann, vec![put("k", "3")], vec![check("k", Some(&first))]).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Conflict);
    assert_eq!(*error.details(), Details::Conflict { key: "k".into(), version: Some(second.clone()) });
    assert_eq!(host.conflicts(ann, "k")[0].version, second, "and nothing was written");
}

#[test]
fn a_check_for_absence_holds_for_a_key_that_shows_nothing() {
    let mut host = Host::new(edge("paris"));
    let ann = host.session();
    write(&mut host, ann, vec![put("k", "v")], vec![check("k", None)]).unwrap();
    assert_eq!(code(write(&mut host, ann, vec![put("k", "w")], vec![check("k", None)])), ErrorCode::Conflict);
    host.delete(ann, "k");
    write(&mut host, ann, vec![put("k", "v")], vec![check("k", None)]).unwrap();
    let brief = Mutation { expires_at: Some(START + 10), ..put("k", "v") };
    host.ask(ann, batch([brief]), SYNC).unwrap();
    host.now = START + 10;
    write(&mut host, ann, vec![put("k", "v")], vec![check("k", None)]).unwrap();
}

#[test]
fn a_check_refuses_when_a_sibling_has_arrived_unseen() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let (ann, bob) = (paris.session(), tokyo.session());
    tokyo.now = START - 1_000;
    tokyo.set(bob, "k", "the loser");
    paris.set(ann, "k", "the winner");
    let seen = paris.conflicts(ann, "k")[0].version.clone();
    sync(&mut paris, &mut tokyo);
    assert_eq!(strings(&paris.conflicts(ann, "k"))[0].1, "the winner", "what shows is the same");
    let refused = write(&mut paris, ann, vec![put("k", "merged")], vec![check("k", Some(&seen))]);
    let error = refused.unwrap_err();
    let Details::Conflict { version: Some(current), .. } = error.details().clone() else { panic!("{error}") };
    write(&mut paris, ann, vec![put("k", "merged")], vec![check("k", Some(&current))]).unwrap();
    assert_eq!(paris.conflicts(ann, "k").len(), 1);
}

#[test]
fn two_checked_writes_that_did_not_see_each_other_become_siblings() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let (ann, bob) = (paris.session(), tokyo.session());
    let version = paris.set(ann, "k", "0");
    sync(&mut paris, &mut tokyo);
    write(&mut paris, ann, vec![put("k", "a")], vec![check("k", Some(&version))]).unwrap();
    write(&mut tokyo, bob, vec![put("k", "b")], vec![check("k", Some(&version))]).unwrap();
    sync(&mut paris, &mut tokyo);
    assert_eq!(paris.conflicts(ann, "k").len(), 2, "a check is exact on one replica only");
}

#[test]
fn a_batch_whose_check_fails_writes_nothing_at_all() {
    let mut host = Host::new(edge("paris"));
    let ann = host.session();
    host.set(ann, "k", "v");
    let before = host.snapshot();
    let refused =
        write(&mut host, ann, vec![put("a", "1"), erase("k"), put("b", "1")], vec![check("a", None), check("k", None)]);
    assert_eq!(code(refused), ErrorCode::Conflict);
    assert_eq!(host.snapshot(), before, "not even the clock has moved");
}

#[test]
fn of_two_writes_of_a_key_in_one_batch_the_last_counts() {
    let mut host = Host::new(edge("paris"));
    let ann = host.session();
    host.ask(ann, batch([put("k", "first"), put("l", "v"), put("k", "last")]), SYNC).unwrap();
    assert_eq!(strings(&host.conflicts(ann, "k")), [("k".into(), "last".into())]);
    assert_eq!(host.holds(), "<paris:1>");
    assert_eq!(host.replica.store().bytes(), (1 + 4 + 64) + (1 + 1 + 64));
}

#[test]
fn a_batch_of_nothing_is_refused() {
    let mut host = Host::new(edge("paris"));
    let ann = host.session();
    assert_eq!(code(write(&mut host, ann, vec![], vec![])), ErrorCode::ArgumentInvalid);
    assert_eq!(host.holds(), "<>");
}

#[test]
fn the_version_that_a_write_answers_is_the_one_that_a_read_tells() {
    let mut host = Host::new(edge("paris"));
    let ann = host.session();
    let version = write(&mut host, ann, vec![put("a", "1"), put("b", "1")], vec![]).unwrap();
    for key in ["a", "b"] {
        assert_eq!(host.conflicts(ann, key)[0].version, version, "each key of a batch has it");
    }
}
