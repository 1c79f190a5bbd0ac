//! Run a rollup: derive, execute, promise, serve.
