//! The embedded L1 as a state machine: which block comes in which slot, on which parent, and what
//! is final. It keeps no time; every decision takes the time as an argument.
//!
//! ```text
//!            reorg(2) at the next slot (6):        missed slot 4: no block,
//!                                                  5 builds on 3
//!   3 ── 4 ── 5            removed
//!    \
//!     4'── 5'── 6          one block heavier       2 ── 3 ────── 5
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_primitives::B256;
use cortado_evm::{
    BlockBuilder, BlockInputs, BlockRecord, BuildError, ChainSpec, ChainStore, ExecutedBlock,
    StoreError,
};

use crate::beacon::{Beacon, extra_data, fork_of, slot_of};
use crate::clock::SlotClock;
use crate::pool::Pool;

/// Why the chain could not go on, or a control was refused.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The store failed: the chain must stop rather than fork.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A block could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A reorg of nothing.
    #[error("a reorg of depth 0 changes nothing")]
    NoDepth,
    /// A reorg past finality.
    #[error("a reorg of depth {depth} at head {head} would revert the finalised block {finalized}")]
    TooDeep {
        /// Blocks to be replaced.
        depth: u64,
        /// Number of the head.
        head: u64,
        /// Number of the finalised block.
        finalized: u64,
    },
}

/// What a slot brought.
#[derive(Debug)]
pub struct Step {
    /// Blocks that left the canonical chain, oldest first.
    pub removed: Vec<Arc<ExecutedBlock>>,
    /// Blocks that joined it, oldest first; never empty.
    pub added: Vec<Arc<ExecutedBlock>>,
    /// The new finalised checkpoint and the blocks that became final, if any.
    pub finalized: Option<Finality>,
    /// Hashes of transactions the pool dropped because they turned out invalid.
    pub dropped: Vec<B256>,
}

/// A step of finality.
#[derive(Debug)]
pub struct Finality {
    /// The epoch of the checkpoint.
    pub epoch: u64,
    /// Its block, the last one at or before the epoch's first slot.
    pub checkpoint: Arc<BlockRecord>,
    /// Blocks newly final, oldest first, the checkpoint's last.
    pub blocks: Vec<Arc<ExecutedBlock>>,
}

/// The chain.
///
/// - The head is the newest block of the heaviest fork, as this machine builds them.
/// - `finalized ≤ safe ≤ head`, and all three are canonical.
/// - No slot is handled twice; what a crash or a pause left out is simply missed.
#[derive(Debug)]
pub struct L1Chain {
    clock: SlotClock,
    beacon: Arc<Beacon>,
    store: Arc<ChainStore>,
    pool: Arc<Mutex<Pool>>,
    finality_lag_epochs: u64,
    handled_slot: u64,
    to_miss: u64,
    reorg: Option<u64>,
    finality_stalled: bool,
    safe: Arc<BlockRecord>,
}

impl L1Chain {
    /// Continues the chain of a store (at genesis, if it is new). The pool is shared with those
    /// who read and fill it while a block executes.
    ///
    /// # Errors
    /// When the store fails.
    pub fn new(
        beacon: Arc<Beacon>,
        store: Arc<ChainStore>,
        pool: Arc<Mutex<Pool>>,
        finality_lag_epochs: u64,
    ) -> Result<Self, ChainError> {
        let head = store.head();
        let mut chain = Self {
            clock: beacon.clock(),
            handled_slot: slot_of(&head.header),
            safe: store.finalized().record.clone(),
            finality_lag_epochs: finality_lag_epochs.max(1),
            to_miss: 0,
            reorg: None,
            finality_stalled: false,
            beacon,
            store,
            pool,
        };
        chain.update_safe()?;
        Ok(chain)
    }

    /// The head.
    pub fn head(&self) -> Arc<ExecutedBlock> {
        self.store.head()
    }

    /// The newest justified block.
    pub fn safe(&self) -> Arc<BlockRecord> {
        self.safe.clone()
    }

    /// Whether finality stands still by command.
    pub fn finality_stalled(&self) -> bool {
        self.finality_stalled
    }

    /// At the next slot that is not missed, the last `depth` blocks are replaced by as many empty
    /// ones, and the slot's own block goes on top: the new fork is one block heavier. Their
    /// transactions return to the pool and may enter that block. A second call before that slot
    /// replaces the first.
    ///
    /// # Errors
    /// When that would replace nothing, or a finalised block.
    pub fn reorg(&mut self, depth: u64) -> Result<(), ChainError> {
        self.check_depth(depth)?;
        self.reorg = Some(depth);
        Ok(())
    }

