//! A block of the finality chain: a header and what it commits to (R4, R8).

use crate::{
    certificate::QuorumCertificate,
    codec::{bytes_list, optional},
    ecdsa::Signature,
    header::{Header, L1Ref},
    ids::{ChainId, Slot},
    lane::{SignedLaneHeader, domain},
    limits::{L1_HEADER_BYTES_MAX, L1_HEADERS_PER_MOVE_MAX},
    registry::ReadSeats,
    trie,
};
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::{BufMut, Decodable, Encodable, RlpDecodable, RlpEncodable};
use alloy_sol_types::{SolStruct, sol};
use serde::{Deserialize, Serialize};

/// A lane block's place in a block: its header, and the availability certificate if it carries one.
///
/// An entry without a certificate is covered by the next entry, which must be its child (R6a).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LaneEntry {
    /// The proposer's header.
    pub lane: SignedLaneHeader,
    /// That a quorum holds the body and those of the uncertified ancestors.
    pub certificate: Option<QuorumCertificate>,
}

impl LaneEntry {
    fn payload_length(&self) -> usize {
        self.lane.length() + optional::length(&self.certificate)
    }
}

impl Encodable for LaneEntry {
    fn encode(&self, out: &mut dyn BufMut) {
        alloy_rlp::Header {
            list: true,
            payload_length: self.payload_length(),
        }
        .encode(out);
        self.lane.encode(out);
        optional::encode(&self.certificate, out);
    }

    fn length(&self) -> usize {
        let payload = self.payload_length();
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl Decodable for LaneEntry {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut payload = alloy_rlp::Header::decode_bytes(buf, true)?;
        let entry = Self {
            lane: SignedLaneHeader::decode(&mut payload)?,
            certificate: optional::decode(&mut payload)?,
        };
        if payload.is_empty() {
            Ok(entry)
        } else {
            Err(alloy_rlp::Error::UnexpectedLength)
        }
    }
}

/// R9. Moves `L1*` to the last of `headers`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PointerMove {
    /// RLP of the L1 headers, oldest first; the first one's parent is a tracked header.
    pub headers: Vec<Bytes>,
    /// A quorum holds the last of them as valid.
    pub sight: QuorumCertificate,
    /// The mover's signature over [`PointerMove::digest`]; needed while namespace 0 has a proposer
    /// and ⅔ of the slot are not over.
    pub mover: Option<Signature>,
}

sol! {
    /// The EIP-712 shape of a pointer move.
    struct MovePointer {
        uint64 slot;
        bytes32 target;
    }
}

impl PointerMove {
    /// What the proposer of namespace 0 signs to move the pointer to the L1 block `target`.
    pub fn digest(chain_id: ChainId, slot: Slot, target: B256) -> B256 {
        MovePointer {
            slot: slot.get(),
            target,
        }
        .eip712_signing_hash(&domain(chain_id))
    }

    fn payload_length(&self) -> usize {
        self.headers.length() + self.sight.length() + optional::length(&self.mover)
    }
}

impl Encodable for PointerMove {
    fn encode(&self, out: &mut dyn BufMut) {
        alloy_rlp::Header {
            list: true,
            payload_length: self.payload_length(),
        }
        .encode(out);
        self.headers.encode(out);
        self.sight.encode(out);
        optional::encode(&self.mover, out);
    }

    fn length(&self) -> usize {
        let payload = self.payload_length();
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl Decodable for PointerMove {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut payload = alloy_rlp::Header::decode_bytes(buf, true)?;
        let moved = Self {
            headers: bytes_list(
                &mut payload,
                L1_HEADERS_PER_MOVE_MAX,
                0..=L1_HEADER_BYTES_MAX,
            )?,
            sight: QuorumCertificate::decode(&mut payload)?,
            mover: optional::decode(&mut payload)?,
        };
        if payload.is_empty() {
            Ok(moved)
        } else {
            Err(alloy_rlp::Error::UnexpectedLength)
        }
    }
}

/// R10. Raises `L1fin`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
pub struct L1Finality {
    /// The L1 block known finalised; an ancestor of `L1*` or equal to it.
    pub block: L1Ref,
    /// A quorum says so.
    pub certificate: QuorumCertificate,
}

/// What a block does beside appending lane blocks; applied after them, in order (R8).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Operation {
    /// R9.
    MovePointer(PointerMove),
    /// R10.
    FinalizeL1(L1Finality),
    /// R10: the one way in which seats and stake reach the chain.
    ReadSeats(ReadSeats),
}

