//! Proofs that stand alone: each carries the header it is against and what makes that final.

use super::CertificateView;
use cortado_types::{B256, Bytes, Height, Namespace, mmr::HistoryProof, trie::TrieProof};
use serde::{Deserialize, Serialize};

/// `GET /v1/proofs/lane/{height}/{index}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneProofView {
    /// The block.
    pub height: Height,
    /// Position among its lanes.
    pub index: usize,
    /// RLP of the lane entry, the value under `proof`.
    pub entry: Bytes,
    /// Nodes from the header's `lanes_root` to the entry; the key is the RLP of `index`.
    pub proof: TrieProof,
    /// RLP of the block's header.
    pub header: Bytes,
    /// What makes the header final.
    pub certificate: CertificateView,
}

/// `GET /v1/proofs/transaction/{namespace}/{lane height}/{index}`, or by `{hash}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionProofView {
    /// The rollup.
    pub namespace: Namespace,
    /// Height of the lane block.
    pub lane_height: Height,
    /// Position in its body.
    pub index: usize,
    /// keccak of `transaction`.
    pub hash: B256,
    /// The raw transaction, the value under `proof`.
    pub transaction: Bytes,
    /// Nodes from the lane header's `body_root` to the transaction; the key is the RLP of `index`.
    pub proof: TrieProof,
    /// That the lane block is final.
    pub lane: LaneProofView,
}

/// `GET /v1/proofs/state/{height}/{kind}/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateProofView {
    /// The block after which the entry stands so.
    pub height: Height,
    /// `namespace` or `l1`.
    pub kind: String,
    /// The namespace, or 0 for `l1`.
    pub id: u64,
    /// keccak of `kind ‖ id (u64 BE)`.
    pub key: B256,
    /// RLP of the entry; `null` if the proof is of its absence.
    pub value: Option<Bytes>,
    /// Nodes from the header's `state_root` to the entry.
    pub proof: TrieProof,
    /// RLP of the block's header.
    pub header: Bytes,
    /// What makes the header final.
    pub certificate: CertificateView,
}

/// `GET /v1/proofs/history/{from}/{at}`: that block `from` is an ancestor of block `at`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryProofView {
    /// RLP of the earlier header.
    pub ancestor: Bytes,
    /// Its place under the later header's `history_root`.
    pub proof: HistoryProof,
    /// RLP of the later header.
    pub header: Bytes,
    /// What makes the later header final.
    pub certificate: CertificateView,
}
