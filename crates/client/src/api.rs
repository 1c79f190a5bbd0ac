//! The node's REST interface in types: one definition for server and client.
//!
//! Numbers are JSON numbers, bytes are 0x-hex. What a certificate or a proof is checked against is
//! always given as RLP (`rlp`, `header`, `entry`), because the hash is of these very bytes.

mod events;
mod evidence;
mod proofs;

pub use events::{BlockEvent, EVENT_BLOCK, EVENT_ERROR};
pub use evidence::{EvidenceList, EvidenceView, Standing, VotesView};
pub use proofs::{HistoryProofView, LaneProofView, StateProofView, TransactionProofView};

use cortado_types::{
    Address, B256, Block, Bytes, ChainId, FinalityCertificate, Header, Height, L1Ref, LaneEntry,
    Namespace, Seat, SeatBitmap, SeatSet, Slot, Term, TimestampMs, View,
    bls::{KeyBytes, SignatureBytes},
};
use serde::{Deserialize, Serialize};

/// Limits that both sides keep.
pub mod limits {
    /// Headers between a block and the certified descendant that makes it final. The engine
    /// certifies nearly every block; under attack a view may be notarised and never finalised, and
    /// after this many the node answers that it has no certificate yet.
    pub const DESCENDANTS_MAX: usize = 256;
    /// RLP of one header: fixed fields of about 500 bytes, with room.
    pub const HEADER_BYTES_MAX: usize = 1_024;
    /// RLP of one lane entry: header, signature, certificate over `SEATS_MAX` seats, with room.
    pub const ENTRY_BYTES_MAX: usize = 1_024;
    /// Lane blocks in one answer to a range query.
    pub const LANES_RANGE_MAX: u64 = 256;
    /// Bytes of bodies in one answer to a range query; at least one body is always given.
    pub const LANES_BODIES_BYTES_MAX: usize = 8 << 20;
    /// Blocks in one answer to a range query.
    pub const BLOCKS_RANGE_MAX: u64 = 64;
    /// Pieces of evidence in one answer: one a key and seat set, and accusations; more than a whole
    /// seat set makes is a flood of nobody's.
    pub const EVIDENCE_MAX: usize = 1_024;
    /// Bytes of any JSON answer: `LANES_BODIES_BYTES_MAX` in hex, twice over for framing.
    pub const ANSWER_BYTES_MAX: usize = 4 * LANES_BODIES_BYTES_MAX;
    /// Bytes of one event: a whole block and its descendants' headers in hex, with room.
    pub const EVENT_BYTES_MAX: usize = 2
        * (cortado_types::limits::BLOCK_BYTES_MAX + DESCENDANTS_MAX * HEADER_BYTES_MAX)
        + (64 << 10);
    /// Silence on an event stream after which the client asks elsewhere, ms.
    pub const EVENTS_SILENCE_MS_MAX: u64 = 15_000;
    /// Interval of the comments that a server sends into an idle stream, ms.
    pub const EVENTS_KEEP_ALIVE_MS: u64 = 5_000;
}

/// Why a node refuses, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// A word that does not change: `bad_height`, `not_found`, `pruned`, …
    pub code: String,
    /// A sentence.
    pub message: String,
    /// The offending value as it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The limit that it broke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
}

/// `GET /v1/status`: where a node stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the software.
    pub version: String,
    /// The chain.
    pub chain_id: ChainId,
    /// Hash of block 0.
    pub genesis_hash: B256,
    /// Newest finalised block.
    pub height: Height,
    /// Its hash.
    pub hash: B256,
    /// Its slot.
    pub slot: Slot,
    /// Its time, ms.
    pub timestamp: TimestampMs,
    /// Oldest block that this node still serves.
    pub oldest_height: Height,
    /// The present term.
    pub term: Term,
    /// Seats of the term.
    pub seats: usize,
    /// Seats that a certificate needs.
    pub quorum: usize,
    /// Identities of the seats that this node votes for; none for a follower.
    pub own_seats: Vec<B256>,
    /// `L1*` after the newest block.
    pub l1_head: L1Ref,
    /// `L1fin` after the newest block.
    pub l1_fin: L1Ref,
    /// Blocks of L1 above `L1*`, as this node's own L1 node counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l1_depth: Option<u64>,
    /// What this node's own L1 node says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l1_node: Option<L1NodeStatus>,
    /// This node's clock, ms.
    pub time: TimestampMs,
    /// How far this node's clock seems to be ahead of the others' (negative: behind), ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew_ms: Option<i64>,
}

