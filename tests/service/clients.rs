//! Clients of an edge with accounts: no byte of `$system` reaches one, none writes there, and what each may do is what its
//! user's role allows at that moment.

use edge_session::error::ErrorCode;
use edge_session::id::{Dot, SessionId, Space};
use edge_session::identity::Secret;
use edge_session::io::{Event, LinkId, SessionHandle};
use edge_session::replica::{Pass, SessionInit};
use edge_session::session::token::SessionToken;
use edge_session::store::delta::{Delta, Listed};
use edge_session::store::entry::{Content, DataEntry};
use edge_session::store::fence::Fence;
use edge_session::store::roster::{Row, Running};
use edge_session::sync::gate::Right;
use edge_session::sync::message::{Frame, Message, Slice};
use edge_session::time::Hlc;
use edge_session::vector::VersionVector;

use super::common::host::{Host, PLAIN, THROW, sync};
use super::common::net::Net;
use super::common::{START, edge, tab};
use super::{run, run_with};

/// What stands in the records, and nowhere else.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g";
const EDGE: usize = 0;
const TAB: usize = 1;
const AT_EDGE: LinkId = LinkId(TAB as u32);

fn system() -> Space {
    Space::first("$system").unwrap()
}

fn shop() -> Space {
    Space::first("shop").unwrap()
}

fn session_of(token: &str) -> SessionId {
    SessionToken::open_unverified(token).unwrap().claims().unwrap().session
}

/// An edge with accounts.
fn fleet() -> Host {
    let mut fra = Host::new(edge("fra1"));
    run_with(
        &mut fra,
        None,
        "CREATE SPACE shop; CREATE USER ann WITH PASSWORD 'a'; CREATE USER eve WITH PASSWORD 'e'; \
         ALTER USER root WITH PASSWORD 'r'; GRANT USER ON shop TO ann",
        &[HASH, HASH, HASH],
    )
    .unwrap();
    // Sessions that begin in the very millisecond of a new password are of the time before.
    fra.at(fra.now + 5);
    fra
}

fn token(edge: &mut Host, user: &str) -> String {
    let session = edge.open(SessionInit { user: Some(user.into()), space: Some(shop()), ..SessionInit::default() });
    edge.token(session)
}

fn pass(token: &str) -> Pass {
    Pass { token: token.into(), spaces: vec![(system(), Right::Write)] }
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|part| part == needle)
}

/// A client that has joined as `user` and says whatever it likes; everything that the edge has sent it.
struct Client {
    edge: Host,
    secret: Secret,
    heard: Vec<Vec<u8>>,
}

impl Client {
    fn join(user: &str) -> Self {
        let mut edge = fleet();
        let token = token(&mut edge, user);
        edge.replica.link_admit(AT_EDGE, &pass(&token), edge.now).unwrap();
        edge.drain();
        let mut client = Self { edge, secret: Secret::from_bytes([6; 16]), heard: Vec::new() };
        let id = client.secret.id("liar").unwrap();
        client.says(vec![Message::Bind { ids: vec![(id, client.secret.clone())] }, Message::hello(vec![], true)]);
        client
    }

    fn says(&mut self, messages: Vec<Message>) -> Vec<Message> {
        let bytes = Frame { from: self.secret.id("liar").unwrap(), to: None, messages }.encode();
        self.edge.receive(AT_EDGE, &bytes).unwrap();
        self.edge.at(self.edge.now + 2_500);
        let sent: Vec<Vec<u8>> = self.edge.sent.drain(..).map(|(_, bytes)| bytes).collect();
        let said = sent.iter().flat_map(|bytes| Frame::decode(bytes).unwrap().messages).collect();
        self.heard.extend(sent);
        said
    }
}

