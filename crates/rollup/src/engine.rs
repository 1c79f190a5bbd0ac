//! The reference rollup of one namespace: derive, execute, keep.
//!
//! ```text
//!  Finalised ──▶ Timeline (R12) ──▶ L2Input ──▶ BlockBuilder ──▶ ChainStore        `latest`
//!                     ▲                               ▲
//!         Fork (L1*), what L1 queued                  │ same lane block, same parent: adopted
//!  proposer's lane blocks, not yet final ──▶ pending layers                        `pending`
//! ```
//!
//! One lane block that imports or executes something is one L2 block. Its header is a function of
//! the derived chain, the lane header and its signer alone ([`block_inputs`]), so what was executed
//! as pending *is* the derived block if it stands on the same parent.
//!
//! When the pointer changes over to another fork of L1, the lane blocks that can tell the forks apart
//! are derived and executed again from the first of them on ([`Reorg`]). Those that no fork above
//! `L1fin` can change any more are let go.
//!
//! Tags (R22): `pending` is the last layer, `latest` the last derived block and moves only by
//! [`Engine::apply`], which takes nothing without a finality certificate. `safe` and `finalized`
//! are the last blocks whose context is safe on L1, or that no fork above `L1fin` can change. Readers
//! of the store see a new chain with [`Engine::publish`], all of it at once.

mod apply;
mod error;
mod execute;
mod pending;
mod progress;
mod queue;
mod view;

pub use apply::{Applied, AppliedLane, Derivation, Fallen, Lost, Reorg};
pub use error::{EngineError, PushError};
pub(crate) use execute::{Senders, credit_of, execute};
pub use execute::{Skipped, block_inputs, transaction_hash};
pub use pending::{Included, PendingLane, is_sealed_form, outcome_of};
pub use progress::LaneRow;
pub use view::{PendingBlock, Tag, View};

use alloy_genesis::Genesis;
use cortado_chain::Tip;
use cortado_derive::{Cursor, Ethereum, Lane, Params, Timeline};
use cortado_evm::{ChainSpec, ChainStore, ExecutedBlock};
use cortado_l1::TrackedHeader;
use cortado_types::{
    Address, B256, Bytes, Genesis as ChainGenesis, Height, L1Ref, Namespace, SignedLaneHeader,
};
use pending::Layer;
use progress::{HeldRow, L1Row, Loaded, Progress, QueueRow, Status};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::Arc,
};

/// Least tips, in wei per gas. Who refers to an L1 block that is final has a place that no reorg takes
/// away and is served first; that has its price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tips {
    /// Of a transaction whose place is conditioned on an L1 block that is not final.
    pub conditional_wei: u64,
    /// Of one that refers to a final L1 block.
    pub unconditional_wei: u64,
}

impl Default for Tips {
    fn default() -> Self {
        // Wallets offer a tip of 1 when nobody offered more before.
        Self {
            conditional_wei: 0,
            unconditional_wei: 1,
        }
    }
}

impl Tips {
    /// What is enough for any transaction.
    pub fn highest(&self) -> u64 {
        self.conditional_wei.max(self.unconditional_wei)
    }
}

/// What a rollup is.
#[derive(Clone, Debug)]
pub struct RollupSpec {
    /// Its namespace, equal to its EIP-155 chain id.
    pub namespace: Namespace,
    /// Executor constants.
    pub chain: ChainSpec,
    /// Block 0 of the rollup.
    pub genesis: Genesis,
    /// Derivation parameters.
    pub params: Params,
    /// The contract on L1 whose queue it imports; none if it takes no L1→L2 calls. All of its nodes
    /// must name the same one, like its genesis.
    pub inbox: Option<Address>,
    /// Least tips that its proposer takes.
    pub tips: Tips,
}

/// Finalised lane blocks by number and by L2 block. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LaneIndex(Arc<Progress>);

impl LaneIndex {
    /// The finalised lane block that became L2 block `number` of the canonical chain.
    ///
    /// # Errors
    /// If the database fails.
    pub fn of_block(&self, number: u64) -> Result<Option<LaneRow>, EngineError> {
        let Some(height) = self.0.lane_of_block(number)? else {
            return Ok(None);
        };
        self.0.lane(height)
    }

    /// Number of an L1 block that is known, on any fork.
    pub fn l1_number(&self, hash: &B256) -> Option<u64> {
        self.0.l1_number(hash)
    }
}

/// A finalised lane block that another fork could still change, and what it is on this one.
#[derive(Clone, Debug)]
struct Held {
    lane: SignedLaneHeader,
    signer: Address,
    senders: Senders,
    row: LaneRow,
    /// The last L2 block after it.
    head: Arc<ExecutedBlock>,
}

