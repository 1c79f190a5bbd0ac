//! What the engine asks of the world it runs in: one bound, two implementations.
//!
//! Production runs on the tokio runtime, the simulator on the deterministic one. Nothing else in
//! this crate names either, so the same code runs in both.

use commonware_cryptography::ed25519;
use commonware_p2p::{Blocker, Provider, Receiver, Sender};
use commonware_runtime::{Clock, Metrics, Spawner, Storage};
use cortado_types::TimestampMs;
use futures::FutureExt;
use rand_core::CryptoRng;
use std::time::UNIX_EPOCH;

/// A clock, a disk, tasks, metrics and randomness.
pub trait Runtime: Clock + CryptoRng + Spawner + Storage + Metrics {
    /// The wall clock as the protocol writes it.
    fn now_ms(&self) -> TimestampMs {
        let elapsed = self
            .current()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        TimestampMs::new(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }

    /// Whether everything was told to stop: then parts that end are no failure.
    fn is_stopping(&self) -> bool {
        self.stopped().now_or_never().is_some()
    }
}

impl<E: Clock + CryptoRng + Spawner + Storage + Metrics> Runtime for E {}

/// The four types that a peer-to-peer network brings along, named once.
pub trait Transport: Send + Sync + 'static {
    /// Sends on one channel.
    type Sender: Sender<PublicKey = ed25519::PublicKey>;
    /// Receives from one channel.
    type Receiver: Receiver<PublicKey = ed25519::PublicKey>;
    /// Cuts off peers that send what no honest peer sends.
    type Blocker: Blocker<PublicKey = ed25519::PublicKey> + Send + Sync;
    /// Says who the peers are.
    type Peers: Provider<PublicKey = ed25519::PublicKey> + Send + Sync;
    /// Is told who sits.
    type Roster: Roster;
}

/// Keeps connections to whoever sits.
pub trait Roster: Send + Sync + 'static {
    /// From now on these are the seats whose peers matter: of the present term, the one before and
    /// the next. `id` rises from call to call. Peers that are no seats stay as they were.
    fn track(&mut self, id: u64, seats: &[ed25519::PublicKey]);
}
