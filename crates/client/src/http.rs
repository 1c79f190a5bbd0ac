//! HTTP with bounds: of whatever server, and of one node.

use crate::{
    api::{ErrorBody, limits::ANSWER_BYTES_MAX},
    error::{ClientError, Lie, Unverified},
};
use futures::StreamExt;
use reqwest::{Response, Url, redirect::Policy};
use serde::de::DeserializeOwned;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Time for a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for a whole answer: 32 MiB at the slowest link an operator should have.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Time for the head of an event stream.
const STREAM_HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a refusal that are read; the rest is cut.
const REFUSAL_BYTES_MAX: usize = 4 << 10;
/// Bytes of a foreign text that go into an error.
const EXCERPT_CHARS_MAX: usize = 200;

/// One node, and what we hold against it.
#[derive(Debug)]
pub(crate) struct Node {
    base: Url,
    http: reqwest::Client,
    faults: AtomicU64,
    last_fault: Mutex<Option<String>>,
}

impl Node {
    pub(crate) fn new(url: &str) -> Result<Self, ClientError> {
        let bad = |reason: String| ClientError::Url {
            url: url.to_owned(),
            reason,
        };
        let (base, http) = endpoint(url).map_err(bad)?;
        Ok(Self {
            base,
            http,
            faults: AtomicU64::new(0),
            last_fault: Mutex::default(),
        })
    }

    pub(crate) fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    pub(crate) fn blame(&self, reason: &dyn std::fmt::Display) {
        self.faults.fetch_add(1, Ordering::Relaxed);
        *self
            .last_fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(reason.to_string());
    }

    pub(crate) fn faults(&self) -> (u64, Option<String>) {
        let last = self
            .last_fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        (self.faults.load(Ordering::Relaxed), last)
    }

    pub(crate) fn transport(&self, reason: impl Into<String>) -> ClientError {
        ClientError::Transport {
            url: self.url().to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn lied(&self, lie: Lie) -> ClientError {
        ClientError::Lied {
            url: self.url().to_owned(),
            lie,
        }
    }

    pub(crate) fn unverified(&self, error: Unverified) -> ClientError {
        match error {
            Unverified::Lie(lie) => self.lied(lie),
            Unverified::UnknownTerm(term) => ClientError::UnknownTerm { term },
        }
    }

    /// `GET path` as JSON; `path` is relative, without a leading slash.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let answer = async {
            let response = self.send(path, &[]).await?;
            self.read(response, ANSWER_BYTES_MAX).await
        };
        let bytes = tokio::time::timeout(ANSWER_TIMEOUT, answer)
            .await
            .map_err(|_| self.transport(format!("no whole answer to {path} in time")))??;
        serde_json::from_slice(&bytes).map_err(|error| self.lied(Lie::Shape(error.to_string())))
    }

    /// Opens an event stream.
    pub(crate) async fn open(
        &self,
        path: &str,
        headers: &[(&'static str, String)],
    ) -> Result<Response, ClientError> {
        tokio::time::timeout(STREAM_HEAD_TIMEOUT, self.send(path, headers))
            .await
            .map_err(|_| self.transport(format!("no answer to {path} in time")))?
    }

    async fn send(
        &self,
        path: &str,
        headers: &[(&'static str, String)],
    ) -> Result<Response, ClientError> {
        let url = self.base.join(path).map_err(|error| ClientError::Url {
            url: path.to_owned(),
            reason: error.to_string(),
        })?;
        let mut request = self.http.get(url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let response = request
            .send()
            .await
            .map_err(|error| self.transport(chain(&error)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let bytes = self.read(response, REFUSAL_BYTES_MAX).await?;
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| ErrorBody {
            code: "unreadable".to_owned(),
            message: excerpt(&String::from_utf8_lossy(&bytes)),
            value: None,
            limit: None,
        });
        Err(ClientError::Refused {
            url: self.url().to_owned(),
            status: status.as_u16(),
            body,
        })
    }

    async fn read(&self, response: Response, limit: usize) -> Result<Vec<u8>, ClientError> {
        read(response, limit).await.map_err(|error| match error {
            ReadError::TooLong => self.lied(Lie::TooLong { limit }),
            ReadError::Transport(error) => self.transport(chain(&error)),
        })
    }
}

/// A server's base URL, ending in a slash, and a client for it that follows no redirect and no
/// proxy of the environment.
///
/// # Errors
/// If it is no http or https URL, in words.
pub fn endpoint(url: &str) -> Result<(Url, reqwest::Client), String> {
    let mut base = Url::parse(url).map_err(|error| error.to_string())?;
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT);
    match base.scheme() {
        "https" => {}
        // Without TLS no certificates of the system are needed, so a machine may have none.
        "http" => builder = builder.tls_certs_only(std::iter::empty()),
        other => return Err(format!("scheme {other} is neither http nor https")),
    }
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    let client = builder.build().map_err(|error| chain(&error))?;
    Ok((base, client))
}

/// Why an answer was not read to its end.
#[derive(Debug)]
pub enum ReadError {
    /// Longer than the limit.
    TooLong,
    /// The connection failed.
    Transport(reqwest::Error),
}

/// Reads an answer of at most `limit` bytes. A length that was announced is not believed: bytes are
/// counted as they come.
///
/// # Errors
/// [`ReadError`].
pub async fn read(response: Response, limit: usize) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(ReadError::Transport)?;
        if bytes.len() + chunk.len() > limit {
            return Err(ReadError::TooLong);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// An error with its causes: reqwest's own words alone do not say why.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The beginning of a foreign text, for an error.
pub fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT_CHARS_MAX).collect()
}
