//! What a client asks an edge to do: under its own session, at most once, within its time, and not more than it may.

use super::*;
use edge_session::error::Details;
use edge_session::io::{Answer, WaitId};
use edge_session::session::token::SessionToken;
use edge_session::sync::message::{Call, Reply};

const RUN: &str = "run";

impl World {
    fn token(&mut self) -> String {
        token(&mut self.net.hosts[EDGE], "ann", None)
    }

    fn calls(&mut self, args: &str, token: &str, timeout: u64) -> WaitId {
        let now = self.net.now;
        self.net.with(TAB, |tab| tab.replica.call(RUN, args, token, Some(timeout), now)).unwrap()
    }

    /// What of the tab's calls has ended.
    fn ended(&mut self, wait: WaitId) -> Option<Result<Answer, ErrorCode>> {
        self.net.with(TAB, |tab| tab.taken(wait)).map(|result| result.map_err(|error| error.code()))
    }

    /// The edge's host carries out what it was asked to: it answers what it was told.
    fn carries_out(&mut self) -> usize {
        let now = self.net.now;
        self.net.with(EDGE, |edge| {
            let calls: Vec<_> = edge.calls.drain(..).collect();
            for (call, method, args, _) in &calls {
                edge.replica.replied(*call, Ok(format!("{method} {args}")), now);
            }
            calls.len()
        })
    }
}

fn replies(said: &[Message]) -> Vec<&Reply> {
    said.iter().filter_map(|message| if let Message::Reply(reply) = message { Some(reply) } else { None }).collect()
}

fn a_call(id: u8, token: &str) -> Message {
    let (method, args) = (RUN.into(), "[]".into());
    Message::Call(Call { id: [id; 16], method, args, token: token.into(), timeout: 1_000 })
}

#[test]
fn an_edge_that_fails_is_not_taken_for_ones_own_end() {
    for code in [ErrorCode::ReplicaCrashed, ErrorCode::ReplicaClosed] {
        let mut world = World::new();
        let token = world.token();
        let wait = world.calls("[1]", &token, 5_000);
        world.net.run(100);
        let (call, now) = (world.net.hosts[EDGE].calls.remove(0).0, world.net.now);
        world.net.with(EDGE, |edge| edge.replica.replied(call, Err(SessionError::new(code, "it failed")), now));
        world.net.run(100);
        assert_eq!(world.ended(wait), Some(Err(ErrorCode::TransportFailed)));
    }
}

#[test]
pub(super) fn a_call_is_carried_out_and_answered() {
    let mut world = World::new();
    let token = world.token();
    let wait = world.calls("[1]", &token, 5_000);
    world.net.run(100);
    assert_eq!(world.net.hosts[EDGE].calls[0].3, token, "it is told under which session");
    assert_eq!(world.ended(wait), None);
    assert_eq!(world.carries_out(), 1);
    world.net.run(100);
    assert_eq!(world.ended(wait), Some(Ok(Answer::Reply("run [1]".into()))));
    // Nothing of it is left, nor said again.
    world.net.run(120_000);
    assert_eq!(world.carries_out(), 0);
}

#[test]
pub(super) fn a_call_that_is_repeated_is_carried_out_once() {
    let mut world = World::new();
    let token = world.token();
    // The answers are lost for ten seconds, and so is the link.
    world.net.fate = Box::new(|flight| if flight.to.0 == TAB { Vec::new() } else { vec![(5, flight.clone())] });
    let wait = world.calls("[1]", &token, 60_000);
    let mut carried = 0;
    for _ in 0..10 {
        world.net.run(1_000);
        carried += world.carries_out();
    }
    assert_eq!((carried, world.ended(wait)), (1, None));
    world.net.fate = common::net::reliable(5);
    world.net.run(20_000);
    assert_eq!(world.ended(wait), Some(Ok(Answer::Reply("run [1]".into()))));
    assert_eq!(world.carries_out(), 0);
}

