//! A rollup node: follows the finality chain and its proposer, answers Ethereum's JSON-RPC.
//!
//! ```text
//!  FinalisedSource ─▶ ┐                    ┌─▶ View ─▶ eth_*  (pending, latest, safe, finalized)
//!  PreconfSource ───▶ ├─ follower ─ Engine ┤
//!                     ┘  (one thread)      └─▶ events
//!  eth_sendRawTransaction ─▶ TransactionSink ─▶ proposer
//! ```
//!
//! The node executes everything itself: a promise that does not come out as promised is counted and
//! logged with both outcomes, it is evidence for its holder (R21). `latest` comes from finalised
//! blocks alone; the proposer cannot move it.

mod api;
mod fates;
mod follower;
mod status;

pub use api::module;
pub use fates::{LostPlace, ReorgCounts};
pub use follower::{L1Safe, NodeCounters, RunningNode, start};
pub use status::{Finality, L1State, LanePosition, Reference, Status, StatusKind};

use crate::{
    engine::{LaneIndex, RollupSpec, View},
    gateway::actor::{clock_now, decode},
    source::{Promises, Submitted, TransactionSink},
};
use alloy_consensus::{TxEnvelope, transaction::Recovered};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_rpc_types_eth::{Filter, Log};
use cortado_ethrpc::{ChainEvent, EthBackend, RpcError, SubmitError, backend::EVENTS_MAX};
use cortado_evm::{
    BlockRecord, CallContext, ChainSpec, ChainStore,
    store::{LogLimits, LogsError, TxLocation, matching_logs},
};
use cortado_types::{Address, B256, Bytes, TimestampMs};
use fates::{Fates, Recent};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};
use tokio::sync::broadcast;

/// A transaction that waits for a nonce is forgotten after this long, as at the proposer.
const WAITING_MS_MAX: u64 = crate::gateway::QUEUED_MS_MAX;
/// How long a submission waits, after its promise is here, for the stream to bring it too, so that
/// the sender's next question finds it pending.
const SHOW_WAIT: Duration = Duration::from_millis(250);

/// What the follower writes and the RPC reads.
///
/// - Store and view change together, under `view`'s lock: whoever reads both holds it meanwhile, so no
///   answer is made of two chains.
#[derive(Debug)]
struct Shared {
    spec: RollupSpec,
    store: Arc<ChainStore>,
    lanes: LaneIndex,
    view: RwLock<Arc<View>>,
    syncing: RwLock<Option<(u64, u64)>>,
    waiting: Mutex<Recent<(Recovered<TxEnvelope>, TimestampMs)>>,
    fates: Mutex<Fates>,
    events: broadcast::Sender<ChainEvent>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The chain, held still. Not to be asked for twice by one reader: a writer may wait in between.
    fn read(&self) -> RwLockReadGuard<'_, Arc<View>> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn new(spec: RollupSpec, store: Arc<ChainStore>, lanes: LaneIndex, view: View) -> Self {
        Self {
            spec,
            store,
            lanes,
            view: RwLock::new(Arc::new(view)),
            syncing: RwLock::new(None),
            waiting: Mutex::default(),
            fates: Mutex::default(),
            events: broadcast::channel(EVENTS_MAX).0,
        }
    }
}

/// The rollup as its JSON-RPC sees it.
#[derive(Debug)]
pub struct RollupNode<T> {
    shared: Arc<Shared>,
    sink: T,
    proposer: Address,
    counters: Arc<NodeCounters>,
}

impl<T: TransactionSink> RollupNode<T> {
    /// What was counted.
    pub fn counters(&self) -> Arc<NodeCounters> {
        self.counters.clone()
    }

    /// The promises for a transaction, checked to be by the rollup's proposer.
    ///
    /// # Errors
    /// If the proposer cannot be asked, or shows promises that are not its own.
    pub async fn promises(&self, hash: B256) -> Result<Option<Promises>, RpcError> {
        let asked = self.sink.promises(hash).await;
        let Some(promises) = asked.map_err(|error| RpcError::Refused(error.0))? else {
            return Ok(None);
        };
        self.check(&promises, hash)?;
        Ok(Some(promises))
    }

    fn check(&self, promises: &Promises, hash: B256) -> Result<(), RpcError> {
        for signed in [&promises.inclusion, &promises.execution] {
            let signer = signed.signer().ok();
            if signer != Some(self.proposer) || signed.promise.transaction != hash {
                let proposer = self.proposer;
                return Err(RpcError::Refused(format!(
                    "the promise for {hash} is signed by {signer:?}, the proposer is {proposer}"
                )));
            }
        }
        Ok(())
    }

    /// Waits until a transaction is visible as pending, a little.
    async fn until_shown(&self, hash: B256) {
        let mut events = self.shared.events.subscribe();
        let shown = async {
            while self.transaction(hash).is_ok_and(|found| found.is_none()) {
                if let Err(broadcast::error::RecvError::Closed) = events.recv().await {
                    return;
                }
            }
        };
        // Later is also fine: the promise stands.
        let _ = tokio::time::timeout(SHOW_WAIT, shown).await;
    }

    fn record(&self, view: &View, number: u64) -> Result<Option<Arc<BlockRecord>>, RpcError> {
        if number > view.latest.number() {
            return Ok(view.pending_at(number).map(|block| block.record.clone()));
        }
        Ok(self.shared.store.block_by_number(number)?)
    }
}

