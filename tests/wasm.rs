//! The core and the binding where they live: on wasm32, in Node and in a browser.
//!
//! The laws and worked examples are tested natively; here is what only this platform can get wrong: 32-bit `usize`,
//! randomness, strings and bytes that cross, the shapes of what JavaScript gets, errors as objects.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used, missing_docs)]

use edge_session::error::ErrorCode;
use edge_session::id::{Dot, ReplicaId, SEQUENCE_MAX, Space};
use edge_session::session::token::SessionToken;
use edge_session::session::vector::SessionVector;
use edge_session::sync::message::Frame;
use edge_session::vector::VersionVector;
use edge_session::wasm::{Replica, Session, Sink, error_table};
use js_sys::{Array, Function, JSON, Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

const NOW: f64 = 1_795_000_000_000.0;
/// Bits of an operation's terms.
const PLAIN: u32 = 0;
const THROW: u32 = 2 << 5;
const SYNC: u32 = 1 << 7;
/// The kinds of values.
const TEXT: u32 = 0;
const JSON_TEXT: u32 = 1;
const BYTES: u32 = 2;

fn json(text: &str) -> JsValue {
    JSON::parse(text).unwrap()
}

fn to_json(value: &JsValue) -> String {
    JSON::stringify(value).unwrap().into()
}

#[wasm_bindgen(
    inline_js = "export const decoded = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (letter) => letter.charCodeAt(0));
export const encoded = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\\+/g, '-').replace(/\\//g, '_').replace(/=/g, '');"
)]
extern "C" {
    /// What the platform makes of base64url.
    fn decoded(text: &str) -> JsValue;
    fn encoded(bytes: &Uint8Array) -> String;
}

fn at(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap()
}

fn text_at(object: &JsValue, name: &str) -> String {
    at(object, name).as_string().unwrap()
}

fn open(config: &str, seed: u8) -> Replica {
    Replica::new(json(config), Some(vec![seed; 32]), NOW).unwrap()
}

fn session(replica: &Replica, init: &str) -> Session {
    replica.session(json(init), NOW).unwrap()
}

fn resume(replica: &Replica, token: &str) -> Session {
    let init = Object::new();
    Reflect::set(&init, &"token".into(), &token.into()).unwrap();
    replica.session(init.into(), NOW).unwrap()
}

fn set(session: &Session, key: &str, text: &str) -> JsValue {
    session.set(key, TEXT, &text.into(), -1.0, PLAIN, -1.0, NOW).unwrap()
}

/// Collects effects as objects, with what they were told by. A message is copied here: in the package the script does that.
const SINK: &str = "
    list: [],
    persist(n, bytes) { this.list.push({ kind: 'persist', n, bytes }); },
    transmit(link, bytes) { this.list.push({ kind: 'transmit', link, bytes: bytes.slice() }); },
    settled(wait) { this.list.push({ kind: 'settled', wait }); },
    watch(watch) { this.list.push({ kind: 'watch', watch }); },
    unsynced(unsynced) { this.list.push({ kind: 'unsynced', unsynced }); },
    timeout(at) { this.list.push({ kind: 'timeout', at }); },
    forget(text, lengths) { this.list.push({ kind: 'forget', text, lengths: [...lengths] }); },
    change(...told) { this.list.push({ kind: 'change', told }); },
    other(effect) { this.list.push(effect); },
";

fn drain(replica: &Replica) -> Vec<JsValue> {
    let sink = Function::new_no_args(&format!("return {{ {SINK} }};")).call0(&JsValue::NULL).unwrap();
    replica.attend(sink.clone().unchecked_into::<Sink>());
    assert!(replica.poll());
    Array::from(&at(&sink, "list")).iter().collect()
}

fn of_kind<'e>(effects: &'e [JsValue], kind: &str) -> Vec<&'e JsValue> {
    effects.iter().filter(|effect| text_at(effect, "kind") == kind).collect()
}

/// One request and its reply.
fn exchange(replica: &Replica, bytes: &[u8]) -> Vec<u8> {
    drain(replica);
    replica.exchange(99, bytes.into(), NOW).unwrap();
    let effects = drain(replica);
    let replies = of_kind(&effects, "transmit");
    assert_eq!(replies.len(), 1);
    Uint8Array::from(at(replies[0], "bytes")).to_vec()
}

fn pull(to: &Replica, from: &Replica) {
    exchange(to, &exchange(from, &exchange(to, &[])));
}

/// The code of what JavaScript catches.
fn code<T>(result: Result<T, edge_session::error::SessionError>) -> String {
    text_at(&JsValue::from(result.err().unwrap()), "code")
}

