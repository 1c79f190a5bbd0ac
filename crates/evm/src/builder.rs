//! Building a block: each transaction is executed the moment it arrives.

use alloy_consensus::{
    Header, Receipt, ReceiptEnvelope, Sealable, Sealed, Transaction, TxEnvelope, Typed2718,
    constants::EMPTY_OMMER_ROOT_HASH, proofs, transaction::Recovered,
};
use alloy_eips::{eip4895::Withdrawal, eip7685::Requests};
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, U256};
use revm::context::result::HaltReason;

use crate::{
    block::{BlockInputs, BlockRecord, Credit, ExecutedBlock, RecentHashes},
    call::CallContext,
    overlay::Overlay,
    rejection::TxRejection,
    spec::ChainSpec,
    state::WorldState,
};

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
#[derive(Debug)]
pub struct BlockBuilder {
    spec: ChainSpec,
}

impl BlockBuilder {
    /// Starts the child of `parent` and makes the system calls of EIP-2935 and EIP-4788.
    pub fn new(
        spec: &ChainSpec,
        parent: &ExecutedBlock,
        inputs: BlockInputs,
    ) -> Result<Self, BuildError> {
        let _ = (spec, parent, inputs);
        todo!()
    }

    /// Executes a transaction on the running state. A rejected one leaves no trace. The signer is
    /// trusted: see [`crate::recover_signer`].
    pub fn push(&mut self, tx: &Recovered<TxEnvelope>) -> Result<TxOutcome, TxRejection> {
        let _ = tx;
        todo!()
    }

    /// Adds wei to an account; only before the first transaction (R12: imports come first).
    pub fn credit(&mut self, address: Address, wei: U256) -> Result<(), BuildError> {
        let _ = (address, wei);
        todo!()
    }

    /// Nonce, balance in wei and code hash now; `None` if the account does not exist.
    pub fn account(&self, address: &Address) -> Option<(u64, U256, B256)> {
        let _ = address;
        todo!()
    }

    /// Value of a storage slot now.
    pub fn storage(&self, address: &Address, slot: U256) -> U256 {
        let _ = (address, slot);
        todo!()
    }

    /// The running state as a snapshot: costs what changed since the last one, no hashing.
    pub fn snapshot(&mut self) -> WorldState {
        todo!()
    }

    /// What `eth_call` and `eth_estimateGas` on `pending` run on.
    pub fn call_context(&mut self) -> CallContext {
        todo!()
    }

    /// The header so far: everything but roots, bloom and hash is final. For `pending` reads.
    pub fn header(&self) -> &Header {
        todo!()
    }

    /// Transactions executed so far.
    pub fn transactions(&self) -> &[TxEnvelope] {
        todo!()
    }

    /// Their senders.
    pub fn senders(&self) -> &[Address] {
        todo!()
    }

    /// Their receipts.
    pub fn receipts(&self) -> &[ReceiptEnvelope] {
        todo!()
    }

    /// Credits and withdrawals are applied, end-of-block system calls made, roots computed, the
    /// header sealed.
    pub fn finish(self) -> Result<ExecutedBlock, BuildError> {
        todo!()
    }
}
