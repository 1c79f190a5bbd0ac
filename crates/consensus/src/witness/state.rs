//! Which L1 blocks are known, which a quorum has seen, and what follows for the chain.

use cortado_chain::{Seating, State};
use cortado_l1::{HeaderError, ReadError, TrackedHeader, read_seats};
use cortado_types::{
    Address, B256, Bytes, L1Ref, Operation, PointerMove, QuorumCertificate, ReadSeats, Subject,
    SubjectKind,
    block::L1Finality,
    limits::{CONTEXT_LAG, L1_HEADERS_PER_MOVE_MAX, L1_TRACKED_HEADERS_MAX},
};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
struct Seen {
    header: TrackedHeader,
    raw: Bytes,
}

/// Reads of the registry that are kept: as many blocks below `L1fin` as the chain tracks, and as many
/// above it.
const READS_MAX: usize = 2 * CONTEXT_LAG as usize;

/// L1 headers above `L1fin` as this node and a quorum know them.
#[derive(Debug, Default)]
pub struct Witness {
    seen: BTreeMap<B256, Seen>,
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
        if self.seen.len() > L1_TRACKED_HEADERS_MAX
            && let Some(lowest) = self
                .seen
                .values()
                .map(|seen| seen.header)
                .min_by_key(|h| h.number)
        {
            self.seen.remove(&lowest.hash);
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

    /// R9, by extension: to the highest certified descendant of `L1*` within reach.
    fn pointer_move(&self, state: &State) -> Option<PointerMove> {
        let head = state.l1.head();
        let mut best: Option<(u64, PointerMove)> = None;
        for (hash, sight) in &self.sights {
            let Some(seen) = self.seen.get(hash) else {
                continue;
            };
            let number = seen.header.number;
            let reach = number.saturating_sub(head.number);
            let better = best.as_ref().is_none_or(|(highest, _)| number > *highest);
            if reach == 0 || reach > L1_HEADERS_PER_MOVE_MAX as u64 || !better {
                continue;
            }
            if let Some(headers) = self.path(head.hash, seen, reach) {
                let sight = sight.clone();
                best = Some((
                    number,
                    PointerMove {
                        headers,
                        sight,
                        mover: None,
                    },
                ));
            }
        }
        best.map(|(_, moved)| moved)
    }

    /// The raw headers from above `base` up to `tip`, `reach` of them, oldest first.
    fn path(&self, base: B256, tip: &Seen, reach: u64) -> Option<Vec<Bytes>> {
        let mut headers = vec![tip.raw.clone()];
        let mut at = tip;
        for _ in 1..reach {
            at = self.seen.get(&at.header.parent)?;
            headers.push(at.raw.clone());
        }
        headers.reverse();
        (at.header.parent == base).then_some(headers)
    }

    /// R10: the highest certified block that is tracked and above `L1fin`.
    fn finality(&self, state: &State) -> Option<L1Finality> {
        let (tracked, certificate) = self
            .finals
            .iter()
            .filter_map(|(hash, certificate)| Some((state.l1.get(hash)?, certificate)))
            .filter(|(tracked, _)| tracked.number > state.l1.fin().number)
            .max_by_key(|(tracked, _)| tracked.number)?;
        Some(L1Finality {
            block: tracked.to_ref(),
            certificate: certificate.clone(),
        })
    }

    /// Subjects this seat signed that the chain has not used yet; they are worth repeating.
    pub fn unused(&self, state: &State) -> Vec<Subject> {
        let head = state.l1.head().number;
        let mut headers: Vec<_> = self
            .seen
            .values()
            .map(|seen| seen.header)
            .filter(|header| header.number > head)
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
        self.sights.retain(|hash, _| seen.contains_key(hash));
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
