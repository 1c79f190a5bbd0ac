//! What a block of the finality chain does to the rollup.

use super::{
    Engine, EngineError, Held, Included, LaneRow,
    execute::{self, Senders},
    pending::Layer,
    progress::HeldRow,
};
use crate::source::Finalised;
use alloy_consensus::transaction::Recovered;
use alloy_eips::eip2718::Encodable2718;
use cortado_chain::Tip;
use cortado_derive::{Advance, L2Input, Lane};
use cortado_evm::ExecutedBlock;
use cortado_types::{B256, Bytes, Height, L1Ref, LaneBody, SignedLaneHeader, TimestampMs};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Why a transaction of a finalised lane block has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallen {
    /// Hash of the transaction.
    pub hash: B256,
    /// The transaction as it stands there.
    pub raw: Bytes,
    /// The lane block it stands in.
    pub lane: Height,
    /// In words.
    pub reason: String,
}

/// What one finalised lane block became.
#[derive(Clone, Debug)]
pub struct AppliedLane {
    /// Its header.
    pub lane: SignedLaneHeader,
    /// Hash of its header.
    pub hash: B256,
    /// The L2 block, if it yields one.
    pub block: Option<Arc<ExecutedBlock>>,
    /// Whether the block had been executed as pending.
    pub adopted: bool,
    /// Transactions without effect.
    pub fallen: Vec<Fallen>,
}

/// A transaction that had an effect and has none any more.
#[derive(Clone, Debug)]
pub struct Lost {
    /// The transaction.
    pub included: Included,
    /// The L2 block in which it was.
    pub number: u64,
    /// Why it is not in its place any more.
    pub reason: String,
}

/// What a change of L1 fork did to finalised lane blocks.
#[derive(Clone, Debug, Default)]
pub struct Reorg {
    /// L2 blocks that are no more, oldest first.
    pub removed: Vec<Arc<ExecutedBlock>>,
    /// What the same lane blocks became instead, oldest first.
    pub added: Vec<Arc<ExecutedBlock>>,
    /// Transactions without effect now, in the order they had.
    pub lost: Vec<Lost>,
    /// Transactions that kept their place, executed again.
    pub survived: usize,
    /// Lane blocks that wait until it is known what the new fork queued, by number, with the transactions
    /// that had an effect in them: nothing is said of these yet.
    pub undecided: Vec<(Height, BTreeSet<B256>)>,
}

/// What the derived chain changed.
#[derive(Clone, Debug, Default)]
pub struct Derivation {
    /// Lane blocks that are derived now.
    pub lanes: Vec<AppliedLane>,
    /// What a change of L1 fork did to lane blocks that were derived before.
    pub reorg: Option<Reorg>,
}

/// What one finalised block did.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Its number.
    pub height: Height,
    /// Its time, ms: closes slots (R6).
    pub timestamp: TimestampMs,
    /// Hashes of the namespace's lane blocks in it.
    pub included: Vec<B256>,
    /// The end of the L1 fork before, if the rollup is on another fork now.
    pub left: Option<L1Ref>,
    /// What came of it. Lane blocks are derived later if it is not known yet what L1 queued.
    pub derivation: Derivation,
}

impl Engine {
    /// Applies the next block of the finality chain.
    ///
    /// # Errors
    /// [`EngineError`]. Nothing has changed if the block is not the next or came without a body; with
    /// any other the engine cannot go on.
    pub fn apply(&mut self, finalised: &Finalised) -> Result<Applied, EngineError> {
        let block = finalised.block();
        let header = &block.header;
        if header.height != self.next_height() || header.parent != self.status.hash {
            return Err(EngineError::NotNext {
                got: header.height,
                parent: header.parent,
                height: self.status.height,
                hash: self.status.hash,
            });
        }
        let namespace = self.spec.namespace;
        let lanes: Vec<_> = cortado_derive::lanes_of(block, namespace)
            .cloned()
            .collect();
        let bodies = self.bodies(finalised, &lanes)?;
        let headers = self.read_headers(block)?;
        let old_tip = self.l1_tip();
        let to = (header.l1_head.block, header.l1_fin);
        let rows = lanes.iter().zip(&bodies).map(|(lane, body)| HeldRow {
            lane: lane.clone(),
            body: LaneBody::clone(&body.body),
        });
        let rows: Vec<_> = rows.collect();
        let advance = self.timeline.advance(bodies, &headers, to)?;
        self.status.height = header.height;
        self.status.hash = finalised.hash();
        (self.status.l1_head, self.status.l1_fin) = to;
        let mut included = Vec::new();
        for lane in lanes {
            let hash = lane.header.hash();
            self.status.tip = tip_of(&lane, hash);
            included.push(hash);
            self.waiting.push_back((lane, header.height));
        }
        let new = included.len();
        let derivation = self.take(advance, rows, !headers.is_empty())?;
        // What waits is known by number too.
        let late = self.waiting.len().min(new);
        let late = self.waiting.range(self.waiting.len() - late..);
        let late: Vec<_> = late
            .map(|(lane, included)| row_of(lane, *included))
            .collect();
        self.progress.write_lanes(&late);
        let applied = Applied {
            height: header.height,
            timestamp: header.timestamp,
            included,
            left: (!self.is_on_fork(&old_tip)).then_some(old_tip),
            derivation,
        };
        self.settle_layers(&applied);
        Ok(applied)
    }

