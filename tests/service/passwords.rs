//! Passwords: what opens, what does not, and that nothing cheaper than the minimum does.

use edge_session::service::password::{hash, verify};

const SALT: [u8; 16] = [5; 16];

#[test]
fn a_password_opens_its_hash_and_no_other() {
    let made = hash("sesame", &SALT).unwrap();
    assert!(made.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{made}");
    assert!(verify("sesame", Some(&made)));
    assert!(!verify("Sesame", Some(&made)) && !verify("", Some(&made)) && !verify("sesame", None));
    assert_ne!(made, hash("sesame", &[6; 16]).unwrap(), "each has its own salt");
    assert!(hash("", &SALT).is_err() && hash(&"x".repeat(1_025), &SALT).is_err());
}

#[test]
fn a_hash_that_is_too_cheap_or_damaged_opens_nothing() {
    let made = hash("sesame", &SALT).unwrap();
    for (from, to) in [
        ("m=19456", "m=1024"),
        ("t=2", "t=1"),
        ("p=1", "p=2"),
        ("argon2id", "argon2i"),
        ("m=19456", "m=99999999"),
        ("v=19", "v=16"),
    ] {
        assert!(!verify("sesame", Some(&made.replace(from, to))), "{to}");
    }
    for damaged in ["", "$", "$argon2id$v=19$", "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAA$", "plain"] {
        assert!(!verify("", Some(damaged)) && !verify("plain", Some(damaged)), "{damaged}");
    }
}
