use super::*;
use crate::testing::{COUNTER, genesis, l1};

#[test]
fn the_system_contracts_are_there_from_the_start() {
    let (_, block) = l1();
    for (address, code) in system_contracts() {
        assert_eq!(block.state.code_at(&address), code);
        assert_eq!(
            block.state.account(&address).map(|account| account.nonce),
            Some(1)
        );
    }
}

#[test]
fn the_allocation_has_the_last_word() {
    let spec = ChainSpec::ethereum(1);
    let mut genesis = genesis();
    let mine = Bytes::from_static(COUNTER);
    let slot = B256::with_last_byte(3);
    let account = GenesisAccount {
        code: Some(mine.clone()),
        storage: Some([(slot, slot)].into()),
        ..GenesisAccount::default()
    };
    genesis.alloc.insert(BEACON_ROOTS_ADDRESS, account);
    let block = genesis_block(&spec, &genesis);
    assert_eq!(block.state.code_at(&BEACON_ROOTS_ADDRESS), mine);
    assert_eq!(
        block.state.storage(&BEACON_ROOTS_ADDRESS, slot.into()),
        U256::from(3)
    );
}

#[test]
fn the_header_takes_what_the_genesis_names() {
    let spec = ChainSpec::rollup(5);
    let named = Genesis {
        gas_limit: 12_345_678,
        base_fee_per_gas: Some(77),
        timestamp: 99,
        extra_data: Bytes::from_static(b"hello"),
        ..Genesis::default()
    };
    let block = genesis_block(&spec, &named);
    assert_eq!(block.header.gas_limit, 12_345_678);
    assert_eq!(block.header.base_fee_per_gas, Some(77));
    assert_eq!(block.header.timestamp, 99);
    assert_eq!(block.header.extra_data[..], *b"hello");
    let bare = genesis_block(&spec, &Genesis::default());
    assert_eq!(bare.header.gas_limit, spec.gas_limit);
    assert_eq!(bare.header.base_fee_per_gas, Some(1));
    assert_ne!(bare.hash(), block.hash());
    assert_eq!(bare.hashes.get(0), Some(bare.hash()));
}
