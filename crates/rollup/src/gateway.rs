//! The proposer: takes transactions, executes and promises them, cuts lane blocks.
//!
//! ```text
//!  submit ─▶ execute ─▶ record ┐
//!  clock  ─▶ open, seal ─▶ record ├─▶ one commit, one fsync ─▶ sign ─▶ answer, publish, hand out
//!  final  ─▶ prune, re-cut ─▶ record ┘
//! ```
//!
//! R20 is the order of these arrows: whatever is signed, a promise or a lane header, is a function
//! of what the journal already holds, so after a crash the same bytes are signed again and never
//! others. [`Gateway`] does it all without a clock or a task of its own; [`actor`] drives it.
//!
//! Several namespaces share one journal, so one fsync serves all that wait.

pub mod actor;
mod again;
mod book;
mod feed;
mod follow;
mod place;
mod queue;
mod record;
mod resume;
mod state;

pub use again::AGAIN_PER_TICK_MAX;
pub use book::{Book, BookError, PROMISES_KEPT_MAX};
pub use feed::{Feed, FeedCursor};
pub use queue::{
    QUEUED_BYTES_MAX, QUEUED_MAX, QUEUED_MS_MAX, QUEUED_PER_SENDER_MAX, QueueError,
    REPLACEMENT_BUMP_PERCENT,
};
pub use record::{Journaled, JournaledLane, Record, ReplayError, replay};
pub use state::{BACKOFF_SLOTS_MAX, Decision, PROMISE_END_FRACTION, Place, Policy, Sequencer};

use crate::{
    engine::{Engine, EngineError},
    journal::{Journal, JournalError, TailOf},
    source::{PreconfEvent, Promises, SealedLane, Submitted},
};
use again::Again;
use alloy_primitives::map::HashMap;
use cortado_ethrpc::SubmitError;
use cortado_evm::BuildError;
use cortado_preconf::{Outcome, Promise, SignedPromise};
use cortado_types::{
    Address, B256, Bytes, ChainId, LaneHeader, Namespace, SignedLaneHeader, Slot, SlotClock,
    TimestampMs,
    ecdsa::{Signature, SigningKey},
};
use queue::Queue;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
    sync::Arc,
};
use thiserror::Error;

/// Promised transactions that are not final, of one namespace: what a stall of minutes at full
/// load leaves, and what is executed again after it.
pub const LIVE_TRANSACTIONS_MAX: usize = 500_000;
/// Their bytes.
pub const LIVE_BYTES_MAX: usize = 512 << 20;

/// What signs promises and lane headers. Deterministic: the same digest gives the same bytes.
pub trait Signer: Send + Sync {
    /// Whom the signatures recover to.
    fn address(&self) -> Address;
    /// Signs a digest.
    fn sign(&self, digest: B256) -> Signature;
}

impl Signer for SigningKey {
    fn address(&self) -> Address {
        SigningKey::address(self)
    }

    fn sign(&self, digest: B256) -> Signature {
        SigningKey::sign(self, digest)
    }
}

/// Why the proposer cannot start or go on.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// The journal failed: nothing more is signed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal's records do not make sense.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A rollup failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The promise database failed.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The executor cannot close a block.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The key holds none of the namespace's slots.
    #[error("slots of namespace {namespace} are held by {holder:?}, not by this key {key}")]
    NotHolder {
        /// Of which namespace.
        namespace: Namespace,
        /// Who holds it.
        holder: Option<Address>,
        /// Whose key this is.
        key: Address,
    },
}

/// Names a submission until it is answered.
pub type Ticket = u64;

/// What follows from a commit.
#[derive(Debug, Default)]
pub struct Output {
    /// Answers to submissions.
    pub answers: Vec<(Ticket, Result<Submitted, SubmitError>)>,
    /// Namespaces whose pending state changed.
    pub changed: Vec<Namespace>,
}