#[wasm_bindgen_test]
fn vectors_compare_and_join_with_sequences_beyond_32_bits() {
    let id = |label: &str, byte: u8| ReplicaId::new(label, [byte; 10]).unwrap();
    let (a, b) = (id("a", 1), id("b", 2));
    let large = VersionVector::from_iter([(a, SEQUENCE_MAX), (b, 1)]);
    let small = VersionVector::from_iter([(a, u64::from(u32::MAX) + 1)]);
    assert!(large > small);
    assert!(large.contains(Dot::new(a, u64::from(u32::MAX) + 2)));
    assert!(!small.contains(Dot::new(a, u64::from(u32::MAX) + 2)));
    let mut joined = small.clone();
    joined.join(&VersionVector::from_iter([(b, 7)]));
    assert!(joined.partial_cmp(&large).is_none());
    assert_eq!(joined.get(b), 7);

    let mut seen = SessionVector::default();
    seen.record_write(&Space::first("default").unwrap(), Dot::new(a, SEQUENCE_MAX));
    let text = SessionToken::anonymous().with_unsigned(&seen).to_text();
    assert_eq!(*SessionToken::open_unverified(&text).unwrap().dependencies(), seen);
}

#[wasm_bindgen_test]
fn lengths_that_an_attacker_writes_allocate_nothing() {
    // CBOR arrays, maps, texts and byte strings that claim to hold 2^32 - 1 or 2^64 - 1 items.
    for head in [0x9a_u8, 0xba, 0x7a, 0x5a, 0x9b, 0xbb, 0x7b, 0x5b] {
        for nested in [vec![], vec![0x81], vec![0x83, 0x01, 0x60], vec![0x84, 0x01, 0x00, 0xf6]] {
            let bytes = [nested, vec![head], vec![0xff; 8]].concat();
            let error = Frame::decode(&bytes).unwrap_err();
            assert!(matches!(error.code(), ErrorCode::MessageMalformed | ErrorCode::ProtocolMismatch));
        }
    }
}

