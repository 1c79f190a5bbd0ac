//! The proposer as a service: its gateway, and a p2p node that carries lane blocks to the seats.

use crate::{
    attester::{PeerConfig, RETENTION_MS_MIN, StartError, addresses, load_genesis},
    home::Home,
    keys::{self, ProposerKeys},
    l1::{L1Error, L1NodeConfig, L1Queues},
};
use cortado_consensus::{
    engine::Tuning,
    host::{Host, HostConfig},
    lanes::{Keep, LaneBlock, SealedLane as Carried},
    node::{Node, Role},
    scheme::BlsScheme,
};
use cortado_rollup::{
    service::{ProposerConfig, RunningProposer, ServiceError, start_proposer},
    source::{Finalised, FinalisedSource, LaneSink, SealedLane, SourceError},
};
use cortado_types::{ChainId, Height, Identity, LaneBody, Namespace};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};
use thiserror::Error;

/// How long a body that a final block names is waited for before it is asked for anew.
const BODY_WAIT: Duration = Duration::from_secs(5);

/// What a proposer is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposerNodeConfig {
    /// The finality chain's genesis file.
    pub genesis: PathBuf,
    /// Its key file.
    pub keys: PathBuf,
    /// Where the p2p node keeps what it followed.
    pub data_dir: PathBuf,
    /// Where it listens for peers.
    pub listen: SocketAddr,
    /// Whether peers may have private addresses.
    #[serde(default)]
    pub allow_private_peers: bool,
    /// Threads of the p2p node.
    #[serde(default = "default_worker_threads")]
    pub worker_threads: usize,
    /// Addresses of all seats of the chain.
    pub peers: Vec<PeerConfig>,
    /// An L1 node, for what was queued in the rollups' inboxes; not needed if none has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l1: Option<L1NodeConfig>,
    /// The gateway.
    pub gateway: ProposerConfig,
}

const fn default_worker_threads() -> usize {
    2
}

