//! What happens on a node, for whoever listens: the HTTP API, a gateway, a test.

use crate::{ledger::Finalized, node::RECOVERY};
use commonware_utils::channel::mpsc;
use cortado_evidence::Evidence;
use cortado_preconf::LaneEquivocation;
use cortado_types::{B256, Namespace, QuorumCertificate, SignedLaneHeader, Slot};
use std::{
    fmt::Display,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};
use tracing::error;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A block is final. In order of height, each once per run of the node.
    Finalized(Arc<Finalized>),
    /// This seat holds a lane block and has acknowledged it.
    LaneAcknowledged(SignedLaneHeader),
    /// A quorum holds a lane block: it will be included if its slot is still open.
    LaneCertified {
        /// The lane header's hash.
        hash: B256,
        /// Who signed.
        certificate: QuorumCertificate,
    },
    /// A lane block that this node sent is in a final block.
    LaneIncluded {
        /// Its namespace.
        namespace: Namespace,
        /// The lane header's hash.
        hash: B256,
        /// The block that included it.
        block: B256,
    },
    /// A lane block that this node sent can no longer be included: its slot closed without it, or
    /// another lane block took its place.
    LaneVoided {
        /// Its namespace.
        namespace: Namespace,
        /// Its slot.
        slot: Slot,
        /// The lane header's hash.
        hash: B256,
    },
    /// A proposer signed two lane headers for one place (R21).
    Equivocation(Box<LaneEquivocation>),
    /// A seat contradicted itself in one view (R2): once a run for each key and seat set.
    SeatFault(Box<Evidence>),
}

/// Events that wait for one listener. One that falls further behind is cut off and has to resume
/// from the height it last saw.
const BACKLOG_MAX: usize = 1_024;

/// Hands events to all listeners, and remembers what ended the node.
#[derive(Clone, Default)]
pub struct Events {
    listeners: Arc<Mutex<Vec<mpsc::Sender<Event>>>>,
    failure: Arc<OnceLock<String>>,
}

impl Events {
    /// A new listener. The channel closes when the listener falls too far behind.
    pub fn subscribe(&self) -> mpsc::Receiver<Event> {
        let (sender, receiver) = mpsc::channel(BACKLOG_MAX);
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(sender);
        receiver
    }

    /// Tells all listeners; never waits.
    pub fn emit(&self, event: Event) {
        let mut listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.try_send(event.clone()).is_ok());
    }

    /// A part of the node cannot go on, and the node ends with it.
    pub(crate) fn fail(&self, part: &str, error: impl Display) {
        error!(%error, "{part} failed; this node stops");
        // Who failed first is the cause.
        let _ = self.failure.set(format!("{part}: {error}; {RECOVERY}"));
    }

    /// What ended the node, and what to do about it.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }
}