const KIND_MOVE_POINTER: u8 = 1;
const KIND_FINALIZE_L1: u8 = 2;
const KIND_READ_SEATS: u8 = 3;

impl Encodable for Operation {
    fn encode(&self, out: &mut dyn BufMut) {
        let (kind, length) = match self {
            Self::MovePointer(moved) => (KIND_MOVE_POINTER, moved.length()),
            Self::FinalizeL1(finality) => (KIND_FINALIZE_L1, finality.length()),
            Self::ReadSeats(read) => (KIND_READ_SEATS, read.length()),
        };
        alloy_rlp::Header {
            list: true,
            payload_length: kind.length() + length,
        }
        .encode(out);
        kind.encode(out);
        match self {
            Self::MovePointer(moved) => moved.encode(out),
            Self::FinalizeL1(finality) => finality.encode(out),
            Self::ReadSeats(read) => read.encode(out),
        }
    }

    fn length(&self) -> usize {
        let payload = 1 + match self {
            Self::MovePointer(moved) => moved.length(),
            Self::FinalizeL1(finality) => finality.length(),
            Self::ReadSeats(read) => read.length(),
        };
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl Decodable for Operation {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut payload = alloy_rlp::Header::decode_bytes(buf, true)?;
        let operation = match u8::decode(&mut payload)? {
            KIND_MOVE_POINTER => Self::MovePointer(PointerMove::decode(&mut payload)?),
            KIND_FINALIZE_L1 => Self::FinalizeL1(L1Finality::decode(&mut payload)?),
            KIND_READ_SEATS => Self::ReadSeats(ReadSeats::decode(&mut payload)?),
            _ => return Err(alloy_rlp::Error::Custom("unknown kind of operation")),
        };
        if payload.is_empty() {
            Ok(operation)
        } else {
            Err(alloy_rlp::Error::UnexpectedLength)
        }
    }
}

/// A whole block. Its name is the header's hash; the roots tie the rest to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
pub struct Block {
    /// R4.
    pub header: Header,
    /// Lane blocks in order of inclusion.
    pub lanes: Vec<LaneEntry>,
    /// Operations, applied after the lane blocks.
    pub operations: Vec<Operation>,
}

impl Block {
    /// The header's hash.
    pub fn hash(&self) -> B256 {
        self.header.hash()
    }

    /// The values under [`Header::lanes_root`], by position.
    pub fn lane_leaves(lanes: &[LaneEntry]) -> Vec<Vec<u8>> {
        lanes.iter().map(alloy_rlp::encode).collect()
    }

    /// Root over lane entries.
    pub fn lanes_root(lanes: &[LaneEntry]) -> B256 {
        trie::ordered_root(&Self::lane_leaves(lanes))
    }

    /// Root over operations.
    pub fn operations_root(operations: &[Operation]) -> B256 {
        let leaves: Vec<_> = operations.iter().map(alloy_rlp::encode).collect();
        trie::ordered_root(&leaves)
    }

    /// Whether lanes and operations are those the header commits to. A block for which this is
    /// false is not the block its hash names, whoever sent it.
    pub fn is_whole(&self) -> bool {
        Self::lanes_root(&self.lanes) == self.header.lanes_root
            && Self::operations_root(&self.operations) == self.header.operations_root
    }
}

/// R6b. The group of an atomic bundle: hash of its ordered (namespace, slot, seq, body root).
pub fn group_hash(members: &[(crate::Namespace, Slot, crate::Seq, B256)]) -> B256 {
    let mut bytes = Vec::with_capacity(members.len() * 56);
    for (namespace, slot, seq, body_root) in members {
        bytes.extend_from_slice(&namespace.get().to_be_bytes());
        bytes.extend_from_slice(&slot.get().to_be_bytes());
        bytes.extend_from_slice(&seq.get().to_be_bytes());
        bytes.extend_from_slice(body_root.as_slice());
    }
    keccak256(bytes)
}
