//! One identity on the network, whole: engine, lanes, witness, and what others read from it.
//!
//! Several seats of one operator are several nodes in one process, each with its own identity,
//! keys, partitions and connections.

use crate::{
    block::Block,
    committee::Committee,
    engine::{MarshalMailbox, Tuning},
    events::{Event, Events},
    evidence,
    finalizer::{Finalizer, Listeners, SnapshotError, Snapshots},
    history::{self, catch_up},
    lanes::{self, Keep, LaneBlock, SealedLane},
    ledger::{Finalized, Ledger},
    network::{Links, terms::TermChannels},
    publisher,
    runtime::{Runtime, Transport},
    scheme::{KeyError, Scheme, finality},
    terms::{self, VotingKeys},
    witness::{self, Observation},
};
use commonware_codec::Decode as _;
use commonware_consensus::simplex::types::Finalization;
use commonware_cryptography::ed25519;
use commonware_runtime::Handle;
use commonware_storage::archive;
use commonware_utils::channel::{mpsc, oneshot, watch};
use cortado_evidence::{Evidence, ViewRecord};
use cortado_types::{
    B256, CodecError, FinalityCertificate, Genesis, Header, Height, SeatSet, Term, View,
    bls::SecretBls, decode_exact,
};
use std::sync::Arc;
use thiserror::Error;
use tracing::error;

/// What an identity is on the network.
#[derive(Clone)]
pub enum Role {
    /// Votes and acknowledges in the terms in which its identity and this key have a seat, and
    /// follows in the others. Its BLS key signs both.
    Seat {
        /// The key.
        secret: SecretBls,
    },
    /// Sends lane blocks and follows.
    Proposer,
    /// Follows.
    Follower,
}

/// One node.
pub struct Config<S: Scheme, N: Transport> {
    /// What all agree on.
    pub genesis: Arc<Genesis>,
    /// This identity.
    pub me: ed25519::PublicKey,
    /// What it is.
    pub role: Role,
    /// What it votes with; needed for a seat.
    pub votes: Option<S::Keys>,
    /// Whose bodies it keeps.
    pub keep: Keep,
    /// How long it keeps them, ms.
    pub retention_ms: u64,
    /// Prefix of everything it writes to disk.
    pub partition: String,
    /// Timeouts.
    pub tuning: Tuning,
    /// The network's blocker.
    pub blocker: N::Blocker,
    /// The network's peers.
    pub peers: N::Peers,
    /// Is told who sits.
    pub roster: N::Roster,
}

/// What to do about data that is damaged: what follows from peers is fetched again, and a seat that
/// may have forgotten votes must not vote (R2).
pub const RECOVERY: &str = "delete the data directory and catch up from peers; a seat must stay silent until the next term";

/// Why a node does not start.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The seats do not make a scheme.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The genesis contradicts itself.
    #[error(transparent)]
    Genesis(#[from] cortado_chain::GenesisStateError),
    /// What is on disk cannot be used.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// What is on disk does not make the chain go on.
    #[error("final blocks on disk: {0}")]
    Replay(String),
    /// What is on disk is damaged in the middle.
    #[error("{what}: {source}; {RECOVERY}")]
    Store {
        /// Which store.
        what: &'static str,
        /// What is wrong.
        source: archive::Error,
    },
}

/// Final blocks between two certificates: none of them needs one of its own, and more than this
/// many in a row without one does not happen while a quorum is up.
const CERTIFICATE_SEARCH_MAX: u64 = 1_024;

/// A running node.
#[derive(Clone)]
pub struct Node<S: Scheme> {
    ledger: Ledger,
    history: history::Mailbox,
    marshal: watch::Receiver<Option<MarshalMailbox<S>>>,
    genesis: Arc<(Block, Arc<SeatSet>)>,
    lanes: lanes::Mailbox,
    witness: witness::Mailbox,
    publisher: Option<publisher::Mailbox>,
    evidence: evidence::Mailbox<S>,
    events: Events,
}

