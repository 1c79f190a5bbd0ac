//! What the driver, the two servers and the controls share.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use alloy_primitives::{B256, Bytes};
use cortado_ethrpc::backend::EVENTS_MAX;
use cortado_ethrpc::{ChainEvent, SubmitError};
use cortado_evm::{BlockRecord, ChainStore};
use serde::Serialize;
use tokio::sync::{broadcast, oneshot};

use crate::beacon::{Beacon, slot_of};
use crate::chain::{ChainError, L1Chain, Step};
use crate::config::Config;
use crate::events::{self, BeaconEvent};
use crate::journal::Journal;
use crate::pool::{self, Pool};

/// Beacon events kept for slow listeners; one further behind is cut off.
pub const BEACON_EVENTS_MAX: usize = 256;

/// Beacon roots that can be looked up: as many as EIP-4788 remembers.
pub const ROOTS_MAX: usize = 8_191;

/// What became of a reorg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReorgDone {
    /// Blocks replaced.
    pub depth: u64,
    /// The head before.
    pub old_head: B256,
    /// The head after.
    pub new_head: B256,
}

/// How the chain stands, for people and tests.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Slot of the head.
    pub slot: u64,
    /// Epoch of the head.
    pub epoch: u64,
    /// Number of the head.
    pub head: u64,
    /// Hash of the head.
    pub head_hash: B256,
    /// Number of the justified block.
    pub safe: u64,
    /// Number of the finalised block.
    pub finalized: u64,
    /// Whether finality stands still by command.
    pub finality_stalled: bool,
    /// Transactions in the pool.
    pub pool: usize,
}

/// Beacon block and state roots, and the execution blocks they belong to; the oldest go first.
#[derive(Debug, Default)]
struct Roots {
    blocks: HashMap<B256, B256>,
    states: HashMap<B256, B256>,
    order: VecDeque<(B256, B256)>,
}

impl Roots {
    fn add(&mut self, beacon: &Beacon, block: &BlockRecord) {
        let header = beacon.header(&block.header);
        let root = header.root();
        if self.blocks.insert(root, block.hash()).is_some() {
            return;
        }
        self.states.insert(header.state_root, block.hash());
        self.order.push_back((root, header.state_root));
        if self.order.len() > ROOTS_MAX
            && let Some((root, state)) = self.order.pop_front()
        {
            self.blocks.remove(&root);
            self.states.remove(&state);
        }
    }
}

/// The parts of a running L1.
#[derive(Debug)]
pub struct Shared {
    /// What it was made from.
    pub config: Config,
    /// Validators and lookahead.
    pub beacon: Arc<Beacon>,
    /// Blocks.
    pub store: Arc<ChainStore>,
    pool: Arc<Mutex<Pool>>,
    journal: Journal,
    chain: Mutex<L1Chain>,
    safe: RwLock<Arc<BlockRecord>>,
    roots: Mutex<Roots>,
    reorgs: Mutex<Vec<oneshot::Sender<ReorgDone>>>,
    events: broadcast::Sender<ChainEvent>,
    beacon_events: broadcast::Sender<BeaconEvent>,
}

