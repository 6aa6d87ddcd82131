//! What a client may not read it does not hear of: a space that is hidden is answered as one that does not exist.

use super::*;

/// What only bob may see, in every form in which it could escape.
const SECRETS: [&str; 4] = ["bobs-space", "bobs-key", "bobs-value", "bobs-tab"];

fn hears(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

#[test]
pub(super) fn no_byte_that_a_client_receives_is_of_a_space_that_its_user_may_not_read() {
    let mut world = World::new();
    let bob = token(&mut world.net.hosts[EDGE], "bob", Some("bobs-space"));
    world.net.hosts.push(Host::new(tab("bobs-tab")));
    world.net.join(2, EDGE, &pass(&bob));
    let bobs = SessionInit { space: Some(space("bobs-space")), ..SessionInit::default() };
    let bobs = world.net.with(2, |tab| tab.open(bobs));
    let (edge, honest) = (LinkId(EDGE as u32), world.net.hosts[TAB].id());
    let mut received = 0u64;
    // Everything that is carried to the honest tab is looked at.
    let (log, at_tab) = (std::rc::Rc::new(std::cell::RefCell::new(Vec::<Vec<u8>>::new())), TAB);
    let seen = log.clone();
    world.net.fate = Box::new(move |flight| {
        if flight.to == (at_tab, edge) {
            seen.borrow_mut().push(flight.bytes.clone());
        }
        vec![(5, flight.clone())]
    });
    for round in 0..200 {
        world.net.with(2, |tab| tab.set(bobs, &format!("bobs-key-{}", round % 40), &format!("bobs-value-{round}")));
        if round % 3 == 0 {
            let author = world.author;
            world.net.with(TAB, |tab| tab.set(author, "honest", "more"));
        }
        if round == 50 {
            // A large one goes in slices.
            let value = format!("bobs-value-{}", "x".repeat(300_000));
            world.net.with(2, |tab| tab.set(bobs, "bobs-key-large", &value));
        }
        // And what the tab asks for by name, and what it says that it holds.
        if round % 10 == 0 {
            let asked = vec![
                Message::hello(vec![(space("bobs-space"), VersionVector::new())], true),
                Message::Behind { space: space("bobs-space"), vector: VersionVector::new() },
                Message::Want {
                    space: space("bobs-space"),
                    from: VersionVector::new(),
                    base: VersionVector::new(),
                    after: None,
                },
            ];
            let bytes = Frame { from: honest, to: None, messages: asked }.encode();
            world.net.inject((EDGE, LinkId(TAB as u32)), bytes, 1);
        }
        world.net.run(50);
    }
    world.net.run(10_000);
    assert_eq!(world.edge().replica.store().vector(&space("bobs-space")).get(world.net.hosts[2].id()), 201);
    for bytes in log.borrow().iter() {
        received += bytes.len() as u64;
        // The tab has named the space itself, and the refusal repeats the name; nothing else does.
        for secret in &SECRETS[1..] {
            assert!(!hears(bytes, secret), "{secret} in {:?}", Frame::decode(bytes));
        }
        for message in Frame::decode(bytes).unwrap().messages {
            let named = message.vectors().any(|(named, _)| *named == space("bobs-space"));
            assert!(!named, "{message:?}");
        }
    }
    assert!(received > 4_000, "the run was busy: {received} bytes");
    // The same for who comes by request.
    let ann = token(&mut world.net.hosts[EDGE], "ann", None);
    let now = world.net.now;
    for message in [vec![], Frame { from: honest, to: None, messages: vec![Message::hello(vec![], true)] }.encode()] {
        world.net.with(EDGE, |edge| {
            edge.replica.exchange_as(LinkId(777), &pass(&ann), &message, now).unwrap();
            edge.drain();
            let at = edge.sent.iter().position(|(link, _)| *link == LinkId(777)).unwrap();
            let (_, bytes) = edge.sent.remove(at);
            assert!(SECRETS.iter().all(|secret| !hears(&bytes, secret)));
        });
    }
}

#[test]
pub(super) fn a_hidden_space_is_answered_as_one_that_does_not_exist() {
    let answers = |name: &str| {
        let mut world = World::new();
        let bob = token(&mut world.net.hosts[EDGE], "bob", Some("hidden"));
        let owner = Liar::join_as(&mut world, &pass(&bob), LinkId(98), 67);
        let entry = owner.entry(1, "v");
        let to = VersionVector::from_iter([(owner.id, 1)]);
        let keys = vec![("k".into(), vec![Listed::Entry(entry)].into())];
        let hlc = Hlc::new(START, 0);
        let delta = Delta { space: space("hidden"), from: VersionVector::new(), to, hlc, keys: keys.into() };
        assert!(refusals(&owner.says(&mut world, vec![Message::Delta(delta)])).is_empty());

        let eve = token(&mut world.net.hosts[EDGE], "eve", None);
        let liar = Liar::join(&mut world, &pass(&eve));
        let (none, one) = (VersionVector::new(), VersionVector::from_iter([(liar.id, 1)]));
        let keys = vec![("k".into(), vec![Listed::Entry(liar.entry(1, "v"))].into())];
        let delta = Delta { space: space(name), from: none.clone(), to: one.clone(), hlc, keys: keys.clone().into() };
        let asked = [
            Message::Delta(delta.clone()),
            Message::Want { space: space(name), from: none.clone(), base: none.clone(), after: None },
            Message::Ack { space: space(name), vector: one.clone() },
            Message::Behind { space: space(name), vector: none.clone() },
            Message::hello(vec![(space(name), none.clone())], true),
            Message::TopUp { base: one.clone(), delta },
            Message::Slice(edge_session::sync::message::Slice {
                space: space(name),
                from: none,
                base: one.clone(),
                at: one,
                after: None,
                last: true,
                hlc,
                keys: keys.into(),
            }),
        ];
        let before = world.state();
        let said = asked.map(|message| liar.says(&mut world, vec![message]));
        assert!(world.state() == before);
        said.map(|said| format!("{said:?}").replace(name, "…"))
    };
    let hidden = answers("hidden");
    assert_eq!(hidden, answers("nowhere"));
    assert!(hidden[0].contains("SPACE_NOT_FOUND"), "{}", hidden[0]);
    // Nor is the system's own space given to anybody, whatever the host says.
    assert_eq!(answers("$system"), hidden);
}

#[test]
pub(super) fn the_system_space_is_given_to_no_client() {
    let mut world = World::new();
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let pass = Pass { token: eve, spaces: vec![(space("$system"), Right::Write)] };
    let liar = Liar::join(&mut world, &pass);
    let keys = vec![("user/root".into(), vec![Listed::Entry(liar.entry(1, "eve"))].into())];
    let delta =
        Delta { space: space("$system"), from: VersionVector::new(), ..liar.delta(&world, &[(liar.id, 1)], keys) };
    assert_eq!(refused(&liar.says(&mut world, vec![Message::Delta(delta)])).0, "SPACE_NOT_FOUND");
    assert!(world.edge().replica.store().space(&space("$system")).is_none());
}
