//! Edges prove to each other that they hold a key of the cluster; who does not is neither believed nor told anything.

use super::*;
use edge_session::replica::{Config, End};
use edge_session::sync::message::Proof;

/// The links of the far ends.
const FAR: LinkId = LinkId(7);
const OTHER: LinkId = LinkId(8);

fn named(label: &str, keys: &[(&str, u8)]) -> Config {
    let keys = keys.iter().map(|(kid, byte)| ((*kid).to_owned(), vec![*byte; 32])).collect();
    Config { keys, ..tab(label) }
}

fn pair() -> (Host, Host) {
    let (mut paris, tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let author = paris.session();
    paris.set(author, "k", "paris' value");
    paris.sent.clear();
    (paris, tokyo)
}

/// What a replica has said on a link since it was asked last.
fn said(host: &mut Host, link: LinkId) -> Vec<Vec<u8>> {
    let (mine, others): (Vec<_>, Vec<_>) = host.sent.drain(..).partition(|(on, _)| *on == link);
    host.sent = others;
    mine.into_iter().map(|(_, bytes)| bytes).collect()
}

fn messages(frames: &[Vec<u8>]) -> Vec<Message> {
    frames.iter().flat_map(|bytes| Frame::decode(bytes).unwrap().messages).collect()
}

/// Nothing but what proofs are made of.
fn is_bare(frames: &[Vec<u8>]) -> bool {
    let bare = |message: &Message| match message {
        Message::Challenge { .. } => true,
        Message::Proof(proof) => proof.frame.is_empty() && proof.count == 0,
        _ => false,
    };
    messages(frames).iter().all(bare)
}

fn opens(host: &mut Host, link: LinkId, end: End) {
    host.replica.link_prove(link, end, None, host.now);
    host.drain();
}

fn frame(from: ReplicaId, messages: Vec<Message>) -> Vec<u8> {
    Frame { from, to: None, messages }.encode()
}

fn closed(host: &Host, link: LinkId) -> Option<ErrorCode> {
    host.closed.iter().find(|(on, _)| *on == link).map(|(_, error)| error.code())
}

/// A hello and a delta of one write, as a stranger would say them.
fn lies(from: ReplicaId) -> Vec<Message> {
    let entry = DataEntry::new(text("a lie"), Dot::new(from, 1), Hlc::new(START, 0), None, None);
    let (from, to) = (VersionVector::new(), VersionVector::from_iter([(from, 1)]));
    let keys = vec![("lie".into(), vec![Listed::Entry(entry)].into())];
    let delta = Delta { space: default(), from, to, hlc: Hlc::new(START, 0), keys: keys.into() };
    vec![Message::hello(vec![(default(), delta.to.clone())], true), Message::Delta(delta)]
}

/// A name as long as those of the edges.
fn stranger() -> ReplicaId {
    ReplicaId::new("nobod", [9; 10]).unwrap()
}

#[test]
pub(super) fn edges_of_one_cluster_prove_it_and_are_in_step() {
    let (paris, tokyo) = pair();
    let mut net = Net::new(vec![paris, tokyo]);
    net.prove(0, 1);
    net.settle(1_000);
    assert_eq!(net.vectors(), ["<paris:1>", "<paris:1>"]);
    let author = net.hosts[1].session();
    net.with(1, |tokyo| tokyo.set(author, "l", "tokyo's value"));
    net.settle(1_000);
    net.run(60_000);
    assert!(net.hosts.iter().all(|host| host.closed.is_empty()), "nothing of it ends with the patience for proofs");
}

#[test]
pub(super) fn who_calls_and_proves_nothing_is_told_nothing_and_believed_nothing() {
    let openings = [lies(stranger()), vec![Message::hello(vec![], true)], vec![], vec![Message::Unknown { kind: 19 }]];
    for opening in openings {
        let (mut paris, _) = pair();
        let before = paris.snapshot();
        opens(&mut paris, FAR, End::Callee);
        paris.receive(FAR, &frame(stranger(), opening)).unwrap();
        assert_eq!(closed(&paris, FAR), Some(ErrorCode::TokenInvalid));
        paris.receive(FAR, &frame(stranger(), lies(stranger()))).unwrap();
        assert_eq!(said(&mut paris, FAR), [[0u8; 0]; 0]);
        assert!(paris.snapshot() == before && paris.replica.peers().next().is_none());
    }
}

#[test]
pub(super) fn who_asks_for_proof_and_gives_none_is_sent_away() {
    let (mut paris, _) = pair();
    opens(&mut paris, FAR, End::Callee);
    paris.receive(FAR, &frame(stranger(), vec![Message::Challenge { nonce: [1; 16] }])).unwrap();
    let heard = said(&mut paris, FAR);
    assert!(is_bare(&heard) && messages(&heard).len() == 2, "{heard:?}");
    paris.at(START + 9_999);
    assert_eq!(closed(&paris, FAR), None);
    paris.at(START + 10_000);
    assert_eq!(closed(&paris, FAR), Some(ErrorCode::TokenInvalid));
    assert!(is_bare(&said(&mut paris, FAR)));
}

#[test]
pub(super) fn a_fake_edge_learns_nothing_and_is_not_believed() {
    let (mut paris, _) = pair();
    let before = paris.snapshot();
    opens(&mut paris, FAR, End::Caller);
    let proof = Proof { kid: "k1".into(), nonce: [1; 16], count: 0, mac: [0; 32], frame: vec![] };
    // It may be somebody who speaks early; so it is waited for, and not listened to.
    for words in
        [lies(stranger()), vec![Message::Challenge { nonce: [1; 16] }], vec![Message::Ask { now: START, ids: vec![] }]]
    {
        paris.receive(FAR, &frame(stranger(), words)).unwrap();
        assert!(is_bare(&said(&mut paris, FAR)));
    }
    assert_eq!(closed(&paris, FAR), None);
    paris.receive(FAR, &frame(stranger(), vec![Message::Challenge { nonce: [1; 16] }, Message::Proof(proof)])).unwrap();
    assert_eq!(closed(&paris, FAR), Some(ErrorCode::TokenInvalid));
    assert!(said(&mut paris, FAR).is_empty() && paris.snapshot() == before);
    // A replica without a key says that it knows no challenges; and who says nothing is not waited for.
    opens(&mut paris, OTHER, End::Caller);
    paris.receive(OTHER, &frame(stranger(), vec![Message::Unknown { kind: 19 }])).unwrap();
    assert_eq!(closed(&paris, OTHER), Some(ErrorCode::TokenInvalid));
    opens(&mut paris, LINK, End::Caller);
    paris.at(START + 10_000);
    assert_eq!(closed(&paris, LINK), Some(ErrorCode::Timeout));
    paris.sent.retain(|(_, bytes)| !is_bare(std::slice::from_ref(bytes)));
    assert_eq!(paris.sent, []);
}

/// The frames of a proof between two edges: the caller's challenge, the answer, the caller's proof.
fn handshake(caller: &mut Host, callee: &mut Host, link: LinkId) -> [Vec<u8>; 3] {
    opens(callee, link, End::Callee);
    opens(caller, link, End::Caller);
    let challenge = said(caller, link).remove(0);
    callee.receive(link, &challenge).unwrap();
    let answer = said(callee, link).remove(0);
    caller.receive(link, &answer).unwrap();
    let proof = said(caller, link).remove(0);
    [challenge, answer, proof]
}

#[test]
pub(super) fn what_was_said_on_one_link_proves_nothing_on_another() {
    let (mut paris, mut tokyo) = pair();
    let old = handshake(&mut tokyo, &mut paris, FAR);
    // Word for word, on a link of one's own, at the same edge: its nonce is another one.
    opens(&mut paris, OTHER, End::Callee);
    paris.receive(OTHER, &old[0]).unwrap();
    let answer = said(&mut paris, OTHER).remove(0);
    assert_ne!(answer, old[1]);
    paris.receive(OTHER, &old[2]).unwrap();
    assert_eq!(closed(&paris, OTHER), Some(ErrorCode::TokenInvalid));
    // What the one who was called has said does not serve who is called by the same caller later.
    opens(&mut tokyo, OTHER, End::Caller);
    tokyo.receive(OTHER, &old[1]).unwrap();
    assert_eq!(closed(&tokyo, OTHER), Some(ErrorCode::TokenInvalid));
    // The first link is proved all the same, once.
    paris.receive(FAR, &old[2]).unwrap();
    assert!(!is_bare(&said(&mut paris, FAR)), "paris says what it holds");
}

#[test]
pub(super) fn a_proof_is_not_its_own_answer() {
    let (mut paris, _) = pair();
    // Paris calls; the stranger asks paris on a link of its own what paris has asked it.
    opens(&mut paris, FAR, End::Caller);
    let challenge = messages(&said(&mut paris, FAR)).remove(0);
    opens(&mut paris, OTHER, End::Callee);
    paris.receive(OTHER, &frame(stranger(), vec![challenge])).unwrap();
    let answer = messages(&said(&mut paris, OTHER));
    paris.receive(FAR, &frame(stranger(), answer.clone())).unwrap();
    assert_eq!(closed(&paris, FAR), Some(ErrorCode::TokenInvalid));
    // Under paris' own name it is an echo, which is passed over.
    opens(&mut paris, LINK, End::Caller);
    let own = paris.id();
    said(&mut paris, LINK);
    paris.receive(LINK, &frame(own, answer)).unwrap();
    assert_eq!((said(&mut paris, LINK).len(), closed(&paris, LINK)), (0, None));
}

#[test]
pub(super) fn who_calls_two_edges_cannot_be_each_of_them_to_the_other() {
    let (mut paris, mut tokyo) = pair();
    opens(&mut paris, FAR, End::Callee);
    opens(&mut tokyo, FAR, End::Callee);
    // To paris it says that it is tokyo, to tokyo that it is paris, and each one's question it puts to the other.
    paris.receive(FAR, &frame(tokyo.id(), vec![Message::Challenge { nonce: [1; 16] }])).unwrap();
    let asked = messages(&said(&mut paris, FAR)).remove(0);
    tokyo.receive(FAR, &frame(paris.id(), vec![asked])).unwrap();
    let answer = messages(&said(&mut tokyo, FAR)).remove(1);
    assert!(matches!(answer, Message::Proof(_)));
    paris.receive(FAR, &frame(tokyo.id(), vec![answer])).unwrap();
    assert_eq!(closed(&paris, FAR), Some(ErrorCode::TokenInvalid));
    assert!(said(&mut paris, FAR).is_empty());
}

#[test]
pub(super) fn a_proof_is_of_both_ids() {
    // Somebody else's proof under one's own name.
    let (mut paris, mut tokyo) = pair();
    let [.., proof] = handshake(&mut tokyo, &mut paris, FAR);
    let words = Frame::decode(&proof).unwrap().messages;
    paris.receive(FAR, &frame(stranger(), words)).unwrap();
    assert_eq!(closed(&paris, FAR), Some(ErrorCode::TokenInvalid));
    assert!(said(&mut paris, FAR).is_empty());
    // The same proof for somebody else, who has asked with the same nonce: it draws as paris does.
    let (mut paris, mut tokyo) = pair();
    let mut milan = Host::new(Config { label: "milan".into(), ..edge("paris") });
    milan.session();
    opens(&mut milan, FAR, End::Callee);
    let [challenge, answer, proof] = handshake(&mut tokyo, &mut paris, FAR);
    milan.receive(FAR, &challenge).unwrap();
    assert_eq!(messages(&said(&mut milan, FAR))[0], messages(&[answer])[0], "the same nonce");
    milan.receive(FAR, &frame(tokyo.id(), messages(&[proof]))).unwrap();
    assert_eq!(closed(&milan, FAR), Some(ErrorCode::TokenInvalid));
    assert!(said(&mut milan, FAR).is_empty());
}

#[test]
pub(super) fn who_came_with_a_token_stays_a_client() {
    let mut world = World::new();
    let eve = token(&mut world.net.hosts[EDGE], "eve", None);
    let now = world.net.now;
    world.net.with(EDGE, |edge| edge.replica.link_admit(LINK, &pass(&eve), now)).unwrap();
    // Even a replica that holds a key, and could prove it: the token is what it came by.
    let mut rome = Host::new(edge("rome"));
    opens(&mut rome, LINK, End::Caller);
    let challenge = said(&mut rome, LINK).remove(0);
    let answer = world.net.with(EDGE, |edge| {
        edge.receive(LINK, &challenge).unwrap();
        said(edge, LINK)
    });
    assert!(messages(&answer).iter().all(|message| !matches!(message, Message::Challenge { .. } | Message::Proof(_))));
    let proof = Proof { kid: "k1".into(), nonce: [1; 16], count: 0, mac: [0; 32], frame: vec![] };
    let words = [vec![Message::Proof(proof)], lies(stranger())].concat();
    let heard = world.net.with(EDGE, |edge| {
        edge.receive(LINK, &frame(rome.id(), words)).unwrap();
        said(edge, LINK)
    });
    assert_eq!(refused(&messages(&heard)).0, "STALE_REPLICA");
    world.goes_on();
}

/// Whether two edges with these keys, the first of which signs, come to trust each other.
fn trust(caller: &[(&str, u8)], callee: &[(&str, u8)]) -> bool {
    let mut net = Net::new(vec![Host::new(named("paris", caller)), Host::new(named("tokyo", callee))]);
    for host in 0..2 {
        net.with(host, |host| {
            let author = host.session();
            host.set(author, "k", "v")
        });
    }
    net.prove(0, 1);
    net.run(15_000);
    let ends = net.hosts.iter().map(|host| host.closed.len()).sum::<usize>();
    assert_eq!(net.agrees(), ends == 0);
    net.agrees()
}

#[test]
pub(super) fn keys_change_as_they_do_for_tokens() {
    assert!(trust(&[("k1", 7)], &[("k1", 7)]));
    // First the new one behind the old one everywhere, then before it, then alone.
    assert!(trust(&[("k1", 7)], &[("k1", 7), ("k2", 8)]));
    assert!(trust(&[("k2", 8), ("k1", 7)], &[("k1", 7), ("k2", 8)]));
    assert!(trust(&[("k2", 8)], &[("k2", 8), ("k1", 7)]));
    // Another key, another key of the same name, the same key under another name.
    assert!(!trust(&[("k1", 7)], &[("k2", 8)]));
    assert!(!trust(&[("k1", 7)], &[("k1", 8)]));
    assert!(!trust(&[("k1", 7)], &[("k2", 7)]));
    assert!(!trust(&[("k2", 8), ("k1", 7)], &[("k1", 7)]), "who does not know the key that proves");
}

#[test]
pub(super) fn who_only_calls_costs_little_and_not_for_long() {
    let (mut paris, mut tokyo) = pair();
    for link in 0..1_000 {
        opens(&mut paris, LinkId(1_000 + link), End::Callee);
    }
    assert_eq!(paris.closed.len(), 1_000 - 64, "who waits longest goes first");
    // Somebody honest is let in meanwhile.
    let [.., proof] = handshake(&mut tokyo, &mut paris, FAR);
    paris.receive(FAR, &proof).unwrap();
    assert!(!is_bare(&said(&mut paris, FAR)));
    // What is long, and who says much, is not read.
    let (long, many) = (LinkId(1_998), LinkId(1_999));
    let challenge = |nonce| frame(stranger(), vec![Message::Challenge { nonce: [nonce; 16] }]);
    let heavy = vec![Message::hello(vec![(default(), VersionVector::new()); 1_000], true)];
    paris.receive(long, &frame(stranger(), heavy)).unwrap();
    assert_eq!(closed(&paris, long), Some(ErrorCode::TokenInvalid));
    for nonce in 0..9 {
        paris.receive(many, &challenge(nonce)).unwrap();
    }
    assert_eq!(said(&mut paris, many).len(), 8);
    assert_eq!(closed(&paris, many), Some(ErrorCode::TokenInvalid));
    opens(&mut paris, OTHER, End::Callee);
    paris.receive(OTHER, b"no frame at all").unwrap();
    assert_eq!(closed(&paris, OTHER), Some(ErrorCode::TokenInvalid));
}

#[test]
pub(super) fn a_host_may_vouch_for_who_wants_to_see_a_proof() {
    let (mut paris, mut tokyo) = pair();
    tokyo.replica.link_up(FAR, START);
    tokyo.drain();
    opens(&mut paris, FAR, End::Caller);
    for _ in 0..4 {
        for bytes in said(&mut paris, FAR) {
            tokyo.receive(FAR, &bytes).unwrap();
        }
        for bytes in said(&mut tokyo, FAR) {
            paris.receive(FAR, &bytes).unwrap();
        }
    }
    paris.at(START + 3_000);
    tokyo.at(START + 3_000);
    for bytes in said(&mut paris, FAR) {
        tokyo.receive(FAR, &bytes).unwrap();
    }
    assert_eq!(tokyo.holds(), "<paris:1>");
    // Without a key there is nothing to prove by.
    let mut plain = Host::new(tab("plain"));
    plain.replica.link_prove(FAR, End::Callee, None, START);
    plain.drain();
    assert!(messages(&said(&mut plain, FAR)).iter().all(|message| matches!(message, Message::Hello { .. })));
    plain.receive(FAR, &frame(stranger(), vec![Message::Challenge { nonce: [1; 16] }])).unwrap();
    assert!(messages(&said(&mut plain, FAR)).contains(&Message::Unknown { kind: 19 }));
}

// ── By request ──────────────────────────────────────────────────────────────────────────────────────────────────────

/// A request of who has shown no token; the response, or the code of the refusal.
fn asks(host: &mut Host, request: &[u8]) -> Result<Vec<u8>, ErrorCode> {
    let asked = host.replica.exchange_proved(LINK, request, host.now);
    host.drain();
    asked.map_err(|error| error.code())?;
    Ok(said(host, LINK).remove(0))
}

/// Carries a requester's requests, and what is answered, until nothing is left to say; tells what was carried.
fn converse(requester: &mut Host, callee: &mut Host) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut carried = Vec::new();
    loop {
        let requests = said(requester, FAR);
        if requests.is_empty() {
            return carried;
        }
        for request in requests {
            let response = asks(callee, &request).unwrap();
            requester.receive(FAR, &response).unwrap();
            carried.push((request, response));
        }
    }
}

