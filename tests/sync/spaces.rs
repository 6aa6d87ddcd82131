//! Many spaces over one link: each has its own conversation, and together they must not be too much for one message.

use std::cell::Cell;
use std::rc::Rc;

use edge_session::id::Space;
use edge_session::replica::SessionInit;

use super::*;

const SPACES: usize = 24;

fn space(n: usize) -> Space {
    Space::first(&format!("room-{n:03}")).unwrap()
}

/// Writes about half a slice's worth into a space.
fn furnish(host: &mut Host, n: usize) {
    let session = host.open(SessionInit { space: Some(space(n)), ..SessionInit::default() });
    let value = "x".repeat(16 << 10);
    (0..8).for_each(|key| drop(host.set(session, &format!("k{key}"), &value)));
    host.replica.close_session(session);
}

/// Whether both hosts hold the same of every space.
fn rooms_agree(net: &Net) -> bool {
    let [a, b] = [&net.hosts[0], &net.hosts[1]].map(|host| host.replica.store());
    (0..SPACES).all(|n| a.vector(&space(n)) == b.vector(&space(n)))
}

/// Messages arrive, and the length of the longest one is noted.
fn measured(net: &mut Net) -> Rc<Cell<usize>> {
    let longest = Rc::new(Cell::new(0));
    let seen = Rc::clone(&longest);
    net.fate = Box::new(move |flight| {
        seen.set(seen.get().max(flight.bytes.len()));
        vec![(5, flight.clone())]
    });
    longest
}

#[test]
fn a_newcomer_is_not_sent_all_spaces_in_one_message() {
    let mut net = net(2, &[]);
    net.with(0, |host| (0..SPACES).for_each(|n| furnish(host, n)));
    let longest = measured(&mut net);
    net.connect(0, 1);
    net.run(SPACES as u64 * 20);
    assert!(rooms_agree(&net), "one round trip after the other, without a pause");
    let most = 2 * SLICE_BYTES as usize;
    assert!(longest.get() <= most, "{} bytes in one message", longest.get());
}

#[test]
fn a_newcomer_is_not_sent_all_spaces_in_one_reply() {
    let mut net = net(2, &[]);
    let (old, newcomer) = net.hosts.split_at_mut(1);
    let (old, newcomer) = (&mut old[0], &mut newcomer[0]);
    (0..SPACES).for_each(|n| furnish(old, n));
    let mut longest = 0;
    let mut message = newcomer.exchange(&[]);
    for _ in 0..SPACES {
        message = old.exchange(&message);
        longest = longest.max(message.len());
        message = newcomer.exchange(&message);
    }
    assert!(rooms_agree(&net));
    assert!(longest <= 2 * SLICE_BYTES as usize, "{longest} bytes in one message");
}

#[test]
fn busy_spaces_do_not_keep_the_others_waiting() {
    let mut net = net(2, &[]);
    let (old, newcomer) = net.hosts.split_at_mut(1);
    let (old, newcomer) = (&mut old[0], &mut newcomer[0]);
    (0..SPACES).for_each(|n| furnish(old, n));
    let mut message = newcomer.exchange(&[]);
    for _ in 0..SPACES {
        // The first two fill a reply, and have changed by the time of the next one.
        (0..2).for_each(|n| furnish(old, n));
        message = old.exchange(&message);
        message = newcomer.exchange(&message);
    }
    let (old, newcomer) = (old.replica.store(), newcomer.replica.store());
    let behind: Vec<usize> = (2..SPACES).filter(|n| old.vector(&space(*n)) != newcomer.vector(&space(*n))).collect();
    assert_eq!(behind, Vec::<usize>::new());
}