    /// The next `slots` slots bring no block; added to those already to be missed.
    pub fn miss_next(&mut self, slots: u64) {
        self.to_miss = self.to_miss.saturating_add(slots);
    }

    /// Stops or resumes the advance of `safe` and `finalized`. A restart resumes it.
    pub fn stall_finality(&mut self, stalled: bool) {
        self.finality_stalled = stalled;
    }

    /// Does what the slot of `now_ms` asks for: nothing if it was handled before, if it is to be
    /// missed, or before slot 1. What it returns is durable.
    ///
    /// # Errors
    /// When the store or the EVM fails. The chain must not be used after that.
    pub fn tick(&mut self, now_ms: u64) -> Result<Option<Step>, ChainError> {
        let Some(slot) = self.clock.slot_at(now_ms) else {
            return Ok(None);
        };
        if slot <= self.handled_slot {
            return Ok(None);
        }
        // Slots that passed without a tick were missed too.
        self.to_miss = self.to_miss.saturating_sub(slot - self.handled_slot - 1);
        self.handled_slot = slot;
        if self.to_miss > 0 {
            self.to_miss -= 1;
            return Ok(None);
        }
        let head = self.store.head();
        let depth = self
            .reorg
            .take()
            .filter(|depth| self.check_depth(*depth).is_ok());
        let (parent, fork) = match depth {
            Some(depth) => self.rebuild_empty(&head, depth)?,
            None => (head.clone(), fork_of(&head.header)),
        };
        let (block, dropped) = self.build(&parent, &head, slot, fork)?;
        // On disk before anybody can see it.
        let moved = self.store.commit(block.hash())?;
        self.pool().prune(&block.state);
        let finalized = self.advance_finality()?;
        Ok(Some(Step {
            removed: moved.removed,
            added: moved.added,
            finalized,
            dropped,
        }))
    }

    /// The last canonical block at or before a slot.
    ///
    /// # Errors
    /// When the store fails.
    pub fn block_at_slot(&self, slot: u64) -> Result<Arc<BlockRecord>, ChainError> {
        block_at_slot(&self.store, slot)
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // The pool is consistent between any two calls, so a panic elsewhere does not spoil it.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spec(&self) -> &ChainSpec {
        self.store.spec()
    }

    fn check_depth(&self, depth: u64) -> Result<(), ChainError> {
        let (head, finalized) = (self.store.head().number(), self.store.finalized().number());
        match depth {
            0 => Err(ChainError::NoDepth),
            _ if depth > head - finalized => Err(ChainError::TooDeep {
                depth,
                head,
                finalized,
            }),
            _ => Ok(()),
        }
    }

    /// Builds `depth` empty blocks beside the last ones, in the same slots. Returns the tip of the
    /// new fork and its fork number.
    fn rebuild_empty(
        &self,
        head: &Arc<ExecutedBlock>,
        depth: u64,
    ) -> Result<(Arc<ExecutedBlock>, u32), ChainError> {
        let mut slots = Vec::new();
        let mut fork = 0;
        let mut ancestor = head.clone();
        for _ in 0..depth {
            slots.push(slot_of(&ancestor.header));
            fork = fork.max(fork_of(&ancestor.header));
            let parent = ancestor.header.parent_hash;
            ancestor = self
                .store
                .executed(&parent)
                .ok_or(StoreError::UnknownBlock(parent))?;
        }
        let fork = fork.wrapping_add(1);
        let mut tip = ancestor;
        for slot in slots.into_iter().rev() {
            let builder = self.start(&tip, slot, fork)?;
            tip = self.store.insert(builder.finish()?)?;
        }
        Ok((tip, fork))
    }

    /// Builds the block of a slot from the pool. `old_head` is the head before, whose
    /// transactions return first if it is on another fork.
    fn build(
        &self,
        parent: &Arc<ExecutedBlock>,
        old_head: &Arc<ExecutedBlock>,
        slot: u64,
        fork: u32,
    ) -> Result<(Arc<ExecutedBlock>, Vec<B256>), ChainError> {
        let base_fee = self.spec().next_base_fee(parent.header.inner());
        let ready = {
            let mut pool = self.pool();
            if parent.hash() != old_head.hash() {
                self.return_transactions(&mut pool, old_head, parent)?;
            }
            pool.ready(&parent.state, base_fee)
        };
        let mut builder = self.start(parent, slot, fork)?;
        let dropped = ready.fill(&mut builder);
        let block = self.store.insert(builder.finish()?)?;
        let mut pool = self.pool();
        for hash in &dropped {
            pool.remove(hash);
        }
        Ok((block, dropped))
    }

