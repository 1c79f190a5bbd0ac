//! Run a rollup: derive, execute, promise, serve.
//!
//! ```text
//!   wallet ──eth_*──▶ rollup node ──proposer_*──▶ proposer ──lane blocks──▶ attesters
//!                      backend      wire           gateway    LaneSink
//!                        │                           │
//!                        └────────── engine ─────────┘ ◀── finalised blocks (FinalisedSource)
//! ```
//!
//! * [`engine`]: one rollup: finalised lane blocks become L2 blocks (R12), pending ones are executed
//!   on top; both sides use it, so both execute everything.
//! * [`fork`]: what a namespace is on any fork of L1, whichever the chain is on.
//! * [`gateway`]: the proposer: a promise within milliseconds, persisted before it is signed (R20),
//!   lane blocks cut and handed out, cut anew after a stall, never skipped or reordered.
//! * [`backend`]: the rollup node behind Ethereum's JSON-RPC, with the tags of R22, and
//!   `cortado_getPromise` and `cortado_status`.
//! * [`wire`]: how the two talk, a stream that resumes included.
//! * [`service`]: both from configuration files, over the seams of [`source`].
//! * [`journal`], [`datadir`]: what survives.
//!
//! A stopped or killed part loses nothing that was acknowledged: promises are in the proposer's
//! journal, everything else comes again from the finality chain with the same result.

pub mod backend;
pub mod datadir;
pub mod engine;
pub mod fork;
pub mod gateway;
pub mod journal;
mod queues;
pub mod service;
pub mod source;
pub mod wire;
