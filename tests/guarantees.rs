//! The four session guarantees, each seen twice: the violation when it is off, and what prevents it when it is on.
//!
//! Three replicas far apart, and sessions that roam between them: all that travels with a session is its token. Nothing
//! travels between replicas unless a line says so (`berlin.pull(&mut tokyo)`): this is how lag looks from inside.
//! Read it beside `src/guarantee.rs`, whose table it acts out.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm
)]

mod common;

use common::host::{Host, PLAIN, SYNC, THROW, sync};
use common::{START, batch, code, edge, missing, put};
use edge_session::error::ErrorCode;
use edge_session::guarantee::Guarantee::{MonotonicReads, MonotonicWrites, ReadYourWrites, WritesFollowReads};
use edge_session::guarantee::{Guarantee, Guarantees};
use edge_session::io::{Answer, Operation, Outcome, Range, SessionHandle, Terms};
use edge_session::replica::SessionInit;
use edge_session::store::{Check, Mutation};

/// Three trusted replicas, which hold nothing yet and know nothing of each other.
fn cities() -> (Host, Host, Host) {
    (Host::new(edge("paris")), Host::new(edge("tokyo")), Host::new(edge("berlin")))
}

/// A session that is promised only `guarantees`.
fn promised(city: &mut Host, guarantees: Guarantees) -> SessionHandle {
    city.open(SessionInit { guarantees: Some(guarantees), ..SessionInit::default() })
}

/// All that the table promises but this row.
fn all_but(guarantee: Guarantee) -> Guarantees {
    Guarantees::from_bits(Guarantees::ALL.bits() & !Guarantees::NONE.with(guarantee).bits()).unwrap()
}

/// The session of one city goes on in another. Only its token travels.
fn roam(from: &mut Host, session: SessionHandle, to: &mut Host) -> SessionHandle {
    let token = from.token(session);
    to.resume(&token)
}

fn some(value: &str) -> Option<String> {
    Some(value.into())
}

// ── Read Your Writes: a read shows the session's own earlier writes ─────────────────────────────────────────────────

#[test]
fn without_read_your_writes_a_session_misses_what_it_wrote() {
    let (mut paris, mut tokyo, _) = cities();
    let ann = promised(&mut paris, all_but(ReadYourWrites));
    paris.set(ann, "cart", "a book");

    let ann = roam(&mut paris, ann, &mut tokyo);
    assert_eq!(tokyo.get(ann, "cart", THROW), Ok(None), "the violation: ann's book is gone");
}

#[test]
fn with_read_your_writes_a_replica_that_lacks_the_write_does_not_answer() {
    let (mut paris, mut tokyo, _) = cities();
    let ann = promised(&mut paris, Guarantees::NONE.with(ReadYourWrites));
    paris.set(ann, "cart", "a book");

    let ann = roam(&mut paris, ann, &mut tokyo);
    let error = tokyo.get(ann, "cart", THROW).unwrap_err();
    assert_eq!(error.code(), ErrorCode::StaleReplica);
    assert_eq!(missing(&error), ["paris: 0 → 1"], "exactly ann's write");
}

#[test]
fn the_delta_that_brings_the_write_releases_the_read_that_waits_for_it() {
    let (mut paris, mut tokyo, _) = cities();
    let ann = promised(&mut paris, Guarantees::NONE.with(ReadYourWrites));
    paris.set(ann, "cart", "a book");

    let ann = roam(&mut paris, ann, &mut tokyo);
    let waiting = tokyo.wait(ann, Operation::Get("cart".into()), PLAIN);
    assert_eq!(tokyo.taken(waiting), None);
    tokyo.pull(&mut paris);
    let Some(Ok(Answer::Item(Some(item)))) = tokyo.taken(waiting) else { panic!("the read has not settled") };
    assert_eq!(common::string(&item.content), "a book");
}

// ── Monotonic Reads: a read never shows a state older than an earlier read did ──────────────────────────────────────

#[test]
fn without_monotonic_reads_a_session_sees_time_go_back() {
    let (mut paris, mut tokyo, _) = cities();
    let author = paris.session();
    paris.set(author, "news", "early");
    sync(&mut paris, &mut tokyo);
    paris.set(author, "news", "late");

    let ann = promised(&mut paris, all_but(MonotonicReads));
    assert_eq!(paris.get(ann, "news", THROW), Ok(some("late")));
    let ann = roam(&mut paris, ann, &mut tokyo);
    assert_eq!(tokyo.get(ann, "news", THROW), Ok(some("early")), "the violation: yesterday's news");
}

