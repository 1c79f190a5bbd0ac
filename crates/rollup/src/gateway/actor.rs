//! The task around [`Gateway`]: clock, mailbox, source and sink.
//!
//! The gateway computes and waits for its disk, so it has a thread of its own. Its mailbox is
//! bounded: when it is full, submissions are refused, not kept. Everything that waits in it goes
//! into one commit, so the fsync is shared by as many as came while the one before it ran.

use super::{Book, Feed, FeedCursor, Gateway, GatewayError, Ticket};
use crate::{
    engine::Included,
    queues::{Queues, Told},
    source::{
        Finalised, FinalisedSource, LaneSink, Numbered, Promises, QueueSource, SealedLane,
        Submitted,
    },
};
use alloy_consensus::{TxEnvelope, transaction::Recovered};
use alloy_eips::eip2718::Decodable2718;
use cortado_ethrpc::{Counter, SubmitError};
use cortado_evm::recover_signer;
use cortado_types::{B256, Bytes, Height, Namespace, TimestampMs, limits::TRANSACTION_BYTES_MAX};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::{mpsc, oneshot, watch};

/// Submissions that wait for the gateway. A second of the most it can take; more would only wait
/// longer than users do.
pub const SUBMISSIONS_MAX: usize = 8_192;
/// Submissions of one commit: a few milliseconds of execution, so that the first do not wait long
/// for the last.
pub const SUBMISSIONS_PER_COMMIT_MAX: usize = 512;
/// Finalised blocks read ahead of the gateway.
const BLOCKS_AHEAD_MAX: usize = 64;
/// Lane blocks on their way to the sink; those that find no room are offered again later.
const OFFERS_AHEAD_MAX: usize = 256;
/// How long a restarted proposer waits until the chain it follows reaches the L1 blocks that its
/// journal builds on, and somebody tells what they queued, ms. They are in blocks that were final before; only an L1 reorg in between
/// takes them away for good.
const RESUME_PATIENCE_MS: u64 = 30_000;
/// A lane block that is not final is offered again after this long, ms: longer than finality
/// usually takes, short against the slot it must enter in.
pub const RETRY_MS: u64 = 400;
/// What was applied is made durable this often, ms; the rest is applied again after a crash.
const PERSIST_MS: u64 = 1_000;
/// Pause after a source failed.
const SOURCE_RETRY: Duration = Duration::from_millis(200);

/// What happened to submissions, and how the chain went.
#[derive(Debug, Default)]
pub struct GatewayCounters {
    /// Transactions promised.
    pub promised: Counter,
    /// Transactions that wait for a nonce.
    pub queued: Counter,
    /// Transactions refused.
    pub refused: Counter,
    /// Submissions refused because the mailbox was full.
    pub overflowed: Counter,
    /// Commits of the journal: one fsync each.
    pub commits: Counter,
    /// Lane blocks that found no room on the way to the sink and will be offered again.
    pub offers_delayed: Counter,
}

struct Submission {
    namespace: Namespace,
    included: Included,
    answer: oneshot::Sender<Result<Submitted, SubmitError>>,
}

/// What others hold of a running proposer.
#[derive(Clone)]
pub struct GatewayHandle {
    submissions: mpsc::Sender<Submission>,
    book: Arc<Book>,
    feeds: Arc<BTreeMap<Namespace, Arc<Feed>>>,
    counters: Arc<GatewayCounters>,
}

impl std::fmt::Debug for GatewayHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GatewayHandle({} namespaces)", self.feeds.len())
    }
}

