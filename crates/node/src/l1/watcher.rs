//! The tasks that watch.

use super::{
    beacon::{Beacon, Duty},
    config::L1NodeConfig,
    error::L1Error,
    lookahead::{Duties, listen},
    nodes::L1Nodes,
    walker::Walker,
};
use crate::reader::Tip;
use cortado_client::api::L1NodeStatus;
use cortado_consensus::witness::Observation;
use cortado_types::L1Config;
use std::sync::Arc;
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
};
use tracing::info;

/// A running watcher; it ends when dropped.
#[derive(Debug)]
pub struct Watcher {
    status: watch::Receiver<L1NodeStatus>,
    lookahead: watch::Receiver<Vec<Duty>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Watcher {
    /// Watches the L1 of `config` through `node`, from where `tip` points on, and tells
    /// `observations`.
    ///
    /// # Errors
    /// If a URL is none. Everything else may pass, and is in [`Watcher::status`].
    pub fn start(
        node: &L1NodeConfig,
        config: &L1Config,
        tip: watch::Receiver<Arc<Tip>>,
        observations: mpsc::Sender<Observation>,
    ) -> Result<Self, L1Error> {
        let beacon = node.beacon.as_deref().map(Beacon::new).transpose()?;
        let wake = Arc::new(Notify::new());
        let nodes = L1Nodes::start_woken(&node.rpc, config, wake.clone())?;
        let (status, status_receiver) = watch::channel(L1NodeStatus::default());
        let (lookahead, lookahead_receiver) = watch::channel(Vec::new());
        let status = Arc::new(status);
        let mut tasks = Vec::new();
        match beacon {
            Some(beacon) => {
                tasks.push(tokio::spawn(listen(beacon.clone(), wake)));
                let duties = Duties {
                    beacon,
                    config: config.clone(),
                    status: status.clone(),
                };
                tasks.push(tokio::spawn(duties.run(lookahead)));
            }
            None => info!("no beacon node is configured: the proposer lookahead is off"),
        }
        let walker = Walker::new(nodes, config, tip, observations, status);
        tasks.push(tokio::spawn(walker.run()));
        Ok(Self {
            status: status_receiver,
            lookahead: lookahead_receiver,
            tasks,
        })
    }

    /// What the L1 endpoints say, and what does not go on.
    pub fn status(&self) -> watch::Receiver<L1NodeStatus> {
        self.status.clone()
    }

    /// Proposers of this and the next L1 epoch's slots (EIP-7917); empty without a beacon.
    pub fn lookahead(&self) -> watch::Receiver<Vec<Duty>> {
        self.lookahead.clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
