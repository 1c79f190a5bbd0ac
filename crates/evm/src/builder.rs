//! Building a block: each transaction is executed the moment it arrives.

use std::{mem, sync::Arc};

use alloy_consensus::{
    Header, Receipt, ReceiptEnvelope, Sealable, Signed, Transaction, TxEip4844Variant, TxEnvelope,
    Typed2718, constants::EMPTY_OMMER_ROOT_HASH, proofs, transaction::Recovered,
};
use alloy_eips::{
    eip2935::HISTORY_STORAGE_ADDRESS,
    eip4788::BEACON_ROOTS_ADDRESS,
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_TYPE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_TYPE},
    eip7685::Requests,
};
use alloy_primitives::{Address, B256, Bytes, Log, U256};
use revm::{
    DatabaseCommit, ExecuteEvm, SystemCallEvm,
    context::{
        BlockEnv, CfgEnv,
        result::{ExecutionResult, HaltReason},
    },
    primitives::hardfork::SpecId,
};

use crate::{
    block::{BlockInputs, BlockRecord, Credit, ExecutedBlock, RecentHashes},
    call::CallContext,
    env,
    overlay::Overlay,
    rejection::TxRejection,
    spec::{ChainSpec, EXTRA_DATA_BYTES_MAX},
    state::WorldState,
};

/// Wei in a gwei, the unit of withdrawals.
const WEI_PER_GWEI: u64 = 1_000_000_000;

/// Inputs that cannot make a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Time runs backwards.
    #[error("timestamp {timestamp} s before the parent's {parent} s")]
    TimestampBeforeParent {
        /// Of the inputs, in seconds.
        timestamp: u64,
        /// Of the parent, in seconds.
        parent: u64,
    },
    /// More extra data than a header may hold.
    #[error("extra data of {bytes} bytes above the limit {limit}")]
    ExtraDataTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Deposits come before transactions (R12).
    #[error("credit after {transactions} transactions: deposits come first")]
    CreditAfterTransaction {
        /// Transactions already in the block.
        transactions: usize,
    },
    /// A system contract exists but failed; EIP-7002 and EIP-7251 make such a block invalid.
    #[error("system call to {contract} failed")]
    SystemCall {
        /// The contract.
        contract: Address,
    },
}

/// How an executed transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxStatus {
    /// It succeeded.
    Success,
    /// It reverted; the output says why.
    Reverted,
    /// It ran out of gas or broke a rule of the EVM.
    Halted(HaltReason),
}

/// The result of one executed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxOutcome {
    /// Its receipt, as it enters the receipt root.
    pub receipt: ReceiptEnvelope,
    /// Gas it used.
    pub gas_used: u64,
    /// How it ended.
    pub status: TxStatus,
    /// Return or revert data; code of a created contract.
    pub output: Bytes,
    /// Address of the contract it created.
    pub created: Option<Address>,
}

impl TxOutcome {
    /// Whether it succeeded.
    pub fn success(&self) -> bool {
        self.status == TxStatus::Success
    }

    /// Its logs.
    pub fn logs(&self) -> &[Log] {
        self.receipt.logs()
    }
}

/// A block under construction on top of an executed parent.
///
/// Reads see the block as it is so far; the header's roots exist only after [`Self::finish`].
#[derive(Debug)]
pub struct BlockBuilder {
    spec: ChainSpec,
    cfg: CfgEnv<SpecId>,
    block: BlockEnv,
    overlay: Overlay,
    hashes: RecentHashes,
    header: Header,
    transactions: Vec<TxEnvelope>,
    senders: Vec<Address>,
    receipts: Vec<ReceiptEnvelope>,
    withdrawals: Vec<alloy_eips::eip4895::Withdrawal>,
    credits: Vec<Credit>,
}

impl BlockBuilder {
    /// Starts the child of `parent` and makes the system calls of EIP-2935 and EIP-4788.
    pub fn new(
        spec: &ChainSpec,
        parent: &ExecutedBlock,
        inputs: BlockInputs,
    ) -> Result<Self, BuildError> {
        if inputs.timestamp < parent.header.timestamp {
            let parent = parent.header.timestamp;
            return Err(BuildError::TimestampBeforeParent {
                timestamp: inputs.timestamp,
                parent,
            });
        }
        if inputs.extra_data.len() > EXTRA_DATA_BYTES_MAX {
            let bytes = inputs.extra_data.len();
            return Err(BuildError::ExtraDataTooLong {
                bytes,
                limit: EXTRA_DATA_BYTES_MAX,
            });
        }
        let header = Header {
            parent_hash: parent.hash(),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: inputs.beneficiary,
            number: parent.number() + 1,
            gas_limit: inputs.gas_limit.unwrap_or(spec.gas_limit),
            timestamp: inputs.timestamp,
            extra_data: inputs.extra_data,
            mix_hash: inputs.prev_randao,
            base_fee_per_gas: Some(
                inputs
                    .base_fee
                    .unwrap_or_else(|| spec.next_base_fee(&parent.header)),
            ),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(spec.next_excess_blob_gas(&parent.header)),
            parent_beacon_block_root: Some(inputs.parent_beacon_block_root),
            ..Header::default()
        };
        let mut builder = Self {
            spec: spec.clone(),
            cfg: env::cfg_env(spec),
            block: env::block_env(spec, &header),
            overlay: Overlay::new(parent.state.clone(), parent.hashes.clone()),
            hashes: parent.hashes.clone(),
            header,
            transactions: Vec::new(),
            senders: Vec::new(),
            receipts: Vec::new(),
            withdrawals: inputs.withdrawals,
            credits: Vec::new(),
        };
        // These two never invalidate a block: where the contract is missing or fails, nothing
        // happens (EIP-2935, EIP-4788).
        let beacon_root = inputs.parent_beacon_block_root.0;
        builder.system_call(HISTORY_STORAGE_ADDRESS, parent.hash().0.into());
        builder.system_call(BEACON_ROOTS_ADDRESS, beacon_root.into());
        Ok(builder)
    }

