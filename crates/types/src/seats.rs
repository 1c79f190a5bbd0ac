//! Seats: equal shares of stake, one BLS key and one vote each (R3).

use crate::{
    bls::{BlsError, KeyBytes, VerifyKey},
    ids::{ChainId, SeatIndex},
    limits::{SEATS_MAX, SEATS_MIN},
};
use alloy_primitives::{B256, keccak256};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An ed25519 public key: the seat's name on the p2p network; seats are ordered by it.
pub type Identity = B256;

/// One seat.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
pub struct Seat {
    /// ed25519 key of the seat on the p2p network.
    pub identity: Identity,
    /// Compressed BLS key in G2.
    pub bls: KeyBytes,
    /// Index of the key in the L1 registry.
    pub registry_index: u32,
}

/// Why a seat set is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SeatSetError {
    /// Too few to tolerate a fault.
    #[error(
        "a seat set needs {} to {} seats, this has {seats}",
        SEATS_MIN,
        SEATS_MAX
    )]
    Size {
        /// How many it has.
        seats: usize,
    },
    /// Not strictly ascending by identity key.
    #[error("seat {index} has identity {identity}, which is not above the one before")]
    Order {
        /// Its position.
        index: usize,
        /// Its identity key.
        identity: Identity,
    },
    /// Two seats share a BLS key: one vote would count twice.
    #[error("seat {index} has BLS key {bls}, which another seat has too")]
    DuplicateKey {
        /// Its position.
        index: usize,
        /// The shared key.
        bls: KeyBytes,
    },
    /// A key is not a point of the group.
    #[error("seat {index}: {source}")]
    Key {
        /// Its position.
        index: usize,
        /// What is wrong with it.
        source: BlsError,
    },
}

/// The seats of one term, in ascending order of identity.
///
/// - Between `SEATS_MIN` and `SEATS_MAX`, identities strictly ascending, BLS keys distinct and in
///   the group. Whoever builds one outside of a test has checked proofs of possession (R2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatSet {
    seats: Vec<Seat>,
    keys: Vec<VerifyKey>,
    hash: B256,
}

impl SeatSet {
    /// Checks order, size and keys.
    ///
    /// # Errors
    /// [`SeatSetError`] names the seat and what is wrong.
    pub fn new(seats: Vec<Seat>) -> Result<Self, SeatSetError> {
        if seats.len() < SEATS_MIN || seats.len() > SEATS_MAX {
            return Err(SeatSetError::Size { seats: seats.len() });
        }
        let mut keys = Vec::with_capacity(seats.len());
        let mut seen = std::collections::BTreeSet::new();
        for (index, seat) in seats.iter().enumerate() {
            if index > 0 && seats[index - 1].identity >= seat.identity {
                return Err(SeatSetError::Order {
                    index,
                    identity: seat.identity,
                });
            }
            if !seen.insert(seat.bls) {
                return Err(SeatSetError::DuplicateKey {
                    index,
                    bls: seat.bls,
                });
            }
            keys.push(
                VerifyKey::from_bytes(seat.bls)
                    .map_err(|source| SeatSetError::Key { index, source })?,
            );
        }
        let hash = keccak256(alloy_rlp::encode(&seats));
        Ok(Self { seats, keys, hash })
    }

    /// Sorts by identity, then checks.
    ///
    /// # Errors
    /// As [`SeatSet::new`].
    pub fn sorted(mut seats: Vec<Seat>) -> Result<Self, SeatSetError> {
        seats.sort_by_key(|seat| seat.identity);
        Self::new(seats)
    }

    /// keccak of the RLP of the ordered seats: the header's seats hash (R4).
    pub fn hash(&self) -> B256 {
        self.hash
    }

    /// The seats in bitmap order.
    pub fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// Checked keys in bitmap order.
    pub fn keys(&self) -> &[VerifyKey] {
        &self.keys
    }

    /// How many seats.
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// Never true; here for symmetry with `len`.
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Seats that may be faulty: the largest `f` with `3f < n`.
    pub fn faults(&self) -> usize {
        (self.len() - 1) / 3
    }

    /// Seats a certificate needs: `n − f`, as the engine counts.
    pub fn quorum(&self) -> usize {
        self.len() - self.faults()
    }

    /// Position of a seat by its identity.
    pub fn index_of(&self, identity: &Identity) -> Option<SeatIndex> {
        let position = self
            .seats
            .binary_search_by_key(identity, |seat| seat.identity)
            .ok()?;
        u32::try_from(position).ok().map(SeatIndex::new)
    }

    /// What every signature of this set starts with (R4): it binds the chain and the seats.
    pub fn base_namespace(&self, chain_id: ChainId) -> Vec<u8> {
        base_namespace(chain_id, self.hash)
    }
}

/// `"CORTADO" ‖ chain id u64 BE ‖ seats hash` (R4).
pub fn base_namespace(chain_id: ChainId, seats_hash: B256) -> Vec<u8> {
    let mut out = b"CORTADO".to_vec();
    out.extend_from_slice(&chain_id.get().to_be_bytes());
    out.extend_from_slice(seats_hash.as_slice());
    out
}
