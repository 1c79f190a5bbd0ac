//! The chain's blocks: the recent ones as a tree in memory, the finalised ones in a database.
//!
//! ```text
//!             tree, in memory                          o───o fork
//!                                                     /
//!   disk:  o───o───o───o  finalised ───o───o───o───o head
//!          blocks, receipts,           └── persist(): block bodies, executed
//!          the state of the last one       again when the store is opened
//! ```
//!
//! Finalised blocks and the flat state of the last of them are in `chain.redb`; the state itself
//! is held in memory as a trie and rebuilt, root checked, on opening. [`ChainStore::persist`] and
//! [`ChainStore::finalize`] are one database transaction each and return when it is on disk, so
//! `kill -9` at any moment leaves what the last of them left. A file that does not decode, or whose
//! hashes do not match, is refused with [`StoreError::Corrupt`] and never repaired by guessing.

mod codec;
mod disk;
mod logs;
mod tree;

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use alloy_genesis::Genesis;
use alloy_primitives::B256;
use alloy_rpc_types_eth::Filter;

use self::{disk::Disk, tree::Tree};
use crate::{
    block::{BlockRecord, ExecutedBlock},
    execute::{ExecutionError, replay},
    genesis::genesis_block,
    spec::ChainSpec,
};

pub use self::logs::matching_logs;

/// Format of the database this version writes.
pub const FORMAT_VERSION: u32 = 1;

/// States are kept for this many finalised blocks, besides those of all unfinalised ones.
pub const STATE_HISTORY_BLOCKS: usize = 128;

/// What the store cannot do, or what is wrong with the data directory.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Written by a newer version of this program.
    #[error("data format {found} is newer than {supported}, the newest this version knows")]
    NewerFormat {
        /// In the database.
        found: u32,
        /// [`FORMAT_VERSION`].
        supported: u32,
    },
    /// Another chain's data.
    #[error("the database holds the chain with genesis {found}, expected {expected}")]
    WrongGenesis {
        /// In the database.
        found: B256,
        /// Of the given genesis.
        expected: B256,
    },
    /// The data is damaged.
    #[error("the database is corrupt: {0}")]
    Corrupt(String),
    /// Another process has the database open.
    #[error("the database is in use by another process")]
    InUse,
    /// The database failed.
    #[error("database: {0}")]
    Database(Box<redb::Error>),
    /// A stored block does not execute to what it was.
    #[error("stored block {number} ({hash}) does not re-execute: {source}")]
    Replay {
        /// Its number.
        number: u64,
        /// Its hash.
        hash: B256,
        /// Why.
        source: Box<ExecutionError>,
    },
    /// A block whose parent is not in the tree (unknown, or below the finalised block).
    #[error("block {hash} has no parent {parent} in the tree")]
    UnknownParent {
        /// The block.
        hash: B256,
        /// Its parent.
        parent: B256,
    },
    /// A block that is not in the tree.
    #[error("block {0} is not in the tree")]
    UnknownBlock(B256),
    /// Finality follows the canonical chain.
    #[error("block {0} is not canonical and cannot be finalised")]
    NotCanonical(B256),
}

/// What moving the canonical head did, oldest block first in both lists.
#[derive(Clone, Debug, Default)]
pub struct Reorg {
    /// No longer canonical.
    pub removed: Vec<Arc<ExecutedBlock>>,
    /// Newly canonical.
    pub added: Vec<Arc<ExecutedBlock>>,
}

/// Where a transaction is.
#[derive(Clone, Debug)]
pub struct TxLocation {
    /// Its block.
    pub block: Arc<BlockRecord>,
    /// Its position there.
    pub index: usize,
}

/// Most blocks and logs that one query may touch and return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Blocks in the range.
    pub blocks: u64,
    /// Logs returned.
    pub logs: usize,
}

