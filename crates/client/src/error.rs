//! What can go wrong, and whose fault it is.

use crate::api::ErrorBody;
use cortado_types::{
    B256, BodyError, CertificateError, ChainId, CodecError, Height, Namespace, SeatSetError, Term,
    TimestampMs, mmr::HistoryError, trie::ProofError,
};
use thiserror::Error;

/// An answer that cannot be true, whatever the network's state: the node that gave it is broken
/// or lies.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Lie {
    /// An answer to another question.
    #[error("asked for {what} {want}, answered with {got}")]
    Other {
        /// What was asked for.
        what: &'static str,
        /// Which.
        want: String,
        /// What came.
        got: String,
    },
    /// Of another chain.
    #[error("header is of chain {got}, expected {want}")]
    Chain {
        /// Given.
        got: ChainId,
        /// Ours.
        want: ChainId,
    },
    /// Another genesis under the same chain id.
    #[error("genesis is {got}, expected {want}")]
    Genesis {
        /// Given.
        got: B256,
        /// Ours.
        want: B256,
    },
    /// Bytes that are not what they should be.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Too many of something.
    #[error("{count} {what}, the limit is {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many at most.
        limit: usize,
    },
    /// A header that does not follow the one before it.
    #[error("block {height} names {parent} as parent, expected {want}")]
    Parent {
        /// Its number.
        height: Height,
        /// The parent it names.
        parent: B256,
        /// The hash of the header before.
        want: B256,
    },
    /// Two verified answers contradict each other: more than a third of the seats lie.
    #[error("certified block {height} has parent {parent}, certified before was {want}")]
    Fork {
        /// Its number.
        height: Height,
        /// The parent it names.
        parent: B256,
        /// The certified block of that height.
        want: B256,
    },
    /// The certificate does not finalise the header.
    #[error("certificate for block {height}: {source}")]
    Certificate {
        /// The block that was certified.
        height: Height,
        /// What is wrong.
        source: CertificateError,
    },
    /// A term in the seats of another.
    #[error("block {height} of term {term} names seats {got}, this term's are {want}")]
    Seats {
        /// The block.
        height: Height,
        /// Its term.
        term: Term,
        /// The seats it names.
        got: B256,
        /// The seats of the term.
        want: B256,
    },
    /// A block that is not the last of its term, given as if it were (R5a).
    #[error("block {height} of {time} ms does not end term {term}, which goes on until {ends} ms")]
    NotBoundary {
        /// The block.
        height: Height,
        /// Its term.
        term: Term,
        /// Its time, ms.
        time: TimestampMs,
        /// Planned end of the term, ms.
        ends: TimestampMs,
    },
    /// Seats that are no set.
    #[error(transparent)]
    SeatSet(#[from] SeatSetError),
    /// Lanes or operations that the header does not commit to.
    #[error("block {height}: lanes or operations do not fit the header's roots")]
    NotWhole {
        /// The block.
        height: Height,
    },
    /// A trie proof fails.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// A history proof fails.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A body fails.
    #[error("lane block {lane_height} of namespace {namespace}: {source}")]
    Body {
        /// The rollup.
        namespace: Namespace,
        /// The lane block.
        lane_height: Height,
        /// What is wrong.
        source: BodyError,
    },
    /// Not the JSON that the interface promises.
    #[error("answer is not what the interface promises: {0}")]
    Shape(String),
    /// More bytes than any honest answer.
    #[error("answer is longer than {limit} bytes")]
    TooLong {
        /// The limit, bytes.
        limit: usize,
    },
}

/// Why a question has no verified answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No node is configured.
    #[error("no node to ask: give at least one URL")]
    NoNode,
    /// Not a URL of a node.
    #[error("{url} is not a URL of a node: {reason}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The genesis is not one.
    #[error("genesis: {0}")]
    Genesis(String),
    /// A node cannot be reached, or stopped talking.
    #[error("{url}: {reason}")]
    Transport {
        /// The node.
        url: String,
        /// What happened.
        reason: String,
    },
    /// A node refuses.
    #[error("{url} answers {status} {}: {}", .body.code, .body.message)]
    Refused {
        /// The node.
        url: String,
        /// HTTP status.
        status: u16,
        /// Its words.
        body: ErrorBody,
    },
    /// A node's answer does not verify.
    #[error("{url} is not to be trusted: {lie}")]
    Lied {
        /// The node.
        url: String,
        /// What is wrong with its answer.
        lie: Lie,
    },
    /// The seats of a term were not learnt yet.
    #[error("the seats of term {term} are not known: follow the chain up to it first")]
    UnknownTerm {
        /// The term.
        term: Term,
    },
}

impl ClientError {
    /// Whether asking the same again, here or elsewhere, cannot help: what was asked for was
    /// pruned everywhere, or the question itself is wrong.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::NoNode | Self::Url { .. } | Self::Genesis(_) | Self::UnknownTerm { .. } => true,
            Self::Refused { status, .. } => matches!(*status, 400 | 404 | 410 | 413 | 414),
            // Another node may know better; but a fork is for ever.
            Self::Lied { lie, .. } => matches!(lie, Lie::Fork { .. }),
            Self::Transport { .. } => false,
        }
    }
}

/// How verification fails: the answer is false, or the seats to check it with are not known.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Unverified {
    /// The answer is false.
    #[error(transparent)]
    Lie(#[from] Lie),
    /// The seats to check it with were not learnt.
    #[error("the seats of term {0} are not known: follow the chain up to it first")]
    UnknownTerm(Term),
}

macro_rules! through_lie {
    ($($source:ty),*) => {$(
        impl From<$source> for Unverified {
            fn from(source: $source) -> Self {
                Self::Lie(source.into())
            }
        }
    )*};
}
through_lie!(CodecError, ProofError, HistoryError, SeatSetError);
