//! The attester: one or more seats, the API, the watch on L1.

use crate::{
    api::{self, Server},
    chain_reader::NodeReader,
    clock::{self, Skew},
    evidence::{self, EvidenceStore, EvidenceStoreError},
    home::{Home, HomeError},
    index::{Index, IndexError},
    keys::{self, KeyFileError, SeatKeys},
    l1::{L1Error, L1NodeConfig, Watcher},
    reader::{ChainReader, LocalStatus},
    slashing::{self, SlashingConfig, SlashingStartError},
};
use cortado_consensus::{
    engine::Tuning,
    host::{Host, HostConfig, HostError},
    lanes::Keep,
    node::Role,
};
use cortado_types::{B256, Genesis, Identity, limits::LAG_MS};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use thiserror::Error;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tracing::warn;

/// Observations of L1 that wait for the seats; L1 moves once in seconds.
const OBSERVATIONS_MAX: usize = 64;

/// A genesis names seats and namespaces; a longer file is a wrong one.
pub const GENESIS_BYTES_MAX: u64 = 64 << 20;

/// Bodies are kept at least this long, ms: an hour covers a restart and a catch-up.
pub const RETENTION_MS_MIN: u64 = 3_600_000;

/// One seat of this attester.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatConfig {
    /// Its key file.
    pub keys: PathBuf,
    /// Where it listens for peers.
    pub listen: SocketAddr,
}

/// Where a seat of the chain can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// Its ed25519 identity.
    pub identity: Identity,
    /// Its address.
    pub address: SocketAddr,
}

/// What an attester is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttesterConfig {
    /// The genesis file.
    pub genesis: PathBuf,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Where the API listens.
    pub api: SocketAddr,
    /// Whether peers may have private addresses: yes on one machine, no on the Internet.
    #[serde(default)]
    pub allow_private_peers: bool,
    /// How long bodies are kept, ms.
    #[serde(default = "default_retention_ms")]
    pub retention_ms: u64,
    /// Threads of each seat's engine.
    #[serde(default = "default_worker_threads")]
    pub worker_threads: usize,
    /// The L1 node. Without one the attester votes on blocks and sees nothing of L1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l1: Option<L1NodeConfig>,
    /// An L1 account that reports seats that lie, and answers for those that do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slashing: Option<SlashingConfig>,
    /// Seats of this attester.
    pub seats: Vec<SeatConfig>,
    /// Addresses of all seats of the chain.
    pub peers: Vec<PeerConfig>,
}

/// Two weeks: longer than the fallback timeout and the settlement window together.
const fn default_retention_ms() -> u64 {
    14 * 24 * 3_600_000
}

const fn default_worker_threads() -> usize {
    2
}

