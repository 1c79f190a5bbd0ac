//! What L1 blocks queued for the rollup (R12): what is known of it, and what has to be asked for.

use super::{
    Derivation, Engine, EngineError, RollupSpec,
    progress::{L1Row, QueueRow, Status},
};
use cortado_derive::{Entry, Fork, needs_receipts};
use cortado_l1::TrackedHeader;
use cortado_types::{B256, Block, Bytes, L1Ref, Operation};
use std::collections::BTreeMap;

/// The fork as it was synced: all headers, what their blocks queued, and the tip by `L1*` and
/// `L1fin`. Beside it what is not known.
pub(super) fn load_fork(
    spec: &RollupSpec,
    status: &Status,
    rows: Vec<L1Row>,
) -> Result<(Fork, BTreeMap<B256, Bytes>), EngineError> {
    let mut asked = BTreeMap::new();
    let mut fork: Option<Fork> = None;
    for L1Row { header, queue } in rows {
        let fork = match &mut fork {
            None => fork.insert(match spec.inbox {
                Some(_) => Fork::with_queue(header),
                None => Fork::new(header),
            }),
            Some(fork) => {
                // Below the pruned floor a sibling of the lowest header may remain; nothing refers
                // to it any more.
                drop(fork.insert(header));
                fork
            }
        };
        match queue {
            QueueRow::Told(entries) => {
                asked.remove(&header.hash);
                fork.set_entries(header.hash, entries);
            }
            QueueRow::Asked(raw) => {
                asked.insert(header.hash, raw);
            }
        }
    }
    let mut fork = fork.ok_or(EngineError::NoL1Headers)?;
    let (head, fin) = (status.l1_head, status.l1_fin);
    fork.set_tip(head.hash)?;
    if fork.is_ancestor(&fin, &head) == Some(false) {
        fork.set_tip(fin.hash)?;
    }
    asked.retain(|block, _| is_alive(&fork, &fin, block));
    Ok((fork, asked))
}

/// Whether an L1 block can still be on the rollup's fork. No fork changes what is below `L1fin` (R10), so
/// nobody needs to know what blocks beside it queued; soon no L1 node can tell.
fn is_alive(fork: &Fork, fin: &L1Ref, block: &B256) -> bool {
    let header = fork.header(block);
    header.is_some_and(|header| {
        header.number > fin.number || fork.is_ancestor(&header.to_ref(), fin) == Some(true)
    })
}

impl Engine {
    /// L1 blocks of which it is not known yet what they queued, with their headers as RLP: somebody
    /// has to find out and say it by [`Engine::tell_queue`].
    pub fn asked(&self) -> impl Iterator<Item = (&B256, &Bytes)> {
        self.asked.iter()
    }

    /// Asks no more of what is on forks that are gone.
    pub(super) fn forget_lost_forks(&mut self) {
        let (fork, fin) = (self.timeline.fork(), self.status.l1_fin);
        self.asked.retain(|block, _| is_alive(fork, &fin, block));
    }

    /// Says what an L1 block queued, in order; it has been checked against the block. Gives what could
    /// be derived now.
    ///
    /// # Errors
    /// [`EngineError`]; the engine cannot go on then.
    pub fn tell_queue(
        &mut self,
        block: B256,
        entries: Vec<Entry>,
    ) -> Result<Derivation, EngineError> {
        let Some(raw) = self.asked.remove(&block) else {
            return Ok(Derivation::default());
        };
        let header = TrackedHeader::read(&raw)?;
        self.timeline.fork_mut().set_entries(block, entries.clone());
        let queue = QueueRow::Told(entries);
        self.progress.write_l1(L1Row { header, queue });
        let advance = self.timeline.catch_up();
        let derivation = self.take(advance, Vec::new(), false)?;
        self.advance();
        Ok(derivation)
    }

    /// The L1 block that a new lane block builds on: the highest on the fork up to which it is known
    /// what was queued, so that the lane block can be executed at once.
    pub fn context(&self) -> L1Ref {
        let (fork, scanned) = (self.timeline.fork(), self.timeline.cursor().scanned);
        let tip = fork.tip();
        if self.spec.inbox.is_none() {
            return tip;
        }
        let told = |number: u64| {
            fork.entries_between(number.saturating_sub(1), number)
                .is_ok()
        };
        let from = scanned.number.min(tip.number);
        let mut highest = from;
        while highest < tip.number && told(highest + 1) {
            highest += 1;
        }
        fork.at(highest).unwrap_or(tip)
    }

    /// The headers that a finalised block brings, parents first. Of blocks whose blooms rule it out it
    /// is clear that they queued nothing; the others are asked for.
    pub(super) fn read_headers(
        &mut self,
        block: &Block,
    ) -> Result<Vec<TrackedHeader>, EngineError> {
        let mut headers = Vec::new();
        for operation in &block.operations {
            let Operation::MovePointer(moved) = operation else {
                continue;
            };
            for raw in &moved.headers {
                let header = TrackedHeader::read(raw)?;
                headers.push(header);
                let fork = self.timeline.fork();
                if fork.header(&header.hash).is_some() || self.asked.contains_key(&header.hash) {
                    continue;
                }
                let needed = match self.spec.inbox {
                    Some(inbox) => needs_receipts(raw, inbox)?,
                    None => false,
                };
                let queue = if needed {
                    self.asked.insert(header.hash, raw.clone());
                    QueueRow::Asked(raw.clone())
                } else {
                    self.timeline
                        .fork_mut()
                        .set_entries(header.hash, Vec::new());
                    QueueRow::Told(Vec::new())
                };
                self.progress.write_l1(L1Row { header, queue });
            }
        }
        Ok(headers)
    }
}
