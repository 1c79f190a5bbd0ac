//! Ethereum JSON-RPC: what deploying, sending and reading need of an L1 node.
//!
//! Everything goes through [`L1`], so that what is built on it can run against a chain in memory.

use alloy_primitives::{Address, B256, Bytes, U64, U128, U256};
use alloy_sol_types::SolCall;
use cortado_client::http::{self, ReadError, excerpt};
use futures::future::BoxFuture;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use thiserror::Error;

/// Time for a whole answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer: a contract's code is under 50 KiB as hex, a receipt with the events of 105
/// keys under 128 KiB.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Why an L1 node gives no usable answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RpcError {
    /// Not a URL.
    #[error("{url} is not a URL of an L1 node: {reason}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// Not reached, or the connection broke. May pass.
    #[error("L1 node {host}: {reason}")]
    Transport {
        /// Its host and port, without what may be secret in its URL.
        host: String,
        /// What happened.
        reason: String,
    },
    /// The node refuses.
    #[error("{method}: error {code}: {message}")]
    Refused {
        /// What was asked.
        method: &'static str,
        /// JSON-RPC code.
        code: i64,
        /// Its words.
        message: String,
    },
    /// The call would revert.
    #[error("{method} reverts: {reason}")]
    Reverted {
        /// What was asked.
        method: &'static str,
        /// The contract's error, or the node's words.
        reason: String,
    },
    /// Not the JSON it should be.
    #[error("answer to {method} is malformed: {reason}")]
    Malformed {
        /// What was asked.
        method: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl RpcError {
    /// Whether asking again may help.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Transport { .. } | Self::Malformed { .. })
    }
}

/// The newest block of the node's chain, as far as a sender needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Head {
    /// Number.
    #[serde(with = "hex_u64")]
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// Seconds since 1970.
    #[serde(with = "hex_u64")]
    pub timestamp: u64,
    /// Wei per gas; 0 before EIP-1559.
    #[serde(default, rename = "baseFeePerGas", with = "hex_u64")]
    pub base_fee: u64,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Block it is in.
    #[serde(with = "hex_u64")]
    pub block_number: u64,
    /// Hash of that block.
    pub block_hash: B256,
    /// Gas used.
    #[serde(with = "hex_u64")]
    pub gas_used: u64,
    /// Wei per gas paid.
    #[serde(default, with = "hex_u64")]
    pub effective_gas_price: u64,
    /// 1 if it succeeded.
    #[serde(with = "hex_u64")]
    pub status: u64,
}

mod hex_u64 {
    use super::U64;
    use serde::{Deserialize, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        Ok(U64::deserialize(from)?.to())
    }
}

/// An event that a contract emitted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Log {
    /// Block it is in.
    #[serde(with = "hex_u64")]
    pub block_number: u64,
    /// Transaction it is of.
    pub transaction_hash: B256,
    /// Which event, and its indexed fields.
    pub topics: Vec<B256>,
    /// Its other fields.
    pub data: Bytes,
}

/// A call or a transaction to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Sender.
    pub from: Address,
    /// Receiver; none to create a contract.
    pub to: Option<Address>,
    /// Wei.
    pub value: U256,
    /// Call data, or creation code.
    pub input: Bytes,
}

impl Request {
    fn json(&self) -> Value {
        let mut out = json!({ "from": self.from, "value": self.value, "data": self.input });
        if let Some(to) = self.to {
            out["to"] = json!(to);
        }
        out
    }
}

