//! Links on which every message is a request: one is under way at a time, and it may take longer than any pause.

use super::*;
use std::collections::VecDeque;

/// Both ends of such a link. Requests wait in a queue, as they do where one has to be answered before the next one goes.
struct Line {
    tab: Host,
    edge: Host,
    queue: VecDeque<Vec<u8>>,
    /// The request under way, and when its answer comes.
    request: Option<(Vec<u8>, u64)>,
    /// Requests that were answered, and the longest queue.
    answered: u64,
    longest: usize,
}

const LINK: LinkId = LinkId(1);

impl Line {
    fn new(heartbeat: u64) -> Self {
        let (mut tab, edge) = (Host::new(common::tab("tab")), Host::new(edge("fra1")));
        tab.replica.link_up_every(LINK, heartbeat, START);
        tab.drain();
        Self { tab, edge, queue: VecDeque::new(), request: None, answered: 0, longest: 0 }
    }

    /// Time passes until both hold the same; each request takes so long.
    fn settle(&mut self, takes: u64, most: u64) {
        for now in (START..START + most).step_by(10) {
            self.tab.at(now);
            self.edge.at(now);
            if let Some((request, _)) = self.request.take_if(|(_, at)| *at <= now) {
                let answer = self.edge.exchange(&request);
                self.answered += 1;
                self.tab.receive(LINK, &answer).unwrap();
            }
            self.queue.extend(self.tab.sent.drain(..).map(|(_, bytes)| bytes));
            self.longest = self.longest.max(self.queue.len());
            if self.request.is_none() {
                self.request = self.queue.pop_front().map(|request| (request, now + takes));
            }
            if self.tab.vector() == self.edge.vector() {
                return;
            }
        }
        panic!("after {most} ms: {} and {}, {} requests wait", self.tab.holds(), self.edge.holds(), self.queue.len());
    }
}

fn write(host: &mut Host, slices: u64) {
    let (session, value) = (host.session(), "x".repeat(8 << 10));
    for n in 0..slices * SLICE_BYTES / value.len() as u64 {
        host.set(session, &format!("k{n:05}"), &value);
    }
}

#[test]
fn requests_that_take_longer_than_the_heartbeat_bring_over_a_large_state() {
    let mut line = Line::new(100);
    write(&mut line.edge, 12);
    line.settle(5_000, 60_000);
    assert!(line.answered <= 9, "{} requests for twelve slices", line.answered);
    assert!(line.longest <= 2, "{} requests waited", line.longest);
}

#[test]
fn requests_that_take_longer_than_the_heartbeat_hand_in_a_large_state() {
    let mut line = Line::new(100);
    write(&mut line.tab, 12);
    line.settle(5_000, 100_000);
    assert!(line.answered <= 16, "{} requests for twelve slices", line.answered);
    assert!(line.longest <= 4, "{} requests waited", line.longest);
}

/// An answer that never comes must not be waited for by a link that still lives.
#[test]
fn a_request_that_is_lost_is_not_waited_for_for_ever() {
    let mut line = Line::new(100);
    write(&mut line.edge, 3);
    line.tab.at(START + 10);
    assert_eq!(line.tab.sent.drain(..).count(), 1, "the first hello, which is lost");
    line.settle(20, 70_000);
}