    /// Executes what was derived.
    pub(super) fn take(
        &mut self,
        advance: Advance,
        held_rows: Vec<HeldRow>,
        pointer_moved: bool,
    ) -> Result<Derivation, EngineError> {
        let old: Vec<Held> = self.held.drain(advance.kept..).collect();
        let mut inputs = advance.inputs.into_iter();
        let (mut rows, mut again) = (Vec::new(), Vec::new());
        let mut redone = 0;
        for (held, input) in old.iter().zip(inputs.by_ref()) {
            again.extend(self.execute_again(held.clone(), &input)?);
            rows.extend(self.held.back().map(|held| held.row));
            redone += 1;
        }
        // What waits now for what the new fork queued.
        for held in old[redone..].iter().rev() {
            self.waiting
                .push_front((held.lane.clone(), held.row.included));
        }
        let mut derivation = Derivation {
            lanes: Vec::new(),
            reorg: (!old.is_empty()).then(|| self.compare(&old, advance.kept, again, redone)),
        };
        let mut matched = Some(0);
        for input in inputs {
            let Some((lane, included)) = self.waiting.pop_front() else {
                break;
            };
            let done = self.execute_new(&lane, &input, included, &mut matched)?;
            rows.extend(self.held.back().map(|held| held.row));
            derivation.lanes.push(done);
        }
        self.settle(pointer_moved);
        self.status.l2_head = self.head().hash();
        let first = self.held.front().map(|held| held.row.height);
        let first = first.or_else(|| Some(self.waiting.front()?.0.header.height));
        let tip = self.status.tip.height;
        let held_from = first.unwrap_or_else(|| tip.next().unwrap_or(tip));
        self.progress
            .write(&self.status, &rows, held_rows, held_from);
        self.mark_safe();
        Ok(derivation)
    }

    /// The bodies of finalised lane blocks: as they came, or as they are pending here.
    fn bodies(
        &self,
        finalised: &Finalised,
        lanes: &[SignedLaneHeader],
    ) -> Result<Vec<Lane>, EngineError> {
        let body_of = |lane: &SignedLaneHeader| {
            let hash = lane.header.hash();
            let own = || {
                let layer = self
                    .layers
                    .iter()
                    .find(|layer| layer.sealed_as() == Some(hash));
                layer.map(Layer::body)
            };
            let body = finalised.body(&hash).cloned().or_else(own);
            body.ok_or(EngineError::NoBody {
                lane: hash,
                height: finalised.block().header.height,
            })
        };
        let lane = |lane: &SignedLaneHeader| {
            Ok(Lane {
                header: lane.header.clone(),
                body: Arc::new(body_of(lane)?),
            })
        };
        lanes.iter().map(lane).collect()
    }

    /// Executes a lane block on the head and holds it; gives what has no effect.
    fn execute_held(
        &mut self,
        mut held: Held,
        input: &L2Input,
    ) -> Result<(Option<Arc<ExecutedBlock>>, Vec<execute::Skipped>), EngineError> {
        let head = self.head();
        let (lane, senders) = (held.row.hash, &mut held.senders);
        let (block, skipped) =
            execute::execute(&self.spec.chain, &head, input, held.signer, senders)
                .map_err(|source| EngineError::Build { lane, source })?;
        let block = block.map(|block| self.store.insert(block)).transpose()?;
        self.hold(held, block.clone(), input);
        Ok((block, skipped))
    }

    fn hold(&mut self, mut held: Held, block: Option<Arc<ExecutedBlock>>, input: &L2Input) {
        held.row.reached = input.context;
        held.row.l2_number = block.as_ref().map_or(0, |block| block.number());
        held.head = block.unwrap_or_else(|| self.head());
        self.held.push_back(held);
    }

    /// What has no effect of a lane block that is executed again.
    fn execute_again(&mut self, held: Held, input: &L2Input) -> Result<Vec<Fallen>, EngineError> {
        let (_, skipped) = self.execute_held(held, input)?;
        let lane = self.timeline.lane(self.held.len() - 1);
        let fallen = lane.map(|lane| execute::fallen(input, &lane.body, skipped));
        Ok(fallen.unwrap_or_default())
    }