/// One rollup. Not shared: a single task drives it; readers hold [`View`]s.
///
/// - `held` are the lane blocks that the timeline holds, in the same order.
#[derive(Debug)]
pub struct Engine {
    spec: RollupSpec,
    store: Arc<ChainStore>,
    progress: Arc<Progress>,
    status: Status,
    timeline: Timeline<Ethereum>,
    held: VecDeque<Held>,
    /// Lane blocks that are not derived yet, as the timeline has them, and the blocks that carry them.
    waiting: VecDeque<(SignedLaneHeader, Height)>,
    /// The L2 block before those held.
    settled: Arc<ExecutedBlock>,
    safe: (u64, B256),
    /// The L1 block that this node's L1 considers safe.
    l1_safe: Option<L1Ref>,
    /// L1 blocks of which it is not known what they queued, with their headers as RLP.
    asked: BTreeMap<B256, Bytes>,
    layers: VecDeque<Layer>,
}

impl Engine {
    /// Opens the rollup in directory `dir`, or begins it there. `genesis_hash` is the hash of block
    /// 0 of the finality chain that `genesis` describes.
    ///
    /// # Errors
    /// [`EngineError`] if the directory is damaged or of another chain.
    pub fn open(
        dir: &Path,
        spec: RollupSpec,
        genesis: &ChainGenesis,
        genesis_hash: B256,
    ) -> Result<Self, EngineError> {
        let store = Arc::new(ChainStore::open(
            &dir.join("blocks"),
            spec.chain.clone(),
            &spec.genesis,
        )?);
        let progress = Arc::new(Progress::open(&dir.join("progress.redb"))?);
        let loaded = match progress.load()? {
            Some(loaded) => loaded,
            None => {
                let anchor = TrackedHeader::read(&genesis.l1.anchor)?;
                let at = anchor.to_ref();
                let head = store.head().hash();
                let status = Status {
                    height: Height::ZERO,
                    hash: genesis_hash,
                    tip: Tip::default(),
                    settled: Cursor::new(at),
                    l1_head: at,
                    l1_fin: at,
                    l2_head: head,
                    l2_settled: head,
                };
                let row = L1Row {
                    header: anchor,
                    queue: QueueRow::Told(Vec::new()),
                };
                progress.write(&status, &[], Vec::new(), Height::ZERO);
                progress.write_l1(row.clone());
                progress.sync()?;
                Loaded {
                    status,
                    l1: vec![row],
                    held: Vec::new(),
                }
            }
        };
        let status = loaded.status;
        if status.height == Height::ZERO && status.hash != genesis_hash {
            return Err(EngineError::WrongChain {
                found: status.hash,
                expected: genesis_hash,
            });
        }
        // The store may have been synced after the last row was: derive the rest again.
        store.set_canonical(status.l2_head)?;
        let (fork, asked) = queue::load_fork(&spec, &status, loaded.l1)?;
        let params = spec.params;
        let settled = store
            .executed(&status.l2_settled)
            .ok_or(EngineError::NoBlock(status.l2_settled))?;
        let mut engine = Self {
            timeline: Timeline::new(Ethereum, params, fork, status.settled.clone()),
            safe: (settled.number(), settled.hash()),
            spec,
            store,
            progress,
            status,
            held: VecDeque::new(),
            waiting: VecDeque::new(),
            settled,
            l1_safe: None,
            asked,
            layers: VecDeque::new(),
        };
        engine.restore_held(loaded.held)?;
        engine.mark_safe();
        Ok(engine)
    }

    /// Derives the held lane blocks again; what they became is in the store.
    fn restore_held(&mut self, rows: Vec<HeldRow>) -> Result<(), EngineError> {
        let lane = |row: &HeldRow| Lane {
            header: row.lane.header.clone(),
            body: Arc::new(row.body.clone()),
        };
        let to = (self.status.l1_head, self.status.l1_fin);
        self.timeline
            .advance(rows.iter().map(lane).collect(), &[], to)?;
        let derived = self.timeline.held().len();
        for (index, HeldRow { lane, .. }) in rows.into_iter().enumerate() {
            let height = lane.header.height;
            let row = self.progress.lane(height)?;
            let row = row.ok_or(EngineError::NoLane(height))?;
            if index >= derived {
                self.waiting.push_back((lane, row.included));
                continue;
            }
            let head = match row.l2_number {
                0 => self.head(),
                number => self
                    .store
                    .executed_by_number(number)
                    .ok_or(EngineError::NoBlock(row.hash))?,
            };
            let signer = lane.signer().map_err(|source| EngineError::Signature {
                lane: row.hash,
                source,
            })?;
            self.held.push_back(Held {
                lane,
                signer,
                senders: Senders::default(),
                row,
                head,
            });
        }
        Ok(())
    }

    /// The last derived L2 block: `latest`.
    pub fn head(&self) -> Arc<ExecutedBlock> {
        self.held
            .back()
            .map_or(&self.settled, |held| &held.head)
            .clone()
    }

