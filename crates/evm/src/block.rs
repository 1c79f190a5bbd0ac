//! Blocks: what goes into one, what is stored of one, and what executing one yields.

use std::{collections::VecDeque, ops::Deref, sync::Arc};

use alloy_consensus::{Block, BlockBody, Header, ReceiptEnvelope, Sealed, TxEnvelope};
use alloy_eips::eip4895::{Withdrawal, Withdrawals};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rlp::{RlpDecodable, RlpEncodable};

use crate::state::{Changes, WorldState};

/// BLOCKHASH reaches this many blocks back.
pub const RECENT_HASHES: usize = 256;

/// Wei added to an account before the first transaction of a block: a deposit. Recorded with the
/// block, since neither header nor body shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Credit {
    /// Who receives it; created if need be.
    pub address: Address,
    /// How much, in wei.
    pub wei: U256,
}

/// What a block depends on besides its parent and its transactions. Its number is the parent's
/// plus one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockInputs {
    /// Seconds since the Unix epoch; not before the parent's (several blocks may share a second).
    pub timestamp: u64,
    /// Who receives the tips.
    pub beneficiary: Address,
    /// PREVRANDAO (EIP-4399).
    pub prev_randao: B256,
    /// Root stored by the EIP-4788 system call.
    pub parent_beacon_block_root: B256,
    /// Gas limit of this block; `None`: [`crate::ChainSpec::gas_limit`].
    pub gas_limit: Option<u64>,
    /// Base fee in wei per gas; `None`: by EIP-1559 from the parent.
    pub base_fee: Option<u64>,
    /// At most [`crate::spec::EXTRA_DATA_BYTES_MAX`] bytes.
    pub extra_data: Bytes,
    /// Withdrawals (EIP-4895), amounts in gwei, credited after the transactions.
    pub withdrawals: Vec<Withdrawal>,
}

/// Hashes of the last [`RECENT_HASHES`] blocks, for BLOCKHASH. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct RecentHashes {
    newest: u64,
    hashes: Arc<VecDeque<B256>>,
}

impl RecentHashes {
    /// The hash of block `number`; `None` if it is not among the recent ones.
    pub fn get(&self, number: u64) -> Option<B256> {
        let back = usize::try_from(self.newest.checked_sub(number)?).ok()?;
        let index = self.hashes.len().checked_sub(back + 1)?;
        self.hashes.get(index).copied()
    }

    /// These hashes followed by that of block `number`, the next one.
    pub fn followed_by(&self, number: u64, hash: B256) -> Self {
        let mut hashes = VecDeque::with_capacity(RECENT_HASHES);
        hashes.extend(
            self.hashes
                .iter()
                .skip((self.hashes.len() + 1).saturating_sub(RECENT_HASHES)),
        );
        hashes.push_back(hash);
        Self {
            newest: number,
            hashes: Arc::new(hashes),
        }
    }
}

/// A block with its results, as it is stored and served. What it does not hold is state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRecord {
    /// Header and hash.
    pub header: Sealed<Header>,
    /// Transactions; blob transactions without sidecar.
    pub transactions: Vec<TxEnvelope>,
    /// Sender of each transaction.
    pub senders: Vec<Address>,
    /// Receipt of each transaction.
    pub receipts: Vec<ReceiptEnvelope>,
    /// Withdrawals, amounts in gwei.
    pub withdrawals: Vec<Withdrawal>,
    /// Deposits credited before the transactions.
    pub credits: Vec<Credit>,
}

impl BlockRecord {
    /// Block hash.
    pub fn hash(&self) -> B256 {
        self.header.hash()
    }

    /// Block number.
    pub fn number(&self) -> u64 {
        self.header.number
    }

    /// The block as Ethereum encodes it.
    pub fn to_block(&self) -> Block<TxEnvelope> {
        Block::new(
            self.header.inner().clone(),
            BlockBody {
                transactions: self.transactions.clone(),
                ommers: Vec::new(),
                withdrawals: Some(Withdrawals::new(self.withdrawals.clone())),
            },
        )
    }

    /// Gas used by the transaction at `index` alone; `None` out of range.
    pub fn gas_used_by(&self, index: usize) -> Option<u64> {
        let until = self.receipts.get(index)?.cumulative_gas_used();
        let before = match index.checked_sub(1) {
            Some(previous) => self.receipts[previous].cumulative_gas_used(),
            None => 0,
        };
        until.checked_sub(before)
    }

    /// Index within the block of the first log of the transaction at `index`.
    pub fn first_log_index(&self, index: usize) -> usize {
        self.receipts
            .iter()
            .take(index)
            .map(|receipt| receipt.logs().len())
            .sum()
    }
}

/// A block, its results and the state after it. Share it with `Arc`.
#[derive(Clone, Debug)]
pub struct ExecutedBlock {
    /// The block.
    pub record: Arc<BlockRecord>,
    /// State after it.
    pub state: WorldState,
    /// What it changed in its parent's state.
    pub changes: Arc<Changes>,
    /// Recent block hashes, this block's included: what its child sees.
    pub hashes: RecentHashes,
}

impl Deref for ExecutedBlock {
    type Target = BlockRecord;

    fn deref(&self) -> &BlockRecord {
        &self.record
    }
}

#[cfg(test)]
mod tests;