#[test]
fn with_monotonic_reads_a_replica_that_has_seen_less_does_not_answer() {
    let (mut paris, mut tokyo, _) = cities();
    let author = paris.session();
    paris.set(author, "news", "early");
    sync(&mut paris, &mut tokyo);
    paris.set(author, "news", "late");

    let ann = promised(&mut paris, Guarantees::NONE.with(MonotonicReads));
    assert_eq!(paris.get(ann, "news", THROW), Ok(some("late")));
    let ann = roam(&mut paris, ann, &mut tokyo);
    let error = tokyo.get(ann, "news", THROW).unwrap_err();
    assert_eq!(missing(&error), ["paris: 1 → 2"]);

    let waiting = tokyo.wait(ann, Operation::Get("news".into()), PLAIN);
    tokyo.pull(&mut paris);
    assert!(
        matches!(tokyo.taken(waiting), Some(Ok(Answer::Item(Some(item)))) if common::string(&item.content) == "late")
    );
}

#[test]
fn a_deletion_that_was_read_is_not_unread_elsewhere() {
    let (mut paris, mut tokyo, _) = cities();
    let author = paris.session();
    paris.set(author, "news", "a rumour");
    sync(&mut paris, &mut tokyo);
    paris.delete(author, "news");

    let ann = promised(&mut paris, Guarantees::NONE.with(MonotonicReads));
    assert_eq!(paris.get(ann, "news", THROW), Ok(None));
    let ann = roam(&mut paris, ann, &mut tokyo);
    assert_eq!(missing(&tokyo.get(ann, "news", THROW).unwrap_err()), ["paris: 1 → 2"], "the tombstone was read");
}

#[test]
fn a_session_depends_on_what_decided_its_answers_and_on_nothing_else() {
    let (mut paris, mut tokyo, _) = cities();
    let author = paris.session();
    paris.set(author, "news", "early");
    sync(&mut paris, &mut tokyo);
    paris.set(author, "weather", "rain");

    let ann = promised(&mut paris, Guarantees::ALL);
    assert_eq!(paris.get(ann, "news", THROW), Ok(some("early")));
    let ann = roam(&mut paris, ann, &mut tokyo);
    assert_eq!(tokyo.get(ann, "news", THROW), Ok(some("early")), "paris held more, but ann has not read it");
}

// ── Monotonic Writes: the session's writes reach everybody in the order in which it made them ───────────────────────

#[test]
fn without_monotonic_writes_somebody_sees_the_second_write_without_the_first() {
    let (mut paris, mut tokyo, mut berlin) = cities();
    let ann = promised(&mut paris, all_but(MonotonicWrites));
    paris.set(ann, "article", "the text");
    let ann = roam(&mut paris, ann, &mut tokyo);
    tokyo.set(ann, "index", "see the article");

    berlin.pull(&mut tokyo);
    let reader = berlin.session();
    assert_eq!(berlin.get(reader, "index", THROW), Ok(some("see the article")));
    assert_eq!(berlin.get(reader, "article", THROW), Ok(None), "the violation: an index of nothing");
}

#[test]
fn with_monotonic_writes_the_second_write_waits_for_the_first_and_brings_it_along() {
    let (mut paris, mut tokyo, mut berlin) = cities();
    let ann = promised(&mut paris, Guarantees::NONE.with(MonotonicWrites));
    paris.set(ann, "article", "the text");
    let ann = roam(&mut paris, ann, &mut tokyo);
    let error = tokyo.try_set(ann, "index", "see the article", THROW).unwrap_err();
    assert_eq!(missing(&error), ["paris: 0 → 1"]);
    assert_eq!(tokyo.holds(), "<>", "a write that is refused leaves nothing behind");

    let waiting = tokyo.wait(ann, batch([put("index", "see the article")]), PLAIN);
    tokyo.pull(&mut paris);
    assert!(matches!(tokyo.taken(waiting), Some(Ok(Answer::Version(_)))));

    berlin.pull(&mut tokyo); // from tokyo alone: berlin and paris have never met
    let reader = berlin.session();
    assert_eq!(berlin.get(reader, "index", THROW), Ok(some("see the article")));
    assert_eq!(berlin.get(reader, "article", THROW), Ok(some("the text")));
}

