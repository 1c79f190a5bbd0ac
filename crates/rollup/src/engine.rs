//! The reference rollup of one namespace: derive, execute, keep.
//!
//! ```text
//!  Finalised ──▶ derive_lane (R12) ──▶ L2Input ──▶ BlockBuilder ──▶ ChainStore     `latest`
//!                     ▲                               ▲
//!              Fork (L1*)                             │ same lane block, same parent: adopted
//!  proposer's lane blocks, not yet final ──▶ pending layers                        `pending`
//! ```
//!
//! One lane block that imports or executes something is one L2 block. Its header is a function of
//! the derived chain, the lane header and its signer alone ([`block_inputs`]), so what was executed
//! as pending *is* the derived block if it stands on the same parent.
//!
//! Tags (R22): `pending` is the last layer, `latest` the last derived block and moves only by
//! [`Engine::apply`], which takes nothing without a finality certificate. `safe` and `finalized`
//! are the last blocks whose context is safe on L1, or at or below `L1fin`.

mod error;
mod execute;
mod pending;
mod progress;
mod view;

pub use error::{EngineError, PushError};
pub use execute::{Skipped, block_inputs, transaction_hash};
pub use pending::{Included, PendingLane, is_sealed_form, outcome_of};
pub use progress::LaneRow;
pub use view::{PendingBlock, Tag, View};

use crate::source::Finalised;
use alloy_genesis::Genesis;
use cortado_chain::Tip;
use cortado_derive::{Cursor, Ethereum, Fork, Params, derive_lane};
use cortado_evm::{ChainSpec, ChainStore, ExecutedBlock};
use cortado_l1::TrackedHeader;
use cortado_types::{
    Address, B256, Genesis as ChainGenesis, Height, L1Ref, LaneBody, Namespace, Operation,
    SignedLaneHeader, TimestampMs,
};
use pending::Layer;
use progress::{Progress, Status};
use std::{collections::VecDeque, path::Path, sync::Arc};

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
}

/// Why a transaction of a finalised lane block has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallen {
    /// Hash of the transaction.
    pub hash: B256,
    /// The lane block it stands in.
    pub lane: Height,
    /// In words.
    pub reason: String,
}

/// What one finalised lane block became.
#[derive(Clone, Debug)]
pub struct AppliedLane {
    /// Its header.
    pub lane: SignedLaneHeader,
    /// Hash of its header.
    pub hash: B256,
    /// The L2 block, if it yields one.
    pub block: Option<Arc<ExecutedBlock>>,
    /// Whether the block had been executed as pending.
    pub adopted: bool,
    /// Transactions without effect.
    pub fallen: Vec<Fallen>,
}

/// What one finalised block did.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Its number.
    pub height: Height,
    /// Its time, ms: closes slots (R6).
    pub timestamp: TimestampMs,
    /// The namespace's lane blocks in it.
    pub lanes: Vec<AppliedLane>,
}

/// Finalised lane blocks by number and by L2 block. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LaneIndex(Arc<Progress>);

impl LaneIndex {
    /// The finalised lane block that became L2 block `number`, and its number.
    ///
    /// # Errors
    /// If the database fails.
    pub fn of_block(&self, number: u64) -> Result<Option<(Height, LaneRow)>, EngineError> {
        let Some(height) = self.0.lane_of_block(number)? else {
            return Ok(None);
        };
        Ok(self.0.lane(height)?.map(|row| (height, row)))
    }
}