#[test]
pub(super) fn no_byte_of_the_fleets_records_reaches_a_client_whoever_it_is() {
    for user in ["ann", "eve", "root"] {
        let mut client = Client::join(user);
        let (none, all) = (VersionVector::new(), client.edge.replica.store().vector(&system()).clone());
        assert!(!all.is_empty());
        client.says(vec![Message::hello(vec![(system(), none.clone())], true)]);
        client.says(vec![Message::hello(vec![(system(), all.clone())], true)]);
        for after in [None, Some("account/".into())] {
            client.says(vec![Message::Want { space: system(), from: none.clone(), base: all.clone(), after }]);
        }
        client.says(vec![Message::Behind { space: system(), vector: none.clone() }]);
        client.says(vec![Message::Under { space: system(), vector: none.clone() }]);
        client.says(vec![Message::Fence { told: 1, heard: 0, digest: 0, fences: vec![] }]);
        client.says(vec![Message::Fence { told: 0, heard: 0, digest: 0, fences: vec![] }]);
        // While the fleet goes on: somebody is killed, an account changes, data is written.
        let ann = client.edge.open(SessionInit { user: Some("ann".into()), space: Some(shop()), ..Default::default() });
        client.edge.set(ann, "k", "a value of the shop");
        let victim = SessionId::new(START, [77; 10]);
        run(&mut client.edge, None, &format!("KILL SESSION '{victim}'")).unwrap();
        run_with(&mut client.edge, None, "CREATE USER bob WITH PASSWORD 'b'", &[HASH]).unwrap();
        client.says(vec![Message::hello(vec![], true)]);
        let heard = client.heard.concat();
        for needle in ["argon2id", "account/", "role/", "since/", "fail/"] {
            assert!(!holds(&heard, needle.as_bytes()), "{user} has heard {needle}");
        }
        assert!(!holds(&heard, victim.as_bytes()), "{user} has heard who was killed");
        for message in client.heard.iter().flat_map(|bytes| Frame::decode(bytes).unwrap().messages) {
            assert!(!matches!(message, Message::Fence { .. } | Message::Under { .. }), "{message:?}");
            // The name stands in refusals alone, of one who has said it.
            let told = message.vectors().any(|(space, _)| space.is_reserved());
            assert!(!told, "{message:?}");
        }
        assert_eq!(holds(&heard, b"a value of the shop"), user != "eve", "{user}");
    }
}

#[test]
fn no_client_tells_of_sessions_nor_stops_what_they_run_whoever_it_is() {
    for user in ["ann", "eve", "root"] {
        let mut client = Client::join(user);
        let home = client.secret.id("liar").unwrap();
        let victim = client.edge.session();
        let now = client.edge.now;
        let (plan, _) = client.edge.replica.begin_query(victim, "work", PLAIN, now).unwrap();
        let victim = client.edge.replica.session(victim).unwrap().id;
        let listed = client.edge.replica.sessions_of(None).unwrap();
        let stop = Running { plan, started: now, statement: "work".into(), stop: true };
        let row = |home, running| Row {
            home,
            user: Some("root".into()),
            client: None,
            address: None,
            space: shop(),
            active: now + 1_000,
            expires: now + 60_000,
            queries: 1,
            running,
            told: now + 1_000,
        };
        // A session that there is not; the order to stop what another runs; and that another is somewhere else now.
        let own = client.edge.id();
        let rows = [
            (SessionId::new(now, [7; 10]), row(home, vec![])),
            (victim, row(own, vec![stop])),
            (victim, row(home, vec![])),
        ];
        for (told, row) in rows.into_iter().enumerate() {
            client.says(vec![Message::Roster { told: told as u64 + 1, heard: 0, rows: vec![row] }]);
        }
        assert_eq!(client.edge.replica.sessions_of(None).unwrap(), listed, "{user}");
        assert_eq!(client.edge.replica.service().1.running().count(), 1, "{user}");
        assert!(client.edge.aborted.is_empty());
    }
}

#[test]
pub(super) fn no_client_writes_the_fleets_records_whoever_it_is() {
    for user in ["ann", "eve", "root"] {
        let mut client = Client::join(user);
        let id = client.secret.id("liar").unwrap();
        let before = client.edge.snapshot();
        let held = client.edge.replica.store().vector(&system()).clone();
        let content = Content::Text("\n\nADMIN\n0\n0\n0".into());
        let hlc = Hlc::new(START, 0);
        let entry = DataEntry::new(content, Dot::new(id, 1), hlc, None, None);
        let keys = vec![("role/shop/eve".into(), vec![Listed::Entry(entry)].into())];
        let mut to = held.clone();
        to.advance(Dot::new(id, 1));
        let delta = |from: &VersionVector| Delta {
            space: system(),
            from: from.clone(),
            to: to.clone(),
            hlc: Hlc::new(START + 1, 0),
            keys: keys.clone().into(),
        };
        let none = VersionVector::new();
        let slice = Slice {
            space: system(),
            from: held.clone(),
            base: to.clone(),
            at: to.clone(),
            after: None,
            last: true,
            hlc: Hlc::new(START + 1, 0),
            keys: keys.clone().into(),
        };
        client.says(vec![Message::Delta(delta(&held))]);
        client.says(vec![Message::Delta(delta(&none))]);
        client.says(vec![Message::Slice(slice)]);
        client.says(vec![Message::TopUp { base: to.clone(), delta: delta(&held) }]);
        let victim = client.edge.session();
        let victim_id = client.edge.replica.session(victim).unwrap().id;
        let fence = Fence { at: 1, until: START * 2, ..Fence::default() };
        client.says(vec![Message::Fence { told: 1, heard: 0, digest: 0, fences: vec![(victim_id, fence)] }]);
        assert!(client.edge.replica.session(victim).unwrap().refused.is_none());
        assert!(client.edge.replica.store().fences().is_empty());
        assert!(client.edge.snapshot() == before, "{user}");
        // Nor does what a client says of records keep anything back.
        let unheard = VersionVector::from_iter([(id, 1_000)]);
        let mut from = client.edge.replica.store().vector(&shop()).clone();
        let at = from.clone();
        from.advance(Dot::new(id, 1));
        let entry = DataEntry::new(Content::Text("v".into()), Dot::new(id, 1), hlc, None, None);
        let data = Delta {
            space: shop(),
            from: at,
            to: from,
            hlc,
            keys: vec![("k".into(), vec![Listed::Entry(entry)].into())].into(),
        };
        client.says(vec![Message::Under { space: system(), vector: unheard }, Message::Delta(data)]);
        let taken = client.edge.replica.store().vector(&shop()).get(id) == 1;
        assert_eq!(taken, user != "eve", "{user}");
    }
}

