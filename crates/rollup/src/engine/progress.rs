//! How far derivation has come, on disk beside the blocks it made.
//!
//! Rows gather in memory as blocks are applied and reach the disk together, by [`Progress::sync`],
//! after the blocks they speak of. Whatever ends the process, the rows of the last sync are there,
//! and the finality chain brings the rest again: deriving it again gives the same blocks.

use super::EngineError;
use alloy_rlp::{Decodable, RlpDecodable, RlpEncodable};
use cortado_chain::Tip;
use cortado_derive::{Cursor, Entry, Fork};
use cortado_l1::TrackedHeader;
use cortado_types::{
    B256, Bytes, Height, L1Ref, Seq, Slot, TimestampMs, codec::decode_exact, limits::REF_MAX,
};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

const STATUS: TableDefinition<u8, &[u8]> = TableDefinition::new("status");
const L1: TableDefinition<&[u8], &[u8]> = TableDefinition::new("l1");
const LANES: TableDefinition<u64, &[u8]> = TableDefinition::new("lanes");
const BLOCKS: TableDefinition<u64, u64> = TableDefinition::new("blocks");

/// L1 headers older than this below the tip are of no use to derivation: a context may lie
/// `CONTEXT_LAG` behind its anchor, and a reference `REF_MAX` behind the context.
const L1_KEPT: u64 = 2 * REF_MAX;
/// A status row: queued L1 entries are the only part of any size.
const STATUS_BYTES_MAX: usize = 64 << 20;

/// Memory for database pages: reads are of the newest rows, or of one old lane block.
const CACHE_BYTES: usize = 32 << 20;

/// Where derivation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    /// The last block of the finality chain that was applied.
    pub height: Height,
    /// Its hash.
    pub hash: B256,
    /// The last lane block of the namespace.
    pub tip: Tip,
    /// Derivation's own.
    pub cursor: Cursor,
    /// `L1*` after the block.
    pub l1_head: L1Ref,
    /// `L1fin` after the block.
    pub l1_fin: L1Ref,
    /// The L2 block derived last.
    pub l2_head: B256,
}

#[derive(RlpEncodable, RlpDecodable)]
struct StatusRow {
    height: Height,
    hash: B256,
    tip: Tip,
    context: L1Ref,
    scanned: L1Ref,
    queue: Vec<EntryRow>,
    l1_head: L1Ref,
    l1_fin: L1Ref,
    l2_head: B256,
}

#[derive(RlpEncodable, RlpDecodable)]
struct EntryRow {
    block: L1Ref,
    log_index: u64,
    gas: u64,
    payload: Bytes,
}

/// What is kept of every finalised lane block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct LaneRow {
    /// Hash of its header.
    pub hash: B256,
    /// Its slot.
    pub slot: Slot,
    /// Its position in the slot.
    pub seq: Seq,
    /// Its time, ms.
    pub timestamp: TimestampMs,
    /// The L1 block its proposer named.
    pub context: L1Ref,
    /// The L1 block whose state its transactions could read (R12).
    pub reached: L1Ref,
    /// The block of the finality chain that carries it.
    pub included: Height,
    /// Number of the L2 block it became, 0 if it became none.
    pub l2_number: u64,
}

/// Rows that are not on the disk yet.
#[derive(Debug, Default)]
struct Unsynced {
    status: Option<Status>,
    headers: Vec<TrackedHeader>,
    lanes: BTreeMap<u64, LaneRow>,
    blocks: BTreeMap<u64, Height>,
}

/// The database, and what is on its way there.
#[derive(Debug)]
pub(super) struct Progress {
    db: Database,
    unsynced: Mutex<Unsynced>,
}

fn broken(error: impl Into<redb::Error>) -> EngineError {
    EngineError::Database(Box::new(error.into()))
}

fn decode<T: Decodable>(what: &'static str, bytes: &[u8]) -> Result<T, EngineError> {
    decode_exact(what, bytes, STATUS_BYTES_MAX).map_err(EngineError::Corrupt)
}

fn l1_key(header: &TrackedHeader) -> [u8; 40] {
    let mut key = [0; 40];
    key[..8].copy_from_slice(&header.number.to_be_bytes());
    key[8..].copy_from_slice(header.hash.as_slice());
    key
}

