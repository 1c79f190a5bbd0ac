//! What a chain must be able to answer. Two chains do: the embedded L1 and the rollup node.

use std::future::Future;
use std::sync::Arc;

use alloy_consensus::TxEnvelope;
use alloy_consensus::transaction::Recovered;
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes};
use alloy_rpc_types_eth::{Filter, Log};
use cortado_evm::store::{LogLimits, TxLocation};
use cortado_evm::{BlockRecord, CallContext, ChainSpec};
use tokio::sync::broadcast;

use crate::error::{RpcError, SubmitError};

/// Events a backend keeps for slow listeners; one that falls further behind is cut off.
pub const EVENTS_MAX: usize = 1_024;

/// A chain as its JSON-RPC sees it. Reads are synchronous, answer from snapshots and never wait
/// for block production; `Err` is for faults (a broken disk), `Ok(None)` for what does not exist.
pub trait EthBackend: Send + Sync + 'static {
    /// The constants of the chain.
    fn spec(&self) -> &ChainSpec;

    /// What `web3_clientVersion` says, `name/version`.
    fn client_version(&self) -> String;

    /// A block: by number or tag on the canonical chain, pending blocks included; by hash also of
    /// an abandoned fork, as long as the backend remembers it (`require_canonical` is the
    /// caller's business). `safe` and `finalized` start at genesis; `pending` is `latest` on a
    /// chain without preconfirmations, and a block under construction may carry a provisional
    /// hash.
    ///
    /// # Errors
    /// When the store fails.
    fn block(&self, at: BlockId) -> Result<Option<Arc<BlockRecord>>, RpcError>;

    /// The state after a block and what a call on it needs; `None` when the block is unknown or
    /// its state was pruned.
    ///
    /// # Errors
    /// When the store fails.
    fn context(&self, at: BlockId) -> Result<Option<CallContext>, RpcError>;

    /// Where a transaction stands on the canonical chain, pending blocks included.
    ///
    /// # Errors
    /// When the store fails.
    fn transaction(&self, hash: B256) -> Result<Option<TxLocation>, RpcError>;

    /// The logs of the canonical blocks `from..=to`, pending ones included, that match the
    /// addresses and topics of `filter`.
    ///
    /// # Errors
    /// When a limit is exceeded or the store fails.
    fn logs(
        &self,
        from: u64,
        to: u64,
        filter: &Filter,
        limits: &LogLimits,
    ) -> Result<Vec<Log>, RpcError>;

    /// A transaction that waits in the pool.
    fn pooled(&self, hash: B256) -> Option<Recovered<TxEnvelope>>;

    /// The next nonce of an account after `pending` and all the transactions of its that wait
    /// executable in the pool.
    ///
    /// # Errors
    /// When the store fails.
    fn pending_nonce(&self, address: Address) -> Result<u64, RpcError>;

    /// Takes a signed EIP-2718 transaction, already known to be no longer than
    /// [`crate::limits::RAW_TRANSACTION_BYTES_MAX`]. Returns its hash once the chain has committed
    /// to it as much as it does at submission: pooled on the L1, promised and persisted on a
    /// rollup.
    ///
    /// # Errors
    /// Why it was not taken; see [`SubmitError`].
    fn submit(&self, raw: Bytes) -> impl Future<Output = Result<B256, SubmitError>> + Send;

    /// Everything that happens from now on, from a channel of capacity [`EVENTS_MAX`].
    fn events(&self) -> broadcast::Receiver<ChainEvent>;

    /// Fields that the chain adds to a transaction's receipt, beside Ethereum's.
    ///
    /// # Errors
    /// When the store fails.
    fn receipt_fields(
        &self,
        _at: &TxLocation,
    ) -> Result<serde_json::Map<String, serde_json::Value>, RpcError> {
        Ok(serde_json::Map::new())
    }

    /// Least tip the chain asks for, in wei per gas.
    fn min_tip(&self) -> u128 {
        1
    }

    /// While the node catches up: `(current, highest)` block; `None` when in sync.
    fn syncing(&self) -> Option<(u64, u64)> {
        None
    }
}

/// Something that happened to a chain.
#[derive(Debug, Clone)]
pub enum ChainEvent {
    /// `latest` moved.
    Latest {
        /// Blocks that left the canonical chain, oldest first; empty without a reorg.
        removed: Vec<Arc<BlockRecord>>,
        /// Blocks that joined it, oldest first.
        added: Vec<Arc<BlockRecord>>,
    },
    /// A preconfirmed block appeared or grew; [`EthBackend::transaction`] sees it.
    Pending,
    /// A transaction was taken.
    Pooled(Arc<Recovered<TxEnvelope>>),
}
