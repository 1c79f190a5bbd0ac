//! What an L1 block queued for a rollup, read from the block's own header and receipts.
//!
//! Nobody is trusted: the receipts have the root that the header names, and the header's hash is the
//! block's. So whoever has the same block finds the same entries, in the same order, whoever handed
//! over the receipts.

use crate::fork::Entry;
use alloy_consensus::{Receipt, ReceiptWithBloom, proofs::ordered_trie_root_encoded};
use alloy_primitives::{Bloom, Log};
use alloy_rlp::Decodable;
use alloy_sol_types::{SolEvent, sol};
use cortado_l1::{HeaderError, full_header};
use cortado_types::{Address, B256, Bytes, L1Ref, keccak256};
use thiserror::Error;

sol! {
    /// Event of an inbox contract: a call was queued (`contracts/src/Inbox.sol`).
    #[derive(Debug)]
    event Queued(uint256 indexed index, uint64 gas, bytes payload, bytes32 accumulator);
}

/// Gas that an L1 block spends at least for a byte of its receipts. The cheapest bytes are a log's
/// data: 8 gas each, of which refunds give back a fifth (EIP-3529); a log of no data has 24 bytes for
/// 375 gas, and a receipt of no logs some 280 bytes for a whole transaction.
pub const RECEIPT_GAS_PER_BYTE: u64 = 4;

/// Why an L1 block's receipts do not tell what it queued.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InboxError {
    /// The header is none.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// More bytes than the block's gas can have paid for.
    #[error(
        "receipts of L1 block {number} are {bytes} bytes, the limit is {limit} for {gas_used} gas"
    )]
    TooLong {
        /// The block's number.
        number: u64,
        /// Bytes of all receipts.
        bytes: u64,
        /// The limit.
        limit: u64,
        /// Gas that the block used.
        gas_used: u64,
    },
    /// Not this block's receipts.
    #[error(
        "{count} receipts of L1 block {number} ({hash}) have root {got}, its header has {want}"
    )]
    Root {
        /// The block's number.
        number: u64,
        /// Its hash.
        hash: B256,
        /// How many were given.
        count: usize,
        /// Their root.
        got: B256,
        /// The header's.
        want: B256,
    },
    /// The block's receipt is of a form that this version does not know: a hard fork ahead of us.
    /// How many logs it has is then unknown too, and so is the place of all that follow.
    #[error("receipt {index} (type {kind}) of L1 block {number} is of an unknown form: {reason}")]
    Form {
        /// The block's number.
        number: u64,
        /// Position of the receipt.
        index: usize,
        /// Its EIP-2718 type; 0 of a legacy one.
        kind: u8,
        /// What is wrong.
        reason: alloy_rlp::Error,
    },
}

impl InboxError {
    /// Whether these cannot be the block's receipts: another source may tell the truth.
    pub const fn is_lie(&self) -> bool {
        matches!(self, Self::TooLong { .. } | Self::Root { .. })
    }
}

/// Whether the receipts of the L1 block with this header (RLP) are needed to know what it queued
/// in `inbox`; if not, it queued nothing: its logs bloom rules that out.
///
/// # Errors
/// If it is no header.
pub fn needs_receipts(raw_header: &[u8], inbox: Address) -> Result<bool, HeaderError> {
    Ok(may_queue(&full_header(raw_header)?.logs_bloom, inbox))
}

fn may_queue(bloom: &Bloom, inbox: Address) -> bool {
    bloom.contains_raw_log(inbox, &[Queued::SIGNATURE_HASH])
}

/// The calls that the L1 block with this header (RLP) queued in `inbox`, in the order of its logs.
///
/// - `receipts` are all of the block's, in order, each as EIP-2718 has it; what they are called by is
///   checked against the header. Types that are not known are read as those that are.
/// - An entry's block is the one that the header hashes to, and its log index counts over the whole
///   block (R12).
/// - A log of the inbox that is no `Queued` with exactly its two topics, and whose data is not the
///   canonical ABI encoding of its values, is no entry. The inbox writes none, so this matters only
///   where `inbox` is the address of something else; all readers skip the same.
/// - If the header's bloom rules entries out, the receipts are not read.
///
/// # Errors
/// [`InboxError`].
pub fn entries_of(
    raw_header: &[u8],
    receipts: &[Bytes],
    inbox: Address,
) -> Result<Vec<Entry>, InboxError> {
    let header = full_header(raw_header)?;
    let mut entries = Vec::new();
    if !may_queue(&header.logs_bloom, inbox) {
        return Ok(entries);
    }
    let (number, hash) = (header.number, keccak256(raw_header));
    let block = L1Ref { number, hash };
    let bytes: u64 = receipts.iter().map(|receipt| receipt.len() as u64).sum();
    let limit = header.gas_used / RECEIPT_GAS_PER_BYTE;
    if bytes > limit {
        return Err(InboxError::TooLong {
            number,
            bytes,
            limit,
            gas_used: header.gas_used,
        });
    }
    let got = ordered_trie_root_encoded(receipts);
    if got != header.receipts_root {
        return Err(InboxError::Root {
            number,
            hash,
            count: receipts.len(),
            got,
            want: header.receipts_root,
        });
    }
    let mut log_index = 0;
    for (index, receipt) in receipts.iter().enumerate() {
        let logs = logs_of(receipt).map_err(|(kind, reason)| InboxError::Form {
            number,
            index,
            kind,
            reason,
        })?;
        for log in logs {
            if log.address == inbox
                && let Some(queued) = queued(&log)
            {
                entries.push(Entry {
                    block,
                    log_index,
                    gas: queued.gas,
                    payload: queued.payload,
                });
            }
            log_index += 1;
        }
    }
    Ok(entries)
}

/// The logs of a receipt as EIP-2718 has it; the error names its type.
fn logs_of(receipt: &[u8]) -> Result<Vec<Log>, (u8, alloy_rlp::Error)> {
    // EIP-2718: a first byte that is not the start of an RLP list is a type.
    let (kind, mut rest) = match receipt.split_first() {
        Some((kind, rest)) if *kind < 0x80 => (*kind, rest),
        _ => (0, receipt),
    };
    let read = ReceiptWithBloom::<Receipt>::decode(&mut rest).map_err(|reason| (kind, reason))?;
    if !rest.is_empty() {
        return Err((kind, alloy_rlp::Error::UnexpectedLength));
    }
    Ok(read.receipt.logs)
}

fn queued(log: &Log) -> Option<Queued> {
    let queued = Queued::decode_log_data(&log.data).ok()?;
    (queued.encode_log_data() == log.data).then_some(queued)
}
