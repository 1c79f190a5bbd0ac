//! Run an attester: storage, L1 watcher, HTTP API.

pub mod api;
pub mod attester;
pub mod chain_reader;
pub mod clock;
pub mod evidence;
pub mod home;
pub mod index;
pub mod keys;
pub mod l1;
pub mod proposer;
pub mod reader;
pub mod rollup;
pub mod slashing;
