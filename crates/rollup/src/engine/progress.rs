//! How far derivation has come, on disk beside the blocks it made.
//!
//! Rows gather in memory as blocks are applied and reach the disk together, by [`Progress::sync`],
//! after the blocks they speak of. Whatever ends the process, the rows of the last sync are there,
//! and the finality chain brings the rest again: deriving it again gives the same blocks.

use super::EngineError;
use alloy_rlp::{Decodable, RlpDecodable, RlpEncodable};
use cortado_chain::Tip;
use cortado_derive::{Cursor, Entry};
use cortado_l1::TrackedHeader;
use cortado_types::{
    B256, Bytes, Height, L1Ref, LaneBody, Seq, SignedLaneHeader, Slot, TimestampMs,
    codec::decode_exact,
    limits::{LANE_BODY_BYTES_MAX, REF_MAX},
};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
};

const STATUS: TableDefinition<u8, &[u8]> = TableDefinition::new("status");
const L1: TableDefinition<&[u8], &[u8]> = TableDefinition::new("l1");
const LANES: TableDefinition<u64, &[u8]> = TableDefinition::new("lanes");
const BLOCKS: TableDefinition<u64, u64> = TableDefinition::new("blocks");
const HELD: TableDefinition<u64, &[u8]> = TableDefinition::new("held");

/// L1 headers older than this below the tip are of no use to derivation: a context may lie
/// `CONTEXT_LAG` behind its anchor, and a reference `REF_MAX` behind the context.
const L1_KEPT: u64 = 2 * REF_MAX;
/// A row of status or of an L1 header: queued L1 entries are the only part of any size.
const ROW_BYTES_MAX: usize = 64 << 20;
/// A held lane block: its body, its header and their framing.
const HELD_BYTES_MAX: usize = LANE_BODY_BYTES_MAX + 4_096;

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
    /// Derivation's place before the first lane block that another fork could still change.
    pub settled: Cursor,
    /// `L1*` after the block.
    pub l1_head: L1Ref,
    /// `L1fin` after the block.
    pub l1_fin: L1Ref,
    /// The L2 block derived last.
    pub l2_head: B256,
    /// The L2 block before the first lane block that another fork could still change.
    pub l2_settled: B256,
}

/// A finalised lane block that another fork could still change.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(super) struct HeldRow {
    pub lane: SignedLaneHeader,
    pub body: LaneBody,
}

/// What is kept of an L1 block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct L1Row {
    pub header: TrackedHeader,
    pub queue: QueueRow,
}

/// What an L1 block queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum QueueRow {
    /// This.
    Told(Vec<Entry>),
    /// It is not known yet; the block's header as RLP, to find out by.
    Asked(Bytes),
}

/// All that is loaded.
#[derive(Debug)]
pub(super) struct Loaded {
    pub status: Status,
    /// Parents first.
    pub l1: Vec<L1Row>,
    /// In order.
    pub held: Vec<HeldRow>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct L1Bytes {
    header: TrackedHeader,
    /// Empty once it is known what the block queued.
    asked: Bytes,
    queue: Vec<EntryRow>,
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
    l2_settled: B256,
}

#[derive(RlpEncodable, RlpDecodable)]
struct EntryRow {
    block: L1Ref,
    log_index: u64,
    gas: u64,
    payload: Bytes,
}

fn to_rows(entries: &[Entry]) -> Vec<EntryRow> {
    let row = |entry: &Entry| EntryRow {
        block: entry.block,
        log_index: entry.log_index,
        gas: entry.gas,
        payload: entry.payload.clone(),
    };
    entries.iter().map(row).collect()
}

fn from_rows(rows: Vec<EntryRow>) -> Vec<Entry> {
    let entry = |row: EntryRow| Entry {
        block: row.block,
        log_index: row.log_index,
        gas: row.gas,
        payload: row.payload,
    };
    rows.into_iter().map(entry).collect()
}

impl L1Row {
    fn to_bytes(&self) -> Vec<u8> {
        let (asked, queue) = match &self.queue {
            QueueRow::Told(entries) => (Bytes::new(), to_rows(entries)),
            QueueRow::Asked(raw) => (raw.clone(), Vec::new()),
        };
        alloy_rlp::encode(L1Bytes {
            header: self.header,
            asked,
            queue,
        })
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, EngineError> {
        let row: L1Bytes = decode("L1 row", bytes, ROW_BYTES_MAX)?;
        let queue = match row.asked.is_empty() {
            true => QueueRow::Told(from_rows(row.queue)),
            false => QueueRow::Asked(row.asked),
        };
        Ok(Self {
            header: row.header,
            queue,
        })
    }
}

/// What is kept of every finalised lane block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct LaneRow {
    /// Its number.
    pub height: Height,
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
    l1: Vec<L1Row>,
    lanes: BTreeMap<u64, LaneRow>,
    blocks: BTreeMap<u64, Height>,
    held: BTreeMap<u64, HeldRow>,
    /// The first lane block that is still held.
    held_from: u64,
}

/// The database, and what is on its way there.
#[derive(Debug)]
pub(super) struct Progress {
    db: Database,
    unsynced: Mutex<Unsynced>,
    /// Numbers of the L1 blocks that are known, on any fork.
    l1: RwLock<BTreeMap<B256, u64>>,
}

fn broken(error: impl Into<redb::Error>) -> EngineError {
    EngineError::Database(Box::new(error.into()))
}

fn decode<T: Decodable>(what: &'static str, bytes: &[u8], limit: usize) -> Result<T, EngineError> {
    decode_exact(what, bytes, limit).map_err(EngineError::Corrupt)
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
        txn.open_table(HELD).map_err(broken)?;
        txn.commit().map_err(broken)?;
        Ok(Self {
            db,
            unsynced: Mutex::default(),
            l1: RwLock::default(),
        })
    }

