//! Accounts, storage and proofs.

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, U64, U256};
use alloy_serde::JsonStorageKey;
use jsonrpsee::server::RegisterMethodError;

use super::Registry;
use crate::backend::EthBackend;
use crate::error::RpcError;
use crate::limits::PROOF_KEYS_MAX;

pub(super) fn register<B: EthBackend>(on: &mut Registry<B>) -> Result<(), RegisterMethodError> {
    on.quick("eth_getBalance", 2, |api, args| {
        let address: Address = args.required("address")?;
        let context = api.context(args.optional("block")?)?;
        Ok(context
            .state
            .account(&address)
            .map_or(U256::ZERO, |account| account.balance))
    })?;
    on.quick("eth_getTransactionCount", 2, |api, args| {
        let address: Address = args.required("address")?;
        let at: Option<BlockId> = args.optional("block")?;
        if at == Some(BlockId::Number(BlockNumberOrTag::Pending)) {
            return Ok(U64::from(api.backend.pending_nonce(address)?));
        }
        let context = api.context(at)?;
        Ok(U64::from(
            context
                .state
                .account(&address)
                .map_or(0, |account| account.nonce),
        ))
    })?;
    on.quick("eth_getCode", 2, |api, args| {
        let address: Address = args.required("address")?;
        let context = api.context(args.optional("block")?)?;
        Ok(context.state.code_at(&address))
    })?;
    on.quick("eth_getStorageAt", 3, |api, args| {
        let address: Address = args.required("address")?;
        let slot: JsonStorageKey = args.required("slot")?;
        let context = api.context(args.optional("block")?)?;
        let slot = U256::from_be_bytes(slot.as_b256().0);
        Ok(alloy_primitives::B256::from(
            context.state.storage(&address, slot),
        ))
    })?;
    on.heavy("eth_getProof", 3, |api, args| {
        let address: Address = args.required("address")?;
        let keys: Vec<JsonStorageKey> = args.optional("storage keys")?.unwrap_or_default();
        if keys.len() > PROOF_KEYS_MAX {
            return Err(RpcError::LimitExceeded {
                what: "number of storage keys",
                value: keys.len() as u64,
                limit: PROOF_KEYS_MAX as u64,
            });
        }
        let context = api.context(args.optional("block")?)?;
        let slots: Vec<_> = keys.iter().map(|key| key.as_b256()).collect();
        let mut proof = context.state.prove(address, &slots);
        // Clients compare the keys they get with the ones they sent, so each comes back as sent.
        for (entry, key) in proof.storage_proof.iter_mut().zip(keys) {
            entry.key = key;
        }
        Ok(proof)
    })
}