/// Number of the block that a tag means now.
fn number_of(view: &View, tag: BlockNumberOrTag) -> u64 {
    match tag {
        BlockNumberOrTag::Latest => view.latest.number(),
        BlockNumberOrTag::Pending => view.pending_number(),
        BlockNumberOrTag::Safe => view.safe.0,
        BlockNumberOrTag::Finalized => view.finalized.0,
        BlockNumberOrTag::Earliest => 0,
        BlockNumberOrTag::Number(number) => number,
    }
}

impl<T: TransactionSink> EthBackend for RollupNode<T> {
    fn spec(&self) -> &ChainSpec {
        &self.shared.spec.chain
    }

    fn client_version(&self) -> String {
        format!("cortado-rollup/{}", env!("CARGO_PKG_VERSION"))
    }

    fn block(&self, at: BlockId) -> Result<Option<Arc<BlockRecord>>, RpcError> {
        let view = self.shared.read();
        match at {
            BlockId::Hash(hash) => {
                let hash = hash.block_hash;
                let pending = view
                    .pending
                    .iter()
                    .find(|block| block.record.hash() == hash);
                match pending {
                    Some(block) => Ok(Some(block.record.clone())),
                    None => Ok(self.shared.store.block(&hash)?),
                }
            }
            BlockId::Number(tag) => self.record(&view, number_of(&view, tag)),
        }
    }

    fn context(&self, at: BlockId) -> Result<Option<CallContext>, RpcError> {
        let view = self.shared.read();
        match at {
            BlockId::Hash(hash) => {
                let hash = hash.block_hash;
                let pending = view
                    .pending
                    .iter()
                    .find(|block| block.record.hash() == hash);
                Ok(match pending {
                    Some(block) => Some(block.context.clone()),
                    None => self
                        .shared
                        .store
                        .executed(&hash)
                        .map(|block| CallContext::after(&block)),
                })
            }
            BlockId::Number(tag) => {
                let number = number_of(&view, tag);
                if number == view.latest.number() {
                    return Ok(Some(CallContext::after(&view.latest)));
                }
                if number > view.latest.number() {
                    return Ok(view.pending_at(number).map(|block| block.context.clone()));
                }
                let executed = self.shared.store.executed_by_number(number);
                Ok(executed.map(|block| CallContext::after(&block)))
            }
        }
    }

    fn transaction(&self, hash: B256) -> Result<Option<TxLocation>, RpcError> {
        let view = self.shared.read();
        if let Some((block, index)) = view.pending_transaction(&hash) {
            return Ok(Some(TxLocation {
                block: block.record.clone(),
                index,
            }));
        }
        Ok(self.shared.store.transaction(&hash)?)
    }

    fn logs(
        &self,
        from: u64,
        to: u64,
        filter: &Filter,
        limits: &LogLimits,
    ) -> Result<Vec<Log>, RpcError> {
        let view = self.shared.read();
        let latest = view.latest.number();
        let mut found = match from <= latest {
            true => self
                .shared
                .store
                .logs(from, to.min(latest), filter, limits)?,
            false => Vec::new(),
        };
        for number in from.max(latest + 1)..=to.min(view.pending_number()) {
            let Some(block) = view.pending_at(number) else {
                break;
            };
            found.extend(matching_logs(&block.record, filter));
            if found.len() > limits.logs {
                return Err(LogsError::TooManyLogs { limit: limits.logs }.into());
            }
        }
        Ok(found)
    }

    fn pooled(&self, hash: B256) -> Option<Recovered<TxEnvelope>> {
        let waiting = lock(&self.shared.waiting);
        let (transaction, since) = waiting.get(&hash)?;
        (clock_now().since(*since) <= WAITING_MS_MAX).then(|| transaction.clone())
    }

    fn pending_nonce(&self, address: Address) -> Result<u64, RpcError> {
        let view = self.shared.read();
        let state = match view.pending.last() {
            Some(block) => &block.context.state,
            None => &view.latest.state,
        };
        Ok(state.account(&address).map_or(0, |account| account.nonce))
    }

    async fn submit(&self, raw: Bytes) -> Result<B256, SubmitError> {
        let included = decode(raw.clone(), self.shared.spec.chain.chain_id)?;
        match self.sink.send(raw).await? {
            Submitted::Promised { hash, promises } => {
                if hash != included.hash() || self.check(&promises, hash).is_err() {
                    self.counters.foreign_promises.inc();
                    return Err(SubmitError::Other(format!(
                        "the proposer answered with a promise for {hash} that is not its own"
                    )));
                }
                self.until_shown(hash).await;
                Ok(hash)
            }
            Submitted::Queued { hash, .. } => {
                let transaction = included.transaction;
                let event = ChainEvent::Pooled(Arc::new(transaction.clone()));
                lock(&self.shared.waiting).insert(hash, (transaction, clock_now()));
                // Nobody may be listening.
                let _ = self.shared.events.send(event);
                Ok(hash)
            }
        }
    }

    fn receipt_fields(
        &self,
        at: &TxLocation,
    ) -> Result<serde_json::Map<String, serde_json::Value>, RpcError> {
        self.receipt_more(at)
    }

    fn events(&self) -> broadcast::Receiver<ChainEvent> {
        self.shared.events.subscribe()
    }

    fn min_tip(&self) -> u128 {
        // What a wallet is told is enough, whatever the transaction refers to.
        self.shared.spec.tips.highest().into()
    }

    fn syncing(&self) -> Option<(u64, u64)> {
        *self
            .shared
            .syncing
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
