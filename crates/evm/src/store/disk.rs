//! The database: finalised blocks, the state after the last of them, and unfinalised blocks to be
//! executed again.

mod write;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use alloy_consensus::{Header, Sealed};
use alloy_primitives::{B256, U256, keccak256};
use redb::{
    Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend,
    StorageError, TableDefinition, WriteTransaction,
};

use self::write::{write_blocks, write_state, write_tips, write_unfinalized};
use super::{
    FORMAT_VERSION, StoreError,
    codec::{self, StoredAccount},
    tree::FinalityPlan,
};
use crate::{
    block::{BlockRecord, ExecutedBlock, RECENT_HASHES, RecentHashes},
    state::{Account, Changes, WorldState, bytecode, write_slot},
    trie::Trie,
};

/// Name of the database file in the data directory.
const FILE_NAME: &str = "chain.redb";

/// Memory for database pages: states live in memory as tries, so pages are only read for old blocks.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Block number → header.
const HEADERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("headers");
/// Block number → transactions, senders, withdrawals, credits.
const BODIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("bodies");
/// Block number → receipts.
const RECEIPTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("receipts");
/// Block hash → block number.
const NUMBERS: TableDefinition<'_, &[u8; 32], u64> = TableDefinition::new("numbers");
/// Transaction hash → block number, index.
const TRANSACTIONS: TableDefinition<'_, &[u8; 32], (u64, u32)> =
    TableDefinition::new("transactions");
/// Keccak of address → account.
const ACCOUNTS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("accounts");
/// Keccak of address, keccak of slot → value, big-endian.
const STORAGE: TableDefinition<'_, (&[u8; 32], &[u8; 32]), &[u8; 32]> =
    TableDefinition::new("storage");
/// Hash of code → code.
const CODES: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("codes");
/// Hash of an unfinalised block → block.
const UNFINALIZED: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("unfinalized");

const META_FORMAT: &str = "format";
const META_GENESIS: &str = "genesis";
const META_FINALIZED: &str = "finalized";
const META_HEAD: &str = "head";

#[derive(Debug)]
pub(super) struct Disk {
    db: Database,
}

/// Any redb error; corruption keeps its name.
fn failed(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Corrupted(what) => StoreError::Corrupt(what),
        redb::Error::TableTypeMismatch { table, .. } => {
            StoreError::Corrupt(format!("table {table} has another type"))
        }
        redb::Error::TableDoesNotExist(table) => {
            StoreError::Corrupt(format!("table {table} is missing"))
        }
        other => StoreError::Database(Box::new(other)),
    }
}

fn open_failed(error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse,
        DatabaseError::UpgradeRequired(version) => {
            StoreError::Corrupt(format!("database file format {version} is unknown"))
        }
        DatabaseError::Storage(StorageError::Io(error))
            if error.kind() == std::io::ErrorKind::InvalidData =>
        {
            StoreError::Corrupt(error.to_string())
        }
        other => failed(other),
    }
}

fn corrupt(what: impl Into<String>) -> StoreError {
    StoreError::Corrupt(what.into())
}

/// The database library panics on some rotten pages that it takes for its own work; to us they are
/// as corrupt as the others.
fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    // Nothing that `work` could leave half done is used again: a failed transaction is dropped, and
    // the library poisons its own locks.
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(corrupt("a page of the database file does not decode")))
}