    /// Executes a transaction on the running state. A rejected one leaves no trace. The signer is
    /// trusted: see [`crate::recover_signer`].
    pub fn push(&mut self, tx: &Recovered<TxEnvelope>) -> Result<TxOutcome, TxRejection> {
        let blob_gas = self.admit(tx)?;
        let request = env::tx_env(tx, tx.signer());
        let mut evm = env::evm(&self.cfg, &self.block, &mut self.overlay);
        let result = match evm.transact_one(request.clone()) {
            Ok(result) => result,
            Err(error) => return Err(env::rejection(error, &request, &self.spec, &self.block)),
        };
        let changes = evm.finalize();
        drop(evm);
        self.overlay.commit(changes);

        let gas_used = result.tx_gas_used();
        self.header.gas_used += gas_used;
        *self.header.blob_gas_used.get_or_insert_default() += blob_gas;
        let outcome = outcome(result, tx, self.header.gas_used, gas_used);
        self.header.logs_bloom |= *outcome.receipt.logs_bloom();
        self.receipts.push(outcome.receipt.clone());
        self.senders.push(tx.signer());
        self.transactions.push(strip_sidecar(tx.inner().clone()));
        Ok(outcome)
    }

    /// The checks that depend on the block so far; gives the blob gas of the transaction.
    fn admit(&self, tx: &TxEnvelope) -> Result<u64, TxRejection> {
        if tx.is_eip4844() && !self.spec.blobs {
            return Err(TxRejection::UnsupportedType { tx_type: tx.ty() });
        }
        let available = self.header.gas_limit.saturating_sub(self.header.gas_used);
        let gas_limit = tx.gas_limit();
        // A limit above the whole block's is the EVM's to refuse: it will never fit.
        if gas_limit > available && gas_limit <= self.header.gas_limit {
            return Err(TxRejection::BlockGasExhausted {
                gas_limit,
                available,
            });
        }
        let blob_gas = tx.blob_gas_used().unwrap_or(0);
        let limit = self.spec.blob_params().max_blob_gas_per_block();
        let available = limit.saturating_sub(self.header.blob_gas_used.unwrap_or(0));
        if blob_gas > available && tx.blob_count().unwrap_or(0) <= self.max_blobs_per_tx() {
            let per_blob = alloy_eips::eip4844::DATA_GAS_PER_BLOB;
            return Err(TxRejection::BlockBlobsExhausted {
                blobs: blob_gas / per_blob,
                available: available / per_blob,
            });
        }
        Ok(blob_gas)
    }

    fn max_blobs_per_tx(&self) -> u64 {
        self.spec.blob_params().max_blobs_per_tx
    }

    /// Adds wei to an account; only before the first transaction (R12: imports come first).
    pub fn credit(&mut self, address: Address, wei: U256) -> Result<(), BuildError> {
        if !self.transactions.is_empty() {
            return Err(BuildError::CreditAfterTransaction {
                transactions: self.transactions.len(),
            });
        }
        self.overlay.credit(address, wei);
        self.credits.push(Credit { address, wei });
        Ok(())
    }

    /// Nonce, balance in wei and code hash now; `None` if the account does not exist.
    pub fn account(&self, address: &Address) -> Option<(u64, U256, B256)> {
        self.overlay.account(address)
    }

    /// Value of a storage slot now.
    pub fn storage(&self, address: &Address, slot: U256) -> U256 {
        self.overlay.slot(address, slot)
    }

    /// The running state as a snapshot: costs what changed since the last one, no hashing.
    pub fn snapshot(&mut self) -> WorldState {
        self.overlay.snapshot()
    }

    /// What `eth_call` and `eth_estimateGas` on `pending` run on.
    pub fn call_context(&mut self) -> CallContext {
        CallContext {
            header: self.header.clone(),
            state: self.overlay.snapshot(),
            hashes: self.hashes.clone(),
        }
    }

