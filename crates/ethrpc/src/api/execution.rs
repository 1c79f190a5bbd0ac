//! Calls, gas estimates and access lists.

use alloy_eips::BlockId;
use alloy_primitives::{U64, U256};
use alloy_rpc_types_eth::state::StateOverride;
use alloy_rpc_types_eth::{AccessListResult, BlockOverrides, TransactionRequest};
use cortado_evm::builder::TxStatus;
use cortado_evm::{CallLimits, CallOutcome, CallRequest, call, create_access_list, estimate_gas};
use jsonrpsee::server::RegisterMethodError;

use super::{Api, Registry};
use crate::backend::EthBackend;
use crate::error::RpcError;

pub(super) fn register<B: EthBackend>(on: &mut Registry<B>) -> Result<(), RegisterMethodError> {
    on.heavy("eth_call", 4, |api, args| {
        let request: TransactionRequest = args.required("transaction")?;
        let context = api.context(args.optional::<BlockId>("block")?)?;
        let state: Option<StateOverride> = args.optional("state overrides")?;
        let block: Option<BlockOverrides> = args.optional("block overrides")?;
        let limits = call_limits(api);
        let spec = api.backend.spec();
        let request = CallRequest {
            transaction: &request,
            state: state.as_ref(),
            block: block.as_ref(),
        };
        let outcome = call(spec, &context, request, &limits)?;
        match &outcome.status {
            TxStatus::Success => Ok(outcome.output),
            TxStatus::Reverted => Err(RpcError::Reverted(outcome.output)),
            TxStatus::Halted(reason) => Err(RpcError::Refused(reason.to_string())),
        }
    })?;
    on.heavy("eth_estimateGas", 4, |api, args| {
        let request: TransactionRequest = args.required("transaction")?;
        // Wallets estimate for the transaction they are about to send, which follows `pending`.
        let at = args
            .optional::<BlockId>("block")?
            .unwrap_or(BlockId::pending());
        let context = api.context(Some(at))?;
        let state: Option<StateOverride> = args.optional("state overrides")?;
        let block: Option<BlockOverrides> = args.optional("block overrides")?;
        let limits = call_limits(api);
        let spec = api.backend.spec();
        let request = CallRequest {
            transaction: &request,
            state: state.as_ref(),
            block: block.as_ref(),
        };
        Ok(U64::from(estimate_gas(spec, &context, request, &limits)?))
    })?;
    on.heavy("eth_createAccessList", 3, |api, args| {
        let request: TransactionRequest = args.required("transaction")?;
        let at = args
            .optional::<BlockId>("block")?
            .unwrap_or(BlockId::pending());
        let context = api.context(Some(at))?;
        let state: Option<StateOverride> = args.optional("state overrides")?;
        let limits = call_limits(api);
        let request = CallRequest {
            state: state.as_ref(),
            ..CallRequest::new(&request)
        };
        let (access_list, outcome) =
            create_access_list(api.backend.spec(), &context, request, &limits)?;
        Ok(AccessListResult {
            access_list,
            gas_used: U256::from(outcome.gas_used),
            error: failure(&outcome),
        })
    })
}

fn call_limits<B: EthBackend>(api: &Api<B>) -> CallLimits {
    CallLimits {
        gas: api.limits.call_gas,
        ..CallLimits::default()
    }
}

fn failure(outcome: &CallOutcome) -> Option<String> {
    match &outcome.status {
        TxStatus::Success => None,
        TxStatus::Reverted => Some(RpcError::Reverted(outcome.output.clone()).to_string()),
        TxStatus::Halted(reason) => Some(reason.to_string()),
    }
}
