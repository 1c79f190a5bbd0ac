//! A proposer that signs two lane headers for one place (R6a, R21).

use alloy_rlp::{RlpDecodable, RlpEncodable};
use cortado_types::{
    Address, ChainId, Namespace, Seq, SignedLaneHeader, Slot, ecdsa::SignatureError,
};
use thiserror::Error;

/// Two lane headers for one (namespace, slot, seq) by one signer: a signed contradiction.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct LaneEquivocation {
    /// The one that was seen first.
    pub first: SignedLaneHeader,
    /// Another for the same place.
    pub second: SignedLaneHeader,
}

/// Why two headers prove nothing.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EquivocationError {
    /// They stand at different places.
    #[error("the headers stand at different places")]
    DifferentPlace,
    /// They say the same.
    #[error("the headers are the same")]
    Same,
    /// Different keys signed them.
    #[error("the headers are signed by {first} and {second}")]
    DifferentSigners {
        /// Of the first.
        first: Address,
        /// Of the second.
        second: Address,
    },
    /// One signature is not one.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl LaneEquivocation {
    fn place(lane: &SignedLaneHeader) -> (ChainId, Namespace, Slot, Seq) {
        let header = &lane.header;
        (header.chain_id, header.namespace, header.slot, header.seq)
    }

    /// Checks the evidence and names the guilty key.
    ///
    /// # Errors
    /// [`EquivocationError`] if it proves nothing.
    pub fn culprit(&self) -> Result<Address, EquivocationError> {
        if Self::place(&self.first) != Self::place(&self.second) {
            return Err(EquivocationError::DifferentPlace);
        }
        if self.first.header.hash() == self.second.header.hash() {
            return Err(EquivocationError::Same);
        }
        let (first, second) = (self.first.signer()?, self.second.signer()?);
        if first == second {
            Ok(first)
        } else {
            Err(EquivocationError::DifferentSigners { first, second })
        }
    }
}
