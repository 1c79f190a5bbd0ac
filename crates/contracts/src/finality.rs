//! Headers, certificates and votes as the contracts take them.

use crate::{abi, points::G1, seats::SeatList};
use alloy_sol_types::SolCall;
use cortado_types::{
    B256, Bytes, FinalityCertificate, Header, Term, View,
    bls::{self, BlsError, SignatureBytes},
    codec,
};

/// The call that stores a finalised header: `updateWithSeats` if `seats`, those of the next term,
/// are given, else `update`.
///
/// # Errors
/// If the certificate's signature is no point of the group.
pub fn update_call(
    header: &Header,
    certificate: &FinalityCertificate,
    seats: Option<SeatList>,
) -> Result<Bytes, BlsError> {
    let signature = G1::from_compressed(certificate.signature)?.into();
    let rlp: Bytes = codec::encode(header).into();
    let bitmap = certificate.signers.as_bytes().clone();
    let (view, parent) = (certificate.view.get(), certificate.parent_view.get());
    let call = match seats {
        None => abi::LightClient::updateCall {
            header: rlp,
            view_: view,
            parentView: parent,
            signature,
            bitmap,
        }
        .abi_encode(),
        Some(seats) => abi::LightClient::updateWithSeatsCall {
            header: rlp,
            view_: view,
            parentView: parent,
            signature,
            bitmap,
            seats: seats.into(),
        }
        .abi_encode(),
    };
    Ok(call.into())
}

/// What a seat said in a view, without its signature (R2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vote {
    /// For a proposal, before it is notarized.
    Notarize {
        /// The seat set's term.
        term: Term,
        /// The round.
        view: View,
        /// The parent's round.
        parent_view: View,
        /// Hash of the header.
        payload: B256,
    },
    /// For a notarized proposal.
    Finalize {
        /// The seat set's term.
        term: Term,
        /// The round.
        view: View,
        /// The parent's round.
        parent_view: View,
        /// Hash of the header.
        payload: B256,
    },
    /// That the round should end without a block.
    Nullify {
        /// The seat set's term.
        term: Term,
        /// The round.
        view: View,
    },
}

impl From<Vote> for abi::Slasher::Vote {
    fn from(vote: Vote) -> Self {
        // The numbers of `VoteKind` in Votes.sol.
        let (kind, term, view, parent, payload) = match vote {
            Vote::Notarize {
                term,
                view,
                parent_view,
                payload,
            } => (0, term, view, parent_view, payload),
            Vote::Finalize {
                term,
                view,
                parent_view,
                payload,
            } => (1, term, view, parent_view, payload),
            Vote::Nullify { term, view } => (2, term, view, View::ZERO, B256::ZERO),
        };
        Self {
            kind,
            term: term.get(),
            view_: view.get(),
            parentView: parent.get(),
            payload,
        }
    }
}

/// The sum of signatures, as `Slasher` and `LightClient` take it.
///
/// # Errors
/// If there is none, or one is no point of the group.
pub fn signature_sum(signatures: &[SignatureBytes]) -> Result<G1, BlsError> {
    G1::from_compressed(bls::aggregate(signatures)?)
}
