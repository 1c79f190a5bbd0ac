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
#[derive(Clone)]
pub(super) struct Http {
    base: Url,
    client: reqwest::Client,
}

// What is derived would show the URL, and in it the secrets.
impl std::fmt::Debug for Http {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.shown())
    }
}

/// Scheme, host and port of what should be a URL: keys of providers stand in user name, path and
/// query.
fn shown(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    scheme + host
}

impl Http {
    pub(super) fn new(url: &str) -> Result<Self, L1Error> {
        let bad = |reason: String| L1Error::Url {
            url: shown(url),
            reason,
        };
        let (base, client) = http::endpoint(url).map_err(bad)?;
        Ok(Self { base, client })
    }

    /// Scheme, host and port, to be shown.
    pub(super) fn shown(&self) -> String {
        let port = self.base.port_or_known_default().unwrap_or_default();
        let host = self.base.host_str().unwrap_or_default();
        format!("{}://{host}:{port}", self.base.scheme())
    }

    /// A foreign text without the secrets of our URL: some servers repeat the path they were asked
    /// for.
    pub(super) fn redact(&self, text: &str) -> String {
        let path = self.base.path().trim_matches('/');
        let secrets = [path, self.base.username()].into_iter();
        let secrets = secrets.chain(self.base.query()).chain(self.base.password());
        let mut text = text.to_owned();
        for secret in secrets.filter(|secret| !secret.is_empty()) {
            text = text.replace(secret, "…");
        }
        http::excerpt(&text)
    }

    pub(super) fn failed(&self, error: reqwest::Error) -> L1Error {
        let error = error.without_url();
        // The innermost cause says what happened.
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            reason = cause.to_string();
            source = cause.source();
        }
        self.transport(reason)
    }

    pub(super) fn transport(&self, reason: impl Into<String>) -> L1Error {
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
        let response = response.map_err(|error| self.failed(error))?;
        response
            .error_for_status()
            .map_err(|error| self.failed(error))
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
            let response = request.send().await.map_err(|error| self.failed(error))?;
            let status = response.status();
            let bytes = self.read(method, limit, response).await?;
            // JSON-RPC servers put errors into the body, whatever the status.
            let speaks = is_rpc && bytes.first() == Some(&b'{');
            if status.is_success() || speaks {
                return Ok(bytes);
            }
            let message = self.redact(&String::from_utf8_lossy(&bytes));
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
                ReadError::Transport(error) => self.failed(error),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_urls_of_l1_nodes_are_not_shown() {
        let url = "https://user:pass@node.example:8545/v3/s3cr3t?key=hidden";
        let http = Http::new(url).unwrap();
        assert_eq!(http.shown(), "https://node.example:8545");
        assert_eq!(format!("{http:?}"), http.shown());
        assert_eq!(
            http.redact("Cannot POST /v3/s3cr3t?key=hidden as user:pass"),
            "Cannot POST /…?… as …:…"
        );
        for bad in [
            "ws://user:pass@node.example/v3/s3cr3t",
            "https://user:pass@node.example:port/v3/s3cr3t",
            "node.example/v3/s3cr3t?key=hidden",
        ] {
            let error = Http::new(bad).unwrap_err().to_string();
            assert!(error.contains("node.example"), "{error}");
            for secret in ["user", "pass", "s3cr3t", "hidden"] {
                assert!(!error.contains(secret), "{error}");
            }
        }
    }
}
