//! Why the rollup cannot start or go on, and why it does not take a transaction.

use cortado_derive::{DropReason, ForkError};
use cortado_evm::{BuildError, StoreError, TxRejection};
use cortado_l1::HeaderError;
use cortado_types::{B256, CodecError, GenesisError, Height, ecdsa::SignatureError};
use thiserror::Error;

/// Why the rollup cannot go on, or cannot start.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The chain store failed or holds something else.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The progress database failed.
    #[error("progress database: {0}")]
    Database(Box<redb::Error>),
    /// The progress database holds something unreadable.
    #[error("progress database is corrupt: {0}; delete the directory, the chain brings it again")]
    Corrupt(CodecError),
    /// The progress database has a status and no L1 headers.
    #[error(
        "progress database holds no L1 header; delete the directory, the chain brings it again"
    )]
    NoL1Headers,
    /// A row speaks of an L2 block that the store does not have.
    #[error("L2 block {0} is not in the store; delete the directory, the chain brings it again")]
    NoBlock(B256),
    /// A held lane block has no row.
    #[error("lane block {0} has no row; delete the directory, the chain brings it again")]
    NoLane(Height),
    /// The genesis of the finality chain is not valid.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The L1 anchor of the genesis is not a header.
    #[error("L1 anchor: {0}")]
    Anchor(#[from] HeaderError),
    /// The directory follows another finality chain.
    #[error("the directory follows block 0 {found} of the finality chain, expected {expected}")]
    WrongChain {
        /// In the directory.
        found: B256,
        /// Of the given genesis.
        expected: B256,
    },
    /// Not the block that comes next.
    #[error("block {got} on {parent} does not follow block {height} ({hash})")]
    NotNext {
        /// Its number.
        got: Height,
        /// Its parent.
        parent: B256,
        /// The last applied.
        height: Height,
        /// Its hash.
        hash: B256,
    },
    /// A lane block came without its body.
    #[error("lane block {lane} in block {height} came without its body")]
    NoBody {
        /// Hash of the lane header.
        lane: B256,
        /// The block that carries it.
        height: Height,
    },
    /// A finalised lane header has no valid signature: the source did not verify.
    #[error("lane block {lane}: {source}")]
    Signature {
        /// Hash of the lane header.
        lane: B256,
        /// What is wrong.
        source: SignatureError,
    },
    /// The L1 fork cannot be followed.
    #[error(transparent)]
    Fork(#[from] ForkError),
    /// The executor made no block.
    #[error("lane block {lane}: {source}")]
    Build {
        /// Hash of the lane header.
        lane: B256,
        /// Why.
        source: BuildError,
    },
}

/// Why a transaction does not enter the open lane block.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PushError {
    /// The executor refuses it.
    #[error(transparent)]
    Rejected(#[from] TxRejection),
    /// It would be a no-op on this fork (R11).
    #[error(transparent)]
    Reference(#[from] DropReason),
    /// The lane block is full; the next one has room.
    #[error(
        "the lane block holds {transactions} transactions and {bytes} bytes, there is no room for {more} more bytes"
    )]
    Full {
        /// Transactions in it.
        transactions: usize,
        /// Bytes in it.
        bytes: usize,
        /// Bytes of the transaction.
        more: usize,
    },
    /// No lane block is open, or it does not connect to what is executed.
    #[error("no lane block is open on an executed parent")]
    NotOpen,
    /// The executor failed.
    #[error(transparent)]
    Build(#[from] BuildError),
}