    /// `matched` counts the pending layers that are final so far; `None` once another lane block came.
    fn execute_new(
        &mut self,
        lane: &SignedLaneHeader,
        input: &L2Input,
        included: Height,
        matched: &mut Option<usize>,
    ) -> Result<AppliedLane, EngineError> {
        let hash = lane.header.hash();
        let head = self.head();
        let row = row_of(lane, included);
        let layer = matched
            .and_then(|index| self.layers.get(index))
            .filter(|layer| layer.sealed_as() == Some(hash));
        *matched = matched.filter(|_| layer.is_some()).map(|index| index + 1);
        let adopted = layer.and_then(|layer| layer.executed_as(&head, input));
        let senders = layer.map_or_else(Senders::default, Layer::senders);
        let signer = match layer {
            // Recovered when it was sealed.
            Some(layer) => layer.signer(),
            None => lane
                .signer()
                .map_err(|source| EngineError::Signature { lane: hash, source })?,
        };
        let held = Held {
            lane: lane.clone(),
            signer,
            senders,
            row,
            head,
        };
        let is_adopted = adopted.is_some();
        let (block, skipped) = match adopted {
            Some((block, skipped)) => {
                let block = block.map(|block| self.store.insert(block)).transpose()?;
                self.hold(held, block.clone(), input);
                (block, skipped)
            }
            None => self.execute_held(held, input)?,
        };
        let body = self
            .timeline
            .lane(self.held.len() - 1)
            .map(|lane| &lane.body);
        let fallen = body.map(|body| execute::fallen(input, body, skipped));
        Ok(AppliedLane {
            lane: lane.clone(),
            hash,
            block,
            adopted: is_adopted,
            fallen: fallen.unwrap_or_default(),
        })
    }

    /// What became of lane blocks that were executed again: `old` is what they were, `fallen` what has
    /// no effect now, and the first `redone` of them are derived so far.
    fn compare(&self, old: &[Held], kept: usize, fallen: Vec<Fallen>, redone: usize) -> Reorg {
        let block = |held: &Held| (held.row.l2_number > 0).then(|| held.head.clone());
        let mut removed: Vec<_> = old.iter().filter_map(block).collect();
        let mut added: Vec<_> = self.held.range(kept..).filter_map(block).collect();
        let same = removed.iter().zip(&added);
        let same = same
            .take_while(|(one, two)| one.hash() == two.hash())
            .count();
        removed.drain(..same);
        added.drain(..same);
        let hashes = |blocks: &[Arc<ExecutedBlock>]| -> BTreeSet<B256> {
            let transactions = blocks.iter().flat_map(|block| &block.transactions);
            transactions
                .map(|transaction| *transaction.tx_hash())
                .collect()
        };
        let (before, now) = (hashes(&removed), hashes(&added));
        let reasons: BTreeMap<B256, String> = fallen
            .into_iter()
            .map(|fell| (fell.hash, fell.reason))
            .collect();
        let undecided = old[redone..].iter().map(|held| {
            let blocks: Vec<_> = block(held).into_iter().collect();
            (held.row.height, hashes(&blocks))
        });
        let undecided: Vec<_> = undecided.collect();
        let mut lost = Vec::new();
        let decided: Vec<_> = old[..redone].iter().filter_map(block).skip(same).collect();
        for block in &decided {
            for (transaction, sender) in block.transactions.iter().zip(&block.senders) {
                let hash = transaction.tx_hash();
                if now.contains(hash) {
                    continue;
                }
                lost.push(Lost {
                    included: Included {
                        raw: transaction.encoded_2718().into(),
                        transaction: Recovered::new_unchecked(transaction.clone(), *sender),
                    },
                    number: block.number(),
                    reason: reasons.get(hash).cloned().unwrap_or_default(),
                });
            }
        }
        Reorg {
            survived: before.intersection(&now).count(),
            removed,
            added,
            lost,
            undecided,
        }
    }

    /// Lets go of what no fork can change any more.
    fn settle(&mut self, pointer_moved: bool) {
        let count = self.timeline.settle(&self.status.l1_fin);
        if let Some(last) = self.held.drain(..count).next_back() {
            self.settled = last.head;
        }
        if pointer_moved {
            self.timeline.prune();
        }
        self.forget_lost_forks();
        self.status.settled = self.timeline.settled().clone();
        self.status.l2_settled = self.settled.hash();
    }
}

fn tip_of(lane: &SignedLaneHeader, hash: B256) -> Tip {
    let header = &lane.header;
    Tip {
        height: header.height,
        hash,
        slot: header.slot,
        seq: header.seq,
        last: header.last,
        timestamp: header.timestamp,
    }
}

/// What is known of a lane block before it is derived.
fn row_of(lane: &SignedLaneHeader, included: Height) -> LaneRow {
    let header = &lane.header;
    LaneRow {
        height: header.height,
        hash: header.hash(),
        slot: header.slot,
        seq: header.seq,
        timestamp: header.timestamp,
        context: header.context,
        reached: header.context,
        included,
        l2_number: 0,
    }
}