/// What will be done once the records before it are durable.
#[derive(Debug)]
enum Effect {
    Opened(LaneHeader),
    Promise {
        namespace: Namespace,
        raw: Bytes,
        promises: Box<[Promise; 2]>,
        ticket: Option<Ticket>,
    },
    Sealed(LaneHeader),
    Voided(Namespace),
    Dropped {
        namespace: Namespace,
        hash: B256,
        reason: String,
    },
    Answer(Ticket, Result<Submitted, SubmitError>),
}

/// One lane block that is not final, beside the engine's layer of it.
#[derive(Clone, Debug)]
struct Live {
    header: LaneHeader,
    l2_parent: B256,
    outcomes: Vec<(B256, Outcome)>,
    signed: Option<SignedLaneHeader>,
    offered: Option<TimestampMs>,
}

impl Live {
    /// One that was just opened; its execution promises name `l2_parent`.
    fn opened(header: LaneHeader, l2_parent: B256) -> Self {
        Self {
            header,
            l2_parent,
            outcomes: Vec::new(),
            signed: None,
            offered: None,
        }
    }
}

/// One namespace.
#[derive(Debug)]
struct Lane {
    engine: Engine,
    sequencer: Sequencer,
    queue: Queue,
    feed: Arc<Feed>,
    live: VecDeque<Live>,
    /// Transactions executed as pending: the lane block's number.
    known: HashMap<B256, u64>,
    bytes: usize,
    /// What lost its place and waits for another.
    again: Again,
    /// Transactions of our final lane blocks that are not derived yet, by the lane block's number, as
    /// far as they have no other place since.
    undecided: BTreeMap<u64, BTreeSet<B256>>,
    /// From the journal, until the chain is caught up with.
    restored: Option<Journaled>,
}

/// What a proposer is.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Bound into everything signed.
    pub chain_id: ChainId,
    /// Slots as the chain counts them.
    pub clock: SlotClock,
    /// How long a lane block stays open, ms.
    pub lane_ms: u64,
    /// Reserve holder and bytes a slot, of every namespace of the chain's genesis (R14).
    pub namespaces: BTreeMap<Namespace, (Option<Address>, u64)>,
}

/// The proposer of several namespaces.
pub struct Gateway {
    config: GatewayConfig,
    signer: Box<dyn Signer>,
    journal: Journal,
    book: Arc<Book>,
    lanes: BTreeMap<Namespace, Lane>,
    records: Vec<u8>,
    effects: Vec<Effect>,
    /// The journal was empty.
    fresh: bool,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Gateway({}, {} namespaces)",
            self.signer.address(),
            self.lanes.len()
        )
    }
}

/// The key of `namespace` in `slot` (R14). The market will come in here and nowhere else.
fn holder(config: &GatewayConfig, namespace: Namespace, _slot: Slot) -> Option<Address> {
    config
        .namespaces
        .get(&namespace)
        .and_then(|(holder, _)| *holder)
}

