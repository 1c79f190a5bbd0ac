//! Take final blocks in order, move the state, tell everybody, write snapshots.
//!
//! Blocks come from the engine of the present term, or from peers by height when that engine cannot
//! have them ([`crate::history::catch_up`]). Either way each is in the [`crate::history`] before it
//! counts as final here.
//!
//! The state is not written for every block: a restart loads the last snapshot and applies the
//! final blocks after it again, first those in the history, then those that only the engine had
//! synced. At the end of a term everything is synced: the next term starts on it, and the engine
//! that had it is going to be deleted.

use crate::{
    block::{Block, Digest},
    engine::{MAX_PENDING_ACKS, MarshalMailbox, Tuning},
    events::{Event, Events},
    history::{self, Opening, TermRecord},
    lanes,
    ledger::{Finalized, Ledger},
    publisher,
    runtime::Runtime,
    scheme::{Scheme, finality},
    witness,
};
use bytes::Bytes;
use commonware_actor::Feedback;
use commonware_codec::{Decode as _, Encode as _};
use commonware_consensus::{
    Reporter, marshal::Update, simplex::types::Finalization, types::Height as EngineHeight,
};
use commonware_macros::select_loop;
use commonware_runtime::{ContextCell, Handle, spawn_cell};
use commonware_utils::{
    Acknowledgement as _,
    acknowledgement::Exact,
    channel::{mpsc, oneshot},
};
use cortado_chain::{Checks, Rejection, apply};
use cortado_types::Height;
use std::sync::Arc;
use thiserror::Error;
use tracing::info;

mod snapshot;

pub use snapshot::{SnapshotError, Snapshots};

enum Message<S: Scheme> {
    /// From a term's engine.
    Engine {
        marshal: MarshalMailbox<S>,
        block: Block,
        ack: Exact,
    },
    /// From the disk of a restarted engine.
    Restore {
        marshal: MarshalMailbox<S>,
        block: Block,
        done: oneshot::Sender<()>,
    },
    /// From peers, verified.
    Import {
        block: Block,
        finalization: Option<Finalization<S, Digest>>,
        done: oneshot::Sender<()>,
    },
}

/// A handle to the finalizer.
pub struct Mailbox<S: Scheme>(mpsc::Sender<Message<S>>);

impl<S: Scheme> Clone for Mailbox<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Scheme> Mailbox<S> {
    /// Where the engine of a term brings its blocks.
    pub fn intake(&self, marshal: MarshalMailbox<S>) -> Intake<S> {
        Intake {
            marshal,
            finalizer: self.0.clone(),
        }
    }

    /// Takes a block over that a quorum finalised; it is durable, and the state after it stands, when
    /// this returns. `None` if the finalizer has ended.
    pub async fn import(
        &self,
        block: Block,
        finalization: Option<Finalization<S, Digest>>,
    ) -> Option<()> {
        let (done, imported) = oneshot::channel();
        let import = Message::Import {
            block,
            finalization,
            done,
        };
        self.0.send(import).await.ok()?;
        imported.await.ok()
    }

    /// Takes over a block that a restarted engine has on disk and may have delivered before; the state
    /// after it stands when this returns. There may be more of them than wait in the mailbox, and the
    /// engine hands out others meanwhile, which must find room. `None` if the finalizer has ended.
    pub async fn restore(&self, marshal: &MarshalMailbox<S>, block: Block) -> Option<()> {
        let (done, restored) = oneshot::channel();
        let restore = Message::Restore {
            marshal: marshal.clone(),
            block,
            done,
        };
        self.0.send(restore).await.ok()?;
        restored.await.ok()
    }
}

/// One engine's end of the finalizer.
#[derive(Clone)]
pub struct Intake<S: Scheme> {
    marshal: MarshalMailbox<S>,
    finalizer: mpsc::Sender<Message<S>>,
}

impl<S: Scheme> Reporter for Intake<S> {
    type Activity = Update<Block>;

    fn report(&mut self, update: Update<Block>) -> Feedback {
        let Update::Block(block, ack) = update else {
            return Feedback::Ok;
        };
        let message = Message::Engine {
            marshal: self.marshal.clone(),
            block: block.inner().clone(),
            ack,
        };
        // An engine hands out at most MAX_PENDING_ACKS blocks at a time, and those of all that run
        // fit. A block that does not is dropped with its acknowledgement, which stops marshal: a
        // fault of ours that must not pass unseen.
        match self.finalizer.try_send(message) {
            Ok(()) => Feedback::Ok,
            Err(_) => Feedback::Closed,
        }
    }
}

