//! Sending transactions and finding them again.

use std::time::Duration;

use alloy_consensus::Transaction as _;
use alloy_consensus::TxEnvelope;
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_eth::TransactionReceipt;
use jsonrpsee::server::RegisterMethodError;
use jsonrpsee::types::ErrorObjectOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};

use super::{Api, Registry};
use crate::args::Args;
use crate::backend::{ChainEvent, EthBackend};
use crate::convert;
use crate::error::{RpcError, SubmitError};
use crate::limits::{RAW_TRANSACTION_BYTES_MAX, SYNC_TIMEOUT_MS_DEFAULT, SYNC_TIMEOUT_MS_MAX};

pub(super) fn register<B: EthBackend>(on: &mut Registry<B>) -> Result<(), RegisterMethodError> {
    on.quick("eth_getTransactionByHash", 1, |api, args| {
        let hash: B256 = args.required("transaction hash")?;
        Ok(match api.backend.transaction(hash)? {
            Some(at) => convert::transaction(&at.block, at.index),
            None => api.backend.pooled(hash).map(convert::pooled_transaction),
        })
    })?;
    on.quick("eth_getRawTransactionByHash", 1, |api, args| {
        let hash: B256 = args.required("transaction hash")?;
        let included = api.backend.transaction(hash)?;
        Ok(match included {
            Some(at) => at
                .block
                .transactions
                .get(at.index)
                .map(TxEnvelope::encoded_2718),
            None => api.backend.pooled(hash).map(|tx| tx.encoded_2718()),
        }
        .map(Bytes::from))
    })?;
    on.quick("eth_getTransactionReceipt", 1, |api, args| {
        api.receipt(args.required("transaction hash")?)
    })?;
    on.0.register_async_method("eth_sendRawTransaction", |params, api, _| async move {
        let mut args = Args::new(&params, 1)?;
        let raw: Bytes = args.required("raw transaction")?;
        api.submit(raw).await.map_err(ErrorObjectOwned::from)
    })?;
    on.0.register_async_method("eth_sendRawTransactionSync", |params, api, _| async move {
        let mut args = Args::new(&params, 2)?;
        let raw: Bytes = args.required("raw transaction")?;
        let timeout: Option<Millis> = args.optional("timeout in ms")?;
        api.submit_and_wait(raw, timeout)
            .await
            .map_err(ErrorObjectOwned::from)
    })?;
    Ok(())
}

/// Milliseconds as number or as hex string: EIP-7966 shows a number, clients send both.
#[derive(Deserialize)]
#[serde(untagged)]
enum Millis {
    Number(u64),
    Hex(alloy_primitives::U64),
}

impl Millis {
    fn get(&self) -> u64 {
        match self {
            Self::Number(ms) => *ms,
            Self::Hex(ms) => ms.to(),
        }
    }
}

/// A receipt with what the chain adds to it.
#[derive(Clone, Serialize)]
struct Receipt {
    #[serde(flatten)]
    receipt: TransactionReceipt,
    #[serde(flatten)]
    more: serde_json::Map<String, serde_json::Value>,
}

impl<B: EthBackend> Api<B> {
    fn receipt(&self, hash: B256) -> Result<Option<Receipt>, RpcError> {
        let blobs = self.backend.spec().blob_params();
        let Some(at) = self.backend.transaction(hash)? else {
            return Ok(None);
        };
        let Some(receipt) = convert::receipt(&at.block, at.index, blobs) else {
            return Ok(None);
        };
        let more = self.backend.receipt_fields(&at)?;
        Ok(Some(Receipt { receipt, more }))
    }

    async fn submit(&self, raw: Bytes) -> Result<B256, RpcError> {
        let result = if raw.len() > RAW_TRANSACTION_BYTES_MAX {
            Err(SubmitError::Oversized {
                size: raw.len(),
                limit: RAW_TRANSACTION_BYTES_MAX,
            })
        } else {
            self.backend.submit(raw).await
        };
        match &result {
            Ok(_) => self.counters.transactions_accepted.inc(),
            Err(_) => self.counters.transactions_rejected.inc(),
        }
        Ok(result?)
    }

    /// EIP-7966: submits, then waits until a receipt can be shown.
    async fn submit_and_wait(
        &self,
        raw: Bytes,
        timeout: Option<Millis>,
    ) -> Result<Receipt, RpcError> {
        let timeout_ms = match timeout.map(|timeout| timeout.get()) {
            Some(0) => {
                return Err(RpcError::InvalidParams(
                    "timeout must be positive".to_owned(),
                ));
            }
            Some(ms) => ms.min(SYNC_TIMEOUT_MS_MAX),
            None => SYNC_TIMEOUT_MS_DEFAULT,
        };
        let deadline = Instant::now() + Duration::from_millis(timeout_ms);
        // Listening starts before submitting, so that no event falls in between.
        let mut events = self.backend.events();
        let nonce = TxEnvelope::decode_2718(&mut raw.as_ref())
            .map(|tx| tx.nonce())
            .ok();
        let hash = match self.submit(raw).await {
            Err(RpcError::Submit(SubmitError::NonceTooHigh { expected, nonce })) => {
                return Err(RpcError::SyncNonceGap { expected, nonce });
            }
            other => other?,
        };
        if let Some(tx) = self.backend.pooled(hash)
            && let Some(nonce) = nonce
        {
            let next = self.backend.pending_nonce(tx.signer())?;
            if nonce > next {
                return Err(RpcError::SyncNonceGap {
                    expected: next,
                    nonce,
                });
            }
        }
        loop {
            if let Some(receipt) = self.receipt(hash)? {
                return Ok(receipt);
            }
            match timeout_at(deadline, events.recv()).await {
                // The pool's traffic does not bring receipts.
                Ok(Ok(ChainEvent::Pooled(_))) => {}
                Ok(Ok(_) | Err(RecvError::Lagged(_))) => {}
                Ok(Err(RecvError::Closed)) => {
                    return Err(RpcError::Internal("the chain has stopped".to_owned()));
                }
                Err(_) if self.backend.pooled(hash).is_none() => {
                    // Taken, neither pooled nor included: it waits for something outside.
                    return Err(RpcError::SyncUnready { hash });
                }
                Err(_) => return Err(RpcError::SyncTimeout { hash, timeout_ms }),
            }
        }
    }
}
