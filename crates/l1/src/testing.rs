//! An L1 whose whole state is one registry, for tests and simulations.
//!
//! No contract runs: the registry is an account with the storage that the contract would have. So
//! whoever wants seats in a world without an L1 settles them here, and the chain reads them by the
//! same proofs as on Ethereum.

pub mod beacon;

use crate::registry::Account;
use alloy_consensus::{Header, constants::KECCAK_EMPTY};
use cortado_types::{
    Address, B256, Bytes, Genesis, Gwei, Seat, SeatSet, SeatsRead, Settlement, U256, keccak256,
    registry::{LATEST_SLOT, account_key, settlement_slot},
    trie::{keyed_root, prove_keyed},
};
use std::collections::BTreeMap;

/// Where the registry of tests stands.
pub const REGISTRY: Address = Address::repeat_byte(0x5e);

/// What a registry has in its storage after it settled some seats.
#[derive(Clone, Debug)]
pub struct SettledRegistry {
    address: Address,
    seats: Vec<Seat>,
    slots: BTreeMap<B256, U256>,
}

impl SettledRegistry {
    /// Settles `seats`, in ascending order of identity, at `price`.
    ///
    /// # Panics
    /// If they make no set.
    pub fn new(address: Address, seats: &[Seat], price: Gwei) -> Self {
        let set = SeatSet::new(seats.to_vec()).expect("the seats must make a set");
        let settlement = Settlement {
            price,
            priced: 1,
            epoch: 1,
            seats: seats.len() as u16,
        };
        let slots = BTreeMap::from([
            (
                B256::from(U256::from(LATEST_SLOT)),
                U256::from_be_bytes(set.hash().0),
            ),
            (settlement_slot(set.hash()), settlement.to_word()),
        ]);
        Self {
            address,
            seats: seats.to_vec(),
            slots,
        }
    }

    /// Storage of the account: slots and words.
    pub fn slots(&self) -> &BTreeMap<B256, U256> {
        &self.slots
    }

    fn storage(&self) -> BTreeMap<B256, Vec<u8>> {
        let leaf = |(slot, word): (&B256, &U256)| (keccak256(slot), alloy_rlp::encode(word));
        self.slots.iter().map(leaf).collect()
    }

    fn accounts(&self) -> BTreeMap<B256, Vec<u8>> {
        let account = Account {
            nonce: 1,
            balance: U256::ZERO,
            storage_root: keyed_root(&self.storage()),
            code_hash: KECCAK_EMPTY,
        };
        BTreeMap::from([(account_key(self.address), alloy_rlp::encode(account))])
    }

    /// State root of an L1 block in whose state nothing but this stands.
    pub fn state_root(&self) -> B256 {
        keyed_root(&self.accounts())
    }

    /// The read that shows the seats under [`SettledRegistry::state_root`].
    pub fn read(&self) -> SeatsRead {
        let set = SeatSet::new(self.seats.clone()).expect("checked when it was made");
        let prove = |slot: B256| prove_keyed(&self.storage(), keccak256(slot));
        SeatsRead {
            account: prove_keyed(&self.accounts(), account_key(self.address)),
            latest: prove(B256::from(U256::from(LATEST_SLOT))),
            settlement: prove(settlement_slot(set.hash())),
            seats: self.seats.clone(),
        }
    }
}

/// What each seat of a test has at risk: one ether.
pub const PRICE: Gwei = Gwei::new(1_000_000_000);

/// `header` as the anchor of a chain with these seats: its state root becomes that of an L1 which
/// settled them in [`REGISTRY`].
///
/// # Panics
/// If the seats make no set.
pub fn anchor(header: Header, seats: &[Seat]) -> (Bytes, SeatsRead) {
    let registry = SettledRegistry::new(REGISTRY, seats, PRICE);
    let header = Header {
        state_root: registry.state_root(),
        ..header
    };
    (alloy_rlp::encode(header).into(), registry.read())
}

/// Settles the seats that `genesis` lists: its anchor's state becomes that of an L1 which did.
///
/// # Panics
/// If the seats make no set or the anchor is no header.
pub fn settle(genesis: &mut Genesis) {
    let header = crate::header::full_header(&genesis.l1.anchor).expect("the anchor is a header");
    genesis.l1.registry = REGISTRY;
    (genesis.l1.anchor, genesis.seats) = anchor(header, &genesis.seats.seats);
}
