//! Which L1 block a transaction refers to (R11).

use alloy_consensus::{Transaction, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use cortado_types::{B256, Bytes, REFERENCE_ADDRESS};

/// Reads the references that a rollup's transaction carries. One is the rule; none means the lane
/// block's context; two make the transaction a no-op.
pub trait References {
    /// All references in `transaction`, in order. Bytes that are not a transaction carry none: the
    /// executor skips them.
    fn references(&self, transaction: &Bytes) -> Vec<B256>;
}

/// Ethereum transactions: access-list entries of [`REFERENCE_ADDRESS`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Ethereum;

impl References for Ethereum {
    fn references(&self, transaction: &Bytes) -> Vec<B256> {
        // Legacy transactions have no access list; their first byte is an RLP list's.
        if transaction.first().is_none_or(|byte| *byte >= 0xc0) {
            return Vec::new();
        }
        // Most transactions do not name the address at all; do not decode them for nothing.
        let names = transaction
            .windows(20)
            .any(|window| window == REFERENCE_ADDRESS.as_slice());
        if !names {
            return Vec::new();
        }
        let Ok(envelope) = TxEnvelope::decode_2718_exact(transaction) else {
            return Vec::new();
        };
        let Some(list) = envelope.access_list() else {
            return Vec::new();
        };
        list.iter()
            .filter(|item| item.address == REFERENCE_ADDRESS)
            .flat_map(|item| item.storage_keys.iter().copied())
            .collect()
    }
}

/// A rollup whose transactions carry no references.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoReferences;

impl References for NoReferences {
    fn references(&self, _transaction: &Bytes) -> Vec<B256> {
        Vec::new()
    }
}
