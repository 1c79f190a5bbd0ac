//! Headers and certificates as the contracts take them.

use crate::{abi, points::G1, seats::SeatList};
use alloy_sol_types::SolCall;
use cortado_types::{Bytes, FinalityCertificate, Header, bls::BlsError, codec};

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
