//! The first block.

use alloy_genesis::Genesis;

use crate::{block::ExecutedBlock, spec::ChainSpec};

/// The genesis block of a chain: `genesis.alloc` plus the system contracts of EIP-2935, EIP-4788,
/// EIP-7002 and EIP-7251 where the allocation does not name them. Of `genesis` also count
/// timestamp, extra data, gas limit (if not zero), coinbase, mix hash and base fee; number 0.
pub fn genesis_block(spec: &ChainSpec, genesis: &Genesis) -> ExecutedBlock {
    let _ = (spec, genesis);
    todo!()
}
