//! Run a rollup: derive, execute, promise, serve.

pub mod backend;
pub mod datadir;
pub mod engine;
pub mod gateway;
pub mod journal;
pub mod service;
pub mod source;
pub mod wire;
