//! One engine after the other (R5a).
//!
//! ```text
//!                   boundary block of g final and applied
//!   engine of g     ──────────────┤ goes on answering ├──┐ deleted
//!   engine of g + 1               ├── view 1, 2, … ──────┴──────────▶
//!                                        first block of g + 1 final
//! ```
//!
//! The engine of a term starts when the block that the term starts on is final and on disk, with
//! everything that follows from it: after a crash at any instant the snapshot says which term it is.
//! The one before goes on until the new one has made a block final, so that seats that miss the
//! last certificate get it where they look for it first; whoever comes later asks for blocks by
//! height ([`crate::history::catch_up`]). Then it is stopped and all it wrote is deleted: its term
//! is over, and no vote of it is ever cast again.

use crate::{
    application::Application,
    block::{Block, digest},
    committee::Committee,
    engine::{self, MarshalMailbox, Origin, Parts, Tuning},
    events::Events,
    evidence, finalizer, history, lanes,
    ledger::{Finalized, Ledger},
    network::terms::TermChannels,
    runtime::{Roster, Runtime, Transport},
    scheme::{KeyError, Scheme, seat_peers},
    witness,
};
use commonware_codec::{Decode as _, Error as CodecError};
use commonware_consensus::{
    simplex::types::Finalization,
    types::{Epoch, Height as EngineHeight},
};
use commonware_cryptography::{Digestible as _, ed25519};
use commonware_macros::select;
use commonware_runtime::{Error as RuntimeError, Handle};
use commonware_utils::channel::watch;
use cortado_types::{Height, SeatSet, SeatSetError, Term, bls::SecretBls};
use std::{collections::BTreeSet, future::pending, sync::Arc};
use thiserror::Error;
use tracing::{debug, info};

/// Why a term's engine does not start.
#[derive(Debug, Error)]
enum Fatal {
    #[error("seats of term {term}: {source}")]
    Keys { term: Term, source: KeyError },
    #[error("seats of term {term}: {source}")]
    Seats { term: Term, source: SeatSetError },
    #[error("how term {term} began is not on disk")]
    Unknown { term: Term },
    #[error("the certificate that term {term} starts on: {source}")]
    Certificate { term: Term, source: CodecError },
    #[error("what the engine of term {term} wrote cannot be deleted: {source}")]
    Delete { term: Term, source: RuntimeError },
    #[error("the engine of term {term} ended")]
    Ended { term: Term },
}

/// What an identity votes with.
#[derive(Clone)]
pub struct VotingKeys<S: Scheme> {
    /// The engine's votes.
    pub votes: S::Keys,
    /// Acknowledgements and what it saw on L1; the public key stands in the seat.
    pub secret: SecretBls,
}

/// Everything that engines of all terms share.
pub struct Config<S: Scheme, N: Transport> {
    /// This identity.
    pub me: ed25519::PublicKey,
    /// What it votes with, in the terms in which it has a seat.
    pub keys: Option<VotingKeys<S>>,
    /// Block 0.
    pub genesis: Block,
    /// Seats of term 0.
    pub genesis_seats: Arc<SeatSet>,
    /// Prefix on disk.
    pub partition: String,
    /// Timeouts.
    pub tuning: Tuning,
    /// The network's blocker.
    pub blocker: N::Blocker,
    /// The network's peers.
    pub peers: N::Peers,
    /// Is told who sits.
    pub roster: N::Roster,
    /// Where the chain stands.
    pub ledger: Ledger,
    /// Final blocks.
    pub history: history::Mailbox,
    /// Takes final blocks.
    pub finalizer: finalizer::Mailbox<S>,
    /// Is told when this node is behind.
    pub catch_up: history::catch_up::Mailbox,
    /// What leaders include.
    pub lanes: lanes::Mailbox,
    /// What leaders include.
    pub witness: witness::Mailbox,
    /// Takes votes and certificates.
    pub evidence: evidence::Mailbox<S>,
    /// Who listens.
    pub events: Events,
}

/// A running engine.
struct Running<S: Scheme> {
    term: Term,
    marshal: MarshalMailbox<S>,
    task: Handle<()>,
}

/// Starts and stops engines.
pub struct Actor<E: Runtime, S: Scheme, N: Transport> {
    context: E,
    config: Config<S, N>,
    channels: TermChannels<N>,
    present: Option<Running<S>>,
    before: Option<Running<S>>,
    marshal: watch::Sender<Option<MarshalMailbox<S>>>,
    tracked: BTreeSet<ed25519::PublicKey>,
    /// Seats of the term before.
    previous: Arc<SeatSet>,
}