/// An L1 as this crate sees it.
pub trait L1: Send + Sync {
    /// EIP-155 id.
    fn chain_id(&self) -> BoxFuture<'_, Result<u64, RpcError>>;
    /// The newest block.
    fn head(&self) -> BoxFuture<'_, Result<Head, RpcError>>;
    /// Transactions that an account has sent, in blocks.
    fn nonce(&self, account: Address) -> BoxFuture<'_, Result<u64, RpcError>>;
    /// Balance in wei.
    fn balance(&self, account: Address) -> BoxFuture<'_, Result<U256, RpcError>>;
    /// Code of an account.
    fn code(&self, account: Address) -> BoxFuture<'_, Result<Bytes, RpcError>>;
    /// What a call would return after the newest block.
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Bytes, RpcError>>;
    /// Gas that a transaction needs.
    fn estimate_gas(&self, request: Request) -> BoxFuture<'_, Result<u64, RpcError>>;
    /// Tip that gets a transaction in soon, wei per gas.
    fn tip(&self) -> BoxFuture<'_, Result<u128, RpcError>>;
    /// Hands over a signed transaction.
    fn send(&self, raw: Bytes) -> BoxFuture<'_, Result<B256, RpcError>>;
    /// What became of a transaction; none while it is in no block.
    fn receipt(&self, hash: B256) -> BoxFuture<'_, Result<Option<Receipt>, RpcError>>;
    /// Events of one kind that a contract emitted, from one block to another, both included.
    fn logs(
        &self,
        contract: Address,
        event: B256,
        blocks: (u64, u64),
    ) -> BoxFuture<'_, Result<Vec<Log>, RpcError>>;
}

/// Asks a view of a contract.
///
/// # Errors
/// If the node does not answer, the view reverts, or its answer is none of `C`.
pub async fn view<C: SolCall + 'static>(
    l1: &dyn L1,
    to: Address,
    query: C,
) -> Result<C::Return, RpcError> {
    let request = Request {
        to: Some(to),
        input: query.abi_encode().into(),
        ..Request::default()
    };
    let output = l1.call(request).await?;
    C::abi_decode_returns(&output).map_err(|error| RpcError::Malformed {
        method: C::SIGNATURE,
        reason: if output.is_empty() {
            format!("there is no such contract at {to}")
        } else {
            error.to_string()
        },
    })
}

/// A node's JSON-RPC over HTTP.
#[derive(Debug)]
pub struct Rpc {
    url: reqwest::Url,
    http: reqwest::Client,
    id: AtomicU64,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    result: Value,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: i64,
    message: String,
    #[serde(default)]
    data: Value,
}

impl Rpc {
    /// A client of the node at `url`.
    ///
    /// # Errors
    /// If `url` is none.
    pub fn new(url: &str) -> Result<Self, RpcError> {
        let (mut base, http) = http::endpoint(url).map_err(|reason| RpcError::Url {
            url: url.to_owned(),
            reason,
        })?;
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        Ok(Self {
            url: base,
            http,
            id: AtomicU64::new(1),
        })
    }

    fn transport(&self, reason: impl Into<String>) -> RpcError {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        RpcError::Transport {
            host: format!("{host}:{port}"),
            reason: reason.into(),
        }
    }

    fn failed(&self, error: &reqwest::Error) -> RpcError {
        // The innermost cause: the outer ones repeat the URL, which may hold a secret.
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        self.transport(cause.to_string())
    }

    fn ask<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> BoxFuture<'_, Result<T, RpcError>> {
        Box::pin(async move {
            let id = self.id.fetch_add(1, Ordering::Relaxed);
            let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
            let exchange = async {
                let sent = self.http.post(self.url.clone()).json(&body).send().await;
                let response = sent.map_err(|error| self.failed(&error))?;
                let status = response.status();
                let read = http::read(response, ANSWER_BYTES_MAX).await;
                let bytes = read.map_err(|error| match error {
                    ReadError::TooLong => RpcError::Malformed {
                        method,
                        reason: format!("it is longer than {ANSWER_BYTES_MAX} bytes"),
                    },
                    ReadError::Transport(error) => self.failed(&error),
                })?;
                // JSON-RPC servers put errors into the body, whatever the status.
                if !status.is_success() && bytes.first() != Some(&b'{') {
                    let text = excerpt(&String::from_utf8_lossy(&bytes));
                    return Err(self.transport(format!("HTTP {status}: {text}")));
                }
                Ok(bytes)
            };
            let bytes = tokio::time::timeout(ANSWER_TIMEOUT, exchange)
                .await
                .map_err(|_| self.transport(format!("no answer to {method} in time")))??;
            let malformed = |error: serde_json::Error| RpcError::Malformed {
                method,
                reason: excerpt(&error.to_string()),
            };
            let answer: Answer = serde_json::from_slice(&bytes).map_err(malformed)?;
            match answer.error {
                Some(refusal) => Err(refused(method, refusal)),
                None => serde_json::from_value(answer.result).map_err(malformed),
            }
        })
    }
}