#[test]
pub(super) fn a_call_goes_on_over_the_next_link() {
    let mut world = World::new();
    let token = world.token();
    world.net.disconnect(TAB, EDGE);
    let wait = world.calls("[1]", &token, 60_000);
    world.net.run(5_000);
    assert_eq!(world.carries_out(), 0);
    world.net.join(TAB, EDGE, &pass(&token));
    world.net.run(100);
    assert_eq!(world.carries_out(), 1);
    world.net.disconnect(TAB, EDGE);
    world.net.run(100);
    world.net.join(TAB, EDGE, &pass(&token));
    world.net.run(100);
    assert_eq!(world.carries_out(), 0);
    assert_eq!(world.ended(wait), Some(Ok(Answer::Reply("run [1]".into()))));
}

#[test]
pub(super) fn a_call_ends_with_its_time_and_the_edge_is_told() {
    let mut world = World::new();
    let token = world.token();
    let late = world.calls("[1]", &token, 3_000);
    let given_up = world.calls("[2]", &token, 3_000);
    world.net.run(100);
    assert_eq!(world.net.hosts[EDGE].calls.len(), 2);
    world.net.with(TAB, |tab| tab.replica.cancel(given_up));
    world.net.run(100);
    let (_, second) = (world.net.hosts[EDGE].calls[0].0, world.net.hosts[EDGE].calls[1].0);
    assert_eq!(world.net.hosts[EDGE].over, [second]);
    world.net.run(3_000);
    assert_eq!(world.ended(late), Some(Err(ErrorCode::Timeout)));
    assert_eq!(world.net.hosts[EDGE].over.len(), 2);
    // What is answered too late is nobody's.
    world.carries_out();
    world.net.run(1_000);
    assert_eq!((world.ended(late), world.ended(given_up)), (None, None));
}

#[test]
pub(super) fn a_call_is_its_sessions_alone() {
    let mut world = World::new();
    let (ann, eve) = (world.token(), token(&mut world.net.hosts[EDGE], "eve", None));
    let liar = Liar::join(&mut world, &pass(&eve));
    // Somebody has seen the call of another session, and asks for its answer under its own.
    assert!(replies(&liar.says(&mut world, vec![a_call(1, &ann)])).is_empty());
    world.carries_out();
    let said = liar.says(&mut world, vec![a_call(1, &eve)]);
    assert_eq!(replies(&said)[0].code, "PERMISSION_DENIED");
    // Without a token that the cluster has signed nobody calls at all.
    let mut forger =
        Host::new(edge_session::replica::Config { keys: vec![("k1".into(), vec![8; 32])], ..tab("forger") });
    for bad in ["", "~", "x", &token(&mut forger, "ann", None)] {
        let said = liar.says(&mut world, vec![a_call(2, bad)]);
        assert_eq!(replies(&said)[0].code, "TOKEN_INVALID", "{bad}");
    }
    assert_eq!(world.carries_out(), 0);
    world.net.run(24 * 3_600_000);
    let said = liar.says(&mut world, vec![a_call(3, &ann)]);
    assert!(replies(&said).is_empty() || replies(&said)[0].code == "TOKEN_EXPIRED");
    assert_eq!(world.carries_out(), 0);
}

#[test]
pub(super) fn many_calls_at_once_are_refused_and_others_go_on() {
    let mut world = World::new();
    let (ann, eve) = (world.token(), token(&mut world.net.hosts[EDGE], "eve", None));
    let liar = Liar::join(&mut world, &pass(&eve));
    let flood = (0..100).map(|id| a_call(id, &eve)).collect();
    let said = liar.says(&mut world, flood);
    assert_eq!(replies(&said).len(), 100 - 64);
    assert!(replies(&said).iter().all(|reply| reply.code == "RATE_LIMITED"));
    let wait = world.calls("[1]", &ann, 5_000);
    world.net.run(100);
    assert_eq!(world.carries_out(), 65);
    world.net.run(100);
    assert_eq!(world.ended(wait), Some(Ok(Answer::Reply("run [1]".into()))));
    // Answered or not, they count until their time is over: whoever forgets could carry them out twice.
    assert_eq!(replies(&liar.says(&mut world, vec![a_call(200, &eve)]))[0].code, "RATE_LIMITED");
    world.net.run(62_000);
    assert!(replies(&liar.says(&mut world, vec![a_call(201, &eve)])).is_empty());
    world.goes_on();
}

