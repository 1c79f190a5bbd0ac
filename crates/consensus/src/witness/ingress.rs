//! What others tell and ask the witness.

use crate::ledger::Finalized;
use commonware_utils::channel::{mpsc, oneshot, watch};
use cortado_chain::State;
use cortado_types::{B256, Bytes, Operation, ReadSeats};
use std::sync::Arc;

/// What this seat's L1 node says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// It holds this header, and so all its ancestors, as valid. RLP of the header.
    Header(Bytes),
    /// It holds this block as finalised.
    Finalized(B256),
    /// In the state of a block that it holds as finalised, the registry has settled these seats.
    Seats(Box<ReadSeats>),
}

pub(super) enum Message {
    Observed(Observation),
    Operations {
        state: Arc<State>,
        reply: oneshot::Sender<Vec<Operation>>,
    },
    Finalized(Arc<Finalized>),
}

/// Requests that wait. L1 moves once in seconds; all of these may wait for room.
pub(super) const MAILBOX_SIZE: usize = 128;

/// A handle to the witness.
#[derive(Clone)]
pub struct Mailbox {
    pub(super) sender: mpsc::Sender<Message>,
    pub(super) wake: watch::Receiver<u64>,
}

impl Mailbox {
    /// Tells what the L1 node says.
    pub async fn observe(&self, observation: Observation) {
        let _ = self.sender.send(Message::Observed(observation)).await;
    }

    /// Operations that a leader can include on top of `state`. None if the witness is gone.
    pub async fn operations(&self, state: Arc<State>) -> Vec<Operation> {
        let (reply, answer) = oneshot::channel();
        if self
            .sender
            .send(Message::Operations { state, reply })
            .await
            .is_err()
        {
            return Vec::new();
        }
        answer.await.unwrap_or_default()
    }

    /// Tells that a block is final.
    pub async fn finalized(&self, finalized: Arc<Finalized>) {
        let _ = self.sender.send(Message::Finalized(finalized)).await;
    }

    /// Changes whenever there may be more to include.
    pub fn wake(&self) -> watch::Receiver<u64> {
        self.wake.clone()
    }
}
