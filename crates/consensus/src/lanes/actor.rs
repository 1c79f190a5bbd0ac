//! Carries out what [`super::state`] decides.

use super::{
    Keep,
    fetch::{self, Fetcher, Handler},
    ingress::{MAILBOX_SIZE, Mailbox, Message},
    orphans::Orphans,
    state::{Lanes, Refusal, Verdict},
    store::Store,
    wire::{Ack, LaneBlock, SealedLane, read},
};
use crate::{
    block::{digest, hash as key_hash},
    committee::Committee,
    engine::page_cache,
    events::{Event, Events},
    ledger::Finalized,
    network::Link,
    runtime::{Runtime, Transport},
    tally::Tally,
};
use bytes::Bytes;
use commonware_cryptography::ed25519;
use commonware_macros::select_loop;
use commonware_p2p::Blocker as _;
use commonware_resolver::Resolver as _;
use commonware_runtime::{ContextCell, Handle, spawn_cell};
use commonware_storage::archive;
use commonware_utils::channel::{mpsc, oneshot, watch};
use cortado_types::{
    B256, TimestampMs,
    bls::SecretBls,
    limits::{DRIFT_MS, GRACE_MS},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::pending,
    sync::Arc,
    time::Duration,
};
use tracing::{debug, warn};

mod acks;

/// How often acknowledgements are repeated and missing bodies asked for again. Messages are lost
/// on bad links; two seconds of a slot leave room for a few repeats.
const TICK: Duration = Duration::from_millis(300);

/// Missing bodies asked for at a time.
const FETCHES_MAX: usize = 32;

/// Final bodies that are remembered as missing. A node further behind than this has lost the race
/// against retention anyway; the oldest are given up and said so.
const MISSING_MAX: usize = 65_536;

/// Answers that wait for a missing body.
const WAITERS_MAX: usize = 1_024;

/// One node's lanes.
pub struct Config<N: Transport> {
    /// This identity.
    pub me: ed25519::PublicKey,
    /// What it acknowledges with in the terms in which it has a seat.
    pub secret: Option<SecretBls>,
    /// The seats of the present term.
    pub committee: Committee,
    /// Whose bodies to keep.
    pub keep: Keep,
    /// How long bodies are kept, ms; longer than the fallback timeout and the settlement window.
    pub retention_ms: u64,
    /// Prefix on disk.
    pub partition: String,
    /// The network's blocker.
    pub blocker: N::Blocker,
    /// The network's peers.
    pub peers: N::Peers,
    /// Who listens.
    pub events: Events,
}

/// Lane blocks that one sync makes durable, with the proposer that sent each.
type Batch = Vec<(B256, ed25519::PublicKey)>;

/// Takes lane blocks in, keeps them, acknowledges them.
pub struct Actor<E: Runtime, N: Transport> {
    context: ContextCell<E>,
    config: Config<N>,
    lanes: Lanes,
    tally: Tally,
    /// Acknowledgements of the next term, from seats that are in it already.
    early: Vec<(ed25519::PublicKey, Ack)>,
    finalized: Arc<Finalized>,
    store: Store<E>,
    fetcher: Fetcher,
    receiver: mpsc::Receiver<Message>,
    wake: watch::Sender<u64>,
    acks: N::Sender,
    /// Appended since the last sync began.
    unsynced: Batch,
    /// Whether anything else was appended since: what was fetched, and what this node made itself.
    unsynced_others: bool,
    /// Covered by the sync that runs.
    syncing: Option<(Handle<()>, Batch)>,
    /// Lane blocks to be had from peers: final ones, and certified ones that a leader could use.
    missing: BTreeSet<B256>,
    waiters: BTreeMap<B256, Vec<oneshot::Sender<Option<Bytes>>>>,
    orphans: Orphans,
}

impl<E: Runtime, N: Transport> Actor<E, N> {
    /// Opens the store, reads back what may still be acknowledged, and makes the mailbox.
    ///
    /// # Errors
    /// If the store is damaged in the middle. Its directory may be deleted only together with the
    /// seat's promise to stay silent until every slot it may have acknowledged in is over.
    pub async fn init(
        context: E,
        config: Config<N>,
        finalized: Arc<Finalized>,
        bodies: Link<N>,
        acks: N::Sender,
    ) -> Result<(Self, Mailbox), archive::Error> {
        let store = Store::open(
            context.child("store"),
            &config.partition,
            page_cache(),
            config.retention_ms,
        )
        .await?;
        let state = finalized.state.clone();
        let mut lanes = Lanes::new(state.clone());
        let clock = state.config.clock;
        let time = finalized
            .block
            .inner()
            .header
            .timestamp
            .min(context.now_ms());
        // Only slots that may still be open matter: for older ones nothing is acknowledged. And only
        // to seats: nobody else acknowledges or leads.
        let open = |lane: &SealedLane| time < clock.end(lane.lane.header.slot).plus(GRACE_MS);
        let margin_ms = GRACE_MS + DRIFT_MS + clock.slot_ms;
        let over = |lane: &SealedLane| time >= clock.end(lane.lane.header.slot).plus(margin_ms);
        let mut recent = match config.secret {
            Some(_) => store.newest(open, over).await?,
            None => Vec::new(),
        };
        recent.reverse();
        for (lane, acknowledged) in recent {
            lanes.restore(&lane.lane, lane.hash, acknowledged);
        }
        let (sender, receiver) = mpsc::channel(MAILBOX_SIZE);
        let fetcher = fetch::start::<E, N>(
            context.child("fetch"),
            config.me.clone(),
            config.blocker.clone(),
            config.peers.clone(),
            Handler(sender.clone()),
            bodies,
        );
        let (wake, woken) = watch::channel(0);
        let actor = Self {
            context: ContextCell::new(context),
            tally: tally_of(&config.committee),
            early: Vec::new(),
            config,
            lanes,
            finalized,
            store,
            fetcher,
            receiver,
            wake,
            acks,
            unsynced: Vec::new(),
            unsynced_others: false,
            syncing: None,
            missing: BTreeSet::new(),
            waiters: BTreeMap::new(),
            orphans: Orphans::default(),
        };
        Ok((
            actor,
            Mailbox {
                sender,
                wake: woken,
            },
        ))
    }

