//! From a request and its overrides to what the EVM executes.

use alloy_eips::eip4844::DATA_GAS_PER_BLOB;
use alloy_primitives::{KECCAK256_EMPTY, TxKind, U256};
use alloy_rpc_types_eth::{BlockOverrides, TransactionRequest, state::StateOverride};
use revm::context::{BlockEnv, TxEnv, either::Either};

use super::{CallError, CallLimits};
use crate::{
    overlay::Overlay, recover::recover_authorization, rejection::TxRejection, spec::ChainSpec,
};

fn limit(what: &'static str, size: usize, limit: usize) -> Result<(), CallError> {
    if size > limit {
        Err(CallError::TooLarge { what, size, limit })
    } else {
        Ok(())
    }
}

/// The gas limit is `limits.gas` unless the request names a lower one; with a gas price, no more
/// than the sender can pay.
pub(super) fn transaction(
    spec: &ChainSpec,
    request: &TransactionRequest,
    overlay: &Overlay,
    limits: &CallLimits,
) -> Result<TxEnv, CallError> {
    if request.gas_price.is_some()
        && (request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some())
    {
        return Err(CallError::Invalid("both gasPrice and maxFeePerGas are set"));
    }
    if let Some(chain_id) = request.chain_id
        && chain_id != spec.chain_id
    {
        let expected = spec.chain_id;
        return Err(TxRejection::WrongChainId {
            chain_id: Some(chain_id),
            expected,
        }
        .into());
    }
    let data = request
        .input
        .unique_input()
        .map_err(|_| CallError::Invalid("both data and input are set and differ"))?
        .cloned()
        .unwrap_or_default();
    limit("calldata", data.len(), limits.input_bytes)?;
    let access_list = request.access_list.clone().unwrap_or_default();
    let entries = access_list
        .iter()
        .map(|item| 1 + item.storage_keys.len())
        .sum();
    limit("access list", entries, limits.overrides)?;
    let authorizations = request.authorization_list.as_deref().unwrap_or_default();
    limit("authorization list", authorizations.len(), limits.overrides)?;
    let blob_hashes = request.blob_versioned_hashes.clone().unwrap_or_default();
    if !blob_hashes.is_empty() && !spec.blobs {
        return Err(TxRejection::UnsupportedType { tx_type: 3 }.into());
    }

    let caller = request.from.unwrap_or_default();
    let tip = request.max_priority_fee_per_gas;
    let gas_price = request
        .gas_price
        .or(request.max_fee_per_gas)
        .or(tip)
        .unwrap_or(0);
    let tx_type = if !authorizations.is_empty() {
        4
    } else if !blob_hashes.is_empty() {
        3
    } else if tip.is_some() || request.max_fee_per_gas.is_some() {
        2
    } else {
        u8::from(!access_list.is_empty())
    };
    let value = request.value.unwrap_or_default();
    let account = overlay.account(&caller);
    let blob_fee = U256::from(request.max_fee_per_blob_gas.unwrap_or(0))
        * U256::from(blob_hashes.len() as u64 * DATA_GAS_PER_BLOB);
    let mut gas_limit = request.gas.unwrap_or(limits.gas).min(limits.gas);
    if gas_price > 0 {
        let (_, balance, _) = account.unwrap_or((0, U256::ZERO, KECCAK256_EMPTY));
        let spare = balance.saturating_sub(value).saturating_sub(blob_fee);
        let affordable = spare / U256::from(gas_price);
        // Naming more gas than one can pay is refused as any transaction would be.
        if request.gas.is_none() {
            gas_limit = gas_limit.min(affordable.saturating_to());
        }
    }
    Ok(TxEnv {
        tx_type,
        caller,
        gas_limit,
        gas_price,
        kind: request.to.unwrap_or(TxKind::Create),
        value,
        data,
        nonce: account.map_or(0, |(nonce, _, _)| nonce),
        chain_id: Some(spec.chain_id),
        access_list,
        gas_priority_fee: tip.or((tx_type > 1).then_some(0)),
        blob_hashes,
        max_fee_per_blob_gas: request.max_fee_per_blob_gas.unwrap_or(0),
        authorization_list: authorizations
            .iter()
            .map(|signed| Either::Right(recover_authorization(signed)))
            .collect(),
    })
}

pub(super) fn state(
    overlay: &mut Overlay,
    overrides: &StateOverride,
    limits: &CallLimits,
) -> Result<(), CallError> {
    let code_bytes = overrides
        .values()
        .flat_map(|account| &account.code)
        .map(|c| c.len())
        .sum();
    limit("overridden code", code_bytes, limits.input_bytes)?;
    let slots = |account: &alloy_rpc_types_eth::state::AccountOverride| {
        let whole = account.state.as_ref().map_or(0, |slots| slots.len());
        let diff = account.state_diff.as_ref().map_or(0, |slots| slots.len());
        1 + whole + diff
    };
    limit(
        "state overrides",
        overrides.values().map(slots).sum(),
        limits.overrides,
    )?;

    for (&address, account) in overrides {
        if account.move_precompile_to.is_some() {
            return Err(CallError::Invalid(
                "movePrecompileToAddress is not supported",
            ));
        }
        if account.state.is_some() && account.state_diff.is_some() {
            return Err(CallError::Invalid(
                "both state and stateDiff are set for an account",
            ));
        }
        let code = account
            .code
            .as_ref()
            .map(|code| overlay.add_code(code.clone()));
        overlay.edit(address, |info| {
            info.balance = account.balance.unwrap_or(info.balance);
            info.nonce = account.nonce.unwrap_or(info.nonce);
            info.code_hash = code.unwrap_or(info.code_hash);
        });
        if let Some(whole) = &account.state {
            overlay.wipe(address);
            for (slot, value) in whole {
                overlay.set_slot(address, (*slot).into(), (*value).into());
            }
        }
        for (slot, value) in account.state_diff.iter().flatten() {
            overlay.set_slot(address, (*slot).into(), (*value).into());
        }
    }
    Ok(())
}

pub(super) fn block(env: &mut BlockEnv, overrides: &BlockOverrides) -> Result<(), CallError> {
    if overrides.block_hash.is_some() {
        return Err(CallError::Invalid("block hash overrides are not supported"));
    }
    env.number = overrides.number.unwrap_or(env.number);
    env.timestamp = overrides.time.map_or(env.timestamp, U256::from);
    env.gas_limit = overrides.gas_limit.unwrap_or(env.gas_limit);
    env.beneficiary = overrides.coinbase.unwrap_or(env.beneficiary);
    env.prevrandao = overrides.random.or(env.prevrandao);
    if let Some(fee) = overrides.base_fee {
        env.basefee = u64::try_from(fee)
            .map_err(|_| CallError::Invalid("base fee override above 2^64 − 1 wei"))?;
    }
    if let (Some(fee), Some(blob)) = (
        overrides.blob_base_fee,
        env.blob_excess_gas_and_price.as_mut(),
    ) {
        blob.blob_gasprice = u128::try_from(fee)
            .map_err(|_| CallError::Invalid("blob base fee override above 2^128 − 1 wei"))?;
    }
    Ok(())
}
