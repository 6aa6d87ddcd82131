//! Crashes leave a prefix, and a snapshot that is restored leaves no doubt about who writes.

use super::*;

// ── Crashes ──

#[test]
fn a_crash_between_any_two_records_leaves_a_prefix() {
    let mut tokyo = Host::new(edge("tokyo"));
    let author = tokyo.session();
    let mut host = Host::new(stored(edge("paris")));
    let ann = host.session();
    let mut states = vec![host.snapshot()];
    for step in 0..12 {
        match step % 4 {
            0 => drop(host.set(ann, "k", &step.to_string())),
            1 => drop(host.ask(ann, batch([put("a", "1"), put("b", &step.to_string()), put("k", "x")]), SYNC).unwrap()),
            2 => {
                tokyo.set(author, "k", "elsewhere");
                tokyo.set(author, &format!("t{step}"), "v");
                let hello = host.try_exchange(&[]).unwrap().unwrap();
                let delta = tokyo.exchange(&hello);
                host.try_exchange(&delta).unwrap();
            }
            _ => host.delete(ann, "a"),
        }
        assert_eq!(host.records.len(), states.len(), "one record a step");
        host.confirm_all();
        host.sent.clear();
        states.push(host.snapshot());
    }
    let (id, records) = (host.id(), std::mem::take(&mut host.records));
    for kept in 0..=records.len() {
        host.disk = records[..kept].iter().map(|(_, bytes)| bytes.clone()).collect();
        host.reopen();
        if kept > 0 {
            assert_eq!(host.id(), id, "the id that wrote the last record");
            assert_eq!(host.snapshot(), states[kept], "after {kept} records");
        }
        assert!(host.replica.is_settled());
    }
    // A hole is not a prefix.
    let mut fresh = Host::new(stored(edge("paris")));
    fresh.replica.load(&records[0].1, START).unwrap();
    assert_eq!(code(fresh.replica.load(&records[2].1, START)), ErrorCode::StaleReplica);
}

#[test]
fn a_snapshot_stands_for_all_records_before_it() {
    let mut host = Host::new(stored(edge("paris")));
    let ann = host.session();
    for n in 0..3 {
        host.set(ann, &format!("k{n}"), "v");
    }
    let (upto, snapshot) = host.replica.compaction();
    host.drain();
    host.set(ann, "k0", "w");
    let state = host.snapshot();
    let (id, later) = (host.id(), host.records.iter().filter(|(n, _)| *n > upto).map(|(_, bytes)| bytes.clone()));
    host.disk = [snapshot.into_vec()].into_iter().chain(later).collect();
    assert_eq!(host.disk.len(), 2);
    host.reopen();
    assert_eq!((host.id(), host.snapshot()), (id, state));
}

#[test]
fn a_write_that_was_lost_before_it_was_durable_leaves_no_trace_anywhere() {
    let (mut host, mut peer) = edge_with_a_peer();
    let ann = host.session();
    host.set(ann, "k", "durable");
    host.confirm_all();
    carry(&mut host, &mut peer);
    host.set(ann, "k", "lost");
    host.crash();
    host.replica.link_up(LINK, START);
    host.drain();
    let ann = host.session();
    assert_eq!(host.get(ann, "k", THROW), Ok(Some("durable".into())));
    // Its dot may be given again, because nobody has heard of it.
    host.set(ann, "k", "again");
    host.confirm_all();
    carry(&mut host, &mut peer);
    assert_eq!((host.holds().as_str(), peer.holds().as_str()), ("<paris:2>", "<paris:2>"));
    let reader = peer.session();
    assert_eq!(peer.get(reader, "k", THROW), Ok(Some("again".into())));
}

// ── Restore ──

#[test]
fn restoring_a_snapshot_joins_it_and_takes_a_new_id() {
    let mut paris = Host::new(edge("paris"));
    let ann = paris.session();
    paris.set(ann, "k", "v");
    let snapshot = paris.replica.snapshot().unwrap();
    paris.set(ann, "k", "w");

    let mut tokyo = Host::new(edge("tokyo"));
    let bob = tokyo.session();
    tokyo.set(bob, "own", "v");
    let old = tokyo.id();
    tokyo.replica.restore(&snapshot, START).unwrap();
    tokyo.drain();
    assert_ne!(tokyo.id(), old);
    assert_eq!(tokyo.get(bob, "k", THROW), Ok(Some("v".into())));
    assert_eq!(tokyo.get(bob, "own", THROW), Ok(Some("v".into())));
    tokyo.set(bob, "own", "w");
    sync(&mut paris, &mut tokyo);
    assert_eq!(paris.get(ann, "own", THROW), Ok(Some("w".into())));

    // Its own snapshot of an earlier time brings nothing back.
    let before = paris.id();
    paris.replica.restore(&snapshot, START).unwrap();
    paris.drain();
    assert_eq!(paris.get(ann, "k", THROW), Ok(Some("w".into())));
    assert_ne!(paris.id(), before);
}

#[test]
fn an_expiry_beyond_the_end_of_time_does_not_make_the_record_unreadable() {
    let mut host = Host::new(stored(edge("paris")));
    let ann = host.session();
    let forever = Mutation { expires_at: Some(u64::MAX), ..put("k", "v") };
    host.ask(ann, batch([forever]), SYNC).unwrap();
    host.confirm_all();
    host.crash();
    let ann = host.session();
    assert_eq!(host.get(ann, "k", THROW), Ok(Some("v".into())));
}

#[test]
fn without_a_storage_everything_leaves_at_once() {
    let mut host = Host::new(edge("paris"));
    let ann = host.session();
    host.try_set(ann, "k", "v", PLAIN).unwrap();
    assert_eq!(depended(&host.token(ann), host.id()), 1);
    assert!(host.replica.snapshot().is_ok());
    assert!(host.records.is_empty());
}
