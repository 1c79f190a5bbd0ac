//! Seats settled in the state of an embedded L1, without the contract: its storage is enough.

#![allow(dead_code)]

use alloy_genesis::GenesisAccount;
use cortado_l1::testing::{PRICE, REGISTRY, SettledRegistry};
use cortado_node::l1::L1Rpc;
use cortado_types::{
    Address, B256, L1Config, Seat, SeatSet, SeatsRead, U256,
    registry::{LATEST_SLOT, settlement_slot},
};
use std::collections::BTreeMap;

/// Accounts that an L1 needs at genesis for these seats to be settled.
pub fn alloc(seats: &[Seat]) -> BTreeMap<Address, GenesisAccount> {
    let registry = SettledRegistry::new(REGISTRY, seats, PRICE);
    let slots = registry.slots().iter();
    let account = GenesisAccount {
        nonce: Some(1),
        storage: Some(
            slots
                .map(|(slot, word)| (*slot, B256::from(*word)))
                .collect(),
        ),
        ..Default::default()
    };
    BTreeMap::from([(REGISTRY, account)])
}

/// The L1 behind `rpc` from its block 0 on, and the seats that it has there.
pub async fn read(rpc: &L1Rpc, seats: Vec<Seat>, config: L1Config) -> (L1Config, SeatsRead) {
    let anchor = rpc.by_number(0).await.unwrap().unwrap();
    let hash = SeatSet::new(seats.clone()).unwrap().hash();
    let slots = [B256::from(U256::from(LATEST_SLOT)), settlement_slot(hash)];
    let proof = rpc
        .proof(REGISTRY, &slots, anchor.block.hash)
        .await
        .unwrap();
    let (account, [latest, settlement]) = (proof.0, <[_; 2]>::try_from(proof.1).unwrap());
    let config = L1Config {
        anchor: anchor.raw,
        registry: REGISTRY,
        ..config
    };
    let read = SeatsRead {
        account,
        latest,
        settlement,
        seats,
    };
    (config, read)
}