impl Gateway {
    /// Opens the proposer's journal and promises in directory `dir`; `engines` are its rollups.
    /// `run` names this run in streams: it must be larger than any before. Nothing can be submitted
    /// until [`Gateway::resume`].
    ///
    /// # Errors
    /// [`GatewayError`].
    pub fn open(
        dir: &Path,
        config: GatewayConfig,
        signer: Box<dyn Signer>,
        engines: Vec<Engine>,
        run: u64,
        tail_of: Option<TailOf>,
    ) -> Result<Self, GatewayError> {
        let key = signer.address();
        let journal_dir = dir.join("journal");
        let (journal, recovered) = match tail_of {
            Some(tail_of) => Journal::open_with(&journal_dir, tail_of)?,
            None => Journal::open(&journal_dir)?,
        };
        if recovered.cut_bytes > 0 {
            tracing::warn!(
                bytes = recovered.cut_bytes,
                "cut a torn tail off the journal"
            );
        }
        let fresh = recovered.commits.is_empty();
        let mut journaled = replay(&recovered.commits)?;
        let mut lanes = BTreeMap::new();
        for engine in engines {
            let namespace = engine.namespace();
            let holder = holder(&config, namespace, Slot::ZERO);
            if holder != Some(key) {
                return Err(GatewayError::NotHolder {
                    namespace,
                    holder,
                    key,
                });
            }
            let restored = journaled.remove(&namespace).unwrap_or_default();
            let slot_bytes_max = config
                .namespaces
                .get(&namespace)
                .map_or(0, |(_, bytes)| *bytes);
            let policy = Policy {
                clock: config.clock,
                lane_ms: config.lane_ms,
                slot_bytes_max,
            };
            let lane = Lane {
                sequencer: Sequencer::new(policy, engine.tip(), restored.floor, restored.unsigned),
                engine,
                queue: Queue::default(),
                feed: Arc::new(Feed::new(run)),
                live: VecDeque::new(),
                known: HashMap::default(),
                bytes: 0,
                again: Again::default(),
                undecided: BTreeMap::new(),
                restored: Some(restored),
            };
            lanes.insert(namespace, lane);
        }
        let book = Arc::new(Book::open(&dir.join("promises.redb"))?);
        let (records, effects) = (Vec::new(), Vec::new());
        Ok(Self {
            config,
            signer,
            journal,
            book,
            lanes,
            records,
            effects,
            fresh,
        })
    }

    /// Promises by transaction.
    pub fn book(&self) -> &Arc<Book> {
        &self.book
    }

    /// The stream of a namespace's preconfirmations.
    pub fn feed(&self, namespace: Namespace) -> Option<Arc<Feed>> {
        self.lanes.get(&namespace).map(|lane| lane.feed.clone())
    }

    /// The rollup of a namespace.
    pub fn engine(&self, namespace: Namespace) -> Option<&Engine> {
        self.lanes.get(&namespace).map(|lane| &lane.engine)
    }

    /// The namespaces served.
    pub fn namespaces(&self) -> impl Iterator<Item = Namespace> + '_ {
        self.lanes.keys().copied()
    }

    /// Makes everything recorded durable with one fsync, then signs, publishes and answers.
    ///
    /// # Errors
    /// If the journal fails: nothing was signed, and nothing may be from now on.
    pub fn commit(&mut self) -> Result<Output, GatewayError> {
        if !self.records.is_empty() {
            // R20: persist, then sign.
            self.journal.commit(&self.records)?;
            self.records.clear();
        }
        let mut output = Output::default();
        let effects = std::mem::take(&mut self.effects);
        let digests: Vec<B256> = effects.iter().flat_map(Effect::digests).collect();
        let mut signatures = sign_all(&*self.signer, &digests).into_iter();
        for effect in effects {
            self.act(effect, &mut signatures, &mut output);
        }
        output.changed.sort_unstable();
        output.changed.dedup();
        if self.journal.is_full() {
            self.roll()?;
        }
        Ok(output)
    }

    /// Does what was recorded; `signatures` are those over [`Effect::digests`], in order.
    fn act(
        &mut self,
        effect: Effect,
        signatures: &mut impl Iterator<Item = Signature>,
        output: &mut Output,
    ) {
        let mut next = || signatures.next().expect("one for each digest");
        let (namespace, event) = match effect {
            Effect::Answer(ticket, answer) => {
                output.answers.push((ticket, answer));
                return;
            }
            Effect::Opened(header) => (header.namespace, PreconfEvent::Opened { header }),
            Effect::Promise {
                namespace,
                raw,
                promises,
                ticket,
            } => {
                let promises = signed(*promises, next);
                let hash = promises.inclusion.promise.transaction;
                self.book.insert(hash, promises);
                if let Some(ticket) = ticket {
                    let promises = Box::new(promises);
                    output
                        .answers
                        .push((ticket, Ok(Submitted::Promised { hash, promises })));
                }
                (
                    namespace,
                    PreconfEvent::Transaction {
                        raw,
                        promises: Box::new(promises),
                    },
                )
            }
            Effect::Sealed(header) => {
                let namespace = header.namespace;
                let signature = next();
                let lane = SignedLaneHeader { header, signature };
                if let Some(state) = self.lanes.get_mut(&namespace)
                    && let Some(live) = state
                        .live
                        .iter_mut()
                        .find(|live| live.header == lane.header)
                {
                    live.signed = Some(lane.clone());
                }
                (namespace, PreconfEvent::Sealed { lane })
            }
            Effect::Voided(namespace) => (namespace, PreconfEvent::Reset),
            Effect::Dropped {
                namespace,
                hash,
                reason,
            } => {
                self.book.remove(&hash);
                (namespace, PreconfEvent::Dropped { hash, reason })
            }
        };
        output.changed.push(namespace);
        if let Some(lane) = self.lanes.get(&namespace) {
            lane.feed.publish(event);
        }
    }

    /// Sealed lane blocks to hand out at `now`: new ones whose slot has begun, and again those that
    /// are not final `retry_ms` after they were handed out last.
    pub fn offers(&mut self, now: TimestampMs, retry_ms: u64) -> Vec<SealedLane> {
        let clock = self.config.clock;
        let mut offers = Vec::new();
        for lane in self.lanes.values_mut() {
            let bodies = lane.engine.pending();
            for (live, pending) in lane.live.iter_mut().zip(bodies) {
                let Some(signed) = &live.signed else { break };
                let begun = now >= clock.start(live.header.slot);
                let due = live
                    .offered
                    .is_none_or(|offered| now.since(offered) >= retry_ms);
                if !begun || offers.len() >= OFFERS_MAX {
                    break;
                }
                if due {
                    live.offered = Some(now);
                    offers.push(SealedLane {
                        lane: signed.clone(),
                        body: pending.body(),
                    });
                }
            }
        }
        offers
    }
}

