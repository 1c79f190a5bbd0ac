//! Steady traffic for a devnet: small transfers, round robin over the rollups.

use super::accounts;
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Signature, TxKind, U256};
use anyhow::{Context, Result, bail};
use cortado_types::{Address, ecdsa::SigningKey, keccak256};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often a batch is sent; at 1,000 transactions a second each carries fifty.
const TICK: Duration = Duration::from_millis(50);
/// Transactions in one batch request; the RPC server's limit is above it.
const BATCH_MAX: u64 = 50;

/// What the agent has done.
#[derive(Debug, Default)]
pub struct Counters {
    /// Transactions with a promise.
    pub promised: AtomicU64,
    /// Transactions refused.
    pub refused: AtomicU64,
}

/// Signs a plain transfer of one wei.
pub fn transfer(key: &SigningKey, chain_id: u64, nonce: u64, to: Address) -> TxEnvelope {
    let transaction = TxEip1559 {
        chain_id,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 1_000_000_000,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(to),
        value: U256::from(1),
        ..Default::default()
    };
    let signature = key.sign(transaction.signature_hash());
    let bytes: [u8; 65] = signature.0.0;
    let r = U256::from_be_slice(&bytes[..32]);
    let s = U256::from_be_slice(&bytes[32..64]);
    transaction
        .into_signed(Signature::new(r, s, bytes[64] == 28))
        .into()
}

/// One JSON-RPC request or batch.
pub async fn rpc(http: &reqwest::Client, url: &str, body: &Value) -> Result<Value> {
    let answer = http
        .post(url)
        .json(body)
        .send()
        .await
        .with_context(|| format!("asking {url}"))?;
    answer
        .json()
        .await
        .with_context(|| format!("reading the answer of {url}"))
}

async fn nonce(http: &reqwest::Client, url: &str, address: Address) -> Result<u64> {
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getTransactionCount",
        "params": [address, "pending"]});
    let answer = rpc(http, url, &request).await?;
    let Some(text) = answer["result"].as_str() else {
        bail!("{url} gave no nonce: {answer}")
    };
    Ok(u64::from_str_radix(text.trim_start_matches("0x"), 16)?)
}

/// Sends `tps` transactions a second to one rollup until the task is aborted.
pub async fn run(
    url: String,
    chain_id: u64,
    seed: u64,
    tps: f64,
    counters: Arc<Counters>,
) -> Result<()> {
    let http = reqwest::Client::new();
    let key = accounts::traffic_key(seed);
    let mut next = nonce(&http, &url, key.address()).await?;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (start, mut sent) = (Instant::now(), 0u64);
    loop {
        ticks.tick().await;
        let due = (start.elapsed().as_secs_f64() * tps) as u64;
        let count = due.saturating_sub(sent).min(BATCH_MAX);
        if count == 0 {
            continue;
        }
        let batch: Vec<Value> = (0..count)
            .map(|i| {
                let word = keccak256((next + i).to_be_bytes());
                let to = Address::from_slice(&word[12..]);
                let raw = transfer(&key, chain_id, next + i, to).encoded_2718();
                json!({"jsonrpc": "2.0", "id": i, "method": "eth_sendRawTransaction",
                    "params": [alloy_primitives::hex::encode_prefixed(raw)]})
            })
            .collect();
        sent += count;
        let answers = rpc(&http, &url, &Value::Array(batch))
            .await
            .unwrap_or_default();
        let promised = answers.as_array().map_or(0, |all| {
            all.iter().filter(|one| one["result"].is_string()).count() as u64
        });
        counters.promised.fetch_add(promised, Ordering::Relaxed);
        counters
            .refused
            .fetch_add(count - promised, Ordering::Relaxed);
        next += count;
        if promised < count {
            // Something was refused or lost on the way: ask where the account stands.
            tokio::time::sleep(Duration::from_millis(500)).await;
            if let Ok(pending) = nonce(&http, &url, key.address()).await {
                next = pending;
            }
        }
    }
}
