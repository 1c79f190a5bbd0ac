//! What readers see: immutable, shared, made anew when something changed.

use super::Engine;
use alloy_consensus::Sealable;
use alloy_primitives::map::HashMap;
use cortado_evm::{BlockBuilder, BlockRecord, CallContext, ExecutedBlock};
use cortado_types::{B256, Height, L1Ref, Seq, Slot};
use std::sync::Arc;

/// Block tags with the meaning of R22.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// Preconfirmed.
    Pending,
    /// Attested.
    Latest,
    /// Attested, and its context is safe on L1.
    Safe,
    /// Attested, and its context is at or below `L1fin`.
    Finalized,
}

/// An L2 block that is preconfirmed and not attested.
#[derive(Clone, Debug)]
pub struct PendingBlock {
    /// The block; while it grows its roots are zero and its hash is provisional.
    pub record: Arc<BlockRecord>,
    /// The state after it.
    pub context: CallContext,
    /// Positions of its transactions by hash.
    pub index: HashMap<B256, usize>,
    /// Number of its lane block.
    pub lane: Height,
    /// Slot of its lane block.
    pub slot: Slot,
    /// Position of its lane block in the slot.
    pub seq: Seq,
}

/// The chain at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// The last attested block.
    pub latest: Arc<ExecutedBlock>,
    /// Number and hash of `safe`.
    pub safe: (u64, B256),
    /// Number and hash of `finalized`.
    pub finalized: (u64, B256),
    /// Preconfirmed blocks on top of `latest`, oldest first.
    pub pending: Vec<Arc<PendingBlock>>,
    /// `L1*` as the finality chain has it.
    pub l1_head: L1Ref,
    /// `L1fin` as the finality chain has it.
    pub l1_fin: L1Ref,
    /// The L1 block that this node's L1 considers safe, if it is on the fork.
    pub l1_safe: Option<L1Ref>,
}

impl View {
    /// The number of the last block, preconfirmed ones included.
    pub fn pending_number(&self) -> u64 {
        self.latest.number() + self.pending.len() as u64
    }

    /// A preconfirmed block by number.
    pub fn pending_at(&self, number: u64) -> Option<&Arc<PendingBlock>> {
        let index = number.checked_sub(self.latest.number() + 1)?;
        self.pending.get(usize::try_from(index).ok()?)
    }

    /// A preconfirmed transaction: its block and position there.
    pub fn pending_transaction(&self, hash: &B256) -> Option<(&Arc<PendingBlock>, usize)> {
        self.pending
            .iter()
            .find_map(|block| Some((block, *block.index.get(hash)?)))
    }
}

impl Engine {
    /// The chain now. Blocks that did not change since `before` are shared with it.
    pub fn view(&mut self, before: Option<&View>) -> View {
        let latest = self.head();
        let (safe, finalized) = (self.safe(), self.finalized());
        let known = |number: u64| before.and_then(|view| view.pending_at(number)).cloned();
        let mut pending = Vec::new();
        for layer in self.layers() {
            let (lane, slot, seq) = (
                layer.header().height,
                layer.header().slot,
                layer.header().seq,
            );
            let made = |record: Arc<BlockRecord>, context| {
                let hashes = record.transactions.iter().map(|tx| *tx.tx_hash());
                let index = hashes.enumerate().map(|(i, hash)| (hash, i)).collect();
                Arc::new(PendingBlock {
                    record,
                    context,
                    index,
                    lane,
                    slot,
                    seq,
                })
            };
            if let Some(block) = layer.block() {
                let shared =
                    known(block.number()).filter(|known| known.record.hash() == block.hash());
                let context = || CallContext::after(block);
                pending.push(shared.unwrap_or_else(|| made(block.record.clone(), context())));
            } else if let Some(builder) = layer.builder() {
                let shared = known(builder.header().number).filter(|known| {
                    known.record.header.parent_hash == builder.header().parent_hash
                        && known.record.transactions.len() == builder.transactions().len()
                        && known.lane == lane
                });
                pending.push(match shared {
                    Some(shared) => shared,
                    None => made(Arc::new(provisional(builder)), builder.call_context()),
                });
            }
        }
        View {
            latest,
            safe,
            finalized,
            pending,
            l1_head: self.l1_head(),
            l1_fin: self.l1_fin(),
            l1_safe: self.l1_safe(),
        }
    }
}

/// The block so far, under a hash that will not be its own.
fn provisional(builder: &BlockBuilder) -> BlockRecord {
    BlockRecord {
        header: builder.header().clone().seal_slow(),
        transactions: builder.transactions().to_vec(),
        senders: builder.senders().to_vec(),
        receipts: builder.receipts().to_vec(),
        withdrawals: Vec::new(),
        credits: Vec::new(),
    }
}