#[wasm_bindgen_test]
fn randomness_comes_from_the_platform_when_none_is_handed_in() {
    let open = || Replica::new(json(r#"{"label":"a"}"#), None, NOW).unwrap().id().unwrap();
    assert_ne!(open(), open());
    let seeded = || self::open(r#"{"label":"a"}"#, 7).id().unwrap();
    assert_eq!(seeded(), seeded());
    assert_eq!(code(Replica::new(json(r#"{"label":"a"}"#), Some(vec![1]), NOW)), "ARGUMENT_INVALID");
}

#[wasm_bindgen_test]
fn values_cross_as_they_are() {
    let replica = open(r#"{"label":"a"}"#, 1);
    let session = session(&replica, "{}");
    for text in ["", "text", "ünïcødé 🙂", "\0"] {
        set(&session, "key", text);
        let entry = session.get("key", PLAIN, -1.0, NOW).unwrap();
        assert_eq!(text_at(&entry, "value"), text);
        assert_eq!(at(&entry, "kind"), JsValue::from(TEXT));
    }
    session.set("key", JSON_TEXT, &"{\"a\":[1]}".into(), 5_000.0, PLAIN, -1.0, NOW).unwrap();
    let entry = session.get("key", PLAIN, -1.0, NOW).unwrap();
    assert_eq!(text_at(&entry, "value"), "{\"a\":[1]}");
    assert_eq!(at(&entry, "expiresAt"), JsValue::from(NOW + 5_000.0));
    assert_eq!(session.get("key", PLAIN, -1.0, NOW + 5_000.0).unwrap(), JsValue::UNDEFINED);

    let bytes = Uint8Array::from(&[0, 1, 255][..]);
    session.set("key", BYTES, &bytes, -1.0, PLAIN, -1.0, NOW).unwrap();
    bytes.fill(9, 0, 3);
    let first = Uint8Array::from(at(&session.get("key", PLAIN, -1.0, NOW).unwrap(), "value"));
    assert_eq!(first.to_vec(), [0, 1, 255]);
    first.fill(9, 0, 3);
    let second = Uint8Array::from(at(&session.peek("key", NOW).unwrap(), "value"));
    assert_eq!(second.to_vec(), [0, 1, 255], "what JavaScript was given is a copy");

    for (kind, value) in [(TEXT, JsValue::from(7)), (BYTES, "text".into()), (9, "text".into())] {
        assert_eq!(code(session.set("key", kind, &value, -1.0, PLAIN, -1.0, NOW)), "ARGUMENT_INVALID");
    }
}

#[wasm_bindgen_test]
fn a_roaming_session_is_refused_until_its_writes_have_arrived() {
    let (tokyo, paris) = (open(r#"{"label":"tokyo"}"#, 1), open(r#"{"label":"paris"}"#, 2));
    let ann = session(&tokyo, "{}");
    set(&ann, "cart", "book");
    let there = resume(&paris, &ann.token(NOW).unwrap());

    let none = 1 << 4;
    assert_eq!(there.get("cart", none, -1.0, NOW).unwrap(), JsValue::UNDEFINED, "the anomaly, without guarantees");
    let error = JsValue::from(there.get("cart", THROW, -1.0, NOW).unwrap_err());
    assert_eq!(text_at(&error, "code"), "STALE_REPLICA");
    assert_eq!(at(&error, "retryable"), JsValue::TRUE);
    let expected =
        format!(r#"[{{"space":"default","replica":"{}","have":0,"need":1,"holders":[]}}]"#, tokyo.id().unwrap());
    assert_eq!(to_json(&at(&at(&error, "details"), "missing")), expected);
    assert_eq!(to_json(&there.missing(None, NOW).unwrap()), expected);
    let outcome = there.read("cart", THROW, -1.0, NOW).unwrap();
    assert_eq!(to_json(&outcome), format!(r#"{{"state":"behind","stale":false,"missing":{expected}}}"#));

    let wait = there.get("cart", PLAIN, 1_000.0, NOW).unwrap().as_f64().unwrap();
    assert_eq!(code(there.get("cart", SYNC, -1.0, NOW)), "STALE_REPLICA");
    let effects = drain(&paris);
    assert_eq!(at(of_kind(&effects, "timeout").last().unwrap(), "at"), JsValue::from(NOW + 1_000.0));
    let hello = exchange(&paris, &[]);
    paris.exchange(99, exchange(&tokyo, &hello), NOW).unwrap();
    let effects = drain(&paris);
    assert_eq!(at(of_kind(&effects, "settled")[0], "wait"), JsValue::from(wait));
    let entry = paris.take(wait as u32).unwrap();
    assert_eq!(text_at(&entry, "value"), "book");
    assert_eq!(code(paris.take(wait as u32)), "ARGUMENT_INVALID", "an answer is taken once");
}

#[wasm_bindgen_test]
fn a_wait_ends_at_its_deadline() {
    let (tokyo, paris) = (open(r#"{"label":"tokyo"}"#, 1), open(r#"{"label":"paris"}"#, 2));
    let ann = session(&tokyo, "{}");
    set(&ann, "cart", "book");
    let there = resume(&paris, &ann.token(NOW).unwrap());
    let wait = there.get("cart", PLAIN, 50.0, NOW).unwrap().as_f64().unwrap();
    paris.tick(NOW + 49.0).unwrap();
    assert!(of_kind(&drain(&paris), "settled").is_empty());
    paris.tick(NOW + 50.0).unwrap();
    assert_eq!(of_kind(&drain(&paris), "settled").len(), 1);
    assert_eq!(code(paris.take(wait as u32)), "STALE_REPLICA");
}

const EDGE: &str =
    r#"{"label":"edge","keys":[{"kid":"k1","key":[7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7]}]}"#;

/// What is written and read sixteen letters at a time here, and by tables elsewhere.
#[wasm_bindgen_test]
fn a_token_has_the_letters_that_it_has_elsewhere_and_no_others() {
    let space = Space::first("default").unwrap();
    let mut seen = SessionVector::default();
    let mut random = [0; 10];
    for n in 1..=9_u8 {
        random
            .iter_mut()
            .zip(0_u8..)
            .for_each(|(byte, at)| *byte = n.wrapping_mul(29).wrapping_add(at.wrapping_mul(61)));
        seen.record_write(&space, Dot::new(ReplicaId::new("r", random).unwrap(), u64::from(n) * 1000));
        let text = SessionToken::anonymous().with_unsigned(&seen).to_text();
        let bytes = Uint8Array::new(&decoded(&text[1..]));
        assert_eq!(encoded(&bytes), text[1..]);
        assert_eq!(*SessionToken::open_unverified(&text).unwrap().dependencies(), seen);
        for place in 1..text.len() {
            for letter in ['+', '/', '=', '@', '[', '`', '{', '.', ' ', '\u{7f}', '\0', '^'] {
                let mut letters: Vec<char> = text.chars().collect();
                letters[place] = letter;
                let damaged: String = letters.into_iter().collect();
                assert!(
                    SessionToken::open_unverified(&damaged).is_err(),
                    "{letter:?} in place {place} of {}",
                    text.len()
                );
            }
        }
    }
}

#[wasm_bindgen_test]
fn a_signed_token_opens_elsewhere_and_a_tampered_one_does_not() {
    let (here, there) = (open(EDGE, 1), open(EDGE, 2));
    let ann = session(&here, r#"{"user":"ann","client":"phone","guarantees":3}"#);
    set(&ann, "a", "1");
    let token = ann.sealed(-1.0, NOW).unwrap().as_string().unwrap();
    let resumed = resume(&there, &token).info().unwrap();
    let (_, known) = resumed.split_at(36);
    let [accepted, _, names @ ..] = &known.split(' ').collect::<Vec<_>>()[..] else { panic!() };
    // A token was accepted, two guarantees, no refusal.
    assert_eq!(*accepted, "13-");
    assert_eq!(names, ["3", "5", "annphonedefault"]);

    let dot = token.find('.').unwrap();
    for (place, _) in
        token.char_indices().filter(|(place, letter)| *place > dot && *letter != '.' && *letter != '~').step_by(17)
    {
        let mut letters: Vec<char> = token.chars().collect();
        letters[place] = if letters[place] == 'A' { 'B' } else { 'A' };
        let tampered: String = letters.into_iter().collect();
        let refused = resume(&there, &tampered);
        assert!(refused.info().unwrap().split_at(36).1.starts_with("0fTOKEN_INVALID "), "letter {place}");
        assert_eq!(code(refused.get("a", PLAIN, -1.0, NOW)), "TOKEN_INVALID");
    }
    let seen = here.inspect_token(&token).unwrap();
    assert_eq!(text_at(&seen, "kid"), "k1");
    assert_eq!(to_json(&at(&seen, "writes")), format!(r#"{{"{}":1}}"#, here.id().unwrap()));
}

#[wasm_bindgen_test]
fn nothing_leaves_before_storage_has_it() {
    let replica = open(r#"{"label":"a","durable":true}"#, 1);
    let session = session(&replica, "{}");
    replica.link_up(1, NOW).unwrap();
    drain(&replica);
    let wait = set(&session, "a", "1").as_f64().unwrap();
    replica.exchange(2, Vec::new(), NOW).unwrap();
    let effects = drain(&replica);
    let records = of_kind(&effects, "persist");
    assert_eq!(records.len(), 1);
    assert!(of_kind(&effects, "transmit").is_empty());
    assert!(of_kind(&effects, "settled").is_empty());
    assert_eq!(to_json(&at(&replica.inspect().unwrap(), "vectors")), r#"{"default":{}}"#);
    assert_eq!(code(replica.snapshot()), "STALE_REPLICA");

    replica.persisted(at(records[0], "n").as_f64().unwrap(), NOW).unwrap();
    let released = drain(&replica);
    assert_eq!(of_kind(&released, "transmit").len(), 1);
    assert_eq!(of_kind(&released, "settled").len(), 1);
    assert!(replica.take(wait as u32).unwrap().is_string());

    let again = open(r#"{"label":"a","durable":true}"#, 3);
    again.load(&Uint8Array::from(at(records[0], "bytes")), NOW).unwrap();
    assert_eq!(again.id().unwrap(), replica.id().unwrap());
    let there = self::session(&again, "{}");
    assert_eq!(text_at(&there.get("a", PLAIN, -1.0, NOW).unwrap(), "value"), "1");
}

#[wasm_bindgen_test]
fn a_batch_is_written_whole_or_not_at_all() {
    let replica = open(r#"{"label":"a"}"#, 1);
    let session = session(&replica, "{}");
    let steps = |text: &str| Array::from(&json(text));
    session.batch(&steps(r#"[[0,"a",null],[1,"a",0,"1",-1],[1,"b",1,"{}",-1],[2,"c"]]"#), PLAIN, -1.0, NOW).unwrap();
    let error =
        JsValue::from(session.batch(&steps(r#"[[1,"a",0,"2",-1],[0,"b",null]]"#), PLAIN, -1.0, NOW).unwrap_err());
    assert_eq!(text_at(&error, "code"), "CONFLICT");
    assert_eq!(text_at(&at(&error, "details"), "key"), "b");
    let listed = Array::from(&session.list(json("{}"), PLAIN, -1.0, NOW).unwrap());
    let values: Vec<String> = listed.iter().map(|entry| text_at(&entry, "value")).collect();
    assert_eq!(values, ["1", "{}"]);
    for bad in [r#"[7]"#, r#"[[9,"a"]]"#, r#"[[1]]"#, r#"[[1,"a"]]"#, "[]"] {
        assert_eq!(code(session.batch(&steps(bad), PLAIN, -1.0, NOW)), "ARGUMENT_INVALID", "{bad}");
    }
}

#[wasm_bindgen_test]
fn a_watch_tells_what_another_replica_wrote() {
    let (tokyo, paris) = (open(r#"{"label":"tokyo"}"#, 1), open(r#"{"label":"paris"}"#, 2));
    let reader = session(&paris, "{}");
    let watch = reader.watch(json(r#"{"prefix":"cart:"}"#), PLAIN, -1.0, NOW).unwrap();
    let writer = session(&tokyo, "{}");
    set(&writer, "cart:1", "book");
    set(&writer, "other", "no");
    pull(&paris, &tokyo);
    let changes = paris.next(watch, NOW).unwrap();
    assert_eq!(changes.length(), 1);
    assert_eq!(text_at(&at(&changes.get(0), "entry"), "value"), "book");
    assert_eq!(paris.next(watch, NOW).unwrap().length(), 0);
    writer.delete("cart:1", PLAIN, -1.0, NOW).unwrap();
    pull(&paris, &tokyo);
    let gone = paris.next(watch, NOW).unwrap().get(0);
    assert_eq!((text_at(&gone, "key"), at(&gone, "entry")), ("cart:1".into(), JsValue::UNDEFINED));
    paris.unwatch(watch).unwrap();
    assert_eq!(code(paris.next(watch, NOW)), "SESSION_NOT_FOUND");
}

#[wasm_bindgen_test]
fn what_is_shown_is_plain_and_complete() {
    let replica = open(r#"{"label":"a","space":"shop"}"#, 1);
    let own = session(&replica, r#"{"client":"phone"}"#);
    set(&own, "a", "1");
    let id = replica.id().unwrap();
    let view = own.inspect().unwrap();
    assert_eq!(to_json(&at(&view, "writes")), format!(r#"{{"{id}":1}}"#));
    assert_eq!((text_at(&view, "client"), text_at(&view, "space")), ("phone".into(), "shop".into()));
    let whole = replica.inspect().unwrap();
    for name in ["version", "replica", "trusted", "vectors", "keys", "bytes", "wasmBytes", "sessions", "peers"] {
        assert!(!at(&whole, name).is_undefined(), "{name}");
    }
    assert_eq!(to_json(&at(&whole, "vectors")), format!(r#"{{"shop":{{"{id}":1}}}}"#));
    assert_eq!(Array::from(&at(&whole, "sessions")).length(), 1);
    drop(own);
    assert_eq!(Array::from(&at(&replica.inspect().unwrap(), "sessions")).length(), 0);
}

#[wasm_bindgen_test]
fn errors_are_objects_of_the_table() {
    let table = Array::from(&error_table());
    assert_eq!(table.length() as usize, ErrorCode::ALL.len());
    let replica = open(r#"{"label":"a"}"#, 1);
    let own = session(&replica, "{}");
    // What comes on a link that is not there is not looked at.
    replica.link_up(1, NOW).unwrap();
    let long = "x".repeat(100_000);
    let errors = [
        ("KEY_INVALID", own.get("", PLAIN, -1.0, NOW).err()),
        ("KEY_INVALID", own.get(&long, PLAIN, -1.0, NOW).err()),
        ("ARGUMENT_INVALID", own.list(json("7"), PLAIN, -1.0, NOW).err()),
        ("MESSAGE_MALFORMED", replica.receive(1, &[1, 2, 3], NOW).err()),
        ("MESSAGE_MALFORMED", replica.restore(&Uint8Array::new_with_length(0), NOW).err()),
        ("TOKEN_INVALID", replica.inspect_token("nonsense").err()),
        ("ARGUMENT_INVALID", Replica::new(json(r#"{"label":"Not A Label"}"#), None, NOW).err()),
        ("ARGUMENT_INVALID", replica.session(json(r#"{"onStale":"guess"}"#), NOW).err()),
    ];
    for (expected, error) in errors {
        let object = JsValue::from(error.unwrap());
        assert_eq!(text_at(&object, "code"), expected);
        let row = table.iter().find(|row| text_at(row, "code") == expected).unwrap();
        assert_eq!(at(&object, "status"), at(&row, "status"));
        assert_eq!(at(&object, "retryable"), at(&row, "retryable"));
        assert!(!text_at(&object, "message").is_empty());
        assert_eq!(to_json(&at(&object, "details")), "{}");
    }
}
