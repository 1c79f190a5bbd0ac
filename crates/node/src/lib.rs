//! Run an attester: storage, L1 watcher, HTTP API.
