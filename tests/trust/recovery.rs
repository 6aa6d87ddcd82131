//! A client whose writes are refused goes on by itself: a new id, a snapshot, the rest made again, the refused told.

use super::*;
use common::host::{SYNC, THROW};
use common::{batch, put};
use edge_session::store::Mutation;

/// The refused writes that a tab was told of: code, key, value.
fn rejected(host: &Host) -> Vec<(String, String, Option<String>)> {
    let told = host.events.iter().filter_map(|event| match event {
        Event::Rejected { code, writes, .. } => Some(writes.iter().map(move |write| {
            let value = match &write.content {
                Content::Text(text) => Some(text.to_string()),
                _ => None,
            };
            (code.clone(), write.key.to_string(), value)
        })),
        _ => None,
    });
    told.flatten().collect()
}

/// A world in which the tab's link is cut, so that it writes offline.
fn offline() -> World {
    let mut world = World::new();
    world.net.disconnect(TAB, EDGE);
    world
}

fn comes_back(world: &mut World, pass: &Pass) {
    world.net.join(TAB, EDGE, pass);
    world.net.run(20_000);
}

fn ann(world: &mut World) -> Pass {
    pass(&token(&mut world.net.hosts[EDGE], "ann", None))
}

#[test]
fn writes_of_a_wrong_clock_are_told_and_the_rest_goes_on() {
    let mut world = offline();
    let (author, before) = (world.author, world.net.hosts[TAB].id());
    world.net.with(TAB, |tab| {
        tab.set(author, "kept", "before");
        tab.set(author, "honest", "offline");
        // The clock runs an hour ahead for one write.
        tab.now += 3_600_000;
        tab.set(author, "ahead", "never");
        tab.now -= 3_600_000;
    });
    let pass = ann(&mut world);
    comes_back(&mut world, &pass);
    let tab = &world.net.hosts[TAB];
    assert_eq!(rejected(tab), [("CLOCK_DRIFT".into(), "ahead".into(), Some("never".into()))]);
    assert_ne!(tab.id(), before);
    assert_eq!(world.edge().vector(), tab.vector());
    for (key, value) in [("kept", Some("before")), ("honest", Some("offline")), ("ahead", None)] {
        assert_eq!(world.net.hosts[TAB].get(author, key, THROW).unwrap().as_deref(), value, "{key}");
        let reader = world.net.hosts[EDGE].session();
        assert_eq!(world.net.hosts[EDGE].get(reader, key, THROW).unwrap().as_deref(), value, "{key} at the edge");
    }
    // The session reads its own writes still, and its token is good at the edge.
    let token = world.net.hosts[TAB].token(author);
    let there = world.net.hosts[EDGE].resume(&token);
    assert_eq!(world.net.hosts[EDGE].get(there, "kept", THROW).unwrap().as_deref(), Some("before"));
    world.goes_on();
}

#[test]
fn what_a_refused_write_had_superseded_comes_back() {
    let mut world = offline();
    let author = world.author;
    world.net.with(TAB, |tab| {
        tab.now += 3_600_000;
        tab.set(author, "honest", "from the future");
        tab.now -= 3_600_000;
    });
    let pass = ann(&mut world);
    comes_back(&mut world, &pass);
    assert_eq!(world.net.hosts[TAB].get(author, "honest", THROW).unwrap().as_deref(), Some("1"));
    world.goes_on();
}

#[test]
fn a_replayed_write_supersedes_what_it_had_seen_and_nothing_else() {
    let mut world = offline();
    let (author, other) = (world.author, world.net.hosts[EDGE].session());
    // Meanwhile the edge writes the same key; neither has seen the other.
    world.net.run(1_000);
    world.net.with(EDGE, |edge| edge.set(other, "honest", "at the edge"));
    world.net.run(1_000);
    world.net.with(TAB, |tab| {
        tab.set(author, "honest", "in the tab");
        tab.now += 3_600_000;
        tab.set(author, "ahead", "never");
        tab.now -= 3_600_000;
    });
    let pass = ann(&mut world);
    comes_back(&mut world, &pass);
    let values = |host: &mut Host, session| {
        let items = host.conflicts(session, "honest");
        items.iter().map(|item| common::string(&item.content)).collect::<Vec<_>>()
    };
    let (at_tab, at_edge) = (values(&mut world.net.hosts[TAB], author), values(&mut world.net.hosts[EDGE], other));
    assert_eq!(at_tab, ["in the tab", "at the edge"]);
    assert_eq!(at_tab, at_edge);
}

#[test]
fn a_replayed_write_ends_when_it_was_to_end() {
    let mut world = offline();
    let (author, before) = (world.author, world.net.hosts[TAB].id());
    let end = world.net.now + 86_400_000;
    world.net.with(TAB, |tab| {
        let brief = Mutation { expires_at: Some(end), ..put("brief", "offline") };
        tab.ask(author, batch([brief, put("lasting", "offline")]), SYNC).unwrap();
        tab.now += 3_600_000;
        tab.set(author, "ahead", "never");
        tab.now -= 3_600_000;
    });
    let pass = ann(&mut world);
    comes_back(&mut world, &pass);
    assert_ne!(world.net.hosts[TAB].id(), before);
    for host in [TAB, EDGE].map(|at| &world.net.hosts[at]) {
        let state = host.replica.store().space(&host.space()).unwrap();
        let ends = |key| state.live(key).and_then(|set| set.winner()).unwrap().expires_at();
        assert_eq!((ends("brief"), ends("lasting")), (Some(end), None));
    }
}

