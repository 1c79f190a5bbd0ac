//! What the gateway and the finalizer tell the publisher.

use crate::{lanes::SealedLane, ledger::Finalized};
use commonware_utils::channel::mpsc;
use std::sync::Arc;

pub(super) enum Message {
    Publish(Box<SealedLane>),
    Finalized(Arc<Finalized>),
}

/// Lane blocks that wait to be sent. A gateway that cuts faster than the network takes waits: its
/// promises do not depend on this queue.
pub(super) const MAILBOX_SIZE: usize = 64;

/// A handle to the publisher.
#[derive(Clone)]
pub struct Mailbox(pub(super) mpsc::Sender<Message>);

impl Mailbox {
    /// Sends a lane block to the seats; in order of height within a namespace. The caller has
    /// persisted it.
    pub async fn publish(&self, lane: SealedLane) {
        let _ = self.0.send(Message::Publish(Box::new(lane))).await;
    }

    /// Tells that a block is final.
    pub async fn finalized(&self, finalized: Arc<Finalized>) {
        let _ = self.0.send(Message::Finalized(finalized)).await;
    }
}
