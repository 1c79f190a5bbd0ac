//! How seats sign: one alias for production, one for the simulator.
//!
//! The engine is generic over the scheme and would be compiled once for each that is named, so
//! exactly two are: attributable BLS multisignatures that Ethereum can check (R2), and ed25519,
//! which has no aggregation but makes a simulated second thirty times cheaper.

use crate::block::Digest;
use commonware_codec::{Copying, DecodeExt as _, Encode as _};
use commonware_consensus::simplex::{
    scheme::{Scheme as SimplexScheme, bls12381_multisig, ed25519 as ed25519_scheme},
    types::Finalization,
};
use commonware_cryptography::{
    bls12381::primitives::{
        group::{G2, Private},
        variant::MinSig,
    },
    certificate::{Attestation, Signers},
    ed25519,
};
use commonware_utils::ordered::{BiMap, Set};
use cortado_evidence::{Electorate, Voters};
use cortado_types::{
    B256, ChainId, FinalityCertificate, Identity, SeatBitmap, SeatIndex, SeatSet, SignedVote, Term,
    View, VoteCertificate,
    bls::{SecretBls, SignatureBytes},
};
use std::sync::Arc;
use thiserror::Error;

/// Attributable BLS12-381 multisignatures with signatures in G1 (`MinSig`).
pub type BlsScheme = bls12381_multisig::Scheme<ed25519::PublicKey, MinSig>;

/// ed25519 votes; certificates are lists of signatures. For the simulator.
pub type CheapScheme = ed25519_scheme::Scheme;

/// Why seats and keys do not make a scheme.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// Not a point of the curve.
    #[error("identity {identity} of seat {index} is not an ed25519 key")]
    Identity {
        /// Position of the seat.
        index: usize,
        /// What stands in the seat set.
        identity: Identity,
    },
    /// Not a key of the group.
    #[error("BLS key of seat {index} is not a valid point")]
    Bls {
        /// Position of the seat.
        index: usize,
    },
    /// The secret's public key is in no seat.
    #[error("the key of this node is not among the {seats} seats")]
    NotSeated {
        /// Seats in the set.
        seats: usize,
    },
    /// Not a scalar below the group order.
    #[error("the BLS secret is not a valid scalar")]
    Secret,
}

/// What this crate asks of a signing scheme beyond what the engine asks.
pub trait Scheme: SimplexScheme<Digest, PublicKey = ed25519::PublicKey> {
    /// What an identity votes with, in whichever terms it has a seat.
    type Keys: Clone + Send + Sync + 'static;

    /// Checks votes that were archived.
    type Voters: Voters + Send + Sync + 'static;

    /// The scheme of the term in which `seats` sit: signs with `keys`, or only verifies without.
    ///
    /// # Errors
    /// [`KeyError`] if a key is invalid or `keys` belong to no seat.
    fn of_term(
        seats: &SeatSet,
        chain_id: ChainId,
        keys: Option<&Self::Keys>,
    ) -> Result<Self, KeyError>;

    /// The seats of one term.
    fn voters(chain_id: ChainId, seats: Arc<SeatSet>) -> Self::Voters;

    /// A seat's signature as evidence carries it.
    fn signature(attestation: &Attestation<Self>) -> SignatureBytes;

    /// A quorum as the rest of the system and Ethereum read it: who signed, and the sum.
    fn quorum(certificate: &Self::Certificate) -> (SeatBitmap, SignatureBytes);
}

/// A finalisation as the rest of the system and Ethereum read it.
pub fn finality<S: Scheme>(finalization: &Finalization<S, Digest>) -> FinalityCertificate {
    let proposal = &finalization.proposal;
    let (signers, signature) = S::quorum(&finalization.certificate);
    FinalityCertificate {
        term: Term::new(proposal.round.epoch().get()),
        view: View::new(proposal.round.view().get()),
        parent_view: View::new(proposal.parent.get()),
        payload: B256::from(proposal.payload.0),
        signers,
        signature,
    }
}

fn bitmap(signers: &Signers) -> SeatBitmap {
    let seats = signers.iter().map(|seat| SeatIndex::new(seat.get()));
    SeatBitmap::from_signers(signers.len(), seats)
}

impl Scheme for BlsScheme {
    type Keys = SecretBls;
    type Voters = Electorate;

    fn of_term(
        seats: &SeatSet,
        chain_id: ChainId,
        keys: Option<&SecretBls>,
    ) -> Result<Self, KeyError> {
        bls_scheme(seats, chain_id, keys)
    }

    fn voters(chain_id: ChainId, seats: Arc<SeatSet>) -> Electorate {
        Electorate { chain_id, seats }
    }

    fn signature(attestation: &Attestation<Self>) -> SignatureBytes {
        SignatureBytes::try_from(attestation.signature.encode().as_ref()).unwrap_or_default()
    }

