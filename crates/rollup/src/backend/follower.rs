//! The thread that keeps a rollup node's chain.

use super::{RollupNode, Shared, lock};
use crate::{
    engine::{Derivation, Engine, EngineError, is_sealed_form, outcome_of},
    gateway::actor::{Read, clock_now, decode, read_blocks},
    queues::{Queues, Told},
    source::{
        Finalised, FinalisedSource, PreconfEvent, PreconfSource, Promises, QueueSource,
        TransactionSink,
    },
};
use cortado_ethrpc::{ChainEvent, Counter};
use cortado_evm::ExecutedBlock;
use cortado_preconf::Terms;
use cortado_types::{Address, Height, L1Ref, SignedLaneHeader, TimestampMs};
use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot, watch};

/// Finalised blocks read ahead.
const BLOCKS_AHEAD_MAX: usize = 64;
/// Preconfirmations read ahead; the proposer's feed holds the rest.
const EVENTS_AHEAD_MAX: usize = 4_096;
/// Preconfirmations taken in before readers see them: a view is made once for all of them.
const EVENTS_PER_VIEW_MAX: usize = 512;
/// What was applied is made durable this often; the rest is applied again after a crash.
const PERSIST_MS: u64 = 1_000;

/// What a rollup node counts.
#[derive(Debug, Default)]
pub struct NodeCounters {
    /// Finalised blocks applied.
    pub blocks: Counter,
    /// Lane blocks whose L2 block had been executed as pending.
    pub adopted: Counter,
    /// Lane blocks executed when they were final.
    pub executed: Counter,
    /// Promised transactions that did not do here what was promised.
    pub broken_promises: Counter,
    /// Promised transactions that have no effect here because the promise is for another fork of L1, or
    /// for another L2 block below (R21).
    pub excused_promises: Counter,
    /// Promises or lane headers that were not signed by the proposer, or contradicted it.
    pub foreign_promises: Counter,
    /// Times the proposer's stream failed and was taken up again.
    pub stream_failures: Counter,
}

/// A running follower. Dropping it stops it too, without waiting.
#[derive(Debug)]
pub struct RunningNode {
    stop: watch::Sender<bool>,
    ended: oneshot::Receiver<Result<(), EngineError>>,
    l1_safe: mpsc::Sender<L1Ref>,
}

impl RunningNode {
    /// Stops and makes everything durable.
    ///
    /// # Errors
    /// Why it had stopped before, or could not make things durable.
    pub async fn stop(self) -> Result<(), EngineError> {
        self.stop.send_replace(true);
        self.ended.await.unwrap_or(Ok(()))
    }

    /// Waits until it ends by itself, which only a fault makes it do.
    ///
    /// # Errors
    /// The fault.
    pub async fn ended(&mut self) -> Result<(), EngineError> {
        let outcome = (&mut self.ended).await.unwrap_or(Ok(()));
        // The outcome is told once; a stop after it finds nothing left to wait for.
        self.ended = oneshot::channel().1;
        outcome
    }

    /// Where to say which L1 block is safe.
    pub fn l1_safe(&self) -> L1Safe {
        L1Safe(self.l1_safe.clone())
    }
}

/// Moves the tag `safe` of a rollup node.
#[derive(Clone, Debug)]
pub struct L1Safe(mpsc::Sender<L1Ref>);

impl L1Safe {
    /// Says which L1 block this node's L1 considers safe.
    pub async fn set(&self, block: L1Ref) {
        // A stopped node needs no tags.
        let _ = self.0.send(block).await;
    }
}

/// Starts to follow; `proposer` signs the namespace's lane blocks and promises.
///
/// # Panics
/// Outside a tokio runtime.
pub fn start<F: FinalisedSource, Q: QueueSource, P: PreconfSource, T: TransactionSink>(
    mut engine: Engine,
    proposer: Address,
    (source, queues): (F, Q),
    preconfs: P,
    sink: T,
) -> (Arc<RollupNode<T>>, RunningNode) {
    let view = engine.view(None);
    let shared = Arc::new(Shared::new(
        engine.spec().clone(),
        engine.store().clone(),
        engine.lane_index(),
        view,
    ));
    let counters = Arc::new(NodeCounters::default());
    let node = Arc::new(RollupNode {
        shared: shared.clone(),
        sink,
        proposer,
        counters: counters.clone(),
    });
    let (blocks, finalised) = mpsc::channel(BLOCKS_AHEAD_MAX);
    let (events, preconfirmed) = mpsc::channel(EVENTS_AHEAD_MAX);
    let (l1_safe, safe) = mpsc::channel(1);
    let (stop, stopped) = watch::channel(false);
    let (end, ended) = oneshot::channel();
    tokio::spawn(read_blocks(
        source,
        engine.next_height(),
        vec![engine.namespace()],
        blocks,
    ));
    tokio::spawn(read_events(preconfs, events, counters.clone()));
    let follower = Follower {
        queues: Queues::new(queues),
        engine,
        shared,
        counters,
        proposer,
        head: None,
        unpersisted: None,
    };
    let runtime = tokio::runtime::Handle::current();
    std::thread::spawn(move || {
        let result = runtime.block_on(follower.run(finalised, preconfirmed, safe, stopped));
        if let Err(error) = &result {
            tracing::error!(%error, "the rollup node has stopped");
        }
        // Nobody may be waiting for the end.
        let _ = end.send(result);
    });
    (
        node,
        RunningNode {
            stop,
            ended,
            l1_safe,
        },
    )
}

