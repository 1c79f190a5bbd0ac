//! Signed contradictions (R21).

use crate::promise::{Position, SignedPromise};
use cortado_types::{
    Address, SignedLaneHeader,
    ecdsa::SignatureError,
    keccak256,
    trie::{ProofError, TrieProof, verify_ordered},
};
use thiserror::Error;

/// Why something is not evidence.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EvidenceError {
    /// A signature is not one.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Different keys signed the two.
    #[error("signed by {first} and by {second}")]
    DifferentSigners {
        /// Of the first.
        first: Address,
        /// Of the second.
        second: Address,
    },
    /// Both can be kept.
    #[error("the promises do not contradict each other")]
    NoContradiction,
    /// The header is not for the promise's lane block.
    #[error("the header is not for the lane block of {position:?}")]
    DifferentPlace {
        /// What the promise speaks of.
        position: Position,
    },
    /// The body does not show what is claimed.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

fn same_signer(first: Address, second: Address) -> Result<Address, EvidenceError> {
    if first == second {
        Ok(first)
    } else {
        Err(EvidenceError::DifferentSigners { first, second })
    }
}

/// Two promises of one proposer for one position that cannot both be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwoPromises {
    /// One.
    pub first: SignedPromise,
    /// The other.
    pub second: SignedPromise,
}

impl TwoPromises {
    /// Checks the evidence and names the guilty key.
    ///
    /// # Errors
    /// [`EvidenceError`] if it proves nothing.
    pub fn culprit(&self) -> Result<Address, EvidenceError> {
        if self.first.promise.agrees_with(&self.second.promise) {
            return Err(EvidenceError::NoContradiction);
        }
        same_signer(self.first.signer()?, self.second.signer()?)
    }
}

/// A lane header whose body has something else, or nothing, where a transaction was promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenByHeader {
    /// The promise.
    pub promise: SignedPromise,
    /// The header for the promised lane block.
    pub lane: SignedLaneHeader,
    /// What stands at the promised index, `None` if the body ends before it.
    pub found: Option<Vec<u8>>,
    /// That it does.
    pub proof: TrieProof,
}

impl BrokenByHeader {
    /// Checks the evidence and names the guilty key.
    ///
    /// # Errors
    /// [`EvidenceError`] if it proves nothing.
    pub fn culprit(&self) -> Result<Address, EvidenceError> {
        let (promise, header) = (&self.promise.promise, &self.lane.header);
        let position = promise.position;
        let here = header.chain_id == promise.chain_id
            && header.namespace == position.namespace
            && header.slot == position.slot
            && header.seq == position.seq;
        if !here {
            return Err(EvidenceError::DifferentPlace { position });
        }
        if self.found.as_deref().map(keccak256) == Some(promise.transaction) {
            return Err(EvidenceError::NoContradiction);
        }
        let index = usize::try_from(position.index).unwrap_or(usize::MAX);
        verify_ordered(header.body_root, index, self.found.as_deref(), &self.proof)?;
        same_signer(self.promise.signer()?, self.lane.signer()?)
    }
}
