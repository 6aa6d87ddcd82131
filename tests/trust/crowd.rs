//! Many links: each is served at its own time, however many others there are.

use super::*;
use edge_session::replica::Config;
use std::collections::BTreeMap;

const MANY: u32 = 40;
/// By so much each comes later than the one before.
const APART: u64 = 37;
const HEARTBEAT: u64 = 2_000;
const TOKEN_LIFE: u64 = 30_000;

/// A client joins over a link, and says that it holds nothing.
fn join(edge: &mut Host, link: u32) {
    let token = token(edge, "ann", None);
    edge.replica.link_admit(LinkId(link), &pass(&token), edge.now).unwrap();
    let [a, b, c, d] = link.to_be_bytes();
    let from = ReplicaId::new("tab", [a, b, c, d, 0, 0, 0, 0, 0, 0]).unwrap();
    let frame = Frame { from, to: None, messages: vec![Message::hello(Vec::new(), false)] };
    edge.receive(LinkId(link), &frame.encode()).unwrap();
    edge.drain();
}

/// Lets the time go on, ringing only when the replica has asked for it: when each link was spoken to.
fn rings(edge: &mut Host, until: u64) -> BTreeMap<u32, Vec<u64>> {
    let mut spoken = BTreeMap::<u32, Vec<u64>>::new();
    edge.sent.clear();
    while let Some(at) = edge.timeout.take_if(|at| *at <= until) {
        edge.now = at;
        edge.replica.tick(at);
        edge.drain();
        assert!(edge.timeout.is_none_or(|next| next > at), "what is due at {} is seen to then", at - START);
        edge.sent.drain(..).for_each(|(link, _)| spoken.entry(link.0).or_default().push(at));
    }
    edge.now = until;
    spoken
}

#[test]
pub(super) fn among_many_links_each_is_served_at_its_own_time() {
    let mut edge = Host::new(Config { token_life: TOKEN_LIFE, ..edge("fra1") });
    let mut began = BTreeMap::new();
    for link in 0..MANY {
        edge.at(START + u64::from(link) * APART);
        join(&mut edge, link);
        began.insert(link, edge.now);
    }
    // Each hears the heartbeat, and nobody hears another's.
    let (from, until) = (edge.now, edge.now + 3 * HEARTBEAT);
    let spoken = rings(&mut edge, until);
    for (link, began) in &began {
        let due = (1..).map(|beat| began + beat * HEARTBEAT).skip_while(|at| *at <= from).take_while(|at| *at <= until);
        assert_eq!(spoken.get(link), Some(&due.collect()), "{link}");
    }
    // Places that are free again are another's; who has gone is told nothing.
    for link in (0..MANY).step_by(2) {
        edge.replica.link_down(LinkId(link), edge.now);
        edge.drain();
        began.remove(&link);
    }
    for link in MANY..MANY + 5 {
        join(&mut edge, link);
        began.insert(link, edge.now);
    }
    edge.sent.clear();
    let session = edge.session();
    edge.set(session, "k", "v");
    let told: Vec<u32> = edge.sent.iter().map(|(link, _)| link.0).collect();
    assert_eq!(told, began.keys().copied().collect::<Vec<_>>());
    // Each link ends with its own token, at that time.
    rings(&mut edge, START + 3 * TOKEN_LIFE);
    let ended: Vec<u32> = edge.closed.iter().map(|(link, _)| link.0).collect();
    assert_eq!(ended, began.keys().copied().collect::<Vec<_>>());
    assert!(edge.closed.iter().all(|(_, error)| error.code() == ErrorCode::TokenExpired));
    assert_eq!(edge.replica.peers().count(), 0);
}

#[test]
pub(super) fn an_edge_whose_clock_was_set_back_goes_on_speaking_to_each() {
    let mut edge = Host::new(edge("fra1"));
    for link in 0..MANY {
        join(&mut edge, link);
    }
    edge.at(START + 3_600_000);
    // An hour back: nobody waits for an hour now.
    edge.at(START);
    edge.replica.tick(START);
    edge.drain();
    let spoken = rings(&mut edge, START + HEARTBEAT);
    assert_eq!(spoken.len(), MANY as usize);
}