#[test]
fn a_space_that_may_only_be_read_undoes_what_was_written_to_it() {
    let mut world = offline();
    let author = world.author;
    world.net.with(TAB, |tab| {
        tab.set(author, "honest", "no longer mine");
        tab.delete(author, "gone");
    });
    let token = token(&mut world.net.hosts[EDGE], "ann", Some("ann"));
    comes_back(&mut world, &Pass { token, spaces: vec![(default(), Right::Read)] });
    let mut told = rejected(&world.net.hosts[TAB]);
    told.sort();
    let denied = || "PERMISSION_DENIED".to_owned();
    assert_eq!(told, [(denied(), "gone".into(), None), (denied(), "honest".into(), Some("no longer mine".into()))]);
    assert_eq!(world.net.hosts[TAB].get(author, "honest", THROW).unwrap().as_deref(), Some("1"));
    assert_eq!(world.edge().vector(), world.net.hosts[TAB].vector());
}

#[test]
fn a_broken_link_in_the_middle_loses_nothing() {
    let mut world = offline();
    let author = world.author;
    world.net.with(TAB, |tab| {
        tab.set(author, "kept", "v");
        tab.now += 3_600_000;
        tab.set(author, "ahead", "never");
        tab.now -= 3_600_000;
    });
    let pass = ann(&mut world);
    for cut in 1..12 {
        world.net.join(TAB, EDGE, &pass);
        world.net.run(cut * 5);
        world.net.disconnect(TAB, EDGE);
        let value = world.net.hosts[TAB].get(author, "kept", THROW).unwrap();
        assert_eq!(value.as_deref(), Some("v"), "after {} ms", cut * 5);
    }
    comes_back(&mut world, &pass);
    assert_eq!(rejected(&world.net.hosts[TAB]).len(), 1);
    assert_eq!(world.edge().vector(), world.net.hosts[TAB].vector());
}

#[test]
fn a_crash_after_a_recovery_does_not_bring_the_refused_back() {
    let mut edge = Host::new(edge("fra1"));
    let token = token(&mut edge, "ann", None);
    let mut tab = Host::new(stored(tab("stored")));
    tab.prompt = true;
    let author = tab.session();
    tab.set(author, "kept", "v");
    tab.now += 3_600_000;
    tab.set(author, "ahead", "never");
    tab.now -= 3_600_000;
    let mut net = Net::new(vec![edge, tab]);
    net.join(TAB, EDGE, &pass(&token));
    net.run(20_000);
    assert_eq!(rejected(&net.hosts[TAB]).len(), 1);
    let (id, vector, state) = (net.hosts[TAB].id(), net.hosts[TAB].vector(), net.hosts[TAB].snapshot());
    net.hosts[TAB].crash();
    assert_eq!((net.hosts[TAB].id(), net.hosts[TAB].vector()), (id, vector));
    assert!(net.hosts[TAB].snapshot() == state);
    // And it is known by its id still: what it writes is taken at once.
    net.disconnect(TAB, EDGE);
    net.join(TAB, EDGE, &pass(&token));
    let author = net.hosts[TAB].session();
    net.with(TAB, |tab| tab.set(author, "after", "v"));
    net.settle(5_000);
    assert_eq!(net.hosts[TAB].id(), id);
}

#[test]
fn the_clock_of_the_edge_is_stamped_by() {
    let mut world = World::new();
    let author = world.author;
    // From now on the tab's clock is an hour ahead; it has joined before.
    world.net.disconnect(TAB, EDGE);
    let pass = ann(&mut world);
    let token_edge = world.net.now;
    world.net.hosts[TAB].now = token_edge + 3_600_000;
    let ahead = world.net.hosts[TAB].now;
    world.net.hosts[EDGE].replica.link_admit(LINK, &pass, token_edge).unwrap();
    world.net.hosts[TAB].replica.link_up(LINK, ahead);
    world.net.hosts[TAB].drain();
    for _ in 0..6 {
        for (from, to, now) in [(TAB, EDGE, token_edge), (EDGE, TAB, ahead)] {
            for (_, bytes) in std::mem::take(&mut world.net.hosts[from].sent) {
                world.net.hosts[to].now = now;
                world.net.hosts[to].receive(LINK, &bytes).unwrap();
            }
        }
        world.net.hosts[TAB].set(author, "k", "v");
    }
    let live = world.edge().replica.store().live(&default(), "k").unwrap();
    assert!(live.winner().unwrap().hlc < Hlc::new(token_edge + 60_000, 0), "{:?}", live.winner());
    assert!(rejected(&world.net.hosts[TAB]).is_empty());
}

#[test]
pub(super) fn a_refusal_that_comes_once_more_is_not_recovered_from_again() {
    let mut world = offline();
    let (author, before) = (world.author, world.net.hosts[TAB].id());
    world.net.with(TAB, |tab| {
        tab.now += 3_600_000;
        tab.set(author, "ahead", "never");
        tab.now -= 3_600_000;
    });
    let refused = Dot::new(before, world.net.hosts[TAB].vector().get(before));
    let pass = ann(&mut world);
    comes_back(&mut world, &pass);
    let (edge, id) = (world.edge().id(), world.net.hosts[TAB].id());
    assert_ne!(id, before);
    let again = Message::Refused { space: default(), code: "CLOCK_DRIFT".into(), dots: vec![refused] };
    let bytes = Frame { from: edge, to: Some(id), messages: vec![again] }.encode();
    world.net.with(TAB, |tab| tab.receive(LinkId(EDGE as u32), &bytes)).unwrap();
    world.net.run(20_000);
    assert_eq!(world.net.hosts[TAB].id(), id, "nothing is left of what was refused");
    world.goes_on();
}
