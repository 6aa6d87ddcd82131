//! The corpora: real encodings, made by this crate, one file each. `cargo xtask fuzz --corpora` writes them.
//!
//! Invariant: what is committed is what this version writes. What a fuzzer has found stands beside, as `found-*`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use edge_session::id::{Dot, ReplicaId};
use edge_session::session::token::SessionToken;
use edge_session::session::vector::SessionVector;
use edge_session::sync::message::{Frame, Message};
use edge_session::vector::VersionVector;

use crate::fuzz::host::{Host, LINK, NOW, first_delta, peer, space};
use crate::fuzz::{TARGETS, vector};

/// Of each target its inputs, by the names of their files.
pub(crate) type Corpora = BTreeMap<&'static str, BTreeMap<String, Vec<u8>>>;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fuzz")
}

/// The golden frames of `tests/data/wire`, said to whoever listens.
fn golden() -> Vec<(String, Frame)> {
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wire")).unwrap();
    let mut frames: Vec<(String, Frame)> = files
        .map(|file| file.unwrap().path())
        .filter(|path| !path.ends_with("vector.txt"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let hex: String =
                text.lines().flat_map(|line| line.split(';').next().unwrap().split_whitespace()).collect();
            let bytes: Vec<u8> =
                (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
            let frame = Frame::decode(&bytes).unwrap();
            (path.file_stem().unwrap().to_str().unwrap().into(), Frame { to: None, ..frame })
        })
        .collect();
    frames.sort_by(|a, b| a.0.cmp(&b.0));
    frames
}

/// What this version writes.
pub(crate) fn corpora() -> Corpora {
    let mut corpora: Corpora = TARGETS.iter().map(|(target, _)| (*target, BTreeMap::new())).collect();
    let mut put = |target: &str, name: &str, bytes: Vec<u8>| {
        corpora.get_mut(target).unwrap().insert(name.into(), bytes);
    };
    let behind = |door: u8, bytes: &[u8]| [&[door], bytes].concat();
    for (name, frame) in golden() {
        let bytes = frame.encode();
        put("message", &name, behind(0, &bytes));
        put("message", &format!("{name}-asked"), behind(1, &bytes));
        if matches!(frame.messages[..], [Message::Challenge { .. } | Message::Proof(_)]) {
            for (door, name) in
                (2..).zip(["request", "caller", "callee", "requester"].map(|who| format!("{name}-{who}")))
            {
                put("message", &name, behind(door, &bytes));
            }
        }
        put("delta", &name, bytes.clone());
        if frame.messages.iter().all(|message| matches!(message, Message::Delta(_))) {
            put("snapshot", &name, behind(0, &bytes));
            put("snapshot", &format!("{name}-restored"), behind(1, &bytes));
            put("snapshot", &format!("{name}-absorbed"), behind(2, &bytes));
        }
    }
    put("delta", "first", Frame { from: peer(), to: None, messages: vec![Message::Delta(first_delta())] }.encode());
    let mut host = Host::default();
    put("snapshot", "host", behind(0, &host.replica.snapshot().unwrap()));

    let ids = ["a", "fra1", "tab"].map(|label| ReplicaId::new(label, [5; 10]).unwrap());
    let of = |sequences: [u64; 3]| VersionVector::from_iter(ids.into_iter().zip(sequences));
    put("vector", "none", vector::write(&[]));
    put("vector", "empty", vector::write(&[VersionVector::new()]));
    put("vector", "chain", vector::write(&[of([1, 0, 0]), of([1, 2, 0]), of([2, 2, 300])]));
    put("vector", "concurrent", vector::write(&[of([70_000, 0, 1]), of([0, 2, (1 << 53) - 1])]));

    let mut seen = SessionVector::default();
    seen.record_read(&space(), Dot::new(peer(), 2));
    seen.record_write(&space(), Dot::new(ids[2], 70_000));
    let minted = host.replica.token(host.session, NOW).unwrap();
    let payload = b"{\"iss\":\"edge-session\",\"sub\":\"ann\",\"sid\":\"pqWlpaWlpaWlpaWlpaWlpQ\",\"spc\":\"default\",\
        \"gua\":9,\"iat\":1790000000,\"exp\":1790003600,\"dep\":{}}";
    let suffixed = SessionToken::open_unverified(&minted).unwrap().with_unsigned(&seen).to_text();
    let anonymous = SessionToken::anonymous().with_unsigned(&seen).to_text();
    put("token", "minted", behind(0, minted.as_bytes()));
    put("token", "suffixed", behind(0, suffixed.as_bytes()));
    put("token", "anonymous", behind(0, anonymous.as_bytes()));
    put("token", "listed", behind(0, [&*minted, &*suffixed, &*anonymous].join(",").as_bytes()));
    put("token", "signed", behind(1, payload));
    put("token", "signed-and-suffixed", [&[1], &payload[..], b"~", &packed(&anonymous)].concat());
    put("token", "suffix", behind(2, &packed(&anonymous)));
    corpora
}

/// The bytes of a token's suffix.
fn packed(text: &str) -> Vec<u8> {
    use base64ct::{Base64UrlUnpadded, Encoding};
    Base64UrlUnpadded::decode_vec(text.trim_start_matches('~')).unwrap()
}

#[test]
fn the_corpora_are_what_this_version_writes() {
    let write = std::env::var_os("WRITE_CORPORA").is_some();
    for (target, seeds) in corpora() {
        let directory = directory().join(target);
        if write {
            fs::create_dir_all(&directory).unwrap();
        }
        for (name, bytes) in seeds {
            let file = directory.join(name);
            if write {
                fs::write(&file, &bytes).unwrap();
            }
            assert!(
                fs::read(&file).is_ok_and(|known| known == bytes),
                "{}: cargo xtask fuzz --corpora",
                file.display()
            );
        }
    }
}

#[test]
fn every_input_of_the_corpora_does_no_harm() {
    let corpora = corpora();
    for (target, run) in TARGETS {
        let mut inputs = 0;
        for file in fs::read_dir(directory().join(target)).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(name.starts_with("found-") || corpora[target].contains_key(name), "{target}/{name} is of no use");
            run(&fs::read(&path).unwrap());
            inputs += 1;
        }
        assert!(inputs >= corpora[target].len());
    }
}

/// Inputs must reach what they are for: of each target at least one is taken.
#[test]
fn real_encodings_are_taken() {
    let corpora = corpora();
    let taken = |target: &str, door: fn(&mut Host, &[u8]) -> bool| {
        corpora[target].values().filter(|bytes| door(&mut Host::default(), bytes)).count()
    };
    assert!(taken("message", |host, bytes| host.replica.receive(LINK, &bytes[1..], NOW).is_ok()) > 20);
    assert!(taken("snapshot", |host, bytes| host.replica.load(&bytes[1..], NOW).is_ok()) >= 3);
    assert!(taken("vector", |_, bytes| vector::read(bytes).is_ok()) == 4);
    let opens =
        |host: &mut Host, text: &[u8]| host.replica.merge(host.session, std::str::from_utf8(text).unwrap(), NOW);
    let mut host = Host::default();
    assert!(
        ["minted", "suffixed", "anonymous", "listed"].iter().all(|name| opens(
            &mut host,
            &corpora["token"][*name][1..]
        )
        .is_ok())
    );
}
