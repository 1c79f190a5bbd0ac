//! Take final blocks in order, move the state, tell everybody, write snapshots.
//!
//! The state is not written for every block: a restart loads the last snapshot and applies the
//! final blocks after it again. Marshal keeps those on disk, so acknowledging a block needs no
//! write of ours.

use crate::{
    block::Block,
    engine::{MAX_PENDING_ACKS, MarshalMailbox, Tuning},
    events::{Event, Events},
    lanes,
    ledger::{Finalized, Ledger},
    publisher,
    runtime::Runtime,
    scheme::{Scheme, finality},
    witness,
};
use commonware_actor::Feedback;
use commonware_consensus::{Reporter, marshal::Update, types::Height as EngineHeight};
use commonware_cryptography::Digested;
use commonware_macros::select_loop;
use commonware_runtime::{ContextCell, Handle, spawn_cell};
use commonware_utils::{Acknowledgement as _, acknowledgement::Exact, channel::mpsc};
use cortado_chain::{Checks, Rejection, apply};
use cortado_types::Height;
use std::sync::Arc;
use thiserror::Error;
use tracing::info;

mod snapshot;

pub use snapshot::{SnapshotError, Snapshots};

/// Marshal's end of the finalizer.
#[derive(Clone)]
pub struct Intake(mpsc::Sender<(Digested<Block>, Exact)>);

impl Reporter for Intake {
    type Activity = Update<Block>;

    fn report(&mut self, update: Update<Block>) -> Feedback {
        let Update::Block(block, ack) = update else {
            return Feedback::Ok;
        };
        // Marshal hands out at most MAX_PENDING_ACKS blocks at a time, and that many fit. A block
        // that does not is dropped with its acknowledgement, which stops marshal: a fault of ours
        // that must not pass unseen.
        match self.0.try_send((block, ack)) {
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
    #[error("final block {height} is not in the block store, which is behind its own mark")]
    Missing { height: Height },
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

/// Moves the finalised state forward.
pub struct Finalizer<E: Runtime, S: Scheme> {
    context: ContextCell<E>,
    ledger: Ledger,
    marshal: MarshalMailbox<S>,
    snapshots: Snapshots<E>,
    tuning: Tuning,
    listeners: Listeners,
    receiver: mpsc::Receiver<(Digested<Block>, Exact)>,
}

impl<E: Runtime, S: Scheme> Finalizer<E, S> {
    /// Stands at the ledger's finalised block.
    pub fn new(
        context: E,
        ledger: Ledger,
        marshal: MarshalMailbox<S>,
        snapshots: Snapshots<E>,
        tuning: Tuning,
        listeners: Listeners,
    ) -> (Self, Intake) {
        let (sender, receiver) = mpsc::channel(2 * MAX_PENDING_ACKS.get());
        let finalizer = Self {
            context: ContextCell::new(context),
            ledger,
            marshal,
            snapshots,
            tuning,
            listeners,
            receiver,
        };
        (finalizer, Intake(sender))
    }

    /// Starts it; ends on shutdown or when a final block cannot be applied.
    pub fn start(mut self) -> Handle<()> {
        spawn_cell!(self.context, self.run())
    }

    async fn run(mut self) {
        select_loop! {
            self.context,
            on_stopped => {},
            Some((block, ack)) = self.receiver.recv() else break => {
                if let Err(error) = self.advance(block.inner().clone()).await {
                    self.listeners.events.fail("final chain", error);
                    return;
                }
                ack.acknowledge();
            },
        }
    }

    /// Moves to `block`, through whatever lies between after a restart.
    async fn advance(&mut self, block: Block) -> Result<(), Fatal> {
        let target = block.inner().header.height;
        let mut at = self.ledger.finalized().height();
        if at < target && at.next() != Some(target) {
            info!(from = %at, to = %target, "applying final blocks after the snapshot again");
        }
        while let Some(next) = at.next().filter(|next| *next < target) {
            let missing = Fatal::Missing { height: next };
            let stored = self.marshal.get_block(EngineHeight::new(next.get())).await;
            self.apply(stored.ok_or(missing)?.inner().clone()).await?;
            at = next;
        }
        // Marshal delivers at least once.
        if at < target {
            self.apply(block).await
        } else {
            Ok(())
        }
    }

    async fn apply(&mut self, block: Block) -> Result<(), Fatal> {
        let height = block.inner().header.height;
        let state = match self.ledger.after(&block) {
            Some(state) => state,
            None => {
                let parent = self.ledger.finalized();
                let parent_header = &parent.block.inner().header;
                let state = apply(&parent.state, parent_header, block.inner(), Checks::Replay)
                    .map_err(|source| Fatal::Rejected { height, source })?;
                Arc::new(state)
            }
        };
        let engine_height = EngineHeight::new(height.get());
        let certificate = self.marshal.get_finalization(engine_height).await;
        let certificate = certificate.as_ref().map(finality);
        self.ledger.finalize(Finalized {
            block,
            state,
            certificate,
        });
        let finalized = self.ledger.finalized();
        self.listeners.lanes.finalized(finalized.clone()).await;
        self.listeners.witness.finalized(finalized.clone()).await;
        if let Some(publisher) = &self.listeners.publisher {
            publisher.finalized(finalized.clone()).await;
        }
        self.listeners
            .events
            .emit(Event::Finalized(finalized.clone()));
        if height.get().is_multiple_of(self.tuning.snapshot_interval) {
            self.snapshots.write(&finalized).await?;
            if let Some(kept) = self.tuning.block_retention {
                // Blocks after the snapshot are needed for the next start.
                self.marshal
                    .prune(EngineHeight::new(height.get().saturating_sub(kept)));
            }
        }
        Ok(())
    }
}