impl<S: Scheme> Node<S> {
    /// Starts a node. The returned task ends when any part of the node does.
    ///
    /// # Errors
    /// [`NodeError`] if keys, genesis or disk do not allow it.
    pub async fn start<E: Runtime, N: Transport>(
        context: E,
        config: Config<S, N>,
        links: Links<N>,
    ) -> Result<(Self, Handle<()>), NodeError> {
        let store = |what| move |source| NodeError::Store { what, source };
        let (snapshots, at) = Snapshots::open(
            context.child("snapshot"),
            &config.partition,
            &config.genesis,
        )
        .await?;
        let start = cortado_chain::State::genesis(&config.genesis)?;
        let genesis = Arc::new((Block::new(start.genesis_block()), start.seats.clone()));
        let ledger = Ledger::new(at);
        let at = ledger.finalized();
        let events = Events::default();
        let secret = match &config.role {
            Role::Seat { secret } => Some(secret.clone()),
            Role::Proposer | Role::Follower => None,
        };
        let committee = Committee::of(&at.state, &config.me, secret.as_ref())?;
        let keys = secret.clone().zip(config.votes);
        let keys = keys.map(|(secret, votes)| VotingKeys::<S> { votes, secret });

        let (acks_out, acks_in) = links.acks;
        let (lanes_out, lanes_in) = links.lanes;
        let (lanes_actor, lanes) = lanes::Actor::<E, N>::init(
            context.child("lanes"),
            lanes::Config {
                me: config.me.clone(),
                secret: secret.clone(),
                committee: committee.clone(),
                keep: config.keep,
                retention_ms: config.retention_ms,
                partition: config.partition.clone(),
                blocker: config.blocker.clone(),
                peers: config.peers.clone(),
                events: events.clone(),
            },
            at.clone(),
            links.bodies,
            acks_out,
        )
        .await
        .map_err(store("lane store"))?;
        let (witness_actor, witness) = witness::Actor::<E, N>::new(
            context.child("witness"),
            witness::Config {
                me: config.me.clone(),
                secret: secret.clone(),
                committee: committee.clone(),
                blocker: config.blocker.clone(),
            },
            at.clone(),
        );
        let (evidence_actor, evidence) = evidence::Actor::init(
            context.child("evidence"),
            &config.partition,
            config.tuning.evidence,
            events.clone(),
        )
        .await
        .map_err(store("evidence archive"))?;
        let (history_actor, history) = history::Actor::init(
            context.child("history"),
            &config.partition,
            config.tuning.blocks_per_file,
            ledger.clone(),
            events.clone(),
        )
        .await
        .map_err(store("block store"))?;

        let mut tasks = vec![witness_actor.start(links.sights), history_actor.start()];
        // Whoever has no key never votes, so nothing is ever reported there.
        if keys.is_some() {
            tasks.push(evidence_actor.start());
        }
        let publisher = match config.role {
            Role::Seat { .. } => {
                tasks.push(lanes_actor.start(Some(lanes_in), Some(acks_in)));
                None
            }
            Role::Proposer => {
                tasks.push(lanes_actor.start(None, None));
                let (actor, mailbox) = publisher::Actor::new(
                    context.child("publisher"),
                    publisher::Config {
                        me: config.me.clone(),
                        committee,
                        lanes: lanes.clone(),
                        events: events.clone(),
                    },
                );
                tasks.push(actor.start::<N>(lanes_out, acks_in));
                Some(mailbox)
            }
            Role::Follower => {
                tasks.push(lanes_actor.start(None, None));
                None
            }
        };

        let (finalizer_actor, finalizer) = Finalizer::new(
            context.child("finalizer"),
            ledger.clone(),
            history.clone(),
            snapshots,
            config.tuning.clone(),
            Listeners {
                lanes: lanes.clone(),
                witness: witness.clone(),
                publisher: publisher.clone(),
                events: events.clone(),
            },
        );
        let (replaying, replayed) = oneshot::channel();
        tasks.push(finalizer_actor.start(replaying));
        if replayed.await.is_err() {
            let reason = events.failure().unwrap_or_default();
            return Err(NodeError::Replay(reason.to_owned()));
        }
        let (catch_up_actor, catch_up) = catch_up::Actor::<E, S>::new::<N>(
            context.child("catch_up"),
            catch_up::Config {
                me: config.me.clone(),
                ledger: ledger.clone(),
                history: history.clone(),
                finalizer: finalizer.clone(),
                blocker: config.blocker.clone(),
                peers: config.peers.clone(),
            },
            links.chain,
        );
        tasks.push(catch_up_actor.start());
        let channels = TermChannels::new(
            &context,
            links.votes,
            links.certificates,
            links.resolver,
            links.blocks,
            links.backfill,
        );
        let (terms_actor, marshal) = terms::Actor::<E, S, N>::new(
            context.child("terms"),
            terms::Config {
                me: config.me,
                keys,
                genesis: genesis.0.clone(),
                genesis_seats: genesis.1.clone(),
                partition: config.partition,
                tuning: config.tuning,
                blocker: config.blocker,
                peers: config.peers,
                roster: config.roster,
                ledger: ledger.clone(),
                history: history.clone(),
                finalizer,
                catch_up,
                lanes: lanes.clone(),
                witness: witness.clone(),
                evidence: evidence.clone(),
                events: events.clone(),
            },
            channels,
        );
        tasks.push(terms_actor.start());
        let task = context.child("node").spawn(move |context| async move {
            let (result, _, _) = futures::future::select_all(tasks).await;
            if !context.is_stopping() {
                error!(?result, "a part of the node ended; the node stops");
            }
        });
        Ok((
            Self {
                ledger,
                history,
                marshal,
                genesis,
                lanes,
                witness,
                publisher,
                evidence,
                events,
            },
            task,
        ))
    }