async fn read_events<P: PreconfSource>(
    mut source: P,
    events: mpsc::Sender<PreconfEvent>,
    counters: Arc<NodeCounters>,
) {
    loop {
        let next = tokio::select! {
            next = source.next() => next,
            () = events.closed() => return,
        };
        match next {
            Ok(event) => {
                if events.send(event).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                counters.stream_failures.inc();
                tracing::debug!(%error, "the proposer's stream failed, taking it up again");
            }
        }
    }
}

struct Follower<Q> {
    engine: Engine,
    queues: Queues<Q>,
    shared: Arc<Shared>,
    counters: Arc<NodeCounters>,
    proposer: Address,
    head: Option<Height>,
    unpersisted: Option<TimestampMs>,
}

impl<Q: QueueSource> Follower<Q> {
    async fn run(
        mut self,
        mut finalised: mpsc::Receiver<Read>,
        mut preconfirmed: mpsc::Receiver<PreconfEvent>,
        mut safe: mpsc::Receiver<L1Ref>,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), EngineError> {
        let mut batch = Vec::new();
        self.queues.ask(&self.engine);
        loop {
            let mut latest = None;
            tokio::select! {
                biased;
                changed = stopped.changed() => {
                    if changed.is_err() || *stopped.borrow() {
                        break;
                    }
                }
                read = finalised.recv() => match read {
                    Some(Read::Head(head)) => self.head = Some(head),
                    Some(Read::Block(block)) => latest = Some(self.apply(&block)?),
                    None => break,
                },
                Some(block) = safe.recv() => self.engine.set_l1_safe(block),
                told = self.queues.told() => latest = Some(self.tell(told)?),
                count = preconfirmed.recv_many(&mut batch, EVENTS_PER_VIEW_MAX) => {
                    if count == 0 {
                        break;
                    }
                }
                () = tokio::time::sleep(Duration::from_millis(PERSIST_MS)) => {}
            }
            for event in batch.drain(..) {
                self.preconfirm(event);
            }
            self.publish(latest)?;
            let now = clock_now();
            if self
                .unpersisted
                .is_some_and(|since| now.since(since) >= PERSIST_MS)
            {
                self.engine.persist()?;
                self.unpersisted = None;
            }
        }
        self.engine.persist()
    }

    /// Applies a finalised block; the event of what became `latest`.
    fn apply(&mut self, finalised: &Finalised) -> Result<ChainEvent, EngineError> {
        let applied = self.engine.apply(finalised)?;
        self.engine.drop_passed();
        self.queues.ask(&self.engine);
        self.counters.blocks.inc();
        self.unpersisted.get_or_insert_with(clock_now);
        let behind = self.head.filter(|head| applied.height < *head);
        let syncing = behind.map(|head| (applied.height.get(), head.get()));
        *self
            .shared
            .syncing
            .write()
            .unwrap_or_else(PoisonError::into_inner) = syncing;
        Ok(self.took(&applied.derivation, applied.left))
    }

    /// It is known what an L1 block queued; the event of what became `latest`.
    fn tell(&mut self, told: Told) -> Result<ChainEvent, EngineError> {
        let derivation = self.engine.tell_queue(told.block, told.entries)?;
        self.engine.drop_passed();
        self.queues.ask(&self.engine);
        self.unpersisted.get_or_insert_with(clock_now);
        Ok(self.took(&derivation, None))
    }

    /// What the derived chain changed, as an event.
    fn took(&self, derivation: &Derivation, left: Option<L1Ref>) -> ChainEvent {
        lock(&self.shared.fates).take(derivation, left);
        let records = |blocks: &[Arc<ExecutedBlock>]| -> Vec<_> {
            blocks.iter().map(|block| block.record.clone()).collect()
        };
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        if let Some(reorg) = &derivation.reorg {
            tracing::info!(
                blocks = reorg.removed.len(),
                lost = reorg.lost.len(),
                survived = reorg.survived,
                "L1 changed forks"
            );
            removed = records(&reorg.removed);
            added = records(&reorg.added);
        }
        for lane in &derivation.lanes {
            let counter = if lane.adopted {
                &self.counters.adopted
            } else {
                &self.counters.executed
            };
            counter.inc();
            added.extend(lane.block.iter().map(|block| block.record.clone()));
        }
        ChainEvent::Latest { removed, added }
    }

