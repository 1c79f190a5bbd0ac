//! Promises by transaction: the living in memory, the kept ones in a database.

use crate::source::Promises;
use alloy_primitives::map::HashMap;
use alloy_rlp::{RlpDecodable, RlpEncodable};
use cortado_preconf::{Coverage, Outcome, Position, Promise, SignedPromise, Terms};
use cortado_types::{
    B256, ChainId, CodecError, L1Ref, TimestampMs, codec::decode_exact, ecdsa::Signature,
};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use std::{
    path::Path,
    sync::{PoisonError, RwLock},
};
use thiserror::Error;

/// Kept promises of final lane blocks: an hour at 1,000 transactions a second, about 2 GiB. Users
/// hold their own copies; this is for those that asked too late.
pub const PROMISES_KEPT_MAX: u64 = 4_000_000;
/// Removed at most in one go when there are too many, so that pruning keeps pace without stalling.
const PRUNED_AT_ONCE_MAX: u64 = 10_000;
/// A row is under 500 bytes.
const ROW_BYTES_MAX: usize = 1_024;
/// Memory for database pages: promises of final transactions are rarely asked for.
const CACHE_BYTES: usize = 32 << 20;

const PROMISES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("promises");
const ORDER: TableDefinition<u64, &[u8]> = TableDefinition::new("order");

/// Why the database of promises failed.
#[derive(Debug, Error)]
pub enum BookError {
    /// The database failed.
    #[error("promise database: {0}")]
    Database(Box<redb::Error>),
    /// A row cannot be read.
    #[error("promise database is corrupt: {0}")]
    Corrupt(#[from] CodecError),
}

fn broken(error: impl Into<redb::Error>) -> BookError {
    BookError::Database(Box::new(error.into()))
}

#[derive(RlpEncodable, RlpDecodable)]
struct Row {
    chain_id: ChainId,
    position: Position,
    l2_parent: B256,
    context: L1Ref,
    outcome: B256,
    coverage: Coverage,
    deadline: TimestampMs,
    inclusion: Signature,
    execution: Signature,
}

/// All promises this proposer remembers. Shared: one writer, many readers.
#[derive(Debug)]
pub struct Book {
    live: RwLock<HashMap<B256, Promises>>,
    db: Database,
}

impl Book {
    /// Opens the database at `path`, or creates it.
    ///
    /// # Errors
    /// If it is damaged or in use.
    pub fn open(path: &Path) -> Result<Self, BookError> {
        let db = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)
            .map_err(broken)?;
        let txn = db.begin_write().map_err(broken)?;
        txn.open_table(PROMISES).map_err(broken)?;
        txn.open_table(ORDER).map_err(broken)?;
        txn.commit().map_err(broken)?;
        Ok(Self {
            live: RwLock::default(),
            db,
        })
    }

    /// The promises for a transaction.
    ///
    /// # Errors
    /// If the database fails.
    pub fn get(&self, transaction: &B256) -> Result<Option<Promises>, BookError> {
        if let Some(promises) = self.live(transaction) {
            return Ok(Some(promises));
        }
        let txn = self.db.begin_read().map_err(broken)?;
        let table = txn.open_table(PROMISES).map_err(broken)?;
        let Some(row) = table.get(transaction.as_slice()).map_err(broken)? else {
            return Ok(None);
        };
        let row: Row = decode_exact("promise row", row.value(), ROW_BYTES_MAX)?;
        let promise = |terms, signature| SignedPromise {
            promise: Promise {
                chain_id: row.chain_id,
                position: row.position,
                transaction: *transaction,
                terms,
                coverage: row.coverage,
                deadline: row.deadline,
            },
            signature,
        };
        let terms = Terms::Execution {
            l2_parent: row.l2_parent,
            context: row.context,
            outcome: Outcome(row.outcome),
        };
        Ok(Some(Promises {
            inclusion: promise(Terms::Inclusion, row.inclusion),
            execution: promise(terms, row.execution),
        }))
    }

    /// The promises for a transaction that is not final.
    pub fn live(&self, transaction: &B256) -> Option<Promises> {
        self.live
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(transaction)
            .copied()
    }

    /// How many transactions are promised and not final.
    pub fn live_len(&self) -> usize {
        self.live
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    pub(super) fn insert(&self, transaction: B256, promises: Promises) {
        self.live
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(transaction, promises);
    }

    pub(super) fn remove(&self, transaction: &B256) {
        self.live
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(transaction);
    }

    /// Moves promises of final transactions to the database; durable after [`Book::sync`].
    pub(super) fn archive(&self, transactions: &[B256]) -> Result<(), BookError> {
        let mut rows = Vec::with_capacity(transactions.len());
        for hash in transactions {
            let Some(Promises {
                inclusion,
                execution,
            }) = self.live(hash)
            else {
                continue;
            };
            let Terms::Execution {
                l2_parent,
                context,
                outcome,
            } = execution.promise.terms
            else {
                continue;
            };
            let row = Row {
                chain_id: inclusion.promise.chain_id,
                position: inclusion.promise.position,
                l2_parent,
                context,
                outcome: outcome.0,
                coverage: inclusion.promise.coverage,
                deadline: inclusion.promise.deadline,
                inclusion: inclusion.signature,
                execution: execution.signature,
            };
            rows.push((*hash, alloy_rlp::encode(&row)));
        }
        if rows.is_empty() {
            return Ok(());
        }
        let mut txn = self.db.begin_write().map_err(broken)?;
        txn.set_durability(Durability::None).map_err(broken)?;
        {
            let mut promises = txn.open_table(PROMISES).map_err(broken)?;
            let mut order = txn.open_table(ORDER).map_err(broken)?;
            let last = order
                .last()
                .map_err(broken)?
                .map(|(number, _)| number.value());
            let mut next = last.map_or(0, |last| last + 1);
            for (hash, row) in &rows {
                let known = promises
                    .insert(hash.as_slice(), row.as_slice())
                    .map_err(broken)?
                    .is_some();
                if !known {
                    order.insert(next, hash.as_slice()).map_err(broken)?;
                    next += 1;
                }
            }
            let first = order
                .first()
                .map_err(broken)?
                .map_or(next, |(number, _)| number.value());
            let surplus = (next - first).saturating_sub(PROMISES_KEPT_MAX);
            for number in first..first + surplus.min(PRUNED_AT_ONCE_MAX) {
                if let Some(hash) = order.remove(number).map_err(broken)? {
                    promises.remove(hash.value()).map_err(broken)?;
                }
            }
        }
        txn.commit().map_err(broken)?;
        rows.iter().for_each(|(hash, _)| self.remove(hash));
        Ok(())
    }

    /// Makes archived promises durable.
    pub(super) fn sync(&self) -> Result<(), BookError> {
        let mut txn = self.db.begin_write().map_err(broken)?;
        txn.set_durability(Durability::Immediate).map_err(broken)?;
        txn.commit().map_err(broken)
    }
}
