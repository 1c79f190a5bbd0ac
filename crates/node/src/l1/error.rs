//! What can go wrong with an L1 node.

use cortado_derive::InboxError;
use cortado_types::{Address, B256};
use thiserror::Error;

/// Why an L1 node gives no usable answer. All of it may pass: the watcher asks again.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum L1Error {
    /// Not a URL.
    #[error("{url} is not a URL of an L1 node: {reason}")]
    Url {
        /// As given, without what may be secret in it.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// Not reached, or the connection broke.
    #[error("L1 node {host}: {reason}")]
    Transport {
        /// Its host and port, without what may be secret in its URL.
        host: String,
        /// What happened.
        reason: String,
    },
    /// More bytes than any honest answer.
    #[error("answer to {method} is longer than {limit} bytes")]
    TooLong {
        /// What was asked.
        method: String,
        /// The limit, bytes.
        limit: usize,
    },
    /// The node refuses.
    #[error("{method}: error {code}: {message}")]
    Refused {
        /// What was asked.
        method: String,
        /// JSON-RPC code, or HTTP status.
        code: i64,
        /// Its words.
        message: String,
    },
    /// Not the JSON it should be.
    #[error("answer to {method} is malformed: {reason}")]
    Malformed {
        /// What was asked.
        method: String,
        /// What is wrong.
        reason: String,
    },
    /// The node's header does not hash to the hash it came with.
    #[error("header {number} came with hash {claimed} and hashes to {hash}")]
    Hash {
        /// Its number.
        number: u64,
        /// What the node says.
        claimed: B256,
        /// What it is.
        hash: B256,
    },
    /// An answer to another question.
    #[error("asked for block {want}, got {got}")]
    Other {
        /// What was asked for.
        want: String,
        /// What came.
        got: String,
    },
    /// No endpoint is of use now.
    #[error("no L1 endpoint is of use: {said}")]
    NoEndpoint {
        /// What each is left for.
        said: String,
    },
    /// A block that the node named itself, or the parent of one, and does not have.
    #[error("the L1 node does not have block {block}, which it named")]
    Missing {
        /// Number or hash.
        block: String,
    },
    /// Two answers that cannot both be true.
    #[error(
        "the L1 node answers two different things: block {number} is {first}, and it is {second}"
    )]
    TwoAnswers {
        /// Number of the block.
        number: u64,
        /// One answer.
        first: B256,
        /// The other.
        second: B256,
    },
    /// Two blocks of its chain, the higher of which does not lead back to the lower.
    #[error(
        "the L1 node answers two different things: its chain has blocks {from} and {to}, and no path between them"
    )]
    NoPath {
        /// Number of the higher one.
        from: u64,
        /// Number of the lower one.
        to: u64,
    },
    /// A finalised block that its own head does not reach.
    #[error(
        "the L1 node answers two different things: block {finalized} is final, and its head is block {head}"
    )]
    HeadBelowFinal {
        /// Number of the head.
        head: u64,
        /// Number of the block it calls final.
        finalized: u64,
    },
    /// No honest node has a block before its slot begins.
    #[error("block {number} has time {timestamp} s, it is {now_ms} ms")]
    Future {
        /// Its number.
        number: u64,
        /// Its time, seconds.
        timestamp: u64,
        /// Time here, ms.
        now_ms: u64,
    },
    /// A header that does not link to its child.
    #[error("block {number} has {parent_number} as parent, which is not one below it")]
    Link {
        /// The child.
        number: u64,
        /// Number of the block it names as parent.
        parent_number: u64,
    },
    /// Another chain.
    #[error("L1 node is of chain {got}, the genesis names {want}")]
    ChainId {
        /// The node's.
        got: u64,
        /// Ours.
        want: u64,
    },
    /// The node's chain leaves ours below what is final.
    #[error("block {number} ({hash}) of the L1 node is not on {fin}, which the chain holds final")]
    OffFinal {
        /// Where the walk ended.
        number: u64,
        /// Its hash.
        hash: B256,
        /// `L1fin`.
        fin: B256,
    },
    /// The registry's seats, as the node gives them, do not stand in the header's state.
    #[error("seats of the registry {registry} at L1 block {number}: {reason}")]
    Unproved {
        /// The registry.
        registry: Address,
        /// The block.
        number: u64,
        /// What is missing.
        reason: String,
    },
    /// What the block queued for a rollup cannot be told from its receipts.
    #[error(transparent)]
    Queue(#[from] InboxError),
    /// A rollup imports from L1 and no L1 node is named.
    #[error("the rollup imports what is queued in {inbox} on L1, and no `l1` node is configured")]
    NoNode {
        /// The rollup's inbox.
        inbox: Address,
    },
    /// The node does not have what was asked for: it is behind, or has dropped it.
    #[error("the L1 node has no receipts of block {number} ({hash})")]
    NoReceipts {
        /// The block's number.
        number: u64,
        /// Its hash.
        hash: B256,
    },
    /// The beacon counts time otherwise than the genesis.
    #[error("beacon has {what} {got}, the genesis says {want}")]
    Spec {
        /// Which figure.
        what: &'static str,
        /// The beacon's.
        got: u64,
        /// The genesis'.
        want: u64,
    },
}

impl L1Error {
    /// Whether the node said something that cannot be true.
    pub const fn is_lie(&self) -> bool {
        match self {
            Self::Hash { .. }
            | Self::Other { .. }
            | Self::Link { .. }
            | Self::TwoAnswers { .. }
            | Self::HeadBelowFinal { .. }
            | Self::NoPath { .. }
            | Self::Future { .. } => true,
            Self::Queue(error) => error.is_lie(),
            _ => false,
        }
    }

    /// Whether the node follows another chain than ours.
    pub const fn is_other_chain(&self) -> bool {
        matches!(self, Self::ChainId { .. } | Self::OffFinal { .. })
    }
}
