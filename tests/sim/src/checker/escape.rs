//! Judging what leaves a replica: nothing that its storage does not have (I5), and no dot with another's value.

use edge_session::id::Dot;
use edge_session::io::Answer;
use edge_session::store::delta::{Keys, Listed};
use edge_session::sync::message::{Frame, Message};
use edge_session::vector::VersionVector;

use super::Checker;
use super::alarm::{Alarm, Kind};
use super::mirror::content;
use super::set::WriteId;

impl Checker {
    /// Judges what a frame that `node` sends says of this space.
    pub fn sent(&self, node: usize, frame: &Frame) -> Result<(), Alarm> {
        for message in &frame.messages {
            // What is wanted, and where a run of slices began, is named by the other side's vectors.
            if !matches!(message, Message::Want { .. } | Message::Slice(_)) {
                let mut told = message.vectors().filter(|(space, _)| **space == self.space);
                told.try_for_each(|(_, vector)| self.told(node, vector))?;
            }
            match message {
                Message::Delta(delta) | Message::TopUp { delta, .. } if delta.space == self.space => {
                    self.listed(node, &delta.keys)?;
                }
                Message::Slice(slice) if slice.space == self.space => self.listed(node, &slice.keys)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The answer to an acknowledged write: that it is durable, and under its own name.
    pub fn acknowledge(&mut self, node: usize, write: WriteId, answer: &Answer, durable: bool) -> Result<(), Alarm> {
        let Answer::Version(version) = answer else {
            return Alarm::raise(Kind::Contract, format!("w{write} was answered with {answer:?}"));
        };
        if self.writes.named(version)?.first() != Some(&write) {
            return Alarm::raise(Kind::Answer, format!("w{write} was answered with the version {version}"));
        }
        if durable {
            let dot = self.writes.get(write).dot;
            if !dot.is_some_and(|dot| self.mirrors[node].is_durable(dot)) {
                return Alarm::raise(Kind::Durability, format!("w{write} was acknowledged before storage has it"));
            }
            self.writes.get_mut(write).acknowledged = true;
        }
        Ok(())
    }

    fn told(&self, node: usize, vector: &VersionVector) -> Result<(), Alarm> {
        let mirror = &self.mirrors[node];
        match vector.iter().find(|(id, last)| !mirror.is_durable(Dot::new(*id, *last))) {
            Some((id, last)) => {
                Alarm::raise(Kind::Escape, format!("n{node} tells of {id}:{last}, which its storage does not have"))
            }
            None => Ok(()),
        }
    }

    fn listed(&self, node: usize, keys: &Keys) -> Result<(), Alarm> {
        for (key, set) in keys {
            for listed in set {
                if !self.mirrors[node].is_durable(listed.dot()) {
                    let (dot, kind) = (listed.dot(), Kind::Escape);
                    return Alarm::raise(
                        kind,
                        format!("n{node} sends {dot} of {key}, which its storage does not have"),
                    );
                }
                if let Listed::Entry(entry) = listed {
                    content(key, entry, &self.writes)?;
                }
            }
        }
        Ok(())
    }
}
