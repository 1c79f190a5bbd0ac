//! The rollup node's side.

use super::{Cursor, NOTIFICATION_BYTES_MAX};
use crate::source::{
    Numbered, PreconfEvent, PreconfSource, Promises, SourceError, Submitted, TransactionSink,
};
use cortado_ethrpc::SubmitError;
use cortado_types::{B256, Bytes, Namespace};
use jsonrpsee::{
    core::{
        ClientError,
        client::{ClientT, Subscription, SubscriptionClientT},
    },
    rpc_params,
    types::error::INVALID_PARAMS_CODE,
    ws_client::{PingConfig, WsClient, WsClientBuilder},
};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// Calls of one connection under way.
const CALLS_MAX: usize = crate::gateway::actor::SUBMISSIONS_MAX;
/// A proposer answers within milliseconds; one that takes this long is gone.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Notifications held for a reader that is busy; one that falls further behind starts over.
const NOTIFICATIONS_HELD_MAX: usize = 1_024;
/// Pause before connecting again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);

async fn connect(url: &str) -> Result<WsClient, SourceError> {
    WsClientBuilder::default()
        .connection_timeout(CONNECT_TIMEOUT)
        .request_timeout(CALL_TIMEOUT)
        .max_concurrent_requests(CALLS_MAX)
        .max_buffer_capacity_per_subscription(NOTIFICATIONS_HELD_MAX)
        .max_response_size(NOTIFICATION_BYTES_MAX)
        .enable_ws_ping(PingConfig::new())
        .build(url)
        .await
        .map_err(|error| SourceError(format!("proposer at {url}: {error}")))
}

/// A connection to the proposer of one namespace; made when needed, and again when lost.
#[derive(Debug)]
pub struct ProposerClient {
    url: String,
    namespace: Namespace,
    client: Mutex<Option<Arc<WsClient>>>,
}

impl ProposerClient {
    /// Of the proposer of `namespace` at `url` (`ws://…`). Nothing is sent yet.
    pub fn new(url: impl Into<String>, namespace: Namespace) -> Self {
        Self {
            url: url.into(),
            namespace,
            client: Mutex::new(None),
        }
    }

    async fn client(&self) -> Result<Arc<WsClient>, SourceError> {
        let mut slot = self.client.lock().await;
        match slot.as_ref().filter(|client| client.is_connected()) {
            Some(client) => Ok(client.clone()),
            None => {
                let client = Arc::new(connect(&self.url).await?);
                *slot = Some(client.clone());
                Ok(client)
            }
        }
    }
}

impl TransactionSink for ProposerClient {
    async fn send(&self, raw: Bytes) -> Result<Submitted, SubmitError> {
        let client = self
            .client()
            .await
            .map_err(|error| SubmitError::Other(error.0))?;
        let params = rpc_params![self.namespace, raw];
        match client.request("proposer_sendRawTransaction", params).await {
            Ok(submitted) => Ok(submitted),
            Err(ClientError::Call(error)) if error.code() == INVALID_PARAMS_CODE => {
                Err(SubmitError::Undecodable(error.message().to_owned()))
            }
            Err(ClientError::Call(error)) => Err(SubmitError::Other(error.message().to_owned())),
            Err(error) => Err(SubmitError::Other(format!(
                "no answer from the proposer at {}, ask for the transaction before sending it again: {error}",
                self.url
            ))),
        }
    }

    async fn promises(&self, hash: B256) -> Result<Option<Promises>, SourceError> {
        let client = self.client().await?;
        let asked = client.request("proposer_promise", rpc_params![hash]).await;
        asked.map_err(|error| SourceError(format!("proposer at {}: {error}", self.url)))
    }
}

/// The proposer's stream, over a connection of its own.
#[derive(Debug)]
pub struct ProposerStream {
    url: String,
    namespace: Namespace,
    cursor: Option<Cursor>,
    open: Option<(WsClient, Subscription<Vec<Numbered>>)>,
    events: VecDeque<Numbered>,
}

impl ProposerStream {
    /// Of the proposer of `namespace` at `url`, from the beginning of what is pending.
    pub fn new(url: impl Into<String>, namespace: Namespace) -> Self {
        Self {
            url: url.into(),
            namespace,
            cursor: None,
            open: None,
            events: VecDeque::new(),
        }
    }

    async fn read(&mut self) -> Result<(), SourceError> {
        if self.open.is_none() {
            let client = connect(&self.url).await?;
            let params = rpc_params![self.namespace, self.cursor];
            let subscription = client
                .subscribe("proposer_subscribe", params, "proposer_unsubscribe")
                .await
                .map_err(|error| SourceError(format!("proposer at {}: {error}", self.url)))?;
            self.open = Some((client, subscription));
        }
        let Some((_, subscription)) = &mut self.open else {
            return Ok(());
        };
        match subscription.next().await {
            Some(Ok(events)) => {
                self.events.extend(events);
                Ok(())
            }
            Some(Err(error)) => {
                self.open = None;
                Err(SourceError(format!(
                    "proposer at {} sent no events: {error}",
                    self.url
                )))
            }
            None => {
                self.open = None;
                Err(SourceError(format!(
                    "the stream of the proposer at {} ended",
                    self.url
                )))
            }
        }
    }
}

impl PreconfSource for ProposerStream {
    async fn next(&mut self) -> Result<PreconfEvent, SourceError> {
        loop {
            if let Some(numbered) = self.events.pop_front() {
                self.cursor = Some(Cursor {
                    run: numbered.run,
                    number: numbered.number,
                });
                return Ok(numbered.event);
            }
            if let Err(error) = self.read().await {
                tokio::time::sleep(RECONNECT_PAUSE).await;
                return Err(error);
            }
        }
    }
}
