//! What the HTTP API reads, from a running consensus node and the index beside it.

use crate::{
    index::{Index, IndexError},
    reader::{ChainReader, LanePlace, LocalStatus, ReadError, Reading, Tip, TransactionPlace},
};
use cortado_chain::State;
use cortado_consensus::{host::MetricsText, ledger::Finalized, node::Node, scheme::BlsScheme};
use cortado_types::{
    B256, Block, FinalityCertificate, Genesis, Height, LaneBody, Namespace, SeatSet, Term,
    mmr::{HistoryProof, Range},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::watch;
use tracing::{error, warn};

/// States kept for proofs against recent blocks.
const STATES_MAX: usize = 256;

/// How long a read waits for a body that is still being fetched from peers.
const BODY_WAIT: Duration = Duration::from_secs(2);

type Consensus = Node<BlsScheme>;

/// Reads a consensus node.
pub struct NodeReader {
    genesis: Arc<Genesis>,
    genesis_block: Arc<Block>,
    seats: Arc<SeatSet>,
    node: Consensus,
    index: Arc<Index>,
    tip: watch::Sender<Arc<Tip>>,
    history: Mutex<Range>,
    states: Mutex<BTreeMap<Height, Arc<State>>>,
    local: watch::Receiver<LocalStatus>,
    metrics: MetricsText,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these, and each change is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn store(error: IndexError) -> ReadError {
    ReadError::Store(error.to_string())
}

fn tip_of(finalized: &Finalized) -> Arc<Tip> {
    let block = finalized.block.inner();
    Arc::new(Tip {
        hash: block.hash(),
        block: Arc::new(block.clone()),
        state: finalized.state.clone(),
    })
}

impl NodeReader {
    /// Catches the index up with the node, then follows it.
    ///
    /// # Errors
    /// If genesis or index cannot be used, or the index is of another chain.
    pub async fn start(
        genesis: Arc<Genesis>,
        node: Consensus,
        index: Index,
        local: watch::Receiver<LocalStatus>,
        metrics: MetricsText,
    ) -> anyhow::Result<Arc<Self>> {
        let genesis_state = State::genesis(&genesis)?;
        let genesis_block = Arc::new(genesis_state.genesis_block());
        let at = node.finalized();
        let mut history = Range::default();
        let hashes = index.hashes()?;
        if hashes
            .first()
            .is_some_and(|first| *first != genesis_block.hash())
        {
            anyhow::bail!(
                "the index begins with block {}, this genesis with {}: wrong data directory",
                hashes[0],
                genesis_block.hash()
            );
        }
        for hash in &hashes {
            history.push(*hash);
        }
        let reader = Arc::new(Self {
            genesis,
            seats: genesis_state.seats.clone(),
            genesis_block,
            tip: watch::Sender::new(tip_of(&at)),
            node,
            index: Arc::new(index),
            history: Mutex::new(history),
            states: Mutex::new(BTreeMap::new()),
            local,
            metrics,
        });
        reader.catch_up(&at).await?;
        let follower = Arc::downgrade(&reader);
        tokio::spawn(async move {
            let mut watch = match follower.upgrade() {
                Some(reader) => reader.node.watch(),
                None => return,
            };
            while watch.changed().await.is_ok() {
                let Some(reader) = follower.upgrade() else {
                    return;
                };
                let at = watch.borrow_and_update().clone();
                if let Err(error) = reader.catch_up(&at).await {
                    error!(%error, "cannot index final blocks; the API stands still");
                    return;
                }
            }
        });
        Ok(reader)
    }

    /// Indexes every final block up to `at`, then shows it as the tip.
    async fn catch_up(&self, at: &Arc<Finalized>) -> anyhow::Result<()> {
        loop {
            let next = Height::new(lock(&self.history).leaves());
            if next > at.height() {
                break;
            }
            let block = match self.block_at(next).await {
                Some(block) => block,
                None => anyhow::bail!("block {next} is final and not in the store"),
            };
            let mut bodies = BTreeMap::new();
            for entry in &block.lanes {
                let hash = entry.lane.header.hash();
                match self.fetch(hash).await {
                    Ok(Some(body)) => drop(bodies.insert(hash, body)),
                    Ok(None) => {}
                    Err(error) => warn!(%error, %hash, "a body cannot be read"),
                }
            }
            let (index, indexed) = (self.index.clone(), block.clone());
            tokio::task::spawn_blocking(move || {
                index.add(&indexed, |hash| bodies.get(&hash).cloned())
            })
            .await??;
            lock(&self.history).push(block.hash());
        }
        let mut states = lock(&self.states);
        states.insert(at.height(), at.state.clone());
        while states.len() > STATES_MAX {
            states.pop_first();
        }
        drop(states);
        self.tip.send_replace(tip_of(at));
        Ok(())
    }

    async fn block_at(&self, height: Height) -> Option<Arc<Block>> {
        if height == Height::ZERO {
            return Some(self.genesis_block.clone());
        }
        let block = self.node.block(height).await?;
        Some(Arc::new(block.inner().clone()))
    }

    async fn fetch(&self, lane: B256) -> Result<Option<LaneBody>, ReadError> {
        match tokio::time::timeout(BODY_WAIT, self.node.lane_block(lane)).await {
            Ok(Ok(found)) => Ok(found.map(|block| block.body)),
            Ok(Err(error)) => Err(ReadError::Store(error.to_string())),
            Err(_) => Ok(None),
        }
    }
}

impl ChainReader for NodeReader {
    fn genesis(&self) -> &Arc<Genesis> {
        &self.genesis
    }

    fn genesis_hash(&self) -> B256 {
        self.genesis_block.hash()
    }

    fn tip(&self) -> watch::Receiver<Arc<Tip>> {
        self.tip.subscribe()
    }

    fn oldest(&self) -> Height {
        Height::ZERO
    }

    fn block(&self, height: Height) -> Reading<'_, Option<Arc<Block>>> {
        Box::pin(async move {
            if height > self.tip.borrow().height() {
                return Ok(None);
            }
            Ok(self.block_at(height).await)
        })
    }

    fn height_of(&self, hash: B256) -> Reading<'_, Option<Height>> {
        Box::pin(async move { self.index.height_of(hash).map_err(store) })
    }

    fn certificate(&self, height: Height) -> Reading<'_, Option<(Height, FinalityCertificate)>> {
        Box::pin(async move { Ok(self.node.certificate(height).await) })
    }

    fn place_of_lane(
        &self,
        namespace: Namespace,
        lane_height: Height,
    ) -> Reading<'_, Option<LanePlace>> {
        Box::pin(async move { self.index.lane(namespace, lane_height).map_err(store) })
    }

    fn body(&self, lane: B256) -> Reading<'_, Option<LaneBody>> {
        Box::pin(self.fetch(lane))
    }

    fn place_of_transaction(&self, hash: B256) -> Reading<'_, Option<TransactionPlace>> {
        Box::pin(async move { self.index.transaction(hash).map_err(store) })
    }

    fn state(&self, height: Height) -> Reading<'_, Option<Arc<State>>> {
        Box::pin(async move { Ok(lock(&self.states).get(&height).cloned()) })
    }

    fn history(&self, from: Height, at: Height) -> Reading<'_, Option<HistoryProof>> {
        Box::pin(async move { Ok(lock(&self.history).prove(from.get(), at.get())) })
    }

    fn seats(&self, term: Term) -> Reading<'_, Option<Arc<SeatSet>>> {
        Box::pin(async move { Ok((term == Term::ZERO).then(|| self.seats.clone())) })
    }

    fn local_status(&self) -> LocalStatus {
        self.local.borrow().clone()
    }

    fn metrics(&self) -> String {
        (self.metrics)()
    }
}