/// What a node sees of L1 through the endpoints it has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct L1NodeStatus {
    /// Whether an endpoint is of use now.
    pub connected: bool,
    /// Newest block of the endpoint in use.
    pub head: Option<L1Ref>,
    /// Its newest finalised block.
    pub finalized: Option<L1Ref>,
    /// Whether a beacon node is configured and answers.
    pub beacon: bool,
    /// The last L1 slot whose proposer is known; none without a beacon: the lookahead is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookahead_until_slot: Option<u64>,
    /// Why it is not connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The endpoints, in the order in which they are preferred.
    #[serde(default)]
    pub endpoints: Vec<L1EndpointView>,
    /// What does not go on, each with its reason, in words.
    #[serde(default)]
    pub waits: Vec<String>,
}

/// One endpoint of L1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct L1EndpointView {
    /// Scheme, host and port; what else is in its URL may be secret.
    pub url: String,
    /// Where it stands.
    pub state: L1EndpointState,
    /// The newest block that it named.
    pub head: Option<L1Ref>,
    /// Why it is not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Where an endpoint of L1 stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum L1EndpointState {
    /// Not asked yet.
    Starting,
    /// What it says is told to the seats.
    Used,
    /// It answers, and one before it is used.
    Ready,
    /// Its head is far behind another endpoint's.
    Lagging,
    /// It does not answer, or with no usable answer.
    Failing,
    /// It said what cannot be true.
    Lying,
    /// It is of another chain than the genesis names, or left what the chain holds final.
    OtherChain,
}

impl std::fmt::Display for L1EndpointState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Starting => "starting",
            Self::Used => "used",
            Self::Ready => "ready",
            Self::Lagging => "lagging",
            Self::Failing => "failing",
            Self::Lying => "lying",
            Self::OtherChain => "other chain",
        })
    }
}

/// `GET /v1/blocks/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockView {
    /// Its hash.
    pub hash: B256,
    /// RLP of the header: `hash` is its keccak.
    pub header_rlp: Bytes,
    /// Header, lanes, operations.
    #[serde(flatten)]
    pub block: Block,
}

/// `GET /v1/blocks/{id}/header`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderView {
    /// Its hash.
    pub hash: B256,
    /// RLP of the header: `hash` is its keccak.
    pub header_rlp: Bytes,
    /// Its fields.
    #[serde(flatten)]
    pub header: Header,
}

impl HeaderView {
    /// The view of a header.
    pub fn new(header: Header) -> Self {
        Self {
            hash: header.hash(),
            header_rlp: cortado_types::codec::encode(&header).into(),
            header,
        }
    }
}

impl BlockView {
    /// The view of a block.
    pub fn new(block: Block) -> Self {
        Self {
            hash: block.hash(),
            header_rlp: cortado_types::codec::encode(&block.header).into(),
            block,
        }
    }
}

/// `GET /v1/blocks/{height}/certificate`: that a quorum of the term's seats finalised the block.
///
/// What every signer signed is
/// `varint(len(ns)) ‖ ns ‖ varint(epoch) ‖ varint(view) ‖ varint(parent_view) ‖ payload` with
/// `ns = base_namespace ‖ "_FINALIZE"` and unsigned LEB128 varints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateView {
    /// The block that was asked for.
    pub height: Height,
    /// `"CORTADO" ‖ chain id (u64 BE) ‖ seats hash`.
    pub base_namespace: Bytes,
    /// The term, which the engine calls epoch.
    pub epoch: Term,
    /// View in which the block was finalised.
    pub view: View,
    /// View of its parent.
    pub parent_view: View,
    /// Hash of the finalised header.
    pub payload: B256,
    /// One bit a seat in the order of `/v1/seats/{epoch}`, least significant bit of the first
    /// byte first, `⌈seats/8⌉` bytes.
    pub bitmap: SeatBitmap,
    /// Sum of the signatures, compressed G1, 48 bytes.
    pub signature: SignatureBytes,
    /// RLP of the headers after `height`, oldest first, each naming the one before as parent; the
    /// last one's hash is `payload`. Empty when the block itself was certified.
    #[serde(default)]
    pub descendants: Vec<Bytes>,
}

impl CertificateView {
    /// The view of a certificate for the block at `height`, made final through `descendants`.
    pub fn new(
        height: Height,
        certificate: &FinalityCertificate,
        base_namespace: Vec<u8>,
        descendants: &[Header],
    ) -> Self {
        let encode = |header| cortado_types::codec::encode(header).into();
        Self {
            height,
            base_namespace: base_namespace.into(),
            epoch: certificate.term,
            view: certificate.view,
            parent_view: certificate.parent_view,
            payload: certificate.payload,
            bitmap: certificate.signers.clone(),
            signature: certificate.signature,
            descendants: descendants.iter().map(encode).collect(),
        }
    }

