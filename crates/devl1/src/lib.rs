//! Be an Ethereum: an embedded L1 with forks on demand.
//!
//! ```text
//!            time                 L1Chain: one block a slot, forks, finality
//!   drive ────────► Shared::tick ─────────────► ChainStore (cortado-evm, on disk)
//!                       │                           ▲
//!                       │ events                    │ reads
//!                       ▼                           │
//!      eth_*, devl1_* (HTTP, WebSocket)    beacon REST, server-sent events
//! ```
//!
//! Execution is real (the latest mainnet hardfork, real roots, EIP-2935 and EIP-4788 system
//! calls); consensus is a clock. One validator proposes in every slot, known two epochs ahead and
//! derived from the seed; the checkpoint two epochs back is final. Whoever runs the chain may bend
//! it: [`Controls::reorg`], [`Controls::miss_next`], [`Controls::stall_finality`], also over
//! JSON-RPC as `devl1_*`.
//!
//! A block is on disk before anybody hears of it, and a transaction is before it is acknowledged.
//! After a crash the chain goes on at the current slot; the slots in between were missed.
//! Forgotten by a crash: ordered reorgs, slots to be missed, and a stall of finality.
//!
//! # Examples
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = cortado_devl1::Config {
//!     chain_id: 31_337,
//!     slot_ms: 2_000,
//!     slots_per_epoch: 8,
//!     genesis_time_ms: 1_790_000_000_000,
//!     prefunded: Vec::new(),
//!     alloc: Default::default(),
//!     data_dir: "l1".into(),
//!     rpc_addr: "127.0.0.1:0".parse()?,
//!     beacon_addr: "127.0.0.1:0".parse()?,
//!     seed: 1,
//!     validators: 64,
//!     finality_lag_epochs: 2,
//! };
//! let l1 = cortado_devl1::start(config).await?;
//! println!("http://{} and http://{}", l1.rpc_addr(), l1.beacon_addr());
//! l1.chain().miss_next(1);
//! l1.stop().await;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod beacon;
pub mod chain;
pub mod clock;
mod config;
pub mod events;
mod execution;
mod journal;
pub mod pool;
mod rest;
mod service;
mod shared;
pub mod ssz;
#[cfg(test)]
mod testing;

pub use chain::{ChainError, Finality, L1Chain, Step};
pub use config::{
    Config, ConfigError, Prefunded, SLOT_MS_MIN, SLOTS_PER_EPOCH_MAX, VALIDATORS_MAX,
};
pub use journal::JournalError;
pub use service::{Controls, Handle, StartError, start};
pub use shared::{ReorgDone, Status};
