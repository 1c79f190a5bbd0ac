//! The seats of one term as peers, and this node's place among them.

use crate::scheme::{KeyError, identity, seat_peers};
use commonware_cryptography::ed25519;
use cortado_chain::State;
use cortado_types::{ChainId, SeatIndex, SeatSet, Term, bls::SecretBls};
use std::sync::Arc;
use tracing::warn;

/// What lets a seat sign subjects: acknowledgements and what it saw on L1.
#[derive(Clone)]
pub struct SeatSigner {
    /// Its place in the set.
    pub index: SeatIndex,
    /// Its key.
    pub secret: SecretBls,
}

/// The seats of a term.
///
/// - `peers` are those of `seats`, in the same order.
#[derive(Clone)]
pub struct Committee {
    /// The chain.
    pub chain_id: ChainId,
    /// The term.
    pub term: Term,
    /// Who sits.
    pub seats: Arc<SeatSet>,
    /// Their peers, in bitmap order.
    pub peers: Arc<[ed25519::PublicKey]>,
    /// What signatures of the term start with.
    pub base_namespace: Vec<u8>,
    /// This node's seat, if it has one in this term.
    pub signer: Option<SeatSigner>,
}

impl Committee {
    /// The seats of the next block on `state`. `me` signs among them if both its identity and its
    /// key are those of one seat.
    ///
    /// # Errors
    /// If an identity among the seats is no key.
    pub fn of(
        state: &State,
        me: &ed25519::PublicKey,
        secret: Option<&SecretBls>,
    ) -> Result<Self, KeyError> {
        let seats = state.seats.clone();
        let chain_id = state.config.chain_id;
        let signer = secret.and_then(|secret| {
            let index = seats.index_of(&identity(me))?;
            let seat = &seats.seats()[index.get() as usize];
            if seat.bls != secret.public() {
                warn!(term = %state.term, registered = %seat.bls,
                    "this node's seat has another BLS key on L1: it does not vote in this term");
                return None;
            }
            Some(SeatSigner {
                index,
                secret: secret.clone(),
            })
        });
        Ok(Self {
            chain_id,
            term: state.term,
            peers: seat_peers(&seats)?.into(),
            base_namespace: seats.base_namespace(chain_id),
            seats,
            signer,
        })
    }

    /// The seat behind a peer.
    pub fn seat_of(&self, peer: &ed25519::PublicKey) -> Option<SeatIndex> {
        let position = self.peers.binary_search(peer).ok()?;
        Some(SeatIndex::new(position as u32))
    }

    /// The peer behind a seat.
    pub fn peer(&self, seat: SeatIndex) -> Option<&ed25519::PublicKey> {
        self.peers.get(seat.get() as usize)
    }

    /// All but this node.
    pub fn others<'a>(
        &'a self,
        me: &'a ed25519::PublicKey,
    ) -> impl Iterator<Item = &'a ed25519::PublicKey> {
        self.peers.iter().filter(move |peer| *peer != me)
    }
}