impl Disk {
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(dir)
            .map_err(|error| StoreError::Database(Box::new(redb::Error::Io(error))))?;
        guarded(|| {
            let db = Database::builder()
                .set_cache_size(CACHE_BYTES)
                .create(dir.join(FILE_NAME))
                .map_err(open_failed)?;
            Ok(Self { db })
        })
    }

    pub(super) fn in_memory() -> Result<Self, StoreError> {
        Self::on(redb::backends::InMemoryBackend::new())
    }

    /// On any storage; what of it survives a crash is for the storage to say.
    pub(super) fn on(backend: impl StorageBackend) -> Result<Self, StoreError> {
        let db = Database::builder()
            .create_with_backend(backend)
            .map_err(open_failed)?;
        Ok(Self { db })
    }

    /// One consistent view.
    fn read<T>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        guarded(|| look(&self.db.begin_read().map_err(failed)?))
    }

    /// One durable transaction.
    fn write(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        guarded(|| {
            let transaction = self.db.begin_write().map_err(failed)?;
            change(&transaction)?;
            transaction.commit().map_err(failed)
        })
    }

    /// Writes the first block into an empty database.
    pub(super) fn initialise(&self, genesis: &ExecutedBlock) -> Result<(), StoreError> {
        self.write(|transaction| {
            {
                let mut meta = transaction.open_table(META).map_err(failed)?;
                let format = FORMAT_VERSION.to_be_bytes();
                meta.insert(META_FORMAT, format.as_slice())
                    .map_err(failed)?;
                meta.insert(META_GENESIS, genesis.hash().as_slice())
                    .map_err(failed)?;
            }
            // Empty tables exist too, so that a missing one means corruption.
            transaction.open_table(UNFINALIZED).map_err(failed)?;
            transaction.open_table(TRANSACTIONS).map_err(failed)?;
            write_blocks(transaction, std::iter::once(genesis))?;
            write_state(transaction, [genesis.changes.as_ref()])?;
            write_tips(transaction, genesis.hash(), genesis.hash())
        })
    }

    /// Adds blocks that are not final.
    pub(super) fn persist(
        &self,
        blocks: &[Arc<ExecutedBlock>],
        head: B256,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            write_unfinalized(transaction, blocks)?;
            let mut meta = transaction.open_table(META).map_err(failed)?;
            meta.insert(META_HEAD, head.as_slice()).map_err(failed)?;
            Ok(())
        })
    }

    /// Moves blocks from unfinalised to final, with their state.
    pub(super) fn finalize(&self, plan: &FinalityPlan) -> Result<(), StoreError> {
        let Some(newest) = plan.finalized.last() else {
            return Ok(());
        };
        self.write(|transaction| {
            write_blocks(transaction, plan.finalized.iter().map(AsRef::as_ref))?;
            write_state(
                transaction,
                plan.finalized.iter().map(|block| block.changes.as_ref()),
            )?;
            {
                let mut table = transaction.open_table(UNFINALIZED).map_err(failed)?;
                for hash in &plan.forget {
                    table.remove(&hash.0).map_err(failed)?;
                }
            }
            write_unfinalized(transaction, &plan.persist)?;
            write_tips(transaction, newest.hash(), plan.head)
        })
    }

    /// The finalised block with its state, or `None` in an empty database.
    pub(super) fn load_finalized(
        &self,
        genesis: B256,
    ) -> Result<Option<ExecutedBlock>, StoreError> {
        let Some(hash) = self.read(|transaction| read_tip(transaction, genesis))? else {
            return Ok(None);
        };
        let number = self
            .number_of(&hash)?
            .ok_or_else(|| corrupt(format!("finalised block {hash} is missing")))?;
        let record = self
            .block(number)?
            .filter(|block| block.hash() == hash)
            .ok_or_else(|| corrupt(format!("finalised block {number} is not {hash}")))?;

        let state = self.read(load_state)?;
        let (root, expected) = (state.root(), record.header.state_root);
        if root != expected {
            return Err(corrupt(format!(
                "the state has root {root}, block {number} says {expected}"
            )));
        }
        let mut hashes = RecentHashes::default();
        for number in number.saturating_sub(RECENT_HASHES as u64 - 1)..=number {
            let header = self
                .header(number)?
                .ok_or_else(|| corrupt(format!("no header {number}")))?;
            hashes = hashes.followed_by(number, header.hash());
        }
        let changes = Arc::new(Changes::default());
        Ok(Some(ExecutedBlock {
            record: Arc::new(record),
            state,
            changes,
            hashes,
        }))
    }

    /// Blocks that are not final, in no order and without receipts, and the canonical head.
    pub(super) fn load_pending(&self) -> Result<(Vec<BlockRecord>, B256), StoreError> {
        self.read(|transaction| {
            let mut blocks = Vec::new();
            let table = transaction.open_table(UNFINALIZED).map_err(failed)?;
            for entry in table.iter().map_err(failed)? {
                let (key, bytes) = entry.map_err(failed)?;
                let block = codec::decode_unfinalized(bytes.value())?;
                let hash = block.hash();
                if hash.0 != *key.value() {
                    return Err(corrupt(format!(
                        "block {hash} is stored under another hash"
                    )));
                }
                blocks.push(block);
            }
            let meta = transaction.open_table(META).map_err(failed)?;
            Ok((blocks, read_hash(&meta, META_HEAD)?))
        })
    }

    pub(super) fn number_of(&self, hash: &B256) -> Result<Option<u64>, StoreError> {
        self.read(|transaction| {
            let table = transaction.open_table(NUMBERS).map_err(failed)?;
            Ok(table
                .get(&hash.0)
                .map_err(failed)?
                .map(|number| number.value()))
        })
    }

    pub(super) fn header(&self, number: u64) -> Result<Option<Sealed<Header>>, StoreError> {
        self.read(|transaction| {
            let table = transaction.open_table(HEADERS).map_err(failed)?;
            let bytes = table.get(number).map_err(failed)?;
            bytes
                .map(|bytes| codec::decode_header(bytes.value()))
                .transpose()
        })
    }

    pub(super) fn block(&self, number: u64) -> Result<Option<BlockRecord>, StoreError> {
        let Some(header) = self.header(number)? else {
            return Ok(None);
        };
        self.read(|transaction| {
            let bodies = transaction.open_table(BODIES).map_err(failed)?;
            let receipts = transaction.open_table(RECEIPTS).map_err(failed)?;
            let body = bodies.get(number).map_err(failed)?;
            let receipts = receipts.get(number).map_err(failed)?;
            let (Some(body), Some(receipts)) = (body, receipts) else {
                return Err(corrupt(format!(
                    "block {number} has no body or no receipts"
                )));
            };
            codec::decode_block(header, body.value(), receipts.value()).map(Some)
        })
    }

    /// Block number and index of a final transaction.
    pub(super) fn transaction(&self, hash: &B256) -> Result<Option<(u64, usize)>, StoreError> {
        self.read(|transaction| {
            let table = transaction.open_table(TRANSACTIONS).map_err(failed)?;
            let place = table
                .get(&hash.0)
                .map_err(failed)?
                .map(|place| place.value());
            Ok(place.map(|(number, index)| (number, index as usize)))
        })
    }
}

