//! What an L1 block queued for a rollup (R12), from the block's receipts.
//!
//! Nothing here has to be believed: the receipts have the root that the header names.

use super::{config::L1NodeConfig, error::L1Error, nodes::L1Nodes, rpc::L1Rpc};
use alloy_consensus::{Eip658Value, Receipt, ReceiptWithBloom};
use alloy_primitives::{Bloom, Log, LogData, U8, U64};
use alloy_rlp::Encodable;
use cortado_derive::{Entry, InboxError, entries_of};
use cortado_l1::full_header;
use cortado_rollup::source::{QueueSource, SourceError};
use cortado_types::{Address, B256, Bytes, L1Config, keccak256};
use serde::Deserialize;
use serde_json::json;

/// Bytes of an answer without any receipt in it.
const RECEIPTS_BYTES_MIN: u64 = 64 << 10;
/// Bytes of JSON that a block's receipts take at most for each gas that it used. The most there can be
/// come from empty logs: some 400 bytes, with all that repeats the block, for 375 gas, a fifth of which
/// is given back; this is three times as much, for servers that say more or write with spaces.
const RECEIPTS_BYTES_PER_GAS: u64 = 4;

/// A receipt as far as it is part of what the header commits to.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RpcReceipt {
    #[serde(default, rename = "type")]
    kind: U8,
    status: U64,
    cumulative_gas_used: U64,
    logs_bloom: Bloom,
    logs: Vec<RpcLog>,
}

#[derive(Deserialize)]
struct RpcLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
}

impl RpcReceipt {
    /// As EIP-2718 has it. Types that are not known have the fields of those that are, or a root
    /// that does not fit.
    fn encode(self) -> Bytes {
        let log = |log: RpcLog| Log {
            address: log.address,
            data: LogData::new_unchecked(log.topics, log.data),
        };
        let receipt = Receipt {
            status: Eip658Value::Eip658(!self.status.is_zero()),
            cumulative_gas_used: self.cumulative_gas_used.to(),
            logs: self.logs.into_iter().map(log).collect(),
        };
        let mut raw = Vec::new();
        if !self.kind.is_zero() {
            raw.push(self.kind.to());
        }
        ReceiptWithBloom::new(receipt, self.logs_bloom).encode(&mut raw);
        raw.into()
    }
}

/// What L1 blocks queued for rollups, read through endpoints of which any will do.
pub struct L1Queues(Option<L1Nodes>);

impl L1Queues {
    /// Reads from the endpoints of `node`; nothing is read for a rollup without an inbox.
    ///
    /// # Errors
    /// If a URL is none, or there is none though there is an inbox.
    pub fn start(
        node: Option<&L1NodeConfig>,
        config: &L1Config,
        inbox: Option<Address>,
    ) -> Result<Self, L1Error> {
        let Some(inbox) = inbox else {
            return Ok(Self(None));
        };
        let node = node.ok_or(L1Error::NoNode { inbox })?;
        Ok(Self(Some(L1Nodes::start(&node.rpc, config)?)))
    }
}

impl QueueSource for L1Queues {
    async fn queue(&self, header: &Bytes, inbox: Address) -> Result<Vec<Entry>, SourceError> {
        let lost = |error: L1Error| SourceError(error.to_string());
        let Some(nodes) = &self.0 else {
            return Err(SourceError(format!("no L1 node to read {inbox} from")));
        };
        let read = nodes.ask(|rpc| {
            let header = header.clone();
            Box::pin(async move {
                match rpc.read_queue(&header, inbox).await {
                    // Of a fork that it does not follow: no fault of the endpoint's.
                    Err(missing @ L1Error::NoReceipts { .. }) => Ok(Err(missing)),
                    other => other.map(Ok),
                }
            })
        });
        read.await.map_err(lost)?.map_err(lost)
    }
}

impl L1Rpc {
    /// The calls that the block with this header (RLP) queued in `inbox`, in order. The node is asked
    /// only if the header's bloom leaves it open.
    ///
    /// # Errors
    /// [`L1Error`] if it is no header, or the node does not answer well; [`L1Error::is_lie`] if what it
    /// answers are not the block's receipts.
    pub async fn read_queue(
        &self,
        raw_header: &[u8],
        inbox: Address,
    ) -> Result<Vec<Entry>, L1Error> {
        let header = full_header(raw_header).map_err(InboxError::from)?;
        if !cortado_derive::needs_receipts(raw_header, inbox).map_err(InboxError::from)? {
            return Ok(Vec::new());
        }
        let hash = keccak256(raw_header);
        let bytes = header.gas_used.saturating_mul(RECEIPTS_BYTES_PER_GAS);
        let limit = bytes.saturating_add(RECEIPTS_BYTES_MIN);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let method = "eth_getBlockReceipts";
        let receipts: Option<Vec<RpcReceipt>> =
            self.call_within(method, json!([hash]), limit).await?;
        let receipts = receipts.ok_or(L1Error::NoReceipts {
            number: header.number,
            hash,
        })?;
        let receipts: Vec<Bytes> = receipts.into_iter().map(RpcReceipt::encode).collect();
        Ok(entries_of(raw_header, &receipts, inbox)?)
    }
}
