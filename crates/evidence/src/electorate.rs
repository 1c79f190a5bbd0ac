//! Whose votes are judged.

use cortado_types::{B256, ChainId, Seat, SeatIndex, SeatSet, SignedVote, VoteCertificate};
use std::sync::Arc;

/// The seats of a term and how their signatures are checked. Production has one, [`Electorate`];
/// the simulator's seats sign with what cannot be aggregated.
pub trait Voters {
    /// The seats.
    fn seats(&self) -> &SeatSet;
    /// Whether the seat signed the vote.
    fn signed(&self, vote: &SignedVote) -> bool;
    /// Whether a quorum signed.
    fn certified(&self, certificate: &VoteCertificate) -> bool;

    /// A seat by its place; `None` past the last.
    fn seat(&self, index: SeatIndex) -> Option<&Seat> {
        self.seats().seats().get(index.get() as usize)
    }

    /// What all their signatures are bound to (R4).
    fn seats_hash(&self) -> B256 {
        self.seats().hash()
    }
}

/// Seats that sign with BLS keys, on one chain.
#[derive(Clone, Debug)]
pub struct Electorate {
    /// The chain.
    pub chain_id: ChainId,
    /// Its seats in the term in question.
    pub seats: Arc<SeatSet>,
}

impl Voters for Electorate {
    fn seats(&self) -> &SeatSet {
        &self.seats
    }

    fn signed(&self, vote: &SignedVote) -> bool {
        let key = self.seats.keys().get(vote.seat.get() as usize);
        key.is_some_and(|key| vote.verify(key, self.chain_id, self.seats.hash()).is_ok())
    }

    fn certified(&self, certificate: &VoteCertificate) -> bool {
        certificate.verify(self.chain_id, &self.seats).is_ok()
    }
}
