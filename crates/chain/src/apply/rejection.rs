//! Why a block is refused.

use crate::lane::LaneRejection;
use cortado_l1::{FinalityError, MoveError, ReadError};
use cortado_types::{
    Address, B256, CertificateError, ChainId, Height, L1Ref, Namespace, Slot, Term, TimestampMs,
    View, ecdsa::SignatureError, limits::PROTOCOL_VERSION,
};
use thiserror::Error;

/// Why a block is invalid, for ever and for everybody.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Rejection {
    /// A version this code does not know.
    #[error("block has version {got}, expected {PROTOCOL_VERSION}")]
    Version {
        /// Given.
        got: u16,
    },
    /// Of another chain.
    #[error("block is of chain {got}, this is chain {want}")]
    Chain {
        /// Given.
        got: ChainId,
        /// Ours.
        want: ChainId,
    },
    /// Of another term than its place in the chain.
    #[error("block is of term {got}, the chain is in term {want}")]
    Term {
        /// Given.
        got: Term,
        /// Expected.
        want: Term,
    },
    /// Not the next number, or not on this parent.
    #[error("block {height} on {parent} does not follow block {parent_height} ({parent_hash})")]
    Parent {
        /// Its number.
        height: Height,
        /// Its parent.
        parent: B256,
        /// Number of the parent it was applied to.
        parent_height: Height,
        /// Hash of the parent it was applied to.
        parent_hash: B256,
    },
    /// Its views do not follow its parent's.
    #[error("block of view {view} names parent view {got}, the parent is of view {want}")]
    ParentView {
        /// Its view.
        view: View,
        /// Parent view given.
        got: View,
        /// View of the parent.
        want: View,
    },
    /// R5.
    #[error("block has time {time} ms, before its parent's {parent} ms")]
    TimeDecreases {
        /// Given, ms.
        time: TimestampMs,
        /// The parent's, ms.
        parent: TimestampMs,
    },
    /// R5.
    #[error("block names slot {got}, its time is in slot {want}")]
    Slot {
        /// Given.
        got: Slot,
        /// Of its time.
        want: Slot,
    },
    /// Too long, or too much in it.
    #[error("block has {count} {what}, the limit is {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// A header field is not what the block's content makes it.
    #[error("block's {what} is {got}, its content makes it {want}")]
    Commitment {
        /// Which field.
        what: &'static str,
        /// Given.
        got: String,
        /// Computed.
        want: String,
    },
    /// A lane block cannot be appended.
    #[error("lane entry {index}: {source}")]
    Lane {
        /// Its position.
        index: usize,
        /// Why.
        source: LaneRejection,
    },
    /// A lane entry has no certificate and the next is not its child (R6a).
    #[error(
        "lane entry {index} of namespace {namespace} has no availability certificate and no child after it"
    )]
    Uncertified {
        /// Its position.
        index: usize,
        /// Its namespace.
        namespace: Namespace,
    },
    /// An availability certificate is not valid.
    #[error("lane entry {index}: {source}")]
    Availability {
        /// Its position.
        index: usize,
        /// Why.
        source: CertificateError,
    },
    /// R6b: some of the group's members are not in this block.
    #[error("group {group} is not whole in this block, its {members} members here hash to {got}")]
    Group {
        /// The group they name.
        group: B256,
        /// How many of its members are here.
        members: usize,
        /// What these hash to.
        got: B256,
    },
    /// Two operations of a kind that may come once, or out of order.
    #[error("operation {index} is the second of its kind or after a later kind")]
    OperationOrder {
        /// Its position.
        index: usize,
    },
    /// R9.
    #[error("pointer move: {0}")]
    Move(#[from] MoveError),
    /// R9: namespace 0 has a proposer and it is still its time.
    #[error(
        "until {until} ms only {holder} may move the L1 pointer in slot {slot}, the mover is {mover:?}"
    )]
    NotMover {
        /// Who holds namespace 0.
        holder: Address,
        /// Who signed, if anybody.
        mover: Option<Address>,
        /// In which slot.
        slot: Slot,
        /// When others may, ms.
        until: TimestampMs,
    },
    /// The mover's signature is not one.
    #[error("pointer move: {0}")]
    MoverSignature(SignatureError),
    /// R10.
    #[error("L1 finality: {0}")]
    Finality(#[from] FinalityError),
    /// R10.
    #[error("seats: {0}")]
    Seats(#[from] SeatsRejection),
    /// A sight or L1 finality certificate is not valid.
    #[error("operation {index}: {source}")]
    OperationCertificate {
        /// Its position.
        index: usize,
        /// Why.
        source: CertificateError,
    },
}

/// Why the chain does not take over seats from the registry.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SeatsRejection {
    /// The registry does not have them.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The L1 block is not known finalised.
    #[error(
        "L1 block {} ({}) is not on the chain of the finalised block {} ({}), or too far below it",
        block.number, block.hash, fin.number, fin.hash
    )]
    NotFinal {
        /// The block that was read.
        block: L1Ref,
        /// `L1fin`.
        fin: L1Ref,
    },
    /// Seats are read once, and going forward.
    #[error("L1 block {number} is not above block {last}, where seats were read last")]
    NotNewer {
        /// Number of the block that was read.
        number: u64,
        /// Number of the last one.
        last: u64,
    },
    /// The same seats at the same price are due already.
    #[error("the seats {seats} are due already")]
    Unchanged {
        /// Their hash.
        seats: B256,
    },
}
