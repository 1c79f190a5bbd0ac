//! Evidence and excuses as `Slasher` takes them (R2).

use crate::{
    abi::Slasher,
    points::G1,
    seats::{Place, SeatList},
};
use alloy_primitives::{B256, Bytes};
use alloy_sol_types::SolCall;
use cortado_evidence::{Crossing, Evidence};
use cortado_types::{Vote, VoteCertificate, bls::BlsError, codec};

impl From<Vote> for Slasher::Vote {
    fn from(vote: Vote) -> Self {
        Self {
            // The numbers of `VoteKind` in Votes.sol.
            kind: vote.kind() as u8,
            term: vote.term().get(),
            view_: vote.view().get(),
            parentView: vote.parent_view().get(),
            payload: vote.payload(),
        }
    }
}

/// The call that brings evidence against the key at `place`: `slash` for votes in one view, `accuse`
/// across views, which costs the bond.
///
/// # Errors
/// If a signature is no point of the group.
pub fn evidence_call(evidence: &Evidence, place: Place) -> Result<Bytes, BlsError> {
    let signature = G1::from_compressed(evidence.signature()?)?.into();
    let (first, second) = (evidence.first.vote.into(), evidence.second.vote.into());
    let (page, entry, seats) = (place.page, place.entry, evidence.seats_hash);
    let call = match &evidence.crossing {
        None => Slasher::slashCall {
            page,
            place: entry,
            seats,
            first,
            second,
            signature,
        }
        .abi_encode(),
        Some(crossing) => {
            let Crossing {
                first: earlier,
                second: later,
                path,
            } = crossing;
            let path = path.clone();
            let (other, siblings, peaks) = path.map_or_else(Default::default, |path| {
                (path.other, path.siblings, path.peaks)
            });
            Slasher::accuseCall {
                page,
                place: entry,
                seats,
                votes: [first, second],
                signature,
                headers: [earlier, later].map(|header| codec::encode(header).into()),
                other,
                siblings,
                peaks,
            }
            .abi_encode()
        }
    };
    Ok(call.into())
}

/// The call that answers an accusation by what excuses it, a quorum of the seats at `list`.
///
/// # Errors
/// If the sum of signatures is no point of the group.
pub fn answer_call(
    accusation: B256,
    list: SeatList,
    excuse: &VoteCertificate,
) -> Result<Bytes, BlsError> {
    let call = Slasher::answerCall {
        id: accusation,
        list: list.into(),
        vote: excuse.vote.into(),
        signature: G1::from_compressed(excuse.signature)?.into(),
        bitmap: excuse.signers.as_bytes().clone(),
    };
    Ok(call.abi_encode().into())
}

/// The call that ends an accusation that nobody answered.
pub fn convict_call(accusation: B256) -> Bytes {
    Slasher::convictCall { id: accusation }.abi_encode().into()
}
