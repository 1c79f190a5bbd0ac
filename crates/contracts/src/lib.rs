//! Speak to the contracts on Ethereum: bindings, deployment, transactions that arrive.
//!
//! ```text
//!  DeployConfig ──steps──▶ Step ──┬─ deploy ──▶ an L1
//!                                 └─ GenesisPlan ──execute──▶ accounts of an L1's genesis
//!  key files ──▶ KeyRegistration ─┐
//!  Header + FinalityCertificate ──┼──▶ call data ──▶ Sender ──▶ an L1
//!  Evidence, excuses ─────────────┘
//! ```
//!
//! - [`abi`] is the interface of the contracts, from their committed artifacts.
//! - [`plan`] and [`genesis`] are pure: the same configuration gives the same addresses and accounts.

pub mod abi;
pub mod deploy;
pub mod evidence;
pub mod finality;
pub mod genesis;
pub mod inbox;
pub mod plan;
pub mod points;
pub mod registration;
pub mod registry;
pub mod relay;
pub mod rpc;
pub mod seats;
pub mod sender;
pub mod slashing;
pub mod staking;

#[cfg(test)]
mod tests;

pub use genesis::{GenesisOperator, GenesisPlan, GenesisTransaction, SeatSecret};
pub use plan::{Addresses, Contract, DeployConfig};
pub use registration::{KeyRegistration, possession_namespace};
pub use seats::{Place, Places, SeatList};
