//! What distinguishes one chain from another: ids, limits and fee rules.

use alloy_consensus::Header;
use alloy_eips::{eip1559::BaseFeeParams, eip7840::BlobParams};
use revm::primitives::hardfork::SpecId;
use serde::{Deserialize, Serialize};

/// The hardfork every chain of this crate executes under: the latest one live on mainnet.
pub const HARDFORK: SpecId = SpecId::OSAKA;

/// Extra data of a header may hold this many bytes (the Yellow Paper's limit).
pub const EXTRA_DATA_BYTES_MAX: usize = 32;

/// How the base fee moves from block to block (EIP-1559).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseFeeRule {
    /// Gas limit ÷ gas target; at least 1.
    pub elasticity_multiplier: u64,
    /// A full (or empty) block moves the fee by at most one part in this many; at least 1.
    pub max_change_denominator: u64,
    /// The base fee never falls below this, in wei per gas.
    pub min_wei: u64,
    /// Base fee of the genesis block when the genesis names none, in wei per gas.
    pub initial_wei: u64,
}

/// The constants of one chain. Everything else that a block depends on is in its inputs, its
/// transactions and its parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainSpec {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Gas limit of a block unless its inputs say otherwise.
    pub gas_limit: u64,
    /// EIP-1559 parameters.
    pub base_fee: BaseFeeRule,
    /// Whether blob transactions (EIP-4844) are accepted. Their sidecars are never kept.
    pub blobs: bool,
}

impl ChainSpec {
    /// A chain with mainnet's limits and fees: 60 M gas, blobs on.
    pub const fn ethereum(chain_id: u64) -> Self {
        Self {
            chain_id,
            gas_limit: 60_000_000,
            base_fee: BaseFeeRule {
                elasticity_multiplier: 2,
                max_change_denominator: 8,
                min_wei: 7,
                initial_wei: 1_000_000_000,
            },
            blobs: true,
        }
    }

    /// A rollup: no blobs, and a base fee that rests at 1 wei, so that a tip of 1 wei suffices on
    /// an idle chain.
    pub const fn rollup(chain_id: u64) -> Self {
        Self {
            chain_id,
            gas_limit: 60_000_000,
            base_fee: BaseFeeRule {
                elasticity_multiplier: 2,
                max_change_denominator: 8,
                min_wei: 1,
                initial_wei: 1,
            },
            blobs: false,
        }
    }

    /// Base fee of the child of `parent`, in wei per gas (EIP-1559, floored at `min_wei`).
    pub fn next_base_fee(&self, parent: &Header) -> u64 {
        let params = BaseFeeParams::new(
            u128::from(self.base_fee.max_change_denominator),
            u128::from(self.base_fee.elasticity_multiplier),
        );
        parent
            .next_block_base_fee(params)
            .unwrap_or(0)
            .max(self.base_fee.min_wei)
    }

    /// Excess blob gas of the child of `parent` (EIP-4844 with EIP-7918's floor); zero without
    /// blobs.
    pub fn next_excess_blob_gas(&self, parent: &Header) -> u64 {
        if !self.blobs {
            return 0;
        }
        self.blob_params().next_block_excess_blob_gas_osaka(
            parent.excess_blob_gas.unwrap_or(0),
            parent.blob_gas_used.unwrap_or(0),
            parent.base_fee_per_gas.unwrap_or(0),
        )
    }

    /// Blob schedule in force: mainnet's second blob-parameter-only fork.
    pub const fn blob_params(&self) -> BlobParams {
        BlobParams::bpo2()
    }
}

#[cfg(test)]
mod tests;
