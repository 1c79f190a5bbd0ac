//! A running L1 and clients of it. Waits are for conditions; their limit only ends a hung test.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy_primitives::{B256, U256};
use cortado_devl1::{Config, Handle, Prefunded, start};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::testing::{Account, CHAIN_ID, RICH_WEI, contracts};

/// Ends a test that hangs; nothing is measured against it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A short slot: stories are told in slots.
pub const SLOT_MS: u64 = 100;

pub struct L1 {
    pub handle: Handle,
    pub dir: TempDir,
    http: reqwest::Client,
}

pub fn config(dir: &Path) -> Config {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let accounts = (1..=4).map(|number| Account::new(number).address);
    Config {
        chain_id: CHAIN_ID,
        slot_ms: SLOT_MS,
        slots_per_epoch: 4,
        genesis_time_ms: now * 1_000,
        prefunded: accounts
            .map(|address| Prefunded {
                address,
                wei: RICH_WEI,
            })
            .collect(),
        alloc: BTreeMap::from_iter(contracts()),
        data_dir: dir.to_owned(),
        rpc_addr: "127.0.0.1:0".parse().expect("an address"),
        beacon_addr: "127.0.0.1:0".parse().expect("an address"),
        seed: 7,
        validators: 8,
        finality_lag_epochs: 2,
    }
}

impl L1 {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let handle = start(config(dir.path())).await.expect("starts");
        Self::around(handle, dir)
    }

    pub fn around(handle: Handle, dir: TempDir) -> Self {
        Self {
            handle,
            dir,
            http: reqwest::Client::new(),
        }
    }

    pub fn rpc_url(&self) -> String {
        format!("http://{}", self.handle.rpc_addr())
    }

    /// Posts a body as it is; status and text of the answer.
    pub async fn post(&self, body: impl Into<reqwest::Body>) -> (u16, String) {
        let request = self
            .http
            .post(self.rpc_url())
            .header("content-type", "application/json")
            .body(body);
        let answer = request.send().await.expect("an answer");
        (
            answer.status().as_u16(),
            answer.text().await.expect("a text"),
        )
    }

    /// The whole answer to a call.
    pub async fn answer(&self, method: &str, params: Value) -> Value {
        rpc(&self.rpc_url(), method, params).await
    }

    /// The result of a call that has to succeed.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        let mut answer = self.answer(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    /// Code, message and data of a call that has to fail.
    pub async fn refusal(&self, method: &str, params: Value) -> (i64, String, Value) {
        let answer = self.answer(method, params).await;
        let error = &answer["error"];
        assert!(error.is_object(), "{method}: {answer}");
        let message = error["message"].as_str().expect("a message").to_owned();
        (
            error["code"].as_i64().expect("a code"),
            message,
            error["data"].clone(),
        )
    }

    /// The receipt of a transaction, once it has one.
    pub async fn receipt(&self, hash: &Value) -> Value {
        self.eventually(|| async {
            let receipt = self.call("eth_getTransactionReceipt", json!([hash])).await;
            (!receipt.is_null()).then_some(receipt)
        })
        .await
    }

    pub async fn number(&self, tag: &str) -> u64 {
        quantity(&self.call("eth_getBlockByNumber", json!([tag, false])).await["number"])
    }

    /// Waits until `latest` has at least a number.
    pub async fn reach(&self, number: u64) {
        self.eventually(|| async { (self.number("latest").await >= number).then_some(()) })
            .await;
    }

    /// Repeats a question until it has an answer.
    pub async fn eventually<T, F: Future<Output = Option<T>>>(&self, ask: impl Fn() -> F) -> T {
        until_some(ask).await
    }

    /// GETs from the beacon API; status and JSON.
    pub async fn beacon(&self, path: &str) -> (u16, Value) {
        let url = format!("http://{}{path}", self.handle.beacon_addr());
        let answer = self.http.get(url).send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.json().await.expect("JSON"))
    }

    /// GETs what has to be there.
    pub async fn beacon_ok(&self, path: &str) -> Value {
        let (status, value) = self.beacon(path).await;
        assert_eq!(status, 200, "{path}: {value}");
        value
    }
}

/// Repeats a question until it has an answer.
pub async fn until_some<T, F: Future<Output = Option<T>>>(ask: impl Fn() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .expect("it never came")
}

/// The whole answer of the L1 at a URL.
pub async fn rpc(url: &str, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let answer = reqwest::Client::new()
        .post(url)
        .json(&body)
        .send()
        .await
        .expect("an answer");
    answer.json().await.expect("JSON")
}

/// A 0x-hex quantity.
pub fn quantity(value: &Value) -> u64 {
    let text = value
        .as_str()
        .unwrap_or_else(|| panic!("not a quantity: {value}"));
    let number: U256 = text.parse().expect("a quantity");
    number.to()
}

/// A decimal string.
pub fn decimal(value: &Value) -> u64 {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a decimal: {value}"))
        .parse()
        .expect("a decimal")
}

pub fn hash(value: &Value) -> B256 {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a hash: {value}"))
        .parse()
        .expect("a hash")
}
