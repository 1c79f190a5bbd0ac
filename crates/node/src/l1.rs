//! Watch Ethereum for a seat: what its own L1 node holds as valid and as final (R9, R10).
//!
//! ```text
//!   JSON-RPC: latest, parents, finalized ─▶ rpc ─▶ every hash recomputed ─▶ watcher ─▶ Observation
//!   JSON-RPC: registry at the finalised block ─▶ seats, proved ─▶ watcher ─▶ Observation
//!   JSON-RPC: receipts of a block ─▶ queue ─▶ what it queued for a rollup, under the header's root
//!   beacon: head events (wake), duties (lookahead), spec (checked against genesis)
//! ```
//!
//! One code path for the embedded L1 and for real nodes. The L1 node is the operator's own, and is
//! still not believed where it can be checked: a header whose RLP does not hash to the hash that
//! it came with, or that does not link to the one after it, is refused and counted.

mod beacon;
mod error;
mod http;
mod queue;
mod registry;
mod rpc;
mod walk;
mod watcher;

pub use beacon::{Beacon, BeaconTime, Duty};
pub use error::L1Error;
pub use rpc::{L1Rpc, VerifiedHeader};
pub use watcher::{L1Endpoints, Watcher};
