//! The tree of blocks above the finalised one, and the canonical chain through it. Pure: no disk.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use alloy_primitives::B256;

use super::{Reorg, STATE_HISTORY_BLOCKS, StoreError};
use crate::block::ExecutedBlock;

/// Invariants:
/// - every block but the finalised one has its parent in `blocks`;
/// - `canonical` holds the chain from the finalised block to the head, without gaps;
/// - `transactions` are those of canonical blocks above the finalised one;
/// - `history` holds the newest finalised blocks below the finalised one, oldest first.
#[derive(Debug)]
pub(super) struct Tree {
    blocks: HashMap<B256, Arc<ExecutedBlock>>,
    finalized: Arc<ExecutedBlock>,
    canonical: BTreeMap<u64, Arc<ExecutedBlock>>,
    transactions: HashMap<B256, (Arc<ExecutedBlock>, usize)>,
    history: VecDeque<Arc<ExecutedBlock>>,
    persisted: HashSet<B256>,
    persisted_head: B256,
}

/// What finalising a block will do; computed before anything is written.
#[derive(Debug)]
pub(super) struct FinalityPlan {
    /// Becoming final, oldest first.
    pub(super) finalized: Vec<Arc<ExecutedBlock>>,
    /// In the database as unfinalised, and to be removed there.
    pub(super) forget: Vec<B256>,
    /// Above the new finalised block and not yet in the database.
    pub(super) persist: Vec<Arc<ExecutedBlock>>,
    /// Staying in the tree above the new finalised block.
    keep: HashSet<B256>,
    /// The canonical head.
    pub(super) head: B256,
}

impl Tree {
    pub(super) fn new(finalized: Arc<ExecutedBlock>) -> Self {
        let hash = finalized.hash();
        Self {
            blocks: HashMap::from([(hash, finalized.clone())]),
            canonical: BTreeMap::from([(finalized.number(), finalized.clone())]),
            transactions: HashMap::new(),
            history: VecDeque::new(),
            persisted: HashSet::from([hash]),
            persisted_head: hash,
            finalized,
        }
    }

    pub(super) fn get(&self, hash: &B256) -> Option<Arc<ExecutedBlock>> {
        self.blocks.get(hash).cloned()
    }

    pub(super) fn finalized(&self) -> Arc<ExecutedBlock> {
        self.finalized.clone()
    }

    pub(super) fn head(&self) -> Arc<ExecutedBlock> {
        match self.canonical.last_key_value() {
            Some((_, head)) => head.clone(),
            None => self.finalized.clone(),
        }
    }

    pub(super) fn executed(&self, hash: &B256) -> Option<Arc<ExecutedBlock>> {
        self.get(hash)
            .or_else(|| self.history.iter().find(|old| old.hash() == *hash).cloned())
    }

    pub(super) fn executed_by_number(&self, number: u64) -> Option<Arc<ExecutedBlock>> {
        if let Some(block) = self.canonical.get(&number) {
            return Some(block.clone());
        }
        let back = self.finalized.number().checked_sub(number)?;
        let index = self
            .history
            .len()
            .checked_sub(usize::try_from(back).ok()?)?;
        self.history.get(index).cloned()
    }

    pub(super) fn transaction(&self, hash: &B256) -> Option<(Arc<ExecutedBlock>, usize)> {
        self.transactions.get(hash).cloned()
    }

    pub(super) fn insert(
        &mut self,
        block: Arc<ExecutedBlock>,
    ) -> Result<Arc<ExecutedBlock>, StoreError> {
        let hash = block.hash();
        if let Some(known) = self.blocks.get(&hash) {
            return Ok(known.clone());
        }
        let parent = block.header.parent_hash;
        if !self.blocks.contains_key(&parent) {
            return Err(StoreError::UnknownParent { hash, parent });
        }
        self.blocks.insert(hash, block.clone());
        Ok(block)
    }

    pub(super) fn set_canonical(&mut self, hash: B256) -> Result<Reorg, StoreError> {
        let mut cursor = self.get(&hash).ok_or(StoreError::UnknownBlock(hash))?;
        let mut added = Vec::new();
        while self
            .canonical
            .get(&cursor.number())
            .is_none_or(|own| own.hash() != cursor.hash())
        {
            let parent = cursor.header.parent_hash;
            added.push(cursor);
            cursor = self.get(&parent).ok_or(StoreError::UnknownBlock(parent))?;
        }
        added.reverse();
        let removed: Vec<_> = self
            .canonical
            .split_off(&(cursor.number() + 1))
            .into_values()
            .collect();
        for tx in removed.iter().flat_map(|block| &block.transactions) {
            self.transactions.remove(tx.tx_hash());
        }
        for block in &added {
            self.canonical.insert(block.number(), block.clone());
            for (index, tx) in block.transactions.iter().enumerate() {
                self.transactions
                    .insert(*tx.tx_hash(), (block.clone(), index));
            }
        }
        Ok(Reorg { removed, added })
    }

