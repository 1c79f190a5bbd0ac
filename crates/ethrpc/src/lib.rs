//! Speak Ethereum JSON-RPC over any chain that can answer it.
//!
//! ```text
//!  socket ─► PacedStream ─► HTTP / WebSocket ─► Guard ─► Api ─► EthBackend (the chain)
//!            slow peers      sizes, batches     counts    eth_*   snapshots, pool, events
//! ```
//!
//! * [`EthBackend`] is what a chain implements: the embedded L1 and the rollup node do.
//! * [`module`] turns a backend into the methods `eth_*`, `net_*`, `web3_*`, `rpc_modules`; the
//!   owner merges its own namespaces into the result.
//! * [`serve`] puts any set of methods on one port, over HTTP and WebSocket, with CORS and limits.
//!
//! A caller can be slow, wrong or hostile, so everything that a client makes us hold is bounded by
//! a constant of [`limits`], and what was refused is counted in [`Counters`]. Two refusals of the
//! WebSocket transport are answered but not counted: text that is no JSON, and oversize messages.
//!
//! Codes: -32700 no JSON, -32600 no request, -32601 no such method, -32602 wrong parameters, -32000
//! refused in geth's words, -32001 not here, -32005 above a limit, 3 reverted (with the output as
//! data), 4, 5 and 6 as EIP-7966 says.
#![forbid(unsafe_code)]

mod api;
pub mod args;
pub mod backend;
pub mod convert;
pub mod error;
pub mod filters;
mod guard;
pub mod limits;
mod metrics;
mod server;
pub mod stream;

pub use api::module;
pub use backend::{ChainEvent, EthBackend};
pub use error::{RpcError, SubmitError};
pub use limits::Limits;
pub use metrics::{Counter, Counters};
pub use server::{Handle, serve};
