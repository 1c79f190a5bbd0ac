//! The logs of a block, as RPC shows them.

use alloy_primitives::B256;
use alloy_rpc_types_eth::{Filter, Log};

use crate::block::BlockRecord;

/// Logs of `block` that match the addresses and topics of `filter`, with their place in the chain.
/// Costs a bloom test for a block that has none.
pub fn matching_logs(block: &BlockRecord, filter: &Filter) -> Vec<Log> {
    if !filter.matches_bloom(block.header.logs_bloom) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut log_index = 0;
    for (index, (tx, receipt)) in block.transactions.iter().zip(&block.receipts).enumerate() {
        for log in receipt.logs() {
            if filter.matches(log) {
                let hash: B256 = *tx.tx_hash();
                found.push(Log {
                    inner: log.clone(),
                    block_hash: Some(block.hash()),
                    block_number: Some(block.number()),
                    block_timestamp: Some(block.header.timestamp),
                    transaction_hash: Some(hash),
                    transaction_index: Some(index as u64),
                    log_index: Some(log_index),
                    removed: false,
                });
            }
            log_index += 1;
        }
    }
    found
}
