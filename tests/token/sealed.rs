//! What is sealed opens as it was, for its time and by its keys; what is added travels beside it.

use std::sync::Arc;

use super::*;

fn any_seen() -> impl Strategy<Value = SessionVector> {
    let name = prop::sample::select(vec!["default", "notes", "a.b"]);
    let label = prop::sample::select(vec!["fra1", "bom1", "tab", "t"]);
    let sequence = prop_oneof![1u64..300, Just(SEQUENCE_MAX), 1..=SEQUENCE_MAX];
    prop::collection::vec((name, 1u32..3, label, sequence, any::<bool>()), 0..8).prop_map(|steps| {
        let mut seen = SessionVector::default();
        for (name, generation, label, sequence, is_read) in steps {
            let (space, dot) = (Space::new(name, generation).unwrap(), Dot::new(replica(label), sequence));
            if is_read { seen.record_read(&space, dot) } else { seen.record_write(&space, dot) }
        }
        seen
    })
}

fn any_claims() -> impl Strategy<Value = Claims> {
    let text = || prop::option::of(".{0,8}");
    (text(), text(), "[a-z$.]{1,8}", 1u32..4, 0u8..16, any::<[u8; 16]>(), 1u64..5_000_000, 0u64..3).prop_map(
        |(subject, client, space, generation, guarantees, session, seconds, longer)| Claims {
            subject: subject.map(Into::into),
            client: client.map(Into::into),
            session: SessionId::from_bytes(session),
            space: Space::new(&space, generation).unwrap(),
            guarantees: Guarantees::from_bits(guarantees).unwrap(),
            expires_at: NOW + seconds * 1000,
            ends_at: NOW + (seconds + longer * 60) * 1000,
            ..claims()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_sealed_token_opens_as_it_was(claims in any_claims(), seen in any_seen()) {
        let text = keys().seal(&claims, &seen).unwrap();
        let token = open(&text).unwrap();
        prop_assert_eq!(token.identity(), Some(&claims));
        prop_assert_eq!(token.dependencies(), &seen);
        prop_assert_eq!(token.to_text(), &*text);
        let tab = SessionToken::open_unverified(&text).unwrap();
        prop_assert_eq!((tab.claims(), tab.identity()), (Some(&claims), None), "nobody has verified it");
        prop_assert_eq!(tab.dependencies(), &seen);
        prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b)));
    }

    #[test]
    fn a_suffix_holds_exactly_what_the_signature_does_not_cover(signed in any_seen(), own in any_seen()) {
        let sealed = keys().seal(&claims(), &signed).unwrap();
        let text = SessionToken::open_unverified(&sealed).unwrap().with_unsigned(&own).to_text();
        let (jws, suffix) = text.split_once('~').unwrap();
        prop_assert_eq!(Some(jws), sealed.strip_suffix('~'), "to the letter");
        // The suffix alone is the token of nobody, and so shows what is in it.
        let alone = open(&format!("~{suffix}")).unwrap();
        prop_assert_eq!(alone.dependencies(), &own.beyond(&signed));
        prop_assert_eq!(suffix.is_empty(), own.beyond(&signed).is_empty());

        let mut joined = signed.clone();
        joined.merge(&own);
        let token = open(&text).unwrap();
        prop_assert_eq!(token.dependencies(), &joined);
        prop_assert_eq!(token.identity(), Some(&claims()));
        prop_assert_eq!(token.to_text(), text);
    }

    /// Whether or not how a token begins is known beforehand.
    #[test]
    fn keys_of_an_issuer_sign_and_open_as_any_others(
        kid in "[a-z]{1,32}", issuer in "[a-z\"é ]{0,40}", other in "[a-z]{0,3}", seen in any_seen(),
        space in prop::sample::select(vec!["default", "notes", "a.b"]), at: prop::sample::Index,
    ) {
        let keys = Keyring::new([(&*kid, KEY)]).unwrap();
        let issuer: Arc<str> = issuer.into();
        let own = keys.clone().of_cluster(&issuer, &Space::first(space).unwrap());
        for issuer in [issuer, other.into()] {
            for subject in [None, Some("ann".into())] {
                let claims = Claims { issuer: issuer.clone(), subject, ..claims() };
                let text = keys.seal(&claims, &seen).unwrap();
                prop_assert_eq!(&own.seal(&claims, &seen).unwrap(), &text);
                let token = own.open(&text, NOW, &issuer, 0).unwrap();
                prop_assert_eq!(&token, &keys.open(&text, NOW, &issuer, 0).unwrap());
                prop_assert_eq!((token.identity(), token.dependencies()), (Some(&claims), &seen));
                let mut forged = text.into_bytes();
                let last = forged.len() - 1;
                let letter = &mut forged[at.index(last)];
                *letter = if *letter == b'B' { b'C' } else { b'B' };
                let forged = String::from_utf8(forged).unwrap();
                prop_assert_eq!(code(own.open(&forged, NOW, &issuer, 0)), code(keys.open(&forged, NOW, &issuer, 0)));
            }
        }
    }

    #[test]
    fn merging_keeps_the_identity_and_joins_what_was_seen(a in any_seen(), b in any_seen()) {
        let mine = open(&keys().seal(&claims(), &a).unwrap()).unwrap();
        let theirs = open(&keys().seal(&Claims { subject: None, ..claims() }, &b).unwrap()).unwrap();
        let mut merged = mine.clone();
        merged.merge(&theirs);
        let merged = open(&merged.to_text()).unwrap();
        prop_assert_eq!(merged.identity(), mine.identity());
        prop_assert_eq!(merged.jws(), mine.jws());
        let mut joined = a;
        joined.merge(&b);
        prop_assert_eq!(merged.dependencies(), &joined);
    }

    #[test]
    fn any_text_is_opened_or_refused(any in ".{0,80}", like in "[A-Za-z0-9._~-]{0,80}", suffix in any::<Vec<u8>>()) {
        for text in [any, like, format!("~{}", base64url(&suffix))] {
            if let Ok(token) = open(&text) {
                prop_assert_eq!(token.claims(), None);
                prop_assert_eq!(token.to_text(), if text.is_empty() { "~".into() } else { text.clone() });
            }
            let _ = SessionToken::open_unverified(&text);
        }
    }
}

