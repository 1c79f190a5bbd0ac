//! Run a node in production: its own thread, its own runtime, its own directory, real sockets.
//!
//! Everything outside this crate speaks to the node through [`Host`]; what it is built on stays in
//! here. A host ends when it is stopped or when any part of the node fails, and says which: the
//! engine panics on a disk that it cannot trust, and what it says is caught on the node's thread.

use crate::{
    engine::Tuning,
    lanes::Keep,
    network::tcp::{self, NetworkError, TcpConfig},
    node::{self, Node, NodeError, RECOVERY, Role},
    scheme::{BlsScheme, KeyError, identity, peer_key, seat_peers},
};
use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::{Signer as _, ed25519};
use commonware_runtime::{Metrics as _, Runner as _, Spawner as _, Supervisor as _, tokio};
use commonware_utils::channel::{oneshot, watch};
use cortado_chain::State;
use cortado_types::{B256, ChainId, Genesis, Identity, bls::SecretBls};
use futures::future::BoxFuture;
use std::{
    any::Any,
    collections::BTreeMap,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, OnceLock},
    thread::JoinHandle,
    time::Duration,
};
use thiserror::Error;
use tracing::error;

mod seal;

/// What a production node is made from.
#[derive(Clone)]
pub struct HostConfig {
    /// What all agree on.
    pub genesis: Arc<Genesis>,
    /// Secret of the ed25519 identity.
    pub identity: [u8; 32],
    /// What the node is.
    pub role: Role,
    /// Whose bodies it keeps.
    pub keep: Keep,
    /// How long it keeps them, ms.
    pub retention_ms: u64,
    /// Everything it writes is in here.
    pub directory: PathBuf,
    /// Where it listens for peers.
    pub listen: SocketAddr,
    /// Where peers listen: seats of this term and of others, as far as the operator knows them.
    pub peers: BTreeMap<Identity, SocketAddr>,
    /// Whether peers may have private addresses.
    pub allow_private: bool,
    /// Timeouts and sizes.
    pub tuning: Tuning,
    /// Threads of its runtime.
    pub worker_threads: usize,
}

/// Why a node does not run.
#[derive(Debug, Error)]
pub enum HostError {
    /// The identity's secret is not one.
    #[error("the identity's secret is not an ed25519 key")]
    Identity,
    /// An address belongs to an identity that is not a key.
    #[error("{identity} is not an ed25519 key")]
    Peer {
        /// The offender.
        identity: Identity,
    },
    /// The genesis makes no chain.
    #[error(transparent)]
    Genesis(#[from] cortado_chain::GenesisStateError),
    /// A key does not fit the seats.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The network does not start.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The node does not start.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The address is taken.
    #[error("cannot listen for peers on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The seal of the vote journal cannot be read or broken.
    #[error("seal of the vote journal {path}: {source}")]
    Seal {
        /// The seal.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// R2: a seat that may have forgotten votes must not vote.
    #[error("the vote journal in {directory} is not what it was when the node stopped; {RECOVERY}")]
    VoteJournal {
        /// The data directory.
        directory: PathBuf,
    },
    /// The operating system gives no thread.
    #[error("cannot start a thread for the node: {0}")]
    Thread(std::io::Error),
    /// The thread died while it started.
    #[error("the node ended while it started: {reason}")]
    Ended {
        /// What it said.
        reason: String,
    },
}

/// The public identity of a secret.
///
/// # Errors
/// If it is not an ed25519 secret.
pub fn identity_of(secret: &[u8; 32]) -> Result<Identity, HostError> {
    Ok(identity(&private_key(secret)?.public_key()))
}

fn private_key(secret: &[u8; 32]) -> Result<ed25519::PrivateKey, HostError> {
    ed25519::PrivateKey::decode(Copying(secret.as_slice())).map_err(|_| HostError::Identity)
}

/// Gives the metrics of a node's runtime in Prometheus' text format.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// A running production node.
pub struct Host {
    node: Node<BlsScheme>,
    metrics: MetricsText,
    stop: Option<oneshot::Sender<()>>,
    ended: watch::Receiver<bool>,
    failure: Arc<OnceLock<String>>,
    thread: Option<JoinHandle<()>>,
}

/// Prefix of all that a node writes, inside of its own directory.
const PARTITION: &str = "node";

/// Where the engine keeps its votes: one folder for each term.
const VOTE_JOURNAL: &str = "node-simplex-";

/// What a panic said, and what to do: the engine panics when it cannot read or write its stores.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("a part of it panicked");
    format!("{text}; if its disk is full or fails, mend that; if its data is damaged, {RECOVERY}")
}

/// How long a stopping node waits for its parts to write what they hold.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

impl Host {
    /// Starts a node and waits until it runs.
    ///
    /// # Errors
    /// [`HostError`] if configuration, network or disk do not allow it.
    pub fn start(config: HostConfig) -> BoxFuture<'static, Result<Self, HostError>> {
        // Boxed: an async function's body is compiled again in every crate that awaits it, and this
        // one contains the whole engine.
        Box::pin(Self::open(config))
    }

