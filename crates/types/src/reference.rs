//! Where a rollup's transaction names the L1 block it depends on (R11).

use crate::Address;

/// The reserved address whose one storage key in a transaction's access list (EIP-2930) is the
/// reference: the hash of an L1 block.
pub const REFERENCE_ADDRESS: Address =
    alloy_primitives::address!("000000000000000000000000000000000000c0f0");
