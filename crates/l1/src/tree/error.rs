//! Why the tree refuses, and whether it may take the same later.

use crate::header::HeaderError;
use cortado_types::{
    B256,
    limits::{L1_HEADERS_PER_MOVE_MAX, L1_TRACKED_HEADERS_MAX},
};
use thiserror::Error;

/// Why a pointer move is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MoveError {
    /// A move carries at least one header.
    #[error("pointer move carries no header")]
    Empty,
    /// More than one move may carry.
    #[error(
        "pointer move carries {count} headers, the limit is {}",
        L1_HEADERS_PER_MOVE_MAX
    )]
    TooMany {
        /// How many.
        count: usize,
    },
    /// One of the headers cannot be read.
    #[error("header {index} of the move: {source}")]
    Header {
        /// Its position in the move.
        index: usize,
        /// What is wrong with it.
        source: HeaderError,
    },
    /// The first header's parent is not tracked (yet).
    #[error("L1 block {parent} is not tracked")]
    UnknownParent {
        /// The missing block.
        parent: B256,
    },
    /// A header does not follow the one before it.
    #[error(
        "L1 header {number} ({hash}) does not follow L1 header {parent_number} ({parent_hash})"
    )]
    Unlinked {
        /// Number of the header.
        number: u64,
        /// Hash of the header.
        hash: B256,
        /// Number of the one before.
        parent_number: u64,
        /// Hash of the one before.
        parent_hash: B256,
    },
    /// Its time is after the block's that carries it.
    #[error("L1 header {number} has time {timestamp} s, the block that carries it {limit} s")]
    Future {
        /// Number of the header.
        number: u64,
        /// Its time, seconds.
        timestamp: u64,
        /// Latest time allowed, seconds.
        limit: u64,
    },
    /// It leaves the chain of `L1fin` below it.
    #[error(
        "L1 block {number} ({hash}) does not descend from the finalised block {fin} ({fin_hash})"
    )]
    BelowFinal {
        /// Number of its first header.
        number: u64,
        /// Hash of its first header.
        hash: B256,
        /// Number of `L1fin`.
        fin: u64,
        /// Hash of `L1fin`.
        fin_hash: B256,
    },
    /// It brings no new header and its fork is not heavier than that of `L1*`.
    #[error(
        "L1 block {number} ({hash}) weighs {weight} above the finalised block, not more than the head {head_number} ({head_hash}) with {head_weight}"
    )]
    NotHeavier {
        /// Number of the proposed head.
        number: u64,
        /// Hash of the proposed head.
        hash: B256,
        /// Its weight above `L1fin`.
        weight: u64,
        /// Number of `L1*`.
        head_number: u64,
        /// Hash of `L1*`.
        head_hash: B256,
        /// Weight of `L1*` above `L1fin`.
        head_weight: u64,
    },
    /// The L1 has gone too long without finality.
    #[error(
        "{count} L1 headers would be tracked, the limit is {}",
        L1_TRACKED_HEADERS_MAX
    )]
    Full {
        /// How many there would be.
        count: usize,
    },
}

impl MoveError {
    /// Whether the same move can never become valid.
    pub const fn is_permanent(&self) -> bool {
        !matches!(
            self,
            Self::UnknownParent { .. }
                | Self::NotHeavier { .. }
                | Self::Full { .. }
                | Self::Future { .. }
        )
    }
}

/// Why `L1fin` does not move.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FinalityError {
    /// Not above the present one.
    #[error("L1 block {number} is not above the finalised block {fin}")]
    NotAbove {
        /// Number of the block.
        number: u64,
        /// Number of `L1fin`.
        fin: u64,
    },
    /// Not tracked under that number (yet).
    #[error("L1 block {number} ({hash}) is not tracked")]
    Untracked {
        /// Claimed number.
        number: u64,
        /// Its hash.
        hash: B256,
    },
    /// On a fork that left the chain of `L1fin` below it: finality does not take itself back (R10).
    #[error(
        "L1 block {number} ({hash}) does not descend from the finalised block {fin} ({fin_hash})"
    )]
    NotDescendant {
        /// Number of the block.
        number: u64,
        /// Its hash.
        hash: B256,
        /// Number of `L1fin`.
        fin: u64,
        /// Hash of `L1fin`.
        fin_hash: B256,
    },
}
