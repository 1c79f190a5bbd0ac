//! The pool on disk, so that a transaction that was acknowledged survives a crash.

use std::path::Path;

use alloy_primitives::B256;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

/// Raw transactions by hash.
const TRANSACTIONS: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("transactions");

/// Memory for database pages: the pool itself is in memory.
const CACHE_BYTES: usize = 8 << 20;

/// What the disk did not do.
#[derive(Debug, thiserror::Error)]
#[error("pool journal: {0}")]
pub struct JournalError(Box<redb::Error>);

impl<E: Into<redb::Error>> From<E> for JournalError {
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}

/// Acknowledged transactions that are not final yet.
#[derive(Debug)]
pub struct Journal(Database);

impl Journal {
    /// Opens or creates the journal.
    ///
    /// # Errors
    /// When the file is in use, damaged or unreadable.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)?;
        let writing = database.begin_write()?;
        writing.open_table(TRANSACTIONS)?;
        writing.commit()?;
        Ok(Self(database))
    }

    /// Makes a transaction durable.
    ///
    /// # Errors
    /// When the disk fails: then the transaction must not be acknowledged.
    pub fn add(&self, hash: B256, raw: &[u8]) -> Result<(), JournalError> {
        let writing = self.0.begin_write()?;
        writing.open_table(TRANSACTIONS)?.insert(hash.0, raw)?;
        writing.commit()?;
        Ok(())
    }

    /// Forgets transactions: final ones, and ones that were dropped.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn forget(&self, hashes: impl IntoIterator<Item = B256>) -> Result<(), JournalError> {
        let mut hashes = hashes.into_iter().peekable();
        if hashes.peek().is_none() {
            return Ok(());
        }
        let writing = self.0.begin_write()?;
        {
            let mut table = writing.open_table(TRANSACTIONS)?;
            for hash in hashes {
                table.remove(hash.0)?;
            }
        }
        writing.commit()?;
        Ok(())
    }

    /// All of them.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn all(&self) -> Result<Vec<(B256, Vec<u8>)>, JournalError> {
        let reading = self.0.begin_read()?;
        let table = reading.open_table(TRANSACTIONS)?;
        let mut all = Vec::new();
        for entry in table.iter()? {
            let (hash, raw) = entry?;
            all.push((B256::from(hash.value()), raw.value().to_vec()));
        }
        Ok(all)
    }
}