/// Why an attester does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The genesis file cannot be read.
    #[error("genesis {path}: {reason}")]
    Genesis {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A node without seats is no attester.
    #[error("seats is empty: an attester needs at least one")]
    NoSeats,
    /// Too short for anybody to catch up.
    #[error("retention_ms is {got}, the least is {RETENTION_MS_MIN}")]
    Retention {
        /// Given, ms.
        got: u64,
    },
    /// No threads, no engine.
    #[error("worker_threads is 0, the least is 1")]
    WorkerThreads,
    /// The data directory is refused.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A key file is refused.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// A key is out of range.
    #[error("key file {path}: the BLS secret is not a valid scalar")]
    Scalar {
        /// The file.
        path: PathBuf,
    },
    /// A seat does not start.
    #[error("seat {identity}: {source}")]
    Seat {
        /// Its identity.
        identity: Identity,
        /// Why.
        source: HostError,
    },
    /// A secret is not a key.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The index cannot be used.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// What is known against seats cannot be used.
    #[error(transparent)]
    Evidence(#[from] EvidenceStoreError),
    /// What reports seats does not start.
    #[error(transparent)]
    Slashing(#[from] SlashingStartError),
    /// A URL of the L1 node is none.
    #[error("l1: {0}")]
    L1(#[from] L1Error),
    /// The API has nothing to read from.
    #[error("{0}")]
    Reader(String),
    /// The API's address is taken.
    #[error("the API cannot listen on {address}: {source}")]
    Api {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Reads a genesis file.
///
/// # Errors
/// If it is too long, not a genesis, or contradicts itself.
pub fn load_genesis(path: &Path) -> Result<Arc<Genesis>, StartError> {
    let wrong = |reason: String| StartError::Genesis {
        path: path.into(),
        reason,
    };
    let size = std::fs::metadata(path)
        .map_err(|error| wrong(error.to_string()))?
        .len();
    if size > GENESIS_BYTES_MAX {
        return Err(wrong(format!(
            "{size} bytes, the limit is {GENESIS_BYTES_MAX}"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let genesis: Genesis = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    genesis
        .validate()
        .map_err(|error| wrong(error.to_string()))?;
    Ok(Arc::new(genesis))
}

/// A running attester.
pub struct Attester {
    hosts: Vec<Host>,
    server: Server,
    reader: Arc<NodeReader>,
    tasks: Vec<JoinHandle<()>>,
    // Ends when dropped.
    _watcher: Option<Watcher>,
    _home: Home,
}

impl Attester {
    /// Starts an attester: opens or creates its data directory, goes on where it was, serves.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(config: AttesterConfig) -> BoxFuture<'static, Result<Self, StartError>> {
        // Boxed, so that it is compiled here and not again in every crate that awaits it.
        Box::pin(Self::open(config))
    }

    async fn open(config: AttesterConfig) -> Result<Self, StartError> {
        if config.seats.is_empty() {
            return Err(StartError::NoSeats);
        }
        if config.retention_ms < RETENTION_MS_MIN.max(LAG_MS) {
            return Err(StartError::Retention {
                got: config.retention_ms,
            });
        }
        if config.worker_threads == 0 {
            return Err(StartError::WorkerThreads);
        }
        let genesis = load_genesis(&config.genesis)?;
        if config.slashing.is_some() && config.l1.is_none() {
            return Err(SlashingStartError::NoL1.into());
        }
        let home = Home::open(&config.data_dir, "attester")?;
        let mut hosts = Vec::new();
        let mut own_seats = Vec::new();
        for seat in &config.seats {
            let secrets: SeatKeys = keys::load_for(&seat.keys, genesis.l1.chain_id)?;
            let identity = cortado_consensus::host::identity_of(&secrets.identity.0)?;
            let secret = secrets.secret_bls().map_err(|_| StartError::Scalar {
                path: seat.keys.clone(),
            })?;
            let host = HostConfig {
                genesis: genesis.clone(),
                identity: secrets.identity.0,
                role: Role::Seat { secret },
                keep: Keep::All,
                retention_ms: config.retention_ms,
                directory: home.path().join(format!("seat-{}", short(&identity))),
                listen: seat.listen,
                peers: addresses(&config.peers),
                allow_private: config.allow_private_peers,
                tuning: Tuning::default(),
                worker_threads: config.worker_threads,
            };
            let host = Host::start(host)
                .await
                .map_err(|source| StartError::Seat { identity, source })?;
            hosts.push(host);
            own_seats.push(identity);
        }
        let (local, status) = watch::channel(LocalStatus {
            own_seats,
            ..LocalStatus::default()
        });
        let index = Index::open(home.path())?;
        let evidence = EvidenceStore::open(home.path())?;
        let node = hosts[0].node().clone();
        let l1 = genesis.l1.clone();
        let reader = NodeReader::start(
            genesis,
            node,
            (index, evidence.clone()),
            status,
            hosts[0].metrics(),
        )
        .await
        .map_err(|error| StartError::Reader(format!("{error:#}")))?;
        let server = api::serve(config.api, reader.clone())
            .await
            .map_err(|source| StartError::Api {
                address: config.api,
                source,
            })?;
        let nodes: Vec<_> = hosts.iter().map(|host| host.node().clone()).collect();
        let reports = match (&config.slashing, &config.l1) {
            (Some(slashing), Some(l1)) => Some(slashing::start(
                slashing,
                l1.rpc.first(),
                home.path(),
                reader.genesis(),
                evidence.clone(),
                nodes.clone(),
            )?),
            _ => None,
        };
        let local = Arc::new(local);
        let mut tasks = vec![tokio::spawn(watch_clock(reader.tip(), local.clone()))];
        for node in &nodes {
            tasks.push(tokio::spawn(evidence::follow(
                node.clone(),
                evidence.clone(),
            )));
        }
        tasks.extend(reports.map(tokio::spawn));
        let watcher = match &config.l1 {
            None => None,
            Some(node) => {
                let (observations, mut observed) = mpsc::channel(OBSERVATIONS_MAX);
                let watcher = Watcher::start(node, &l1, reader.tip(), observations)?;
                tasks.push(tokio::spawn(async move {
                    while let Some(observation) = observed.recv().await {
                        for node in &nodes {
                            node.observe(observation.clone()).await;
                        }
                    }
                }));
                let mut status = watcher.status();
                tasks.push(tokio::spawn(async move {
                    while status.changed().await.is_ok() {
                        let said = status.borrow_and_update().clone();
                        local.send_modify(|local| local.l1_node = Some(said));
                    }
                }));
                Some(watcher)
            }
        };
        Ok(Self {
            hosts,
            server,
            reader,
            tasks,
            _watcher: watcher,
            _home: home,
        })
    }

    /// The API's URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What the API reads.
    pub fn reader(&self) -> &Arc<NodeReader> {
        &self.reader
    }

    /// Resolves when a seat has ended by itself, or what the API reads has failed.
    pub async fn failed(&self) {
        let seats =
            futures::future::select_all(self.hosts.iter().map(|host| Box::pin(host.ended())));
        tokio::select! {
            _ = seats => {}
            () = self.reader.failed() => {}
        }
    }

    /// Stops serving, then voting, then lets go of the directory.
    pub fn stop(self) -> BoxFuture<'static, ()> {
        Box::pin(self.close())
    }

    async fn close(self) {
        for task in &self.tasks {
            task.abort();
        }
        self.server.stop().await;
        futures::future::join_all(self.hosts.into_iter().map(Host::stop)).await;
    }
}

/// Compares this node's clock with the times of final blocks and warns once when they part.
async fn watch_clock(
    mut tip: watch::Receiver<Arc<crate::reader::Tip>>,
    local: Arc<watch::Sender<LocalStatus>>,
) {
    let mut skew = Skew::default();
    let mut warned = false;
    while tip.changed().await.is_ok() {
        let time = tip.borrow_and_update().block.header.timestamp;
        skew.saw(time, clock::now());
        local.send_modify(|local| local.clock_skew_ms = skew.median_ms());
        match skew.warning() {
            Some(warning) if !warned => warn!("{warning}"),
            _ => {}
        }
        warned = skew.warning().is_some();
    }
}

/// Addresses by identity.
pub(crate) fn addresses(peers: &[PeerConfig]) -> BTreeMap<Identity, SocketAddr> {
    peers
        .iter()
        .map(|peer| (peer.identity, peer.address))
        .collect()
}

/// Enough of an identity to tell directories apart.
pub(crate) fn short(identity: &B256) -> String {
    alloy_primitives::hex::encode(&identity[..4])
}