fn hears(bytes: &[u8], what: &str) -> bool {
    bytes.windows(what.len()).any(|window| window == what.as_bytes())
}

#[test]
pub(super) fn by_request_each_message_proves_itself() {
    let (mut paris, mut tokyo) = pair();
    let author = tokyo.session();
    tokyo.set(author, "l", "tokyo's value");
    opens(&mut paris, FAR, End::Requester);
    let carried = converse(&mut paris, &mut tokyo);
    assert_eq!(paris.vector(), tokyo.vector());
    assert_eq!(paris.vector().iter().count(), 2);
    let (question, answer) = &carried[0];
    assert!(is_bare(std::slice::from_ref(question)) && is_bare(std::slice::from_ref(answer)));
    let proofs = |frame: &Vec<u8>| matches!(&Frame::decode(frame).unwrap().messages[..], [Message::Proof(proof)] if proof.count > 0);
    assert!(carried[1..].iter().all(|(request, response)| proofs(request) && proofs(response)));
    // It goes on so, past every patience.
    for round in 1..20 {
        paris.set(author, "m", "more");
        for host in [&mut paris, &mut tokyo] {
            host.at(START + round * 3_000);
        }
        converse(&mut paris, &mut tokyo);
        assert_eq!(paris.vector(), tokyo.vector());
    }
    assert!(paris.closed.is_empty());
}

