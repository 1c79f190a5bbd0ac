//! `net_*`, `web3_*`, `rpc_modules` and what the node says of itself.

use alloy_primitives::{Address, B256, Bytes, U64, keccak256};
use jsonrpsee::server::RegisterMethodError;
use serde_json::{Value, json};

use super::Registry;
use crate::backend::EthBackend;

pub(super) fn register<B: EthBackend>(on: &mut Registry<B>) -> Result<(), RegisterMethodError> {
    on.quick("web3_clientVersion", 0, |api, _| {
        Ok(api.backend.client_version())
    })?;
    on.quick("web3_sha3", 1, |_, args| {
        Ok::<B256, _>(keccak256(args.required::<Bytes>("data")?))
    })?;
    on.quick("net_version", 0, |api, _| {
        Ok(api.backend.spec().chain_id.to_string())
    })?;
    on.quick("net_listening", 0, |_, _| Ok(true))?;
    on.quick("net_peerCount", 0, |_, _| Ok(U64::ZERO))?;
    on.quick("rpc_modules", 0, |_, _| {
        Ok(json!({"eth": "1.0", "net": "1.0", "web3": "1.0"}))
    })?;
    on.quick("eth_chainId", 0, |api, _| {
        Ok(U64::from(api.backend.spec().chain_id))
    })?;
    on.quick("eth_protocolVersion", 0, |_, _| Ok("0x45"))?;
    on.quick("eth_accounts", 0, |_, _| Ok(Vec::<Address>::new()))?;
    on.quick("eth_mining", 0, |_, _| Ok(false))?;
    on.quick("eth_syncing", 0, |api, _| {
        Ok(match api.backend.syncing() {
            None => Value::Bool(false),
            Some((current, highest)) => json!({
                "startingBlock": U64::ZERO,
                "currentBlock": U64::from(current),
                "highestBlock": U64::from(highest),
            }),
        })
    })
}
