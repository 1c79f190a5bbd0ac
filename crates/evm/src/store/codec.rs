//! How blocks are written: RLP behind a checksum, receipts without their blooms, which are
//! recomputed.

use alloy_consensus::{
    Header, Receipt, ReceiptEnvelope, Sealable, Sealed, TxEnvelope, TxType, Typed2718,
};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Log, U256, keccak256};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};

use super::StoreError;
use crate::block::{BlockRecord, Credit};

/// A block without header and receipts.
#[derive(Debug, Clone, PartialEq, RlpEncodable, RlpDecodable)]
struct Body {
    transactions: Vec<TxEnvelope>,
    senders: Vec<Address>,
    withdrawals: Vec<Withdrawal>,
    credits: Vec<Credit>,
}

#[derive(Debug, Clone, PartialEq, RlpEncodable, RlpDecodable)]
struct StoredReceipt {
    tx_type: u8,
    success: bool,
    cumulative_gas_used: u64,
    logs: Vec<Log>,
}

/// A block that is not final: what it takes to execute it again.
#[derive(Debug, Clone, PartialEq, RlpEncodable, RlpDecodable)]
struct Unfinalized {
    header: Header,
    body: Body,
}

/// Bytes of keccak before every value: against rot, not against people, who could write any block.
const CHECKSUM_BYTES: usize = 8;

fn encode(value: &impl Encodable) -> Vec<u8> {
    let mut out = vec![0; CHECKSUM_BYTES];
    value.encode(&mut out);
    let checksum = keccak256(&out[CHECKSUM_BYTES..]);
    out[..CHECKSUM_BYTES].copy_from_slice(&checksum[..CHECKSUM_BYTES]);
    out
}

fn decode<T: Decodable>(what: &str, sealed: &[u8]) -> Result<T, StoreError> {
    let (checksum, mut bytes) = sealed
        .split_at_checked(CHECKSUM_BYTES)
        .ok_or_else(|| StoreError::Corrupt(format!("{what}: only {} bytes", sealed.len())))?;
    if keccak256(bytes)[..CHECKSUM_BYTES] != *checksum {
        return Err(StoreError::Corrupt(format!(
            "{what}: checksum does not match"
        )));
    }
    let value =
        T::decode(&mut bytes).map_err(|error| StoreError::Corrupt(format!("{what}: {error}")))?;
    if !bytes.is_empty() {
        return Err(StoreError::Corrupt(format!(
            "{what}: {} bytes too long",
            bytes.len()
        )));
    }
    Ok(value)
}

fn body(block: &BlockRecord) -> Body {
    Body {
        transactions: block.transactions.clone(),
        senders: block.senders.clone(),
        withdrawals: block.withdrawals.clone(),
        credits: block.credits.clone(),
    }
}

pub(super) fn encode_header(header: &Header) -> Vec<u8> {
    encode(header)
}

pub(super) fn decode_header(bytes: &[u8]) -> Result<Sealed<Header>, StoreError> {
    Ok(decode::<Header>("header", bytes)?.seal_slow())
}

pub(super) fn encode_body(block: &BlockRecord) -> Vec<u8> {
    encode(&body(block))
}

pub(super) fn encode_receipts(receipts: &[ReceiptEnvelope]) -> Vec<u8> {
    let stored: Vec<StoredReceipt> = receipts
        .iter()
        .map(|receipt| StoredReceipt {
            tx_type: receipt.ty(),
            success: receipt.status(),
            cumulative_gas_used: receipt.cumulative_gas_used(),
            logs: receipt.logs().to_vec(),
        })
        .collect();
    encode(&stored)
}

fn decode_receipts(bytes: &[u8]) -> Result<Vec<ReceiptEnvelope>, StoreError> {
    decode::<Vec<StoredReceipt>>("receipts", bytes)?
        .into_iter()
        .map(|stored| {
            let tx_type = TxType::try_from(stored.tx_type).map_err(|_| {
                StoreError::Corrupt(format!("receipt of unknown type {}", stored.tx_type))
            })?;
            let receipt = Receipt {
                status: stored.success.into(),
                cumulative_gas_used: stored.cumulative_gas_used,
                logs: stored.logs,
            };
            Ok(ReceiptEnvelope::from_typed(tx_type, receipt.with_bloom()))
        })
        .collect()
}

/// A block from its three parts, which must belong together.
pub(super) fn decode_block(
    header: Sealed<Header>,
    body: &[u8],
    receipts: &[u8],
) -> Result<BlockRecord, StoreError> {
    let body: Body = decode("block body", body)?;
    let receipts = decode_receipts(receipts)?;
    let number = header.number;
    let (txs, senders) = (body.transactions.len(), body.senders.len());
    if senders != txs || receipts.len() != txs {
        return Err(StoreError::Corrupt(format!(
            "block {number} has {txs} transactions, {senders} senders, {} receipts",
            receipts.len()
        )));
    }
    Ok(BlockRecord {
        header,
        transactions: body.transactions,
        senders: body.senders,
        receipts,
        withdrawals: body.withdrawals,
        credits: body.credits,
    })
}

pub(super) fn encode_unfinalized(block: &BlockRecord) -> Vec<u8> {
    encode(&Unfinalized {
        header: block.header.inner().clone(),
        body: body(block),
    })
}

/// A block without its receipts: execution will make them.
pub(super) fn decode_unfinalized(bytes: &[u8]) -> Result<BlockRecord, StoreError> {
    let Unfinalized { header, body } = decode("unfinalised block", bytes)?;
    Ok(BlockRecord {
        header: header.seal_slow(),
        transactions: body.transactions,
        senders: body.senders,
        receipts: Vec::new(),
        withdrawals: body.withdrawals,
        credits: body.credits,
    })
}

/// The account as it is written, without its storage.
#[derive(Debug, Clone, Copy, PartialEq, RlpEncodable, RlpDecodable)]
pub(super) struct StoredAccount {
    pub(super) nonce: u64,
    pub(super) balance: U256,
    pub(super) code_hash: B256,
}

impl StoredAccount {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        encode(&self)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        decode("account", bytes)
    }
}

#[cfg(test)]
mod tests;
