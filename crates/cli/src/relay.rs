//! `cortado relay`: keeps the light client on L1 up to date.

use crate::{
    contracts::{load_addresses, open_sender},
    service::Service,
};
use anyhow::{Context, Result, bail};
use cortado_client::Client;
use cortado_contracts::{
    registry::Registry,
    relay::{Relay, RelayError, RelaySettings, http::router},
    sender::SenderSettings,
};
use cortado_node::{attester::load_genesis, home::Home};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tracing::{info, warn};

/// Wei in a gwei.
const GWEI: u128 = 1_000_000_000;

/// What a relay is started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayConfig {
    /// Genesis file of the Cortado chain.
    pub genesis: PathBuf,
    /// URLs of its nodes.
    pub nodes: Vec<String>,
    /// Ethereum JSON-RPC of the L1.
    pub rpc: String,
    /// What `cortado contracts deploy` wrote.
    pub contracts: PathBuf,
    /// Key file of the account that pays.
    pub key: PathBuf,
    /// Where it keeps what it has under way.
    pub data_dir: PathBuf,
    /// Where `GET /status` and `POST /headers/{height}` listen.
    pub listen: SocketAddr,
    /// A header is posted when the chain is this far ahead; half a registry epoch if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<u64>,
    /// Whether it settles seats when stake or keys changed.
    #[serde(default = "default_settle")]
    pub settle: bool,
    /// Blocks on top of a transaction's before it counts.
    #[serde(default = "default_confirmations")]
    pub confirmations: u64,
    /// Most that is paid for gas, in gwei.
    #[serde(default = "default_fee_max_gwei")]
    pub fee_max_gwei: u32,
    /// Seconds without inclusion before the fee is raised.
    #[serde(default = "default_bump_after_seconds")]
    pub bump_after_seconds: u64,
    /// Between looks at the chains, ms.
    #[serde(default = "default_poll_ms")]
    pub poll_ms: u64,
}

const fn default_settle() -> bool {
    true
}

const fn default_confirmations() -> u64 {
    2
}

const fn default_fee_max_gwei() -> u32 {
    500
}

const fn default_bump_after_seconds() -> u64 {
    40
}

const fn default_poll_ms() -> u64 {
    4_000
}

/// A running relay.
pub struct RelayService {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    work: JoinHandle<String>,
    server: JoinHandle<std::io::Result<()>>,
    _home: Home,
}

impl Service for RelayService {
    type Config = RelayConfig;
    const NAME: &'static str = "relay";

    async fn start(config: RelayConfig) -> Result<Self> {
        let home = Home::open(&config.data_dir, "relay")?;
        let genesis = load_genesis(&config.genesis)?;
        let at = load_addresses(&config.contracts)?;
        let Some(light) = at.light_client else {
            bail!(
                "{} has no light client: run `cortado contracts deploy` with --genesis",
                config.contracts.display()
            );
        };
        if at.chain_id != genesis.chain_id {
            bail!(
                "{} is of chain {}, the genesis of {}",
                config.contracts.display(),
                at.chain_id,
                genesis.chain_id
            );
        }
        let settings = SenderSettings {
            confirmations: config.confirmations,
            bump_after: Duration::from_secs(config.bump_after_seconds),
            poll: Duration::from_millis(config.poll_ms.clamp(100, 12_000)),
            fee_max: u128::from(config.fee_max_gwei) * GWEI,
        };
        let sender =
            Arc::new(open_sender(&config.rpc, &config.key, Some(home.path()), settings).await?);
        let registry = Registry::new(sender.l1().clone(), at.registry);
        let (_, epoch) = registry.clock().await?;
        let interval = config.interval_seconds.unwrap_or(epoch / 2);
        if interval >= epoch {
            bail!("interval_seconds is {interval}, it must be below an epoch of {epoch}");
        }
        let settings = RelaySettings {
            interval_ms: interval * 1_000,
            settle: config.settle,
        };
        let chain = Arc::new(Client::new(&genesis, &config.nodes)?);
        let relay = Relay::open(sender, chain, light, at.registry, settings).await?;
        let relay = Arc::new(relay);
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("listening on {}", config.listen))?;
        let address = listener.local_addr()?;
        let (stop, stopping) = watch::channel(false);
        let mut ending = stopping.clone();
        let serve = axum::serve(listener, router(relay.clone()));
        let serve = serve.with_graceful_shutdown(async move {
            let _ = ending.wait_for(|stop| *stop).await;
        });
        Ok(Self {
            address,
            stop,
            work: tokio::spawn(work(relay, Duration::from_millis(config.poll_ms), stopping)),
            server: tokio::spawn(serve.into_future()),
            _home: home,
        })
    }

    fn urls(&self) -> Vec<(&'static str, String)> {
        vec![("http", format!("http://{}", self.address))]
    }

    async fn failed(&mut self) -> String {
        (&mut self.work)
            .await
            .unwrap_or_else(|error| error.to_string())
    }

    async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.server.await;
        if !self.work.is_finished() {
            let _ = self.work.await;
        }
    }
}

/// Ticks until it is told to stop, or can do nothing any more, and says why.
async fn work(relay: Arc<Relay>, poll: Duration, mut stopping: watch::Receiver<bool>) -> String {
    let mut before = relay.status();
    loop {
        // A transaction under way is in the journal: to stop waiting for it loses nothing.
        let done = tokio::select! {
            done = relay.tick() => done,
            _ = stopping.wait_for(|stop| *stop) => return "told to stop".to_owned(),
        };
        match done {
            Ok(()) => {}
            Err(error @ RelayError::Stopped(_)) => return error.to_string(),
            Err(error) => warn!(%error, "not relayed; trying again"),
        }
        let now = relay.status();
        if now.stored != before.stored || now.transactions != before.transactions {
            info!(
                head = %now.head, stored = %now.stored, lag_blocks = now.lag_blocks,
                lag_milliepochs = now.lag_milliepochs, transactions = now.transactions,
                gas = now.gas, wei = %now.wei, "relayed"
            );
        }
        before = now;
        tokio::select! {
            () = tokio::time::sleep(poll) => {}
            _ = stopping.wait_for(|stop| *stop) => return "told to stop".to_owned(),
        }
    }
}