    /// The rollup's namespace.
    pub fn namespace(&self) -> Namespace {
        self.spec.namespace
    }

    /// The rollup's constants.
    pub fn spec(&self) -> &RollupSpec {
        &self.spec
    }

    /// Executed blocks.
    pub fn store(&self) -> &Arc<ChainStore> {
        &self.store
    }

    /// Whether the L1 fork followed here reaches to `block`: what builds on it can be judged.
    pub fn knows(&self, block: &L1Ref) -> bool {
        self.timeline.fork().highest_common(block).is_some()
    }

    /// Whether what builds on `block` can be executed: it is known, and so is what its fork queued up to
    /// it, which matters only on the fork followed here.
    pub fn can_execute_on(&self, block: &L1Ref) -> bool {
        let (fork, scanned) = (self.timeline.fork(), &self.timeline.cursor().scanned);
        let is_told = || fork.entries_between(scanned.number, block.number).is_ok();
        self.knows(block) && (!self.is_on_fork(block) || is_told())
    }

    /// The next block of the finality chain to apply.
    pub fn next_height(&self) -> Height {
        self.status.height.next().unwrap_or(self.status.height)
    }

    /// The last finalised lane block of the namespace.
    pub fn tip(&self) -> Tip {
        self.status.tip
    }

    /// `L1*` after the last applied block: the anchor of lane blocks in the next (R8).
    pub fn l1_head(&self) -> L1Ref {
        self.status.l1_head
    }

    /// `L1fin` after the last applied block.
    pub fn l1_fin(&self) -> L1Ref {
        self.status.l1_fin
    }

    /// The finalised lane block of this number.
    ///
    /// # Errors
    /// If the database fails.
    pub fn lane(&self, height: Height) -> Result<Option<LaneRow>, EngineError> {
        self.progress.lane(height)
    }

    /// Finalised lane blocks, for readers on other threads.
    pub fn lane_index(&self) -> LaneIndex {
        LaneIndex(self.progress.clone())
    }

    /// The end of the L1 fork that the rollup is derived on: `L1*`, or `L1fin` while `L1*` is on a fork
    /// that L1 did not finalise.
    pub fn l1_tip(&self) -> L1Ref {
        self.timeline.fork().tip()
    }

    /// Number of an L1 block that is known here, on any fork.
    pub fn l1_number(&self, hash: &B256) -> Option<u64> {
        let header = self.timeline.fork().header(hash)?;
        Some(header.number)
    }

    /// Whether everything final is derived and everything pending executed, so that something new can
    /// be executed on it.
    pub fn is_ready(&self) -> bool {
        self.waiting.is_empty() && self.pending().all(|lane| lane.executed)
    }

    /// Whether `block` is on the fork that the rollup is derived on.
    pub fn is_on_fork(&self, block: &L1Ref) -> bool {
        self.timeline.fork().contains(block) == Some(true)
    }

    /// Says which L1 block this node's L1 considers safe; moves `safe` only.
    pub fn set_l1_safe(&mut self, block: L1Ref) {
        self.l1_safe = Some(block);
        self.mark_safe();
    }

    /// The L1 block that this node's L1 considers safe, if it is on the fork.
    pub fn l1_safe(&self) -> Option<L1Ref> {
        self.l1_safe.filter(|block| self.is_on_fork(block))
    }

    /// Moves `safe` to the last block before which every lane block's context is.
    fn mark_safe(&mut self) {
        let last = self.l1_safe().and_then(|safe| {
            let is_safe = |held: &&Held| held.row.context.number <= safe.number;
            self.held.iter().take_while(is_safe).last()
        });
        let block = last.map_or(&self.settled, |held| &held.head);
        self.safe = (block.number(), block.hash());
    }

    /// Shows readers of the store the chain as it is derived now. Quick, and all or nothing: whoever
    /// must not see two chains in one answer keeps readers out meanwhile.
    ///
    /// # Errors
    /// If the store fails.
    pub fn publish(&self) -> Result<(), EngineError> {
        self.store.set_canonical(self.head().hash())?;
        Ok(())
    }

    /// Makes all that was applied durable and lets the store drop what is final. What is applied
    /// and not persisted is applied again after a crash, with the same result.
    ///
    /// # Errors
    /// If a disk fails.
    pub fn persist(&mut self) -> Result<(), EngineError> {
        self.publish()?;
        // In this order: a row never names a block that the store could have lost.
        self.store.persist()?;
        self.progress.sync()?;
        if self.store.finalized().number() < self.settled.number() {
            self.store.finalize(self.settled.hash())?;
        }
        Ok(())
    }

    /// Number and hash of `finalized`.
    pub fn finalized(&self) -> (u64, B256) {
        (self.settled.number(), self.settled.hash())
    }

    /// Number and hash of `safe`.
    pub fn safe(&self) -> (u64, B256) {
        self.safe
    }
}
