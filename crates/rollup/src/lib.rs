//! Run a rollup: derive, execute, promise, serve.

pub mod engine;
pub mod gateway;
pub mod journal;
pub mod source;
