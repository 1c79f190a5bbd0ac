//! Brings what this node knows against seats to Ethereum, and answers for the accused (R2).

use crate::{
    evidence::EvidenceStore,
    keys::{self, AccountKeys, KeyFileError},
};
use cortado_client::api::Standing;
use cortado_consensus::{node::Node, scheme::BlsScheme};
use cortado_contracts::{
    rpc::{Rpc, RpcError},
    sender::{Sender, SenderError, SenderSettings},
    slashing::{Docket, Slashing, SlashingError},
};
use cortado_evidence::{Evidence, ViewRecord};
use cortado_types::{Address, B256, Genesis, SeatSet, Term, View};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use thiserror::Error;
use tracing::{error, info, warn};

/// How often the chain is asked what is due; L1 moves once in seconds.
const POLL: Duration = Duration::from_secs(4);

/// Pause after a failure, and before the first try while the L1 node does not answer.
const RETRY: Duration = Duration::from_secs(10);

/// Seat sets that are remembered: a year of daily changes.
const SEAT_SETS_MAX: usize = 512;

/// `[slashing]`: an L1 account that reports seats, and answers for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlashingConfig {
    /// Key file of the account that pays fees and bonds, and gets rewards.
    pub key: PathBuf,
    /// The `Slasher` contract.
    pub slasher: Address,
    /// A block of L1 not after its deployment: accusations are looked for from here on.
    #[serde(default)]
    pub since: u64,
}

/// Why slashing does not start.
#[derive(Debug, Error)]
pub enum SlashingStartError {
    /// It needs an L1 node.
    #[error("[slashing] needs an L1 node: set [l1]")]
    NoL1,
    /// The key file is refused.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The secret is not a key.
    #[error("key file {path}: the secret is not a secp256k1 key")]
    Scalar {
        /// The file.
        path: PathBuf,
    },
    /// The URL is none.
    #[error(transparent)]
    Url(#[from] RpcError),
}

/// What this node knows.
struct NodeDocket {
    store: EvidenceStore,
    nodes: Vec<Node<BlsScheme>>,
    seats: Mutex<BTreeMap<B256, Arc<SeatSet>>>,
}

impl NodeDocket {
    fn remember(&self, seats: &Arc<SeatSet>) {
        let mut known = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < SEAT_SETS_MAX {
            known.entry(seats.hash()).or_insert_with(|| seats.clone());
        }
    }
}

impl Docket for NodeDocket {
    fn open(&self) -> Result<Vec<Evidence>, String> {
        let all = self.store.all().map_err(|error| error.to_string())?;
        let open = all
            .into_iter()
            .filter(|kept| kept.standing != Standing::Settled);
        Ok(open.map(|kept| kept.evidence).collect())
    }

    fn mark(&self, offence: B256, settled: bool) -> Result<(), String> {
        let standing = if settled {
            Standing::Settled
        } else {
            Standing::Submitted
        };
        self.store
            .mark(offence, standing)
            .map_err(|error| error.to_string())
    }

    fn view(&self, term: Term, view: View) -> BoxFuture<'_, ViewRecord> {
        Box::pin(async move {
            let mut record = ViewRecord::new(term, view);
            for node in &self.nodes {
                record.merge(&node.view(term, view).await);
            }
            record
        })
    }

    fn seats(&self, hash: B256) -> BoxFuture<'_, Option<Arc<SeatSet>>> {
        Box::pin(async move {
            for node in &self.nodes {
                self.remember(&node.finalized().state.seats);
            }
            let known = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(&hash).cloned()
        })
    }
}

/// Reads the key and checks what can be checked without an L1 node. The task that is returned runs
/// until it is dropped; an L1 node that does not answer is asked again.
///
/// # Errors
/// [`SlashingStartError`].
pub(crate) fn start(
    config: &SlashingConfig,
    rpc: &str,
    home: &Path,
    genesis: &Genesis,
    store: EvidenceStore,
    nodes: Vec<Node<BlsScheme>>,
) -> Result<BoxFuture<'static, ()>, SlashingStartError> {
    let secrets: AccountKeys = keys::load_for(&config.key, genesis.l1.chain_id)?;
    let key = secrets
        .signing_key()
        .map_err(|_| SlashingStartError::Scalar {
            path: config.key.clone(),
        })?;
    let l1: Arc<Rpc> = Arc::new(Rpc::new(rpc)?);
    let docket = NodeDocket {
        store: store.clone(),
        nodes,
        seats: Mutex::default(),
    };
    if let Ok(seats) = genesis.validate() {
        docket.remember(&Arc::new(seats));
    }
    let docket: Arc<dyn Docket> = Arc::new(docket);
    let (slasher, since) = (config.slasher, config.since);
    let journal = home.join("slashing.journal");
    Ok(Box::pin(async move {
        let slashing = loop {
            let open = async {
                let settings = SenderSettings::default();
                let sender = Sender::open(l1.clone(), key.clone(), &journal, settings).await?;
                info!(account = %sender.account(), %slasher, "reports seats that lie");
                Ok(Slashing::open(Arc::new(sender), slasher, since, docket.clone()).await?)
            };
            match open.await {
                Ok(slashing) => break slashing,
                Err(error) => {
                    let error: OpenError = error;
                    warn!(%error, "slashing waits");
                    tokio::time::sleep(RETRY).await;
                }
            }
        };
        loop {
            let pause = match slashing.tick().await {
                Ok(()) => POLL,
                Err(error) => {
                    error!(%error, "slashing did not get on");
                    RETRY
                }
            };
            // New evidence does not wait.
            let _ = tokio::time::timeout(pause, store.news()).await;
        }
    }))
}

#[derive(Debug, Error)]
enum OpenError {
    #[error(transparent)]
    Sender(#[from] SenderError),
    #[error(transparent)]
    Slashing(#[from] SlashingError),
}
