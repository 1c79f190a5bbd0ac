//! Run an attester: storage, L1 watcher, HTTP API.

pub mod api;
pub mod reader;
