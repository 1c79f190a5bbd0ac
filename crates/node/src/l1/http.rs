//! HTTP with bounds, for both sides of an L1 node.

use super::error::L1Error;
use futures::StreamExt;
use reqwest::{Response, Url, redirect::Policy};
use std::time::Duration;

/// Time for a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for a whole answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer: a block's transaction hashes at the largest gas limit are under 1 MiB, a
/// beacon's duties for an epoch under 64 KiB.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Characters of foreign words repeated in an error.
const WORDS_CHARS_MAX: usize = 200;

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
        let mut base = Url::parse(url).map_err(|error| bad(error.to_string()))?;
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT);
        match base.scheme() {
            "https" => {}
            // Without TLS no certificates of the system are needed, so a machine may have none.
            "http" => builder = builder.tls_certs_only(std::iter::empty()),
            other => return Err(bad(format!("scheme {other} is neither http nor https"))),
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let client = builder.build().map_err(|error| bad(error.to_string()))?;
        Ok(Self { base, client })
    }

    pub(super) fn failed(&self, error: &reqwest::Error) -> L1Error {
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

    /// `POST` of JSON to the URL as it was given.
    pub(super) async fn post(
        &self,
        method: &str,
        body: &serde_json::Value,
    ) -> Result<Vec<u8>, L1Error> {
        let mut url = self.base.clone();
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        self.exchange(method, true, self.client.post(url).json(body))
            .await
    }

    /// `GET` of a path below the URL.
    pub(super) async fn get(&self, path: &str) -> Result<Vec<u8>, L1Error> {
        self.exchange(path, false, self.request(path)?).await
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
        method: &str,
        is_rpc: bool,
        request: reqwest::RequestBuilder,
    ) -> Result<Vec<u8>, L1Error> {
        let answer = async {
            let response = request.send().await.map_err(|error| self.failed(&error))?;
            let status = response.status();
            let bytes = self.read(method, response).await?;
            // JSON-RPC servers put errors into the body, whatever the status.
            let speaks = is_rpc && bytes.first() == Some(&b'{');
            if status.is_success() || speaks {
                return Ok(bytes);
            }
            let message = words(&String::from_utf8_lossy(&bytes));
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

    async fn read(&self, method: &str, response: Response) -> Result<Vec<u8>, L1Error> {
        let mut bytes = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| self.failed(&error))?;
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                let method = method.to_owned();
                return Err(L1Error::TooLong {
                    method,
                    limit: ANSWER_BYTES_MAX,
                });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

pub(super) fn words(text: &str) -> String {
    text.chars().take(WORDS_CHARS_MAX).collect()
}
