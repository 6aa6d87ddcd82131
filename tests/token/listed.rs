//! Several tokens in one text: who the bearer is stays with one of them, and nothing that any of them depends on is lost.

use super::*;
use edge_session::replica::{Config, Replica, SessionInit};
use edge_session::session::listing::{LISTING_BYTES_MAX, SIGNED_MAX, open as open_listing};

fn listed(text: &str) -> Result<SessionToken, SessionError> {
    open_listing(text, NOW, |one, at| keys().open(one, at, "example", 0))
}

/// What was seen of one replica.
fn of(label: &str, sequence: u64) -> SessionVector {
    let mut seen = SessionVector::default();
    seen.record_write(&Space::first("default").unwrap(), Dot::new(replica(label), sequence));
    seen
}

fn sealed(claims: &Claims, label: &str, sequence: u64) -> String {
    keys().seal(claims, &of(label, sequence)).unwrap()
}

/// A token of nobody, which asks for one write.
fn unsigned(label: &str, sequence: u64) -> String {
    SessionToken::anonymous().with_unsigned(&of(label, sequence)).to_text()
}

fn writes(token: &SessionToken) -> Vec<(String, u64)> {
    let space = Space::first("default").unwrap();
    let written = |own: &edge_session::session::vector::Dependencies| {
        own.writes.iter().map(|(id, n)| (id.to_string().split('~').next().unwrap().to_owned(), n)).collect()
    };
    token.dependencies().get(&space).map_or_else(Vec::new, written)
}

#[test]
fn what_any_of_them_depends_on_the_bearer_depends_on() {
    let text = [sealed(&claims(), "a", 1), unsigned("b", 2), sealed(&claims(), "a", 3), unsigned("c", 4)].join(",");
    let token = listed(&text).unwrap();
    assert_eq!(token.identity(), Some(&claims()));
    assert_eq!(writes(&token), [("a".into(), 3), ("b".into(), 2), ("c".into(), 4)]);
    assert_eq!(token.jws(), text.split('~').next().unwrap(), "the identity is the first one's, to the letter");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn in_any_order_and_any_number_of_times(
        seen in prop::collection::vec(("[abc]", 1..9u64), 1..12),
        order in any::<prop::sample::Index>(),
    ) {
        let mut parts: Vec<String> = seen.iter().map(|(label, n)| unsigned(label, *n)).collect();
        let one = listed(&format!("{},{}", sealed(&claims(), "z", 1), parts.join(","))).unwrap();
        let at = order.index(parts.len());
        parts.rotate_left(at);
        parts.push(parts[0].clone());
        let other = listed(&format!("{},{}", parts.join(","), sealed(&claims(), "z", 1))).unwrap();
        prop_assert_eq!(one, other);
    }
}

#[test]
fn one_forged_signature_refuses_the_whole() {
    let (good, other) = (sealed(&claims(), "a", 1), sealed(&claims(), "b", 1));
    let forged = other.replacen("eyJp", "eyJq", 1);
    for text in
        [format!("{good},{forged}"), format!("{forged},{good}"), format!("{good},nonsense"), format!("{good},~!")]
    {
        assert_eq!(code(listed(&text)), ErrorCode::TokenInvalid, "{text}");
    }
}

#[test]
fn another_users_token_does_not_mix() {
    let bob = Claims { subject: Some("bob".into()), ..claims() };
    let nobody = Claims { subject: None, ..claims() };
    let text = |one: &Claims, other: &Claims| [sealed(one, "a", 1), sealed(other, "b", 1)].join(",");
    assert_eq!(code(listed(&text(&claims(), &bob))), ErrorCode::TokenInvalid);
    assert_eq!(code(listed(&text(&nobody, &bob))), ErrorCode::TokenInvalid);
    // What somebody saw before they logged in goes with them.
    let token = listed(&text(&claims(), &nobody)).unwrap();
    assert_eq!((token.identity(), writes(&token).len()), (Some(&claims()), 2));
}

#[test]
fn an_expired_one_says_what_it_depends_on_and_no_longer_who_the_bearer_is() {
    let old = Claims { expires_at: NOW, ends_at: NOW, session: SessionId::new(NOW, [1; 10]), ..claims() };
    let token = listed(&[sealed(&old, "a", 1), sealed(&claims(), "b", 1)].join(",")).unwrap();
    assert_eq!(token.identity(), Some(&claims()));
    assert_eq!(writes(&token), [("a".into(), 1), ("b".into(), 1)]);
    let all_old = [sealed(&old, "a", 1), unsigned("b", 1)].join(",");
    assert_eq!(code(listed(&all_old)), ErrorCode::TokenExpired);
}

#[test]
fn a_listing_is_bounded_before_any_of_it_is_checked() {
    let open_none = |text: &str| open_listing(text, NOW, |_, _| panic!("nothing is opened"));
    let five = vec![sealed(&claims(), "a", 1); SIGNED_MAX + 1].join(",");
    assert_eq!(code(open_none(&five)), ErrorCode::TokenTooLarge);
    assert_eq!(code(open_none(&"~,".repeat(LISTING_BYTES_MAX / 2 + 1))), ErrorCode::TokenTooLarge);
    assert!(listed(&vec![sealed(&claims(), "a", 1); SIGNED_MAX].join(",")).is_ok());
    // What is not signed costs no MAC.
    let many = [vec![unsigned("a", 1); 30], vec![sealed(&claims(), "b", 1)]].concat().join(",");
    assert_eq!(writes(&listed(&many).unwrap()).len(), 2);
}

#[test]
fn a_token_taken_apart_is_the_same_token() {
    let token = open(&keys().seal(&claims(), &seen()).unwrap()).unwrap().with_unsigned(&of("more", 9));
    let apart = token.to_detached_text().unwrap();
    assert_eq!(listed(&apart).unwrap().dependencies(), token.dependencies());
    assert_eq!(listed(&apart).unwrap().identity(), token.identity());
    // The second part alone is everything that it depends on, and nobody.
    let (who, what) = apart.split_once(',').unwrap();
    assert_eq!(who, format!("{}~", token.jws()));
    let what = open(what).unwrap();
    assert_eq!((what.identity(), what.dependencies()), (None, token.dependencies()));

    let nobody = SessionToken::anonymous().with_unsigned(&seen());
    assert_eq!(nobody.to_detached_text().unwrap(), nobody.to_text());
    let fresh = open(&keys().seal(&claims(), &SessionVector::default()).unwrap()).unwrap();
    assert_eq!(fresh.to_detached_text().unwrap(), format!("{},~", fresh.to_text()));
}

#[test]
fn a_replica_begins_and_joins_sessions_with_listings() {
    for keys in [vec![("k1".into(), KEY.to_vec())], vec![]] {
        let config = Config { issuer: "example".into(), keys, ..Config::default() };
        let mut edge = Replica::open(config, NOW).unwrap();
        let text = [sealed(&claims(), "a", 1), unsigned("b", 2)].join(",");
        let begun = edge.open_session(SessionInit { token: Some(text.clone()), ..SessionInit::default() }, NOW);
        assert_eq!(edge.session(begun).unwrap().user.as_deref(), Some("ann"));
        let lacks = |edge: &mut Replica, session, token| edge.missing(session, token, NOW).unwrap().len();
        assert_eq!(lacks(&mut edge, begun, None), 2);
        edge.merge(begun, &[unsigned("c", 1), unsigned("d", 1)].join(","), NOW).unwrap();
        assert_eq!(lacks(&mut edge, begun, None), 4);
        assert_eq!(lacks(&mut edge, begun, Some(&text)), 2);
    }
}
