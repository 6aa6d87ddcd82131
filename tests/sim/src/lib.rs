//! A deterministic simulation of edge-session: real replicas in virtual time, under faults, judged per guarantee.
//!
//! One seed decides everything. [`profile`] draws what a run is like; [`world`] lets time pass and composes the rest:
//! [`workload`] is what clients do, [`faults`] what goes wrong, [`step`] one call of a replica with its effects,
//! [`answers`] what clients are told, [`fleet`], [`guesses`] and [`seats`] the service and its users, [`quiescence`] the end. [`checker`] judges. [`mutant`] breaks things on purpose, to
//! test the test. [`lines`] are what clients were told, to be judged by anybody. [`run`] is the door.
//! Every replica is a [`replica::Replica`], the core's own with a recorder ([`trace`]) for whoever plays a run again on the
//! wasm module.
//! [`history`] judges what was seen of real replicas, from outside.

pub mod answers;
pub mod checker;
pub mod client;
pub mod clock;
pub mod faults;
pub mod fleet;
pub mod front;
pub mod guesses;
pub mod history;
pub mod lines;
pub mod mutant;
pub mod network;
pub mod node;
pub mod profile;
pub mod quiescence;
pub mod replica;
pub mod rng;
pub mod roaming;
pub mod run;
pub mod seats;
pub mod shown;
pub mod step;
pub mod storage;
pub mod trace;
pub mod upheaval;
pub mod workload;
pub mod world;