#[test]
fn a_usual_token_has_about_340_bytes() {
    let text = keys().seal(&claims(), &seen()).unwrap();
    assert!(text.len() <= 345, "{} bytes", text.len());
}

#[test]
fn a_token_without_a_signed_part_is_nobodys() {
    for text in ["", "~"] {
        for token in [open(text).unwrap(), SessionToken::open_unverified(text).unwrap()] {
            assert_eq!((token.claims(), token.identity(), token.to_text()), (None, None, "~".into()));
            assert!(token.dependencies().is_empty());
        }
    }
}

#[test]
fn a_token_expires_to_the_second_and_not_later() {
    let text = keys().seal(&Claims { expires_at: NOW + 10_999, ends_at: NOW + 10_999, ..claims() }, &seen()).unwrap();
    let at = |now: u64, leeway: u64| keys().open(&text, now, "example", leeway).map_err(|error| error.code());
    assert_eq!(at(NOW, 0).unwrap().identity().unwrap().expires_at, NOW + 10_000, "rounded down");
    assert!(at(NOW + 9_999, 0).is_ok());
    assert_eq!(at(NOW + 10_000, 0).unwrap_err(), ErrorCode::TokenExpired);
    assert!(at(NOW + 10_000 + 4_999, 5_000).is_ok());
    assert_eq!(at(NOW + 10_000 + 5_000, 5_000).unwrap_err(), ErrorCode::TokenExpired);
    assert_eq!(at(NOW + 10_000 + LEEWAY_MAX, u64::MAX).unwrap_err(), ErrorCode::TokenExpired, "leeway is bounded");
    // Who cannot sign is not told whether a token had its time.
    let forged = Keyring::new([("k1", &[9; 32][..])]).unwrap().seal(&claims(), &seen()).unwrap();
    assert_eq!(code(keys().open(&forged, u64::MAX, "example", 0)), ErrorCode::TokenInvalid);
    assert!(keys().open(&text, 0, "example", 0).is_ok(), "a token of the future is no error");
}

