//! A watcher of L1 endpoints on paper, and what it tells and shows.

use crate::{
    chain::{TestChain, genesis},
    paper::{Chain, Paper},
};
use cortado_client::api::{L1EndpointState as State, L1NodeStatus};
use cortado_consensus::witness::Observation;
use cortado_l1::TrackedHeader;
use cortado_node::{
    l1::{L1NodeConfig, RpcUrls, Watcher},
    reader::Tip,
};
use cortado_types::L1Ref;
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};

/// A running watcher, and the papers it reads.
pub struct Watch {
    pub watcher: Watcher,
    pub observations: mpsc::Receiver<Observation>,
    pub tip: watch::Sender<Arc<Tip>>,
    pub papers: Vec<Paper>,
}

/// The chain that everything begins with: the genesis' anchor, number 100.
pub fn anchor() -> Chain {
    Chain::of(&genesis(1).l1.anchor)
}

impl Watch {
    /// A watcher of endpoints that show these chains, in this order.
    pub async fn start(chains: &[&Chain]) -> Self {
        let mut papers = Vec::new();
        for chain in chains {
            papers.push(Paper::start(chain).await);
        }
        Self::of(papers)
    }

    pub fn of(papers: Vec<Paper>) -> Self {
        let genesis = genesis(1);
        let config = genesis.l1.clone();
        let chain = TestChain::of(genesis, 1);
        let (tip, tip_receiver) = watch::channel(Arc::new(Tip {
            block: Arc::new(chain.tip().clone()),
            hash: chain.tip().hash(),
            state: chain.state().clone(),
        }));
        let (sender, observations) = mpsc::channel(64);
        let node = L1NodeConfig {
            rpc: RpcUrls::new(papers.iter().map(Paper::url).collect()).unwrap(),
            beacon: None,
        };
        let watcher = Watcher::start(&node, &config, tip_receiver, sender).unwrap();
        Self {
            watcher,
            observations,
            tip,
            papers,
        }
    }

    /// The next header that is told.
    pub async fn header(&mut self) -> L1Ref {
        loop {
            match self.next().await {
                Observation::Header(raw) => return TrackedHeader::read(&raw).unwrap().to_ref(),
                other => assert!(!matches!(other, Observation::Seats(_))),
            }
        }
    }

    pub async fn next(&mut self) -> Observation {
        let next = tokio::time::timeout(Duration::from_secs(60), self.observations.recv());
        next.await
            .expect("an observation within a minute")
            .expect("the watcher runs")
    }

    /// That exactly the blocks of `chain` from `first` on are told, in order.
    pub async fn tells(&mut self, chain: &Chain, first: u64) {
        for number in first..=chain.tip().number {
            assert_eq!(self.header().await, chain.at(number));
        }
    }

    /// Waits until the status fits.
    pub async fn until(&self, what: &str, fits: impl FnMut(&L1NodeStatus) -> bool) -> L1NodeStatus {
        let mut status = self.watcher.status();
        let found = tokio::time::timeout(Duration::from_secs(60), status.wait_for(fits)).await;
        match found {
            Ok(status) => status.unwrap().clone(),
            Err(_) => panic!(
                "no {what} in a minute: {:?}",
                *self.watcher.status().borrow()
            ),
        }
    }

    pub async fn states(&self, states: &[State]) -> L1NodeStatus {
        let fits = |status: &L1NodeStatus| {
            let now = status.endpoints.iter().map(|one| one.state);
            now.eq(states.iter().copied())
        };
        self.until(&format!("{states:?}"), fits).await
    }

    pub async fn waits(&self, part: &str) -> String {
        let has = |status: &L1NodeStatus| status.waits.iter().any(|wait| wait.contains(part));
        let status = self.until(part, has).await;
        let found = status.waits.into_iter().find(|wait| wait.contains(part));
        found.unwrap()
    }

    /// Whether the block is told final next; headers are passed over.
    pub async fn is_final(&mut self) -> L1Ref {
        loop {
            if let Observation::Finalized(hash) = self.next().await {
                let paper = self.papers[0].sheet.lock().unwrap();
                let number = paper.finalized.unwrap().number;
                return L1Ref { number, hash };
            }
        }
    }

    pub async fn nothing_more(&mut self) {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(
            self.observations.try_recv(),
            Err(mpsc::error::TryRecvError::Empty)
        );
    }
}
