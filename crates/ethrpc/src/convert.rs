//! Blocks, transactions, receipts and logs in the JSON shapes of Ethereum clients.

use std::sync::Arc;

use alloy_consensus::transaction::{Recovered, TransactionInfo};
use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip7840::BlobParams;
use alloy_primitives::{B256, U256};
use alloy_rlp::Encodable;
use alloy_rpc_types_eth::{
    Block, BlockTransactions, Filter, Header, Log, Transaction, TransactionReceipt, Withdrawals,
};
use cortado_evm::BlockRecord;

/// How a pending transaction of the pool looks.
pub fn pooled_transaction(tx: Recovered<TxEnvelope>) -> Transaction {
    Transaction {
        effective_gas_price: None,
        inner: tx,
        block_hash: None,
        block_number: None,
        transaction_index: None,
        block_timestamp: None,
    }
}

/// The transaction at `index` of a block.
pub fn transaction(block: &BlockRecord, index: usize) -> Option<Transaction> {
    let tx = block.transactions.get(index)?.clone();
    let sender = *block.senders.get(index)?;
    let info = TransactionInfo {
        hash: Some(*tx.tx_hash()),
        index: Some(index as u64),
        block_hash: Some(block.hash()),
        block_number: Some(block.number()),
        base_fee: block.header.base_fee_per_gas,
        block_timestamp: Some(block.header.timestamp),
    };
    Some(Transaction::from_transaction(
        Recovered::new_unchecked(tx, sender),
        info,
    ))
}

/// The header of a block, with its size.
pub fn header(block: &BlockRecord) -> Header {
    Header::from_consensus(
        block.header.clone(),
        Some(U256::ZERO),
        Some(U256::from(size(block))),
    )
}

/// A block with transaction hashes, or with whole transactions if `full`.
pub fn block(block: &BlockRecord, full: bool) -> Block {
    let transactions = if full {
        BlockTransactions::Full(
            (0..block.transactions.len())
                .filter_map(|index| transaction(block, index))
                .collect(),
        )
    } else {
        BlockTransactions::Hashes(block.transactions.iter().map(|tx| *tx.tx_hash()).collect())
    };
    Block::new(header(block), transactions)
        .with_withdrawals(Some(Withdrawals::new(block.withdrawals.clone())))
}

/// Bytes of the block as Ethereum encodes it, list prefix of the whole left out of account when
/// short: what clients show, nothing consensus depends on.
fn size(block: &BlockRecord) -> usize {
    let transactions: usize = block
        .transactions
        .iter()
        .map(|tx| tx.encode_2718_len())
        .sum::<usize>();
    block.header.inner().length() + transactions + block.withdrawals.length() + 1
}

/// The receipt of the transaction at `index` of a block.
pub fn receipt(
    block: &BlockRecord,
    index: usize,
    blob_params: BlobParams,
) -> Option<TransactionReceipt> {
    let first_log = block.first_log_index(index);
    receipt_from(block, index, first_log, blob_params)
}

/// The receipts of all the transactions of a block.
pub fn receipts(block: &BlockRecord, blob_params: BlobParams) -> Vec<TransactionReceipt> {
    let mut first_log = 0;
    let mut all = Vec::with_capacity(block.receipts.len());
    for (index, receipt) in block.receipts.iter().enumerate() {
        all.extend(receipt_from(block, index, first_log, blob_params));
        first_log += receipt.logs().len();
    }
    all
}

fn receipt_from(
    block: &BlockRecord,
    index: usize,
    first_log: usize,
    blob_params: BlobParams,
) -> Option<TransactionReceipt> {
    let tx = block.transactions.get(index)?;
    let from = *block.senders.get(index)?;
    let receipt = block.receipts.get(index)?.clone();
    let hash = *tx.tx_hash();
    let mut log_index = first_log as u64;
    let inner = receipt.map_logs(|log| {
        let placed = place(block, log, hash, index, log_index, false);
        log_index += 1;
        placed
    });
    let blob_gas_used = tx.blob_gas_used();
    Some(TransactionReceipt {
        inner,
        transaction_hash: hash,
        transaction_index: Some(index as u64),
        block_hash: Some(block.hash()),
        block_number: Some(block.number()),
        gas_used: block.gas_used_by(index)?,
        effective_gas_price: tx.effective_gas_price(block.header.base_fee_per_gas),
        blob_gas_used,
        blob_gas_price: blob_gas_used.and_then(|_| block.header.blob_fee(blob_params)),
        from,
        to: tx.to(),
        contract_address: tx.to().is_none().then(|| from.create(tx.nonce())),
    })
}

fn place(
    block: &BlockRecord,
    log: alloy_primitives::Log,
    transaction: B256,
    index: usize,
    log_index: u64,
    removed: bool,
) -> Log {
    Log {
        inner: log,
        block_hash: Some(block.hash()),
        block_number: Some(block.number()),
        block_timestamp: Some(block.header.timestamp),
        transaction_hash: Some(transaction),
        transaction_index: Some(index as u64),
        log_index: Some(log_index),
        removed,
    }
}

/// The logs of a block that a filter's addresses and topics let through.
pub fn matching_logs(block: &BlockRecord, filter: &Filter, removed: bool) -> Vec<Log> {
    let mut found = Vec::new();
    if !filter.matches_bloom(block.header.logs_bloom) {
        return found;
    }
    let mut log_index = 0;
    for (index, receipt) in block.receipts.iter().enumerate() {
        for log in receipt.logs() {
            if filter.matches_address(log.address) && filter.matches_topics(log.topics()) {
                let Some(tx) = block.transactions.get(index) else {
                    return found;
                };
                found.push(place(
                    block,
                    log.clone(),
                    *tx.tx_hash(),
                    index,
                    log_index,
                    removed,
                ));
            }
            log_index += 1;
        }
    }
    found
}

/// The logs a move of `latest` takes back (newest first) and brings (oldest first), in the order
/// in which a listener has to apply them. Both lists of blocks are oldest first.
pub fn moved_logs(
    removed: &[Arc<BlockRecord>],
    added: &[Arc<BlockRecord>],
    filter: &Filter,
) -> Vec<Log> {
    let mut logs = Vec::new();
    for block in removed.iter().rev() {
        let mut gone = matching_logs(block, filter, true);
        gone.reverse();
        logs.extend(gone);
    }
    for block in added {
        logs.extend(matching_logs(block, filter, false));
    }
    logs
}
