//! Messages of kinds that are not known.

use super::*;

/// A frame of one message `[kind, …fields]`, as a later version might send it.
fn foreign(from: ReplicaId, kind: u64) -> Vec<u8> {
    let mut writer = edge_session::codec::Writer::new();
    writer.item();
    writer.replica(from);
    writer.item();
    writer.null();
    writer.item();
    writer.array(3);
    writer.u64(kind);
    writer.text("something new");
    writer.array(1);
    writer.bytes(&[1, 2, 3]);
    writer.finish()
}

#[test]
fn a_message_of_an_unknown_kind_is_answered_and_not_fatal() {
    let from = ReplicaId::new("future", [1; 10]).unwrap();
    for kind in [10, 99, u64::MAX] {
        let mut host = Host::new(edge("paris"));
        host.replica.link_up(LinkId(1), START);
        host.drain();
        host.sent.clear();
        host.receive(LinkId(1), &foreign(from, kind)).unwrap();
        let said: Vec<Message> =
            host.sent.iter().flat_map(|(_, bytes)| Frame::decode(bytes).unwrap().messages).collect();
        assert!(said.contains(&Message::Unknown { kind }), "{said:?}");
        let reply = host.exchange(&foreign(from, kind));
        assert!(Frame::decode(&reply).unwrap().messages.contains(&Message::Unknown { kind }));
    }
}

#[test]
fn the_answer_to_an_unknown_kind_is_not_answered() {
    let mut net = net(2, &[(0, 1)]);
    net.run(100);
    let (paris, tokyo) = (net.hosts[0].id(), net.hosts[1].id());
    let unknown = Frame { from: tokyo, to: Some(paris), messages: vec![Message::Unknown { kind: 99 }] }.encode();
    let sent = net.sent;
    net.inject((0, LinkId(1)), unknown, 1);
    net.run(1_000);
    assert_eq!(net.sent, sent);
}

#[test]
fn what_follows_an_unknown_kind_in_its_frame_is_taken() {
    let mut tokyo = Host::new(edge("tokyo"));
    let author = tokyo.session();
    tokyo.set(author, "k", "v");
    let delta = tokyo.replica.store().extract(&tokyo.space(), &VersionVector::new()).unwrap();
    let messages = vec![Message::Foreign { kind: 99 }, Message::Delta(delta)];
    // Foreign is never sent; as `Unknown` it stands for any message that means nothing here.
    let frame = Frame { from: tokyo.id(), to: None, messages }.encode();
    let mut paris = Host::new(edge("paris"));
    paris.replica.link_up(LinkId(1), START);
    paris.receive(LinkId(1), &frame).unwrap();
    assert_eq!(paris.holds(), "<tokyo:1>");
}