fn epoch(term: Term) -> Epoch {
    Epoch::new(term.get())
}

impl<E: Runtime, S: Scheme, N: Transport> Actor<E, S, N> {
    /// Nothing runs yet. The receiver gives the store of the engine that runs.
    pub fn new(
        context: E,
        config: Config<S, N>,
        channels: TermChannels<N>,
    ) -> (Self, watch::Receiver<Option<MarshalMailbox<S>>>) {
        let (marshal, marshals) = watch::channel(None);
        let previous = config.ledger.finalized().state.seats.clone();
        let actor = Self {
            context,
            config,
            channels,
            present: None,
            before: None,
            marshal,
            tracked: BTreeSet::new(),
            previous,
        };
        (actor, marshals)
    }

    /// Starts the engine of the present term, then goes on; ends on shutdown or when an engine does.
    pub fn start(self) -> Handle<()> {
        let context = self.context.child("terms");
        context.spawn(move |context| async move {
            let events = self.config.events.clone();
            if let Err(error) = self.run(&context).await
                && !context.is_stopping()
            {
                events.fail("engine", error);
            }
        })
    }

    async fn run(mut self, context: &E) -> Result<(), Fatal> {
        let mut finalized = self.config.ledger.watch();
        self.sweep().await?;
        loop {
            let at = finalized.borrow_and_update().clone();
            self.follow(&at).await?;
            self.track(&at)?;
            let present = at.state.term;
            let Some(running) = &mut self.present else {
                return Err(Fatal::Ended { term: present });
            };
            select! {
                changed = finalized.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                },
                () = self.channels.ahead(epoch(present)) => self.config.catch_up.behind(),
                _ = &mut running.task => return Err(Fatal::Ended { term: running.term }),
                _ = context.stopped() => return Ok(()),
            }
        }
    }

    /// Deletes what a crash kept an earlier run from deleting.
    async fn sweep(&self) -> Result<(), Fatal> {
        let present = self.config.ledger.finalized().state.term;
        // Of two terms: that of the engine which went on answering, and the one before it.
        for back in 1..=2 {
            if let Some(term) = present.get().checked_sub(back) {
                self.delete(Term::new(term)).await?;
            }
        }
        Ok(())
    }

    async fn delete(&self, term: Term) -> Result<(), Fatal> {
        let prefix = &self.config.partition;
        let deleted = engine::delete(&self.context, prefix, epoch(term)).await;
        deleted.map_err(|source| Fatal::Delete { term, source })
    }

    /// Peers that matter: seats of this term and the next, and of the one before, who still serve.
    fn track(&mut self, at: &Finalized) -> Result<(), Fatal> {
        let state = &at.state;
        let mut seats = BTreeSet::new();
        for set in [&state.seats, &state.due.seats, &self.previous] {
            let term = state.term;
            let peers = seat_peers(set).map_err(|source| Fatal::Keys { term, source })?;
            seats.extend(peers);
        }
        if seats != self.tracked {
            let peers: Vec<_> = seats.iter().cloned().collect();
            self.config.roster.track(at.height().get(), &peers);
            self.tracked = seats;
        }
        Ok(())
    }

    /// Runs the engine that belongs to the state.
    async fn follow(&mut self, at: &Finalized) -> Result<(), Fatal> {
        let term = at.state.term;
        let running = self.present.as_ref().map(|running| running.term);
        if running != Some(term) {
            self.stop_before().await?;
            self.before = self.present.take();
            let started = self.start_term(term, at).await?;
            self.marshal.send_replace(Some(started.marshal.clone()));
            self.restore(&started).await;
            self.present = Some(started);
        } else if at.block.inner().header.term == term {
            self.stop_before().await?;
        }
        Ok(())
    }

    async fn stop_before(&mut self) -> Result<(), Fatal> {
        let Some(before) = self.before.take() else {
            return Ok(());
        };
        debug!(term = %before.term, "the engine of the term before is not needed any more");
        before.task.abort();
        let _ = before.task.await;
        self.delete(before.term).await
    }

    async fn start_term(&mut self, term: Term, at: &Finalized) -> Result<Running<S>, Fatal> {
        let keyed = |source| Fatal::Keys { term, source };
        let config = &self.config;
        let secret = config.keys.as_ref().map(|keys| &keys.secret);
        let committee = Committee::of(&at.state, &config.me, secret).map_err(keyed)?;
        let votes = committee.signer.is_some();
        let keys = config.keys.as_ref().filter(|_| votes);
        let scheme = S::of_term(
            &committee.seats,
            committee.chain_id,
            keys.map(|keys| &keys.votes),
        )
        .map_err(keyed)?;
        let origin = self.origin(term, &committee).await?;
        let links = self.channels.term(epoch(term)).await;
        let config = &self.config;
        let application = Application::new(
            config.ledger.clone(),
            config.lanes.clone(),
            config.witness.clone(),
            &config.tuning,
        );
        let finalizer = config.finalizer.clone();
        let (chain_id, seats) = (committee.chain_id, committee.seats.clone());
        let activity = config.evidence.reporter(chain_id, term, seats);
        let engine = engine::Config {
            scheme,
            me: config.me.clone(),
            votes,
            epoch: epoch(term),
            ends: at.state.term_end,
            origin,
            partition: config.partition.clone(),
            tuning: config.tuning.clone(),
            blocker: config.blocker.clone(),
            peers: config.peers.clone(),
        };
        let context = self
            .context
            .child("term")
            .with_attribute("term", term.get());
        let (sender, started) = futures::channel::oneshot::channel();
        // Its own task: what is stopped with it is all that it started.
        let task = context.spawn(move |context| async move {
            let (marshal, task) = engine::start::<E, S, N, Block, _, _, _, _>(
                context,
                engine,
                links,
                move |marshal| async move {
                    Parts {
                        application,
                        finalizer: finalizer.intake(marshal),
                        activity,
                    }
                },
            )
            .await;
            let _ = sender.send(marshal);
            let _ = task.await;
        });
        let marshal = started.await.map_err(|_| Fatal::Ended { term })?;
        info!(%term, votes, "engine started");
        Ok(Running {
            term,
            marshal,
            task,
        })
    }

    /// What the term starts on.
    async fn origin(
        &mut self,
        term: Term,
        committee: &Committee,
    ) -> Result<Origin<S, Block>, Fatal> {
        let Some(last) = term.get().checked_sub(1).map(Term::new) else {
            return Ok(Origin::Genesis(self.config.genesis.clone()));
        };
        let history = self.config.history.clone();
        let record = history.term(term).await.ok_or(Fatal::Unknown { term })?;
        let seats = if last == Term::ZERO {
            self.config.genesis_seats.clone()
        } else {
            let before = history.term(last).await;
            let before = before.ok_or(Fatal::Unknown { term: last })?;
            let seats = SeatSet::new(before.seats);
            Arc::new(seats.map_err(|source| Fatal::Seats { term: last, source })?)
        };
        let scheme = S::of_term(&seats, committee.chain_id, None)
            .map_err(|source| Fatal::Keys { term: last, source })?;
        self.previous = seats;
        let config = S::certificate_codec_config_unbounded();
        let finalization = Finalization::decode_cfg(record.opening.finalization, &config)
            .map_err(|source| Fatal::Certificate { term, source })?;
        let block = history.block(record.opening.header.height).await;
        let wanted = digest(record.opening.header.hash());
        Ok(Origin::Boundary {
            block: block.filter(|block| block.digest() == wanted),
            finalization,
            scheme,
        })
    }

    /// What the engine has on disk after the ledger's block was final before a crash.
    async fn restore(&self, running: &Running<S>) {
        let mut at = self.config.ledger.finalized().height();
        while let Some(next) = at.next() {
            let stored = running
                .marshal
                .get_block(EngineHeight::new(next.get()))
                .await;
            let Some(block) = stored else { return };
            let block = block.inner().clone();
            let restored = self.config.finalizer.restore(&running.marshal, block).await;
            if restored.is_none() {
                return pending().await;
            }
            at = next;
        }
    }
}

/// Number of the newest block that the running engine knows to be final.
pub(crate) async fn newest<S: Scheme>(
    marshals: &watch::Receiver<Option<MarshalMailbox<S>>>,
) -> Height {
    let marshal = marshals.borrow().clone();
    let Some(marshal) = marshal else {
        return Height::ZERO;
    };
    let latest = commonware_consensus::marshal::Identifier::Latest;
    let stored = marshal.get_info(latest).await;
    stored.map_or(Height::ZERO, |(height, _)| Height::new(height.get()))
}
