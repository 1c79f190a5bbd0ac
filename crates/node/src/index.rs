//! Where things stand: heights by block hash, lane blocks by number, transactions by hash.
//!
//! Everything in here can be made again from final blocks, so it is written lazily: a crash loses
//! the newest entries, and the next start makes them again from the height that is on disk.
//!
//! Transactions are in a file of their own: there are many, their bodies may come late, and a
//! block must not wait for them to be shown.

use crate::reader::{LanePlace, TransactionPlace};
use cortado_types::{B256, Block, Height, LaneBody, LaneHeader, Namespace, keccak256};
use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition,
    WriteTransaction,
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
/// One entry: the first block whose transactions were not indexed yet.
const NEXT: TableDefinition<(), u64> = TableDefinition::new("next");

/// Lane blocks whose transactions are found by hash; older ones are found by position only. At 60
/// bytes a transaction and a thousand of them each this bounds the file to about a GiB.
pub const INDEXED_LANES_MAX: u64 = 16_384;

/// A write to disk every so many blocks; what is lost in between is made again.
const SYNC_INTERVAL: u64 = 256;

/// Bytes of pages that each file keeps in memory: the newest entries are what is asked for.
const CACHE_BYTES: usize = 32 << 20;

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
pub struct Index {
    places: Database,
    transactions: Database,
}

fn create(path: &Path) -> Result<Database, IndexError> {
    Ok(Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create(path)?)
}

/// A write that is durable every [`SYNC_INTERVAL`] blocks.
fn begin(database: &Database, height: Height) -> Result<WriteTransaction, IndexError> {
    let mut write = database.begin_write()?;
    if height.get().is_multiple_of(SYNC_INTERVAL) {
        // A node that was killed must not walk the whole file before it serves again.
        write.set_quick_repair(true);
    } else {
        write.set_durability(Durability::None)?;
    }
    Ok(write)
}

impl Index {
    /// Opens or creates it in `directory`.
    ///
    /// # Errors
    /// If a file is not a database or the system fails.
    pub fn open(directory: &Path) -> Result<Self, IndexError> {
        let places = create(&directory.join("index.redb"))?;
        let write = places.begin_write()?;
        write.open_table(BLOCKS)?;
        write.open_table(HEIGHTS)?;
        write.open_table(LANES)?;
        write.commit()?;
        let transactions = create(&directory.join("transactions.redb"))?;
        let write = transactions.begin_write()?;
        write.open_table(TRANSACTIONS)?;
        write.open_table(INDEXED)?;
        write.open_table(NEXT)?;
        write.commit()?;
        Ok(Self {
            places,
            transactions,
        })
    }

    /// Hashes of the blocks indexed so far, from height 0.
    ///
    /// # Errors
    /// If the store fails.
    pub fn hashes(&self) -> Result<Vec<B256>, IndexError> {
        let read = self.places.begin_read()?;
        let blocks = read.open_table(BLOCKS)?;
        let mut hashes = Vec::new();
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

    /// Adds a final block: its hash, and where its lane blocks stand.
    ///
    /// # Errors
    /// If the store fails.
    pub fn add(&self, block: &Block) -> Result<(), IndexError> {
        let height = block.header.height;
        let hash = block.hash();
        let write = begin(&self.places, height)?;
        {
            write.open_table(BLOCKS)?.insert(height.get(), hash.0)?;
            write.open_table(HEIGHTS)?.insert(hash.0, height.get())?;
            let mut lanes = write.open_table(LANES)?;
            for (position, entry) in block.lanes.iter().enumerate() {
                let header = &entry.lane.header;
                let lane = (header.namespace.get(), header.height.get());
                lanes.insert(lane, (height.get(), position as u32))?;
            }
        }
        write.commit()?;
        Ok(())
    }

    /// The first block whose transactions are still to be added.
    ///
    /// # Errors
    /// If the store fails.
    pub fn transactions_next(&self) -> Result<Height, IndexError> {
        let read = self.transactions.begin_read()?;
        let next = read.open_table(NEXT)?.get(())?;
        Ok(next.map_or(Height::ZERO, |next| Height::new(next.value())))
    }

    /// Adds the transactions of block `height`: the bodies at hand of its lane blocks.
    ///
    /// # Errors
    /// If the store fails.
    pub fn add_transactions(
        &self,
        height: Height,
        bodies: &[(LaneHeader, LaneBody)],
    ) -> Result<(), IndexError> {
        if bodies.is_empty() && !height.get().is_multiple_of(SYNC_INTERVAL) {
            // Nothing to write down: to look at an empty block again is cheaper.
            return Ok(());
        }
        let write = begin(&self.transactions, height)?;
        {
            write
                .open_table(NEXT)?
                .insert((), height.get().saturating_add(1))?;
            let mut transactions = write.open_table(TRANSACTIONS)?;
            let mut indexed = write.open_table(INDEXED)?;
            for (header, body) in bodies {
                let (namespace, lane_height) = (header.namespace.get(), header.height.get());
                let mut hashes = Vec::with_capacity(32 * body.transactions.len());
                for (index, transaction) in body.transactions.iter().enumerate() {
                    let hash = keccak256(transaction);
                    // Of two places the first counts: at the second it does nothing.
                    if transactions.get(hash.0)?.is_none() {
                        transactions.insert(hash.0, (namespace, lane_height, index as u32))?;
                    }
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
        let read = self.places.begin_read()?;
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
        let read = self.places.begin_read()?;
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
        let read = self.transactions.begin_read()?;
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

#[cfg(test)]
mod tests;