/// Who is told about final blocks.
pub struct Listeners {
    /// Drops what was included, fetches what is missing.
    pub lanes: lanes::Mailbox,
    /// Drops what was used.
    pub witness: witness::Mailbox,
    /// Reports what was included; on a proposer.
    pub publisher: Option<publisher::Mailbox>,
    /// Everybody else.
    pub events: Events,
}

/// Why the finalizer stops.
#[derive(Debug, Error)]
enum Fatal {
    #[error("final block {height} does not apply: {source}; this node is on another chain")]
    Rejected { height: Height, source: Rejection },
    #[error("final block {height} is not in the engine's store, which is behind its own mark")]
    Missing { height: Height },
    #[error("final block {height} ends its term and has no certificate")]
    Uncertified { height: Height },
    #[error("the history has ended")]
    History,
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

/// Moves the finalised state forward.
pub struct Finalizer<E: Runtime, S: Scheme> {
    context: ContextCell<E>,
    ledger: Ledger,
    history: history::Mailbox,
    /// Of the engine that brought the last block.
    marshal: Option<MarshalMailbox<S>>,
    snapshots: Snapshots<E>,
    tuning: Tuning,
    listeners: Listeners,
    receiver: mpsc::Receiver<Message<S>>,
}

/// Blocks that wait: what two engines hand out, one from peers and one from disk, with room.
const MAILBOX_SIZE: usize = 4 * MAX_PENDING_ACKS.get();

impl<E: Runtime, S: Scheme> Finalizer<E, S> {
    /// Stands at the ledger's finalised block.
    pub fn new(
        context: E,
        ledger: Ledger,
        history: history::Mailbox,
        snapshots: Snapshots<E>,
        tuning: Tuning,
        listeners: Listeners,
    ) -> (Self, Mailbox<S>) {
        let (sender, receiver) = mpsc::channel(MAILBOX_SIZE);
        let finalizer = Self {
            context: ContextCell::new(context),
            ledger,
            history,
            marshal: None,
            snapshots,
            tuning,
            listeners,
            receiver,
        };
        (finalizer, Mailbox(sender))
    }

    /// Starts it; ends on shutdown or when a final block cannot be applied. `replayed` is told when
    /// the state is where the history ends.
    pub fn start(mut self, replayed: oneshot::Sender<()>) -> Handle<()> {
        spawn_cell!(self.context, self.run(replayed))
    }

    async fn run(mut self, replayed: oneshot::Sender<()>) {
        if let Err(error) = self.replay().await {
            self.listeners.events.fail("final chain", error);
            return;
        }
        let _ = replayed.send(());
        select_loop! {
            self.context,
            on_stopped => {},
            Some(message) = self.receiver.recv() else break => {
                if let Err(error) = self.handle(message).await {
                    self.listeners.events.fail("final chain", error);
                    return;
                }
            },
        }
    }

    async fn handle(&mut self, message: Message<S>) -> Result<(), Fatal> {
        match message {
            Message::Engine {
                marshal,
                block,
                ack,
            } => {
                self.advance(marshal, block).await?;
                ack.acknowledge();
            }
            Message::Restore {
                marshal,
                block,
                done,
            } => {
                self.advance(marshal, block).await?;
                let _ = done.send(());
            }
            Message::Import {
                block,
                finalization,
                done,
            } => {
                if self.is_next(&block) {
                    self.keep(&block, finalization.as_ref()).await;
                    // No engine has it on disk.
                    self.history.sync().await.ok_or(Fatal::History)?;
                    self.apply(block, finalization).await?;
                }
                let _ = done.send(());
            }
        }
        Ok(())
    }

    fn is_next(&self, block: &Block) -> bool {
        self.ledger.finalized().height().next() == Some(block.inner().header.height)
    }

