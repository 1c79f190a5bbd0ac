//! What the HTTP API asks of a node.

use cortado_chain::State;
use cortado_client::api::{EvidenceView, L1NodeStatus};
use cortado_evidence::ViewRecord;
use cortado_types::{
    B256, Block, FinalityCertificate, Genesis, Header, Height, LaneBody, Namespace, SeatSet, Term,
    View, mmr::HistoryProof,
};
use futures::future::BoxFuture;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::watch;

/// The newest finalised block and the state after it.
#[derive(Clone, Debug)]
pub struct Tip {
    /// The block.
    pub block: Arc<Block>,
    /// Its hash.
    pub hash: B256,
    /// The state after it.
    pub state: Arc<State>,
}

impl Tip {
    /// Its number.
    pub fn height(&self) -> Height {
        self.block.header.height
    }
}

/// Where a lane block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanePlace {
    /// The block that carries it.
    pub height: Height,
    /// Its position among that block's lanes.
    pub index: usize,
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionPlace {
    /// The rollup.
    pub namespace: Namespace,
    /// The lane block.
    pub lane_height: Height,
    /// Its position in the body.
    pub index: usize,
}

/// What a node says of itself beside the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalStatus {
    /// Identities of the seats it votes for.
    pub own_seats: Vec<B256>,
    /// What its L1 node says, if it has one.
    pub l1_node: Option<L1NodeStatus>,
    /// How far its clock seems to be ahead of the others', ms.
    pub clock_skew_ms: Option<i64>,
}

/// Why a node cannot answer now.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ReadError {
    /// It is stopping.
    #[error("the node is stopping")]
    Stopping,
    /// Its store failed.
    #[error("the node's store failed: {0}")]
    Store(String),
}

/// An answer that may take a while.
pub type Reading<'a, T> = BoxFuture<'a, Result<T, ReadError>>;

/// Read access to finalised things only. `None` means that the node does not have it: the API says
/// whether it is pruned or unknown by comparing with [`ChainReader::oldest`].
pub trait ChainReader: Send + Sync + 'static {
    /// What the chain began with.
    fn genesis(&self) -> &Arc<Genesis>;

    /// Hash of block 0.
    fn genesis_hash(&self) -> B256;

    /// The newest finalised block; changes with each, may skip some.
    fn tip(&self) -> watch::Receiver<Arc<Tip>>;

    /// The oldest block still kept.
    fn oldest(&self) -> Height;

    /// A finalised block.
    fn block(&self, height: Height) -> Reading<'_, Option<Arc<Block>>>;

    /// The height of a finalised block by its hash.
    fn height_of(&self, hash: B256) -> Reading<'_, Option<Height>>;

    /// The certificate of the lowest block at or above `height` that has one, with that block's
    /// height: a block that became final through a descendant may have none of its own.
    fn certificate(&self, height: Height) -> Reading<'_, Option<(Height, FinalityCertificate)>>;

    /// The block that carries a lane block.
    fn place_of_lane(
        &self,
        namespace: Namespace,
        lane_height: Height,
    ) -> Reading<'_, Option<LanePlace>>;

    /// A body by the hash of its lane header.
    fn body(&self, lane: B256) -> Reading<'_, Option<LaneBody>>;

    /// The place of a transaction by its keccak, if it is recent enough to be indexed.
    fn place_of_transaction(&self, hash: B256) -> Reading<'_, Option<TransactionPlace>>;

    /// The state after a block, if it is recent enough to be kept.
    fn state(&self, height: Height) -> Reading<'_, Option<Arc<State>>>;

    /// That block `from` is an ancestor of block `at`.
    fn history(&self, from: Height, at: Height) -> Reading<'_, Option<HistoryProof>>;

    /// The seats of a term.
    fn seats(&self, term: Term) -> Reading<'_, Option<Arc<SeatSet>>>;

    /// How a term ended: header and own certificate of its last block. `None` while it has not.
    fn boundary(&self, term: Term) -> Reading<'_, Option<(Header, FinalityCertificate)>>;
    /// Votes and quorums that the node's seat saw in a view; empty if it saw none.
    fn votes(&self, term: Term, view: View) -> Reading<'_, ViewRecord>;

    /// What the node knows against seats.
    fn evidence(&self) -> Reading<'_, Vec<EvidenceView>>;

    /// What the node says of itself.
    fn local_status(&self) -> LocalStatus;

    /// Metrics of what is under the API, in Prometheus' text format, without the closing `# EOF`.
    fn metrics(&self) -> String;
}
