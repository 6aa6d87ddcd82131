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
    let packed = base64url([&[2, 0x61, b'a', 0x4a][..], &[0x5a; 10], &[4 + 1]].concat());
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
    let group = |label: &[u8], ids: &[u8], numbers: &[u8]| {
        let randoms: Vec<u8> = ids.iter().flat_map(|id| [*id; 10]).collect();
        let head = if randoms.len() < 24 { vec![0x40 | randoms.len() as u8] } else { vec![0x58, randoms.len() as u8] };
        [&[0x60 | label.len() as u8][..], label, &head, &randoms, numbers].concat()
    };
    let above = [0x1b, 0, 0x80, 0, 0, 0, 0, 0, 1];
    let huge = [0x5b, 0x10, 0, 0, 0, 0, 0, 0, 0];
    let packed = |bytes: &[u8]| {
        let dep = format!(r#""dep":{{"default":"{}"}}"#, base64url(bytes));
        open(&signed(HEADER, &payload_with(r#""dep":{}"#, &dep)))
    };
    let (read, written, both, apart) = (1, 2, 3, 0);
    let a = group(b"a", &[1, 2, 0x5a], &[4 + apart, 2, 8 + both, 12 + read]);
    let two = [&[2][..], &a, &group(b"b", &[0x5a], &[12 + written])].concat();
    let token = packed(&two).unwrap();
    let dependencies = token.dependencies().get(&claims().space).unwrap();
    let id = |label, random| ReplicaId::new(label, [random; 10]).unwrap();
    assert_eq!(dependencies.reads, VersionVector::from_iter([(id("a", 1), 1), (id("a", 2), 2), (id("a", 0x5a), 3)]));
    assert_eq!(dependencies.writes, VersionVector::from_iter([(id("a", 1), 2), (id("a", 2), 2), (id("b", 0x5a), 3)]));
    let resealed = open(&keys().seal(token.claims().unwrap(), token.signed()).unwrap()).unwrap();
    assert_eq!(resealed.signed(), token.signed());

    let one = |numbers: &[u8]| [&[2][..], &group(b"a", &[1], numbers)].concat();
    let labels =
        |first: &[u8], second: &[u8]| [&[2][..], &group(first, &[1], &[5]), &group(second, &[2], &[5])].concat();
    assert!(packed(&one(&[5])).is_ok() && packed(&labels(b"ab", b"a")).is_ok());
    let cases: [(&str, Vec<u8>); 27] = [
        ("no bytes", vec![]),
        ("an array", [&[0x84][..], &one(&[5])].concat()),
        ("no group", vec![2]),
        ("the first version", [&[0x84, 1, 0x4b, b'a'][..], &[1; 10], &[1, 2]].concat()),
        ("another version", [&[3][..], &one(&[5])[1..]].concat()),
        ("another order", [&[2][..], &group(b"a", &[2, 1], &[5, 5])].concat()),
        ("a repeated id", [&[2][..], &group(b"a", &[1, 1], &[5, 5])].concat()),
        ("another order of labels", labels(b"b", b"a")),
        ("another order of labels of which one begins like the other", labels(b"a", b"a-")),
        ("a repeated label", labels(b"a", b"a")),
        ("a label that is none", [&[2][..], &group(b"A", &[1], &[5])].concat()),
        ("an empty label", [&[2][..], &group(b"", &[1], &[5])].concat()),
        ("a label that is too long", [&[2][..], &group(b"aaaaaaaaaaaaaaaaa", &[1], &[5])].concat()),
        ("a label of bytes", [&[2, 0x41, b'a', 0x4a][..], &[1; 10], &[5]].concat()),
        ("a longer head of a label", [&[2, 0x78, 1, b'a', 0x4a][..], &[1; 10], &[5]].concat()),
        ("a group of nobody", [&[2][..], &group(b"a", &[], &[]), &group(b"b", &[1], &[5])].concat()),
        ("random bytes of one and a half", [&[2, 0x61, b'a', 0x4f][..], &[1; 15], &[5]].concat()),
        ("a longer head of random bytes", [&[2, 0x61, b'a', 0x58, 10][..], &[1; 10], &[5]].concat()),
        ("an entry of nothing", one(&[read])),
        ("another entry of nothing", one(&[apart, 0])),
        ("apart though it is the same", one(&[4 + apart, 1])),
        ("apart though one of them is nothing", one(&[4 + apart, 0])),
        ("apart though the other is nothing", one(&[apart, 1])),
        ("a longer number", one(&[0x18, 5])),
        ("a sequence above the greatest", one(&above)),
        ("bytes after the end", [&two[..], &[0]].concat()),
        ("a length beyond memory", [&[2, 0x61, b'a'][..], &huge, &[1; 10], &[5]].concat()),
    ];
    for (what, bytes) in cases {
        assert_eq!(code(packed(&bytes)), ErrorCode::TokenInvalid, "{what}");
    }
    for len in 0..two.len() {
        assert!(packed(&two[..len]).is_err() || two[..len] == two[..1 + a.len()], "cut to {len}");
    }
}

#[test]
fn a_suffix_has_one_form() {
    let entry = [&[0x61, b'a', 0x4a][..], &[1; 10], &[5]].concat();
    let space = |name: &str, generation: u8| {
        [&[0x60 | name.len() as u8][..], name.as_bytes(), &[generation, 0x40 | entry.len() as u8], &entry].concat()
    };
    let suffix = |bytes: &[u8]| open(&format!("~{}", base64url(bytes)));
    let two = [&[2][..], &space("a", 2), &space("b", 1)].concat();
    assert_eq!(suffix(&two).unwrap().dependencies().iter().len(), 2);

    let cases: [(&str, Vec<u8>); 11] = [
        ("no space", vec![2]),
        ("another version", [&[1][..], &space("a", 1)].concat()),
        ("another order", [&[2][..], &space("b", 1), &space("a", 2)].concat()),
        ("a repeated space", [&[2][..], &space("a", 2), &space("a", 2)].concat()),
        ("a space of no name", [&[2][..], &space("", 1)].concat()),
        ("generation 0", [&[2][..], &space("a", 0)].concat()),
        ("a space that asks for nothing", vec![2, 0x61, b'a', 1, 0x40]),
        ("a version within", [&[2, 0x61, b'a', 1, 0x4f, 2][..], &entry].concat()),
        ("a longer head", [&[2, 0x61, b'a', 1, 0x58, 14][..], &entry].concat()),
        ("entries that are no bytes", [&[2, 0x61, b'a', 1][..], &entry].concat()),
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
