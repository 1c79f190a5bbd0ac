//! Start a rollup node or a proposer from its configuration.

use crate::{
    backend::{self, RollupNode, RunningNode},
    datadir::{DataDir, DataDirError},
    engine::{Engine, EngineError, RollupSpec, Tips},
    gateway::{
        Gateway, GatewayConfig, GatewayError,
        actor::{self, GatewayHandle, RunningGateway, clock_now},
    },
    source::{FinalisedSource, LaneSink, PreconfSource, QueueSource, TransactionSink},
    wire,
};
use alloy_genesis::Genesis;
use cortado_chain::{GenesisStateError, State};
use cortado_derive::Params;
use cortado_ethrpc::{Counters, Limits};
use cortado_evm::ChainSpec;
use cortado_types::{Address, B256, Genesis as ChainGenesis, Namespace, ecdsa::SigningKey};
use serde::{Deserialize, Serialize};
use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};
use thiserror::Error;

/// Gas of L1→L2 entries that one L2 block imports at most: a sixth of the block, so that a full
/// queue does not crowd out the rollup's own transactions.
pub const IMPORT_GAS: u64 = 10_000_000;
/// How long a lane block stays open, ms.
pub const LANE_MS: u64 = 40;
/// Shortest that makes sense: a block costs roots and a signature.
const LANE_MS_MIN: u64 = 5;

fn lane_ms() -> u64 {
    LANE_MS
}

/// A rollup node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollupConfig {
    /// Its namespace, which is its EIP-155 chain id.
    pub namespace: Namespace,
    /// Block 0 of the rollup, as geth writes it (JSON).
    pub genesis: PathBuf,
    /// Its data; locked while it runs.
    pub data_dir: PathBuf,
    /// Where its JSON-RPC listens, HTTP and WebSocket.
    pub listen: SocketAddr,
    /// Where its proposer listens, `ws://…`.
    pub proposer: String,
    /// Its inbox on L1, whose queue it imports. As much a part of the rollup as its genesis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox: Option<Address>,
    /// Least tips of its transactions, the same for its proposer and its nodes.
    #[serde(default)]
    pub tips: Tips,
}

/// One rollup that a proposer serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposedRollup {
    /// Its namespace, which is its EIP-155 chain id.
    pub namespace: Namespace,
    /// Block 0 of the rollup, as geth writes it (JSON).
    pub genesis: PathBuf,
    /// Its inbox on L1, the same as its nodes have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox: Option<Address>,
    /// Least tips of its transactions, the same for its proposer and its nodes.
    #[serde(default)]
    pub tips: Tips,
}

/// A proposer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposerConfig {
    /// The rollups it proposes for.
    pub rollups: Vec<ProposedRollup>,
    /// Its data; locked while it runs. Losing it means silence until the slots it may have signed
    /// for are over.
    pub data_dir: PathBuf,
    /// Where rollup nodes reach it, WebSocket.
    pub listen: SocketAddr,
    /// How long a lane block stays open, ms.
    #[serde(default = "lane_ms")]
    pub lane_ms: u64,
}

/// Why a service does not start, or did not stop well.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// The directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The rollup's genesis cannot be read.
    #[error("genesis {path}: {reason}")]
    Genesis {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The finality chain's genesis is not valid.
    #[error(transparent)]
    ChainGenesis(#[from] GenesisStateError),
    /// The namespace is not in the finality chain's genesis, or has no holder.
    #[error("namespace {namespace} has no reserve holder in the finality chain's genesis")]
    NoHolder {
        /// Which.
        namespace: Namespace,
    },
    /// The rollup names another chain id than its namespace.
    #[error("genesis {path} is of chain id {found}, the namespace is {namespace}")]
    ChainId {
        /// Which file.
        path: PathBuf,
        /// In the file.
        found: u64,
        /// In the configuration.
        namespace: Namespace,
    },
    /// A lane block cannot be open for so short a time.
    #[error(
        "lane_ms is {lane_ms}, it must be at least {LANE_MS_MIN} and below the slot's {slot_ms}"
    )]
    LaneMs {
        /// Given, ms.
        lane_ms: u64,
        /// Length of a slot, ms.
        slot_ms: u64,
    },
    /// The rollup failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The proposer failed.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The address cannot be bound.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// Which.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Reads a rollup's genesis and makes its constants.