    fn preconfirm(&mut self, event: PreconfEvent) {
        match event {
            PreconfEvent::Reset => {
                // What is promised anew stands again.
                let mut fates = lock(&self.shared.fates);
                for included in self.engine.clear_pending() {
                    let reason = "its lane block is dead, and it has no other place yet";
                    fates.fall(included.hash(), reason.to_owned());
                }
            }
            PreconfEvent::Opened { header } => {
                // An open lane block without transactions is replaced by a newer one.
                self.engine.discard_empty_lane();
                self.engine.open_lane(header, self.proposer);
            }
            PreconfEvent::Transaction { raw, promises } => {
                let Ok(included) = decode(raw, self.shared.spec.chain.chain_id) else {
                    self.counters.foreign_promises.inc();
                    return;
                };
                lock(&self.shared.waiting).remove(&included.hash());
                lock(&self.shared.fates).stand(&included.hash());
                let excused = self.is_excused(&promises);
                match self.engine.push_promised(included) {
                    Ok(None) => {}
                    Ok(Some(_)) if excused => self.counters.excused_promises.inc(),
                    Ok(Some(outcome)) => self.compare(&promises, outcome_of(&outcome)),
                    Err(error) if excused => {
                        self.counters.excused_promises.inc();
                        tracing::debug!(%error, "a promise is for another fork of L1");
                    }
                    Err(error) => {
                        self.counters.broken_promises.inc();
                        let position = promises.inclusion.promise.position;
                        tracing::warn!(%error, ?position, "a promised transaction does not execute");
                    }
                }
            }
            PreconfEvent::Sealed { lane } => self.seal(&lane),
            PreconfEvent::Dropped { hash, reason } => {
                lock(&self.shared.waiting).remove(&hash);
                lock(&self.shared.fates).fall(hash, reason);
            }
        }
        self.engine.drop_passed();
    }

    /// Whether a promise says nothing of what the transaction does here (R19, R21).
    fn is_excused(&self, promises: &Promises) -> bool {
        let Terms::Execution {
            l2_parent, context, ..
        } = promises.execution.promise.terms
        else {
            return false;
        };
        let parent = self.engine.l2_parent();
        !self.engine.is_on_fork(&context) || parent.is_some_and(|here| here.hash() != l2_parent)
    }

    fn compare(&self, promises: &Promises, here: cortado_preconf::Outcome) {
        if let Terms::Execution { outcome, .. } = promises.execution.promise.terms
            && outcome != here
        {
            self.counters.broken_promises.inc();
            let position = promises.execution.promise.position;
            tracing::warn!(?position, promised = ?outcome, ?here, "a promise is broken");
        }
    }

    fn seal(&mut self, lane: &SignedLaneHeader) {
        let here = self.engine.sealed_header(lane.header.last);
        let matches = here.is_some_and(|here| here == lane.header && is_sealed_form(&here, lane));
        if !matches || lane.signer() != Ok(self.proposer) {
            // What is pending here is not what the proposer signed: show nothing rather than that.
            self.counters.foreign_promises.inc();
            self.engine.clear_pending();
            return;
        }
        if let Err(error) = self.engine.seal_lane(lane.header.clone()) {
            tracing::warn!(%error, "a pending lane block cannot be closed");
            self.engine.clear_pending();
        }
    }

    /// Shows readers the chain as it is now, blocks and tags together.
    fn publish(&mut self, latest: Option<ChainEvent>) -> Result<(), EngineError> {
        let before = self.shared.read().clone();
        let view = self.engine.view(Some(&before));
        let same_pending = before.pending.len() == view.pending.len()
            && before
                .pending
                .iter()
                .zip(&view.pending)
                .all(|(one, two)| Arc::ptr_eq(one, two));
        {
            let mut shown = self
                .shared
                .view
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            self.engine.publish()?;
            *shown = Arc::new(view);
        }
        // Nobody may be listening.
        if let Some(ChainEvent::Latest { removed, added }) = &latest
            && !(removed.is_empty() && added.is_empty())
            && let Some(event) = latest
        {
            let _ = self.shared.events.send(event);
        }
        if !same_pending {
            let _ = self.shared.events.send(ChainEvent::Pending);
        }
        Ok(())
    }
}