    /// Starts it. Whoever may have a seat in some term gives both channels, others neither. The task ends on shutdown or when
    /// the disk fails; nothing is acknowledged after that.
    pub fn start(mut self, lanes: Option<N::Receiver>, acks: Option<N::Receiver>) -> Handle<()> {
        spawn_cell!(self.context, self.run(lanes, acks))
    }

    async fn run(mut self, mut lanes: Option<N::Receiver>, mut acks: Option<N::Receiver>) {
        let mut tick = self.context.current() + TICK;
        select_loop! {
            self.context,
            on_start => {
                let unsynced = self.unsynced_others || !self.unsynced.is_empty();
                if self.syncing.is_none() && unsynced {
                    let batch = std::mem::take(&mut self.unsynced);
                    self.unsynced_others = false;
                    match self.store.start_sync().await {
                        Ok(handle) => self.syncing = Some((handle, batch)),
                        Err(error) => {
                            self.config.events.fail("lane store", error);
                            return;
                        }
                    }
                }
                let sleep = self.context.sleep_until(tick);
            },
            on_stopped => {},
            synced = synced(&mut self.syncing) => {
                if let Err(error) = synced {
                    self.config.events.fail("sync of the lane store", error);
                    return;
                }
                if let Some((_, batch)) = self.syncing.take() {
                    self.acknowledge(batch);
                }
            },
            Some(message) = self.receiver.recv() else break => {
                if let Err(error) = self.handle(message).await {
                    self.config.events.fail("lane store", error);
                    return;
                }
            },
            received = receive(&mut acks) => {
                let Some((peer, bytes)) = received else { break };
                self.count(peer, bytes.as_ref());
            },
            received = receive(&mut lanes) => {
                let Some((peer, bytes)) = received else { break };
                if self.config.committee.signer.is_none() {
                    // Not in this term.
                    continue;
                }
                if let Err(error) = self.take(peer, bytes.into()).await {
                    self.config.events.fail("lane store", error);
                    return;
                }
            },
            _ = sleep => {
                tick = self.context.current() + TICK;
                self.repeat();
            },
        }
    }

    /// A lane block from a proposer, and then those that waited for it.
    async fn take(&mut self, peer: ed25519::PublicKey, bytes: Bytes) -> Result<(), archive::Error> {
        let mut queue = VecDeque::from([(peer, bytes)]);
        while let Some((peer, bytes)) = queue.pop_front() {
            if let Some(hash) = self.take_one(peer, bytes).await? {
                queue.extend(self.orphans.release(&hash));
            }
        }
        Ok(())
    }

    /// Returns the hash of the lane block if it was taken.
    async fn take_one(
        &mut self,
        peer: ed25519::PublicKey,
        bytes: Bytes,
    ) -> Result<Option<B256>, archive::Error> {
        let block = match read(&bytes) {
            Ok(block) => block,
            Err(error) => {
                warn!(?peer, %error, "lane block refused");
                self.config.blocker.block(peer);
                return Ok(None);
            }
        };
        let hash = block.lane.header.hash();
        match self.lanes.judge(&block.lane, hash, self.context.now_ms()) {
            Ok(Verdict::New { signer }) => {
                if let Err(error) = block.body.check(&block.lane.header) {
                    warn!(?peer, %error, "lane body refused");
                    return Ok(None);
                }
                self.lanes.reserve(&block.lane, hash, signer);
                let sealed = SealedLane {
                    lane: block.lane,
                    hash,
                    bytes,
                };
                self.store.append(&sealed, true).await?;
                self.unsynced.push((hash, peer));
                debug!(%hash, "lane block taken");
                self.found(&sealed);
                return Ok(Some(hash));
            }
            Ok(Verdict::Known { acknowledged: true }) => self.send_ack(hash, Some(peer)),
            Ok(Verdict::Known {
                acknowledged: false,
            }) => {}
            Ok(Verdict::Equivocation(evidence)) => {
                warn!(namespace = %block.lane.header.namespace, slot = %block.lane.header.slot,
                    "proposer signed two lane headers for one place");
                self.config.events.emit(Event::Equivocation(evidence));
            }
            // The one before it was lost on the way and will be sent again.
            Err(Refusal::UnknownParent { parent, .. }) => self.orphans.park(parent, peer, bytes),
            Err(refusal) => debug!(?peer, %refusal, "lane block not taken"),
        }
        Ok(None)
    }

