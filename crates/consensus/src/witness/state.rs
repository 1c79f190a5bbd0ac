//! Which L1 blocks are known, which a quorum has seen, and what follows for the chain.

use cortado_chain::{FORK_RULE, Seating, State};
use cortado_l1::{HeaderError, ReadError, TrackedHeader, read_seats};
use cortado_types::{
    Address, B256, Bytes, L1Ref, Operation, PointerMove, QuorumCertificate, ReadSeats, Subject,
    SubjectKind,
    block::L1Finality,
    limits::{CONTEXT_LAG, L1_HEADERS_PER_MOVE_MAX, L1_TRACKED_HEADERS_MAX},
};
use std::collections::{BTreeMap, VecDeque};

#[derive(Clone, Debug)]
struct Seen {
    header: TrackedHeader,
    raw: Bytes,
}

/// Reads of the registry that are kept: as many blocks below `L1fin` as the chain tracks, and as many
/// above it.
const READS_MAX: usize = 2 * CONTEXT_LAG as usize;

/// L1 headers above `L1fin` as this node and a quorum know them.
///
/// - At most `L1_TRACKED_HEADERS_MAX` headers and as many certificates of each kind; the ones that
///   came first are forgotten first. What a flood displaces was told before the flood, and the
///   watcher, which forgets in the same order, tells it again.
#[derive(Debug, Default)]
pub struct Witness {
    seen: BTreeMap<B256, Seen>,
    /// Hashes in the order in which they came; also of headers that are gone since.
    order: VecDeque<B256>,
    sights: BTreeMap<B256, QuorumCertificate>,
    finals: BTreeMap<B256, QuorumCertificate>,
    newest_final: Option<B256>,
    /// What the registry had settled, by the number of the L1 block: the newest reads.
    reads: BTreeMap<u64, Reading>,
}

/// Seats as they stand in the state of an L1 block.
#[derive(Debug)]
struct Reading {
    block: L1Ref,
    due: Seating,
    operation: ReadSeats,
}

impl Witness {
    /// This node's L1 node holds the header. Returns the subject to sign, if it is new.
    ///
    /// # Errors
    /// If the bytes are not a header.
    pub fn header(&mut self, raw: Bytes) -> Result<Option<Subject>, HeaderError> {
        let header = TrackedHeader::read(&raw)?;
        let hash = header.hash;
        if self.seen.insert(hash, Seen { header, raw }).is_some() {
            return Ok(None);
        }
        self.order.push_back(hash);
        while self.seen.len() > L1_TRACKED_HEADERS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        Ok(Some(Subject {
            kind: SubjectKind::Sight,
            hash,
        }))
    }

    /// This node's L1 node holds the block as finalised. Returns the subject to sign, if it is new.
    pub fn l1_final(&mut self, hash: B256) -> Option<Subject> {
        if self.newest_final.replace(hash) == Some(hash) {
            return None;
        }
        Some(Subject {
            kind: SubjectKind::L1Final,
            hash,
        })
    }

    /// In the state of an L1 block the registry has settled seats. Nobody has to sign that: the chain
    /// checks the proof. Older reads are kept beside it: where `finalized` moves with every block,
    /// the newest one is always ahead of `L1fin`.
    ///
    /// # Errors
    /// If the read shows no seats in `registry`.
    pub fn seats(&mut self, registry: Address, operation: ReadSeats) -> Result<(), ReadError> {
        let settled = read_seats(&operation.header, registry, &operation.read)?;
        let reading = Reading {
            block: settled.block,
            due: Seating::from(&settled),
            operation,
        };
        self.reads.insert(settled.block.number, reading);
        if self.reads.len() > READS_MAX {
            self.reads.pop_first();
        }
        Ok(())
    }

    /// Other seats sit: what those before certified convinces nobody any more.
    pub fn change_term(&mut self) {
        self.sights.clear();
        self.finals.clear();
    }

    /// A quorum signed the subject.
    pub fn certify(&mut self, subject: Subject, certificate: QuorumCertificate) {
        let of_kind = match subject.kind {
            SubjectKind::Sight => &mut self.sights,
            SubjectKind::L1Final => &mut self.finals,
            SubjectKind::Available => return,
        };
        of_kind.insert(subject.hash, certificate);
    }

    /// What a leader can include on top of `state`: at most one move, one finality and one read, in
    /// the order in which a block has them.
    pub fn operations(&self, state: &State) -> Vec<Operation> {
        let moved = self.pointer_move(state).map(Operation::MovePointer);
        moved
            .into_iter()
            .chain(self.finality(state).map(Operation::FinalizeL1))
            .chain(self.due_seats(state).map(Operation::ReadSeats))
            .collect()
    }

    /// R10: the seats that were read, if the block is at or below `L1fin`, newer than the last one
    /// read, and they are not due already.
    fn due_seats(&self, state: &State) -> Option<ReadSeats> {
        let fin = state.l1.fin();
        let applies = |read: &&Reading| {
            let L1Ref { number, .. } = read.block;
            number > state.read_at && state.l1.is_on_chain_of(&read.block, &fin.hash)
        };
        // The newest of them says what is so; if that is nothing new, older ones are not true any more.
        let read = self.reads.values().rev().find(applies)?;
        (state.due != read.due).then(|| read.operation.clone())
    }