#[test]
fn a_session_is_in_no_space_of_the_fleets_own() {
    let mut fra = fleet();
    for name in ["$system", "$peer", "$else"] {
        let space = Space::first(name).ok();
        let session = fra.open(SessionInit { user: Some("root".into()), space, ..SessionInit::default() });
        assert_eq!(fra.get(session, "account/ann", PLAIN).unwrap_err().code(), ErrorCode::PermissionDenied);
        let root = fra.open(SessionInit { user: Some("root".into()), ..SessionInit::default() });
        let used = run(&mut fra, root, &format!("USE `{name}`"));
        assert_eq!(used.unwrap_err().code(), ErrorCode::PermissionDenied);
        let made = run(&mut fra, None, &format!("CREATE SPACE `{name}`"));
        assert_eq!(made.unwrap_err().code(), ErrorCode::PermissionDenied);
    }
}

/// A tab of ann's that has joined the edge, with a session each.
fn world() -> (Net, SessionHandle, SessionHandle, String) {
    let mut edge = fleet();
    let token = token(&mut edge, "ann");
    let here = edge.open(SessionInit { user: Some("ann".into()), space: Some(shop()), ..SessionInit::default() });
    let mut net = Net::new(vec![edge, Host::new(tab("tab"))]);
    net.run(10);
    net.join(TAB, EDGE, &pass(&token));
    let there = net.with(TAB, |tab| tab.resume(&token));
    net.with(EDGE, |edge| edge.set(here, "k", "1"));
    net.run(5_000);
    assert_eq!(net.with(TAB, |tab| tab.get(there, "k", PLAIN)), Ok(Some("1".into())));
    (net, here, there, token)
}

#[test]
fn a_tab_writes_and_reads_what_its_users_role_allows_now() {
    let (mut net, here, there, _) = world();
    net.with(TAB, |tab| tab.set(there, "mine", "1"));
    net.run(5_000);
    assert_eq!(net.with(EDGE, |edge| edge.get(here, "mine", PLAIN)), Ok(Some("1".into())));
    // Demoted, it reads on and writes no more.
    net.with(EDGE, |edge| run(edge, None, "GRANT GUEST ON shop TO ann").unwrap());
    net.with(TAB, |tab| tab.set(there, "mine", "2"));
    net.run(10_000);
    assert_eq!(net.with(EDGE, |edge| edge.get(here, "mine", PLAIN)), Ok(Some("1".into())));
    let writer = net.with(EDGE, |edge| {
        run(edge, None, "GRANT ADMIN ON shop TO eve").unwrap();
        edge.open(SessionInit { user: Some("eve".into()), space: Some(shop()), ..SessionInit::default() })
    });
    net.with(EDGE, |edge| edge.set(writer, "k", "2"));
    net.run(10_000);
    assert_eq!(net.with(TAB, |tab| tab.get(there, "k", PLAIN)), Ok(Some("2".into())));
    // Without a role it gets nothing more; and everything again, once it has one.
    net.with(EDGE, |edge| run(edge, None, "REVOKE GUEST ON shop FROM ann").unwrap());
    net.with(EDGE, |edge| edge.set(writer, "k", "3"));
    net.run(10_000);
    let shown = net.with(TAB, |tab| tab.get(there, "k", THROW));
    assert_ne!(shown, Ok(Some("3".into())), "what it had, or nothing at all");
    net.with(EDGE, |edge| run(edge, None, "GRANT USER ON shop TO ann").unwrap());
    net.run(10_000);
    assert_eq!(net.with(TAB, |tab| tab.get(there, "k", PLAIN)), Ok(Some("3".into())));
}

