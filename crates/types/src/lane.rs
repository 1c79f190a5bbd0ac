//! Lane blocks: one rollup block each, signed by its proposer (R6).

use crate::{
    codec,
    ecdsa::{Signature, SignatureError},
    header::L1Ref,
    ids::{ChainId, Height, Namespace, Seq, Slot, TimestampMs},
    limits::{LANE_BODY_BYTES_MAX, LANE_TRANSACTIONS_MAX, TRANSACTION_BYTES_MAX},
    trie,
};
use alloy_primitives::{Address, B256, Bytes};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use alloy_sol_types::{Eip712Domain, SolStruct, eip712_domain, sol};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// R6. Header of one lane block.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
pub struct LaneHeader {
    /// [`crate::limits::PROTOCOL_VERSION`].
    pub version: u16,
    /// Cortado chain, so that a header cannot be replayed on another.
    pub chain_id: ChainId,
    /// The rollup.
    pub namespace: Namespace,
    /// Slot whose proposer signs.
    pub slot: Slot,
    /// Position within the slot, from 0 without gaps.
    pub seq: Seq,
    /// Whether this is the proposer's last lane block of the slot; closes it.
    pub last: bool,
    /// Number of this lane block in its namespace; the first is 1.
    pub height: Height,
    /// [`LaneHeader::hash`] of the previous lane block, zero for the first.
    pub parent: B256,
    /// The L1 block this lane block builds on (R8a).
    pub context: L1Ref,
    /// Proposer's time, ms, inside the slot; the L2 block's timestamp (R12).
    pub timestamp: TimestampMs,
    /// Trie of the body's transactions by position.
    pub body_root: B256,
    /// RLP size of the body, bytes.
    pub size: u64,
    /// Zero, or the hash of the atomic bundle it belongs to (R6b).
    pub group: B256,
}

sol! {
    /// The EIP-712 shape of a lane header; L1 rebuilds it for `ecrecover`.
    struct LaneBlock {
        uint16 version;
        uint64 namespace;
        uint64 slot;
        uint64 seq;
        bool last;
        uint64 height;
        bytes32 parent;
        uint64 contextNumber;
        bytes32 contextHash;
        uint64 timestamp;
        bytes32 bodyRoot;
        uint64 size;
        bytes32 group;
    }
}

/// The EIP-712 domain of everything that a Cortado proposer signs.
pub fn domain(chain_id: ChainId) -> Eip712Domain {
    eip712_domain! { name: "Cortado", version: "1", chain_id: chain_id.get(), }
}

impl LaneHeader {
    /// The EIP-712 digest: the lane block's name, what its proposer signs, what attesters
    /// acknowledge and what the next lane block names as parent. It binds the chain id.
    pub fn hash(&self) -> B256 {
        LaneBlock {
            version: self.version,
            namespace: self.namespace.get(),
            slot: self.slot.get(),
            seq: self.seq.get(),
            last: self.last,
            height: self.height.get(),
            parent: self.parent,
            contextNumber: self.context.number,
            contextHash: self.context.hash,
            timestamp: self.timestamp.get(),
            bodyRoot: self.body_root,
            size: self.size,
            group: self.group,
        }
        .eip712_signing_hash(&domain(self.chain_id))
    }
}

/// A lane header with its proposer's signature.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
pub struct SignedLaneHeader {
    /// What is signed.
    pub header: LaneHeader,
    /// secp256k1 over [`LaneHeader::hash`].
    pub signature: Signature,
}

impl SignedLaneHeader {
    /// Who signed.
    ///
    /// # Errors
    /// If the signature is not one that L1's `ecrecover` would accept, or has a high `s`.
    pub fn signer(&self) -> Result<Address, SignatureError> {
        self.signature.recover(self.header.hash())
    }
}

/// Why a body is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BodyError {
    /// More transactions than a body may hold.
    #[error(
        "body holds {count} transactions, the limit is {}",
        LANE_TRANSACTIONS_MAX
    )]
    TooMany {
        /// How many it holds.
        count: usize,
    },
    /// One transaction is too long.
    #[error(
        "transaction {index} is {size} bytes, the limit is {}",
        TRANSACTION_BYTES_MAX
    )]
    TransactionTooLong {
        /// Its position.
        index: usize,
        /// Its size in bytes.
        size: usize,
    },
    /// A transaction without bytes cannot be told from an absent one in the trie.
    #[error("transaction {index} is empty")]
    EmptyTransaction {
        /// Its position.
        index: usize,
    },
    /// The whole body is too long.
    #[error("body is {size} bytes, the limit is {}", LANE_BODY_BYTES_MAX)]
    TooLong {
        /// Its size in bytes.
        size: usize,
    },
    /// The header speaks of another body.
    #[error(
        "body is {size} bytes with root {root}, its header says {header_size} and {header_root}"
    )]
    Mismatch {
        /// Size of the body, bytes.
        size: u64,
        /// Root of the body.
        root: B256,
        /// Size in the header, bytes.
        header_size: u64,
        /// Root in the header.
        header_root: B256,
    },
}

/// The transactions of a lane block, in order, as raw EIP-2718 bytes; the gadget does not read them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, RlpEncodable)]
pub struct LaneBody {
    /// Raw transactions.
    pub transactions: Vec<Bytes>,
}

// By hand, so that four MiB of empty transactions are refused at the first one and not after they
// have become a hundred MiB of handles.
impl Decodable for LaneBody {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut payload = alloy_rlp::Header::decode_bytes(buf, true)?;
        let transactions = codec::bytes_list(
            &mut payload,
            LANE_TRANSACTIONS_MAX,
            1..=TRANSACTION_BYTES_MAX,
        )?;
        if payload.is_empty() {
            Ok(Self { transactions })
        } else {
            Err(alloy_rlp::Error::UnexpectedLength)
        }
    }
}

impl LaneBody {
    /// Trie root over the transactions by position.
    pub fn root(&self) -> B256 {
        trie::ordered_root(&self.transactions)
    }

    /// RLP size in bytes.
    pub fn size(&self) -> u64 {
        self.length() as u64
    }

    /// Checks the limits, and that `header` commits to this body.
    ///
    /// # Errors
    /// [`BodyError`] names the value and the limit.
    pub fn check(&self, header: &LaneHeader) -> Result<(), BodyError> {
        let count = self.transactions.len();
        if count > LANE_TRANSACTIONS_MAX {
            return Err(BodyError::TooMany { count });
        }
        for (index, transaction) in self.transactions.iter().enumerate() {
            let size = transaction.len();
            if size == 0 {
                return Err(BodyError::EmptyTransaction { index });
            }
            if size > TRANSACTION_BYTES_MAX {
                return Err(BodyError::TransactionTooLong { index, size });
            }
        }
        let size = self.length();
        if size > LANE_BODY_BYTES_MAX {
            return Err(BodyError::TooLong { size });
        }
        let (size, root) = (size as u64, self.root());
        if size != header.size || root != header.body_root {
            return Err(BodyError::Mismatch {
                size,
                root,
                header_size: header.size,
                header_root: header.body_root,
            });
        }
        Ok(())
    }

    /// Reads a body from hostile bytes.
    ///
    /// # Errors
    /// If it is too long or malformed.
    pub fn decode_limited(bytes: &[u8]) -> Result<Self, codec::CodecError> {
        codec::decode_exact("lane body", bytes, LANE_BODY_BYTES_MAX)
    }
}
