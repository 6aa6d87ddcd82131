//! Tokens that other programs made, as text: `tests/data/token/*.txt`. The JavaScript tests read the same files.

use super::*;

/// A file of `tests/data/token`: lines `name: value`; a name may stand several times.
struct Golden(&'static str);

impl Golden {
    fn all(&self, name: &str) -> Vec<&'static str> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.split_once(": ").filter(|(key, _)| *key == name).map(|(_, value)| value)).collect()
    }

    fn get(&self, name: &str) -> Option<&'static str> {
        self.all(name).first().copied()
    }

    fn number(&self, name: &str) -> u64 {
        self.get(name).unwrap().parse().unwrap()
    }

    fn keys(&self) -> Keyring {
        let hex = self.get("key").unwrap();
        let key: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        Keyring::new([(self.get("kid").unwrap(), &key[..])]).unwrap()
    }

    fn seen(&self) -> SessionVector {
        let mut seen = SessionVector::default();
        for (name, is_read) in [("read", true), ("write", false)] {
            for line in self.all(name) {
                let (space, dot) = line.split_once(' ').unwrap();
                let (id, sequence) = dot.split_once(':').unwrap();
                let (space, dot) = (space.parse().unwrap(), Dot::new(id.parse().unwrap(), sequence.parse().unwrap()));
                if is_read { seen.record_read(&space, dot) } else { seen.record_write(&space, dot) }
            }
        }
        seen
    }

    fn claims(&self) -> Option<Claims> {
        Some(Claims {
            issuer: self.get("issuer")?.into(),
            subject: self.get("user").map(Into::into),
            session: self.get("session")?.parse().unwrap(),
            client: self.get("client").map(Into::into),
            space: self.get("space")?.parse().unwrap(),
            guarantees: Guarantees::from_names(self.get("guarantees").unwrap().split(' ')).unwrap(),
            issued_at: self.number("issued"),
            expires_at: self.number("expires"),
            ends_at: self.number("expires"),
        })
    }
}

#[test]
fn tokens_have_the_documented_text() {
    let files = [
        ("three-dependencies", include_str!("../data/token/three-dependencies.txt")),
        ("suffix", include_str!("../data/token/suffix.txt")),
        ("two-spaces", include_str!("../data/token/two-spaces.txt")),
        ("anonymous", include_str!("../data/token/anonymous.txt")),
    ];
    for (name, file) in files {
        let golden = Golden(file);
        let text = golden.get("token").unwrap();
        let token = golden.keys().open(text, golden.number("now"), golden.get("issuer").unwrap(), 0).unwrap();
        assert_eq!(token.identity(), golden.claims().as_ref(), "{name}");
        assert_eq!(token.dependencies(), &golden.seen(), "{name}");
        assert_eq!(token.to_text(), text, "{name}");
        assert_eq!(token.kid().as_deref(), golden.get("kid").filter(|_| token.claims().is_some()), "{name}");
        if let Some(claims) = golden.claims().filter(|_| text.ends_with('~')) {
            assert_eq!(golden.keys().seal(&claims, &golden.seen()).unwrap(), text, "{name}: sealing writes the same");
        }
    }
}

#[test]
fn a_token_minted_by_another_library_opens() {
    let golden = Golden(include_str!("../data/token/by-jose.txt"));
    let text = golden.get("token").unwrap();
    let token = golden.keys().open(text, golden.number("now"), golden.get("issuer").unwrap(), 0).unwrap();
    assert_eq!(token.identity(), golden.claims().as_ref());
    assert_eq!(token.dependencies(), &golden.seen());
    assert_eq!(token.jws(), text);
}