impl Effect {
    /// What is signed for it, in order.
    fn digests(&self) -> impl Iterator<Item = B256> {
        let (promises, header) = match self {
            Self::Promise { promises, .. } => {
                (Some(promises.map(|promise| promise.digest())), None)
            }
            Self::Sealed(header) => (None, Some(header.hash())),
            _ => (None, None),
        };
        promises.into_iter().flatten().chain(header)
    }
}

/// An inclusion and an execution promise with their signatures.
fn signed(promises: [Promise; 2], mut signature: impl FnMut() -> Signature) -> Promises {
    let [inclusion, execution] = promises.map(|promise| SignedPromise {
        promise,
        signature: signature(),
    });
    Promises {
        inclusion,
        execution,
    }
}

/// From this many signatures on, threads are worth their start.
const SIGNED_IN_PARALLEL_MIN: usize = 8;

/// Signs on all cores: whoever submitted waits for its signatures, and so does the next batch.
fn sign_all(signer: &dyn Signer, digests: &[B256]) -> Vec<Signature> {
    let sign = |digests: &[B256]| -> Vec<Signature> {
        digests.iter().map(|digest| signer.sign(*digest)).collect()
    };
    if digests.len() < SIGNED_IN_PARALLEL_MIN {
        return sign(digests);
    }
    // Read from files of the system: not for free.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores == 1 {
        return sign(digests);
    }
    let (own, others) = digests.split_at(digests.len().div_ceil(cores));
    std::thread::scope(|scope| {
        let threads: Vec<_> = others
            .chunks(own.len())
            .map(|part| scope.spawn(move || sign(part)))
            .collect();
        let mut signatures = sign(own);
        for thread in threads {
            signatures.extend(thread.join().expect("signing does not panic"));
        }
        signatures
    })
}

/// Lane blocks handed out at once; the oldest come first, so none is left out for ever.
const OFFERS_MAX: usize = 64;

fn record(records: &mut Vec<u8>, entry: Record) {
    alloy_rlp::Encodable::encode(&entry, records);
}