/// Hash of the finalised block, once format and chain are found to be ours; `None` in an empty
/// database.
fn read_tip(transaction: &ReadTransaction, genesis: B256) -> Result<Option<B256>, StoreError> {
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let format = meta.get(META_FORMAT).map_err(failed)?;
    let format = format.ok_or_else(|| corrupt("no format version"))?;
    let format = <[u8; 4]>::try_from(format.value())
        .map_err(|_| corrupt("the format version is not 4 bytes"))?;
    let found = u32::from_be_bytes(format);
    if found > FORMAT_VERSION {
        return Err(StoreError::NewerFormat {
            found,
            supported: FORMAT_VERSION,
        });
    }
    let found = read_hash(&meta, META_GENESIS)?;
    if found != genesis {
        return Err(StoreError::WrongGenesis {
            found,
            expected: genesis,
        });
    }
    read_hash(&meta, META_FINALIZED).map(Some)
}

fn load_state(transaction: &ReadTransaction) -> Result<WorldState, StoreError> {
    let mut state = WorldState::default();
    for entry in transaction
        .open_table(CODES)
        .map_err(failed)?
        .iter()
        .map_err(failed)?
    {
        let (hash, code) = entry.map_err(failed)?;
        let (hash, code) = (B256::from(hash.value()), code.value());
        if keccak256(code) != hash {
            return Err(corrupt(format!("code {hash} has another hash")));
        }
        state.codes.insert(hash, bytecode(code.to_vec().into()));
    }
    // Both tables are sorted by account, so one pass over each suffices.
    let storage = transaction.open_table(STORAGE).map_err(failed)?;
    let mut slots = storage.iter().map_err(failed)?.peekable();
    for entry in transaction
        .open_table(ACCOUNTS)
        .map_err(failed)?
        .iter()
        .map_err(failed)?
    {
        let (key, account) = entry.map_err(failed)?;
        let key = B256::from(key.value());
        let StoredAccount {
            nonce,
            balance,
            code_hash,
        } = StoredAccount::from_bytes(account.value())?;
        let mut storage = Trie::default();
        while let Some(slot) = slots.next_if(|slot| match slot {
            Ok((slot, _)) => slot.value().0 <= &key.0,
            Err(_) => true,
        }) {
            let (slot, value) = slot.map_err(failed)?;
            let (owner, slot) = slot.value();
            if *owner != key.0 {
                return Err(corrupt(format!("storage of a missing account {key}")));
            }
            let value = U256::from_be_bytes(*value.value());
            write_slot(&mut storage, B256::from(slot), value);
        }
        state.accounts.insert(
            key,
            Account {
                nonce,
                balance,
                code_hash,
                storage,
            },
        );
    }
    match slots.next() {
        None => Ok(state),
        Some(_) => Err(corrupt("storage of a missing account")),
    }
}

fn read_hash(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &'static str,
) -> Result<B256, StoreError> {
    let value = meta.get(key).map_err(failed)?;
    let value = value.ok_or_else(|| corrupt(format!("no {key} hash")))?;
    B256::try_from(value.value()).map_err(|_| corrupt(format!("the {key} hash is not 32 bytes")))
}