#[test]
pub(super) fn a_request_is_taken_once_and_from_its_maker_alone() {
    let (mut paris, mut tokyo) = pair();
    let author = tokyo.session();
    tokyo.set(author, "l", "tokyo's value");
    opens(&mut paris, FAR, End::Requester);
    let mut carried = converse(&mut paris, &mut tokyo);
    tokyo.set(author, "l", "tokyo's news");
    let before = tokyo.snapshot();
    let tells = |tokyo: &mut Host, request: &[u8]| {
        let response = asks(tokyo, request).unwrap();
        assert!(is_bare(std::slice::from_ref(&response)));
        assert!(!hears(&response, "tokyo's"));
    };
    // Again, word for word, the first one too.
    for (request, _) in carried.iter().chain(carried.iter().rev()) {
        tells(&mut tokyo, request);
    }
    // One that has not come yet: with another number, under another name, with other words, under another key.
    paris.at(START + 5_000);
    tokyo.at(START + 5_000);
    let request = said(&mut paris, FAR).remove(0);
    let Frame { from, to, messages } = Frame::decode(&request).unwrap();
    let [Message::Proof(proof)] = &messages[..] else { panic!("{messages:?}") };
    let with = |from, proof: Proof| Frame { from, to, messages: vec![Message::Proof(proof)] }.encode();
    let mut words = proof.frame.clone();
    *words.last_mut().unwrap() ^= 1;
    let spoilt = [
        with(from, Proof { count: proof.count + 1, ..proof.clone() }),
        with(stranger(), proof.clone()),
        with(from, Proof { frame: words, ..proof.clone() }),
        with(from, Proof { nonce: [1; 16], ..proof.clone() }),
        with(from, Proof { kid: "k2".into(), ..proof.clone() }),
    ];
    for request in &spoilt {
        tells(&mut tokyo, request);
    }
    let (_, response) = carried.pop().unwrap();
    assert_eq!(asks(&mut tokyo, &response), Err(ErrorCode::TokenInvalid), "an echo");
    let mut rome = Host::new(edge("rome"));
    for (request, _) in &carried {
        assert!(is_bare(&[asks(&mut rome, request).unwrap()]));
    }
    assert_eq!(rome.holds(), "<>");
    assert!(tokyo.snapshot() == before);
    // Who is meant is heard all the same.
    let response = asks(&mut tokyo, &request).unwrap();
    paris.receive(FAR, &response).unwrap();
    converse(&mut paris, &mut tokyo);
    assert_eq!(paris.vector(), tokyo.vector());
}