    async fn open(config: HostConfig) -> Result<Self, HostError> {
        let prepared = prepare(&config)?;
        // The network binds inside a task; ask first, so that a taken port is an error with a name.
        std::net::TcpListener::bind(config.listen).map_err(|source| HostError::Listen {
            address: config.listen,
            source,
        })?;
        let settings = tokio::Config::new()
            .with_worker_threads(config.worker_threads)
            .with_storage_directory(&config.directory)
            .with_tcp_nodelay(Some(true));
        let (stop, stopping) = oneshot::channel();
        let (started, starting) = oneshot::channel();
        let (ending, mut ended) = watch::channel(false);
        let failure = Arc::new(OnceLock::new());
        let failed = failure.clone();
        let thread = std::thread::Builder::new()
            .name("cortado-node".into())
            .spawn(move || {
                let directory = config.directory.clone();
                if let Err(error) = seal::break_seal(&directory, VOTE_JOURNAL) {
                    let _ = started.send(Err(error));
                } else {
                    let runner = tokio::Runner::new(settings);
                    let ran = catch_unwind(AssertUnwindSafe(|| {
                        runner.start(|context| run(context, config, prepared, started, stopping));
                    }));
                    // The runtime is gone, so nothing writes any more.
                    match ran {
                        Ok(()) => {
                            if let Err(error) = seal::seal(&directory, VOTE_JOURNAL) {
                                error!(%error, "the vote journal is not sealed");
                            }
                        }
                        Err(panic) => {
                            let reason = said(panic.as_ref());
                            error!(%reason, "the node failed");
                            let _ = failed.set(reason);
                        }
                    }
                }
                let _ = ending.send(true);
            });
        let thread = thread.map_err(HostError::Thread)?;
        let Ok(begun) = starting.await else {
            let _ = ended.wait_for(|ended| *ended).await;
            let reason = failure.get().cloned().unwrap_or_default();
            return Err(HostError::Ended { reason });
        };
        let (node, metrics) = begun?;
        Ok(Self {
            node,
            metrics,
            stop: Some(stop),
            ended,
            failure,
            thread: Some(thread),
        })
    }

    /// The node, for whoever reads from it or feeds it.
    pub fn node(&self) -> &Node<BlsScheme> {
        &self.node
    }

    /// What the engine, the network and the stores count.
    pub fn metrics(&self) -> MetricsText {
        self.metrics.clone()
    }

    /// Resolves when the node has ended, for whatever reason.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut ended = self.ended.clone();
        async move {
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }

    /// Why the node ended, if it did so by itself: what it could not trust or write, and what to do
    /// about it.
    pub fn failure(&self) -> Option<&str> {
        let panicked = self.failure.get().map(String::as_str);
        panicked.or_else(|| self.node.failure())
    }

    /// Stops the node and waits until it has let go of its directory and sockets.
    pub async fn stop(mut self) {
        self.signal();
        self.ended().await;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    fn signal(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.signal();
    }
}

struct Prepared {
    identity: ed25519::PrivateKey,
    votes: Option<SecretBls>,
    network: TcpConfig,
}

/// What the handshake starts with: one chain, whoever sits.
pub fn network_namespace(chain_id: ChainId, genesis: B256) -> Vec<u8> {
    let mut namespace = b"CORTADO_P2P".to_vec();
    namespace.extend_from_slice(&chain_id.get().to_be_bytes());
    namespace.extend_from_slice(genesis.as_slice());
    namespace
}

fn prepare(config: &HostConfig) -> Result<Prepared, HostError> {
    let identity = private_key(&config.identity)?;
    let state = State::genesis(&config.genesis)?;
    let votes = match &config.role {
        Role::Seat { secret } => Some(secret.clone()),
        Role::Proposer | Role::Follower => None,
    };
    let key = |identity: &Identity| {
        peer_key(identity).ok_or(HostError::Peer {
            identity: *identity,
        })
    };
    let addressed = |(identity, address): (&Identity, &SocketAddr)| Ok((key(identity)?, *address));
    let addresses = config.peers.iter().map(addressed);
    // Proposers and followers dial; nobody dials them, so any address of theirs will do.
    let other = |identity: &Identity| Ok((key(identity)?, config.listen));
    let others = config.genesis.proposers.iter().map(other);
    let network = TcpConfig {
        namespace: network_namespace(config.genesis.chain_id, state.genesis_block().hash()),
        listen: config.listen,
        addresses: addresses.collect::<Result<_, HostError>>()?,
        seats: seat_peers(&state.seats)?,
        others: others.collect::<Result<_, HostError>>()?,
        allow_private: config.allow_private,
    };
    Ok(Prepared {
        identity,
        votes,
        network,
    })
}

async fn run(
    context: tokio::Context,
    config: HostConfig,
    prepared: Prepared,
    started: oneshot::Sender<Result<(Node<BlsScheme>, MetricsText), HostError>>,
    stopping: oneshot::Receiver<()>,
) {
    let me = prepared.identity.public_key();
    let (links, oracle, roster, network) =
        match tcp::start(&context, prepared.identity, prepared.network) {
            Ok(started) => started,
            Err(error) => {
                let _ = started.send(Err(error.into()));
                return;
            }
        };
    let node = Node::start::<_, tcp::Tcp>(
        context.child("node"),
        node::Config {
            genesis: config.genesis,
            me,
            role: config.role,
            votes: prepared.votes,
            keep: config.keep,
            retention_ms: config.retention_ms,
            partition: PARTITION.into(),
            tuning: config.tuning,
            blocker: oracle.clone(),
            peers: oracle,
            roster,
        },
        links,
    )
    .await;
    let (node, task) = match node {
        Ok(node) => node,
        Err(error) => {
            let _ = started.send(Err(error.into()));
            return;
        }
    };
    let counted = context.child("metrics");
    let metrics: MetricsText = Arc::new(move || counted.encode());
    let _ = started.send(Ok((node, metrics)));
    futures::future::select(
        stopping,
        futures::future::select(Box::pin(task), Box::pin(network)),
    )
    .await;
    if let Err(error) = context.stop(0, Some(STOP_TIMEOUT)).await {
        error!(%error, "the node did not stop in time; what it held is recovered at the next start");
    }
}