///
/// # Errors
/// If the file cannot be read, or is of another chain.
pub fn rollup_spec(
    namespace: Namespace,
    path: &PathBuf,
    (inbox, tips): (Option<Address>, Tips),
) -> Result<RollupSpec, ServiceError> {
    let failed = |reason: String| ServiceError::Genesis {
        path: path.clone(),
        reason,
    };
    let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let genesis: Genesis =
        serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
    let found = genesis.config.chain_id;
    if found != namespace.get() {
        return Err(ServiceError::ChainId {
            path: path.clone(),
            found,
            namespace,
        });
    }
    Ok(RollupSpec {
        tips,
        ..spec_of(namespace, genesis, inbox)
    })
}

/// What a rollup's directory holds. Its inbox is in it: with another one the same lane blocks are
/// another chain.
fn kind_of(namespace: Namespace, inbox: Option<Address>) -> String {
    match inbox {
        Some(inbox) => format!("rollup-{namespace}-{inbox}"),
        None => format!("rollup-{namespace}"),
    }
}

/// The constants of a rollup with this genesis and inbox.
pub fn spec_of(namespace: Namespace, genesis: Genesis, inbox: Option<Address>) -> RollupSpec {
    let mut chain = ChainSpec::rollup(namespace.get());
    if genesis.gas_limit > 0 {
        chain.gas_limit = genesis.gas_limit;
    }
    RollupSpec {
        namespace,
        chain,
        genesis,
        params: Params {
            import_gas: IMPORT_GAS,
        },
        inbox,
        tips: Tips::default(),
    }
}

/// Hash of block 0 of the finality chain.
///
/// # Errors
/// If the genesis is not valid.
pub fn genesis_hash(chain: &ChainGenesis) -> Result<B256, GenesisStateError> {
    Ok(State::genesis(chain)?.genesis_block().hash())
}

/// A running rollup node.
#[derive(Debug)]
pub struct RunningRollup<T> {
    /// The rollup.
    pub node: Arc<RollupNode<T>>,
    /// What its server counted.
    pub counters: Arc<Counters>,
    /// Where its JSON-RPC listens.
    pub addr: SocketAddr,
    /// Its follower.
    pub follower: RunningNode,
    server: cortado_ethrpc::Handle,
    _dir: DataDir,
}

impl<T> RunningRollup<T> {
    /// Stops answering, then following; everything is durable then.
    ///
    /// # Errors
    /// If something had failed before, or a disk fails.
    pub async fn stop(self) -> Result<(), ServiceError> {
        self.server.stop().await;
        Ok(self.follower.stop().await?)
    }
}

/// Starts a rollup node of the finality chain `chain`.
///
/// # Errors
/// [`ServiceError`].
pub async fn start_rollup<
    F: FinalisedSource,
    Q: QueueSource,
    P: PreconfSource,
    T: TransactionSink,