/// A log query that is refused.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The range is too long.
    #[error("range of {blocks} blocks above the limit {limit}")]
    TooManyBlocks {
        /// Its length.
        blocks: u64,
        /// The limit.
        limit: u64,
    },
    /// Too many logs match.
    #[error("more than {limit} logs match: narrow the range")]
    TooManyLogs {
        /// The limit.
        limit: usize,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The blocks of one chain. All methods take `&self`: share it with `Arc`. Reads never wait for the
/// disk writes of [`Self::persist`] and [`Self::finalize`].
#[derive(Debug)]
pub struct ChainStore {
    spec: ChainSpec,
    disk: Disk,
    tree: RwLock<Tree>,
    /// Held while the canonical chain or the database changes, so that what is written is what is
    /// canonical when the write returns.
    writing: Mutex<()>,
}

impl ChainStore {
    /// Opens (or creates) the store in directory `dir`. The state of the finalised block is read
    /// back and its root checked, persisted blocks above it are executed again.
    pub fn open(dir: &Path, spec: ChainSpec, genesis: &Genesis) -> Result<Self, StoreError> {
        Self::with_disk(Disk::open(dir)?, spec, genesis)
    }

    /// A store that forgets everything when dropped, for simulations.
    pub fn in_memory(spec: ChainSpec, genesis: &Genesis) -> Result<Self, StoreError> {
        Self::with_disk(Disk::in_memory()?, spec, genesis)
    }

    fn with_disk(disk: Disk, spec: ChainSpec, genesis: &Genesis) -> Result<Self, StoreError> {
        let genesis = genesis_block(&spec, genesis);
        let finalized = match disk.load_finalized(genesis.hash())? {
            Some(finalized) => finalized,
            None => {
                disk.initialise(&genesis)?;
                genesis
            }
        };
        let mut tree = Tree::new(Arc::new(finalized));
        let (mut pending, head) = disk.load_pending()?;
        // Parents come before children, whatever their hashes.
        pending.sort_by_key(|block| block.header.number);
        for block in pending {
            let (number, hash) = (block.header.number, block.header.hash());
            let Some(parent) = tree.get(&block.header.parent_hash) else {
                return Err(StoreError::Corrupt(format!(
                    "unfinalised block {number} ({hash}) has no parent"
                )));
            };
            let body = block.to_block();
            let executed = replay(&spec, &parent, &body, &block.senders, &block.credits).map_err(
                |source| StoreError::Replay {
                    number,
                    hash,
                    source: Box::new(source),
                },
            )?;
            tree.insert(Arc::new(executed))?;
        }
        if tree.get(&head).is_none() {
            return Err(StoreError::Corrupt(format!("the head {head} is missing")));
        }
        tree.set_canonical(head)?;
        tree.mark_persisted();
        Ok(Self {
            spec,
            disk,
            tree: RwLock::new(tree),
            writing: Mutex::new(()),
        })
    }

    // A panic while a lock is held cannot leave the tree half changed: every change is computed
    // before it is made.
    fn read(&self) -> RwLockReadGuard<'_, Tree> {
        self.tree.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tree> {
        self.tree.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The chain's constants.
    pub fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// The canonical head.
    pub fn head(&self) -> Arc<ExecutedBlock> {
        self.read().head()
    }

    /// The finalised block; genesis at first.
    pub fn finalized(&self) -> Arc<ExecutedBlock> {
        self.read().finalized()
    }

    /// Adds a block to the tree; it does not become canonical. Known blocks are ignored.
    pub fn insert(&self, block: ExecutedBlock) -> Result<Arc<ExecutedBlock>, StoreError> {
        self.write().insert(Arc::new(block))
    }

    /// Makes `hash`, a block of the tree, the canonical head.
    pub fn set_canonical(&self, hash: B256) -> Result<Reorg, StoreError> {
        let _writing = self.start_writing();
        self.write().set_canonical(hash)
    }

    /// Makes every block of the tree and the canonical head durable: after this returns, a crash
    /// loses neither.
    pub fn persist(&self) -> Result<(), StoreError> {
        let _writing = self.start_writing();
        let (blocks, head) = self.read().unpersisted();
        if blocks.is_empty() && head.is_none() {
            return Ok(());
        }
        self.disk.persist(&blocks, self.head().hash())?;
        self.write().persisted(&blocks, head);
        Ok(())
    }

    /// [`Self::set_canonical`] and [`Self::persist`] in one, the disk first: no reader sees a head
    /// that a crash could still take back.
    pub fn commit(&self, hash: B256) -> Result<Reorg, StoreError> {
        let _writing = self.start_writing();
        let blocks = {
            let tree = self.read();
            tree.get(&hash).ok_or(StoreError::UnknownBlock(hash))?;
            tree.unpersisted().0
        };
        self.disk.persist(&blocks, hash)?;
        let mut tree = self.write();
        let reorg = tree.set_canonical(hash)?;
        tree.persisted(&blocks, Some(hash));
        Ok(reorg)
    }

    /// Makes `hash`, a canonical block, final: what is at or below it becomes durable and leaves
    /// the tree, forks beside it are dropped. What is above it is persisted. Returns the blocks
    /// newly final, oldest first.
    pub fn finalize(&self, hash: B256) -> Result<Vec<Arc<ExecutedBlock>>, StoreError> {
        let _writing = self.start_writing();
        let plan = self.read().plan_finality(hash)?;
        if plan.finalized.is_empty() {
            return Ok(Vec::new());
        }
        self.disk.finalize(&plan)?;
        Ok(self.write().finalize(plan))
    }

    /// A block with its state: in the tree, or among the last [`STATE_HISTORY_BLOCKS`] final ones.
    pub fn executed(&self, hash: &B256) -> Option<Arc<ExecutedBlock>> {
        self.read().executed(hash)
    }

    /// The canonical block with this number, if its state is still held.
    pub fn executed_by_number(&self, number: u64) -> Option<Arc<ExecutedBlock>> {
        self.read().executed_by_number(number)
    }

    /// Any known block, canonical or not.
    pub fn block(&self, hash: &B256) -> Result<Option<Arc<BlockRecord>>, StoreError> {
        if let Some(block) = self.executed(hash) {
            return Ok(Some(block.record.clone()));
        }
        match self.disk.number_of(hash)? {
            Some(number) => Ok(self.disk.block(number)?.map(Arc::new)),
            None => Ok(None),
        }
    }

    /// The canonical block with this number.
    pub fn block_by_number(&self, number: u64) -> Result<Option<Arc<BlockRecord>>, StoreError> {
        if let Some(block) = self.executed_by_number(number) {
            return Ok(Some(block.record.clone()));
        }
        Ok(self.disk.block(number)?.map(Arc::new))
    }

    /// Hash of the canonical block with this number.
    pub fn hash_by_number(&self, number: u64) -> Result<Option<B256>, StoreError> {
        if let Some(block) = self.executed_by_number(number) {
            return Ok(Some(block.hash()));
        }
        Ok(self.disk.header(number)?.map(|header| header.hash()))
    }

    /// Where a canonical transaction is.
    pub fn transaction(&self, hash: &B256) -> Result<Option<TxLocation>, StoreError> {
        let found = self.read().transaction(hash);
        if let Some((block, index)) = found {
            return Ok(Some(TxLocation {
                block: block.record.clone(),
                index,
            }));
        }
        let Some((number, index)) = self.disk.transaction(hash)? else {
            return Ok(None);
        };
        let block = self.block_by_number(number)?.ok_or_else(|| {
            StoreError::Corrupt(format!("block {number} of transaction {hash} is missing"))
        })?;
        Ok(Some(TxLocation { block, index }))
    }

    /// Logs of canonical blocks `from..=to` that match `filter` (its addresses and topics; its own
    /// range is ignored). Blocks above the head do not count.
    pub fn logs(
        &self,
        from: u64,
        to: u64,
        filter: &Filter,
        limits: &LogLimits,
    ) -> Result<Vec<alloy_rpc_types_eth::Log>, LogsError> {
        let to = to.min(self.head().number());
        let blocks = to.saturating_add(1).saturating_sub(from);
        if blocks > limits.blocks {
            return Err(LogsError::TooManyBlocks {
                blocks,
                limit: limits.blocks,
            });
        }
        let mut found = Vec::new();
        for number in from..=to {
            let block = match self.executed_by_number(number) {
                Some(block) => block.record.clone(),
                // The header's bloom tells most blocks apart without reading their receipts.
                None => match self.disk.header(number)? {
                    Some(header) if filter.matches_bloom(header.logs_bloom) => {
                        match self.disk.block(number)? {
                            Some(block) => Arc::new(block),
                            None => continue,
                        }
                    }
                    _ => continue,
                },
            };
            found.extend(matching_logs(&block, filter));
            if found.len() > limits.logs {
                return Err(LogsError::TooManyLogs { limit: limits.logs });
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
