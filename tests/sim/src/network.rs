//! The network: who is joined to whom, and what happens to a message on its way.
//!
//! A message may be dropped, repeated, delayed past later ones, sent again much later, and come out at the wrong end.
//! It is never damaged: what is damaged does not decode, and that has tests of its own.

use std::rc::Rc;

use edge_session::io::LinkId;
use edge_session::time::Millis;

use crate::rng::Rng;

/// How many old messages are kept to be sent again.
const ARCHIVE: usize = 64;

/// A connection of two nodes. Its number is the number of the link at both ends.
#[derive(Clone, Debug)]
pub struct Edge {
    /// The two ends.
    pub ends: [usize; 2],
    /// Whether what the first, and the second, end sends is lost.
    pub cut: [bool; 2],
    /// How long a message takes at least.
    pub delay: Millis,
    /// Whether the ends talk in requests and responses instead of over an open link.
    pub exchange: bool,
    /// How many more messages the running exchange may take.
    pub rounds: u32,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// To whom.
    pub to: usize,
    /// Over which edge.
    pub edge: usize,
    /// The frame.
    pub bytes: Rc<[u8]>,
}

/// How bad the network is.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Messages lost, in a thousand.
    pub drop: u64,
    /// Messages that come twice, in a thousand.
    pub duplicate: u64,
    /// The greatest additional delay, which is drawn for each message.
    pub jitter: Millis,
}

/// The network.
#[derive(Debug)]
pub struct Network {
    /// The connections.
    pub edges: Vec<Edge>,
    /// How bad it is now.
    pub weather: Weather,
    archive: Vec<Parcel>,
}

impl Network {
    /// A network of these connections.
    #[must_use]
    pub const fn new(edges: Vec<Edge>, weather: Weather) -> Self {
        Self { edges, weather, archive: Vec::new() }
    }

    /// The edges at a node, with their numbers.
    pub fn at(&self, node: usize) -> impl Iterator<Item = (usize, &Edge)> {
        self.edges.iter().enumerate().filter(move |(_, edge)| edge.ends.contains(&node))
    }

    /// Sends a message: what arrives, and after how long.
    pub fn send(&mut self, from: usize, link: LinkId, bytes: Vec<u8>, rng: &mut Rng) -> Vec<(Millis, Parcel)> {
        let number = link.0 as usize;
        let Some(edge) = self.edges.get_mut(number) else { return Vec::new() };
        let side = usize::from(edge.ends[1] == from);
        if edge.exchange {
            if edge.rounds == 0 {
                return Vec::new();
            }
            edge.rounds -= 1;
        }
        let (cut, delay) = (edge.cut[side], edge.delay);
        let parcel = Parcel { to: edge.ends[1 - side], edge: number, bytes: bytes.into() };
        if self.archive.len() < ARCHIVE {
            self.archive.push(parcel.clone());
        } else if rng.chance(100) {
            let at = rng.index(ARCHIVE);
            self.archive[at] = parcel.clone();
        }
        if cut || rng.chance(self.weather.drop) {
            return Vec::new();
        }
        let copies = if rng.chance(self.weather.duplicate) { 2 } else { 1 };
        (0..copies).map(|_| (delay + rng.below(self.weather.jitter + 1), parcel.clone())).collect()
    }

    /// An old message once more, if there is one; with `astray`, out of another end.
    pub fn old(&self, astray: bool, nodes: usize, rng: &mut Rng) -> Option<Parcel> {
        if self.archive.is_empty() {
            return None;
        }
        let mut parcel = rng.pick(&self.archive).clone();
        if astray {
            parcel.to = rng.index(nodes);
            let ends: Vec<usize> = self.at(parcel.to).map(|(number, _)| number).collect();
            parcel.edge = if ends.is_empty() { parcel.edge } else { *rng.pick(&ends) };
        }
        Some(parcel)
    }

    /// Cuts or mends one direction of each edge, at random.
    pub fn partition(&mut self, rng: &mut Rng) {
        let both = rng.chance(500);
        for edge in &mut self.edges {
            let first = rng.chance(400);
            edge.cut = [first, if both { first } else { rng.chance(400) }];
        }
    }

    /// Mends everything.
    pub fn heal(&mut self) {
        self.edges.iter_mut().for_each(|edge| edge.cut = [false; 2]);
    }
}
