//! The methods, written once for every backend.

mod chain;
mod execution;
mod fees;
mod logs;
mod node;
mod state;
mod subscriptions;
mod transactions;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use alloy_eips::BlockId;
use cortado_evm::{BlockRecord, CallContext};
use jsonrpsee::RpcModule;
use jsonrpsee::server::RegisterMethodError;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::sync::broadcast::error::RecvError;

use crate::args::Args;
use crate::backend::{ChainEvent, EthBackend};
use crate::error::RpcError;
use crate::filters::Filters;
use crate::limits::{HEAVY_CALLS_MAX, Limits};
use crate::metrics::Counters;

/// What every method sees.
pub(crate) struct Api<B> {
    backend: Arc<B>,
    limits: Limits,
    counters: Arc<Counters>,
    filters: Mutex<Filters>,
    heavy: Semaphore,
    started: Instant,
}

/// The methods of namespaces `eth`, `net`, `web3` and `rpc` over a backend. The owner may merge
/// further modules into the result before it serves it.
///
/// # Errors
/// Never in practice: only if two methods had one name.
///
/// # Panics
/// Outside a tokio runtime: a task feeds the polled filters until the backend's events end or the
/// module is dropped.
pub fn module<B: EthBackend>(
    backend: Arc<B>,
    limits: Limits,
    counters: Arc<Counters>,
) -> Result<RpcModule<()>, RegisterMethodError> {
    let api = Arc::new(Api {
        filters: Mutex::new(Filters::new(limits.filters)),
        backend,
        limits,
        counters,
        heavy: Semaphore::new(HEAVY_CALLS_MAX),
        started: Instant::now(),
    });
    feed_filters(&api);
    let mut methods = Registry(RpcModule::from_arc(api));
    node::register(&mut methods)?;
    chain::register(&mut methods)?;
    state::register(&mut methods)?;
    execution::register(&mut methods)?;
    fees::register(&mut methods)?;
    transactions::register(&mut methods)?;
    logs::register(&mut methods)?;
    subscriptions::register(&mut methods)?;
    Ok(methods.0.remove_context())
}

impl<B: EthBackend> Api<B> {
    /// Milliseconds since the module was made: the clock of the filters.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn filters(&self) -> MutexGuard<'_, Filters> {
        self.filters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block, or `None`; refuses a hash off the canonical chain when the caller asked for that.
    fn find(&self, at: BlockId) -> Result<Option<Arc<BlockRecord>>, RpcError> {
        let block = self.backend.block(at)?;
        if let (BlockId::Hash(named), Some(block)) = (at, &block)
            && named.require_canonical == Some(true)
        {
            let canonical = self.backend.block(BlockId::number(block.number()))?;
            if canonical.is_none_or(|canonical| canonical.hash() != named.block_hash) {
                return Err(RpcError::Refused(format!(
                    "hash {} is not currently canonical",
                    named.block_hash
                )));
            }
        }
        Ok(block)
    }

    /// A block that has to exist.
    fn block(&self, at: BlockId) -> Result<Arc<BlockRecord>, RpcError> {
        self.find(at)?.ok_or_else(|| not_found(at))
    }

    /// The state after a block that has to exist; `latest` by default.
    fn context(&self, at: Option<BlockId>) -> Result<CallContext, RpcError> {
        let at = at.unwrap_or_default();
        if matches!(at, BlockId::Hash(_)) {
            // Judges `require_canonical`.
            self.block(at)?;
        }
        if let Some(context) = self.backend.context(at)? {
            return Ok(context);
        }
        let block = self.block(at)?;
        Err(RpcError::Refused(format!(
            "historical state of block {} ({}) is not available",
            block.number(),
            block.hash()
        )))
    }
}

fn not_found(at: BlockId) -> RpcError {
    match at {
        BlockId::Hash(named) => {
            RpcError::NotFound(format!("block not found: {}", named.block_hash))
        }
        BlockId::Number(tag) => RpcError::NotFound(format!("block not found: {tag}")),
    }
}

/// Moves the backend's events into the polled filters.
fn feed_filters<B: EthBackend>(api: &Arc<Api<B>>) {
    let mut events = api.backend.events();
    let api = Arc::downgrade(api);
    tokio::spawn(async move {
        loop {
            let event = events.recv().await;
            let Some(api) = api.upgrade() else { return };
            match event {
                Ok(ChainEvent::Latest { removed, added }) => {
                    api.filters().moved(&removed, &added);
                }
                Ok(ChainEvent::Pooled(tx)) => api.filters().pooled(*tx.tx_hash()),
                Ok(ChainEvent::Pending) => {}
                Err(RecvError::Lagged(_)) => api.filters().clear(),
                Err(RecvError::Closed) => return,
            }
        }
    });
}

/// Registers methods with their parameters taken apart.
pub(crate) struct Registry<B>(RpcModule<Api<B>>);

impl<B: EthBackend> Registry<B> {
    /// A method that answers at once. `max` is its number of parameters.
    fn quick<R, F>(
        &mut self,
        name: &'static str,
        max: usize,
        method: F,
    ) -> Result<(), RegisterMethodError>
    where
        R: Serialize + Clone + 'static,
        F: Fn(&Api<B>, &mut Args) -> Result<R, RpcError> + Send + Sync + 'static,
    {
        self.0
            .register_method(name, move |params: Params<'_>, api, _| {
                let mut args = Args::new(&params, max)?;
                method(api, &mut args).map_err(ErrorObjectOwned::from)
            })?;
        Ok(())
    }

    /// A method that executes or scans: it runs on the blocking pool, few at a time.
    fn heavy<R, F>(
        &mut self,
        name: &'static str,
        max: usize,
        method: F,
    ) -> Result<(), RegisterMethodError>
    where
        R: Serialize + Clone + Send + 'static,
        F: Fn(&Api<B>, &mut Args) -> Result<R, RpcError> + Clone + Send + Sync + 'static,
    {
        self.0.register_async_method(name, move |params, api, _| {
            let method = method.clone();
            async move {
                let mut args = Args::new(&params, max)?;
                let closed = |_| RpcError::Internal("the server is stopping".to_owned());
                let _permit = api.heavy.acquire().await.map_err(closed)?;
                let running = api.clone();
                tokio::task::spawn_blocking(move || method(&running, &mut args))
                    .await
                    .map_err(|error| RpcError::Internal(error.to_string()))?
                    .map_err(ErrorObjectOwned::from)
            }
        })?;
        Ok(())
    }
}