#[test]
pub(super) fn an_old_request_is_not_taken_by_an_edge_that_has_forgotten_it() {
    let (mut paris, mut tokyo) = pair();
    opens(&mut paris, FAR, End::Requester);
    let carried = converse(&mut paris, &mut tokyo);
    tokyo.reopen();
    assert_eq!(tokyo.holds(), "<>");
    for (request, _) in &carried {
        assert!(is_bare(&[asks(&mut tokyo, request).unwrap()]));
    }
    assert_eq!(tokyo.holds(), "<>");
    // Its maker is asked anew, and says it again.
    paris.at(START + 2_000);
    tokyo.at(START + 2_000);
    converse(&mut paris, &mut tokyo);
    assert_eq!(tokyo.holds(), "<paris:1>");
    assert!(paris.closed.is_empty());
}

#[test]
pub(super) fn a_response_is_taken_once_and_to_its_request_alone() {
    let (mut paris, mut tokyo) = pair();
    opens(&mut paris, FAR, End::Requester);
    let carried = converse(&mut paris, &mut tokyo);
    let author = tokyo.session();
    tokyo.set(author, "l", "tokyo's value");
    paris.at(START + 2_000);
    let request = said(&mut paris, FAR).remove(0);
    let response = asks(&mut tokyo, &request).unwrap();
    let Frame { from, to, messages } = Frame::decode(&response).unwrap();
    let [Message::Proof(proof)] = &messages[..] else { panic!("{messages:?}") };
    let Frame { messages: inner, .. } = Frame::decode(&proof.frame).unwrap();
    let before = paris.snapshot();
    // The words without their proof, with another one's, and an old response: nothing of it is believed.
    let bare = Frame { from, to, messages: inner }.encode();
    let old = Proof { frame: proof.frame.clone(), ..first_proof(&carried[1].1) };
    for spoilt in [bare, Frame { from, to, messages: vec![Message::Proof(old)] }.encode(), carried[1].1.clone()] {
        paris.receive(FAR, &spoilt).unwrap();
        assert!(paris.snapshot() == before);
    }
    paris.receive(FAR, &response).unwrap();
    assert_eq!(paris.vector(), tokyo.vector());
    let after = paris.snapshot();
    paris.receive(FAR, &response).unwrap();
    assert!(paris.snapshot() == after);
    // Who goes on like that is not spoken to any more.
    for _ in 0..4 {
        paris.receive(FAR, &response).unwrap();
    }
    assert_eq!(closed(&paris, FAR), Some(ErrorCode::Timeout));
}

