//! Open the registry's state under an L1 header: which seats were settled last (R3, R10).

use crate::header::{HeaderError, TrackedHeader, full_header};
use alloy_rlp::{Decodable, RlpDecodable, RlpEncodable};
use cortado_types::{
    Address, B256, L1Ref, SeatSet, SeatSetError, SeatsRead, Settlement, U256, keccak256,
    registry::{LATEST_SLOT, account_key, settlement_slot},
    trie::{ProofError, open_keyed},
};
use std::sync::Arc;
use thiserror::Error;

/// Seats as the registry settled them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The L1 block they were read at.
    pub block: L1Ref,
    /// Who sits.
    pub seats: Arc<SeatSet>,
    /// What each has at risk, and since when.
    pub settlement: Settlement,
}

/// Why a read of the registry shows nothing.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ReadError {
    /// The header cannot be read.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// One of the paths does not lead to where it should.
    #[error("the registry's {what} at L1 block {number}: {source}")]
    Proof {
        /// Account, latest seats or settlement.
        what: &'static str,
        /// Number of the L1 block.
        number: u64,
        /// What is wrong with it.
        source: ProofError,
    },
    /// What stands there is not of the form.
    #[error("the registry's {what} at L1 block {number} is malformed: {source}")]
    Malformed {
        /// Account, latest seats or settlement.
        what: &'static str,
        /// Number of the L1 block.
        number: u64,
        /// What the RLP reader said.
        source: alloy_rlp::Error,
    },
    /// No contract, or no seats in it yet.
    #[error("no seats are settled in {registry} at L1 block {number}")]
    NothingSettled {
        /// The registry's address.
        registry: Address,
        /// Number of the L1 block.
        number: u64,
    },
    /// The seats given make no set.
    #[error(transparent)]
    Seats(#[from] SeatSetError),
    /// The seats given are not those that were settled.
    #[error("the seats given hash to {got}, at L1 block {number} {want} is settled")]
    OtherSeats {
        /// Hash of those given.
        got: B256,
        /// Hash that stands in the registry.
        want: B256,
        /// Number of the L1 block.
        number: u64,
    },
}

/// An account in the state trie of Ethereum.
#[derive(Clone, Copy, Debug, RlpEncodable, RlpDecodable)]
pub(crate) struct Account {
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
    pub(crate) storage_root: B256,
    pub(crate) code_hash: B256,
}

/// Reads the seats that `registry` had settled last in the state of the L1 block with this header.
///
/// # Errors
/// [`ReadError`] if `read` does not show them.
pub fn read_seats(
    header: &[u8],
    registry: Address,
    read: &SeatsRead,
) -> Result<Settled, ReadError> {
    let state_root = full_header(header)?.state_root;
    let block = TrackedHeader::read(header)?.to_ref();
    let number = block.number;
    let open = |what, root, key, path| {
        open_keyed(root, key, path).map_err(|source| ReadError::Proof {
            what,
            number,
            source,
        })
    };
    let nothing = || ReadError::NothingSettled { registry, number };
    let account = open("account", state_root, account_key(registry), &read.account)?;
    let account: Account = exact("account", number, &account.ok_or_else(nothing)?)?;
    let word = |what, slot: B256, path| -> Result<U256, ReadError> {
        let value = open(what, account.storage_root, keccak256(slot), path)?;
        exact(what, number, &value.ok_or_else(nothing)?)
    };
    let latest = word(
        "latest seats",
        B256::from(U256::from(LATEST_SLOT)),
        &read.latest,
    )?;
    let want = B256::from(latest);
    let settlement = word("settlement", settlement_slot(want), &read.settlement)?;
    let seats = SeatSet::new(read.seats.clone())?;
    let got = seats.hash();
    if got != want {
        return Err(ReadError::OtherSeats { got, want, number });
    }
    Ok(Settled {
        block,
        seats: Arc::new(seats),
        settlement: Settlement::from_word(settlement),
    })
}

fn exact<T: Decodable>(what: &'static str, number: u64, bytes: &[u8]) -> Result<T, ReadError> {
    let malformed = |source| ReadError::Malformed {
        what,
        number,
        source,
    };
    let mut rest = bytes;
    let value = T::decode(&mut rest).map_err(malformed)?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(malformed(alloy_rlp::Error::UnexpectedLength))
    }
}
