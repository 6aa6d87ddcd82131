//! What is damaged, forged, or ill formed behind a MAC that holds, opens for nobody.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_signed_payload_is_opened_or_refused(
        json in any::<Vec<u8>>(),
        packed in any::<Vec<u8>>(),
        claim in r#"("[a-z]{3}":)?[\[\]{}",:0-9a-z.-]{0,16}"#,
    ) {
        let packed = format!(r#""dep":{{"default":"{}"}}"#, base64url(&packed));
        let payloads = [json, payload_with(r#""dep":{}"#, &packed), payload_with(r#""dep":{}"#, &claim)];
        for payload in payloads {
            if let Err(error) = open(&signed(HEADER, &payload)) {
                prop_assert!(matches!(error.code(), ErrorCode::TokenInvalid | ErrorCode::TokenTooLarge));
            }
        }
    }
}

#[test]
fn a_changed_byte_never_changes_who_the_bearer_is() {
    let mut more = SessionVector::default();
    more.record_read(&Space::first("notes").unwrap(), Dot::new(replica("tab"), 9));
    let token = open(&keys().seal(&claims(), &seen()).unwrap()).unwrap().with_unsigned(&more);
    let text = token.to_text();
    let suffix_at = text.find('~').unwrap() + 1;
    let changes = |at: usize| {
        // The last character of a base64url text has bits that say nothing: there each character is tried.
        let all = matches!(text.as_bytes().get(at + 1), None | Some(b'.' | b'~'));
        let was = text.as_bytes()[at];
        (0..128u8).filter(move |b| *b != was && (all || (b ^ was).is_power_of_two() || b".~A-".contains(b)))
    };
    for at in 0..text.len() {
        for to in changes(at) {
            let mut changed = text.clone().into_bytes();
            changed[at] = to;
            let changed = String::from_utf8(changed).unwrap();
            match open(&changed) {
                Err(error) => assert_eq!(error.code(), ErrorCode::TokenInvalid, "{at}: {changed}"),
                Ok(opened) => {
                    assert!(at >= suffix_at, "{at}: {changed}");
                    assert_eq!((opened.identity(), opened.jws()), (token.identity(), token.jws()));
                    assert!(opened.dependencies().beyond(&seen()) != more, "two texts for one token: {changed}");
                }
            }
        }
    }
}

#[test]
fn a_token_cut_short_never_changes_who_the_bearer_is() {
    let text = keys().seal(&claims(), &seen()).unwrap();
    for len in 1..text.len() - 1 {
        assert_eq!(code(open(&text[..len])), ErrorCode::TokenInvalid, "cut to {len}");
    }
    // Only the mark between the parts may be left out: other minters know nothing of it.
    assert_eq!(open(&text[..text.len() - 1]).unwrap(), open(&text).unwrap());
}

#[test]
fn another_algorithm_or_header_is_refused_though_its_mac_holds() {
    let payload = payload_with("", "");
    assert!(open(&signed(HEADER, &payload)).is_ok());
    let headers = [
        r#"{"alg":"none","kid":"k1"}"#,
        r#"{"alg":"HS512","kid":"k1"}"#,
        r#"{"alg":"RS256","kid":"k1"}"#,
        r#"{"alg":"hs256","kid":"k1"}"#,
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"HS256","kid":"k2"}"#,
        r#"{"kid":"k1","alg":"HS256"}"#,
        r#"{"alg":"HS256","kid":"k1","crit":["b64"],"b64":false}"#,
        r#"{"alg":"HS256","kid":"k1","kid":"k1"}"#,
        r#"{"alg": "HS256","kid":"k1"}"#,
        "",
    ];
    for header in headers {
        assert_eq!(code(open(&signed(header, &payload))), ErrorCode::TokenInvalid, "{header}");
    }
    let unsigned = format!("{}.{}.~", base64url(headers[0]), base64url(&payload));
    assert_eq!(code(open(&unsigned)), ErrorCode::TokenInvalid, "no MAC at all");
    let unsigned = format!("{}.{}.~", base64url(HEADER), base64url(&payload));
    assert_eq!(code(open(&unsigned)), ErrorCode::TokenInvalid, "an empty MAC");
}

#[test]
fn ill_formed_claims_are_refused_though_the_mac_holds() {
    let packed = base64url([&[0x84, 1, 0x4b][..], &replica("a").to_bytes(), &[1, 2]].concat());
    let once = format!(r#""dep":{{"default":"{packed}"}}"#);
    assert!(open(&signed(HEADER, &payload_with(r#""dep":{}"#, &once))).is_ok());
    let twice = format!(r#""dep":{{"default":"{packed}","d\u0065fault":"{packed}"}}"#);
    let nowhere = once.replace("default", "no space");
    let sid = base64url(claims().session.as_bytes());
    let long = format!(r#""sid":"{}""#, base64url([0; 17]));
    let sid = format!(r#""sid":"{sid}""#);
    let cases = [
        (r#""iss":"example""#, r#""iss":"example","iss":"example""#),
        (r#""sub":"ann""#, r#""sub":"ann","sub":"root""#),
        (r#""sub":"ann""#, r#""sub":"ann","s\u0075b":"root""#),
        (r#""exp":1790003600"#, r#""exp":1790003600,"exp":1890003600"#),
        (r#""dep":{}"#, r#""dep":{},"dep":{}"#),
        (r#""dep":{}"#, &twice),
        (r#""iss":"example","#, ""),
        (&format!("{sid},"), ""),
        (r#""iat":1790000000,"#, ""),
        (r#""exp":1790003600,"#, ""),
        (r#""iss":"example""#, r#""iss":"another""#),
        (r#""iss":"example""#, r#""iss":["example"]"#),
        (r#""sub":"ann""#, r#""sub":null"#),
        (r#""sub":"ann""#, r#""sub":7"#),
        (&sid, r#""sid":"AAAA""#),
        (&sid, &long),
        (r#""spc":"default""#, r#""spc":"""#),
        (r#""spc":"default""#, r#""spc":"default:1""#),
        (r#""gua":15"#, r#""gua":16"#),
        (r#""gua":15"#, r#""gua":null"#),
        (r#""exp":1790003600"#, r#""exp":"1790003600""#),
        (r#""exp":1790003600"#, r#""exp":1790003600.5"#),
        (r#""exp":1790003600"#, r#""exp":-1"#),
        (r#""exp":1790003600"#, r#""exp":18446744073709551615"#),
        (r#""exp":1790003600"#, r#""exp":281474976711"#),
        (r#""exp":1790003600"#, r#""exp":1790003600,"end":1790003599"#),
        (r#""exp":1790003600"#, r#""exp":1790003600,"end":null"#),
        (r#""exp":1790003600"#, r#""exp":1790003600,"end":1790003600,"end":1890003600"#),
        (r#""dep":{}"#, r#""dep":{},"x":[[[[[]]]]]"#),
        (r#""dep":{}"#, r#""dep":{},"x":{"a":{"a":{"a":{"a":1}}}}"#),
        (r#""dep":{}"#, r#""dep":{},"x":"\"","y":[[[[[]]]]]"#),
        (r#""dep":{}"#, r#""dep":[]"#),
        (r#""dep":{}"#, &nowhere),
        (r#""dep":{}"#, r#""aud":"another service""#),
        (r#""dep":{}"#, r#""nbf":1790000000"#),
        (r#""dep":{}}"#, r#""dep":{}}{}"#),
        (r#""dep":{}}"#, r#""dep":{}} x"#),
        (r#""dep":{}}"#, r#""dep":{}"#),
        ("{", "[{"),
    ];
    for (from, to) in cases {
        assert_eq!(code(open(&signed(HEADER, &payload_with(from, to)))), ErrorCode::TokenInvalid, "{from} -> {to}");
    }
    let as_array = r#"["example","ann","AAAAAAAAAAAAAAAAAAAAAA","app","default",15,1790000000,1790003600,{}]"#;
    assert_eq!(code(open(&signed(HEADER, as_array.as_bytes()))), ErrorCode::TokenInvalid);
}

#[test]
fn a_token_that_names_no_space_is_of_the_default_one() {
    let token = open(&signed(HEADER, &payload_with(r#""spc":"default","#, ""))).unwrap();
    assert_eq!(token.identity().unwrap().space, Space::first("default").unwrap());
}

#[test]
fn claims_of_other_minters_are_passed_over() {
    // Brackets in a string are no nesting.
    let nested = format!(r#""dep":{{}},"x":"{}\"{}""#, "[{".repeat(50), "[".repeat(50));
    for more in [r#""dep":{},"jti":"1","scope":["a",{"b":null}]"#, r#""dep":{},"x":1,"x":2"#, &nested] {
        let token = open(&signed(HEADER, &payload_with(r#""dep":{}"#, more))).unwrap();
        assert_eq!(token.identity(), Some(&claims()));
    }
}

#[test]
fn packed_dependencies_have_one_form() {
    let (a, b) = (replica("a").to_bytes(), replica("b").to_bytes());
    let entry = |id: &[u8], numbers: &[u8]| [&[0x40 | id.len() as u8], id, numbers].concat();
    let above = [0x1b, 0, 0x20, 0, 0, 0, 0, 0, 0];
    let huge = [0x9b, 0x10, 0, 0, 0, 0, 0, 0, 0, 1];
    let packed = |bytes: &[u8]| {
        let dep = format!(r#""dep":{{"default":"{}"}}"#, base64url(bytes));
        open(&signed(HEADER, &payload_with(r#""dep":{}"#, &dep)))
    };
    let two = [&[0x87, 1][..], &entry(&a, &[1, 2]), &entry(&b, &[0, 3])].concat();
    let token = packed(&two).unwrap();
    let dependencies = token.dependencies().get(&claims().space).unwrap();
    assert_eq!(dependencies.reads, VersionVector::from_iter([(replica("a"), 1)]));
    assert_eq!(dependencies.writes, VersionVector::from_iter([(replica("a"), 2), (replica("b"), 3)]));

    let cases: [(&str, Vec<u8>); 15] = [
        ("no bytes", vec![]),
        ("not an array", vec![0x01]),
        ("an empty array", vec![0x80]),
        ("no entry", vec![0x81, 1]),
        ("another version", [&[0x84, 2][..], &entry(&a, &[1, 2])].concat()),
        ("another order", [&[0x87, 1][..], &entry(&b, &[0, 3]), &entry(&a, &[1, 2])].concat()),
        ("a repeated id", [&[0x87, 1][..], &entry(&a, &[1, 2]), &entry(&a, &[1, 2])].concat()),
        ("an entry of nothing", [&[0x84, 1][..], &entry(&a, &[0, 0])].concat()),
        ("an entry of nothing beside another", [&[0x87, 1][..], &entry(&a, &[1, 2]), &entry(&b, &[0, 0])].concat()),
        ("a longer number", [&[0x84, 1][..], &entry(&a, &[0x18, 1, 2])].concat()),
        ("a sequence above the greatest", [&[0x84, 1][..], &entry(&a, &[1]), &above].concat()),
        ("an entry cut short", [&[0x83, 1][..], &entry(&a, &[1])].concat()),
        ("bytes after the end", [&two[..], &[0]].concat()),
        ("an open length", [&[0x9f, 1][..], &entry(&a, &[1, 2]), &[0xff]].concat()),
        ("a length beyond memory", [&huge[..], &[1], &entry(&a, &[1, 2])].concat()),
    ];
    for (what, bytes) in cases {
        assert_eq!(code(packed(&bytes)), ErrorCode::TokenInvalid, "{what}");
    }
}

#[test]
fn a_suffix_has_one_form() {
    let id = replica("a").to_bytes();
    let space = |name: &str, generation: u8| {
        let entries = [&[0x83, 0x40 | id.len() as u8][..], &id, &[1, 2]].concat();
        [&[0x60 | name.len() as u8][..], name.as_bytes(), &[generation], &entries].concat()
    };
    let suffix = |bytes: &[u8]| open(&format!("~{}", base64url(bytes)));
    let two = [&[0x87, 1][..], &space("a", 2), &space("b", 1)].concat();
    assert_eq!(suffix(&two).unwrap().dependencies().iter().len(), 2);

    let cases: [(&str, Vec<u8>); 8] = [
        ("no space", vec![0x81, 1]),
        ("another version", [&[0x84, 2][..], &space("a", 1)].concat()),
        ("another order", [&[0x87, 1][..], &space("b", 1), &space("a", 2)].concat()),
        ("a repeated space", [&[0x87, 1][..], &space("a", 2), &space("a", 2)].concat()),
        ("a space of no name", [&[0x84, 1][..], &space("", 1)].concat()),
        ("generation 0", [&[0x84, 1][..], &space("a", 0)].concat()),
        ("a space that asks for nothing", vec![0x84, 1, 0x61, b'a', 1, 0x80]),
        ("bytes after the end", [&two[..], &[0]].concat()),
    ];
    for (what, bytes) in cases {
        assert_eq!(code(suffix(&bytes)), ErrorCode::TokenInvalid, "{what}");
    }
    let padded = format!("~{}=", base64url(&two));
    assert_eq!(code(open(&padded)), ErrorCode::TokenInvalid, "padding");
    assert_eq!(code(open(&format!("~{}~", base64url(&two)))), ErrorCode::TokenInvalid, "a third part");
}

#[test]
fn every_refusal_of_a_token_has_the_same_words() {
    let payload = payload_with("", "");
    let sealed = keys().seal(&claims(), &seen()).unwrap();
    let texts = [
        "nonsense".to_owned(),
        sealed.replace("ey", "eY"),
        format!("{sealed}nonsense"),
        signed(r#"{"alg":"none"}"#, &payload),
        signed(HEADER, &payload_with("example", "another")),
        signed(HEADER, b"[]"),
    ];
    let words: Vec<String> = texts.iter().map(|text| open(text).unwrap_err().to_string()).collect();
    assert!(words.iter().all(|other| *other == words[0]), "{words:#?}");
}
