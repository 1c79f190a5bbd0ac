//! Watch Ethereum for a seat: what its own L1 node holds as valid and as final (R9, R10).
//!
//! ```text
//!   JSON-RPC of each endpoint ─▶ scout ─▶ latest, finalized; every hash recomputed ─▶ endpoints
//!   the endpoint in use: parents, registry ─▶ walker ─▶ headers, what is final, seats ─▶ Observation
//!   JSON-RPC: receipts of a block ─▶ queue ─▶ what it queued for a rollup, under the header's root
//!   beacon: head events (wake), duties (lookahead), spec (checked against genesis)
//! ```
//!
//! One code path for the embedded L1 and for real nodes. The L1 nodes are the operator's own or
//! somebody's whom the operator pays, and are not believed where they can be checked: a header whose
//! RLP does not hash to the hash that it came with, or that does not link to the one after it, is
//! refused, and its endpoint left for the next one. What this seat signs as final is what no endpoint
//! that answers contradicts.

mod beacon;
mod config;
mod endpoints;
mod error;
mod http;
mod lookahead;
mod nodes;
mod queue;
mod registry;
mod rpc;
mod safe;
mod told;
mod waits;
mod walk;
mod walker;
mod watcher;

pub use beacon::{Beacon, BeaconTime, Duty};
pub use config::{L1_ENDPOINTS_MAX, L1NodeConfig, RpcUrls, RpcUrlsError};
pub use error::L1Error;
pub use nodes::L1Nodes;
pub use queue::L1Queues;
pub use rpc::{L1Rpc, VerifiedHeader};
pub use safe::SafeWatch;
pub use watcher::Watcher;
