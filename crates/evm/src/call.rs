//! Executing without a block: calls, gas estimates and access lists.

mod prepare;
mod run;

use std::time::Duration;

use alloy_consensus::Header;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{B256, Bytes, Log};
use alloy_rpc_types_eth::{BlockOverrides, TransactionRequest, state::StateOverride};

use self::run::Run;
use crate::{
    block::{ExecutedBlock, RecentHashes},
    builder::TxStatus,
    env::TX_GAS_LIMIT_MAX,
    rejection::TxRejection,
    spec::ChainSpec,
    state::WorldState,
};

/// Gas of a plain transfer to an account without code.
const TRANSFER_GAS: u64 = 21_000;

/// An estimate stops once it is within this many parts in a thousand of the least gas limit.
const ESTIMATE_TOLERANCE_PER_MILLE: u64 = 15;

/// Rounds after which an access list that still grows is returned as it is. Each round can only
/// reveal what a gas-dependent path of the one before touched; two are the usual case.
const ACCESS_LIST_ROUNDS_MAX: usize = 5;

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

/// A call that was not executed, or an estimate that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The transaction itself is refused.
    #[error(transparent)]
    Rejected(#[from] TxRejection),
    /// The call reverts with all the gas it may have: the revert data.
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

/// The request and what it asks to be different about chain and block.
#[derive(Clone, Copy, Debug)]
pub struct CallRequest<'a> {
    /// The transaction to be.
    pub transaction: &'a TransactionRequest,
    /// Accounts to pretend.
    pub state: Option<&'a StateOverride>,
    /// Block fields to pretend.
    pub block: Option<&'a BlockOverrides>,
}

impl<'a> CallRequest<'a> {
    /// On chain and block as they are.
    pub const fn new(transaction: &'a TransactionRequest) -> Self {
        Self {
            transaction,
            state: None,
            block: None,
        }
    }
}

/// `eth_call`: executes a request and drops its effects. Fees are not charged unless the request
/// names a gas price, and then the sender must be able to pay. Nonce and code of the sender do not
/// matter.
pub fn call(
    spec: &ChainSpec,
    context: &CallContext,
    request: CallRequest<'_>,
    limits: &CallLimits,
) -> Result<CallOutcome, CallError> {
    let mut run = Run::new(spec, context, request, limits)?;
    run.execute(None).map(|(outcome, _)| outcome)
}

/// `eth_estimateGas`: a gas limit with which the request succeeds, at most 1.5 % above the least.
/// Fails as the request does with all the gas it may have.
pub fn estimate_gas(
    spec: &ChainSpec,
    context: &CallContext,
    request: CallRequest<'_>,
    limits: &CallLimits,
) -> Result<u64, CallError> {
    let mut run = Run::new(spec, context, request, limits)?;
    let mut high = run
        .gas_limit()
        .min(TX_GAS_LIMIT_MAX)
        .min(run.block_gas_limit());
    if run.is_plain_transfer() && high >= TRANSFER_GAS && run.succeeds(TRANSFER_GAS)? {
        return Ok(TRANSFER_GAS);
    }
    let (outcome, spent) = run.execute(Some(high))?;
    match outcome.status {
        TxStatus::Success => {}
        TxStatus::Reverted => {
            return Err(CallError::Reverted {
                output: outcome.output,
            });
        }
        TxStatus::Halted(reason) => {
            return Err(CallError::Halted {
                gas: high,
                reason: reason.to_string(),
            });
        }
    }
    // What was spent before refunds is a lower bound; the 63/64 that a call may pass on and the
    // stipend of a value transfer are what most often has to come on top.
    let mut low = spent.saturating_sub(1);
    let likely = (spent + 2_300) / 63 * 64 + 64;
    if likely < high {
        if run.succeeds(likely)? {
            high = likely;
        } else {
            low = likely;
        }
    }
    while low + 1 < high && (high - low) * 1_000 > high * ESTIMATE_TOLERANCE_PER_MILLE {
        // Most requests need little more than they use, so look near the bottom first.
        let middle = (low + (high - low) / 2).min(low.saturating_mul(2).max(low + 1));
        if run.succeeds(middle)? {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(high)
}

/// `eth_createAccessList`: what the request touches beyond sender, recipient, beneficiary and
/// precompiles, and its outcome with that list.
pub fn create_access_list(
    spec: &ChainSpec,
    context: &CallContext,
    request: CallRequest<'_>,
    limits: &CallLimits,
) -> Result<(AccessList, CallOutcome), CallError> {
    let mut run = Run::new(spec, context, request, limits)?;
    let mut list = request.transaction.access_list.clone().unwrap_or_default();
    for _ in 0..ACCESS_LIST_ROUNDS_MAX {
        run.set_access_list(list.clone());
        let (outcome, _) = run.execute(None)?;
        let touched = run.touched();
        if touched == list {
            return Ok((list, outcome));
        }
        list = touched;
    }
    run.set_access_list(list.clone());
    let (outcome, _) = run.execute(None)?;
    Ok((list, outcome))
}

/// Sorted, so that two lists of the same things are equal.
fn access_list(
    items: impl IntoIterator<Item = (alloy_primitives::Address, Vec<B256>)>,
) -> AccessList {
    let mut items: Vec<_> = items
        .into_iter()
        .map(|(address, mut storage_keys)| {
            storage_keys.sort_unstable();
            AccessListItem {
                address,
                storage_keys,
            }
        })
        .collect();
    items.sort_unstable_by_key(|item| item.address);
    AccessList(items)
}

#[cfg(test)]
mod tests;