#[test]
fn of_two_writes_of_one_key_the_second_wins_even_where_the_clock_is_slow() {
    for (guarantees, winner) in [(all_but(MonotonicWrites), "first"), (Guarantees::ALL, "second")] {
        let (mut paris, mut tokyo, mut berlin) = cities();
        tokyo.now = START - 3_600_000;
        let ann = promised(&mut paris, guarantees);
        paris.set(ann, "name", "first");
        let ann = roam(&mut paris, ann, &mut tokyo);
        if guarantees == Guarantees::ALL {
            tokyo.pull(&mut paris);
        }
        tokyo.set(ann, "name", "second");

        berlin.pull(&mut paris);
        berlin.pull(&mut tokyo);
        let reader = berlin.session();
        assert_eq!(berlin.get(reader, "name", THROW), Ok(some(winner)), "{:?}", guarantees.names());
    }
}

// ── Writes Follow Reads: a write reaches everybody after the writes that the session had read ───────────────────────

#[test]
fn without_writes_follow_reads_somebody_sees_the_answer_without_the_question() {
    let (mut paris, mut tokyo, mut berlin) = cities();
    let ann = paris.session();
    paris.set(ann, "question", "where to?");

    let bob = promised(&mut paris, all_but(WritesFollowReads));
    assert_eq!(paris.get(bob, "question", THROW), Ok(some("where to?")));
    let bob = roam(&mut paris, bob, &mut tokyo);
    tokyo.set(bob, "answer", "home");

    berlin.pull(&mut tokyo);
    let reader = berlin.session();
    assert_eq!(berlin.get(reader, "answer", THROW), Ok(some("home")));
    assert_eq!(berlin.get(reader, "question", THROW), Ok(None), "the violation: an answer to nothing");
}

#[test]
fn with_writes_follow_reads_the_answer_waits_for_the_question_and_brings_it_along() {
    let (mut paris, mut tokyo, mut berlin) = cities();
    let ann = paris.session();
    paris.set(ann, "question", "where to?");

    let bob = promised(&mut paris, Guarantees::NONE.with(WritesFollowReads));
    assert_eq!(paris.get(bob, "question", THROW), Ok(some("where to?")));
    let bob = roam(&mut paris, bob, &mut tokyo);
    let error = tokyo.try_set(bob, "answer", "home", THROW).unwrap_err();
    assert_eq!(missing(&error), ["paris: 0 → 1"]);

    let waiting = tokyo.wait(bob, batch([put("answer", "home")]), PLAIN);
    tokyo.pull(&mut paris);
    assert!(matches!(tokyo.taken(waiting), Some(Ok(Answer::Version(_)))));

    berlin.pull(&mut tokyo);
    let reader = berlin.session();
    assert_eq!(berlin.get(reader, "answer", THROW), Ok(some("home")));
    assert_eq!(berlin.get(reader, "question", THROW), Ok(some("where to?")));
}

// ── Promises to everybody ───────────────────────────────────────────────────────────────────────────────────────────

/// Monotonic Writes and Writes Follow Reads bind replicas that neither session has ever used. They hold because a write
/// is accepted only where its past is held, and leaves only together with it: whatever way the deltas take.
#[test]
fn whatever_way_the_deltas_take_nobody_ever_holds_a_write_without_its_past() {
    const ROUTES: [(usize, usize); 6] = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)];
    let follows = [("answer", "question"), ("index", "article"), ("article", "answer")];
    let mut complete = 0;
    for path in 0..ROUTES.len().pow(3) {
        let (mut paris, mut tokyo, berlin) = cities();
        let ann = paris.session();
        paris.set(ann, "question", "where to?");
        let bob = tokyo.session();
        tokyo.pull(&mut paris);
        tokyo.get(bob, "question", THROW).unwrap();
        tokyo.set(bob, "answer", "home");
        tokyo.set(bob, "article", "on going home");
        paris.set(ann, "question", "where now?");
        tokyo.set(bob, "index", "see the article");

        let mut cities = [paris, tokyo, berlin];
        for step in 0..3u32 {
            let (to, from) = ROUTES[path / ROUTES.len().pow(step) % ROUTES.len()];
            let [to, from] = cities.get_disjoint_mut([to, from]).unwrap();
            to.pull(from);
            for city in &mut cities {
                let reader = promised(city, Guarantees::NONE);
                let mut shows = |key: &str| city.get(reader, key, THROW).unwrap().is_some();
                for (later, earlier) in follows {
                    assert!(!shows(later) || shows(earlier), "path {path}, step {step}: {later} without {earlier}");
                }
                complete += u32::from(shows("index"));
            }
        }
    }
    assert!(complete > 0, "the writes did travel");
}

