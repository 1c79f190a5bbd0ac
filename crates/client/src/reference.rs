//! Transactions that depend on one L1 block (R11).

use alloy_eips::eip2930::{AccessList, AccessListItem};
use cortado_types::{B256, REFERENCE_ADDRESS};

/// The access list that makes a transaction refer to the L1 block `hash`: it is executed on the forks
/// of L1 that have the block, and does nothing on all others. Any type of transaction that has an
/// access list carries it, and any wallet signs it; it costs 4,300 gas (EIP-2930).
///
/// A transaction refers to one block: add nothing of this to a list that has one.
///
/// ```
/// let list = cortado_client::reference_to(cortado_types::B256::repeat_byte(7));
/// assert_eq!(list.0[0].storage_keys.len(), 1);
/// ```
pub fn reference_to(hash: B256) -> AccessList {
    AccessList(vec![AccessListItem {
        address: REFERENCE_ADDRESS,
        storage_keys: vec![hash],
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_has_the_shape_that_every_wallet_takes() {
        let hash = B256::repeat_byte(0xab);
        let json = serde_json::to_value(reference_to(hash)).unwrap();
        let want = serde_json::json!([{
            "address": "0x000000000000000000000000000000000000c0f0",
            "storageKeys": [hash],
        }]);
        assert_eq!(json, want);
    }
}
