//! Take lane blocks in, keep their bodies, acknowledge them, gather certificates (R6a).
//!
//! ```text
//!  proposer ──body──▶ judge ──▶ store ──group fsync──▶ sign ──ack──▶ all seats and the proposer
//!                                                                      │
//!                         leader ◀──runs── certified ◀──quorum── tally ┘
//!
//!  final block ──▶ bodies that are missing ──▶ asked from peers, checked, stored, served
//! ```
//!
//! - A body is on disk, with the mark that it is acknowledged, before the acknowledgement is
//!   signed. After a restart the marks are read again, so a seat never acknowledges two headers
//!   for one place (R6a).
//! - Nothing that a proposer sends can stall this: it is judged alone, refused with a reason, and
//!   bounded by its slot's byte quota.
//! - At a term change certificates and acknowledgements of the old seats count no more: what is not
//!   in a block yet is acknowledged anew, without its body being sent again (R6a). New seats get
//!   the bodies from the proposers.
//! - A seat that a final block names a body to that it does not hold fetches it; a follower does
//!   so for the namespaces that it wants.

mod actor;
mod fetch;
mod ingress;
mod orphans;
mod state;
mod store;
mod wire;

pub use actor::{Actor, Config};
pub use ingress::{Mailbox, Offer};
pub use state::{Lanes, Refusal, Verdict};
pub use wire::{Ack, LANE_BLOCK_BYTES_MAX, LaneBlock, SealedLane};

use cortado_types::Namespace;
use std::collections::BTreeSet;

/// Whose bodies a node keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All: what seats do.
    All,
    /// Those of these namespaces: what a rollup's node does.
    Only(BTreeSet<Namespace>),
}

impl Keep {
    /// Whether bodies of `namespace` are kept.
    pub fn wants(&self, namespace: Namespace) -> bool {
        match self {
            Self::All => true,
            Self::Only(namespaces) => namespaces.contains(&namespace),
        }
    }
}