    /// The header so far: everything but its roots is final for the transactions pushed. For
    /// `pending` reads.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Transactions executed so far.
    pub fn transactions(&self) -> &[TxEnvelope] {
        &self.transactions
    }

    /// Their senders.
    pub fn senders(&self) -> &[Address] {
        &self.senders
    }

    /// Their receipts.
    pub fn receipts(&self) -> &[ReceiptEnvelope] {
        &self.receipts
    }

    /// Withdrawals are credited, the system calls of EIP-7002 and EIP-7251 made, roots computed and
    /// the header sealed.
    pub fn finish(mut self) -> Result<ExecutedBlock, BuildError> {
        for withdrawal in mem::take(&mut self.withdrawals) {
            let wei = U256::from(withdrawal.amount) * U256::from(WEI_PER_GWEI);
            self.overlay.credit(withdrawal.address, wei);
            self.withdrawals.push(withdrawal);
        }
        let requests = self.requests()?;

        let changes = self.overlay.changes();
        let state = self.overlay.snapshot();
        let mut header = self.header;
        header.state_root = state.root();
        header.transactions_root = proofs::calculate_transaction_root(&self.transactions);
        header.receipts_root = proofs::calculate_receipt_root(&self.receipts);
        header.withdrawals_root = Some(proofs::calculate_withdrawals_root(&self.withdrawals));
        header.requests_hash = Some(requests.requests_hash());
        let header = header.seal_slow();
        let hashes = self.hashes.followed_by(header.number, header.hash());
        let record = BlockRecord {
            header,
            transactions: self.transactions,
            senders: self.senders,
            receipts: self.receipts,
            withdrawals: self.withdrawals,
            credits: self.credits,
        };
        Ok(ExecutedBlock {
            record: Arc::new(record),
            state,
            changes: Arc::new(changes),
            hashes,
        })
    }

    /// Requests to the consensus layer (EIP-7685), each prefixed with its type.
    fn requests(&mut self) -> Result<Requests, BuildError> {
        let mut requests = Requests::default();
        for (contract, request_type) in [
            (
                WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
                WITHDRAWAL_REQUEST_TYPE,
            ),
            (
                CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
                CONSOLIDATION_REQUEST_TYPE,
            ),
        ] {
            let result = self.system_call(contract, Bytes::new());
            match result {
                Some(ExecutionResult::Success { output, .. }) => {
                    requests.push_request_with_type(request_type, output.into_data());
                }
                _ => return Err(BuildError::SystemCall { contract }),
            }
        }
        Ok(requests)
    }

    /// Calls a contract as the protocol. `None`: the EVM refused to run it, nothing happened.
    fn system_call(&mut self, contract: Address, input: Bytes) -> Option<ExecutionResult> {
        let mut evm = env::evm(&self.cfg, &self.block, &mut self.overlay);
        let outcome = evm.system_call(contract, input).ok()?;
        drop(evm);
        self.overlay.commit(outcome.state);
        Some(outcome.result)
    }
}

/// A blob transaction as blocks carry it: without its sidecar.
fn strip_sidecar(tx: TxEnvelope) -> TxEnvelope {
    let TxEnvelope::Eip4844(signed) = tx else {
        return tx;
    };
    let (variant, signature, hash) = signed.into_parts();
    let body = match variant {
        TxEip4844Variant::TxEip4844(tx) => tx,
        TxEip4844Variant::TxEip4844WithSidecar(with) => with.tx,
    };
    TxEnvelope::Eip4844(Signed::new_unchecked(
        TxEip4844Variant::TxEip4844(body),
        signature,
        hash,
    ))
}

fn outcome(
    result: ExecutionResult,
    tx: &TxEnvelope,
    cumulative_gas_used: u64,
    gas_used: u64,
) -> TxOutcome {
    let (status, output, created, logs) = executed(result);
    let success = status == TxStatus::Success;
    let receipt = Receipt {
        status: success.into(),
        cumulative_gas_used,
        logs,
    };
    let receipt = ReceiptEnvelope::from_typed(tx.tx_type(), receipt.with_bloom());
    TxOutcome {
        receipt,
        gas_used,
        status,
        output,
        created,
    }
}

/// How an execution ended, its output, the contract it created and its logs.
pub(crate) fn executed(result: ExecutionResult) -> (TxStatus, Bytes, Option<Address>, Vec<Log>) {
    match result {
        ExecutionResult::Success { logs, output, .. } => {
            let created = output.address().copied();
            (TxStatus::Success, output.into_data(), created, logs)
        }
        // Logs of a failed execution are undone with everything else.
        ExecutionResult::Revert { output, .. } => (TxStatus::Reverted, output, None, Vec::new()),
        ExecutionResult::Halt { reason, .. } => {
            (TxStatus::Halted(reason), Bytes::new(), None, Vec::new())
        }
    }
}

#[cfg(test)]
mod tests;
