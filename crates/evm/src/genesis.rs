//! The first block.

use std::sync::Arc;

use alloy_consensus::{
    Header, Sealable,
    constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, EMPTY_WITHDRAWALS},
};
use alloy_eips::{
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE},
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_PREDEPLOY_CODE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_CODE},
    eip7685::EMPTY_REQUESTS_HASH,
};
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};

use crate::{
    block::{BlockRecord, ExecutedBlock, RecentHashes},
    spec::ChainSpec,
    state::{AccountChange, Changes, WorldState},
};

/// The contracts that the protocol calls, present from the first block.
pub fn system_contracts() -> [(Address, Bytes); 4] {
    [
        (HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE.clone()),
        (BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE.clone()),
        (
            WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
            WITHDRAWAL_REQUEST_PREDEPLOY_CODE.clone(),
        ),
        (
            CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
            CONSOLIDATION_REQUEST_PREDEPLOY_CODE.clone(),
        ),
    ]
}

/// The genesis block of a chain: `genesis.alloc` plus the system contracts of EIP-2935, EIP-4788,
/// EIP-7002 and EIP-7251 where the allocation does not name them. Of `genesis` also count
/// timestamp, extra data, nonce, gas limit (if not zero), coinbase, mix hash, base fee and parent
/// hash. The number is 0.
pub fn genesis_block(spec: &ChainSpec, genesis: &Genesis) -> ExecutedBlock {
    let changes = allocation(genesis);
    let state = WorldState::default().apply(&changes);
    let base_fee = genesis
        .base_fee_per_gas
        .and_then(|fee| u64::try_from(fee).ok());
    let header = Header {
        parent_hash: genesis.parent_hash.unwrap_or_default(),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: genesis.coinbase,
        state_root: state.root(),
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: genesis.difficulty,
        gas_limit: if genesis.gas_limit == 0 {
            spec.gas_limit
        } else {
            genesis.gas_limit
        },
        timestamp: genesis.timestamp,
        extra_data: genesis.extra_data.clone(),
        mix_hash: genesis.mix_hash,
        nonce: genesis.nonce.into(),
        base_fee_per_gas: Some(base_fee.unwrap_or(spec.base_fee.initial_wei)),
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        blob_gas_used: Some(genesis.blob_gas_used.unwrap_or(0)),
        excess_blob_gas: Some(genesis.excess_blob_gas.unwrap_or(0)),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
    .seal_slow();
    let hashes = RecentHashes::default().followed_by(0, header.hash());
    let record = BlockRecord {
        header,
        transactions: Vec::new(),
        senders: Vec::new(),
        receipts: Vec::new(),
        withdrawals: Vec::new(),
        credits: Vec::new(),
    };
    ExecutedBlock {
        record: Arc::new(record),
        state,
        changes: Arc::new(changes),
        hashes,
    }
}

fn allocation(genesis: &Genesis) -> Changes {
    let mut changes = Changes::default();
    for (address, code) in system_contracts() {
        let contract = GenesisAccount::default()
            .with_nonce(Some(1))
            .with_code(Some(code));
        add(&mut changes, address, &contract);
    }
    for (address, account) in &genesis.alloc {
        add(&mut changes, *address, account);
    }
    changes
}

fn add(changes: &mut Changes, address: Address, account: &GenesisAccount) {
    let code = account.code.clone().unwrap_or_default();
    let code_hash = if code.is_empty() {
        KECCAK256_EMPTY
    } else {
        keccak256(&code)
    };
    if !code.is_empty() {
        changes.codes.insert(code_hash, code);
    }
    let slots = account
        .storage
        .iter()
        .flatten()
        .map(|(slot, value)| (U256::from_be_bytes(slot.0), U256::from_be_bytes(value.0)))
        .collect();
    let nonce = account.nonce.unwrap_or(0);
    let change = AccountChange {
        account: Some((nonce, account.balance, code_hash)),
        wiped: true,
        slots,
    };
    changes.accounts.insert(address, change);
}

#[cfg(test)]
mod tests;
