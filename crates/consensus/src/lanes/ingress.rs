//! What others ask of the lanes actor.

use super::wire::SealedLane;
use crate::ledger::Finalized;
use bytes::Bytes;
use commonware_utils::channel::{mpsc, oneshot, watch};
use cortado_chain::State;
use cortado_types::{B256, LaneEntry, TimestampMs};
use std::sync::Arc;

/// A request to the lanes actor.
pub(super) enum Message {
    /// A leader asks what it can include.
    Offer {
        state: Arc<State>,
        time: TimestampMs,
        reply: oneshot::Sender<Offer>,
    },
    /// A block is final.
    Finalized(Arc<Finalized>),
    /// Somebody wants a body; if a final block names it and it is missing, the answer waits.
    Body {
        hash: B256,
        reply: oneshot::Sender<Option<Bytes>>,
    },
    /// This node made it: keep and serve it.
    Hold(Box<SealedLane>),
    /// A peer asks for a lane block.
    Serve {
        hash: B256,
        reply: oneshot::Sender<Bytes>,
    },
    /// A peer answered with a lane block.
    Deliver {
        hash: B256,
        bytes: Bytes,
        reply: oneshot::Sender<bool>,
    },
}

/// What a leader can include.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Certified runs, one a namespace, each from the tip on.
    pub runs: Vec<Vec<LaneEntry>>,
    /// Whether more is certified that may enter a little later, when its slot opens.
    pub waiting: bool,
}

/// Requests that wait. Finalised blocks wait for room (the finalizer is then the one that waits);
/// questions from peers are dropped when it is full, and asked again.
pub(super) const MAILBOX_SIZE: usize = 256;

/// A handle to the lanes actor.
#[derive(Clone)]
pub struct Mailbox {
    pub(super) sender: mpsc::Sender<Message>,
    pub(super) wake: watch::Receiver<u64>,
}

impl Mailbox {
    /// What a leader can include on top of `state`. Empty if the actor is gone.
    pub async fn offer(&self, state: Arc<State>, time: TimestampMs) -> Offer {
        let (reply, answer) = oneshot::channel();
        if self
            .sender
            .send(Message::Offer { state, time, reply })
            .await
            .is_err()
        {
            return Offer::default();
        }
        answer.await.unwrap_or_default()
    }

    /// Changes whenever there may be more to include.
    pub fn wake(&self) -> watch::Receiver<u64> {
        self.wake.clone()
    }

    /// Tells that a block is final; waits while the actor is busy.
    pub async fn finalized(&self, finalized: Arc<Finalized>) {
        let _ = self.sender.send(Message::Finalized(finalized)).await;
    }

    /// The RLP of a [`super::LaneBlock`] by the hash of its header. Waits while it is being
    /// fetched, so give it a deadline. `None` if nobody asked this node to keep it.
    pub async fn body(&self, hash: B256) -> Option<Bytes> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(Message::Body { hash, reply }).await.ok()?;
        answer.await.ok().flatten()
    }

    /// Keeps a lane block that this node made, so that it can serve it.
    pub async fn hold(&self, lane: SealedLane) {
        let _ = self.sender.send(Message::Hold(Box::new(lane))).await;
    }
}
