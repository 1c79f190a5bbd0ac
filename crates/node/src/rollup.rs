//! A rollup node as a service: follows attesters it does not trust, and its proposer.

use crate::{
    attester::{StartError, load_genesis},
    l1::{L1NodeConfig, L1Queues, SafeWatch},
};
use cortado_client::{Client, ClientError, Follow};
use cortado_rollup::{
    service::{RollupConfig, RunningRollup, ServiceError, start_rollup},
    source::{Finalised, FinalisedSource, SourceError},
    wire::{ProposerClient, ProposerStream},
};
use cortado_types::{Height, Namespace};
use futures::{StreamExt, future::BoxFuture};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};
use thiserror::Error;
use tokio::sync::Mutex;

/// What a rollup node is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollupNodeConfig {
    /// The finality chain's genesis file.
    pub genesis: PathBuf,
    /// APIs of attesters, any of which will do; what they say is verified.
    pub attesters: Vec<String>,
    /// The rollup.
    pub rollup: RollupConfig,
    /// An L1 node, for what was queued in the rollup's inbox and for the tag `safe`. A rollup without
    /// an inbox does without: `safe` then stands where `finalized` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l1: Option<L1NodeConfig>,
}

/// Why a rollup node does not start.
#[derive(Debug, Error)]
pub enum RollupError {
    /// The finality chain's genesis.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A URL of an attester is none.
    #[error("attesters: {0}")]
    Attesters(#[from] ClientError),
    /// The L1 node's URL is none, or there is none though the rollup has an inbox.
    #[error("l1: {0}")]
    L1(#[from] crate::l1::L1Error),
    /// The rollup.
    #[error(transparent)]
    Rollup(#[from] ServiceError),
}

/// Reads final blocks from attesters' APIs.
pub struct HttpSource {
    client: Client,
    /// Where the open stream stands.
    follow: Mutex<Option<(Height, Follow)>>,
}

impl HttpSource {
    /// Reads through `client`.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            follow: Mutex::new(None),
        }
    }
}

fn lost(what: impl std::fmt::Display) -> SourceError {
    SourceError(what.to_string())
}

impl FinalisedSource for HttpSource {
    async fn head(&self) -> Result<Height, SourceError> {
        Ok(self.client.head().await.map_err(lost)?.header().height)
    }

    async fn finalised(
        &self,
        height: Height,
        namespaces: &[Namespace],
    ) -> Result<Finalised, SourceError> {
        let mut open = self.follow.lock().await;
        let mut stream = match open.take() {
            Some((next, stream)) if next == height => stream,
            _ => self.client.follow(height),
        };
        let found = stream
            .next()
            .await
            .ok_or_else(|| lost("the stream of blocks ended"))?;
        let (block, certificate, descendants) = found.map_err(lost)?.into_parts();
        if let Some(next) = height.next() {
            *open = Some((next, stream));
        }
        drop(open);
        let mut bodies = BTreeMap::new();
        for entry in &block.lanes {
            let header = &entry.lane.header;
            if namespaces.contains(&header.namespace) {
                let body = self.client.lane_body(header).await.map_err(lost)?;
                bodies.insert(header.hash(), body);
            }
        }
        let light = self.client.light();
        let term = block.header.term;
        let seats = light
            .seats(term)
            .ok_or_else(|| lost(format!("seats of term {term}")))?;
        Finalised::verify_through(
            block,
            &descendants,
            certificate,
            bodies,
            light.chain_id(),
            seats,
        )
        .map_err(lost)
    }
}

/// A running rollup node.
pub struct RollupNode {
    running: RunningRollup<ProposerClient>,
    // Ends when dropped.
    _safe: Option<SafeWatch>,
}

impl RollupNode {
    /// Starts a rollup node: opens its directory, goes on where it was, serves.
    ///
    /// # Errors
    /// [`RollupError`].
    pub fn start(config: RollupNodeConfig) -> BoxFuture<'static, Result<Self, RollupError>> {
        // Boxed, so that it is compiled here and not again in every crate that awaits it.
        Box::pin(Self::open(config))
    }

    async fn open(config: RollupNodeConfig) -> Result<Self, RollupError> {
        let genesis = load_genesis(&config.genesis)?;
        let client = Client::new(&genesis, &config.attesters)?;
        let rollup = &config.rollup;
        let queues = L1Queues::start(config.l1.as_ref(), &genesis.l1, rollup.inbox)?;
        let running = start_rollup(
            rollup,
            &genesis,
            (HttpSource::new(client), queues),
            ProposerStream::new(&rollup.proposer, rollup.namespace),
            ProposerClient::new(&rollup.proposer, rollup.namespace),
        )
        .await?;
        let safe = match &config.l1 {
            None => None,
            Some(node) => {
                let rollup = running.follower.l1_safe();
                let watch = SafeWatch::start(&node.rpc, &genesis.l1, move |block| {
                    let rollup = rollup.clone();
                    async move { rollup.set(block).await }
                });
                Some(watch?)
            }
        };
        Ok(Self {
            running,
            _safe: safe,
        })
    }

    /// Its Ethereum JSON-RPC, HTTP and WebSocket on one port.
    pub fn url(&self) -> String {
        format!("http://{}", self.running.addr)
    }

    /// Resolves with the reason when it can no longer go on.
    pub async fn failed(&mut self) -> String {
        match self.running.follower.ended().await {
            Ok(()) => "the follower has ended".into(),
            Err(error) => error.to_string(),
        }
    }

    /// Stops answering, then following.
    pub fn stop(self) -> BoxFuture<'static, ()> {
        Box::pin(self.close())
    }

    async fn close(self) {
        if let Err(error) = self.running.stop().await {
            tracing::error!(%error, "the rollup node did not stop well");
        }
    }
}