    /// The newest final block and its state.
    pub fn finalized(&self) -> Arc<Finalized> {
        self.ledger.finalized()
    }

    /// Number of the newest block known to be final; after a start it may not be applied yet.
    pub async fn newest(&self) -> Height {
        terms::newest(&self.marshal)
            .await
            .max(self.finalized().height())
    }

    /// Follows [`Node::finalized`]; intermediate blocks may be skipped.
    pub fn watch(&self) -> watch::Receiver<Arc<Finalized>> {
        self.ledger.watch()
    }

    /// Everything that happens from now on. The channel closes if the listener falls behind.
    pub fn events(&self) -> mpsc::Receiver<Event> {
        self.events.subscribe()
    }

    /// What ended this node, if it ended by itself, and what to do about it.
    pub fn failure(&self) -> Option<&str> {
        self.events.failure()
    }

    /// A final block by number.
    pub async fn block(&self, height: Height) -> Option<Block> {
        if height == Height::ZERO {
            return Some(self.genesis.0.clone());
        }
        if height > self.finalized().height() {
            return None;
        }
        self.history.block(height).await
    }

    /// A final block by hash.
    pub async fn block_by_hash(&self, hash: B256) -> Option<Block> {
        if hash == self.genesis.0.hash() {
            return Some(self.genesis.0.clone());
        }
        let found = self.history.by_hash(hash).await?;
        // It is written before it counts as final.
        (found.inner().header.height <= self.finalized().height()).then_some(found)
    }

    /// The certificate of the lowest final block at or above `height` that has one, with that
    /// block's number. Headers between are tied to it by their parent hashes.
    pub async fn certificate(&self, height: Height) -> Option<(Height, FinalityCertificate)> {
        let newest = self.finalized().height();
        let reach = Height::new(height.get().saturating_add(CERTIFICATE_SEARCH_MAX));
        let found = self.history.certificate(height, reach.min(newest)).await;
        let (at, bytes) = found?;
        Some((at, Self::finality(bytes)?))
    }

    fn finality(finalization: bytes::Bytes) -> Option<FinalityCertificate> {
        let config = S::certificate_codec_config_unbounded();
        let decoded = Finalization::<S, _>::decode_cfg(finalization, &config).ok()?;
        Some(finality(&decoded))
    }

    /// The seats of a term that has begun.
    pub async fn seats(&self, term: Term) -> Option<Arc<SeatSet>> {
        let state = self.finalized().state.clone();
        if term == state.term {
            return Some(state.seats.clone());
        }
        if term == Term::ZERO {
            return Some(self.genesis.1.clone());
        }
        let record = self
            .history
            .term(term)
            .await
            .filter(|_| term < state.term)?;
        SeatSet::new(record.seats).ok().map(Arc::new)
    }

    /// How a term ended: the header of its last block and that block's own certificate, which the
    /// seats of the term signed (R5a). `None` while it has not.
    pub async fn boundary(&self, term: Term) -> Option<(Header, FinalityCertificate)> {
        let next = term.next()?;
        if next > self.finalized().state.term {
            return None;
        }
        let opening = self.history.term(next).await?.opening;
        let certificate = Self::finality(opening.finalization)?;
        Some((opening.header, certificate))
    }

    /// A lane block by the hash of its header. If a final block names it and it is still being
    /// fetched, waits for it; give it a deadline.
    ///
    /// # Errors
    /// If the bytes on disk are damaged.
    pub async fn lane_block(&self, hash: B256) -> Result<Option<LaneBlock>, CodecError> {
        let Some(bytes) = self.lanes.body(hash).await else {
            return Ok(None);
        };
        decode_exact("lane block", &bytes, lanes::LANE_BLOCK_BYTES_MAX).map(Some)
    }

    /// Sends a lane block to the seats. The caller has persisted it, hands over those of one
    /// namespace in order, and hands over what is not final again after a restart. `false` if this
    /// node is no proposer.
    pub async fn publish(&self, lane: SealedLane) -> bool {
        let Some(publisher) = &self.publisher else {
            return false;
        };
        publisher.publish(lane).await;
        true
    }

    /// Tells what this seat's L1 node says.
    pub async fn observe(&self, observation: Observation) {
        self.witness.observe(observation).await;
    }

    /// Votes and quorums that this seat saw in a view: what accuses seats and what excuses them
    /// (R2). Empty on a node that does not vote.
    pub async fn view(&self, term: Term, view: View) -> ViewRecord {
        self.evidence.view(term, view).await
    }

    /// Contradictions of seats found in this run, or shortly before the last one ended (R2). What
    /// is found later is an [`Event::SeatFault`].
    pub async fn faults(&self) -> Vec<Evidence> {
        self.evidence.faults().await
    }
}
