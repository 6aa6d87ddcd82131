//! What a client has written on top of writes that the edge lacks: it waits there, and no longer than they do.

use std::cell::Cell;
use std::rc::Rc;

use super::*;
use edge_session::replica::Config;
use edge_session::sync::peer::Timing;

/// One more edge, and the one that lacks what the others have written.
const SECOND: usize = 2;
const BEHIND: usize = 3;

/// A tab holds what two edges have written and a third one lacks, and has written after it; it is with the third one for so long.
fn apart(millis: u64) -> Net {
    // As an object, it says nothing that it does not need to.
    let quiet = Config { timing: Timing::default().beating(600_000), ..edge("nrt1") };
    let World { mut net, author, .. } = World::new();
    for config in [edge("cdg1"), quiet] {
        net.hosts.push(Host::new(config));
    }
    for at in [EDGE, SECOND] {
        net.disconnect(TAB, EDGE);
        let pass = pass(&token(&mut net.hosts[at], "ann", None));
        net.join(TAB, at, &pass);
        let session = net.hosts[at].session();
        net.with(at, |edge| edge.set(session, &format!("at {at}"), "at an edge"));
        net.run(100);
        net.disconnect(TAB, at);
    }
    net.with(TAB, |tab| tab.set(author, "k", "in the tab"));
    let pass = pass(&token(&mut net.hosts[BEHIND], "ann", None));
    net.join(TAB, BEHIND, &pass);
    net.run(millis);
    assert_eq!(net.hosts[BEHIND].vector(), VersionVector::new(), "nobody is believed what others wrote");
    net
}

fn taken(net: &Net) -> Option<&Content> {
    Some(&net.hosts[BEHIND].replica.store().live(&default(), "k")?.winner()?.content)
}

#[test]
fn what_waits_for_others_is_taken_as_soon_as_they_are_there() {
    for millis in [500, 5_000, 20_000, 100_000] {
        let mut net = apart(millis);
        net.prove(BEHIND, EDGE);
        net.prove(BEHIND, SECOND);
        net.run(100);
        assert_eq!(taken(&net), Some(&text("in the tab")), "after {millis} ms");
    }
}

#[test]
fn what_waits_is_not_told_again_before_all_that_it_waits_for_is_there() {
    let mut net = apart(20_000);
    let heard = Rc::new(Cell::new(0));
    let counted = Rc::clone(&heard);
    net.fate = Box::new(move |flight| {
        counted.set(counted.get() + u32::from(flight.to == (TAB, LinkId(BEHIND as u32))));
        vec![(5, flight.clone())]
    });
    // What else is written there brings nothing nearer, nor does half of it. What is told in vain would be answered.
    let there = net.hosts[BEHIND].session();
    for n in 0..10 {
        net.with(BEHIND, |edge| edge.set(there, &format!("{n}"), "at the third edge"));
        net.run(20);
    }
    net.prove(BEHIND, EDGE);
    net.run(100);
    assert_eq!((taken(&net), heard.get()), (None, 10 + 1));
    net.prove(BEHIND, SECOND);
    net.run(100);
    assert_eq!(taken(&net), Some(&text("in the tab")));
}