>(
    config: &RollupConfig,
    chain: &ChainGenesis,
    source: (F, Q),
    preconfs: P,
    sink: T,
) -> Result<RunningRollup<T>, ServiceError> {
    let namespace = config.namespace;
    let proposer = chain
        .namespaces
        .iter()
        .find(|entry| entry.namespace == namespace)
        .and_then(|entry| entry.reserve_holder)
        .ok_or(ServiceError::NoHolder { namespace })?;
    let spec = rollup_spec(namespace, &config.genesis, (config.inbox, config.tips))?;
    let dir = DataDir::open(&config.data_dir, &kind_of(namespace, config.inbox))?;
    let engine = Engine::open(dir.path(), spec, chain, genesis_hash(chain)?)?;
    let (node, follower) = backend::start(engine, proposer, source, preconfs, sink);
    let counters = Arc::new(Counters::default());
    let addr = config.listen;
    let listen = |source| ServiceError::Listen { addr, source };
    let methods = backend::module(node.clone(), Limits::default(), counters.clone())
        .map_err(|error| listen(io::Error::other(error)))?;
    let server = cortado_ethrpc::serve(addr, methods, Limits::default(), counters.clone())
        .await
        .map_err(listen)?;
    let addr = server.addr();
    Ok(RunningRollup {
        node,
        counters,
        addr,
        follower,
        server,
        _dir: dir,
    })
}

/// A running proposer.
#[derive(Debug)]
pub struct RunningProposer {
    /// To submit and to ask.
    pub handle: GatewayHandle,
    /// What its server counted.
    pub counters: Arc<Counters>,
    /// Where rollup nodes reach it.
    pub addr: SocketAddr,
    /// Its gateway.
    pub gateway: RunningGateway,
    server: cortado_ethrpc::Handle,
    // Locks: its own, then those of its rollups.
    _dirs: Vec<DataDir>,
}

impl RunningProposer {
    /// Stops taking transactions, then proposing; everything is durable then.
    ///
    /// # Errors
    /// If something had failed before, or a disk fails.
    pub async fn stop(self) -> Result<(), ServiceError> {
        self.server.stop().await;
        Ok(self.gateway.stop().await?)
    }
}

/// Starts a proposer on the finality chain `chain`.
///
/// # Errors
/// [`ServiceError`].
pub async fn start_proposer<F: FinalisedSource, Q: QueueSource, L: LaneSink>(
    config: &ProposerConfig,
    chain: &ChainGenesis,
    key: SigningKey,
    (source, queues): (F, Q),
    sink: L,
) -> Result<RunningProposer, ServiceError> {
    let (lane_ms, slot_ms) = (config.lane_ms, chain.slot_ms);
    if lane_ms < LANE_MS_MIN || lane_ms >= slot_ms {
        return Err(ServiceError::LaneMs { lane_ms, slot_ms });
    }
    let dir = DataDir::open(&config.data_dir, "proposer")?;
    let block = genesis_hash(chain)?;
    let (mut engines, mut dirs) = (Vec::new(), Vec::new());
    for rollup in &config.rollups {
        let spec = rollup_spec(
            rollup.namespace,
            &rollup.genesis,
            (rollup.inbox, rollup.tips),
        )?;
        let own = DataDir::open(
            &dir.path().join(format!("rollup-{}", rollup.namespace)),
            &kind_of(rollup.namespace, rollup.inbox),
        )?;
        engines.push(Engine::open(own.path(), spec, chain, block)?);
        dirs.push(own);
    }
    let namespaces = chain.namespaces.iter();
    let gateway = Gateway::open(
        dir.path(),
        GatewayConfig {
            chain_id: chain.chain_id,
            clock: chain.clock(),
            lane_ms,
            namespaces: namespaces
                .map(|entry| {
                    (
                        entry.namespace,
                        (entry.reserve_holder, entry.slot_bytes_max),
                    )
                })
                .collect(),
        },
        Box::new(key),
        engines,
        // Later than any run before on this directory, as long as the clock is.
        clock_now().get(),
        None,
    )?;
    dirs.insert(0, dir);
    let (handle, gateway) = actor::start(gateway, source, queues, sink);
    let counters = Arc::new(Counters::default());
    let addr = config.listen;
    let server = wire::serve(addr, handle.clone(), counters.clone())
        .await
        .map_err(|source| ServiceError::Listen { addr, source })?;
    let addr = server.addr();
    Ok(RunningProposer {
        handle,
        counters,
        addr,
        gateway,
        server,
        _dirs: dirs,
    })
}
