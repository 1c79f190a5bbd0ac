//! Bring a proposer's lane blocks to the seats and say what became of them.
//!
//! The gateway persists a lane block before it hands it over (R20) and hands over everything that
//! is not in a final block again after a restart; so nothing here is on disk. Every lane block goes
//! straight to every seat (R6a), is sent again to seats that stay silent, whoever leads, and ends in
//! exactly one of two events: included, or voided.

mod actor;
mod ingress;
mod state;

pub use actor::{Actor, Config};
pub use ingress::Mailbox;
pub use state::{Fate, Outbox};
