//! Why an update proves nothing.

use super::{ForkName, KeyBytes, SignatureBytes, SszError};
use cortado_types::B256;
use thiserror::Error;

/// Why a bootstrap or an update is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SyncError {
    /// Bytes that are no SSZ.
    #[error(transparent)]
    Ssz(#[from] SszError),
    /// A list of another length than the chain's constants give.
    #[error("{what} has length {got}, the beacon chain's is {want}")]
    Length {
        /// The list.
        what: &'static str,
        /// Its length.
        got: usize,
        /// What it must be.
        want: usize,
    },
    /// A Merkle branch of another depth than the fork's.
    #[error("the branch of the {what} has {got} nodes, the fork's is {want}")]
    BranchLength {
        /// What it proves.
        what: &'static str,
        /// Its length.
        got: usize,
        /// What it must be.
        want: usize,
    },
    /// A Merkle branch that leads elsewhere.
    #[error("the {what} does not stand at index {gindex} under {root}")]
    Branch {
        /// What it should prove.
        what: &'static str,
        /// Generalised index.
        gindex: u64,
        /// The root it should lead to.
        root: B256,
    },
    /// A header from before Capella shows no execution block.
    #[error("the header of beacon slot {slot} shows no execution block: it is of {fork}")]
    NoExecution {
        /// Its slot.
        slot: u64,
        /// Its fork.
        fork: ForkName,
    },
    /// Blob fields in a header that cannot have any.
    #[error("an execution header from before deneb has blob fields")]
    BlobsBeforeDeneb,
    /// Too few signed.
    #[error("{participants} of the sync committee signed, at least {min} must")]
    TooFew {
        /// How many signed.
        participants: usize,
        /// How many must.
        min: usize,
    },
    /// Signed later than now.
    #[error("signed in beacon slot {slot}, the latest allowed is {latest}")]
    Future {
        /// The signature's slot.
        slot: u64,
        /// The latest allowed.
        latest: u64,
    },
    /// A block is signed in a slot after its own.
    #[error("signed in beacon slot {signature}, which is not after the block's own, {attested}")]
    SignedEarly {
        /// Slot of the signature.
        signature: u64,
        /// Slot of the attested header.
        attested: u64,
    },
    /// What is finalised in a state is not after it.
    #[error("beacon slot {finalized} cannot be finalised in the state of slot {attested}")]
    FinalizedLate {
        /// Slot of the finalised header.
        finalized: u64,
        /// Slot of the attested header.
        attested: u64,
    },
    /// The committee that signed is not known (any more).
    #[error("signed in sync-committee period {period}, known are {oldest} to {newest}")]
    UnknownPeriod {
        /// Period of the signature.
        period: u64,
        /// First period known.
        oldest: u64,
        /// Last period known.
        newest: u64,
    },
    /// A part without the branch that would prove it.
    #[error("the {what} has no branch")]
    Unproved {
        /// The part.
        what: &'static str,
    },
    /// The state names another committee for a period than the known one.
    #[error("another sync committee is known for period {period}")]
    OtherCommittee {
        /// The period.
        period: u64,
    },
    /// A key outside the group, or infinity.
    #[error("key {key} of seat {seat} in the sync committee is not a valid point: {reason}")]
    Key {
        /// Position in the committee.
        seat: usize,
        /// The key.
        key: KeyBytes,
        /// What blst said.
        reason: String,
    },
    /// A signature outside the group, or infinity.
    #[error("sync committee's signature {signature} is not a valid point: {reason}")]
    Signature {
        /// The signature.
        signature: SignatureBytes,
        /// What blst said.
        reason: String,
    },
    /// Valid points, but those named did not sign this header.
    #[error("the sync committee's signature does not verify under {participants} keys")]
    Mismatch {
        /// How many seats are named.
        participants: usize,
    },
    /// A bootstrap of another block than the trusted one.
    #[error("the bootstrap is of beacon block {got}, trusted is {want}")]
    Untrusted {
        /// Root of its header.
        got: B256,
        /// The trusted root.
        want: B256,
    },
}

impl SyncError {
    /// Whether the same update can never be accepted: one from the future, or of a committee still
    /// to come, may be later.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Future { .. } => false,
            Self::UnknownPeriod { period, oldest, .. } => period < oldest,
            _ => true,
        }
    }
}
