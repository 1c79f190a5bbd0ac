//! What crosses the network and the disk about lane blocks.

use alloy_rlp::{Encodable as _, RlpDecodable, RlpEncodable};
use bytes::Bytes;
use cortado_types::{
    B256, BodyError, CodecError, LaneBody, SignedLaneHeader, Term, bls::SignatureBytes,
    decode_exact, limits::LANE_BODY_BYTES_MAX,
};

/// Room for the header and its signature beside the body, bytes; they are under 400.
const HEADER_BYTES_MAX: usize = 1_024;

/// A whole lane block on the wire, bytes.
pub const LANE_BLOCK_BYTES_MAX: usize = LANE_BODY_BYTES_MAX + HEADER_BYTES_MAX;

/// An acknowledgement on the wire, bytes: term, hash and signature with their framing are under 94.
pub const ACK_BYTES_MAX: usize = 128;

/// A lane block: header, signature, transactions.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct LaneBlock {
    /// The signed header.
    pub lane: SignedLaneHeader,
    /// What it commits to.
    pub body: LaneBody,
}

/// A lane block whose body is the one its header commits to, with its bytes and its name.
///
/// - `bytes` is the RLP of a [`LaneBlock`] with the header `lane`, whose hash is `hash`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedLane {
    /// The signed header.
    pub lane: SignedLaneHeader,
    /// The header's hash.
    pub hash: B256,
    /// The whole lane block.
    pub bytes: Bytes,
}

impl SealedLane {
    /// Seals a lane block after checking that body and header fit.
    ///
    /// # Errors
    /// [`BodyError`] if they do not.
    pub fn new(block: &LaneBlock) -> Result<Self, BodyError> {
        block.body.check(&block.lane.header)?;
        let mut bytes = Vec::with_capacity(block.length());
        block.encode(&mut bytes);
        Ok(Self {
            lane: block.lane.clone(),
            hash: block.lane.header.hash(),
            bytes: bytes.into(),
        })
    }

    /// Reads the block back; its parts were checked when it was sealed.
    ///
    /// # Errors
    /// If the bytes are damaged.
    pub fn open(&self) -> Result<LaneBlock, CodecError> {
        decode_exact("lane block", &self.bytes, LANE_BLOCK_BYTES_MAX)
    }
}

/// Reads the outside of a lane block; its body is not checked yet.
///
/// # Errors
/// If the bytes are too long or malformed.
pub(super) fn read(bytes: &Bytes) -> Result<LaneBlock, CodecError> {
    decode_exact("lane block", bytes, LANE_BLOCK_BYTES_MAX)
}

/// "I hold this lane block and its uncertified ancestors": a seat's signature over
/// [`cortado_types::SubjectKind::Available`]. Who says so is known from the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Ack {
    /// The term whose seats acknowledge: the signature is of this term.
    pub term: Term,
    /// The lane header's hash.
    pub hash: B256,
    /// The seat's signature.
    pub signature: SignatureBytes,
}

impl Ack {
    /// Reads an acknowledgement from the network.
    ///
    /// # Errors
    /// If the bytes are too long or malformed.
    pub fn read(bytes: &[u8]) -> Result<Self, CodecError> {
        decode_exact("acknowledgement", bytes, ACK_BYTES_MAX)
    }
}
