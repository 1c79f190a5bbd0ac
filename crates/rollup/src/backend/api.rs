//! The `cortado_*` methods beside Ethereum's.

use super::RollupNode;
use crate::source::TransactionSink;
use cortado_ethrpc::{Counters, Limits};
use cortado_types::B256;
use jsonrpsee::{RpcModule, core::RegisterMethodError, types::ErrorObjectOwned};
use serde_json::json;
use std::sync::Arc;

/// All methods of a rollup node:
///
/// | method | result |
/// |---|---|
/// | `eth_*`, `net_*`, `web3_*` | Ethereum's |
/// | `cortado_getPromise(hash)` | `{inclusion, execution}` signed by the proposer, or null |
/// | `cortado_status(hash)` | [`super::Status`] |
/// | `cortado_finality()` | [`super::Finality`] |
/// | `cortado_namespace()` | the rollup's namespace, proposer, inbox on L1 and least tips |
///
/// # Errors
/// Never: the names are distinct.
pub fn module<T: TransactionSink>(
    node: Arc<RollupNode<T>>,
    limits: Limits,
    counters: Arc<Counters>,
) -> Result<RpcModule<()>, RegisterMethodError> {
    let mut methods = cortado_ethrpc::module(node.clone(), limits, counters)?;
    let mut own = RpcModule::from_arc(node);
    own.register_async_method("cortado_getPromise", |params, node, _| async move {
        let (hash,): (B256,) = params.parse()?;
        node.promises(hash).await.map_err(ErrorObjectOwned::from)
    })?;
    own.register_method("cortado_status", |params, node, _| {
        let (hash,): (B256,) = params.parse()?;
        node.status(hash).map_err(ErrorObjectOwned::from)
    })?;
    own.register_method("cortado_finality", |_, node, _| {
        serde_json::to_value(node.finality()).map_err(|error| {
            ErrorObjectOwned::from(cortado_ethrpc::RpcError::Internal(error.to_string()))
        })
    })?;
    own.register_method("cortado_namespace", |_, node, _| {
        let spec = &node.shared.spec;
        json!({
            "namespace": spec.namespace, "proposer": node.proposer,
            "inbox": spec.inbox, "tips": spec.tips,
        })
    })?;
    methods.merge(own.remove_context())?;
    Ok(methods)
}
