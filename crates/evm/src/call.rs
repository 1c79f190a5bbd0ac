//! Executing without a block: calls, gas estimates and access lists.

use std::time::Duration;

use alloy_consensus::Header;
use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Bytes, Log, U256};
use alloy_rpc_types_eth::{BlockOverrides, TransactionRequest, state::StateOverride};

use crate::{
    block::{ExecutedBlock, RecentHashes},
    builder::TxStatus,
    rejection::TxRejection,
    state::WorldState,
};

/// Where a call runs: as another transaction in the block with this header, on this state.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// Header of the block.
    pub header: Header,
    /// The state the call starts from.
    pub state: WorldState,
    /// Recent block hashes, for BLOCKHASH.
    pub hashes: RecentHashes,
}

impl CallContext {
    /// On the state after `block`, with its header.
    pub fn after(block: &ExecutedBlock) -> Self {
        Self {
            header: block.header.inner().clone(),
            state: block.state.clone(),
            hashes: block.hashes.clone(),
        }
    }
}

/// What a call may cost the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// Most gas of one execution; a request that names none gets this.
    pub gas: u64,
    /// Most wall time of one request, all its executions together.
    pub time: Duration,
    /// Most bytes of calldata, and of accounts' overridden code together.
    pub input_bytes: usize,
    /// Most overridden accounts and slots together.
    pub overrides: usize,
}

impl Default for CallLimits {
    /// 50 M gas (about three of the largest transactions), 2 s, 256 KiB, 1,024 overrides.
    fn default() -> Self {
        Self {
            gas: 50_000_000,
            time: Duration::from_secs(2),
            input_bytes: 256 * 1024,
            overrides: 1024,
        }
    }
}

/// What a call did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallOutcome {
    /// How it ended.
    pub status: TxStatus,
    /// Return or revert data.
    pub output: Bytes,
    /// Gas used.
    pub gas_used: u64,
    /// Logs it would emit.
    pub logs: Vec<Log>,
}

impl CallOutcome {
    /// Whether it succeeded.
    pub fn success(&self) -> bool {
        self.status == TxStatus::Success
    }
}

/// A gas limit that suffices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GasEstimate {
    /// Least gas limit found, within 1.5 % of the least there is.
    pub gas_limit: u64,
}

/// A call that was not executed, or an estimate that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The transaction itself is refused.
    #[error(transparent)]
    Rejected(#[from] TxRejection),
    /// The call fails whatever the gas: the revert data.
    #[error("execution reverted: 0x{}", alloy_primitives::hex::encode(.output))]
    Reverted {
        /// Revert data.
        output: Bytes,
    },
    /// The call fails with all the gas it may have.
    #[error("execution halted with {gas} gas: {reason}")]
    Halted {
        /// The most gas that was tried.
        gas: u64,
        /// Why it halted.
        reason: String,
    },
    /// It took too long.
    #[error("call exceeded {limit_ms} ms")]
    TimedOut {
        /// The limit, in ms.
        limit_ms: u64,
    },
    /// Too much input.
    #[error("{what} of {size} above the limit {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The request contradicts itself.
    #[error("invalid request: {0}")]
    Invalid(&'static str),
}

/// `eth_call`: executes a request and drops its effects. Fees are not charged unless the request
/// names a gas price, and then the sender must be able to pay.
pub fn call(
    spec: &crate::ChainSpec,
    context: &CallContext,
    request: &TransactionRequest,
    state_overrides: Option<&StateOverride>,
    block_overrides: Option<&BlockOverrides>,
    limits: &CallLimits,
) -> Result<CallOutcome, CallError> {
    let _ = (
        spec,
        context,
        request,
        state_overrides,
        block_overrides,
        limits,
    );
    todo!()
}

/// `eth_estimateGas`.
pub fn estimate_gas(
    spec: &crate::ChainSpec,
    context: &CallContext,
    request: &TransactionRequest,
    state_overrides: Option<&StateOverride>,
    block_overrides: Option<&BlockOverrides>,
    limits: &CallLimits,
) -> Result<GasEstimate, CallError> {
    let _ = (
        spec,
        context,
        request,
        state_overrides,
        block_overrides,
        limits,
        U256::ZERO,
    );
    todo!()
}

/// `eth_createAccessList`: what the request touches, and the gas it uses with that list.
pub fn create_access_list(
    spec: &crate::ChainSpec,
    context: &CallContext,
    request: &TransactionRequest,
    state_overrides: Option<&StateOverride>,
    limits: &CallLimits,
) -> Result<(AccessList, CallOutcome), CallError> {
    let _ = (spec, context, request, state_overrides, limits);
    todo!()
}