impl Progress {
    pub(super) fn open(path: &Path) -> Result<Self, EngineError> {
        let db = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)
            .map_err(broken)?;
        let txn = db.begin_write().map_err(broken)?;
        txn.open_table(STATUS).map_err(broken)?;
        txn.open_table(L1).map_err(broken)?;
        txn.open_table(LANES).map_err(broken)?;
        txn.open_table(BLOCKS).map_err(broken)?;
        txn.commit().map_err(broken)?;
        Ok(Self {
            db,
            unsynced: Mutex::default(),
        })
    }

    /// The last status and the L1 fork it speaks of; `None` in a new directory.
    pub(super) fn load(&self) -> Result<Option<(Status, Fork)>, EngineError> {
        let txn = self.db.begin_read().map_err(broken)?;
        let table = txn.open_table(STATUS).map_err(broken)?;
        let Some(row) = table.get(0).map_err(broken)? else {
            return Ok(None);
        };
        let row: StatusRow = decode("status row", row.value())?;
        let mut fork: Option<Fork> = None;
        for header in txn.open_table(L1).map_err(broken)?.iter().map_err(broken)? {
            let (_, value) = header.map_err(broken)?;
            let header: TrackedHeader = decode("L1 header row", value.value())?;
            match &mut fork {
                None => fork = Some(Fork::new(header)),
                // Below the pruned floor a sibling of the lowest header may remain; nothing refers
                // to it any more.
                Some(fork) => drop(fork.insert(header)),
            }
        }
        let mut fork = fork.ok_or(EngineError::NoL1Headers)?;
        fork.set_tip(row.l1_head.hash)?;
        let queue = row.queue.into_iter().map(|entry| Entry {
            block: entry.block,
            log_index: entry.log_index,
            gas: entry.gas,
            payload: entry.payload,
        });
        let status = Status {
            height: row.height,
            hash: row.hash,
            tip: row.tip,
            cursor: Cursor {
                context: row.context,
                scanned: row.scanned,
                queue: queue.collect(),
            },
            l1_head: row.l1_head,
            l1_fin: row.l1_fin,
            l2_head: row.l2_head,
        };
        Ok(Some((status, fork)))
    }

    fn unsynced(&self) -> MutexGuard<'_, Unsynced> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what one block of the finality chain changed; durable only after [`Self::sync`].
    pub(super) fn write(
        &self,
        status: &Status,
        headers: &[TrackedHeader],
        lanes: &[(Height, LaneRow)],
    ) {
        let mut unsynced = self.unsynced();
        unsynced.status = Some(status.clone());
        unsynced.headers.extend_from_slice(headers);
        for (height, lane) in lanes {
            unsynced.lanes.insert(height.get(), *lane);
            if lane.l2_number > 0 {
                unsynced.blocks.insert(lane.l2_number, *height);
            }
        }
    }

    /// Makes everything taken in so far durable.
    pub(super) fn sync(&self) -> Result<(), EngineError> {
        let mut unsynced = self.unsynced();
        let Some(status) = &unsynced.status else {
            return Ok(());
        };
        let queue = status.cursor.queue.iter().map(|entry| EntryRow {
            block: entry.block,
            log_index: entry.log_index,
            gas: entry.gas,
            payload: entry.payload.clone(),
        });
        let row = StatusRow {
            height: status.height,
            hash: status.hash,
            tip: status.tip,
            context: status.cursor.context,
            scanned: status.cursor.scanned,
            queue: queue.collect(),
            l1_head: status.l1_head,
            l1_fin: status.l1_fin,
            l2_head: status.l2_head,
        };
        let txn = self.db.begin_write().map_err(broken)?;
        {
            let mut table = txn.open_table(STATUS).map_err(broken)?;
            table
                .insert(0, alloy_rlp::encode(&row).as_slice())
                .map_err(broken)?;
            let mut table = txn.open_table(L1).map_err(broken)?;
            for header in &unsynced.headers {
                let value = alloy_rlp::encode(header);
                table
                    .insert(l1_key(header).as_slice(), value.as_slice())
                    .map_err(broken)?;
            }
            let floor = status.l1_head.number.saturating_sub(L1_KEPT).to_be_bytes();
            table
                .retain_in(..floor.as_slice(), |_, _| false)
                .map_err(broken)?;
            let mut table = txn.open_table(LANES).map_err(broken)?;
            for (height, lane) in &unsynced.lanes {
                table
                    .insert(height, alloy_rlp::encode(lane).as_slice())
                    .map_err(broken)?;
            }
            let mut table = txn.open_table(BLOCKS).map_err(broken)?;
            for (number, height) in &unsynced.blocks {
                table.insert(number, height.get()).map_err(broken)?;
            }
        }
        txn.commit().map_err(broken)?;
        *unsynced = Unsynced::default();
        Ok(())
    }

    /// The finalised lane block of this number.
    pub(super) fn lane(&self, height: Height) -> Result<Option<LaneRow>, EngineError> {
        if let Some(row) = self.unsynced().lanes.get(&height.get()) {
            return Ok(Some(*row));
        }
        let txn = self.db.begin_read().map_err(broken)?;
        let table = txn.open_table(LANES).map_err(broken)?;
        let row = table.get(height.get()).map_err(broken)?;
        row.map(|row| decode("lane row", row.value())).transpose()
    }

    /// Number of the lane block that became L2 block `number`.
    pub(super) fn lane_of_block(&self, number: u64) -> Result<Option<Height>, EngineError> {
        if let Some(height) = self.unsynced().blocks.get(&number) {
            return Ok(Some(*height));
        }
        let txn = self.db.begin_read().map_err(broken)?;
        let table = txn.open_table(BLOCKS).map_err(broken)?;
        let row = table.get(number).map_err(broken)?;
        Ok(row.map(|height| Height::new(height.value())))
    }
}