fn first_proof(frame: &[u8]) -> Proof {
    let messages = Frame::decode(frame).unwrap().messages;
    messages
        .into_iter()
        .find_map(|message| if let Message::Proof(proof) = message { Some(proof) } else { None })
        .unwrap()
}

#[test]
pub(super) fn a_request_without_proof_or_token_is_refused() {
    let (_, mut tokyo) = pair();
    for words in [vec![], lies(stranger()), vec![Message::hello(vec![], true)]] {
        assert_eq!(asks(&mut tokyo, &frame(stranger(), words)), Err(ErrorCode::TokenInvalid));
    }
    assert_eq!(asks(&mut tokyo, &[]), Err(ErrorCode::TokenInvalid));
    assert_eq!(tokyo.holds(), "<>");
    // Where no key is, everybody may ask.
    let mut plain = Host::new(tab("plain"));
    assert!(messages(&[asks(&mut plain, &[]).unwrap()]).iter().any(|message| matches!(message, Message::Hello { .. })));
}

#[test]
fn a_request_without_a_token_holds_a_proof_or_a_question_and_little_else() {
    let mut edge = Host::new(edge("fra1"));
    let stranger = Secret::from_bytes([66; 16]).id("stranger").unwrap();
    let messages = vec![Message::Unknown { kind: 99 }; 100_000];
    let flood = Frame { from: stranger, to: None, messages }.encode();
    let now = edge.now;
    assert_eq!(code(edge.replica.exchange_proved(LINK, &flood, now)), ErrorCode::MessageMalformed);
}
