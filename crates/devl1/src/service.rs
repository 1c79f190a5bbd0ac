//! Runs an L1: the clock, the disk and the sockets.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cortado_ethrpc::{Counters, Limits};
use cortado_evm::{ChainSpec, ChainStore, StoreError};
use futures::future::BoxFuture;
use jsonrpsee::server::RegisterMethodError;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::chain::ChainError;
use crate::config::{Config, ConfigError};
use crate::execution::{Backend, controls};
use crate::journal::{Journal, JournalError};
use crate::rest;
use crate::shared::{ReorgDone, Shared, Status};

/// The longest the driver sleeps, so that a clock set forward is noticed soon.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// How long a stopping L1 waits for its last users before it leaves them the store.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Why an L1 does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration makes no chain.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The directory cannot be made.
    #[error("data directory {path}: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The blocks cannot be read, or belong to another chain.
    #[error("{path}: {source}")]
    Store {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// The pool cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The chain cannot be continued.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// An address cannot be bound.
    #[error("{what} cannot listen on {addr}: {source}")]
    Bind {
        /// Which server.
        what: &'static str,
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Two methods have one name.
    #[error(transparent)]
    Methods(#[from] RegisterMethodError),
    /// A task died.
    #[error("starting was interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// A running L1.
#[derive(Debug)]
pub struct Handle {
    rpc: cortado_ethrpc::Handle,
    beacon: rest::Handle,
    controls: Controls,
    driver: JoinHandle<()>,
    stop: watch::Sender<bool>,
    failure: watch::Receiver<Option<String>>,
}

impl Handle {
    /// Where Ethereum JSON-RPC listens, HTTP and WebSocket.
    pub fn rpc_addr(&self) -> SocketAddr {
        self.rpc.addr()
    }

    /// Where the beacon API listens.
    pub fn beacon_addr(&self) -> SocketAddr {
        self.beacon.addr()
    }

    /// What bends the chain.
    pub fn chain(&self) -> Controls {
        self.controls.clone()
    }

    /// What the JSON-RPC server counted.
    pub fn counters(&self) -> Arc<Counters> {
        self.rpc.counters()
    }

    /// Waits until the chain can no longer go on (a broken disk), and says why. Servers still
    /// answer reads then.
    pub async fn failed(&self) -> String {
        let mut failure = self.failure.clone();
        loop {
            if let Some(why) = failure.borrow_and_update().clone() {
                return why;
            }
            if failure.changed().await.is_err() {
                // The driver ended without fault: there will be no failure.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Ends the block under way, closes the servers and releases the data directory.
    pub fn stop(self) -> BoxFuture<'static, ()> {
        Box::pin(self.close())
    }

    async fn close(self) {
        // The driver alone listens; if it has ended, there is nothing to tell.
        let _ = self.stop.send(true);
        let _ = self.driver.await;
        let store = Arc::downgrade(&self.controls.0.store);
        drop(self.controls);
        self.rpc.stop().await;
        self.beacon.stop().await;
        released(store).await;
    }
}

/// Waits until nobody holds the store, so that it can be opened anew at once.
async fn released(store: Weak<ChainStore>) {
    let gone = async {
        while store.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(STOP_GRACE, gone).await.is_err() {
        tracing::warn!("a client still holds the store of the stopped L1");
    }
}

/// Bends a running chain. The same controls as `devl1_*` over JSON-RPC.
#[derive(Debug, Clone)]
pub struct Controls(Arc<Shared>);

impl Controls {
    /// Replaces the last `depth` blocks at the next slot that is not missed, and waits for it. See
    /// [`crate::L1Chain::reorg`].
    ///
    /// # Errors
    /// When the depth is impossible; `None` if the chain stopped first.
    pub async fn reorg(&self, depth: u64) -> Result<Option<ReorgDone>, ChainError> {
        Ok(self.0.reorg(depth)?.await.ok())
    }

    /// The next `slots` slots bring no block.
    pub fn miss_next(&self, slots: u64) {
        self.0.miss_next(slots);
    }

    /// Stops or resumes finality.
    pub fn stall_finality(&self, stalled: bool) {
        self.0.stall_finality(stalled);
    }

    /// How the chain stands.
    pub fn status(&self) -> Status {
        self.0.status()
    }
}

/// Starts an L1: opens or creates its data directory, goes on where it was, and serves.
///
/// # Errors
/// See [`StartError`].
pub fn start(config: Config) -> BoxFuture<'static, Result<Handle, StartError>> {
    // Boxed, so that it is compiled here and not again in every crate that awaits it.
    Box::pin(open_and_serve(config))
}

async fn open_and_serve(config: Config) -> Result<Handle, StartError> {
    config.check()?;
    let (rpc_addr, beacon_addr) = (config.rpc_addr, config.beacon_addr);
    let shared = Arc::new(tokio::task::spawn_blocking(move || open(config)).await??);
    let counters = Arc::new(Counters::default());
    let limits = Limits::default();
    let mut methods = cortado_ethrpc::module(
        Arc::new(Backend(shared.clone())),
        limits.clone(),
        counters.clone(),
    )?;
    methods.merge(controls(shared.clone())?)?;
    let rpc = cortado_ethrpc::serve(rpc_addr, methods, limits, counters)
        .await
        .map_err(|source| StartError::Bind {
            what: "Ethereum JSON-RPC",
            addr: rpc_addr,
            source,
        })?;
    let beacon = rest::serve(beacon_addr, shared.clone())
        .await
        .map_err(|source| StartError::Bind {
            what: "the beacon API",
            addr: beacon_addr,
            source,
        })?;
    let (stop, stopped) = watch::channel(false);
    let (failed, failure) = watch::channel(None);
    let driver = tokio::spawn(drive(shared.clone(), stopped, failed));
    Ok(Handle {
        rpc,
        beacon,
        controls: Controls(shared),
        driver,
        stop,
        failure,
    })
}

fn open(config: Config) -> Result<Shared, StartError> {
    let path = config.data_dir.clone();
    std::fs::create_dir_all(&path).map_err(|source| StartError::Directory {
        path: path.clone(),
        source,
    })?;
    let spec = ChainSpec::ethereum(config.chain_id);
    let chain = path.join("chain");
    let store =
        ChainStore::open(&chain, spec, &config.genesis()).map_err(|source| StartError::Store {
            path: chain,
            source,
        })?;
    let journal = Journal::open(&path.join("pool.redb"))?;
    let journaled = journal.all()?;
    Ok(Shared::new(config, Arc::new(store), journal, journaled)?)
}

/// Ticks the chain at the start of every slot until it is told to stop or the chain fails.
async fn drive(
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
    failed: watch::Sender<Option<String>>,
) {
    let clock = shared.beacon.clock();
    loop {
        let wait = Duration::from_millis(clock.until_next_ms(now_ms())).min(SLEEP_MAX);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stopped.changed() => return,
        }
        let ticking = shared.clone();
        let ticked = tokio::task::spawn_blocking(move || ticking.tick(now_ms())).await;
        let why = match ticked {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!(%why, "the embedded L1 cannot go on");
        // Nobody may be asking.
        let _ = failed.send(Some(why));
        return;
    }
}

/// Milliseconds since the Unix epoch; 0 for a clock set before it.
fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