    /// What was synced last; `None` in a new directory.
    pub(super) fn load(&self) -> Result<Option<Loaded>, EngineError> {
        let txn = self.db.begin_read().map_err(broken)?;
        let table = txn.open_table(STATUS).map_err(broken)?;
        let Some(row) = table.get(0).map_err(broken)? else {
            return Ok(None);
        };
        let row: StatusRow = decode("status row", row.value(), ROW_BYTES_MAX)?;
        let mut l1 = Vec::new();
        for header in txn.open_table(L1).map_err(broken)?.iter().map_err(broken)? {
            let (_, value) = header.map_err(broken)?;
            let row = L1Row::from_bytes(value.value())?;
            self.know(&row.header);
            l1.push(row);
        }
        let mut held = Vec::new();
        for lane in txn
            .open_table(HELD)
            .map_err(broken)?
            .iter()
            .map_err(broken)?
        {
            let (_, value) = lane.map_err(broken)?;
            held.push(decode("held lane block", value.value(), HELD_BYTES_MAX)?);
        }
        let status = Status {
            height: row.height,
            hash: row.hash,
            tip: row.tip,
            settled: Cursor {
                context: row.context,
                scanned: row.scanned,
                queue: from_rows(row.queue),
            },
            l1_head: row.l1_head,
            l1_fin: row.l1_fin,
            l2_head: row.l2_head,
            l2_settled: row.l2_settled,
        };
        Ok(Some(Loaded { status, l1, held }))
    }

    fn know(&self, header: &TrackedHeader) {
        let mut l1 = self.l1.write().unwrap_or_else(PoisonError::into_inner);
        l1.insert(header.hash, header.number);
    }

    /// Number of an L1 block that is known.
    pub(super) fn l1_number(&self, hash: &B256) -> Option<u64> {
        let l1 = self.l1.read().unwrap_or_else(PoisonError::into_inner);
        l1.get(hash).copied()
    }

    fn unsynced(&self) -> MutexGuard<'_, Unsynced> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what one block of the finality chain changed; durable only after [`Self::sync`].
    /// `lanes` are those that are new and those that became something else; of the new ones `held` has
    /// the bodies, and none below `held_from` is held any more.
    pub(super) fn write(
        &self,
        status: &Status,
        lanes: &[LaneRow],
        held: Vec<HeldRow>,
        held_from: Height,
    ) {
        self.write_lanes(lanes);
        let mut unsynced = self.unsynced();
        unsynced.status = Some(status.clone());
        for row in held {
            unsynced.held.insert(row.lane.header.height.get(), row);
        }
        unsynced.held_from = held_from.get();
        let kept = unsynced.held.split_off(&held_from.get());
        unsynced.held = kept;
    }

    /// Takes in what lane blocks became.
    pub(super) fn write_lanes(&self, lanes: &[LaneRow]) {
        let mut unsynced = self.unsynced();
        for lane in lanes {
            unsynced.lanes.insert(lane.height.get(), *lane);
            if lane.l2_number > 0 {
                unsynced.blocks.insert(lane.l2_number, lane.height);
            }
        }
    }

    /// Takes in what became known of an L1 block.
    pub(super) fn write_l1(&self, row: L1Row) {
        self.know(&row.header);
        self.unsynced().l1.push(row);
    }

    /// Makes everything taken in so far durable.
    pub(super) fn sync(&self) -> Result<(), EngineError> {
        let mut unsynced = self.unsynced();
        let Some(status) = &unsynced.status else {
            return Ok(());
        };
        let row = StatusRow {
            height: status.height,
            hash: status.hash,
            tip: status.tip,
            context: status.settled.context,
            scanned: status.settled.scanned,
            queue: to_rows(&status.settled.queue),
            l1_head: status.l1_head,
            l1_fin: status.l1_fin,
            l2_head: status.l2_head,
            l2_settled: status.l2_settled,
        };
        let txn = self.db.begin_write().map_err(broken)?;
        {
            let mut table = txn.open_table(STATUS).map_err(broken)?;
            table
                .insert(0, alloy_rlp::encode(&row).as_slice())
                .map_err(broken)?;
            let mut table = txn.open_table(L1).map_err(broken)?;
            for row in &unsynced.l1 {
                table
                    .insert(l1_key(&row.header).as_slice(), row.to_bytes().as_slice())
                    .map_err(broken)?;
            }
            let floor = status.l1_head.number.saturating_sub(L1_KEPT);
            let floor = floor.min(status.settled.context.number);
            let mut known = self.l1.write().unwrap_or_else(PoisonError::into_inner);
            known.retain(|_, number| *number >= floor);
            drop(known);
            let floor = floor.to_be_bytes();
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
            let mut table = txn.open_table(HELD).map_err(broken)?;
            for (height, row) in &unsynced.held {
                table
                    .insert(height, alloy_rlp::encode(row).as_slice())
                    .map_err(broken)?;
            }
            table
                .retain_in(..unsynced.held_from, |_, _| false)
                .map_err(broken)?;
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
        row.map(|row| decode("lane row", row.value(), ROW_BYTES_MAX))
            .transpose()
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
