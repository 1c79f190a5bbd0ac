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
mod book;
mod feed;
mod follow;
mod queue;
mod record;
mod state;

pub use book::{Book, BookError, PROMISES_KEPT_MAX};
pub use feed::{Feed, FeedCursor};
pub use queue::{QUEUED_BYTES_MAX, QUEUED_MAX, QUEUED_MS_MAX, QUEUED_PER_SENDER_MAX};
pub use record::{Journaled, JournaledLane, Record, ReplayError, replay};
pub use state::{BACKOFF_SLOTS_MAX, Decision, PROMISE_END_FRACTION, Place, Policy, Sequencer};

use crate::{
    engine::{Engine, EngineError, Included, PushError, outcome_of},
    journal::{Journal, JournalError, TailOf},
    source::{PreconfEvent, Promises, SealedLane, Submitted},
};
use alloy_primitives::map::HashMap;
use cortado_ethrpc::SubmitError;
use cortado_evm::{BuildError, TxRejection};
use cortado_preconf::{Coverage, Outcome, Position, Promise, SignedPromise, Terms};
use cortado_types::{
    Address, B256, Bytes, ChainId, LaneHeader, Namespace, SignedLaneHeader, Slot, SlotClock,
    TimestampMs,
    ecdsa::{Signature, SigningKey},
    limits::{GRACE_MS, PROTOCOL_VERSION},
};
use queue::Queue;
use record::{Opened, Pushed, Sealed};
use std::{
    collections::{BTreeMap, VecDeque},
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
pub trait Signer: Send {
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
        promises: [Promise; 2],
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

    /// Executes a transaction on the pending state and records the promise for it. The answer comes
    /// with the next [`Gateway::commit`].
    ///
    /// # Errors
    /// If a rollup fails; a refused transaction is an answer.
    pub fn submit(
        &mut self,
        namespace: Namespace,
        included: Included,
        ticket: Ticket,
        now: TimestampMs,
    ) -> Result<(), GatewayError> {
        let Some(lane) = self.lanes.get_mut(&namespace) else {
            self.refuse(
                ticket,
                SubmitError::Other(format!("namespace {namespace} is not served")),
            );
            return Ok(());
        };
        if lane.restored.is_some() {
            let height = lane.engine.next_height();
            let message = format!("the proposer is catching up and is before block {height}");
            self.refuse(ticket, SubmitError::Other(message));
            return Ok(());
        }
        let hash = included.hash();
        if lane.known.contains_key(&hash) {
            let answer = match self.book.live(&hash) {
                Some(promises) => Ok(Submitted::Promised {
                    hash,
                    promises: Box::new(promises),
                }),
                None => Err(SubmitError::AlreadyKnown),
            };
            self.effects.push(Effect::Answer(ticket, answer));
            return Ok(());
        }
        let (size, limit) = (included.raw.len(), lane.sequencer.transaction_bytes_max());
        if size > limit {
            self.refuse(ticket, SubmitError::Oversized { size, limit });
            return Ok(());
        }
        if lane.known.len() >= LIVE_TRANSACTIONS_MAX || lane.bytes >= LIVE_BYTES_MAX {
            self.refuse(ticket, SubmitError::PoolFull);
            return Ok(());
        }
        let sender = included.transaction.signer();
        match self.place(namespace, included.clone(), Some(ticket), now)? {
            Ok(()) => {}
            Err(PushError::Rejected(TxRejection::NonceTooHigh { expected, .. })) => {
                let lane = self.lanes.get_mut(&namespace).expect("looked up above");
                let answer = if lane.queue.insert(included, now) {
                    Ok(Submitted::Queued { hash, expected })
                } else {
                    Err(SubmitError::PoolFull)
                };
                self.effects.push(Effect::Answer(ticket, answer));
                return Ok(());
            }
            Err(error) => {
                self.refuse(ticket, submit_error(error));
                return Ok(());
            }
        }
        self.drain_queue(namespace, sender, now)
    }

    /// Places what waited for the sender's nonce.
    fn drain_queue(
        &mut self,
        namespace: Namespace,
        sender: Address,
        now: TimestampMs,
    ) -> Result<(), GatewayError> {
        loop {
            let Some(lane) = self.lanes.get_mut(&namespace) else {
                return Ok(());
            };
            let nonce = lane.engine.pending_nonce(&sender);
            let Some(included) = lane.queue.take(sender, nonce) else {
                return Ok(());
            };
            let hash = included.hash();
            if let Err(error) = self.place(namespace, included, None, now)? {
                let reason = error.to_string();
                self.effects.push(Effect::Dropped {
                    namespace,
                    hash,
                    reason,
                });
                return Ok(());
            }
        }
    }

    fn refuse(&mut self, ticket: Ticket, error: SubmitError) {
        self.effects.push(Effect::Answer(ticket, Err(error)));
    }

    /// Executes at the next free index, opening and closing lane blocks as needed.
    fn place(
        &mut self,
        namespace: Namespace,
        included: Included,
        ticket: Option<Ticket>,
        now: TimestampMs,
    ) -> Result<Result<(), PushError>, GatewayError> {
        // A full lane block is closed, then a full slot; an empty one takes any transaction.
        for _ in 0..3 {
            self.advance(namespace, now, true)?;
            let lane = self
                .lanes
                .get_mut(&namespace)
                .expect("checked by the callers");
            let Some(slot) = lane.sequencer.open_slot() else {
                return Ok(Err(PushError::NotOpen));
            };
            let open = lane.engine.pending().next_back();
            let (bytes, count) = open.map_or((0, 0), |open| (open.bytes, open.transactions.len()));
            let room = lane.sequencer.slot_room(slot).saturating_sub(bytes as u64);
            if included.raw.len() as u64 + LENGTH_BYTES > room {
                // The slot's quota is used up: what follows is the next slot's.
                self.seal(namespace, true)?;
                continue;
            }
            match lane.engine.push(included.clone()) {
                Ok(outcome) => {
                    self.promise(namespace, included, outcome_of(&outcome), ticket);
                    return Ok(Ok(()));
                }
                Err(
                    PushError::Full { .. }
                    | PushError::Rejected(TxRejection::BlockGasExhausted { .. }),
                ) if count > 0 => self.seal(namespace, false)?,
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Err(PushError::NotOpen))
    }

    /// Records a promise for what was just executed.
    fn promise(
        &mut self,
        namespace: Namespace,
        included: Included,
        outcome: Outcome,
        ticket: Option<Ticket>,
    ) {
        let lane = self
            .lanes
            .get_mut(&namespace)
            .expect("checked by the callers");
        let hash = included.hash();
        let live = lane.live.back_mut().expect("a lane block is open");
        let index = live.outcomes.len() as u64;
        live.outcomes.push((hash, outcome));
        lane.known.insert(hash, live.header.height.get());
        lane.bytes += included.raw.len();
        lane.sequencer.pushed(1);
        let promises = promises(&self.config, live, index);
        let raw = included.raw;
        record(
            &mut self.records,
            Record::Pushed(Pushed {
                namespace,
                raw: raw.clone(),
                outcome,
            }),
        );
        self.effects.push(Effect::Promise {
            namespace,
            raw,
            promises,
            ticket,
        });
    }

    /// Does what is due at `now` in every namespace; returns when something is due next.
    ///
    /// # Errors
    /// If the executor fails.
    pub fn tick(&mut self, now: TimestampMs) -> Result<TimestampMs, GatewayError> {
        let mut next = now.plus(self.config.clock.slot_ms);
        for namespace in self.lanes.keys().copied().collect::<Vec<_>>() {
            if let Some(lane) = self.lanes.get_mut(&namespace) {
                lane.queue.expire(now);
                if lane.restored.is_some() {
                    continue;
                }
            }
            next = next.min(self.advance(namespace, now, false)?);
        }
        Ok(next)
    }

    /// Opens and closes lane blocks until there is nothing to do but wait.
    fn advance(
        &mut self,
        namespace: Namespace,
        now: TimestampMs,
        demand: bool,
    ) -> Result<TimestampMs, GatewayError> {
        loop {
            let lane = self
                .lanes
                .get_mut(&namespace)
                .expect("checked by the callers");
            let oldest = lane.live.front().map(|live| live.header.slot);
            match lane.sequencer.decide(now, demand, oldest) {
                Decision::Wait(until) => return Ok(until),
                Decision::Seal { last } => self.seal(namespace, last)?,
                Decision::Open(place) => {
                    if holder(&self.config, namespace, place.slot) != Some(self.signer.address()) {
                        return Ok(self.config.clock.end(place.slot));
                    }
                    self.open_lane(namespace, &place, now);
                    // A transaction waits and has its place now.
                    if demand {
                        let lane = self.lanes.get(&namespace).expect("as above");
                        if !matches!(
                            lane.sequencer.decide(now, false, oldest),
                            Decision::Seal { .. }
                        ) {
                            return Ok(now);
                        }
                    }
                }
            }
        }
    }

    fn open_lane(&mut self, namespace: Namespace, place: &Place, now: TimestampMs) {
        let lane = self
            .lanes
            .get_mut(&namespace)
            .expect("checked by the callers");
        if lane.engine.discard_empty_lane() {
            lane.live.pop_back();
        }
        let header = LaneHeader {
            version: PROTOCOL_VERSION,
            chain_id: self.config.chain_id,
            namespace,
            slot: place.slot,
            seq: place.seq,
            last: false,
            height: place.height,
            parent: place.parent,
            context: lane.engine.l1_head(),
            timestamp: place.timestamp,
            body_root: B256::ZERO,
            size: 0,
            group: B256::ZERO,
        };
        lane.engine.open_lane(header.clone(), self.signer.address());
        lane.sequencer.opened(place, now);
        let l2_parent = lane
            .engine
            .l2_parent()
            .map(|parent| parent.hash())
            .unwrap_or_default();
        lane.live.push_back(Live {
            header: header.clone(),
            l2_parent,
            outcomes: Vec::new(),
            signed: None,
            offered: None,
        });
        record(
            &mut self.records,
            Record::Opened(Opened {
                header: header.clone(),
                l2_parent,
            }),
        );
        self.effects.push(Effect::Opened(header));
    }

    fn seal(&mut self, namespace: Namespace, last: bool) -> Result<(), GatewayError> {
        let lane = self
            .lanes
            .get_mut(&namespace)
            .expect("checked by the callers");
        let Some(header) = lane.engine.sealed_header(last) else {
            return Ok(());
        };
        lane.engine.seal_lane(header.clone())?;
        lane.sequencer.sealed(&header);
        if let Some(live) = lane.live.back_mut() {
            live.header = header.clone();
        }
        record(
            &mut self.records,
            Record::Sealed(Sealed {
                header: header.clone(),
            }),
        );
        self.effects.push(Effect::Sealed(header));
        Ok(())
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
        for effect in std::mem::take(&mut self.effects) {
            self.act(effect, &mut output);
        }
        output.changed.sort_unstable();
        output.changed.dedup();
        if self.journal.is_full() {
            self.roll()?;
        }
        Ok(output)
    }

    fn act(&mut self, effect: Effect, output: &mut Output) {
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
                let [inclusion, execution] = promises.map(|promise| SignedPromise {
                    promise,
                    signature: self.signer.sign(promise.digest()),
                });
                let promises = Promises {
                    inclusion,
                    execution,
                };
                let hash = inclusion.promise.transaction;
                self.book.insert(hash, promises);
                if let Some(ticket) = ticket {
                    let promises = Box::new(promises);
                    output
                        .answers
                        .push((ticket, Ok(Submitted::Promised { hash, promises })));
                }
                (namespace, PreconfEvent::Transaction { raw, promises })
            }
            Effect::Sealed(header) => {
                let namespace = header.namespace;
                let signature = self.signer.sign(header.hash());
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

/// RLP length of a transaction's own length, at most.
const LENGTH_BYTES: u64 = 4;

/// Lane blocks handed out at once; the oldest come first, so none is left out for ever.
const OFFERS_MAX: usize = 64;

fn record(records: &mut Vec<u8>, entry: Record) {
    alloy_rlp::Encodable::encode(&entry, records);
}

/// Both promises for the transaction at `index` of a lane block.
fn promises(config: &GatewayConfig, live: &Live, index: u64) -> [Promise; 2] {
    let header = &live.header;
    let (hash, outcome) = live.outcomes[index as usize];
    let position = Position {
        namespace: header.namespace,
        slot: header.slot,
        seq: header.seq,
        index,
    };
    let terms = [
        Terms::Inclusion,
        Terms::Execution {
            l2_parent: live.l2_parent,
            context: header.context,
            outcome,
        },
    ];
    terms.map(|terms| Promise {
        chain_id: config.chain_id,
        position,
        transaction: hash,
        terms,
        coverage: Coverage::default(),
        deadline: config.clock.end(header.slot).plus(GRACE_MS),
    })
}

fn submit_error(error: PushError) -> SubmitError {
    match error {
        PushError::Rejected(rejection) => rejection.into(),
        PushError::NotOpen | PushError::Full { .. } => SubmitError::PoolFull,
        other => SubmitError::Other(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