    fn quorum(certificate: &Self::Certificate) -> (SeatBitmap, SignatureBytes) {
        let sum = certificate.signature.encode();
        let sum = SignatureBytes::try_from(sum.as_ref()).unwrap_or_default();
        (bitmap(&certificate.signers), sum)
    }
}

/// The simulator's seats: what is archived of their signatures cannot be checked, and their engine
/// did it before.
#[derive(Clone, Debug)]
pub struct CheapVoters(Arc<SeatSet>);

impl Voters for CheapVoters {
    fn seats(&self) -> &SeatSet {
        &self.0
    }

    fn signed(&self, vote: &SignedVote) -> bool {
        (vote.seat.get() as usize) < self.0.len()
    }

    fn certified(&self, certificate: &VoteCertificate) -> bool {
        let signers = certificate.signers.signers(self.0.len());
        signers.is_ok_and(|signers| signers.len() >= self.0.quorum())
    }
}

impl Scheme for CheapScheme {
    type Keys = ed25519::PrivateKey;
    type Voters = CheapVoters;

    fn of_term(
        seats: &SeatSet,
        chain_id: ChainId,
        keys: Option<&ed25519::PrivateKey>,
    ) -> Result<Self, KeyError> {
        cheap_scheme(seats, chain_id, keys.cloned())
    }

    fn voters(_: ChainId, seats: Arc<SeatSet>) -> CheapVoters {
        CheapVoters(seats)
    }

    /// The part of an ed25519 signature that has room: it names the vote and verifies nothing.
    fn signature(attestation: &Attestation<Self>) -> SignatureBytes {
        SignatureBytes::from_slice(&attestation.signature.encode()[..SignatureBytes::len_bytes()])
    }

    /// Signatures do not aggregate, so the sum is zero: nobody but the simulator's own engine can
    /// check it, and it did.
    fn quorum(certificate: &Self::Certificate) -> (SeatBitmap, SignatureBytes) {
        (bitmap(&certificate.signers), SignatureBytes::ZERO)
    }
}

/// An identity from a seat set or a genesis as the key of a peer.
pub fn peer_key(identity: &Identity) -> Option<ed25519::PublicKey> {
    ed25519::PublicKey::decode(Copying(identity.as_slice())).ok()
}

/// The key of a peer as the rest of the system writes it.
pub fn identity(key: &ed25519::PublicKey) -> Identity {
    B256::from_slice(key.as_ref())
}

/// The peers behind the seats, in bitmap order.
///
/// # Errors
/// [`KeyError::Identity`] names the seat whose identity is not a key.
pub fn seat_peers(seats: &SeatSet) -> Result<Vec<ed25519::PublicKey>, KeyError> {
    seats
        .seats()
        .iter()
        .enumerate()
        .map(|(index, seat)| {
            peer_key(&seat.identity).ok_or(KeyError::Identity {
                index,
                identity: seat.identity,
            })
        })
        .collect()
}

/// The production scheme of one term: signs with `secret`, or only verifies without one.
///
/// # Errors
/// [`KeyError`] if a key is invalid or `secret` belongs to no seat.
pub fn bls_scheme(
    seats: &SeatSet,
    chain_id: ChainId,
    secret: Option<&SecretBls>,
) -> Result<BlsScheme, KeyError> {
    let mut participants = Vec::with_capacity(seats.len());
    for (index, (peer, seat)) in seat_peers(seats)?
        .into_iter()
        .zip(seats.seats())
        .enumerate()
    {
        let key = G2::decode(Copying(seat.bls.as_slice())).map_err(|_| KeyError::Bls { index })?;
        participants.push((peer, key));
    }
    // The set is sorted by identity bytes and holds no duplicate, and the engine sorts by the
    // same bytes: bit i means the same seat on both sides.
    let participants =
        BiMap::try_from(participants).map_err(|_| KeyError::Bls { index: seats.len() })?;
    let namespace = seats.base_namespace(chain_id);
    match secret {
        None => Ok(BlsScheme::verifier(&namespace, participants)),
        Some(secret) => {
            let private =
                Private::decode(Copying(&secret.to_bytes())).map_err(|_| KeyError::Secret)?;
            BlsScheme::signer(&namespace, participants, private)
                .ok_or(KeyError::NotSeated { seats: seats.len() })
        }
    }
}

/// The simulator's scheme: seats vote with their identity keys.
///
/// # Errors
/// As [`bls_scheme`].
pub fn cheap_scheme(
    seats: &SeatSet,
    chain_id: ChainId,
    secret: Option<ed25519::PrivateKey>,
) -> Result<CheapScheme, KeyError> {
    let participants = Set::from_iter_dedup(seat_peers(seats)?);
    let namespace = seats.base_namespace(chain_id);
    match secret {
        None => Ok(CheapScheme::verifier(&namespace, participants)),
        Some(secret) => CheapScheme::signer(&namespace, participants, secret)
            .ok_or(KeyError::NotSeated { seats: seats.len() }),
    }
}
