//! Where things stand: heights by block hash, lane blocks by number, transactions by hash.
//!
//! Everything in here can be made again from final blocks, so it is written lazily: a crash loses
//! the newest entries, and the next start makes them again from the height that is on disk.

use crate::reader::{LanePlace, TransactionPlace};
use cortado_types::{B256, Block, Height, LaneBody, Namespace, keccak256};
use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition,
};
use std::path::Path;
use thiserror::Error;

const BLOCKS: TableDefinition<u64, [u8; 32]> = TableDefinition::new("blocks");
const HEIGHTS: TableDefinition<[u8; 32], u64> = TableDefinition::new("heights");
const LANES: TableDefinition<(u64, u64), (u64, u32)> = TableDefinition::new("lanes");
const TRANSACTIONS: TableDefinition<[u8; 32], (u64, u64, u32)> =
    TableDefinition::new("transactions");
/// Hashes of a lane block's transactions, one after the other, oldest lane block first, so that the
/// oldest can be dropped.
const INDEXED: TableDefinition<u64, &[u8]> = TableDefinition::new("indexed");

/// Lane blocks whose transactions are found by hash; older ones are found by position only. At 60
/// bytes a transaction and a thousand of them each this bounds the file to about a GiB.
pub const INDEXED_LANES_MAX: u64 = 16_384;

/// A write to disk every so many blocks; what is lost in between is made again.
const SYNC_INTERVAL: u64 = 256;

/// Why the index fails.
#[derive(Debug, Error)]
#[error("index: {0}")]
pub struct IndexError(#[from] redb::Error);

macro_rules! into_index_error {
    ($($error:ty),*) => { $(impl From<$error> for IndexError {
        fn from(error: $error) -> Self { Self(error.into()) }
    })* };
}
into_index_error!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::SetDurabilityError
);

/// The index of one node.
#[derive(Debug)]
pub struct Index(Database);

impl Index {
    /// Opens or creates it.
    ///
    /// # Errors
    /// If the file is not a database or the system fails.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let database = Database::create(path)?;
        let write = database.begin_write()?;
        write.open_table(BLOCKS)?;
        write.open_table(HEIGHTS)?;
        write.open_table(LANES)?;
        write.open_table(TRANSACTIONS)?;
        write.open_table(INDEXED)?;
        write.commit()?;
        Ok(Self(database))
    }

    /// Hashes of the blocks indexed so far, from height 0.
    ///
    /// # Errors
    /// If the store fails.
    pub fn hashes(&self) -> Result<Vec<B256>, IndexError> {
        let read = self.0.begin_read()?;
        let blocks = read.open_table(BLOCKS)?;
        let mut hashes = Vec::with_capacity(blocks.len()? as usize);
        for entry in blocks.iter()? {
            let (height, hash) = entry?;
            // A gap cannot be; what is after one is made again.
            if height.value() != hashes.len() as u64 {
                break;
            }
            hashes.push(B256::from(hash.value()));
        }
        Ok(hashes)
    }

    /// Adds a final block and the bodies at hand of its lane blocks, by lane hash.
    ///
    /// # Errors
    /// If the store fails.
    pub fn add(
        &self,
        block: &Block,
        body: impl Fn(B256) -> Option<LaneBody>,
    ) -> Result<(), IndexError> {
        let height = block.header.height;
        let hash = block.hash();
        let mut write = self.0.begin_write()?;
        let durable = height.get().is_multiple_of(SYNC_INTERVAL);
        write.set_durability(if durable {
            Durability::Immediate
        } else {
            Durability::None
        })?;
        {
            write.open_table(BLOCKS)?.insert(height.get(), hash.0)?;
            write.open_table(HEIGHTS)?.insert(hash.0, height.get())?;
            let mut lanes = write.open_table(LANES)?;
            let mut transactions = write.open_table(TRANSACTIONS)?;
            let mut indexed = write.open_table(INDEXED)?;
            for (position, entry) in block.lanes.iter().enumerate() {
                let header = &entry.lane.header;
                let lane = (header.namespace.get(), header.height.get());
                lanes.insert(lane, (height.get(), position as u32))?;
                let Some(body) = body(header.hash()) else {
                    continue;
                };
                let mut hashes = Vec::with_capacity(32 * body.transactions.len());
                for (index, transaction) in body.transactions.iter().enumerate() {
                    let hash = keccak256(transaction);
                    transactions.insert(hash.0, (lane.0, lane.1, index as u32))?;
                    hashes.extend_from_slice(hash.as_slice());
                }
                let next = indexed.last()?.map_or(0, |(number, _)| number.value() + 1);
                indexed.insert(next, hashes.as_slice())?;
            }
            while indexed.len()? > INDEXED_LANES_MAX {
                let Some((_, hashes)) = indexed.pop_first()? else {
                    break;
                };
                for hash in hashes.value().chunks_exact(32) {
                    transactions.remove(B256::from_slice(hash).0)?;
                }
            }
        }
        write.commit()?;
        Ok(())
    }

    /// The height of a final block.
    ///
    /// # Errors
    /// If the store fails.
    pub fn height_of(&self, hash: B256) -> Result<Option<Height>, IndexError> {
        let read = self.0.begin_read()?;
        let found = read.open_table(HEIGHTS)?.get(hash.0)?;
        Ok(found.map(|height| Height::new(height.value())))
    }

    /// The block that carries a lane block.
    ///
    /// # Errors
    /// If the store fails.
    pub fn lane(
        &self,
        namespace: Namespace,
        lane: Height,
    ) -> Result<Option<LanePlace>, IndexError> {
        let read = self.0.begin_read()?;
        let found = read.open_table(LANES)?.get((namespace.get(), lane.get()))?;
        Ok(found.map(|place| {
            let (height, index) = place.value();
            LanePlace {
                height: Height::new(height),
                index: index as usize,
            }
        }))
    }

    /// The place of a transaction, if its lane block is among the newest
    /// [`INDEXED_LANES_MAX`].
    ///
    /// # Errors
    /// If the store fails.
    pub fn transaction(&self, hash: B256) -> Result<Option<TransactionPlace>, IndexError> {
        let read = self.0.begin_read()?;
        let found = read.open_table(TRANSACTIONS)?.get(hash.0)?;
        Ok(found.map(|place| {
            let (namespace, lane_height, index) = place.value();
            TransactionPlace {
                namespace: Namespace::new(namespace),
                lane_height: Height::new(lane_height),
                index: index as usize,
            }
        }))
    }
}