/// One rollup. Not shared: a single task drives it; readers hold [`View`]s.
#[derive(Debug)]
pub struct Engine {
    spec: RollupSpec,
    store: Arc<ChainStore>,
    progress: Arc<Progress>,
    status: Status,
    fork: Fork,
    /// Executed blocks above the finalised one: number, hash, context.
    unsettled: VecDeque<(u64, B256, L1Ref)>,
    finalized: (u64, B256),
    safe: (u64, B256),
    l1_safe: u64,
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
        let (status, fork) = match progress.load()? {
            Some(loaded) => loaded,
            None => {
                let anchor = TrackedHeader::read(&genesis.l1.anchor)?;
                let at = anchor.to_ref();
                let status = Status {
                    height: Height::ZERO,
                    hash: genesis_hash,
                    tip: Tip::default(),
                    cursor: Cursor::new(at),
                    l1_head: at,
                    l1_fin: at,
                    l2_head: store.head().hash(),
                };
                progress.write(&status, &[anchor], &[]);
                progress.sync()?;
                (status, Fork::new(anchor))
            }
        };
        if status.height == Height::ZERO && status.hash != genesis_hash {
            return Err(EngineError::WrongChain {
                found: status.hash,
                expected: genesis_hash,
            });
        }
        // The store may have been synced after the last row was: derive the rest again.
        store.set_canonical(status.l2_head)?;
        let finalized = store.finalized();
        let finalized = (finalized.number(), finalized.hash());
        let mut engine = Self {
            spec,
            store,
            progress,
            status,
            fork,
            unsettled: VecDeque::new(),
            finalized,
            safe: finalized,
            l1_safe: 0,
            layers: VecDeque::new(),
        };
        for number in finalized.0 + 1..=engine.store.head().number() {
            let Some(hash) = engine.store.hash_by_number(number)? else {
                break;
            };
            let lane = match engine.progress.lane_of_block(number)? {
                Some(height) => engine.progress.lane(height)?,
                None => None,
            };
            if let Some(lane) = lane {
                engine.unsettled.push_back((number, hash, lane.reached));
            }
        }
        engine.settle();
        Ok(engine)
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
        self.fork.highest_common(block).is_some()
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

    /// Applies the next block of the finality chain.
    ///
    /// # Errors
    /// [`EngineError`]; nothing has changed then, and the same block can be applied again.
    pub fn apply(&mut self, finalised: &Finalised) -> Result<Applied, EngineError> {
        let block = finalised.block();
        let header = &block.header;
        if header.height != self.next_height() || header.parent != self.status.hash {
            return Err(EngineError::NotNext {
                got: header.height,
                parent: header.parent,
                height: self.status.height,
                hash: self.status.hash,
            });
        }
        let mut next = self.status.clone();
        next.height = header.height;
        next.hash = finalised.hash();
        let mut applied = Applied {
            height: header.height,
            timestamp: header.timestamp,
            lanes: Vec::new(),
        };
        let mut rows = Vec::new();
        let mut head = self.store.head();
        let mut unsettled = Vec::new();
        // Layers are only looked at until everything of the block has worked out.
        let mut matched = 0;
        for lane in cortado_derive::lanes_of(block, self.spec.namespace) {
            let hash = lane.header.hash();
            let layer = self
                .layers
                .get(matched)
                .filter(|layer| layer.sealed_as() == Some(hash));
            let own = layer.map(Layer::body);
            let body: &LaneBody = match (finalised.body(&hash), &own) {
                (Some(body), _) => body,
                (None, Some(own)) => own,
                (None, None) => {
                    return Err(EngineError::NoBody {
                        lane: hash,
                        height: header.height,
                    });
                }
            };
            let (cursor, input) = derive_lane(
                &next.cursor,
                &lane.header,
                body,
                &self.fork,
                &Ethereum,
                &self.spec.params,
            )?;
            let adopted = layer.and_then(|layer| layer.executed_as(&head, &input));
            let is_adopted = adopted.is_some();
            let (executed, skipped) = match adopted {
                Some(block) => (block, Vec::new()),
                None => {
                    let signer = lane
                        .signer()
                        .map_err(|source| EngineError::Signature { lane: hash, source })?;
                    execute::execute(&self.spec.chain, &head, &input, signer)
                        .map_err(|source| EngineError::Build { lane: hash, source })?
                }
            };
            if matched < self.layers.len() {
                matched = if layer.is_some() {
                    matched + 1
                } else {
                    usize::MAX
                };
            }
            let block = match executed {
                Some(block) => Some(self.store.insert(block)?),
                None => None,
            };
            if let Some(block) = &block {
                head = block.clone();
                unsettled.push((block.number(), block.hash(), input.context));
            }
            rows.push((
                lane.header.height,
                LaneRow {
                    hash,
                    slot: lane.header.slot,
                    seq: lane.header.seq,
                    timestamp: lane.header.timestamp,
                    context: lane.header.context,
                    reached: input.context,
                    included: header.height,
                    l2_number: block.as_ref().map_or(0, |block| block.number()),
                },
            ));
            let fallen = execute::fallen(&input, body, skipped);
            applied.lanes.push(AppliedLane {
                lane: lane.clone(),
                hash,
                block,
                adopted: is_adopted,
                fallen,
            });
            next.cursor = cursor;
            next.tip = Tip {
                height: lane.header.height,
                hash,
                slot: lane.header.slot,
                seq: lane.header.seq,
                last: lane.header.last,
                timestamp: lane.header.timestamp,
            };
        }
        // R8: lane blocks first, then the pointer.
        let headers = moved_headers(block)?;
        let mut fork = None;
        if !headers.is_empty() {
            let mut followed = self.fork.clone();
            followed.follow(block)?;
            followed.prune(&next.cursor);
            fork = Some(followed);
        }
        next.l1_head = header.l1_head.block;
        next.l1_fin = header.l1_fin;
        next.l2_head = head.hash();
        self.store.set_canonical(next.l2_head)?;
        self.progress.write(&next, &headers, &rows);

        self.status = next;
        if let Some(fork) = fork {
            self.fork = fork;
        }
        self.unsettled.extend(unsettled);
        self.settle();
        self.settle_layers(&applied);
        Ok(applied)
    }