#[test]
pub(super) fn what_is_too_long_is_not_called_and_not_answered() {
    let mut world = World::new();
    let token = world.token();
    let now = world.net.now;
    let long = "x".repeat((64 << 10) + 1);
    let called = world.net.with(TAB, |tab| tab.replica.call(RUN, &long, &token, None, now));
    assert_eq!(code(called), ErrorCode::QuotaExceeded);
    let liar = Liar::join(&mut world, &pass(&token));
    for (method, args, token) in [("run", &*long, "~"), (&*long, "[]", "~"), ("run", "[]", &*long)] {
        let call = Call { id: [1; 16], method: method.into(), args: args.into(), token: token.into(), timeout: 1 };
        let bytes = liar.frame(vec![Message::Call(call)]);
        assert_eq!(code(liar.sends(&mut world, &bytes)), ErrorCode::MessageMalformed);
    }
    let wait = world.calls("[1]", &token, 5_000);
    world.net.run(100);
    let now = world.net.now;
    world.net.with(EDGE, |edge| {
        let (call, ..) = edge.calls.remove(0);
        edge.replica.replied(call, Ok("x".repeat((256 << 10) + 1)), now);
    });
    world.net.run(100);
    assert_eq!(world.ended(wait), Some(Err(ErrorCode::QuotaExceeded)));
}

#[test]
pub(super) fn tabs_that_share_a_link_call_through_each_other() {
    let mut world = World::new();
    let token = world.token();
    world.net.hosts.push(Host::new(tab("second")));
    world.net.connect(TAB, 2);
    world.net.run(1_000);
    let now = world.net.now;
    let wait = world.net.with(2, |tab| tab.replica.call(RUN, "[2]", &token, Some(5_000), now)).unwrap();
    world.net.run(100);
    assert_eq!(world.carries_out(), 1);
    world.net.run(100);
    let answer = world.net.with(2, |tab| tab.taken(wait)).map(|result| result.map_err(|error| error.code()));
    assert_eq!(answer, Some(Ok(Answer::Reply("run [2]".into()))));
}

#[test]
pub(super) fn logging_in_takes_a_token_to_come_with_and_nothing_more() {
    let mut world = World::new();
    let now = world.net.now;
    let wait = world.net.with(TAB, |tab| tab.replica.call("login", "[]", "", Some(5_000), now)).unwrap();
    world.net.run(100);
    assert_eq!(world.carries_out(), 1);
    world.net.run(100);
    assert_eq!(world.ended(wait), Some(Ok(Answer::Reply("login []".into()))));
    // Of who comes without one nobody knows whose guesses these are.
    let login = Call { id: [9; 16], method: "login".into(), args: "[]".into(), token: String::new(), timeout: 1_000 };
    let from = ReplicaId::new("eve", [9; 10]).unwrap();
    let bytes = Frame { from, to: None, messages: vec![Message::Call(login)] }.encode();
    let now = world.net.now;
    let said = world.net.with(EDGE, |edge| {
        edge.replica.exchange(LINK, &bytes, now).unwrap();
        edge.drain();
        let at = edge.sent.iter().position(|(link, _)| *link == LINK).unwrap();
        Frame::decode(&edge.sent.remove(at).1).unwrap().messages
    });
    assert_eq!(replies(&said)[0].code, "PERMISSION_DENIED");
    assert_eq!(world.carries_out(), 0);
}

