//! Late storage, crashes and loss in random order: no message says more than storage holds, and no dot is used twice.

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Write { host: usize, key: u8 },
    Batch { host: usize },
    Deliver { to: usize },
    Lose { to: usize },
    Confirm { host: usize, most: u64 },
    Crash { host: usize },
    Beat,
}

fn any_step() -> impl Strategy<Value = Step> {
    let host = 0..2usize;
    prop_oneof![
        4 => (host.clone(), 0..3u8).prop_map(|(host, key)| Step::Write { host, key }),
        1 => host.clone().prop_map(|host| Step::Batch { host }),
        6 => host.clone().prop_map(|to| Step::Deliver { to }),
        1 => host.clone().prop_map(|to| Step::Lose { to }),
        4 => (host.clone(), 1..4u64).prop_map(|(host, most)| Step::Confirm { host, most }),
        1 => host.prop_map(|host| Step::Crash { host }),
        2 => Just(Step::Beat),
    ]
}

/// What a host's storage holds: of the records of earlier runs and of those of this run that are confirmed.
fn stored_vector(host: &Host) -> VersionVector {
    let mut vector = VersionVector::new();
    let confirmed = host.records.iter().filter(|(n, _)| *n <= host.confirmed).map(|(_, bytes)| bytes);
    for message in host.disk.iter().chain(confirmed).flat_map(|bytes| Frame::decode(bytes).unwrap().messages) {
        message.vectors().for_each(|(_, told)| vector.join(told));
    }
    vector
}

/// Every message says at most what its sender's storage holds, whatever it is that the message says; so do a token of
/// a session that has read all it may, and the replica itself.
fn check_leaks(host: &mut Host) {
    let durable = stored_vector(host);
    for (_, bytes) in &host.sent {
        for message in Frame::decode(bytes).unwrap().messages {
            // `Want` names the other's vector.
            if !matches!(message, Message::Want { .. }) {
                for (_, vector) in message.vectors() {
                    assert!(durable.dominates(vector), "{durable:?} does not cover {message:?}");
                }
            }
        }
    }
    assert_eq!(*host.replica.durable(&host.space()), durable);
    let reader = host.session();
    for key in ["k0", "k1", "k2", "a", "b"] {
        let _ = host.get(reader, key, SYNC);
    }
    let token = SessionToken::open_unverified(&host.token(reader)).unwrap();
    for (_, own) in token.dependencies().iter() {
        assert!(durable.dominates(&own.reads) && own.writes.is_empty(), "{durable:?} does not cover {token:?}");
    }
    host.replica.close_session(reader);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn late_storage_crashes_and_loss_neither_leak_nor_fork(steps in prop::collection::vec(any_step(), 1..60)) {
        let mut hosts = [Host::new(stored(edge("paris"))), Host::new(stored(edge("tokyo")))];
        let mut now = START;
        let mut writes = 0;
        for host in &mut hosts {
            host.replica.link_up(LINK, now);
            host.drain();
        }
        for step in steps {
            match step {
                Step::Write { host, key } => {
                    let host = &mut hosts[host];
                    let session = host.session();
                    writes += 1;
                    host.set(session, &format!("k{key}"), &writes.to_string());
                }
                Step::Batch { host } => {
                    let host = &mut hosts[host];
                    let session = host.session();
                    writes += 1;
                    let value = writes.to_string();
                    host.ask(session, batch([put("a", &value), put("b", &value)]), SYNC).unwrap();
                }
                Step::Deliver { to } => {
                    let sent = std::mem::take(&mut hosts[1 - to].sent);
                    sent.iter().for_each(|(_, bytes)| hosts[to].receive(LINK, bytes).unwrap());
                }
                Step::Lose { to } => hosts[1 - to].sent.clear(),
                Step::Confirm { host, most } => {
                    let upto = hosts[host].confirmed + most;
                    let last = hosts[host].records.last().map_or(0, |(n, _)| *n);
                    hosts[host].confirm(upto.min(last));
                }
                Step::Crash { host } => {
                    hosts[host].crash();
                    hosts[host].replica.link_up(LINK, now);
                    hosts[host].drain();
                }
                Step::Beat => {
                    now += 2_000;
                    hosts.iter_mut().for_each(|host| host.at(now));
                }
            }
            hosts.iter_mut().for_each(check_leaks);
        }
        // Calm: storage confirms, messages arrive, and both hold the same.
        for _ in 0..40 {
            now += 1_000;
            for at in 0..2 {
                hosts[at].at(now);
                hosts[at].confirm_all();
                let sent = std::mem::take(&mut hosts[at].sent);
                sent.iter().for_each(|(_, bytes)| hosts[1 - at].receive(LINK, bytes).unwrap());
            }
        }
        hosts.iter_mut().for_each(check_leaks);
        let space = hosts[0].space();
        prop_assert_eq!(hosts[0].vector(), hosts[1].vector());
        let [one, other] = &hosts;
        let live = |host: &Host| -> Vec<_> {
            let keys = host.replica.store().space(&space).into_iter().flat_map(|state| state.iter());
            keys.map(|(key, set)| (key.clone(), set.clone())).collect()
        };
        prop_assert_eq!(live(one), live(other));
        let reader = hosts[0].session();
        let (a, b) = (hosts[0].get(reader, "a", SYNC).unwrap(), hosts[0].get(reader, "b", SYNC).unwrap());
        prop_assert_eq!(a, b, "a batch is one");
    }
}
