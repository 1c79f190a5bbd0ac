//! The header of a block of the finality chain (R4).

use crate::{
    codec::optional,
    ids::{ChainId, Height, Slot, Term, TimestampMs, View},
};
use alloy_primitives::{B256, keccak256};
use alloy_rlp::{BufMut, Decodable, Encodable, RlpDecodable, RlpEncodable};
use serde::{Deserialize, Serialize};

/// An L1 block by number and hash. The hash decides; the number saves a look-up.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    RlpEncodable,
    RlpDecodable,
)]
pub struct L1Ref {
    /// L1 block number.
    pub number: u64,
    /// L1 block hash.
    pub hash: B256,
}

/// A step inside an L1 block that is still being built (R13).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, RlpEncodable, RlpDecodable,
)]
pub struct PartialL1 {
    /// Which step of the unfinished block, from 0.
    pub index: u64,
    /// keccak of the rollups' L1→L2 queue accumulators after the step.
    pub accumulators: B256,
}

/// The L1 block the chain points at, and the step beyond it if one is recorded (R13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct L1Head {
    /// The whole L1 block.
    pub block: L1Ref,
    /// The step on top of it; recorded by an L1 proposer that also holds namespace 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<PartialL1>,
}

impl L1Head {
    /// A whole L1 block as head.
    pub const fn whole(block: L1Ref) -> Self {
        Self {
            block,
            partial: None,
        }
    }

    fn payload_length(&self) -> usize {
        self.block.length() + optional::length(&self.partial)
    }
}

impl Encodable for L1Head {
    fn encode(&self, out: &mut dyn BufMut) {
        alloy_rlp::Header {
            list: true,
            payload_length: self.payload_length(),
        }
        .encode(out);
        self.block.encode(out);
        optional::encode(&self.partial, out);
    }

    fn length(&self) -> usize {
        let payload = self.payload_length();
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl Decodable for L1Head {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut payload = alloy_rlp::Header::decode_bytes(buf, true)?;
        let head = Self {
            block: L1Ref::decode(&mut payload)?,
            partial: optional::decode(&mut payload)?,
        };
        if payload.is_empty() {
            Ok(head)
        } else {
            Err(alloy_rlp::Error::UnexpectedLength)
        }
    }
}

/// R4. What a certificate signs (by hash) and everything else is proved against.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
pub struct Header {
    /// [`crate::limits::PROTOCOL_VERSION`].
    pub version: u16,
    /// Chain this block belongs to.
    pub chain_id: ChainId,
    /// Seat set that finalises it.
    pub term: Term,
    /// View in which it was first proposed.
    pub view: View,
    /// View of the parent in the same term, 0 at a term's start.
    pub parent_view: View,
    /// Number of this block; genesis is 0.
    pub height: Height,
    /// Hash of the parent header.
    pub parent: B256,
    /// Slot that contains `timestamp` (R5).
    pub slot: Slot,
    /// Block time, ms; never decreases (R5).
    pub timestamp: TimestampMs,
    /// `L1*` after this block (R8).
    pub l1_head: L1Head,
    /// Last L1 block known finalised, after this block (R10).
    pub l1_fin: L1Ref,
    /// Trie of lane entries by position.
    pub lanes_root: B256,
    /// Trie of operations by position.
    pub operations_root: B256,
    /// Trie of the replicated state after this block (R7).
    pub state_root: B256,
    /// Mountain range over the hashes of all earlier headers.
    pub history_root: B256,
    /// Commitment to the seats that finalise this block.
    pub seats_hash: B256,
    /// Commitment to the seats that finalise the next term's blocks.
    pub next_seats_hash: B256,
}

impl Header {
    /// keccak256 of the RLP: the block's name and the payload that certificates sign.
    pub fn hash(&self) -> B256 {
        keccak256(alloy_rlp::encode(self))
    }
}