    async fn handle(&mut self, message: Message) -> Result<(), archive::Error> {
        match message {
            Message::Offer { state, time, reply } => {
                let _ = reply.send(self.lanes.offer(&state, time));
            }
            Message::Finalized(finalized) => self.finalize(finalized).await?,
            Message::Body { hash, reply } => match self.store.get(hash).await? {
                Some(bytes) => {
                    let _ = reply.send(Some(bytes));
                }
                None if self.missing.contains(&hash) && self.waiters.len() < WAITERS_MAX => {
                    self.waiters.entry(hash).or_default().push(reply);
                }
                None => {
                    let _ = reply.send(None);
                }
            },
            Message::Hold(sealed) => {
                if !self.store.has(sealed.hash).await? {
                    // Who made it has persisted it and hands it over again after a restart.
                    self.store.append(&sealed, false).await?;
                    self.unsynced_others = true;
                    self.found(&sealed);
                }
            }
            Message::Serve { hash, reply } => {
                if let Some(bytes) = self.store.get(hash).await? {
                    let _ = reply.send(bytes);
                }
            }
            Message::Deliver { hash, bytes, reply } => {
                let sealed = check_delivery(hash, bytes);
                let _ = reply.send(sealed.is_some());
                if let Some(sealed) = sealed
                    && !self.store.has(hash).await?
                {
                    self.store.append(&sealed, false).await?;
                    self.unsynced_others = true;
                    // Its certificate came before it: a leader may include it now.
                    self.lanes.hold(&sealed.lane, hash);
                    self.wake.send_modify(|version| *version += 1);
                    self.found(&sealed);
                }
            }
        }
        Ok(())
    }

    async fn finalize(&mut self, finalized: Arc<Finalized>) -> Result<(), archive::Error> {
        let block = finalized.block.inner();
        for entry in &block.lanes {
            let hash = entry.lane.header.hash();
            if self.config.keep.wants(entry.lane.header.namespace) && !self.store.has(hash).await? {
                self.want(hash);
            }
        }
        let now = self.context.now_ms();
        self.lanes.finalize(block, finalized.state.clone(), now);
        let oldest = now.get().saturating_sub(self.config.retention_ms);
        if block.header.height.get().is_multiple_of(PRUNE_EVERY_BLOCKS) {
            self.store.prune(TimestampMs::new(oldest)).await?;
        }
        self.finalized = finalized.clone();
        self.follow_term();
        // A parent may have become final before it arrived here.
        for entry in &block.lanes {
            for (peer, bytes) in self.orphans.release(&entry.lane.header.hash()) {
                self.take(peer, bytes).await?;
            }
        }
        Ok(())
    }

    fn want(&mut self, hash: B256) {
        self.missing.insert(hash);
        if self.missing.len() > MISSING_MAX
            && let Some(given_up) = self.missing.pop_first()
        {
            warn!(%given_up, "too many bodies are missing; this one is given up");
        }
        if self.missing.len() <= FETCHES_MAX {
            self.fetcher.fetch(digest(hash));
        }
    }

    fn found(&mut self, sealed: &SealedLane) {
        if self.missing.remove(&sealed.hash) {
            let found = digest(sealed.hash);
            self.fetcher
                .retain(move |key, ()| key_hash(key) != key_hash(&found));
        }
        for waiter in self.waiters.remove(&sealed.hash).into_iter().flatten() {
            let _ = waiter.send(Some(sealed.bytes.clone()));
        }
    }
}

pub(super) fn tally_of(committee: &Committee) -> Tally {
    Tally::new(committee.chain_id, committee.term, committee.seats.clone())
}

/// Old bodies are looked for once in this many final blocks.
const PRUNE_EVERY_BLOCKS: u64 = 64;

/// A peer's answer, if it is the lane block that was asked for.
fn check_delivery(hash: B256, bytes: Bytes) -> Option<SealedLane> {
    let LaneBlock { lane, body } = read(&bytes).ok()?;
    (lane.header.hash() == hash && body.check(&lane.header).is_ok()).then_some(SealedLane {
        lane,
        hash,
        bytes,
    })
}

async fn synced<T>(syncing: &mut Option<(Handle<()>, T)>) -> Result<(), commonware_runtime::Error> {
    match syncing {
        Some((handle, _)) => handle.await,
        None => pending().await,
    }
}

/// The next message of a channel; `None` when the network is gone. Waits for ever without a channel.
async fn receive<R: commonware_p2p::Receiver<PublicKey = ed25519::PublicKey>>(
    receiver: &mut Option<R>,
) -> Option<commonware_p2p::Message<ed25519::PublicKey>> {
    match receiver {
        Some(receiver) => receiver.recv().await.ok(),
        None => pending().await,
    }
}
