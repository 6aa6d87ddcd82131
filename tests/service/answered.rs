//! An answer says what was heard, and of whom: it is not taken for the answer to another word, however late it comes.

use edge_session::id::{ReplicaId, SessionId};
use edge_session::io::LinkId;
use edge_session::sync::message::{Frame, Message};

use super::common::host::{Host, PLAIN};
use super::common::{START, edge};

const LINK: LinkId = LinkId(1);

fn kill(host: &mut Host, number: u8) {
    let id = SessionId::new(START, [number; 10]);
    host.replica.run(None, &format!("KILL SESSION '{id}'"), &[], PLAIN, host.now).unwrap();
    host.drain();
}

/// What a peer says.
fn hears(host: &mut Host, from: ReplicaId, to: Option<ReplicaId>, message: Message) {
    host.receive(LINK, &Frame { from, to, messages: vec![message] }.encode()).unwrap();
}

fn greeting() -> Message {
    Message::hello(vec![], false)
}

fn heard(number: u64) -> Message {
    Message::Fence { told: 0, heard: number, digest: 0, fences: vec![] }
}

/// The number of the last word about fences, and how many it tells.
fn word(host: &mut Host) -> Option<(u64, usize)> {
    let frames = host.sent.drain(..).map(|(_, bytes)| Frame::decode(&bytes).unwrap());
    let words = frames.flat_map(|frame| frame.messages).filter_map(|message| match message {
        Message::Fence { told: told @ 1.., fences, .. } => Some((told, fences.len())),
        _ => None,
    });
    words.last()
}

/// The last word again, once its pause is over.
fn word_again(host: &mut Host) -> Option<(u64, usize)> {
    for _ in 0..20 {
        host.at(host.now + 500);
    }
    word(host)
}

#[test]
fn who_has_heard_the_last_of_many_words_is_told_those_before() {
    let mut fra = Host::new(edge("fra1"));
    let fra_id = fra.id();
    let (old, new) = (Host::new(edge("nrt1")).id(), Host::new(edge("nrt2")).id());
    fra.replica.link_up(LINK, fra.now);
    fra.drain();
    kill(&mut fra, 1);
    hears(&mut fra, old, None, greeting());
    let (number, told) = word(&mut fra).unwrap();
    assert_eq!(told, 1);
    hears(&mut fra, old, Some(fra_id), heard(number));
    // The peer has lost its state, and lives under a new id that it has said to somebody else alone. The next word goes to
    // whoever is there, who takes it.
    hears(&mut fra, old, Some(new), greeting());
    kill(&mut fra, 2);
    let (last, told) = word(&mut fra).unwrap();
    assert_eq!(told, 1);
    // It tells who it is, and everything that it is told then is lost; its answer to the word before comes late.
    hears(&mut fra, new, None, greeting());
    let (_, told) = word(&mut fra).unwrap();
    assert_eq!(told, 2);
    hears(&mut fra, new, Some(fra_id), heard(last));
    let (all, told) = word_again(&mut fra).expect("it has not heard everything");
    assert_eq!(told, 2);
    hears(&mut fra, new, Some(fra_id), heard(all));
    assert_eq!(word_again(&mut fra), None);
}

#[test]
fn what_was_told_in_an_earlier_life_is_not_what_is_told_now() {
    let mut fra = Host::new(edge("fra1"));
    let nrt = Host::new(edge("nrt1")).id();
    fra.replica.link_up(LINK, fra.now);
    kill(&mut fra, 1);
    hears(&mut fra, nrt, None, greeting());
    let (number, told) = word(&mut fra).unwrap();
    assert_eq!(told, 1);
    // It loses its state, and with that its numbers; the answer comes to whoever is there.
    fra.now += 1;
    fra.reopen();
    fra.replica.link_up(LINK, fra.now);
    kill(&mut fra, 2);
    hears(&mut fra, nrt, None, greeting());
    assert_eq!(word(&mut fra).unwrap().1, 1);
    hears(&mut fra, nrt, None, heard(number));
    let (number, told) = word_again(&mut fra).expect("nobody has heard of the second kill");
    assert_eq!(told, 1);
    hears(&mut fra, nrt, None, heard(number));
    assert_eq!(word_again(&mut fra), None);
}