    /// Says which L1 block this node's L1 considers safe, by number; moves `safe` only.
    pub fn set_l1_safe(&mut self, number: u64) {
        self.l1_safe = self.l1_safe.max(number);
        self.settle();
    }

    /// Moves `safe` and `finalized` to the last blocks whose contexts are.
    fn settle(&mut self) {
        let fin = self.status.l1_fin.number;
        while let Some((number, hash, context)) = self.unsettled.front().copied()
            && context.number <= fin
        {
            self.finalized = (number, hash);
            self.unsettled.pop_front();
        }
        if self.safe.0 < self.finalized.0 {
            self.safe = self.finalized;
        }
        let safe = self.l1_safe.max(fin);
        let last = self
            .unsettled
            .iter()
            .take_while(|(_, _, context)| context.number <= safe)
            .last();
        if let Some((number, hash, _)) = last
            && *number > self.safe.0
        {
            self.safe = (*number, *hash);
        }
    }

    /// Makes all that was applied durable and lets the store drop what is final. What is applied
    /// and not persisted is applied again after a crash, with the same result.
    ///
    /// # Errors
    /// If a disk fails.
    pub fn persist(&mut self) -> Result<(), EngineError> {
        // In this order: a row never names a block that the store could have lost.
        self.store.persist()?;
        self.progress.sync()?;
        if self.store.finalized().number() < self.finalized.0 {
            self.store.finalize(self.finalized.1)?;
        }
        Ok(())
    }

    /// Number and hash of `finalized`.
    pub fn finalized(&self) -> (u64, B256) {
        self.finalized
    }

    /// Number and hash of `safe`.
    pub fn safe(&self) -> (u64, B256) {
        self.safe
    }
}

fn moved_headers(block: &cortado_types::Block) -> Result<Vec<TrackedHeader>, EngineError> {
    let mut headers = Vec::new();
    for operation in &block.operations {
        if let Operation::MovePointer(moved) = operation {
            for raw in &moved.headers {
                headers.push(TrackedHeader::read(raw)?);
            }
        }
    }
    Ok(headers)
}
