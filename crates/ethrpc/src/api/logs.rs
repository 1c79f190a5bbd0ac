//! `eth_getLogs` and polled filters.

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::U256;
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};
use cortado_evm::store::LogLimits;
use jsonrpsee::server::RegisterMethodError;
use serde_json::Value;

use super::{Api, Registry};
use crate::backend::EthBackend;
use crate::convert;
use crate::error::RpcError;
use crate::filters::{Changes, Kind};
use crate::limits::LOG_FILTER_ALTERNATIVES_MAX;

pub(super) fn register<B: EthBackend>(on: &mut Registry<B>) -> Result<(), RegisterMethodError> {
    on.heavy("eth_getLogs", 1, |api, args| {
        api.logs(&args.required("filter")?)
    })?;
    on.quick("eth_newFilter", 1, |api, args| {
        let filter: Filter = args.required("filter")?;
        check(&filter)?;
        api.add_filter(Kind::Logs(Box::new(filter)))
    })?;
    on.quick("eth_newBlockFilter", 0, |api, _| {
        api.add_filter(Kind::Blocks)
    })?;
    on.quick("eth_newPendingTransactionFilter", 1, |api, args| {
        if args.optional("full transactions")? == Some(true) {
            return Err(RpcError::InvalidParams(
                "polled filters return hashes only; subscribe for whole transactions".to_owned(),
            ));
        }
        api.add_filter(Kind::Transactions)
    })?;
    on.quick("eth_getFilterChanges", 1, |api, args| {
        let changes = api
            .filters()
            .poll(args.required("filter id")?, api.now_ms())?;
        Ok(match changes {
            Changes::Hashes(hashes) => serde_json::to_value(hashes),
            Changes::Logs(logs) => serde_json::to_value(logs),
        }
        .unwrap_or(Value::Null))
    })?;
    on.heavy("eth_getFilterLogs", 1, |api, args| {
        let filter = api
            .filters()
            .log_filter(args.required("filter id")?, api.now_ms())?;
        api.logs(&filter)
    })?;
    on.quick("eth_uninstallFilter", 1, |api, args| {
        Ok(api.filters().remove(args.required("filter id")?))
    })
}

/// Refuses filters that are costly to match.
pub(super) fn check(filter: &Filter) -> Result<(), RpcError> {
    let positions = filter.topics.iter().map(|topic| topic.len());
    let most = positions.chain([filter.address.len()]).max().unwrap_or(0);
    if most > LOG_FILTER_ALTERNATIVES_MAX {
        return Err(RpcError::LimitExceeded {
            what: "number of addresses or topics at one position",
            value: most as u64,
            limit: LOG_FILTER_ALTERNATIVES_MAX as u64,
        });
    }
    Ok(())
}

impl<B: EthBackend> Api<B> {
    fn add_filter(&self, kind: Kind) -> Result<U256, RpcError> {
        let id = U256::from(rand::random::<u128>());
        self.filters().add(id, kind, self.now_ms())?;
        Ok(id)
    }

    fn logs(&self, filter: &Filter) -> Result<Vec<Log>, RpcError> {
        check(filter)?;
        let (from, to) = match filter.block_option {
            FilterBlockOption::AtBlockHash(hash) => {
                let logs = convert::matching_logs(&*self.block(hash.into())?, filter, false);
                if logs.len() > self.limits.log_results {
                    return Err(RpcError::TooManyResults {
                        limit: self.limits.log_results,
                    });
                }
                return Ok(logs);
            }
            FilterBlockOption::Range {
                from_block,
                to_block,
            } => (from_block, to_block),
        };
        let latest = self.block(BlockNumberOrTag::Latest.into())?.number();
        let number = |at: Option<BlockNumberOrTag>| match at {
            None => Ok(latest),
            // Beyond the tip is no error: there are just no logs yet.
            Some(BlockNumberOrTag::Number(number)) => Ok(number),
            Some(tag) => Ok::<_, RpcError>(self.block(tag.into())?.number()),
        };
        let (from, to) = (number(from)?, number(to)?);
        if from > to {
            // Only two plain numbers contradict each other; a tag moves, and then there is just
            // nothing yet.
            return match filter.block_option {
                FilterBlockOption::Range {
                    from_block: Some(BlockNumberOrTag::Number(_)),
                    to_block: Some(BlockNumberOrTag::Number(_)),
                } => Err(RpcError::InvalidParams(format!(
                    "invalid block range: fromBlock {from} is after toBlock {to}"
                ))),
                _ => Ok(Vec::new()),
            };
        }
        let tip = self
            .block(BlockNumberOrTag::Pending.into())?
            .number()
            .max(latest);
        if from > tip {
            return Ok(Vec::new());
        }
        let to = to.min(tip);
        let limits = LogLimits {
            blocks: self.limits.log_range_blocks,
            logs: self.limits.log_results,
        };
        self.backend.logs(from, to, filter, &limits)
    }
}