    /// Blocks that are not in the database, and the head if the database has another.
    pub(super) fn unpersisted(&self) -> (Vec<Arc<ExecutedBlock>>, Option<B256>) {
        let head = self.head().hash();
        let blocks = self
            .blocks
            .values()
            .filter(|block| !self.persisted.contains(&block.hash()))
            .cloned();
        (
            blocks.collect(),
            (head != self.persisted_head).then_some(head),
        )
    }

    pub(super) fn persisted(&mut self, blocks: &[Arc<ExecutedBlock>], head: Option<B256>) {
        self.persisted
            .extend(blocks.iter().map(|block| block.hash()));
        self.persisted_head = head.unwrap_or(self.persisted_head);
    }

    /// Everything in the tree came from the database.
    pub(super) fn mark_persisted(&mut self) {
        self.persisted = self.blocks.keys().copied().collect();
        self.persisted_head = self.head().hash();
    }

    pub(super) fn plan_finality(&self, hash: B256) -> Result<FinalityPlan, StoreError> {
        let target = self.executed(&hash).ok_or(StoreError::UnknownBlock(hash))?;
        if target.number() <= self.finalized.number() {
            // Finality never moves down; what is final already is no news.
            let final_ = self.executed_by_number(target.number());
            return match final_ {
                Some(block) if block.hash() == hash => Ok(FinalityPlan {
                    finalized: Vec::new(),
                    forget: Vec::new(),
                    persist: Vec::new(),
                    keep: HashSet::new(),
                    head: self.head().hash(),
                }),
                _ => Err(StoreError::NotCanonical(hash)),
            };
        }
        if self
            .canonical
            .get(&target.number())
            .is_none_or(|own| own.hash() != hash)
        {
            return Err(StoreError::NotCanonical(hash));
        }
        let from = self.finalized.number() + 1;
        let finalized: Vec<_> = self
            .canonical
            .range(from..=target.number())
            .map(|(_, block)| block.clone())
            .collect();

        // Descendants of the target stay; walking by number meets parents before children.
        let mut above: Vec<_> = self
            .blocks
            .values()
            .filter(|block| block.number() > target.number())
            .collect();
        above.sort_by_key(|block| block.number());
        let mut keep = HashSet::from([hash]);
        for block in &above {
            if keep.contains(&block.header.parent_hash) {
                keep.insert(block.hash());
            }
        }
        let stays = |block: &&Arc<ExecutedBlock>| keep.contains(&block.hash());
        let persist = above
            .into_iter()
            .filter(|block| stays(block) && !self.persisted.contains(&block.hash()))
            .cloned()
            .collect();
        let forget = self
            .persisted
            .iter()
            .filter(|known| **known == hash || !keep.contains(*known))
            .copied()
            .collect();
        Ok(FinalityPlan {
            finalized,
            forget,
            persist,
            keep,
            head: self.head().hash(),
        })
    }

    /// Carries out a plan made while nothing but insertions could happen in between.
    pub(super) fn finalize(&mut self, plan: FinalityPlan) -> Vec<Arc<ExecutedBlock>> {
        let FinalityPlan {
            finalized,
            persist,
            mut keep,
            ..
        } = plan;
        let Some(newest) = finalized.last().cloned() else {
            return finalized;
        };
        // Blocks inserted since the plan: they stay if their parent does.
        let mut late: Vec<_> = self
            .blocks
            .values()
            .filter(|block| block.number() > newest.number())
            .cloned()
            .collect();
        late.sort_by_key(|block| block.number());
        for block in late {
            if keep.contains(&block.header.parent_hash) {
                keep.insert(block.hash());
            }
        }
        self.history.push_back(self.finalized.clone());
        self.history
            .extend(finalized.iter().take(finalized.len() - 1).cloned());
        let excess = self.history.len().saturating_sub(STATE_HISTORY_BLOCKS);
        self.history.drain(..excess);
        for tx in finalized.iter().flat_map(|block| &block.transactions) {
            self.transactions.remove(tx.tx_hash());
        }
        self.canonical = self.canonical.split_off(&newest.number());
        self.blocks.retain(|hash, _| keep.contains(hash));
        self.persisted.retain(|hash| keep.contains(hash));
        self.persisted
            .extend(persist.iter().map(|block| block.hash()));
        self.persisted.insert(newest.hash());
        self.persisted_head = self.head().hash();
        self.finalized = newest;
        finalized
    }
}

#[cfg(test)]
mod tests;
