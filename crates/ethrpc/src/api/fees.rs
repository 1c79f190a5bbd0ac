//! What gas costs.

use alloy_consensus::Transaction;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{U64, U128};
use alloy_rpc_types_eth::FeeHistory;
use cortado_evm::BlockRecord;
use jsonrpsee::server::RegisterMethodError;
use serde::Deserialize;

use super::{Api, Registry};
use crate::backend::EthBackend;
use crate::error::RpcError;
use crate::limits::{FEE_HISTORY_BLOCKS_MAX, FEE_HISTORY_PERCENTILES_MAX};

pub(super) fn register<B: EthBackend>(on: &mut Registry<B>) -> Result<(), RegisterMethodError> {
    on.quick("eth_gasPrice", 0, |api, _| {
        let latest = api.block(BlockId::latest())?;
        let base = u128::from(api.backend.spec().next_base_fee(latest.header.inner()));
        Ok(U128::from(
            base.saturating_add(api.backend.min_tip()).max(1),
        ))
    })?;
    on.quick("eth_maxPriorityFeePerGas", 0, |api, _| {
        Ok(U128::from(api.backend.min_tip().max(1)))
    })?;
    on.quick("eth_blobBaseFee", 0, |api, _| {
        let latest = api.block(BlockId::latest())?;
        let spec = api.backend.spec();
        let excess = spec.next_excess_blob_gas(latest.header.inner());
        Ok(U128::from(spec.blob_params().calc_blob_fee(excess)))
    })?;
    on.heavy("eth_feeHistory", 3, |api, args| {
        let count: Count = args.required("block count")?;
        let newest: BlockNumberOrTag = args.required("newest block")?;
        let percentiles: Vec<f64> = args.optional("reward percentiles")?.unwrap_or_default();
        check_percentiles(&percentiles)?;
        fee_history(api, count.get(), newest, &percentiles)
    })
}

/// A count as number or as hex string: clients send both.
#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u64),
    Hex(U64),
}

impl Count {
    fn get(&self) -> u64 {
        match self {
            Self::Number(count) => *count,
            Self::Hex(count) => count.to(),
        }
    }
}

fn check_percentiles(percentiles: &[f64]) -> Result<(), RpcError> {
    if percentiles.len() > FEE_HISTORY_PERCENTILES_MAX {
        return Err(RpcError::LimitExceeded {
            what: "number of reward percentiles",
            value: percentiles.len() as u64,
            limit: FEE_HISTORY_PERCENTILES_MAX as u64,
        });
    }
    if let Some(bad) = percentiles.iter().find(|p| !(0.0..=100.0).contains(*p)) {
        return Err(RpcError::InvalidParams(format!(
            "invalid reward percentile: {bad}"
        )));
    }
    if let Some(pair) = percentiles.windows(2).find(|pair| pair[0] > pair[1]) {
        return Err(RpcError::InvalidParams(format!(
            "invalid reward percentile: {} follows {}",
            pair[1], pair[0]
        )));
    }
    Ok(())
}

fn fee_history<B: EthBackend>(
    api: &Api<B>,
    count: u64,
    newest: BlockNumberOrTag,
    percentiles: &[f64],
) -> Result<FeeHistory, RpcError> {
    let newest = api.block(newest.into())?.number();
    // Geth cuts a longer request to its limit, and clients rely on it.
    let count = count
        .min(FEE_HISTORY_BLOCKS_MAX)
        .min(newest.saturating_add(1));
    if count == 0 {
        return Ok(FeeHistory::default());
    }
    let oldest = newest + 1 - count;
    let spec = api.backend.spec();
    let blobs = spec.blob_params();
    let mut history = FeeHistory {
        oldest_block: oldest,
        ..FeeHistory::default()
    };
    let mut rewards = Vec::new();
    for number in oldest..=newest {
        let block = api.block(BlockId::number(number))?;
        let header = block.header.inner();
        history
            .base_fee_per_gas
            .push(header.base_fee_per_gas.unwrap_or(0).into());
        history
            .gas_used_ratio
            .push(ratio(header.gas_used, header.gas_limit));
        history
            .base_fee_per_blob_gas
            .push(header.blob_fee(blobs).unwrap_or(0));
        let blob_gas_max = blobs.max_blob_gas_per_block();
        history
            .blob_gas_used_ratio
            .push(ratio(header.blob_gas_used.unwrap_or(0), blob_gas_max));
        if !percentiles.is_empty() {
            rewards.push(tips_at(&block, percentiles));
        }
        if number == newest {
            history
                .base_fee_per_gas
                .push(spec.next_base_fee(header).into());
            let excess = spec.next_excess_blob_gas(header);
            history
                .base_fee_per_blob_gas
                .push(blobs.calc_blob_fee(excess));
        }
    }
    history.reward = (!percentiles.is_empty()).then_some(rewards);
    Ok(history)
}

/// The one place with floats: the answer's format asks for them, and no rule reads them.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// The tips paid at the given percentiles of the block's gas, in wei per gas.
fn tips_at(block: &BlockRecord, percentiles: &[f64]) -> Vec<u128> {
    let base_fee = block.header.base_fee_per_gas.unwrap_or(0);
    let mut tips: Vec<(u128, u64)> = block
        .transactions
        .iter()
        .enumerate()
        .map(|(index, tx)| {
            let tip = tx.effective_tip_per_gas(base_fee).unwrap_or(0);
            (tip, block.gas_used_by(index).unwrap_or(0))
        })
        .collect();
    tips.sort_unstable();
    let gas_used = block.header.gas_used;
    percentiles
        .iter()
        .map(|percentile| {
            let threshold = (gas_used as f64 * percentile / 100.0) as u64;
            let mut passed = 0u64;
            tips.iter()
                .find(|(_, gas)| {
                    passed = passed.saturating_add(*gas);
                    passed >= threshold
                })
                .or(tips.last())
                .map_or(0, |(tip, _)| *tip)
        })
        .collect()
}
