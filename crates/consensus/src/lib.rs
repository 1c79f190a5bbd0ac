//! Agree on blocks: the BFT engine, lane dissemination, the simulator.

pub mod block;
pub mod engine;
pub mod network;
pub mod runtime;
pub mod scheme;
pub mod simulate;
