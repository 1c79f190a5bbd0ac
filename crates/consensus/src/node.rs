//! One identity on the network, whole: engine, lanes, witness, and what others read from it.
//!
//! Several seats of one operator are several nodes in one process, each with its own identity,
//! keys, partitions and connections.

use crate::{
    application::Application,
    block::{Block, Digest, digest},
    engine::{self, EngineLinks, MarshalMailbox, Parts, Tuning},
    events::{Event, Events},
    evidence,
    finalizer::{Finalizer, Listeners, SnapshotError, Snapshots},
    lanes::{self, Keep, LaneBlock, SealedLane, SeatSigner},
    ledger::{Finalized, Ledger},
    network::Links,
    publisher,
    runtime::{Runtime, Transport},
    scheme::{KeyError, Scheme, finality, seat_peers},
    witness::{self, Observation},
};
use commonware_consensus::marshal::Identifier;
use commonware_consensus::types::{Epoch, Height as EngineHeight};
use commonware_cryptography::ed25519;
use commonware_runtime::Handle;
use commonware_storage::archive;
use commonware_utils::channel::{mpsc, watch};
use cortado_evidence::{Evidence, ViewRecord};
use cortado_types::{
    B256, CodecError, FinalityCertificate, Genesis, Height, Term, View, bls::SecretBls,
    decode_exact,
};
use std::sync::Arc;
use thiserror::Error;
use tracing::error;

/// What an identity is on the network.
#[derive(Clone)]
pub enum Role {
    /// Votes and acknowledges; its BLS key signs both.
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
    /// Signs votes on a seat, else only verifies.
    pub scheme: S,
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
    marshal: MarshalMailbox<S>,
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
        let genesis = Block::new(cortado_chain::State::genesis(&config.genesis)?.genesis_block());
        let seats = at.state.seats.clone();
        let seat_peers = seat_peers(&seats)?;
        let ledger = Ledger::new(at);
        let at = ledger.finalized();
        let events = Events::default();
        let signer = match &config.role {
            Role::Seat { secret } => {
                let index = seat_peers
                    .binary_search(&config.me)
                    .map_err(|_| KeyError::NotSeated { seats: seats.len() })?;
                let index = cortado_types::SeatIndex::new(index as u32);
                Some(SeatSigner {
                    index,
                    secret: secret.clone(),
                })
            }
            Role::Proposer | Role::Follower => None,
        };

        let (acks_out, acks_in) = links.acks;
        let (lanes_out, lanes_in) = links.lanes;
        let (lanes_actor, lanes) = lanes::Actor::<E, N>::init(
            context.child("lanes"),
            lanes::Config {
                me: config.me.clone(),
                signer: signer.clone(),
                seats: seat_peers.clone(),
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
                signer: signer.clone(),
                seats: seat_peers.clone(),
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

        let reports = evidence.reporter(config.genesis.chain_id, Term::ZERO, seats.clone());
        let mut tasks = vec![witness_actor.start(links.sights)];
        // A follower runs no simplex, so nothing is ever reported there.
        if signer.is_some() {
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
                        seats: seat_peers,
                        lanes: lanes.clone(),
                        events: events.clone(),
                    },
                    &at,
                );
                tasks.push(actor.start::<N>(lanes_out, acks_in));
                Some(mailbox)
            }
            Role::Follower => {
                tasks.push(lanes_actor.start(None, None));
                None
            }
        };

        let application = Application::new(
            ledger.clone(),
            lanes.clone(),
            witness.clone(),
            &config.tuning,
        );
        let listeners = Listeners {
            lanes: lanes.clone(),
            witness: witness.clone(),
            publisher: publisher.clone(),
            events: events.clone(),
        };
        let (finalizer_context, finalizer_ledger) = (context.child("finalizer"), ledger.clone());
        let finalizer_tuning = config.tuning.clone();
        let (started, finalizer_task) = futures::channel::oneshot::channel();
        let (marshal, engine_task) = engine::start::<E, S, N, Block, _, _, _, _>(
            context.child("engine"),
            engine::Config {
                scheme: config.scheme,
                me: config.me,
                votes: signer.is_some(),
                epoch: Epoch::zero(),
                genesis,
                partition: config.partition,
                tuning: config.tuning,
                blocker: config.blocker,
                peers: config.peers,
            },
            EngineLinks {
                votes: links.votes,
                certificates: links.certificates,
                resolver: links.resolver,
                blocks: links.blocks,
                backfill: links.backfill,
            },
            move |marshal| async move {
                let (finalizer, intake) = Finalizer::new(
                    finalizer_context,
                    finalizer_ledger,
                    marshal,
                    snapshots,
                    finalizer_tuning,
                    listeners,
                );
                let _ = started.send(finalizer.start());
                Parts {
                    application,
                    finalizer: intake,
                    activity: reports,
                }
            },
        )
        .await;
        tasks.push(engine_task);
        if let Ok(task) = finalizer_task.await {
            tasks.push(task);
        }
        let task = context.child("node").spawn(move |context| async move {
            let (result, _, _) = futures::future::select_all(tasks).await;
            if !context.is_stopping() {
                error!(?result, "a part of the node ended; the node stops");
            }
        });
        Ok((
            Self {
                ledger,
                marshal,
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
        let stored = self.marshal.get_info(Identifier::Latest).await;
        let stored = stored.map_or(Height::ZERO, |(height, _)| Height::new(height.get()));
        stored.max(self.finalized().height())
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
        if height > self.finalized().height() {
            return None;
        }
        let found = self
            .marshal
            .get_block(EngineHeight::new(height.get()))
            .await?;
        Some(found.inner().clone())
    }

    /// A final block by hash.
    pub async fn block_by_hash(&self, hash: B256) -> Option<Block> {
        let digest: Digest = digest(hash);
        let found = self.marshal.get_block(&digest).await?.inner().clone();
        // Marshal also holds blocks that are not final.
        let stored = self.block(found.inner().header.height).await?;
        (stored == found).then_some(found)
    }

    /// The certificate of the lowest final block at or above `height` that has one, with that
    /// block's number. Headers between are tied to it by their parent hashes.
    pub async fn certificate(&self, height: Height) -> Option<(Height, FinalityCertificate)> {
        let newest = self.finalized().height();
        for at in height.get()..=newest.get().min(height.get() + CERTIFICATE_SEARCH_MAX) {
            if let Some(found) = self.marshal.get_finalization(EngineHeight::new(at)).await {
                return Some((Height::new(at), finality(&found)));
            }
        }
        None
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
