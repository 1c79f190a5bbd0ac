//! JSON-RPC as a user of a node speaks it.

use anyhow::{Context, Result};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::time::Duration;
use thiserror::Error;

/// How long a node may take to answer, unless the question says that it waits for something.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// JSON-RPC's code for a method that the server does not have.
const METHOD_NOT_FOUND: i64 = -32_601;

/// One node's JSON-RPC.
#[derive(Clone)]
pub struct Rpc {
    url: String,
    http: reqwest::Client,
}

/// A node's refusal.
#[derive(Clone, Debug, Error, Deserialize)]
#[error("{message} (code {code})")]
pub struct Refusal {
    code: i64,
    message: String,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    result: Value,
    error: Option<Refusal>,
}

impl Rpc {
    /// The node at `url`.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            http: reqwest::Client::new(),
        }
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Calls a method.
    ///
    /// # Errors
    /// If the node does not answer, refuses ([`Refusal`] is in the chain), or answers in another
    /// form.
    pub async fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T> {
        self.call_for(TIMEOUT, method, params).await
    }

    /// Calls a method that may take `timeout`.
    ///
    /// # Errors
    /// As [`Rpc::call`].
    pub async fn call_for<T: DeserializeOwned>(
        &self,
        timeout: Duration,
        method: &str,
        params: Value,
    ) -> Result<T> {
        let url = &self.url;
        let question = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = self.http.post(url).timeout(timeout).json(&question);
        let answer = request.send().await;
        let answer = answer.with_context(|| format!("asking {url} for {method}"))?;
        let answer = answer.json().await;
        let Answer { result, error } =
            answer.with_context(|| format!("{url} does not speak JSON-RPC"))?;
        if let Some(refusal) = error {
            return Err(refusal).with_context(|| format!("{url} refuses {method}"));
        }
        serde_json::from_value(result).with_context(|| format!("{method} of {url}"))
    }

    /// Calls a method that the node may not have; `None` then.
    ///
    /// # Errors
    /// As [`Rpc::call`], otherwise.
    pub async fn call_if_there<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
    ) -> Result<Option<T>> {
        let answer = self.call(method, params).await;
        let refused = |error: &anyhow::Error| {
            let refusal = error.downcast_ref::<Refusal>();
            refusal.is_some_and(|refusal| refusal.code == METHOD_NOT_FOUND)
        };
        match answer {
            Err(error) if refused(&error) => Ok(None),
            answer => answer.map(Some),
        }
    }
}