#[test]
pub(super) fn by_request_the_answer_comes_with_a_later_response() {
    let mut world = World::new();
    let token = world.token();
    let from = ReplicaId::new("ann", [9; 10]).unwrap();
    let asks = |world: &mut World| {
        let bytes = Frame { from, to: None, messages: vec![a_call(1, &token)] }.encode();
        let now = world.net.now;
        world.net.with(EDGE, |edge| {
            edge.replica.exchange_as(LINK, &pass(&token), &bytes, now).unwrap();
            edge.drain();
            let at = edge.sent.iter().position(|(link, _)| *link == LINK).unwrap();
            Frame::decode(&edge.sent.remove(at).1).unwrap().messages
        })
    };
    assert!(replies(&asks(&mut world)).is_empty());
    assert_eq!(world.carries_out(), 1);
    assert_eq!(replies(&asks(&mut world))[0].text, "run []");
    assert_eq!(world.carries_out(), 0);
}

#[test]
pub(super) fn a_refusal_names_its_code() {
    let mut world = World::new();
    let token = world.token();
    let wait = world.calls("[1]", &token, 5_000);
    world.net.run(100);
    let now = world.net.now;
    world.net.with(EDGE, |edge| {
        let (call, ..) = edge.calls.remove(0);
        edge.replica.replied(call, Err(SessionError::new(ErrorCode::PermissionDenied, "not yours")), now);
    });
    world.net.run(100);
    assert_eq!(world.ended(wait), Some(Err(ErrorCode::PermissionDenied)));
}

#[test]
pub(super) fn a_refusal_brings_its_details_but_for_a_login() {
    let mut world = World::new();
    let token = world.token();
    let long = format!("\"{}\"", "x".repeat(32 << 10));
    let cases = [
        (ErrorCode::Conflict, r#"{"key":"k"}"#, Details::Told(r#"{"key":"k"}"#.into())),
        (ErrorCode::BadCredentials, r#"{"allowed":1}"#, Details::None),
        (ErrorCode::Conflict, &long, Details::None),
    ];
    for (code, json, expected) in cases {
        let wait = world.calls("[1]", &token, 5_000);
        world.net.run(100);
        let now = world.net.now;
        world.net.with(EDGE, |edge| {
            let (call, ..) = edge.calls.remove(0);
            edge.replica.replied(call, Err(SessionError::new(code, "no").with(Details::Told(json.into()))), now);
        });
        world.net.run(100);
        let error = world.net.with(TAB, |tab| tab.taken(wait)).unwrap().unwrap_err();
        assert_eq!((error.code(), error.details()), (code, &expected));
    }
}

#[test]
pub(super) fn who_comes_by_request_may_log_in_and_is_answered_alone() {
    let mut world = World::new();
    let (ann, bob) = (world.token(), token(&mut world.net.hosts[EDGE], "bob", None));
    let from = Secret::from_bytes([66; 16]).id("liar").unwrap();
    let (method, args) = ("login".into(), r#"["ann","secret"]"#.into());
    let call = Message::Call(Call { id: [1; 16], method, args, token: String::new(), timeout: 1_000 });
    let bytes = Frame { from, to: None, messages: vec![call] }.encode();
    let asks = |world: &mut World, token: &str| {
        let now = world.net.now;
        world.net.with(EDGE, |edge| {
            edge.replica.exchange_as(LINK, &pass(token), &bytes, now).unwrap();
            edge.drain();
            let at = edge.sent.iter().position(|(link, _)| *link == LINK).unwrap();
            Frame::decode(&edge.sent.remove(at).1).unwrap().messages
        })
    };
    assert!(replies(&asks(&mut world, &ann)).is_empty());
    assert_eq!(world.carries_out(), 1);
    assert_eq!(replies(&asks(&mut world, &bob))[0].code, "PERMISSION_DENIED");
    assert_eq!(replies(&asks(&mut world, &ann))[0].text, r#"login ["ann","secret"]"#);
}

#[test]
fn a_call_of_a_session_that_is_over_is_not_handed_to_the_host() {
    let mut world = World::new();
    let token = world.token();
    let session = SessionToken::open_unverified(&token).unwrap().claims().unwrap().session;
    let now = world.net.now;
    world.net.with(EDGE, |edge| edge.replica.kill_session(None, &session, None, now)).unwrap();
    let wait = world.calls("[1]", &token, 5_000);
    world.net.run(100);
    assert_eq!((world.carries_out(), world.ended(wait)), (0, Some(Err(ErrorCode::SessionKilled))));
}
