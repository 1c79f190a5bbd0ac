//! The execution side's JSON-RPC: `eth_*` over the store, and `devl1_*` to bend the chain.

use std::sync::Arc;

use alloy_consensus::TxEnvelope;
use alloy_consensus::transaction::Recovered;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes};
use alloy_rpc_types_eth::{Filter, Log};
use cortado_ethrpc::args::Args;
use cortado_ethrpc::{ChainEvent, EthBackend, RpcError, SubmitError};
use cortado_evm::store::{LogLimits, TxLocation};
use cortado_evm::{BlockRecord, CallContext, ChainSpec};
use jsonrpsee::RpcModule;
use jsonrpsee::server::RegisterMethodError;
use jsonrpsee::types::ErrorObjectOwned;
use tokio::sync::broadcast;

use crate::shared::{Shared, Status};

/// The chain as `eth_*` sees it.
#[derive(Debug, Clone)]
pub struct Backend(pub Arc<Shared>);

impl EthBackend for Backend {
    fn spec(&self) -> &ChainSpec {
        self.0.store.spec()
    }

    fn client_version(&self) -> String {
        concat!("devl1/", env!("CARGO_PKG_VERSION")).to_owned()
    }

    fn block(&self, at: BlockId) -> Result<Option<Arc<BlockRecord>>, RpcError> {
        let store = &self.0.store;
        Ok(match at {
            BlockId::Hash(named) => store.block(&named.block_hash)?,
            BlockId::Number(BlockNumberOrTag::Latest | BlockNumberOrTag::Pending) => {
                Some(store.head().record.clone())
            }
            BlockId::Number(BlockNumberOrTag::Safe) => Some(self.0.safe()),
            BlockId::Number(BlockNumberOrTag::Finalized) => Some(store.finalized().record.clone()),
            BlockId::Number(BlockNumberOrTag::Earliest) => store.block_by_number(0)?,
            BlockId::Number(BlockNumberOrTag::Number(number)) => store.block_by_number(number)?,
        })
    }

    fn context(&self, at: BlockId) -> Result<Option<CallContext>, RpcError> {
        let Some(block) = self.block(at)? else {
            return Ok(None);
        };
        let executed = self.0.store.executed(&block.hash());
        Ok(executed.map(|executed| CallContext::after(&executed)))
    }

    fn transaction(&self, hash: B256) -> Result<Option<TxLocation>, RpcError> {
        Ok(self.0.store.transaction(&hash)?)
    }

    fn logs(
        &self,
        from: u64,
        to: u64,
        filter: &Filter,
        limits: &LogLimits,
    ) -> Result<Vec<Log>, RpcError> {
        Ok(self.0.store.logs(from, to, filter, limits)?)
    }

    fn pooled(&self, hash: B256) -> Option<Recovered<TxEnvelope>> {
        self.0.pool().get(&hash).map(|tx| (*tx).clone())
    }

    fn pending_nonce(&self, address: Address) -> Result<u64, RpcError> {
        let head = self.0.store.head();
        let next = head
            .state
            .account(&address)
            .map_or(0, |account| account.nonce);
        Ok(self.0.pool().next_nonce(&address, next))
    }

    async fn submit(&self, raw: Bytes) -> Result<B256, SubmitError> {
        let shared = self.0.clone();
        tokio::task::spawn_blocking(move || shared.submit(&raw))
            .await
            .unwrap_or_else(|error| Err(SubmitError::Other(error.to_string())))
    }

    fn events(&self) -> broadcast::Receiver<ChainEvent> {
        self.0.events()
    }
}

/// The methods that bend the chain: `devl1_reorg(depth)` (answers when it is done),
/// `devl1_missNext(slots)`, `devl1_stallFinality(bool)`, `devl1_status()`.
///
/// # Errors
/// Never in practice: only if two methods had one name.
pub fn controls(shared: Arc<Shared>) -> Result<RpcModule<Arc<Shared>>, RegisterMethodError> {
    let mut module = RpcModule::new(shared);
    module.register_async_method("devl1_reorg", |params, shared, _| async move {
        let depth: u64 = Args::new(&params, 1)?.required("depth")?;
        let refused = |error: crate::ChainError| RpcError::Refused(error.to_string());
        let done = shared.reorg(depth).map_err(refused)?;
        let stopped = |_| RpcError::Internal("the chain stopped first".to_owned());
        done.await.map_err(stopped).map_err(ErrorObjectOwned::from)
    })?;
    module.register_async_method("devl1_missNext", |params, shared, _| async move {
        let slots: u64 = Args::new(&params, 1)?.required("slots")?;
        blocking(move || shared.miss_next(slots)).await
    })?;
    module.register_async_method("devl1_stallFinality", |params, shared, _| async move {
        let stalled: bool = Args::new(&params, 1)?.required("stalled")?;
        blocking(move || shared.stall_finality(stalled)).await
    })?;
    module.register_async_method("devl1_status", |params, shared, _| async move {
        Args::new(&params, 0)?;
        let status = tokio::task::spawn_blocking(move || shared.status()).await;
        status.map_err(internal) as Result<Status, ErrorObjectOwned>
    })?;
    Ok(module)
}

/// Runs what may wait for a block under way.
async fn blocking(act: impl FnOnce() + Send + 'static) -> Result<bool, ErrorObjectOwned> {
    tokio::task::spawn_blocking(act).await.map_err(internal)?;
    Ok(true)
}

fn internal(error: tokio::task::JoinError) -> ErrorObjectOwned {
    RpcError::Internal(error.to_string()).into()
}