    /// Gives the pool back the transactions of the old fork, down to the common ancestor.
    fn return_transactions(
        &self,
        pool: &mut Pool,
        old_head: &Arc<ExecutedBlock>,
        parent: &Arc<ExecutedBlock>,
    ) -> Result<(), ChainError> {
        let mut new = parent.clone();
        let mut old = old_head.clone();
        let up = |block: &ExecutedBlock| {
            let parent = block.header.parent_hash;
            self.store
                .executed(&parent)
                .ok_or(StoreError::UnknownBlock(parent))
        };
        while old.hash() != new.hash() {
            if old.number() >= new.number() {
                for (tx, sender) in old.transactions.iter().zip(&old.senders) {
                    pool.take_back(*sender, tx);
                }
                old = up(&old)?;
            } else {
                new = up(&new)?;
            }
        }
        Ok(())
    }

    fn start(
        &self,
        parent: &ExecutedBlock,
        slot: u64,
        fork: u32,
    ) -> Result<BlockBuilder, ChainError> {
        let inputs = BlockInputs {
            timestamp: self.clock.timestamp(slot),
            beneficiary: self.beacon.proposer(slot).fee_recipient,
            prev_randao: self.beacon.randao(slot, fork),
            // EIP-4788: the root of the parent's beacon block.
            parent_beacon_block_root: self.beacon.header(&parent.header).root(),
            extra_data: extra_data(slot, fork),
            ..BlockInputs::default()
        };
        Ok(BlockBuilder::new(self.spec(), parent, inputs)?)
    }

    /// Finality follows the epochs: the checkpoint of the last epoch is justified, the one
    /// `finality_lag_epochs` back is final.
    fn advance_finality(&mut self) -> Result<Option<Finality>, ChainError> {
        self.update_safe()?;
        if self.finality_stalled {
            return Ok(None);
        }
        let epoch = self.clock.epoch(slot_of(&self.store.head().header));
        let Some(epoch) = epoch.checked_sub(self.finality_lag_epochs) else {
            return Ok(None);
        };
        let checkpoint = self.block_at_slot(self.clock.start_slot(epoch))?;
        if checkpoint.number() <= self.store.finalized().number() {
            return Ok(None);
        }
        let blocks = self.store.finalize(checkpoint.hash())?;
        Ok(Some(Finality {
            epoch,
            checkpoint,
            blocks,
        }))
    }

    /// `safe` is the checkpoint of the epoch before the head's, unless finality is stalled; a
    /// reorg below it takes it back to `finalized`.
    fn update_safe(&mut self) -> Result<(), ChainError> {
        let canonical = self.store.block_by_number(self.safe.number())?;
        if canonical.is_none_or(|block| block.hash() != self.safe.hash()) {
            self.safe = self.store.finalized().record.clone();
        }
        let epoch = self.clock.epoch(slot_of(&self.store.head().header));
        if self.finality_stalled || epoch == 0 {
            return Ok(());
        }
        let checkpoint = self.block_at_slot(self.clock.start_slot(epoch - 1))?;
        if checkpoint.number() > self.safe.number() {
            self.safe = checkpoint;
        }
        Ok(())
    }
}

/// The last canonical block at or before a slot: a binary search, since slots grow with numbers.
///
/// # Errors
/// When the store fails.
pub fn block_at_slot(store: &ChainStore, slot: u64) -> Result<Arc<BlockRecord>, ChainError> {
    let head = store.head();
    if slot_of(&head.header) <= slot {
        return Ok(head.record.clone());
    }
    let missing = |number| StoreError::Corrupt(format!("canonical block {number} is missing"));
    let (mut low, mut high) = (0, head.number());
    // Invariant: the slot of block `low` is at or before `slot`, that of `high` after it.
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let block = store
            .block_by_number(middle)?
            .ok_or_else(|| missing(middle))?;
        if slot_of(&block.header) <= slot {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(store.block_by_number(low)?.ok_or_else(|| missing(low))?)
}

#[cfg(test)]
mod tests;
