//! Blocks, and the transactions in them.

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, U64};
use alloy_rpc_types_eth::Index;
use jsonrpsee::server::RegisterMethodError;
use serde_json::Value;

use super::Registry;
use crate::backend::EthBackend;
use crate::convert;

pub(super) fn register<B: EthBackend>(on: &mut Registry<B>) -> Result<(), RegisterMethodError> {
    on.quick("eth_blockNumber", 0, |api, _| {
        Ok(U64::from(api.block(BlockId::latest())?.number()))
    })?;
    on.quick("eth_getBlockByHash", 2, |api, args| {
        let hash: B256 = args.required("block hash")?;
        let full = args.optional("full transactions")?.unwrap_or(false);
        Ok(api
            .find(hash.into())?
            .map(|block| convert::block(&block, full)))
    })?;
    on.quick("eth_getBlockByNumber", 2, |api, args| {
        let number: BlockNumberOrTag = args.required("block number")?;
        let full = args.optional("full transactions")?.unwrap_or(false);
        Ok(api
            .find(number.into())?
            .map(|block| convert::block(&block, full)))
    })?;
    on.quick("eth_getHeaderByHash", 1, |api, args| {
        let hash: B256 = args.required("block hash")?;
        Ok(api.find(hash.into())?.map(|block| convert::header(&block)))
    })?;
    on.quick("eth_getHeaderByNumber", 1, |api, args| {
        let number: BlockNumberOrTag = args.required("block number")?;
        Ok(api
            .find(number.into())?
            .map(|block| convert::header(&block)))
    })?;
    on.quick("eth_getBlockReceipts", 1, |api, args| {
        let at: BlockId = args.required("block")?;
        let blobs = api.backend.spec().blob_params();
        Ok(api.find(at)?.map(|block| convert::receipts(&block, blobs)))
    })?;
    on.quick("eth_getBlockTransactionCountByHash", 1, |api, args| {
        let hash: B256 = args.required("block hash")?;
        Ok(api
            .find(hash.into())?
            .map(|block| U64::from(block.transactions.len())))
    })?;
    on.quick("eth_getBlockTransactionCountByNumber", 1, |api, args| {
        let number: BlockNumberOrTag = args.required("block number")?;
        Ok(api
            .find(number.into())?
            .map(|block| U64::from(block.transactions.len())))
    })?;
    on.quick("eth_getTransactionByBlockHashAndIndex", 2, |api, args| {
        let hash: B256 = args.required("block hash")?;
        let index: Index = args.required("index")?;
        let block = api.find(hash.into())?;
        Ok(block.and_then(|block| convert::transaction(&block, index.into())))
    })?;
    on.quick("eth_getTransactionByBlockNumberAndIndex", 2, |api, args| {
        let number: BlockNumberOrTag = args.required("block number")?;
        let index: Index = args.required("index")?;
        let block = api.find(number.into())?;
        Ok(block.and_then(|block| convert::transaction(&block, index.into())))
    })?;
    // Since the merge there are no uncles.
    on.quick("eth_getUncleCountByBlockHash", 1, |api, args| {
        let hash: B256 = args.required("block hash")?;
        Ok(api.find(hash.into())?.map(|_| U64::ZERO))
    })?;
    on.quick("eth_getUncleCountByBlockNumber", 1, |api, args| {
        let number: BlockNumberOrTag = args.required("block number")?;
        Ok(api.find(number.into())?.map(|_| U64::ZERO))
    })?;
    on.quick("eth_getUncleByBlockHashAndIndex", 2, |_, _| Ok(Value::Null))?;
    on.quick("eth_getUncleByBlockNumberAndIndex", 2, |_, _| {
        Ok(Value::Null)
    })
}