/// Decodes a raw transaction for the rollup with this chain id and recovers its sender.
///
/// # Errors
/// If it is too long, malformed, of another chain, or signed by nobody.
pub fn decode(raw: Bytes, chain_id: u64) -> Result<Included, SubmitError> {
    let size = raw.len();
    if size > TRANSACTION_BYTES_MAX {
        return Err(SubmitError::Oversized {
            size,
            limit: TRANSACTION_BYTES_MAX,
        });
    }
    let transaction = TxEnvelope::decode_2718_exact(&raw)
        .map_err(|error| SubmitError::Undecodable(error.to_string()))?;
    if let TxEnvelope::Eip4844(_) = transaction {
        return Err(SubmitError::TypeNotSupported(3));
    }
    let have = alloy_consensus::Transaction::chain_id(&transaction);
    if let Some(have) = have
        && have != chain_id
    {
        return Err(SubmitError::WrongChainId {
            have,
            want: chain_id,
        });
    }
    let signer = recover_signer(&transaction)
        .map_err(|error| SubmitError::InvalidSender(error.to_string()))?;
    Ok(Included {
        raw,
        transaction: Recovered::new_unchecked(transaction, signer),
    })
}

impl GatewayHandle {
    /// Submits a raw transaction; returns when its promises are durable and signed.
    ///
    /// # Errors
    /// [`SubmitError`] says why it was not taken.
    pub async fn submit(&self, namespace: Namespace, raw: Bytes) -> Result<Submitted, SubmitError> {
        if !self.feeds.contains_key(&namespace) {
            return Err(SubmitError::Other(format!(
                "namespace {namespace} is not served here"
            )));
        }
        // Recovery is the dearest part and needs nothing of the gateway: it runs on the caller's
        // thread.
        let included = decode(raw, namespace.get()).inspect_err(|_| self.counters.refused.inc())?;
        let (answer, answered) = oneshot::channel();
        let submission = Submission {
            namespace,
            included,
            answer,
        };
        if self.submissions.try_send(submission).is_err() {
            self.counters.overflowed.inc();
            return Err(SubmitError::PoolFull);
        }
        answered
            .await
            .unwrap_or_else(|_| Err(SubmitError::Other("the proposer is stopping".to_owned())))
    }

    /// The promises for a transaction, as long as they are kept.
    ///
    /// # Errors
    /// If the database fails.
    pub fn promises(&self, hash: &B256) -> Result<Option<Promises>, super::BookError> {
        self.book.get(hash)
    }

    /// Up to `limit` events of a namespace after `cursor`, which moves; waits for the first.
    pub async fn events(
        &self,
        namespace: Namespace,
        cursor: &mut FeedCursor,
        limit: usize,
    ) -> Vec<Arc<Numbered>> {
        let Some(feed) = self.feeds.get(&namespace) else {
            return Vec::new();
        };
        let mut news = feed.news();
        loop {
            news.borrow_and_update();
            let events = feed.read(cursor, limit);
            if !events.is_empty() || news.changed().await.is_err() {
                return events;
            }
        }
    }

    /// Whether this namespace is served.
    pub fn serves(&self, namespace: Namespace) -> bool {
        self.feeds.contains_key(&namespace)
    }

    /// What was counted.
    pub fn counters(&self) -> Arc<GatewayCounters> {
        self.counters.clone()
    }
}

/// A running proposer. Dropping it stops it too, without waiting.
#[derive(Debug)]
pub struct RunningGateway {
    stop: watch::Sender<bool>,
    ended: oneshot::Receiver<Result<(), GatewayError>>,
}

impl RunningGateway {
    /// Stops after the present commit and makes everything durable.
    ///
    /// # Errors
    /// Why it had stopped before, or could not make things durable.
    pub async fn stop(self) -> Result<(), GatewayError> {
        self.stop.send_replace(true);
        self.ended.await.unwrap_or(Ok(()))
    }

    /// Waits until it ends by itself, which only a fault makes it do.
    pub async fn ended(&mut self) -> Result<(), GatewayError> {
        let outcome = (&mut self.ended).await.unwrap_or(Ok(()));
        // The outcome is told once; a stop after it finds nothing left to wait for.
        self.ended = oneshot::channel().1;
        outcome
    }
}

