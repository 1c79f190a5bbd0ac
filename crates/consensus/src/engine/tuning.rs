//! Timeouts and sizes of the engine, each with its reason.

use crate::evidence::Retention;
use commonware_utils::NZU64;
use std::{num::NonZeroU64, time::Duration};

/// What may differ between a loopback devnet, a wide area network and a simulation. None of it is
/// part of consensus: seats may disagree about all of it and still agree on blocks.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// How long an idle leader waits for something to include before it proposes an empty block.
    pub idle: Duration,
    /// How long seats wait for a proposal. Longer than `idle` by a few network delays.
    pub leader_timeout: Duration,
    /// How long seats wait for a view to be certified; longer than `leader_timeout`.
    pub certification_timeout: Duration,
    /// How often a seat that is stuck repeats its nullify.
    pub timeout_retry: Duration,
    /// A leader silent for this long is skipped at once when its turn comes.
    pub skip_timeout: Duration,
    /// How long a peer has to answer a request.
    pub fetch_timeout: Duration,
    /// Finalised blocks between two snapshots of the state. A restart replays at most this many.
    pub snapshot_interval: u64,
    /// Finalised blocks kept on disk behind the newest; `None` keeps all.
    pub block_retention: Option<u64>,
    /// Finalised blocks in one file; pruning happens in these steps, and files that are kept stay
    /// open.
    pub blocks_per_file: NonZeroU64,
    /// How much of what accuses and excuses seats is kept (R2).
    pub evidence: Retention,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            // Blocks come at least once a second: idle wait, two hops and a margin.
            idle: Duration::from_millis(800),
            leader_timeout: Duration::from_millis(1_500),
            certification_timeout: Duration::from_millis(2_250),
            timeout_retry: Duration::from_millis(1_000),
            skip_timeout: Duration::from_secs(5),
            fetch_timeout: Duration::from_secs(1),
            snapshot_interval: 256,
            block_retention: None,
            // About a day of an idle chain: two thousand open files in a year.
            blocks_per_file: NZU64!(1 << 16),
            evidence: Retention::default(),
        }
    }
}
