//! Agree on blocks: the BFT engine, lane dissemination, the simulator.

pub mod application;
pub mod block;
pub mod engine;
pub mod events;
pub mod evidence;
pub mod finalizer;
pub mod host;
pub mod lanes;
pub mod ledger;
pub mod network;
pub mod node;
pub mod publisher;
pub mod runtime;
pub mod scheme;
pub mod simulate;
pub mod tally;
pub mod witness;