/// Why a proposer does not start.
#[derive(Debug, Error)]
pub enum ProposerError {
    /// Genesis, directory, keys or p2p.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The signing key is out of range.
    #[error("key file {path}: the signing secret is not a valid scalar")]
    Scalar {
        /// The file.
        path: PathBuf,
    },
    /// Attesters refuse connections of identities that they do not know.
    #[error("the genesis does not name the proposer identity {identity} of {path}")]
    NotNamed {
        /// The identity.
        identity: Identity,
        /// The key file.
        path: PathBuf,
    },
    /// The L1 node's URL is none, or there is none though a rollup has an inbox.
    #[error("l1: {0}")]
    L1(#[from] L1Error),
    /// The gateway.
    #[error(transparent)]
    Gateway(#[from] ServiceError),
}

/// Reads final blocks from a p2p node of this process.
#[derive(Clone)]
pub struct P2pSource {
    node: Node<BlsScheme>,
    chain_id: ChainId,
}

impl P2pSource {
    /// Reads from `node`.
    pub fn new(node: Node<BlsScheme>, chain_id: ChainId) -> Self {
        Self { node, chain_id }
    }
}

fn lost(what: impl std::fmt::Display) -> SourceError {
    SourceError(what.to_string())
}

impl FinalisedSource for P2pSource {
    async fn head(&self) -> Result<Height, SourceError> {
        Ok(self.node.newest().await)
    }

    async fn finalised(
        &self,
        height: Height,
        namespaces: &[Namespace],
    ) -> Result<Finalised, SourceError> {
        let mut newest = self.node.watch();
        // A block may be final through a child, so its certificate may come with a later block.
        let (certified, certificate) = loop {
            newest
                .wait_for(|newest| newest.height() >= height)
                .await
                .map_err(|_| lost("the p2p node has stopped"))?;
            if let Some(found) = self.node.certificate(height).await {
                break found;
            }
            newest.mark_unchanged();
            newest
                .changed()
                .await
                .map_err(|_| lost("the p2p node has stopped"))?;
        };
        let block = |at: Height| async move {
            let found = self.node.block(at).await;
            found.ok_or_else(|| lost(format!("final block {at} is not in the store")))
        };
        let subject = block(height).await?.inner().clone();
        let mut descendants = Vec::new();
        for at in height.get() + 1..=certified.get() {
            descendants.push(block(Height::new(at)).await?.inner().header.clone());
        }
        let mut bodies: BTreeMap<_, LaneBody> = BTreeMap::new();
        for entry in &subject.lanes {
            if !namespaces.contains(&entry.lane.header.namespace) {
                continue;
            }
            let hash = entry.lane.header.hash();
            let found = tokio::time::timeout(BODY_WAIT, self.node.lane_block(hash)).await;
            let found = found.map_err(|_| lost(format!("body of {hash} is not here yet")))?;
            let found = found.map_err(lost)?;
            let found = found.ok_or_else(|| lost(format!("body of {hash} is not kept")))?;
            bodies.insert(hash, found.body);
        }
        let term = certificate.term;
        let seats = self.node.seats(term).await;
        let seats = seats.ok_or_else(|| lost(format!("seats of term {term} are not kept")))?;
        Finalised::verify_through(
            subject,
            &descendants,
            certificate,
            bodies,
            self.chain_id,
            &seats,
        )
        .map_err(lost)
    }
}

/// Hands lane blocks to a p2p node of this process.
#[derive(Clone)]
pub struct P2pSink(Node<BlsScheme>);

impl LaneSink for P2pSink {
    async fn offer(&self, lane: SealedLane) -> Result<(), SourceError> {
        let block = LaneBlock {
            lane: lane.lane,
            body: lane.body,
        };
        let carried = Carried::new(&block).map_err(lost)?;
        if self.0.publish(carried).await {
            Ok(())
        } else {
            Err(lost("this p2p node is not a proposer's"))
        }
    }
}

/// A running proposer.
pub struct Proposer {
    running: RunningProposer,
    host: Host,
    _home: Home,
}

impl Proposer {
    /// Starts a proposer: opens its directories, connects to the seats, goes on where it was.
    ///
    /// # Errors
    /// [`ProposerError`].
    pub fn start(config: ProposerNodeConfig) -> BoxFuture<'static, Result<Self, ProposerError>> {
        // Boxed, so that it is compiled here and not again in every crate that awaits it.
        Box::pin(Self::open(config))
    }

    async fn open(config: ProposerNodeConfig) -> Result<Self, ProposerError> {
        let genesis = load_genesis(&config.genesis)?;
        let home = Home::open(&config.data_dir, "proposer-node").map_err(StartError::from)?;
        let secrets: ProposerKeys =
            keys::load_for(&config.keys, genesis.l1.chain_id).map_err(StartError::from)?;
        let key = secrets.signing_key().map_err(|_| ProposerError::Scalar {
            path: config.keys.clone(),
        })?;
        let identity = secrets.identity().map_err(StartError::from)?;
        if !genesis.proposers.contains(&identity) {
            return Err(ProposerError::NotNamed {
                identity,
                path: config.keys.clone(),
            });
        }
        let inbox = config
            .gateway
            .rollups
            .iter()
            .find_map(|rollup| rollup.inbox);
        let queues = L1Queues::start(config.l1.as_ref(), &genesis.l1, inbox)?;
        let namespaces = config.gateway.rollups.iter().map(|rollup| rollup.namespace);
        let host = Host::start(HostConfig {
            genesis: genesis.clone(),
            identity: secrets.identity.0,
            role: Role::Proposer,
            keep: Keep::Only(namespaces.collect()),
            retention_ms: RETENTION_MS_MIN,
            directory: home.path().join("p2p"),
            listen: config.listen,
            peers: addresses(&config.peers),
            allow_private: config.allow_private_peers,
            tuning: Tuning::default(),
            worker_threads: config.worker_threads,
        })
        .await
        .map_err(StartError::from)?;
        let node = host.node().clone();
        let source = (P2pSource::new(node.clone(), genesis.chain_id), queues);
        let running = start_proposer(&config.gateway, &genesis, key, source, P2pSink(node)).await?;
        Ok(Self {
            running,
            host,
            _home: home,
        })
    }

    /// Where rollup nodes reach it.
    pub fn url(&self) -> String {
        format!("ws://{}", self.running.addr)
    }

    /// Resolves with the reason when it can no longer go on.
    pub async fn failed(&mut self) -> String {
        tokio::select! {
            ended = self.running.gateway.ended() => match ended {
                Ok(()) => "the gateway has ended".into(),
                Err(error) => error.to_string(),
            },
            () = self.host.ended() => "the p2p node has ended; the log says why".into(),
        }
    }

    /// Stops taking transactions, then proposing, then the p2p node.
    pub fn stop(self) -> BoxFuture<'static, ()> {
        Box::pin(self.close())
    }

    async fn close(self) {
        if let Err(error) = self.running.stop().await {
            tracing::error!(%error, "the gateway did not stop well");
        }
        self.host.stop().await;
    }
}
