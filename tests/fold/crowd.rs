//! A thousand writing clients over a few edges: no session's token is ever longer than 1 KiB.
//!
//! The crowd writes in tabs of its own, and each of its users also reads everything at an edge and goes on at the next
//! one, as a request handler would: open by token, read, seal.

use super::*;

const CLIENTS: usize = 1_000;
const EDGES: usize = 4;
/// So many clients write between two rounds of the edges, which then speak with each other.
const ROUND: usize = 100;

/// So many keys a user reads at each visit: more replicas than any token could name.
const READS: u64 = 60;

/// The edges, and what their users carry.
struct City {
    edges: Vec<Host>,
    tokens: Vec<String>,
    longest: usize,
    waited: usize,
}

#[test]
fn a_thousand_writing_clients_have_tokens_of_at_most_one_kib() {
    let edges = (0..EDGES).map(|n| Host::new(edge(&format!("edge{n}")))).collect();
    let mut city = City { edges, tokens: Vec::new(), longest: 0, waited: 0 };
    let rounds = CLIENTS / ROUND;
    for round in 0..rounds {
        for client in round * ROUND..(round + 1) * ROUND {
            city.joins(client);
        }
        city.gossip();
        let now = START + (round as u64 + 1) * SYNC_INTERVAL;
        city.edges.iter_mut().for_each(|edge| edge.at(now));
        // Who has just come, and some of those who came before, go to an edge; and in the end everybody to another one.
        let visitors = (0..city.tokens.len()).filter(|client| client / ROUND == round || client % 10 == round);
        visitors.for_each(|client| city.visits(client, client + round / 2));
    }
    city.edges.iter_mut().for_each(|edge| edge.at(edge.now + SYNC_INTERVAL));
    (0..CLIENTS).for_each(|client| city.visits(client, client + 1));

    let City { mut edges, tokens, longest, waited } = city;
    assert!((300..=TOKEN_BYTES_MAX).contains(&longest), "{longest} bytes");
    for edge in &edges {
        assert_eq!(edge.vector().len(), CLIENTS + EDGES, "every client is an origin, and so is every edge");
        assert!(own(edge) <= rounds as u64 + 1, "{} checkpoints in {rounds} sync intervals", own(edge));
    }
    assert!(waited > 0 && waited <= (rounds + 1) * EDGES, "{waited} times somebody had to wait");

    // What the tokens promise: an edge that lacks the crowd's writes serves nobody of it.
    let mut fresh = Host::new(edge("fresh"));
    let there: Vec<SessionHandle> = tokens.iter().step_by(100).map(|token| fresh.resume(token)).collect();
    for session in &there {
        assert_eq!(code(fresh.get(*session, "k0999", SYNC)), ErrorCode::StaleReplica);
    }
    sync(&mut fresh, &mut edges[0]);
    for session in there {
        assert_eq!(fresh.get(session, "k0999", SYNC), Ok(Some("here I am".into())));
    }
}

impl City {
    /// A client writes in a tab of its own and connects to an edge.
    fn joins(&mut self, client: usize) {
        let mut tab = Host::new(tab(&format!("client-{client}")));
        let session = tab.session();
        tab.set(session, &format!("k{client:04}"), "here I am");
        self.tokens.push(tab.token(session));
        self.edges[client % EDGES].pull(&mut tab);
    }

    /// A request: open by token, read, seal.
    fn visits(&mut self, client: usize, at: usize) {
        let at = at % EDGES;
        let host = &mut self.edges[at];
        let session = host.resume(&self.tokens[client]);
        assert_eq!(host.get(session, &format!("k{client:04}"), SYNC), Ok(Some("here I am".into())));
        let start = Some(format!("k{:04}", client.saturating_sub(READS as usize)));
        host.list(session, Range { start, limit: Some(READS), ..Range::default() });
        let text = match host.begin(session, Operation::Seal, PLAIN).unwrap() {
            Progress::Done(Answer::Token(text)) => text,
            Progress::Waiting(wait) => {
                self.waited += 1;
                self.gossip();
                let Some(Ok(Answer::Token(text))) = self.edges[at].taken(wait) else { panic!("not sealed") };
                text
            }
            Progress::Done(other) => panic!("{other:?}"),
        };
        self.longest = self.longest.max(text.len());
        self.tokens[client] = text;
        self.edges[at].replica.close_session(session);
    }

    /// Every edge takes what every other one holds, and hears that it was taken.
    fn gossip(&mut self) {
        for _ in 0..2 {
            for to in 0..EDGES {
                for from in (0..EDGES).filter(|from| *from != to) {
                    let [to, from] = self.edges.get_disjoint_mut([to, from]).unwrap();
                    acknowledge(from, to);
                }
            }
        }
    }
}