    /// The certificate alone. `base_namespace` is left out: whoever verifies makes it himself.
    pub fn certificate(&self) -> FinalityCertificate {
        FinalityCertificate {
            term: self.epoch,
            view: self.view,
            parent_view: self.parent_view,
            payload: self.payload,
            signers: self.bitmap.clone(),
            signature: self.signature,
        }
    }
}

/// `GET /v1/seats/{epoch}`: the seats of a term.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatsView {
    /// The term.
    pub epoch: Term,
    /// keccak of the RLP of `seats`; in every header of the term.
    pub seats_hash: B256,
    /// What every signature of this set starts with.
    pub base_namespace: Bytes,
    /// Seats that a certificate needs.
    pub quorum: usize,
    /// BLS keys in bitmap order, compressed G2, 96 bytes each.
    pub keys: Vec<KeyBytes>,
    /// The seats in bitmap order.
    pub seats: Vec<Seat>,
}

impl SeatsView {
    /// The view of a seat set.
    pub fn new(epoch: Term, seats: &SeatSet, chain_id: ChainId) -> Self {
        Self {
            epoch,
            seats_hash: seats.hash(),
            base_namespace: seats.base_namespace(chain_id).into(),
            quorum: seats.quorum(),
            keys: seats.seats().iter().map(|seat| seat.bls).collect(),
            seats: seats.seats().to_vec(),
        }
    }
}

/// `GET /v1/terms/{epoch}/boundary`: how a term ended, and who sits in the next (R5a).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundaryView {
    /// The term that ended.
    pub epoch: Term,
    /// RLP of the header of its last block.
    pub header_rlp: Bytes,
    /// That block's own certificate, by the seats of the term; without descendants.
    pub certificate: CertificateView,
    /// Seats of the next term, in bitmap order; the header's next seats hash is that of their RLP.
    pub next_seats: Vec<Seat>,
}

impl BoundaryView {
    /// The view of a term's end.
    pub fn new(header: &Header, certificate: &FinalityCertificate, next: &SeatSet) -> Self {
        let namespace = cortado_types::seats::base_namespace(header.chain_id, header.seats_hash);
        Self {
            epoch: header.term,
            header_rlp: cortado_types::codec::encode(header).into(),
            certificate: CertificateView::new(header.height, certificate, namespace, &[]),
            next_seats: next.seats().to_vec(),
        }
    }
}

/// One of `GET /v1/namespaces`, or `GET /v1/namespaces/{namespace}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceView {
    /// The rollup's EIP-155 chain id, or 0 for the L1 pointer.
    pub namespace: Namespace,
    /// Proposer of every slot that nobody bought.
    pub reserve_holder: Option<Address>,
    /// Bytes of bodies that attesters acknowledge for one slot.
    pub slot_bytes_max: u64,
    /// Height of its newest lane block, 0 before the first.
    pub lane_height: Height,
    /// Hash of that lane block.
    pub lane_hash: B256,
    /// Finalised block after which this holds.
    pub height: Height,
}

/// `GET /v1/namespaces`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespacesView {
    /// Ascending by id.
    pub namespaces: Vec<NamespaceView>,
}

/// A lane block and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneView {
    /// Hash of the lane header.
    pub hash: B256,
    /// Block that carries it.
    pub height: Height,
    /// Its position among that block's lanes.
    pub index: usize,
    /// Header, signature, availability certificate.
    #[serde(flatten)]
    pub entry: LaneEntry,
    /// The raw transactions, if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transactions: Option<Vec<Bytes>>,
}

/// `GET /v1/namespaces/{namespace}/lanes?from=&to=&bodies=`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanesView {
    /// Ascending by lane height, without gaps.
    pub lanes: Vec<LaneView>,
    /// Where to ask on, if the answer was cut short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Height>,
}

/// `GET /v1/namespaces/{namespace}/lanes/{lane height}/body`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyView {
    /// The rollup.
    pub namespace: Namespace,
    /// Height of the lane block.
    pub lane_height: Height,
    /// Root of the ordered trie over `transactions`.
    pub body_root: B256,
    /// Raw transactions in order.
    pub transactions: Vec<Bytes>,
}

/// `GET /v1/blocks?from=&to=`: headers in a range, without what they commit to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlocksView {
    /// Ascending by height, without gaps.
    pub blocks: Vec<HeaderView>,
}
