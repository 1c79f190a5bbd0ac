//! HTTP with bounds, for both sides of an L1 node.

use super::error::L1Error;
use cortado_client::http::{self, ReadError};
use reqwest::{Response, Url};
use std::time::Duration;

/// Time for a whole answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer, if nothing else is said: a block's transaction hashes at the largest gas limit
/// are under 1 MiB, a beacon's duties for an epoch under 64 KiB.
pub(super) const ANSWER_BYTES_MAX: usize = 4 << 20;

/// One server.
#[derive(Clone, Debug)]
pub(super) struct Http {
    pub(super) base: Url,
    client: reqwest::Client,
}

impl Http {
    pub(super) fn new(url: &str) -> Result<Self, L1Error> {
        let bad = |reason: String| L1Error::Url {
            url: url.to_owned(),
            reason,
        };
        let (base, client) = http::endpoint(url).map_err(bad)?;
        Ok(Self { base, client })
    }

    pub(super) fn failed(&self, error: &reqwest::Error) -> L1Error {
        // The innermost cause: the outer ones repeat the URL, which may hold a secret.
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            reason = cause.to_string();
            source = cause.source();
        }
        self.transport(reason)
    }

    fn transport(&self, reason: impl Into<String>) -> L1Error {
        let host = self.base.host_str().unwrap_or_default();
        let port = self.base.port_or_known_default().unwrap_or_default();
        L1Error::Transport {
            host: format!("{host}:{port}"),
            reason: reason.into(),
        }
    }

    /// `POST` of JSON to the URL as it was given; reads up to `limit` bytes of the answer.
    pub(super) async fn post(
        &self,
        method: &str,
        body: &serde_json::Value,
        limit: usize,
    ) -> Result<Vec<u8>, L1Error> {
        let mut url = self.base.clone();
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        let request = self.client.post(url).json(body);
        self.exchange((method, limit), true, request).await
    }

    /// `GET` of a path below the URL.
    pub(super) async fn get(&self, path: &str) -> Result<Vec<u8>, L1Error> {
        let what = (path, ANSWER_BYTES_MAX);
        self.exchange(what, false, self.request(path)?).await
    }

    /// Opens a stream below the URL; only its head has to come in time.
    pub(super) async fn open(&self, path: &str) -> Result<Response, L1Error> {
        let request = self.request(path)?.header("accept", "text/event-stream");
        let head = tokio::time::timeout(ANSWER_TIMEOUT, request.send());
        let response = head
            .await
            .map_err(|_| self.transport("no answer in time"))?;
        let response = response.map_err(|error| self.failed(&error))?;
        response
            .error_for_status()
            .map_err(|error| self.failed(&error))
    }

    fn request(&self, path: &str) -> Result<reqwest::RequestBuilder, L1Error> {
        let url = self.base.join(path).map_err(|error| L1Error::Url {
            url: path.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(self.client.get(url))
    }

    async fn exchange(
        &self,
        (method, limit): (&str, usize),
        is_rpc: bool,
        request: reqwest::RequestBuilder,
    ) -> Result<Vec<u8>, L1Error> {
        let answer = async {
            let response = request.send().await.map_err(|error| self.failed(&error))?;
            let status = response.status();
            let bytes = self.read(method, limit, response).await?;
            // JSON-RPC servers put errors into the body, whatever the status.
            let speaks = is_rpc && bytes.first() == Some(&b'{');
            if status.is_success() || speaks {
                return Ok(bytes);
            }
            let message = http::excerpt(&String::from_utf8_lossy(&bytes));
            let code = i64::from(status.as_u16());
            Err(L1Error::Refused {
                method: method.to_owned(),
                code,
                message,
            })
        };
        tokio::time::timeout(ANSWER_TIMEOUT, answer)
            .await
            .map_err(|_| self.transport(format!("no answer to {method} in time")))?
    }

    async fn read(
        &self,
        method: &str,
        limit: usize,
        response: Response,
    ) -> Result<Vec<u8>, L1Error> {
        http::read(response, limit)
            .await
            .map_err(|error| match error {
                ReadError::TooLong => L1Error::TooLong {
                    method: method.to_owned(),
                    limit,
                },
                ReadError::Transport(error) => self.failed(&error),
            })
    }
}
