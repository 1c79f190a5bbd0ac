//! The chain's blocks: the recent ones as a tree in memory, the finalised ones in a database.

use std::{path::Path, sync::Arc};

use alloy_genesis::Genesis;
use alloy_primitives::B256;
use alloy_rpc_types_eth::Filter;

use crate::{
    block::{BlockRecord, ExecutedBlock},
    execute::ExecutionError,
    spec::ChainSpec,
};

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

/// The blocks of one chain. All methods take `&self`: share it with `Arc`.
#[derive(Debug)]
pub struct ChainStore {
    spec: ChainSpec,
}

impl ChainStore {
    /// Opens (or creates) the store in directory `dir`. The state of the finalised block is read
    /// back and its root checked, persisted blocks above it are executed again.
    pub fn open(dir: &Path, spec: ChainSpec, genesis: &Genesis) -> Result<Self, StoreError> {
        let _ = (dir, spec, genesis);
        todo!()
    }

    /// A store that forgets everything when dropped, for simulations.
    pub fn in_memory(spec: ChainSpec, genesis: &Genesis) -> Result<Self, StoreError> {
        let _ = (spec, genesis);
        todo!()
    }

    /// The chain's constants.
    pub fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// The canonical head.
    pub fn head(&self) -> Arc<ExecutedBlock> {
        todo!()
    }

    /// The finalised block; genesis at first.
    pub fn finalized(&self) -> Arc<ExecutedBlock> {
        todo!()
    }

    /// Adds a block to the tree; it does not become canonical. Known blocks are ignored.
    pub fn insert(&self, block: ExecutedBlock) -> Result<Arc<ExecutedBlock>, StoreError> {
        let _ = block;
        todo!()
    }

    /// Makes `hash`, a block of the tree, the canonical head.
    pub fn set_canonical(&self, hash: B256) -> Result<Reorg, StoreError> {
        let _ = hash;
        todo!()
    }

    /// Makes every block of the tree and the canonical head durable: after this returns, a crash
    /// loses neither.
    pub fn persist(&self) -> Result<(), StoreError> {
        todo!()
    }

    /// Makes `hash`, a canonical block, final: what is at or below it becomes durable and leaves
    /// the tree, forks beside it are dropped. Returns the blocks newly final, oldest first.
    pub fn finalize(&self, hash: B256) -> Result<Vec<Arc<ExecutedBlock>>, StoreError> {
        let _ = hash;
        todo!()
    }

    /// A block with its state: in the tree, or among the last [`STATE_HISTORY_BLOCKS`] final ones.
    pub fn executed(&self, hash: &B256) -> Option<Arc<ExecutedBlock>> {
        let _ = hash;
        todo!()
    }

    /// Any known block, canonical or not.
    pub fn block(&self, hash: &B256) -> Result<Option<Arc<BlockRecord>>, StoreError> {
        let _ = hash;
        todo!()
    }

    /// The canonical block with this number.
    pub fn block_by_number(&self, number: u64) -> Result<Option<Arc<BlockRecord>>, StoreError> {
        let _ = number;
        todo!()
    }

    /// Hash of the canonical block with this number.
    pub fn hash_by_number(&self, number: u64) -> Result<Option<B256>, StoreError> {
        let _ = number;
        todo!()
    }

    /// Where a canonical transaction is.
    pub fn transaction(&self, hash: &B256) -> Result<Option<TxLocation>, StoreError> {
        let _ = hash;
        todo!()
    }

    /// Logs of canonical blocks `from..=to` that match `filter` (its addresses and topics; its own
    /// range is ignored).
    pub fn logs(
        &self,
        from: u64,
        to: u64,
        filter: &Filter,
        limits: &LogLimits,
    ) -> Result<Vec<alloy_rpc_types_eth::Log>, LogsError> {
        let _ = (from, to, filter, limits);
        todo!()
    }
}