#[test]
fn a_token_above_the_limit_is_not_looked_at() {
    let at_limit = "A".repeat(TOKEN_BYTES_MAX);
    assert_eq!(code(open(&at_limit)), ErrorCode::TokenInvalid);
    for text in [format!("{at_limit}A"), format!("{at_limit}\n")] {
        assert_eq!(code(open(&text)), ErrorCode::TokenTooLarge);
        assert_eq!(code(SessionToken::open_unverified(&text)), ErrorCode::TokenTooLarge);
    }
    let verbose = Claims { subject: Some("x".repeat(TOKEN_BYTES_MAX).into()), ..claims() };
    assert_eq!(code(keys().seal(&verbose, &seen())), ErrorCode::TokenTooLarge);
}

#[test]
fn keys_change_without_ending_a_session() {
    let (old, new) = (("k1", KEY), ("k2", &[8; 40][..]));
    let rings = [vec![old], vec![old, new], vec![new, old], vec![new]].map(|ring| Keyring::new(ring).unwrap());
    let opens = |minter: usize, reader: usize| {
        let text = rings[minter].seal(&claims(), &seen()).unwrap();
        rings[reader].open(&text, NOW, "example", 0).is_ok()
    };
    for step in 0..3 {
        assert!(opens(step, step + 1) && opens(step + 1, step), "step {step}: both sides of a roll-out agree");
    }
    assert!(!opens(0, 3), "a retired key opens nothing");
    assert!(!opens(3, 0));
}

#[test]
fn weak_or_ambiguous_keys_are_refused() {
    let short = &KEY[..KEY_BYTES_MIN - 1];
    let rings: [&[(&str, &[u8])]; 7] = [
        &[],
        &[("k1", short)],
        &[("k1", KEY), ("k2", short)],
        &[("k1", KEY), ("k1", &[8; 32])],
        &[("", KEY)],
        &[("a\"b", KEY)],
        &[("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", KEY)],
    ];
    for ring in rings {
        assert_eq!(code(Keyring::new(ring.iter().copied())), ErrorCode::ArgumentInvalid, "{ring:?}");
    }
}

#[test]
fn a_log_shows_neither_keys_nor_signatures() {
    let text = keys().seal(&claims(), &seen()).unwrap();
    let log = format!("{:?} {:?}", keys(), open(&text).unwrap());
    assert!(log.contains("ann"));
    assert!(!log.contains("7, 7, 7") && !log.contains("eyJ"), "{log}");
}

#[test]
fn a_token_asks_by_the_guarantees_of_its_session() {
    let own_writes = Claims { guarantees: Guarantees::NONE.with(Guarantee::ReadYourWrites), ..claims() };
    let token = open(&keys().seal(&own_writes, &seen()).unwrap()).unwrap();
    let space = &claims().space;
    let missing = |access, vector: &VersionVector| token.missing(space, access, vector);
    let needs: Vec<_> =
        missing(Access::Read, &VersionVector::new()).iter().map(|gap| gap.replica.to_string()).collect();
    assert_eq!(needs, [replica("bom1").to_string(), replica("tab").to_string()], "not what was read at fra1");
    let held = VersionVector::from_iter([(replica("bom1"), 7), (replica("tab"), 70_000)]);
    assert_eq!(missing(Access::Read, &held), []);
    assert_eq!(missing(Access::Write, &VersionVector::new()), []);
}