    /// R9: towards the heaviest fork that a quorum saw the end of, as far as one move reaches.
    fn pointer_move(&self, state: &State) -> Option<PointerMove> {
        let mut best: Option<(u64, u64, Vec<&Seen>)> = None;
        for hash in self.sights.keys() {
            let Some(path) = self.path(state, hash) else {
                continue;
            };
            let headers: Vec<_> = path.iter().map(|seen| seen.header).collect();
            let Some(weight) = state.l1.prefers(&headers, &FORK_RULE) else {
                continue;
            };
            let number = headers.last().map_or(0, |header| header.number);
            let better = best
                .as_ref()
                .is_none_or(|(most, highest, _)| (weight, number) > (*most, *highest));
            if better {
                best = Some((weight, number, path));
            }
        }
        let mut path = match best {
            Some((_, _, path)) => path,
            // R10: what L1 finalised has to be tracked, however light.
            None => self.path_to_final(state)?,
        };
        // A fork longer than a move is tracked in steps, each of which ends where a quorum saw it.
        path.truncate(L1_HEADERS_PER_MOVE_MAX);
        while let Some(last) = path.last() {
            if let Some(sight) = self.sights.get(&last.header.hash) {
                return Some(PointerMove {
                    headers: path.iter().map(|seen| seen.raw.clone()).collect(),
                    sight: sight.clone(),
                    mover: None,
                });
            }
            path.pop();
        }
        None
    }

    /// The headers up to a block that a quorum calls final and that is not tracked.
    fn path_to_final(&self, state: &State) -> Option<Vec<&Seen>> {
        let untracked = self
            .finals
            .keys()
            .filter(|hash| state.l1.get(hash).is_none());
        let paths = untracked.filter_map(|hash| self.path(state, hash));
        // One that left the chain below L1fin is on no fork that can be taken.
        let fin = state.l1.fin();
        let descends = |path: &Vec<&Seen>| {
            let base = path.first().map(|seen| seen.header.parent);
            base.is_some_and(|base| state.l1.is_on_chain_of(&fin, &base))
        };
        paths.filter(descends).max_by_key(Vec::len)
    }

    /// The headers from above the tracked tree up to `tip`, oldest first; the tip alone if it is
    /// tracked. `None` if one between is missing.
    fn path(&self, state: &State, tip: &B256) -> Option<Vec<&Seen>> {
        let mut at = self.seen.get(tip)?;
        let mut path = vec![at];
        while state.l1.get(&at.header.parent).is_none() {
            // The tree is reached at or above the floor, or not at all.
            if at.header.number <= state.l1.fin().number {
                return None;
            }
            at = self.seen.get(&at.header.parent)?;
            path.push(at);
        }
        path.reverse();
        Some(path)
    }

    /// R10: the highest certified block that is tracked and descends from `L1fin`.
    fn finality(&self, state: &State) -> Option<L1Finality> {
        let (tracked, certificate) = self
            .finals
            .iter()
            .filter_map(|(hash, certificate)| Some((state.l1.get(hash)?, certificate)))
            .filter(|(tracked, _)| {
                let fin = state.l1.fin();
                tracked.number > fin.number && state.l1.is_on_chain_of(&fin, &tracked.hash)
            })
            .max_by_key(|(tracked, _)| tracked.number)?;
        Some(L1Finality {
            block: tracked.to_ref(),
            certificate: certificate.clone(),
        })
    }

    /// Subjects this seat signed that the chain has not used yet; they are worth repeating.
    pub fn unused(&self, state: &State) -> Vec<Subject> {
        let mut headers: Vec<_> = self
            .seen
            .values()
            .map(|seen| seen.header)
            .filter(|header| state.l1.get(&header.hash).is_none())
            .collect();
        headers.sort_by_key(|header| header.number);
        headers.truncate(L1_HEADERS_PER_MOVE_MAX);
        let sights = headers.into_iter().map(|h| Subject {
            kind: SubjectKind::Sight,
            hash: h.hash,
        });
        let fin = self
            .newest_final
            .filter(|hash| *hash != state.l1.fin().hash);
        sights
            .chain(fin.map(|hash| Subject {
                kind: SubjectKind::L1Final,
                hash,
            }))
            .collect()
    }

    /// A block became final: drops what lies at or below `L1fin`.
    pub fn finalize(&mut self, state: &State) {
        let fin = state.l1.fin();
        self.seen.retain(|_, seen| seen.header.number > fin.number);
        let seen = &self.seen;
        self.order.retain(|hash| seen.contains_key(hash));
        // A quorum may be ahead of this node's L1 node: what is not seen yet is kept.
        let is_used = |hash: &B256| {
            let known = state.l1.get(hash);
            known.is_some_and(|known| known.number <= fin.number)
        };
        self.sights.retain(|hash, _| !is_used(hash));
        if self.sights.len() > L1_TRACKED_HEADERS_MAX {
            self.sights.retain(|hash, _| seen.contains_key(hash));
        }
        self.reads.retain(|number, _| *number > state.read_at);
        self.finals.retain(|hash, _| {
            *hash != fin.hash
                && state
                    .l1
                    .get(hash)
                    .is_none_or(|known| known.number > fin.number)
        });
        if self.finals.len() > L1_TRACKED_HEADERS_MAX {
            self.finals.clear();
        }
    }
}

#[cfg(test)]
mod tests;
