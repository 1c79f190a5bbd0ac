//! The embedded L1 over its real sockets.

mod bad_input;
mod beacon;
mod common;
mod forks;
mod json_rpc;
mod restart;
#[path = "../../src/testing.rs"]
mod testing;