// ── Choosing ────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn guarantees_are_narrowed_and_widened_for_one_operation() {
    let (mut paris, mut tokyo, _) = cities();
    let ann = paris.session();
    paris.set(ann, "cart", "a book");

    let narrowed = Terms { guarantees: Some(all_but(ReadYourWrites)), ..THROW };
    let ann_there = roam(&mut paris, ann, &mut tokyo);
    assert_eq!(code(tokyo.get(ann_there, "cart", THROW)), ErrorCode::StaleReplica);
    assert_eq!(tokyo.get(ann_there, "cart", narrowed), Ok(None), "asked for less, once");
    assert_eq!(code(tokyo.get(ann_there, "cart", THROW)), ErrorCode::StaleReplica, "and only once");

    let widened = Terms { guarantees: Some(Guarantees::ALL), ..THROW };
    let token = paris.token(ann);
    let init = SessionInit { token: Some(token), guarantees: Some(Guarantees::NONE), ..SessionInit::default() };
    let careless = tokyo.open(init);
    assert_eq!(tokyo.get(careless, "cart", THROW), Ok(None));
    assert_eq!(code(tokyo.get(careless, "cart", widened)), ErrorCode::StaleReplica, "asked for more, once");
    assert_eq!(tokyo.get(careless, "cart", THROW), Ok(None));
}

#[test]
fn a_session_takes_its_guarantees_along_in_its_token() {
    let (mut paris, mut tokyo, _) = cities();
    let only = Guarantees::NONE.with(MonotonicReads);
    let ann = promised(&mut paris, only);
    let ann = roam(&mut paris, ann, &mut tokyo);
    assert_eq!(tokyo.replica.session(ann).unwrap().guarantees, only);
}

#[test]
fn what_is_written_without_a_guarantee_still_counts_once_it_is_asked_for() {
    let (mut paris, mut tokyo, _) = cities();
    let ann = promised(&mut paris, Guarantees::NONE);
    paris.set(ann, "cart", "a book");
    let ann = roam(&mut paris, ann, &mut tokyo);
    let widened = Terms { guarantees: Some(Guarantees::ALL), ..THROW };
    assert_eq!(missing(&tokyo.get(ann, "cart", widened).unwrap_err()), ["paris: 0 → 1"]);
}

// ── What an answer rests on was read: more than what shows, where more decided it ────────────────────────────────────

/// Two cities wrote one key at the same time. The one that holds both writes, the one that wrote what shows, and what is lacking
/// there to whoever has seen both.
fn torn() -> (Host, Host, String) {
    let (mut paris, mut tokyo, mut berlin) = cities();
    for (city, name) in [(&mut paris, "paris"), (&mut berlin, "berlin")] {
        let host = city.session();
        city.set(host, "cart", name);
        tokyo.pull(city);
    }
    let reader = tokyo.session();
    match tokyo.get(reader, "cart", SYNC).unwrap().as_deref() {
        Some("paris") => (tokyo, paris, "berlin: 0 → 1".into()),
        _ => (tokyo, berlin, "paris: 0 → 1".into()),
    }
}

/// What a session lacks in the other city once it has asked this.
fn lacks_after(operation: Operation, taken: bool) -> (Vec<String>, String) {
    let (mut tokyo, mut winner, loser) = torn();
    let ann = promised(&mut tokyo, Guarantees::NONE.with(MonotonicReads));
    assert_eq!(tokyo.ask(ann, operation, SYNC).is_ok(), taken);
    let ann = roam(&mut tokyo, ann, &mut winner);
    (winner.get(ann, "cart", THROW).map_or_else(|error| missing(&error), |_| Vec::new()), loser)
}

#[test]
fn a_value_depends_on_the_write_that_shows_alone() {
    assert_eq!(lacks_after(Operation::Get("cart".into()), true).0, [""; 0]);
}