#[test]
fn a_kill_closes_the_links_of_its_session_and_admits_it_no_more() {
    let (mut net, _, there, token) = world();
    let id = session_of(&token);
    net.with(EDGE, |edge| run(edge, None, &format!("KILL SESSION '{id}'")).unwrap());
    let [(link, error)] = &net.hosts[EDGE].closed[..] else { panic!("{:?}", net.hosts[EDGE].closed) };
    assert_eq!((*link, error.code()), (AT_EDGE, ErrorCode::SessionKilled));
    net.with(TAB, |tab| tab.set(there, "k", "too late"));
    net.run(5_000);
    let now = net.now;
    net.with(EDGE, |edge| {
        assert!(!holds(&edge.snapshot(), b"too late"));
        let again = edge.replica.link_admit(LinkId(50), &pass(&token), now).unwrap_err();
        assert_eq!(again.code(), ErrorCode::SessionKilled);
        let hello = Message::hello(vec![], true);
        let frame = Frame { from: edge.id(), to: None, messages: vec![hello] }.encode();
        let asked = edge.replica.exchange_as(LinkId(51), &pass(&token), &frame, now).unwrap_err();
        assert_eq!(asked.code(), ErrorCode::SessionKilled);
    });
}

#[test]
pub(super) fn an_edge_that_lacks_the_records_of_a_token_refuses_no_write() {
    const LATE: usize = 2;
    let (mut net, here, there, token) = world();
    net.disconnect(TAB, EDGE);
    net.with(TAB, |tab| tab.set(there, "mine", "made offline"));
    // An edge that has heard nothing of the fleet's records yet.
    net.hosts.push(Host::new(edge("nrt1")));
    net.join(TAB, LATE, &pass(&token));
    net.run(10_000);
    let told = net.hosts[TAB].events.iter().filter(|event| matches!(event, Event::Rejected { .. })).count();
    assert_eq!(told, 0, "{:?}", net.hosts[TAB].events);
    assert_eq!(net.with(TAB, |tab| tab.get(there, "k", PLAIN)), Ok(Some("1".into())), "what the tab held it holds");
    assert!(net.hosts[LATE].replica.store().vector(&shop()).is_empty(), "nothing is taken before it can be judged");
    // Now it hears.
    net.connect(LATE, EDGE);
    net.run(40_000);
    assert_eq!(net.with(EDGE, |edge| edge.get(here, "mine", PLAIN)), Ok(Some("made offline".into())));
    // Once the records are here, who has no role is answered as ever.
    let told = net.hosts[TAB].events.iter().filter(|event| matches!(event, Event::Rejected { .. })).count();
    assert_eq!(told, 0);
}

#[test]
pub(super) fn a_new_password_closes_the_links_of_older_sessions_wherever_they_are() {
    let (mut fra, mut nrt) = (fleet(), Host::new(edge("nrt1")));
    let token = token(&mut fra, "ann");
    sync(&mut fra, &mut nrt);
    // The edge that the client has joined has never had a session of it.
    nrt.replica.link_admit(AT_EDGE, &pass(&token), nrt.now).unwrap();
    nrt.drain();
    fra.at(fra.now + 5);
    run_with(&mut fra, None, "ALTER USER ann WITH PASSWORD 'new'", &[HASH]).unwrap();
    sync(&mut fra, &mut nrt);
    let closed: Vec<_> = nrt.closed.iter().map(|(link, error)| (*link, error.code())).collect();
    assert_eq!(closed, [(AT_EDGE, ErrorCode::SessionKilled)]);
}

#[test]
pub(super) fn an_edge_that_has_heard_of_no_account_does_not_take_a_stranger_for_a_user() {
    const LATE: usize = 1;
    const STRANGER: usize = 2;
    let mut fra = fleet();
    // Neither of them has an account, and so neither has a role.
    for user in [None, Some("mallory".to_string())] {
        let init = SessionInit { user, space: Some(shop()), ..SessionInit::default() };
        let session = fra.open(init);
        assert_eq!(fra.try_set(session, "k", "v", THROW).unwrap_err().code(), ErrorCode::PermissionDenied);
        let token = fra.token(session);
        // An edge that begins empty.
        let mut nrt = Host::new(edge("nrt1"));
        nrt.at(fra.now);
        let there = nrt.resume(&token);
        assert_eq!(nrt.try_set(there, "k", "v", THROW).unwrap_err().code(), ErrorCode::StaleReplica);
        let mut net = Net::new(vec![Host::new(edge("ams1")), nrt, Host::new(tab("tab"))]);
        net.join(STRANGER, LATE, &pass(&token));
        let writer = net.with(STRANGER, |tab| tab.resume(&token));
        net.with(STRANGER, |tab| tab.set(writer, "k", "v"));
        net.run(10_000);
        assert!(net.hosts[LATE].replica.store().vector(&shop()).is_empty());
    }
}
