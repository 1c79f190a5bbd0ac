//! Verify what a node says and trust none.
//!
//! A client starts from a genesis file and nothing else. Whatever a node answers is checked up to
//! a certificate of the seats that the genesis names, so the worst that a hostile node can do is
//! to be silent; then the next one is asked.
//!
//! ```text
//!   genesis ──seats──▶ FinalityCertificate ──▶ Header ──┬─▶ lane entry ──▶ body, transaction
//!                                                       ├─▶ state entry
//!                                                       └─▶ any earlier Header
//! ```
//!
//! - [`api`] is the node's REST interface in types: the server writes them, the client reads them.
//! - [`LightClient`] is the verification, pure: no sockets, no clock.
//! - [`Client`] asks nodes over HTTP, bounded in size and time, and hands out verified things only.
//! - [`Client::follow`] is the stream of finalised blocks, resumed and failed over as needed.
//! - [`reference_to`] makes a transaction depend on one L1 block.

pub mod api;
mod client;
mod error;
mod follow;
pub mod http;
mod light;
mod reference;
mod sse;

#[cfg(test)]
mod tests;

pub use client::{Client, NodeReport};
pub use error::{ClientError, Lie, Unverified};
pub use follow::Follow;
pub use light::{
    Final, FinalBlock, FinalLane, FinalTransaction, LightClient, StateEntry, namespace_state,
};
pub use reference::reference_to;