    /// Applies what the history has after the snapshot.
    async fn replay(&mut self) -> Result<(), Fatal> {
        let from = self.ledger.finalized().height();
        let config = S::certificate_codec_config_unbounded();
        while let Some(next) = self.ledger.finalized().height().next() {
            let Some(block) = self.history.block(next).await else {
                break;
            };
            let kept = self.history.certificate(next, next).await;
            let finalization =
                kept.and_then(|(_, bytes)| Finalization::decode_cfg(bytes, &config).ok());
            let state = &self.ledger.finalized().state;
            let ends = state.ends_term(block.inner().header.timestamp);
            if ends && finalization.is_none() {
                // Power went between the two; the engine of its term has both.
                break;
            }
            self.apply(block, finalization).await?;
        }
        let to = self.ledger.finalized().height();
        if from < to {
            info!(%from, %to, "applied final blocks after the snapshot again");
        }
        Ok(())
    }

    /// Moves to `block`, through whatever lies between after a restart.
    async fn advance(&mut self, marshal: MarshalMailbox<S>, block: Block) -> Result<(), Fatal> {
        let target = block.inner().header.height;
        while let Some(next) = self.ledger.finalized().height().next() {
            // Marshal delivers at least once.
            if next > target {
                break;
            }
            let height = EngineHeight::new(next.get());
            let at = if next == target {
                block.clone()
            } else {
                let stored = marshal.get_block(height).await;
                let stored = stored.ok_or(Fatal::Missing { height: next })?;
                stored.inner().clone()
            };
            let finalization = marshal.get_finalization(height).await;
            self.keep(&at, finalization.as_ref()).await;
            self.apply(at, finalization).await?;
        }
        self.marshal = Some(marshal);
        Ok(())
    }

    async fn keep(&self, block: &Block, finalization: Option<&Finalization<S, Digest>>) {
        let finalization = finalization.map(|finalization| finalization.encode());
        self.history.put(block.clone(), finalization).await;
    }

    async fn apply(
        &mut self,
        block: Block,
        finalization: Option<Finalization<S, Digest>>,
    ) -> Result<(), Fatal> {
        let height = block.inner().header.height;
        let parent = self.ledger.finalized();
        let state = match self.ledger.after(&block) {
            Some(state) => state,
            None => {
                let parent_header = &parent.block.inner().header;
                let state = apply(&parent.state, parent_header, block.inner(), Checks::Replay)
                    .map_err(|source| Fatal::Rejected { height, source })?;
                Arc::new(state)
            }
        };
        let certificate = finalization.as_ref().map(finality);
        let finalized = Arc::new(Finalized {
            block,
            state,
            certificate,
        });
        let ended = finalized.state.term != parent.state.term;
        if ended {
            let finalization = finalization.ok_or(Fatal::Uncertified { height })?;
            self.end_term(&finalized, finalization.encode()).await?;
        }
        self.ledger.finalize(finalized.clone());
        self.listeners.lanes.finalized(finalized.clone()).await;
        self.listeners.witness.finalized(finalized.clone()).await;
        if let Some(publisher) = &self.listeners.publisher {
            publisher.finalized(finalized.clone()).await;
        }
        self.listeners
            .events
            .emit(Event::Finalized(finalized.clone()));
        if height.get().is_multiple_of(self.tuning.snapshot_interval) {
            self.history.sync().await.ok_or(Fatal::History)?;
            if !ended {
                self.snapshots.write(&finalized).await?;
            }
            if let Some(kept) = self.tuning.block_retention {
                // Blocks after the snapshot are needed for the next start.
                let below = Height::new(height.get().saturating_sub(kept));
                self.history.prune(below).await;
                if let Some(marshal) = &self.marshal {
                    marshal.prune(EngineHeight::new(below.get()));
                }
            }
        }
        Ok(())
    }

    /// The next term may start on `finalized`, and whatever the engine of the ended one has on disk
    /// is not needed any more.
    async fn end_term(&mut self, finalized: &Finalized, finalization: Bytes) -> Result<(), Fatal> {
        let state = &finalized.state;
        let record = TermRecord {
            opening: Opening {
                header: finalized.block.inner().header.clone(),
                finalization,
            },
            seats: state.seats.seats().to_vec(),
        };
        self.history.open(state.term, record).await;
        self.history.sync().await.ok_or(Fatal::History)?;
        self.snapshots.write(finalized).await?;
        info!(term = %state.term, seats = state.seats.len(), height = %finalized.height(),
            "a new term");
        Ok(())
    }
}