fn refused(method: &'static str, refusal: Refusal) -> RpcError {
    let message = excerpt(&refusal.message);
    let data: Option<Bytes> = serde_json::from_value(refusal.data).ok();
    // 3 is what nodes answer a call that reverts with; some say it in words alone.
    if refusal.code == 3 || message.contains("revert") {
        let reason = match data {
            Some(data) if !data.is_empty() => crate::genesis::describe_revert(&data),
            _ => message,
        };
        return RpcError::Reverted { method, reason };
    }
    RpcError::Refused {
        method,
        code: refusal.code,
        message,
    }
}

impl L1 for Rpc {
    fn chain_id(&self) -> BoxFuture<'_, Result<u64, RpcError>> {
        Box::pin(async { Ok(self.ask::<U64>("eth_chainId", json!([])).await?.to()) })
    }

    fn head(&self) -> BoxFuture<'_, Result<Head, RpcError>> {
        self.ask("eth_getBlockByNumber", json!(["latest", false]))
    }

    fn nonce(&self, account: Address) -> BoxFuture<'_, Result<u64, RpcError>> {
        let params = json!([account, "latest"]);
        Box::pin(async {
            let count: U64 = self.ask("eth_getTransactionCount", params).await?;
            Ok(count.to())
        })
    }

    fn balance(&self, account: Address) -> BoxFuture<'_, Result<U256, RpcError>> {
        self.ask("eth_getBalance", json!([account, "latest"]))
    }

    fn code(&self, account: Address) -> BoxFuture<'_, Result<Bytes, RpcError>> {
        self.ask("eth_getCode", json!([account, "latest"]))
    }

    fn call(&self, request: Request) -> BoxFuture<'_, Result<Bytes, RpcError>> {
        self.ask("eth_call", json!([request.json(), "latest"]))
    }

    fn estimate_gas(&self, request: Request) -> BoxFuture<'_, Result<u64, RpcError>> {
        Box::pin(async move {
            let params = json!([request.json()]);
            Ok(self.ask::<U64>("eth_estimateGas", params).await?.to())
        })
    }

    fn tip(&self) -> BoxFuture<'_, Result<u128, RpcError>> {
        Box::pin(async {
            let tip: U128 = self.ask("eth_maxPriorityFeePerGas", json!([])).await?;
            Ok(tip.to())
        })
    }

    fn send(&self, raw: Bytes) -> BoxFuture<'_, Result<B256, RpcError>> {
        self.ask("eth_sendRawTransaction", json!([raw]))
    }

    fn receipt(&self, hash: B256) -> BoxFuture<'_, Result<Option<Receipt>, RpcError>> {
        self.ask("eth_getTransactionReceipt", json!([hash]))
    }

    fn logs(
        &self,
        contract: Address,
        event: B256,
        (from, to): (u64, u64),
    ) -> BoxFuture<'_, Result<Vec<Log>, RpcError>> {
        let filter = json!({
            "address": contract,
            "topics": [event],
            "fromBlock": format!("{from:#x}"),
            "toBlock": format!("{to:#x}"),
        });
        self.ask("eth_getLogs", json!([filter]))
    }
}
