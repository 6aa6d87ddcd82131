//! A network in virtual time: hosts, links between them, and messages that are lost, repeated, late or led astray.

use std::collections::BTreeMap;

use edge_session::io::LinkId;
use edge_session::replica::{End, Pass};

use super::START;
use super::host::Host;

/// One message under way.
#[derive(Clone, Debug)]
pub struct Flight {
    /// The host that it is carried to, and the link on which it arrives there.
    pub to: (usize, LinkId),
    pub bytes: Vec<u8>,
}

/// What happens to each message: for each copy that arrives, where and after how many milliseconds.
pub type Fate = Box<dyn FnMut(&Flight) -> Vec<(u64, Flight)>>;

/// Hosts and the messages between them.
pub struct Net {
    pub hosts: Vec<Host>,
    pub now: u64,
    pub fate: Fate,
    /// How many messages were sent, and of how many bytes.
    pub sent: u64,
    pub bytes: u64,
    /// Messages that their receiver refused as damaged.
    pub refused: u64,
    wires: BTreeMap<(usize, LinkId), (usize, LinkId)>,
    flights: BTreeMap<(u64, u64), Flight>,
    serial: u64,
}

/// Every message arrives once, after `latency`.
pub fn reliable(latency: u64) -> Fate {
    Box::new(move |flight| vec![(latency, flight.clone())])
}

/// No message arrives.
pub fn down() -> Fate {
    Box::new(|_| Vec::new())
}

impl Net {
    pub fn new(hosts: Vec<Host>) -> Self {
        Self {
            hosts,
            now: START,
            fate: reliable(5),
            sent: 0,
            bytes: 0,
            refused: 0,
            wires: BTreeMap::new(),
            flights: BTreeMap::new(),
            serial: 0,
        }
    }

    /// Lays a link between two hosts; each end has the number of the other host.
    pub fn connect(&mut self, a: usize, b: usize) {
        let (from_a, from_b) = (LinkId(b as u32), LinkId(a as u32));
        self.wires.insert((a, from_a), (b, from_b));
        self.wires.insert((b, from_b), (a, from_a));
        for (host, link) in [(a, from_a), (b, from_b)] {
            self.hosts[host].replica.link_up(link, self.now);
            self.hosts[host].drain();
        }
        self.collect();
    }

    /// Lays a link on which `client` joins `edge` with a pass.
    pub fn join(&mut self, client: usize, edge: usize, pass: &Pass) {
        let (at_client, at_edge) = (LinkId(edge as u32), LinkId(client as u32));
        self.wires.insert((client, at_client), (edge, at_edge));
        self.wires.insert((edge, at_edge), (client, at_client));
        self.hosts[edge].replica.link_admit(at_edge, pass, self.now).unwrap();
        self.hosts[client].replica.link_up(at_client, self.now);
        for host in [client, edge] {
            self.hosts[host].now = self.now;
            self.hosts[host].drain();
        }
        self.collect();
    }

    /// Lays a link between two edges that prove themselves: `caller` has called.
    pub fn prove(&mut self, caller: usize, callee: usize) {
        let (at_caller, at_callee) = (LinkId(callee as u32), LinkId(caller as u32));
        self.wires.insert((caller, at_caller), (callee, at_callee));
        self.wires.insert((callee, at_callee), (caller, at_caller));
        for (host, link, end) in [(callee, at_callee, End::Callee), (caller, at_caller, End::Caller)] {
            self.hosts[host].replica.link_prove(link, end, None, self.now);
            self.hosts[host].now = self.now;
            self.hosts[host].drain();
        }
        self.collect();
    }

    pub fn disconnect(&mut self, a: usize, b: usize) {
        for (host, link) in [(a, LinkId(b as u32)), (b, LinkId(a as u32))] {
            self.wires.remove(&(host, link));
            self.hosts[host].replica.link_down(link, self.now);
            self.hosts[host].drain();
        }
    }

    /// A host's process ends and begins anew from its disk; the links are new to it, not to the others.
    pub fn restart(&mut self, host: usize) {
        self.hosts[host].reopen();
        let links: Vec<LinkId> = self.wires.keys().filter(|(at, _)| *at == host).map(|(_, link)| *link).collect();
        for link in links {
            self.hosts[host].replica.link_up(link, self.now);
        }
        self.hosts[host].drain();
        self.collect();
    }

    /// Something happens at a host now.
    pub fn with<T>(&mut self, host: usize, act: impl FnOnce(&mut Host) -> T) -> T {
        self.hosts[host].now = self.now;
        let result = act(&mut self.hosts[host]);
        self.hosts[host].drain();
        self.collect();
        result
    }

    /// Puts a message on its way, past all fate.
    pub fn inject(&mut self, to: (usize, LinkId), bytes: Vec<u8>, delay: u64) {
        self.serial += 1;
        self.flights.insert((self.now + delay, self.serial), Flight { to, bytes });
    }

    /// Lets time pass.
    pub fn run(&mut self, millis: u64) {
        let end = self.now + millis;
        while let Some(next) = self.next_event().filter(|next| *next <= end) {
            self.now = next.max(self.now);
            self.step();
        }
        self.now = end;
    }

    /// Lets time pass until every host holds the same, and tells how long it took.
    pub fn settle(&mut self, most: u64) -> u64 {
        let begin = self.now;
        while !self.agrees() {
            assert!(self.now - begin <= most, "after {most} ms: {:?}", self.vectors());
            let next = self.next_event().expect("somebody has something to do");
            self.now = next.max(self.now);
            self.step();
        }
        self.now - begin
    }

    pub fn agrees(&self) -> bool {
        self.hosts.windows(2).all(|pair| pair[0].vector() == pair[1].vector())
    }

    pub fn vectors(&self) -> Vec<String> {
        self.hosts.iter().map(Host::holds).collect()
    }

    fn next_event(&self) -> Option<u64> {
        let arrival = self.flights.keys().next().map(|(at, _)| *at);
        let timers = self.hosts.iter().filter_map(|host| host.timeout);
        timers.chain(arrival).min()
    }

    fn step(&mut self) {
        for host in &mut self.hosts {
            if host.timeout.is_some_and(|at| at <= self.now) {
                // A timer rings once.
                host.timeout = None;
                host.now = self.now;
                host.replica.tick(self.now);
                host.drain();
            }
        }
        self.collect();
        while let Some(entry) = self.flights.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let Flight { to: (host, link), bytes } = entry.remove();
            self.hosts[host].now = self.now;
            self.refused += u64::from(self.hosts[host].receive(link, &bytes).is_err());
            self.collect();
        }
    }

    fn collect(&mut self) {
        for host in 0..self.hosts.len() {
            for (link, bytes) in std::mem::take(&mut self.hosts[host].sent) {
                let Some(to) = self.wires.get(&(host, link)) else { continue };
                self.sent += 1;
                self.bytes += bytes.len() as u64;
                for (delay, flight) in (self.fate)(&Flight { to: *to, bytes }) {
                    self.serial += 1;
                    self.flights.insert((self.now + delay, self.serial), flight);
                }
            }
        }
    }
}

/// A small generator of numbers (SplitMix64): what a seed decides, it decides again.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// Whether something happens that does so `percent` times of a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
