//! Tokens that cannot be made short enough, and what is said then.

use super::*;

fn cause(result: Result<String, SessionError>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code(), ErrorCode::TokenTooLarge, "{error}");
    assert_eq!(error.details(), &Details::Limit { limit: "tokenBytes", allowed: 1024 });
    error.cause().to_owned()
}

/// A token that depends on what `writers` wrote, signed, at a place that has never seen them.
fn elsewhere(writers: &mut [Host], config: Config) -> (Host, SessionHandle) {
    let mut there = Host::new(config);
    let session = there.session();
    // Short tokens of parts of it, joined one after the other.
    for (number, part) in writers.chunks_mut(8).enumerate() {
        let mut source = Host::new(edge(&format!("src{number}")));
        let reader = reader(&mut source, part);
        let token = source.token(reader);
        there.replica.merge(session, &token, START).unwrap();
    }
    there.drain();
    (there, session)
}

#[test]
fn what_a_replica_lacks_it_does_not_fold() {
    let mut tabs = writers(MANY);
    let (mut there, session) = elsewhere(&mut tabs, edge("fra1"));
    assert!(cause(sealed(&mut there, session)).contains("lacks"), "and it is said at once");
    assert!(cause(there.replica.token(session, START)).contains("lacks"));
    assert_eq!(own(&there), 0, "no checkpoint is made that would not help");

    // Half of it arrives, and is folded; the rest stays as it is.
    tabs[..MANY - 6].iter_mut().for_each(|tab| there.pull(tab));
    acknowledge(&mut there, &mut tabs[0]);
    assert_eq!(code(there.replica.token(session, START)), ErrorCode::TokenTooLarge);
    there.drain();
    acknowledge(&mut there, &mut tabs[0]);
    let asked = asks(&there.token(session)).reads;
    assert_eq!((asked.len(), asked.get(there.id())), (7, 1));
    assert!(tabs[MANY - 6..].iter().all(|tab| asked.get(tab.id()) == 1));
}

#[test]
fn a_replica_without_a_key_does_not_fold() {
    let mut tabs = writers(MANY);
    let mut there = Host::new(tab("tab"));
    let session = reader(&mut there, &mut tabs);
    assert!(cause(there.replica.token(session, START)).contains("secret"));
    assert!(cause(sealed(&mut there, session)).contains("secret"));
    assert_eq!(own(&there), 0);
}

#[test]
fn a_name_that_fills_the_token_is_no_matter_of_folding() {
    let mut edge = Host::new(edge("fra1"));
    let session = edge.open(SessionInit { user: Some("x".repeat(900)), ..SessionInit::default() });
    assert!(cause(edge.replica.token(session, START)).contains("user"));
}

#[test]
fn the_limit_can_be_lowered_and_not_raised() {
    let low = Config { token_bytes: 370, ..edge("fra1") };
    let (mut low, mut tabs) = (Host::new(low), writers(MANY));
    let session = reader(&mut low, &mut tabs[..3]);
    assert_eq!(code(low.replica.token(session, START)), ErrorCode::TokenTooLarge);
    low.drain();
    acknowledge(&mut low, &mut tabs[0]);
    assert!(low.token(session).len() <= 370);
    let high = Config { token_bytes: TOKEN_BYTES_MAX + 1, ..edge("fra1") };
    assert_eq!(code(edge_session::replica::Replica::open(high, START)), ErrorCode::ArgumentInvalid);
}

/// Where the token could be, who has lowered the limit hears of that, not of replicas or names.
#[test]
fn a_limit_that_is_too_low_is_named() {
    for config in [edge("fra1"), tab("tab")] {
        let mut host = Host::new(Config { token_bytes: 10, ..config });
        let session = host.session();
        host.set(session, "cart", "book");
        let error = host.replica.token(session, START).unwrap_err();
        assert!(error.code() == ErrorCode::TokenTooLarge && error.cause().contains("tokenBytes"), "{error}");
    }
}