/// Milliseconds since the Unix epoch by this machine's clock.
pub fn clock_now() -> TimestampMs {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    TimestampMs::new(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// Starts the proposer.
///
/// # Panics
/// Outside a tokio runtime.
pub fn start<F: FinalisedSource, Q: QueueSource, L: LaneSink>(
    gateway: Gateway,
    source: F,
    queues: Q,
    sink: L,
) -> (GatewayHandle, RunningGateway) {
    let (submissions, mailbox) = mpsc::channel(SUBMISSIONS_MAX);
    let (blocks, finalised) = mpsc::channel(BLOCKS_AHEAD_MAX);
    let (offers, offered) = mpsc::channel(OFFERS_AHEAD_MAX);
    let (stop, stopped) = watch::channel(false);
    let (end, ended) = oneshot::channel();
    let counters = Arc::new(GatewayCounters::default());
    let namespaces: Vec<_> = gateway.namespaces().collect();
    let feeds = namespaces
        .iter()
        .filter_map(|namespace| Some((*namespace, gateway.feed(*namespace)?)));
    let handle = GatewayHandle {
        submissions,
        book: gateway.book().clone(),
        feeds: Arc::new(feeds.collect()),
        counters: counters.clone(),
    };
    let next = namespaces
        .iter()
        .filter_map(|namespace| gateway.engine(*namespace));
    let from = next
        .map(|engine| engine.next_height())
        .min()
        .unwrap_or(Height::ZERO);
    tokio::spawn(read_blocks(source, from, namespaces, blocks));
    tokio::spawn(hand_out(sink, offered));
    let runtime = tokio::runtime::Handle::current();
    let actor = Actor {
        queues: Queues::new(queues),
        gateway,
        mailbox,
        finalised,
        offers,
        stopped,
        counters,
        answers: BTreeMap::new(),
        next_ticket: 0,
        caught_up: None,
        ready: false,
        started: clock_now(),
        unpersisted: None,
    };
    std::thread::spawn(move || {
        let result = runtime.block_on(actor.run());
        if let Err(error) = &result {
            tracing::error!(%error, "the proposer has stopped");
        }
        // Nobody may be waiting for the end.
        let _ = end.send(result);
    });
    (handle, RunningGateway { stop, ended })
}

/// What the reader of blocks says.
pub(crate) enum Read {
    /// The head when reading began: once it is applied, the chain is caught up with.
    Head(Height),
    /// The next block.
    Block(Box<Finalised>),
}

/// Reads finalised blocks in order for ever; ends when nobody listens.
pub(crate) async fn read_blocks<F: FinalisedSource>(
    source: F,
    from: Height,
    namespaces: Vec<Namespace>,
    blocks: mpsc::Sender<Read>,
) {
    let head = loop {
        match source.head().await {
            Ok(head) => break head,
            Err(error) => {
                tracing::warn!(%error, "cannot read the head of the finality chain, trying again");
                tokio::time::sleep(SOURCE_RETRY).await;
            }
        }
        if blocks.is_closed() {
            return;
        }
    };
    if blocks.send(Read::Head(head)).await.is_err() {
        return;
    }
    let mut height = from;
    loop {
        let read = tokio::select! {
            read = source.finalised(height, &namespaces) => read,
            () = blocks.closed() => return,
        };
        match read {
            Ok(finalised) => {
                if blocks.send(Read::Block(Box::new(finalised))).await.is_err() {
                    return;
                }
                height = height.next().unwrap_or(height);
            }
            Err(error) => {
                tracing::warn!(%error, %height, "cannot read a finalised block, trying again");
                tokio::time::sleep(SOURCE_RETRY).await;
            }
        }
    }
}

async fn hand_out<L: LaneSink>(sink: L, mut offered: mpsc::Receiver<SealedLane>) {
    while let Some(lane) = offered.recv().await {
        let height = lane.lane.header.height;
        if let Err(error) = sink.offer(lane).await {
            tracing::debug!(%error, %height, "a lane block was not taken, it is offered again");
        }
    }
}

struct Actor<Q> {
    gateway: Gateway,
    queues: Queues<Q>,
    mailbox: mpsc::Receiver<Submission>,
    finalised: mpsc::Receiver<Read>,
    offers: mpsc::Sender<SealedLane>,
    stopped: watch::Receiver<bool>,
    counters: Arc<GatewayCounters>,
    answers: BTreeMap<Ticket, oneshot::Sender<Result<Submitted, SubmitError>>>,
    next_ticket: Ticket,
    caught_up: Option<Height>,
    ready: bool,
    started: TimestampMs,
    unpersisted: Option<TimestampMs>,
}

impl<Q: QueueSource> Actor<Q> {
    async fn run(mut self) -> Result<(), GatewayError> {
        let mut batch = Vec::new();
        let mut due = clock_now();
        self.ask();
        loop {
            let wait = Duration::from_millis(due.since(clock_now()));
            tokio::select! {
                biased;
                stopped = self.stopped.changed() => {
                    if stopped.is_err() || *self.stopped.borrow() {
                        break;
                    }
                }
                read = self.finalised.recv() => match read {
                    Some(read) => self.read(read)?,
                    None => break,
                },
                told = self.queues.told() => self.tell(told)?,
                count = self.mailbox.recv_many(&mut batch, SUBMISSIONS_PER_COMMIT_MAX) => {
                    if count == 0 {
                        break;
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
            let now = clock_now();
            self.gateway
                .early_references_first(&mut batch, |one| (one.namespace, &one.included));
            for Submission {
                namespace,
                included,
                answer,
            } in batch.drain(..)
            {
                self.next_ticket += 1;
                self.answers.insert(self.next_ticket, answer);
                self.gateway
                    .submit(namespace, included, self.next_ticket, now)?;
            }
            due = self.gateway.tick(now)?.min(now.plus(RETRY_MS));
            self.commit()?;
            for lane in self.gateway.offers(now, RETRY_MS) {
                if self.offers.try_send(lane).is_err() {
                    self.counters.offers_delayed.inc();
                }
            }
            self.persist(now)?;
        }
        self.commit()?;
        self.gateway.persist()
    }

    fn read(&mut self, read: Read) -> Result<(), GatewayError> {
        match read {
            Read::Head(head) => self.caught_up = Some(head),
            Read::Block(finalised) => {
                // Whoever was promised something is answered before a block can void it.
                self.commit()?;
                let now = clock_now();
                self.gateway.apply(&finalised, now)?;
                self.ask();
                self.unpersisted.get_or_insert(now);
            }
        }
        self.resume_when_ready()
    }

    /// Has what L1 blocks queued found out.
    fn ask(&mut self) {
        for namespace in self.gateway.namespaces() {
            if let Some(engine) = self.gateway.engine(namespace) {
                self.queues.ask(engine);
            }
        }
    }

    fn tell(&mut self, told: Told) -> Result<(), GatewayError> {
        self.gateway
            .tell_queue(told.namespace, told.block, told.entries)?;
        self.ask();
        self.resume_when_ready()
    }

    fn resume_when_ready(&mut self) -> Result<(), GatewayError> {
        let next = self.gateway.namespaces().collect::<Vec<_>>();
        let behind = next
            .iter()
            .filter_map(|namespace| self.gateway.engine(*namespace));
        let next = behind.map(|engine| engine.next_height()).min();
        if !self.ready
            && self
                .caught_up
                .zip(next)
                .is_some_and(|(head, next)| next > head)
            && (self.gateway.can_resume() || clock_now().since(self.started) > RESUME_PATIENCE_MS)
        {
            self.ready = true;
            self.gateway.resume(clock_now())?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), GatewayError> {
        let output = self.gateway.commit()?;
        self.counters.commits.inc();
        for (ticket, answer) in output.answers {
            match &answer {
                Ok(Submitted::Promised { .. }) => self.counters.promised.inc(),
                Ok(Submitted::Queued { .. }) => self.counters.queued.inc(),
                Err(_) => self.counters.refused.inc(),
            }
            if let Some(waiting) = self.answers.remove(&ticket) {
                // A client that left does not hear it; the promise stands.
                let _ = waiting.send(answer);
            }
        }
        Ok(())
    }

    fn persist(&mut self, now: TimestampMs) -> Result<(), GatewayError> {
        if self
            .unpersisted
            .is_some_and(|since| now.since(since) >= PERSIST_MS)
        {
            self.gateway.persist()?;
            self.unpersisted = None;
        }
        Ok(())
    }
}