/// A lock that a panic elsewhere does not poison: what these guard is consistent between calls.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Puts the parts together, and back into the pool what was acknowledged before a crash.
    ///
    /// # Errors
    /// When the store fails.
    pub fn new(
        config: Config,
        store: Arc<ChainStore>,
        journal: Journal,
        journaled: Vec<(B256, Vec<u8>)>,
    ) -> Result<Self, ChainError> {
        let beacon = Arc::new(Beacon::new(config.clock(), config.seed, config.validators));
        let pool = Arc::new(Mutex::new(Pool::default()));
        let lag = config.finality_lag_epochs;
        let chain = L1Chain::new(beacon.clone(), store.clone(), pool.clone(), lag)?;
        let mut roots = Roots::default();
        let head = store.head().number();
        for number in head.saturating_sub(ROOTS_MAX as u64 - 1)..=head {
            if let Some(block) = store.block_by_number(number)? {
                roots.add(&beacon, &block);
            }
        }
        let shared = Self {
            safe: RwLock::new(chain.safe()),
            chain: Mutex::new(chain),
            roots: Mutex::new(roots),
            reorgs: Mutex::default(),
            events: broadcast::Sender::new(EVENTS_MAX),
            beacon_events: broadcast::Sender::new(BEACON_EVENTS_MAX),
            config,
            beacon,
            store,
            pool,
            journal,
        };
        shared.restore(journaled)?;
        Ok(shared)
    }

    fn restore(&self, journaled: Vec<(B256, Vec<u8>)>) -> Result<(), ChainError> {
        let finalized = self.store.finalized().number();
        let head = self.store.head();
        let mut done = Vec::new();
        for (hash, raw) in journaled {
            if let Some(at) = self.store.transaction(&hash)? {
                // A reorg may still bring an included transaction back, until it is final.
                if at.block.number() <= finalized {
                    done.push(hash);
                }
                continue;
            }
            let added = pool::decode(&raw)
                .and_then(|tx| self.pool().add(tx, self.store.spec(), &head).map(|_| ()));
            if let Err(error) = added {
                tracing::debug!(%hash, %error, "a journaled transaction is no longer valid");
                done.push(hash);
            }
        }
        self.forget(done);
        Ok(())
    }

    /// The pool.
    pub fn pool(&self) -> MutexGuard<'_, Pool> {
        locked(&self.pool)
    }

    /// The newest justified block.
    pub fn safe(&self) -> Arc<BlockRecord> {
        self.safe
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Events for the execution side's listeners.
    pub fn events(&self) -> broadcast::Receiver<ChainEvent> {
        self.events.subscribe()
    }

    /// Events for the beacon side's listeners.
    pub fn beacon_events(&self) -> broadcast::Receiver<BeaconEvent> {
        self.beacon_events.subscribe()
    }

    /// The execution block of a beacon block root.
    pub fn by_block_root(&self, root: B256) -> Option<B256> {
        locked(&self.roots).blocks.get(&root).copied()
    }

    /// The execution block after which the beacon state had this root.
    pub fn by_state_root(&self, root: B256) -> Option<B256> {
        locked(&self.roots).states.get(&root).copied()
    }

    /// Takes a raw transaction: checked, pooled and on disk when this returns. Blocks on the disk.
    ///
    /// # Errors
    /// Why it was not taken.
    pub fn submit(&self, raw: &Bytes) -> Result<B256, SubmitError> {
        let tx = pool::decode(raw)?;
        let hash = *tx.tx_hash();
        if self.included(hash)? {
            return Err(SubmitError::AlreadyKnown);
        }
        // The head is read under the pool's lock, and the driver prunes under it too: a
        // transaction is never added against a head that was pruned for already.
        let replaced = {
            let mut pool = self.pool();
            pool.add(tx.clone(), self.store.spec(), &self.store.head())?
        };
        let failed = |error: crate::journal::JournalError| SubmitError::Other(error.to_string());
        self.journal.add(hash, raw).map_err(failed)?;
        self.forget(replaced);
        // No listener is no error.
        let _ = self.events.send(ChainEvent::Pooled(Arc::new(tx)));
        Ok(hash)
    }

    fn included(&self, hash: B256) -> Result<bool, SubmitError> {
        let found = self.store.transaction(&hash);
        found
            .map(|at| at.is_some())
            .map_err(|error| SubmitError::Other(error.to_string()))
    }

    fn forget(&self, hashes: Vec<B256>) {
        // What stays in the journal by mistake is judged again at the next start.
        if let Err(error) = self.journal.forget(hashes) {
            tracing::warn!(%error, "could not shorten the pool journal");
        }
    }

    /// Lets the chain do what the time asks for, and tells the listeners. Blocks while a block is
    /// executed and written.
    ///
    /// # Errors
    /// When the chain can no longer go on.
    pub fn tick(&self, now_ms: u64) -> Result<(), ChainError> {
        let mut chain = locked(&self.chain);
        let old_head = self.store.head().hash();
        let Some(step) = chain.tick(now_ms)? else {
            return Ok(());
        };
        *self.safe.write().unwrap_or_else(PoisonError::into_inner) = chain.safe();
        let events = events::of_step(&self.beacon, &self.store, &step)?;
        {
            let mut roots = locked(&self.roots);
            for block in &step.added {
                roots.add(&self.beacon, &block.record);
            }
        }
        drop(chain);
        self.settle(&step);
        self.announce(&step, events, old_head);
        Ok(())
    }

    fn settle(&self, step: &Step) {
        let mut gone = step.dropped.clone();
        if let Some(finality) = &step.finalized {
            let blocks = finality.blocks.iter();
            gone.extend(
                blocks
                    .flat_map(|block| &block.transactions)
                    .map(|tx| *tx.tx_hash()),
            );
        }
        self.forget(gone);
    }

    fn announce(&self, step: &Step, events: Vec<BeaconEvent>, old_head: B256) {
        let records = |blocks: &[Arc<cortado_evm::ExecutedBlock>]| {
            blocks.iter().map(|block| block.record.clone()).collect()
        };
        // No listener is no error, here and below.
        let _ = self.events.send(ChainEvent::Latest {
            removed: records(&step.removed),
            added: records(&step.added),
        });
        for event in events {
            let _ = self.beacon_events.send(event);
        }
        if let (false, Some(head)) = (step.removed.is_empty(), step.added.last()) {
            let depth = step.removed.len() as u64;
            let done = ReorgDone {
                depth,
                old_head,
                new_head: head.hash(),
            };
            for waiting in locked(&self.reorgs).drain(..) {
                let _ = waiting.send(done);
            }
        }
    }

    /// Orders a reorg; the receiver hears when it is done. See [`L1Chain::reorg`].
    ///
    /// # Errors
    /// When the depth is impossible.
    pub fn reorg(&self, depth: u64) -> Result<oneshot::Receiver<ReorgDone>, ChainError> {
        let mut chain = locked(&self.chain);
        chain.reorg(depth)?;
        let (done, receiver) = oneshot::channel();
        locked(&self.reorgs).push(done);
        Ok(receiver)
    }

    /// See [`L1Chain::miss_next`].
    pub fn miss_next(&self, slots: u64) {
        locked(&self.chain).miss_next(slots);
    }

    /// See [`L1Chain::stall_finality`].
    pub fn stall_finality(&self, stalled: bool) {
        locked(&self.chain).stall_finality(stalled);
    }

    /// How the chain stands.
    pub fn status(&self) -> Status {
        let finality_stalled = locked(&self.chain).finality_stalled();
        let head = self.store.head();
        let slot = slot_of(&head.header);
        Status {
            slot,
            epoch: self.beacon.clock().epoch(slot),
            head: head.number(),
            head_hash: head.hash(),
            safe: self.safe().number(),
            finalized: self.store.finalized().number(),
            finality_stalled,
            pool: self.pool().len(),
        }
    }
}
