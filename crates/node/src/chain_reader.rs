//! What the HTTP API reads, from a running consensus node and the index beside it.

use crate::{
    evidence::{EvidenceStore, Kept},
    index::{Index, IndexError},
    reader::{ChainReader, LanePlace, LocalStatus, ReadError, Reading, Tip, TransactionPlace},
};
use cortado_chain::{Checks, State, apply};
use cortado_client::api::EvidenceView;
use cortado_consensus::{host::MetricsText, ledger::Finalized, node::Node, scheme::BlsScheme};
use cortado_evidence::ViewRecord;
use cortado_types::{
    B256, Block, FinalityCertificate, Genesis, Header, Height, LaneBody, Namespace, SeatSet, Term,
    View,
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

/// How long a read waits for a body that is still being fetched from peers, or for a transaction
/// that is still being indexed.
const BODY_WAIT: Duration = Duration::from_secs(2);

/// How long the index waits for a body; its transactions are then found by position only.
const INDEX_BODY_WAIT: Duration = Duration::from_secs(10);

/// How long a restarted node catches up with what it had shown before it shows anything: blocks
/// since its last snapshot are applied again, from its own disk.
const REPLAY_WAIT: Duration = Duration::from_secs(20);

type Consensus = Node<BlsScheme>;

/// Reads a consensus node.
pub struct NodeReader {
    genesis: Arc<Genesis>,
    genesis_block: Arc<Block>,
    node: Consensus,
    index: Arc<Index>,
    evidence: EvidenceStore,
    tip: watch::Sender<Arc<Tip>>,
    /// The first block whose transactions are still to be indexed.
    indexed: watch::Sender<Height>,
    failed: watch::Sender<bool>,
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

/// The node's last block, once it is at least the `shown`-th, which was shown before a restart.
async fn replayed(node: &Consensus, shown: usize) -> Arc<Finalized> {
    let mut finalized = node.watch();
    let is_there = |at: &Arc<Finalized>| at.height().get() + 1 >= shown as u64;
    let waited = tokio::time::timeout(REPLAY_WAIT, finalized.wait_for(is_there)).await;
    if !matches!(waited, Ok(Ok(_))) {
        let at = node.finalized().height();
        warn!(%at, shown, "shows an older block than before the restart until peers bring the rest");
    }
    node.finalized()
}

impl NodeReader {
    /// Catches the index up with the node, then follows it.
    ///
    /// # Errors
    /// If genesis or index cannot be used, or the index is of another chain.
    pub async fn start(
        genesis: Arc<Genesis>,
        node: Consensus,
        (index, evidence): (Index, EvidenceStore),
        local: watch::Receiver<LocalStatus>,
        metrics: MetricsText,
    ) -> anyhow::Result<Arc<Self>> {
        let genesis_state = State::genesis(&genesis)?;
        let genesis_block = Arc::new(genesis_state.genesis_block());
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
        let at = replayed(&node, hashes.len()).await;
        let reader = Arc::new(Self {
            genesis,
            genesis_block,
            tip: watch::Sender::new(tip_of(&at)),
            node,
            indexed: watch::Sender::new(index.transactions_next()?),
            failed: watch::Sender::new(false),
            index: Arc::new(index),
            evidence,
            history: Mutex::new(history),
            states: Mutex::new(BTreeMap::new()),
            local,
            metrics,
        });
        reader.catch_up(&at).await?;
        let following = Arc::downgrade(&reader);
        let mut finalized = reader.node.watch();
        tokio::spawn(async move {
            while finalized.changed().await.is_ok() {
                let Some(reader) = following.upgrade() else {
                    return;
                };
                let at = finalized.borrow_and_update().clone();
                if let Err(error) = reader.catch_up(&at).await {
                    return reader.fail(&error);
                }
            }
        });
        let indexing = Arc::downgrade(&reader);
        let mut tip = reader.tip.subscribe();
        tokio::spawn(async move {
            loop {
                let Some(reader) = indexing.upgrade() else {
                    return;
                };
                if let Err(error) = reader.index_transactions().await {
                    return reader.fail(&error);
                }
                drop(reader);
                if tip.changed().await.is_err() {
                    return;
                }
            }
        });
        Ok(reader)
    }

    fn fail(&self, error: &anyhow::Error) {
        error!(%error, "the index fails: what this node shows would stand still, so it stops");
        self.failed.send_replace(true);
    }

    /// Resolves when the index has failed.
    pub fn failed(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut failed = self.failed.subscribe();
        async move {
            if failed.wait_for(|failed| *failed).await.is_err() {
                // It went away without fault.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Indexes the transactions of every block up to the tip. Beside showing blocks, because
    /// bodies may be many, large, and late.
    async fn index_transactions(&self) -> anyhow::Result<()> {
        loop {
            let height = *self.indexed.borrow();
            if height > self.tip.borrow().height() {
                return Ok(());
            }
            let Some(block) = self.block_at(height).await else {
                anyhow::bail!("block {height} is final and not in the store");
            };
            let mut bodies = Vec::new();
            for entry in &block.lanes {
                let header = &entry.lane.header;
                match self.fetch(header.hash(), INDEX_BODY_WAIT).await {
                    Ok(Some(body)) => bodies.push((header.clone(), body)),
                    Ok(None) => {}
                    Err(error) => warn!(%error, lane = %header.hash(), "a body cannot be read"),
                }
            }
            let index = self.index.clone();
            tokio::task::spawn_blocking(move || index.add_transactions(height, &bodies)).await??;
            self.indexed.send_replace(height.next().unwrap_or(height));
        }
    }

    /// Indexes every final block up to `at`, then shows it as the tip.
    async fn catch_up(&self, at: &Arc<Finalized>) -> anyhow::Result<()> {
        self.derive_states(at).await?;
        loop {
            let next = Height::new(lock(&self.history).leaves());
            if next > at.height() {
                break;
            }
            let block = match self.block_at(next).await {
                Some(block) => block,
                None => anyhow::bail!("block {next} is final and not in the store"),
            };
            let (index, indexed) = (self.index.clone(), block.clone());
            tokio::task::spawn_blocking(move || index.add(&indexed)).await??;
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

    /// States between the last one kept and `at`: a watch shows only the newest of those that
    /// came together.
    async fn derive_states(&self, at: &Arc<Finalized>) -> anyhow::Result<()> {
        let Some((mut height, mut state)) = lock(&self.states)
            .last_key_value()
            .map(|(height, state)| (*height, state.clone()))
        else {
            return Ok(());
        };
        if at.height().get().saturating_sub(height.get()) > STATES_MAX as u64 {
            return Ok(());
        }
        let absent = |height| anyhow::anyhow!("block {height} is final and not in the store");
        let parent = self.block_at(height).await;
        let mut parent = parent.ok_or_else(|| absent(height))?;
        while let Some(next) = height.next().filter(|next| *next < at.height()) {
            let block = self.block_at(next).await.ok_or_else(|| absent(next))?;
            let after = apply(&state, &parent.header, &block, Checks::Replay)?;
            (height, state, parent) = (next, Arc::new(after), block);
            lock(&self.states).insert(height, state.clone());
        }
        Ok(())
    }

    async fn block_at(&self, height: Height) -> Option<Arc<Block>> {
        if height == Height::ZERO {
            return Some(self.genesis_block.clone());
        }
        let block = self.node.block(height).await?;
        Some(Arc::new(block.inner().clone()))
    }

    async fn fetch(&self, lane: B256, wait: Duration) -> Result<Option<LaneBody>, ReadError> {
        match tokio::time::timeout(wait, self.node.lane_block(lane)).await {
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
        Box::pin(self.fetch(lane, BODY_WAIT))
    }

    fn place_of_transaction(&self, hash: B256) -> Reading<'_, Option<TransactionPlace>> {
        Box::pin(async move {
            if let Some(found) = self.index.transaction(hash).map_err(store)? {
                return Ok(Some(found));
            }
            // It may stand in a block that is shown and whose transactions are being indexed.
            let tip = self.tip.borrow().height();
            let mut indexed = self.indexed.subscribe();
            if *indexed.borrow() <= tip {
                let caught_up = indexed.wait_for(|next| *next > tip);
                // In time or not, what is there by then is the answer.
                let _ = tokio::time::timeout(BODY_WAIT, caught_up).await.map(drop);
            }
            self.index.transaction(hash).map_err(store)
        })
    }

    fn state(&self, height: Height) -> Reading<'_, Option<Arc<State>>> {
        Box::pin(async move { Ok(lock(&self.states).get(&height).cloned()) })
    }

    fn history(&self, from: Height, at: Height) -> Reading<'_, Option<HistoryProof>> {
        Box::pin(async move { Ok(lock(&self.history).prove(from.get(), at.get())) })
    }

    fn seats(&self, term: Term) -> Reading<'_, Option<Arc<SeatSet>>> {
        Box::pin(async move { Ok(self.node.seats(term).await) })
    }

    fn boundary(&self, term: Term) -> Reading<'_, Option<(Header, FinalityCertificate)>> {
        Box::pin(async move { Ok(self.node.boundary(term).await) })
    }

    fn votes(&self, term: Term, view: View) -> Reading<'_, ViewRecord> {
        Box::pin(async move { Ok(self.node.view(term, view).await) })
    }

    fn evidence(&self) -> Reading<'_, Vec<EvidenceView>> {
        Box::pin(async move {
            let kept = self.evidence.all();
            let kept = kept.map_err(|error| ReadError::Store(error.to_string()))?;
            let view = |kept: Kept| EvidenceView {
                offence: kept.offence,
                standing: kept.standing,
                evidence: kept.evidence,
            };
            Ok(kept.into_iter().map(view).collect())
        })
    }

    fn local_status(&self) -> LocalStatus {
        self.local.borrow().clone()
    }

    fn metrics(&self) -> String {
        (self.metrics)()
    }
}
