//! What the chain reads from the registry on L1: the seats that were settled last (R3, R10).
//!
//! Seats and stake reach the chain by this one input. It is not somebody's word: it is opened from
//! the state root of an L1 block, so that everybody who holds the block's header reads the same.

use crate::{
    codec::bytes_list,
    ids::Gwei,
    limits::SEATS_MAX,
    seats::Seat,
    trie::{PROOF_NODES_MAX, TrieProof},
};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::{BufMut, Decodable, Encodable, RlpDecodable, RlpEncodable};
use serde::{Deserialize, Serialize};

/// Storage slot of the registry with the hash of the seats that were settled last (`latest`).
pub const LATEST_SLOT: u64 = 1;

/// Storage slot of the registry's mapping from seats hashes to settlements (`_settlements`).
pub const SETTLEMENTS_SLOT: u64 = 10;

/// Bytes of a node of an Ethereum account or storage trie: a branch of sixteen hashes and its
/// framing are 532.
pub const L1_NODE_BYTES_MAX: usize = 600;

/// Trie key of the registry's account in the L1 state.
pub fn account_key(registry: Address) -> B256 {
    keccak256(registry)
}

/// Storage slot of the settlement of `seats`: Solidity's place of a mapping's value.
pub fn settlement_slot(seats: B256) -> B256 {
    let mut place = [0; 64];
    place[..32].copy_from_slice(seats.as_slice());
    place[56..].copy_from_slice(&SETTLEMENTS_SLOT.to_be_bytes());
    keccak256(place)
}

/// A settlement as it stands in its slot: what each seat has at risk, and in which epoch of the
/// registry the set was settled last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Stake behind each seat (R3).
    pub price: Gwei,
    /// The registry's epoch in which `price` was the price last.
    pub priced: u64,
    /// The registry's epoch in which the set was settled last.
    pub epoch: u64,
    /// How many seats.
    pub seats: u16,
}

/// Bits of an epoch in a settlement's word.
const EPOCH_BITS: usize = 48;

impl Settlement {
    /// Reads the word: `price` u64, `priced` u48, `epoch` u48, `seats` u16, from the low end.
    pub fn from_word(word: U256) -> Self {
        let bits = |from: usize, count: usize| {
            let value: U256 = (word >> from) & ((U256::from(1) << count) - U256::from(1));
            value.to::<u64>()
        };
        Self {
            price: Gwei::new(bits(0, 64)),
            priced: bits(64, EPOCH_BITS),
            epoch: bits(64 + EPOCH_BITS, EPOCH_BITS),
            seats: bits(64 + 2 * EPOCH_BITS, 16) as u16,
        }
    }

    /// The word that [`Settlement::from_word`] reads.
    pub fn to_word(self) -> U256 {
        U256::from(self.price.get())
            | U256::from(self.priced) << 64
            | U256::from(self.epoch) << (64 + EPOCH_BITS)
            | U256::from(self.seats) << (64 + 2 * EPOCH_BITS)
    }
}

/// The seats settled last at some L1 block, opened from its state root.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatsRead {
    /// From the state root to the registry's account.
    pub account: TrieProof,
    /// From the account's storage root to [`LATEST_SLOT`].
    pub latest: TrieProof,
    /// From the same root to [`settlement_slot`].
    pub settlement: TrieProof,
    /// The seats, whose hash stands in [`LATEST_SLOT`].
    pub seats: Vec<Seat>,
}

impl SeatsRead {
    /// Seats without the paths that show them.
    pub const fn unproved(seats: Vec<Seat>) -> Self {
        Self {
            account: TrieProof(Vec::new()),
            latest: TrieProof(Vec::new()),
            settlement: TrieProof(Vec::new()),
            seats,
        }
    }

    fn payload_length(&self) -> usize {
        let proofs = [&self.account, &self.latest, &self.settlement];
        proofs.iter().map(|proof| proof.0.length()).sum::<usize>() + self.seats.length()
    }
}

impl Encodable for SeatsRead {
    fn encode(&self, out: &mut dyn BufMut) {
        alloy_rlp::Header {
            list: true,
            payload_length: self.payload_length(),
        }
        .encode(out);
        for proof in [&self.account, &self.latest, &self.settlement] {
            proof.0.encode(out);
        }
        self.seats.encode(out);
    }

    fn length(&self) -> usize {
        let payload = self.payload_length();
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl Decodable for SeatsRead {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut payload = alloy_rlp::Header::decode_bytes(buf, true)?;
        let mut proof =
            || bytes_list(&mut payload, PROOF_NODES_MAX, 1..=L1_NODE_BYTES_MAX).map(TrieProof);
        let (account, latest, settlement) = (proof()?, proof()?, proof()?);
        let mut list = alloy_rlp::Header::decode_bytes(&mut payload, true)?;
        let mut seats = Vec::new();
        while !list.is_empty() {
            if seats.len() == SEATS_MAX {
                return Err(alloy_rlp::Error::Custom("more seats than the limit"));
            }
            seats.push(Seat::decode(&mut list)?);
        }
        if !payload.is_empty() {
            return Err(alloy_rlp::Error::UnexpectedLength);
        }
        Ok(Self {
            account,
            latest,
            settlement,
            seats,
        })
    }
}

/// R10. Reads the seats that sit from the next term on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
pub struct ReadSeats {
    /// RLP of the header of the L1 block that is read: `L1fin` or a tracked ancestor of it.
    pub header: Bytes,
    /// What stands in its state.
    pub read: SeatsRead,
}