#[test]
fn conflicts_and_listings_depend_on_every_sibling() {
    for operation in [Operation::Conflicts("cart".into()), Operation::List(Range::default())] {
        let (missing, loser) = lacks_after(operation, true);
        assert_eq!(missing, [loser]);
    }
}

/// It tells the session what the version is not.
#[test]
fn a_check_that_is_refused_depends_on_every_sibling() {
    let checks = vec![Check { key: "cart".into(), version: None }];
    let (missing, loser) = lacks_after(Operation::Write { batch: vec![put("other", "v")], checks }, false);
    assert_eq!(missing, [loser]);
}

// ── Merging ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Two tabs of one user, served by two replicas: whoever joins their tokens depends on what either has seen.
#[test]
fn a_session_that_merges_a_token_depends_on_what_both_have_seen() {
    let (mut paris, mut tokyo, mut berlin) = cities();
    let user = |city: &mut Host| city.open(SessionInit { user: Some("ann".into()), ..SessionInit::default() });
    let one = user(&mut paris);
    paris.set(one, "cart", "a book");
    let other = user(&mut tokyo);
    tokyo.set(other, "address", "Rue de la Paix");

    let ann = berlin.resume(&paris.token(one));
    let token = tokyo.token(other);
    berlin.replica.merge(ann, &token, START).unwrap();
    berlin.replica.merge(ann, &token, START).unwrap(); // once more is as good as once
    assert_eq!(missing(&berlin.get(ann, "cart", THROW).unwrap_err()), ["paris: 0 → 1", "tokyo: 0 → 1"]);

    let waiting = berlin.wait(ann, Operation::Read("address".into()), PLAIN);
    berlin.pull(&mut paris);
    assert_eq!(berlin.taken(waiting), None, "half of what was seen is not enough");
    berlin.pull(&mut tokyo);
    assert!(matches!(berlin.taken(waiting), Some(Ok(Answer::Outcome(Outcome::Value { stale: false, .. })))));
    assert_eq!(berlin.get(ann, "cart", SYNC), Ok(some("a book")));
}

/// What one replica has shown as expired, a slower clock does not bring back: a merged token tells what time it has seen.
#[test]
fn what_has_expired_for_a_token_stays_so_where_the_clock_is_slow() {
    let (mut paris, mut tokyo, _) = cities();
    let ann = paris.session();
    let brief = Mutation { expires_at: Some(START + 10), ..put("offer", "half price") };
    paris.ask(ann, batch([brief]), SYNC).unwrap();
    tokyo.pull(&mut paris);
    let slow = roam(&mut paris, ann, &mut tokyo);
    assert_eq!(tokyo.get(slow, "offer", SYNC), Ok(some("half price")));

    paris.at(START + 5_000);
    assert_eq!(paris.get(ann, "offer", SYNC), Ok(None));
    let token = paris.token(ann);
    tokyo.replica.merge(slow, &token, START).unwrap();
    assert_eq!(tokyo.get(slow, "offer", SYNC), Ok(None), "tokyo's clock has not moved, and ann has seen it gone");
}

/// Nor what one of several tokens tells of, whichever of them says whose they are.
#[test]
fn what_has_expired_for_one_token_of_a_listing_stays_so() {
    let (mut paris, mut tokyo, _) = cities();
    let ann = paris.session();
    let brief = Mutation { expires_at: Some(START + 10), ..put("offer", "half price") };
    paris.ask(ann, batch([brief]), SYNC).unwrap();
    tokyo.pull(&mut paris);
    let early = paris.token(ann);
    paris.at(START + 5_000);
    assert_eq!(paris.get(ann, "offer", SYNC), Ok(None));
    let late = paris.token(ann);

    for listing in [[&*early, &*late], [&*late, &*early]].map(|both| both.join(",")) {
        let begun = tokyo.resume(&listing);
        assert_eq!(tokyo.get(begun, "offer", SYNC), Ok(None));
        let merged = tokyo.resume(&early);
        assert_eq!(tokyo.get(merged, "offer", SYNC), Ok(some("half price")), "tokyo's clock has not moved");
        tokyo.replica.merge(merged, &listing, START).unwrap();
        assert_eq!(tokyo.get(merged, "offer", SYNC), Ok(None));
        // What it hands on tells the same.
        let token = tokyo.token(merged);
        let again = tokyo.resume(&token);
        assert_eq!(tokyo.get(again, "offer", SYNC), Ok(None));
    }
}
